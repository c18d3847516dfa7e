/*
 * serving.h
 *   In which order the rows that a claim has locked are chosen from: by the turns of their stores, each row
 *   at its own cost, and within a store in the order of its line.
 */
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "core/candidate.h"
#include "core/fair_queue.h"

namespace product_optimizer {

/* A store's part in a claim, while its rows are chosen from.  The turn and the rows belong to the caller. */
struct Service {
  explicit Service(const Turn& of) : turn(of), place(of.place) {}

  const Turn& turn;
  std::vector<Candidate*> rows; /* in the order of the store's line */
  bool may_have_more = false;   /* the store gave all that was asked of it, which the queue alone limited */

  LinePlace place;          /* of its next row */
  std::size_t next = 0;     /* row */
  Service* after = nullptr; /* the same store's next part */
  TurnReport report;        /* park_until_ns and last_start are filled in */
};

/*
 * Asks about each row until its store is skipped, and adds those to take to chosen; how many were left.  A
 * null chooser takes all.  Strict: where a store may have more than is locked, those that come later are not
 * asked.
 */
std::int64_t Serve(std::deque<Service>& services, bool strict, const Chooser& chooser,
                   std::vector<Candidate*>& chosen);

}  // namespace product_optimizer
