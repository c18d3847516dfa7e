/*
 * usage_window.h
 *   How much was used in the last 60 seconds, to the second.  Plain memory without a lock of its own.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace product_optimizer {

class UsageWindow {
 public:
  static constexpr int kSeconds = 60;

  /* A negative amount takes back from the newest seconds on; what was already forgotten stays forgotten. */
  void Add(std::uint64_t now_ns, std::int64_t amount) {
    Advance(now_ns);
    if (amount < 0) {
      TakeBack(-amount);
      return;
    }
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t& slot = slots_[newest_ % kSeconds];
    slot = static_cast<std::uint32_t>(std::min(kMost, static_cast<std::int64_t>(slot) + amount));
  }

  std::uint64_t Sum(std::uint64_t now_ns) const {
    const std::uint64_t second = Second(now_ns);
    std::uint64_t sum = 0;
    for (std::uint64_t s = newest_ >= kSeconds ? newest_ - kSeconds + 1 : 0; s <= newest_; s++)
      if (s + kSeconds > second) sum += slots_[s % kSeconds];
    return sum;
  }

 private:
  static std::uint64_t Second(std::uint64_t now_ns) { return now_ns / 1'000'000'000; }

  void Advance(std::uint64_t now_ns) {
    const std::uint64_t second = Second(now_ns);
    if (second <= newest_) return; /* time that steps back counts into the newest second */
    if (second - newest_ >= kSeconds) {
      for (std::uint32_t& slot : slots_) slot = 0;
    } else {
      for (std::uint64_t s = newest_ + 1; s <= second; s++) slots_[s % kSeconds] = 0;
    }
    newest_ = second;
  }

  void TakeBack(std::int64_t amount) {
    for (std::uint64_t age = 0; age < kSeconds && age <= newest_ && amount > 0; age++) {
      std::uint32_t& slot = slots_[(newest_ - age) % kSeconds];
      const std::int64_t taken = std::min<std::int64_t>(amount, slot);
      slot -= static_cast<std::uint32_t>(taken);
      amount -= taken;
    }
  }

  std::uint64_t newest_ = 0;
  std::uint32_t slots_[kSeconds] = {};
};

}  // namespace product_optimizer
