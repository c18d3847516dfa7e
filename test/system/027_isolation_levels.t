# 027_isolation_levels.t: claims in REPEATABLE READ and SERIALIZABLE transactions, whose snapshot shows the table as it
# was, and claims in transactions that change policies and are rolled back.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
# Neither a poll nor a rescan comes to help.
my $node = start_cluster('levels', $mock->url,
	settings => { poll_interval => '1h', rescan_interval => '1h' }, conf => "max_prepared_transactions = 5\n");
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);
$node->safe_psql('postgres', 'SELECT optimizer_pause()');
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub insert { my ($stores, $rows) = @_; return qq{INSERT INTO job_items (instance_id, payload) SELECT 'store ' || s, '1' FROM generate_series(1, $stores) s, generate_series(1, $rows) r} }
my $repeatable = 'BEGIN ISOLATION LEVEL REPEATABLE READ';

# Claims are charged whatever the level.
sql(insert(30, 10));
my %served;
for (1 .. 6)
{
	$served{$_}++ for split /\n/, sql("$repeatable; SELECT instance_id FROM claim_pending_items(10, 1); COMMIT");
}
is(scalar(keys %served), 30, 'REPEATABLE READ: every store gets its turn');
is(join(' ', sort { $a <=> $b } values %served), join(' ', (2) x 30), '… and as many of them as the others');
sql('TRUNCATE job_items');

# A snapshot that does not see the rows: the claim ends, and finds what it sees.
my $old = $node->background_psql('postgres', on_error_stop => 1);
$old->query_safe("$repeatable; SELECT count(*) FROM job_items");
sql(q{INSERT INTO job_items (instance_id, payload) SELECT 'newer ' || n, '1' FROM generate_series(1, 3000) n});
is($old->query_safe('SET statement_timeout = 60000; SELECT count(*) FROM claim_pending_items(100)'), 0, 'rows that are newer than the snapshot: nothing is claimed, and it ends');
$old->query_safe('COMMIT');
is(sql('SELECT count(*) FROM claim_pending_items(3000)'), 3000, '… nor hidden');
sql('TRUNCATE job_items');

my $pause = q{INSERT INTO stores (instance_id, paused) SELECT 'store ' || n, true FROM generate_series(1, 2500) n};
sql($pause);
sql(insert(2500, 1));
my $claim = 'SELECT count(*) FROM claim_pending_items(100)';
is(sql("$repeatable; INSERT INTO job_items (instance_id, payload) VALUES ('the last one', '1'); $claim; ROLLBACK"), 1, 'thousands of paused stores: who comes behind them is served');
is(sql("SET statement_timeout = 60000; $repeatable; $claim; COMMIT"), 0, '… and the claim of nothing ends');
sql('DELETE FROM stores');
is(sql("SET statement_timeout = 60000; BEGIN; $pause; $claim; ROLLBACK"), 0, '… also when its own transaction paused them');
sql('TRUNCATE job_items');

# max_in_flight is what runs now, not what ran when the snapshot was taken.
sql(q{INSERT INTO stores (instance_id, max_in_flight) VALUES ('store 1', 2)});
sql(insert(1, 10));
$old->query_safe("$repeatable; SELECT count(*) FROM stores");
is(sql('SELECT count(*) FROM claim_pending_items()'), 2, 'as many as max_in_flight allows');
is($old->query_safe('SELECT count(*) FROM claim_pending_items()'), 0, 'an older snapshot does not allow more');
$old->query_safe('ROLLBACK');
is(sql(q{SELECT count(*) FROM job_items WHERE status = 'RUNNING'}), 2, 'two are running');
sql('DELETE FROM stores; TRUNCATE job_items');

# Policies that never were.
sql(insert(2, 3));
sql(q{BEGIN; INSERT INTO stores (instance_id, paused) VALUES ('store 1', true); SELECT count(*) FROM claim_pending_items(2, 1); ROLLBACK});
is(sql('SELECT count(DISTINCT instance_id) FROM claim_pending_items(2, 1)'), 2, 'a store that was paused in a transaction that is rolled back is not');
sql(q{BEGIN; SAVEPOINT s; INSERT INTO stores (instance_id, paused) VALUES ('store 1', true); SELECT count(*) FROM claim_pending_items(1, 1); ROLLBACK TO s; COMMIT});
is(sql('SELECT count(DISTINCT instance_id) FROM claim_pending_items(2, 1)'), 2, '… to a savepoint, neither');
sql(q{INSERT INTO stores (instance_id, paused) VALUES ('store 1', true), ('store 2', true)});
is(sql('SELECT count(*) FROM claim_pending_items()'), 0, 'both are paused');
sql(q{BEGIN; UPDATE stores SET paused = false; PREPARE TRANSACTION 'resume'});
sql(q{COMMIT PREPARED 'resume'});
is(sql('SELECT count(DISTINCT instance_id) FROM claim_pending_items(2, 1)'), 2, 'resumed by a prepared transaction: at once');

done_testing();
