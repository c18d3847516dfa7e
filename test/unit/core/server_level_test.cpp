/*
 * server_level_test.cpp
 *   The limiter against invented servers, with and without somebody else on the same account.
 */
#include "core/limiter.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kStart = 1000 * kSecond;
constexpr double kLimit = 500;
const UsageWindow kNoUse;

/* A server's count of requests: a bucket that drains, a log of the last minute, or minutes of the clock. */
class Server {
 public:
  enum Kind { kDraining, kSliding, kFixed };
  explicit Server(Kind kind) : kind_(kind) {}

  bool Admit(std::uint64_t now) {
    Advance(now);
    if (used_ + 1 > kLimit) return false;
    used_ += 1;
    log_.push_back(now);
    return true;
  }

  ServerReading Read(std::uint64_t now) {
    Advance(now);
    double reset_ms = used_ / kLimit * 60'000;
    if (kind_ == kSliding && !log_.empty()) reset_ms = static_cast<double>(log_.back() + kMinute - now) / 1e6;
    if (kind_ == kFixed) reset_ms = static_cast<double>((minute_ + 1) * kMinute - now) / 1e6;
    return {static_cast<std::int64_t>(kLimit), static_cast<std::int64_t>(kLimit - std::ceil(used_)),
            static_cast<std::int64_t>(std::ceil(reset_ms))};
  }

 private:
  void Advance(std::uint64_t now) {
    if (kind_ == kDraining) used_ = std::max(0.0, used_ - kLimit / 60e9 * static_cast<double>(now - at_));
    at_ = now;
    for (; kind_ == kSliding && !log_.empty() && log_.front() + kMinute <= now; log_.pop_front()) used_ -= 1;
    if (kind_ == kFixed && now / kMinute != minute_) used_ = 0;
    minute_ = now / kMinute;
  }

  Kind kind_;
  double used_ = 0;
  std::uint64_t at_ = kStart, minute_ = 0;
  std::deque<std::uint64_t> log_;
};

struct Seen {
  double sent = 0, refused = 0, others = 0, minutes = 0;
  bool followed = false;
  double UseOfRest() const { return (sent - refused) / (kLimit * minutes - others); }
};

/*
 * Twenty minutes with backlog; others use the account at random moments, so many a minute, from the start.
 * What happens before counted_from, while the level is being found, does not count.
 */
enum class Others { kEven, kRandom };

Seen Serve(Server::Kind kind, double own_limit, double others_per_minute, std::uint64_t latency,
           Others others = Others::kRandom, std::uint64_t start = kStart,
           std::uint64_t counted_from = kStart + 5 * kMinute) {
  std::mt19937_64 random(17);
  std::exponential_distribution<double> exponential(std::max(others_per_minute, 1e-9) / 60e9);
  const auto gap = [&] { return others == Others::kEven ? 60e9 / others_per_minute : exponential(random); };
  const Limits limits{static_cast<std::int64_t>(own_limit), 0, 6};
  Bucket bucket{};
  StartEmpty(bucket, limits, start);
  Server server(kind);
  struct Answer {
    std::uint64_t due;
    Departure departure;
    ServerReading reading;
  };
  std::deque<Answer> answers;
  Seen seen;
  double others_at = static_cast<double>(start) + gap();
  constexpr std::uint64_t kStep = 10'000'000;
  const std::uint64_t end = start + 20 * kMinute;
  for (std::uint64_t now = start; now < end; now += kStep) {
    const bool counts = now >= counted_from;
    for (; others_at <= static_cast<double>(now); others_at += gap())
      if (server.Admit(now) && counts) seen.others += 1;
    while (Reserve(bucket, limits, now, 1, 0).gate == Gate::kOpen) {
      const Departure departure = Leave(bucket, limits, now, 1, 0);
      if (counts) seen.sent += 1;
      if (server.Admit(now)) {
        answers.push_back({now + latency, departure, server.Read(now)});
      } else {
        if (counts) seen.refused += 1;
        HoldOff(bucket, limits, now, now, kSecond, false);
      }
    }
    for (; !answers.empty() && answers.front().due <= now; answers.pop_front())
      LearnFromServer(bucket.requests.server, now, answers.front().reading,
                      answers.front().departure.requests);
  }
  seen.minutes = static_cast<double>(end - counted_from) / static_cast<double>(kMinute);
  seen.followed = IsFollowed(bucket.requests.server, end);
  return seen;
}

TEST(ServerLevel, OthersOnTheAccountAreMadeRoomFor) {
  for (const std::uint64_t latency : {kSecond / 10, kSecond, 10 * kSecond}) {
    const Seen seen = Serve(Server::kDraining, 450, 150, latency);
    EXPECT_TRUE(seen.followed);
    EXPECT_EQ(seen.refused, 0) << latency;
    EXPECT_GE(seen.UseOfRest(), 0.97) << latency;
  }
}

/* Evenly spread: of others who come at random moments, a window's limit cannot foresee the next. */
TEST(ServerLevel, OthersInAWindowAreMadeRoomFor) {
  for (const Server::Kind kind : {Server::kSliding, Server::kFixed})
    for (const std::uint64_t latency : {kSecond / 10, kSecond}) {
      const Seen seen = Serve(kind, 450, 150, latency, Others::kEven);
      EXPECT_TRUE(seen.followed);
      EXPECT_LE(seen.refused, 0.001 * seen.sent) << kind << " " << latency;
      EXPECT_GE(seen.UseOfRest(), 0.97) << kind << " " << latency;
    }
}

/*
 * Wherever in a minute of the clock the first request left.  Others are known when a quarter of one is over.
 * Of those who with us ask for half more than there is, that may be too late for the first whole one.
 */
TEST(ServerLevel, NoWholeMinuteOfTheClockIsOverrun) {
  for (std::uint64_t phase = 0; phase < 60; phase += 4)
    for (const double others : {50.0, 150.0, 300.0}) {
      const std::uint64_t first = 21 * kMinute, start = first - kMinute + phase * kSecond;
      const std::uint64_t counted_from = others > 150 ? first + kMinute : first;
      const Seen seen = Serve(Server::kFixed, 450, others, kSecond, Others::kEven, start, counted_from);
      EXPECT_LE(seen.refused, others > 150 ? 1 : 0) << phase << " " << others;
      EXPECT_GE(seen.UseOfRest(), others > 150 ? 0.96 : 0.97) << phase << " " << others;
    }
}

/*
 * A log of the last 60 s behind a network: each request takes its own time to arrive and to be answered,
 * others come not quite evenly, the worker wakes up late, and every ten seconds the way there is blocked for
 * a while, so that what left then arrives together.  Twenty minutes.
 */
struct Network {
  double one_way_ms, others_late_ms, blocked_ms; /* on the average */
  std::uint64_t oversleeps_ns;
};

Seen ServeFarAway(const Network& network, unsigned seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> answer_ms(std::log(800), 0.5);
  const auto some = [&](double mean_ms) {
    return static_cast<std::uint64_t>(std::exponential_distribution<double>(1 / mean_ms)(random) * 1e6);
  };
  std::uint64_t blocked_from = kStart, blocked_until = kStart;
  const auto arrival = [&](std::uint64_t left) {
    for (; network.blocked_ms > 0 && left >= blocked_until;
         blocked_until = blocked_from + some(network.blocked_ms))
      blocked_from = blocked_until + some(10'000);
    return std::max(left, left >= blocked_from ? blocked_until : 0) + some(network.one_way_ms);
  };
  struct Event {
    enum { kOther, kArrival, kAnswer } kind;
    Departure departure;
    ServerReading reading;
  };
  std::multimap<std::uint64_t, Event> events;
  for (std::uint64_t n = 0; n < 20 * 150; n++)
    events.insert({kStart + n * kMinute / 150 + some(network.others_late_ms), {Event::kOther, {}, {}}});
  const Limits limits{450, 0, 6};
  Bucket bucket{};
  StartEmpty(bucket, limits, kStart);
  Server server(Server::kSliding);
  Seen seen;
  std::uint64_t wake_at = kStart, late_at = kStart;
  for (std::uint64_t now = kStart; now < kStart + 20 * kMinute;) {
    now = events.empty() ? wake_at : std::min(wake_at, events.begin()->first);
    const bool counts = now >= kStart + 5 * kMinute;
    if (now == wake_at && now >= late_at && network.oversleeps_ns > 0) {
      wake_at += network.oversleeps_ns;
      late_at = now + 10 * kSecond;
    } else if (now == wake_at) {
      Verdict verdict;
      while ((verdict = Reserve(bucket, limits, now, 1, 0)).gate == Gate::kOpen)
        events.insert({arrival(now), {Event::kArrival, Leave(bucket, limits, now, 1, 0), {}}});
      wake_at = now + std::clamp<std::uint64_t>(verdict.wait_ns, kSecond / 1000, kSecond / 4);
    } else {
      const Event event = events.begin()->second;
      events.erase(events.begin());
      if (event.kind == Event::kAnswer) {
        LearnFromServer(bucket.requests.server, now, event.reading, event.departure.requests);
        continue;
      }
      const bool admitted = server.Admit(now);
      if (counts && event.kind == Event::kOther) seen.others += admitted ? 1 : 0;
      if (event.kind == Event::kOther) continue;
      if (counts) seen.sent += 1;
      if (counts && !admitted) seen.refused += 1;
      if (!admitted) HoldOff(bucket, limits, now, now, kSecond / 10, false);
      if (admitted)
        events.insert({now + static_cast<std::uint64_t>(answer_ms(random) * 1e6),
                       {Event::kAnswer, event.departure, server.Read(now)}});
    }
  }
  seen.minutes = 15;
  return seen;
}

TEST(ServerLevel, OthersInALogAreMadeRoomForBehindANetwork) {
  std::vector<Network> networks;
  for (const double one_way_ms : {1.0, 20.0})
    for (const double others_late_ms : {1.0, 400.0})
      for (const double blocked_ms : {0.0, 300.0})
        for (const std::uint64_t oversleeps_ns : {std::uint64_t{0}, kSecond / 5})
          networks.push_back({one_way_ms, others_late_ms, blocked_ms, oversleeps_ns});
  for (const Network& network : networks) {
    SCOPED_TRACE(::testing::PrintToString(network.one_way_ms) + " there, others " +
                 ::testing::PrintToString(network.others_late_ms) + " late, blocked for " +
                 ::testing::PrintToString(network.blocked_ms) + ", oversleeps " +
                 ::testing::PrintToString(network.oversleeps_ns));
    Seen all;
    for (unsigned seed = 1; seed <= 4; seed++) {
      const Seen seen = ServeFarAway(network, seed);
      all.sent += seen.sent;
      all.refused += seen.refused;
      all.others += seen.others;
      all.minutes += seen.minutes;
    }
    EXPECT_LE(all.refused, 0.001 * all.sent);
    EXPECT_GE(all.UseOfRest(), 0.97);
  }
}

TEST(ServerLevel, WhatWasHeardAWholeWindowAgoDoesNotLinger) {
  ServerLevel server{};
  UsageWindow used;
  const auto answer = [&](std::uint64_t now, std::int64_t others) {
    used.Add(now, 1);
    const ServerMark mark = ChargeServer(server, used, now, 1);
    const auto in_use = others + static_cast<std::int64_t>(used.Sum(now));
    LearnFromServer(server, now, {500, 500 - in_use, 60'000}, mark);
  };
  for (int i = 0; i < 50; i++) answer(kStart + static_cast<std::uint64_t>(i) * kSecond, 300);
  EXPECT_LE(ServerRoom(server, used, kStart + 50 * kSecond), 500 - 300 - 50);
  answer(kStart + 10 * kMinute, 20);
  EXPECT_GE(ServerRoom(server, used, kStart + 10 * kMinute), 500 - 20 - 1 - 10);
}

/* Others fill a window, of a minute's log or of the clock: what is known of them ends with the answers. */
ServerLevel FilledByOthers(bool by_the_clock) {
  ServerLevel server{};
  const UsageWindow none;
  const auto answer = [&](std::uint64_t now, std::int64_t reset_ms) {
    const ServerMark mark = ChargeServer(server, none, now, 1);
    LearnFromServer(server, now, {500, 2, reset_ms}, mark);
  };
  answer(kStart, 60'000);
  answer(kStart + kSecond, by_the_clock ? 59'000 : 60'000);
  answer(kStart + 54 * kSecond, by_the_clock ? 6'000 : 60'000);
  answer(kStart + 55 * kSecond, by_the_clock ? 5'000 : 60'000);
  return server;
}

TEST(ServerLevel, WhileNothingOfOursIsInAFullWindowOneAtATimeIsTried) {
  for (const bool by_the_clock : {false, true}) {
    const ServerLevel server = FilledByOthers(by_the_clock);
    const std::uint64_t now = kStart + 56 * kSecond;
    ASSERT_TRUE(IsFollowed(server, now)) << by_the_clock;
    EXPECT_EQ(ServerWait(server, kNoUse, now, 1), 0u);
    EXPECT_EQ(ServerRoom(server, kNoUse, now), 1);
    const std::uint64_t wait = ServerWait(server, kNoUse, now, 1, 1);
    EXPECT_GT(wait, 0u);
    EXPECT_LE(wait, kMinute);
    EXPECT_EQ(ServerRoom(server, kNoUse, now, 1), 0);
  }
}

TEST(ServerLevel, OthersOfWhomNoAnswerToldForTwoWindowsAreForgotten) {
  for (const bool by_the_clock : {false, true}) {
    const ServerLevel server = FilledByOthers(by_the_clock);
    EXPECT_TRUE(IsFollowed(server, kStart + 55 * kSecond + 2 * kMinute)) << by_the_clock;
    EXPECT_FALSE(IsFollowed(server, kStart + 56 * kSecond + 2 * kMinute)) << by_the_clock;
  }
}

TEST(ServerLevel, ALimitThatWasSetTooHighIsFound) {
  const Seen seen = Serve(Server::kDraining, 2'000, 0, kSecond);
  EXPECT_EQ(seen.refused, 0);
  EXPECT_GE(seen.UseOfRest(), 0.99);
}

TEST(ServerLevel, AloneNothingIsLostWhateverTheServerCountsBy) {
  for (const Server::Kind kind : {Server::kDraining, Server::kSliding, Server::kFixed})
    for (const std::uint64_t latency : {kSecond / 10, 30 * kSecond}) {
      const Seen seen = Serve(kind, 450, 0, latency);
      EXPECT_EQ(seen.refused, 0);
      EXPECT_GE(seen.sent, 0.99 * 450 * seen.minutes) << kind << " " << latency;
    }
}

}  // namespace
}  // namespace product_optimizer
