# 007_fairness.t: no store waits for another one's backlog, and a store alone gets everything.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none', '--latency-ms', '5-20');
my $node = start_cluster('fairness', $mock->url,
	settings => { requests_per_minute => 30000, burst_seconds => 0.5, poll_interval => '1h', rescan_interval => '1h' });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);

sub insert_store
{
	my ($store, $count, $payload) = @_;
	$node->safe_psql('postgres', "INSERT INTO job_items (instance_id, payload) SELECT '$store', jsonb_build_object('title', '$store ' || n || '.')"
		  . ' || ' . ($payload // q{'{}'}) . " FROM generate_series(1, $count) n");
	return;
}

# How much of a store was finished before the last of the other was.
sub finished_before
{
	my ($store, $other) = @_;
	return $node->safe_psql('postgres', <<"SQL");
SELECT count(*) FROM job_items
 WHERE instance_id = '$store' AND finished_at < (SELECT max(finished_at) FROM job_items WHERE instance_id = '$other')
SQL
}

# A backlog of one store is worked off without anybody's nudge.
insert_store('alone', 150);
is_deeply(all_finished($node, name => 'a store alone is served without waiting for a poll', seconds => 20), { DONE => 150 },
	'a store alone gets everything');
configure($node, poll_interval => undef, rescan_interval => '2s');
all_finished($node);

# One big and three small ones, all there from the start.
$node->safe_psql('postgres', 'TRUNCATE job_items; SELECT optimizer_pause()');
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
insert_store('big', 2000);
insert_store("small-$_", 30) for 1 .. 3;
$node->safe_psql('postgres', 'SELECT optimizer_resume()');
is_deeply(all_finished($node), { DONE => 2090 }, '2,000 rows of one store and 30 of each of three end DONE');
for my $store (map { "small-$_" } 1 .. 3)
{
	cmp_ok(finished_before('big', $store), '<', 400, "$store is finished before 20 % of the big one are");
}

# Small ones that arrive behind the backlog.
$node->safe_psql('postgres', 'TRUNCATE job_items');
insert_store('big', 2000);
wait_for($node, 'the big one is at work', q{SELECT count(*) FILTER (WHERE status = 'DONE') > 100 FROM job_items}, quiet => 1);
my $head_start = $node->safe_psql('postgres', <<'SQL');
INSERT INTO job_items (instance_id, payload)
SELECT 'late-' || s, jsonb_build_object('title', 'late-' || s || ' ' || n || '.') FROM generate_series(1, 3) s, generate_series(1, 30) n;
SELECT count(*) FROM job_items WHERE status <> 'PENDING';
SQL
is_deeply(all_finished($node), { DONE => 2090 }, 'all end DONE');
for my $store (map { "late-$_" } 1 .. 3)
{
	cmp_ok(finished_before('big', $store) - $head_start, '<', 400, "$store, which came later, too");
}

# Urgent, failing and future rows are their own store's business.
$node->safe_psql('postgres', 'TRUNCATE job_items');
configure($node, max_attempts => 3);
$node->safe_psql('postgres', 'SELECT optimizer_pause()');
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
$node->safe_psql('postgres', <<'SQL');
INSERT INTO job_items (instance_id, priority, payload, run_after)
SELECT store, priority, jsonb_build_object('title', store || n, 'mock', mock), run_after
  FROM (VALUES ('urgent', -32768, 'none', NULL), ('failing', 0, 'http_500', NULL),
               ('future', 0, 'none', now() + interval '1 day')) s (store, priority, mock, run_after),
       generate_series(1, 500) n
SQL
insert_store('plain', 50);
$node->safe_psql('postgres', 'SELECT optimizer_resume()');
wait_for($node, 'everything but the future is finished',
	q{SELECT count(*) = 500 FROM job_items WHERE status NOT IN ('DONE', 'FAILED')});
is_deeply(status_counts($node, 'postgres', q{instance_id = 'failing'}), { FAILED => 500 }, 'the failing ones failed');
cmp_ok(finished_before('urgent', 'plain'), '<', 200, 'urgent rows do not delay another store');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE instance_id = 'failing'
  AND started_at < (SELECT max(started_at) FROM job_items WHERE instance_id = 'plain') AND attempts = 3}), '<', 200, 'neither do failing ones');

# Weight and max_in_flight of a store; with a burst smaller than claim_per_store, which would even out the weights.
configure($node, requests_per_minute => 18000, burst_seconds => 0.05);
$node->safe_psql('postgres', 'TRUNCATE job_items; SELECT optimizer_pause()');
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
$node->safe_psql('postgres', q{INSERT INTO stores (instance_id, weight, max_in_flight) VALUES ('heavy', 3, NULL), ('narrow', 1, 2)});
insert_store('heavy', 600);
insert_store('light', 600);
insert_store('narrow', 20);
$mock->reset;
$node->safe_psql('postgres', 'SELECT optimizer_resume()');
is_deeply(all_finished($node), { DONE => 1220 }, 'with policies: all end DONE');
my $of_light = finished_before('light', 'heavy');
cmp_ok($of_light, '>', 120, 'beside a store of three times its weight a store gets more than a fifth of its number');
cmp_ok($of_light, '<', 300, 'and less than half');

# No more of it was in flight at once than its policy allows, as the server saw it: arrivals less answers.
$node->safe_psql('postgres', 'TRUNCATE job_items');
$mock->reset;
$mock->config(hang => \1);
insert_store('narrow', 20);
insert_store('light', 10);
wait_until('the others are in flight', sub { $mock->stats->{hanging} == 12 });
is(scalar(() = $mock->log(contains => 'narrow')), 2, 'max_in_flight of a store');
$mock->release;
is_deeply(all_finished($node), { DONE => 30 }, 'and its other rows follow');

done_testing();
