/*
 * shared_state.h
 *   What all processes of the cluster share: the worker slots (a database, its worker, its counters),
 *   the launcher's inbox, and the locks.  The buckets are in shared_limiter.h, the queues in
 *   shared_queue.h.
 *
 *   Locking: SharedState::lock guards who owns which slot and the inbox.  WorkerSlot::lock guards the
 *   rest of a slot: its worker writes, anybody reads.  Only OccupySlot() takes a second lock under the
 *   first, the slot's and that of the queues: a slot changes its database under both.  None is held across a
 *   call that can raise.  Everything here may be lost in a crash: it is rebuilt from the tables, or counts
 *   anew.
 */
#pragma once

#include <cstdint>
#include <memory>

#include "core/latency_histogram.h"
#include "postgres/prelude.h"

namespace product_optimizer {

enum class WorkerState : int { kStopped, kIdle, kRunning, kThrottled, kPaused, kBlocked };

const char* WorkerStateName(WorkerState state);

struct Counters {
  std::int64_t claims; /* claim transactions that claimed something */
  std::int64_t items_claimed;
  std::int64_t items_done;
  std::int64_t items_failed;
  std::int64_t retries;      /* to SCHEDULED after a failure */
  std::int64_t rate_limited; /* 429s received */
  std::int64_t orphans_rescued;
  std::int64_t late_results_rejected;
  std::int64_t paid_results_lost; /* answers that came and could not be kept */
  std::int64_t prompt_tokens;
  std::int64_t completion_tokens;
};

/* What a worker is woken for; bits. */
enum News : std::uint32_t {
  kNewsWork = 1,    /* something came to wait */
  kNewsDue = 2,     /* something may be due earlier than the worker thinks */
  kNewsControl = 4, /* pause, resume, policies, limits or the extension itself changed */
};

struct WorkerSlot {
  /* Guarded by SharedState::lock. */
  Oid database;   /* InvalidOid: never used; written under both locks */
  int pid;        /* 0: no worker */
  int proc_index; /* of its PGPROC, while pid is not 0 */

  /* Set by anybody, cleared by the worker. */
  pg_atomic_uint32 news; /* of News */

  LWLock* lock; /* guards what follows */
  WorkerState state;
  char reason[256];
  char last_error[512];
  int in_flight;
  int connections_open;
  int connections_idle;
  TimestampTz started_at;
  TimestampTz stats_since;
  Counters counters;
  LatencyHistogram latency;
};

constexpr int kInboxSize = 64;

/* What a started worker found, for the launcher. */
enum class StartOutcome : int { kPending, kRunning, kNoExtension, kNoSlot };

struct SharedState {
  LWLock* lock; /* guards what follows and the owner fields of the slots */
  int launcher_pid;
  int launcher_proc_index;
  Oid inbox[kInboxSize]; /* databases to look at again */
  int inbox_count;       /* kInboxSize + 1: too many to name, look at all */
  Oid start_database;    /* the worker the launcher is starting */
  StartOutcome start_outcome;
  Oid hold_database; /* not to be started before hold_until: somebody needs it without connections */
  TimestampTz hold_until;
  int slot_count;
  WorkerSlot slots[FLEXIBLE_ARRAY_MEMBER];
};

/* From _PG_init: asks for the memory and the locks. */
void ReserveSharedState();

/* Null when the library was not preloaded. */
SharedState* Shared();

/* A lock that is held for a scope; released by PostgreSQL itself when an ERROR jumps over it. */
class LockScope {
 public:
  explicit LockScope(LWLock* lock, LWLockMode mode = LW_EXCLUSIVE) : lock_(lock) {
    LWLockAcquire(lock_, mode);
  }
  ~LockScope() { LWLockRelease(lock_); }
  LockScope(const LockScope&) = delete;
  LockScope& operator=(const LockScope&) = delete;

 private:
  LWLock* lock_;
};

/* The slot of a database, with or without a worker; null when it has none. */
WorkerSlot* FindSlot(Oid database);

/* A copy of the slot of a database, so that nothing raises under its lock; a stopped one when it has none.
 * Its texts are such as every encoding can say. */
std::unique_ptr<WorkerSlot> CopySlot(Oid database);

/* Wakes the worker of this database for such News; false when it has none. */
bool WakeWorker(Oid database, std::uint32_t news);

/* Under SharedState::lock: wakes the launcher, where there is one. */
void WakeLauncher();

/* Tells the launcher to look at a database again. */
void TellLauncher(Oid database);

/* Whether somebody needs this database without connections now: then no worker starts in it. */
bool IsHeld(Oid database);

/* For before_shmem_exit of a worker: the slot has no worker any more. */
void VacateSlot(WorkerSlot* slot);

/* The slot for this worker, taken; null when another live worker has it or none is free (then *full). */
WorkerSlot* OccupySlot(Oid database, bool* full);

}  // namespace product_optimizer
