/*
 * careful_batch.h
 *   How many rows one statement changes, so that a single one on which it raises (a user's trigger, a
 *   constraint) does not stop the others.
 *
 *   After a failure that may be one row's, half as many are tried, down to the one, which then rests for ten
 *   seconds; after a success twice as many.  Each try is a transaction of its own and a turn of its own.
 *   Of a store with many such rows all rest.
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "postgres/transaction.h"

namespace product_optimizer {

class CarefulBatch {
 public:
  struct Row {
    std::int64_t id;
    std::string store;
  };

  /* How many to pick next. */
  std::int64_t limit() const { return limit_; }

  /* What must not be picked. */
  const std::vector<std::int64_t>& resting_items() const { return items_; }
  const std::vector<std::string>& resting_stores() const { return stores_; }

  /* What the transaction has picked; it counts also when the transaction fails. */
  std::vector<Row>& picked() { return picked_; }

  /* Ends the rest of those whose time is over; whether there were any. */
  bool Begin(std::uint64_t now_ns);
  std::uint64_t RestEndsNs() const; /* of the first of them; UINT64_MAX: none rests */

  void Committed();

  /* Whether the others can be tried at once; *found says who rests from now on, in words, or is empty. */
  bool Failed(const TransactionFailure& failure, std::uint64_t now_ns, std::string* found);

 private:
  struct Rest {
    Row row; /* without an id: the whole store */
    std::uint64_t until_ns;
  };
  void Rebuild();

  static constexpr std::int64_t kMost = 1000;
  std::int64_t limit_ = kMost;
  std::vector<Row> picked_;
  std::vector<Rest> rests_;
  std::vector<std::int64_t> items_;
  std::vector<std::string> stores_;
};

}  // namespace product_optimizer
