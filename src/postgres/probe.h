/*
 * probe.h
 *   The statements of a claim: the policies of the stores whose turn it is, their next rows, locked, and the
 *   update that claims those.
 */
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/candidate.h"
#include "core/fair_queue.h"
#include "postgres/prelude.h"

namespace product_optimizer {

struct LockedRow : Candidate {
  ItemPointerData ctid{};
  bool is_chosen = false; /* to be claimed */
};

/* A store's part in a claim. */
struct Part {
  Turn turn;
  std::int64_t most = 0;       /* rows to lock; ≤ turn.items */
  std::vector<LockedRow> rows; /* in the order of service */
  bool busy = false;           /* its max_in_flight is being counted by another claim */
  bool was_asked = false;      /* rows holds all that was to be had */
};

/* Reads what stores says of each part's store, into turn.policy. */
void ReadPolicies(const std::vector<Part*>& parts);

/*
 * How many more items of each part's store may run by its max_in_flight.  Nobody else who claims of it comes
 * between until this transaction ends; where somebody is before us the part is busy.
 */
std::vector<std::int64_t> CountRoom(const std::vector<Part*>& parts);

/* Locks, and notes, the next rows of each part's line: most of them at most.  Payloads and jobs, which may be
 * large, are read only of rows that are to be sent from here. */
void LockRows(const std::vector<Part*>& parts, bool to_send);

/* A row as the claim left it. */
struct TakenRow {
  HeapTuple row;
  std::int16_t attempt;
};

/* Claims LockedRows, and marks them as chosen.  The result is by item id; what a trigger of the application
 * gave another status, so that it waits no longer, is not in it.  Raises 27000 when one waits as before. */
std::unordered_map<std::int64_t, TakenRow> TakeRows(const std::vector<Candidate*>& rows,
                                                    const std::string& claimed_by, std::int64_t lease_ms,
                                                    TupleDesc* description);

}  // namespace product_optimizer
