/*
 * latency_histogram.h
 *   Latencies from 1 ms to over an hour in buckets of at most 1/16 relative width.  Plain memory
 *   without a lock of its own.
 */
#pragma once

#include <cstdint>

namespace product_optimizer {

class LatencyHistogram {
 public:
  void Add(std::uint64_t milliseconds) {
    counts_[Index(milliseconds)]++;
    total_++;
  }

  std::uint64_t total() const { return total_; }

  /* The upper edge, in ms, of the bucket that holds the given share (0 … 1) of all latencies; 0 when there
   * are none. */
  std::uint64_t Percentile(double share) const {
    if (total_ == 0) return 0;
    const double wanted = share * static_cast<double>(total_);
    std::uint64_t seen = 0;
    for (int i = 0; i < kBuckets; i++) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return UpperEdge(i);
    }
    return UpperEdge(kBuckets - 1);
  }

 private:
  static constexpr int kSubBits = 4; /* 16 buckets per power of two */
  static constexpr int kSub = 1 << kSubBits;
  static constexpr int kOctaves = 19; /* exact below 16 ms, then 16 ms · 2^18 = 70 minutes */
  static constexpr int kBuckets = kSub * kOctaves;

  static int Index(std::uint64_t value) {
    if (value < kSub) return static_cast<int>(value);
    int octave = 1;
    while (octave < kOctaves - 1 && value >= static_cast<std::uint64_t>(kSub) << octave) octave++;
    const std::uint64_t sub = (value >> (octave - 1)) - kSub;
    return octave * kSub + static_cast<int>(sub < kSub ? sub : kSub - 1);
  }

  static std::uint64_t UpperEdge(int index) {
    if (index < kSub) return static_cast<std::uint64_t>(index);
    const int octave = index / kSub;
    return ((static_cast<std::uint64_t>(index % kSub) + kSub + 1) << (octave - 1)) - 1;
  }

  std::uint64_t total_ = 0;
  std::uint64_t counts_[kBuckets] = {};
};

}  // namespace product_optimizer
