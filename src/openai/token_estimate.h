/*
 * token_estimate.h
 *   Bytes become tokens: a guess before the request, corrected by what the server counted.
 */
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace product_optimizer {

/* Prompt tokens of a text of so many bytes in so many messages, before any correction. */
constexpr std::int64_t EstimatePromptTokens(std::size_t bytes, std::size_t messages) {
  return static_cast<std::int64_t>((bytes + 2) / 3 + 4 * messages + 3);
}

/* A moving average of real / estimated prompt tokens, clamped to 0.5 … 3. */
class TokenFactor {
 public:
  double value() const { return value_; }

  void Learn(std::int64_t estimated, std::int64_t real) {
    if (estimated <= 0 || real <= 0) return;
    const double ratio = static_cast<double>(real) / static_cast<double>(estimated);
    value_ = std::clamp(value_ + (std::clamp(ratio, 0.5, 3.0) - value_) * kWeight, 0.5, 3.0);
  }

 private:
  static constexpr double kWeight = 0.05;
  double value_ = 1.0;
};

/* A high percentile of a stream of numbers, without keeping them: rises at once, sinks slowly. */
class HighWater {
 public:
  /* Before anything was seen: the fallback. */
  std::int64_t Value(std::int64_t fallback) const {
    return seen_ ? static_cast<std::int64_t>(value_) : fallback;
  }

  void Learn(std::int64_t number) {
    if (number < 0) return;
    const double now = static_cast<double>(number);
    value_ = !seen_ || now > value_ ? now : value_ + (now - value_) * kSink;
    seen_ = true;
  }

 private:
  static constexpr double kSink = 0.005;
  bool seen_ = false;
  double value_ = 0;
};

/* What to reserve for an answer: a reply may have counted wrongly, so what was learned never asks for more
 * than there can be room for, unless the cap itself does. */
inline std::int64_t AnswerTokens(const HighWater& learned, std::int64_t cap, std::int64_t room) {
  return std::min(learned.Value(cap), std::max(cap, room));
}

}  // namespace product_optimizer
