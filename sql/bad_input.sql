-- bad input: one clear error with its SQLSTATE and a hint, and nothing else is hurt.
CREATE EXTENSION product_optimizer;
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
  message text;
BEGIN
  EXECUTE command;
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, message = MESSAGE_TEXT;
  RETURN format('%s: %s', SQLSTATE, message) || CASE WHEN hint <> '' THEN ' | ' || hint ELSE '' END;
END $$;
INSERT INTO job_items (instance_id, payload) VALUES ('a', '1'), ('a', '2');
\t on
\pset format unaligned

-- claim_pending_items
SELECT refused('SELECT claim_pending_items(0, 20)');
SELECT refused('SELECT claim_pending_items(-1, 20)');
SELECT refused('SELECT claim_pending_items(NULL, 20)');
SELECT refused('SELECT claim_pending_items(10001, 20)');
SELECT refused('SELECT claim_pending_items(2147483647, 20)');
SELECT refused('SELECT claim_pending_items(100, 0)');
SELECT refused('SELECT claim_pending_items(100, -2147483648)');
SELECT refused('SELECT claim_pending_items(100, NULL)');
SELECT refused($$ SELECT claim_pending_items(lease => NULL) $$);
SELECT refused($$ SELECT claim_pending_items(lease => '0') $$);
SELECT refused($$ SELECT claim_pending_items(lease => '-1 min') $$);
SELECT refused($$ SELECT claim_pending_items(lease => '8 days') $$);
SELECT refused($$ SELECT claim_pending_items(lease => '7 days 1 ms') $$);
SELECT refused($$ SELECT claim_pending_items(lease => '100000 years') $$);
SELECT refused($$ SELECT claim_pending_items(lease => '0.1 ms') $$);
SELECT split_part(refused('SELECT claim_pending_items(3000000000)'), ':', 1);
SELECT count(*) FROM job_items WHERE status = 'RUNNING';
SELECT refused('SELECT claim_pending_items(10000, 2147483647)');
SELECT count(*) FROM job_items WHERE status = 'RUNNING';

-- complete_item, fail_item, release_item
SELECT refused('SELECT complete_item(NULL, 1, $j$1$j$)');
SELECT refused('SELECT complete_item(1, NULL, $j$1$j$)');
SELECT refused('SELECT complete_item(1, 1, NULL)');
SELECT refused('SELECT complete_item(1, -1, $j$1$j$)');
SELECT refused('SELECT complete_item(1, 65537, $j$1$j$)');
SELECT refused('SELECT complete_item(1, 1, $j$1$j$, -1)');
SELECT refused('SELECT complete_item(1, 1, $j$1$j$, 1, -1)');
SELECT refused('SELECT complete_item(1, 1, $j$not json$j$)');
SELECT refused('SELECT complete_item(99, 1, $j$1$j$)');
SELECT refused('SELECT complete_item(-9223372036854775808, 1, $j$1$j$)');
SELECT refused($$ SELECT fail_item(NULL, 1, 'x') $$);
SELECT refused($$ SELECT fail_item(1, NULL, 'x') $$);
SELECT refused($$ SELECT fail_item(1, 1, NULL) $$);
SELECT refused($$ SELECT fail_item(1, 1, 'x', NULL) $$);
SELECT refused($$ SELECT fail_item(1, 1, 'x', true, '-1 s') $$);
SELECT refused($$ SELECT fail_item(1, 1, 'x', true, '367 days') $$);
SELECT refused($$ SELECT fail_item(99, 1, 'x') $$);
SELECT refused('SELECT release_item(NULL, 1)');
SELECT refused('SELECT release_item(1, NULL)');
SELECT refused('SELECT release_item(0, 1)');
SELECT status, attempts, count(*) FROM job_items GROUP BY 1, 2;

-- jobs
SELECT refused('SELECT cancel_job(NULL)');
SELECT refused('SELECT cancel_job(99)');
SELECT refused('SELECT retry_failed(99)');
SELECT refused('SELECT why_waiting(NULL)');
SELECT refused('SELECT why_waiting(99)');
SELECT refused($$ SELECT optimizer_pause(repeat('x', 201)) $$);

-- rows
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES ('', '1') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES (NULL, '1') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES (repeat('x', 256), '1') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES (repeat('x', 10000), '1') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES (repeat('x', 1000000), '1') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES (repeat(U&'\+01F600', 256), '1') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES ('a', NULL) $$);
SELECT refused($$ INSERT INTO job_items (instance_id) VALUES ('a') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload, status) VALUES ('a', '1', 'pending') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload, status) VALUES ('a', '1', NULL) $$);
SELECT refused($$ UPDATE job_items SET status = 'RETRY' WHERE id = 1 $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload, status) VALUES ('a', '1', 'SCHEDULED') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload, attempts) VALUES ('a', '1', -1) $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload, max_attempts) VALUES ('a', '1', 0) $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload, max_attempts) VALUES ('a', '1', 1001) $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload, priority) VALUES ('a', '1', 32768) $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload, job_id) VALUES ('a', '1', 99) $$);
SELECT split_part(refused($$ INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"a": ') $$), ':', 1);
SELECT split_part(refused($$ INSERT INTO job_items (instance_id, payload) VALUES ('a', '"\u0000"') $$), ':', 1);
SELECT refused($$ INSERT INTO jobs (params) VALUES ('[]') $$);
SELECT refused($$ INSERT INTO jobs (response_schema) VALUES ('"x"') $$);
SELECT refused($$ INSERT INTO jobs (model) VALUES ('') $$);
SELECT refused($$ INSERT INTO stores (instance_id, weight) VALUES ('a', 0) $$);
SELECT refused($$ INSERT INTO stores (instance_id, weight) VALUES ('a', -1) $$);
SELECT refused($$ INSERT INTO stores (instance_id, weight) VALUES ('a', 0.0001) $$);
SELECT refused($$ INSERT INTO stores (instance_id, weight) VALUES ('a', 1001) $$);
SELECT refused($$ INSERT INTO stores (instance_id, weight) VALUES ('a', 'NaN') $$);
SELECT refused($$ INSERT INTO stores (instance_id, weight) VALUES ('a', 'Infinity') $$);
SELECT refused($$ INSERT INTO stores (instance_id, weight) VALUES ('a', NULL) $$);
SELECT refused($$ INSERT INTO stores (instance_id, max_in_flight) VALUES ('a', -1) $$);
SELECT refused($$ INSERT INTO stores (instance_id, requests_per_minute) VALUES ('a', 0) $$);
SELECT refused($$ INSERT INTO stores (instance_id, tokens_per_minute) VALUES ('a', 0) $$);
SELECT refused($$ INSERT INTO stores (instance_id) VALUES (repeat('x', 256)) $$);
SELECT refused($$ INSERT INTO rate_limits (model, requests_per_minute) VALUES ('m', 0) $$);
SELECT refused($$ INSERT INTO rate_limits (model, tokens_per_minute) VALUES ('m', -5) $$);
SELECT refused($$ INSERT INTO rate_limits (model) VALUES (repeat('m', 201)) $$);
-- What becomes of a waiting row is refused as its constraints say.
SELECT refused($$ DO 'BEGIN INSERT INTO job_items (instance_id, payload) VALUES (''a'', ''1''); UPDATE job_items SET instance_id = NULL; END' $$);
SELECT refused($$ DO 'BEGIN INSERT INTO job_items (instance_id, payload) VALUES (''a'', ''1''); UPDATE job_items SET priority = NULL; END' $$);
SELECT refused($$ DO 'BEGIN INSERT INTO job_items (instance_id, payload) VALUES (''a'', ''1''); UPDATE job_items SET instance_id = repeat(''x'', 2000); END' $$);
SELECT refused($$ SELECT wake_worker() $$);
SELECT refused($$ SELECT schedule_item() $$);
SELECT refused($$ SELECT requeue_item() $$);
-- Triggers that were made for something else do not crash.
CREATE TABLE elsewhere (LIKE job_items INCLUDING DEFAULTS);
CREATE FUNCTION misused(trigger text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'CREATE TRIGGER misused ' || trigger;
  INSERT INTO elsewhere (id, instance_id, payload, status) VALUES (1, 'a', '1', 'PENDING');
  UPDATE elsewhere SET id = 2;
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  RETURN format('%s: %s', SQLSTATE, SQLERRM);
END $$;
SELECT misused('AFTER INSERT ON elsewhere EXECUTE FUNCTION note_arrivals()');
SELECT misused('AFTER INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION note_arrivals()');
SELECT misused('AFTER INSERT ON elsewhere REFERENCING NEW TABLE AS arrived FOR EACH ROW EXECUTE FUNCTION note_arrivals()');
SELECT misused('BEFORE INSERT ON elsewhere EXECUTE FUNCTION note_arrivals()');
SELECT misused('AFTER UPDATE ON elsewhere REFERENCING NEW TABLE AS arrived EXECUTE FUNCTION note_arrivals()');
SELECT misused('AFTER INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION wake_worker()');
SELECT misused('BEFORE UPDATE ON elsewhere EXECUTE FUNCTION wake_worker()');
SELECT misused('BEFORE UPDATE ON elsewhere FOR EACH ROW EXECUTE FUNCTION schedule_item()');
SELECT misused('BEFORE INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION requeue_item()');
SELECT misused('AFTER UPDATE ON elsewhere FOR EACH ROW EXECUTE FUNCTION requeue_item()');
DROP FUNCTION misused;
DROP TABLE elsewhere;
SELECT count(*) FROM job_items;

-- Unusual, and perfectly right.
DELETE FROM job_items;
SELECT refused($$ INSERT INTO stores (instance_id, weight) VALUES ('least', 0.001), ('most', 1000) $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES ('bare string', '"Blue mug"'), ('number', '-1.5e300'), ('null', 'null'), ('true', 'true'), ('array', '[]') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES ('a megabyte', to_jsonb(repeat('x', 1000000))) $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES (repeat('x', 255), '1'), (repeat(U&'\+01F600', 255), '2') $$);
SELECT refused($$ INSERT INTO job_items (instance_id, payload) VALUES (E'line\nbreak', '1'), (E'\x01', '1'), ('''; DROP TABLE job_items; --', '1'), (' ', '1'), ('%s%n', '1') $$);
SELECT count(*), count(DISTINCT instance_id), max(length(instance_id)), max(octet_length(instance_id)), max(length(payload::text)) FROM claim_pending_items();
SELECT count(*) FROM job_items WHERE complete_item(id, attempts, to_jsonb(instance_id));
SELECT count(*) FROM job_items WHERE result = to_jsonb(instance_id) AND status = 'DONE';
-- An error text of any length and kind is kept.
INSERT INTO job_items (instance_id, payload) SELECT 'errors', '1' FROM generate_series(1, 3);
SELECT fail_item(id, attempts, e, false)
  FROM (SELECT id, attempts, row_number() OVER (ORDER BY id) AS n FROM claim_pending_items()) c
  JOIN (VALUES (1, ''), (2, repeat('x', 100000)), (3, U&'caf\00e9 \+01F600')) v(n, e) USING (n);
SELECT length(error), octet_length(error) FROM job_items WHERE status = 'FAILED' ORDER BY id;
-- attempts ends where smallint does, without an overflow.
INSERT INTO job_items (instance_id, payload, attempts) VALUES ('worn', '1', 32767);
SELECT attempts FROM claim_pending_items();
SELECT complete_item(id, 32767, '1') FROM job_items WHERE instance_id = 'worn';

\pset format aligned
\t off
-- At the top level, as people see it.
\set SHOW_CONTEXT never
SELECT count(*) FROM claim_pending_items(0);
SELECT complete_item(0, 1, '1');
SELECT cancel_job(0);
DROP FUNCTION refused;
DROP EXTENSION product_optimizer;
