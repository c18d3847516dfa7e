/*
 * take_in_turn.h
 *   A take from a bucket that several have use for, by turns (turn_taking.h), and together with it from a
 *   store's own bucket.  The caller holds the lock over both; nothing here allocates or throws.
 */
#pragma once

#include <cstdint>

#include "core/limiter.h"

namespace product_optimizer {

struct LimitedBucket {
  Bucket* bucket;
  const Limits* limits;
};

/* Who asks, not 0, and for how much. */
struct Asked {
  std::uint64_t who;
  std::int64_t requests;
  std::int64_t tokens;
};

struct PairVerdict {
  Verdict verdict;
  bool by_store; /* it is the store's own limit that stands in the way, not the model's */
};

/* Reserve() or Acquire(). */
using TakeFunction = Verdict (*)(Bucket& bucket, const Limits& limits, std::uint64_t now_ns,
                                 std::int64_t requests, std::int64_t tokens);

/* From both or none; the store's bucket is null where it has no limit of its own. */
PairVerdict TakeInTurn(const LimitedBucket& model, const LimitedBucket& store, std::uint64_t now_ns,
                       const Asked& asked, TakeFunction take);

/* What could leave now, and what the next one has to wait for. */
struct Room {
  std::int64_t requests;
  std::int64_t tokens;
  Verdict next;
};

/* A look before the take; with wants_turn those that are ahead wait for it. */
Room LookInTurn(const LimitedBucket& model, std::uint64_t now_ns, std::uint64_t who, bool wants_turn);

}  // namespace product_optimizer
