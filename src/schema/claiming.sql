-- claiming.sql: how rows get into the line, are claimed and leave it.

CREATE FUNCTION wake_worker() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'product_optimizer_wake_worker';
COMMENT ON FUNCTION wake_worker() IS 'Internal trigger: tells the fair queue of changed rows or policies, and wakes the worker, when the transaction commits.';

CREATE FUNCTION note_arrivals() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'product_optimizer_note_arrivals';
COMMENT ON FUNCTION note_arrivals() IS 'Internal trigger: tells the fair queue of inserted rows, and wakes the worker, when the transaction commits.';

CREATE FUNCTION schedule_item() RETURNS trigger
LANGUAGE plpgsql SET search_path = @extschema@, pg_temp AS $$
BEGIN
  NEW.status := 'SCHEDULED';
  RETURN NEW;
END $$;
COMMENT ON FUNCTION schedule_item() IS 'Internal trigger: a PENDING item whose run_after lies ahead becomes SCHEDULED.';

CREATE TRIGGER schedule_item BEFORE INSERT OR UPDATE OF status, run_after ON job_items
  FOR EACH ROW WHEN (NEW.status = 'PENDING' AND NEW.run_after > pg_catalog.clock_timestamp())
  EXECUTE FUNCTION schedule_item();

-- Statement triggers only: COPY stays fast, and an insert of many rows pays once.
CREATE TRIGGER note_arrivals AFTER INSERT ON job_items
  REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION note_arrivals();

CREATE TRIGGER wake_worker AFTER UPDATE OF status, run_after, instance_id, priority OR TRUNCATE ON job_items
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
'Claims up to max_items (1 to 10000) PENDING items fairly over all waiting stores, at most max_per_store (at least 1) of each, and returns them as RUNNING in the order of service. The claim holds until the lease (over 0, up to 7 days) expires; finish each with complete_item, fail_item or release_item, passing its attempts. Raises 22004 for NULL and 22023 for values out of range.';

CREATE FUNCTION complete_item(item_id bigint, attempt int, result jsonb, prompt_tokens int DEFAULT NULL,
                              completion_tokens int DEFAULT NULL)
RETURNS boolean
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'product_optimizer_complete_item';
COMMENT ON FUNCTION complete_item(bigint, int, jsonb, int, int) IS
'RUNNING to DONE. attempt is the fencing token: the attempts value that the claim returned. False, and nothing changed, when that claim no longer holds. Raises 22004 for a NULL item_id, attempt or result, 22023 for an unknown id or negative tokens.';

CREATE FUNCTION fail_item(item_id bigint, attempt int, error text, retry boolean DEFAULT true,
                          delay interval DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'product_optimizer_fail_item';
COMMENT ON FUNCTION fail_item(bigint, int, text, boolean, interval) IS
'RUNNING to SCHEDULED (retry, after delay or the setting''s back-off) or FAILED (no retry, or attempts used up); returns the new status, or NULL when that claim no longer holds. Raises 22004 for a NULL item_id, attempt, error or retry, 22023 for an unknown id or a negative delay.';

CREATE FUNCTION release_item(item_id bigint, attempt int)
RETURNS boolean
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'product_optimizer_release_item';
COMMENT ON FUNCTION release_item(bigint, int) IS
'RUNNING back to PENDING without costing an attempt; false when that claim no longer holds. Raises 22004 for NULL, 22023 for an unknown id.';

CREATE FUNCTION cancel_job(job_id bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = @extschema@, pg_temp AS $$
DECLARE
  cancelled bigint;
BEGIN
  IF job_id IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'job_id must not be null', HINT = 'Pass the id of a row of jobs.';
  END IF;
  UPDATE jobs SET cancelled_at = coalesce(jobs.cancelled_at, now()) WHERE jobs.id = cancel_job.job_id;
  IF NOT FOUND THEN
    RAISE invalid_parameter_value USING MESSAGE = format('job %s does not exist', job_id),
      HINT = 'Pass the id of a row of jobs.';
  END IF;
  UPDATE job_items i
     SET status = 'CANCELLED', finished_at = now(), claimed_by = NULL, lease_expires_at = NULL
   WHERE i.job_id = cancel_job.job_id AND i.status IN ('PENDING', 'SCHEDULED', 'RUNNING');
  GET DIAGNOSTICS cancelled = ROW_COUNT;
  RETURN cancelled;
END $$;
COMMENT ON FUNCTION cancel_job(bigint) IS
'Cancels every unfinished item of a job and returns how many; an answer still in flight is dropped. Raises 22004 for NULL, 22023 for an unknown id.';

CREATE FUNCTION retry_failed(job_id bigint DEFAULT NULL, instance_id text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = @extschema@, pg_temp AS $$
DECLARE
  retried bigint;
BEGIN
  IF job_id IS NOT NULL AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = retry_failed.job_id) THEN
    RAISE invalid_parameter_value USING MESSAGE = format('job %s does not exist', job_id),
      HINT = 'Pass the id of a row of jobs, or NULL for the items of all jobs and of none.';
  END IF;
  -- attempts is the fencing token and never goes back: the item gets as many attempts again instead.
  UPDATE job_items i
     SET status = 'PENDING', error = NULL, error_code = NULL, finished_at = NULL, run_after = NULL,
         max_attempts = least(1000, i.attempts + current_setting('product_optimizer.max_attempts')::int)
   WHERE i.status = 'FAILED'
     AND (retry_failed.job_id IS NULL OR i.job_id = retry_failed.job_id)
     AND (retry_failed.instance_id IS NULL OR i.instance_id = retry_failed.instance_id);
  GET DIAGNOSTICS retried = ROW_COUNT;
  RETURN retried;
END $$;
COMMENT ON FUNCTION retry_failed(bigint, text) IS
'Puts FAILED items back in line with a full set of new attempts and returns how many: of one job, of one store, of both together, or all. Raises 22023 for an unknown job.';
