/*
 * serving.h
 *   In which order the rows that a claim has locked are chosen from: by the turns of their stores, each row
 * at its own cost, and within a store in the order of its line.
 */
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "core/fair_queue.h"
#include "postgres/claim.h"
#include "postgres/probe.h"

namespace product_optimizer {

/* A part of a claim while its rows are chosen from. */
struct Service {
  explicit Service(Part& of) : part(&of), place{of.turn.turn, of.turn.order} {}

  Part* part;
  LinePlace place;          /* of its next row */
  std::size_t next = 0;     /* row */
  Service* after = nullptr; /* the same store's next part */
  TurnReport report;
};

/*
 * Asks about each row until its store is skipped, and adds those to take to chosen; how many were left.  A
 * null chooser takes all.  Strict: where a store may have more than is locked, those that come later are not
 * asked.
 */
std::int64_t Serve(std::deque<Service>& services, bool strict, const Chooser& chooser,
                   std::vector<LockedRow*>& chosen);

}  // namespace product_optimizer
