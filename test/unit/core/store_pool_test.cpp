#include "core/store_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "core/store_heap.h"

namespace product_optimizer {
namespace {

class Pool {
 public:
  explicit Pool(std::uint32_t capacity, std::uint64_t seed = 0)
      : memory_(StorePool::BytesFor(capacity) / sizeof(std::uint64_t) + 1),
        pool_(reinterpret_cast<StorePool*>(memory_.data())) {
    pool_->Start(capacity, 1, seed);
  }
  StorePool& operator*() { return *pool_; }
  StorePool* operator->() { return pool_; }

 private:
  std::vector<std::uint64_t> memory_;
  StorePool* pool_;
};

TEST(StorePool, FindsWhatWasAddedOfTheSameQueue) {
  Pool pool(100);
  const SlotIndex a = pool->Add(1, "a");
  EXPECT_EQ(pool->Find(1, "a"), a);
  EXPECT_EQ(pool->Find(2, "a"), kNoSlot);
  EXPECT_EQ(pool->Find(1, "b"), kNoSlot);
  EXPECT_EQ(pool->Name(a), "a");
  pool->Remove(a);
  EXPECT_EQ(pool->Find(1, "a"), kNoSlot);
  EXPECT_EQ(pool->used(), 0u);
}

TEST(StorePool, KeepsNamesOfEveryLength) {
  Pool pool(5000);
  for (std::size_t length = 1; length <= 1020; length += 7) {
    const std::string name = std::string(length - 1, 'x') + char('a' + length % 26);
    const SlotIndex index = pool->Add(0, name);
    ASSERT_NE(index, kNoSlot);
    EXPECT_EQ(pool->Name(index), name);
    EXPECT_EQ(pool->Find(0, name), index);
    EXPECT_EQ(pool->Find(0, name + "y"), kNoSlot);
  }
}

TEST(StorePool, IsFullAndHasRoomAgain) {
  Pool pool(10);
  std::vector<SlotIndex> added;
  for (int i = 0; i < 10; i++) added.push_back(pool->Add(0, std::to_string(i)));
  EXPECT_EQ(pool->Add(0, "more"), kNoSlot);
  pool->Remove(added[3]);
  /* A long name needs more than the one slot that is free, and takes none of it. */
  EXPECT_EQ(pool->Add(0, std::string(500, 'z')), kNoSlot);
  EXPECT_EQ(pool->used(), 9u);
  EXPECT_NE(pool->Add(0, "more"), kNoSlot);
}

TEST(StorePool, IsASetUnderRandomUse) {
  Pool pool(300);
  std::mt19937 random(7);
  std::set<std::string> model;
  for (int step = 0; step < 20000; step++) {
    const std::string name = std::string(random() % 120, 'n') + std::to_string(random() % 200);
    const SlotIndex found = pool->Find(3, name);
    ASSERT_EQ(found != kNoSlot, model.count(name) != 0);
    if (found != kNoSlot) {
      ASSERT_EQ(pool->Name(found), name);
      pool->Remove(found);
      model.erase(name);
    } else if (pool->Add(3, name) != kNoSlot) {
      model.insert(name);
    }
  }
}

/* A pair that shares a bucket under one seed is like any other pair under another. */
TEST(StorePool, NamesThatCollideUnderOneSeedDoNotUnderAnother) {
  constexpr int kNames = 4000;
  constexpr std::uint64_t kBuckets = 4096;
  std::vector<std::uint64_t> buckets[2];
  for (const std::uint64_t seed : {1u, 2u}) {
    Pool pool(kBuckets, seed);
    for (int i = 0; i < kNames; i++) {
      const std::string name = "3f2504e0-4f89-41d3-9a0c-0305" + std::to_string(10'000'000 + i);
      buckets[seed - 1].push_back((*pool)[pool->Add(0, name)].hash % kBuckets);
    }
  }
  int pairs = 0;
  int same = 0;
  for (int i = 0; i < kNames; i++)
    for (int j = 0; j < i; j++) {
      if (buckets[0][i] != buckets[0][j]) continue;
      pairs++;
      same += buckets[1][i] == buckets[1][j];
    }
  EXPECT_NEAR(pairs, 1953, 300); /* as many as by chance: 4000 * 3999 / 2 / 4096 */
  EXPECT_LT(same, 10);
}

TEST(StorePool, TheHashDependsOnEveryByteTheLengthAndTheQueue) {
  Pool pool(3000, 7);
  std::set<std::uint64_t> hashes;
  std::size_t names = 0;
  const auto add = [&](std::uint8_t queue, const std::string& name) {
    hashes.insert((*pool)[pool->Add(queue, name)].hash);
    names++;
  };
  for (std::size_t length = 0; length <= 36; length++) {
    add(0, std::string(length, '\0'));
    add(1, std::string(length, '\0'));
    for (std::size_t at = 0; at < length; at++) {
      std::string name(length, '\0');
      name[at] = 'x';
      add(0, name);
    }
  }
  EXPECT_EQ(hashes.size(), names);
}

struct ByTurn {
  bool operator()(const Store& a, const Store& b) const { return a.place.turn < b.place.turn; }
};

TEST(StoreHeap, IsSortedWhateverIsPushedAndRemoved) {
  Pool pool(500);
  SlotIndex root = kNoSlot;
  StoreHeap<ByTurn> heap(*pool, root);
  std::mt19937 random(11);
  std::set<std::pair<double, SlotIndex>> model;
  for (int step = 0; step < 50000; step++) {
    if (model.size() < 400 && random() % 2 == 0) {
      const SlotIndex index = pool->Add(0, std::to_string(step));
      (*pool)[index].place.turn = static_cast<double>(random() % 100000);
      heap.Push(index);
      model.emplace((*pool)[index].place.turn, index);
    } else if (!model.empty()) {
      auto victim = model.begin();
      if (random() % 2 == 0) std::advance(victim, random() % model.size());
      heap.Remove(victim->second);
      pool->Remove(victim->second);
      model.erase(victim);
    }
    ASSERT_EQ(root == kNoSlot, model.empty());
    if (root != kNoSlot) {
      ASSERT_EQ((*pool)[root].place.turn, model.begin()->first);
    }
  }
}

TEST(ItemKey, BeforeIsTheNextLower) {
  EXPECT_TRUE(Before({5, 0}) < (ItemKey{5, 0}));
  EXPECT_TRUE((ItemKey{4, 0}) <= Before({5, 0}));
  EXPECT_TRUE(Before({INT64_MIN, 3}) < (ItemKey{INT64_MIN, 3}));
  EXPECT_TRUE((ItemKey{INT64_MAX, 2}) <= Before({INT64_MIN, 3}));
  EXPECT_TRUE(Before(kFirstKey) <= kFirstKey);
  EXPECT_TRUE((ItemKey{9, -1}) < (ItemKey{1, 0}));
}

}  // namespace
}  // namespace product_optimizer
