# 025_many_stores.t: more stores than shared memory has room for, databases that share that room, and queues whose
# rows went away.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
# Neither a poll nor a rescan comes to help.
my $node = start_cluster('stores', $mock->url,
	settings => { poll_interval => '1h', rescan_interval => '1h', max_databases => 2 });
for my $db ('postgres', 'other', 'without_slot')
{
	$node->safe_psql('postgres', "CREATE DATABASE $db") if $db ne 'postgres';
	$node->safe_psql($db, 'CREATE EXTENSION product_optimizer');
	wait_for_worker($node, $db) if $db ne 'without_slot';
	$node->safe_psql($db, 'SELECT optimizer_pause()');
}
for my $db ('postgres', 'other')
{
	wait_for($node, "$db is paused", q{SELECT worker_state = 'paused' FROM optimizer_stats()}, db => $db, quiet => 1);
}

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]) }
sub insert { my ($stores) = @_; return qq{INSERT INTO job_items (instance_id, payload) SELECT 'store ' || n, '1' FROM generate_series(1, $stores) n} }

# Shared memory holds 131,072 stores.
my $stores = 140_000;
sql(insert($stores));

# The other database is not crowded out.
sql(insert(3000), 'other');
is(sql('SELECT count(DISTINCT instance_id) FROM claim_pending_items(3000)', 'other'), 3000, 'a database beside one of very many stores gets its turns');

my $claimed = 0;
wait_until('all are claimed', sub {
	$claimed += sql('SELECT count(*) FROM claim_pending_items(10000)');
	return $claimed >= $stores;
}, seconds => 120);
is($claimed, $stores, 'more stores than there is room for: every row is claimed once');
is(sql(q{SELECT count(*) FROM job_items WHERE attempts <> 1 OR status <> 'RUNNING'}), 0, 'and says so');

# Rows that went away behind the queue's back: a claim does not mistake that for an empty queue.
sql('TRUNCATE job_items; ' . insert(20_000));
sql('DELETE FROM job_items; ' . q{INSERT INTO job_items (instance_id, payload) VALUES ('the last one', '1')});
is(sql('SELECT instance_id FROM claim_pending_items()'), 'the last one', 'behind 20,000 stores without a row, the one that has a row is found by the first claim');

# TRUNCATE says that they went.
sql(insert(2000));
sql('BEGIN; SAVEPOINT s; TRUNCATE job_items; ROLLBACK TO s; COMMIT');
is(sql('SELECT count(*) FROM claim_pending_items(2000)'), 2000, 'a TRUNCATE that is rolled back to a savepoint loses no row');
sql(insert(2000));
sql('BEGIN; TRUNCATE job_items RESTART IDENTITY; ' . insert(3) . '; COMMIT');
is(sql(q{SELECT string_agg(id || ' ' || instance_id, ', ' ORDER BY id) FROM claim_pending_items()}),
	'1 store 1, 2 store 2, 3 store 3', 'what the same transaction inserts behind a TRUNCATE waits, and begins a new line');
sql('TRUNCATE jobs CASCADE; ' . insert(1));
is(sql('SELECT count(*) FROM claim_pending_items()'), 1, 'a TRUNCATE that cascades counts, too');

# Above max_databases there is no worker, but claims of others work.
sql(insert(500), 'without_slot');
is(sql('SELECT count(DISTINCT instance_id) FROM claim_pending_items(100, 20)', 'without_slot'), 100, 'a database without a slot: fair claims');
is(sql('BEGIN; SELECT count(*) FROM claim_pending_items(400); ROLLBACK', 'without_slot'), 400, '… also one that is rolled back');
is(sql('SELECT count(*) FROM claim_pending_items(1000)', 'without_slot'), 400, '… whose rows are claimed again');
sql(q{SELECT release_item(id, attempts) FROM job_items WHERE instance_id = 'store 7'}, 'without_slot');
is(sql('SELECT string_agg(instance_id, $$ $$) FROM claim_pending_items()', 'without_slot'), 'store 7', '… and one that is released');

done_testing();
