#include "core/turn_taking.h"

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kPatience = 5'000'000;

TEST(TurnTaking, AloneNobodyWaits) {
  TurnTaking turns{};
  for (std::uint64_t now = 0; now < 100'000'000; now += 10'000'000) {
    EXPECT_EQ(YieldNs(turns, 1, now, kPatience), 0u);
    NoteTaken(turns, 1);
    NoteRefused(turns, 1, now, 10'000'000, kPatience);
  }
}

TEST(TurnTaking, WhoTookLastLetsTheRefusedOneGoFirst) {
  TurnTaking turns{};
  NoteTaken(turns, 1);
  NoteRefused(turns, 2, 0, 100'000'000, kPatience);
  EXPECT_EQ(YieldNs(turns, 1, 50'000'000, kPatience), 0u) << "its time has not come";
  EXPECT_EQ(YieldNs(turns, 1, 100'000'000, kPatience), kPatience);
  EXPECT_EQ(YieldNs(turns, 2, 100'000'000, kPatience), 0u);
  NoteTaken(turns, 2);
  EXPECT_EQ(YieldNs(turns, 1, 100'000'000, kPatience), 0u) << "it has had its turn";
}

TEST(TurnTaking, WhoDoesNotComeIsNotWaitedForAgain) {
  TurnTaking turns{};
  NoteTaken(turns, 1);
  NoteRefused(turns, 2, 0, 100'000'000, kPatience);
  EXPECT_EQ(YieldNs(turns, 1, 105'000'000, kPatience), 0u);
  NoteRefused(turns, 1, 106'000'000, 10'000'000, kPatience);
  NoteTaken(turns, 1);
  EXPECT_EQ(YieldNs(turns, 1, 116'000'000, kPatience), 0u);
}

/* Two that wake at the same instants, one always a little earlier: by luck it would get everything. */
TEST(TurnTaking, TwoShareEvenlyHoweverTheyWake) {
  TurnTaking turns{};
  int taken[3] = {0, 0, 0};
  constexpr std::uint64_t kInterval = 133'000'000;
  std::uint64_t next_permit = 0;
  for (std::uint64_t now = 0; now < 200 * kInterval; now += 1'000'000) {
    for (std::uint32_t who : {1u, 2u}) {
      if (YieldNs(turns, who, now, kPatience) > 0) continue;
      if (now < next_permit) {
        NoteRefused(turns, who, now, next_permit - now, kPatience);
        continue;
      }
      next_permit = now + kInterval;
      NoteTaken(turns, who);
      taken[who]++;
    }
  }
  EXPECT_NEAR(taken[1], taken[2], 1);
  EXPECT_GT(taken[1] + taken[2], 197);
}

TEST(TurnTaking, PatienceIsHalfOfWhatARequestTakesAtMostTwentyMilliseconds) {
  EXPECT_EQ(TurnPatienceNs(450), 20'000'000u);
  EXPECT_EQ(TurnPatienceNs(30'000), 1'000'000u);
  EXPECT_EQ(TurnPatienceNs(0), 20'000'000u);
  EXPECT_EQ(TurnPatienceNs(INT64_MAX), 0u);
}

}  // namespace
}  // namespace product_optimizer
