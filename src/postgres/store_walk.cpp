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

/* How long a policy may be out of date that changed behind the triggers' back. */
constexpr std::uint64_t kPoliciesNs = 30'000'000'000;

/* A walk that found the pool full goes on when so few stores are left in line. */
constexpr std::uint32_t kFewLeft = 1000;

WalkStep BeginStep() {
  WalkStep step;
  step.behind.reserve(kLongestInstanceBytes);
  const bool own_view = IsolationUsesXactSnapshot() || TransactionIdIsValid(GetTopTransactionIdIfAny());
  QueueScope scope;
  const std::uint64_t now_ns = NowNs();
  scope.walk().BeginStep(now_ns, own_view, step);
  if (!step.is_first) return step;
  scope.queue().ForgetOverflow();
  if (now_ns >= scope.policies_doubted_ns() + kPoliciesNs) {
    scope.queue().ForgetPolicies();
    scope.policies_doubted_ns() = now_ns;
  }
  return step;
}

/* Of the first so many stores behind that one. */
std::vector<FirstRow> FirstRows(const std::string& behind, std::int64_t stores) {
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
  return found;
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
  const WalkStep step = BeginStep();
  const std::vector<FirstRow> found = FirstRows(step.behind, stores);
  const std::size_t told = Tell(found);
  StepResult result;
  if (told > 0) result.last_told = found[told - 1].store;
  result.found_no_room = told < found.size();
  result.reached_end = !result.found_no_room && static_cast<std::int64_t>(found.size()) < stores;
  QueueScope scope;
  scope.walk().EndStep(step, result, NowNs());
  return result.reached_end;
}

bool WalkUntilFound() {
  bool once_more = true;
  for (int step = 0; step < kMostSteps; step++) {
    const bool ended = WalkOn(kStoresPerStep);
    QueueScope scope;
    if (scope.queue().waiting() > 0) return true;
    if (!ended) continue;
    /* Others may have begun this walk before the change. */
    if (!once_more || !scope.walk().changed()) break;
    once_more = false;
  }
  return false;
}

void LookAtOwnRows(std::int64_t max_items) {
  PostNotes();
  if (FindSlot(MyDatabaseId) == nullptr) WalkOn(std::min(max_items + 4, kStoresPerStep));
}

std::uint64_t WalkDueNs(std::uint64_t interval_ns) {
  QueueScope scope;
  const FairQueue& queue = scope.queue();
  return scope.walk().DueNs(queue.overflowed() ? 0 : interval_ns, queue.waiting() < kFewLeft,
                            queue.waiting() == 0);
}

bool MayWalkWhenIdle(std::uint64_t now_ns) {
  QueueScope scope;
  return scope.walk().MayWalkWhenIdle(now_ns);
}

}  // namespace product_optimizer
