/*
 * token_bucket.h
 *   A rate limit whose whole state is one 64-bit word: the instant at which the bucket will be full
 *   again (the generic cell rate algorithm's theoretical arrival time).  Pure arithmetic: the caller
 *   passes the word and the time, and stores the word it gets back, under a lock or by
 *   compare-and-swap.
 *
 *   What is granted in any span of w nanoseconds never exceeds burst + w · amount / period: a cost is
 *   rounded up.  Time may step backwards: the bucket then only looks fuller of work.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace product_optimizer {

/*
 * `amount` units per `period_ns`, of which up to `burst` at once.  All three ≥ 1.  A single request for more,
 * up to `largest`, passes when the bucket is full, and leaves it in debt.
 */
struct Rate {
  std::uint64_t amount;
  std::uint64_t period_ns;
  std::uint64_t burst;
  std::uint64_t largest = 0; /* below burst: as burst */
};

struct Take {
  bool granted;
  std::uint64_t next;    /* the word to store; the old one when not granted */
  std::uint64_t wait_ns; /* until the same can be granted; 0 when granted, kNever when it never fits */
};

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

constexpr std::uint64_t SaturatingAdd(std::uint64_t a, std::uint64_t b) {
  return a > kNever - b ? kNever : a + b;
}

constexpr std::uint64_t SaturatingSubtract(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

/* The time that n units take to flow in, rounded up or down, saturating. */
constexpr std::uint64_t FlowTime(const Rate& rate, std::uint64_t n, bool round_up) {
  const unsigned __int128 product = static_cast<unsigned __int128>(n) * rate.period_ns;
  const unsigned __int128 time = (product + (round_up ? rate.amount - 1 : 0)) / rate.amount;
  return time > kNever ? kNever : static_cast<std::uint64_t>(time);
}

constexpr Take TryTake(std::uint64_t word, std::uint64_t now_ns, const Rate& rate, std::uint64_t n) {
  const std::uint64_t room = std::max(rate.burst, n);
  if (n > rate.burst && n > rate.largest) return {false, word, kNever};
  const std::uint64_t full_at = SaturatingAdd(std::max(word, now_ns), FlowTime(rate, n, true));
  /* Rounded up as a cost is, so that a whole burst fits; it adds less than a nanosecond of flow. */
  const std::uint64_t horizon = SaturatingAdd(now_ns, FlowTime(rate, room, true));
  if (full_at <= horizon) return {true, full_at, 0};
  return {false, word, full_at - horizon};
}

/* The word after n units were used that nobody had asked for: it may go into debt. */
constexpr std::uint64_t Charge(std::uint64_t word, std::uint64_t now_ns, const Rate& rate, std::uint64_t n) {
  return SaturatingAdd(std::max(word, now_ns), FlowTime(rate, n, true));
}

/* The word of a bucket that holds nothing. */
constexpr std::uint64_t EmptyBucket(std::uint64_t now_ns, const Rate& rate) {
  return SaturatingAdd(now_ns, FlowTime(rate, rate.burst, true));
}

/* How many units could be taken right now. */
constexpr std::uint64_t Available(std::uint64_t word, std::uint64_t now_ns, const Rate& rate) {
  const std::uint64_t horizon = SaturatingAdd(now_ns, FlowTime(rate, rate.burst, true));
  if (word >= horizon) return 0;
  const unsigned __int128 time = horizon - std::max(word, now_ns);
  return std::min(rate.burst, static_cast<std::uint64_t>(time * rate.amount / rate.period_ns));
}

}  // namespace product_optimizer
