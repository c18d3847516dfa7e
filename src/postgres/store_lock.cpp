#include "postgres/store_lock.h"

#include "postgres/prelude.h"

namespace product_optimizer {

static LOCKTAG TagOf(StoreLockClass lock_class, std::uint32_t lock) {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, lock, static_cast<std::uint16_t>(lock_class));
  return tag;
}

std::uint32_t StoreLockOf(const std::string& store) {
  return hash_bytes(reinterpret_cast<const unsigned char*>(store.data()), static_cast<int>(store.size())) %
         kStoreLocks;
}

bool TryStoreLock(StoreLockClass lock_class, std::uint32_t lock) {
  const LOCKTAG tag = TagOf(lock_class, lock);
  return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

void TakeStoreLock(StoreLockClass lock_class, std::uint32_t lock) {
  const LOCKTAG tag = TagOf(lock_class, lock);
  LockAcquire(&tag, ExclusiveLock, false, false);
}

}  // namespace product_optimizer
