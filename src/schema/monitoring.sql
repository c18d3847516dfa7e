-- monitoring.sql: what happens, in numbers and in words.

CREATE FUNCTION optimizer_stats(
  OUT worker_state text, OUT state_reason text, OUT pending bigint, OUT scheduled bigint, OUT in_flight bigint,
  OUT connections_open bigint, OUT connections_idle bigint,
  OUT requests_last_minute bigint, OUT requests_per_minute bigint, OUT rpm_percent numeric,
  OUT tokens_last_minute bigint, OUT tokens_per_minute bigint, OUT tpm_percent numeric,
  OUT claims bigint, OUT items_claimed bigint, OUT items_done bigint, OUT items_failed bigint, OUT retries bigint,
  OUT rate_limited bigint, OUT orphans_rescued bigint, OUT late_results_rejected bigint, OUT paid_results_lost bigint,
  OUT prompt_tokens bigint, OUT completion_tokens bigint,
  OUT latency_p50_ms bigint, OUT latency_p95_ms bigint, OUT latency_p99_ms bigint,
  OUT started_at timestamptz, OUT stats_since timestamptz)
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS 'MODULE_PATHNAME', 'product_optimizer_stats';
COMMENT ON FUNCTION optimizer_stats() IS
'One row about this database''s queue and worker. pending and scheduled are exact up to 1000 and estimates above; the counters count since stats_since (the first worker here after the server''s start); late_results_rejected are answers whose claim had ended, paid_results_lost those that could not be written until their worker stopped, or never can be; requests and tokens of the last minute are those of the busiest model, over all databases.';

CREATE FUNCTION optimizer_workers(
  OUT database name, OUT pid int, OUT state text, OUT state_reason text, OUT in_flight int, OUT last_error text,
  OUT started_at timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE ROWS 4
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_workers';
COMMENT ON FUNCTION optimizer_workers() IS
'A row per database of the cluster that has, or since the server''s start had, a worker; pid is NULL while none runs.';

CREATE VIEW job_progress WITH (security_invoker = true) AS
SELECT j.id AS job_id, j.instance_id, j.name,
       CASE WHEN j.cancelled_at IS NOT NULL AND c.pending + c.scheduled + c.running = 0 THEN 'CANCELLED'
            WHEN c.running > 0 THEN 'RUNNING'
            WHEN c.pending + c.scheduled > 0 THEN CASE WHEN c.done + c.failed > 0 THEN 'RUNNING' ELSE 'PENDING' END
            WHEN c.done > 0 THEN 'DONE'
            WHEN c.failed > 0 THEN 'FAILED'
            WHEN c.cancelled > 0 THEN 'CANCELLED'
            ELSE 'EMPTY' END AS status,
       c.total, c.pending, c.scheduled, c.running, c.done, c.failed, c.cancelled,
       CASE WHEN c.total > 0
            THEN round(100.0 * (c.done + c.failed + c.cancelled)::numeric / c.total::numeric, 1) ELSE 0 END AS percent,
       c.started_at,
       CASE WHEN c.pending + c.scheduled + c.running = 0 THEN c.finished_at END AS finished_at,
       -- None where it lies further ahead than 1e10 seconds, 317 years: a timestamp might not hold it.
       CASE WHEN c.pending + c.scheduled + c.running > 0 AND c.done + c.failed > 0
            THEN now() + make_interval(secs => nullif(least(1e10::float8,
                   extract(epoch FROM now() - c.started_at)::float8 * (c.pending + c.scheduled + c.running)::float8
                                                                    / (c.done + c.failed)::float8), 1e10::float8)) END AS eta
  FROM jobs j
 CROSS JOIN LATERAL (
       SELECT count(*) AS total,
              count(*) FILTER (WHERE i.status = 'PENDING') AS pending,
              count(*) FILTER (WHERE i.status = 'SCHEDULED') AS scheduled,
              count(*) FILTER (WHERE i.status = 'RUNNING') AS running,
              count(*) FILTER (WHERE i.status = 'DONE') AS done,
              count(*) FILTER (WHERE i.status = 'FAILED') AS failed,
              count(*) FILTER (WHERE i.status = 'CANCELLED') AS cancelled,
              min(i.started_at) AS started_at, max(i.finished_at) AS finished_at
         FROM job_items i WHERE i.job_id = j.id) c;
COMMENT ON VIEW job_progress IS
'Per job: status, counts per status, percent finished, started and finished, and when it will be done at the pace so far (NULL: not in 300 years). DONE when no item waits or runs and at least one is DONE; FAILED when all of them failed. Counts the job''s items: its cost is their number.';

CREATE FUNCTION optimizer_paused() RETURNS boolean
LANGUAGE C STABLE PARALLEL RESTRICTED
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_paused';
COMMENT ON FUNCTION optimizer_paused() IS
'Whether optimizer_pause() holds the queue of this database. store_progress reads it so: homes is read with the rights of its owner, not of whoever reads the view.';

CREATE VIEW store_progress WITH (security_invoker = true) AS
SELECT c.*,
       now() - c.oldest_pending_at AS oldest_wait,
       CASE WHEN c.pending + c.scheduled = 0 THEN NULL
            WHEN (SELECT optimizer_paused()) THEN 'worker paused'
            WHEN s.paused THEN 'store paused'
            WHEN c.pending = 0 THEN 'run_after'
            WHEN s.max_in_flight <= c.running THEN 'max_in_flight'
            WHEN s.requests_per_minute IS NOT NULL OR s.tokens_per_minute IS NOT NULL THEN 'its own or the shared rate limit'
            ELSE 'its turn, at the shared rate limit' END AS held_by
  FROM (SELECT i.instance_id,
               count(*) FILTER (WHERE i.status = 'PENDING') AS pending,
               count(*) FILTER (WHERE i.status = 'SCHEDULED') AS scheduled,
               count(*) FILTER (WHERE i.status = 'RUNNING') AS running,
               count(*) FILTER (WHERE i.status = 'DONE') AS done,
               count(*) FILTER (WHERE i.status = 'FAILED') AS failed,
               count(*) FILTER (WHERE i.status = 'CANCELLED') AS cancelled,
               min(i.created_at) FILTER (WHERE i.status = 'PENDING') AS oldest_pending_at
          FROM job_items i GROUP BY i.instance_id) c
  LEFT JOIN stores s USING (instance_id);
COMMENT ON VIEW store_progress IS
'Per store: counts per status, how long its oldest item has waited, what holds it back. Reads the whole table.';

CREATE FUNCTION why_waiting(item_id bigint) RETURNS text
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS 'MODULE_PATHNAME', 'product_optimizer_why_waiting';
COMMENT ON FUNCTION why_waiting(bigint) IS
'In words: which gate holds an item, and when it will run. Raises 22004 for NULL, 22023 for an unknown id.';
