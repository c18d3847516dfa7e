# 002_worker_life.t: when a worker comes, goes and comes back.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('life', $mock->url, settings => { max_in_flight => 40 });

sub insert_items
{
	my ($db, $count, $title) = @_;
	$node->safe_psql($db, <<"SQL");
INSERT INTO job_items (instance_id, payload)
SELECT 'store-' || n % 5, jsonb_build_object('title', '$title ' || n || '.') FROM generate_series(1, $count) n
SQL
	return;
}

sub works
{
	my ($db, $title) = @_;
	insert_items($db, 5, $title);
	wait_for($node, "$db: $title: items are done",
		"SELECT count(*) FROM job_items WHERE status = 'DONE' AND payload->>'title' LIKE '$title%'", expect => 5, db => $db);
	return;
}

sub is_without_worker
{
	my ($db, $name) = @_;
	is(worker_pid($node, $db), '', $name);
	return;
}

# Every database has its own, without a restart.
my @databases = ('postgres', 'alpha', 'beta');
for my $db (@databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $db") if $db ne 'postgres';
	$node->safe_psql($db, 'CREATE EXTENSION product_optimizer');
	works($db, 'first');
}
is($node->safe_psql('alpha', 'SELECT string_agg(database, $$ $$ ORDER BY database), count(DISTINCT pid) FROM optimizer_workers()'),
	'alpha beta postgres|3', 'three databases, three workers');
$node->restart;
for my $db (@databases) { wait_for_worker($node, $db); works($db, 'after the restart'); }
is(scalar(() = $mock->log), 30, 'and every item was sent once');

# DROP EXTENSION, also in mid-flight, and CREATE EXTENSION again; in another schema.
$mock->config(hang => \1);
insert_items('alpha', 20, 'dropped');
wait_until('alpha has requests in flight', sub { $mock->stats->{hanging} == 20 });
$node->safe_psql('alpha', 'DROP EXTENSION product_optimizer');
wait_until('the worker leaves after DROP EXTENSION', sub { worker_pid($node, 'alpha') eq '' });
$mock->release;
$node->safe_psql('alpha', 'CREATE SCHEMA "Our Queue"; CREATE EXTENSION product_optimizer SCHEMA "Our Queue"');
$node->safe_psql('postgres', q{ALTER DATABASE alpha SET search_path = 'Our Queue', public});
works('alpha', 'created again');

# What is rolled back starts nothing: the next one starts, in order, and the first has none.
$node->safe_psql('postgres', 'CREATE DATABASE rolled_back; CREATE DATABASE marker');
$node->safe_psql('rolled_back', 'BEGIN; CREATE EXTENSION product_optimizer; ROLLBACK');
$node->safe_psql('marker', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node, 'marker');
is_without_worker('rolled_back', 'ROLLBACK of CREATE EXTENSION starts nothing');

# A copy of a database with unfinished rows must not do the same work twice; one without just goes on.
$node->safe_psql('postgres', 'CREATE DATABASE finished_copy TEMPLATE beta');
wait_for_worker($node, 'beta', quiet => 1);
wait_for($node, 'a copy without unfinished rows is at home at once', q{SELECT worker_state = 'idle' FROM optimizer_stats()},
	db => 'finished_copy');
works('finished_copy', 'in the copy');
$mock->config(hang => \1);
$mock->reset;
insert_items('beta', 10, 'original');
wait_until('beta has requests in flight', sub { $mock->stats->{hanging} == 10 });
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE beta');
wait_for($node, 'the copy is paused, and says why',
	q{SELECT worker_state = 'paused' AND state_reason LIKE '%copied%optimizer_resume()%' FROM optimizer_stats()}, db => 'copied');
is_deeply(status_counts($node, 'copied'), { DONE => 10, PENDING => 10 }, 'the copy has the unfinished rows');
wait_for($node, 'why_waiting() says it too', q{SELECT bool_and(why_waiting(id) LIKE 'The worker is paused: copied%') FROM job_items WHERE status = 'PENDING'},
	db => 'copied');
wait_until('the original goes on', sub { $mock->stats->{hanging} == 10 });
$mock->release;
is_deeply(all_finished($node, db => 'beta'), { DONE => 20 }, 'the original is done');
is(scalar(() = $mock->log), 20, 'the copy has sent nothing, and the original only what was in flight again');
is_deeply(status_counts($node, 'copied'), { DONE => 10, PENDING => 10 }, 'the copy still waits');
$node->safe_psql('copied', 'SELECT optimizer_resume()');
is_deeply(all_finished($node, db => 'copied'), { DONE => 20 }, 'until optimizer_resume()');

# optimizer_pause() holds over a restart of the worker.
$node->safe_psql('postgres', q{SELECT optimizer_pause('stock-taking')});
my $old = wait_for_worker($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");
insert_items('postgres', 3, 'paused');
wait_for($node, 'a paused queue stays paused', q{SELECT worker_state || ': ' || state_reason FROM optimizer_stats()},
	expect => 'paused: stock-taking');
wait_until('and its worker is another', sub { my $new = worker_pid($node); $new ne '' && $new ne $old });
is_deeply(status_counts($node, 'postgres', q{payload->>'title' LIKE 'paused%'}), { PENDING => 3 }, 'nothing is claimed');
$node->safe_psql('postgres', 'SELECT optimizer_resume()');
all_finished($node, name => 'resumed');

# Told to go in mid-flight, it hands everything back, and the next one does it: no attempt is lost.
$node->safe_psql('postgres', 'TRUNCATE job_items');
$mock->reset;
$mock->config(hang => \1);
insert_items('postgres', 60, 'terminated');
wait_until('40 requests are in flight', sub { $mock->stats->{hanging} == 40 });
$old = worker_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");
wait_until('the next worker sends them again', sub { $mock->stats->{requests} == 80 });
isnt(worker_pid($node), $old, 'which is another one');
$mock->release;
is_deeply(all_finished($node), { DONE => 60 }, 'after pg_terminate_backend() all end DONE');
is($node->safe_psql('postgres', 'SELECT min(attempts), max(attempts) FROM job_items'), '1|1', 'with one attempt each');
is($mock->stats->{requests}, 100, 'and only what was in flight was sent again');

# kill -9: the server starts all its processes anew, and the table tells what was in flight.
$node->safe_psql('postgres', 'TRUNCATE job_items');
$mock->reset;
$mock->config(hang => \1);
insert_items('postgres', 100, 'killed');
wait_until('40 requests are in flight', sub { $mock->stats->{hanging} == 40 });
kill 'KILL', worker_pid($node);
wait_until('the next worker sends again what was in flight', sub { $mock->stats->{requests} == 80 });
$mock->release;
is_deeply(all_finished($node), { DONE => 100 }, 'after kill -9 in mid-flight all end DONE');
is($mock->stats->{requests}, 140, 'only what was in flight was sent again');
is(stats($node, 'orphans_rescued'), 40, 'as many orphans were rescued as were in flight');
is($node->safe_psql('postgres', 'SELECT count(*) FILTER (WHERE attempts = 2) FROM job_items'), 40,
	'a crash costs an attempt of those, and of no other');

# The same under traffic: answers come in while it dies.
for my $round (1 .. 3)
{
	$node->safe_psql('postgres', 'TRUNCATE job_items');
	$mock->reset;
	$mock->config(latency_ms => '5-60');
	insert_items('postgres', 400, "traffic");
	wait_until("round $round: answers come in", sub { $mock->stats->{answered} >= 100 * $round - 50 });
	kill 'KILL', worker_pid($node);
	is_deeply(all_finished($node), { DONE => 400 }, "round $round: after kill -9 under traffic all end DONE");
	my $again = $mock->stats->{requests} - 400;
	cmp_ok($again, '<=', 40, "round $round: no more were sent again than can be in flight");
	# Claimed is not yet sent: the kill may come between the two.
	my $rescued = stats($node, 'orphans_rescued');
	cmp_ok($again, '<=', $rescued, "round $round: each of them is counted");
	cmp_ok($rescued, '<=', 40, "round $round: and nothing else");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE position(payload->>'title' in result->>'description') = 0}),
		0, "round $round: every answer belongs to its row");
}
$mock->config(latency_ms => '0');
for my $db ('alpha', 'beta') { works($db, 'after the crashes'); }

# More databases than slots: said loudly, and served as soon as one is free.
my $small = start_cluster('small', $mock->url, settings => { max_databases => 1 });
$small->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($small);
$small->safe_psql('postgres', 'CREATE DATABASE one_too_many');
$small->safe_psql('one_too_many', 'CREATE EXTENSION product_optimizer');
wait_until('a database above the limit is reported',
	sub { log_lines($small, qr/WARNING: .*product_optimizer: database one_too_many has the extension but gets no worker/) },
	explain => sub { diag(log_since($small)) });
like(log_since($small), qr/HINT:  Raise product_optimizer\.max_databases/, 'with what to do');
$small->safe_psql('one_too_many', q{INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "Waiting."}')});
$small->safe_psql('postgres', 'DROP EXTENSION product_optimizer');
all_finished($small, db => 'one_too_many', name => 'it gets the slot when that is free');
$small->stop;

# Not preloaded: one clear error, and the server lives.
my $bare = PostgreSQL::Test::Cluster->new('bare');
$bare->init;
$bare->start;
my ($status, $out, $err) = $bare->psql('postgres', 'CREATE EXTENSION product_optimizer');
is($status, 3, 'not preloaded: CREATE EXTENSION fails');
is(scalar(() = $err =~ /ERROR:/g), 1, 'with one error') or diag($err);
like($err, qr/ERROR:  product_optimizer is not loaded at server start\n/, 'that says why');
like($err, qr/HINT:  .*shared_preload_libraries/, 'and a hint at what to do');
is($bare->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'product_optimizer'}), 0, 'nothing is left of it');
unlike(log_since($bare), qr/PANIC|was terminated by signal/, 'nothing crashed');
$bare->stop;

done_testing();
