-- privileges.sql: nothing here is for everybody.
REVOKE ALL ON jobs, job_items, stores, rate_limits, homes, store_access, job_progress, store_progress FROM PUBLIC;
-- A column, argument or subtype of these types, made by anybody, would stand in the way of ALTER TABLE and DROP EXTENSION.
REVOKE ALL ON TYPE jobs, job_items, stores, rate_limits, homes, store_access, job_progress, store_progress FROM PUBLIC;
REVOKE ALL ON FUNCTION
  wake_worker(), note_arrivals(), schedule_item(), requeue_item(), apply_store_access(),
  claim_pending_items(int, int, interval), complete_item(bigint, int, jsonb, int, int),
  fail_item(bigint, int, text, boolean, interval), release_item(bigint, int),
  cancel_job(bigint), retry_failed(bigint, text),
  try_acquire(int, text, int), settle_tokens(int, int, text),
  optimizer_rate_limits(), optimizer_stats(), optimizer_workers(),
  optimizer_pause(text), optimizer_paused(), optimizer_resume(), why_waiting(bigint),
  grant_optimizer(regrole, text, text[]), revoke_optimizer(regrole), optimizer_row_security(boolean),
  hand_over_optimizer(regrole)
FROM PUBLIC;
