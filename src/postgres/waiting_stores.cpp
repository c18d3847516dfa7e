#include "postgres/waiting_stores.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "postgres/guard.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

/*
 * A loose index scan: one probe per store, whatever it has waiting.  The order names the whole index,
 * so that no other index and no sort can serve it.
 */
Statement walk = {
    "WITH RECURSIVE walk(instance_id, n) AS ("
    "  (SELECT i.instance_id, 1 FROM job_items i"
    "    WHERE i.status = 'PENDING' AND i.instance_id > $1"
    "    ORDER BY i.instance_id, i.priority, i.id LIMIT 1)"
    "  UNION ALL"
    "  SELECT x.instance_id, w.n + 1 FROM walk w CROSS JOIN LATERAL ("
    "    SELECT i.instance_id FROM job_items i"
    "     WHERE i.status = 'PENDING' AND i.instance_id > w.instance_id"
    "     ORDER BY i.instance_id, i.priority, i.id LIMIT 1) x"
    "   WHERE w.n < $2)"
    " SELECT w.instance_id, s.weight::float8, s.paused, s.max_in_flight IS NOT NULL, "
    "coalesce(s.max_in_flight - ("
    "          SELECT count(*) FROM job_items r"
    "           WHERE r.status = 'RUNNING' AND r.instance_id = w.instance_id), 0)::bigint,"
    "        s.requests_per_minute, s.tokens_per_minute"
    "   FROM walk w"
    "   LEFT JOIN LATERAL (SELECT * FROM stores WHERE stores.instance_id = w.instance_id OFFSET 0) s ON true",
    2,
    {TEXTOID, INT4OID}};

/* For a database whose worker never ran: the mark of this backend alone. */
Rotation own_rotation;

constexpr int kMostWalks = 8;
constexpr std::int64_t kLongestWalk = 1000;

Rotation* RotationOf(WorkerSlot* slot) {
  return slot != nullptr ? &slot->rotation : &own_rotation;
}

std::uint64_t HashOf(const std::string& instance_id) {
  return hash_bytes_extended(reinterpret_cast<const unsigned char*>(instance_id.data()),
                             static_cast<int>(instance_id.size()), 0);
}

struct Found {
  StoreInLine store;
  WaitingStore share;
  bool limited_in_flight = false;
};

/* One stretch of the walk, behind the given store. */
void Walk(const std::string& behind, std::int64_t count, std::int64_t max_per_store,
          std::vector<Found>& found) {
  found.clear();
  Call([&] {
    Arguments arguments;
    arguments.Set(0, TextDatum(behind));
    arguments.Set(1, Int32GetDatum(static_cast<std::int32_t>(count)));
    const std::uint64_t rows = Execute(walk, arguments);
    for (std::uint64_t row = 0; row < rows; row++) {
      Found& next = found.emplace_back();
      KeyColumn(row, 1, next.store.instance_id);
      bool is_null;
      const Datum weight = Column(row, 2, &is_null);
      if (!is_null) next.share.weight = DatumGetFloat8(weight);
      next.limited_in_flight = BoolColumn(row, 4);
      next.share.cap = next.limited_in_flight ? std::min(max_per_store, Int64Column(row, 5)) : max_per_store;
      if (BoolColumn(row, 3)) next.share.cap = 0;
      next.store.limits.requests_per_minute = Int32Column(row, 6);
      next.store.limits.tokens_per_minute = Int32Column(row, 7);
    }
    SPI_freetuptable(SPI_tuptable);
  });
}

/* Under one cap for all, a weight would not count in a large claim. */
void ScaleCaps(Line& line, std::int64_t max_per_store) {
  double heaviest = 0;
  for (const WaitingStore& share : line.shares)
    if (share.cap > 0) heaviest = std::max(heaviest, share.weight);
  for (WaitingStore& share : line.shares) {
    if (share.cap <= 0) continue;
    const double scaled = std::round(static_cast<double>(max_per_store) * share.weight / heaviest);
    share.cap = std::min(share.cap, std::max<std::int64_t>(1, static_cast<std::int64_t>(scaled)));
  }
}

}  // namespace

Line FindWaitingStores(const ClaimRequest& request) {
  const std::int64_t max_items = request.max_items;
  const std::int64_t max_per_store = request.max_per_store;
  Line line;
  std::string mark;
  mark.reserve(kLongestInstanceBytes);
  WorkerSlot* const slot = FindSlot(MyDatabaseId);
  const Rotation* const rotation = RotationOf(slot);
  {
    LockScope scope(slot != nullptr ? slot->lock : Shared()->lock, LW_SHARED);
    mark = rotation->served_last;
  }

  const std::int64_t stretch = std::min(max_items + 4, kLongestWalk);
  std::vector<Found> found;
  std::unordered_set<std::string> seen;
  std::string position = mark;
  bool wrapped = mark.empty();
  bool around = false;
  std::int64_t promised = 0;
  for (int walks = 0; walks < kMostWalks && !around && promised < max_items; walks++) {
    Walk(position, stretch, max_per_store, found);
    const bool reached_end = static_cast<std::int64_t>(found.size()) < stretch;
    for (Found& next : found) {
      /*
       * Behind the wrap the walk meets a store again: known by its name, for the order of names is the
       * database's, and any one of them, for the first may have lost its last row meanwhile.
       */
      if (!seen.insert(next.store.instance_id).second) {
        around = true;
        break;
      }
      position = next.store.instance_id;
      if (request.resting != nullptr && request.resting->count(next.store.instance_id) != 0)
        next.share.cap = 0;
      /* A lighter store gives less than an item per visit, so it does not count as one. */
      if (next.share.cap > 0) promised += next.share.weight >= 1 ? 1 : 0;
      line.waits_for_answers |= next.limited_in_flight;
      line.stores.push_back(std::move(next.store));
      line.shares.push_back(next.share);
    }
    if (reached_end && !around) {
      around = wrapped;
      wrapped = true;
      position.clear();
    }
  }
  line.whole = around;
  if (request.weighted_caps) ScaleCaps(line, max_per_store);
  LockScope scope(slot != nullptr ? slot->lock : Shared()->lock, LW_SHARED);
  for (std::size_t i = 0; i < line.stores.size(); i++)
    line.shares[i].credit = rotation->credits.Get(HashOf(line.stores[i].instance_id));
  return line;
}

void RememberRotation(const Line& line, std::ptrdiff_t served_last) {
  WorkerSlot* const slot = FindSlot(MyDatabaseId);
  Rotation* const rotation = RotationOf(slot);
  LockScope scope(slot != nullptr ? slot->lock : Shared()->lock);
  for (std::size_t i = 0; i < line.stores.size(); i++)
    rotation->credits.Set(HashOf(line.stores[i].instance_id),
                          line.shares[i].open ? line.shares[i].credit : 0);
  /* The mark stays before a store whose turn was cut short. */
  if (served_last >= 0 && HasTurnLeft(line.shares[static_cast<std::size_t>(served_last)])) served_last--;
  if (served_last >= 0)
    strlcpy(rotation->served_last, line.stores[static_cast<std::size_t>(served_last)].instance_id.c_str(),
            sizeof rotation->served_last);
}

}  // namespace product_optimizer
