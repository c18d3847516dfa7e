-- limits.sql: the shared token bucket, for other code in the database and for external workers.

CREATE FUNCTION try_acquire(tokens int, model text DEFAULT NULL, requests int DEFAULT 1,
                            OUT granted boolean, OUT retry_after interval)
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_try_acquire';
COMMENT ON FUNCTION try_acquire(int, text, int) IS
'Takes requests (0 or more) and tokens (0 or more) from the bucket of a model (NULL: the setting''s) that all databases of the cluster share, both or none. retry_after is zero when granted, else how long to wait before the same call: exact, but for what the server has left and for the turn of others who wait. Raises 22004 for NULL tokens or requests, 22023 for a negative number, for more than the bucket can ever hold, or for a model of no or more than 200 bytes.';

CREATE FUNCTION settle_tokens(reserved int, used int, model text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_settle_tokens';
COMMENT ON FUNCTION settle_tokens(int, int, text) IS
'Replaces tokens reserved by try_acquire with those really used (each 0 or more). The rest goes back if this session took exactly so many in the last two minutes and has not settled them, and as far as the bucket would have held it; an excess is charged, up to a minute''s flow. Raises 22004 for NULL reserved or used, 22023 for a negative number or a model of no or more than 200 bytes.';

CREATE FUNCTION optimizer_rate_limits(
  OUT model text, OUT requests_per_minute int, OUT requests_last_minute bigint, OUT requests_available bigint,
  OUT tokens_per_minute int, OUT tokens_last_minute bigint, OUT tokens_available bigint,
  OUT effective_share double precision, OUT throttled_until timestamptz,
  OUT effective_requests_per_minute int, OUT effective_tokens_per_minute int,
  OUT server_requests_limit bigint, OUT server_requests_remaining bigint,
  OUT server_tokens_limit bigint, OUT server_tokens_remaining bigint,
  OUT server_told_at timestamptz, OUT server_followed boolean)
RETURNS SETOF record
LANGUAGE C VOLATILE ROWS 4
SET search_path = @extschema@, pg_temp
AS 'MODULE_PATHNAME', 'product_optimizer_rate_limits';
COMMENT ON FUNCTION optimizer_rate_limits() IS
'A row per model whose bucket was used since the server started (an idle one may be forgotten), and one named (all others) for models that found no place: its limits, what was used in the last 60 seconds over all databases, what could be taken now, the share of the limit that holds (below 1 after the server asked to slow down) and until when everything is held off; then the rates that this share leaves, and what the server''s x-ratelimit headers said last: its limits, what was left of them, and when. server_followed: they can be understood, and room is left for others who use the account.';
