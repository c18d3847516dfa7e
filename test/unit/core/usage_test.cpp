#include "core/latency_histogram.h"
#include "core/usage_window.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kSlot = kSecond / 4;

TEST(UsageWindow, ForgetsAfterAMinute) {
  UsageWindow window;
  window.Add(100 * kSecond, 7);
  window.Add(130 * kSecond, 5);
  EXPECT_EQ(window.Sum(130 * kSecond), 12u);
  EXPECT_EQ(window.Sum(159 * kSecond), 12u);
  EXPECT_EQ(window.Sum(160 * kSecond - 1), 12u);
  EXPECT_EQ(window.Sum(160 * kSecond), 5u); /* what was used at one instant leaves at one */
  EXPECT_EQ(window.Sum(190 * kSecond - 1), 5u);
  EXPECT_EQ(window.Sum(190 * kSecond), 0u);
  EXPECT_EQ(window.Sum(1'000'000 * kSecond), 0u);
}

TEST(UsageWindow, ALongSilenceLeavesNothingBehind) {
  UsageWindow window;
  window.Add(100 * kSecond, 7);
  window.Add(5'000 * kSecond, 1);
  EXPECT_EQ(window.Sum(5'000 * kSecond), 1u);
}

TEST(UsageWindow, CorrectionsNeverGoBelowZeroAndTimeMayStepBack) {
  UsageWindow window;
  window.Add(100 * kSecond, 3);
  window.Add(100 * kSecond, -10);
  EXPECT_EQ(window.Sum(100 * kSecond), 0u);
  window.Add(90 * kSecond, 4);
  EXPECT_EQ(window.Sum(100 * kSecond), 4u);
}

TEST(UsageWindow, TakesBackFromEarlierSecondsToo) {
  UsageWindow window;
  window.Add(100 * kSecond, 5);
  window.Add(110 * kSecond, 2);
  window.Add(120 * kSecond, -4);
  EXPECT_EQ(window.Sum(120 * kSecond), 3u);
  EXPECT_EQ(window.Sum(165 * kSecond), 0u); /* the newest went first */
}

TEST(UsageWindow, EqualsACountByHand) {
  std::mt19937_64 random(3);
  UsageWindow window;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
  std::uint64_t now = 77 * kSecond;
  for (int i = 0; i < 20'000; i++) {
    now += random() % (random() % 100 == 0 ? 50 * kSecond : kSecond / 2);
    const std::uint64_t amount = random() % 1000;
    window.Add(now, static_cast<std::int64_t>(amount));
    all.emplace_back(now, amount);
    /* Of the quarter of a second that the window cuts, what was used evenly is counted exactly, else nearly.
     */
    const std::uint64_t cut = (now - 60 * kSecond) / kSlot;
    std::uint64_t behind = 0, inside = 0, outside = 0;
    for (auto it = all.rbegin(); it != all.rend() && it->first / kSlot >= cut; ++it) {
      if (it->first / kSlot > cut) {
        behind += it->second;
      } else {
        (it->first > now - 60 * kSecond ? inside : outside) += it->second;
      }
    }
    ASSERT_GE(window.Sum(now), behind) << "step " << i;
    ASSERT_LE(window.Sum(now), behind + inside + outside) << "step " << i;
    if (inside == 0 || outside == 0) {
      ASSERT_EQ(window.Sum(now), behind + inside) << "step " << i;
    }
  }
}

/* To a quarter of a second, also after something was taken back. */
TEST(UsageWindow, EveryLengthEqualsACountByHand) {
  std::mt19937_64 random(4);
  UsageWindow window;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
  std::uint64_t now = 5 * kSecond;
  for (int i = 0; i < 20'000; i++) {
    now += random() % (random() % 200 == 0 ? 70 * kSecond : kSecond / 2);
    std::uint64_t amount = random() % 1000;
    window.Add(now, static_cast<std::int64_t>(amount));
    all.emplace_back(now, amount);
    if (random() % 4 == 0) {
      amount = random() % 3000;
      window.Add(now, -static_cast<std::int64_t>(amount));
      for (auto it = all.rbegin(); it != all.rend() && it->first / kSlot + 240 >= now / kSlot; ++it) {
        const std::uint64_t taken = std::min(amount, it->second);
        it->second -= taken;
        amount -= taken;
      }
    }
    const std::uint64_t length = 1 + random() % (60 * kSecond);
    const std::uint64_t cut = now > length ? (now - length) / kSlot : 0;
    std::uint64_t behind = 0, in_cut = 0;
    for (auto it = all.rbegin(); it != all.rend() && it->first / kSlot >= cut; ++it)
      (it->first / kSlot > cut ? behind : in_cut) += it->second;
    ASSERT_GE(window.Sum(now, length), behind) << "step " << i;
    ASSERT_LE(window.Sum(now, length), behind + in_cut) << "step " << i;
  }
}

TEST(UsageWindow, AnAmountBeyondASlotIsCountedAsMuchAsASlotHolds) {
  UsageWindow window;
  window.Add(100 * kSecond, INT64_MAX);
  window.Add(100 * kSecond, INT64_MAX);
  EXPECT_EQ(window.Sum(100 * kSecond), UINT32_MAX);
  window.Add(130 * kSecond, 1);
  EXPECT_EQ(window.Sum(130 * kSecond), std::uint64_t{UINT32_MAX} + 1);
  EXPECT_EQ(window.Sum(161 * kSecond), 1u);
  window.Add(161 * kSecond, 1);
  EXPECT_EQ(window.Sum(161 * kSecond, kSecond), 1u);
}

TEST(UsageWindow, ASteadyFlowShowsAllOfItAtEachMoment) {
  UsageWindow window;
  std::uint64_t now = 100 * kSecond;
  for (int i = 0; i < 3'000; i++) {
    now += kSecond * 60 / 450;
    window.Add(now, 1);
    if (i > 460) {
      ASSERT_NEAR(static_cast<double>(window.Sum(now)), 450, 1.01) << "step " << i;
    }
  }
}

TEST(LatencyHistogram, EmptyHasNoPercentiles) {
  EXPECT_EQ(LatencyHistogram().Percentile(0.5), 0u);
}

TEST(LatencyHistogram, PercentilesAreWithinASixteenth) {
  std::mt19937_64 random(5);
  LatencyHistogram histogram;
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 50'000; i++) {
    const std::uint64_t value = random() % (1 + random() % 100'000);
    histogram.Add(value);
    all.push_back(value);
  }
  std::sort(all.begin(), all.end());
  for (const double share : {0.01, 0.5, 0.9, 0.95, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(all.size()));
    const double exact = static_cast<double>(all[rank]);
    const double found = static_cast<double>(histogram.Percentile(share));
    EXPECT_GE(found, exact * 0.99 - 1) << share;
    EXPECT_LE(found, exact * (1 + 1.0 / 16) + 1) << share;
  }
}

TEST(LatencyHistogram, EveryValueLandsInABucketThatHoldsIt) {
  for (std::uint64_t value = 0; value < 4'000'000; value += 1 + value / 50) {
    LatencyHistogram histogram;
    histogram.Add(value);
    const std::uint64_t edge = histogram.Percentile(1);
    ASSERT_GE(edge, value);
    ASSERT_LE(edge, value + value / 16 + 1);
  }
}

TEST(LatencyHistogram, AbsurdValuesAreKeptInTheLastBucket) {
  LatencyHistogram histogram;
  histogram.Add(~std::uint64_t{0});
  EXPECT_GT(histogram.Percentile(0.5), 4'000'000u);
}

}  // namespace
}  // namespace product_optimizer
