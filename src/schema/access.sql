-- access.sql: who may do what; see doc/security.md.

CREATE FUNCTION apply_store_access() RETURNS trigger
LANGUAGE C
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_apply_store_access';
COMMENT ON FUNCTION apply_store_access() IS 'Internal trigger: makes the row-level security policies that store_access describes, also in a restore.';

CREATE TRIGGER apply_store_access AFTER INSERT OR UPDATE OR DELETE ON store_access
  FOR EACH ROW EXECUTE FUNCTION apply_store_access();

CREATE FUNCTION grant_optimizer(role regrole, level text, instance_ids text[] DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_grant';
COMMENT ON FUNCTION grant_optimizer(regrole, text, text[]) IS
'Gives a role the rights of a level: producer, consumer, operator or reader; levels add up. instance_ids: the only stores that a producer or reader sees and inserts into while optimizer_row_security() is on; a list replaces the one before, NULL leaves it, and a role that never had one sees all stores. USAGE on the schema, where it is missing, is granted with the caller''s rights. For the owner of job_items and superusers. Raises 22004 for NULL, 22023 for an unknown level or role, the owner, a list for another level, or a store that cannot be, 42501 for other callers.';

CREATE FUNCTION revoke_optimizer(role regrole) RETURNS void
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_revoke';
COMMENT ON FUNCTION revoke_optimizer(regrole) IS
'Takes back from a role every right on the extension''s tables, sequences, views, functions and row types, what it passed on by WITH GRANT OPTION, and the policies for this role alone; for a superuser also USAGE on the schema. For the owner of job_items and superusers. Raises 22004 for NULL, 22023 for an unknown role or the owner, 42501 for other callers, 2BP01 while it has a right that another role passed on to it.';

CREATE FUNCTION optimizer_row_security(enabled boolean) RETURNS void
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_row_security';
COMMENT ON FUNCTION optimizer_row_security(boolean) IS
'Switches row-level security of job_items, jobs and stores: on, whoever is neither their owner nor named by grant_optimizer(), himself or by a role whose rights he has, sees and inserts nothing. The worker and the functions work on all stores as before. Waits for running transactions on these tables. For the owner of job_items and superusers. Raises 22004 for NULL, 42501 for other callers.';

CREATE FUNCTION hand_over_optimizer(new_owner regrole) RETURNS void
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_hand_over';
COMMENT ON FUNCTION hand_over_optimizer(regrole) IS
'Makes a role the owner of the tables and their sequences, so that the worker and the functions act with its rights from then on, and lets it use all functions and views; a former owner loses that. Functions and views stay with their superuser, for whoever owns them could replace them. For superusers. Raises 22004 for NULL, 22023 for an unknown role, 42501 for other callers, 55000 while the tables carry triggers, rules, child tables, policies, foreign keys or expressions of an ordinary owner that would run with the rights of the next one, or rights by which others could add some.';
