/*
 * candidate.h
 *   A row that may be claimed, while it is being chosen.
 */
#pragma once

#include <cstdint>
#include <functional>

#include "core/item.h"
#include "core/limiter.h"
#include "core/line_place.h"
#include "core/store_line.h"

namespace product_optimizer {

/* A PENDING row, locked, not yet claimed. */
struct Candidate {
  Item item;           /* attempt is still the one before the claim */
  Limits store_limits; /* of its store's own; 0: none */
  LinePlace place{};   /* where it is served, among all stores */
  /* For the chooser to fill in. */
  double cost = 1;                 /* what it takes of its store's share, ≥ 1 */
  std::uint64_t park_until_ns = 0; /* with kSkip: when its store may be asked again */
};

inline ItemKey KeyOf(const Candidate& row) {
  return {row.item.id, row.item.priority};
}

enum class Choice {
  kTake,
  kLeave, /* stays PENDING, and its store stays next in line */
  kSkip,  /* stays PENDING, and its store is passed over until park_until_ns */
};

/* Asked about each candidate in the order of service. */
using Chooser = std::function<Choice(Candidate&)>;

}  // namespace product_optimizer
