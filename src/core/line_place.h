/*
 * line_place.h
 *   Where something stands in the line of all stores.
 */
#pragma once

#include <cstdint>

namespace product_optimizer {

/* Lower is served first. */
struct LinePlace {
  double turn;         /* virtual time */
  std::uint64_t order; /* among equal turns */

  bool operator<(const LinePlace& other) const {
    return turn != other.turn ? turn < other.turn : order < other.order;
  }
  bool operator==(const LinePlace& other) const { return turn == other.turn && order == other.order; }
};

}  // namespace product_optimizer
