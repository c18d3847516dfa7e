-- What the owner of job_items hangs on it runs with that owner's rights, and leaves nothing behind, whoever calls.
BEGIN;
SELECT no_plan();
SELECT extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'product_optimizer' \gset
SELECT current_user AS superuser \gset
CREATE ROLE mallory;
GRANT USAGE, CREATE ON SCHEMA :schema TO mallory;
ALTER TABLE :schema.jobs OWNER TO mallory;
ALTER TABLE :schema.job_items OWNER TO mallory;
ALTER TABLE :schema.stores OWNER TO mallory;
ALTER TABLE :schema.rate_limits OWNER TO mallory;
ALTER TABLE :schema.homes OWNER TO mallory;
ALTER TABLE :schema.store_access OWNER TO mallory;
SET LOCAL ROLE mallory;
CREATE TABLE tried (command text, by name, state text);
CREATE FUNCTION try_everything() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  c text;
BEGIN
  FOREACH c IN ARRAY ARRAY['ALTER ROLE mallory SUPERUSER', 'SET ROLE postgres', 'SET LOCAL ROLE postgres', 'RESET ROLE', 'SET SESSION AUTHORIZATION postgres',
                           'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION DEFAULT', 'CREATE TEMP TABLE job_items (id int)', 'LISTEN mallory',
                           'SET work_mem = 64',
                           CASE WHEN TG_TABLE_NAME = 'job_items' THEN 'SET search_path = mallory' ELSE 'SET work_mem = 65' END] LOOP
    BEGIN
      EXECUTE c;
      EXECUTE format('INSERT INTO %I.tried VALUES ($1, current_user, ''done'')', TG_TABLE_SCHEMA) USING c;
    EXCEPTION WHEN OTHERS THEN
      EXECUTE format('INSERT INTO %I.tried VALUES ($1, current_user, $2)', TG_TABLE_SCHEMA) USING c, SQLSTATE;
    END;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER try_everything AFTER UPDATE ON job_items FOR EACH STATEMENT EXECUTE FUNCTION try_everything();
CREATE TRIGGER try_everything AFTER UPDATE OR DELETE ON homes FOR EACH STATEMENT EXECUTE FUNCTION try_everything();
INSERT INTO jobs (id) VALUES (1);
INSERT INTO job_items (id, job_id, instance_id, payload) SELECT n, 1, 'a', '1' FROM generate_series(1, 5) n;
RESET ROLE;

-- Each of these runs that trigger.
CREATE TEMP TABLE called (n serial, call text);
INSERT INTO called (call) VALUES ('(SELECT count(*) FROM claim_pending_items(4))'), ('complete_item(1, 1, ''1'')'), ('fail_item(2, 1, ''no'', false)'),
  ('fail_item(3, 1, ''later'')'), ('release_item(4, 1)'), ('retry_failed()'), ('cancel_job(1)'), ('optimizer_pause()'), ('optimizer_resume()');
CREATE FUNCTION pg_temp.attack(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  before bigint := (SELECT count(*) FROM tried);
BEGIN
  EXECUTE 'SELECT ' || command;
  RETURN CASE WHEN (SELECT count(*) FROM tried) < before + 11 THEN 'the trigger did not run'
              WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory') THEN 'mallory is a superuser'
              WHEN current_setting('search_path') ~ 'mallory' OR current_setting('work_mem') ~ '^6.kB' THEN 'a setting was left behind'
              ELSE current_user END;
END $$;
SELECT is(pg_temp.attack(call), :'superuser', 'harmless: ' || call) FROM called ORDER BY n;
SELECT is(array_agg(DISTINCT by::text), '{mallory}', 'the trigger always ran as the owner') FROM tried;
SELECT is(array_agg(DISTINCT state), CASE WHEN command LIKE 'SET search_path%' OR command LIKE 'SET work_mem%' THEN '{done}' ELSE '{42501}' END::text[],
          'inside: ' || command) FROM tried GROUP BY command ORDER BY command;

-- Cursors and prepared statements run later with the rights of whoever uses them: those of the caller stay his own.
SET LOCAL ROLE mallory;
DROP TRIGGER try_everything ON job_items;
CREATE FUNCTION become() RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
CREATE FUNCTION replace_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  c refcursor := 'callers_cursor';
BEGIN
  CLOSE c;
  OPEN c FOR SELECT become();
  RETURN NULL;
END $$;
CREATE FUNCTION leave_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  c refcursor := 'owners_cursor';
BEGIN
  OPEN c FOR SELECT become();
  RETURN NULL;
END $$;
CREATE FUNCTION close_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CLOSE ALL'; RETURN NULL; END $$;
CREATE FUNCTION replace_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'DEALLOCATE callers_statement';
  EXECUTE 'PREPARE callers_statement AS SELECT become()';
  RETURN NULL;
END $$;
CREATE FUNCTION leave_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'PREPARE owners_statement AS SELECT become()'; RETURN NULL; END $$;
CREATE FUNCTION use_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  c CURSOR FOR SELECT 1;
  r record;
BEGIN
  OPEN c;
  CLOSE c;
  FOR r IN SELECT 1 LOOP NULL; END LOOP;
  RETURN NULL;
END $$;
RESET ROLE;
CREATE FUNCTION pg_temp.with_trigger(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  SET LOCAL ROLE mallory;
  DROP TRIGGER IF EXISTS attack ON job_items;
  EXECUTE format('CREATE TRIGGER attack AFTER UPDATE ON job_items FOR EACH STATEMENT EXECUTE FUNCTION %I()', name);
  RESET ROLE;
END $$;
DECLARE callers_cursor CURSOR FOR SELECT 'his own' AS whose FROM generate_series(1, 9);
PREPARE callers_statement AS SELECT 'his own' AS whose;
SELECT pg_temp.with_trigger('replace_cursor');
SELECT throws_ok('SELECT retry_failed()', '24000', 'cannot drop pinned portal "callers_cursor"', 'a cursor of the caller is not replaced');
SELECT pg_temp.with_trigger('close_all');
SELECT throws_ok('SELECT retry_failed()', '42501', 'cannot execute CLOSE within security-restricted operation', 'nor closed with all others');
SELECT pg_temp.with_trigger('leave_cursor');
SELECT throws_ok('SELECT retry_failed()', '42501', 'cannot leave a cursor open within security-restricted operation', 'and none is left for him');
SELECT is_empty($$ SELECT name FROM pg_cursors WHERE name = 'owners_cursor' $$, 'that one is gone');
SELECT pg_temp.with_trigger('replace_statement');
SELECT throws_ok('SELECT retry_failed()', '42501', 'cannot execute DEALLOCATE within security-restricted operation', 'a prepared statement of the caller is not replaced');
SELECT pg_temp.with_trigger('leave_statement');
SELECT throws_ok('SELECT retry_failed()', '42501', 'cannot execute PREPARE within security-restricted operation', 'nor is one left for him');
SELECT pg_temp.with_trigger('use_cursor');
SELECT lives_ok('SELECT retry_failed()', 'cursors that a trigger closes are its own affair');
FETCH callers_cursor \gset fetched_
SELECT is(:'fetched_whose'::text, 'his own', 'the cursor is the caller''s');
EXECUTE callers_statement \gset executed_
SELECT is(:'executed_whose'::text, 'his own', 'and so is the statement');
CLOSE callers_cursor;
DEALLOCATE callers_statement;
SELECT is_empty($$ SELECT name FROM pg_cursors WHERE name = 'callers_cursor' $$, 'afterwards he can close them');
SET LOCAL ROLE mallory;
DROP TRIGGER attack ON job_items;
RESET ROLE;

-- A deferred trigger would run at the caller's commit, with the caller's rights: it cannot be left.
SET LOCAL ROLE mallory;
CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON job_items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION try_everything();
INSERT INTO job_items (id, instance_id, payload) VALUES (6, 'a', '1');
RESET ROLE;
SELECT throws_ok('SELECT claim_pending_items()', '42501', 'cannot fire deferred trigger within security-restricted operation', 'no trigger is left for later');
SELECT is(current_user::text, :'superuser', 'and the caller is who it was');

-- Of a row that violates a constraint nothing is shown.
SET LOCAL ROLE mallory;
DROP TRIGGER later ON job_items;
ALTER TABLE job_items ADD CONSTRAINT refused CHECK (status <> 'CANCELLED') NOT VALID;
INSERT INTO jobs (id) VALUES (2);
INSERT INTO job_items (id, job_id, instance_id, payload) VALUES (7, 2, 'a', '"a secret"');
RESET ROLE;
CREATE FUNCTION pg_temp.detail(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  found text;
BEGIN
  EXECUTE command;
  RETURN 'it was done';
EXCEPTION WHEN check_violation THEN
  GET STACKED DIAGNOSTICS found = PG_EXCEPTION_DETAIL;
  RETURN found;
END $$;
SELECT is(pg_temp.detail('SELECT cancel_job(2)'), '', 'a violated constraint tells no payload');
SELECT * FROM finish();
ROLLBACK;
