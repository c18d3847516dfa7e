#include "postgres/claim.h"

#include <algorithm>
#include <unordered_map>

#include "postgres/guard.h"
#include "postgres/settings.h"
#include "postgres/spi.h"
#include "postgres/waiting_stores.h"

namespace product_optimizer {

namespace {

/*
 * Row comparison, both bounds and an order that names the whole index: written so, the probe has one
 * possible plan.  OFFSET 0 keeps the planner from joining whole tables.
 */
#define LOCK_STATEMENT(payload)                                                                      \
  "SELECT s.n, x.ctid, x.id, x.priority, x.attempts, x.max_attempts, x.error_code, " payload         \
  "       , x.job_id, j.instructions, j.response_schema::text, j.model, j.params::text"              \
  "  FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS s(instance_id, head_priority, head_id, most, n)" \
  " CROSS JOIN LATERAL ("                                                                            \
  "   SELECT i.ctid, i.* FROM job_items i"                                                           \
  "    WHERE i.status = 'PENDING'"                                                                   \
  "      AND (i.instance_id, i.priority, i.id) > (s.instance_id, s.head_priority, s.head_id)"        \
  "      AND i.instance_id <= s.instance_id"                                                         \
  "    ORDER BY i.instance_id, i.priority, i.id LIMIT s.most FOR NO KEY UPDATE SKIP LOCKED) x"       \
  "  LEFT JOIN LATERAL (SELECT * FROM jobs WHERE jobs.id = x.job_id OFFSET 0) j ON true"
Statement lock_with_payload = {
    LOCK_STATEMENT("x.payload::text"), 4, {TEXTARRAYOID, INT2ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}};
Statement lock_without_payload = {
    LOCK_STATEMENT("NULL::text"), 4, {TEXTARRAYOID, INT2ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}};
#undef LOCK_STATEMENT

/*
 * By ctid: it cannot claim more than was locked.  A row that changed under our hands is locked but not
 * matched: what counts as claimed is what comes back.
 */
Statement take = {
    "UPDATE job_items i"
    "   SET status = 'RUNNING', attempts = least(i.attempts + 1, 32767), claimed_by = $2,"
    "       lease_expires_at = clock_timestamp() + $3, started_at = clock_timestamp(), finished_at = NULL"
    " WHERE i.ctid = ANY ($1) AND i.status = 'PENDING'"
    " RETURNING i.*",
    3,
    {TIDARRAYOID, TEXTOID, INTERVALOID}};

struct LockedRow {
  Candidate candidate;
  ItemPointerData ctid;
};

Datum ArrayDatum(Datum* values, std::size_t count, Oid type, int length, bool by_value, char alignment) {
  return PointerGetDatum(construct_array(values, static_cast<int>(count), type, length, by_value, alignment));
}

/* Locks the next rows of each store, as many as wanted of it; appends them to rows[store]. */
void LockRows(Line& line, const std::vector<std::int64_t>& wanted, bool with_payload,
              std::vector<std::vector<LockedRow>>& rows) {
  std::vector<std::size_t> asked;
  for (std::size_t i = 0; i < wanted.size(); i++)
    if (wanted[i] > 0) asked.push_back(i);
  Call([&] {
    const std::size_t count = asked.size();
    auto* const instances = static_cast<Datum*>(palloc(count * sizeof(Datum)));
    auto* const priorities = static_cast<Datum*>(palloc(count * sizeof(Datum)));
    auto* const ids = static_cast<Datum*>(palloc(count * sizeof(Datum)));
    auto* const limits = static_cast<Datum*>(palloc(count * sizeof(Datum)));
    for (std::size_t k = 0; k < count; k++) {
      const StoreInLine& store = line.stores[asked[k]];
      instances[k] = TextDatum(store.instance_id);
      priorities[k] = Int16GetDatum(store.head_priority);
      ids[k] = Int64GetDatum(store.head_id);
      limits[k] = Int64GetDatum(wanted[asked[k]]);
    }
    Arguments arguments;
    arguments.Set(0, ArrayDatum(instances, count, TEXTOID, -1, false, TYPALIGN_INT));
    arguments.Set(1, ArrayDatum(priorities, count, INT2OID, 2, true, TYPALIGN_SHORT));
    arguments.Set(2, ArrayDatum(ids, count, INT8OID, 8, true, TYPALIGN_DOUBLE));
    arguments.Set(3, ArrayDatum(limits, count, INT8OID, 8, true, TYPALIGN_DOUBLE));
    const std::uint64_t found = Execute(with_payload ? lock_with_payload : lock_without_payload, arguments);
    for (std::uint64_t row = 0; row < found; row++) {
      const std::size_t index = asked[static_cast<std::size_t>(Int64Column(row, 1) - 1)];
      LockedRow& locked = rows[index].emplace_back();
      bool is_null;
      ItemPointerCopy(reinterpret_cast<ItemPointer>(DatumGetPointer(Column(row, 2, &is_null))), &locked.ctid);
      Item& item = locked.candidate.item;
      item.id = Int64Column(row, 3);
      item.priority = Int16Column(row, 4);
      item.attempt = Int16Column(row, 5);
      item.max_attempts = Int16Column(row, 6);
      TextColumn(row, 7, item.last_error_code);
      TextColumn(row, 8, item.payload);
      Column(row, 9, &is_null);
      if (!is_null) item.job_id = Int64Column(row, 9);
      if (!TextColumn(row, 10, item.instructions.emplace())) item.instructions.reset();
      if (!TextColumn(row, 11, item.response_schema.emplace())) item.response_schema.reset();
      if (!TextColumn(row, 12, item.model.emplace())) item.model.reset();
      if (!TextColumn(row, 13, item.params.emplace())) item.params.reset();
    }
    SPI_freetuptable(SPI_tuptable);
  });
  for (std::size_t index : asked) {
    StoreInLine& store = line.stores[index];
    std::vector<LockedRow>& of_store = rows[index];
    std::sort(of_store.begin(), of_store.end(), [](const LockedRow& a, const LockedRow& b) {
      const Item &x = a.candidate.item, &y = b.candidate.item;
      return x.priority != y.priority ? x.priority < y.priority : x.id < y.id;
    });
    for (LockedRow& locked : of_store) {
      Item& item = locked.candidate.item;
      item.instance_id = store.instance_id;
      if (item.max_attempts == 0) item.max_attempts = static_cast<std::int16_t>(DefaultMaxAttempts());
      locked.candidate.store_limits = store.limits;
    }
    if (of_store.empty()) continue;
    store.head_priority = of_store.back().candidate.item.priority;
    store.head_id = of_store.back().candidate.item.id;
  }
}

struct InOrder {
  std::size_t store;
  std::size_t row; /* in rows[store] */
};

/* Plans rounds, locks what they ask for, and plans again for what stores promised and did not have. */
std::vector<InOrder> LockInOrder(Line& line, std::int64_t max_items, bool with_payload,
                                 std::vector<std::vector<LockedRow>>& rows) {
  constexpr int kMostPasses = 4;
  std::vector<InOrder> order;
  std::vector<std::size_t> used(line.stores.size(), 0);
  for (int pass = 0; pass < kMostPasses; pass++) {
    const auto missing = max_items - static_cast<std::int64_t>(order.size());
    if (missing <= 0) break;
    const std::vector<std::size_t> plan =
        PlanRounds(line.shares, missing, order.empty() ? 0 : order.back().store + 1);
    if (plan.empty()) break;
    std::vector<std::int64_t> wanted(line.stores.size(), 0);
    for (std::size_t store : plan) wanted[store]++;
    LockRows(line, wanted, with_payload, rows);
    for (std::size_t store : plan) {
      if (used[store] < rows[store].size()) {
        order.push_back({store, used[store]++});
      } else {
        line.shares[store].open = false;
      }
    }
  }
  return order;
}

ClaimResult TakeRows(const ClaimRequest& request, std::vector<LockedRow*>& chosen) {
  ClaimResult result;
  if (chosen.empty()) return result;
  std::unordered_map<std::int64_t, std::pair<HeapTuple, std::int16_t>> returned;
  returned.reserve(chosen.size());
  Call([&] {
    auto* const tids = static_cast<Datum*>(palloc(chosen.size() * sizeof(Datum)));
    for (std::size_t i = 0; i < chosen.size(); i++) tids[i] = PointerGetDatum(&chosen[i]->ctid);
    Arguments arguments;
    arguments.Set(0, ArrayDatum(tids, chosen.size(), TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT));
    arguments.Set(1, TextDatum(request.claimed_by));
    arguments.Set(2, IntervalDatum(request.lease_ms));
    const std::uint64_t count = Execute(take, arguments);
    const int id = SPI_fnumber(SPI_tuptable->tupdesc, "id");
    const int attempts = SPI_fnumber(SPI_tuptable->tupdesc, "attempts");
    for (std::uint64_t row = 0; row < count; row++)
      returned[Int64Column(row, id)] = {SPI_tuptable->vals[row], Int16Column(row, attempts)};
    result.row_description = SPI_tuptable->tupdesc;
  });
  for (LockedRow* row : chosen) {
    const auto found = returned.find(row->candidate.item.id);
    if (found == returned.end()) continue;
    result.rows.push_back(found->second.first);
    result.items.push_back(std::move(row->candidate.item));
    result.items.back().attempt = found->second.second;
  }
  return result;
}

/* A store that gave all that was wanted of it may have more, and so may those that the walk did not reach. */
bool MoreMayWait(const Line& line, const std::vector<std::vector<LockedRow>>& rows, std::size_t chosen) {
  if (!line.whole) return true;
  for (std::size_t i = 0; chosen > 0 && i < line.stores.size(); i++)
    if (line.shares[i].open && !rows[i].empty()) return true;
  return false;
}

}  // namespace

ClaimResult ClaimItems(const ClaimRequest& request, const Chooser& chooser) {
  Line line = FindWaitingStores(request);
  if (line.stores.empty()) return {};
  std::vector<std::vector<LockedRow>> rows(line.stores.size());
  const std::vector<InOrder> order = LockInOrder(line, request.max_items, static_cast<bool>(chooser), rows);

  std::vector<LockedRow*> chosen;
  std::int64_t left = 0; /* the first store that was left stays next in line */
  /* Where nobody could give anything, the next claim goes on behind them. */
  std::ptrdiff_t served_last = order.empty() ? static_cast<std::ptrdiff_t>(line.stores.size()) - 1 : -1;
  for (const InOrder& next : order) {
    LockedRow& row = rows[next.store][next.row];
    const Choice choice = chooser ? chooser(row.candidate) : Choice::kTake;
    if (choice == Choice::kTake) chosen.push_back(&row);
    if (choice == Choice::kLeave) left++;
    if (left == 0) served_last = static_cast<std::ptrdiff_t>(next.store);
  }
  ClaimResult result = TakeRows(request, chosen);
  RememberRotation(line, served_last); /* not for a claim that fails */
  result.left = left;
  result.more = MoreMayWait(line, rows, chosen.size());
  result.waits_for_answers = line.waits_for_answers;
  return result;
}

}  // namespace product_optimizer
