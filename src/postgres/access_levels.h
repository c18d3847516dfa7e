/*
 * access_levels.h
 *   What grant_optimizer() grants for each level: GRANT … TO the role.  doc/security.md shows the same
 *   statements (test/house/install_sql.t compares).  Rights on tables are the table owner's to give; those on
 *   functions, views and the schema are given by the owner of the functions.
 */
#pragma once

namespace product_optimizer {

constexpr int kMostGrants = 6;

struct AccessLevel {
  const char* name;
  bool per_store; /* can be held to certain stores by row-level security */
  const char* of_tables[kMostGrants + 1];
  const char* of_functions[kMostGrants + 1];
};

constexpr AccessLevel kAccessLevels[] = {
    {"producer",
     true,
     {"INSERT (job_id, instance_id, product_id, priority, payload, run_after, max_attempts) ON job_items",
      "SELECT (id, job_id, instance_id, product_id, status, priority, run_after, attempts, max_attempts,"
      " result, error, error_code, model, prompt_tokens, completion_tokens, created_at, started_at,"
      " finished_at) ON job_items",
      "INSERT (instance_id, name, instructions, response_schema, model, params) ON jobs",
      "SELECT (id, instance_id, name, model, created_at, cancelled_at) ON jobs",
      "SELECT (instance_id, weight, max_in_flight, requests_per_minute, tokens_per_minute, paused)"
      " ON stores"},
     {"SELECT ON job_progress, store_progress", "EXECUTE ON FUNCTION optimizer_paused()"}},
    {"consumer",
     false,
     {},
     {"EXECUTE ON FUNCTION claim_pending_items(int, int, interval),"
      " complete_item(bigint, int, jsonb, int, int), fail_item(bigint, int, text, boolean, interval),"
      " release_item(bigint, int), try_acquire(int, text, int), settle_tokens(int, int, text),"
      " optimizer_rate_limits()"}},
    {"operator",
     false,
     {"SELECT, INSERT, UPDATE, DELETE ON stores, rate_limits"},
     {"EXECUTE ON FUNCTION optimizer_pause(text), optimizer_resume(), retry_failed(bigint, text),"
      " cancel_job(bigint), optimizer_stats(), optimizer_workers(), optimizer_rate_limits(),"
      " why_waiting(bigint)"}},
    {"reader",
     true,
     {"SELECT (id, job_id, instance_id, product_id, status, priority, run_after, attempts, max_attempts,"
      " claimed_by, lease_expires_at, error_code, model, prompt_tokens, completion_tokens, created_at,"
      " started_at, finished_at) ON job_items",
      "SELECT (id, instance_id, name, model, created_at, cancelled_at) ON jobs",
      "SELECT ON stores, rate_limits"},
     {"SELECT ON job_progress, store_progress",
      "EXECUTE ON FUNCTION optimizer_stats(), optimizer_workers(), optimizer_rate_limits(),"
      " optimizer_paused(), why_waiting(bigint)"}}};

/* Every function that anybody may be let use; the owner of the tables may use all of them. */
constexpr const char* kFunctions =
    "claim_pending_items(int, int, interval), complete_item(bigint, int, jsonb, int, int),"
    " fail_item(bigint, int, text, boolean, interval), release_item(bigint, int), cancel_job(bigint),"
    " retry_failed(bigint, text), try_acquire(int, text, int), settle_tokens(int, int, text),"
    " optimizer_rate_limits(), optimizer_stats(), optimizer_workers(), optimizer_pause(text),"
    " optimizer_paused(), optimizer_resume(), why_waiting(bigint),"
    " grant_optimizer(regrole, text, text[]), revoke_optimizer(regrole), optimizer_row_security(boolean)";

constexpr const char* kHandOver = "hand_over_optimizer(regrole)"; /* for superusers */

/* For nobody: they run as triggers. */
constexpr const char* kTriggerFunctions =
    "wake_worker(), note_arrivals(), schedule_item(), requeue_item(), apply_store_access(), unpack_payload(),"
    " check_params()";

constexpr const char* kViews = "job_progress, store_progress";

constexpr const char* kSequences = "job_items_id_seq, jobs_id_seq";

/* The tables of the queue; row-level security holds on the first three, where rows belong to stores. */
constexpr const char* kTables[] = {"job_items", "jobs", "stores", "rate_limits", "homes", "store_access"};
constexpr int kTablesOfStores = 3;

}  // namespace product_optimizer
