-- What one role or one store cannot do to all: sizes, stores.max_pending, and the keys of params.
BEGIN;
SELECT no_plan();
SELECT extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'product_optimizer' \gset

-- Sizes: the largest that is accepted, and one more.
CREATE TEMP TABLE sizes (t text, name text, most text, beyond text);
INSERT INTO sizes VALUES
  ('job_items', 'product_id_length', $$(instance_id, payload, product_id) VALUES ('a', '1', repeat('ü', 1000))$$, $$(instance_id, payload, product_id) VALUES ('a', '1', repeat('ü', 1001))$$),
  -- A string alone: four bytes each for its length, the container and the entry.
  ('job_items', 'payload_size', $$(instance_id, payload) VALUES ('large', to_jsonb(repeat('x', 8388596)))$$, $$(instance_id, payload) VALUES ('a', to_jsonb(repeat('x', 8388597)))$$),
  ('jobs', 'name_length', $$(name) VALUES (repeat('ü', 255))$$, $$(name) VALUES (repeat('ü', 256))$$),
  ('jobs', 'instructions_length', $$(instructions) VALUES (repeat('ü', 100000))$$, $$(instructions) VALUES (repeat('ü', 100001))$$),
  ('jobs', 'response_schema_size', $$(response_schema) VALUES (jsonb_build_object('a', repeat('ü', 199991)))$$, $$(response_schema) VALUES (jsonb_build_object('a', repeat('ü', 199992)))$$),
  ('jobs', 'params_size', $$(params) VALUES (jsonb_build_object('a', repeat('ü', 99991)))$$, $$(params) VALUES (jsonb_build_object('a', repeat('ü', 99992)))$$);
SELECT lives_ok(format('INSERT INTO %s %s', t, most), format('%s_%s: the largest', t, name)) FROM sizes;
SELECT throws_ok(format('INSERT INTO %s %s', t, beyond), '23514', format('new row for relation "%s" violates check constraint "%1$s_%s"', t, name), format('%s_%s: one more', t, name))
  FROM sizes;
SELECT lives_ok($$ UPDATE job_items SET priority = 1 WHERE instance_id = 'large' $$, 'what was accepted can be updated');
SELECT lives_ok($$ UPDATE job_items SET payload = payload WHERE instance_id = 'large' $$, 'its payload too');
-- 9 MB that take 100 kB in another table: a dump would bring them as 9 MB.
CREATE TEMP TABLE elsewhere AS SELECT to_jsonb(repeat('x', 9000000)) AS payload;
SELECT cmp_ok(pg_column_size(payload), '<', 200000, 'it is stored compressed') FROM elsewhere;
SELECT throws_ok($$ INSERT INTO job_items (instance_id, payload) SELECT 'a', payload FROM elsewhere $$, '23514', NULL, 'a payload that comes compressed counts in full');
SELECT throws_ok($$ UPDATE job_items SET payload = (SELECT payload FROM elsewhere) WHERE instance_id = 'large' $$, '23514', NULL, 'in an UPDATE too');
SELECT throws_ok($$ INSERT INTO stores (instance_id, max_pending) VALUES ('a', -1) $$, '23514', NULL, 'max_pending is not negative');

-- max_pending, for a role that has no rights but to insert.
CREATE ROLE caps_producer;
GRANT USAGE ON SCHEMA :schema TO caps_producer;
GRANT INSERT (job_id, instance_id, product_id, priority, payload, run_after, max_attempts), SELECT (id) ON job_items TO caps_producer;
DELETE FROM job_items;
INSERT INTO stores (instance_id, max_pending) VALUES ('capped', 3), ('closed', 0), ('other', 3);
INSERT INTO stores (instance_id) VALUES ('free');
CREATE FUNCTION pg_temp.put(store text, items int, later text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
  SELECT format('INSERT INTO job_items (instance_id, payload, run_after) SELECT %L, to_jsonb(n), %L::timestamptz FROM generate_series(1, %s) n', store, later, items)
$$;
CREATE FUNCTION pg_temp.is_full(command text, store text, cap int, name text) RETURNS text LANGUAGE sql AS $$
  SELECT throws_ok(command, 'QF001', format('store "%s" may have at most %s items waiting', store, cap), name)
$$;
CREATE FUNCTION pg_temp.waiting(store text) RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*) FROM job_items WHERE instance_id = store AND status IN ('PENDING', 'SCHEDULED')
$$;
SET LOCAL ROLE caps_producer;
SELECT throws_ok('SELECT FROM stores', '42501', NULL, 'it may not read stores');
SELECT pg_temp.is_full(pg_temp.put('capped', 4), 'capped', 3, 'more at once than the cap');
SELECT lives_ok(pg_temp.put('capped', 2), 'two of three');
SELECT pg_temp.is_full(pg_temp.put('capped', 2), 'capped', 3, 'two more are too many');
SELECT pg_temp.is_full(pg_temp.put('capped', 2, 'infinity'), 'capped', 3, 'two that wait for run_after are too');
SELECT lives_ok(pg_temp.put('capped', 1, 'tomorrow'), 'the third, for later');
SELECT pg_temp.is_full(pg_temp.put('capped', 1), 'capped', 3, 'full: none now');
SELECT pg_temp.is_full(pg_temp.put('capped', 1, 'tomorrow'), 'capped', 3, 'full: none for later');
SELECT pg_temp.is_full(pg_temp.put('capped', 1, 'yesterday'), 'capped', 3, 'full: none for the past');
SELECT pg_temp.is_full(pg_temp.put('closed', 1), 'closed', 0, 'a cap of 0');
SELECT lives_ok(pg_temp.put('closed', 0), 'an insert of nothing');
SELECT lives_ok(pg_temp.put('free', 100), 'a store whose row has no cap');
SELECT lives_ok(pg_temp.put('unknown', 100), 'a store without a row');
SELECT pg_temp.is_full($$ INSERT INTO job_items (instance_id, payload) VALUES ('other', '1'), ('free', '1'), ('capped', '1') $$, 'capped', 3, 'one full store among several');
SELECT pg_temp.is_full($$ INSERT INTO job_items (instance_id, payload) SELECT CASE n WHEN 9 THEN 'capped' ELSE 'one-' || n END, '1' FROM generate_series(1, 20) n $$,
                       'capped', 3, 'and among more stores than have caps');
RESET ROLE;
SELECT is(pg_temp.waiting('capped'), 3::bigint, 'what was refused left nothing');
SELECT is(pg_temp.waiting('other'), 0::bigint, 'nor did its statement in other stores');

-- Every way to insert.
SELECT pg_temp.is_full($$ COPY job_items (instance_id, payload) FROM PROGRAM 'printf "capped\t1\n"' $$, 'capped', 3, 'COPY');
SELECT pg_temp.is_full($$ WITH i AS (INSERT INTO job_items (instance_id, payload) VALUES ('capped', '1') RETURNING id) SELECT count(*) FROM i $$, 'capped', 3, 'an INSERT in WITH');
SELECT pg_temp.is_full($$ INSERT INTO job_items (instance_id, payload) VALUES ('capped', '1') ON CONFLICT (id) DO UPDATE SET priority = 1 $$, 'capped', 3, 'ON CONFLICT');
SELECT pg_temp.is_full($$ MERGE INTO job_items USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT (instance_id, payload) VALUES ('capped', '1') $$, 'capped', 3, 'MERGE');
SELECT pg_temp.is_full($$ INSERT INTO job_items (instance_id, payload, status, run_after) VALUES ('capped', '1', 'SCHEDULED', 'now') $$, 'capped', 3, 'SCHEDULED as such');
SELECT lives_ok($$ INSERT INTO job_items (id, instance_id, payload) SELECT id, instance_id, payload FROM job_items WHERE instance_id = 'capped' ON CONFLICT (id) DO UPDATE SET priority = 1 $$,
                'rows that are there already do not count twice');
SELECT lives_ok($$ INSERT INTO job_items (instance_id, payload, status) VALUES ('capped', '1', 'DONE') $$, 'nor does what does not wait');
SET LOCAL enable_indexscan = off;
SELECT throws_ok(format($$ SET LOCAL search_path = pg_catalog; INSERT INTO %I.job_items (instance_id, payload) VALUES ('capped', '1') $$, :'schema'), 'QF001', NULL,
                 'whatever the session has set');
RESET enable_indexscan;
SET LOCAL session_replication_role = replica;
SELECT lives_ok(pg_temp.put('capped', 1), 'a replica takes what it is sent');
RESET session_replication_role;

-- What comes back into the line is not refused; what leaves it makes room.
DELETE FROM job_items;
SELECT lives_ok(pg_temp.put('capped', 3), 'three again');
CREATE TEMP TABLE claimed AS SELECT id, attempts FROM claim_pending_items(3);
SELECT is(count(*), 3::bigint, 'which are claimed') FROM claimed;
SELECT lives_ok(pg_temp.put('capped', 3), 'and make room for three');
SELECT is(release_item(id, attempts), true, 'released, above the cap') FROM claimed WHERE id = (SELECT min(id) FROM claimed);
SELECT is(fail_item(id, attempts, 'again', delay => '1 h'), 'SCHEDULED', 'failed and to be tried again, above the cap') FROM claimed WHERE id = (SELECT max(id) FROM claimed);
SELECT is(pg_temp.waiting('capped'), 5::bigint, 'five wait');
SELECT pg_temp.is_full(pg_temp.put('capped', 1), 'capped', 3, 'no insert beside them');
SELECT lives_ok($$ UPDATE job_items SET priority = 7 WHERE instance_id = 'capped' $$, 'an UPDATE is not refused');
SELECT lives_ok($$ UPDATE stores SET max_pending = 6 WHERE instance_id = 'capped' $$, 'the cap is raised');
SELECT lives_ok(pg_temp.put('capped', 1), 'which holds at once');
SELECT pg_temp.is_full(pg_temp.put('capped', 1), 'capped', 6, 'and exactly');
-- Slower, but as exact, where somebody has dropped the indexes.
DROP INDEX idx_stores_capped, idx_job_items_scheduled_store;
SELECT pg_temp.is_full(pg_temp.put('capped', 1), 'capped', 6, 'without the indexes');

-- The keys of params, for a role below the operator.
CREATE ROLE caps_maker;
GRANT USAGE ON SCHEMA :schema TO caps_maker;
GRANT SELECT, INSERT, UPDATE ON jobs TO caps_maker;
CREATE FUNCTION pg_temp.job(params text) RETURNS text LANGUAGE sql AS $$ SELECT format('INSERT INTO jobs (params) VALUES (%L)', params) $$;
SET LOCAL ROLE caps_maker;
SELECT lives_ok(pg_temp.job(params), 'allowed: ' || coalesce(params, 'NULL'))
  FROM (VALUES (NULL), ('{}'), ('{"temperature": 0.2, "top_p": 1, "seed": 1, "stop": "x", "presence_penalty": 0, "frequency_penalty": 0}'),
               ('{"reasoning_effort": "low", "verbosity": "low", "max_completion_tokens": 100}'), ('{"max_tokens": 100}'), ('{"reasoning_effort": null}'),
               ('{"reasoning": {"effort": "low"}, "text": {"verbosity": "low", "format": {"type": "text"}}, "max_output_tokens": 100}'),
               ('{"reasoning": null, "text": "no object"}'), ('{"response_format": {"type": "text"}}')) v(params);
SELECT throws_ok(pg_temp.job(params), '42501', format('role caps_maker may not set "%s" in params', refused), 'refused: ' || params)
  FROM (VALUES ('{"service_tier": "priority"}', 'service_tier'), ('{"metadata": {}}', 'metadata'), ('{"store": true}', 'store'), ('{"store": null}', 'store'),
               ('{"tools": []}', 'tools'), ('{"web_search_options": {}}', 'web_search_options'), ('{"user": "x"}', 'user'), ('{"Temperature": 1}', 'Temperature'),
               ('{"temperature": 1, "n": 5}', 'n'), ('{"stream": true}', 'stream'), ('{"": 1}', ''), ('{"max_tokens": null}', 'max_tokens: null'),
               ('{"text": {"verbosity": "low", "x": 1}}', 'text.x'), ('{"reasoning": {"effort": "low", "summary": "detailed"}}', 'reasoning.summary')) v(params, refused);
SELECT throws_ok(pg_temp.job('[1]'), '23514', NULL, 'what is no object is refused as such');
SELECT throws_ok($$ UPDATE jobs SET params = '{"store": true}' WHERE params = '{}' $$, '42501', NULL, 'an UPDATE is refused too');
SELECT throws_ok($$ INSERT INTO jobs (id) SELECT max(id) FROM jobs ON CONFLICT (id) DO UPDATE SET params = '{"store": true}' $$, '42501', NULL, 'and ON CONFLICT');
RESET ROLE;
SELECT lives_ok($$ UPDATE jobs SET params = '{"store": true}' WHERE params = '{}' $$, 'a superuser may');
SET LOCAL ROLE caps_maker;
SELECT lives_ok($$ UPDATE jobs SET name = 'renamed' WHERE params = '{"store": true}' $$, 'such a job can be changed otherwise');
RESET ROLE;
GRANT EXECUTE ON FUNCTION optimizer_pause(text) TO caps_maker;
SET LOCAL ROLE caps_maker;
SELECT lives_ok(pg_temp.job('{"service_tier": "flex"}'), 'so may who may pause the worker');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION optimizer_pause(text) FROM caps_maker;
ALTER TABLE jobs OWNER TO caps_maker;
SET LOCAL ROLE caps_maker;
SELECT lives_ok(pg_temp.job('{"service_tier": "flex"}'), 'and the owner of jobs');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
