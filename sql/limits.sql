-- limits: the shared bucket.  It starts empty and fills with time, so what is exact is asked of buckets that
-- nobody used before, and what must be granted is asked of limits so high that they fill in microseconds.
SET intervalstyle = 'postgres';
CREATE EXTENSION product_optimizer;
CREATE FUNCTION acquire(tokens int, model text, requests int DEFAULT 1) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  deadline timestamptz := clock_timestamp() + interval '20 s';
  answer record;
BEGIN
  LOOP
    SELECT * INTO answer FROM try_acquire(tokens, model, requests);
    IF answer.granted OR clock_timestamp() > deadline THEN
      RETURN answer.granted;
    END IF;
  END LOOP;
END $$;
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  EXECUTE command;
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN format('%s: %s. %s', SQLSTATE, SQLERRM, hint);
END $$;
-- Buckets outlive the extension, so each run has models of its own.
SELECT 'slow ' || txid_current() AS slow, 'exact ' || txid_current() AS exact, 'few ' || txid_current() AS few, 'fast ' || txid_current() AS fast,
       'debt ' || txid_current() AS debt, 'half ' || txid_current() AS half, 'tiny ' || txid_current() AS tiny \gset
INSERT INTO rate_limits VALUES (:'slow', 60, 6000), (:'exact', 60, 6000), (:'few', 1, 2000000000), (:'fast', 2000000000, 2000000000),
  (:'debt', 2000000000, 6000), (:'half', NULL, 30), (:'tiny', 3, 5);

-- Empty at first, so nobody gets a burst by restarting: exactly as long as one request takes to flow in.
SELECT * FROM try_acquire(100, :'slow');
-- The longer of both dimensions: 60 requests and 6000 tokens a minute.
SELECT * FROM try_acquire(300, :'exact');
SELECT requests_last_minute, tokens_last_minute FROM optimizer_rate_limits() WHERE model IN (:'slow', :'exact');
-- Both or none: a minute for the request keeps the tokens from being taken, of which there are plenty.
SELECT granted, retry_after > '50 s' AS waits FROM try_acquire(1, :'few');
SELECT granted, retry_after > '50 s' AS waits FROM try_acquire(1, :'few');
SELECT requests_last_minute, tokens_last_minute FROM optimizer_rate_limits() WHERE model = :'few';
-- Tokens alone cost no request.
SELECT acquire(1000, :'few', 0);
SELECT requests_last_minute, tokens_last_minute FROM optimizer_rate_limits() WHERE model = :'few';

-- More than the bucket ever holds (a burst of 6 s: 6 requests, 600 tokens) is an error, not a wait for ever.
SELECT granted, retry_after BETWEEN '1 s' AND '6 s' AS waits FROM try_acquire(600, :'slow', 6);
SELECT refused($$ SELECT try_acquire(600, 'M', 7) $$) AS default_limits;
SELECT refused(format('SELECT try_acquire(600, %L, 7)', :'slow')) AS requests;
SELECT refused(format('SELECT try_acquire(601, %L, 1)', :'slow')) AS tokens;
-- At least one of each is always possible.
SELECT refused(format('SELECT try_acquire(1, %L, 1)', :'tiny')) AS one, refused(format('SELECT try_acquire(2, %L, 1)', :'tiny')) AS two;

-- What is granted is counted, over all calls.
SELECT bool_and(acquire(100, :'fast')) AS granted FROM generate_series(1, 50);
SELECT acquire(5000, :'fast', 10), acquire(0, :'fast', 0) AS nothing;
SELECT requests_per_minute, tokens_per_minute, requests_last_minute, tokens_last_minute, requests_available > 0 AS some_left,
       effective_share, throttled_until, effective_requests_per_minute, effective_tokens_per_minute,
       server_requests_limit, server_requests_remaining, server_tokens_limit, server_tokens_remaining, server_told_at, server_followed
  FROM optimizer_rate_limits() WHERE model = :'fast';
SELECT retry_after FROM try_acquire(0, :'fast', 0);
-- settle_tokens: what was reserved and not used comes back, an excess is charged, also a while later.
SELECT settle_tokens(100, 40, :'fast'), settle_tokens(100, 150, :'fast');
SELECT tokens_last_minute FROM optimizer_rate_limits() WHERE model = :'fast';
CREATE FUNCTION next_second() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz := clock_timestamp();
BEGIN
  LOOP
    EXIT WHEN clock_timestamp() >= start + interval '1.001 s';
  END LOOP;
  RETURN true;
END $$;
SELECT next_second(), settle_tokens(5000, 1000, :'fast');
SELECT requests_last_minute, tokens_last_minute FROM optimizer_rate_limits() WHERE model = :'fast';
-- Nobody gives back what this session did not take: of no size it took, not twice, and of no other model.
SELECT settle_tokens(2147483647, 0, :'fast'), settle_tokens(5000, 0, :'fast'), settle_tokens(100, 0, :'few');
SELECT tokens_last_minute FROM optimizer_rate_limits() WHERE model = :'fast';
-- A debt is paid off before anything is granted, 100 tokens a second, but never more than a minute's flow of it.
SELECT settle_tokens(0, 100000, :'debt');
SELECT granted, retry_after BETWEEN '50 s' AND '61 s' AS waits FROM try_acquire(1, :'debt');
SELECT tokens_available, tokens_last_minute FROM optimizer_rate_limits() WHERE model = :'debt';

-- rate_limits rows over the settings, NULL for the setting, and at once when they change.
SELECT granted, retry_after FROM try_acquire(1, :'half');
SELECT requests_per_minute, tokens_per_minute FROM optimizer_rate_limits() WHERE model = :'half';
UPDATE rate_limits SET requests_per_minute = 2000000000, tokens_per_minute = NULL WHERE model = :'half';
SELECT requests_per_minute, tokens_per_minute FROM optimizer_rate_limits() WHERE model = :'half';
DELETE FROM rate_limits WHERE model = :'half';
SELECT requests_per_minute, tokens_per_minute FROM optimizer_rate_limits() WHERE model = :'half';
-- The model that is left out is the setting's.
SHOW product_optimizer.model;
SELECT acquire(1, NULL);
SELECT count(*) FROM optimizer_rate_limits() WHERE model = current_setting('product_optimizer.model') AND requests_last_minute >= 1;
-- optimizer_stats() tells about the busiest: the one in debt.
SELECT tokens_last_minute >= 100000 AS tokens, tokens_per_minute, tpm_percent > 1000 AS far_over FROM optimizer_stats();

-- A rollback gives nothing back: what was granted may have been sent.
BEGIN;
SELECT acquire(7, :'fast');
ROLLBACK;
SELECT requests_last_minute FROM optimizer_rate_limits() WHERE model = :'fast';

SELECT refused('SELECT try_acquire(NULL)') AS null_tokens, refused('SELECT try_acquire(1, requests => NULL)') AS null_requests;
SELECT refused('SELECT try_acquire(-1)') AS tokens, refused('SELECT try_acquire(1, requests => -1)') AS requests;
SELECT refused($$ SELECT try_acquire(1, '') $$) AS no_model, refused($$ SELECT try_acquire(1, repeat('m', 201)) $$) AS long_model;
SELECT refused('SELECT settle_tokens(NULL, 1)') AS reserved, refused('SELECT settle_tokens(1, NULL)') AS used;
SELECT refused('SELECT settle_tokens(-1, 1)') AS reserved, refused('SELECT settle_tokens(1, -1)') AS used;

DROP FUNCTION acquire, refused, next_second;
DROP EXTENSION product_optimizer;
