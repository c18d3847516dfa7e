# 018_rows_or_settings.t: the same refusal on row after row: is it the rows, or is it the settings?
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none', '--latency-ms', '1-5');
my $node = start_cluster('refused', $mock->url, settings => { max_in_flight => 20 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);

# rows(40, '"mock": "bad_request"', job => 7, stores => 4)
sub rows
{
	my ($count, $more, %of) = @_;
	my $payload = '{"title": "Mug."' . ($more ? ", $more" : '') . '}';
	return $node->safe_psql('postgres', "INSERT INTO job_items (job_id, instance_id, payload)
		SELECT @{[ $of{job} // 'NULL' ]}, 'store-' || n % @{[ $of{stores} // 4 ]}, '$payload' FROM generate_series(1, $count) n");
}

sub fresh
{
	$node->safe_psql('postgres', 'TRUNCATE job_items');
	$mock->reset;
	return;
}

sub canaries { return scalar(() = $mock->log(contains => 'checks the settings')) }

my $blocked = q{SELECT worker_state = 'blocked' AND state_reason LIKE 'the API refuses these settings: HTTP 400: %temperature%' FROM optimizer_stats()};
my $untouched = q{SELECT string_agg(DISTINCT status || attempts || coalesce(error, ''), ' ') FROM job_items};

# A parameter that the model does not take, after a reload: nothing was answered with it yet.
configure($node, extra_body => '{"temperature": 0.2}');
rows(200);
wait_for($node, 'settings that the API refuses block the queue', $blocked);
wait_for($node, 'no row is lost', $untouched, expect => 'PENDING0');
cmp_ok($mock->stats->{requests}, '<=', 60, 'and hardly any was sent');
like($node->safe_psql('postgres', 'SELECT why_waiting(min(id)) FROM job_items'), qr/blocked: the API refuses these settings/, 'why_waiting() tells');
my $sent = $mock->stats->{requests};
wait_until('only the canary probes', sub { canaries() >= 2 });
is($mock->stats->{requests} - $sent, 1, 'no row is tried meanwhile');
configure($node, extra_body => undef);
is_deeply(all_finished($node), { DONE => 200 }, 'mended, it goes on');
is($node->safe_psql('postgres', 'SELECT max(attempts) FROM job_items'), 1, 'with the first attempt');

# The API changes its mind while the settings stay: some in a row are enough.
fresh();
rows(20);
all_finished($node, name => 'the settings have worked');
$mock->config(faults => { bad_request => 1 });
rows(200);
wait_for($node, 'a refusal of everything blocks the queue', q{SELECT worker_state = 'blocked' FROM optimizer_stats()});
wait_for($node, 'again no row is lost', q{SELECT count(*) FROM job_items WHERE status = 'PENDING' AND attempts = 0}, expect => 200);
$mock->config(faults => {});
is_deeply(all_finished($node), { DONE => 220 }, 'it heals by itself');

# What was sent before a reload says nothing of the settings after it.
fresh();
$mock->config(latency_ms => '2500');
rows(10);
wait_for($node, 'ten requests are in flight', q{SELECT in_flight = 10 FROM optimizer_stats()}, quiet => 1);
$mock->config(latency_ms => '1-5');
my $reload = -s $node->logfile;
configure($node, extra_body => '{"temperature": 0.2}');
rows(100);
wait_for($node, 'the new settings block the queue', $blocked);
wait_for($node, 'the answers to the former ones are written', q{SELECT count(*) FROM job_items WHERE status = 'DONE'}, expect => 10);
is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'PENDING' AND attempts = 0}), 100, 'and no row is lost to the new ones');
wait_until('the canary asks again', sub { canaries() >= 2 });
is(scalar(() = log_lines($node, qr/the queue is blocked/, $reload)), 1, 'which answers of before did not unblock');
configure($node, extra_body => undef);
is_deeply(all_finished($node), { DONE => 110 }, 'mended, it goes on');

# Rows that are at fault fail, however many there are, and block nobody.
for my $proven (0, 1)
{
	my $name = $proven ? 'settings that have worked' : 'new settings';
	fresh();
	configure($node);
	if ($proven) { rows(1); all_finished($node); }
	$mock->reset;
	my $offset = -s $node->logfile;
	rows(60, '"mock": "bad_request"', stores => 3);
	is_deeply(all_finished($node), { $proven ? (DONE => 1) : (), FAILED => 60 }, "$name: 60 rows at fault fail");
	is($mock->stats->{requests} - canaries(), 60, "$name: each was sent once");
	my $asked = canaries();
	ok($asked >= 1 && $asked <= 4, "$name: $asked canaries spoke for the settings");
	is($node->safe_psql('postgres', q{SELECT DISTINCT attempts FROM job_items}), 1, "$name: after one attempt");
	is(scalar(() = log_lines($node, qr/the queue is blocked/, $offset)), 0, "$name: nothing was blocked");
}
fresh();
rows(60, '"mock": "bad_request"', stores => 1);
rows(300, '', stores => 7);
is_deeply(all_finished($node), { DONE => 300, FAILED => 60 }, 'beside rows at fault the healthy ones are done');
cmp_ok(canaries(), '<=', 4, 'without asking again and again');

# A row at fault that comes alone does not wait long for company.
fresh();
configure($node);
rows(1);
all_finished($node);
rows(1, '"mock": "bad_request"');
cmp_ok(seconds_of(sub { all_finished($node) }), '<', 6, 'one row at fault fails within seconds');

# What only a job asks for is the job's fault: a parameter, and a model that this key may not use.
fresh();
configure($node);
my $job = $node->safe_psql('postgres', q{INSERT INTO jobs (params) VALUES ('{"temperature": 0.2}') RETURNING id});
rows(30, '', job => $job);
rows(30);
is_deeply(all_finished($node), { DONE => 30, FAILED => 30 }, 'params that the API refuses fail their job only');
for my $stores (1, 4)
{
	fresh();
	configure($node);
	$job = $node->safe_psql('postgres', q{INSERT INTO jobs (model) VALUES ('gpt-4o-mini') RETURNING id});
	rows(30, '"mock": "forbidden"', job => $job, stores => $stores);
	rows(30, '', stores => $stores);
	is_deeply(all_finished($node), { DONE => 30, FAILED => 30 }, "a model that the key may not use fails its job only ($stores stores)");
	wait_for($node, 'and the queue is free', q{SELECT worker_state = 'idle' FROM optimizer_stats()});
}

# Also when every item that waits is of that model, and nothing was answered yet.
for my $fault (['gpt-4-gone', '', 'model_not_found'], ['gpt-4o-mini', '"mock": "forbidden"', 'unsupported_country_region_territory'])
{
	my ($model, $more, $code) = @$fault;
	fresh();
	configure($node);
	$job = $node->safe_psql('postgres', "INSERT INTO jobs (model) VALUES ('$model') RETURNING id");
	rows(30, $more, job => $job);
	is_deeply(all_finished($node), { FAILED => 30 }, "nothing but items of $model: all fail");
	is($node->safe_psql('postgres', q{SELECT DISTINCT error_code, attempts, error LIKE 'HTTP 40_: %' FROM job_items}), "$code|1|t", 'with the reason');
	wait_for($node, 'and block nothing', q{SELECT worker_state = 'idle' FROM optimizer_stats()});
}

# What the settings hold for all, but one model does not take, fails the items of jobs with that model.
fresh();
configure($node, extra_body => '{"verbosity": "low"}');
$job = $node->safe_psql('postgres', q{INSERT INTO jobs (model) VALUES ('gpt-4o-mini') RETURNING id});
rows(30, '', job => $job);
rows(30);
is_deeply(all_finished($node), { DONE => 30, FAILED => 30 }, 'an extra_body that the model of a job does not take fails that job only');
rows(30, '', job => $job);
is_deeply(all_finished($node), { DONE => 30, FAILED => 60 }, 'and alone as well');
wait_for($node, 'the queue is free', q{SELECT worker_state = 'idle' FROM optimizer_stats()});
configure($node, extra_body => undef);

# A model of the settings that is gone blocks, whatever another model answers meanwhile; so it does when a job names it.
fresh();
my $offset = -s $node->logfile;
$job = $node->safe_psql('postgres', q{INSERT INTO jobs (model) VALUES ('gpt-4o-mini') RETURNING id});
my $same = $node->safe_psql('postgres', q{INSERT INTO jobs (model) VALUES ('gpt-5.9-gone') RETURNING id});
configure($node, model => 'gpt-5.9-gone');
$node->safe_psql('postgres', "INSERT INTO job_items (job_id, instance_id, payload)
	SELECT (ARRAY[NULL, $job, $same])[1 + n % 3], 'store-' || n % 4, '{\"title\": \"Mug.\"}' FROM generate_series(1, 300) n");
wait_for($node, 'a model of the settings that is gone blocks the queue',
	q{SELECT worker_state = 'blocked' AND state_reason LIKE '%gpt-5.9-gone%' FROM optimizer_stats()});
wait_until('it is probed again', sub { scalar(() = $mock->log(model => 'gpt-5.9-gone')) >= 1 && log_lines($node, qr/heartbeat: blocked/, $offset) >= 2 });
cmp_ok(scalar(() = $mock->log(model => 'gpt-5.9-gone')), '<=', 30, 'and hardly asked for');
is(scalar(() = log_lines($node, qr/the queue is blocked/, $offset)), 1, 'that is said once');
is(scalar(() = log_lines($node, qr/the queue goes on/, $offset)), 0, 'and nothing else');
is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'FAILED'}), 0, 'no row is lost');
configure($node, model => undef);
is_deeply(all_finished($node), { DONE => 200, FAILED => 100 }, 'mended, it goes on; now the model is only the fault of the job that names it');

is(worker_pid($node), $pid, 'it was the same worker all the time');
unlike(log_since($node), qr/PANIC|was terminated by signal/, 'nothing crashed');
key_never_logged($node);
done_testing();
