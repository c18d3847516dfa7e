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

-- A deferred trigger would run at the caller's commit, with the caller's rights: it cannot be left.
SET LOCAL ROLE mallory;
DROP TRIGGER try_everything ON job_items;
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
