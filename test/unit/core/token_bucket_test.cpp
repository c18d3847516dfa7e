#include "core/token_bucket.h"

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kMinute = 60 * kSecond;

struct Grant {
  std::uint64_t at;
  std::uint64_t n;
};

/* The most that any window of any length got beyond burst + rate · length, in units; exact, over all pairs.
 */
double WorstExcess(const std::vector<Grant>& grants, const Rate& rate) {
  double level = 0; /* of a bucket that leaks at the rate: its highest level is the worst window */
  double worst = 0;
  std::uint64_t last = grants.empty() ? 0 : grants.front().at;
  for (const Grant& grant : grants) {
    const double leaked = static_cast<double>(grant.at - last) * static_cast<double>(rate.amount) /
                          static_cast<double>(rate.period_ns);
    level = std::max(0.0, level - leaked) + static_cast<double>(grant.n);
    last = grant.at;
    worst = std::max(worst, level - static_cast<double>(rate.burst));
  }
  return worst;
}

TEST(TokenBucket, RandomTakesStayWithinEveryWindowAndUseTheRate) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 60; round++) {
    const Rate rate{1 + random() % 1'000'000, kMinute, 1 + random() % 5'000};
    const std::uint64_t largest = 1 + random() % rate.burst;
    std::uint64_t now = random() % kMinute;
    const std::uint64_t start = now;
    std::uint64_t word = EmptyBucket(now, rate);
    std::vector<Grant> grants;
    double total = 0;
    for (int i = 0; i < 5'000; i++) {
      const std::uint64_t n = 1 + random() % largest;
      Take take = TryTake(word, now, rate, n);
      if (!take.granted) {
        /* The wait is exact: a nanosecond earlier it is refused. */
        ASSERT_FALSE(TryTake(word, now + take.wait_ns - 1, rate, n).granted);
        now += take.wait_ns;
        take = TryTake(word, now, rate, n);
        ASSERT_TRUE(take.granted);
      }
      word = take.next;
      grants.push_back({now, n});
      total += static_cast<double>(n);
    }
    EXPECT_LE(WorstExcess(grants, rate), 0.01) << "round " << round;
    const double offered = static_cast<double>(now - start) * static_cast<double>(rate.amount) / kMinute;
    /* Each cost is rounded up by less than a nanosecond. */
    const double lost = 5'000.0 * static_cast<double>(rate.amount) / kMinute;
    EXPECT_GE(total, offered - static_cast<double>(rate.burst) - lost - 1) << "round " << round;
  }
}

TEST(TokenBucket, StartsEmptyAndFillsToTheBurst) {
  const Rate rate{60, kMinute, 10};
  const std::uint64_t word = EmptyBucket(5 * kSecond, rate);
  EXPECT_EQ(Available(word, 5 * kSecond, rate), 0u);
  EXPECT_EQ(TryTake(word, 5 * kSecond, rate, 1).wait_ns, kSecond);
  EXPECT_EQ(Available(word, 9 * kSecond, rate), 4u);
  EXPECT_EQ(Available(word, 500 * kSecond, rate), 10u);
  EXPECT_TRUE(TryTake(word, 500 * kSecond, rate, 10).granted);
}

TEST(TokenBucket, MoreThanTheBurstNeverFits) {
  const Rate rate{60, kMinute, 10};
  const Take take = TryTake(0, kMinute, rate, 11);
  EXPECT_FALSE(take.granted);
  EXPECT_EQ(take.wait_ns, kNever);
}

TEST(TokenBucket, TimeThatStepsBackGrantsNothingExtra) {
  const Rate rate{60, kMinute, 10};
  std::uint64_t word = TryTake(0, 100 * kSecond, rate, 10).next;
  EXPECT_FALSE(TryTake(word, 90 * kSecond, rate, 1).granted);
  EXPECT_FALSE(TryTake(word, 100 * kSecond, rate, 1).granted);
  EXPECT_TRUE(TryTake(word, 101 * kSecond, rate, 1).granted);
}

TEST(TokenBucket, ChargeMayGoIntoDebt) {
  const Rate rate{60, kMinute, 10};
  const std::uint64_t word = Charge(0, kMinute, rate, 70);
  EXPECT_EQ(Available(word, kMinute, rate), 0u);
  EXPECT_EQ(TryTake(word, kMinute, rate, 1).wait_ns, 61 * kSecond);
}

TEST(TokenBucket, EdgesOfTheTypesSaturate) {
  const Rate slow{1, kMinute, kNever};
  EXPECT_EQ(FlowTime(slow, kNever, true), kNever);
  EXPECT_EQ(Charge(kNever - 1, 0, slow, kNever), kNever);
  const Rate fast{kNever, kMinute, kNever};
  EXPECT_TRUE(TryTake(0, kNever - 1, fast, kNever).granted);
  EXPECT_FALSE(TryTake(kNever, 0, fast, 1).granted);
}

TEST(TokenBucket, TwoThreadsOnOneWordGetExactlyTheBurst) {
  const Rate rate{60, kMinute, 1'000};
  std::atomic<std::uint64_t> word{0};
  std::atomic<int> granted{0};
  const auto hammer = [&] {
    for (int i = 0; i < 100'000; i++) {
      std::uint64_t seen = word.load();
      Take take = TryTake(seen, kMinute, rate, 1);
      while (take.granted && !word.compare_exchange_weak(seen, take.next))
        take = TryTake(seen, kMinute, rate, 1);
      if (take.granted) granted++;
    }
  };
  std::thread other(hammer);
  hammer();
  other.join();
  EXPECT_EQ(granted.load(), 1'000);
}

}  // namespace
}  // namespace product_optimizer
