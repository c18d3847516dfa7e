#include "postgres/shared_queue.h"

#include <type_traits>

#include "postgres/settings.h"

namespace product_optimizer {

namespace {

static_assert(std::is_trivially_copyable_v<DatabaseQueue> && std::is_trivially_copyable_v<Store>,
              "shared memory holds plain data only");

/* Of all databases together.  Stores beyond it get their turn too, but the walk must find them each time. */
constexpr std::uint32_t kSharedStores = 131'072;
constexpr std::uint32_t kPrivateStores = 4096;

/* Under one hold of the lock. */
constexpr int kForgottenAtOnce = 256;

struct SharedQueues {
  LWLock* lock;
  DatabaseQueue queues[FLEXIBLE_ARRAY_MEMBER]; /* one per worker slot; the pool lies behind them */
};

SharedQueues* shared = nullptr;

Size PoolOffset() {
  return CACHELINEALIGN(offsetof(SharedQueues, queues) +
                        static_cast<Size>(MaxDatabases()) * sizeof(DatabaseQueue));
}

StorePool& SharedPool() {
  return *reinterpret_cast<StorePool*>(reinterpret_cast<char*>(shared) + PoolOffset());
}

FairQueue QueueOfSlot(int slot_index) {
  return FairQueue(SharedPool(), shared->queues[slot_index].state, static_cast<std::uint8_t>(slot_index));
}

/* PostgreSQL seeds its generator from the system's in each process, and shows nobody what it gave. */
std::uint64_t Seed() {
  return pg_prng_uint64(&pg_global_prng_state);
}

/* For a database whose worker never ran. */
struct PrivateQueue {
  StorePool* pool;
  DatabaseQueue database;
};

PrivateQueue& Private() {
  static PrivateQueue own{};
  if (own.pool == nullptr) {
    /* Memory of the process, for as long as it lives. */
    own.pool = static_cast<StorePool*>(::operator new(StorePool::BytesFor(kPrivateStores)));
    memset(static_cast<void*>(own.pool), 0, StorePool::BytesFor(kPrivateStores));
    own.pool->Start(kPrivateStores, 1, Seed());
    FairQueue(*own.pool, own.database.state, 0).Start();
  }
  return own;
}

}  // namespace

Size SharedQueuesSize() {
  return add_size(PoolOffset(), StorePool::BytesFor(kSharedStores));
}

void StartSharedQueues(LWLock* lock) {
  bool found;
  shared =
      static_cast<SharedQueues*>(ShmemInitStruct("product_optimizer queues", SharedQueuesSize(), &found));
  if (found) return;
  /* The pool is fresh shared memory, which is zeroed: it is not touched before stores wait. */
  memset(static_cast<void*>(shared), 0, PoolOffset());
  shared->lock = lock;
  SharedPool().Start(kSharedStores, static_cast<std::uint32_t>(MaxDatabases()), Seed());
  for (int i = 0; i < MaxDatabases(); i++) QueueOfSlot(i).Start();
}

void ClearSharedQueue(int slot_index) {
  for (bool more = true; more;) {
    LockScope scope(shared->lock);
    more = QueueOfSlot(slot_index).Forget(kForgottenAtOnce);
    shared->queues[slot_index].walk.Forget();
    shared->queues[slot_index].policies_doubted_ns = 0;
  }
}

struct QueueScope::Place {
  LWLock* lock;
  StorePool* pool;
  DatabaseQueue* database;
  std::uint8_t id;
};

QueueScope::Place QueueScope::Find() {
  const WorkerSlot* const slot = FindSlot(MyDatabaseId);
  if (slot == nullptr) {
    PrivateQueue& own = Private();
    return {nullptr, own.pool, &own.database, 0};
  }
  const auto index = static_cast<std::uint8_t>(slot - Shared()->slots);
  return {shared->lock, &SharedPool(), &shared->queues[index], index};
}

QueueScope::QueueScope() : QueueScope(Find()) {}

QueueScope::QueueScope(Place place)
    : lock_(place.lock), database_(place.database), queue_(*place.pool, place.database->state, place.id) {
  if (lock_ != nullptr) LWLockAcquire(lock_, LW_EXCLUSIVE);
}

QueueScope::~QueueScope() {
  if (lock_ != nullptr) LWLockRelease(lock_);
}

QueueOutlook LookAtQueue() {
  QueueScope scope;
  return {scope.queue().known(), scope.queue().waiting(), scope.queue().NextUnparkNs()};
}

void ForgetStorePolicies() {
  QueueScope scope;
  scope.queue().ForgetPolicies();
}

}  // namespace product_optimizer
