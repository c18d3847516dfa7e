#include "postgres/upkeep.h"

#include <algorithm>
#include <sys/stat.h>

#include "postgres/guard.h"
#include "postgres/queue_notes.h"
#include "postgres/settings.h"
#include "postgres/spi.h"
#include "postgres/suppressed_updates.h"

namespace product_optimizer {

const char kWorkerPrefix[] = "product_optimizer worker ";

namespace {

/* Where rows are found by id, their status is compared in a way that no partial index serves. */

/* Both bounds are constants, so that the index ends the scan: behind them may lie millions. */
Statement pick_due = {
    "SELECT d.id, d.instance_id FROM job_items d"
    " WHERE d.status = 'SCHEDULED' AND d.run_after >= $4 AND d.run_after <= $5"
    "   AND d.id <> ALL ($2) AND d.instance_id <> ALL ($3)"
    " ORDER BY d.run_after LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED",
    5,
    {INT8OID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID}};

Statement promote = {
    "UPDATE job_items i SET status = 'PENDING' WHERE i.id = ANY ($1) AND i.status || '' = 'SCHEDULED'"
    " RETURNING i.instance_id, i.id, i.priority, i.status = 'PENDING', i.status = 'SCHEDULED'",
    1,
    {INT8ARRAYOID}};

Statement next_due = {
    "SELECT i.run_after, CASE WHEN i.run_after <= clock_timestamp() THEN 0 ELSE"
    "       ceil(least(extract(epoch FROM i.run_after - clock_timestamp()), 86400) * 1000.0)::bigint END"
    "  FROM job_items i WHERE i.status = 'SCHEDULED' AND i.run_after >= $1 AND i.run_after < 'infinity'"
    "   AND i.id <> ALL ($2) AND i.instance_id <> ALL ($3)"
    " ORDER BY i.run_after LIMIT 1",
    3,
    {TIMESTAMPTZOID, INT8ARRAYOID, TEXTARRAYOID}};

Statement pick_orphans = {
    "SELECT r.id, r.instance_id FROM job_items r"
    " WHERE r.status = 'RUNNING' AND r.claimed_by IS DISTINCT FROM $4"
    "   AND (starts_with(r.claimed_by, $5) OR r.lease_expires_at < clock_timestamp()"
    "        OR r.lease_expires_at IS NULL)"
    "   AND r.id <> ALL ($2) AND r.instance_id <> ALL ($3)"
    " LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED",
    5,
    {INT8OID, INT8ARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID}};

Statement rescue = {
    "UPDATE job_items i"
    "   SET status = CASE WHEN i.attempts >= coalesce(i.max_attempts, $2) THEN 'FAILED' ELSE 'PENDING' END,"
    "       error = 'the claim ended without an answer: '"
    "               || coalesce(i.claimed_by, 'its holder') || ' went away',"
    "       error_code = 'claim_lost', claimed_by = NULL, lease_expires_at = NULL, run_after = NULL,"
    "       finished_at = CASE WHEN i.attempts >= coalesce(i.max_attempts, $2) THEN clock_timestamp() END"
    " WHERE i.id = ANY ($1) AND i.status || '' = 'RUNNING'"
    " RETURNING i.instance_id, i.id, i.priority, i.status = 'PENDING', i.status = 'SCHEDULED'",
    2,
    {INT8ARRAYOID, INT4OID}};

Statement release_all = {
    "UPDATE job_items i"
    "   SET status = 'PENDING', attempts = greatest(i.attempts - 1, 0), claimed_by = NULL,"
    "       lease_expires_at = NULL, run_after = NULL"
    " WHERE i.id = ANY (ARRAY(SELECT r.id FROM job_items r WHERE r.status = 'RUNNING' AND r.claimed_by = $1"
    "                            AND r.id <> ALL ($2) FOR NO KEY UPDATE SKIP LOCKED))"
    "   AND i.status || '' = 'RUNNING'"
    " RETURNING i.instance_id, i.id, i.priority, i.status = 'PENDING', i.status = 'SCHEDULED'",
    2,
    {TEXTOID, INT8ARRAYOID}};

Statement lock_running = {
    "SELECT i.id FROM job_items i WHERE i.id = ANY ($1) AND i.status || '' = 'RUNNING'"
    " FOR NO KEY UPDATE SKIP LOCKED",
    1,
    {INT8ARRAYOID}};

Statement see_running = {
    "SELECT i.id FROM job_items i WHERE i.id = ANY ($1) AND i.status || '' = 'RUNNING'", 1, {INT8ARRAYOID}};

/*
 * A row of this home: the queue was created or resumed here; any other row beside it came with a
 * restore.  No row of this home: the database was moved as a whole, either by pg_upgrade (which keeps
 * the database's OID) or as a template (which must not do the same work twice).
 */
Statement read_home = {
    "SELECT coalesce(bool_or(h.paused), false),"
    "       coalesce(string_agg(h.pause_reason, '; ') FILTER (WHERE h.paused), ''),"
    "       coalesce(bool_or(h.system_identifier = $1 AND h.database_oid = $2), false),"
    "       coalesce(bool_or(h.system_identifier <> $1 OR h.database_oid <> $2), false),"
    "       coalesce(bool_or(h.database_oid = $2), false)"
    "  FROM homes h",
    2,
    {INT8OID, OIDOID}};

/* Unfinished work that is older than this database, so that it came with the copy. */
Statement has_copied_work = {
    "SELECT EXISTS (SELECT FROM job_items i WHERE i.status = 'PENDING' AND i.created_at < to_timestamp($1))"
    "    OR EXISTS (SELECT FROM job_items i WHERE i.status = 'SCHEDULED' AND i.created_at < to_timestamp($1))"
    "    OR EXISTS (SELECT FROM job_items i WHERE i.status = 'RUNNING' AND i.created_at < to_timestamp($1))",
    1,
    {FLOAT8OID}};

Statement adopt = {"UPDATE homes SET system_identifier = $1, database_oid = $2", 2, {INT8OID, OIDOID}};

Statement model_limits = {"SELECT r.model, r.requests_per_minute, r.tokens_per_minute FROM rate_limits r"};

constexpr std::int64_t kCountedExactly = 1000;

/* From the newest: the oldest end of the index is where dead entries gather. */
Statement count_pending = {
    "SELECT count(*) FROM (SELECT FROM job_items i WHERE i.status = 'PENDING' ORDER BY i.id DESC LIMIT $1) c",
    1,
    {INT8OID}};
Statement count_scheduled = {
    "SELECT count(*) FROM (SELECT FROM job_items i WHERE i.status = 'SCHEDULED'"
    "                       ORDER BY i.run_after DESC LIMIT $1) c",
    1,
    {INT8OID}};

/* The planner's own estimate of an index's entries. */
double EstimateEntries(const char* index_name) {
  const Oid index_oid = RelnameGetRelid(index_name);
  if (!OidIsValid(index_oid)) return 0;
  const Relation index = relation_open(index_oid, AccessShareLock);
  BlockNumber pages = 0;
  double tuples = 0;
  double all_visible = 0;
  /* Its owner may have given the name to something else. */
  if (index->rd_rel->relkind == RELKIND_INDEX && index->rd_index->indrelid == RelnameGetRelid("job_items"))
    estimate_rel_size(index, nullptr, &pages, &tuples, &all_visible);
  relation_close(index, AccessShareLock);
  return tuples;
}

std::int64_t Count(Statement& statement, const char* index_name) {
  return Call([&] {
    Arguments arguments;
    arguments.Set(0, Int64GetDatum(kCountedExactly + 1));
    Execute(statement, arguments);
    const std::int64_t counted = Int64Column(0, 1);
    if (counted <= kCountedExactly) return counted;
    return std::max(counted, static_cast<std::int64_t>(EstimateEntries(index_name)));
  });
}

struct PutBack {
  std::size_t rows;    /* that changed … */
  std::size_t waiting; /* … and are PENDING now */
};

/* Runs an update that returns what NoteReturned() reads. */
PutBack PutInLine(Statement& statement, const Arguments& arguments, bool knows_due, std::string& store) {
  PutBack done{ExecuteNoted(statement, arguments), 0};
  for (std::uint64_t row = 0; row < done.rows; row++)
    if (NoteReturned(row, knows_due, store)) done.waiting++;
  SPI_freetuptable(SPI_tuptable);
  return done;
}

Datum IdArray(const std::vector<std::int64_t>& ids) {
  DatumArray array(ids.size());
  for (const std::int64_t id : ids) array.Add(Int64GetDatum(id));
  return array.Make(INT8OID);
}

Datum StoreArray(const std::vector<std::string>& stores) {
  DatumArray array(stores.size());
  for (const std::string& store : stores) array.Add(KeyDatum(store));
  return array.Make(TEXTOID);
}

/* Locks the rows of the batch, under the bounds that the caller has set behind the third argument. */
void Pick(Statement& statement, Arguments& bounds, CarefulBatch& batch) {
  bounds.Set(0, Int64GetDatum(batch.limit()));
  bounds.Set(1, IdArray(batch.resting_items()));
  bounds.Set(2, StoreArray(batch.resting_stores()));
  const std::uint64_t rows = Execute(statement, bounds);
  for (std::uint64_t row = 0; row < rows; row++) {
    batch.picked().push_back({Int64Column(row, 1), {}});
    KeyColumn(row, 2, batch.picked().back().store);
  }
}

Datum PickedIds(CarefulBatch& batch) {
  DatumArray array(batch.picked().size());
  for (const CarefulBatch::Row& row : batch.picked()) array.Add(Int64GetDatum(row.id));
  return array.Make(INT8OID);
}

void ReadIds(Statement& statement, Datum ids, std::vector<std::int64_t>& found) {
  Arguments arguments;
  arguments.Set(0, ids);
  const std::uint64_t rows = Execute(statement, arguments);
  for (std::uint64_t row = 0; row < rows; row++) found.push_back(Int64Column(row, 1));
}

/* The folder of a database is as old as the database. */
bool HasCopiedWork() {
  struct stat made;
  const char* const file = psprintf("%s/PG_VERSION", DatabasePath);
  if (stat(file, &made) != 0) return true;
  Arguments arguments;
  arguments.Set(0, Float8GetDatum(static_cast<double>(made.st_mtim.tv_sec) +
                                  static_cast<double>(made.st_mtim.tv_nsec) / 1e9));
  Execute(has_copied_work, arguments);
  return BoolColumn(0, 1);
}

}  // namespace

std::int64_t PromoteDueItems(CarefulBatch& batch, std::int64_t from) {
  std::string store;
  return Call([&] {
    Arguments bounds;
    bounds.Set(3, TimestampTzGetDatum(from));
    bounds.Set(4, TimestampTzGetDatum(GetCurrentTimestamp()));
    Pick(pick_due, bounds, batch);
    if (batch.picked().empty()) return std::int64_t{0};
    Arguments arguments;
    arguments.Set(0, PickedIds(batch));
    const PutBack done = PutInLine(promote, arguments, true, store);
    if (done.waiting < batch.picked().size()) RefuseSuppressed(PickedIds(batch), {"SCHEDULED"});
    return static_cast<std::int64_t>(done.rows);
  });
}

std::optional<NextDue> FindNextDue(const CarefulBatch& batch, std::int64_t from) {
  NextDue next{};
  const bool found = Call([&] {
    Arguments arguments;
    arguments.Set(0, TimestampTzGetDatum(from));
    arguments.Set(1, IdArray(batch.resting_items()));
    arguments.Set(2, StoreArray(batch.resting_stores()));
    if (Execute(next_due, arguments) == 0) return false;
    bool is_null;
    next = {DatumGetTimestampTz(Column(0, 1, TIMESTAMPTZOID, &is_null)), Int64Column(0, 2)};
    return !is_null;
  });
  if (!found) return std::nullopt;
  return next;
}

std::int64_t RescueOrphans(CarefulBatch& batch, const std::string& claimed_by) {
  std::string store;
  return Call([&] {
    Arguments bounds;
    bounds.Set(3, TextDatum(claimed_by));
    bounds.Set(4, TextDatum(kWorkerPrefix));
    Pick(pick_orphans, bounds, batch);
    if (batch.picked().empty()) return std::int64_t{0};
    Arguments arguments;
    arguments.Set(0, PickedIds(batch));
    arguments.Set(1, Int32GetDatum(DefaultMaxAttempts()));
    const PutBack done = PutInLine(rescue, arguments, false, store);
    if (done.waiting < batch.picked().size()) RefuseSuppressed(PickedIds(batch), {"RUNNING"});
    return static_cast<std::int64_t>(done.rows);
  });
}

std::vector<std::int64_t> ReleaseAllBut(const std::string& claimed_by,
                                        const std::vector<std::int64_t>& keep) {
  std::string store;
  std::vector<std::int64_t> locked;
  Call([&] {
    const Datum kept = IdArray(keep);
    Arguments release;
    release.Set(0, TextDatum(claimed_by));
    release.Set(1, kept);
    PutInLine(release_all, release, false, store);
    ReadIds(lock_running, kept, locked);
  });
  return locked;
}

std::vector<std::int64_t> LockedByOthers(const std::vector<std::int64_t>& ids) {
  std::vector<std::int64_t> running;
  std::vector<std::int64_t> locked;
  Call([&] {
    const Datum array = IdArray(ids);
    ReadIds(see_running, array, running);
    ReadIds(lock_running, array, locked);
  });
  const auto is_ours = [&](std::int64_t id) {
    return std::find(locked.begin(), locked.end(), id) != locked.end();
  };
  running.erase(std::remove_if(running.begin(), running.end(), is_ours), running.end());
  return running;
}

HomeState ReadHome() {
  HomeState state{false, {}};
  Call([&] {
    Arguments arguments;
    arguments.Set(0, Int64GetDatum(static_cast<std::int64_t>(GetSystemIdentifier())));
    arguments.Set(1, ObjectIdGetDatum(MyDatabaseId));
    Execute(read_home, arguments);
    state.paused = BoolColumn(0, 1);
    TextColumn(0, 2, state.reason);
    const bool at_home = BoolColumn(0, 3);
    const bool has_others = BoolColumn(0, 4);
    const bool upgraded = BoolColumn(0, 5);
    if (at_home && has_others) {
      state.paused = true;
      state.reason.assign("restored from a dump: call optimizer_resume() to start");
    } else if (!at_home && (upgraded || !HasCopiedWork())) {
      Execute(adopt, arguments);
    } else if (!at_home) {
      state.paused = true;
      state.reason.assign("copied from another database: call optimizer_resume() to start");
    }
  });
  return state;
}

std::map<std::string, Limits> ReadModelLimits(const Limits& defaults) {
  std::map<std::string, Limits> limits;
  std::string model;
  Call([&] {
    const std::uint64_t rows = Execute(model_limits, Arguments{});
    for (std::uint64_t row = 0; row < rows; row++) {
      TextColumn(row, 1, model);
      Limits& own = limits[model];
      own = defaults;
      const std::int32_t requests = Int32Column(row, 2);
      const std::int32_t tokens = Int32Column(row, 3);
      if (requests > 0) own.requests_per_minute = requests;
      if (tokens > 0) own.tokens_per_minute = tokens;
    }
    SPI_freetuptable(SPI_tuptable);
  });
  return limits;
}

std::int64_t CountPending() {
  return Count(count_pending, "idx_job_items_status_id");
}
std::int64_t CountScheduled() {
  return Count(count_scheduled, "idx_job_items_scheduled");
}

}  // namespace product_optimizer
