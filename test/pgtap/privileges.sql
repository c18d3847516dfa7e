-- Who may do what: nothing is for everybody, and no function follows its caller's search_path.
BEGIN;
SELECT no_plan();
SELECT extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'product_optimizer' \gset
CREATE ROLE fresh_role;
CREATE TEMP VIEW member AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
 WHERE d.deptype = 'e' AND e.extname = 'product_optimizer';

-- A fresh role has nothing.
SELECT function_privs_are(:'schema'::name, p.proname, string_to_array(oidvectortypes(p.proargtypes), ', ')::name[]::text[], 'fresh_role'::name, ARRAY[]::name[]::text[])
  FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass ORDER BY p.proname;
SELECT table_privs_are(:'schema'::name, c.relname, 'fresh_role'::name, ARRAY[]::name[]::text[])
  FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'v') ORDER BY c.relname;
SELECT sequence_privs_are(:'schema'::name, c.relname, 'fresh_role'::name, ARRAY[]::name[]::text[])
  FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass AND c.relkind = 'S' ORDER BY c.relname;
SELECT is_empty($$
  SELECT c.relname FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass JOIN pg_type t ON t.oid = c.reltype
   WHERE has_type_privilege('fresh_role', t.oid, 'USAGE') OR has_type_privilege('fresh_role', t.typarray, 'USAGE') $$, 'no row type is free for it to use');
SELECT is(count(*), 0::bigint, 'nothing runs with its owner''s rights')
  FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass WHERE p.prosecdef;
SELECT throws_ok('SET LOCAL ROLE fresh_role; ' || command, '42501', NULL, 'refused: ' || command)
  FROM unnest(ARRAY['SELECT optimizer_stats()', 'SELECT claim_pending_items()', 'SELECT try_acquire(1)', 'SELECT optimizer_pause()',
                    'SELECT count(*) FROM job_items', 'INSERT INTO job_items (instance_id, payload) VALUES (''a'', ''1'')',
                    'SELECT * FROM store_progress', 'SELECT nextval(''job_items_id_seq'')', 'SHOW product_optimizer.api_key']) command;

-- What an app needs can be given to it piece by piece, and suffices.
GRANT USAGE ON SCHEMA :schema TO fresh_role;
GRANT SELECT, INSERT ON job_items TO fresh_role;
SELECT lives_ok($$ SET LOCAL ROLE fresh_role; INSERT INTO job_items (instance_id, payload, run_after) VALUES ('app', '1', NULL), ('app', '2', 'infinity'); RESET ROLE $$,
                'INSERT alone lets an app insert; no function needs to be granted');
SELECT results_eq($$ SELECT status FROM job_items WHERE instance_id = 'app' ORDER BY id $$, ARRAY['PENDING', 'SCHEDULED'], 'and its triggers did their work');
SELECT throws_ok($$ SET LOCAL ROLE fresh_role; UPDATE job_items SET status = 'DONE' $$, '42501', NULL, 'but no more than that');
REVOKE ALL ON job_items FROM fresh_role;
GRANT EXECUTE ON FUNCTION claim_pending_items, complete_item, fail_item, release_item, cancel_job, retry_failed, optimizer_pause, optimizer_resume,
                          optimizer_stats, optimizer_workers, optimizer_rate_limits, try_acquire, settle_tokens, why_waiting TO fresh_role;
-- EXECUTE is all that a function asks for.
SELECT lives_ok($$ SET LOCAL ROLE fresh_role; SELECT complete_item(id, attempts, '1') FROM claim_pending_items(); RESET ROLE $$, 'an external worker claims and completes');
SELECT is(count(*), 1::bigint, 'what it claimed is done') FROM job_items WHERE instance_id = 'app' AND status = 'DONE' AND result = '1';
INSERT INTO jobs (id, name) VALUES (10, 'of everybody');
INSERT INTO job_items (id, job_id, instance_id, payload) OVERRIDING SYSTEM VALUE VALUES (1001, 10, 'b', '1'), (1002, 10, 'b', '2'), (1003, 10, 'b', '3');
SET LOCAL ROLE fresh_role;
SELECT is(array_agg(id ORDER BY id), ARRAY[1001, 1002, 1003]::bigint[], 'a claim returns whole rows to who cannot read the table') FROM claim_pending_items();
SELECT alike(why_waiting(1001), 'It is not waiting: claimed by fresh_role pid %', 'claimed_by names the caller, not the owner');
SELECT is(fail_item(1001, 1, 'no', false), 'FAILED', 'fail_item()');
SELECT is(release_item(1002, 1), true, 'release_item()');
SELECT is(complete_item(1003, 2, '1'), false, 'the fencing token holds');
SELECT is(retry_failed(job_id => 10), 1::bigint, 'retry_failed()');
SELECT is(cancel_job(10), 3::bigint, 'cancel_job()');
SELECT lives_ok('SELECT optimizer_pause(''x''), optimizer_resume()', 'optimizer_pause(), optimizer_resume()');
SELECT is(pending, 0::bigint, 'optimizer_stats()') FROM optimizer_stats();
SELECT lives_ok('SELECT try_acquire(0, requests => 0), settle_tokens(0, 0), (SELECT count(*) FROM optimizer_rate_limits()), (SELECT count(*) FROM optimizer_workers())', 'the limits');
SELECT throws_ok('SELECT count(*) FROM ' || t, '42501', NULL, 'and is no way into ' || t) FROM unnest(ARRAY['job_items', 'jobs', 'stores', 'rate_limits', 'homes', 'job_progress']) t;
SELECT is(current_user::text, 'fresh_role', 'the caller is again who it was');
SELECT throws_ok('SELECT complete_item(-1, 1, ''1'')', '22023', NULL, 'an error of its own');
SELECT is(current_user::text, 'fresh_role', 'also after an error');
RESET ROLE;
REVOKE ALL ON SCHEMA :schema FROM fresh_role;

-- Every function pins its search_path, pg_temp last; these need none: they run no SQL.
SELECT is(array_agg(p.proname::text ORDER BY p.proname), ARRAY['note_arrivals', 'requeue_item', 'schedule_item', 'wake_worker'], 'only what runs no SQL has no search_path of its own')
  FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
 WHERE NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=%');
SELECT is(s, 'search_path=' || quote_ident(:'schema') || ', pg_temp', p.proname || ' has the extension''s schema, then pg_temp, and nothing else')
  FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass, unnest(p.proconfig) s
 WHERE s LIKE 'search_path=%' ORDER BY p.proname;
SELECT is(c.reloptions, '{security_invoker=true}', c.relname || ' shows what its reader may see')
  FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass AND c.relkind = 'v';
-- A decoy in front of everything.
CREATE TEMP TABLE job_items (id bigint, status text);
CREATE TEMP TABLE homes (paused boolean);
CREATE TEMP TABLE jobs (id bigint);
SELECT is(:schema.retry_failed(), 0::bigint, 'retry_failed() reads the real job_items');
SELECT is(count(*), 0::bigint, 'so does claim_pending_items()') FROM :schema.claim_pending_items();
SELECT lives_ok(format('SELECT %I.optimizer_pause(), %I.optimizer_resume()', :'schema', :'schema'), 'optimizer_pause() finds the real homes');
SELECT is(count(*), 0::bigint, 'and left the decoy alone') FROM pg_temp.homes;

-- Every member says what it is; the row types of tables are theirs, not members to be explained.
SELECT ok(length(obj_description(m.objid, m.classid::regclass::name)) > 20, m.name || ' has a comment')
  FROM member m WHERE m.classid <> 'pg_type'::regclass ORDER BY m.name;
SELECT ok(obj_description(p.oid, 'pg_proc') ~ '22004|22023|22001' OR p.pronargs = 0, p.proname || ' says what it raises')
  FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
 WHERE p.proname NOT IN ('wake_worker', 'note_arrivals', 'schedule_item', 'requeue_item', 'apply_store_access', 'unpack_payload', 'check_params') ORDER BY p.proname;
SELECT is(array_agg(p.proname::text ORDER BY p.proname), ARRAY['apply_store_access', 'check_params', 'note_arrivals', 'requeue_item', 'schedule_item', 'unpack_payload', 'wake_worker'], 'what is internal says so')
  FROM member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass WHERE obj_description(p.oid, 'pg_proc') LIKE 'Internal%';

SELECT * FROM finish();
ROLLBACK;
