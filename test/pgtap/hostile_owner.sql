-- An ordinary role that owns the tables may change them as it likes.  What it gives another form raises an error: it neither crashes
-- the server nor is read as what it is not.
BEGIN;
SELECT no_plan();
CREATE ROLE mallory;
SELECT extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'product_optimizer' \gset
GRANT USAGE, CREATE ON SCHEMA :schema TO mallory;
SELECT lives_ok($$ SELECT hand_over_optimizer('mallory') $$, 'mallory owns the queue');
SET LOCAL ROLE mallory;
INSERT INTO jobs (id, instructions) VALUES (1, 'x');
INSERT INTO job_items (id, job_id, instance_id, payload) SELECT n, 1, 'a', '1' FROM generate_series(100001, 100005) n;
INSERT INTO stores (instance_id, max_pending) VALUES ('full', 0);
INSERT INTO rate_limits (model, requests_per_minute) VALUES ('m', 10);

-- How a statement ends after some others; all of it is undone.
CREATE FUNCTION pg_temp.outcome(before text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text := 'done';
BEGIN
  EXECUTE before;
  BEGIN
    EXECUTE call;
  EXCEPTION WHEN OTHERS THEN
    state := SQLSTATE;
  END;
  RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ000';
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
  RETURN state;
END $$;
CREATE FUNCTION pg_temp.retyped(which text, field text, type text, value text) RETURNS text LANGUAGE sql AS $$
  SELECT format('ALTER TABLE %1$s RENAME %2$s TO was; ' || CASE WHEN which = 'job_items' AND field IN ('payload', 'instance_id') THEN 'ALTER TABLE job_items ALTER was DROP NOT NULL; ' ELSE '' END || 'ALTER TABLE %1$s ADD %2$s %3$s DEFAULT %4$L', which, field, type, value)
$$;
CREATE TEMP TABLE calls (name text, call text);
INSERT INTO calls VALUES ('insert', $$ INSERT INTO job_items (instance_id, payload) VALUES ('7', '1') $$), ('fill', $$ INSERT INTO job_items (instance_id, payload) VALUES ('full', '1') $$),
  ('schedule', $$ INSERT INTO job_items (instance_id, payload, run_after) VALUES ('7', '1', now() + interval '1 hour') $$),
  ('claim', 'SELECT * FROM claim_pending_items(2)'), ('why', 'SELECT why_waiting(100001)'), ('acquire', $$ SELECT * FROM try_acquire(1, 'm', 1) $$),
  ('grant', $$ SELECT grant_optimizer('pg_monitor', 'reader') $$);
SELECT is(pg_temp.outcome('', call), CASE name WHEN 'fill' THEN 'QF001' ELSE 'done' END, 'as it is: ' || name) FROM calls;

-- Other types.
SELECT is(pg_temp.outcome(pg_temp.retyped(which, field, type, value), call), '42804', format('%s.%s as %s: %s', which, field, type, name))
  FROM calls JOIN (VALUES ('job_items', 'status', 'bigint', '1094795585', 'why'), ('job_items', 'status', 'bigint', '1094795585', 'insert'), ('job_items', 'status', 'uuid', '00000100-0000-0000-0000-000000000000', 'why'),
         ('job_items', 'status', 'bigint', '1094795585', 'schedule'), ('job_items', 'instance_id', 'bigint', '1094795585', 'insert'), ('job_items', 'claimed_by', 'bigint', '1094795585', 'why'),
         ('job_items', 'priority', 'text', 'x', 'insert'), ('job_items', 'payload', 'bigint', '1094795585', 'insert'), ('job_items', 'error_code', 'bigint', '1094795585', 'claim'), ('job_items', 'attempts', 'bigint', '0', 'claim'),
         ('rate_limits', 'requests_per_minute', 'text', 'x', 'acquire'), ('rate_limits', 'model', 'bigint', '1094795585', 'acquire'), ('stores', 'max_pending', 'text', 'x', 'fill'), ('stores', 'instance_id', 'bigint', '1094795585', 'fill'),
         ('homes', 'system_identifier', 'text', 'x', 'fill'), ('store_access', 'role_name', 'bigint', '1094795585', 'grant'), ('store_access', 'instance_ids', 'bigint', '1094795585', 'grant')) AS v(which, field, type, value, of) ON name = of;
SELECT is(pg_temp.outcome($$ INSERT INTO stores VALUES ('a') ON CONFLICT DO NOTHING; $$ || pg_temp.retyped('stores', field, type, value), call), '42804', format('stores.%s as %s: %s', field, type, name))
  FROM calls, (VALUES ('weight', 'text', 'x'), ('paused', 'text', 'x'), ('max_in_flight', 'text', 'x'), ('tokens_per_minute', 'text', 'x')) AS v(field, type, value) WHERE name = 'claim';

-- What a constraint promised.
SELECT is(pg_temp.outcome(before, call), state, format('%s: %s', before, name))
  FROM calls JOIN (VALUES ('ALTER TABLE job_items ALTER status DROP NOT NULL, ALTER status DROP DEFAULT', 'insert', '23502'), ('ALTER TABLE job_items ALTER status DROP NOT NULL, ALTER status DROP DEFAULT', 'fill', '23502'),
         ($$ ALTER TABLE job_items DROP CONSTRAINT job_items_attempts_check; UPDATE job_items SET attempts = -5 $$, 'claim', '23514'),
         ($$ ALTER TABLE stores DROP CONSTRAINT stores_weight_check; INSERT INTO stores (instance_id, weight) VALUES ('a', 0) $$, 'claim', 'done'),
         ($$ ALTER TABLE stores DROP CONSTRAINT stores_weight_check; INSERT INTO stores (instance_id, weight) VALUES ('a', 'NaN') $$, 'claim', 'done')) AS v(before, of, state) ON name = of;
SELECT is(pg_temp.outcome('ALTER TABLE job_items DROP CONSTRAINT job_items_instance_id_check', $$ INSERT INTO job_items (instance_id, payload) SELECT repeat(md5(n::text), 100), '1' FROM generate_series(1, 3) n $$), '23514', 'a name that is too long for shared memory');
SELECT is(pg_temp.outcome('ALTER TABLE store_access DROP CONSTRAINT store_access_pkey, ALTER role_name DROP NOT NULL', 'INSERT INTO store_access VALUES (NULL, NULL)'), '23502', 'store_access without a role');

-- Other things under the names of tables and indexes.
SELECT is(pg_temp.outcome(before, call), state, format('%s: %s', before, name))
  FROM calls JOIN (VALUES ('ALTER TABLE stores RENAME TO was; CREATE VIEW stores AS SELECT * FROM was', 'insert', '42809'), ('ALTER TABLE homes RENAME TO was; CREATE VIEW homes AS SELECT * FROM was', 'fill', '42809'),
         ('ALTER TABLE stores RENAME TO was; CREATE SEQUENCE stores', 'insert', '42703'),
         ('DROP INDEX idx_stores_capped; CREATE TABLE t (instance_id bigint); INSERT INTO t SELECT 9223372036854775807 FROM generate_series(1, 9); CREATE INDEX idx_stores_capped ON t (instance_id)', 'fill', 'QF001'),
         ('DROP INDEX idx_stores_capped; CREATE INDEX idx_stores_capped ON stores (max_pending, instance_id)', 'fill', 'QF001'), ('DROP INDEX idx_stores_capped; CREATE INDEX idx_stores_capped ON stores USING hash (instance_id)', 'fill', 'QF001'),
         ('DROP INDEX idx_stores_capped; CREATE VIEW idx_stores_capped AS SELECT 1', 'fill', 'QF001'),
         ('DROP INDEX idx_job_items_instance_status_id; CREATE SEQUENCE idx_job_items_instance_status_id', 'fill', 'QF001')) AS v(before, of, state) ON name = of;
-- Tables that are not plain, or have several owners.  What a reader runs as is told by its SQLSTATE.
CREATE FUNCTION told() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ran' USING ERRCODE = 'ZZ001'; END $$;
CREATE TEMP TABLE called (call text);
GRANT SELECT ON called TO PUBLIC;
INSERT INTO called VALUES ('SELECT * FROM claim_pending_items(1)'), ('SELECT retry_failed()'), ('SELECT optimizer_resume()'), ('SELECT why_waiting(100001)'), ('SELECT * FROM store_progress');
RESET ROLE;
CREATE ROLE trudy;
GRANT CREATE ON SCHEMA :schema TO trudy;
SELECT is(pg_temp.outcome(format('ALTER TABLE %I OWNER TO trudy', t), call), '55000', format('%s of another owner: %s', t, call)) FROM unnest(ARRAY['jobs', 'stores', 'rate_limits', 'homes', 'store_access']) t, called;
SELECT is(pg_temp.outcome(format('ALTER TABLE %I OWNER TO trudy; SELECT hand_over_optimizer(''mallory'')', t), 'SELECT retry_failed()'), 'done', t || ': handed over') FROM unnest(ARRAY['jobs', 'stores', 'rate_limits', 'homes', 'store_access', 'job_items']) t;
SELECT is(pg_temp.outcome('ALTER TABLE rate_limits RENAME TO was; CREATE VIEW rate_limits AS SELECT * FROM was; ALTER VIEW rate_limits OWNER TO mallory', call), '55000', 'a view of rate_limits: ' || call) FROM called;
-- PostgreSQL 15 would make a view of an empty table; later ones have no such command.
SET LOCAL ROLE mallory;
SELECT is(pg_temp.outcome('', format('CREATE RULE "_RETURN" AS ON SELECT TO %s DO INSTEAD SELECT told()', t)), '42809', t || ' made a view')
  FROM unnest(ARRAY['job_items', 'jobs', 'stores', 'rate_limits', 'homes', 'store_access']) t;
SELECT is(pg_temp.outcome(format('SET search_path = %I; CREATE TABLE own (id int)', :'schema'), 'CREATE RULE "_RETURN" AS ON SELECT TO own DO INSTEAD SELECT 1 AS id'),
  CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'done' ELSE '42809' END, 'a table of his own as PostgreSQL has it');
SELECT is(pg_temp.outcome('', 'CREATE RULE "_RETURN" AS ON SELECT TO no_such_table DO INSTEAD SELECT 1 AS id'), '42P01', 'a table that is not there');
RESET ROLE;
SET LOCAL ROLE trudy;
SELECT is(pg_temp.outcome('', 'CREATE RULE "_RETURN" AS ON SELECT TO stores DO INSTEAD SELECT 1 AS id'), '42501', 'somebody else''s table');
RESET ROLE;
-- A query that reads store_progress may still be parallel.
SELECT CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END AS parallel \gset
SET LOCAL :parallel = on;
SELECT is(held_by, 'its turn, at the shared rate limit', 'store_progress in a parallel query') FROM store_progress WHERE instance_id = 'a';
SET LOCAL :parallel = off;
SET LOCAL ROLE mallory;
INSERT INTO job_items (instance_id, payload) SELECT 'a', '1' FROM generate_series(1, 1100);
DROP INDEX idx_job_items_status_id;
CREATE TABLE others AS SELECT n AS id FROM generate_series(1, 50000) n;
CREATE INDEX idx_job_items_status_id ON others (id);
SELECT is(pending, 1001::bigint, 'an index of another table is no estimate') FROM optimizer_stats();
SELECT * FROM finish();
ROLLBACK;
