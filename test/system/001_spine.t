# 001_spine.t: rows in, answers out, just in time, within the limit.
use strict;
use warnings FATAL => 'all';
use JSON::PP;
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The account of the brief, 500 requests and 500K tokens a minute of which 90 % are used, ten times as fast:
# its minute is six seconds.  The burst leaves room for what two busy cores do to arrival times.
my $mock = MockOpenai->new('--rpm', 500, '--tpm', 500000, '--period', 6, '--latency-ms', '20-120');
my $node = start_cluster('spine', $mock->url,
	settings => { requests_per_minute => 4500, tokens_per_minute => 4500000, burst_seconds => 0.3 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);

sub insert_products
{
	my ($api) = @_;
	$node->safe_psql('postgres', <<"SQL");
INSERT INTO job_items (instance_id, product_id, payload)
SELECT 'store-' || chr(97 + n % 4), '$api', jsonb_build_object('title', format('%s mug no. %s.', '$api', lpad(n::text, 4, '0')),
       'description', 'A mug. Its number is ' || n || '.')
  FROM generate_series(1, 400) n
SQL
	return;
}

my %path = (chat_completions => 'chat', responses => 'responses');
for my $api ('chat_completions', 'responses')
{
	configure($node, api => $api) if $api ne 'chat_completions';
	insert_products($api);
	is_deeply(all_finished($node), { DONE => $api eq 'responses' ? 800 : 400 }, "$api: 400 items over 4 stores end DONE");
	is($node->safe_psql('postgres', <<"SQL"), '400', "$api: each has the answer to its own product");
SELECT count(*) FROM job_items
 WHERE product_id = '$api' AND jsonb_typeof(result) = 'object'
   AND position(payload->>'title' in result->>'description') > 0
   AND result->>'title' <> '' AND result->>'seo_title' <> '' AND result->>'seo_description' <> ''
SQL
	is($node->safe_psql('postgres', <<"SQL"), '400|1|1|4', "$api: one attempt each, and everything about it is written");
SELECT count(*), min(attempts), max(attempts), count(DISTINCT instance_id) FROM job_items
 WHERE product_id = '$api' AND model = 'gpt-5-mini' AND prompt_tokens > 0 AND completion_tokens > 0 AND claimed_by IS NULL
   AND lease_expires_at IS NULL AND error IS NULL AND error_code IS NULL
   AND created_at <= started_at AND started_at <= finished_at
SQL
}
my $seen = $mock->stats;
is($seen->{requests}, 800, 'the API was asked 800 times');
is($seen->{rate_limited}, 0, 'and never had to say 429');
my $audit = $mock->audit(rpm => 4500 / 10, tpm => 4500000 / 10, burst_seconds => 0.3 + 0.3);
ok($audit->{ok}, 'every window of arrivals is within the limit') or diag(explain($audit));
cmp_ok($audit->{max_in_60s_requests}, '<=', 500, 'no window held more than the account allows');
is(stats($node, "items_done || ' ' || items_failed || ' ' || retries || ' ' || rate_limited || ' ' || pending || ' ' || in_flight"),
	'800 0 0 0 0 0', 'optimizer_stats() counted the same');
is(stats($node, 'prompt_tokens || $$ $$ || completion_tokens'),
	$node->safe_psql('postgres', 'SELECT sum(prompt_tokens) || $$ $$ || sum(completion_tokens) FROM job_items'),
	'and the tokens too');

# What a job sets holds for its items.
configure($node, api => 'chat_completions', requests_per_minute => 60000, tokens_per_minute => 200000000);
$mock->config(rpm => 0, tpm => 0);
for my $api ('chat_completions', 'responses')
{
	configure($node, api => $api) if $api ne 'chat_completions';
	my $cap = $api eq 'responses' ? 'max_output_tokens' : 'max_completion_tokens';
	my $id = $node->safe_psql('postgres', <<"SQL");
TRUNCATE job_items;
WITH job AS (
  INSERT INTO jobs (name, instructions, response_schema, model, params)
  VALUES ('with everything', 'Say what it is made of.',
          '{"type": "object", "properties": {"material": {"type": "string"}, "pieces": {"type": "integer"}},
            "required": ["material", "pieces"], "additionalProperties": false}',
          'gpt-4o-mini', '{"temperature": 0.2, "$cap": 77}') RETURNING id)
INSERT INTO job_items (job_id, instance_id, payload)
SELECT id, 'store-a', '{"title": "Bowl", "material": "oak from 1880", "pieces": 3}' FROM job RETURNING id
SQL
	all_finished($node);
	is($node->safe_psql('postgres', "SELECT status, result, model FROM job_items WHERE id = $id"),
		'DONE|{"pieces": 3, "material": "oak from 1880"}|gpt-4o-mini',
		"$api: a job's schema, instructions, model and params");
	my ($arrival) = $mock->log(contains => 'oak from 1880', from => 800);
	is("$arrival->{status} $arrival->{model}", '200 gpt-4o-mini', "$api: the model was asked for");

	$id = $node->safe_psql('postgres', <<'SQL');
WITH job AS (INSERT INTO jobs (instructions) VALUES ('Answer in plain text.') RETURNING id)
INSERT INTO job_items (job_id, instance_id, payload)
SELECT id, 'store-a', to_jsonb('Is "blue" a colour?' || chr(10) || 'Ünïcode too.') FROM job RETURNING id
SQL
	all_finished($node);
	is($node->safe_psql('postgres', "SELECT status, jsonb_typeof(result), result #>> '{}' FROM job_items WHERE id = $id"),
		qq{DONE|string|Answer to: Is "blue" a colour?\nÜnïcode too.}, "$api: plain text becomes a JSON string");
}

# Just in time: with no poll for an hour, an insert alone sends the worker off.
configure($node, api => 'chat_completions', poll_interval => '1h', rescan_interval => '1h');
$mock->config(latency_ms => '0');
$node->safe_psql('postgres', 'TRUNCATE job_items');
my @delays;
for my $n (1 .. 20)
{
	my $committed = $node->safe_psql('postgres', <<"SQL");
BEGIN;
INSERT INTO job_items (instance_id, payload) VALUES ('store-a', '{"title": "Idle probe $n."}');
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
COMMIT;
SQL
	last unless wait_for($node, "probe $n", "SELECT count(*) FROM job_items WHERE status = 'DONE'", expect => $n, quiet => 1);
	my ($arrival) = $mock->log(contains => "Idle probe $n.\"");
	push @delays, ($arrival->{t} - $committed) / 1000;
}
is(@delays, 20, 'every insert wakes the idle worker');
my $median = (sort { $a <=> $b } @delays)[ @delays / 2 ];
note("ms from just before the commit to the arrival: @delays");
cmp_ok($median, '<', 50, 'the first request leaves within 50 ms of the commit');

$node->safe_psql('postgres', <<'SQL');
COPY job_items (instance_id, payload) FROM STDIN;
store-c	{"title": "Copied one."}
store-c	{"title": "Copied two."}
\.
SQL
is_deeply(all_finished($node), { DONE => 22 }, 'COPY wakes the worker too');

# A transaction that rolls back sends nothing; one that is open is not seen.
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; INSERT INTO job_items (instance_id, payload) VALUES ('store-d', '{"title": "Not yet."}')});
$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload) VALUES ('store-d', '{"title": "Beside it."}')});
wait_for($node, 'an item beside an open insert is answered',
	q{SELECT status = 'DONE' FROM job_items WHERE payload->>'title' = 'Beside it.'});
is(scalar(() = $mock->log(contains => 'Not yet.')), 0, 'what is not committed is not sent');
$session->query_safe('COMMIT');
wait_for($node, 'and is sent at its commit', q{SELECT status = 'DONE' FROM job_items WHERE payload->>'title' = 'Not yet.'});
$session->quit;

# The log lines are those that the documentation shows.
configure($node, heartbeat_interval => '200ms', stats_log_interval => '200ms');
wait_until('claims are summed up, but none is left out', sub {
	my $logged = 0;
	$logged += $_ for map { /claimed (\d+) items?/ } log_lines($node, qr/: claimed/);
	return $logged == stats($node, 'items_claimed');
});
my $offset = -s $node->logfile;
$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload) SELECT unnest('{store-a,store-a,store-b}'::text[]), '{"title": "Logged."}'});
my %line = (
	claimed => qr/LOG:  product_optimizer: claimed 3 items from 2 stores: store-a 2, store-b 1$/,
	heartbeat => qr{LOG:  product_optimizer: heartbeat: (idle|running|throttled), pending \d+, in flight \d+, RPM \d+/60000 \(\d+\.\d%\), TPM \d+/200000000 \(\d+\.\d%\)$},
	connections => qr/LOG:  product_optimizer: connections: total \d+, idle \d+, waiting \d+$/);
for my $kind (sort keys %line)
{
	wait_until("the log has the line: $kind", sub { log_lines($node, $line{$kind}, $offset) },
		seconds => 20, explain => sub { diag(join "\n", log_lines($node, qr/product_optimizer: claimed/, $offset)) });
}
key_never_logged($node);

done_testing();
