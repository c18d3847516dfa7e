/*
 * limiter_property_test.cpp
 *   Random use under an invented clock, against the bound and against the promised use, for every window.
 *
 *   The worst window of any length needs no list of windows: the level of a bucket that leaks at the rate is,
 *   at each moment, the largest count less rate · length of all windows that end there.
 */
#include "core/limiter.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 1000 * kSecond;
constexpr double kMinute = 60e9;

/* Fed with what leaves: how far the worst window stands above the rate, and how far the emptiest below. */
class Windows {
 public:
  explicit Windows(double per_minute, std::uint64_t start) : rate_(per_minute / kMinute), last_(start) {}

  void Add(std::uint64_t now, double amount) {
    const double flowed = rate_ * static_cast<double>(now - last_);
    missing_ += flowed;
    worst_missing_ = std::max(worst_missing_, missing_);
    missing_ = std::max(0.0, missing_ - amount);
    level_ = std::max(0.0, level_ - flowed) + amount;
    most_ = std::max(most_, level_);
    last_ = now;
    sum_ += amount;
  }

  double most() const { return most_; }
  double missing() const { return worst_missing_; }
  double sum() const { return sum_; }

 private:
  double rate_;
  std::uint64_t last_;
  double level_ = 0, most_ = 0, missing_ = 0, worst_missing_ = 0, sum_ = 0;
};

Bucket EmptyAt(const Limits& limits, std::uint64_t now) {
  Bucket bucket{};
  StartEmpty(bucket, limits, now);
  return bucket;
}

/*
 * Greedy, exact waits: no window of any length above its bound, nor below the rate by more than one item, for
 * the bucket never holds more than that unused: whatever flowed in was taken.
 */
void TakeGreedily(const Limits& limits, std::int64_t largest, bool requests_bind) {
  std::mt19937_64 random(11);
  Bucket bucket = EmptyAt(limits, kStart);
  std::uint64_t now = kStart;
  Windows requests(static_cast<double>(limits.requests_per_minute), now);
  Windows tokens(static_cast<double>(limits.tokens_per_minute), now);
  constexpr int kTakes = 1'000'000;
  for (int i = 0; i < kTakes; i++) {
    const auto n = static_cast<std::int64_t>(1 + random() % static_cast<std::uint64_t>(largest));
    const Verdict verdict = Acquire(bucket, limits, now, 1, n);
    if (verdict.gate != Gate::kOpen) {
      ASSERT_NE(Check(bucket, limits, now + verdict.wait_ns - 1, 1, n).gate, Gate::kOpen);
      now += verdict.wait_ns;
      ASSERT_EQ(Acquire(bucket, limits, now, 1, n).gate, Gate::kOpen);
    }
    requests.Add(now, 1);
    tokens.Add(now, static_cast<double>(n));
  }
  const double requests_burst =
      std::max(1.0, static_cast<double>(limits.requests_per_minute) * limits.burst_seconds / 60);
  const double tokens_burst = static_cast<double>(limits.tokens_per_minute) * limits.burst_seconds / 60;
  EXPECT_LE(requests.most(), requests_burst + 1e-3);
  EXPECT_LE(tokens.most(), tokens_burst + 1);
  /* Each cost is rounded up by less than a nanosecond. */
  const auto rounded = [](std::int64_t per_minute) {
    return kTakes * static_cast<double>(per_minute) / kMinute + 1e-6;
  };
  if (requests_bind) {
    EXPECT_LE(requests.missing(), 1 + rounded(limits.requests_per_minute));
  } else {
    EXPECT_LE(tokens.missing(), static_cast<double>(largest) + rounded(limits.tokens_per_minute));
  }
}

TEST(LimiterProperty, MillionsOfTakesOverDaysKeepTheBoundAndUseTheRateInEveryWindow) {
  TakeGreedily({450, 450'000, 6}, 1'000, true);
  TakeGreedily({450, 450'000, 6}, 44'000, false);
  TakeGreedily({10'000, 30'000'000, 1}, 5'000, true);
  TakeGreedily({1'000, 100'000, 60}, 90'000, false);
  TakeGreedily({1, 100'000, 6}, 9'000, true);
}

/*
 * Everything at once: reservations that leave late or never, settlements in any order, hold-offs, changed
 * limits, idle hours, a clock that steps back.  Each request costs 1 / rate of time; whatever the rates were,
 * no window of w seconds holds more cost than burst + w.
 */
TEST(LimiterProperty, NoMixOfChangesOpensAWindowAboveTheBound) {
  std::mt19937_64 random(12);
  Limits limits{6'000, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  std::uint64_t now = kStart, latest = kStart;
  double level = 0, worst = 0; /* seconds of flow */
  long left = 0;
  std::deque<std::int64_t> reserved;
  const auto leave = [&](std::int64_t n, double cost_seconds) {
    level = std::max(0.0, level) + static_cast<double>(n) * cost_seconds;
    worst = std::max(worst, level);
    left += n;
  };
  const auto pass = [&](std::uint64_t ns) {
    now += ns;
    if (now <= latest) return;
    level -= static_cast<double>(now - latest) / 1e9;
    latest = now;
  };
  for (int i = 0; i < 2'000'000; i++) {
    const auto n = static_cast<std::int64_t>(1 + random() % 5);
    const double cost =
        60.0 / std::floor(static_cast<double>(limits.requests_per_minute) * EffectiveShare(bucket, now));
    switch (random() % 16) {
      case 0:
      case 1:
      case 2:
      case 3:
        if (Acquire(bucket, limits, now, n, 0).gate == Gate::kOpen) leave(n, cost);
        break;
      case 4:
      case 5:
      case 6:
        if (Reserve(bucket, limits, now, n, 0).gate == Gate::kOpen) reserved.push_back(n);
        break;
      case 7:
      case 8:
      case 9:
        if (reserved.empty()) break;
        if (random() % 4 == 0) {
          Cancel(bucket, reserved.front(), 0);
        } else {
          Leave(bucket, limits, now, reserved.front(), 0);
          leave(reserved.front(), cost);
        }
        reserved.pop_front();
        break;
      case 10:
        if (random() % 50 == 0)
          HoldOff(bucket, limits, now, now, random() % kSecond, reserved.empty() && random() % 4 == 0);
        break;
      case 11:
        /* A reservation is of the rate that held then, so none is on its way out. */
        if (reserved.empty() && random() % 50 == 0)
          limits.requests_per_minute = static_cast<std::int64_t>(1'000 + random() % 9'000);
        break;
      case 12:
        if (random() % 100 == 0) now -= random() % (2 * kSecond);
        break;
      case 13:
        if (random() % 2000 == 0) pass(random() % (7200 * kSecond));
        break;
      default:
        pass(random() % (kSecond / 5));
    }
  }
  EXPECT_LE(worst, 6.0 + 1e-3);
  EXPECT_GT(left, 500'000);
}

/* What was really used, booked when its request left, never exceeds the bound, in whatever order it is
 * settled. */
void SettleAtRandom(double kept, std::uint64_t latency, double* most, double* use) {
  std::mt19937_64 random(13);
  const Limits limits{0, 600'000, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  struct Sent {
    std::uint64_t at, due;
    std::int64_t reserved, used;
  };
  std::vector<Sent> in_flight;
  std::vector<std::pair<std::uint64_t, std::int64_t>> all;
  std::uint64_t now = kStart;
  for (int i = 0; i < 60'000; i++) {
    const auto n = static_cast<std::int64_t>(500 + random() % 1'000);
    const Verdict verdict = Acquire(bucket, limits, now, 1, n);
    if (verdict.gate == Gate::kOpen) {
      const auto used = static_cast<std::int64_t>(static_cast<double>(n) * kept *
                                                  static_cast<double>(random() % 1000) / 500);
      in_flight.push_back({now, now + latency / 2 + random() % latency, n, std::min(used, n)});
      all.emplace_back(now, std::min(used, n));
    } else {
      now += std::min(verdict.wait_ns, kSecond / 50);
    }
    for (std::size_t k = 0; k < in_flight.size(); k++) {
      if (in_flight[k].due > now) continue;
      SettleTokens(bucket, limits, now, in_flight[k].at, in_flight[k].reserved, in_flight[k].used);
      std::swap(in_flight[k], in_flight.back());
      in_flight.pop_back();
      k--;
    }
  }
  Windows windows(600'000, kStart);
  for (const auto& [at, used] : all) windows.Add(at, static_cast<double>(used));
  *most = windows.most();
  *use = windows.sum() / (600'000.0 * static_cast<double>(now - kStart) / kMinute);
}

TEST(LimiterProperty, SettlementsNeverOpenAWindowAboveTheBound) {
  for (const double kept : {0.1, 0.5, 0.9})
    for (const std::uint64_t latency : {kSecond / 10, kSecond, 5 * kSecond, 30 * kSecond, 300 * kSecond}) {
      double most = 0, use = 0;
      SettleAtRandom(kept, latency, &most, &use);
      EXPECT_LE(most, 60'000 + 1) << kept << " " << latency;
    }
}

TEST(LimiterProperty, QuickSettlementsGiveTheWholeRateBack) {
  double most = 0, use = 0;
  SettleAtRandom(0.5, kSecond, &most, &use);
  EXPECT_GE(use, 0.99);
}

/* In production the word is changed under a lock; so here. */
TEST(LimiterProperty, TwoThreadsShareOneBucketExactly) {
  const Limits limits{60'000, 0, 6};
  Bucket bucket = EmptyAt(limits, kStart);
  std::mutex lock;
  std::uint64_t now = kStart;
  Windows windows(60'000, kStart);
  const auto hammer = [&](unsigned seed) {
    std::mt19937_64 random(seed);
    std::vector<std::int64_t> mine;
    for (int i = 0; i < 400'000; i++) {
      const std::lock_guard<std::mutex> guard(lock);
      now += random() % 1'000'000;
      if (random() % 2 == 0) {
        if (Reserve(bucket, limits, now, 1, 0).gate == Gate::kOpen) mine.push_back(1);
      } else if (!mine.empty()) {
        mine.pop_back();
        Leave(bucket, limits, now, 1, 0);
        windows.Add(now, 1);
      }
    }
  };
  std::thread other(hammer, 1u);
  hammer(2u);
  other.join();
  EXPECT_LE(windows.most(), 6'000.001);
  EXPECT_GT(windows.sum(), 200'000);
}

TEST(LimiterProperty, TheEdgesOfTheTypesOverflowNowhere) {
  for (const std::int64_t per_minute :
       {std::int64_t{1}, std::int64_t{INT32_MAX}, std::int64_t{1'000'000'000'000}})
    for (const double burst : {0.1, 6.0, 60.0})
      for (const std::uint64_t now :
           {std::uint64_t{0}, std::uint64_t{1}, kStart, kNever / 2, kNever - 1, kNever}) {
        const Limits limits{per_minute, per_minute, burst};
        Bucket bucket = EmptyAt(limits, now);
        for (const std::int64_t n :
             {std::int64_t{0}, std::int64_t{1}, std::int64_t{INT32_MAX}, std::int64_t{INT64_MAX}}) {
          const Verdict verdict = Acquire(bucket, limits, now, n, n);
          ASSERT_TRUE(n == 0 || verdict.gate != Gate::kOpen || now > kNever / 2)
              << per_minute << " " << now << " " << n;
          SettleTokens(bucket, limits, now, now, n, 0);
          SettleTokens(bucket, limits, now, 0, 0, n);
          GiveBack(bucket, limits, now, now, n, n);
          Leave(bucket, limits, now, n, n);
          HoldOff(bucket, limits, now, now, static_cast<std::uint64_t>(n), true);
          ASSERT_GE(AvailableTokens(bucket, limits, now), 0);
          ASSERT_LE(AvailableTokens(bucket, limits, now), LargestTokens(limits));
          ASSERT_GE(AvailableRequests(bucket, limits, now), 0);
        }
      }
}

}  // namespace
}  // namespace product_optimizer
