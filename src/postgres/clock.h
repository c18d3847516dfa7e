/*
 * clock.h
 *   The one clock of limiter and deadlines, the same for every process of the machine.
 */
#pragma once

#include <cstdint>

#include "http/clock.h"

namespace product_optimizer {

inline std::uint64_t NowNs() {
  return static_cast<std::uint64_t>(MonotonicNs());
}

}  // namespace product_optimizer
