# 017_late_answers.t: an answer finds the claim that it was given to, or nothing; and a worker that goes keeps nothing.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('late', $mock->url, settings => { max_in_flight => 30 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);

sub insert_rows
{
	my ($count, $title) = @_;
	return $node->safe_psql('postgres', qq{INSERT INTO job_items (instance_id, product_id, payload)
		SELECT 'store-' || n % 3, n, jsonb_build_object('title', '$title ' || n || '.') FROM generate_series(1, $count) n});
}

sub hangs
{
	my ($count) = @_;
	return wait_until("$count requests hang", sub { $mock->stats->{hanging} == $count });
}

my $wrong_answers = q{SELECT count(*) FROM job_items WHERE status = 'DONE' AND position(payload->>'title' in result->>'description') = 0};

# The same id and the same attempt once more, held by the same worker.
$mock->config(hang => \1);
insert_rows(10, 'Old');
hangs(10);
$node->safe_psql('postgres', 'TRUNCATE job_items RESTART IDENTITY');
insert_rows(10, 'New');
hangs(20);
is($node->safe_psql('postgres', q{SELECT min(id), max(id), max(attempts) FROM job_items WHERE status = 'RUNNING'}), '1|10|1', 'new rows have the ids and attempts of the old');
$mock->release;
is_deeply(all_finished($node), { DONE => 10 }, 'all end DONE');
is($node->safe_psql('postgres', $wrong_answers), 0, 'none with the answer to the row before');
wait_for($node, 'the late answers are counted', 'SELECT late_results_rejected FROM optimizer_stats()', expect => 10);

# … and held by somebody else.
$node->safe_psql('postgres', 'TRUNCATE job_items RESTART IDENTITY');
$mock->config(hang => \1);
insert_rows(10, 'Old');
hangs(10);
$node->safe_psql('postgres', 'SELECT optimizer_pause()');
wait_for($node, 'the worker pauses', q{SELECT worker_state = 'paused' FROM optimizer_stats()});
$node->safe_psql('postgres', 'TRUNCATE job_items RESTART IDENTITY');
insert_rows(10, 'New');
is($node->safe_psql('postgres', 'SELECT count(*), max(attempts) FROM claim_pending_items(100, 100)'), '10|1', 'somebody else claims the new rows');
$mock->release;
wait_for($node, 'the late answers are counted too', 'SELECT late_results_rejected FROM optimizer_stats()', expect => 20);
is_deeply(status_counts($node), { RUNNING => 10 }, 'and change nothing');
is($node->safe_psql('postgres', q{SELECT bool_and(complete_item(id, attempts, '"by hand"')) FROM job_items}), 't', 'whoever claimed them completes them');

# Cancelled, deleted and changed in flight: the answers are dropped and counted, the others are not touched.
$node->safe_psql('postgres', 'SELECT optimizer_resume(); TRUNCATE job_items');
$mock->config(hang => \1);
my $job = $node->safe_psql('postgres', q{INSERT INTO jobs (name) VALUES ('to be cancelled') RETURNING id});
insert_rows(20, 'Kept');
$node->safe_psql('postgres', qq{INSERT INTO job_items (job_id, instance_id, payload) SELECT $job, 'store-9', '{"title": "Cancelled."}' FROM generate_series(1, 8)});
hangs(28);
is($node->safe_psql('postgres', "SELECT cancel_job($job)"), 8, 'a job is cancelled in flight');
$node->safe_psql('postgres', q{DELETE FROM job_items WHERE product_id = '1'});
$node->safe_psql('postgres', q{UPDATE job_items SET payload = '{"title": "Changed."}' WHERE product_id = '2'});
$node->safe_psql('postgres', q{SELECT release_item(id, attempts) FROM job_items WHERE product_id = '3'});
hangs(29);
$mock->release;
is_deeply(all_finished($node), { DONE => 19, CANCELLED => 8 }, 'what was cancelled stays so, the others are DONE');
is($node->safe_psql('postgres', q{SELECT count(result) FROM job_items WHERE status = 'CANCELLED'}), 0, 'without an answer');
wait_for($node, 'their answers are counted', 'SELECT late_results_rejected FROM optimizer_stats()', expect => 30);
is($node->safe_psql('postgres', q{SELECT attempts FROM job_items WHERE product_id = '3'}), 1, 'what was released was asked for again without losing an attempt');

# An answer that cannot be written at the exit goes back, and does not keep the others.
$node->safe_psql('postgres', q{TRUNCATE job_items;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation USING MESSAGE = 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'DONE' AND NEW.product_id = '7') EXECUTE FUNCTION refuse()});
insert_rows(10, 'Exit');
wait_for($node, 'nine are written', q{SELECT count(*) FROM job_items WHERE status = 'DONE'}, expect => 9);
$mock->config(hang => \1);
insert_rows(6, 'Hanging');
hangs(6);
configure($node, api_key => undef);    # so that nothing is claimed again
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
is($node->safe_psql('postgres', q{SELECT status, max(attempts), count(*) FROM job_items WHERE status <> 'DONE' GROUP BY 1}), 'PENDING|0|7',
	'the refused answer and what was in flight go back without costing an attempt');
$node->safe_psql('postgres', 'DROP TRIGGER refuse ON job_items');
$mock->release;
configure($node, api_key => $key);
is_deeply(all_finished($node), { DONE => 16 }, 'all end DONE');

# A worker that is only just starting is in nobody's way either.
my $slowest = 0;
for my $round (1 .. 15)
{
	$node->safe_psql('postgres', 'CREATE DATABASE brief');
	$node->safe_psql('brief', 'CREATE EXTENSION product_optimizer');
	my $took = seconds_of(sub { $node->safe_psql('postgres', 'DROP DATABASE brief') });
	$slowest = $took if $took > $slowest;
}
cmp_ok($slowest, '<', 4, 'DROP DATABASE behind CREATE EXTENSION');

unlike(log_since($node), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
