/*
 * limiter.h
 *   Requests and tokens per minute, taken together or not at all.  A Bucket is plain memory that the
 *   caller keeps (here: in shared memory, under one lock); limits and time are parameters of each
 *   call, so a changed setting holds from the next call on.
 *
 *   In any window of w seconds what is granted stays ≤ limit · (burst_seconds + w) / 60, and at least
 *   one request or token of burst is always allowed.
 */
#pragma once

#include <cstdint>

#include "core/token_bucket.h"
#include "core/usage_window.h"

namespace product_optimizer {

struct Limits {
  std::int64_t requests_per_minute = 0; /* 0: not limited */
  std::int64_t tokens_per_minute = 0;   /* 0: not limited */
  double burst_seconds = 6;             /* how much of a minute's flow may leave at once, in seconds */
};

/* Zeroed memory is a bucket nobody used yet; StartEmpty() before its first use. */
struct Bucket {
  std::uint64_t requests_full_at;
  std::uint64_t tokens_full_at;
  std::uint64_t hold_until_ns; /* nothing is granted before */
  std::uint64_t slowed_at_ns;  /* when the server last asked for a lower rate; 0 = never */
  double slow_factor;          /* share of the rate that held then */
  UsageWindow requests_used;
  UsageWindow tokens_used;
};

enum class Gate { kOpen, kHoldOff, kRequests, kTokens, kNeverFits };

struct Verdict {
  Gate gate = Gate::kOpen;   /* what stands in the way */
  std::uint64_t wait_ns = 0; /* until the same request can pass; kNever for kNeverFits */
};

void StartEmpty(Bucket& bucket, const Limits& limits, std::uint64_t now_ns);

/* Whether so much would pass now.  Changes nothing. */
Verdict Check(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
              std::int64_t tokens);

/* Takes both or nothing. */
Verdict Acquire(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
                std::int64_t tokens);

/* What was taken and not sent comes back, both dimensions. */
void Refund(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
            std::int64_t tokens);

/* The tokens really used replace those reserved; more than reserved is charged as a debt. */
void SettleTokens(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t reserved,
                  std::int64_t used);

/*
 * Requests taken a while ago leave only now: the bucket counts them from now on, so that a pause
 * between taking and sending never makes two bursts meet.
 */
void Restamp(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
             std::int64_t tokens);

/* The server limited us: nobody is let through for wait_ns.  slow_down also halves the rate, which then grows
 * back. */
void HoldOff(Bucket& bucket, std::uint64_t now_ns, std::uint64_t wait_ns, bool slow_down);

/* The share of the configured rate that holds now: 1 unless the server asked to slow down. */
double EffectiveShare(const Bucket& bucket, std::uint64_t now_ns);

/* The most tokens that one request can ever get; INT64_MAX when they are not limited. */
std::int64_t LargestTokens(const Limits& limits);

std::int64_t AvailableRequests(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns);
std::int64_t AvailableTokens(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns);

}  // namespace product_optimizer
