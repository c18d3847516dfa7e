/*
 * waiting_stores.h
 *   The stores that have PENDING rows, in the order of the rotation, with what their policy allows.
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/fair_rotation.h"
#include "core/limiter.h"
#include "postgres/claim.h"
#include "postgres/prelude.h"

namespace product_optimizer {

struct StoreInLine {
  std::string instance_id; /* UTF-8 */
  Limits limits;           /* its own; 0: none */
  std::int16_t head_priority = INT16_MIN;
  std::int64_t head_id = INT64_MIN; /* the last row that was probed; rows behind it come next */
};

struct Line {
  std::vector<StoreInLine> stores;
  std::vector<WaitingStore> shares; /* of the same stores */
  bool whole = false;               /* no store waits that is not in it */
  bool waits_for_answers = false;   /* a store in it has a max_in_flight */
};

/*
 * Walks the waiting stores from the one behind the rotation's mark, once around at most, until those
 * found can give request.max_items.  Throws PgError.
 */
Line FindWaitingStores(const ClaimRequest& request);

/* Remembers the credits, and the store served last (-1: leaves the mark where it is). */
void RememberRotation(const Line& line, std::ptrdiff_t served_last);

}  // namespace product_optimizer
