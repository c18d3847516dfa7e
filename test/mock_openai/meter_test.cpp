/*
 * meter_test.cpp
 *   The three ways to count, to the millisecond, with an invented clock.
 */
#include "meter.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "api_error.h"

namespace mock_openai {
namespace {

constexpr std::int64_t kMs = 1'000'000, kSecond = 1'000'000'000;

Meter MakeMeter(MeterModel model, std::int64_t requests, std::int64_t tokens) {
  Meter meter;
  meter.Configure({model, requests, tokens, 60 * kSecond}, 0);
  return meter;
}

bool Admits(Meter* meter, std::int64_t tokens, std::int64_t now_ns) {
  return meter->Take("a", tokens, true, now_ns).kind == Verdict::Kind::kAdmitted;
}

TEST(Meter, DrainingBucketTellsTheExactWait) {
  Meter meter = MakeMeter(MeterModel::kDraining, 500, 0);
  for (int i = 0; i < 500; i++) ASSERT_TRUE(Admits(&meter, 1, kSecond));
  const Verdict verdict = meter.Take("a", 1, true, kSecond);
  EXPECT_EQ(verdict.kind, Verdict::Kind::kRequests);
  EXPECT_EQ(verdict.limit, 500);
  EXPECT_EQ(verdict.used, 500);
  EXPECT_EQ(verdict.wait_ns, 120 * kMs); /* 1 / (500 / 60 s) */
  EXPECT_FALSE(Admits(&meter, 1, kSecond + 120 * kMs - 1));
  EXPECT_TRUE(Admits(&meter, 1, kSecond + 120 * kMs));
}

TEST(Meter, WaitFollowsFromTheQuotedNumbers) {
  Meter meter = MakeMeter(MeterModel::kDraining, 0, 500'000);
  ASSERT_TRUE(Admits(&meter, 499'000, 0));
  const Verdict verdict = meter.Take("a", 2450, true, 0);
  EXPECT_EQ(verdict.kind, Verdict::Kind::kTokens);
  EXPECT_EQ(verdict.used, 499'000);
  EXPECT_EQ(verdict.requested, 2450);
  EXPECT_EQ(verdict.wait_ns, 174 * kMs); /* 1450 / (500000 / 60 s) */
  EXPECT_EQ(RateLimited(verdict, "m", "o").message.substr(0, 140),
            "Rate limit reached for m in organization o on tokens per min (TPM): Limit 500000, Used 499000, "
            "Requested 2450. Please try again in 174ms. Vi");
}

TEST(Meter, AClientThatKeepsExactlyToTheRateIsNeverRefused) {
  /* 7 per minute does not divide: any rounding against the client would show within the hours. */
  Meter meter = MakeMeter(MeterModel::kDraining, 7, 0);
  for (int i = 0; i < 7; i++) ASSERT_TRUE(Admits(&meter, 1, 0));
  for (std::int64_t i = 1; i <= 20'000; i++) ASSERT_TRUE(Admits(&meter, 1, (i * 60 * kSecond + 6) / 7)) << i;
}

TEST(Meter, BothDimensionsAreTakenTogetherOrNotAtAll) {
  Meter meter = MakeMeter(MeterModel::kStrict, 10, 1000);
  ASSERT_TRUE(Admits(&meter, 900, 0));
  for (int i = 0; i < 20; i++) ASSERT_FALSE(Admits(&meter, 200, 0));
  EXPECT_EQ(meter.Requests("a", 0).remaining, 9);
  EXPECT_TRUE(Admits(&meter, 100, 0));
}

TEST(Meter, WhatCanNeverFitIsTooLarge) {
  Meter meter = MakeMeter(MeterModel::kStrict, 10, 1000);
  EXPECT_EQ(meter.Take("a", 1001, true, 0).kind, Verdict::Kind::kTooLarge);
  EXPECT_EQ(meter.Requests("a", 0).remaining, 10);
}

TEST(Meter, SlidingLogWaitsForTheOldestToLeave) {
  Meter meter = MakeMeter(MeterModel::kSliding, 3, 0);
  for (int i = 0; i < 3; i++) ASSERT_TRUE(Admits(&meter, 1, i * kSecond));
  EXPECT_EQ(meter.Take("a", 1, true, 10 * kSecond).wait_ns, 50 * kSecond);
  EXPECT_FALSE(Admits(&meter, 1, 60 * kSecond - 1));
  EXPECT_TRUE(Admits(&meter, 1, 60 * kSecond));
  EXPECT_FALSE(Admits(&meter, 1, 60 * kSecond));
}

TEST(Meter, FixedPeriodsLetTwiceTheLimitThroughAtTheirEdge) {
  Meter meter = MakeMeter(MeterModel::kFixed, 3, 0);
  for (int i = 0; i < 3; i++) ASSERT_TRUE(Admits(&meter, 1, 59 * kSecond));
  EXPECT_EQ(meter.Take("a", 1, true, 59 * kSecond).wait_ns, kSecond);
  for (int i = 0; i < 3; i++) ASSERT_TRUE(Admits(&meter, 1, 60 * kSecond));
  EXPECT_FALSE(Admits(&meter, 1, 60 * kSecond));
}

TEST(Meter, StrictNeverExceedsTheLimitInAnyPeriod) {
  std::mt19937_64 random(7);
  Meter meter = MakeMeter(MeterModel::kStrict, 50, 5000);
  std::deque<std::pair<std::int64_t, std::int64_t>> window;
  std::int64_t now = 0, tokens = 0;
  for (int i = 0; i < 200'000; i++) {
    now += static_cast<std::int64_t>(random() % (2 * kSecond));
    const std::int64_t wanted = 1 + static_cast<std::int64_t>(random() % 200);
    const Verdict verdict = meter.Take("a", wanted, true, now);
    while (!window.empty() && now - window.front().first >= 60 * kSecond) {
      tokens -= window.front().second;
      window.pop_front();
    }
    if (verdict.kind == Verdict::Kind::kAdmitted) {
      window.emplace_back(now, wanted);
      tokens += wanted;
      ASSERT_LE(window.size(), 50u);
      ASSERT_LE(tokens, 5000);
    } else {
      ASSERT_GT(verdict.wait_ns, 0);
      ASSERT_EQ(verdict.wait_ns % kMs, 0);
    }
  }
}

TEST(Meter, ObeyingTheWaitIsEnoughInEveryModel) {
  for (const MeterModel model :
       {MeterModel::kDraining, MeterModel::kSliding, MeterModel::kFixed, MeterModel::kStrict}) {
    std::mt19937_64 random(11);
    Meter meter = MakeMeter(model, 37, 4001);
    std::int64_t now = 0;
    for (int i = 0; i < 20'000; i++) {
      now += static_cast<std::int64_t>(random() % kSecond);
      const std::int64_t wanted = 1 + static_cast<std::int64_t>(random() % 400);
      const Verdict verdict = meter.Take("a", wanted, true, now);
      if (verdict.kind == Verdict::Kind::kAdmitted) continue;
      now += verdict.wait_ns;
      /* The quoted wait is of the dimension that refused for longer; so now both must fit. */
      ASSERT_TRUE(Admits(&meter, wanted, now)) << static_cast<int>(model);
    }
  }
}

TEST(Meter, HeadersTellTheBucket) {
  Meter meter = MakeMeter(MeterModel::kStrict, 500, 500'000);
  ASSERT_TRUE(Admits(&meter, 1000, 0));
  const Gauge requests = meter.Requests("a", 0), tokens = meter.Tokens("a", 0);
  EXPECT_EQ(requests.limit, 500);
  EXPECT_EQ(requests.remaining, 499);
  EXPECT_EQ(requests.reset_ns, 120 * kMs);
  EXPECT_EQ(tokens.remaining, 499'000);
  EXPECT_EQ(tokens.reset_ns, 120 * kMs);
  EXPECT_EQ(meter.Requests("a", 120 * kMs).remaining, 500);
  EXPECT_EQ(meter.Requests("other", 0).remaining, 500);
}

TEST(Meter, NewLimitsHoldAtOnceForWhatWasCounted) {
  Meter meter = MakeMeter(MeterModel::kDraining, 500, 0);
  for (int i = 0; i < 100; i++) ASSERT_TRUE(Admits(&meter, 1, 0));
  meter.Configure({MeterModel::kDraining, 100, 0, 60 * kSecond}, 0);
  EXPECT_FALSE(Admits(&meter, 1, 0));
  meter.Configure({MeterModel::kDraining, 100, 0, kSecond}, 0); /* the level stays, its minute shrinks */
  EXPECT_EQ(meter.Take("a", 1, true, 0).wait_ns, 10 * kMs);
}

TEST(Meter, UsedTokensAreChargedEvenBeyondTheLimit) {
  Meter meter = MakeMeter(MeterModel::kStrict, 0, 1000);
  EXPECT_EQ(meter.Take("a", 500, false, 0).kind, Verdict::Kind::kAdmitted);
  EXPECT_EQ(meter.Tokens("a", 0).remaining, 1000);
  meter.ChargeTokens("a", 1500, 0);
  EXPECT_EQ(meter.Tokens("a", 0).remaining, 0);
  EXPECT_EQ(meter.Take("a", 1, false, 0).used, 1500);
}

TEST(GoDuration, PrintsAsGoDoes) {
  EXPECT_EQ(GoDuration(0), "0s");
  EXPECT_EQ(GoDuration(120 * kMs), "120ms");
  EXPECT_EQ(GoDuration(kSecond), "1s");
  EXPECT_EQ(GoDuration(7250 * kMs), "7.25s");
  EXPECT_EQ(GoDuration(360 * kSecond), "6m0s");
  EXPECT_EQ(GoDuration(252'172 * kMs), "4m12.172s");
  EXPECT_EQ(GoDuration(83'909'144 * kMs), "23h18m29.144s");
  EXPECT_EQ(GoDuration(3600 * kSecond), "1h0m0s");
}

}  // namespace
}  // namespace mock_openai
