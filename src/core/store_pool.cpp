#include "core/store_pool.h"

#include <algorithm>
#include <cstring>

namespace product_optimizer {

namespace {

/* Buckets hold index + 1, so that zeroed memory is an empty table. */
constexpr SlotIndex kEmptyBucket = 0;

constexpr std::uint32_t kGuaranteedPart = 4;

std::uint32_t BucketsFor(std::uint32_t capacity) {
  std::uint32_t buckets = 2;
  while (buckets < capacity) buckets *= 2;
  return buckets;
}

/* The next number of splitmix64, of which any seed makes independent-looking ones. */
std::uint64_t NextKey(std::uint64_t& state) {
  std::uint64_t key = state += 0x9E3779B97F4A7C15u;
  key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9u;
  key = (key ^ (key >> 27)) * 0x94D049BB133111EBu;
  return key ^ (key >> 31);
}

std::uint64_t MultiplyAndFold(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

/*
 * Both factors of each product are masked by what only the keys determine, in every step: without them nobody
 * can choose bytes that make a factor zero, or two names whose products are alike.  (A seed that is only
 * added to the result, or to the state at the start of a hash that names drive to a known state, would leave
 * the names that collide the same for every seed.)
 */
std::uint64_t StorePool::HashOf(std::uint8_t queue, std::string_view name) const {
  std::uint64_t hash = keys_[0];
  std::uint64_t words[2];
  const auto mix = [&] { hash = MultiplyAndFold(words[0] ^ keys_[1], words[1] ^ hash); };
  std::size_t at = 0;
  for (; name.size() - at >= sizeof words; at += sizeof words) {
    memcpy(words, name.data() + at, sizeof words);
    mix();
  }
  words[0] = words[1] = 0;
  memcpy(words, name.data() + at, name.size() - at);
  mix();
  const std::uint64_t what = std::uint64_t{name.size()} << 8 | queue;
  return MultiplyAndFold(hash ^ keys_[2], what ^ keys_[1]);
}

std::size_t StorePool::BytesFor(std::uint32_t capacity) {
  static_assert(sizeof(StorePool) % alignof(Slot) == 0);
  return sizeof(StorePool) + BucketsFor(capacity) * sizeof(SlotIndex) + capacity * sizeof(Slot);
}

std::uint32_t StorePool::SlotsFor(std::size_t name_length) {
  std::uint32_t slots = 1;
  for (std::size_t at = sizeof Store::name; at < name_length; at += sizeof NameRest::bytes) slots++;
  return slots;
}

void StorePool::Start(std::uint32_t capacity, std::uint32_t queues, std::uint64_t seed) {
  for (std::uint64_t& key : keys_) key = NextKey(seed);
  capacity_ = capacity;
  bucket_count_ = BucketsFor(capacity);
  ever_used_ = 0;
  used_ = 0;
  first_free_ = kNoSlot;
  /* A quarter of the pool is guaranteed: most of it serves whoever has many stores. */
  guaranteed_ = capacity / kGuaranteedPart / queues;
  reserve_ = guaranteed_ * (queues - 1);
}

SlotIndex StorePool::Take() {
  SlotIndex index = first_free_;
  if (index != kNoSlot) {
    first_free_ = slots()[index].next_free;
  } else {
    if (ever_used_ == capacity_) return kNoSlot;
    index = ever_used_++;
  }
  used_++;
  return index;
}

void StorePool::Free(SlotIndex index) {
  slots()[index].next_free = first_free_;
  first_free_ = index;
  used_--;
}

bool StorePool::HasName(const Store& store, std::string_view name) const {
  if (store.name_length != name.size()) return false;
  std::size_t at = std::min(name.size(), sizeof store.name);
  if (memcmp(store.name, name.data(), at) != 0) return false;
  for (SlotIndex more = store.more_name; at < name.size();) {
    const NameRest& rest = slots()[more].rest;
    const std::size_t length = std::min(name.size() - at, sizeof rest.bytes);
    if (memcmp(rest.bytes, name.data() + at, length) != 0) return false;
    at += length;
    more = rest.more_name;
  }
  return true;
}

SlotIndex StorePool::Find(std::uint8_t queue, std::string_view name) const {
  const std::uint64_t hash = HashOf(queue, name);
  for (SlotIndex entry = buckets()[hash & (bucket_count_ - 1)]; entry != kEmptyBucket;) {
    const Store& store = slots()[entry - 1].store;
    if (store.hash == hash && store.queue == queue && HasName(store, name)) return entry - 1;
    entry = store.next;
  }
  return kNoSlot;
}

SlotIndex StorePool::Add(std::uint8_t queue, std::string_view name) {
  const SlotIndex index = Take();
  if (index == kNoSlot) return kNoSlot;
  Store& store = slots()[index].store;
  store = Store{};
  store.more_name = kNoSlot;
  store.queue = queue;
  store.name_length = static_cast<std::uint16_t>(name.size());
  std::size_t at = std::min(name.size(), sizeof store.name);
  memcpy(store.name, name.data(), at);
  for (SlotIndex* link = &store.more_name; at < name.size();) {
    const SlotIndex more = Take();
    *link = more;
    if (more == kNoSlot) break;
    NameRest& rest = slots()[more].rest;
    const std::size_t length = std::min(name.size() - at, sizeof rest.bytes);
    memcpy(rest.bytes, name.data() + at, length);
    rest.more_name = kNoSlot;
    link = &rest.more_name;
    at += length;
  }
  store.hash = HashOf(queue, name);
  SlotIndex& bucket = BucketOf(store.hash);
  store.next = bucket;
  bucket = index + 1;
  if (at == name.size()) return index;
  Remove(index);
  return kNoSlot;
}

void StorePool::Remove(SlotIndex index) {
  Store& store = slots()[index].store;
  SlotIndex* link = &BucketOf(store.hash);
  while (*link != index + 1) link = &slots()[*link - 1].store.next;
  *link = store.next;
  for (SlotIndex more = store.more_name; more != kNoSlot;) {
    const SlotIndex next = slots()[more].rest.more_name;
    Free(more);
    more = next;
  }
  Free(index);
}

std::string StorePool::Name(SlotIndex index) const {
  const Store& store = slots()[index].store;
  std::string name;
  name.reserve(store.name_length);
  name.append(store.name, std::min<std::size_t>(store.name_length, sizeof store.name));
  for (SlotIndex more = store.more_name; more != kNoSlot; more = slots()[more].rest.more_name)
    name.append(slots()[more].rest.bytes,
                std::min<std::size_t>(store.name_length - name.size(), sizeof NameRest::bytes));
  return name;
}

}  // namespace product_optimizer
