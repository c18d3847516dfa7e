/*
 * why_waiting.cpp
 *   why_waiting(): which gate holds an item, in words.
 */
#include <string>

#include "postgres/owner_rights.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

/* Times as the session's settings write them. */
Statement look_up = {
    "SELECT i.status, i.instance_id, i.priority, i.claimed_by, i.started_at::text, i.lease_expires_at::text,"
    "       i.finished_at::text, i.run_after::text, i.error_code FROM job_items i WHERE i.id = $1",
    1,
    {INT8OID}};

/* The roles that store_access lets see this item. */
Statement find_readers = {
    "SELECT a.role_name FROM store_access a, job_items i WHERE i.id = $1"
    "   AND (a.instance_ids IS NULL OR i.instance_id = ANY (a.instance_ids))",
    1,
    {INT8OID}};

Statement look_up_store = {
    "SELECT s.paused, s.max_in_flight FROM stores s WHERE s.instance_id = $1", 1, {TEXTOID}};

Statement count_running = {
    "SELECT count(*) FROM job_items i WHERE i.status = 'RUNNING' AND i.instance_id = $1", 1, {TEXTOID}};

constexpr std::int64_t kCountedAhead = 1000;

/* Written as the claim's probe is, backwards: one index, both bounds. */
Statement count_ahead = {
    "SELECT count(*)"
    "  FROM (SELECT FROM job_items i"
    "         WHERE i.status = 'PENDING' AND (i.instance_id, i.priority, i.id) < ($1, $2, $3)"
    "           AND i.instance_id >= $1"
    "         ORDER BY i.instance_id, i.priority, i.id LIMIT $4) earlier",
    4,
    {TEXTOID, INT2OID, INT8OID, INT8OID}};

struct Waiting {
  std::string status, store, claimed_by, started_at, lease_ends, finished_at, run_after, error_code;
  std::int16_t priority = 0;
};

[[noreturn]] void RefuseItem(std::int64_t id) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("item %lld does not exist", static_cast<long long>(id)),
                  errhint("Pass the id of a row of job_items.")));
  pg_unreachable();
}

Arguments IdArgument(std::int64_t id) {
  Arguments arguments;
  arguments.Set(0, Int64GetDatum(id));
  return arguments;
}

/* Row-level security holds this role in job_items, as far as PostgreSQL says.  Raises. */
bool IsHeldByRowSecurity(FunctionCallInfo fcinfo, Oid caller) {
  const Oid table = get_relname_relid("job_items", SchemaOfFunction(fcinfo));
  return OidIsValid(table) && check_enable_rls(table, caller, true) == RLS_ENABLED;
}

/*
 * For such a caller, a row that his grants do not let him see does not exist.  Asked as the owner: a query as
 * the caller would run the owner's policies, and what these call, with the caller's rights.
 */
void RefuseHiddenItem(Oid caller, std::int64_t id) {
  Call([&] {
    const std::uint64_t count = Execute(find_readers, IdArgument(id));
    SPITupleTable* const readers = SPI_tuptable;
    for (std::uint64_t row = 0; row < count; row++) {
      const char* const name = SPI_getvalue(readers->vals[row], readers->tupdesc, 1);
      const Oid reader = name == nullptr ? InvalidOid : get_role_oid(name, true);
      if (OidIsValid(reader) && has_privs_of_role(caller, reader)) return;
    }
    RefuseItem(id);
  });
}

void LookUp(std::int64_t id, Waiting& item) {
  Call([&] {
    if (Execute(look_up, IdArgument(id)) == 0) RefuseItem(id);
    std::string* const texts[] = {&item.status,      nullptr,          nullptr,
                                  &item.claimed_by,  &item.started_at, &item.lease_ends,
                                  &item.finished_at, &item.run_after,  &item.error_code};
    for (int column = 1; column <= static_cast<int>(lengthof(texts)); column++)
      if (texts[column - 1] != nullptr) TextColumn(0, column, *texts[column - 1]);
    KeyColumn(0, 2, item.store);
    item.priority = Int16Column(0, 3);
    SPI_freetuptable(SPI_tuptable);
  });
}

/* Empty when the store's own policy lets it go. */
std::string HeldByStore(const Waiting& item) {
  bool paused = false;
  std::int64_t most = -1;
  std::int64_t running = 0;
  Call([&] {
    Arguments store;
    store.Set(0, KeyDatum(item.store));
    if (Execute(look_up_store, store) == 0) return;
    paused = BoolColumn(0, 1);
    bool is_null;
    const Datum limit = Column(0, 2, INT4OID, &is_null);
    if (paused || is_null) return;
    most = DatumGetInt32(limit);
    Execute(count_running, store);
    running = Int64Column(0, 1);
  });
  if (paused) return "Its store is paused (stores.paused).";
  if (most < 0 || running < most) return {};
  return "Its store has " + std::to_string(running) +
         " items in flight, as many as stores.max_in_flight allows.";
}

std::int64_t CountAhead(std::int64_t id, const Waiting& item) {
  return Call([&] {
    Arguments arguments;
    arguments.Set(0, KeyDatum(item.store));
    arguments.Set(1, Int16GetDatum(item.priority));
    arguments.Set(2, Int64GetDatum(id));
    arguments.Set(3, Int64GetDatum(kCountedAhead));
    Execute(count_ahead, arguments);
    return Int64Column(0, 1);
  });
}

std::string Explain(std::int64_t id) {
  Waiting item;
  LookUp(id, item);
  if (item.status == "RUNNING")
    return "It is not waiting: claimed by " + item.claimed_by + " since " + item.started_at +
           ", the lease ends " + item.lease_ends + ".";
  if (item.status != "PENDING" && item.status != "SCHEDULED")
    return "It is not waiting: " + item.status + " since " + item.finished_at + ".";
  const std::unique_ptr<WorkerSlot> worker = CopySlot(MyDatabaseId);
  const std::string state = WorkerStateName(worker->state);
  const std::string reason = worker->reason;
  if (worker->pid == 0) return "No worker runs in this database; see the server log and optimizer_workers().";
  if (worker->state == WorkerState::kPaused || worker->state == WorkerState::kBlocked)
    return "The worker is " + state + ": " + (reason.empty() ? "no reason given" : reason) + ".";
  if (item.status == "SCHEDULED")
    return "It waits for run_after, " + item.run_after +
           (item.error_code.empty() ? "" : ", after failing with " + item.error_code) + ".";
  std::string held = HeldByStore(item);
  if (!held.empty()) return held;
  const std::int64_t ahead = CountAhead(id, item);
  return "It waits for its turn: ahead of it in its store: " + std::to_string(ahead) +
         (ahead == kCountedAhead ? " or more" : "") + "; the worker is " + state +
         (reason.empty() ? "" : " (" + reason + ")") + ".";
}

}  // namespace

}  // namespace product_optimizer

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_why_waiting(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_why_waiting);
Datum product_optimizer_why_waiting(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("item_id must not be null"),
                    errhint("Pass the id of a row of job_items.")));
  const std::int64_t id = PG_GETARG_INT64(0);
  const Oid caller = GetUserId();
  const bool is_held = IsHeldByRowSecurity(fcinfo, caller);
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    if (is_held) RefuseHiddenItem(caller, id);
    const std::string words = Explain(id);
    return Call([&] { return SPI_datumTransfer(TextDatum(words), false, -1); });
  });
}

}  // extern "C"
