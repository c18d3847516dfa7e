-- What chaos needs in a database: work to do, claimers in SQL, and a log of every change of status,
-- which is written in the transaction of the change itself and so tells exactly what was committed.
CREATE SCHEMA chaos;
CREATE SEQUENCE chaos.titles;
CREATE TABLE chaos.log (
  n bigint GENERATED ALWAYS AS IDENTITY, item bigint, old text, new text, attempts int, holder text,
  lost boolean);  -- rescued: its holder went away, and its attempt counts

CREATE FUNCTION chaos.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO chaos.log (item, old, new, attempts, holder, lost)
  VALUES (OLD.id, OLD.status, CASE TG_OP WHEN 'DELETE' THEN 'DELETED' ELSE NEW.status END,
          CASE TG_OP WHEN 'DELETE' THEN OLD.attempts ELSE NEW.attempts END,
          CASE WHEN OLD.status = 'RUNNING' THEN OLD.claimed_by WHEN TG_OP = 'UPDATE' THEN NEW.claimed_by END,
          TG_OP = 'UPDATE' AND OLD.status = 'RUNNING' AND NEW.error_code = 'claim_lost' AND NEW.attempts = OLD.attempts);
  RETURN NULL;
END $$;
CREATE TRIGGER note_update AFTER UPDATE OF status ON job_items
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION chaos.note();
CREATE TRIGGER note_delete AFTER DELETE ON job_items FOR EACH ROW EXECUTE FUNCTION chaos.note();

INSERT INTO stores (instance_id, weight, max_in_flight, requests_per_minute)
VALUES ('store-1', 2, NULL, NULL), ('store-2', 0.5, NULL, NULL), ('store-3', 1, 3, NULL), ('store-4', 1, NULL, 1200);

-- Fills up to so many waiting items.  A third belongs to a job of the latest ones, some are for later, and some
-- ask the mock for a fault of their own: the first time, or always.
CREATE PROCEDURE chaos.fill(backlog int, seed float8) LANGUAGE plpgsql AS $$
DECLARE
  missing int := backlog - (SELECT count(*) FROM job_items WHERE status = 'PENDING');
  once text[] := '{http_500,http_502_html,http_503,http_408,http_409,drop,cut,garbage,empty,length,rate_limit,deep,wrong_types,html,endless}';
  always text[] := '{bad_request,refusal,content_filter,too_large,bad_utf8,nul,control_chars,deep_content,huge_numbers,no_usage,huge_usage}';
  its_job bigint;
BEGIN
  IF missing <= 0 THEN RETURN; END IF;
  PERFORM setseed(seed);
  INSERT INTO jobs (name) VALUES ('chaos') RETURNING id INTO its_job;
  INSERT INTO job_items (job_id, instance_id, priority, run_after, max_attempts, payload)
  SELECT CASE WHEN r.job < 0.3 THEN its_job END, 'store-' || floor(r.store * 8), floor(r.priority * 3),
         CASE WHEN r.later < 0.1 THEN clock_timestamp() + r.later * interval '10 s' END, 8,
         jsonb_build_object('title', format('Chaos %s %s.', current_database(), nextval('chaos.titles')))
         || CASE WHEN r.fault < 0.06 THEN jsonb_build_object('mock', once[1 + floor(r.which * 15)] || '*1')
                 WHEN r.fault < 0.09 THEN jsonb_build_object('mock', always[1 + floor(r.which * 11)]) ELSE '{}' END
    FROM (SELECT random() AS job, random() AS store, random() AS priority, random() AS later, random() AS fault, random() AS which
            FROM generate_series(1, missing)) r;
END $$;

-- A worker in SQL that is not always reliable: it completes, fails and releases what it claims, and
-- sometimes forgets it until the lease has expired.
CREATE PROCEDURE chaos.claimer(rounds int, seed float8) LANGUAGE plpgsql AS $$
DECLARE
  claimed job_items[];
  item job_items;
  dice float8;
BEGIN
  PERFORM setseed(seed);
  FOR round IN 1 .. rounds LOOP
    claimed := ARRAY(SELECT c FROM claim_pending_items(4, 2, '2 s') c);
    PERFORM try_acquire(500);
    COMMIT;
    PERFORM pg_sleep(random() * 0.2);
    FOREACH item IN ARRAY claimed LOOP
      dice := random();
      IF dice < 0.6 THEN
        PERFORM complete_item(item.id, item.attempts, jsonb_build_object('description', item.payload->>'title'));
      ELSIF dice < 0.7 THEN
        PERFORM fail_item(item.id, item.attempts, 'chaos', true, '100 ms');
      ELSIF dice < 0.8 THEN
        PERFORM fail_item(item.id, item.attempts, 'chaos', false);
      ELSIF dice < 0.9 THEN
        PERFORM release_item(item.id, item.attempts);
      END IF;
      COMMIT;
    END LOOP;
  END LOOP;
END $$;

CREATE VIEW chaos.of_item AS
SELECT i.id, i.status, i.attempts, i.payload->>'title' AS title,
       count(l) FILTER (WHERE l.new IN ('DONE', 'FAILED', 'CANCELLED', 'DELETED')) AS ended,
       count(l) FILTER (WHERE l.old IN ('DONE', 'FAILED', 'CANCELLED') AND l.new <> 'DELETED') AS reopened,
       count(l) FILTER (WHERE l.old IN ('DONE', 'CANCELLED') AND l.new <> 'DELETED') AS undone,
       count(l) FILTER (WHERE l.new = 'RUNNING' AND l.holder LIKE 'product_optimizer worker %') AS claims,
       count(l) FILTER (WHERE l.old = 'RUNNING' AND l.holder LIKE 'product_optimizer worker %' AND (l.new = 'PENDING' OR l.lost)) AS given_back
  FROM job_items i LEFT JOIN chaos.log l ON l.item = i.id GROUP BY i.id;
