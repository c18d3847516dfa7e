#include "core/take_in_turn.h"

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kSecond = 1000 * kMs;
constexpr std::uint64_t kNow = 1000 * kSecond;
constexpr std::uint64_t kWorker = 2, kCaller = 3;

/* A model's bucket, and a store's of a tenth of the limit, both full. */
class TakeInTurnTest : public testing::Test {
 protected:
  TakeInTurnTest() {
    StartEmpty(model, limits, kNow - 60 * kSecond);
    StartEmpty(store, store_limits, kNow - 60 * kSecond);
  }

  PairVerdict Take(std::uint64_t who, std::int64_t tokens, std::uint64_t now = kNow, bool of_store = false) {
    return TakeInTurn({&model, &limits}, {of_store ? &store : nullptr, &store_limits}, now, {who, 1, tokens},
                      Acquire);
  }

  const Limits limits{600, 600'000, 6};
  const Limits store_limits{60, 60'000, 6};
  Bucket model{}, store{};
};

TEST_F(TakeInTurnTest, TakesFromBothOrNone) {
  EXPECT_EQ(Take(kWorker, 6'000, kNow, true).verdict.gate, Gate::kOpen);
  EXPECT_EQ(AvailableTokens(model, limits, kNow), 54'000);
  EXPECT_EQ(AvailableTokens(store, store_limits, kNow), 0);

  const PairVerdict of_store = Take(kWorker, 1'000, kNow, true);
  EXPECT_EQ(of_store.verdict.gate, Gate::kTokens);
  EXPECT_EQ(of_store.verdict.wait_ns, kSecond);
  EXPECT_TRUE(of_store.by_store);
  EXPECT_EQ(AvailableTokens(model, limits, kNow), 54'000);

  ASSERT_EQ(Take(kWorker, 54'000).verdict.gate, Gate::kOpen);
  const PairVerdict of_model = Take(kWorker, 1'000, kNow + kMs, true);
  EXPECT_TRUE(of_model.by_store) << "the store's is asked first";
  const PairVerdict later = Take(kWorker, 60'000, kNow + kSecond);
  EXPECT_EQ(later.verdict.gate, Gate::kTokens);
  EXPECT_FALSE(later.by_store);
}

/* Else a store at its limit would have others wait for what it cannot take. */
TEST_F(TakeInTurnTest, WhoIsRefusedByTheStoreHasNoTurnToCome) {
  ASSERT_EQ(Take(kWorker, 6'000, kNow, true).verdict.gate, Gate::kOpen);
  ASSERT_TRUE(Take(kWorker, 6'000, kNow, true).by_store);
  ASSERT_EQ(Take(kCaller, 50'000).verdict.gate, Gate::kOpen);
  EXPECT_EQ(Take(kCaller, 1'000, kNow + 100 * kMs).verdict.gate, Gate::kOpen);
}

TEST_F(TakeInTurnTest, WhoIsAheadWaitsForTheOneThatWasRefused) {
  ASSERT_EQ(Take(kCaller, 60'000).verdict.gate, Gate::kOpen);
  ASSERT_EQ(Take(kWorker, 20'000).verdict.wait_ns, 2 * kSecond);
  const PairVerdict turn = Take(kCaller, 1'000, kNow + kSecond);
  EXPECT_EQ(turn.verdict.gate, Gate::kRequests);
  EXPECT_EQ(turn.verdict.wait_ns, kSecond + kTurnPatienceNs);
  EXPECT_EQ(Take(kWorker, 20'000, kNow + 2 * kSecond).verdict.gate, Gate::kOpen);
}

TEST_F(TakeInTurnTest, NobodyWaitsForWhatNeverFits) {
  ASSERT_EQ(Take(kCaller, 60'000).verdict.gate, Gate::kOpen);
  ASSERT_EQ(Take(kWorker, 60'001).verdict.gate, Gate::kNeverFits);
  EXPECT_EQ(Take(kCaller, 1'000, kNow + kSecond).verdict.gate, Gate::kOpen);
}

TEST_F(TakeInTurnTest, ALookKeepsAPlaceOnlyForWhoWantsOne) {
  ASSERT_EQ(Take(kCaller, 10'000).verdict.gate, Gate::kOpen);
  Room room = LookInTurn({&model, &limits}, kNow, kWorker, false);
  EXPECT_EQ(room.requests, 59);
  EXPECT_EQ(room.tokens, 50'000);
  EXPECT_EQ(room.next.gate, Gate::kOpen);
  EXPECT_EQ(Take(kCaller, 10'000).verdict.gate, Gate::kOpen);

  LookInTurn({&model, &limits}, kNow, kWorker, true);
  EXPECT_EQ(Take(kCaller, 10'000).verdict.wait_ns, kTurnPatienceNs);
  room = LookInTurn({&model, &limits}, kNow, kCaller, false);
  EXPECT_EQ(room.requests, 0) << "it is the other's turn";
  EXPECT_EQ(room.next.wait_ns, kTurnPatienceNs);
  EXPECT_EQ(Take(kWorker, 10'000).verdict.gate, Gate::kOpen);
  EXPECT_EQ(Take(kCaller, 10'000).verdict.gate, Gate::kOpen);
}

}  // namespace
}  // namespace product_optimizer
