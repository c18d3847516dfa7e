#include "postgres/shared_limiter.h"

#include <algorithm>
#include <map>
#include <utility>

#include "postgres/bucket_table.h"
#include "postgres/clock.h"
#include "postgres/shared_state.h"

namespace product_optimizer {

namespace {

constexpr char kSharedModels[] = "(all others)";

LWLock* buckets_lock = nullptr;

enum class Asker { kWorker, kCaller };

struct Reserved {
  std::int64_t requests = 0;
  std::int64_t tokens = 0;
};

/* What this process has reserved, by database (InvalidOid: a model's) and name. */
std::map<std::pair<Oid, std::string>, Reserved>* reservations = nullptr;

Bucket* FindModel(const BucketRef& ref, std::uint64_t now) {
  return FindOrStart(InvalidOid, ref.model, ref.limits, ref.configured, now, nullptr);
}

bool HasStoreLimit(const BucketRef& ref) {
  return ref.store_limits.requests_per_minute > 0 || ref.store_limits.tokens_per_minute > 0;
}

struct BucketPair {
  Bucket* model;
  Bucket* store; /* null: the store has no limit of its own */
  bool complete;
};

BucketPair FindPair(const BucketRef& ref, std::uint64_t now) {
  BucketPair pair{FindModel(ref, now), nullptr, true};
  const bool limited = HasStoreLimit(ref);
  if (limited)
    pair.store = FindOrStart(MyDatabaseId, ref.instance_id, ref.store_limits, true, now, pair.model);
  pair.complete = pair.model != nullptr && (pair.store != nullptr || !limited);
  return pair;
}

/* Applies one change to the model's bucket and to the store's. */
template <typename F>
void ForBoth(const BucketRef& ref, F change) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  const BucketPair pair = FindPair(ref, now);
  if (pair.store != nullptr) change(*pair.store, ref.store_limits, now);
  if (pair.model != nullptr) change(*pair.model, ref.limits, now);
}

/* Not under the lock, for it allocates. */
void NoteReservation(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  if (reservations == nullptr) reservations = new std::map<std::pair<Oid, std::string>, Reserved>;
  const auto note = [&](Oid database, const std::string& name) {
    Reserved& mine = (*reservations)[{database, name}];
    mine.requests += requests;
    mine.tokens += tokens;
    if (mine.requests == 0 && mine.tokens == 0) reservations->erase({database, name});
  };
  note(InvalidOid, ref.model);
  if (HasStoreLimit(ref)) note(MyDatabaseId, ref.instance_id);
}

/* Those who were held off together do not come back together; a wait that is a little longer is still enough.
 */
Verdict Scattered(Verdict verdict) {
  constexpr std::uint64_t kWidest = 1'000'000'000;
  if (verdict.gate == Gate::kHoldOff)
    verdict.wait_ns = SaturatingAdd(
        verdict.wait_ns,
        pg_prng_uint64_range(&pg_global_prng_state, 0, std::min(verdict.wait_ns / 10, kWidest)));
  return verdict;
}

constexpr Verdict kTooManyBuckets{Gate::kRequests, 1'000'000'000};

/* Who takes turns: each database's worker is one, and its callers of try_acquire() together another. */
std::uint64_t Taker(Asker asker) {
  return std::uint64_t{MyDatabaseId} * 2 + (asker == Asker::kCaller ? 1 : 0);
}

/* In the time that it takes to flow in, of the dimension that takes longer. */
std::uint64_t FlowOf(const Limits& limits, std::int64_t requests, std::int64_t tokens) {
  const auto flow = [](std::int64_t per_minute, std::int64_t n) {
    return per_minute <= 0 ? 0
                           : FlowTime({static_cast<std::uint64_t>(per_minute), 60'000'000'000, 1, 1},
                                      static_cast<std::uint64_t>(n), true);
  };
  return std::max(flow(limits.requests_per_minute, requests), flow(limits.tokens_per_minute, tokens));
}

void NoteTurn(Bucket& bucket, std::uint64_t taker, std::uint64_t now, const Verdict& verdict,
              std::uint64_t flow_ns) {
  /* What others leave of the server's count is a guess; nobody is kept waiting for it for long. */
  constexpr std::uint64_t kLongestGuess = 1'000'000'000;
  if (verdict.gate == Gate::kOpen) {
    NoteTaken(bucket.turns, taker, now, flow_ns);
  } else if (verdict.gate == Gate::kServer) {
    NoteRefused(bucket.turns, taker, now, std::min(verdict.wait_ns, kLongestGuess));
  } else if (verdict.gate != Gate::kNeverFits) {
    NoteRefused(bucket.turns, taker, now, verdict.wait_ns);
  }
}

/* Whether others go first. */
Verdict Turn(Bucket& bucket, std::uint64_t taker, std::uint64_t now, bool wants_turn) {
  const std::uint64_t yield_ns = YieldNs(bucket.turns, taker, now);
  if (yield_ns == 0) return {};
  if (wants_turn) NoteRefused(bucket.turns, taker, now, yield_ns);
  return {Gate::kRequests, yield_ns};
}

/* From both buckets or none; take() is asked of the model's first, and the store's then cannot refuse. */
template <typename F>
SharedVerdict TakeFromBoth(const BucketRef& ref, Asker asker, std::int64_t requests, std::int64_t tokens,
                           F take) {
  LockScope scope(buckets_lock);
  /* Read under the lock, so that decisions are made in the order of their times. */
  const std::uint64_t now = NowNs();
  const BucketPair pair = FindPair(ref, now);
  if (!pair.complete) return {kTooManyBuckets, pair.model != nullptr};
  const std::uint64_t taker = Taker(asker);
  const Verdict turn = Turn(*pair.model, taker, now, true);
  if (turn.gate != Gate::kOpen) return {turn, false};
  if (pair.store != nullptr) {
    const Verdict of_store = Check(*pair.store, ref.store_limits, now, requests, tokens);
    if (of_store.gate != Gate::kOpen) return {of_store, true};
  }
  const Verdict of_model = take(*pair.model, ref.limits, now, requests, tokens);
  if (of_model.gate == Gate::kOpen && pair.store != nullptr)
    take(*pair.store, ref.store_limits, now, requests, tokens);
  NoteTurn(*pair.model, taker, now, of_model, FlowOf(ref.limits, requests, tokens));
  return {Scattered(of_model), false};
}

}  // namespace

Size SharedLimiterSize() {
  return BucketTableSize();
}

void StartSharedLimiter(LWLock* lock) {
  StartBucketTable();
  buckets_lock = lock;
}

SharedVerdict ReserveShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  NoteReservation(ref, requests, tokens);
  const SharedVerdict verdict = TakeFromBoth(ref, Asker::kWorker, requests, tokens, Reserve);
  if (verdict.verdict.gate != Gate::kOpen) NoteReservation(ref, -requests, -tokens);
  return verdict;
}

Departure LeaveShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  Departure departure;
  ForBoth(ref, [&](Bucket& bucket, const Limits& limits, std::uint64_t now) {
    departure = Leave(bucket, limits, now, requests, tokens); /* the model's comes last */
  });
  NoteReservation(ref, -requests, -tokens);
  return departure;
}

void CancelShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  ForBoth(ref, [&](Bucket& bucket, const Limits&, std::uint64_t) { Cancel(bucket, requests, tokens); });
  NoteReservation(ref, -requests, -tokens);
}

void CancelAllReservations() {
  if (reservations == nullptr) return;
  LockScope scope(buckets_lock);
  for (const auto& [bucket, mine] : *reservations) {
    Bucket* const found = FindOwnOrShared(bucket.first, bucket.second);
    if (found != nullptr) Cancel(*found, mine.requests, mine.tokens);
  }
  reservations->clear();
}

SharedVerdict AcquireShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens,
                            std::uint64_t* left_at_ns) {
  if (requests == 0 && tokens == 0) return {}; /* nothing to take, and no bucket to start for it */
  return TakeFromBoth(
      ref, Asker::kCaller, requests, tokens,
      [&](Bucket& bucket, const Limits& limits, std::uint64_t now, std::int64_t r, std::int64_t t) {
        *left_at_ns = now;
        return Acquire(bucket, limits, now, r, t);
      });
}

void GiveBackShared(const BucketRef& ref, std::uint64_t left_at_ns, std::int64_t requests,
                    std::int64_t tokens) {
  ForBoth(ref, [&](Bucket& bucket, const Limits& limits, std::uint64_t now) {
    GiveBack(bucket, limits, now, left_at_ns, requests, tokens);
  });
}

void SettleSharedTokens(const BucketRef& ref, std::uint64_t left_at_ns, std::int64_t reserved,
                        std::int64_t used) {
  ForBoth(ref, [&](Bucket& bucket, const Limits& limits, std::uint64_t now) {
    SettleTokens(bucket, limits, now, left_at_ns, reserved, used);
  });
}

void HoldOffShared(const BucketRef& ref, std::uint64_t left_at_ns, std::uint64_t wait_ns, bool slow_down) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindModel(ref, now);
  if (bucket != nullptr) HoldOff(*bucket, ref.limits, now, left_at_ns, wait_ns, slow_down);
}

void LearnShared(const BucketRef& ref, const Departure& departure, const ServerReading* requests,
                 const ServerReading* tokens) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindOwn(InvalidOid, ref.model); /* one shared by models tells of none */
  if (bucket == nullptr) return;
  if (requests != nullptr) LearnFromServer(bucket->requests.server, now, *requests, departure.requests);
  if (tokens != nullptr) LearnFromServer(bucket->tokens.server, now, *tokens, departure.tokens);
}

Room SharedRoom(const BucketRef& ref, bool wants_turn) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindModel(ref, now);
  if (bucket == nullptr) return {0, 0, kTooManyBuckets};
  const std::uint64_t taker = Taker(Asker::kWorker);
  const Verdict turn = Turn(*bucket, taker, now, wants_turn);
  if (turn.gate != Gate::kOpen) return {0, 0, turn};
  const Verdict next = Check(*bucket, ref.limits, now, 1, 1);
  if (wants_turn && next.gate == Gate::kOpen) NoteComing(bucket->turns, taker, now);
  if (wants_turn && next.gate != Gate::kOpen) NoteTurn(*bucket, taker, now, next, 0);
  return {AvailableRequests(*bucket, ref.limits, now), AvailableTokens(*bucket, ref.limits, now),
          Scattered(next)};
}

void StepAsideShared(const BucketRef& ref, std::uint64_t due_ns) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindModel(ref, now);
  if (bucket == nullptr) return;
  StepAside(bucket->turns, Taker(Asker::kWorker));
  if (due_ns > now) NoteRefused(bucket->turns, Taker(Asker::kWorker), now, due_ns - now);
}

std::vector<BucketReport> ReportBuckets() {
  std::vector<BucketReport> reports;
  reports.reserve(kMostPlaces + 1); /* nothing may be allocated under the lock */
  LockScope scope(buckets_lock, LW_SHARED);
  VisitModels(
      [](const char* name, const Bucket& bucket, void* context) {
        static_cast<std::vector<BucketReport>*>(context)->push_back(
            {name[0] == '\0' ? kSharedModels : name, bucket});
      },
      &reports);
  return reports;
}

}  // namespace product_optimizer
