/*
 * retry_policy.h
 *   From what became of a request to what becomes of its row.  Pure: the random number is a parameter.
 */
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/outcome.h"

namespace product_optimizer {

struct RetrySettings {
  std::int64_t base_delay_ms = 1000; /* ≥ 1 */
  std::int64_t max_delay_ms = 60000; /* ≥ base_delay_ms */
};

enum class Action {
  kComplete, /* RUNNING → DONE */
  kRetry,    /* RUNNING → SCHEDULED after delay_ms; the attempt counts */
  kRelease,  /* RUNNING → PENDING; the attempt does not count */
  kFail,     /* RUNNING → FAILED */
};

struct Decision {
  Action action = Action::kFail;
  std::int64_t delay_ms = 0;    /* kRetry only */
  std::int64_t hold_off_ms = 0; /* > 0: nobody sends to this model for so long */
  bool block_queue = false;     /* nothing more is sent until it heals */
};

/*
 * attempt: claims so far, this one included, or hold-offs in a row (≥ 1).  was_truncated: the attempt before
 * this one was already truncated.  random: uniform in [0, 1). Retry waits the server's word when there is
 * one, else min(base·2^(attempt-1), max), half of it fixed and half of it random; it fails once attempt ≥
 * max_attempts.  A server whose word was obeyed four times in a row in vain is no longer believed: from then
 * on a hold-off also lasts min(base·2^(attempt-5), max).
 */
Decision Decide(const Outcome& outcome, int attempt, int max_attempts, bool was_truncated,
                const RetrySettings& settings, double random);

/* Of hold-offs: how many in a row.  Zero is none. */
class HoldOffsInARow {
 public:
  /* Another one: what had left before the last was heard belongs to that. */
  int Count(std::uint64_t left_at_ns, std::uint64_t now_ns) {
    if (count_ == 0 || left_at_ns >= heard_at_ns_) {
      count_ = std::min(count_ + 1, 1000);
      heard_at_ns_ = now_ns;
    }
    return count_;
  }
  /* The server let something through that left after the last one was heard. */
  void End(std::uint64_t left_at_ns) {
    if (left_at_ns >= heard_at_ns_) count_ = 0;
  }

 private:
  int count_ = 0;
  std::uint64_t heard_at_ns_ = 0;
};

/* A pause that doubles each time, from first up to longest. */
inline std::uint64_t Doubling(std::uint64_t first, std::uint64_t longest, int times) {
  return times >= 16 ? longest : std::min(longest, first << times);
}

}  // namespace product_optimizer
