-- monitoring: the numbers, the views, and plans that do not change with the statistics.
CREATE EXTENSION product_optimizer;

-- The columns, in order.
SELECT string_agg(name || ' ' || type, ', ' ORDER BY n) AS optimizer_stats
  FROM pg_proc p, unnest(p.proargnames, p.proallargtypes::regtype[]::text[]) WITH ORDINALITY a(name, type, n) WHERE proname = 'optimizer_stats';
SELECT string_agg(name || ' ' || type, ', ' ORDER BY n) AS optimizer_workers
  FROM pg_proc p, unnest(p.proargnames, p.proallargtypes::regtype[]::text[]) WITH ORDINALITY a(name, type, n) WHERE proname = 'optimizer_workers';
SELECT string_agg(name || ' ' || type, ', ' ORDER BY n) AS optimizer_rate_limits
  FROM pg_proc p, unnest(p.proargnames, p.proallargtypes::regtype[]::text[]) WITH ORDINALITY a(name, type, n) WHERE proname = 'optimizer_rate_limits';
SELECT relname, string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS columns
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 WHERE relname IN ('job_progress', 'store_progress')
 GROUP BY 1 ORDER BY 1;

-- An empty queue: one row, of zeros.
SELECT count(*) FROM optimizer_stats();
SELECT pending, scheduled, in_flight, connections_open, connections_idle, requests_per_minute > 0 AS rpm, tokens_per_minute > 0 AS tpm,
       latency_p50_ms, latency_p95_ms, latency_p99_ms FROM optimizer_stats();
SELECT * FROM job_progress;
SELECT * FROM store_progress;

-- pending and scheduled: exact up to 1000, near the truth above.
INSERT INTO job_items (instance_id, payload) SELECT 'a', '1' FROM generate_series(1, 1000);
INSERT INTO job_items (instance_id, payload, run_after) SELECT 'b', '1', 'infinity' FROM generate_series(1, 7);
INSERT INTO job_items (instance_id, payload, status, lease_expires_at) SELECT 'c', '1', s, now() + '1 h' FROM unnest(ARRAY['RUNNING', 'DONE', 'DONE', 'FAILED', 'CANCELLED']) s;
SELECT pending, scheduled FROM optimizer_stats();
SELECT instance_id, pending, scheduled, running, done, failed, cancelled FROM store_progress ORDER BY 1;
INSERT INTO job_items (instance_id, payload) SELECT 'a', '1' FROM generate_series(1, 9000);
ANALYZE job_items;
SELECT pending BETWEEN 8000 AND 12000 AS about_ten_thousand, scheduled FROM optimizer_stats();
-- What a transaction has not committed, it alone counts.
BEGIN;
DELETE FROM job_items WHERE instance_id = 'b';
SELECT scheduled FROM optimizer_stats();
ROLLBACK;
SELECT scheduled FROM optimizer_stats();

-- store_progress: how long the oldest has waited, and what holds the store back.
DELETE FROM job_items;
INSERT INTO stores (instance_id, paused, max_in_flight, requests_per_minute)
VALUES ('2 paused', true, NULL, NULL), ('3 full', false, 1, NULL), ('4 limited', false, NULL, 10);
INSERT INTO job_items (instance_id, payload, created_at)
SELECT s, '1', now() - interval '1 h' FROM unnest(ARRAY['1 plain', '2 paused', '3 full', '3 full', '4 limited', '6 done']) s;
INSERT INTO job_items (instance_id, payload, run_after) VALUES ('5 later', '1', 'infinity');
UPDATE job_items SET status = 'RUNNING', lease_expires_at = now() + '1 h' WHERE id = (SELECT min(id) FROM job_items WHERE instance_id = '3 full');
UPDATE job_items SET status = 'DONE' WHERE instance_id = '6 done';
SELECT instance_id, pending, scheduled, running, done, oldest_wait BETWEEN interval '1 h' AND interval '1 h 5 min' AS an_hour, held_by
  FROM store_progress ORDER BY instance_id;

-- job_progress: percent, start and end, and when it will be done at the pace so far.
INSERT INTO jobs (id, instance_id, name) VALUES (1, '1 plain', 'half'), (2, NULL, 'over'), (3, NULL, 'not begun');
INSERT INTO job_items (job_id, instance_id, payload, status, started_at, finished_at)
SELECT 1, 'j', '1', CASE WHEN n <= 2 THEN 'DONE' ELSE 'PENDING' END,
       CASE WHEN n <= 2 THEN now() - interval '1 h' END, CASE WHEN n <= 2 THEN now() END FROM generate_series(1, 6) n;
INSERT INTO job_items (job_id, instance_id, payload, status, started_at, finished_at)
SELECT 2, 'j', '1', s, now() - interval '2 h', now() - interval '1 h' FROM unnest(ARRAY['DONE', 'FAILED', 'CANCELLED']) s;
INSERT INTO job_items (job_id, instance_id, payload) VALUES (3, 'j', '1');
-- At this pace no timestamp tells the end.
INSERT INTO jobs (id, name) VALUES (4, 'ages');
INSERT INTO job_items (job_id, instance_id, payload) SELECT 4, 'j', '1' FROM generate_series(1, 99);
INSERT INTO job_items (job_id, instance_id, payload, status, started_at) VALUES (4, 'j', '1', 'FAILED', '4700-01-01 BC');
SELECT job_id, instance_id, name, status, total, percent, now() - started_at BETWEEN interval '1 h' AND interval '3 h' AS started, finished_at IS NOT NULL AS finished,
       eta - now() BETWEEN interval '2 h' AND interval '2 h 5 min' AS two_hours_to_go
  FROM job_progress ORDER BY 1;

-- Plans: which indexes a question uses, whatever the statistics say.
CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  RETURN (WITH RECURSIVE node(n, depth) AS (
            SELECT plan -> 0 -> 'Plan', 1
            UNION ALL
            SELECT c, depth + 1 FROM node, json_array_elements(n -> 'Plans') c)
          SELECT string_agg(replace(n ->> 'Node Type', 'Index Only', 'Index') || coalesce(' ' || (n ->> 'Index Name'), ''), ' > ' ORDER BY depth) FROM node);
END $$;
\set oldest 'SELECT id FROM job_items WHERE status = ''PENDING'' ORDER BY id LIMIT 100'
DROP EXTENSION product_optimizer;
CREATE EXTENSION product_optimizer;
ALTER TABLE job_items SET (autovacuum_enabled = false);
SELECT plan_of(:'oldest') AS never_analyzed;
ANALYZE job_items;
SELECT plan_of(:'oldest') ~ ' idx_job_items_status_id$' AS analyzed_empty;
INSERT INTO job_items (instance_id, payload, status) SELECT 's' || n % 100, '1', 'DONE' FROM generate_series(1, 20000) n;
INSERT INTO job_items (instance_id, payload) SELECT 's' || n % 100, '1' FROM generate_series(1, 20000) n;
SELECT plan_of(:'oldest') ~ ' idx_job_items_status_id$' AS stale_statistics;
ANALYZE job_items;
SELECT plan_of(:'oldest') AS half_done;
UPDATE job_items SET status = 'DONE';
ANALYZE job_items;
SELECT plan_of(:'oldest') AS all_done;
INSERT INTO job_items (instance_id, payload) SELECT 's' || n % 100, '1' FROM generate_series(1, 3000) n;
SELECT plan_of(:'oldest') AS new_rows_after_all_done;
SELECT count(*), bool_and(claimed) AS oldest_first
  FROM (SELECT id > 40000 AS claimed FROM job_items WHERE status = 'PENDING' ORDER BY id LIMIT 100) oldest;

-- Whatever the statistics, a claim reads few rows of the table and does not scan it.
CREATE FUNCTION scans() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN pg_stat_get_xact_numscans('job_items'::regclass);
END $$;
BEGIN;
SELECT scans() AS before \gset
SELECT count(*) FROM claim_pending_items();
SELECT scans() - :before AS table_scans_of_a_claim;
SELECT scans() AS before, pg_stat_get_xact_tuples_returned('job_items'::regclass) AS rows_before \gset
SELECT count(*) FROM optimizer_stats();
SELECT pg_stat_get_xact_tuples_returned('job_items'::regclass) - :rows_before AS rows_read_by_table_scans;
SELECT scans() - :before AS table_scans;
ROLLBACK;

DROP FUNCTION plan_of, scans;
DROP EXTENSION product_optimizer;
