#include "core/server_level.h"

#include <algorithm>
#include <cmath>

namespace product_optimizer {

namespace {

constexpr double kMinuteNs = 60e9;
constexpr double kNsPerMs = 1e6;
/* What others use between an answer's leaving the server and the arrival of our next request fits in here. */
constexpr double kReserve = 0.1;
/* Below this share of the limit a reading is too coarse to tell how the server counts. */
constexpr double kLeastTelling = 0.1;
constexpr double kTolerance = 0.08;
/* Of a window: how much of it we leave empty, and what of others' use may be our own miscounting. */
constexpr double kWindowReserve = 0.01;
constexpr double kNoticeable = 0.02;
/* What of ours was slow to arrive stays in a server's log by up to this part of it longer than in ours. */
constexpr std::uint64_t kLate = 100;
/* Of what others may have added since the last answer: more of it wastes, less of it is refused. */
constexpr double kUnheard = 0.3;
/* Two moments, or lengths, that differ by less than this part of a window are the same. */
constexpr std::int64_t kSameMoment = 32;
/* So many windows after the last that was heard of others it is forgotten. */
constexpr std::uint64_t kRemembered = 2;
/* Requests that leave together arrive in another order: each answer alone is off by some of them, not the
 * mean. */
constexpr double kNewest = 0.2;
/* A bucket that takes longer to drain is no minute's limit; those of a day take a thousand times as long. */
constexpr double kLongestMinuteMs = 90'000;
/* No error of the headers may hold us longer; by then the server's minute is over. */
constexpr double kLongestWaitNs = kMinuteNs;

double DrainPerNs(const ServerLevel& server) {
  return server.drain_per_ns > 0 ? server.drain_per_ns : static_cast<double>(server.limit) / kMinuteNs;
}

std::uint64_t PeriodNs(const ServerLevel& server) {
  return static_cast<std::uint64_t>(server.period_ms) * 1'000'000;
}

/* By the clock all of it leaves at once. */
std::uint64_t LateNs(const ServerLevel& server) {
  return server.by_the_clock ? 0 : PeriodNs(server) / kLate;
}

/* So much of ours may be in the server's window. */
double MostOwn(const ServerLevel& server, const UsageWindow& used, std::uint64_t now_ns) {
  return static_cast<double>(used.Sum(now_ns, PeriodNs(server) + LateNs(server)));
}

double LevelAt(const ServerLevel& server, std::uint64_t now_ns) {
  if (now_ns <= server.at_ns) return server.level;
  return std::max(0.0, server.level - DrainPerNs(server) * static_cast<double>(now_ns - server.at_ns));
}

void Advance(ServerLevel& server, std::uint64_t now_ns) {
  server.level = LevelAt(server, now_ns);
  server.at_ns = std::max(server.at_ns, now_ns);
}

/*
 * A draining bucket says the same rate, used / reset, at every level; a window does not.  So it takes two
 * readings at different levels that agree to believe it, and one that does not to stop believing.
 */
void Classify(ServerLevel& server, double used, std::int64_t reset_ms) {
  const double limit = static_cast<double>(server.limit);
  if (used < kLeastTelling * limit || reset_ms <= 0) return;
  const double per_ms = used / static_cast<double>(reset_ms);
  const bool agrees =
      server.first_used > 0 && std::abs(per_ms - server.first_per_ms) <= kTolerance * server.first_per_ms;
  if (!agrees) {
    server.first_used = used;
    server.first_per_ms = per_ms;
    server.drain_per_ns = 0;
  } else if (std::abs(used - server.first_used) >= kLeastTelling * limit) {
    server.drain_per_ns = limit / per_ms <= kLongestMinuteMs ? per_ms / kNsPerMs : 0;
  }
}

/* The longest reset of a window is its length; one that is much shorter counts down to the window's end. */
void MeasureWindow(ServerLevel& server, std::int64_t reset_ms) {
  if (reset_ms > server.period_ms + server.period_ms / kSameMoment) {
    server.others = server.others_before = 0;
    server.counted_at_ns = server.began_at_ns = 0;
    server.by_the_clock = false;
  }
  server.period_ms = std::max(server.period_ms, reset_ms);
  if (reset_ms < server.period_ms - server.period_ms / 4) server.by_the_clock = true;
}

/* Of the clock's windows the one we are in, if they go on as they did; 0: not known. */
std::uint64_t WindowBegan(const ServerLevel& server, std::uint64_t now_ns) {
  if (!server.by_the_clock || server.began_at_ns == 0) return 0;
  const std::uint64_t since_ns = now_ns > server.began_at_ns ? now_ns - server.began_at_ns : 0;
  return server.began_at_ns + since_ns / PeriodNs(server) * PeriodNs(server);
}

/*
 * Others have been in it so far, and for what is left of it they go on as they did: as now by the part that
 * is over, as in the one before by the part that is not.
 */
void NoteOthersByTheClock(ServerLevel& server, const ServerMark& mark, double used, std::int64_t reset_ms) {
  const std::uint64_t over_ns = PeriodNs(server) - static_cast<std::uint64_t>(reset_ms) * 1'000'000;
  const std::uint64_t began_at_ns = std::max<std::uint64_t>(mark.at_ns - std::min(mark.at_ns, over_ns), 1);
  const std::uint64_t apart_ns =
      std::max(began_at_ns, mark.began_at_ns) - std::min(began_at_ns, mark.began_at_ns);
  const std::uint64_t half_ns = PeriodNs(server) / 2;
  if (began_at_ns > server.began_at_ns + half_ns) {
    const bool is_known = began_at_ns - server.began_at_ns <= kRemembered * PeriodNs(server) + half_ns;
    server.others_before = is_known ? server.others : 0;
  }
  server.began_at_ns = began_at_ns;
  /* At the seam of two windows nobody knows which of ours the server counts in which. */
  if (apart_ns > PeriodNs(server) / kSameMoment) return;
  const double share = static_cast<double>(over_ns) / static_cast<double>(PeriodNs(server));
  const double seen = used - mark.own;
  const double expected = seen + (1 - share) * (seen + (1 - share) * server.others_before);
  server.others += (expected - server.others) * (server.counted_at_ns < began_at_ns ? 1 : kNewest);
  server.counted_at_ns = mark.at_ns;
}

/* What the answer to a request says of others; one that was overtaken says nothing new. */
void NoteOthers(ServerLevel& server, const ServerMark& mark, double used, std::int64_t reset_ms) {
  if (mark.period_ms != server.period_ms || mark.at_ns < server.counted_at_ns) return;
  if (server.by_the_clock) {
    NoteOthersByTheClock(server, mark, used, reset_ms);
    return;
  }
  /* Of what was heard a whole window ago nothing is in it any more. */
  const bool is_old = server.counted_at_ns == 0 || mark.at_ns - server.counted_at_ns > PeriodNs(server);
  server.others += (used - mark.own - server.others) * (is_old ? 1 : kNewest);
  server.counted_at_ns = mark.at_ns;
}

/* Whoever got no answer for long knows nothing any more, and would else never dare to ask for one. */
double Others(const ServerLevel& server, std::uint64_t now_ns) {
  if (now_ns > server.counted_at_ns && now_ns - server.counted_at_ns > kRemembered * PeriodNs(server))
    return 0;
  const double others = std::max(server.others, server.others_before);
  return others < kNoticeable * static_cast<double>(server.limit) ? 0 : others;
}

bool FollowsWindow(const ServerLevel& server, std::uint64_t now_ns) {
  return server.drain_per_ns <= 0 && PeriodNs(server) + LateNs(server) <= UsageWindow::kLongestNs &&
         Others(server, now_ns) > 0;
}

/* Below 0: so much too much. */
double Left(const ServerLevel& server, const UsageWindow& used, std::uint64_t now_ns) {
  const double limit = static_cast<double>(server.limit);
  if (!FollowsWindow(server, now_ns)) return limit * (1 - kReserve) - LevelAt(server, now_ns);
  double others = Others(server, now_ns);
  /* While no answer tells, they go on as they did, and what they sent a period ago leaves; of the clock's
   * windows the fullest is known. */
  if (!server.by_the_clock && now_ns > server.counted_at_ns)
    others *= 1 + kUnheard * std::min(1.0, static_cast<double>(now_ns - server.counted_at_ns) /
                                               static_cast<double>(PeriodNs(server)));
  return limit * (1 - kWindowReserve) - others - MostOwn(server, used, now_ns);
}

}  // namespace

ServerMark ChargeServer(ServerLevel& server, const UsageWindow& used, std::uint64_t now_ns,
                        std::int64_t amount) {
  if (server.generation == 0) return {};
  Advance(server, now_ns);
  server.level += static_cast<double>(amount);
  const std::uint64_t began_at_ns = WindowBegan(server, now_ns);
  const std::uint64_t window_ns = began_at_ns > 0 ? now_ns - std::min(now_ns, began_at_ns) : PeriodNs(server);
  return {server.generation,
          server.level - server.corrections,
          server.period_ms,
          static_cast<double>(used.Sum(now_ns, window_ns)),
          now_ns,
          began_at_ns};
}

void LearnFromServer(ServerLevel& server, std::uint64_t now_ns, const ServerReading& reading,
                     const ServerMark& mark) {
  if (reading.remaining <= 0) return;
  const double used = static_cast<double>(reading.limit - reading.remaining);
  if (reading.limit != server.limit) {
    const std::uint32_t generation = server.generation + 1;
    server = ServerLevel{};
    server.generation = generation;
    server.limit = reading.limit;
    server.at_ns = now_ns;
    server.level = used;
  }
  server.remaining = reading.remaining;
  server.told_at_ns = now_ns;
  Classify(server, used, reading.reset_ms);
  MeasureWindow(server, reading.reset_ms);
  if (mark.generation != server.generation) return;
  Advance(server, now_ns);
  /* What was corrected since that request left was already there when it arrived. */
  const double error = used - (mark.expected + server.corrections);
  const double corrected = std::clamp(server.level + error, 0.0, static_cast<double>(reading.limit));
  server.corrections += corrected - server.level;
  server.level = corrected;
  NoteOthers(server, mark, used, reading.reset_ms);
}

bool IsFollowed(const ServerLevel& server, std::uint64_t now_ns) {
  return server.drain_per_ns > 0 || FollowsWindow(server, now_ns);
}

std::uint64_t ServerWait(const ServerLevel& server, const UsageWindow& used, std::uint64_t now_ns,
                         std::int64_t amount, std::int64_t unsent) {
  if (!IsFollowed(server, now_ns)) return 0;
  const bool window = FollowsWindow(server, now_ns);
  const double left = Left(server, used, now_ns) - static_cast<double>(unsent);
  const double own = MostOwn(server, used, now_ns) + static_cast<double>(unsent);
  /* What is larger than the server's whole limit has to be tried when it is empty. */
  const double in_use = window ? own : LevelAt(server, now_ns) + static_cast<double>(unsent);
  const double above = std::min(static_cast<double>(amount) - left, in_use);
  if (above <= 0) return 0;
  /* From a window leaves what we sent a period ago; on the average, so much of it per time. */
  const double per_ns = window ? own / static_cast<double>(PeriodNs(server)) : server.drain_per_ns;
  return static_cast<std::uint64_t>(std::min(std::ceil(above / per_ns), kLongestWaitNs));
}

std::int64_t ServerRoom(const ServerLevel& server, const UsageWindow& used, std::uint64_t now_ns,
                        std::int64_t unsent) {
  if (!IsFollowed(server, now_ns)) return INT64_MAX;
  if (ServerWait(server, used, now_ns, 1, unsent) > 0) return 0;
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(Left(server, used, now_ns) - static_cast<double>(unsent)));
}

}  // namespace product_optimizer
