#include "core/fair_rotation.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

std::vector<WaitingStore> Stores(std::size_t count, std::int64_t cap, double weight = 1) {
  WaitingStore store;
  store.weight = weight;
  store.cap = cap;
  return std::vector<WaitingStore>(count, store);
}

std::vector<std::int64_t> Counts(const std::vector<std::size_t>& order, std::size_t stores) {
  std::vector<std::int64_t> counts(stores, 0);
  for (std::size_t store : order) counts[store]++;
  return counts;
}

TEST(PlanRounds, FourStoresGiveTwentyEachInRounds) {
  auto stores = Stores(4, 20);
  const auto order = PlanRounds(stores, 100);
  ASSERT_EQ(order.size(), 80u);
  for (std::size_t i = 0; i < order.size(); i++) EXPECT_EQ(order[i], i % 4);
}

TEST(PlanRounds, TenStoresGiveTenEach) {
  auto stores = Stores(10, 20);
  EXPECT_EQ(Counts(PlanRounds(stores, 100), 10), std::vector<std::int64_t>(10, 10));
}

TEST(PlanRounds, ManyStoresGiveOneEachInTheirOrder) {
  auto stores = Stores(500, 20);
  const auto order = PlanRounds(stores, 100);
  std::vector<std::size_t> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order, expected);
}

TEST(PlanRounds, ClosedAndFullStoresGiveNothing) {
  auto stores = Stores(3, 5);
  stores[0].open = false;
  stores[1].cap = 0;
  EXPECT_EQ(Counts(PlanRounds(stores, 100), 3), (std::vector<std::int64_t>{0, 0, 5}));
}

TEST(PlanRounds, NoStoresNoItems) {
  std::vector<WaitingStore> none;
  EXPECT_TRUE(PlanRounds(none, 100).empty());
}

TEST(PlanRounds, WeightsShareOverManyClaims) {
  std::map<double, std::int64_t> given;
  const std::vector<double> weights = {0.5, 1, 2, 0.1};
  std::vector<double> credits(weights.size(), 0);
  std::size_t next = 0;
  for (int claim = 0; claim < 36'000; claim++) {
    /* As the caller does: the rotation goes on behind the store that was served last. */
    std::vector<WaitingStore> stores;
    for (std::size_t i = 0; i < weights.size(); i++) {
      const std::size_t store = (next + i) % weights.size();
      stores.push_back({weights[store], 20, credits[store], true});
    }
    const auto order = PlanRounds(stores, 1);
    ASSERT_EQ(order.size(), 1u);
    for (std::size_t i = 0; i < weights.size(); i++) credits[(next + i) % weights.size()] = stores[i].credit;
    const std::size_t served = (next + order[0]) % weights.size();
    given[weights[served]]++;
    next = HasTurnLeft(stores[order[0]]) ? served : (served + 1) % weights.size();
  }
  const double unit = 36'000 / 3.6;
  for (const double weight : weights)
    EXPECT_NEAR(static_cast<double>(given[weight]), unit * weight, unit * 0.01) << weight;
}

TEST(PlanRounds, BeginsWhereItIsTold) {
  auto stores = Stores(4, 20);
  EXPECT_EQ(PlanRounds(stores, 6, 3), (std::vector<std::size_t>{3, 0, 1, 2, 3, 0}));
  stores = Stores(4, 20);
  EXPECT_EQ(PlanRounds(stores, 2, 4), (std::vector<std::size_t>{0, 1}));
}

TEST(PlanRounds, ATurnThatWasCutShortGoesOn) {
  auto stores = Stores(2, 20, 3);
  EXPECT_EQ(PlanRounds(stores, 2), (std::vector<std::size_t>{0, 0}));
  EXPECT_TRUE(HasTurnLeft(stores[0]));
  EXPECT_EQ(PlanRounds(stores, 5), (std::vector<std::size_t>{0, 1, 1, 1, 0}));
}

TEST(PlanRounds, WhatACapHeldBackIsNotSavedUp) {
  auto stores = Stores(2, 1, 5);
  EXPECT_EQ(PlanRounds(stores, 10), (std::vector<std::size_t>{0, 1}));
  EXPECT_FALSE(HasTurnLeft(stores[0]));
  EXPECT_FALSE(HasTurnLeft(stores[1]));
}

TEST(PlanRounds, AllLightStoresStillGive) {
  auto stores = Stores(3, 20, 0.001);
  EXPECT_EQ(PlanRounds(stores, 9).size(), 9u);
}

TEST(PlanRounds, PropertiesHoldForRandomStores) {
  std::mt19937_64 random(17);
  for (int round = 0; round < 3'000; round++) {
    const std::size_t count = 1 + random() % 40;
    std::vector<WaitingStore> stores;
    std::int64_t room = 0;
    const bool even = random() % 2 == 0;
    for (std::size_t i = 0; i < count; i++) {
      WaitingStore store;
      store.weight = even ? 1 : 0.001 + static_cast<double>(random() % 3000) / 1000;
      store.cap = static_cast<std::int64_t>(random() % 25);
      store.open = random() % 10 != 0;
      if (store.open) room += store.cap;
      stores.push_back(store);
    }
    const std::vector<WaitingStore> before = stores;
    const auto max_items = static_cast<std::int64_t>(1 + random() % 200);
    const auto order = PlanRounds(stores, max_items);
    /* Work-conserving: as many as asked for, or all there is room for. */
    ASSERT_EQ(static_cast<std::int64_t>(order.size()), std::min(max_items, room));
    const auto counts = Counts(order, count);
    for (std::size_t i = 0; i < count; i++) {
      ASSERT_LE(counts[i], before[i].open ? before[i].cap : 0);
      ASSERT_GE(stores[i].credit, 0);
      ASSERT_LT(stores[i].credit, std::max(1.0, before[i].weight * 1001));
      for (std::size_t j = 0; even && j < count; j++)
        if (before[i].open && counts[i] < before[i].cap) {
          ASSERT_LE(counts[j], counts[i] + 1);
        }
    }
  }
}

TEST(CreditTable, RemembersAndForgets) {
  CreditTable table{};
  EXPECT_EQ(table.Get(5), 0);
  table.Set(5, 0.25);
  EXPECT_EQ(table.Get(5), 0.25);
  EXPECT_EQ(table.Get(5 + 1024), 0);
  table.Set(5 + 1024, 0.5); /* the same place: the younger wins */
  EXPECT_EQ(table.Get(5), 0);
  table.Set(5 + 1024, 0);
  EXPECT_EQ(table.Get(5 + 1024), 0);
}

}  // namespace
}  // namespace product_optimizer
