/*
 * limiter_room_test.cpp
 *   What the gates say and what room they leave are one truth, also when rates change.
 */
#include "core/limiter.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 1000 * kSecond;

/*
 * Whoever is told to come now finds room, and whoever finds none is told to wait: else a worker would ask for
 * ever.  Under any readings of the server, with something on its way out, with and without limits of our own.
 */
TEST(LimiterProperty, TheGateIsOpenExactlyWhenThereIsRoom) {
  std::mt19937_64 random(14);
  int without_use = 0, closed_by_server = 0;
  for (int run = 0; run < 400; run++) {
    const Limits limits{run % 5 == 0 ? 0 : static_cast<std::int64_t>(1 + random() % 3'000),
                        run % 3 == 0 ? 0 : static_cast<std::int64_t>(1 + random() % 30'000), 6};
    const std::int64_t of_server = run % 7 == 0 ? 1 : static_cast<std::int64_t>(1 + random() % 600);
    const std::int64_t reset_ms = run % 2 == 0 ? 60'000 : 0;
    Bucket bucket{};
    StartEmpty(bucket, limits, kStart);
    std::uint64_t now = kStart;
    std::deque<std::pair<std::int64_t, std::int64_t>> reserved;
    std::deque<Departure> asked;
    const auto agrees = [&](std::int64_t requests, std::int64_t tokens) {
      const Verdict verdict = Check(bucket, limits, now, requests, tokens);
      const bool has_room = (requests == 0 || AvailableRequests(bucket, limits, now) >= 1) &&
                            (tokens == 0 || AvailableTokens(bucket, limits, now) >= 1);
      closed_by_server += verdict.gate == Gate::kServer ? 1 : 0;
      without_use += verdict.gate == Gate::kOpen && IsFollowed(bucket.requests.server, now) &&
                             bucket.requests.used.Sum(now) == 0
                         ? 1
                         : 0;
      return (verdict.gate == Gate::kOpen) == has_room && (verdict.wait_ns == 0) == has_room;
    };
    for (int i = 0; i < 400; i++) {
      const auto n = static_cast<std::int64_t>(1 + random() % 50);
      switch (random() % 8) {
        case 0:
        case 1:
          if (Reserve(bucket, limits, now, 1, n).gate == Gate::kOpen) reserved.emplace_back(1, n);
          break;
        case 2:
        case 3:
          if (reserved.empty()) break;
          asked.push_back(Leave(bucket, limits, now, reserved.front().first, reserved.front().second));
          reserved.pop_front();
          break;
        case 4:
          if (reserved.empty()) break;
          Cancel(bucket, reserved.front().first, reserved.front().second);
          reserved.pop_front();
          break;
        case 5: {
          if (asked.empty()) break;
          const auto used = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(of_server));
          const ServerReading reading{of_server, of_server - used,
                                      reset_ms > 0 ? reset_ms : used * 60'000 / of_server};
          LearnFromServer(bucket.requests.server, now, reading, asked.front().requests);
          LearnFromServer(bucket.tokens.server, now, reading, asked.front().tokens);
          asked.pop_front();
          break;
        }
        case 6:
          if (random() % 20 == 0) HoldOff(bucket, limits, now, now, random() % kSecond, random() % 4 == 0);
          now += random() % 3 == 0 ? random() % (90 * kSecond) : 0;
          break;
        default:
          now += random() % kSecond;
      }
      ASSERT_TRUE(agrees(1, 1)) << run << " " << i;
      ASSERT_TRUE(agrees(1, 0)) << run << " " << i;
      ASSERT_TRUE(agrees(0, 1)) << run << " " << i;
    }
  }
  EXPECT_GT(without_use, 100);
  EXPECT_GT(closed_by_server, 100);
}

/*
 * Refunds under rates that change between the take and its refund: a request costs 1 / rate of the moment at
 * which it left, what comes back of it too, and no window holds more cost than burst + its length.
 */
TEST(LimiterProperty, RefundsAtAnotherRateNeverOpenAWindowAboveTheBound) {
  for (const bool by_slow_down : {false, true}) {
    std::mt19937_64 random(15);
    Limits limits{0, 600'000, 6};
    Bucket bucket{};
    StartEmpty(bucket, limits, kStart);
    struct Sent {
      std::uint64_t at;
      std::int64_t reserved, used;
      double cost; /* seconds of flow per token */
    };
    std::vector<Sent> in_flight, all;
    std::uint64_t now = kStart;
    for (int i = 0; i < 200'000; i++) {
      const auto n = static_cast<std::int64_t>(50 + random() % 100);
      const double per_minute =
          std::floor(static_cast<double>(limits.tokens_per_minute) * EffectiveShare(bucket, now));
      if (Acquire(bucket, limits, now, 1, n).gate == Gate::kOpen) {
        in_flight.push_back({now, n, static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n + 1)),
                             60 / per_minute});
        all.push_back(in_flight.back());
      } else {
        now += random() % (kSecond / 10);
      }
      if (in_flight.size() > 300) {
        const std::size_t k = random() % in_flight.size();
        SettleTokens(bucket, limits, now, in_flight[k].at, in_flight[k].reserved, in_flight[k].used);
        std::swap(in_flight[k], in_flight.back());
        in_flight.pop_back();
      }
      if (random() % 500 != 0) continue;
      if (by_slow_down) {
        if (EffectiveShare(bucket, now) > 0.5) HoldOff(bucket, limits, now, now, 0, true);
      } else {
        limits.tokens_per_minute = static_cast<std::int64_t>(20'000 + random() % 1'000'000);
      }
    }
    double level = 0, worst = 0;
    std::uint64_t last = kStart;
    for (const Sent& sent : all) {
      level = std::max(0.0, level - static_cast<double>(sent.at - last) / 1e9) +
              static_cast<double>(sent.used) * sent.cost;
      last = sent.at;
      worst = std::max(worst, level);
    }
    EXPECT_LE(worst, 6 + 1e-3) << by_slow_down;
    EXPECT_GT(all.size(), 10'000u);
  }
}

}  // namespace
}  // namespace product_optimizer
