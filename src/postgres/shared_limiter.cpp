#include "postgres/shared_limiter.h"

#include <algorithm>
#include <map>
#include <type_traits>
#include <utility>

#include "postgres/clock.h"
#include "postgres/shared_state.h"

namespace product_optimizer {

namespace {

constexpr long kMostBuckets = 1024;

/* Two names share a bucket only when they agree in their first 200 bytes and in a 64-bit hash. */
struct BucketKey {
  Oid database; /* InvalidOid: the bucket of a model */
  std::uint32_t unused;
  std::uint64_t hash;
  char name[208];
};

struct BucketEntry {
  BucketKey key;
  Bucket bucket;
};

static_assert(std::is_trivially_copyable_v<BucketEntry>, "shared memory holds plain data only");

HTAB* buckets = nullptr;
LWLock* buckets_lock = nullptr;

struct Reserved {
  std::int64_t requests = 0;
  std::int64_t tokens = 0;
};

/* What this process has reserved, by database (InvalidOid: a model's) and name. */
std::map<std::pair<Oid, std::string>, Reserved>* reservations = nullptr;

BucketKey KeyOf(Oid database, const std::string& name) {
  BucketKey key{};
  key.database = database;
  key.hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(name.data()),
                                 static_cast<int>(name.size()), 0);
  strlcpy(key.name, name.c_str(), sizeof key.name);
  return key;
}

/* Nothing to remember: full in both dimensions, nothing on its way out, no hold, no use. */
bool IsIdle(const Bucket& bucket, std::uint64_t now) {
  const auto is_idle = [now](const Meter& meter) {
    return meter.full_at <= now && meter.unsent == 0 && meter.used.Sum(now) == 0;
  };
  return is_idle(bucket.requests) && is_idle(bucket.tokens) && bucket.hold_until_ns <= now &&
         EffectiveShare(bucket, now) >= 1;
}

void ForgetIdleBuckets(std::uint64_t now) {
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, buckets);
  while (auto* entry = static_cast<BucketEntry*>(hash_seq_search(&scan)))
    if (IsIdle(entry->bucket, now)) hash_search(buckets, &entry->key, HASH_REMOVE, nullptr);
}

/* Null when every bucket is in use: the caller then grants nothing. */
Bucket* FindOrStart(Oid database, const std::string& name, const Limits& limits, std::uint64_t now) {
  const BucketKey key = KeyOf(database, name);
  bool found = false;
  auto* entry = static_cast<BucketEntry*>(hash_search(buckets, &key, HASH_FIND, &found));
  if (found) return &entry->bucket;
  if (hash_get_num_entries(buckets) >= kMostBuckets) ForgetIdleBuckets(now);
  if (hash_get_num_entries(buckets) >= kMostBuckets) return nullptr;
  entry = static_cast<BucketEntry*>(hash_search(buckets, &key, HASH_ENTER_NULL, &found));
  if (entry == nullptr) return nullptr;
  StartEmpty(entry->bucket, limits, now);
  return &entry->bucket;
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
  BucketPair pair{FindOrStart(InvalidOid, ref.model, ref.limits, now), nullptr, true};
  const bool limited = HasStoreLimit(ref);
  if (limited) pair.store = FindOrStart(MyDatabaseId, ref.instance_id, ref.store_limits, now);
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

/* How long this database lets another one go first. */
std::uint64_t Yield(const Bucket& bucket, const Limits& limits, std::uint64_t now) {
  return YieldNs(bucket.turns, MyDatabaseId, now, TurnPatienceNs(limits.requests_per_minute));
}

void NoteTurn(Bucket& bucket, const Limits& limits, std::uint64_t now, const Verdict& verdict) {
  if (verdict.gate == Gate::kOpen) {
    NoteTaken(bucket.turns, MyDatabaseId);
  } else if (verdict.gate != Gate::kNeverFits) {
    NoteRefused(bucket.turns, MyDatabaseId, now, verdict.wait_ns, TurnPatienceNs(limits.requests_per_minute));
  }
}

/* From both buckets or none; take() is asked of the model's first, and the store's then cannot refuse. */
template <typename F>
SharedVerdict TakeFromBoth(const BucketRef& ref, std::int64_t requests, std::int64_t tokens, F take) {
  LockScope scope(buckets_lock);
  /* Read under the lock, so that decisions are made in the order of their times. */
  const std::uint64_t now = NowNs();
  const BucketPair pair = FindPair(ref, now);
  if (!pair.complete) return {kTooManyBuckets, pair.model != nullptr};
  const std::uint64_t yield_ns = Yield(*pair.model, ref.limits, now);
  if (yield_ns > 0) return {{Gate::kRequests, yield_ns}, false};
  if (pair.store != nullptr) {
    const Verdict of_store = Check(*pair.store, ref.store_limits, now, requests, tokens);
    if (of_store.gate != Gate::kOpen) return {of_store, true};
  }
  const Verdict of_model = take(*pair.model, ref.limits, now, requests, tokens);
  if (of_model.gate == Gate::kOpen && pair.store != nullptr)
    take(*pair.store, ref.store_limits, now, requests, tokens);
  NoteTurn(*pair.model, ref.limits, now, of_model);
  return {Scattered(of_model), false};
}

}  // namespace

Size SharedLimiterSize() {
  return hash_estimate_size(kMostBuckets, sizeof(BucketEntry));
}

void StartSharedLimiter(LWLock* lock) {
  HASHCTL info{};
  info.keysize = sizeof(BucketKey);
  info.entrysize = sizeof(BucketEntry);
  buckets =
      ShmemInitHash("product_optimizer buckets", kMostBuckets, kMostBuckets, &info, HASH_ELEM | HASH_BLOBS);
  buckets_lock = lock;
}

SharedVerdict ReserveShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  NoteReservation(ref, requests, tokens);
  const SharedVerdict verdict = TakeFromBoth(ref, requests, tokens, Reserve);
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
    const BucketKey key = KeyOf(bucket.first, bucket.second);
    auto* const entry = static_cast<BucketEntry*>(hash_search(buckets, &key, HASH_FIND, nullptr));
    if (entry != nullptr) Cancel(entry->bucket, mine.requests, mine.tokens);
  }
  reservations->clear();
}

SharedVerdict AcquireShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens,
                            std::uint64_t* left_at_ns) {
  return TakeFromBoth(
      ref, requests, tokens,
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

void HoldOffShared(const BucketRef& ref, std::uint64_t wait_ns, bool slow_down) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindOrStart(InvalidOid, ref.model, ref.limits, now);
  if (bucket != nullptr) HoldOff(*bucket, ref.limits, now, wait_ns, slow_down);
}

void LearnShared(const BucketRef& ref, const Departure& departure, const ServerReading* requests,
                 const ServerReading* tokens) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindOrStart(InvalidOid, ref.model, ref.limits, now);
  if (bucket == nullptr) return;
  if (requests != nullptr) LearnFromServer(bucket->requests.server, now, *requests, departure.requests);
  if (tokens != nullptr) LearnFromServer(bucket->tokens.server, now, *tokens, departure.tokens);
}

Room SharedRoom(const BucketRef& ref) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  Bucket* const bucket = FindOrStart(InvalidOid, ref.model, ref.limits, now);
  if (bucket == nullptr) return {0, 0, kTooManyBuckets};
  const std::uint64_t yield_ns = Yield(*bucket, ref.limits, now);
  if (yield_ns > 0) return {0, 0, {Gate::kRequests, yield_ns}};
  const Verdict next = Check(*bucket, ref.limits, now, 1, 1);
  if (next.gate != Gate::kOpen) NoteTurn(*bucket, ref.limits, now, next);
  return {AvailableRequests(*bucket, ref.limits, now), AvailableTokens(*bucket, ref.limits, now),
          Scattered(next)};
}

std::vector<BucketReport> ReportBuckets() {
  std::vector<BucketReport> reports;
  reports.reserve(kMostBuckets); /* nothing may be allocated under the lock */
  LockScope scope(buckets_lock, LW_SHARED);
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, buckets);
  while (const auto* entry = static_cast<const BucketEntry*>(hash_seq_search(&scan)))
    if (entry->key.database == InvalidOid) reports.push_back({entry->key.name, entry->bucket});
  return reports;
}

}  // namespace product_optimizer
