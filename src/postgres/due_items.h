/*
 * due_items.h
 *   When the next SCHEDULED item is due, and getting into line those whose time has come.
 *
 *   The look begins where the last one found nothing more: before that lie the entries of items that went on
 *   long ago, which no vacuum removes while somebody holds an old snapshot.  What comes to lie there all the
 *   same is told of, or found by the next look at all, which may take a tenth of the time.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "postgres/careful_batch.h"

namespace product_optimizer {

class DueItems {
 public:
  /* Any item may be due. */
  void LookAtAll() { look_at_all_ = true; }

  /* This worker made one that is due then. */
  void Expect(std::uint64_t at_ns) { at_ns_ = std::min(at_ns_, at_ns); }

  /* When there is something to do; UINT64_MAX: never, as far as is known. */
  std::uint64_t AtNs() const {
    const std::uint64_t at_ns = std::min(at_ns_, batch_.RestEndsNs());
    return look_at_all_ ? std::min(at_ns, all_at_ns_) : at_ns;
  }

  /* Within a transaction of the worker.  Throws PgError, and what it found counts only after Committed(). */
  void Promote(std::uint64_t now_ns);

  void Committed(std::uint64_t now_ns);
  /* See CarefulBatch. */
  bool AnyRests() const { return batch_.RestEndsNs() != UINT64_MAX; }
  bool Failed(const TransactionFailure& failure, std::uint64_t now_ns, std::string* found);

 private:
  /* What the transaction found. */
  struct Look {
    bool at_all = false;
    std::uint64_t began_ns = 0;
    std::uint64_t next_ns = 0;
    std::int64_t through = 0;
  };

  /* They may take a share of the time. */
  void PauseAllLooks(std::uint64_t now_ns);

  CarefulBatch batch_;
  std::uint64_t at_ns_ = UINT64_MAX;
  bool look_at_all_ = true;
  std::uint64_t all_at_ns_ = 0;      /* not before */
  std::int64_t through_ = INT64_MIN; /* what was due before this TimestampTz has gone on */
  Look look_;
};

}  // namespace product_optimizer
