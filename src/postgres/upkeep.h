/*
 * upkeep.h
 *   What keeps the queue going besides claims and answers: due items, orphans, the home of the queue,
 *   limits per model.  SPI must be connected and search_path pinned; everything throws PgError.
 */
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/limiter.h"
#include "postgres/careful_batch.h"

namespace product_optimizer {

/*
 * SCHEDULED → PENDING for a batch of the items whose run_after, not before from (a TimestampTz; INT64_MIN:
 * any), has come; how many those were.
 */
std::int64_t PromoteDueItems(CarefulBatch& batch, std::int64_t from);

struct NextDue {
  std::int64_t at; /* its run_after, a TimestampTz */
  std::int64_t in_ms;
};

/* The first SCHEDULED item of those, due (in 0 ms) or not; nothing when there is none but such as rest. */
std::optional<NextDue> FindNextDue(const CarefulBatch& batch, std::int64_t from);

/*
 * A batch of the RUNNING items that nobody works on any more goes back to PENDING, or to FAILED when their
 * attempts are used up: those of this database's earlier workers at once, others when their lease has
 * expired.  claimed_by names this worker.
 */
std::int64_t RescueOrphans(CarefulBatch& batch, const std::string& claimed_by);

/*
 * Hands back what this worker holds, without costing an attempt; but for the items named in keep, of
 * which those that nobody has locked are locked and returned.  Never waits for a row.
 */
std::vector<std::int64_t> ReleaseAllBut(const std::string& claimed_by, const std::vector<std::int64_t>& keep);

/* Those of the items that somebody else has locked, or is changing, right now; the others are locked.  Never
 * waits for a row. */
std::vector<std::int64_t> LockedByOthers(const std::vector<std::int64_t>& ids);

struct HomeState {
  bool paused;
  std::string reason;
};

/* Whether the queue is paused here; adopts a database that was moved as a whole (pg_upgrade). */
HomeState ReadHome();

/* The rows of rate_limits over the settings. */
std::map<std::string, Limits> ReadModelLimits(const Limits& defaults);

/* How many rows have a status: exact up to 1000, an estimate from the index's size above. */
std::int64_t CountPending();
std::int64_t CountScheduled();

/* claimed_by of a worker: this prefix, its pid and its start. */
extern const char kWorkerPrefix[];

}  // namespace product_optimizer
