/*
 * level_history.h
 *   How low the level of a bucket was in the last two minutes.  Plain memory without a lock of its own.
 *
 *   It answers one question: when something taken a while ago turns out not to have been used, how much of
 *   it may still come back?  Had it never been taken, the level would have been lower by that much ever
 *   since, but not below nothing: what the bucket could not have held is lost, as it is to every bucket
 *   that is full.  So what may come back is the lowest level since the take, and of what it cost then: at
 *   most what the same costs at the fastest rate since.
 */
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/token_bucket.h"

namespace product_optimizer {

/* Levels are in nanoseconds of flow: the bucket's word less the time.  Zeroed memory is an empty history. */
class LevelHistory {
 public:
  static constexpr std::uint64_t kSlots = 32;
  static constexpr std::uint64_t kSlotNs = 4'000'000'000;

  /* Before each change of the word.  Between two changes the level only sinks. */
  void Observe(std::uint64_t word, std::uint64_t now_ns) {
    const std::uint64_t slot = now_ns / kSlotNs;
    if (slot > newest_) {
      if (newest_ != 0) Sink(newest_, SaturatingSubtract(word, (newest_ + 1) * kSlotNs));
      for (std::uint64_t s = std::max(newest_ + 1, SaturatingSubtract(slot, kSlots - 1)); s <= slot; s++) {
        lowest_[s % kSlots] =
            newest_ == 0 && s < slot ? 0 : SaturatingSubtract(word, s == slot ? now_ns : (s + 1) * kSlotNs);
        fastest_[s % kSlots] = 0;
      }
      newest_ = slot;
    } else {
      Sink(newest_, SaturatingSubtract(word, now_ns)); /* time that steps back counts into the newest */
    }
  }

  /* Since then, or since a little earlier: never more than it was.  0 for what is out of memory. */
  std::uint64_t LowestSince(std::uint64_t then_ns) const {
    const std::uint64_t first = then_ns / kSlotNs;
    if (first > newest_) return lowest_[newest_ % kSlots];
    if (newest_ - first >= kSlots) return 0;
    std::uint64_t lowest = kNever;
    for (std::uint64_t s = first; s <= newest_; s++) lowest = std::min(lowest, lowest_[s % kSlots]);
    return lowest;
  }

  /* Just observed, and now charged at that rate. */
  void Charged(std::uint64_t amount) {
    fastest_[newest_ % kSlots] = std::max(fastest_[newest_ % kSlots], amount);
  }

  /* The highest rate at which anything was charged since then, or since a little earlier. */
  std::uint64_t FastestSince(std::uint64_t then_ns) const {
    const std::uint64_t oldest = SaturatingSubtract(newest_, kSlots - 1);
    std::uint64_t fastest = 0;
    for (std::uint64_t s = std::max(oldest, std::min(then_ns / kSlotNs, newest_)); s <= newest_; s++)
      fastest = std::max(fastest, fastest_[s % kSlots]);
    return fastest;
  }

  /* The levels since then, as if so much had never been taken. */
  void Lower(std::uint64_t then_ns, std::uint64_t amount) {
    const std::uint64_t oldest = SaturatingSubtract(newest_, kSlots - 1);
    for (std::uint64_t s = std::max(oldest, std::min(then_ns / kSlotNs, newest_)); s <= newest_; s++)
      lowest_[s % kSlots] = SaturatingSubtract(lowest_[s % kSlots], amount);
  }

 private:
  void Sink(std::uint64_t slot, std::uint64_t level) {
    lowest_[slot % kSlots] = std::min(lowest_[slot % kSlots], level);
  }

  std::uint64_t newest_; /* 0: nothing observed yet */
  std::uint64_t lowest_[kSlots];
  std::uint64_t fastest_[kSlots]; /* the rate's amount; 0: nothing was charged */
};

}  // namespace product_optimizer
