-- grant_optimizer(), revoke_optimizer(), hand_over_optimizer(): what each level may, and no more.
BEGIN;
SELECT no_plan();
SELECT extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'product_optimizer' \gset
CREATE ROLE producer_role;
CREATE ROLE consumer_role;
CREATE ROLE operator_role;
CREATE ROLE reader_role;
CREATE ROLE "all Of it";
CREATE ROLE stranger;
CREATE ROLE queue_owner;
CREATE TEMP VIEW member AS
SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
 WHERE d.deptype = 'e' AND e.extname = 'product_optimizer';
GRANT SELECT ON member TO PUBLIC;
-- Everything that a role was given on the extension: functions by name, tables and columns with what may be done.
CREATE FUNCTION pg_temp.rights(who regrole) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT p.proname || '()' FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass, aclexplode(p.proacl) a WHERE a.grantee = who
  UNION ALL
  SELECT lower(a.privilege_type) || ' ' || c.relname FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass, aclexplode(c.relacl) a WHERE a.grantee = who
  UNION ALL
  SELECT lower(a.privilege_type) || ' ' || c.relname || '.' || t.attname FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
    JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a WHERE a.grantee = who
$$;
CREATE FUNCTION pg_temp.columns(what text, names text) RETURNS SETOF text LANGUAGE sql AS $$ SELECT what || '.' || unnest(string_to_array(names, ' ')) $$;

SELECT lives_ok(format('SELECT grant_optimizer(%L, %L)', level || '_role', level), level) FROM unnest(ARRAY['producer', 'consumer', 'operator', 'reader']) level;
SELECT set_eq($$ SELECT pg_temp.rights('producer_role') $$, $$ SELECT pg_temp.columns('insert job_items', 'job_id instance_id product_id priority payload run_after max_attempts')
  UNION SELECT pg_temp.columns('select job_items', 'id job_id instance_id product_id status priority run_after attempts max_attempts result error error_code model prompt_tokens completion_tokens created_at started_at finished_at')
  UNION SELECT pg_temp.columns('insert jobs', 'instance_id name instructions response_schema model params') UNION SELECT pg_temp.columns('select jobs', 'id instance_id name model created_at cancelled_at')
  UNION SELECT pg_temp.columns('select stores', 'instance_id weight max_in_flight requests_per_minute tokens_per_minute paused') UNION SELECT 'optimizer_paused()'
  UNION VALUES ('select job_progress'), ('select store_progress') $$, 'a producer inserts, and sees how it goes');
SELECT set_eq($$ SELECT pg_temp.rights('consumer_role') $$, $$ VALUES ('claim_pending_items()'), ('complete_item()'), ('fail_item()'), ('release_item()'), ('try_acquire()'), ('settle_tokens()'), ('optimizer_rate_limits()') $$,
  'a consumer calls functions, and has no right on any table');
SELECT set_eq($$ SELECT pg_temp.rights('operator_role') $$, $$ SELECT unnest(ARRAY['optimizer_pause()', 'optimizer_resume()', 'retry_failed()', 'cancel_job()', 'optimizer_stats()', 'optimizer_workers()', 'optimizer_rate_limits()', 'why_waiting()'])
  UNION SELECT d || ' ' || t FROM unnest(ARRAY['select', 'insert', 'update', 'delete']) d, unnest(ARRAY['stores', 'rate_limits']) t $$, 'an operator');
SELECT set_eq($$ SELECT pg_temp.rights('reader_role') $$, $$ SELECT unnest(ARRAY['optimizer_stats()', 'optimizer_workers()', 'optimizer_rate_limits()', 'why_waiting()', 'select job_progress', 'select store_progress', 'select stores', 'select rate_limits', 'optimizer_paused()'])
  UNION SELECT pg_temp.columns('select job_items', 'id job_id instance_id product_id status priority run_after attempts max_attempts claimed_by lease_expires_at error_code model prompt_tokens completion_tokens created_at started_at finished_at')
  UNION SELECT pg_temp.columns('select jobs', 'id instance_id name model created_at cancelled_at') $$, 'a reader sees no payload, result, error or instructions');

-- What they do with it.
SET LOCAL ROLE producer_role;
WITH j AS (INSERT INTO jobs (instance_id, name, instructions) VALUES ('a', 'one', 'x') RETURNING id)
INSERT INTO job_items (job_id, instance_id, payload) SELECT id, 'a', '"secret"' FROM j, generate_series(1, 3);
SELECT is(status, 'PENDING', 'a producer sees its items in job_progress') FROM job_progress;
SELECT is(pending, 3::bigint, 'and in store_progress') FROM store_progress;
SELECT throws_ok(command, '42501', NULL, 'a producer cannot: ' || command) FROM unnest(ARRAY['SELECT payload FROM job_items', 'SELECT instructions FROM jobs', 'SELECT * FROM claim_pending_items()',
  'INSERT INTO job_items (instance_id, payload, status, result) VALUES (''a'', ''1'', ''DONE'', ''1'')', 'UPDATE job_items SET status = ''DONE''', 'DELETE FROM job_items', 'SELECT optimizer_pause()', 'UPDATE stores SET weight = 9']) command;
SET LOCAL ROLE consumer_role;
SELECT is(complete_item(id, attempts, '"answer"'), true, 'a consumer claims and completes') FROM claim_pending_items(1);
SELECT throws_ok(command, '42501', NULL, 'a consumer cannot: ' || command) FROM unnest(ARRAY['SELECT id FROM job_items', 'SELECT optimizer_stats()', 'SELECT cancel_job(1)', 'SELECT * FROM job_progress']) command;
SET LOCAL ROLE operator_role;
INSERT INTO stores (instance_id, weight) VALUES ('a', 2);
INSERT INTO rate_limits (model, requests_per_minute) VALUES ('m', 1);
SELECT lives_ok('SELECT optimizer_pause(), optimizer_resume(), retry_failed()', 'an operator operates');
SELECT throws_ok(command, '42501', NULL, 'an operator cannot: ' || command) FROM unnest(ARRAY['SELECT id FROM job_items', 'SELECT * FROM claim_pending_items()', 'SELECT grant_optimizer(''operator_role'', ''consumer'')',
  'SELECT optimizer_row_security(false)', 'SELECT hand_over_optimizer(''operator_role'')', 'SELECT revoke_optimizer(''reader_role'')']) command;
SET LOCAL ROLE reader_role;
SELECT is(done, 1::bigint, 'a reader reads') FROM job_progress;
SELECT is(count(*), 3::bigint, 'and asks why') FROM job_items WHERE why_waiting(id) <> '';
SELECT throws_ok(command, '42501', NULL, 'a reader cannot: ' || command) FROM unnest(ARRAY['SELECT payload FROM job_items', 'SELECT result FROM job_items', 'SELECT error FROM job_items', 'SELECT params FROM jobs', 'SELECT instructions FROM jobs', 'SELECT pause_reason FROM homes',
  'INSERT INTO job_items (instance_id, payload) VALUES (''a'', ''1'')', 'SELECT cancel_job(1)']) command;
RESET ROLE;

-- Levels add up, and go all at once.
SELECT lives_ok(format('SELECT grant_optimizer(%L, %L)', '"all Of it"', level), level || ' on top') FROM unnest(ARRAY['producer', 'consumer', 'operator', 'reader']) level;
SELECT set_eq($$ SELECT pg_temp.rights('"all Of it"') $$, $$ SELECT pg_temp.rights(r) FROM unnest(ARRAY['producer_role', 'consumer_role', 'operator_role', 'reader_role']::regrole[]) r $$, 'all four are the sum of the four');
SELECT lives_ok(format('SELECT revoke_optimizer(%L)', r), 'revoke: ' || r) FROM unnest(ARRAY['producer_role', 'consumer_role', 'operator_role', 'reader_role', '"all Of it"', 'stranger']) r;
SELECT is_empty('SELECT pg_temp.rights(oid) FROM pg_roles WHERE rolname ~ ''_role|all Of it''', 'nothing is left');
SELECT is_empty('SELECT polname FROM pg_policy', 'no policy either');
SELECT lives_ok('DROP ROLE producer_role, consumer_role, operator_role, reader_role, "all Of it"', 'nothing holds the roles');

-- What a role passed on goes with it, and rights that no level gives go too.
CREATE ROLE passer;
CREATE ROLE taker;
GRANT SELECT ON job_items, store_progress TO passer WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION retry_failed, note_arrivals, check_params TO passer WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE job_items_id_seq TO passer WITH GRANT OPTION;
GRANT USAGE ON TYPE job_items, job_progress TO passer WITH GRANT OPTION;
SET LOCAL ROLE passer;
GRANT SELECT ON job_items, store_progress TO taker;
GRANT EXECUTE ON FUNCTION retry_failed, note_arrivals, check_params TO taker;
GRANT USAGE ON SEQUENCE job_items_id_seq TO taker;
GRANT USAGE ON TYPE job_items, job_progress TO taker;
RESET ROLE;
SELECT throws_ok($$ SELECT revoke_optimizer('taker') $$, '2BP01', 'role taker would keep EXECUTE on function check_params(), granted by passer', 'what is another''s to take is named');
SELECT lives_ok($$ SELECT revoke_optimizer('passer') $$, 'revoked from who passed it on');
SELECT is_empty($$ SELECT pg_temp.rights(r) FROM unnest(ARRAY['passer', 'taker']::regrole[]) r $$, 'neither has anything left');
SELECT lives_ok($$ SELECT revoke_optimizer('taker') $$, 'nothing is left to name');
SELECT lives_ok('DROP ROLE passer, taker', 'nor does anything hold them: sequences and types neither');

-- Wrong calls.
SELECT throws_ok($$ SELECT grant_optimizer('stranger', 'owner') $$, '22023', 'there is no level "owner"');
SELECT throws_ok($$ SELECT grant_optimizer('stranger', NULL) $$, '22004', 'level must not be null');
SELECT throws_ok($$ SELECT grant_optimizer(NULL, 'reader') $$, '22004', 'role must not be null');
SELECT throws_ok($$ SELECT grant_optimizer(0::oid::regrole, 'reader') $$, '22023', 'role 0 does not exist');
SELECT throws_ok($$ SELECT grant_optimizer(4294967295::oid::regrole, 'reader') $$, '22023', 'role 4294967295 does not exist');
SELECT throws_ok($$ SELECT grant_optimizer('postgres', 'reader') $$, '22023', 'role postgres owns the queue');
SELECT throws_ok($$ SELECT revoke_optimizer('postgres') $$, '22023', 'role postgres owns the queue');
SELECT throws_ok($$ SELECT grant_optimizer('stranger', 'consumer', '{a}') $$, '22023', 'level consumer cannot be held to stores');
SELECT throws_ok($$ SELECT grant_optimizer('stranger', 'reader', '{a,NULL}') $$, '22004', 'instance_ids must not contain null');
SELECT throws_ok($$ SELECT grant_optimizer('stranger', 'reader', '{""}') $$, '22023', 'a store in instance_ids has 0 characters');
SELECT throws_ok($$ SELECT revoke_optimizer(NULL) $$, '22004', 'role must not be null');
SELECT throws_ok($$ SELECT optimizer_row_security(NULL) $$, '22004', 'enabled must not be null');
SELECT throws_ok($$ SELECT hand_over_optimizer(NULL) $$, '22004', 'new_owner must not be null');
SELECT is_empty($$ SELECT pg_temp.rights('stranger') $$, 'and nothing came of them');
-- EXECUTE alone makes nobody a master.
GRANT EXECUTE ON FUNCTION grant_optimizer, revoke_optimizer, optimizer_row_security, hand_over_optimizer TO stranger;
GRANT USAGE ON SCHEMA :schema TO stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(command, '42501', NULL, 'also with EXECUTE: ' || command) FROM unnest(ARRAY['SELECT grant_optimizer(''stranger'', ''reader'')', 'SELECT revoke_optimizer(''queue_owner'')',
  'SELECT optimizer_row_security(true)', 'SELECT hand_over_optimizer(''stranger'')']) command;
RESET ROLE;

-- An ordinary role owns the queue: it works, and grants, and cannot touch the functions.
SELECT lives_ok($$ SELECT hand_over_optimizer('queue_owner') $$, 'handed over');
SELECT is(array_agg(DISTINCT pg_get_userbyid(c.relowner)::text), '{queue_owner}', 'relkind ' || relkind::text || ' has its new owner')
  FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass WHERE relkind <> 'v' GROUP BY relkind;
SELECT is(array_agg(DISTINCT pg_get_userbyid(o)::text), '{postgres}', 'functions and views have not')
  FROM (SELECT p.proowner AS o FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
        UNION ALL SELECT c.relowner FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass WHERE relkind = 'v') owners;
GRANT CREATE ON SCHEMA :schema TO stranger;
SET LOCAL ROLE queue_owner;
INSERT INTO job_items (instance_id, payload) VALUES ('b', '1');
SELECT is(count(*), 1::bigint, 'the owner claims what it inserted') FROM claim_pending_items() WHERE instance_id = 'b';
SELECT lives_ok('SELECT optimizer_pause(), optimizer_resume(), optimizer_stats(), count(*) FROM store_progress', 'and operates');
SELECT lives_ok($$ SELECT grant_optimizer('stranger', 'producer', '{a}'), grant_optimizer('stranger', 'consumer') $$, 'it grants');
SELECT is(count(*) > 30, true, 'which gives rights') FROM pg_temp.rights('stranger');
SELECT lives_ok($$ SELECT optimizer_row_security(true), optimizer_row_security(false), revoke_optimizer('stranger') $$, 'and takes back');
SELECT is_empty($$ SELECT pg_temp.rights('stranger') $$, 'everything');
SELECT is(has_schema_privilege('stranger', :'schema', 'CREATE'), true, 'but not what is not its own: rights on the schema');
SELECT throws_ok(command, '42501', NULL, 'the owner cannot: ' || command) FROM unnest(ARRAY['SELECT hand_over_optimizer(''queue_owner'')', 'ALTER FUNCTION optimizer_stats() RESET search_path',
  'DROP EXTENSION product_optimizer', 'ALTER VIEW store_progress SET (security_invoker = false)']) command;
RESET ROLE;
REVOKE ALL ON SCHEMA :schema FROM stranger;
SELECT lives_ok($$ SELECT grant_optimizer('stranger', 'reader') $$, 'a superuser grants for it');
SET LOCAL ROLE queue_owner;
SELECT lives_ok($$ SELECT revoke_optimizer('stranger') $$, 'and it takes that back');
RESET ROLE;
SELECT is_empty($$ SELECT pg_temp.rights('stranger') $$, 'everything again');

-- What an ordinary owner leaves behind would run with the rights of the next one.
CREATE SCHEMA left_there AUTHORIZATION queue_owner;
GRANT USAGE ON SCHEMA left_there TO PUBLIC;
GRANT CREATE ON SCHEMA :schema TO queue_owner;  -- for indexes
SET LOCAL ROLE queue_owner;
CREATE FUNCTION left_there.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION left_there.judge(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION left_there.name() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;
CREATE FUNCTION left_there.same(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 IS NOT DISTINCT FROM $2';
CREATE OPERATOR left_there.== (FUNCTION = left_there.same, LEFTARG = text, RIGHTARG = text);
CREATE DOMAIN left_there.judged AS text CHECK (left_there.judge(VALUE));
CREATE TABLE left_there.parent (LIKE stores);
CREATE TABLE left_there.other (id bigint PRIMARY KEY);
SELECT grant_optimizer('stranger', 'producer', '{a}');
RESET ROLE;
CREATE FUNCTION pg_temp.left_is_refused(command text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text := 'none'; detail text := '';
BEGIN
  BEGIN
    SET LOCAL ROLE queue_owner;
    EXECUTE command;
    RESET ROLE;
    BEGIN
      PERFORM hand_over_optimizer('stranger');
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
    END;
    RAISE assert_failure;  -- undoes all of it
  EXCEPTION WHEN assert_failure THEN NULL;
  END;
  RETURN is(state || ': ' || detail, '55000: Left are: ' || what || '.', command);
END $$;
SELECT pg_temp.left_is_refused(command, what) FROM (VALUES
  ('CREATE TRIGGER t AFTER UPDATE ON job_items FOR EACH STATEMENT EXECUTE FUNCTION left_there.fire()', 'trigger t on table job_items'),
  ('CREATE TRIGGER t BEFORE UPDATE ON stores FOR EACH ROW WHEN (left_there.judge(NEW.instance_id)) EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'trigger t on table stores'),
  ('CREATE RULE r AS ON DELETE TO rate_limits DO ALSO NOTHING', 'rule r on table rate_limits'),
  ('ALTER TABLE jobs ADD CONSTRAINT c CHECK (left_there.judge(name))', 'constraint c on table jobs'),
  ('ALTER TABLE jobs ADD CONSTRAINT c CHECK (name OPERATOR(left_there.==) instance_id) NOT VALID', 'constraint c on table jobs'),
  ('ALTER TABLE job_items ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES left_there.other NOT VALID', 'constraint c on table job_items'),
  ('ALTER TABLE jobs ALTER name SET DEFAULT left_there.name()', 'default value for column name of table jobs'),
  ('CREATE INDEX i ON homes (left_there.judge(pause_reason))', 'index i'),
  ('CREATE INDEX i ON store_access (role_name) WHERE left_there.judge(role_name)', 'index i'),
  ('CREATE STATISTICS left_there.s ON (left_there.judge(name)) FROM jobs', 'statistics object left_there.s'),
  ('ALTER TABLE jobs ADD extra left_there.judged', 'table jobs'),
  ('CREATE POLICY p ON jobs USING (true)', 'policy p on table jobs'),
  ('CREATE POLICY p ON jobs TO stranger USING (left_there.judge(name))', 'policy p on table jobs'),
  ('CREATE POLICY p ON jobs TO stranger USING (query_to_xml(name, true, false, '''') IS NULL)', 'policy p on table jobs'),
  ('ALTER TABLE jobs ADD CONSTRAINT c CHECK (query_to_xml(name, true, false, '''') IS NOT NULL) NOT VALID', 'constraint c on table jobs'),
  ('ALTER TABLE jobs ALTER name SET DEFAULT schema_to_xml(''left_there'', true, false, '''')', 'default value for column name of table jobs'),
  ('CREATE TRIGGER t BEFORE UPDATE ON jobs FOR EACH ROW WHEN (query_to_xml(NEW.name, true, false, '''') IS NULL) EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'trigger t on table jobs'),
  ('CREATE TABLE left_there.child (job bigint REFERENCES jobs ON DELETE CASCADE)', 'constraint child_job_fkey on table left_there.child'),
  ('CREATE TABLE left_there.child (job bigint REFERENCES jobs ON UPDATE SET NULL)', 'constraint child_job_fkey on table left_there.child'),
  ('GRANT TRIGGER ON jobs TO pg_monitor', 'TRIGGER for pg_monitor on table jobs'),
  ('GRANT REFERENCES (id) ON jobs TO PUBLIC', 'REFERENCES for PUBLIC on column id of table jobs'),
  ('CREATE TABLE left_there.child () INHERITS (job_items)', 'table left_there.child'),
  ('ALTER TABLE stores INHERIT left_there.parent', 'table left_there.parent, table stores')) v(command, what);
SET LOCAL ROLE queue_owner;
CREATE TRIGGER t AFTER UPDATE ON job_items FOR EACH STATEMENT EXECUTE FUNCTION left_there.fire();
RESET ROLE;
SELECT throws_ok($$ SELECT hand_over_optimizer('postgres') $$, '55000', 'what role queue_owner left on the queue could run with the rights of postgres', 'also back to a superuser');
SELECT lives_ok($$ SELECT hand_over_optimizer('queue_owner') $$, 'to the same owner there is nothing to refuse');
DROP TRIGGER t ON job_items;
-- Nor does it help that job_items alone is in other hands already.
SET LOCAL ROLE queue_owner;
CREATE TRIGGER t AFTER UPDATE ON jobs FOR EACH STATEMENT EXECUTE FUNCTION left_there.fire();
RESET ROLE;
ALTER TABLE job_items OWNER TO postgres;
SELECT throws_ok($$ SELECT hand_over_optimizer('stranger') $$, '55000', 'what role queue_owner left on the queue could run with the rights of stranger', 'after job_items went to a superuser by hand');
ALTER TABLE job_items OWNER TO stranger;
SELECT throws_ok($$ SELECT hand_over_optimizer('stranger') $$, '55000', 'what role queue_owner left on the queue could run with the rights of stranger', 'after job_items went to the next owner by hand');
ALTER TABLE job_items OWNER TO queue_owner;
DROP TRIGGER t ON jobs;
-- Its own index, constraint and default of PostgreSQL's functions may stay, and a foreign key that changes nothing.
SET LOCAL ROLE queue_owner;
CREATE INDEX harmless ON job_items (lower(product_id));
ALTER TABLE jobs ADD CONSTRAINT harmless CHECK (length(name) > 0 AND created_at <= clock_timestamp()), ALTER name SET DEFAULT upper('x');
CREATE TABLE left_there.harmless (job bigint REFERENCES jobs);
GRANT TRIGGER, REFERENCES ON jobs TO stranger, postgres;
SELECT revoke_optimizer('stranger');
RESET ROLE;
REVOKE CREATE ON SCHEMA :schema FROM queue_owner;

SELECT lives_ok($$ SELECT hand_over_optimizer('stranger') $$, 'handed on');
SELECT is_empty($$ SELECT pg_temp.rights('queue_owner') $$, 'the former owner has nothing left');
SELECT lives_ok($$ SELECT hand_over_optimizer('postgres') $$, 'and back');
SELECT is_empty($$ SELECT pg_temp.rights('stranger') $$, 'with nothing left');
SET LOCAL client_min_messages = warning;
DROP SCHEMA left_there CASCADE;
SELECT lives_ok('DROP ROLE queue_owner, stranger', 'so that the roles can go');
-- A superuser's own trigger is no way up: it goes along.
CREATE ROLE queue_owner;
CREATE FUNCTION pg_temp.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER t AFTER UPDATE ON job_items FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.fire();
SELECT lives_ok($$ SELECT hand_over_optimizer('queue_owner') $$, 'a superuser''s trigger is handed over');
SELECT * FROM finish();
ROLLBACK;
