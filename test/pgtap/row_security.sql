-- optimizer_row_security(): each store's role sees and inserts its own, and nobody else's work stops.
BEGIN;
SELECT no_plan();
SELECT extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'product_optimizer' \gset
CREATE ROLE tenant_a;
CREATE ROLE "Tenant B";
CREATE ROLE everything;
CREATE ROLE worker_role;
CREATE ROLE clerk_of_a IN ROLE tenant_a;
CREATE ROLE plain;
CREATE ROLE queue_owner;
SELECT hand_over_optimizer('queue_owner');
SELECT grant_optimizer('tenant_a', level, '{a,"a, too","it''s"}') FROM unnest(ARRAY['producer', 'reader']) level;
SELECT grant_optimizer('"Tenant B"', level, '{b}') FROM unnest(ARRAY['producer', 'reader']) level;
SELECT grant_optimizer('everything', level) FROM unnest(ARRAY['reader', 'operator']) level;
SELECT grant_optimizer('worker_role', 'consumer');
GRANT USAGE ON SCHEMA :schema TO plain;
GRANT SELECT, INSERT, UPDATE, DELETE ON job_items, jobs, stores TO plain;
GRANT SELECT ON job_progress, store_progress TO plain;
INSERT INTO jobs (id, instance_id, name, instructions) VALUES (101, 'a', 'of a', 'x'), (102, 'b', 'of b', 'b''s own'), (103, NULL, 'of nobody', 'x');
INSERT INTO job_items (id, job_id, instance_id, payload) VALUES (1, 101, 'a', '1'), (2, 101, 'a', '2'), (3, 102, 'b', '3'), (4, NULL, 'it''s', '4'), (5, NULL, 'c', '5');
INSERT INTO stores (instance_id) VALUES ('a'), ('b'), ('c');
SELECT setval(pg_get_serial_sequence('job_items', 'id'), 1000);

-- Off by default.
SET LOCAL ROLE tenant_a;
SELECT is(count(*), 5::bigint, 'off: everybody with a right to the table sees all') FROM job_items;
RESET ROLE;
SET LOCAL ROLE queue_owner;
SELECT lives_ok('SELECT optimizer_row_security(true)', 'the owner switches it on');
SELECT is(count(*), 5::bigint, 'the owner sees all') FROM job_items;
RESET ROLE;
SELECT is(count(*), 5::bigint, 'so does a superuser') FROM job_items;

-- Two tenants.
SET LOCAL ROLE tenant_a;
SELECT is(array_agg(id ORDER BY id), ARRAY[1, 2, 4]::bigint[], 'a tenant sees its stores') FROM job_items;
SELECT is(array_agg(id ORDER BY id), ARRAY[101]::bigint[], 'its jobs') FROM jobs;
SELECT is(array_agg(instance_id), '{a}', 'and their policies') FROM stores;
SELECT is(array_agg(name), '{"of a"}', 'job_progress is filtered') FROM job_progress;
SELECT is(array_agg(instance_id ORDER BY instance_id), '{a,it''s}', 'store_progress is filtered') FROM store_progress;
SELECT is_empty('SELECT id FROM job_items WHERE instance_id = ''b''', 'nothing of another store');
SELECT throws_ok('INSERT INTO job_items (instance_id, payload) VALUES (''b'', ''1'')', '42501', NULL, 'an insert into another''s store is refused');
SELECT throws_ok('INSERT INTO jobs (instance_id) VALUES (''b'')', '42501', NULL, 'a job of another''s store too');
SELECT throws_ok('INSERT INTO jobs (name) VALUES (''of nobody'')', '42501', NULL, 'and one of no store');
SELECT throws_ok('INSERT INTO job_items (job_id, instance_id, payload) VALUES (102, ''a'', ''1'')', '42501', NULL, 'nobody borrows another''s instructions');
SELECT throws_ok('INSERT INTO job_items (job_id, instance_id, payload) VALUES (103, ''a'', ''1'')', '42501', NULL, 'nor those of a job of no store');
SELECT lives_ok('INSERT INTO job_items (job_id, instance_id, payload) VALUES (101, ''a'', ''1''), (NULL, ''a, too'', ''2'')', 'its own are let in');
SELECT throws_ok('SELECT why_waiting(3)', '22023', 'item 3 does not exist', 'why_waiting() says no more than the table');
SELECT isnt(why_waiting(1), NULL, 'and answers for its own');
-- It is decided from store_access, as the owner: no policy of the owner's runs with the rights of whoever asks.
RESET ROLE;
SAVEPOINT own_policy;
GRANT CREATE ON SCHEMA :schema TO queue_owner;
SET LOCAL ROLE queue_owner;
CREATE FUNCTION trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'ran as %', current_user; END $$;
CREATE POLICY trap ON job_items AS RESTRICTIVE TO PUBLIC USING (trap());
SET LOCAL ROLE tenant_a;
SELECT throws_ok('SELECT id FROM job_items', 'P0001', 'ran as tenant_a', 'a policy of the owner runs when the caller reads the table');
SELECT lives_ok('SELECT why_waiting(1)', 'and not in why_waiting()');
SET LOCAL ROLE clerk_of_a;
SELECT lives_ok('SELECT why_waiting(1)', 'a member of the role may ask');
SELECT throws_ok('SELECT why_waiting(3)', '22023', 'item 3 does not exist', 'and of no other store');
RESET ROLE;
GRANT EXECUTE ON FUNCTION why_waiting TO plain;
SET LOCAL ROLE plain;
SELECT throws_ok('SELECT why_waiting(1)', '22023', 'item 1 does not exist', 'a role without a level sees none');
RESET ROLE;
SET LOCAL ROLE everything;
SELECT lives_ok('SELECT why_waiting(3)', 'one without a list asks of all');
RESET ROLE;
ROLLBACK TO own_policy;
SET LOCAL ROLE "Tenant B";
SELECT is(array_agg(id ORDER BY id), ARRAY[3]::bigint[], 'the other tenant sees its own') FROM job_items;
SELECT throws_ok('SELECT why_waiting(1)', '22023', 'item 1 does not exist', 'and nothing else');
SET LOCAL ROLE clerk_of_a;
SELECT is(count(*), 5::bigint, 'a member sees what its role sees') FROM job_items;
SELECT throws_ok('INSERT INTO job_items (instance_id, payload) VALUES (''b'', ''1'')', '42501', NULL, 'and no more');
SET LOCAL ROLE everything;
SELECT is(count(*), 7::bigint, 'without a list: all stores') FROM job_items;
SELECT lives_ok('UPDATE stores SET weight = 2 WHERE instance_id = ''b''', 'an operator sets policies of any');
-- It fails closed: a right to the table alone is no right to a row.
SET LOCAL ROLE plain;
SELECT is_empty('SELECT id FROM ' || t, 'with plain GRANTs no row of ' || t) FROM unnest(ARRAY['job_items', 'jobs']) t;
SELECT is_empty('SELECT instance_id FROM stores', 'nor of stores');
SELECT throws_ok('INSERT INTO job_items (instance_id, payload) VALUES (''a'', ''1'')', '42501', NULL, 'and no insert');
SELECT is_empty('UPDATE job_items SET status = ''DONE'' RETURNING id', 'no update');
SELECT is_empty('DELETE FROM job_items RETURNING id', 'no delete');
SET LOCAL row_security = off;
SELECT throws_ok('SELECT id FROM job_items', '42501', NULL, 'row_security = off is no way round');
SET LOCAL row_security = on;
-- The comparison is with constants; nothing is looked up per row.
SET LOCAL ROLE tenant_a;
CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
  lines text := '';
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    lines := lines || line || chr(10);
  END LOOP;
  RETURN lines;
END $$;
SELECT matches(pg_temp.plan('SELECT id FROM job_items'), 'instance_id = ANY \(''\{a,"a, too",it''''s\}''::text\[\]\)', 'a policy compares with constants');
SELECT doesnt_match(pg_temp.plan('SELECT id FROM job_items'), 'SubPlan|Function', 'and calls nothing per row');

-- Whoever works on the whole queue does so whatever the caller may see, and the queue in memory learns nothing from that.
SET LOCAL ROLE worker_role;
SELECT is_empty('SELECT id FROM job_items', 'a consumer reads no table') WHERE has_table_privilege('worker_role', 'job_items', 'SELECT');
SELECT is(count(*), 7::bigint, 'and claims from all stores') FROM claim_pending_items();
RESET ROLE;
INSERT INTO job_items (id, instance_id, payload) VALUES (20, 'b', '1'), (21, 'c', '1');
GRANT EXECUTE ON FUNCTION claim_pending_items TO plain, tenant_a;
SET LOCAL ROLE tenant_a;
SELECT is(count(*), 1::bigint, 'also for one who sees neither store') FROM claim_pending_items(1) WHERE id IN (20, 21);
SET LOCAL ROLE plain;
SELECT is(count(*), 1::bigint, 'and nothing was forgotten') FROM claim_pending_items() WHERE id IN (20, 21);
RESET ROLE;

-- A list replaces the list; no list leaves it; revoking leaves nothing.
SELECT grant_optimizer('tenant_a', 'producer', '{c}');
SELECT grant_optimizer('tenant_a', 'reader');
SET LOCAL ROLE tenant_a;
SELECT is(array_agg(DISTINCT instance_id), '{c}', 'narrowed, and not widened by a call without a list') FROM job_items;
RESET ROLE;
SELECT grant_optimizer('tenant_a', 'reader', '{}');
SET LOCAL ROLE tenant_a;
SELECT is_empty('SELECT id FROM job_items', 'an empty list: nothing');
RESET ROLE;
ALTER ROLE "Tenant B" RENAME TO tenant_c;
SELECT lives_ok('SELECT grant_optimizer(''tenant_c'', ''reader'', ''{c}'')', 'a renamed role is still known');
SELECT is(count(*), 3::bigint, 'one policy per table') FROM pg_policy WHERE polroles = ARRAY['tenant_c'::regrole::oid];
UPDATE store_access SET role_name = 'plain' WHERE role_name = 'tenant_c';
SELECT is(count(*), 0::bigint, 'a row that is given to another role leaves the one it had none') FROM pg_policy WHERE polroles = ARRAY['tenant_c'::regrole::oid];
SELECT is(count(*), 3::bigint, 'and gives them to the other') FROM pg_policy WHERE polroles = ARRAY['plain'::regrole::oid];
UPDATE store_access SET role_name = 'tenant_c' WHERE role_name = 'plain';
SELECT revoke_optimizer(r) FROM unnest(ARRAY['tenant_a', 'tenant_c', 'everything', 'worker_role', 'plain']::regrole[]) r;
SELECT is_empty('SELECT polname FROM pg_policy', 'no policy is left');
SELECT bag_eq('SELECT role_name FROM store_access WHERE role_name <> ''Tenant B''', ARRAY['public'], 'and no row but the one of public');
SELECT lives_ok('SELECT optimizer_row_security(false)', 'and it can be switched off');
SELECT is(count(*), 0::bigint, 'everywhere') FROM pg_class WHERE relrowsecurity;
SELECT * FROM finish();
ROLLBACK;
