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

/* When slowed down, a large item that fits today still fits: into a bucket that is full. */
Rate TokenRate(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns) {
  Rate rate = RateOf(limits.tokens_per_minute, limits.burst_seconds, EffectiveShare(bucket, now_ns));
  rate.largest = static_cast<std::uint64_t>(LargestTokens(limits));
  return rate;
}

/* The word as if what is on its way out had left. */
std::uint64_t WithUnsent(const Meter& meter, std::uint64_t now_ns, const Rate& rate) {
  return meter.unsent == 0 ? meter.full_at : Charge(meter.full_at, now_ns, rate, meter.unsent);
}

/* Until n more fit beside what is on its way out; exact when that leaves at once. */
std::uint64_t WaitFor(const Meter& meter, std::uint64_t now_ns, const Rate& rate, std::uint64_t n) {
  return TryTake(WithUnsent(meter, now_ns, rate), now_ns, rate, n).wait_ns;
}

void ChargeMeter(Meter& meter, std::uint64_t now_ns, const Rate& rate, std::uint64_t n) {
  meter.levels.Observe(meter.full_at, now_ns);
  meter.levels.Charged(rate.amount);
  meter.full_at = Charge(meter.full_at, now_ns, rate, n);
}

/* The opposite of a charge at that time, as if it had never been; where the rate has changed, not more. */
void Uncharge(Meter& meter, std::uint64_t now_ns, std::uint64_t charged_at_ns, Rate rate, std::uint64_t n) {
  meter.levels.Observe(meter.full_at, now_ns);
  rate.amount = std::max(rate.amount, meter.levels.FastestSince(charged_at_ns));
  const std::uint64_t back = std::min(FlowTime(rate, n, false), meter.levels.LowestSince(charged_at_ns));
  meter.full_at = SaturatingSubtract(meter.full_at, back);
  meter.levels.Lower(charged_at_ns, back);
}

/* Nothing is left at that time, so that the flow then begins anew. */
void EmptyUntil(Meter& meter, std::uint64_t now_ns, std::uint64_t until_ns, const Rate& rate) {
  meter.levels.Observe(meter.full_at, now_ns);
  meter.full_at = std::max(meter.full_at, EmptyBucket(until_ns, rate));
}

std::int64_t RoomOfServer(const Meter& meter, std::uint64_t now_ns) {
  return ServerRoom(meter.server, meter.used, now_ns, static_cast<std::int64_t>(meter.unsent));
}

/* At least 1 exactly when the dimension's gates are open for 1. */
std::int64_t Room(const Meter& meter, std::uint64_t now_ns, const Rate& rate) {
  const std::uint64_t own = Available(WithUnsent(meter, now_ns, rate), now_ns, rate);
  return std::min(static_cast<std::int64_t>(own), RoomOfServer(meter, now_ns));
}

std::uint64_t Unsigned(std::int64_t amount) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(amount, 0));
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
    bucket.requests.full_at = EmptyBucket(now_ns, RequestRate(bucket, limits, now_ns));
  if (limits.tokens_per_minute > 0)
    bucket.tokens.full_at = EmptyBucket(now_ns, TokenRate(bucket, limits, now_ns));
}

Verdict Check(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
              std::int64_t tokens) {
  Verdict longest;
  const auto consider = [&longest](Gate gate, std::uint64_t wait_ns) {
    if (wait_ns > longest.wait_ns) longest = {wait_ns == kNever ? Gate::kNeverFits : gate, wait_ns};
  };
  const auto consider_server = [&](const Meter& meter, std::int64_t n) {
    consider(Gate::kServer,
             ServerWait(meter.server, meter.used, now_ns, n, static_cast<std::int64_t>(meter.unsent)));
  };
  consider(Gate::kHoldOff, SaturatingSubtract(bucket.hold_until_ns, now_ns));
  if (requests > 0) {
    if (limits.requests_per_minute > 0)
      consider(Gate::kRequests,
               WaitFor(bucket.requests, now_ns, RequestRate(bucket, limits, now_ns), Unsigned(requests)));
    consider_server(bucket.requests, requests);
  }
  if (tokens > 0) {
    if (limits.tokens_per_minute > 0)
      consider(Gate::kTokens,
               WaitFor(bucket.tokens, now_ns, TokenRate(bucket, limits, now_ns), Unsigned(tokens)));
    consider_server(bucket.tokens, tokens);
  }
  /* Whatever else stands behind it, that is the reason to be told. */
  if (longest.gate != Gate::kNeverFits && bucket.hold_until_ns > now_ns) longest.gate = Gate::kHoldOff;
  return longest;
}

Verdict Reserve(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
                std::int64_t tokens) {
  const Verdict verdict = Check(bucket, limits, now_ns, requests, tokens);
  if (verdict.gate != Gate::kOpen) return verdict;
  bucket.requests.unsent += Unsigned(requests);
  bucket.tokens.unsent += Unsigned(tokens);
  return verdict;
}

Departure Leave(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
                std::int64_t tokens) {
  Cancel(bucket, requests, tokens);
  if (limits.requests_per_minute > 0)
    ChargeMeter(bucket.requests, now_ns, RequestRate(bucket, limits, now_ns), Unsigned(requests));
  if (limits.tokens_per_minute > 0)
    ChargeMeter(bucket.tokens, now_ns, TokenRate(bucket, limits, now_ns), Unsigned(tokens));
  bucket.requests.used.Add(now_ns, requests);
  bucket.tokens.used.Add(now_ns, tokens);
  return {now_ns, ChargeServer(bucket.requests.server, bucket.requests.used, now_ns, requests),
          ChargeServer(bucket.tokens.server, bucket.tokens.used, now_ns, tokens)};
}

void Cancel(Bucket& bucket, std::int64_t requests, std::int64_t tokens) {
  bucket.requests.unsent = SaturatingSubtract(bucket.requests.unsent, Unsigned(requests));
  bucket.tokens.unsent = SaturatingSubtract(bucket.tokens.unsent, Unsigned(tokens));
}

Verdict Acquire(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
                std::int64_t tokens) {
  const Verdict verdict = Reserve(bucket, limits, now_ns, requests, tokens);
  if (verdict.gate == Gate::kOpen) Leave(bucket, limits, now_ns, requests, tokens);
  return verdict;
}

void GiveBack(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::uint64_t left_at_ns,
              std::int64_t requests, std::int64_t tokens) {
  if (limits.requests_per_minute > 0)
    Uncharge(bucket.requests, now_ns, left_at_ns, RequestRate(bucket, limits, now_ns), Unsigned(requests));
  if (limits.tokens_per_minute > 0)
    Uncharge(bucket.tokens, now_ns, left_at_ns, TokenRate(bucket, limits, now_ns), Unsigned(tokens));
  bucket.requests.used.Add(now_ns, -requests);
  bucket.tokens.used.Add(now_ns, -tokens);
}

void SettleTokens(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::uint64_t left_at_ns,
                  std::int64_t reserved, std::int64_t used) {
  if (reserved >= used) {
    GiveBack(bucket, limits, now_ns, left_at_ns, 0, reserved - used);
    return;
  }
  if (limits.tokens_per_minute > 0) {
    const Rate rate = TokenRate(bucket, limits, now_ns);
    /* After a minute without a request no server remembers anything. */
    const std::uint64_t most = SaturatingAdd(EmptyBucket(now_ns, rate), kMinuteNs);
    const std::uint64_t before = bucket.tokens.full_at;
    ChargeMeter(bucket.tokens, now_ns, rate, Unsigned(used - reserved));
    bucket.tokens.full_at = std::max(before, std::min(bucket.tokens.full_at, most));
  }
  bucket.tokens.used.Add(now_ns, used - reserved);
}

void HoldOff(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::uint64_t left_at_ns,
             std::uint64_t wait_ns, bool slow_down) {
  bucket.hold_until_ns = std::max(bucket.hold_until_ns, SaturatingAdd(now_ns, wait_ns));
  if (slow_down && left_at_ns >= bucket.slowed_at_ns) {
    const double share = EffectiveShare(bucket, now_ns);
    bucket.slow_factor = std::max(kSmallestShare, share / 2);
    bucket.slowed_at_ns = std::max<std::uint64_t>(now_ns, 1);
  }
  if (limits.requests_per_minute > 0)
    EmptyUntil(bucket.requests, now_ns, bucket.hold_until_ns, RequestRate(bucket, limits, now_ns));
  if (limits.tokens_per_minute > 0)
    EmptyUntil(bucket.tokens, now_ns, bucket.hold_until_ns, TokenRate(bucket, limits, now_ns));
}

std::int64_t LargestTokens(const Limits& limits) {
  if (limits.tokens_per_minute <= 0) return INT64_MAX;
  return static_cast<std::int64_t>(RateOf(limits.tokens_per_minute, limits.burst_seconds, 1).burst);
}

std::int64_t AvailableRequests(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns) {
  if (bucket.hold_until_ns > now_ns) return 0;
  if (limits.requests_per_minute <= 0) return RoomOfServer(bucket.requests, now_ns);
  return Room(bucket.requests, now_ns, RequestRate(bucket, limits, now_ns));
}

std::int64_t AvailableTokens(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns) {
  if (bucket.hold_until_ns > now_ns) return 0;
  if (limits.tokens_per_minute <= 0) return RoomOfServer(bucket.tokens, now_ns);
  return Room(bucket.tokens, now_ns, TokenRate(bucket, limits, now_ns));
}

}  // namespace product_optimizer
