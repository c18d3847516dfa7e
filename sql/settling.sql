-- settling: how a claim ends, and that only the claim that holds can end it.
CREATE EXTENSION product_optimizer;
ALTER SYSTEM SET product_optimizer.rescan_interval = '1s';
SELECT pg_reload_conf();
CREATE FUNCTION wait_until(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  deadline timestamptz := clock_timestamp() + interval '20 s';
  holds boolean;
BEGIN
  LOOP
    EXECUTE 'SELECT ' || condition INTO holds;
    IF holds OR clock_timestamp() > deadline THEN
      RETURN coalesce(holds, false);
    END IF;
  END LOOP;
END $$;
CREATE VIEW item AS
SELECT id, status, attempts, result, error, error_code, claimed_by IS NULL AND lease_expires_at IS NULL AS unclaimed,
       finished_at IS NOT NULL AS finished
  FROM job_items ORDER BY id;
INSERT INTO job_items (instance_id, payload) SELECT 'a', to_jsonb(n) FROM generate_series(1, 8) n;

-- Not claimed yet: nothing to complete, and no error either.
SELECT complete_item(1, 0, '"early"'), complete_item(1, 1, '"early"'), fail_item(1, 0, 'early'), release_item(1, 0);
SELECT id, attempts FROM claim_pending_items();

-- complete_item: with the right attempt, once.
SELECT complete_item(1, 2, '"wrong attempt"') AS wrong, complete_item(1, 0, '"wrong attempt"') AS stale;
SELECT complete_item(1, 1, '{"title": "Mug"}', 120, 40) AS done;
SELECT complete_item(1, 1, '"twice"') AS twice, fail_item(1, 1, 'too late') AS fail, release_item(1, 1) AS release;
SELECT i.*, prompt_tokens, completion_tokens FROM item i JOIN job_items USING (id) WHERE id = 1;
-- Any JSON is an answer, and tokens may be left out; but SQL NULL is none.
SELECT complete_item(2, 1, 'null');
SELECT result = 'null' AS json_null, prompt_tokens, completion_tokens FROM job_items WHERE id = 2;

-- fail_item: again later by default, with the attempt counted.
SELECT fail_item(3, 7, 'wrong attempt') AS wrong;
SELECT fail_item(3, 1, 'try later', delay => '1 h');
SELECT i.*, run_after - now() BETWEEN interval '59 min' AND interval '1 h' AS in_an_hour
  FROM item i JOIN job_items USING (id) WHERE id = 3;
SELECT fail_item(3, 1, 'twice') AS twice, complete_item(3, 1, '"late"') AS late;
-- Its own back-off: half to whole of retry_base_delay (1 s) at the first attempt, of 8 s at the fourth.
SELECT fail_item(4, 1, 'back off');
SELECT run_after - now() <= interval '1 s' AS at_most_a_second FROM job_items WHERE id = 4;
SELECT now() AS before \gset
UPDATE job_items SET status = 'RUNNING', attempts = 4, run_after = NULL, lease_expires_at = now() + '1 h' WHERE id = 4;
SELECT fail_item(4, 4, 'back off');
SELECT run_after - :'before' >= interval '4 s' AS doubled FROM job_items WHERE id = 4;
-- Not again.
SELECT fail_item(5, 1, 'hopeless', retry => false);
SELECT * FROM item WHERE id = 5;
-- Until the attempts are used up: max_attempts of the item, else of the setting (5).
UPDATE job_items SET max_attempts = 2 WHERE id = 6;
SELECT fail_item(6, 1, 'first', delay => '0');
UPDATE job_items SET status = 'PENDING', run_after = NULL WHERE id = 6;
SELECT id, attempts FROM claim_pending_items();
SELECT fail_item(6, 1, 'an old claim') AS old, fail_item(6, 2, 'second and last') AS last;
SELECT * FROM item WHERE id = 6;
UPDATE job_items SET attempts = 4 WHERE id = 7;
SELECT fail_item(7, 4, 'fourth', delay => '0');
UPDATE job_items SET status = 'PENDING', run_after = NULL WHERE id = 7;
SELECT id, attempts FROM claim_pending_items();
SELECT fail_item(7, 5, 'fifth and last');

-- release_item gives the attempt back; whoever comes late is told so.
SELECT release_item(8, 9) AS wrong, release_item(8, 1) AS released, release_item(8, 1) AS twice, complete_item(8, 1, '"late"') AS late;
SELECT * FROM item WHERE id = 8;
SELECT id, attempts FROM claim_pending_items();
SELECT complete_item(8, 1, '"in time"');
-- A success wipes the failures before it.
INSERT INTO job_items (id, instance_id, payload, error, error_code) VALUES (9, 'a', '9', 'last time', 'timeout');
SELECT id FROM claim_pending_items();
SELECT complete_item(9, 1, '9');
SELECT * FROM item WHERE id = 9;
SELECT setval('job_items_id_seq', 9);

-- An expired lease: the worker takes the item back, and the attempt stays spent.
INSERT INTO job_items (instance_id, payload, max_attempts) VALUES ('lease', '10', NULL), ('lease', '11', 1);
SELECT id, attempts FROM claim_pending_items(lease => '1 ms') ORDER BY id;
SELECT wait_until($$ (SELECT bool_and(status <> 'RUNNING') FROM job_items WHERE id IN (10, 11)) $$) AS rescued;
SELECT id, status, attempts, regexp_replace(error, ': .* pid \d+ ', ': ROLE pid PID ') AS error, error_code, unclaimed, finished FROM item WHERE id >= 10;
SELECT complete_item(10, 1, '"late"') AS late;
SELECT id, attempts FROM claim_pending_items();
SELECT complete_item(10, 1, '"by the first claim"') AS first, complete_item(10, 2, '"by the second"') AS second;
SELECT orphans_rescued >= 2 AS counted FROM optimizer_stats();
-- A lease that holds is nobody else's business.
INSERT INTO job_items (instance_id, payload) VALUES ('lease', '12');
SELECT id, attempts FROM claim_pending_items();
INSERT INTO job_items (instance_id, payload) VALUES ('lease', '13');
SELECT id, attempts FROM claim_pending_items(lease => '1 ms');
SELECT wait_until($$ (SELECT status = 'PENDING' FROM job_items WHERE id = 13) $$) AS rescued;
SELECT id, status, attempts FROM item WHERE id >= 12;

-- Jobs: states, cancelling, trying again.
DELETE FROM job_items;
INSERT INTO jobs (id, name) VALUES (1, 'done'), (2, 'failed'), (3, 'cancelled'), (4, 'empty'), (5, 'mixed'), (6, 'waiting'), (7, 'scheduled');
SELECT setval('job_items_id_seq', 100, false);
INSERT INTO job_items (job_id, instance_id, payload, status, lease_expires_at)
SELECT j, 'a', '0', s, now() + '1 h' FROM (VALUES (1, 'DONE'), (1, 'DONE'), (1, 'FAILED'), (2, 'FAILED'), (2, 'FAILED'), (3, 'PENDING'), (3, 'RUNNING'),
       (3, 'DONE'), (5, 'DONE'), (5, 'PENDING'), (5, 'FAILED'), (6, 'PENDING')) v(j, s);
INSERT INTO job_items (job_id, instance_id, payload, run_after) VALUES (7, 'a', '0', 'infinity'), (3, 'a', '0', 'infinity');
UPDATE job_items SET attempts = 1 WHERE status = 'RUNNING';
SELECT job_id, name, status, total, pending, scheduled, running, done, failed, cancelled, percent FROM job_progress ORDER BY 1;
SELECT cancel_job(3), cancel_job(4);
SELECT cancel_job(3) AS again;
SELECT status, count(*), bool_and(finished_at IS NOT NULL OR status = 'DONE') AS finished, bool_and(claimed_by IS NULL) AS unclaimed
  FROM job_items WHERE job_id = 3 GROUP BY 1 ORDER BY 1;
-- The answer that was in flight comes too late.
SELECT complete_item(107, 1, '"late"'), fail_item(106, 1, 'late'), release_item(107, 1);
SELECT retry_failed(2) AS of_job, retry_failed(2) AS again, retry_failed(instance_id => 'nobody') AS of_nobody;
SELECT status, attempts, max_attempts, error, finished_at FROM job_items WHERE job_id = 2;
SELECT retry_failed(1, 'b') AS other_store, retry_failed(NULL, 'a') AS of_store, retry_failed() AS "all";
SELECT job_id, name, status, total, pending, scheduled, running, done, failed, cancelled, percent FROM job_progress ORDER BY 1;
-- Who used up all attempts gets a full set again, and its token never goes back.
INSERT INTO job_items (id, job_id, instance_id, payload, status, attempts, error, error_code, finished_at)
VALUES (200, 2, 'a', '0', 'FAILED', 5, 'x', 'timeout', now());
SELECT retry_failed(2);
SELECT status, attempts, max_attempts, error, error_code, finished_at FROM job_items WHERE id = 200;
-- An item goes with its job.
DELETE FROM jobs WHERE id = 2;
SELECT count(*) FROM job_items WHERE job_id = 2;

ALTER SYSTEM RESET product_optimizer.rescan_interval;
SELECT pg_reload_conf();
DROP VIEW item;
DROP FUNCTION wait_until;
DROP EXTENSION product_optimizer;
