-- Properties of the claim in 200 situations drawn at random: stores, rows, priorities, weights, caps and claim sizes.
BEGIN;
SELECT plan(201);
SELECT setseed(0.42);

CREATE FUNCTION pg_temp.whole(low int, high int) RETURNS int LANGUAGE sql VOLATILE AS $$
  SELECT low + floor(random() * (high - low + 1))::int
$$;

-- The situation, and one claim in it: what waited and ran before, what it gave, and what each store could have given.
CREATE TEMP TABLE policy (s text PRIMARY KEY, weight float8, cap int, paused boolean);
CREATE TEMP TABLE waiting (LIKE job_items);
CREATE TEMP TABLE running (LIKE job_items);
CREATE TEMP TABLE got (n bigint, id bigint, instance_id text, priority smallint, attempts smallint);
CREATE TEMP TABLE tally (s text, given int, could int, weight float8);

-- Stores of one situation: up to eight, of which some are weighted, capped or paused.
CREATE FUNCTION pg_temp.draw(n int, kind text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE job_items;
  DELETE FROM stores;
  TRUNCATE policy;
  INSERT INTO policy
  SELECT format('%s-%s-%s', kind, n, i),
         CASE WHEN kind = 'weighted' THEN (ARRAY[0.25, 0.5, 1, 2, 3])[pg_temp.whole(1, 5)] ELSE 1 END,
         CASE WHEN kind = 'capped' AND random() < 0.5 THEN pg_temp.whole(1, 6) END,
         kind = 'capped' AND random() < 0.2
    FROM generate_series(1, pg_temp.whole(1, 8)) i;
  INSERT INTO stores (instance_id, weight, max_in_flight, paused)
  SELECT s, weight, cap, paused FROM policy WHERE weight <> 1 OR cap IS NOT NULL OR paused;
  INSERT INTO job_items (instance_id, priority, payload)
  SELECT s, pg_temp.whole(-1, 1), '{}' FROM policy, LATERAL generate_series(1, pg_temp.whole(0, 40) + 0 * length(s)) r ORDER BY random();
END $$;

-- What a claim of so many, so many of each store, has done wrong; NULL when nothing.
CREATE FUNCTION pg_temp.fault(most int, most_each int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  total int := (SELECT count(*) FROM got);
  allowed int;
BEGIN
  IF total > most THEN
    RETURN format('gave %s of %s', total, most);
  END IF;
  -- Whoever may give at all: by its rows, its cap and the caller's wish.
  TRUNCATE tally;
  INSERT INTO tally
  SELECT p.s, (SELECT count(*) FROM got WHERE instance_id = p.s),
         CASE WHEN p.paused THEN 0
              ELSE least(count(w.id), most_each, greatest(0, coalesce(p.cap, 1000) - (SELECT count(*) FROM running r WHERE r.instance_id = p.s))) END, p.weight
    FROM policy p LEFT JOIN waiting w ON w.instance_id = p.s GROUP BY p.s;
  IF EXISTS (SELECT FROM tally WHERE given > could) THEN
    RETURN (SELECT format('%s gave %s, but may give %s', s, given, could) FROM tally WHERE given > could LIMIT 1);
  END IF;
  -- Nothing is left unasked for.
  SELECT sum(could) INTO allowed FROM tally;
  IF total < least(most, allowed) THEN
    RETURN format('gave %s where %s could be given and %s were asked for', total, allowed, most);
  END IF;
  -- Round robin: who had more to give is at most a round (and a fraction of an item at each end) behind any other.
  IF EXISTS (SELECT FROM tally a, tally b
              WHERE a.given < a.could
                AND CASE WHEN (SELECT count(DISTINCT weight) = 1 AND min(weight) = 1 FROM tally) THEN b.given - a.given > 1
                         ELSE b.given / b.weight - a.given / a.weight > 1 / least(1, (SELECT max(weight) FROM tally WHERE could > 0)) + 1 / a.weight + 1 / b.weight + 1e-6 END) THEN
    RETURN 'not in rounds: ' || (SELECT string_agg(format('%s (weight %s) %s of %s', s, weight, given, could), ', ' ORDER BY s) FROM tally);
  END IF;
  -- Inside a store the first ones, and in order.
  IF EXISTS (SELECT FROM got g JOIN waiting w ON w.instance_id = g.instance_id AND (w.priority, w.id) < (g.priority, g.id)
              WHERE NOT EXISTS (SELECT FROM got x WHERE x.id = w.id)) THEN
    RETURN 'passed over an earlier item of the same store';
  END IF;
  IF EXISTS (SELECT FROM got a JOIN got b ON a.instance_id = b.instance_id AND a.n < b.n WHERE (a.priority, a.id) > (b.priority, b.id)) THEN
    RETURN 'not in the order of service';
  END IF;
  RETURN NULL;
END $$;

-- Claims until nothing waits, with some answers in between, and tells what went wrong.
CREATE FUNCTION pg_temp.play(n int, kind text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  most int;
  most_each int;
  problem text;
  rows bigint;
  claims int := 0;
BEGIN
  PERFORM pg_temp.draw(n, kind);
  SELECT count(*) INTO rows FROM job_items;
  WHILE EXISTS (SELECT FROM job_items WHERE status = 'PENDING') LOOP
    TRUNCATE waiting, running, got;
    INSERT INTO waiting SELECT * FROM job_items WHERE status = 'PENDING';
    INSERT INTO running SELECT * FROM job_items WHERE status = 'RUNNING';
    most := CASE WHEN random() < 0.3 THEN pg_temp.whole(1, 3) ELSE pg_temp.whole(1, 60) END;
    most_each := CASE WHEN random() < 0.5 THEN 20 ELSE pg_temp.whole(1, 25) END;
    INSERT INTO got SELECT c.ordinality, c.id, c.instance_id, c.priority, c.attempts FROM claim_pending_items(most, most_each) WITH ORDINALITY c;
    problem := pg_temp.fault(most, most_each);
    IF problem IS NOT NULL THEN
      RETURN format('claim_pending_items(%s, %s): %s', most, most_each, problem);
    END IF;
    PERFORM complete_item(id, attempts, '1') FROM job_items WHERE status = 'RUNNING' AND random() < 0.4;
    claims := claims + 1;
    IF claims > 20 THEN
      UPDATE stores SET paused = false WHERE paused;
      UPDATE policy SET paused = false WHERE paused;
    END IF;
    IF claims > 2000 THEN
      RETURN 'no end of it';
    END IF;
  END LOOP;
  IF (SELECT count(*) FROM job_items WHERE attempts = 1 AND status IN ('RUNNING', 'DONE')) <> rows THEN
    RETURN 'not every row was claimed exactly once';
  END IF;
  RETURN NULL;
END $$;

SELECT is(pg_temp.play(n, kind), NULL, format('situation %s, %s stores', n, kind))
  FROM generate_series(1, 200) n, LATERAL (SELECT (ARRAY['plain', 'weighted', 'capped', 'plain'])[n % 4 + 1] AS kind) k ORDER BY n;

-- The long run, which is what a window shows: claims of every size together give each store its weighted share.
CREATE FUNCTION pg_temp.long_run() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  claimed int := 0;
BEGIN
  DELETE FROM job_items;
  DELETE FROM stores;
  INSERT INTO stores (instance_id, weight) VALUES ('long-1', 0.5), ('long-3', 3), ('long-4', 2);
  INSERT INTO job_items (instance_id, payload) SELECT 'long-' || s, '1' FROM generate_series(1, 4) s, generate_series(1, 800);
  WHILE claimed < 1300 LOOP
    claimed := claimed + (SELECT count(*) FROM claim_pending_items(pg_temp.whole(1, 4)));
  END LOOP;
  -- 1300 by weights of 0.5, 1, 3 and 2: 100, 200, 600 and 400.
  RETURN (SELECT string_agg(instance_id || ' ' || given, ', ' ORDER BY instance_id)
            FROM (SELECT i.instance_id, count(*) AS given, coalesce(min(s.weight), 1) * 200 AS due
                    FROM job_items i LEFT JOIN stores s USING (instance_id) WHERE i.status = 'RUNNING' GROUP BY 1) t
           WHERE abs(given - due) > 12);
END $$;
SELECT is(pg_temp.long_run(), NULL, 'small claims add up to the weighted share');

SELECT * FROM finish();
ROLLBACK;
