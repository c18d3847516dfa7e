# 003_in_flight.t: while requests hang, the worker is in nobody's way.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none', '--hang');
my $node = start_cluster('in_flight', $mock->url);

# The promise in seconds; starting psql or pg_ctl counts in.
my $promised = 2;

# 300 rows, of which max_in_flight = 256 hang.
sub fill
{
	my ($db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db") unless $db eq 'postgres';
	$node->safe_psql($db, 'CREATE EXTENSION IF NOT EXISTS product_optimizer; TRUNCATE job_items');
	$mock->reset;
	$mock->config(hang => \1);
	$node->safe_psql($db, <<'SQL');
INSERT INTO job_items (instance_id, payload)
SELECT 'store-' || n % 7, jsonb_build_object('title', 'Hanging ' || n || '.') FROM generate_series(1, 300) n
SQL
	hangs($db);
	return;
}

sub hangs
{
	my ($db) = @_;
	return wait_until("256 requests of $db hang", sub { $mock->stats->{hanging} == 256 });
}

sub handed_back
{
	my ($db, $name) = @_;
	return is($node->safe_psql($db, 'SELECT status, attempts, count(*), count(claimed_by), count(lease_expires_at) FROM job_items GROUP BY 1, 2'),
		'PENDING|0|300|0|0', $name);
}

sub all_done_once
{
	my ($db, $name) = @_;
	$mock->release;
	is_deeply(all_finished($node, db => $db), { DONE => 300 }, "$name: all end DONE");
	is($node->safe_psql($db, 'SELECT min(attempts), max(attempts) FROM job_items'), '1|1', "$name: no attempt was lost");
	return;
}

# No transaction, no lock, nothing that holds back vacuum.
fill('postgres');
my $pid = worker_pid($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM job_items WHERE status = $$RUNNING$$'), 256, 'exactly as many rows are claimed as are in flight');
is(stats($node, 'in_flight'), 256, 'optimizer_stats() knows');
is($node->safe_psql('postgres', "SELECT xact_start IS NULL, backend_xid IS NULL, backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $pid"),
	't|t|t', 'pg_stat_activity: no open transaction, no snapshot');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE pid = $pid"), 0, 'pg_locks: not one lock');
$node->safe_psql('postgres', q{SET lock_timeout = '1s'; BEGIN; LOCK TABLE job_items, jobs, stores, homes IN ACCESS EXCLUSIVE MODE; COMMIT});
pass('every table can be locked exclusively');
$node->safe_psql('postgres', q{SET lock_timeout = '1s'; SELECT count(*) FROM (SELECT FROM job_items WHERE status = 'RUNNING' FOR UPDATE NOWAIT) r});
pass('no row is locked');

# pg_terminate_backend().
my $offset = -s $node->logfile;
cmp_ok(seconds_of(sub {
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
	}), '<', $promised, 'pg_terminate_backend() ends the worker within 2 s');
hangs('postgres');
isnt(worker_pid($node), $pid, 'another worker took over');
unlike(log_since($node, $offset), qr/PANIC|terminated by signal|put back/, 'nothing crashed, and there were no orphans to rescue');

# A fast stop.  Without a key nothing is claimed after the start: so the table shows what the stop left.
write_settings($node, api_key => undef);
cmp_ok(seconds_of(sub { $node->stop('fast') }), '<', $promised, 'pg_ctl stop -m fast ends the server within 2 s');
$node->start;
wait_for($node, 'after the start the worker waits for a key',
	q{SELECT worker_state = 'blocked' AND state_reason LIKE 'no API key%' FROM optimizer_stats()});
handed_back('postgres', 'the fast stop handed every item back, and no attempt was lost');
is(stats($node, 'orphans_rescued'), 0, 'there were no orphans');
configure($node, api_key => $key);
hangs('postgres');

# Whoever has the table locked is stopped with the others: the worker waits for that.
my $locker = $node->background_psql('postgres', on_error_stop => 0);
$locker->query_safe('BEGIN; LOCK TABLE job_items IN ACCESS EXCLUSIVE MODE');
write_settings($node, api_key => undef);
cmp_ok(seconds_of(sub { $node->stop('fast') }), '<', $promised, 'pg_ctl stop -m fast ends the server within 2 s while job_items is locked');
eval { $locker->quit };
$node->start;
wait_for($node, 'after this start, too, the worker waits for a key',
	q{SELECT worker_state = 'blocked' AND state_reason LIKE 'no API key%' FROM optimizer_stats()});
handed_back('postgres', 'a lock on the table costs no attempt when the server stops');
configure($node, api_key => $key);
hangs('postgres');
all_done_once('postgres', 'after the fast stop');

# A restart with everything in its place is no different.
fill('postgres');
$node->restart;
hangs('postgres');
all_done_once('postgres', 'after a restart');

# A reload changes the API under requests of the other one: each reply is read as what was asked for.
fill('postgres');
configure($node, api => 'responses');
all_done_once('postgres', 'the API changed in flight');
configure($node, api => undef);

# DROP DATABASE.
fill('dropped');
cmp_ok(seconds_of(sub { $node->safe_psql('postgres', 'DROP DATABASE dropped') }), '<', $promised, 'DROP DATABASE takes less than 2 s');
is($node->safe_psql('postgres', q{SELECT count(*) FROM optimizer_workers() WHERE database = 'dropped'}), 0, 'nothing is left of its worker');
fill('forced');
cmp_ok(seconds_of(sub { $node->safe_psql('postgres', 'DROP DATABASE forced WITH (FORCE)') }), '<', $promised, 'and WITH (FORCE)');

# A DROP DATABASE that fails because of another session.
fill('kept');
$pid = worker_pid($node, 'kept');
my $session = $node->background_psql('kept');
$session->query_safe('SELECT 1');
my ($status, undef, $err) = $node->psql('postgres', 'DROP DATABASE kept');
like($err, qr/is being accessed by other users/, 'DROP DATABASE fails while somebody else is connected');
like($err, qr/There is 1 other session/, 'the worker was none of them');
$session->quit;
wait_for_worker($node, 'kept');
hangs('kept');
all_done_once('kept', 'after the failed DROP DATABASE');
($status, undef, $err) = $node->psql('postgres', 'DROP DATABASE no_such_database');
like($err, qr/does not exist/, 'an unknown database is none of our business');

# Nobody stops a worker by a command that he may not give.
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
$pid = worker_pid($node, 'kept');
for my $command ('DROP DATABASE kept', 'ALTER DATABASE kept RENAME TO stolen', 'CREATE DATABASE stolen TEMPLATE kept')
{
	(undef, undef, $err) = $node->psql('postgres', $command, extra_params => [ '-U', 'stranger' ]);
	like($err, qr/must be owner|permission denied/, "a stranger may not: $command");
}
is(worker_pid($node, 'kept'), $pid, 'and did not stop the worker');

# RENAME, TEMPLATE, SET TABLESPACE.
fill('before');
cmp_ok(seconds_of(sub { $node->safe_psql('postgres', 'ALTER DATABASE before RENAME TO after') }), '<', 5, 'RENAME works while requests hang');
cmp_ok(seconds_of(sub { hangs('after') }), '<', 8, 'and the worker comes back by itself, not when the time for a RENAME is over');
is($node->safe_psql('postgres', q{SELECT string_agg(database, ' ') FROM optimizer_workers() WHERE database IN ('before', 'after')}), 'after',
	'the worker goes by the new name');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE after');
pass('CREATE DATABASE … TEMPLATE works while requests hang');
hangs('after');
handed_back('copy', 'the copy has every item as it was before the claim');
$node->safe_psql('postgres', "SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''");
$node->safe_psql('postgres', 'ALTER DATABASE after SET TABLESPACE elsewhere');
pass('SET TABLESPACE works while requests hang');
hangs('after');
all_done_once('after', 'after RENAME, TEMPLATE and SET TABLESPACE');
handed_back('copy', 'the copy has sent nothing');
is($node->safe_psql('copy', 'SELECT worker_state FROM optimizer_stats()'), 'paused', 'it is paused');

unlike(log_since($node), qr/PANIC|was terminated by signal/, 'nothing crashed');
key_never_logged($node);

done_testing();
