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

/*
 * The lock over all buckets.  It is held for less than a microsecond, and to be woken from a sleep costs
 * several: so it is looked at again for about that long first.
 */
class BucketsLock {
 public:
  BucketsLock() {
    constexpr int kLooks = 100;
    for (int i = 0; i < kLooks; i++) {
      if (LWLockConditionalAcquire(buckets_lock, LW_EXCLUSIVE)) return;
      SPIN_DELAY();
    }
    LWLockAcquire(buckets_lock, LW_EXCLUSIVE);
  }
  ~BucketsLock() { LWLockRelease(buckets_lock); }
  BucketsLock(const BucketsLock&) = delete;
  BucketsLock& operator=(const BucketsLock&) = delete;
};

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
  const BucketsLock lock;
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

/* Who was held off together does not come back together; a wait that is a little longer is still enough. */
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

/* *at_ns is set to the time of the decision. */
PairVerdict TakeFromBoth(const BucketRef& ref, Asker asker, std::int64_t requests, std::int64_t tokens,
                         TakeFunction take, std::uint64_t* at_ns) {
  const BucketsLock lock;
  /* Read under the lock, so that decisions are made in the order of their times. */
  const std::uint64_t now = *at_ns = NowNs();
  const BucketPair pair = FindPair(ref, now);
  if (!pair.complete) return {kTooManyBuckets, pair.model != nullptr};
  PairVerdict answer = TakeInTurn({pair.model, &ref.limits}, {pair.store, &ref.store_limits}, now,
                                  {Taker(asker), requests, tokens}, take);
  answer.verdict = Scattered(answer.verdict);
  return answer;
}

}  // namespace

Size SharedLimiterSize() {
  return BucketTableSize();
}

void StartSharedLimiter(LWLock* lock) {
  StartBucketTable();
  buckets_lock = lock;
}

PairVerdict ReserveShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  NoteReservation(ref, requests, tokens);
  std::uint64_t at_ns;
  const PairVerdict verdict = TakeFromBoth(ref, Asker::kWorker, requests, tokens, Reserve, &at_ns);
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
  const BucketsLock lock;
  for (const auto& [bucket, mine] : *reservations) {
    Bucket* const found = FindOwnOrShared(bucket.first, bucket.second);
    if (found != nullptr) Cancel(*found, mine.requests, mine.tokens);
  }
  reservations->clear();
}

PairVerdict AcquireShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens,
                          std::uint64_t* left_at_ns) {
  if (requests == 0 && tokens == 0) return {}; /* nothing to take, and no bucket to start for it */
  return TakeFromBoth(ref, Asker::kCaller, requests, tokens, Acquire, left_at_ns);
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
  const BucketsLock lock;
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindModel(ref, now);
  if (bucket != nullptr) HoldOff(*bucket, ref.limits, now, left_at_ns, wait_ns, slow_down);
}

void LearnShared(const BucketRef& ref, const Departure& departure, const ServerReading* requests,
                 const ServerReading* tokens) {
  const BucketsLock lock;
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindOwn(InvalidOid, ref.model); /* one shared by models tells of none */
  if (bucket == nullptr) return;
  if (requests != nullptr) LearnFromServer(bucket->requests.server, now, *requests, departure.requests);
  if (tokens != nullptr) LearnFromServer(bucket->tokens.server, now, *tokens, departure.tokens);
}

Room SharedRoom(const BucketRef& ref, bool wants_turn) {
  const BucketsLock lock;
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindModel(ref, now);
  if (bucket == nullptr) return {0, 0, kTooManyBuckets};
  Room room = LookInTurn({bucket, &ref.limits}, now, Taker(Asker::kWorker), wants_turn);
  room.next = Scattered(room.next);
  return room;
}

void StepAsideShared(const BucketRef& ref, std::uint64_t due_ns) {
  const BucketsLock lock;
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindModel(ref, now);
  if (bucket == nullptr) return;
  StepAside(bucket->turns, Taker(Asker::kWorker));
  if (due_ns > now) NoteRefused(bucket->turns, Taker(Asker::kWorker), now, due_ns - now);
}

std::vector<BucketReport> ReportBuckets() {
  struct Copy {
    char name[kBucketNameBytes];
    Bucket bucket;
  };
  std::vector<Copy> copies;
  copies.reserve(kMostPlaces + kMostShared); /* nothing is allocated under the lock */
  {
    LockScope scope(buckets_lock, LW_SHARED);
    VisitModels(
        [](const char* name, const Bucket& bucket, void* context) {
          auto& found = *static_cast<std::vector<Copy>*>(context);
          if (found.size() == found.capacity()) return;
          Copy& copy = found.emplace_back(Copy{{}, bucket});
          strlcpy(copy.name, name, sizeof copy.name);
        },
        &copies);
  }
  std::vector<BucketReport> reports;
  reports.reserve(copies.size());
  for (const Copy& copy : copies)
    reports.push_back({copy.name[0] == '\0' ? kSharedModels : copy.name, copy.bucket});
  return reports;
}

}  // namespace product_optimizer
