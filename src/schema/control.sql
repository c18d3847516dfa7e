-- control.sql: starting, pausing and explaining the worker.

CREATE FUNCTION start_worker() RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'product_optimizer_start_worker';
COMMENT ON FUNCTION start_worker() IS 'Internal: asks the launcher at commit to start, or to wake, this database''s worker.';

CREATE FUNCTION optimizer_pause(reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = @extschema@, pg_temp AS $$
BEGIN
  IF char_length(reason) > 200 THEN
    RAISE string_data_right_truncation USING MESSAGE = 'reason is too long', HINT = 'Use at most 200 characters.';
  END IF;
  UPDATE homes SET paused = true, pause_reason = reason;
  PERFORM start_worker();
END $$;
COMMENT ON FUNCTION optimizer_pause(text) IS
'Pauses this database''s worker at commit, across restarts, until optimizer_resume(): nothing more is claimed; requests in flight finish. reason: at most 200 characters, shown by optimizer_stats(). Raises 22001 when it is longer.';

CREATE FUNCTION optimizer_resume() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = @extschema@, pg_temp AS $$
BEGIN
  DELETE FROM homes;
  INSERT INTO homes (system_identifier, database_oid)
  SELECT c.system_identifier, d.oid
    FROM pg_control_system() c, pg_database d WHERE d.datname = current_database();
  PERFORM start_worker();
END $$;
COMMENT ON FUNCTION optimizer_resume() IS
'Lets this database''s worker go on at commit: after optimizer_pause(), and after a restore or a copy of the database.';

-- This database is the home of the queue that is being created.
SELECT optimizer_resume();
