/*
 * wake.cpp
 *   What a transaction tells the worker, once and only when it commits.  The trigger sets a flag in
 *   this process and nothing else, so an insert pays next to nothing; the latch is set behind the commit.
 *
 *   PREPARE TRANSACTION, logical replication and disabled triggers do not pass here: the worker's poll
 *   finds what they bring.
 */
#include "postgres/guard.h"
#include "postgres/prelude.h"
#include "postgres/shared_state.h"

namespace product_optimizer {

namespace {

bool wake_at_commit = false;
bool control_at_commit = false; /* the extension was created, paused or resumed, or a policy changed */
bool callback_registered = false;

/* The worker knows of its own claims and settlements; of what users' triggers insert then it does not. */
bool IsOwnUpdate(const TriggerData* trigger) {
  return MyBgworkerEntry != nullptr && TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
         strcmp(MyBgworkerEntry->bgw_function_name, "product_optimizer_worker_main") == 0;
}

/* A database without a worker, such as a fresh copy of a template: worth saying, but not at each insert. */
bool MayTellLauncher() {
  static TimestampTz told_at = 0;
  const TimestampTz now = GetCurrentTimestamp();
  if (!TimestampDifferenceExceeds(told_at, now, 1000)) return false;
  told_at = now;
  return true;
}

}  // namespace

extern "C" {

static void AtTransactionEnd(XactEvent event, void*) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
  if (event == XACT_EVENT_COMMIT && wake_at_commit) {
    const bool woken = WakeWorker(MyDatabaseId, control_at_commit);
    if (control_at_commit || (!woken && MayTellLauncher())) TellLauncher(MyDatabaseId);
  }
  wake_at_commit = false;
  control_at_commit = false;
}

}  // extern "C"

static void WakeAtCommit(bool control) {
  wake_at_commit = true;
  control_at_commit |= control;
  if (callback_registered) return;
  RegisterXactCallback(AtTransactionEnd, nullptr);
  callback_registered = true;
}

}  // namespace product_optimizer

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_wake_worker(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_wake_worker);
Datum product_optimizer_wake_worker(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("wake_worker() can only be called as a trigger")));
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  /* stores and rate_limits have the same trigger: what the worker remembers of them no longer holds. */
  const bool policy = strcmp(RelationGetRelationName(trigger->tg_relation), "job_items") != 0;
  if (!IsOwnUpdate(trigger)) WakeAtCommit(policy);
  return PointerGetDatum(nullptr);
}

PGDLLEXPORT Datum product_optimizer_start_worker(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_start_worker);
Datum product_optimizer_start_worker(PG_FUNCTION_ARGS) {
  WakeAtCommit(true);
  PG_RETURN_VOID();
}

}  // extern "C"
