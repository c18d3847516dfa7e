#include <gtest/gtest.h>

#include <map>
#include <string>

#include "shop.h"

namespace product_optimizer {
namespace {

TEST(FairQueue, FourStoresGiveTwentyEachTenGiveTenEach) {
  Shop shop;
  for (int i = 0; i < 4; i++) shop.Insert(Name(i), 100);
  for (const auto& [name, items] : shop.ClaimNow(100)) EXPECT_EQ(items, 20) << name;
  for (int i = 4; i < 10; i++) shop.Insert(Name(i), 100);
  shop.ClaimNow(10);
  const auto got = shop.ClaimNow(100);
  EXPECT_EQ(got.size(), 10u);
  for (const auto& [name, items] : got) EXPECT_EQ(items, 10) << name;
}

TEST(FairQueue, FiveHundredStoresGiveOneEachInRotation) {
  Shop shop;
  for (int i = 0; i < 500; i++) shop.Insert(Name(i), 3);
  std::map<std::string, int> all;
  for (int claim = 0; claim < 5; claim++) {
    const auto got = shop.ClaimNow(100);
    EXPECT_EQ(got.size(), 100u);
    for (const auto& [name, items] : got) all[name] += items;
  }
  EXPECT_EQ(all.size(), 500u);
}

TEST(FairQueue, ANewcomerBehindAMillionRowsIsInTheNextClaim) {
  Shop shop;
  shop.Insert("whale", 100000);
  for (int i = 0; i < 1000; i++) shop.ClaimNow(10);
  shop.Insert("newcomer", 1);
  EXPECT_EQ(shop.ClaimNow(2).count("newcomer"), 1u);
}

/* Of one turn the oldest is first, whatever the order in which a walk meets them. */
TEST(FairQueue, StoresThatAWalkFindsComeInTheOrderOfTheirRows) {
  Shop shop;
  shop.Insert("told", 5);
  for (const auto& [name, id] : {std::pair{"a", 40}, {"b", -3}, {"c", 7}, {"d", 30}}) {
    const ItemKey first{id, 0};
    shop.waiting[name] = {first, {id + 100, 0}};
    shop.queue.Found(name, first);
  }
  std::string order;
  for (const Turn& turn : shop.queue.Plan({shop.now_ns, 5, 20, false, nullptr})) order += turn.name + " ";
  EXPECT_EQ(order, "b c d a told ");
}

TEST(FairQueue, AStoreThatAWalkFindsLaterOvertakesNobodyOfAnEarlierTurn) {
  Shop shop;
  for (int i = 0; i < 10; i++) shop.Insert(Name(i), 5);
  shop.ClaimNow(5);
  shop.waiting["old"] = {{-1, 0}};
  shop.queue.Found("old", {-1, 0});
  EXPECT_EQ(shop.ClaimNow(5).count("old"), 0u);
  EXPECT_EQ(shop.ClaimNow(1).count("old"), 1u);
}

TEST(FairQueue, WhoAlwaysInsertsOneMoreDoesNotOvertake) {
  Shop shop;
  shop.Insert("a", 100);
  shop.Insert("b", 100);
  std::map<std::string, int> all;
  for (int i = 0; i < 90; i++) {
    shop.Insert("eager", 1);
    for (const auto& [name, items] : shop.ClaimNow(1)) all[name] += items;
  }
  for (const auto& [name, items] : all) EXPECT_NEAR(items, 30, 1) << name;
}

/* What was planned and not served has not passed anybody. */
TEST(FairQueue, APlanThatCameToNothingDelaysNoNewcomer) {
  Shop shop;
  for (const char* name : {"a", "b"}) shop.Insert(name, 200);
  for (int i = 0; i < 5; i++) {
    for (const Turn& turn : shop.queue.Plan({1, 100, 50, true, nullptr})) {
      TurnReport report;
      report.given = turn.items;
      report.rows_left.behind = Only(*shop.waiting[turn.name].begin());
      report.last_given = *shop.waiting[turn.name].rbegin();
      shop.queue.Report(turn, report);
    }
  }
  shop.Insert("newcomer", 1);
  EXPECT_EQ(shop.ClaimNow(5).count("newcomer"), 1u);
}

TEST(FairQueue, AnEmptyStoreIsNotVisited) {
  Shop shop;
  for (int i = 0; i < 100; i++) shop.Insert(Name(i), 1);
  EXPECT_EQ(shop.ClaimNow(100).size(), 100u);
  EXPECT_EQ(shop.queue.waiting(), 0u);
  EXPECT_TRUE(shop.queue.Plan({1, 100, 20, false, nullptr}).empty());
}

TEST(FairQueue, HeavyItemsCostTheirStoreItsTurns) {
  Shop shop;
  shop.policies["heavy"] = {1, 20, false};
  shop.Insert("heavy", 5000);
  shop.Insert("light", 5000);
  std::map<std::string, int> all;
  for (int i = 0; i < 2100; i++)
    for (const auto& [name, items] : shop.ClaimNow(1)) all[name] += items;
  EXPECT_NEAR(all["heavy"] * 20, all["light"], 21);
  /* … also when it inserts them one by one, each as a newcomer. */
  Shop sly;
  sly.policies["heavy"] = {1, 20, false};
  sly.Insert("light", 5000);
  all.clear();
  for (int i = 0; i < 2100; i++) {
    if (sly.waiting["heavy"].empty()) sly.Insert("heavy", 1);
    for (const auto& [name, items] : sly.ClaimNow(1)) all[name] += items;
  }
  EXPECT_NEAR(all["heavy"] * 20, all["light"], 42);
}

TEST(FairQueue, WeightsHoldUnderTheCapOfAStore) {
  Shop shop;
  shop.policies["double"] = {2, 1, false};
  for (const char* name : {"double", "one", "other"}) shop.Insert(name, 4000);
  std::map<std::string, int> all;
  for (int i = 0; i < 100; i++)
    for (const auto& [name, items] : shop.ClaimNow(100, 20, true)) all[name] += items;
  EXPECT_NEAR(all["double"], 2 * all["one"], 20);
  EXPECT_NEAR(all["one"], all["other"], 1);
}

TEST(FairQueue, AParkedStoreHoldsNobodyBackAndReturnsToItsPlace) {
  Shop shop;
  shop.policies["paused"] = {1, 1, true};
  for (const char* name : {"a", "b", "paused"}) shop.Insert(name, 300);
  EXPECT_EQ(shop.ClaimNow(30).size(), 2u);
  for (int i = 0; i < 10; i++) shop.ClaimNow(10);
  shop.policies["paused"].paused = false;
  EXPECT_EQ(shop.ClaimNow(10).count("paused"), 0u) << "parked until told";
  shop.queue.Unpark("paused");
  const auto got = shop.ClaimNow(30);
  for (const auto& [name, items] : got) EXPECT_NEAR(items, 10, 1) << name;
  EXPECT_EQ(got.size(), 3u) << "nothing was saved up";
}

TEST(FairQueue, WhoIsRefusedStaysNext) {
  Shop shop;
  for (const char* name : {"a", "b", "c"}) shop.Insert(name, 10);
  shop.ClaimNow(1); /* of a: now b is the first of three */
  for (int i = 0; i < 5; i++) {
    const std::vector<Turn> turns = shop.queue.Plan({1, 1 + i % 3, 1, false, nullptr});
    ASSERT_EQ(turns.front().name, "b");
    for (const Turn& turn : turns) {
      TurnReport report;
      report.given = 1;
      report.last_given = *shop.waiting[turn.name].begin();
      report.rows_left.behind = Only(report.last_given);
      shop.queue.Report(turn, report);
    }
  }
  EXPECT_EQ(shop.ClaimNow(1).count("b"), 1u);
}

TEST(FairQueue, MoreStoresThanThePoolHoldsAllGetTheirTurn) {
  Shop shop(16);
  for (int i = 0; i < 100; i++) shop.Insert(Name(i), 50);
  std::map<std::string, int> all;
  int look_at = 0;
  for (int claim = 0; claim < 300; claim++) {
    /* The walk over the table goes round and round. */
    for (int i = 0; i < 30; i++, look_at++) {
      const std::string name = Name(look_at % 100);
      if (!shop.waiting[name].empty()) shop.queue.Found(name, *shop.waiting[name].begin());
    }
    for (const auto& [name, items] : shop.ClaimNow(10)) all[name] += items;
  }
  EXPECT_EQ(all.size(), 100u);
  for (const auto& [name, items] : all) EXPECT_GE(items, 10) << name;
}

/* One store's huge item, taken behind a small one, is its own debt. */
TEST(FairQueue, AHugeItemDoesNotMoveTheTimeOfTheOthers) {
  Shop shop;
  for (const char* name : {"huge", "b", "c"}) shop.Insert(name, 100);
  for (const Turn& turn : shop.queue.Plan({1, 6, 2, false, nullptr})) {
    TurnReport report;
    const bool is_huge = turn.name == "huge";
    report.given = report.taken = turn.items;
    report.charge = is_huge ? 1001 : 2;
    report.last_start = turn.place.turn + 1;
    report.cost = report.charge / 2;
    report.policy_version = turn.policy_version;
    report.last_given = {1000, 0};
    shop.queue.Report(turn, report);
  }
  shop.Insert("newcomer", 10);
  EXPECT_EQ(shop.ClaimNow(9, 20, true).count("newcomer"), 1u);
}

TEST(FairQueue, WhatEndsTheWaitWhileTheClaimIsUnderWayIsNotMissed) {
  Shop shop;
  shop.Insert("a", 10);
  const auto refuse = [&](const Turn& turn) {
    TurnReport report;
    report.policy_version = turn.policy_version;
    report.park_until_ns = 1000;
    shop.queue.Report(turn, report);
  };
  std::vector<Turn> turns = shop.queue.Plan({1, 1, 1, false, nullptr});
  shop.queue.Unpark("a"); /* an item of it ended */
  refuse(turns.at(0));
  EXPECT_EQ(shop.queue.NextUnparkNs(), 0u);

  turns = shop.queue.Plan({1, 1, 1, false, nullptr});
  shop.queue.ForgetPolicies(); /* it was resumed */
  refuse(turns.at(0));
  EXPECT_EQ(shop.queue.NextUnparkNs(), 0u);

  turns = shop.queue.Plan({1, 1, 1, false, nullptr});
  refuse(turns.at(0));
  EXPECT_EQ(shop.queue.waiting(), 0u);
  EXPECT_EQ(shop.queue.NextUnparkNs(), 1000u);
  shop.queue.ForgetPolicies();
  EXPECT_EQ(shop.queue.NextUnparkNs(), 0u);
  EXPECT_EQ(shop.queue.Plan({1, 1, 1, false, nullptr}).size(), 1u);
}

/* All stores of a model that its limit refused, say. */
TEST(FairQueue, WhoWaitsUntilTheSameTimeComesBackInTheOrderOfTheTurns) {
  Shop shop;
  for (int i = 0; i < 8; i++) shop.Insert(Name(i), 10);
  shop.ClaimNow(3);
  const auto in_line = [&shop](std::uint64_t now_ns) {
    std::vector<std::string> names;
    std::vector<Turn> turns = shop.queue.Plan({now_ns, 8, 1, false, nullptr});
    for (const Turn& turn : turns) names.push_back(turn.name);
    std::reverse(turns.begin(), turns.end());
    for (const Turn& turn : turns) {
      TurnReport report;
      report.given = 1;
      report.last_given = *shop.waiting[turn.name].begin();
      report.rows_left.behind = Only(report.last_given);
      report.policy = turn.policy;
      report.policy_version = turn.policy_version;
      report.park_until_ns = now_ns + 1000;
      shop.queue.Report(turn, report);
    }
    return names;
  };
  const std::vector<std::string> before = in_line(1);
  ASSERT_EQ(before.size(), 8u);
  EXPECT_TRUE(in_line(1000).empty());
  EXPECT_EQ(in_line(1001), before);
  EXPECT_EQ(in_line(2001), before);
}

/* Those who hold room, paused or always posting, do not keep the others out of it. */
TEST(FairQueue, NobodyHoldsTheRoomOfAFullPoolForEver) {
  Shop shop(16);
  for (int i = 0; i < 40; i++) {
    shop.policies[Name(i)].paused = i < 15;
    shop.Insert(Name(i), 1000);
  }
  std::map<std::string, int> all;
  for (int claim = 0, look_at = 0; claim < 400; claim++) {
    /* As the walk does: in the order of names, as far as there is room. */
    for (int i = 0; i < 40; i++, look_at++) {
      if (look_at % 40 == 0) shop.queue.ForgetOverflow();
      const std::string name = Name(look_at % 40);
      if (!shop.queue.Found(name, *shop.waiting[name].begin())) break;
    }
    for (const auto& [name, items] : shop.ClaimNow(10)) all[name] += items;
    for (int i = 15; i < 25; i++) shop.Insert(Name(i), 1);
  }
  for (int i = 15; i < 40; i++) EXPECT_GE(all[Name(i)], 20) << Name(i);
}

TEST(FairQueue, ForgetGivesEverySlotBack) {
  Shop shop;
  for (int i = 0; i < 50; i++) shop.Insert(Name(i), 2);
  shop.ClaimNow(60);
  EXPECT_TRUE(shop.queue.Forget(20));
  while (shop.queue.Forget(20)) {
  }
  EXPECT_EQ(shop.pool()->used(), 0u);
  EXPECT_EQ(shop.queue.waiting(), 0u);
}

/* TRUNCATE … RESTART IDENTITY while a claim waits for the table: the ids begin anew below its head. */
TEST(FairQueue, AClaimThatWasUnderWayWhenAllWasForgottenHidesNoNewRow) {
  Shop shop;
  shop.Insert("a", 20);
  shop.ClaimNow(10);
  const std::vector<Turn> turns = shop.queue.Plan({1, 5, 5, false, nullptr});
  ASSERT_EQ(turns.size(), 1u);
  shop.queue.Forget(100);
  shop.queue.Post("a", Only({1, 0}), 1);
  TurnReport nothing;
  nothing.policy_version = turns[0].policy_version;
  nothing.exhausted = true;
  shop.queue.Report(turns[0], nothing);
  const std::vector<Turn> next = shop.queue.Plan({1, 5, 5, false, nullptr});
  ASSERT_EQ(next.size(), 1u);
  EXPECT_TRUE(next[0].line.head < (ItemKey{1, 0}));
}

TEST(FairQueue, AQueueOfManyStoresLeavesTheOthersTheirRoom) {
  std::vector<std::uint64_t> memory(StorePool::BytesFor(160) / sizeof(std::uint64_t) + 1);
  StorePool& pool = *reinterpret_cast<StorePool*>(memory.data());
  pool.Start(160, 4); /* each is sure of 10 */
  QueueState states[4];
  std::vector<FairQueue> queues;
  for (std::uint8_t i = 0; i < 4; i++) queues.emplace_back(pool, states[i], i);
  for (FairQueue& queue : queues) queue.Start();
  int first = 0;
  while (queues[0].Post(Name(first), Only({1, 0}), 1)) first++;
  EXPECT_EQ(first, 130);
  for (int i = 1; i < 4; i++) {
    int more = 0;
    while (queues[i].Post(Name(more), Only({1, 0}), 1)) more++;
    EXPECT_EQ(more, 10) << i;
  }
}

}  // namespace
}  // namespace product_optimizer
