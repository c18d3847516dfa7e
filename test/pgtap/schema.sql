-- The surface that apps, tests and dashboards rely on: names, types, defaults, keys, indexes.
BEGIN;
SELECT no_plan();
SELECT extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'product_optimizer' \gset

SELECT has_extension('product_optimizer');
SELECT tables_are(:'schema'::name, ARRAY(
  SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = :'schema'::regnamespace
     AND (c.relname IN ('job_items', 'jobs', 'stores', 'rate_limits', 'homes', 'store_access')
          OR NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                          WHERE d.objid = c.oid AND d.deptype = 'e' AND e.extname = 'product_optimizer'))),
  'no table but these six is ours');
SELECT has_view(:'schema'::name, v, v || ' is a view') FROM unnest(ARRAY['job_progress', 'store_progress']::name[]) v;

-- Columns: type, NOT NULL and default ('' = none).
CREATE TEMP TABLE wanted (t name, c name, type text, required boolean, fallback text);
INSERT INTO wanted VALUES
  ('job_items', 'id', 'bigint', true, ''), ('job_items', 'job_id', 'bigint', false, ''), ('job_items', 'instance_id', 'text', true, ''),
  ('job_items', 'product_id', 'text', false, ''), ('job_items', 'status', 'text', true, 'PENDING'),
  ('job_items', 'priority', 'smallint', true, '0'), ('job_items', 'payload', 'jsonb', true, ''),
  ('job_items', 'run_after', 'timestamp with time zone', false, ''), ('job_items', 'attempts', 'smallint', true, '0'),
  ('job_items', 'max_attempts', 'smallint', false, ''), ('job_items', 'claimed_by', 'text', false, ''),
  ('job_items', 'lease_expires_at', 'timestamp with time zone', false, ''), ('job_items', 'result', 'jsonb', false, ''),
  ('job_items', 'error', 'text', false, ''), ('job_items', 'error_code', 'text', false, ''), ('job_items', 'model', 'text', false, ''),
  ('job_items', 'prompt_tokens', 'integer', false, ''), ('job_items', 'completion_tokens', 'integer', false, ''),
  ('job_items', 'created_at', 'timestamp with time zone', true, 'now()'),
  ('job_items', 'started_at', 'timestamp with time zone', false, ''), ('job_items', 'finished_at', 'timestamp with time zone', false, ''),
  ('jobs', 'id', 'bigint', true, ''), ('jobs', 'instance_id', 'text', false, ''), ('jobs', 'name', 'text', false, ''),
  ('jobs', 'instructions', 'text', false, ''), ('jobs', 'response_schema', 'jsonb', false, ''), ('jobs', 'model', 'text', false, ''),
  ('jobs', 'params', 'jsonb', false, ''), ('jobs', 'created_at', 'timestamp with time zone', true, 'now()'),
  ('jobs', 'cancelled_at', 'timestamp with time zone', false, ''),
  ('stores', 'instance_id', 'text', true, ''), ('stores', 'weight', 'real', true, '1'), ('stores', 'max_in_flight', 'integer', false, ''),
  ('stores', 'requests_per_minute', 'integer', false, ''), ('stores', 'tokens_per_minute', 'integer', false, ''),
  ('stores', 'paused', 'boolean', true, 'false'), ('stores', 'max_pending', 'integer', false, ''),
  ('rate_limits', 'model', 'text', true, ''), ('rate_limits', 'requests_per_minute', 'integer', false, ''),
  ('rate_limits', 'tokens_per_minute', 'integer', false, '');
SELECT col_type_is(:'schema'::name, t, c, 'pg_catalog'::name, type, format('%s.%s is %s', t, c, type)) FROM wanted;
SELECT CASE WHEN required THEN col_not_null(:'schema'::name, t, c, format('%s.%s is NOT NULL', t, c))
            ELSE col_is_null(:'schema'::name, t, c, format('%s.%s may be NULL', t, c)) END FROM wanted;
SELECT CASE WHEN fallback = '' THEN col_hasnt_default(:'schema'::name, t, c, format('%s.%s has no default', t, c))
            ELSE col_default_is(:'schema'::name, t, c, fallback, format('%s.%s defaults to %s', t, c, fallback)) END FROM wanted;
SELECT is((SELECT attidentity::text FROM pg_attribute WHERE attrelid = format('%I.%I', :'schema', t)::regclass AND attname = 'id'), 'd',
          t || '.id is an identity that lets a restore choose') FROM unnest(ARRAY['job_items', 'jobs']) t;

SELECT col_is_pk(:'schema'::name, 'job_items'::name, 'id'::name, 'job_items has the primary key id');
SELECT col_is_pk(:'schema'::name, 'jobs'::name, 'id'::name, 'jobs has the primary key id');
SELECT col_is_pk(:'schema'::name, 'stores'::name, 'instance_id'::name, 'stores has the primary key instance_id');
SELECT col_is_pk(:'schema'::name, 'rate_limits'::name, 'model'::name, 'rate_limits has the primary key model');
SELECT fk_ok(:'schema'::name, 'job_items'::name, 'job_id'::name, :'schema'::name, 'jobs'::name, 'id'::name);
SELECT is((SELECT confdeltype::text FROM pg_constraint WHERE conrelid = format('%I.job_items', :'schema')::regclass AND contype = 'f'), 'c',
          'the items go with their job');

-- The indexes of the contract: by name, columns and predicate.
SELECT has_index(:'schema'::name, 'job_items'::name, 'idx_job_items_status_id'::name, ARRAY['id']::name[], 'the oldest first');
SELECT has_index(:'schema'::name, 'job_items'::name, 'idx_job_items_instance_status_id'::name,
                 ARRAY['instance_id', 'priority', 'id']::name[], 'the claim''s own');
SELECT is((SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = format('%I.%I', :'schema', i)::regclass),
          '(status = ''PENDING''::text)', i || ' holds what waits, and nothing else')
  FROM unnest(ARRAY['idx_job_items_status_id', 'idx_job_items_instance_status_id']) i;
SELECT is((SELECT indisvalid AND NOT indisunique FROM pg_index WHERE indexrelid = format('%I.%I', :'schema', i)::regclass), true, i || ' is valid')
  FROM unnest(ARRAY['idx_job_items_status_id', 'idx_job_items_instance_status_id']) i;
SELECT has_trigger(:'schema'::name, 'job_items'::name, t, t || ' is on job_items') FROM unnest(ARRAY['unpack_payload', 'zz_schedule_item', 'zz_requeue_item', 'note_arrivals', 'wake_worker']::name[]) t;

-- The functions: arguments and what they return.
SELECT has_function(:'schema'::name, f, args::name[], format('%s(%s)', f, array_to_string(args, ', ')))
  FROM (VALUES ('claim_pending_items'::name, ARRAY['integer', 'integer', 'interval']),
               ('complete_item', ARRAY['bigint', 'integer', 'jsonb', 'integer', 'integer']),
               ('fail_item', ARRAY['bigint', 'integer', 'text', 'boolean', 'interval']), ('release_item', ARRAY['bigint', 'integer']),
               ('try_acquire', ARRAY['integer', 'text', 'integer']), ('settle_tokens', ARRAY['integer', 'integer', 'text']),
               ('optimizer_stats', ARRAY[]::text[]), ('optimizer_rate_limits', ARRAY[]::text[]), ('optimizer_workers', ARRAY[]::text[]),
               ('optimizer_pause', ARRAY['text']), ('optimizer_resume', ARRAY[]::text[]), ('cancel_job', ARRAY['bigint']),
               ('retry_failed', ARRAY['bigint', 'text']), ('why_waiting', ARRAY['bigint'])) v(f, args);
SELECT function_returns(:'schema'::name, f, returns, f || ' returns ' || returns)
  FROM (VALUES ('claim_pending_items'::name, 'setof job_items'), ('complete_item', 'boolean'), ('fail_item', 'text'), ('release_item', 'boolean'),
               ('settle_tokens', 'void'), ('cancel_job', 'bigint'), ('retry_failed', 'bigint'), ('why_waiting', 'text'),
               ('optimizer_pause', 'void'), ('optimizer_resume', 'void')) v(f, returns);
SELECT volatility_is(:'schema'::name, f, 'volatile', f || ' is volatile')
  FROM unnest(ARRAY['claim_pending_items', 'complete_item', 'fail_item', 'release_item', 'try_acquire', 'optimizer_stats']::name[]) f;
SELECT ok((SELECT NOT proisstrict FROM pg_proc WHERE oid = f), f || ' answers NULL with an error, not with NULL')
  FROM unnest(ARRAY['claim_pending_items', 'complete_item', 'fail_item', 'release_item', 'try_acquire', 'settle_tokens', 'cancel_job', 'why_waiting']) n,
       LATERAL (SELECT oid::regproc AS f FROM pg_proc WHERE proname = n AND pronamespace = :'schema'::regnamespace) p;

-- optimizer_stats(): the columns that dashboards read, at least.
SELECT ok(c = ANY ((SELECT proargnames FROM pg_proc WHERE proname = 'optimizer_stats' AND pronamespace = :'schema'::regnamespace)::text[]),
          'optimizer_stats() has ' || c)
  FROM unnest(ARRAY['worker_state', 'state_reason', 'pending', 'scheduled', 'in_flight', 'connections_open', 'connections_idle',
    'requests_last_minute', 'requests_per_minute', 'rpm_percent', 'tokens_last_minute', 'tokens_per_minute', 'tpm_percent', 'claims',
    'items_done', 'items_failed', 'retries', 'rate_limited', 'orphans_rescued', 'late_results_rejected', 'paid_results_lost', 'prompt_tokens',
    'completion_tokens', 'latency_p50_ms', 'latency_p95_ms', 'latency_p99_ms', 'started_at', 'stats_since']) c;

SELECT is((SELECT count(*) FROM pg_settings WHERE name IN ('product_optimizer.api_key', 'product_optimizer.proxy')), 0::bigint,
          'the key and the proxy are not even listed');
-- The settings: every one of the contract, with its default unless this server's configuration says otherwise.
SELECT is(CASE WHEN s.name IS NOT NULL THEN coalesce(s.boot_val, '') END, v.boot, 'product_optimizer.' || v.name || ' has its default')
  FROM (VALUES ('api_base_url', 'https://api.openai.com/v1'), ('api_key_file', ''), ('api', 'chat_completions'), ('model', 'gpt-5-mini'),
               ('max_output_tokens', '900'), ('requests_per_minute', '450'), ('tokens_per_minute', '450000'), ('burst_seconds', '6'),
               ('max_in_flight', '256'), ('claim_batch_size', '100'), ('claim_per_store', '20'), ('poll_interval', '2000'),
               ('connect_timeout', '5000'), ('request_timeout', '120000'), ('max_attempts', '5'), ('retry_base_delay', '1000'),
               ('retry_max_delay', '60000'), ('max_response_bytes', '4194304'), ('heartbeat_interval', '30000'),
               ('stats_log_interval', '60000'), ('rescan_interval', '30000'), ('max_databases', '16'), ('role', ''), ('allow_plain_http', 'off'), ('ca_file', '')) v(name, boot)
  LEFT JOIN pg_settings s ON s.name = 'product_optimizer.' || v.name;
SELECT is(context, CASE name WHEN 'product_optimizer.max_databases' THEN 'postmaster' ELSE 'sighup' END, name || ' takes effect as promised')
  FROM pg_settings WHERE name LIKE 'product_optimizer.%' ORDER BY name;

SELECT * FROM finish();
ROLLBACK;
