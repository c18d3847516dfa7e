/*
 * store_lock.h
 *   Advisory locks by store, of classes that SQL cannot take; held until the transaction ends.  Stores share
 *   kStoreLocks locks of each class by the hash of their names: a lock of each store's own would fill
 *   PostgreSQL's lock table (53200) in a transaction of many thousand stores.
 */
#pragma once

#include <cstdint>
#include <string>

namespace product_optimizer {

enum class StoreLockClass : std::uint16_t {
  kRunning = 0x504F, /* to count what runs of a store with max_in_flight */
  kPending = 0x5050, /* to count what waits of a store with max_pending */
};

constexpr std::uint32_t kStoreLocks = 1024;

/* Which of the locks is this store's, from 0. */
std::uint32_t StoreLockOf(const std::string& store);

/* False when somebody else has it. */
bool TryStoreLock(StoreLockClass lock_class, std::uint32_t lock);

/* Waits for it; raises as any wait for a lock does.  Who takes several takes them in ascending order. */
void TakeStoreLock(StoreLockClass lock_class, std::uint32_t lock);

}  // namespace product_optimizer
