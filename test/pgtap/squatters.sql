-- Somebody was in the extension's schema first, with functions and operators that fit some of our expressions better than
-- PostgreSQL's own: none of them may ever run.
BEGIN;
SELECT no_plan();
SELECT current_user AS superuser \gset
SET LOCAL client_min_messages = warning;
DROP EXTENSION product_optimizer;
CREATE SCHEMA squatted;
-- Each raises.  For every operator and function that we use with arguments which PostgreSQL has to convert, or takes as any type.
DO $$
DECLARE
  types text[] := ARRAY['int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'text', 'name', 'oid', 'regclass', 'regtype', 'bool', 'timestamptz', 'interval', 'text[]', 'int8[]', 'int2[]', 'oid[]', 'tid', 'tid[]', 'jsonb', 'varchar', 'char(1)'];
  operators text[] := ARRAY['=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '||'];
  a text;
  b text;
  o text;
BEGIN
  FOREACH a IN ARRAY types LOOP
    FOREACH o IN ARRAY ARRAY['unnest', 'count', 'round', 'ceil', 'min', 'max', 'bool_or', 'to_timestamp', 'jsonb_typeof', 'jsonb_each'] LOOP
      EXECUTE format('CREATE FUNCTION squatted.%I(x %s) RETURNS %2$s LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: %1$s(%2$s)''; END $f$', o, a);
    END LOOP;
    FOREACH b IN ARRAY types LOOP
      FOREACH o IN ARRAY ARRAY['string_agg', 'starts_with', 'round', 'has_function_privilege', 'pg_has_role', 'array_to_string'] LOOP
        EXECUTE format('CREATE FUNCTION squatted.%I(x %s, y %s) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: %1$s(%2$s, %3$s)''; END $f$', o, a, b);
      END LOOP;
      EXECUTE format('CREATE FUNCTION squatted.caught2(x %s, y %s) RETURNS bool LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: operator of %1$s, %2$s''; END $f$', a, b);
      FOREACH o IN ARRAY operators LOOP
        EXECUTE format('CREATE OPERATOR squatted.%s (FUNCTION = squatted.caught2, LEFTARG = %s, RIGHTARG = %s)', o, a, b);
      END LOOP;
    END LOOP;
  END LOOP;
END $$;
SELECT throws_ok('SELECT squatted.caught2(1::int8, 1::numeric)', 'P0001', NULL, 'a squatter raises');
SELECT lives_ok('CREATE EXTENSION product_optimizer SCHEMA squatted', 'the extension is created beside them');
CREATE ROLE someone;
CREATE ROLE new_owner;
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
  'SELECT squatted.optimizer_row_security(false)', 'SELECT squatted.revoke_optimizer(''someone'')', 'SELECT squatted.hand_over_optimizer(''new_owner'')', 'SELECT squatted.cancel_job(1)']) WITH ORDINALITY c(command, n) ORDER BY n;

-- What is in pg_catalog comes first in every path: nothing of ours may hope to be found behind it.
SELECT is_empty($$ SELECT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'product_optimizer'
                    JOIN pg_proc c ON c.proname = p.proname AND c.pronamespace = 'pg_catalog'::regnamespace WHERE d.deptype = 'e' $$, 'no function of ours has the name of one of PostgreSQL''s');
SELECT is_empty($$ SELECT r.relname FROM pg_depend d JOIN pg_class r ON r.oid = d.objid AND d.classid = 'pg_class'::regclass JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'product_optimizer'
                    WHERE d.deptype = 'e' AND (EXISTS (SELECT FROM pg_class c WHERE c.relname = r.relname AND c.relnamespace = 'pg_catalog'::regnamespace)
                                               OR EXISTS (SELECT FROM pg_type t WHERE t.typname = r.relname AND t.typnamespace = 'pg_catalog'::regnamespace)) $$, 'no table or view either');
SELECT * FROM finish();
ROLLBACK;
