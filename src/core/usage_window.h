/*
 * usage_window.h
 *   How much was used in the last 60 seconds.  Plain memory without a lock of its own.
 *
 *   Kept by the quarter of a second: of the one that the window cuts in two, the share that is still inside
 *   counts, as if its use were spread evenly over it.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace product_optimizer {

class UsageWindow {
 public:
  static constexpr std::uint64_t kLongestNs = 60'000'000'000;

  /* A negative amount takes back from the newest quarters on; what was already forgotten stays forgotten. */
  void Add(std::uint64_t now_ns, std::int64_t amount) {
    Advance(now_ns);
    if (amount < 0) {
      TakeBack(-amount);
      return;
    }
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t& slot = slots_[newest_ % kSlots];
    slot = static_cast<std::uint32_t>(std::min(kMost, static_cast<std::int64_t>(slot) + amount));
  }

  /* In the last window_ns, at most kLongestNs. */
  std::uint64_t Sum(std::uint64_t now_ns, std::uint64_t window_ns = kLongestNs) const {
    const std::uint64_t from_ns = now_ns > window_ns ? now_ns - window_ns : 0;
    const std::uint64_t first = from_ns / kSlotNs;
    const std::uint64_t oldest = newest_ >= kSlots ? newest_ - kSlots + 1 : 0;
    std::uint64_t sum = first >= oldest && first <= newest_ ? PartInside(slots_[first % kSlots], from_ns) : 0;
    for (std::uint64_t s = std::max(first + 1, oldest); s <= newest_; s++) sum += slots_[s % kSlots];
    return sum;
  }

 private:
  static constexpr std::uint64_t kSlotNs = 250'000'000;
  static constexpr std::uint64_t kSlots = kLongestNs / kSlotNs + 1;

  /* Of the slot in which the window begins. */
  static std::uint64_t PartInside(std::uint32_t amount, std::uint64_t from_ns) {
    return (amount * (kSlotNs - from_ns % kSlotNs) + kSlotNs / 2) / kSlotNs;
  }

  void Advance(std::uint64_t now_ns) {
    const std::uint64_t slot = now_ns / kSlotNs;
    if (slot <= newest_) return; /* time that steps back counts into the newest slot */
    if (slot - newest_ >= kSlots) {
      for (std::uint32_t& amount : slots_) amount = 0;
    } else {
      for (std::uint64_t s = newest_ + 1; s <= slot; s++) slots_[s % kSlots] = 0;
    }
    newest_ = slot;
  }

  void TakeBack(std::int64_t amount) {
    for (std::uint64_t age = 0; age < kSlots && age <= newest_ && amount > 0; age++) {
      std::uint32_t& slot = slots_[(newest_ - age) % kSlots];
      const std::int64_t taken = std::min<std::int64_t>(amount, slot);
      slot -= static_cast<std::uint32_t>(taken);
      amount -= taken;
    }
  }

  std::uint64_t newest_ = 0;
  std::uint32_t slots_[kSlots] = {};
};

}  // namespace product_optimizer
