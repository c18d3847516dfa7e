-- Somebody was in the extension's schema first, with functions and operators that fit some of our expressions better than
-- PostgreSQL's own: none of them may ever run.
BEGIN;
SELECT no_plan();
SELECT current_user AS superuser \gset
SET LOCAL client_min_messages = warning;
-- The functions of PostgreSQL that the extension's constraints, views, indexes, triggers and function bodies name.
CREATE TEMP TABLE used AS
WITH member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass WHERE d.deptype = 'e' AND e.extname = 'product_optimizer'),
     relations AS (SELECT objid FROM member WHERE classid = 'pg_class'::regclass),
     texts AS (SELECT pg_get_constraintdef(c.oid) AS t FROM pg_constraint c JOIN relations r ON r.objid = c.conrelid
               UNION ALL SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN relations r ON r.objid = d.adrelid
               UNION ALL SELECT pg_get_viewdef(r.objid) FROM relations r UNION ALL SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN relations r ON r.objid = i.indrelid
               UNION ALL SELECT pg_get_triggerdef(g.oid) FROM pg_trigger g JOIN relations r ON r.objid = g.tgrelid
               UNION ALL SELECT p.prosrc FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass)
SELECT DISTINCT p.proname, p.pronargs FROM pg_proc p
 WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN (SELECT m[1] FROM texts, regexp_matches(t, '([a-z0-9_]+)\(', 'g') m);
SELECT ok(proname IN (SELECT u.proname FROM used u), proname || '() is one of them') FROM unnest(ARRAY['pg_column_size', 'format', 'array_to_string', 'jsonb_typeof', 'char_length', 'clock_timestamp']) proname;
DROP EXTENSION product_optimizer;
CREATE SCHEMA squatted;
-- Each raises.  For every operator and function that we use with arguments which PostgreSQL has to convert, or takes as any type.
DO $$
DECLARE
  types text[] := ARRAY['int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'text', 'name', 'oid', 'regclass', 'regtype', 'bool', 'timestamptz', 'interval', 'text[]', 'int8[]', 'int2[]', 'oid[]', 'tid', 'tid[]', 'jsonb', 'varchar', 'char(1)'];
  operators text[] := ARRAY['=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '||', '->', '#>'];
  a text;
  b text;
  c text;
  o text;
BEGIN
  FOREACH a IN ARRAY types LOOP
    FOR o IN SELECT unnest(ARRAY['unnest', 'count', 'round', 'ceil', 'min', 'max', 'bool_or', 'to_timestamp']) UNION SELECT proname FROM used WHERE pronargs <= 1 LOOP
      EXECUTE format('CREATE FUNCTION squatted.%I(x %s) RETURNS %2$s LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: %1$s(%2$s)''; END $f$', o, a);
    END LOOP;
    FOREACH b IN ARRAY types LOOP
      FOR o IN SELECT unnest(ARRAY['string_agg', 'starts_with', 'round']) UNION SELECT proname FROM used WHERE pronargs = 2 LOOP
        EXECUTE format('CREATE FUNCTION squatted.%I(x %s, y %s) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: %1$s(%2$s, %3$s)''; END $f$', o, a, b);
      END LOOP;
      EXECUTE format('CREATE FUNCTION squatted.caught2(x %s, y %s) RETURNS bool LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: operator of %1$s, %2$s''; END $f$', a, b);
      FOREACH o IN ARRAY operators LOOP
        EXECUTE format('CREATE OPERATOR squatted.%s (FUNCTION = squatted.caught2, LEFTARG = %s, RIGHTARG = %s)', o, a, b);
      END LOOP;
    END LOOP;
  END LOOP;
  -- What takes any number of arguments, with three.
  FOR o IN SELECT DISTINCT proname FROM used JOIN pg_proc p USING (proname) WHERE p.provariadic <> 0 AND p.pronamespace = 'pg_catalog'::regnamespace LOOP
    FOREACH a IN ARRAY ARRAY['text', 'name'] LOOP FOREACH b IN ARRAY ARRAY['text', 'name'] LOOP FOREACH c IN ARRAY ARRAY['text', 'name'] LOOP
      EXECUTE format('CREATE FUNCTION squatted.%I(x %s, y %s, z %s) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: %1$s(%2$s, %3$s, %4$s)''; END $f$', o, a, b, c);
    END LOOP; END LOOP; END LOOP;
  END LOOP;
END $$;
SELECT throws_ok('SELECT squatted.caught2(1::int8, 1::numeric)', 'P0001', NULL, 'a squatter raises');
SELECT lives_ok('CREATE EXTENSION product_optimizer SCHEMA squatted', 'the extension is created beside them');

-- What is stored with the tables and views was resolved once and for all; of PostgreSQL's own functions nothing is noted.
CREATE TEMP VIEW foreign_parts AS
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ' uses ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) AS part
  FROM pg_depend d
 WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND d.classid IN ('pg_constraint'::regclass, 'pg_attrdef'::regclass, 'pg_rewrite'::regclass, 'pg_class'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass)
   AND (pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid)).schema = 'squatted'
   AND NOT EXISTS (SELECT FROM pg_depend m JOIN pg_extension e ON e.oid = m.refobjid AND e.extname = 'product_optimizer' WHERE m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e');
SELECT is_empty('SELECT part FROM foreign_parts', 'no constraint, default, view, index or trigger uses a squatter');
SET LOCAL search_path = squatted, public;
CREATE TABLE squatted.control (a int8 CHECK (a < 1::numeric), b jsonb CHECK (pg_column_size(b) IS NOT NULL));
SET LOCAL search_path = public;
SELECT ok(count(*) >= 2, 'as others would') FROM foreign_parts WHERE part ~ 'control';
DROP TABLE squatted.control;
CREATE ROLE someone;
CREATE ROLE new_owner;
CREATE TEMP TABLE compressed AS SELECT to_jsonb(repeat('x', 100000)) AS payload;
SELECT isnt(pg_column_compression(payload), NULL, 'a payload that is stored compressed') FROM compressed;
GRANT SELECT ON compressed TO new_owner;
SET LOCAL search_path = public;
INSERT INTO squatted.stores (instance_id, max_in_flight) VALUES ('a', 10);
INSERT INTO squatted.rate_limits VALUES ('m', 1, 1);
SELECT lives_ok(command, command) FROM unnest(ARRAY[
  'INSERT INTO squatted.jobs (id, instance_id, response_schema, params, model) OVERRIDING SYSTEM VALUE VALUES (1, ''a'', ''{}'', ''{}'', ''m'')',
  'INSERT INTO squatted.job_items (id, job_id, instance_id, payload, run_after, max_attempts) OVERRIDING SYSTEM VALUE SELECT n + 100, 1, ''a'', ''1'', CASE WHEN n = 9 THEN ''infinity''::timestamptz END, 3 FROM generate_series(1, 9) n',
  'SELECT * FROM squatted.claim_pending_items(3)', 'SELECT squatted.complete_item(101, 1, ''1'', 1, 1)', 'SELECT squatted.fail_item(102, 1, ''x'')', 'SELECT squatted.fail_item(103, 1, ''x'', false)',
  'SELECT squatted.release_item(id, attempts) FROM squatted.claim_pending_items(1)',
  'SELECT squatted.why_waiting(id) FROM squatted.job_items', 'SELECT squatted.retry_failed(1, ''a'')', 'SELECT squatted.retry_failed()', 'SELECT * FROM squatted.job_progress', 'SELECT * FROM squatted.store_progress',
  'SELECT * FROM squatted.optimizer_stats()', 'SELECT * FROM squatted.optimizer_workers()', 'SELECT * FROM squatted.optimizer_rate_limits()', 'SELECT squatted.try_acquire(1, ''m'', 0)', 'SELECT squatted.settle_tokens(1, 1, ''m'')',
  'SELECT squatted.optimizer_pause(''x'')', 'SELECT squatted.optimizer_resume()',
  'SELECT squatted.grant_optimizer(''someone'', level, CASE level WHEN ''producer'' THEN ''{a}''::text[] END) FROM unnest(ARRAY[''producer'', ''consumer'', ''operator'', ''reader'']) level',
  'SELECT squatted.optimizer_row_security(true)', 'SET LOCAL ROLE someone', 'SELECT squatted.why_waiting(104)', 'SELECT id FROM squatted.job_items', 'SELECT * FROM squatted.store_progress', 'INSERT INTO squatted.job_items (job_id, instance_id, payload) VALUES (1, ''a'', ''1'')', 'RESET ROLE',
  'SELECT squatted.optimizer_row_security(false)', 'SELECT squatted.revoke_optimizer(''someone'')', 'SELECT squatted.hand_over_optimizer(''new_owner'')', 'SELECT squatted.cancel_job(1)',
  'UPDATE squatted.job_items SET payload = (SELECT payload FROM compressed) WHERE id = 104']) WITH ORDINALITY c(command, n) ORDER BY n;
GRANT USAGE ON SCHEMA squatted TO someone;
GRANT INSERT ON squatted.jobs TO someone;
SET LOCAL ROLE someone;
SELECT throws_ok($$ INSERT INTO squatted.jobs (params) VALUES ('{"tools": []}') $$, '42501', 'role someone may not set "tools" in params', 'a key of params is refused');
SELECT throws_ok($$ INSERT INTO squatted.jobs (params) VALUES ('{"max_tokens": null}') $$, '42501', 'role someone may not set "max_tokens: null" in params', 'a cap that is none too');
SELECT throws_ok($$ INSERT INTO squatted.jobs (params) VALUES ('{"text": {"x": 1}}') $$, '42501', 'role someone may not set "text.x" in params', 'a member too');
RESET ROLE;

-- What is in pg_catalog comes first in every path: nothing of ours may hope to be found behind it.
SELECT is_empty($$ SELECT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'product_optimizer'
                    JOIN pg_proc c ON c.proname = p.proname AND c.pronamespace = 'pg_catalog'::regnamespace WHERE d.deptype = 'e' $$, 'no function of ours has the name of one of PostgreSQL''s');
SELECT is_empty($$ SELECT r.relname FROM pg_depend d JOIN pg_class r ON r.oid = d.objid AND d.classid = 'pg_class'::regclass JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'product_optimizer'
                    WHERE d.deptype = 'e' AND (EXISTS (SELECT FROM pg_class c WHERE c.relname = r.relname AND c.relnamespace = 'pg_catalog'::regnamespace)
                                               OR EXISTS (SELECT FROM pg_type t WHERE t.typname = r.relname AND t.typnamespace = 'pg_catalog'::regnamespace)) $$, 'no table or view either');
SELECT * FROM finish();
ROLLBACK;
