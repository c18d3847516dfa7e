#include "postgres/probe.h"

#include <algorithm>

#include "postgres/guard.h"
#include "postgres/queue_notes.h"
#include "postgres/settings.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"
#include "postgres/store_lock.h"
#include "postgres/suppressed_updates.h"

namespace product_optimizer {

namespace {

/*
 * Row comparison, both bounds and an order that names the whole index: written so, the probe has one
 * possible plan.
 */
#define LOCK_STATEMENT(columns, job)                                                           \
  "SELECT s.n, x.ctid, x.id, x.priority, x.attempts, x.max_attempts, x.error_code" columns     \
  "  FROM unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY"                                      \
  "       AS s(instance_id, head_priority, head_id, last_priority, last_id, most, n)"          \
  " CROSS JOIN LATERAL ("                                                                      \
  "   SELECT i.ctid, i.* FROM job_items i"                                                     \
  "    WHERE i.status = 'PENDING'"                                                             \
  "      AND (i.instance_id, i.priority, i.id) > (s.instance_id, s.head_priority, s.head_id)"  \
  "      AND (i.instance_id, i.priority, i.id) <= (s.instance_id, s.last_priority, s.last_id)" \
  "    ORDER BY i.instance_id, i.priority, i.id LIMIT s.most FOR NO KEY UPDATE SKIP LOCKED) x" job
/* OFFSET 0 keeps the planner from joining whole tables. */
Statement lock_to_send = {
    LOCK_STATEMENT(", x.payload::text, x.job_id, j.instructions, j.response_schema::text, j.model"
                   ", j.params::text",
                   "  LEFT JOIN LATERAL (SELECT * FROM jobs WHERE jobs.id = x.job_id OFFSET 0) j ON true"),
    6,
    {TEXTARRAYOID, INT2ARRAYOID, INT8ARRAYOID, INT2ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}};
Statement lock_only = {LOCK_STATEMENT("", ""),
                       6,
                       {TEXTARRAYOID, INT2ARRAYOID, INT8ARRAYOID, INT2ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}};
#undef LOCK_STATEMENT

Statement read_policies = {
    "SELECT s.n, p.weight, p.paused, p.max_in_flight, p.requests_per_minute, p.tokens_per_minute"
    "  FROM pg_catalog.unnest($1) WITH ORDINALITY AS s(instance_id, n)"
    " CROSS JOIN LATERAL (SELECT * FROM stores WHERE stores.instance_id = s.instance_id OFFSET 0) p",
    1,
    {TEXTARRAYOID}};

Statement count_running = {
    "SELECT s.n, (SELECT count(*) FROM job_items r"
    "              WHERE r.status = 'RUNNING' AND r.instance_id = s.instance_id)"
    "  FROM pg_catalog.unnest($1) WITH ORDINALITY AS s(instance_id, n)",
    1,
    {TEXTARRAYOID}};

/*
 * By ctid: it cannot claim more than was locked.  The status is compared in a way that no partial index
 * serves, so that it cannot be read instead of the rows.  What counts as claimed is what comes back as RUNNING.
 */
Statement take = {
    "UPDATE job_items i"
    "   SET status = 'RUNNING', attempts = least(i.attempts + 1, 32767), claimed_by = $2,"
    "       lease_expires_at = clock_timestamp() + $3, started_at = clock_timestamp(), finished_at = NULL"
    " WHERE i.ctid = ANY ($1) AND i.status || '' = 'PENDING'"
    " RETURNING i.*",
    3,
    {TIDARRAYOID, TEXTOID, INTERVALOID}};

/* As the CHECK of stores.weight says; the fair queue divides by it. */
constexpr float kLeastWeight = 0.001F;
constexpr float kMostWeight = 1000;

void ReadRow(std::uint64_t row, LockedRow& locked) {
  bool is_null;
  ItemPointerCopy(reinterpret_cast<ItemPointer>(DatumGetPointer(Column(row, 2, TIDOID, &is_null))),
                  &locked.ctid);
  Item& item = locked.item;
  item.id = Int64Column(row, 3);
  item.priority = Int16Column(row, 4);
  item.attempt = Int16Column(row, 5);
  item.max_attempts = Int16Column(row, 6);
  if (item.max_attempts == 0) item.max_attempts = static_cast<std::int16_t>(DefaultMaxAttempts());
  TextColumn(row, 7, item.last_error_code);
}

/* What its request is made of. */
void ReadContents(std::uint64_t row, Item& item) {
  TextColumn(row, 8, item.payload);
  bool is_null;
  const Datum job = Column(row, 9, INT8OID, &is_null);
  if (is_null) return;
  item.job_id = DatumGetInt64(job);
  if (!TextColumn(row, 10, item.instructions.emplace())) item.instructions.reset();
  if (!TextColumn(row, 11, item.response_schema.emplace())) item.response_schema.reset();
  if (!TextColumn(row, 12, item.model.emplace())) item.model.reset();
  if (!TextColumn(row, 13, item.params.emplace())) item.params.reset();
}

bool IsBefore(const LockedRow& a, const LockedRow& b) {
  return KeyOf(a) < KeyOf(b);
}

Datum StoresOf(const std::vector<Part*>& parts) {
  DatumArray stores(parts.size());
  for (const Part* part : parts) stores.Add(KeyDatum(part->turn.name));
  return stores.Make(TEXTOID);
}

/* Of the row of an answer that numbers the parts from 1 in its first column. */
std::size_t PartOf(std::uint64_t row) {
  return static_cast<std::size_t>(Int64Column(row, 1) - 1);
}

/* A stretch of a part's line: rows behind one key, up to another. */
struct Stretch {
  Part* part;
  ItemKey behind;
  ItemKey last;
};

/* Locks of each what its part still asks for. */
void LockStretches(const std::vector<Stretch>& stretches, bool to_send) {
  const int before = NoteLocking();
  Call([&] {
    DatumArray stores(stretches.size()), priorities(stretches.size()), ids(stretches.size()),
        last_priorities(stretches.size()), last_ids(stretches.size()), limits(stretches.size());
    for (const auto& [part, behind, last] : stretches) {
      stores.Add(KeyDatum(part->turn.name));
      priorities.Add(Int16GetDatum(behind.priority));
      ids.Add(Int64GetDatum(behind.id));
      last_priorities.Add(Int16GetDatum(last.priority));
      last_ids.Add(Int64GetDatum(last.id));
      limits.Add(Int64GetDatum(part->most - static_cast<std::int64_t>(part->rows.size())));
    }
    Arguments arguments;
    arguments.Set(0, stores.Make(TEXTOID));
    arguments.Set(1, priorities.Make(INT2OID));
    arguments.Set(2, ids.Make(INT8OID));
    arguments.Set(3, last_priorities.Make(INT2OID));
    arguments.Set(4, last_ids.Make(INT8OID));
    arguments.Set(5, limits.Make(INT8OID));
    const std::uint64_t found = Execute(to_send ? lock_to_send : lock_only, arguments);
    for (std::uint64_t row = 0; row < found; row++) {
      LockedRow& locked = stretches[PartOf(row)].part->rows.emplace_back();
      ReadRow(row, locked);
      if (to_send) ReadContents(row, locked.item);
    }
    SPI_freetuptable(SPI_tuptable);
  });
  for (const Stretch& stretch : stretches) {
    const Part& part = *stretch.part;
    ClaimedRange rows;
    for (const LockedRow& row : part.rows) rows.Add(part.turn.line.RangeOf(KeyOf(row)));
    if (!rows.empty()) NoteLocked(part.turn.name, rows);
  }
  NoteAllLocked(before);
}

Datum IdsOfOthers(const std::vector<Candidate*>& rows,
                  const std::unordered_map<std::int64_t, TakenRow>& taken) {
  DatumArray ids(rows.size());
  for (const Candidate* row : rows)
    if (taken.count(row->item.id) == 0) ids.Add(Int64GetDatum(row->item.id));
  return ids.Make(INT8OID);
}

}  // namespace

void ReadPolicies(const std::vector<Part*>& parts) {
  for (Part* part : parts) part->turn.policy = StorePolicy{};
  Call([&] {
    Arguments arguments;
    arguments.Set(0, StoresOf(parts));
    const std::uint64_t rows = Execute(read_policies, arguments);
    for (std::uint64_t row = 0; row < rows; row++) {
      StorePolicy& policy = parts[PartOf(row)]->turn.policy;
      bool is_null;
      const float weight = DatumGetFloat4(Column(row, 2, FLOAT4OID, &is_null));
      /* Where the owner has dropped the CHECK of a column, what it refused counts as not set. */
      if (!is_null && weight >= kLeastWeight && weight <= kMostWeight) policy.weight = weight;
      policy.paused = BoolColumn(row, 3);
      const Datum most = Column(row, 4, INT4OID, &is_null);
      if (!is_null && DatumGetInt32(most) >= 0) policy.max_in_flight = DatumGetInt32(most);
      policy.requests_per_minute = std::max(Int32Column(row, 5), 0);
      policy.tokens_per_minute = std::max(Int32Column(row, 6), 0);
    }
    SPI_freetuptable(SPI_tuptable);
  });
}

std::vector<std::int64_t> CountRoom(const std::vector<Part*>& parts) {
  std::vector<std::int64_t> room(parts.size(), 0);
  Call([&] {
    for (Part* part : parts)
      part->busy = !TryStoreLock(StoreLockClass::kRunning, StoreLockOf(part->turn.name));
    /* Its snapshot is taken only now, behind the locks: it sees what their last holders claimed, whatever
     * the transaction's isolation level. */
    Arguments arguments;
    arguments.Set(0, StoresOf(parts));
    const std::uint64_t rows = ReadLatest(count_running, arguments);
    for (std::uint64_t row = 0; row < rows; row++) {
      const Part& part = *parts[PartOf(row)];
      if (!part.busy) room[PartOf(row)] = part.turn.policy.max_in_flight - Int64Column(row, 2);
    }
    SPI_freetuptable(SPI_tuptable);
  });
  return room;
}

void LockRows(const std::vector<Part*>& parts, bool to_send) {
  std::vector<Stretch> stretches;
  for (Part* part : parts) {
    const StoreLine& line = part->turn.line;
    stretches.push_back({part, line.head, line.has_gap() ? line.gap_begin : kLastKey});
  }
  LockStretches(stretches, to_send);
  stretches.clear();
  for (Part* part : parts) {
    const StoreLine& line = part->turn.line;
    if (line.has_gap() && static_cast<std::int64_t>(part->rows.size()) < part->most)
      stretches.push_back({part, line.gap_end, kLastKey});
  }
  if (!stretches.empty()) LockStretches(stretches, to_send);
  for (Part* part : parts) {
    std::sort(part->rows.begin(), part->rows.end(), IsBefore);
    for (LockedRow& row : part->rows) {
      row.item.instance_id = part->turn.name;
      row.store_limits.requests_per_minute = part->turn.policy.requests_per_minute;
      row.store_limits.tokens_per_minute = part->turn.policy.tokens_per_minute;
    }
  }
}

std::unordered_map<std::int64_t, TakenRow> TakeRows(const std::vector<Candidate*>& rows,
                                                    const std::string& claimed_by, std::int64_t lease_ms,
                                                    TupleDesc* description) {
  std::unordered_map<std::int64_t, TakenRow> taken;
  taken.reserve(rows.size());
  Call([&] {
    DatumArray tids(rows.size());
    for (Candidate* candidate : rows) {
      LockedRow& row = static_cast<LockedRow&>(*candidate);
      row.is_chosen = true;
      tids.Add(PointerGetDatum(&row.ctid));
    }
    Arguments arguments;
    arguments.Set(0, tids.Make(TIDOID));
    arguments.Set(1, TextDatum(claimed_by));
    arguments.Set(2, IntervalDatum(lease_ms));
    const std::uint64_t count = ExecuteNoted(take, arguments);
    const int id = TableColumn(SPI_tuptable->tupdesc, "id", INT8OID);
    const int attempts = TableColumn(SPI_tuptable->tupdesc, "attempts", INT2OID);
    const int status = TableColumn(SPI_tuptable->tupdesc, "status", TEXTOID);
    for (std::uint64_t row = 0; row < count; row++) {
      bool is_null;
      const Datum became = Column(row, status, TEXTOID, &is_null);
      if (is_null || !IsWord(became, "RUNNING")) {
        if (!is_null && IsWord(became, "SCHEDULED")) NoteNews(kNewsDue);
        continue;
      }
      const std::int16_t attempt = Int16Column(row, attempts);
      if (attempt < 1)
        ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION), errmsg("a claimed item has attempts below 1"),
                        errhint("Give job_items.attempts its CHECK back: it must not be negative.")));
      taken[Int64Column(row, id)] = {SPI_tuptable->vals[row], attempt};
    }
    *description = taken.empty() ? nullptr : SPI_tuptable->tupdesc;
    if (taken.empty()) SPI_freetuptable(SPI_tuptable);
    if (taken.size() < rows.size()) RefuseSuppressed(IdsOfOthers(rows, taken), {"PENDING", "SCHEDULED"});
  });
  return taken;
}

}  // namespace product_optimizer
