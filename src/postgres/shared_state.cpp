#include "postgres/shared_state.h"

#include <type_traits>

#include "postgres/settings.h"
#include "postgres/shared_limiter.h"
#include "postgres/shared_queue.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

static_assert(std::is_trivially_copyable_v<WorkerSlot>, "shared memory holds plain data only");

constexpr char kTranche[] = "product_optimizer";

SharedState* shared = nullptr;
shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

Size StateSize() {
  return add_size(offsetof(SharedState, slots),
                  mul_size(static_cast<Size>(MaxDatabases()), sizeof(WorkerSlot)));
}

void InitializeState() {
  memset(static_cast<void*>(shared), 0, StateSize());
  LWLockPadded* const locks = GetNamedLWLockTranche(kTranche);
  shared->lock = &locks[0].lock;
  shared->slot_count = MaxDatabases();
  shared->inbox_count = kInboxSize + 1; /* at first nothing is known: look at every database */
  for (int i = 0; i < shared->slot_count; i++) {
    WorkerSlot& slot = shared->slots[i];
    slot.lock = &locks[3 + i].lock;
    pg_atomic_init_u32(&slot.news, 0);
  }
}

}  // namespace

extern "C" {

static void RequestSharedMemory() {
  if (previous_request_hook != nullptr) previous_request_hook();
  RequestAddinShmemSpace(add_size(add_size(StateSize(), SharedLimiterSize()), SharedQueuesSize()));
  RequestNamedLWLockTranche(kTranche, 3 + MaxDatabases());
}

static void StartSharedMemory() {
  if (previous_startup_hook != nullptr) previous_startup_hook();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  shared = static_cast<SharedState*>(ShmemInitStruct("product_optimizer", StateSize(), &found));
  if (!found) InitializeState();
  StartSharedLimiter(&GetNamedLWLockTranche(kTranche)[1].lock);
  StartSharedQueues(&GetNamedLWLockTranche(kTranche)[2].lock);
  LWLockRelease(AddinShmemInitLock);
}

}  // extern "C"

const char* WorkerStateName(WorkerState state) {
  switch (state) {
    case WorkerState::kStopped:
      return "stopped";
    case WorkerState::kIdle:
      return "idle";
    case WorkerState::kRunning:
      return "running";
    case WorkerState::kThrottled:
      return "throttled";
    case WorkerState::kPaused:
      return "paused";
    case WorkerState::kBlocked:
      return "blocked";
  }
  return "stopped";
}

void ReserveSharedState() {
  previous_request_hook = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_startup_hook = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

SharedState* Shared() {
  return shared;
}

WorkerSlot* FindSlot(Oid database) {
  LockScope scope(shared->lock, LW_SHARED);
  for (int i = 0; i < shared->slot_count; i++)
    if (shared->slots[i].database == database) return &shared->slots[i];
  return nullptr;
}

std::unique_ptr<WorkerSlot> CopySlot(Oid database) {
  auto copy = std::make_unique<WorkerSlot>();
  memset(static_cast<void*>(copy.get()), 0, sizeof(WorkerSlot));
  WorkerSlot* const slot = FindSlot(database);
  if (slot == nullptr) return copy;
  {
    LockScope scope(slot->lock, LW_SHARED);
    if (slot->database != database) return copy; /* another one has taken it since */
    memcpy(static_cast<void*>(copy.get()), slot, sizeof(WorkerSlot));
  }
  /* What the worker of another database wrote, this one's encoding may lack. */
  strlcpy(copy->reason, InAnyEncoding(copy->reason).c_str(), sizeof copy->reason);
  strlcpy(copy->last_error, InAnyEncoding(copy->last_error).c_str(), sizeof copy->last_error);
  return copy;
}

bool WakeWorker(Oid database, std::uint32_t news) {
  LockScope scope(shared->lock, LW_SHARED);
  for (int i = 0; i < shared->slot_count; i++) {
    WorkerSlot& slot = shared->slots[i];
    if (slot.database != database || slot.pid == 0) continue;
    pg_atomic_fetch_or_u32(&slot.news, news);
    SetLatch(&ProcGlobal->allProcs[slot.proc_index].procLatch);
    return true;
  }
  return false;
}

void WakeLauncher() {
  if (shared->launcher_pid != 0) SetLatch(&ProcGlobal->allProcs[shared->launcher_proc_index].procLatch);
}

void TellLauncher(Oid database) {
  LockScope scope(shared->lock);
  bool known = shared->inbox_count > kInboxSize;
  for (int i = 0; !known && i < shared->inbox_count; i++) known = shared->inbox[i] == database;
  if (!known) {
    if (shared->inbox_count < kInboxSize) shared->inbox[shared->inbox_count] = database;
    shared->inbox_count++;
  }
  WakeLauncher();
}

bool IsHeld(Oid database) {
  LockScope scope(shared->lock, LW_SHARED);
  return shared->hold_database == database && GetCurrentTimestamp() < shared->hold_until;
}

void VacateSlot(WorkerSlot* slot) {
  {
    LockScope scope(shared->lock);
    slot->pid = 0;
    WakeLauncher();
  }
  LockScope scope(slot->lock);
  slot->state = WorkerState::kStopped;
  slot->in_flight = 0;
  slot->connections_open = 0;
  slot->connections_idle = 0;
}

WorkerSlot* OccupySlot(Oid database, bool* full) {
  LockScope scope(shared->lock);
  *full = false;
  WorkerSlot* vacant = nullptr;
  for (int i = 0; i < shared->slot_count; i++) {
    WorkerSlot& slot = shared->slots[i];
    if (slot.database == database) {
      if (slot.pid != 0) return nullptr;
      vacant = &slot;
      break;
    }
    /* A slot never used before one whose database lost its worker: that one still holds counters. */
    if (slot.pid == 0 &&
        (vacant == nullptr || (vacant->database != InvalidOid && slot.database == InvalidOid)))
      vacant = &slot;
  }
  if (vacant == nullptr) {
    *full = true;
    return nullptr;
  }
  if (vacant->database != database) ClearSharedQueue(static_cast<int>(vacant - shared->slots));
  LockScope scope_of_slot(vacant->lock);
  if (vacant->database != database) {
    vacant->counters = Counters{};
    vacant->latency = LatencyHistogram();
    vacant->last_error[0] = '\0';
    vacant->stats_since = GetCurrentTimestamp();
    vacant->database = database;
  }
  vacant->pid = MyProcPid;
  vacant->proc_index = MyProcIndex();
  vacant->started_at = GetCurrentTimestamp();
  vacant->state = WorkerState::kIdle;
  vacant->reason[0] = '\0';
  pg_atomic_write_u32(&vacant->news, kNewsWork | kNewsDue | kNewsControl);
  return vacant;
}

}  // namespace product_optimizer
