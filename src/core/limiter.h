/*
 * limiter.h
 *   Requests and tokens per minute, taken together or not at all.  A Bucket is plain memory that the
 *   caller keeps (here: in shared memory, under one lock); limits and time are parameters of each
 *   call, so a changed setting holds from the next call on.
 *
 *   In any window of w seconds what leaves stays ≤ limit · (burst_seconds + w) / 60, and at least
 *   one request or token of burst is always allowed.  doc/limiter.md has the proof.
 */
#pragma once

#include <cstdint>

#include "core/level_history.h"
#include "core/server_level.h"
#include "core/token_bucket.h"
#include "core/turn_taking.h"
#include "core/usage_window.h"

namespace product_optimizer {

struct Limits {
  std::int64_t requests_per_minute = 0; /* 0: not limited */
  std::int64_t tokens_per_minute = 0;   /* 0: not limited */
  double burst_seconds = 6;             /* how much of a minute's flow may leave at once, in seconds */
};

/* One of the two dimensions. */
struct Meter {
  std::uint64_t full_at; /* the word of token_bucket.h */
  std::uint64_t unsent;  /* reserved, and not yet left: it does not flow off */
  LevelHistory levels;
  ServerLevel server;
  UsageWindow used; /* what left */
};

/* Zeroed memory is a bucket nobody used yet; StartEmpty() before its first use. */
struct Bucket {
  Meter requests;
  Meter tokens;
  std::uint64_t hold_until_ns; /* nothing is granted before */
  std::uint64_t slowed_at_ns;  /* when the server last asked for a lower rate; 0 = never */
  double slow_factor;          /* share of the rate that held then */
  TurnTaking turns;            /* among workers and callers */
};

/* kServer: by its headers the server has no room, because others use the same account. */
enum class Gate { kOpen, kHoldOff, kRequests, kTokens, kServer, kNeverFits };

struct Verdict {
  Gate gate = Gate::kOpen;   /* what stands in the way */
  std::uint64_t wait_ns = 0; /* until the same request can pass; kNever for kNeverFits */
};

/* When something left, and what the server was expected to say to it. */
struct Departure {
  std::uint64_t at_ns = 0;
  ServerMark requests;
  ServerMark tokens;
};

void StartEmpty(Bucket& bucket, const Limits& limits, std::uint64_t now_ns);

/* Whether so much would pass now.  Changes nothing. */
Verdict Check(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
              std::int64_t tokens);

/*
 * Takes both or nothing, for something that leaves later: each reservation ends with Leave() or Cancel() of
 * the same amounts, and until then it stands in the way of others, however long that takes.
 */
Verdict Reserve(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
                std::int64_t tokens);
Departure Leave(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
                std::int64_t tokens);
void Cancel(Bucket& bucket, std::int64_t requests, std::int64_t tokens);

/* Takes both or nothing, for something that leaves at once. */
Verdict Acquire(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::int64_t requests,
                std::int64_t tokens);

/* What left at that time never reached the server: both dimensions come back as far as they still can. */
void GiveBack(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::uint64_t left_at_ns,
              std::int64_t requests, std::int64_t tokens);

/*
 * The tokens really used replace those reserved by what left at that time.  Less than reserved comes back
 * as far as it still can; more is charged as a debt, of at most a minute's flow.
 */
void SettleTokens(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::uint64_t left_at_ns,
                  std::int64_t reserved, std::int64_t used);

/*
 * The server limited us: nobody is let through for wait_ns, and then there is no burst, for what the server
 * has room for are single requests.  slow_down also halves the rate, which then grows back; but what had left
 * before the rate was last halved says nothing of the new one.
 */
void HoldOff(Bucket& bucket, const Limits& limits, std::uint64_t now_ns, std::uint64_t left_at_ns,
             std::uint64_t wait_ns, bool slow_down);

/* The share of the configured rate that holds now: 1 unless the server asked to slow down. */
double EffectiveShare(const Bucket& bucket, std::uint64_t now_ns);

/* The most tokens that one request can ever get; INT64_MAX when they are not limited. */
std::int64_t LargestTokens(const Limits& limits);

/* At least 1 exactly when Check() is open for 1 of that dimension; INT64_MAX when nothing limits it. */
std::int64_t AvailableRequests(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns);
std::int64_t AvailableTokens(const Bucket& bucket, const Limits& limits, std::uint64_t now_ns);

}  // namespace product_optimizer
