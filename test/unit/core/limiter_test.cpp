#include "core/limiter.h"

#include <random>

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
  HoldOff(bucket, now, 3 * kSecond, false);
  HoldOff(bucket, now, kSecond, false); /* a shorter one does not shorten it */
  const Verdict verdict = Acquire(bucket, limits, now + kSecond, 1, 1);
  EXPECT_EQ(verdict.gate, Gate::kHoldOff);
  EXPECT_EQ(verdict.wait_ns, 2 * kSecond);
  EXPECT_EQ(Acquire(bucket, limits, now + 3 * kSecond, 1, 1).gate, Gate::kOpen);
}

TEST(Limiter, SlowDownHalvesTheRateAndItGrowsBack) {
  const Limits limits{600, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  HoldOff(bucket, kStart, 0, true);
  EXPECT_DOUBLE_EQ(EffectiveShare(bucket, kStart), 0.5);
  HoldOff(bucket, kStart, 0, true);
  EXPECT_DOUBLE_EQ(EffectiveShare(bucket, kStart), 0.25);
  EXPECT_GT(EffectiveShare(bucket, kStart + 60 * kSecond), 0.25);
  EXPECT_DOUBLE_EQ(EffectiveShare(bucket, kStart + 3600 * kSecond), 1);
  for (int i = 0; i < 100; i++) HoldOff(bucket, kStart, 0, true);
  EXPECT_GT(EffectiveShare(bucket, kStart), 0);
}

TEST(Limiter, RefundAndSettlementMoveOnlyWhatTheySay) {
  const Limits limits{600, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t now = kStart + 60 * kSecond;
  ASSERT_EQ(Acquire(bucket, limits, now, 10, 50'000).gate, Gate::kOpen);
  Refund(bucket, limits, now, 1, 5'000);
  EXPECT_EQ(AvailableRequests(bucket, limits, now), 51);
  EXPECT_EQ(AvailableTokens(bucket, limits, now), 15'000);
  SettleTokens(bucket, limits, now, 5'000, 1'000);
  EXPECT_EQ(AvailableTokens(bucket, limits, now), 19'000);
  SettleTokens(bucket, limits, now, 1'000, 20'500);
  EXPECT_EQ(AvailableTokens(bucket, limits, now), 0);
  EXPECT_EQ(bucket.tokens_used.Sum(now), 60'500u);
  EXPECT_EQ(bucket.requests_used.Sum(now), 9u);
}

TEST(Limiter, RestampKeepsTwoBurstsApart) {
  const Limits limits{600, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  const std::uint64_t taken = kStart + 60 * kSecond;
  ASSERT_EQ(Acquire(bucket, limits, taken, 60, 0).gate, Gate::kOpen);
  /* The transaction stalled: the burst leaves five seconds later. */
  const std::uint64_t sent = taken + 5 * kSecond;
  EXPECT_EQ(AvailableRequests(bucket, limits, sent), 50);
  Restamp(bucket, limits, sent, 60, 0);
  EXPECT_EQ(AvailableRequests(bucket, limits, sent), 0);
}

TEST(Limiter, RandomUseOverDaysStaysWithinTheBoundInBothDimensions) {
  std::mt19937_64 random(11);
  const Limits limits{450, 450'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  std::uint64_t now = kStart;
  double request_level = 0, token_level = 0;
  double worst_requests = 0, worst_tokens = 0;
  std::uint64_t last = now;
  double requests = 0;
  for (int i = 0; i < 1'000'000; i++) {
    const auto tokens = static_cast<std::int64_t>(1 + random() % (random() % 10 == 0 ? 40'000 : 1'200));
    const Verdict verdict = Acquire(bucket, limits, now, 1, tokens);
    if (verdict.gate == Gate::kOpen) {
      const double minutes = static_cast<double>(now - last) / (60.0 * kSecond);
      request_level = std::max(0.0, request_level - minutes * 450) + 1;
      token_level = std::max(0.0, token_level - minutes * 450'000) + static_cast<double>(tokens);
      last = now;
      worst_requests = std::max(worst_requests, request_level);
      worst_tokens = std::max(worst_tokens, token_level);
      requests++;
    } else {
      now += random() % 4 == 0 ? verdict.wait_ns : verdict.wait_ns / 2 + 1;
    }
    if (random() % 1000 == 0) now += random() % (20 * kSecond);
  }
  EXPECT_LE(worst_requests, 45.001);
  EXPECT_LE(worst_tokens, 45'001);
  EXPECT_GT(requests, 100'000);
}

}  // namespace
}  // namespace product_optimizer
