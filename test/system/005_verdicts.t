# 005_verdicts.t: what each kind of answer does to its item, and to nobody else's.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none', '--latency-ms', '1-10');
my $node = start_cluster('verdicts', $mock->url,
	settings => { max_attempts => 3, request_timeout => '2s', max_response_bytes => '256kB', max_in_flight => 64 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);

# fault => status, attempts, error_code, error; of an item that may be tried three times.
my $again = [ 'DONE', 2 ];
my %verdict = (
	'http_500*1' => $again, 'http_502_html*1' => $again, 'http_503*1' => $again, 'http_504*1' => $again,
	'http_408*1' => $again, 'http_409*1' => $again, 'drop*1' => $again, 'cut*2' => [ 'DONE', 3 ],
	'garbage*1' => $again, 'empty*1' => $again, 'length*1' => $again,
	'http_500' => [ 'FAILED', 3, qr/^server_error$/, qr/^HTTP 500: .*/ ],
	'http_502_html' => [ 'FAILED', 3, qr/^http_502$/, qr/^HTTP 502: / ],
	'http_503' => [ 'FAILED', 3, qr/^server_is_overloaded$/, qr/^HTTP 503: / ],
	'failed' => [ 'FAILED', 3, qr/^server_error$/, qr/failed to generate/ ],
	'bad_request' => [ 'FAILED', 1, qr/^\w+$/, qr/^HTTP 400: / ],
	'too_large' => [ 'FAILED', 1, qr/^rate_limit_exceeded$/, qr/Request too large/ ],
	'refusal' => [ 'FAILED', 1, qr/^refusal$/, qr/can't help with that/ ],
	'content_filter' => [ 'FAILED', 1, qr/^content_filter$/, qr/./ ],
	'length' => [ 'FAILED', 2, qr/^length$/, qr/./ ],
	'drop' => [ 'FAILED', 3, qr/^connection_lost$/, qr/connection/ ],
	'cut' => [ 'FAILED', 3, qr/^connection_lost$/, qr/before the reply was whole/ ],
	'hang' => [ 'FAILED', 3, qr/^timeout$/, qr/within 2000 ms/ ],
	'trickle' => [ 'FAILED', 3, qr/^timeout$/, qr/within 2000 ms/ ],
	'endless' => [ 'FAILED', 3, qr/^response_too_large$/, qr/larger than allowed/ ],
	(map { $_ => [ 'FAILED', 3, qr/^invalid_\w+$/, qr/\w+ \w+ \w+/ ] } qw(garbage html empty deep wrong_types)),
	'deep_content' => [ 'DONE', 1 ],    # no JSON that can be kept as such: it stays the text that it is
	'unicode' => [ 'DONE', 1 ], 'control_chars' => [ 'DONE', 1 ], 'bad_utf8' => [ 'DONE', 1 ], 'nul' => [ 'DONE', 1 ],
	'no_usage' => [ 'DONE', 1 ], 'huge_usage' => [ 'DONE', 1 ], 'huge_numbers' => [ 'DONE', 1 ]);

for my $api ('chat_completions', 'responses')
{
	configure($node, api => $api);
	$node->safe_psql('postgres', 'TRUNCATE job_items');
	my %id = map { $_ => insert_item($node, qq({"title": "$api, faulty.", "mock": "$_"}), instance_id => 'faulty-' . length) } sort keys %verdict;
	$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload)
	  SELECT 'healthy-' || n % 3, jsonb_build_object('title', 'Healthy ' || n || '.') FROM generate_series(1, 150) n});
	all_finished($node);
	for my $fault (sort keys %verdict)
	{
		my ($status, $attempts, $code, $error) = @{ $verdict{$fault} };
		my $row = $node->safe_psql('postgres', "SELECT status, attempts, error_code, error FROM job_items WHERE id = $id{$fault}");
		my ($got_status, $got_attempts, $got_code, $got_error) = split /\|/, $row, 4;
		ok( $got_status eq $status && $got_attempts == $attempts && (!$code || $got_code =~ $code && $got_error =~ $error),
			"$api: $fault ends $status after $attempts") or diag("got $row");
	}
	my %sent;
	for my $arrival (grep { $_->{user} =~ /\Q$api\E, faulty/ } $mock->log) { $sent{$1}++ if $arrival->{user} =~ /"mock": ?"([^"]+)"/ }
	is_deeply(\%sent, { map { split /\|/ } split /\n/, $node->safe_psql('postgres', q{SELECT payload->>'mock', attempts FROM job_items WHERE payload ? 'mock'}) },
		"$api: each is sent once per attempt");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE instance_id LIKE 'healthy%' AND status = 'DONE' AND attempts = 1}),
		150, "$api: healthy items beside them are all DONE at once");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'DONE'
	  AND (result IS NULL OR jsonb_typeof(result) <> CASE WHEN payload->>'mock' = 'deep_content' THEN 'string' ELSE 'object' END OR error IS NOT NULL OR claimed_by IS NOT NULL OR finished_at IS NULL)}),
		0, "$api: what is DONE has a result and no error");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'FAILED'
	  AND (result IS NOT NULL OR error IS NULL OR error ~ '[[:cntrl:]]' OR octet_length(error) > 1000 OR error_code !~ '^[a-z0-9_]{1,64}$')}),
		0, "$api: what is FAILED has one line of error, a code and no result");
	my @caps = map { $_->{tokens} } grep { $_->{user} =~ /\Q$api\E/ } $mock->log(contains => 'length*1');
	is_deeply(\@caps, [ 900, 1800 ], "$api: a cut answer is asked for again with a larger cap");
	is($node->safe_psql('postgres', "SELECT count(prompt_tokens), count(completion_tokens) FROM job_items WHERE id IN ($id{no_usage}, $id{huge_usage})"),
		'0|0', "$api: no usage, or nonsense, is unknown");
}
is(worker_pid($node), $pid, 'it was the same worker all the time');
is(stats($node, 'in_flight'), 0, 'and nothing is left in flight');

# 20 MB take the mock, which serves one after the other, longer than the others are ready to wait.
configure($node, api => undef, request_timeout => '30s');
my $big = insert_item($node, '{"title": "Big.", "mock": "big"}', max_attempts => 1);
all_finished($node);
is($node->safe_psql('postgres', "SELECT status, error_code FROM job_items WHERE id = $big"), 'FAILED|response_too_large', 'a whole answer that is too large');
configure($node, request_timeout => '2s');

# Rows that cannot pass, and odd ones that can.
$node->safe_psql('postgres', 'TRUNCATE job_items');
my %odd = (
	'1 MB' => [ q{jsonb_build_object('title', repeat('x', 1000000))}, qr/^FAILED\|1\|context_length_exceeded/ ],
	'a number' => [ q{'42'}, qr/^DONE\|1\|/ ], 'null' => [ q{'null'}, qr/^DONE\|1\|/ ], 'a text' => [ q{'"A mug."'}, qr/^DONE\|1\|/ ],
	'an array' => [ q{'[1, "two", null]'}, qr/^DONE\|1\|/ ], 'a huge number' => [ q{('{"title": "x", "n": ' || repeat('9', 500) || '}')::jsonb}, qr/^DONE\|1\|/ ],
	'5,000 levels' => [ q{(repeat('[', 5000) || repeat(']', 5000))::jsonb}, qr/^FAILED\|1\|invalid_payload/ ]);
for my $name (sort keys %odd)
{
	my ($payload, $wanted) = @{ $odd{$name} };
	my $id = $node->safe_psql('postgres', "INSERT INTO job_items (instance_id, payload) VALUES ('odd', $payload) RETURNING id");
	all_finished($node);
	like($node->safe_psql('postgres', "SELECT status, attempts, error_code FROM job_items WHERE id = $id"), $wanted, "payload: $name");
}

# The server's own limit: a hold-off costs no attempt.
for my $fault ('rate_limit', 'slow_down')
{
	my $before = stats($node, 'rate_limited');
	my $id = insert_item($node, qq({"title": "Limited.", "mock": "$fault*1"}));
	all_finished($node);
	is($node->safe_psql('postgres', "SELECT status, attempts FROM job_items WHERE id = $id"), 'DONE|1', "$fault costs no attempt");
	is(stats($node, 'rate_limited') - $before, 1, "$fault is counted");
	my @arrivals = $mock->log(contains => "$fault*1");
	cmp_ok($arrivals[1]{t} - $arrivals[0]{t}, '>=', $fault eq 'slow_down' ? 500000 : 300000, "$fault is obeyed");
}
cmp_ok($node->safe_psql('postgres', q{SELECT effective_share FROM optimizer_rate_limits() WHERE model = 'gpt-5-mini'}), '<', 1,
	'slow_down lowers the rate for a while');
{
	configure($node, retry_base_delay => '1s', retry_max_delay => '60s');
	my $id = insert_item($node, '{"title": "Never let in.", "mock": "rate_limit*6"}');
	all_finished($node);
	is($node->safe_psql('postgres', "SELECT status, attempts FROM job_items WHERE id = $id"), 'DONE|1', 'nor do six of them');
	my @arrivals = $mock->log(contains => 'rate_limit*6');
	cmp_ok($arrivals[6]{t} - $arrivals[5]{t}, '>=', 1_000_000, 'a server whose wait was obeyed in vain waits for our own back-off');
	configure($node, retry_base_delay => '50ms', retry_max_delay => '200ms');
}

# What no retry can mend blocks the queue: no attempt is lost, the reason is told, and it heals.
sub blocks
{
	my ($name, $break, $reason, $mend) = @_;
	$node->safe_psql('postgres', 'TRUNCATE job_items');
	my $payload = $break->() // '{}';
	insert_item($node, $payload);
	wait_for($node, "$name blocks the queue", "SELECT worker_state = 'blocked' AND state_reason ~ '$reason' FROM optimizer_stats()", seconds => 20);
	$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload) SELECT 'store-' || n, '{"title": "Waiting."}' FROM generate_series(1, 20) n});
	wait_for($node, "$name: no row loses an attempt", q{SELECT count(*) = 21 AND max(attempts) = 0 FROM job_items WHERE status = 'PENDING'}, seconds => 20);
	like($node->safe_psql('postgres', 'SELECT why_waiting(max(id)) FROM job_items'), qr/blocked: .*$reason/, "$name: why_waiting() tells");
	is(scalar(log_lines($node, qr/WARNING:  product_optimizer: the queue is blocked: .*$reason/) > 0), 1, "$name: the log tells");
	$mend->();
	is_deeply(all_finished($node), { DONE => 21 }, "$name: it goes on");
	is($node->safe_psql('postgres', 'SELECT max(attempts) FROM job_items'), 1, "$name: with the first attempt");
	return;
}

my $reload = sub { configure($node) };
blocks('a wrong key', sub { $mock->config(key => ['sk-the-new-one']); undef }, 'HTTP 401', sub { configure($node, api_key => 'sk-the-new-one') });
blocks('a key that is wrong for a while', sub { $mock->config(key => ['sk-another']); undef }, 'HTTP 401', sub { $mock->config(key => []) });
configure($node, api_key => $key);
blocks('no money', sub { '{"title": "Bill.", "mock": "insufficient_quota*1"}' }, 'HTTP 429', $reload);
blocks('no permission', sub { '{"title": "Forbidden.", "mock": "forbidden*1"}' }, 'HTTP 403', $reload);
blocks('a redirect', sub { '{"title": "Elsewhere.", "mock": "redirect*1"}' }, 'check the base URL', $reload);
blocks('a model that is gone', sub { configure($node, model => 'gpt-4-gone'); undef }, 'gpt-4-gone', sub { configure($node, model => undef) });
blocks('a wrong path', sub { configure($node, api_base_url => $mock->url . '/wrong'); undef }, 'check the base URL',
	sub { configure($node, api_base_url => $mock->url) });

# … but a model that only one job asks for fails that job's items only.
$node->safe_psql('postgres', 'TRUNCATE job_items');
$node->safe_psql('postgres', q{WITH job AS (INSERT INTO jobs (model) VALUES ('gpt-4-gone') RETURNING id)
  INSERT INTO job_items (job_id, instance_id, payload) SELECT CASE WHEN n % 4 = 0 THEN id END, 'store-' || n % 3, '{"title": "Of a job."}' FROM job, generate_series(1, 40) n});
is_deeply(all_finished($node), { DONE => 30, FAILED => 10 }, 'a job with a model that is gone fails alone');
is($node->safe_psql('postgres', q{SELECT DISTINCT error_code, attempts FROM job_items WHERE status = 'FAILED'}), 'model_not_found|1', 'with the reason');
is($node->safe_psql('postgres', q{SELECT retry_failed()}), 10, 'retry_failed() finds them');
all_finished($node);

is(worker_pid($node), $pid, 'it was the same worker all the time');
unlike(log_since($node), qr/PANIC|was terminated by signal/, 'nothing crashed');
key_never_logged($node);

done_testing();
