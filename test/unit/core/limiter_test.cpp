#include "core/limiter.h"

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kSecond = 1000 * kMs;
constexpr std::uint64_t kStart = 1000 * kSecond;

Bucket EmptyAt(const Limits& limits, std::uint64_t now) {
  Bucket bucket{};
  StartEmpty(bucket, limits, now);
  return bucket;
}

TEST(Limiter, TheFirstMinuteAfterAStartSeesNoMoreThanTheLimit) {
  const Limits limits{450, 450'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  int granted = 0;
  for (std::uint64_t now = kStart; now < kStart + 60 * kSecond; now += kMs)
    granted += Acquire(bucket, limits, now, 1, 900).gate == Gate::kOpen ? 1 : 0;
  EXPECT_LE(granted, 450);
  EXPECT_GE(granted, 449);
}

TEST(Limiter, AFullBucketAddsItsBurstOnce) {
  const Limits limits{450, 450'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  int granted = 0;
  for (std::uint64_t now = kStart + 30 * kSecond; now < kStart + 90 * kSecond; now += kMs)
    granted += Acquire(bucket, limits, now, 1, 900).gate == Gate::kOpen ? 1 : 0;
  EXPECT_LE(granted, 495);
  EXPECT_GE(granted, 494);
}

TEST(Limiter, BothDimensionsOrNone) {
  const Limits limits{600, 60'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 60 * kSecond;
  EXPECT_EQ(Acquire(bucket, limits, now, 1, 6'000).gate, Gate::kOpen);
  const std::int64_t before = AvailableRequests(bucket, limits, now);
  const Verdict verdict = Acquire(bucket, limits, now, 1, 1'000);
  EXPECT_EQ(verdict.gate, Gate::kTokens);
  EXPECT_EQ(verdict.wait_ns, kSecond);
  EXPECT_EQ(AvailableRequests(bucket, limits, now), before);
  EXPECT_EQ(Acquire(bucket, limits, now + verdict.wait_ns, 1, 1'000).gate, Gate::kOpen);
}

TEST(Limiter, WhatExceedsTheBucketNeverFits) {
  const Limits limits{450, 450'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  EXPECT_EQ(Acquire(bucket, limits, kStart + 60 * kSecond, 1, 45'001).gate, Gate::kNeverFits);
  EXPECT_EQ(Acquire(bucket, limits, kStart + 60 * kSecond, 1, 45'000).gate, Gate::kOpen);
}

TEST(Limiter, TheLargestTakeIsTheBurst) {
  const Limits limits{450, 450'000, 6};
  EXPECT_EQ(LargestTokens(limits), 45'000);
  EXPECT_EQ(LargestTokens(Limits{450, 1, 0.1}), 1);
  EXPECT_EQ(LargestTokens(Limits{450, 0, 6}), INT64_MAX);
}

TEST(Limiter, SmallLimitsStillLetOneThrough) {
  const Limits limits{1, 1, 0.1};
  Bucket bucket = EmptyAt(limits, kStart);
  EXPECT_EQ(Acquire(bucket, limits, kStart, 1, 1).wait_ns, 60 * kSecond);
  EXPECT_EQ(Acquire(bucket, limits, kStart + 60 * kSecond, 1, 1).gate, Gate::kOpen);
  EXPECT_NE(Acquire(bucket, limits, kStart + 60 * kSecond, 1, 1).gate, Gate::kOpen);
}

TEST(Limiter, ALimitOfZeroIsNoLimit) {
  const Limits limits{0, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  EXPECT_EQ(Acquire(bucket, limits, kStart, 1'000'000, 1'000'000'000).gate, Gate::kOpen);
}

TEST(Limiter, ALoweredLimitHoldsAtOnceAndARaisedOneGivesNoWindfall) {
  Limits limits{6'000, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 60 * kSecond;
  EXPECT_EQ(AvailableRequests(bucket, limits, now), 600);
  limits.requests_per_minute = 60;
  EXPECT_EQ(AvailableRequests(bucket, limits, now), 6);
  EXPECT_EQ(Acquire(bucket, limits, now, 6, 0).gate, Gate::kOpen);
  EXPECT_EQ(Acquire(bucket, limits, now, 1, 0).wait_ns, kSecond);
  limits.requests_per_minute = 6'000;
  EXPECT_EQ(AvailableRequests(bucket, limits, now), 0);
}

TEST(Limiter, HoldOffStopsEverythingUntilItsEnd) {
  const Limits limits{600, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 60 * kSecond;
  HoldOff(bucket, limits, now, now, 3 * kSecond, false);
  HoldOff(bucket, limits, now, now, kSecond, false); /* a shorter one does not shorten it */
  const Verdict verdict = Acquire(bucket, limits, now + kSecond, 1, 1);
  EXPECT_EQ(verdict.gate, Gate::kHoldOff);
  EXPECT_EQ(verdict.wait_ns, 2 * kSecond + 100 * kMs);
  /* And then no burst: the flow begins anew. */
  EXPECT_EQ(Acquire(bucket, limits, now + 3 * kSecond, 1, 1).wait_ns, 100 * kMs);
  EXPECT_EQ(Acquire(bucket, limits, now + 3 * kSecond, 1, 1).gate, Gate::kRequests);
  EXPECT_EQ(AvailableRequests(bucket, limits, now + 4 * kSecond), 10);
}

TEST(Limiter, SlowDownHalvesTheRateAndItGrowsBack) {
  const Limits limits{600, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  HoldOff(bucket, limits, kStart, kStart, 0, true);
  EXPECT_DOUBLE_EQ(EffectiveShare(bucket, kStart), 0.5);
  HoldOff(bucket, limits, kStart, kStart, 0, true);
  EXPECT_DOUBLE_EQ(EffectiveShare(bucket, kStart), 0.25);
  EXPECT_GT(EffectiveShare(bucket, kStart + 60 * kSecond), 0.25);
  EXPECT_DOUBLE_EQ(EffectiveShare(bucket, kStart + 3600 * kSecond), 1);
  for (int i = 0; i < 100; i++) HoldOff(bucket, limits, kStart, kStart, 0, true);
  EXPECT_GT(EffectiveShare(bucket, kStart), 0);
}

TEST(Limiter, SlowDownHalvesOnceForAllThatLeftBeforeItWasHeard) {
  const Limits limits{600, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t answered = kStart + 2 * kSecond;
  for (std::uint64_t i = 0; i < 6; i++)
    HoldOff(bucket, limits, answered + i * kMs, kStart + kSecond + i * kMs, kSecond, true);
  EXPECT_NEAR(EffectiveShare(bucket, answered + 5 * kMs), 0.5, 1e-3);
  EXPECT_EQ(bucket.hold_until_ns, answered + 5 * kMs + kSecond); /* but each one's wait counts */
  /* What left at the halved rate and is refused all the same halves it again. */
  HoldOff(bucket, limits, answered + 3 * kSecond, answered + 2 * kSecond, 0, true);
  EXPECT_NEAR(EffectiveShare(bucket, answered + 3 * kSecond), 0.25, 0.01);
}

/* However slow, the flow begins behind the hold-off, as the rate of then lets it, and never stands still. */
TEST(Limiter, TheFirstTokensAfterASlowDownComeWithinSeconds) {
  const Limits limits{600, 600'000, 6};
  for (int halvings = 1; halvings <= 4; halvings++) {
    Bucket bucket = EmptyAt(limits, kStart);
    for (int i = 0; i < halvings; i++) HoldOff(bucket, limits, kStart, kStart, kSecond, true);
    std::uint64_t now = kStart + kSecond, last = now, longest = 0;
    std::int64_t taken = 0;
    for (; now < kStart + 61 * kSecond; now += 10 * kMs)
      if (Acquire(bucket, limits, now, 1, 1'000).gate == Gate::kOpen) {
        longest = std::max(longest, now - last);
        last = now;
        taken += 1'000;
      }
    longest = std::max(longest, now - last);
    EXPECT_LE(longest, 2 * kSecond) << halvings; /* 1,000 at a sixteenth: 1.6 s */
    EXPECT_GE(static_cast<double>(taken), 0.95 * 600'000 * EffectiveShare(bucket, kStart)) << halvings;
    /* The largest that fits at the whole rate fits into the bucket when it is full. */
    HoldOff(bucket, limits, now, 0, 0, true);
    EXPECT_LE(Check(bucket, limits, now, 1, 60'000).wait_ns, 6 * kSecond) << halvings;
    EXPECT_EQ(Acquire(bucket, limits, now + 6 * kSecond, 1, 60'000).gate, Gate::kOpen) << halvings;
  }
}

TEST(Limiter, SlowDownGrowsBackByTheSameAmountEachMinute) {
  const Limits limits{600, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  HoldOff(bucket, limits, kStart, kStart, 0, true);
  for (int minute = 0; minute <= 5; minute++)
    EXPECT_NEAR(EffectiveShare(bucket, kStart + minute * 60 * kSecond), 0.5 + 0.1 * minute, 1e-9);
}

TEST(Limiter, SlowDownLetsNothingThroughThatTheFullRateWouldNot) {
  const Limits limits{0, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 60 * kSecond;
  ASSERT_EQ(Acquire(bucket, limits, now, 1, 60'000).gate, Gate::kOpen);
  HoldOff(bucket, limits, now, now, 0, true);
  EXPECT_EQ(AvailableTokens(bucket, limits, now), 0);
  EXPECT_NEAR(static_cast<double>(AvailableTokens(bucket, limits, now + kSecond)), 5'000, 200);
}

TEST(Limiter, WhatNeverReachedTheServerComesBackAndSettlementsMoveOnlyWhatTheySay) {
  const Limits limits{600, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 60 * kSecond;
  ASSERT_EQ(Acquire(bucket, limits, now, 10, 50'000).gate, Gate::kOpen);
  const std::uint64_t soon = now + 10 * kMs;
  GiveBack(bucket, limits, soon, now, 1, 5'000);
  EXPECT_EQ(AvailableRequests(bucket, limits, soon), 50);
  EXPECT_EQ(AvailableTokens(bucket, limits, soon), 10'100);
  EXPECT_EQ(bucket.tokens.used.Sum(soon), 45'000u);
}

TEST(Limiter, AReservationStandsInTheWayUntilItLeavesHoweverLongThatTakes) {
  const Limits limits{600, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t taken = kStart + 60 * kSecond;
  ASSERT_EQ(Reserve(bucket, limits, taken, 60, 0).gate, Gate::kOpen);
  /* The transaction stalled: the burst leaves ten seconds later, and nobody else's beside it. */
  const std::uint64_t sent = taken + 10 * kSecond;
  EXPECT_EQ(AvailableRequests(bucket, limits, sent), 0);
  EXPECT_EQ(Acquire(bucket, limits, sent, 1, 0).gate, Gate::kRequests);
  Leave(bucket, limits, sent, 60, 0);
  EXPECT_EQ(AvailableRequests(bucket, limits, sent), 0);
  EXPECT_EQ(AvailableRequests(bucket, limits, sent + kSecond), 10);
}

TEST(Limiter, ACancelledReservationLeavesNoTrace) {
  const Limits limits{600, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 60 * kSecond;
  ASSERT_EQ(Reserve(bucket, limits, now, 60, 60'000).gate, Gate::kOpen);
  EXPECT_NE(Reserve(bucket, limits, now, 1, 1).gate, Gate::kOpen);
  Cancel(bucket, 60, 60'000);
  EXPECT_EQ(AvailableRequests(bucket, limits, now), 60);
  EXPECT_EQ(AvailableTokens(bucket, limits, now), 60'000);
  EXPECT_EQ(bucket.requests.used.Sum(now), 0u);
}

TEST(Limiter, WhatFlowedOffLongAgoDoesNotComeBackAsABurst) {
  const Limits limits{0, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t first = kStart + 60 * kSecond;
  ASSERT_EQ(Acquire(bucket, limits, first, 1, 60'000).gate, Gate::kOpen);
  const std::uint64_t second = first + 6 * kSecond; /* all of it has flowed off */
  ASSERT_EQ(Acquire(bucket, limits, second, 1, 60'000).gate, Gate::kOpen);
  SettleTokens(bucket, limits, second, first, 60'000, 0);
  EXPECT_EQ(AvailableTokens(bucket, limits, second), 0);
  SettleTokens(bucket, limits, second, second, 60'000, 20'000); /* this one's is still there, in part */
  EXPECT_EQ(AvailableTokens(bucket, limits, second), 0); /* the slot of four seconds had seen it empty */
}

TEST(Limiter, NobodyGetsBackWhatIsNotInMemory) {
  const Limits limits{0, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 3600 * kSecond;
  ASSERT_EQ(Acquire(bucket, limits, now, 1, 60'000).gate, Gate::kOpen);
  SettleTokens(bucket, limits, now, 0, INT64_MAX, 0);
  SettleTokens(bucket, limits, now, now - 600 * kSecond, INT64_MAX, 0);
  EXPECT_EQ(AvailableTokens(bucket, limits, now), 0);
}

TEST(Limiter, WhatIsGivenBackAfterALoweringIsWorthWhatItCost) {
  Limits limits{0, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 60 * kSecond; /* a slot of the history begins */
  ASSERT_EQ(Acquire(bucket, limits, now - kSecond, 1, 60'000).gate, Gate::kOpen);
  ASSERT_EQ(Acquire(bucket, limits, now, 1, 10'000).gate, Gate::kOpen);
  limits.tokens_per_minute = 60'000;
  SettleTokens(bucket, limits, now, now, 10'000, 5'000); /* half a second of flow then, and five now */
  EXPECT_EQ(AvailableTokens(bucket, limits, now), 500);
}

TEST(Limiter, ADebtIsOfAMinuteAtMost) {
  const Limits limits{0, 6'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  SettleTokens(bucket, limits, kStart, kStart, 0, INT64_MAX);
  EXPECT_EQ(Acquire(bucket, limits, kStart, 1, 1).wait_ns, 60 * kSecond + 10 * kMs);
  SettleTokens(bucket, limits, kStart + kSecond, kStart, 0, 1);
  EXPECT_EQ(Acquire(bucket, limits, kStart + kSecond, 1, 1).wait_ns, 59 * kSecond + 20 * kMs);
}

}  // namespace
}  // namespace product_optimizer
