-- What one role or one store cannot do to all: sizes.
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

SELECT * FROM finish();
ROLLBACK;
