-- The claim reads the claim's index and the rows it takes, whatever the statistics and the planner's settings say.
BEGIN;
SELECT plan(15);

CREATE FUNCTION pg_temp.fill(stores int, rows_each int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO job_items (instance_id, payload)
  SELECT 'store-' || s, '{"title": "A mug."}' FROM generate_series(1, rows_each) r, generate_series(1, stores) s
$$;

-- What this transaction has read so far.
CREATE FUNCTION pg_temp.blocks() RETURNS bigint LANGUAGE sql AS $$
  SELECT pg_stat_get_xact_blocks_fetched('job_items'::regclass)
       + (SELECT sum(pg_stat_get_xact_blocks_fetched(indexrelid))::bigint FROM pg_index WHERE indrelid = 'job_items'::regclass)
$$;
CREATE FUNCTION pg_temp.scans(index_name text) RETURNS bigint LANGUAGE sql AS $$
  SELECT pg_stat_get_xact_numscans(index_name::regclass)
$$;

-- Blocks read by a claim of 100, the update and its index entries included.
CREATE FUNCTION pg_temp.claim_blocks() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint := pg_temp.blocks();
  claimed int;
BEGIN
  SELECT count(*) INTO claimed FROM claim_pending_items(100, 20);
  IF claimed <> 100 THEN
    RAISE 'claimed %', claimed;
  END IF;
  RETURN pg_temp.blocks() - before;
END $$;

CREATE TEMP TABLE seen (n int, blocks bigint);
-- Statistics of an empty table, and none at all for what the planner would like to know.
ALTER TABLE job_items ALTER COLUMN status SET STATISTICS 0;
ALTER TABLE job_items ALTER COLUMN instance_id SET STATISTICS 0;
ANALYZE job_items;
SELECT pg_temp.fill(20, 100);
SELECT pg_temp.claim_blocks();
INSERT INTO seen SELECT 1, pg_temp.claim_blocks();
SELECT pg_temp.fill(20, 2000);
SELECT pg_temp.claim_blocks();
INSERT INTO seen SELECT 2, pg_temp.claim_blocks();
SELECT cmp_ok((SELECT blocks FROM seen WHERE n = 2), '<', (SELECT blocks * 2 FROM seen WHERE n = 1), 'a claim reads as much of 42,000 rows as of 2,000');

-- Statistics that lie, and every kind of plan forbidden that the claim uses.
UPDATE pg_class SET reltuples = 1, relpages = 1 WHERE oid = 'job_items'::regclass;
SELECT set_config(name, value, true)
  FROM (VALUES ('enable_indexscan', 'off'), ('enable_indexonlyscan', 'off'), ('enable_nestloop', 'off'), ('enable_seqscan', 'on'),
               ('random_page_cost', '1000'), ('cpu_index_tuple_cost', '1000'), ('plan_cache_mode', 'force_custom_plan')) s (name, value);
CREATE TEMP TABLE scans AS SELECT pg_stat_get_xact_numscans('job_items'::regclass) AS sequential, pg_temp.scans('idx_job_items_status_id') AS by_id;
SELECT is(count(*), 100::bigint, 'a claim under hostile settings ' || n) FROM generate_series(1, 10) n, LATERAL (SELECT FROM claim_pending_items(100 + 0 * n, 20)) c GROUP BY n;
SELECT is(pg_stat_get_xact_numscans('job_items'::regclass), (SELECT sequential FROM scans), 'no claim scanned the table');
SELECT is(pg_temp.scans('idx_job_items_status_id'), (SELECT by_id FROM scans), 'nor all that waits in the order of ids');

-- What a job says may be large, and whoever claims by SQL does not get it: it is not read.  The foreign key is not to be looked
-- at, which it would be as the rows are of this very transaction.
CREATE FUNCTION pg_temp.blocks_of_jobs() RETURNS bigint LANGUAGE sql AS $$
  SELECT pg_stat_get_xact_blocks_fetched('jobs'::regclass) + pg_stat_get_xact_blocks_fetched('jobs_pkey'::regclass)
$$;
INSERT INTO jobs (id, name) VALUES (1, 'a job');
INSERT INTO job_items (job_id, instance_id, payload) SELECT 1, 'of a job ' || n, '1' FROM generate_series(1, 10) n;
SET LOCAL session_replication_role = replica;
CREATE TEMP TABLE jobs_read AS SELECT pg_temp.blocks_of_jobs() AS before;
CREATE TEMP TABLE of_jobs AS SELECT count(job_id) AS claimed FROM claim_pending_items(10000, 1);
SELECT is(ROW(pg_temp.blocks_of_jobs() - before, claimed), ROW(0::bigint, 10::bigint), 'a claim by SQL reads no job') FROM jobs_read, of_jobs;
SET LOCAL session_replication_role = origin;

-- Thousands run; one of them ends.
CREATE TEMP TABLE ended AS SELECT pg_temp.blocks() AS before;
SELECT complete_item(id, 1, '"done"') FROM (SELECT id FROM job_items WHERE status = 'RUNNING' ORDER BY id LIMIT 1 OFFSET 500) one;
SELECT cmp_ok(pg_temp.blocks() - before, '<', 1000::bigint, 'an answer is written to its row, not looked for among those that run') FROM ended;

SELECT * FROM finish();
ROLLBACK;
