/*
 * usage_window.h
 *   How much was used in the last minute and a little more.  Plain memory without a lock of its own.
 *
 *   Kept by the quarter of a second, each with its first and last moment of use: of the one that the window
 *   cuts in two, the share that is still inside counts, as if its use were spread evenly between these.  So
 *   what was used at one instant also leaves at one.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace product_optimizer {

class UsageWindow {
 public:
  static constexpr std::uint64_t kMinuteNs = 60'000'000'000;
  static constexpr std::uint64_t kLongestNs = kMinuteNs + 1'000'000'000;

  /* A negative amount takes back from the newest quarters on; what was already forgotten stays forgotten. */
  void Add(std::uint64_t now_ns, std::int64_t amount) {
    Advance(now_ns);
    if (amount < 0) {
      TakeBack(-amount);
      return;
    }
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
    if (amount == 0) return;
    Slot& slot = slots_[newest_ % kSlots];
    const auto moment = static_cast<std::uint16_t>(now_ns / kSlotNs < newest_ ? slot.last : Moment(now_ns));
    if (slot.amount == 0) slot.first = slot.last = moment;
    slot.last = std::max(slot.last, moment);
    const auto added = static_cast<std::uint32_t>(std::min(kMost - slot.amount, amount));
    slot.amount += added;
    total_ += added;
  }

  /* In the last window_ns, at most kLongestNs. */
  std::uint64_t Sum(std::uint64_t now_ns, std::uint64_t window_ns = kMinuteNs) const {
    const std::uint64_t from_ns = now_ns > window_ns ? now_ns - window_ns : 0;
    const std::uint64_t first = from_ns / kSlotNs;
    const std::uint64_t oldest = newest_ >= kSlots ? newest_ - kSlots + 1 : 0;
    if (first < oldest) return total_;
    if (first > newest_) return 0;
    /* A take asks several times: the shorter side of the cut is added up, and the whole is known. */
    const bool mostly_inside = newest_ - first > first - oldest;
    const std::uint64_t inside = mostly_inside ? total_ - SumOf(oldest, first) : SumOf(first + 1, newest_);
    return inside + PartInside(slots_[first % kSlots], from_ns);
  }

 private:
  static constexpr std::uint64_t kSlotNs = 250'000'000;
  static constexpr std::uint64_t kSlots = kLongestNs / kSlotNs + 1;

  struct Slot {
    std::uint32_t amount;
    std::uint16_t first, last; /* moments of use */
  };

  /* In a slot, rounded down. */
  static constexpr std::uint64_t kMomentNs = kSlotNs / 50'000;
  static std::uint64_t Moment(std::uint64_t now_ns) { return now_ns % kSlotNs / kMomentNs; }

  /* Of the slot in which the window begins. */
  static std::uint64_t PartInside(const Slot& slot, std::uint64_t from_ns) {
    const std::uint64_t from = Moment(from_ns);
    if (from < slot.first) return slot.amount;
    if (from >= slot.last) return 0;
    const std::uint64_t length = slot.last - slot.first;
    return (slot.amount * (slot.last - from) + length / 2) / length;
  }

  /* From one slot to another, both included. */
  std::uint64_t SumOf(std::uint64_t from, std::uint64_t to) const {
    std::uint64_t sum = 0;
    for (std::uint64_t s = from; s <= to; s++) sum += slots_[s % kSlots].amount;
    return sum;
  }

  void Advance(std::uint64_t now_ns) {
    const std::uint64_t current = now_ns / kSlotNs;
    if (current <= newest_) return; /* time that steps back counts into the newest slot */
    if (current - newest_ >= kSlots) {
      for (Slot& slot : slots_) slot = {};
      total_ = 0;
    } else {
      for (std::uint64_t s = newest_ + 1; s <= current; s++) {
        total_ -= slots_[s % kSlots].amount;
        slots_[s % kSlots] = {};
      }
    }
    newest_ = current;
  }

  void TakeBack(std::int64_t amount) {
    for (std::uint64_t age = 0; age < kSlots && age <= newest_ && amount > 0; age++) {
      Slot& slot = slots_[(newest_ - age) % kSlots];
      const std::int64_t taken = std::min<std::int64_t>(amount, slot.amount);
      slot.amount -= static_cast<std::uint32_t>(taken);
      total_ -= static_cast<std::uint64_t>(taken);
      amount -= taken;
    }
  }

  std::uint64_t newest_ = 0;
  std::uint64_t total_ = 0; /* of all slots */
  Slot slots_[kSlots] = {};
};

}  // namespace product_optimizer
