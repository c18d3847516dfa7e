/*
 * control_functions.cpp
 *   cancel_job(), retry_failed(), optimizer_pause(), optimizer_paused(), optimizer_resume(): what an operator
 *   tells the queue.
 */
#include "postgres/arguments.h"
#include "postgres/owner_rights.h"
#include "postgres/queue_notes.h"
#include "postgres/settings.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

constexpr int kLongestReason = 200; /* characters */

Statement mark_job = {
    "UPDATE jobs j SET cancelled_at = coalesce(j.cancelled_at, now()) WHERE j.id = $1", 1, {INT8OID}};

/* Planned for this very job: it may have one item, or all there are. */
Statement cancel_items = {
    "UPDATE job_items i"
    "   SET status = 'CANCELLED', finished_at = now(), claimed_by = NULL, lease_expires_at = NULL"
    " WHERE i.job_id = $1 AND i.status IN ('PENDING', 'SCHEDULED', 'RUNNING')",
    1,
    {INT8OID},
    CURSOR_OPT_CUSTOM_PLAN};

Statement find_job = {"SELECT FROM jobs j WHERE j.id = $1", 1, {INT8OID}};

/* attempts is the fencing token and never goes back: the item gets as many attempts again instead. */
Statement retry_items = {
    "UPDATE job_items i"
    "   SET status = 'PENDING', error = NULL, error_code = NULL, finished_at = NULL, run_after = NULL,"
    "       max_attempts = least(1000, i.attempts + $3)"
    " WHERE i.status = 'FAILED' AND ($1 IS NULL OR i.job_id = $1) AND ($2 IS NULL OR i.instance_id = $2)",
    3,
    {INT8OID, TEXTOID, INT4OID},
    CURSOR_OPT_CUSTOM_PLAN};

Statement is_paused = {"SELECT bool_or(h.paused) FROM homes h"};

Statement pause_here = {"UPDATE homes SET paused = true, pause_reason = $1", 1, {TEXTOID}};

Statement leave_homes = {"DELETE FROM homes"};

Statement settle_here = {
    "INSERT INTO homes (system_identifier, database_oid) VALUES ($1, $2)", 2, {INT8OID, OIDOID}};

[[noreturn]] void RefuseUnknownJob(std::int64_t id, const char* hint) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("job %lld does not exist", static_cast<long long>(id)), errhint("%s", hint)));
  pg_unreachable();
}

Arguments JobArgument(std::int64_t id) {
  Arguments arguments;
  arguments.Set(0, Int64GetDatum(id));
  return arguments;
}

/* At commit the worker, or the launcher where there is none, looks again. */
void TellWorker() {
  NoteNews(kNewsWork | kNewsDue | kNewsControl);
}

}  // namespace

}  // namespace product_optimizer

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_cancel_job(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_cancel_job);
Datum product_optimizer_cancel_job(PG_FUNCTION_ARGS) {
  constexpr char kHint[] = "Pass the id of a row of jobs.";
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("job_id must not be null"),
                    errhint("%s", kHint)));
  const std::int64_t job = PG_GETARG_INT64(0);
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    return Call([&] {
      if (Execute(mark_job, JobArgument(job)) == 0) RefuseUnknownJob(job, kHint);
      return Int64GetDatum(static_cast<std::int64_t>(Execute(cancel_items, JobArgument(job))));
    });
  });
}

PGDLLEXPORT Datum product_optimizer_retry_failed(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_retry_failed);
Datum product_optimizer_retry_failed(PG_FUNCTION_ARGS) {
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    return Call([&] {
      Arguments arguments;
      if (!PG_ARGISNULL(0)) {
        const std::int64_t job = PG_GETARG_INT64(0);
        if (Execute(find_job, JobArgument(job)) == 0)
          RefuseUnknownJob(job,
                           "Pass the id of a row of jobs, or NULL for the items of all jobs and of none.");
        arguments.Set(0, Int64GetDatum(job));
      }
      if (!PG_ARGISNULL(1)) arguments.Set(1, PG_GETARG_DATUM(1));
      arguments.Set(2, Int32GetDatum(DefaultMaxAttempts()));
      return Int64GetDatum(static_cast<std::int64_t>(Execute(retry_items, arguments)));
    });
  });
}

PGDLLEXPORT Datum product_optimizer_pause(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_pause);
Datum product_optimizer_pause(PG_FUNCTION_ARGS) {
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    Call([&] {
      Arguments arguments;
      if (!PG_ARGISNULL(0)) {
        const text* const reason = PG_GETARG_TEXT_PP(0);
        if (pg_mbstrlen_with_len(VARDATA_ANY(reason), VARSIZE_ANY_EXHDR(reason)) > kLongestReason)
          ereport(ERROR, (errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION), errmsg("reason is too long"),
                          errhint("Use at most %d characters.", kLongestReason)));
        arguments.Set(0, PointerGetDatum(reason));
      }
      Execute(pause_here, arguments);
    });
    TellWorker();
    return Datum{0};
  });
}

PGDLLEXPORT Datum product_optimizer_paused(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_paused);
Datum product_optimizer_paused(PG_FUNCTION_ARGS) {
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    return Call([&] {
      Read(is_paused, Arguments{});
      return BoolGetDatum(BoolColumn(0, 1));
    });
  });
}

PGDLLEXPORT Datum product_optimizer_resume(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_resume);
Datum product_optimizer_resume(PG_FUNCTION_ARGS) {
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    Call([&] {
      Execute(leave_homes, Arguments{});
      Arguments here;
      here.Set(0, Int64GetDatum(static_cast<std::int64_t>(GetSystemIdentifier())));
      here.Set(1, ObjectIdGetDatum(MyDatabaseId));
      Execute(settle_here, here);
    });
    TellWorker();
    return Datum{0};
  });
}

}  // extern "C"
