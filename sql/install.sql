-- install: what CREATE EXTENSION makes, what it is called, who may use it, and that DROP leaves nothing.
SET client_min_messages = warning;
CREATE EXTENSION product_optimizer;

-- Every object, and whether it says what it is.
SELECT object, length(obj_description(objid, classid::regclass::name)) > 20 AS has_comment
  FROM (SELECT d.*, regexp_replace(pg_describe_object(d.classid, d.objid, 0), '(public|pg_catalog)\.', '', 'g') AS object
          FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
         WHERE e.extname = 'product_optimizer' AND d.deptype = 'e' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass)) m
 ORDER BY object COLLATE "C";

-- The columns, in order.
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
       coalesce(pg_get_expr(d.adbin, d.adrelid), CASE a.attidentity WHEN 'd' THEN 'identity' END) AS "default"
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relname IN ('job_items', 'jobs', 'stores', 'rate_limits', 'homes', 'store_access')
 ORDER BY c.relname COLLATE "C", a.attnum;

-- The columns that the meaning of an item hangs on explain themselves.
SELECT c.relname, a.attname, col_description(c.oid, a.attnum) AS comment
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relname IN ('job_items', 'stores', 'rate_limits') AND a.attname IN
       ('status', 'priority', 'attempts', 'run_after', 'weight', 'max_in_flight', 'paused', 'tokens_per_minute')
 ORDER BY c.relname COLLATE "C", a.attname COLLATE "C";

SELECT conrelid::regclass AS "table", conname, pg_get_constraintdef(oid) AS definition
  FROM pg_constraint
 WHERE conrelid IN ('job_items'::regclass, 'stores'::regclass, 'rate_limits'::regclass, 'jobs'::regclass)
   AND contype IN ('p', 'f', 'c')
 ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";

-- The two indexes of the contract, and the others.
SELECT indexname, regexp_replace(indexdef, '^.* USING ', '') AS definition
  FROM pg_indexes WHERE tablename = 'job_items' ORDER BY indexname COLLATE "C";

SELECT tgrelid::regclass AS "table", tgname, tgenabled
  FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgrelid::regclass::text COLLATE "C", tgname COLLATE "C";

-- What pg_dump carries.
SELECT c.relname FROM pg_extension e, unnest(e.extconfig) WITH ORDINALITY x(oid, n) JOIN pg_class c ON c.oid = x.oid
 WHERE e.extname = 'product_optimizer' ORDER BY c.relname COLLATE "C";

-- What a caller may leave out.
SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments
  FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'product_optimizer'
 WHERE p.pronargs > 0
 ORDER BY p.proname COLLATE "C";

-- Nothing is for everybody: no entry for PUBLIC (grantee 0) in any access list, and no list left to its default.
SELECT p.oid::regprocedure AS open_to_public
  FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'product_optimizer'
 WHERE EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0);
SELECT c.oid::regclass AS open_to_public
  FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'product_optimizer'
 WHERE EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0);
CREATE ROLE regress_nobody;
GRANT USAGE ON SCHEMA public TO regress_nobody;
SET ROLE regress_nobody;
\set VERBOSITY sqlstate
SELECT count(*) FROM job_items;
SELECT count(*) FROM claim_pending_items();
SELECT optimizer_pause();
SELECT count(*) FROM optimizer_workers();
\set VERBOSITY default
SELECT count(*) FROM job_items;
SELECT worker_state FROM optimizer_stats();
RESET ROLE;
REVOKE USAGE ON SCHEMA public FROM regress_nobody;
DROP ROLE regress_nobody;

-- It is where it was put, and cannot be moved behind the back of its functions' search_path.
SELECT n.nspname, e.extrelocatable FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'product_optimizer';
\set VERBOSITY sqlstate
CREATE SCHEMA elsewhere;
ALTER EXTENSION product_optimizer SET SCHEMA elsewhere;
DROP SCHEMA elsewhere;
-- A second one is one too many.
CREATE EXTENSION product_optimizer;
\set VERBOSITY default

-- DROP EXTENSION: what users hung on it stands in the way, or goes with it.
INSERT INTO job_items (instance_id, payload) VALUES ('a', '{}');
CREATE VIEW regress_of_mine AS SELECT id FROM job_items;
\set VERBOSITY sqlstate
DROP EXTENSION product_optimizer;
\set VERBOSITY default
DROP EXTENSION product_optimizer CASCADE;
SELECT to_regclass('regress_of_mine') AS my_view, to_regclass('job_items') AS job_items;
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace;
SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace;
SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace;
SELECT tgname FROM pg_trigger WHERE NOT tgisinternal;

-- Any schema will do, also one whose name needs quotes and is in nobody's search_path.
CREATE SCHEMA "My Queue, too";
CREATE EXTENSION product_optimizer SCHEMA "My Queue, too";
SET search_path = '';
INSERT INTO "My Queue, too".job_items (instance_id, payload) VALUES ('a', '"now"');
INSERT INTO "My Queue, too".job_items (instance_id, payload, run_after) VALUES ('a', '"later"', 'infinity') RETURNING status;
INSERT INTO "My Queue, too".jobs (id, name) VALUES (1, 'one');
SELECT id, instance_id, status, attempts, payload FROM "My Queue, too".claim_pending_items();
SELECT "My Queue, too".complete_item(1, 1, '"done"');
SELECT "My Queue, too".why_waiting(1) ~ '^It is not waiting: DONE since ' AS why;
SELECT "My Queue, too".cancel_job(1), "My Queue, too".retry_failed();
SELECT pending, scheduled FROM "My Queue, too".optimizer_stats();
SELECT instance_id, done, scheduled FROM "My Queue, too".store_progress;
SELECT job_id, status FROM "My Queue, too".job_progress;
SELECT "My Queue, too".optimizer_pause('in another schema'), "My Queue, too".optimizer_resume();
-- Its functions do not fall for a caller's search_path.
CREATE SCHEMA trap;
CREATE TABLE trap.job_items AS SELECT 1 AS id;
SET search_path = trap, "My Queue, too";
SELECT count(*) FROM claim_pending_items();
SELECT retry_failed();
RESET search_path;
DROP SCHEMA trap CASCADE;
DROP EXTENSION product_optimizer;
SELECT relname FROM pg_class WHERE relnamespace = '"My Queue, too"'::regnamespace;
DROP SCHEMA "My Queue, too";
