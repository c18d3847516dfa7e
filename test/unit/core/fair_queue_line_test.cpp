#include <gtest/gtest.h>

#include "shop.h"

namespace product_optimizer {
namespace {

/* A store of which fifty rows were served, when the seventh waits again. */
class ServedStore : public ::testing::Test {
 protected:
  ServedStore() {
    shop.Insert("a", 100);
    for (int i = 0; i < 10; i++) shop.ClaimNow(5);
    shop.waiting["a"].insert({7, 0});
    shop.queue.Post("a", Only({7, 0}), 1);
  }

  Shop shop;
};

/* A retry is served without reading again what was served since … */
TEST_F(ServedStore, ARowThatWaitsAgainDoesNotBringItsStoreBack) {
  const Shop::Claim claim = shop.Begin(5);
  ASSERT_EQ(claim.rows.size(), 1u);
  ASSERT_EQ(claim.rows[0].size(), 5u);
  EXPECT_EQ(claim.rows[0][0].id, 7);
  EXPECT_EQ(claim.rows[0][1].id, 51);
  EXPECT_TRUE(claim.turns[0].line.has_gap());
  shop.Finish(claim);
  EXPECT_EQ(shop.Begin(1).turns[0].line.head.id, 54);
}

/* … also when the limiter lets none of them leave at first … */
TEST_F(ServedStore, WhatWasServedSinceIsPassedOverAlsoAfterARefusal) {
  for (int i = 0; i < 3; i++) {
    Shop::Claim claim = shop.Begin(5);
    TurnReport& report = claim.reports[0];
    report.taken = 0;
    report.charge = report.cost = 0;
    for (const ItemKey& key : claim.rows[0]) report.rows_left.Add(claim.turns[0].line.RangeOf(key));
    shop.queue.Report(claim.turns[0], report);
    shop.queue.WaitAgain("a", report.rows_left);
    for (const ItemKey& key : claim.rows[0]) shop.locked.erase(key.id);
  }
  const Turn turn = shop.Begin(5).turns[0];
  EXPECT_EQ(turn.line.head.id, 6);
  EXPECT_EQ(turn.line.gap_begin.id, 7);
  EXPECT_EQ(turn.line.gap_end.id, 50);
}

/* … and when a claim of it is rolled back … */
TEST_F(ServedStore, WhatWasServedSinceIsPassedOverAlsoAfterARollBack) {
  for (int i = 0; i < 3; i++) shop.Abort(shop.Begin(5));
  const Turn turn = shop.Begin(5).turns[0];
  EXPECT_EQ(turn.line.head.id, 6);
  EXPECT_EQ(turn.line.gap_begin.id, 7);
  EXPECT_EQ(turn.line.gap_end.id, 50);
}

/* … but once a walk has come by: a row may wait there that nobody told of. */
TEST_F(ServedStore, WhatNobodyToldOfIsFoundBehindARowThatWaitsAgain) {
  shop.waiting["a"].insert({30, 0});
  shop.queue.Found("a", {7, 0});
  shop.ClaimNow(2);
  EXPECT_EQ(shop.waiting["a"].begin()->id, 51);
}

/* … also when a claim is under way that has passed over it. */
TEST_F(ServedStore, WhatAWalkMayHaveSeenIsNotPassedOverByAClaimUnderWay) {
  shop.waiting["a"].insert({30, 0});
  const Shop::Claim claim = shop.Begin(3);
  shop.queue.Found("a", {7, 0});
  shop.Finish(claim);
  shop.ClaimNow(1);
  EXPECT_EQ(shop.waiting["a"].begin()->id, 53);
}

/* A walk knows all that waits in a store, so an urgent row does not bring the store back to its start. */
TEST(FairQueue, AnUrgentRowOfAStoreThatAWalkFoundDoesNotMakeItBeReadAnew) {
  Shop shop;
  for (std::int64_t id = 1; id <= 100; id++) shop.waiting["a"].insert({id, 0});
  shop.queue.Found("a", {1, 0});
  for (int i = 0; i < 10; i++) shop.ClaimNow(5);
  shop.waiting["a"].insert({101, -1});
  shop.queue.Post("a", Only({101, -1}), 1);
  const Turn turn = shop.Begin(5).turns[0];
  EXPECT_EQ(turn.line.gap_begin.id, 101);
  EXPECT_EQ(turn.line.gap_end.id, 50);
}

/* A claim that asks a store a second time goes on where it was, and does not see what was posted in between.
 */
TEST(FairQueue, ARowThatIsPostedBetweenTwoPassesOfAClaimIsNotHidden) {
  Shop shop;
  shop.Insert("a", 100);
  for (int i = 0; i < 10; i++) shop.ClaimNow(5);
  const Shop::Claim first = shop.Begin(3);
  shop.waiting["a"].insert({7, 0});
  shop.queue.Post("a", Only({7, 0}), 1);
  Turn second = shop.queue.Plan({1, 3, 3, false, nullptr})[0];
  second.posts_since = first.turns[0].posts_since;
  TurnReport report;
  report.given = report.taken = 1;
  report.last_given = {54, 0};
  report.charge = 1;
  report.exhausted = true;
  shop.Finish(first);
  shop.queue.Report(second, report);
  EXPECT_EQ(shop.ClaimNow(1).count("a"), 1u);
  EXPECT_EQ(shop.waiting["a"].begin()->id, 54);
}

}  // namespace
}  // namespace product_optimizer
