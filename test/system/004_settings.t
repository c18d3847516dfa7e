# 004_settings.t: every setting takes effect on reload.
use strict;
use warnings FATAL => 'all';
use IO::Socket::INET;
use MockOpenai;
use ProductOptimizer;
use RequestRecorder;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $recorder = RequestRecorder->new;
my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('settings', $recorder->url, settings => { heartbeat_interval => 0, stats_log_interval => 0 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);
my $number = 0;

# The request that an item makes under the settings of now.
sub request_of_item
{
	my $title = 'Recorded ' . ++$number . '.';
	insert_item($node, qq({"title": "$title"}));
	all_finished($node);
	my ($request) = grep { ($_->{body}{messages} ? $_->{body}{messages}[1]{content} : $_->{body}{input}) =~ /\Q$title\E/ } $recorder->requests;
	return $request // { body => {}, headers => {} };
}

# What of the body's member a setting makes.
sub makes
{
	my ($setting, $value, $member, $wanted) = @_;
	configure($node, $setting => $value);
	my $got = request_of_item()->{body};
	is_deeply($got->{$member}, $wanted, "$setting = " . ($value // 'default')) or diag(explain($got));
	return;
}

my $request = request_of_item();
is($request->{path}, '/v1/chat/completions', 'the path below api_base_url');
is($request->{headers}{authorization}, "Bearer $key", 'the key is a bearer token');
is($request->{headers}{'content-type'}, 'application/json', 'the body is JSON');
is_deeply([ sort keys %{ $request->{body} } ], [qw(max_completion_tokens messages model response_format store)],
	'nothing is sent that nobody asked for');
is($request->{body}{messages}[0]{role}, 'developer', 'the instructions are the developer message');

makes(model => 'gpt-4o-mini', model => 'gpt-4o-mini');
makes(model => undef, model => 'gpt-5-mini');
makes(max_output_tokens => 1234, max_completion_tokens => 1234);
makes(max_tokens_param => 'max_tokens', max_tokens => 1234);
configure($node, max_tokens_param => undef, max_output_tokens => undef);
makes(reasoning_effort => 'minimal', reasoning_effort => 'minimal');
makes(reasoning_effort => undef, reasoning_effort => undef);
makes(service_tier => 'flex', service_tier => 'flex');
makes(service_tier => undef, service_tier => undef);
makes(extra_body => '{"verbosity": "low", "metadata": {"shop": "Zoë\'s"}}', metadata => { shop => "Zo\x{eb}'s" });
makes(extra_body => undef, metadata => undef);
configure($node, instructions => "Write like a pirate.\nAlways \"Arr\".");
$request = request_of_item();
is($request->{body}{messages}[0]{content}, "Write like a pirate.\nAlways \"Arr\".", 'instructions');
is($request->{body}{response_format}, undef, 'own instructions without a schema ask for what they say');
configure($node, instructions => undef, api => 'responses', max_output_tokens => 500, reasoning_effort => 'low');
$request = request_of_item();
is($request->{path}, '/v1/responses', 'api = responses');
is_deeply([ @{ $request->{body} }{qw(max_output_tokens store)}, $request->{body}{reasoning}{effort} ], [ 500, JSON::PP::false, 'low' ],
	'and its names of the parameters');
configure($node, api => undef, max_output_tokens => undef, reasoning_effort => undef, api_base_url => $recorder->url . '/deeper/');
is(request_of_item()->{path}, '/v1/deeper/chat/completions', 'api_base_url, its last slash or not');
(my $localhost = $recorder->url) =~ s/127\.0\.0\.1/localhost/;
configure($node, api_base_url => $localhost);
is(request_of_item()->{path}, '/v1/chat/completions', 'plain http to localhost is allowed');
configure($node, api_base_url => $recorder->url);

# The key, and keys in files.
configure($node, api_key => 'sk-rotated-key-1');
is(request_of_item()->{headers}{authorization}, 'Bearer sk-rotated-key-1', 'api_key is rotated by a reload');
my $file = $node->basedir . '/key';
append_to_file($file, "sk-from-file-1\n");
chmod 0600, $file;
configure($node, api_key => undef, api_key_file => $file);
is(request_of_item()->{headers}{authorization}, 'Bearer sk-from-file-1', 'api_key_file');
unlink $file;
append_to_file($file, 'sk-from-file-2');
chmod 0600, $file;
configure($node);
is(request_of_item()->{headers}{authorization}, 'Bearer sk-from-file-2', 'its content is read again by a reload');
for my $trouble (
	[ 'readable by others', sub { chmod 0644, $file }, sub { chmod 0600, $file } ],
	[ 'missing', sub { rename $file, "$file.away" }, sub { rename "$file.away", $file } ])
{
	my ($name, $break, $mend) = @$trouble;
	$break->();
	configure($node);
	insert_item($node, '{"title": "Waits for a key."}');
	wait_for($node, "a key file that is $name blocks the queue",
		q{SELECT worker_state = 'blocked' AND state_reason LIKE '%api_key_file%' FROM optimizer_stats()}, seconds => 15);
	is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'PENDING' AND attempts = 0}), 1, 'its rows wait');
	$mend->();
	configure($node);
	all_finished($node, name => "and a reload mends that");
}
configure($node, api_key => $key, api_key_file => undef);

# From here on the mock answers.
sub insert_many
{
	my ($count, $store) = @_;
	$node->safe_psql('postgres', "INSERT INTO job_items (instance_id, payload) SELECT '" . ($store // 'store-a')
		  . "', jsonb_build_object('title', 'Many ' || n || '.') FROM generate_series(1, $count) n");
	return;
}

sub fresh
{
	my (%settings) = @_;
	configure($node, api_base_url => $mock->url, %settings);
	$node->safe_psql('postgres', 'TRUNCATE job_items');
	$mock->release;
	$mock->reset;
	return;
}

# Limits, lower and higher.
fresh(requests_per_minute => 600, burst_seconds => 0.1);
insert_many(15);
wait_for($node, 'a lower requests_per_minute throttles', q{SELECT worker_state = 'throttled' AND requests_per_minute = 600
  AND state_reason LIKE 'requests_per_minute of gpt-5-mini%' FROM optimizer_stats()});
all_finished($node);
my $audit = $mock->audit(rpm => 600, period => 60, burst_seconds => 0.1 + 0.3);
ok($audit->{ok} && $audit->{arrivals} == 15, 'and holds it') or diag(explain($audit));
configure($node, requests_per_minute => 30);
insert_many(200);
wait_for($node, 'a still lower one', q{SELECT worker_state = 'throttled' AND requests_per_minute = 30 FROM optimizer_stats()});
cmp_ok(status_counts($node)->{PENDING}, '>', 150, 'lets hardly anything through');
configure($node, requests_per_minute => 60000, burst_seconds => 6);
is_deeply(all_finished($node), { DONE => 215 }, 'a higher one lets it all through');
fresh(tokens_per_minute => 60000, burst_seconds => 6);
insert_many(30);
wait_for($node, 'tokens_per_minute throttles', q{SELECT worker_state = 'throttled' AND tokens_per_minute = 60000
  AND state_reason LIKE 'tokens_per_minute of gpt-5-mini%' FROM optimizer_stats()});
configure($node, tokens_per_minute => 200000000);
is_deeply(all_finished($node), { DONE => 30 }, 'and a higher one lets it all through');
cmp_ok($node->safe_psql('postgres', 'SELECT requests_available FROM optimizer_rate_limits() WHERE model = $$gpt-5-mini$$'), '>', 1000, 'burst_seconds = 6 saves up');
configure($node, burst_seconds => 0.5);
cmp_ok($node->safe_psql('postgres', 'SELECT requests_available FROM optimizer_rate_limits() WHERE model = $$gpt-5-mini$$'), '<=', 500, 'a smaller one less');
configure($node, burst_seconds => 6);

# max_in_flight, up and down.
fresh(max_in_flight => 5);
$mock->config(hang => \1);
insert_many(60);
wait_until('max_in_flight = 5', sub { $mock->stats->{hanging} == 5 });
configure($node, max_in_flight => 12);
wait_until('max_in_flight = 12', sub { $mock->stats->{hanging} == 12 });
is(status_counts($node)->{RUNNING}, 12, 'and no row more is claimed');
configure($node, max_in_flight => 3);
$mock->config(latency_ms => '5');
$mock->release;
all_finished($node);
$mock->reset;
insert_many(30);
all_finished($node);
is($mock->stats->{max_in_flight}, 3, 'max_in_flight = 3');
$mock->config(latency_ms => '0');

# How much is claimed at once.
for my $case ([ claim_batch_size => 4, 5 ], [ claim_per_store => 2, 10 ])
{
	my ($setting, $value, $least) = @$case;
	fresh(max_in_flight => 256, $setting => $value);
	my $before = stats($node, 'claims');
	insert_many(20);
	all_finished($node);
	cmp_ok(stats($node, 'claims') - $before, '>=', $least, "$setting = $value");
	configure($node, $setting => undef);
}

# Timeouts.  A listener whose queue is full lets nobody connect.
fresh(request_timeout => '300ms');
my $id = insert_item($node, '{"title": "Slow.", "mock": "hang"}', max_attempts => 1);
all_finished($node);
is($node->safe_psql('postgres', "SELECT status, error_code, error ~ '300 ms' FROM job_items WHERE id = $id"), 'FAILED|timeout|t', 'request_timeout');
my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Proto => 'tcp') or die;
my @fillers = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport, Blocking => 0) } 1 .. 4;
configure($node, request_timeout => undef, connect_timeout => '150ms', api_base_url => 'http://127.0.0.1:' . $listener->sockport . '/v1');
$id = insert_item($node, '{"title": "Unreachable."}', max_attempts => 1);
all_finished($node);
is($node->safe_psql('postgres', "SELECT status, error_code, error ~ '150 ms' FROM job_items WHERE id = $id"), 'FAILED|timeout|t', 'connect_timeout');
close $listener;
fresh(connect_timeout => undef, max_attempts => 3);
$id = insert_item($node, '{"title": "Failing.", "mock": "http_500"}');
all_finished($node);
is($node->safe_psql('postgres', "SELECT status, attempts FROM job_items WHERE id = $id"), 'FAILED|3', 'max_attempts');

# What nobody announced is found by the poll; a lease that expired, by the rescan.
fresh(max_attempts => undef, poll_interval => '100ms', rescan_interval => '1h');
$node->safe_psql('postgres', q{SET session_replication_role = replica; INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "Silent."}')});
is_deeply(all_finished($node), { DONE => 1 }, 'poll_interval');
configure($node, poll_interval => '1h');
$node->safe_psql('postgres', <<'SQL');
BEGIN;
INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "Claimed by somebody else."}');
SELECT FROM claim_pending_items(1, 1, '1 ms');
COMMIT;
SQL
configure($node, rescan_interval => '1s');
is_deeply(all_finished($node), { DONE => 2 }, 'rescan_interval');
is($node->safe_psql('postgres', 'SELECT max(attempts) FROM job_items'), 2, 'after the claim of the other one had expired');

# The log's intervals, and hostile store names in it.
my $offset = -s $node->logfile;
configure($node, heartbeat_interval => '100ms', stats_log_interval => '1h');
wait_until('heartbeat_interval', sub { log_lines($node, qr/heartbeat: /, $offset) > 2 });
is(scalar(() = log_lines($node, qr/connections: /, $offset)), 0, 'each line has its own');
configure($node, heartbeat_interval => 0, stats_log_interval => '100ms');
$offset = -s $node->logfile;
wait_until('stats_log_interval', sub { log_lines($node, qr/connections: /, $offset) > 2 });
cmp_ok(scalar(() = log_lines($node, qr/heartbeat: /, $offset)), '<=', 1, 'heartbeat_interval = 0 is never');
configure($node, stats_log_interval => 0);
fresh();
$offset = -s $node->logfile;
$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload)
  SELECT unnest(ARRAY[E'evil\nLOG:  forged\x1b[31m', 'f' || repeat('ü', 254)] || (SELECT array_agg('z' || n) FROM generate_series(10, 39) n)), '{"title": "x"}'});
all_finished($node);
wait_until('hostile store names are logged', sub { log_lines($node, qr/claimed \d+ items from \d+ stores: .*\bevil .*, and 1[23] more$/, $offset) },
	seconds => 10, explain => sub { diag(join "\n", log_lines($node, qr/claimed/, $offset)) });
my ($line) = log_lines($node, qr/claimed .*\bevil /, $offset); # beside what was claimed in the same second
unlike($line // '', qr/[\x00-\x1f\x7f]/, 'without control bytes, in one line');
like($line // '', qr/, f(?:ü){61,63}(?:…|\.\.\.)? 1/, 'and cut at 64 characters');
unlike($line // '', qr/f(?:ü){64}/, 'but not later');

done_testing();
