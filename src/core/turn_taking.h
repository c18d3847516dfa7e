/*
 * turn_taking.h
 *   Who may take next from a bucket that several have use for.  Each one's takes are added up in the
 *   time that they take to flow in; who is ahead lets one go first that waits and is behind.  So those
 *   who wait get even parts, whoever asks more often, wakes earlier or takes more at once.
 *
 *   Plain memory under the lock of its bucket; all zero is nobody.  Whoever is waited for costs nothing
 *   that the bucket can hold: what flows in meanwhile is there for the next.
 */
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/token_bucket.h"

namespace product_optimizer {

struct TurnTaker {
  std::uint64_t who;      /* 0: nobody */
  std::uint64_t taken_ns; /* the flow that it took; what it had no use for counts as taken */
  std::uint64_t due_ns;   /* when it comes back after a refusal … */
  std::uint64_t late_ns;  /* … and from when on it is no longer waited for; 0: it took since */
  std::uint64_t seen_ns;
};

struct TurnTaking {
  static constexpr int kMost = 16; /* of more at once, the newest take the places of those not seen longest */

  std::uint64_t served_ns; /* what the one that took last had taken before */
  TurnTaker takers[kMost];
};

/* So late whoever waits may come; and so long may be between its look and its take. */
constexpr std::uint64_t kTurnPatienceNs = 20'000'000;
constexpr std::uint64_t kTurnClaimNs = 100'000'000;
/* So far ahead one may get: more than can flow in while both are waited for. */
constexpr std::uint64_t kTurnLeadNs = 50'000'000;
/* So far behind one may be: as much as a busy worker misses while it is at its other work. */
constexpr std::uint64_t kTurnMemoryNs = 250'000'000;

constexpr std::uint64_t TurnPosition(const TurnTaking& turns, const TurnTaker& taker) {
  return std::max(taker.taken_ns, SaturatingSubtract(turns.served_ns, kTurnMemoryNs));
}

constexpr TurnTaker& FindTaker(TurnTaking& turns, std::uint64_t who, std::uint64_t now_ns) {
  TurnTaker* place = &turns.takers[0];
  for (TurnTaker& taker : turns.takers) {
    if (taker.who == who) {
      taker.seen_ns = now_ns;
      return taker;
    }
    if (taker.seen_ns < place->seen_ns) place = &taker;
  }
  *place = {who, turns.served_ns, 0, 0, now_ns};
  return *place;
}

/* How long this one, which is not 0, lets others go first; 0: not at all. */
constexpr std::uint64_t YieldNs(const TurnTaking& turns, std::uint64_t who, std::uint64_t now_ns) {
  std::uint64_t mine = turns.served_ns;
  for (const TurnTaker& taker : turns.takers)
    if (taker.who == who) mine = TurnPosition(turns, taker);
  std::uint64_t until_ns = now_ns;
  for (const TurnTaker& taker : turns.takers) {
    if (taker.who == who || now_ns >= taker.late_ns) continue;
    /* Once it is due it may take at any moment: worth another look soon. */
    const std::uint64_t look_ns = SaturatingAdd(std::max(taker.due_ns, now_ns), kTurnPatienceNs);
    if (TurnPosition(turns, taker) + kTurnLeadNs < mine)
      until_ns = std::max(until_ns, std::min(look_ns, taker.late_ns));
  }
  return until_ns - now_ns;
}

/* It took what flows in within so long. */
constexpr void NoteTaken(TurnTaking& turns, std::uint64_t who, std::uint64_t now_ns, std::uint64_t flow_ns) {
  TurnTaker& taker = FindTaker(turns, who, now_ns);
  const std::uint64_t position = TurnPosition(turns, taker);
  turns.served_ns = std::max(turns.served_ns, position);
  taker.taken_ns = SaturatingAdd(position, flow_ns);
  taker.late_ns = 0;
}

/* It was refused, and told to come back after so long. */
constexpr void NoteRefused(TurnTaking& turns, std::uint64_t who, std::uint64_t now_ns,
                           std::uint64_t wait_ns) {
  TurnTaker& taker = FindTaker(turns, who, now_ns);
  taker.due_ns = SaturatingAdd(now_ns, wait_ns);
  taker.late_ns = SaturatingAdd(taker.due_ns, kTurnPatienceNs);
}

/* It saw that there is something for it, and is about to take it. */
constexpr void NoteComing(TurnTaking& turns, std::uint64_t who, std::uint64_t now_ns) {
  TurnTaker& taker = FindTaker(turns, who, now_ns);
  taker.due_ns = now_ns;
  taker.late_ns = SaturatingAdd(now_ns, kTurnClaimNs);
}

/* It has no use for its turn. */
constexpr void StepAside(TurnTaking& turns, std::uint64_t who) {
  for (TurnTaker& taker : turns.takers)
    if (taker.who == who) taker.late_ns = 0;
}

}  // namespace product_optimizer
