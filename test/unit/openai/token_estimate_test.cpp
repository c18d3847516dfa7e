/*
 * token_estimate_test.cpp
 *   The guess and what it learns.
 */
#include "openai/token_estimate.h"

#include <gtest/gtest.h>

#include <limits>

namespace product_optimizer {
namespace {

TEST(TokenEstimateTest, CountsBytesAndMessages) {
  EXPECT_EQ(EstimatePromptTokens(0, 0), 3);
  EXPECT_EQ(EstimatePromptTokens(1, 0), 4);
  EXPECT_EQ(EstimatePromptTokens(3, 0), 4);
  EXPECT_EQ(EstimatePromptTokens(4, 0), 5);
  EXPECT_EQ(EstimatePromptTokens(300, 2), 111);
}

TEST(TokenEstimateTest, FactorMovesTowardsWhatWasCounted) {
  TokenFactor factor;
  EXPECT_DOUBLE_EQ(factor.value(), 1.0);
  factor.Learn(100, 200);
  EXPECT_DOUBLE_EQ(factor.value(), 1.05);
  for (int i = 0; i < 500; ++i) factor.Learn(100, 200);
  EXPECT_NEAR(factor.value(), 2.0, 0.001);
}

TEST(TokenEstimateTest, FactorStaysInItsRange) {
  TokenFactor high;
  for (int i = 0; i < 1000; ++i) high.Learn(1, std::numeric_limits<std::int64_t>::max());
  EXPECT_LE(high.value(), 3.0);
  EXPECT_NEAR(high.value(), 3.0, 0.001);
  TokenFactor low;
  for (int i = 0; i < 1000; ++i) low.Learn(std::numeric_limits<std::int64_t>::max(), 1);
  EXPECT_GE(low.value(), 0.5);
  EXPECT_NEAR(low.value(), 0.5, 0.001);
}

TEST(TokenEstimateTest, FactorIgnoresNonsense) {
  TokenFactor factor;
  factor.Learn(0, 100);
  factor.Learn(100, 0);
  factor.Learn(-5, 100);
  factor.Learn(100, -5);
  EXPECT_DOUBLE_EQ(factor.value(), 1.0);
}

TEST(TokenEstimateTest, WhatWasLearnedLeavesRoom) {
  HighWater learned;
  EXPECT_EQ(AnswerTokens(learned, 900, 2000), 900);
  learned.Learn(1500);
  EXPECT_EQ(AnswerTokens(learned, 900, 2000), 1500);
  learned.Learn(std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(AnswerTokens(learned, 900, 2000), 2000);
  EXPECT_EQ(AnswerTokens(learned, 900, 500), 900); /* the cap itself is too large */
  EXPECT_EQ(AnswerTokens(learned, 900, -500), 900);
}

}  // namespace
}  // namespace product_optimizer
