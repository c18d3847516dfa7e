-- caps.sql: what a role that only inserts cannot do to the disk and to the bill.  The other caps are constraints, in tables.sql;
-- stores.max_pending is enforced by note_arrivals().

CREATE FUNCTION unpack_payload() RETURNS trigger
LANGUAGE plpgsql SET search_path = @extschema@, pg_temp AS $$
BEGIN
  NEW.payload := NEW.payload #> '{}';
  RETURN NEW;
END $$;
COMMENT ON FUNCTION unpack_payload() IS 'Internal trigger: a payload that comes compressed out of another row is unpacked, so that its real size is checked.';

-- What was accepted compressed would else be refused by a restore, which brings it as text.
CREATE TRIGGER unpack_payload BEFORE INSERT OR UPDATE OF payload ON job_items
  FOR EACH ROW WHEN (pg_catalog.pg_column_compression(NEW.payload) IS NOT NULL)
  EXECUTE FUNCTION unpack_payload();

REVOKE ALL ON FUNCTION unpack_payload() FROM PUBLIC;
