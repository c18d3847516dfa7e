/*
 * server_level.h
 *   What the server's headers say of its own bucket, so that others who use the same account are noticed
 *   before a 429 arrives.  Pure arithmetic on plain memory; it can only make us wait, never go faster.
 *
 *   Of a bucket that drains, as OpenAI's do, we follow the level: each request of ours raises it, time drains
 *   it, and each answer tells how far off we were when its request left; that difference is what others used.
 *   Of a window (a log of the last minute, or minutes of the clock) we know what others have in it: what the
 *   server counts less what we sent within its length.
 */
#pragma once

#include <cstdint>

#include "core/usage_window.h"

namespace product_optimizer {

/* As an answer's headers say it; all three known, limit ≥ 1, 0 ≤ remaining ≤ limit. */
struct ServerReading {
  std::int64_t limit;
  std::int64_t remaining;
  std::int64_t reset_ms; /* until the server's bucket is full again */
};

/* Zeroed memory: nothing was heard yet. */
struct ServerLevel {
  std::int64_t limit; /* 0: not told */
  std::int64_t remaining;
  std::uint64_t told_at_ns;
  std::uint64_t at_ns; /* when level was true */
  double level;        /* units in use, as far as we know */
  double corrections;  /* the sum of what answers added so far */
  double drain_per_ns; /* 0: not seen to drain, so nobody waits for it */
  double first_used;   /* the reading that later ones are compared with; 0: none */
  double first_per_ms;
  std::int64_t period_ms;      /* the longest reset that was told; of a window: its length */
  bool by_the_clock;           /* the window ends for all at once, and began_at_ns is when one began */
  std::uint64_t began_at_ns;   /* of the last that an answer told of; 0: none */
  std::uint64_t counted_at_ns; /* when the request left whose answer told of others last; 0: none */
  double others;               /* in a window, as the last answers tell */
  double others_before;        /* by the clock, in the one before */
  std::uint32_t generation;    /* counts the limits that were told */
};

/* What was expected when a request left; kept until its answer. */
struct ServerMark {
  std::uint32_t generation = 0; /* 0: nothing was known then */
  double expected = 0;
  std::int64_t period_ms = 0;
  double own = 0; /* in the server's window, this one included */
  std::uint64_t at_ns = 0;
  std::uint64_t began_at_ns = 0; /* of a window by the clock: when we thought it had begun; 0: not known */
};

/* So much of ours leaves now, and is already in used. */
ServerMark ChargeServer(ServerLevel& server, const UsageWindow& used, std::uint64_t now_ns,
                        std::int64_t amount);

/*
 * The answer to the request of that mark arrived.  Ignored is a bucket that is said to be empty although it
 * let the request through.  Nobody waits for a limit of an hour or a day.
 */
void LearnFromServer(ServerLevel& server, std::uint64_t now_ns, const ServerReading& reading,
                     const ServerMark& mark);

/* Whether ServerWait() can say more than 0 now. */
bool IsFollowed(const ServerLevel& server, std::uint64_t now_ns);

/*
 * Until the server has room for so much and a reserve besides, beside what is reserved and has not left; 0
 * where nothing is known, and when nothing of ours is in its count: then only a try can tell.
 */
std::uint64_t ServerWait(const ServerLevel& server, const UsageWindow& used, std::uint64_t now_ns,
                         std::int64_t amount, std::int64_t unsent = 0);

/* What could leave now, at least 1 whenever ServerWait() of 1 is 0; INT64_MAX where nothing is known. */
std::int64_t ServerRoom(const ServerLevel& server, const UsageWindow& used, std::uint64_t now_ns,
                        std::int64_t unsent = 0);

}  // namespace product_optimizer
