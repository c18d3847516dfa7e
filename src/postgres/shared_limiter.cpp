#include "postgres/shared_limiter.h"

#include <type_traits>

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

BucketKey KeyOf(Oid database, const std::string& name) {
  BucketKey key{};
  key.database = database;
  key.hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(name.data()),
                                 static_cast<int>(name.size()), 0);
  strlcpy(key.name, name.c_str(), sizeof key.name);
  return key;
}

/* Nothing to remember: full in both dimensions, no hold, no use. */
bool IsIdle(const Bucket& bucket, std::uint64_t now) {
  return bucket.requests_full_at <= now && bucket.tokens_full_at <= now && bucket.hold_until_ns <= now &&
         bucket.requests_used.Sum(now) == 0 && EffectiveShare(bucket, now) >= 1;
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

struct BucketPair {
  Bucket* model;
  Bucket* store; /* null: the store has no limit of its own */
  bool complete;
};

BucketPair FindPair(const BucketRef& ref, std::uint64_t now) {
  BucketPair pair{FindOrStart(InvalidOid, ref.model, ref.limits, now), nullptr, true};
  const bool limited = ref.store_limits.requests_per_minute > 0 || ref.store_limits.tokens_per_minute > 0;
  if (limited) pair.store = FindOrStart(MyDatabaseId, ref.instance_id, ref.store_limits, now);
  pair.complete = pair.model != nullptr && (pair.store != nullptr || !limited);
  return pair;
}

/* Applies one change to the model's bucket and to the store's. */
template <typename F>
void ForBoth(const BucketRef& ref, F change) {
  const std::uint64_t now = NowNs();
  LockScope scope(buckets_lock);
  const BucketPair pair = FindPair(ref, now);
  if (pair.model != nullptr) change(*pair.model, ref.limits, now);
  if (pair.store != nullptr) change(*pair.store, ref.store_limits, now);
}

constexpr Verdict kTooManyBuckets{Gate::kRequests, 1'000'000'000};

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

SharedVerdict AcquireShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  LockScope scope(buckets_lock);
  /* Read under the lock, so that decisions are made in the order of their times. */
  const std::uint64_t now = NowNs();
  const BucketPair pair = FindPair(ref, now);
  if (!pair.complete) return {kTooManyBuckets, pair.model != nullptr};
  if (pair.store != nullptr) {
    const Verdict verdict = Check(*pair.store, ref.store_limits, now, requests, tokens);
    if (verdict.gate != Gate::kOpen) return {verdict, true};
  }
  const Verdict verdict = Acquire(*pair.model, ref.limits, now, requests, tokens);
  if (verdict.gate == Gate::kOpen && pair.store != nullptr)
    Acquire(*pair.store, ref.store_limits, now, requests, tokens);
  return {verdict, false};
}

void RefundShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  ForBoth(ref, [&](Bucket& bucket, const Limits& limits, std::uint64_t now) {
    Refund(bucket, limits, now, requests, tokens);
  });
}

void RestampShared(const BucketRef& ref, std::int64_t requests, std::int64_t tokens) {
  ForBoth(ref, [&](Bucket& bucket, const Limits& limits, std::uint64_t now) {
    Restamp(bucket, limits, now, requests, tokens);
  });
}

void SettleSharedTokens(const BucketRef& ref, std::int64_t reserved, std::int64_t used) {
  ForBoth(ref, [&](Bucket& bucket, const Limits& limits, std::uint64_t now) {
    SettleTokens(bucket, limits, now, reserved, used);
  });
}

void HoldOffShared(const BucketRef& ref, std::uint64_t wait_ns, bool slow_down) {
  const std::uint64_t now = NowNs();
  LockScope scope(buckets_lock);
  Bucket* const bucket = FindOrStart(InvalidOid, ref.model, ref.limits, now);
  if (bucket != nullptr) HoldOff(*bucket, now, wait_ns, slow_down);
}

Room SharedRoom(const BucketRef& ref) {
  LockScope scope(buckets_lock);
  const std::uint64_t now = NowNs();
  const Bucket* const bucket = FindOrStart(InvalidOid, ref.model, ref.limits, now);
  if (bucket == nullptr) return {0, 0, kTooManyBuckets};
  return {AvailableRequests(*bucket, ref.limits, now), AvailableTokens(*bucket, ref.limits, now),
          Check(*bucket, ref.limits, now, 1, 1)};
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
