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
  explicit Pool(std::uint32_t capacity)
      : memory_(StorePool::BytesFor(capacity) / sizeof(std::uint64_t) + 1),
        pool_(reinterpret_cast<StorePool*>(memory_.data())) {
    pool_->Start(capacity);
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

struct ByTurn {
  bool operator()(const Store& a, const Store& b) const { return a.turn < b.turn; }
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
      (*pool)[index].turn = static_cast<double>(random() % 100000);
      heap.Push(index);
      model.emplace((*pool)[index].turn, index);
    } else if (!model.empty()) {
      auto victim = model.begin();
      if (random() % 2 == 0) std::advance(victim, random() % model.size());
      heap.Remove(victim->second);
      pool->Remove(victim->second);
      model.erase(victim);
    }
    ASSERT_EQ(root == kNoSlot, model.empty());
    if (root != kNoSlot) {
      ASSERT_EQ((*pool)[root].turn, model.begin()->first);
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
