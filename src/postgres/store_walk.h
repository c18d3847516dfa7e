/*
 * store_walk.h
 *   The walk over the table that finds what nobody told the queue: rows that became PENDING behind the
 *   triggers' back, that were locked when a claim came by, or whose notes were lost in a crash.
 *
 *   Once around is a loose scan of idx_job_items_instance_status_id: one probe per store.  All processes of
 *   the database share its position.
 */
#pragma once

#include <cstdint>

namespace product_optimizer {

/*
 * Goes on for so many stores; true when it came to the end.  SPI must be connected and search_path pinned.
 * Throws PgError.
 */
bool WalkOn(std::int64_t stores);

/* Walks until somebody is found, or to the end, but not too far; true when the queue knows of somebody. */
bool WalkUntilFound();

/*
 * Before a claim: tells the queue of what this transaction did itself, and a queue of this process alone of
 * what it cannot have heard of.
 */
void LookAtOwnRows(std::int64_t max_items);

/* See core/table_walk.h. */
std::uint64_t WalkDueNs(std::uint64_t interval_ns);

/* Whether a claimer that found nothing may walk, to be sure. */
bool MayWalkWhenIdle(std::uint64_t now_ns);

}  // namespace product_optimizer
