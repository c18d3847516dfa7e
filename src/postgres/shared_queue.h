/*
 * shared_queue.h
 *   The fair queue of each database, in shared memory: which of its stores wait, whose turn it is, and how
 *   far the walk over the table has come that finds what nobody told of.  Used by the worker and by every
 *   backend that claims or inserts.
 *
 *   One lock guards all of it.  It is held for microseconds, never across a call that can raise, and no
 *   other lock is taken under it.  The memory is lost in a crash; the walk fills it again.
 */
#pragma once

#include <cstdint>
#include <string>

#include "core/fair_queue.h"
#include "core/table_walk.h"
#include "postgres/prelude.h"
#include "postgres/shared_state.h"

namespace product_optimizer {

struct DatabaseQueue {
  QueueState state;
  TableWalk walk;
  /* When all policies were last forgotten, in case no trigger told of a change. */
  std::uint64_t policies_doubted_ns;
};

Size SharedQueuesSize();
void StartSharedQueues(LWLock* lock);

/* What it holds is no longer so: its table was emptied, or the slot belongs to another database from now on.
 * The walk begins anew. */
void ClearSharedQueue(int slot_index);

/*
 * The queue of this database, under the lock for as long as this object lives.  A database without a worker
 * slot has one in this process's own memory, which the walk has to fill for every claim.
 */
class QueueScope {
 public:
  QueueScope();
  ~QueueScope();
  QueueScope(const QueueScope&) = delete;
  QueueScope& operator=(const QueueScope&) = delete;

  FairQueue& queue() { return queue_; }
  TableWalk& walk() { return database_->walk; }
  std::uint64_t& policies_doubted_ns() { return database_->policies_doubted_ns; }

 private:
  struct Place;
  explicit QueueScope(Place place);
  static Place Find();

  LWLock* lock_; /* null for the private one */
  DatabaseQueue* database_;
  FairQueue queue_;
};

/* What a worker has to know to go to sleep, and a claimer to give up. */
struct QueueOutlook {
  std::uint32_t known;          /* stores that wait, those included that may not be claimed from now */
  std::uint32_t waiting;        /* stores that can be claimed from, as far as is known */
  std::uint64_t next_unpark_ns; /* UINT64_MAX: none is parked */
};
QueueOutlook LookAtQueue();

/* Policies or limits changed: every store may be asked again. */
void ForgetStorePolicies();

}  // namespace product_optimizer
