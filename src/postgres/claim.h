/*
 * claim.h
 *   The fair claim: finds the stores that wait, locks the next rows of each in the order of service,
 *   lets the caller choose, and turns the chosen ones into RUNNING, all in the caller's transaction.
 *
 *   The rotation's memory (who was served last, who is owed a fraction) is a hint in shared memory; the
 *   table alone decides what is claimed, so any number of claimers may run at once.
 */
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/item.h"
#include "core/limiter.h"
#include "postgres/shared_state.h"

namespace product_optimizer {

/* A PENDING row, locked, not yet claimed. */
struct Candidate {
  Item item;           /* attempt is still the one before the claim */
  Limits store_limits; /* of its store's own; 0: none */
};

struct ClaimRequest {
  std::int64_t max_items = 0;     /* ≥ 1 */
  std::int64_t max_per_store = 0; /* ≥ 1 */
  std::int64_t lease_ms = 0;      /* ≥ 1 */
  std::string claimed_by;
  /* For a claimer that claims again at once: the cap of lighter stores shrinks by their weight. */
  bool weighted_caps = false;
  /* Stores to pass over; null: none. */
  const std::map<std::string, std::uint64_t>* resting = nullptr;
};

enum class Choice {
  kTake,
  kLeave, /* stays PENDING, and its store stays next in line */
  kSkip,  /* stays PENDING: its store's own limit holds it, so the rotation goes on without it */
};

/* Asked about each candidate in the order of service. */
using Chooser = std::function<Choice(Candidate&)>;

/* In the order of service.  The tuples belong to the caller's SPI connection. */
struct ClaimResult {
  std::vector<Item> items;     /* attempt is the claim's fencing token */
  std::vector<HeapTuple> rows; /* whole rows of job_items, as they are now */
  TupleDesc row_description = nullptr;
  std::int64_t left = 0;          /* candidates that the chooser left */
  bool more = false;              /* more may wait that could be claimed at once */
  bool waits_for_answers = false; /* a store has a max_in_flight: more may be claimed once items end */
};

/*
 * SPI must be connected and search_path pinned.  Without a chooser everything is taken, and no payload
 * is read.  Throws PgError.
 */
ClaimResult ClaimItems(const ClaimRequest& request, const Chooser& chooser);

}  // namespace product_optimizer
