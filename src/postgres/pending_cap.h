/*
 * pending_cap.h
 *   stores.max_pending: no INSERT leaves more items of a store PENDING or SCHEDULED than that.
 *
 *   The tables are read by scans of our own, not by SQL: who inserts needs no rights on stores and none to
 *   read job_items, no search_path and no planner setting of the session plays a part, and what committed a
 *   moment ago counts under every isolation level.
 */
#pragma once

#include <set>
#include <string>

#include "postgres/prelude.h"

namespace product_optimizer {

/* One look at an index of capped stores, which is empty where nobody uses caps. */
bool IsAnyStoreCapped(Relation job_items);

/*
 * At the end of a statement that inserted waiting rows of these stores.  Each of them that has a cap stays
 * locked until the transaction ends, so that nobody counts beside it.  Raises QF001 for a store that has too
 * many; not in a database that was restored and not yet resumed, for a restore must load what was dumped.
 */
void EnforcePendingCaps(Relation job_items, const std::set<std::string>& stores);

}  // namespace product_optimizer
