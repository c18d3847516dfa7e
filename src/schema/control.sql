-- control.sql: starting, pausing and explaining the worker.

CREATE FUNCTION optimizer_pause(reason text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_pause';
COMMENT ON FUNCTION optimizer_pause(text) IS
'Pauses this database''s worker at commit, across restarts, until optimizer_resume(): nothing more is claimed; requests in flight finish. reason: at most 200 characters, shown by optimizer_stats(). Raises 22001 when it is longer.';

CREATE FUNCTION optimizer_resume() RETURNS void
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_resume';
COMMENT ON FUNCTION optimizer_resume() IS
'Lets this database''s worker go on at commit: after optimizer_pause(), and after a restore or a copy of the database.';

-- This database is the home of the queue that is being created.
SELECT optimizer_resume();
