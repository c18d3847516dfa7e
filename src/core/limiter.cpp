#include "core/limiter.h"

#include <algorithm>
#include <cmath>

namespace product_optimizer {

namespace {

constexpr std::uint64_t kMinuteNs = 60'000'000'000;
constexpr double kSmallestShare = 1.0 / 64;
constexpr double kRegrowthNs = 10.0 * kMinuteNs; /* from nothing back to the whole rate */

/* The server's wish for a lower rate stretches the period; the burst stays what it was or shrinks with it. */
Rate RateOf(std::int64_t per_minute, double burst_seconds, double share) {
  const double effective = std::max(1.0, std::floor(static_cast<double>(per_minute) * share));
  const double burst = std::max(1.0, std::floor(effective * burst_seconds / 60));
  return {static_cast<std::uint64_t>(effective), kMinuteNs, static_cast<std::uint64_t>(burst)};
}

Rate RequestRate(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns) {
  return RateOf(limits.requests_per_minute, limits.burst_seconds, EffectiveShare(bucket, now_ns));
}

/* Tokens keep their whole burst when slowed down, so that a large item that fits today also fits then. */
Rate TokenRate(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns) {
  Rate rate = RateOf(limits.tokens_per_minute, limits.burst_seconds, EffectiveShare(bucket, now_ns));
  rate.burst = RateOf(limits.tokens_per_minute, limits.burst_seconds, 1).burst;
  return rate;
}

Verdict Later(Gate gate, std::uint64_t wait_ns) {
  return {wait_ns == kNever ? Gate::kNeverFits : gate, wait_ns};
}

}  // namespace

double EffectiveShare(const Bucket& bucket, std::uint64_t now_ns) {
  if (bucket.slowed_at_ns == 0) return 1;
  const double grown = static_cast<double>(SaturatingSubtract(now_ns, bucket.slowed_at_ns)) / kRegrowthNs;
  return std::min(1.0, bucket.slow_factor + grown);
}

void StartEmpty(Bucket& bucket, const Limits& limits, std::uint64_t now_ns) {
  bucket = Bucket{};
  bucket.slow_factor = 1;
  if (limits.requests_per_minute > 0)
    bucket.requests_full_at = EmptyBucket(now_ns, RequestRate(bucket, limits, now_ns));
  if (limits.tokens_per_minute > 0)
    bucket.tokens_full_at = EmptyBucket(now_ns, TokenRate(bucket, limits, now_ns));
}

Verdict Check(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
              std::int64_t tokens) {
  Verdict longest;
  const auto consider = [&longest](Gate gate, std::uint64_t wait_ns) {
    if (wait_ns > longest.wait_ns) longest = Later(gate, wait_ns);
  };
  consider(Gate::kHoldOff, SaturatingSubtract(bucket.hold_until_ns, now_ns));
  if (limits.requests_per_minute > 0 && requests > 0)
    consider(Gate::kRequests, TryTake(bucket.requests_full_at, now_ns, RequestRate(bucket, limits, now_ns),
                                      static_cast<std::uint64_t>(requests))
                                  .wait_ns);
  if (limits.tokens_per_minute > 0 && tokens > 0)
    consider(Gate::kTokens, TryTake(bucket.tokens_full_at, now_ns, TokenRate(bucket, limits, now_ns),
                                    static_cast<std::uint64_t>(tokens))
                                .wait_ns);
  return longest;
}

Verdict Acquire(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
                std::int64_t tokens) {
  const Verdict verdict = Check(bucket, limits, now_ns, requests, tokens);
  if (verdict.gate != Gate::kOpen) return verdict;
  if (limits.requests_per_minute > 0)
    bucket.requests_full_at = Charge(bucket.requests_full_at, now_ns, RequestRate(bucket, limits, now_ns),
                                     static_cast<std::uint64_t>(requests));
  if (limits.tokens_per_minute > 0)
    bucket.tokens_full_at = Charge(bucket.tokens_full_at, now_ns, TokenRate(bucket, limits, now_ns),
                                   static_cast<std::uint64_t>(tokens));
  bucket.requests_used.Add(now_ns, requests);
  bucket.tokens_used.Add(now_ns, tokens);
  return verdict;
}

void Refund(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
            std::int64_t tokens) {
  if (limits.requests_per_minute > 0)
    bucket.requests_full_at = GiveBack(bucket.requests_full_at, RequestRate(bucket, limits, now_ns),
                                       static_cast<std::uint64_t>(requests));
  if (limits.tokens_per_minute > 0)
    bucket.tokens_full_at = GiveBack(bucket.tokens_full_at, TokenRate(bucket, limits, now_ns),
                                     static_cast<std::uint64_t>(tokens));
  bucket.requests_used.Add(now_ns, -requests);
  bucket.tokens_used.Add(now_ns, -tokens);
}

void SettleTokens(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t reserved,
                  std::int64_t used) {
  if (reserved >= used) {
    Refund(bucket, limits, now_ns, 0, reserved - used);
    return;
  }
  if (limits.tokens_per_minute > 0)
    bucket.tokens_full_at = Charge(bucket.tokens_full_at, now_ns, TokenRate(bucket, limits, now_ns),
                                   static_cast<std::uint64_t>(used - reserved));
  bucket.tokens_used.Add(now_ns, used - reserved);
}

void Restamp(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
             std::int64_t tokens) {
  if (limits.requests_per_minute > 0)
    bucket.requests_full_at = std::max(
        bucket.requests_full_at,
        Charge(0, now_ns, RequestRate(bucket, limits, now_ns), static_cast<std::uint64_t>(requests)));
  if (limits.tokens_per_minute > 0)
    bucket.tokens_full_at =
        std::max(bucket.tokens_full_at,
                 Charge(0, now_ns, TokenRate(bucket, limits, now_ns), static_cast<std::uint64_t>(tokens)));
}

void HoldOff(Bucket& bucket, std::uint64_t now_ns, std::uint64_t wait_ns, bool slow_down) {
  bucket.hold_until_ns = std::max(bucket.hold_until_ns, SaturatingAdd(now_ns, wait_ns));
  if (!slow_down) return;
  bucket.slow_factor = std::max(kSmallestShare, EffectiveShare(bucket, now_ns) / 2);
  bucket.slowed_at_ns = std::max<std::uint64_t>(now_ns, 1);
}

std::int64_t LargestTokens(const Limits& limits) {
  if (limits.tokens_per_minute <= 0) return INT64_MAX;
  return static_cast<std::int64_t>(RateOf(limits.tokens_per_minute, limits.burst_seconds, 1).burst);
}

std::int64_t AvailableRequests(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns) {
  if (bucket.hold_until_ns > now_ns) return 0;
  if (limits.requests_per_minute <= 0) return INT64_MAX;
  return static_cast<std::int64_t>(
      Available(bucket.requests_full_at, now_ns, RequestRate(bucket, limits, now_ns)));
}

std::int64_t AvailableTokens(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns) {
  if (bucket.hold_until_ns > now_ns) return 0;
  if (limits.tokens_per_minute <= 0) return INT64_MAX;
  return static_cast<std::int64_t>(
      Available(bucket.tokens_full_at, now_ns, TokenRate(bucket, limits, now_ns)));
}

}  // namespace product_optimizer
