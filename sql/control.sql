-- control: pausing, resuming and explaining; the worker comes and goes with the extension.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE EXTENSION product_optimizer;
CREATE FUNCTION wait_until(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  deadline timestamptz := clock_timestamp() + interval '20 s';
  holds boolean;
BEGIN
  LOOP
    PERFORM pg_stat_clear_snapshot();
    EXECUTE 'SELECT ' || condition INTO holds;
    IF holds OR clock_timestamp() > deadline THEN
      RETURN coalesce(holds, false);
    END IF;
  END LOOP;
END $$;
CREATE FUNCTION state_becomes(wanted text) RETURNS boolean LANGUAGE sql AS $$
  SELECT wait_until(format('(SELECT worker_state = %L FROM optimizer_stats())', wanted))
$$;

-- No restart, no reload: the worker is there, and says what it lacks.
SELECT state_becomes('blocked');
SELECT worker_state, state_reason, in_flight, started_at <= clock_timestamp() AS started, stats_since <= started_at AS counts_since FROM optimizer_stats();
SELECT database, pid IS NOT NULL AS has_pid, state, state_reason, in_flight, started_at <= clock_timestamp() AS started
  FROM optimizer_workers() WHERE database = current_database();
SELECT count(*) FROM pg_stat_activity a JOIN optimizer_workers() w USING (pid)
 WHERE a.backend_type = 'product_optimizer worker' AND a.datname = current_database() AND w.database = current_database();
SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'product_optimizer worker';

-- Paused at commit, not before and not by a rollback.
BEGIN;
SELECT optimizer_pause('never mind');
ROLLBACK;
SELECT optimizer_pause('stock taking');
SELECT state_becomes('paused');
SELECT worker_state, state_reason FROM optimizer_stats();
SELECT optimizer_pause();
SELECT wait_until('(SELECT state_reason IS NULL FROM optimizer_stats())');
SELECT worker_state, state_reason FROM optimizer_stats();
SELECT optimizer_pause(repeat('x', 200));
SELECT wait_until('(SELECT length(state_reason) = 200 FROM optimizer_stats())');
-- External workers are not this worker: they go on.
INSERT INTO job_items (instance_id, payload) VALUES ('a', '1');
SELECT optimizer_pause('stock taking');
SELECT wait_until($$ why_waiting(1) = 'The worker is paused: stock taking.' $$);
SELECT id, status FROM claim_pending_items();
SELECT instance_id, held_by FROM store_progress;
INSERT INTO job_items (instance_id, payload) VALUES ('a', '2');
SELECT instance_id, held_by FROM store_progress;
SELECT optimizer_resume();
SELECT state_becomes('blocked');
SELECT optimizer_resume();

-- why_waiting, by worker and status.
SELECT why_waiting(2);
SELECT regexp_replace(why_waiting(1), '20\d\d-\d\d-\d\d [0-9:.]+\+00', 'TIME', 'g') = 'It is not waiting: claimed by ' || current_user || ' pid ' || pg_backend_pid() || ' since TIME, the lease ends TIME.' AS running;
SELECT complete_item(1, 1, '1');
SELECT regexp_replace(why_waiting(1), '20\d\d-.*', 'TIME');

-- With a key: no store of these may be sent, so that the worker has nothing to do but to wait.
DELETE FROM job_items;
INSERT INTO stores (instance_id, paused) VALUES ('paused', true);
INSERT INTO stores (instance_id, max_in_flight) VALUES ('full', 1);
INSERT INTO job_items (id, instance_id, payload) VALUES (10, 'paused', '1'), (20, 'full', '1');
SELECT id FROM claim_pending_items();
INSERT INTO job_items (id, instance_id, payload) VALUES (21, 'full', '2');
INSERT INTO job_items (id, instance_id, payload, run_after) VALUES (30, 'later', '1', '2999-01-01 00:00:00+00');
INSERT INTO job_items (id, instance_id, payload, run_after, error_code) VALUES (31, 'later', '1', '2999-01-01 00:00:00+00', 'timeout');
ALTER SYSTEM SET product_optimizer.api_key = 'not-a-key';
ALTER SYSTEM SET product_optimizer.rescan_interval = '1s';
SELECT pg_reload_conf();
SELECT wait_until($$ (SELECT worker_state IN ('idle', 'throttled') FROM optimizer_stats()) $$);
SELECT why_waiting(10);
SELECT why_waiting(21);
SELECT why_waiting(30);
SELECT why_waiting(31);
SELECT instance_id, pending, scheduled, running, held_by FROM store_progress ORDER BY instance_id COLLATE "C";
-- What is not committed cannot be sent yet.
BEGIN;
INSERT INTO job_items (id, instance_id, payload) SELECT 1000 + n, 'turn', '1' FROM generate_series(1, 1100) n;
SELECT regexp_replace(why_waiting(1001), 'the worker is .*', '...');
SELECT regexp_replace(why_waiting(1004), 'the worker is .*', '...');
SELECT regexp_replace(why_waiting(2100), 'the worker is .*', '...');
ROLLBACK;
-- The worker left the paused and the full store alone.
SELECT id, status, attempts FROM job_items ORDER BY id;
SELECT count(*) AS key_shown FROM optimizer_stats() s, optimizer_workers() w WHERE s::text || w::text ~ 'not-a-key';
SELECT current_setting('product_optimizer.api_key') LIKE '%not-a-key%' AS key_shown_to_superuser;
CREATE ROLE regress_someone;
SET ROLE regress_someone;
\set VERBOSITY sqlstate
SHOW product_optimizer.api_key;
SELECT current_setting('product_optimizer.api_key');
SET product_optimizer.api_key = 'mine';
\set VERBOSITY default
RESET ROLE;
DROP ROLE regress_someone;

-- The worker leaves with the extension, and comes back with it.
DROP FUNCTION state_becomes;
DROP EXTENSION product_optimizer;
SELECT wait_until($$ NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'product_optimizer worker') $$) AS worker_left;
ALTER SYSTEM RESET product_optimizer.api_key;
ALTER SYSTEM RESET product_optimizer.rescan_interval;
SELECT pg_reload_conf();
CREATE EXTENSION product_optimizer;
SELECT wait_until($$ (SELECT worker_state = 'blocked' FROM optimizer_stats()) $$) AS worker_is_back;
SELECT count(*) FROM optimizer_workers() WHERE database = current_database() AND pid IS NOT NULL;
-- Also when both happen in one transaction, and when a creation is rolled back.
BEGIN;
DROP EXTENSION product_optimizer;
CREATE EXTENSION product_optimizer;
COMMIT;
SELECT wait_until($$ (SELECT pid IS NOT NULL AND state = 'blocked' FROM optimizer_workers() WHERE database = current_database()) $$) AS has_worker;
DROP EXTENSION product_optimizer;
BEGIN;
CREATE EXTENSION product_optimizer;
ROLLBACK;
SELECT count(*) FROM pg_extension WHERE extname = 'product_optimizer';

DROP FUNCTION wait_until;
