# real_scale.t: the promise of the limit in real time.  Run by make bench-limit; no part of make test, for it
# takes eleven minutes; 012_limits_workloads.t begins with the same sixty times as fast.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($items, $rpm, $burst) = (5000, 450, 45);
my $mock = MockOpenai->new('--meter', 'strict', '--rpm', 500, '--tpm', 500_000, '--latency-ms', 'lognormal:800,0.5');
my $node = start_cluster('real', $mock->url,
	settings => { requests_per_minute => $rpm, tokens_per_minute => 450_000, burst_seconds => 6, model => 'gpt-4o-mini',
		heartbeat_interval => '30s' });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);
# The bucket is made by its first use, and starts empty.
$node->safe_psql('postgres', 'SELECT * FROM try_acquire(0, requests => 1)');
wait_for($node, 'the bucket is full', "SELECT requests_available = $burst FROM optimizer_rate_limits()");

my $seconds = seconds_of(sub {
	$node->safe_psql('postgres', <<"SQL");
INSERT INTO job_items (instance_id, payload)
SELECT 'store-' || n % 20, jsonb_build_object('title', 'Mug ' || n) FROM generate_series(1, $items) n
SQL
	is_deeply(all_finished($node, seconds => 900), { DONE => $items }, 'every item ends DONE');
});
my $at_best = ($items - $burst) / $rpm * 60;
my $audit = $mock->audit(rpm => $rpm, tpm => 450_000, burst_seconds => 6.05);
my %figure = (
	'seconds from the insert to the last DONE' => $seconds,
	'seconds at best, (items - burst) / rate' => $at_best,
	'429s' => $mock->stats->{rate_limited},
	'most requests in any 60 s' => $audit->{max_in_60s_requests},
	'fewest requests in any 60 s' => $audit->{min_in_60s_requests},
	'largest burst above the rate, in requests' => $audit->{max_excess_requests},
	'per cent RPM of the heartbeats' => join(' ', map { /RPM \S+ \(([\d.]+)%\)/ } split /\n/, slurp_file($node->logfile)));
note("figure: $_: $figure{$_}") for sort keys %figure;
cmp_ok($seconds, '<=', $at_best * 1.01, 'no longer than at best and 1 %');
is($figure{'429s'}, 0, 'no 429');
ok($audit->{ok}, 'no window of any length above the bound');
cmp_ok($audit->{max_in_60s_requests}, '<=', 495, 'at most 495 in any minute');
cmp_ok($audit->{min_in_60s_requests}, '>=', 0.99 * $rpm, 'at least 99 % in any minute');
done_testing();
