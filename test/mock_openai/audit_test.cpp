/*
 * audit_test.cpp
 *   The linear audit against a quadratic one that follows the definition word by word.
 */
#include "audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace mock_openai {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(Audit, AgreesWithTheDefinitionOverAllPairs) {
  for (unsigned seed = 1; seed <= 30; seed++) {
    std::mt19937_64 random(seed);
    const double rpm = 30, tpm = 20'000;
    std::vector<Arrival> arrivals;
    std::int64_t now = 0;
    for (int i = 0; i < 300; i++) {
      now += static_cast<std::int64_t>(random() % 4 == 0 ? random() % (10 * kSecond) : random() % kSecond);
      arrivals.push_back({now, static_cast<std::int64_t>(random() % 1000), random() % 5 != 0});
    }
    double requests = 0, tokens = 0, in_minute = 0, tokens_in_minute = 0;
    for (std::size_t i = 0; i < arrivals.size(); i++) {
      double count = 0, sum = 0;
      for (std::size_t j = i; j < arrivals.size(); j++) {
        const double seconds = static_cast<double>(arrivals[j].at_ns - arrivals[i].at_ns) / 1e9;
        count += 1;
        sum += static_cast<double>(arrivals[j].tokens);
        requests = std::max(requests, count - rpm / 60 * seconds);
        tokens = std::max(tokens, sum - tpm / 60 * seconds);
        if (seconds < 60) {
          in_minute = std::max(in_minute, count);
          tokens_in_minute = std::max(tokens_in_minute, sum);
        }
      }
    }
    const AuditResult result = Audit(arrivals, {rpm, tpm, 5, 60});
    EXPECT_NEAR(result.requests.max_excess, requests, 1e-6);
    EXPECT_NEAR(result.tokens.max_excess, tokens, 1e-3);
    EXPECT_EQ(result.requests.max_in_period, in_minute);
    EXPECT_EQ(result.tokens.max_in_period, tokens_in_minute);
    EXPECT_EQ(result.requests.ok, requests <= 2.5);
  }
}

std::vector<Arrival> Steady(int count, std::int64_t gap_ns) {
  std::vector<Arrival> arrivals;
  for (int i = 0; i < count; i++) arrivals.push_back({i * gap_ns, 10, true});
  return arrivals;
}

TEST(Audit, ASteadyStreamAtTheRateIsWithinOneRequest) {
  const AuditResult result = Audit(Steady(100'000, kSecond / 10), {600, 6000, 1, 60});
  EXPECT_TRUE(result.requests.ok);
  EXPECT_TRUE(result.tokens.ok);
  EXPECT_NEAR(result.requests.max_excess, 1, 1e-6);
  EXPECT_NEAR(result.requests.use, 1, 1e-4);
  EXPECT_EQ(result.requests.min_in_period, 600);
  EXPECT_EQ(result.requests.max_in_period, 600);
}

TEST(Audit, FindsOneRequestTooManyAnywhere) {
  std::vector<Arrival> arrivals = Steady(100'000, kSecond / 10);
  std::vector<Arrival> more;
  for (std::size_t i = 0; i < arrivals.size(); i++) {
    more.push_back(arrivals[i]);
    if (i == 54'321) more.push_back(arrivals[i]);
  }
  EXPECT_TRUE(Audit(arrivals, {600, 0, 0.15, 60}).requests.ok);
  EXPECT_FALSE(Audit(more, {600, 0, 0.15, 60}).requests.ok);
}

TEST(Audit, SmallBurstsStillAllowOneRequest) {
  EXPECT_TRUE(Audit(Steady(10, 60 * kSecond), {1, 0, 5, 60}).requests.ok);
}

TEST(Audit, RefusedArrivalsCountForTheBoundButNotForTheUse) {
  std::vector<Arrival> arrivals = Steady(601, kSecond / 10);
  for (std::size_t i = 0; i < arrivals.size(); i += 2) arrivals[i].admitted = false;
  const AuditResult result = Audit(arrivals, {600, 0, 1, 60});
  EXPECT_EQ(result.arrivals, 601);
  EXPECT_EQ(result.admitted, 300);
  EXPECT_NEAR(result.requests.use, 0.5, 1e-3);
  EXPECT_NEAR(result.requests.max_excess, 1, 1e-6);
}

TEST(Audit, SeesAPause) {
  std::vector<Arrival> arrivals = Steady(2000, kSecond / 10);
  for (std::size_t i = 1000; i < arrivals.size(); i++) arrivals[i].at_ns += 20 * kSecond;
  EXPECT_EQ(Audit(arrivals, {600, 0, 1, 60}).requests.min_in_period, 400);
}

TEST(Audit, OfNothingIsFine) {
  const AuditResult result = Audit({}, {600, 600, 1, 60});
  EXPECT_TRUE(result.requests.ok);
  EXPECT_EQ(result.arrivals, 0);
}

}  // namespace
}  // namespace mock_openai
