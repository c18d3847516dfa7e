/*
 * limiter_room_test.cpp
 *   What the gates say and what room they leave are one truth.
 */
#include "core/limiter.h"

#include <deque>
#include <random>
#include <utility>

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

}  // namespace
}  // namespace product_optimizer
