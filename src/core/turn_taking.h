/*
 * turn_taking.h
 *   Who may take next from a bucket that several have use for: whoever took last lets the one go first that
 * was refused meanwhile.  Without it two databases that wake at the same instant share by luck.
 *
 *   Plain memory under the lock of its bucket; all zero is nobody.
 */
#pragma once

#include <cstdint>

namespace product_optimizer {

struct TurnTaking {
  std::uint32_t last;    /* who took last; 0: nobody */
  std::uint32_t waiting; /* who was refused first since; 0: nobody */
  std::uint64_t due_ns;  /* when that one comes back */
};

/* So early it may come; so late it need not be waited for: half of what a request takes at that rate. */
constexpr std::uint64_t kTurnEarlyNs = 1'000'000;

constexpr std::uint64_t TurnPatienceNs(std::int64_t requests_per_minute) {
  constexpr std::int64_t kLongest = 20'000'000;
  const std::int64_t half = requests_per_minute > 0 ? 30'000'000'000 / requests_per_minute : kLongest;
  return static_cast<std::uint64_t>(half < kLongest ? half : kLongest);
}

/* How long this one waits for another's turn; 0: not at all. */
constexpr std::uint64_t YieldNs(const TurnTaking& turns, std::uint32_t who, std::uint64_t now_ns,
                                std::uint64_t patience_ns) {
  const bool others_turn = turns.last == who && turns.waiting != 0 && turns.waiting != who;
  if (!others_turn || now_ns + kTurnEarlyNs < turns.due_ns || now_ns >= turns.due_ns + patience_ns) return 0;
  return turns.due_ns + patience_ns - now_ns;
}

constexpr void NoteTaken(TurnTaking& turns, std::uint32_t who) {
  turns.last = who;
  if (turns.waiting == who) turns.waiting = 0;
}

constexpr void NoteRefused(TurnTaking& turns, std::uint32_t who, std::uint64_t now_ns, std::uint64_t wait_ns,
                           std::uint64_t patience_ns) {
  const bool is_free = turns.waiting == 0 || turns.waiting == who || now_ns >= turns.due_ns + patience_ns;
  if (!is_free) return;
  turns.waiting = who;
  turns.due_ns = now_ns + wait_ns;
}

}  // namespace product_optimizer
