/*
 * shared_limiter.h
 *   The buckets of core/limiter.h in shared memory: one per model for the whole cluster, and one per
 *   store that has a limit of its own.
 *
 *   Locking: one lock over all buckets, held for arithmetic and a hash look-up only, never across
 *   anything that can raise.  So a request and its store's limit are one decision.
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/take_in_turn.h"
#include "postgres/prelude.h"

namespace product_optimizer {

/* The limits of the model, and of the store where it has its own. */
struct BucketRef {
  std::string model;
  Limits limits;
  std::string instance_id; /* empty: no limit of its own */
  Limits store_limits;     /* 0 in a dimension: not limited there */
  bool configured = false; /* the model is the setting's or has a row in rate_limits */
};

/* From the shared memory hooks only. */
Size SharedLimiterSize();
void StartSharedLimiter(LWLock* lock);

/*
 * Takes both or nothing, from all buckets or none, for something that leaves later: each reservation ends
 * with LeaveShared() or CancelShared() of the same amounts.  A bucket's first use starts it empty.
 */
PairVerdict ReserveShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens);
Departure LeaveShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens);
void CancelShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens);

/* For an exit that skips destructors and catch blocks: what this process had reserved.  Never raises. */
void CancelAllReservations();

/* The same for something that leaves at once; *left_at_ns is then set to when. */
PairVerdict AcquireShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens,
                          std::uint64_t* left_at_ns);

/* What left and never reached the server. */
void GiveBackShared(const BucketRef& ref, std::uint64_t left_at_ns, std::int64_t requests,
                    std::int64_t tokens);

void SettleSharedTokens(const BucketRef& ref, std::uint64_t left_at_ns, std::int64_t reserved,
                        std::int64_t used);

void HoldOffShared(const BucketRef& ref, std::uint64_t left_at_ns, std::uint64_t wait_ns, bool slow_down);

/* What the headers of an answer say, in either dimension; null: nothing usable. */
void LearnShared(const BucketRef& ref, const Departure& departure, const ServerReading* requests,
                 const ServerReading* tokens);

/* What of this model could leave now.  With wants_turn those that are ahead wait for this worker's claim,
 * until StepAsideShared() at the latest. */
Room SharedRoom(const BucketRef& ref, bool wants_turn);
/* due_ns: when it comes back for what was refused before; not later than now: it has nothing to wait for. */
void StepAsideShared(const BucketRef& ref, std::uint64_t due_ns);

struct BucketReport {
  std::string model;
  Bucket bucket;
};

/* A copy of every model's bucket. */
std::vector<BucketReport> ReportBuckets();

}  // namespace product_optimizer
