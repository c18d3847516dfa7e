/*
 * retry_policy.cpp
 *   The table of the header, and a back-off that no number can break.
 */
#include "core/retry_policy.h"

#include <algorithm>

namespace product_optimizer {
namespace {

/* So many waits of the server's in a row are obeyed and no more. */
constexpr int kBelieved = 4;

/* min(base·2^(attempt-1), max), of which the random half spreads those who failed together. */
std::int64_t BackOffMs(int attempt, const RetrySettings& settings, double random) {
  const std::int64_t base = std::max<std::int64_t>(settings.base_delay_ms, 1);
  const std::int64_t max = std::max(settings.max_delay_ms, base);
  std::int64_t delay = base;
  for (int i = 1; i < attempt && delay < max; ++i) delay = delay > max / 2 ? max : delay * 2;
  const std::int64_t spread = delay / 2;
  const double share = random >= 0.0 && random < 1.0 ? random : 0.0; /* NaN fails both */
  return delay - spread + static_cast<std::int64_t>(static_cast<double>(spread) * share);
}

}  // namespace

Decision Decide(const Outcome& outcome, int attempt, int max_attempts, bool was_truncated,
                const RetrySettings& settings, double random) {
  Decision decision;
  const auto wait = [&] { return outcome.retry_after_ms.value_or(BackOffMs(attempt, settings, random)); };
  switch (outcome.kind) {
    case OutcomeKind::kDone:
      decision.action = Action::kComplete;
      break;
    case OutcomeKind::kTruncated:
      /* Once more with a larger cap; a second cut tells that a larger one does not help either. */
    case OutcomeKind::kRetry:
      if (attempt < max_attempts && !(outcome.kind == OutcomeKind::kTruncated && was_truncated)) {
        decision.action = Action::kRetry;
        decision.delay_ms = std::max<std::int64_t>(wait(), 0);
      }
      break;
    case OutcomeKind::kHoldOff:
      decision.action = Action::kRelease;
      decision.hold_off_ms = std::max<std::int64_t>(wait(), 1);
      if (attempt > kBelieved)
        decision.hold_off_ms =
            std::max(decision.hold_off_ms, BackOffMs(attempt - kBelieved, settings, random));
      break;
    case OutcomeKind::kBlock:
      decision.action = Action::kRelease;
      decision.block_queue = true;
      break;
    case OutcomeKind::kFail:
      break;
  }
  return decision;
}

}  // namespace product_optimizer
