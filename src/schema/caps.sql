-- caps.sql: what a role that only inserts cannot do to the disk and to the bill.  The other caps are constraints, in tables.sql;
-- stores.max_pending is enforced by note_arrivals().

CREATE FUNCTION unpack_payload() RETURNS trigger
LANGUAGE plpgsql SET search_path = @extschema@, pg_temp AS $$
BEGIN
  NEW.payload := NEW.payload OPERATOR(pg_catalog.#>) '{}'::text[];
  RETURN NEW;
END $$;
COMMENT ON FUNCTION unpack_payload() IS 'Internal trigger: a payload that comes compressed out of another row is unpacked, so that its real size is checked.';

-- What was accepted compressed would else be refused by a restore, which brings it as text.  Inserted rows are checked by
-- note_arrivals(), for a condition of a row trigger is read anew by every INSERT.
CREATE TRIGGER unpack_payload BEFORE UPDATE OF payload ON job_items
  FOR EACH ROW WHEN (pg_catalog.pg_column_compression(NEW.payload) IS NOT NULL)
  EXECUTE FUNCTION unpack_payload();

CREATE FUNCTION check_params() RETURNS trigger
LANGUAGE plpgsql SET search_path = @extschema@, pg_temp AS $$
DECLARE
  caps CONSTANT text[] := '{max_completion_tokens, max_output_tokens, max_tokens}';
  allowed CONSTANT text[] := caps OPERATOR(pg_catalog.||) '{temperature, top_p, seed, stop, presence_penalty, frequency_penalty, reasoning_effort, reasoning, verbosity, text, response_format}'::text[];
  refused text;
BEGIN
  -- The rights of whoever writes: the level "operator" may pause the worker; the owner could drop this trigger.
  IF has_function_privilege('optimizer_pause(text)', 'EXECUTE')
     OR pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'USAGE')
     OR jsonb_typeof(NEW.params) <> 'object' THEN  -- a constraint says what is wrong with that one
    RETURN NEW;
  END IF;
  SELECT min(k.path) INTO refused
    FROM (SELECT p.key FROM jsonb_each(NEW.params) p WHERE p.key <> ALL (allowed)
          UNION ALL
          -- Without its cap an answer costs what the model likes.
          SELECT p.key || ': null' FROM jsonb_each(NEW.params) p WHERE p.key = ANY (caps) AND jsonb_typeof(p.value) = 'null'
          UNION ALL
          SELECT o.name || '.' || m.key
            FROM (VALUES ('reasoning', '{effort}'::text[]), ('text', '{format, verbosity}')) o(name, members),
                 jsonb_each(CASE jsonb_typeof(NEW.params -> o.name) WHEN 'object' THEN NEW.params -> o.name ELSE '{}' END) m
           WHERE m.key <> ALL (o.members)) k(path);
  IF refused IS NOT NULL THEN
    RAISE insufficient_privilege USING MESSAGE = pg_catalog.format('role %I may not set "%s" in params', current_user, refused),
      HINT = pg_catalog.format('Use only %s; or let a role set it that may execute optimizer_pause(text).', pg_catalog.array_to_string(allowed, ', '));
  END IF;
  RETURN NEW;
END $$;
COMMENT ON FUNCTION check_params() IS
'Internal trigger: roles that may neither pause the worker nor act as the owner of jobs can set only some keys of params; raises 42501 for any other.';

CREATE TRIGGER check_params BEFORE INSERT OR UPDATE OF params ON jobs
  FOR EACH ROW WHEN (NEW.params IS NOT NULL) EXECUTE FUNCTION check_params();

REVOKE ALL ON FUNCTION unpack_payload(), check_params() FROM PUBLIC;
