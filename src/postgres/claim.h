/*
 * claim.h
 *   The fair claim: asks the queue whose turn it is, locks the next rows of those stores, lets the caller
 *   choose in the order of service, and turns the chosen ones into RUNNING, all in the caller's transaction.
 *
 *   What the queue knows is a hint in shared memory; the table alone decides what is claimed, so any
 *   number of claimers may run at once.
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/candidate.h"
#include "postgres/prelude.h"

namespace product_optimizer {

struct ClaimRequest {
  std::int64_t max_items = 0;     /* ≥ 1 */
  std::int64_t max_per_store = 0; /* ≥ 1 */
  std::int64_t lease_ms = 0;      /* ≥ 1 */
  std::string claimed_by;
  /* For a claimer that comes again at once: a store at max_per_store is not overtaken, but ends the claim. */
  bool strict = false;
};

/* In the order of service.  The tuples belong to the caller's SPI connection. */
struct ClaimResult {
  std::vector<Item> items;     /* attempt is the claim's fencing token */
  std::vector<HeapTuple> rows; /* whole rows of job_items, as they are now */
  TupleDesc row_description = nullptr;
  std::int64_t left = 0;   /* candidates that the chooser left */
  bool met_locked = false; /* there are waiting rows that others have locked */
};

/*
 * SPI must be connected and search_path pinned.  Without a chooser everything is taken, and neither payloads
 * nor jobs are read.  Throws PgError.
 */
ClaimResult ClaimItems(const ClaimRequest& request, const Chooser& chooser);

/* The store that is next in line is passed over until then; its name, "" when nobody waits. */
std::string ParkNextStore(std::uint64_t until_ns);

}  // namespace product_optimizer
