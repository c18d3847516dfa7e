/*
 * clock.h
 *   The one clock of this room: CLOCK_MONOTONIC, because deadlines must not move with the wall clock.
 */
#pragma once

#include <cstdint>
#include <ctime>

namespace product_optimizer {

constexpr std::int64_t kNsPerMs = 1000000;

inline std::int64_t MonotonicNs() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

}  // namespace product_optimizer
