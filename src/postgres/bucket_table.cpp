#include "postgres/bucket_table.h"

#include <algorithm>
#include <string_view>
#include <type_traits>

#include "core/text.h"
#include "postgres/clock.h"

namespace product_optimizer {

namespace {

constexpr char kShared[] = ""; /* no model's name and no limited store's is empty */

/* Two names share a bucket only when they agree in what is kept of them and in a 64-bit hash. */
struct BucketKey {
  Oid database; /* InvalidOid: the bucket of a model */
  std::uint32_t unused;
  std::uint64_t hash;
  char name[kBucketNameBytes];
};

struct BucketEntry {
  BucketKey key;
  Oid taken_by; /* the database whose place it is */
  Bucket bucket;
};

static_assert(std::is_trivially_copyable_v<BucketEntry>, "shared memory holds plain data only");

HTAB* buckets = nullptr;

BucketKey KeyOf(Oid database, const std::string& name) {
  BucketKey key{};
  key.database = database;
  key.hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(name.data()),
                                 static_cast<int>(name.size()), 0);
  /* A model's name is shown, so it is cut between characters; a store's is bytes of any encoding. */
  const std::string_view kept = database == InvalidOid
                                    ? Truncate(name, sizeof key.name - 1)
                                    : std::string_view(name).substr(0, sizeof key.name - 1);
  memcpy(key.name, kept.data(), kept.size());
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

void ForgetIdleBuckets(std::uint64_t now, const Bucket* keep) {
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, buckets);
  while (auto* entry = static_cast<BucketEntry*>(hash_seq_search(&scan)))
    if (&entry->bucket != keep && IsIdle(entry->bucket, now))
      hash_search(buckets, &entry->key, HASH_REMOVE, nullptr);
}

BucketEntry* Find(Oid database, const std::string& name) {
  const BucketKey key = KeyOf(database, name);
  return static_cast<BucketEntry*>(hash_search(buckets, &key, HASH_FIND, nullptr));
}

/* Null only when memory is short: the caller then grants nothing. */
BucketEntry* Start(Oid database, const std::string& name, const Limits& limits, std::uint64_t now) {
  const BucketKey key = KeyOf(database, name);
  auto* const entry = static_cast<BucketEntry*>(hash_search(buckets, &key, HASH_ENTER_NULL, nullptr));
  if (entry == nullptr) return nullptr;
  entry->taken_by = MyDatabaseId;
  StartEmpty(entry->bucket, limits, now);
  return entry;
}

bool HasPlace(bool configured) {
  long taken = 0;
  long mine = 0;
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, buckets);
  while (const auto* entry = static_cast<const BucketEntry*>(hash_seq_search(&scan))) {
    if (entry->key.name[0] == '\0') continue;
    taken++;
    if (entry->taken_by == MyDatabaseId) mine++;
  }
  const long free = std::max(kMostPlaces - taken, 0L);
  return mine < (configured ? free : free / 2);
}

bool MakePlace(bool configured, std::uint64_t now, const Bucket* keep) {
  /* Looking through all is not cheap, and whoever invents names would have it done each time. */
  constexpr std::uint64_t kLookAgainNs = 100 * kNsPerMs;
  static std::uint64_t none_until[2] = {0, 0};
  if (now < none_until[configured]) return false;
  if (HasPlace(configured)) return true;
  ForgetIdleBuckets(now, keep);
  if (HasPlace(configured)) return true;
  none_until[configured] = now + kLookAgainNs;
  return false;
}

}  // namespace

Size BucketTableSize() {
  return hash_estimate_size(kMostPlaces + kMostShared, sizeof(BucketEntry));
}

void StartBucketTable() {
  constexpr long kMost = kMostPlaces + kMostShared;
  HASHCTL info{};
  info.keysize = sizeof(BucketKey);
  info.entrysize = sizeof(BucketEntry);
  buckets = ShmemInitHash("product_optimizer buckets", kMost, kMost, &info, HASH_ELEM | HASH_BLOBS);
}

Bucket* FindOrStart(Oid database, const std::string& name, const Limits& limits, bool configured,
                    std::uint64_t now, const Bucket* keep) {
  BucketEntry* entry = Find(database, name);
  if (entry != nullptr) return &entry->bucket;
  BucketEntry* const shared = Find(database, kShared);
  const bool may_move =
      shared == nullptr || (shared->bucket.requests.unsent == 0 && shared->bucket.tokens.unsent == 0);
  if (may_move && MakePlace(configured, now, keep)) {
    entry = Start(database, name, limits, now);
  } else {
    entry = Find(database, kShared); /* MakePlace() may have forgotten it */
    if (entry == nullptr) entry = Start(database, kShared, limits, now);
  }
  return entry != nullptr ? &entry->bucket : nullptr;
}

Bucket* FindOwn(Oid database, const std::string& name) {
  BucketEntry* const entry = Find(database, name);
  return entry != nullptr ? &entry->bucket : nullptr;
}

Bucket* FindOwnOrShared(Oid database, const std::string& name) {
  Bucket* const own = FindOwn(database, name);
  return own != nullptr ? own : FindOwn(database, kShared);
}

void VisitModels(void (*visit)(const char* name, const Bucket& bucket, void* context), void* context) {
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, buckets);
  while (const auto* entry = static_cast<const BucketEntry*>(hash_seq_search(&scan)))
    if (entry->key.database == InvalidOid) visit(entry->key.name, entry->bucket, context);
}

}  // namespace product_optimizer
