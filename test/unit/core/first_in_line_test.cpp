#include "core/first_in_line.h"

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kNow = 1000 * kMs;
constexpr std::uint64_t kDue = 5000 * kMs;

class FirstInLineTest : public ::testing::Test {
 protected:
  FirstInLineTest() { line.Refused("gpt", 7, "shoes", {10, 3}, kDue); }
  FirstInLine line;
};

TEST_F(FirstInLineTest, WhoComesBehindItWaitsUntilItCanPass) {
  EXPECT_EQ(line.BehindUntilNs("gpt", "hats", {10, 4}, kNow), kDue);
  EXPECT_EQ(line.BehindUntilNs("gpt", "hats", {10.5, 1}, kNow), kDue);
  EXPECT_EQ(line.DueNs("gpt"), kDue);
}

TEST_F(FirstInLineTest, WhoComesBeforeItGoesFirst) {
  EXPECT_EQ(line.BehindUntilNs("gpt", "hats", {10, 2}, kNow), 0U);
  EXPECT_EQ(line.BehindUntilNs("gpt", "hats", {9.5, 8}, kNow), 0U);
}

/* A row of higher priority came in its own store: it is not reached before that one has left. */
TEST_F(FirstInLineTest, NothingOfItsOwnStoreWaitsForIt) {
  EXPECT_EQ(line.BehindUntilNs("gpt", "shoes", {10, 3}, kNow), 0U);
  EXPECT_EQ(line.BehindUntilNs("gpt", "shoes", {11, 9}, kDue), 0U);
}

TEST_F(FirstInLineTest, OtherModelsDoNotWaitForIt) {
  EXPECT_EQ(line.BehindUntilNs("mini", "hats", {11, 9}, kNow), 0U);
  EXPECT_EQ(line.DueNs("mini"), 0U);
}

TEST_F(FirstInLineTest, NobodyWaitsAnyMoreOnceItHasPassed) {
  line.Passed("gpt", 8);
  line.Passed("mini", 7);
  EXPECT_NE(line.BehindUntilNs("gpt", "hats", {11, 9}, kNow), 0U);
  line.Passed("gpt", 7);
  EXPECT_EQ(line.BehindUntilNs("gpt", "hats", {11, 9}, kNow), 0U);
  EXPECT_EQ(line.DueNs("gpt"), 0U);
}

/* It may be gone: when it does not come in time, it is no longer waited for. */
TEST_F(FirstInLineTest, IsWaitedForAFifthOfASecondBehindItsTime) {
  EXPECT_EQ(line.BehindUntilNs("gpt", "hats", {11, 9}, kDue + 199 * kMs), kDue + 219 * kMs);
  EXPECT_EQ(line.BehindUntilNs("gpt", "hats", {11, 9}, kDue + 200 * kMs), 0U);
  EXPECT_EQ(line.DueNs("gpt"), 0U);
}

TEST_F(FirstInLineTest, TheLatestRefusalCounts) {
  line.Refused("gpt", 9, "hats", {8, 1}, 2 * kDue);
  EXPECT_EQ(line.BehindUntilNs("gpt", "shoes", {10, 3}, kNow), 2 * kDue);
}

TEST_F(FirstInLineTest, DoesNotGrowWithTheNamesThatJobsThinkOf) {
  for (int i = 0; i < 5000; i++) line.Refused("model-" + std::to_string(i), i, "hats", {8, 1}, kDue);
  int remembered = 0;
  for (int i = 0; i < 5000; i++) remembered += line.DueNs("model-" + std::to_string(i)) != 0 ? 1 : 0;
  EXPECT_LE(remembered, 1001);
  EXPECT_GE(remembered, 1);
}

}  // namespace
}  // namespace product_optimizer
