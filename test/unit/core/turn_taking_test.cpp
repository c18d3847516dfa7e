#include "core/turn_taking.h"

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kStart = 1'000'000 * kMs;

TEST(TurnTaking, AloneNobodyWaits) {
  TurnTaking turns{};
  for (std::uint64_t now = kStart; now < kStart + 1000 * kMs; now += 10 * kMs) {
    EXPECT_EQ(YieldNs(turns, 1, now), 0u);
    NoteTaken(turns, 1, now, 100 * kMs);
    NoteRefused(turns, 1, now, 10 * kMs);
  }
}

TEST(TurnTaking, WhoIsAheadLetsTheRefusedOneGoFirst) {
  TurnTaking turns{};
  NoteTaken(turns, 1, kStart, 133 * kMs);
  EXPECT_EQ(YieldNs(turns, 1, kStart), 0u) << "nobody waits";
  NoteRefused(turns, 2, kStart, 100 * kMs);
  EXPECT_EQ(YieldNs(turns, 1, kStart + 100 * kMs), kTurnPatienceNs);
  EXPECT_EQ(YieldNs(turns, 2, kStart + 100 * kMs), 0u);
  NoteTaken(turns, 2, kStart + 100 * kMs, 133 * kMs);
  EXPECT_EQ(YieldNs(turns, 1, kStart + 100 * kMs), 0u) << "it has had its turn";
}

/* What a small one took before would make the large one's wait longer each time. */
TEST(TurnTaking, AlsoBeforeTheOtherCanPass) {
  TurnTaking turns{};
  NoteTaken(turns, 1, kStart, 133 * kMs);
  NoteRefused(turns, 2, kStart, 5'000 * kMs);
  EXPECT_EQ(YieldNs(turns, 1, kStart + 1'000 * kMs), 4'000 * kMs + kTurnPatienceNs);
}

TEST(TurnTaking, WhoDoesNotComeIsNotWaitedForAgain) {
  TurnTaking turns{};
  NoteTaken(turns, 1, kStart, 133 * kMs);
  NoteRefused(turns, 2, kStart, 100 * kMs);
  const std::uint64_t late = kStart + 100 * kMs + kTurnPatienceNs;
  EXPECT_GT(YieldNs(turns, 1, late - 1), 0u);
  for (std::uint64_t now = late; now < late + 1000 * kMs; now += 10 * kMs) {
    EXPECT_EQ(YieldNs(turns, 1, now), 0u);
    NoteTaken(turns, 1, now, 133 * kMs);
  }
}

TEST(TurnTaking, WhoIsAboutToTakeIsWaitedForLonger) {
  TurnTaking turns{};
  NoteTaken(turns, 1, kStart, 133 * kMs);
  NoteComing(turns, 2, kStart);
  EXPECT_EQ(YieldNs(turns, 1, kStart), kTurnPatienceNs) << "and looked after soon";
  EXPECT_GT(YieldNs(turns, 1, kStart + kTurnClaimNs - 1), 0u);
  EXPECT_EQ(YieldNs(turns, 1, kStart + kTurnClaimNs), 0u);
  StepAside(turns, 2);
  EXPECT_EQ(YieldNs(turns, 1, kStart), 0u);
}

/* At high rates nobody is sent away for each single permit: more would flow in than is taken. */
TEST(TurnTaking, ALittleAheadIsNoReason) {
  TurnTaking turns{};
  NoteRefused(turns, 2, kStart, kMs);
  for (int i = 0; i < 25; i++) {
    EXPECT_EQ(YieldNs(turns, 1, kStart), 0u);
    NoteTaken(turns, 1, kStart, 2 * kMs);
  }
  NoteTaken(turns, 1, kStart, 2 * kMs);
  EXPECT_GT(YieldNs(turns, 1, kStart), 0u);
}

TEST(TurnTaking, WhoHadNoUseForItsPartDoesNotGetItLater) {
  TurnTaking turns{};
  NoteTaken(turns, 2, kStart, 10 * kMs);
  for (int i = 0; i < 1000; i++) NoteTaken(turns, 1, kStart, 10 * kMs);
  std::uint64_t flow = 0;
  for (NoteRefused(turns, 2, kStart, 0); YieldNs(turns, 1, kStart) > 0; NoteRefused(turns, 2, kStart, 0)) {
    NoteTaken(turns, 2, kStart, 10 * kMs);
    flow += 10 * kMs;
  }
  EXPECT_LE(flow, kTurnMemoryNs);
}

TEST(TurnTaking, MoreThanThereIsRoomForStayCorrect) {
  TurnTaking turns{};
  for (std::uint64_t who = 1; who <= 100; who++) {
    EXPECT_EQ(YieldNs(turns, who, kStart + who), 0u);
    NoteTaken(turns, who, kStart + who, 10 * kMs);
  }
  EXPECT_LE(turns.served_ns, 1000 * kMs);
}

/*
 * Ten seconds of one bucket.  The worker looks, is busy with a transaction and other work for a while, and
 * takes what there is; the callers ask again at the instant that they were told, or without a pause.
 */
struct Shares {
  double worker = 0, callers = 0, lost = 0;
};

Shares Share(double per_second, std::uint64_t busy_ns, bool obedient) {
  const Rate rate{static_cast<std::uint64_t>(per_second * 60), 60'000 * kMs,
                  static_cast<std::uint64_t>(per_second)};
  const std::uint64_t cost = FlowTime(rate, 1, true);
  TurnTaking turns{};
  std::uint64_t word = EmptyBucket(kStart, rate);
  Shares shares;
  const auto ask = [&](std::uint64_t who, std::uint64_t now) -> std::uint64_t {
    std::uint64_t wait = YieldNs(turns, who, now);
    if (wait == 0) {
      const Take take = TryTake(word, now, rate, 1);
      wait = take.wait_ns;
      word = take.next;
      if (take.granted) {
        NoteTaken(turns, who, now, cost);
        (who == 1 ? shares.worker : shares.callers) += 1;
        return 0;
      }
    }
    NoteRefused(turns, who, now, wait);
    return wait;
  };
  constexpr int kCallers = 8;
  std::uint64_t next_of_caller[kCallers] = {}, next_of_worker = 0;
  bool looked = false;
  for (std::uint64_t now = kStart; now < kStart + 10'000 * kMs; now += kMs / 10) {
    if (word < now) shares.lost += 1;
    for (std::uint64_t& next : next_of_caller)
      if (now >= next) {
        const std::uint64_t wait = ask(2, now);
        next = now + (obedient ? wait : 0);
      }
    if (now < next_of_worker) continue;
    if (!looked) {
      const std::uint64_t yield = YieldNs(turns, 1, now);
      const std::uint64_t wait = yield > 0 ? yield : TryTake(word, now, rate, 1).wait_ns;
      looked = wait == 0;
      if (looked) NoteComing(turns, 1, now);
      if (!looked) NoteRefused(turns, 1, now, wait);
      next_of_worker = now + (looked ? busy_ns : wait);
    } else {
      while (ask(1, now) == 0) {
      }
      looked = false;
      next_of_worker = now + busy_ns;
    }
  }
  return shares;
}

TEST(TurnTaking, AWorkerGetsHalfBesideCallersThatNeverStopAsking) {
  for (const double per_second : {2.0, 7.5, 45.0, 450.0, 2'000.0})
    for (const std::uint64_t busy_ns : {kMs, 10 * kMs, 40 * kMs})
      for (const bool obedient : {true, false}) {
        const Shares shares = Share(per_second, busy_ns, obedient);
        const double all = shares.worker + shares.callers;
        EXPECT_GE(shares.worker, 0.4 * all - 1) << per_second << " " << busy_ns << " " << obedient;
        EXPECT_GE(shares.callers, 0.4 * all - 1) << per_second << " " << busy_ns << " " << obedient;
        EXPECT_GE(all, 0.99 * per_second * 10 - 1) << per_second << " " << busy_ns << " " << obedient;
        EXPECT_EQ(shares.lost, 0) << per_second << " " << busy_ns << " " << obedient;
      }
}

}  // namespace
}  // namespace product_optimizer
