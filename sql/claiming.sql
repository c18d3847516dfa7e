-- claiming: who gets how much of a claim, in which order, and what a claim writes.
CREATE EXTENSION product_optimizer;
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
-- The queue lives with the worker's slot.
SELECT wait_until($$ (SELECT worker_state = 'blocked' FROM optimizer_stats()) $$) AS worker_is_blocked;
CREATE FUNCTION start_round() RETURNS void LANGUAGE sql AS $$
  DELETE FROM job_items;
  DELETE FROM stores;
$$;
CREATE FUNCTION fill(prefix text, stores int, rows_each int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO job_items (instance_id, payload)
  SELECT prefix || lpad(s::text, 3, '0'), to_jsonb(n) FROM generate_series(1, rows_each) n, generate_series(1, stores) s;
$$;

-- Four stores: 20 each, one at a time in the order of the round.
SELECT start_round(), fill('four', 4, 50);
CREATE TEMP TABLE got AS SELECT * FROM claim_pending_items(100, 20) WITH ORDINALITY;
SELECT instance_id, count(*), array_agg(payload::int ORDER BY ordinality) = ARRAY(SELECT generate_series(1, 20)) AS oldest_first
  FROM got GROUP BY 1 ORDER BY 1;
SELECT bool_and(instance_id = 'four00' || (ordinality - 1) % 4 + 1) AS one_each_and_round FROM got;
SELECT status, count(*) FROM job_items GROUP BY 1 ORDER BY 1;
DROP TABLE got;

-- Ten stores: 10 each.
SELECT start_round(), fill('ten', 10, 50);
SELECT instance_id, count(*) FROM claim_pending_items(100, 20) GROUP BY 1 ORDER BY 1;

-- 500 stores: one each to the next 100, and the rotation goes on where it stood.
SELECT start_round(), fill('many', 500, 2);
SELECT n, min(c.instance_id), max(c.instance_id), count(*), count(DISTINCT c.instance_id) AS stores
  FROM generate_series(1, 6) n, LATERAL (SELECT * FROM claim_pending_items(100 + 0 * n, 20)) c GROUP BY n ORDER BY n;
-- It goes on in the middle too: behind many100 come many101 to many130, then the rest.
SELECT min(instance_id), max(instance_id), count(*) FROM claim_pending_items(30);
SELECT min(instance_id), max(instance_id), count(*) FROM claim_pending_items(30);
-- And around the end, with all that is left of 1000.
SELECT count(*) FROM claim_pending_items(10000);
SELECT count(*) FROM claim_pending_items(10000);

-- Inside a store: priority, lower first, then id.
SELECT start_round();
INSERT INTO job_items (instance_id, priority, payload)
VALUES ('p', 5, '"fourth"'), ('p', 0, '"second"'), ('p', -3, '"first"'), ('p', 0, '"third"'), ('p', 32767, '"last"'), ('q', -32768, '"q"');
SELECT instance_id, priority, payload FROM claim_pending_items(3);
SELECT instance_id, priority, payload FROM claim_pending_items();
-- A priority is of no use against other stores.
SELECT start_round();
INSERT INTO job_items (instance_id, priority, payload) SELECT s, p, '0' FROM (VALUES ('low', 100), ('urgent', -100)) v(s, p), generate_series(1, 30);
SELECT instance_id, count(*) FROM claim_pending_items(20) GROUP BY 1 ORDER BY 1;

-- max_per_store holds when nobody else waits, and as many as there are is all there is.
SELECT start_round(), fill('alone', 1, 50);
SELECT count(*) FROM claim_pending_items(100, 7);
SELECT count(*) FROM claim_pending_items();
SELECT count(*) FROM claim_pending_items(100, 100);
SELECT count(*) FROM claim_pending_items(100, 100);
-- What one store does not have goes to the others.
SELECT start_round(), fill('big', 2, 30), fill('tiny', 3, 1);
SELECT instance_id, count(*) FROM claim_pending_items(33, 20) GROUP BY 1 ORDER BY 1;

-- stores.paused and stores.max_in_flight.
SELECT start_round(), fill('s', 4, 10);
INSERT INTO stores (instance_id, paused) VALUES ('s001', true);
INSERT INTO stores (instance_id, max_in_flight) VALUES ('s002', 3), ('s003', 0);
SELECT instance_id, count(*) FROM claim_pending_items() GROUP BY 1 ORDER BY 1;
SELECT instance_id, count(*) FROM claim_pending_items() GROUP BY 1 ORDER BY 1;
-- One that ends makes room for one; a store that is resumed is there at once.
SELECT complete_item(id, attempts, '0') FROM job_items WHERE instance_id = 's002' AND status = 'RUNNING' ORDER BY id LIMIT 1;
UPDATE stores SET paused = false WHERE instance_id = 's001';
UPDATE stores SET max_in_flight = 2 WHERE instance_id = 's003';
SELECT instance_id, count(*) FROM claim_pending_items() GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM claim_pending_items();

-- Weights: 1, 2 and 0.5, in one claim...
SELECT start_round(), fill('w', 3, 100);
INSERT INTO stores (instance_id, weight) VALUES ('w002', 2), ('w003', 0.5);
SELECT instance_id, count(*) FROM claim_pending_items(35, 100) GROUP BY 1 ORDER BY 1;
-- ...and in any number of claims of one, which is how the worker claims at a low rate.
UPDATE job_items SET status = 'PENDING';
SELECT instance_id, count(*) BETWEEN 20 * coalesce(weight, 1) - 1 AND 20 * coalesce(weight, 1) + 1 AS weighted_share_of_70
  FROM generate_series(1, 70) n, LATERAL (SELECT * FROM claim_pending_items(1 + 0 * n)) c LEFT JOIN stores USING (instance_id)
 GROUP BY instance_id, weight ORDER BY 1;
-- Only light stores: rounds in which nobody gives anything are not waited for.
SELECT start_round(), fill('v', 2, 40);
INSERT INTO stores (instance_id, weight) VALUES ('v001', 0.001), ('v002', 0.003);
SELECT instance_id, count(*) FROM claim_pending_items(40, 100) GROUP BY 1 ORDER BY 1;

-- A newcomer behind a thousand rows of another store is in the very next claim, whatever its name.
SELECT start_round(), fill('mid', 1, 1500);
SELECT count(*) FROM claim_pending_items();
INSERT INTO job_items (instance_id, payload) VALUES ('aaa', '"new"'), ('nnn', '"new"');
SELECT instance_id, count(*) FROM claim_pending_items() GROUP BY 1 ORDER BY 1;
INSERT INTO job_items (instance_id, payload) VALUES ('aaa', '"again"');
SELECT instance_id, payload FROM claim_pending_items(2) ORDER BY 1;

-- What a claim writes.
SELECT start_round();
INSERT INTO job_items (instance_id, product_id, payload) VALUES ('a', 'sku 1', '{"title": "Mug"}');
SELECT instance_id, product_id, status, payload, attempts, claimed_by = current_user || ' pid ' || pg_backend_pid() AS claimed_by_me,
       lease_expires_at BETWEEN now() + interval '5 min' AND clock_timestamp() + interval '5 min' AS default_lease,
       started_at BETWEEN now() AND clock_timestamp() AS started, finished_at
  FROM claim_pending_items();
SELECT release_item(id, attempts) FROM job_items;
SELECT attempts, lease_expires_at > now() + interval '167 h' AS long_lease FROM claim_pending_items(lease => '7 days');
UPDATE job_items SET status = 'PENDING';
SELECT attempts, lease_expires_at - started_at < interval '2 ms' AS short_lease FROM claim_pending_items(lease => '1 ms');

-- run_after: what lies ahead is SCHEDULED, at insert and at update, and the statement's own RETURNING says so.
SELECT start_round();
INSERT INTO job_items (instance_id, payload, run_after)
VALUES ('now', '1', NULL), ('past', '2', now() - interval '1 s'), ('future', '3', now() + interval '1 h'), ('never', '4', 'infinity')
RETURNING instance_id, status;
UPDATE job_items SET run_after = now() + interval '1 h' WHERE instance_id = 'now' RETURNING instance_id, status;
SELECT instance_id, attempts FROM claim_pending_items();
UPDATE job_items SET status = 'PENDING', run_after = now() + interval '1 h' WHERE instance_id = 'past' RETURNING instance_id, status;
UPDATE job_items SET status = 'PENDING', run_after = NULL WHERE instance_id = 'future' RETURNING instance_id, status;
SELECT instance_id FROM claim_pending_items();
-- When its time has come it is served, also where nobody but external workers serve.
UPDATE job_items SET run_after = clock_timestamp() + interval '1 ms' WHERE instance_id = 'never';
SELECT wait_until($$ (SELECT count(*) = 1 FROM claim_pending_items()) $$) AS due_item_is_claimed;
SELECT instance_id, status, attempts FROM job_items WHERE instance_id = 'never';

-- Columns that a user added and dropped do not shift the others.
ALTER TABLE job_items ADD dropped text, ADD own_number int, ADD own_text text;
ALTER TABLE job_items DROP dropped;
INSERT INTO job_items (instance_id, payload, own_number, own_text) VALUES ('wide', '1', 7, 'mine');
SELECT instance_id, status, own_number, own_text FROM claim_pending_items();

DROP FUNCTION wait_until, start_round, fill;
DROP EXTENSION product_optimizer;
