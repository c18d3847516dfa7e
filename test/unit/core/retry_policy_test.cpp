/*
 * retry_policy_test.cpp
 *   Every kind of outcome, and back-off at the edges of its numbers.
 */
#include "core/retry_policy.h"

#include <gtest/gtest.h>

#include <limits>

namespace product_optimizer {
namespace {

constexpr double kAlmostOne = 0.9999999999;
const RetrySettings kSettings = {1000, 60000};

Outcome Make(OutcomeKind kind) {
  Outcome outcome;
  outcome.kind = kind;
  return outcome;
}

std::int64_t Delay(int attempt, double random, const RetrySettings& settings = kSettings) {
  const Decision decision = Decide(Make(OutcomeKind::kRetry), attempt, 100, false, settings, random);
  EXPECT_EQ(decision.action, Action::kRetry);
  return decision.delay_ms;
}

TEST(RetryPolicyTest, DoneCompletesAndFailFails) {
  EXPECT_EQ(Decide(Make(OutcomeKind::kDone), 1, 1, false, kSettings, 0).action, Action::kComplete);
  const Decision fail = Decide(Make(OutcomeKind::kFail), 1, 5, false, kSettings, 0);
  EXPECT_EQ(fail.action, Action::kFail);
  EXPECT_FALSE(fail.block_queue);
  EXPECT_EQ(fail.delay_ms, 0);
  EXPECT_EQ(fail.hold_off_ms, 0);
}

TEST(RetryPolicyTest, RetriesUntilTheLastAttempt) {
  EXPECT_EQ(Decide(Make(OutcomeKind::kRetry), 4, 5, false, kSettings, 0).action, Action::kRetry);
  EXPECT_EQ(Decide(Make(OutcomeKind::kRetry), 5, 5, false, kSettings, 0).action, Action::kFail);
  EXPECT_EQ(Decide(Make(OutcomeKind::kRetry), 6, 5, false, kSettings, 0).action, Action::kFail);
  EXPECT_EQ(Decide(Make(OutcomeKind::kRetry), 5, 5, false, kSettings, 0).delay_ms, 0);
}

TEST(RetryPolicyTest, BackOffDoublesHalfOfItRandom) {
  EXPECT_EQ(Delay(1, 0.0), 500);
  EXPECT_EQ(Delay(1, 0.5), 750);
  EXPECT_EQ(Delay(1, kAlmostOne), 999);
  EXPECT_EQ(Delay(2, 0.0), 1000);
  EXPECT_EQ(Delay(6, 0.0), 16000);
  EXPECT_EQ(Delay(7, 0.0), 30000) << "64 s are cut at the maximum";
  EXPECT_EQ(Delay(99, kAlmostOne), 59999);
}

TEST(RetryPolicyTest, BackOffSurvivesAnyNumber) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(Delay(std::numeric_limits<int>::min(), 0.0), 500);
  EXPECT_EQ(Decide(Make(OutcomeKind::kRetry), std::numeric_limits<int>::max() - 1,
                   std::numeric_limits<int>::max(), false, {3, kMax}, 0.0)
                .delay_ms,
            kMax - kMax / 2);
  EXPECT_EQ(Delay(3, 0.0, {0, 0}), 1) << "settings below their range";
  EXPECT_EQ(Delay(3, 0.0, {-5, -9}), 1);
  EXPECT_EQ(Delay(1, std::numeric_limits<double>::quiet_NaN()), 500);
  EXPECT_EQ(Delay(1, 1.0), 500);
  EXPECT_EQ(Delay(1, 1e300), 500);
  EXPECT_EQ(Delay(1, -1.0), 500);
}

TEST(RetryPolicyTest, TheServersWordWinsOverBackOff) {
  Outcome outcome = Make(OutcomeKind::kRetry);
  outcome.retry_after_ms = 123456;
  EXPECT_EQ(Decide(outcome, 1, 5, false, kSettings, 0.5).delay_ms, 123456);
  outcome.retry_after_ms = 0;
  EXPECT_EQ(Decide(outcome, 1, 5, false, kSettings, 0.5).delay_ms, 0);
  outcome.retry_after_ms = -7;
  EXPECT_EQ(Decide(outcome, 1, 5, false, kSettings, 0.5).delay_ms, 0);
}

TEST(RetryPolicyTest, TruncatedIsTriedOnceMore) {
  EXPECT_EQ(Decide(Make(OutcomeKind::kTruncated), 1, 5, false, kSettings, 0).action, Action::kRetry);
  EXPECT_EQ(Decide(Make(OutcomeKind::kTruncated), 2, 5, true, kSettings, 0).action, Action::kFail);
  EXPECT_EQ(Decide(Make(OutcomeKind::kTruncated), 5, 5, false, kSettings, 0).action, Action::kFail);
  EXPECT_EQ(Decide(Make(OutcomeKind::kRetry), 2, 5, true, kSettings, 0).action, Action::kRetry)
      << "another failure after a truncated answer";
}

TEST(RetryPolicyTest, HoldOffReleasesEvenAtTheLastAttempt) {
  Outcome outcome = Make(OutcomeKind::kHoldOff);
  outcome.retry_after_ms = 174;
  Decision decision = Decide(outcome, 1, 1, false, kSettings, 0.5);
  EXPECT_EQ(decision.action, Action::kRelease);
  EXPECT_EQ(decision.hold_off_ms, 174);
  EXPECT_EQ(decision.delay_ms, 0);
  EXPECT_FALSE(decision.block_queue);
  outcome.retry_after_ms.reset();
  EXPECT_EQ(Decide(outcome, 1, 5, false, kSettings, 0.5).hold_off_ms, 750);
  outcome.retry_after_ms = 0;
  EXPECT_EQ(Decide(outcome, 1, 5, false, kSettings, 0.5).hold_off_ms, 1) << "zero would mean no hold-off";
}

TEST(RetryPolicyTest, BlockReleasesAndBlocks) {
  const Decision decision = Decide(Make(OutcomeKind::kBlock), 5, 5, false, kSettings, 0.5);
  EXPECT_EQ(decision.action, Action::kRelease);
  EXPECT_TRUE(decision.block_queue);
  EXPECT_EQ(decision.hold_off_ms, 0);
}

TEST(HoldOffsInARow, OfThoseThatLeftTogetherOneCounts) {
  HoldOffsInARow hold_offs;
  EXPECT_EQ(hold_offs.Count(10, 20), 1);
  EXPECT_EQ(hold_offs.Count(11, 21), 1);
  EXPECT_EQ(hold_offs.Count(30, 40), 2);
  hold_offs.End(39); /* it had left before */
  EXPECT_EQ(hold_offs.Count(50, 60), 3);
  hold_offs.End(70);
  EXPECT_EQ(hold_offs.Count(65, 80), 1);
}

TEST(HoldOffsInARow, WithoutAWaitOfTheServersThePauseDoubles) {
  HoldOffsInARow hold_offs;
  Outcome outcome;
  outcome.kind = OutcomeKind::kHoldOff;
  std::uint64_t now = 1;
  std::int64_t last = 0;
  for (const std::int64_t most : {1000, 2000, 4000, 8000}) {
    const Decision decision = Decide(outcome, hold_offs.Count(now, now + 1), 5, false, {1000, 60'000}, 0.999);
    EXPECT_LE(decision.hold_off_ms, most);
    EXPECT_GT(decision.hold_off_ms, last);
    last = decision.hold_off_ms;
    now += 2;
  }
}

TEST(HoldOffsInARow, AWaitOfTheServersIsBelievedFourTimes) {
  Outcome outcome;
  outcome.kind = OutcomeKind::kHoldOff;
  outcome.retry_after_ms = 0;
  const RetrySettings settings{1000, 60'000};
  for (int row = 1; row <= 4; row++) EXPECT_EQ(Decide(outcome, row, 5, false, settings, 0).hold_off_ms, 1);
  EXPECT_EQ(Decide(outcome, 5, 5, false, settings, 0).hold_off_ms, 500);
  EXPECT_EQ(Decide(outcome, 6, 5, false, settings, 0).hold_off_ms, 1000);
  EXPECT_EQ(Decide(outcome, 1000, 5, false, settings, 0).hold_off_ms, 30'000);
  outcome.retry_after_ms = 90'000;
  EXPECT_EQ(Decide(outcome, 1000, 5, false, settings, 0).hold_off_ms, 90'000) << "the longer one";
}

}  // namespace
}  // namespace product_optimizer
