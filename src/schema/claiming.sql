-- claiming.sql: how rows get into the line, are claimed and leave it.
-- The triggers run as whoever changes the table; the functions act with the rights of the owner of job_items.

CREATE FUNCTION wake_worker() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'product_optimizer_wake_worker';
COMMENT ON FUNCTION wake_worker() IS 'Internal trigger: tells the fair queue that rows or policies changed when the transaction commits, and wakes the worker where that may be news to it.';

CREATE FUNCTION note_arrivals() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'product_optimizer_note_arrivals';
COMMENT ON FUNCTION note_arrivals() IS 'Internal trigger: tells the fair queue of inserted rows, and wakes the worker, when the transaction commits.';

CREATE FUNCTION schedule_item() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'product_optimizer_schedule_item';
COMMENT ON FUNCTION schedule_item() IS 'Internal trigger: an inserted PENDING item whose run_after lies ahead becomes SCHEDULED.';

CREATE FUNCTION requeue_item() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'product_optimizer_requeue_item';
COMMENT ON FUNCTION requeue_item() IS 'Internal trigger: an item that an UPDATE leaves PENDING becomes SCHEDULED where its run_after lies ahead. The fair queue is told of the others, and the worker of those SCHEDULED, when the transaction commits.';

-- Triggers come in the order of their names: these two see what those of an application made of the row.
CREATE TRIGGER zz_schedule_item BEFORE INSERT ON job_items
  FOR EACH ROW WHEN (NEW.status = 'PENDING' AND NEW.run_after > pg_catalog.clock_timestamp())
  EXECUTE FUNCTION schedule_item();

-- Of any column, for a trigger may have changed others; of the rows few come to wait, and only those pay for the call.
CREATE TRIGGER zz_requeue_item BEFORE UPDATE ON job_items
  FOR EACH ROW WHEN (NEW.status IN ('PENDING', 'SCHEDULED')) EXECUTE FUNCTION requeue_item();

-- COPY stays fast, and an insert of many rows pays once.
CREATE TRIGGER note_arrivals AFTER INSERT ON job_items
  REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION note_arrivals();

CREATE TRIGGER wake_worker AFTER UPDATE OF id, status, run_after, instance_id, priority OR DELETE OR TRUNCATE ON job_items
  FOR EACH STATEMENT EXECUTE FUNCTION wake_worker();

CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON stores
  FOR EACH STATEMENT EXECUTE FUNCTION wake_worker();

CREATE TRIGGER wake_worker AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON rate_limits
  FOR EACH STATEMENT EXECUTE FUNCTION wake_worker();

CREATE FUNCTION claim_pending_items(max_items int DEFAULT 100, max_per_store int DEFAULT 20,
                                    lease interval DEFAULT '5 min')
RETURNS SETOF job_items
LANGUAGE C VOLATILE ROWS 100
SET search_path = @extschema@, pg_temp
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_indexscan = on SET enable_nestloop = on
AS 'MODULE_PATHNAME', 'product_optimizer_claim_pending_items';
COMMENT ON FUNCTION claim_pending_items(int, int, interval) IS
'Claims up to max_items (1 to 10000) PENDING items fairly over all waiting stores, at most max_per_store (at least 1) of each, and returns them as RUNNING in the order of service. The claim holds until the lease (over 0, up to 7 days) expires; finish each with complete_item, fail_item or release_item, passing its attempts. Raises 22004 for NULL, 22023 for values out of range, 27000 when a trigger leaves the update of an item out.';

CREATE FUNCTION complete_item(item_id bigint, attempt int, result jsonb, prompt_tokens int DEFAULT NULL,
                              completion_tokens int DEFAULT NULL)
RETURNS boolean
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'product_optimizer_complete_item';
COMMENT ON FUNCTION complete_item(bigint, int, jsonb, int, int) IS
'RUNNING to DONE. attempt is the fencing token: the attempts value that the claim returned. False, and nothing changed, when that claim no longer holds. Raises 22004 for a NULL item_id, attempt or result, 22023 for an unknown id, or an attempt or tokens out of range, 27000 when a trigger leaves the update out.';

CREATE FUNCTION fail_item(item_id bigint, attempt int, error text, retry boolean DEFAULT true,
                          delay interval DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'product_optimizer_fail_item';
COMMENT ON FUNCTION fail_item(bigint, int, text, boolean, interval) IS
'RUNNING to SCHEDULED (retry, after delay or the setting''s back-off) or FAILED (no retry, or attempts used up); returns the new status, or NULL when that claim no longer holds. delay: 0 to 366 days. Raises 22004 for a NULL item_id, attempt, error or retry, 22023 for an unknown id or values out of range, 27000 when a trigger leaves the update out.';

CREATE FUNCTION release_item(item_id bigint, attempt int)
RETURNS boolean
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'product_optimizer_release_item';
COMMENT ON FUNCTION release_item(bigint, int) IS
'RUNNING back to PENDING without costing an attempt; false when that claim no longer holds. Raises 22004 for NULL, 22023 for an unknown id or an attempt out of range, 27000 when a trigger leaves the update out.';

CREATE FUNCTION cancel_job(job_id bigint) RETURNS bigint
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_cancel_job';
COMMENT ON FUNCTION cancel_job(bigint) IS
'Cancels every unfinished item of a job and returns how many; an answer still in flight is dropped. Raises 22004 for NULL, 22023 for an unknown id.';

CREATE FUNCTION retry_failed(job_id bigint DEFAULT NULL, instance_id text DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_retry_failed';
COMMENT ON FUNCTION retry_failed(bigint, text) IS
'Puts FAILED items back in line with as many new attempts as product_optimizer.max_attempts and returns how many: of one job, of one store, of both together, or all. Raises 22023 for an unknown job.';
