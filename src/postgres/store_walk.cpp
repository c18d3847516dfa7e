#include "postgres/store_walk.h"

#include <algorithm>
#include <string>
#include <vector>

#include "postgres/clock.h"
#include "postgres/guard.h"
#include "postgres/queue_notes.h"
#include "postgres/shared_queue.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

/*
 * A loose index scan: one probe per store, whatever it has waiting.  The order names the whole index,
 * so that no other index and no sort can serve it.
 */
Statement walk_on = {
    "WITH RECURSIVE walk(instance_id, priority, id, n) AS ("
    "  (SELECT i.instance_id, i.priority, i.id, 1::bigint FROM job_items i"
    "    WHERE i.status = 'PENDING' AND i.instance_id > $1"
    "    ORDER BY i.instance_id, i.priority, i.id LIMIT 1)"
    "  UNION ALL"
    "  SELECT x.instance_id, x.priority, x.id, w.n + 1 FROM walk w CROSS JOIN LATERAL ("
    "    SELECT i.instance_id, i.priority, i.id FROM job_items i"
    "     WHERE i.status = 'PENDING' AND i.instance_id > w.instance_id"
    "     ORDER BY i.instance_id, i.priority, i.id LIMIT 1) x"
    "   WHERE w.n < $2)"
    " SELECT w.instance_id, w.priority, w.id FROM walk w",
    2,
    {TEXTOID, INT8OID}};

struct FirstRow {
  std::string store;
  ItemKey key;
};

/* Stores that are told of under one hold of the lock. */
constexpr std::size_t kAtOnce = 64;

/* How far one claim walks over the table. */
constexpr int kMostSteps = 8;
constexpr std::int64_t kStoresPerStep = 1000;

/* The share of the time that may go into walking is one in so many. */
constexpr std::uint64_t kShare = 10;

/* So short a walk is always worth it to somebody who has nothing else to do. */
constexpr std::uint64_t kShortNs = 5'000'000;

/* How long a policy may be out of date that changed behind the triggers' back. */
constexpr std::uint64_t kPoliciesNs = 30'000'000'000;

/* A walk that found the pool full goes on when few are left in line, and looks for room so often at most. */
constexpr std::uint32_t kFewLeft = 1000;
constexpr std::uint64_t kFullNs = 100'000'000;

std::uint64_t Rest(const Walk& walk) {
  return walk.lasted_ns * (kShare - 1);
}

std::string BeginStep() {
  std::string behind;
  behind.reserve(kLongestInstanceBytes);
  QueueScope scope;
  Walk& walk = scope.walk();
  if (!walk.under_way) {
    walk.under_way = true;
    walk.dirty = false;
    walk.took_ns = 0;
    walk.behind[0] = '\0';
    scope.queue().ForgetOverflow();
    /* A trigger may not have told of them. */
    const std::uint64_t now_ns = NowNs();
    if (now_ns >= walk.policies_read_ns + kPoliciesNs) {
      scope.queue().ForgetPolicies();
      walk.policies_read_ns = now_ns;
    }
  }
  behind = walk.behind;
  return behind;
}

/* Tells the queue of stores until it has no more room; how many those were. */
std::size_t Tell(const std::vector<FirstRow>& found) {
  for (std::size_t i = 0; i < found.size();) {
    QueueScope scope;
    for (const std::size_t end = std::min(i + kAtOnce, found.size()); i < end; i++)
      if (!scope.queue().Found(found[i].store, found[i].key)) return i;
  }
  return found.size();
}

}  // namespace

bool WalkOn(std::int64_t stores) {
  const std::string behind = BeginStep();
  const std::uint64_t started_ns = NowNs();
  std::vector<FirstRow> found;
  Call([&] {
    Arguments arguments;
    arguments.Set(0, KeyDatum(behind));
    arguments.Set(1, Int64GetDatum(stores));
    const std::uint64_t rows = Execute(walk_on, arguments);
    for (std::uint64_t row = 0; row < rows; row++) {
      FirstRow& next = found.emplace_back();
      KeyColumn(row, 1, next.store);
      next.key = {Int64Column(row, 3), Int16Column(row, 2)};
    }
    SPI_freetuptable(SPI_tuptable);
  });
  const std::size_t told = Tell(found);
  const bool full = told < found.size();
  const bool ended = !full && static_cast<std::int64_t>(found.size()) < stores;
  const std::uint64_t now_ns = NowNs();
  QueueScope scope;
  Walk& walk = scope.walk();
  walk.took_ns += now_ns - started_ns;
  walk.dirty |= IsolationUsesXactSnapshot(); /* what an old snapshot shows is not how it is */
  if (ended) {
    walk.under_way = false;
    walk.completed = true;
    walk.lasted_ns = walk.took_ns;
    walk.ended_ns = now_ns;
  } else if (told > 0) {
    strlcpy(walk.behind, found[told - 1].store.c_str(), sizeof walk.behind);
  }
  walk.waits_for_room_ns = full ? now_ns + kFullNs : 0;
  return ended;
}

bool WalkUntilFound() {
  for (int step = 0; step < kMostSteps; step++) {
    const bool ended = WalkOn(kStoresPerStep);
    if (LookAtQueue().waiting > 0) return true;
    if (ended) break;
  }
  return false;
}

void LookAtOwnRows(std::int64_t max_items) {
  if (PostNotes()) {
    {
      QueueScope scope;
      scope.walk().under_way = false;
    }
    for (int step = 0; step < kMostSteps && !WalkOn(kStoresPerStep); step++) {
    }
  } else if (FindSlot(MyDatabaseId) == nullptr) {
    WalkOn(std::min(max_items + 4, kStoresPerStep));
  }
}

std::uint64_t WalkDueNs(std::uint64_t interval_ns) {
  QueueScope scope;
  const Walk& walk = scope.walk();
  if (walk.waits_for_room_ns != 0)
    return scope.queue().waiting() < kFewLeft ? walk.waits_for_room_ns : UINT64_MAX;
  if (walk.under_way || !walk.completed) return 0;
  const bool soon = walk.dirty || scope.queue().overflowed();
  return walk.ended_ns + std::max(Rest(walk), soon ? 0 : interval_ns);
}

bool MayWalkWhenIdle(std::uint64_t now_ns) {
  QueueScope scope;
  const Walk& walk = scope.walk();
  if (walk.waits_for_room_ns != 0) return now_ns >= walk.waits_for_room_ns;
  return walk.under_way || !walk.completed || walk.lasted_ns < kShortNs ||
         now_ns >= walk.ended_ns + Rest(walk);
}

}  // namespace product_optimizer
