# 019_hard_times.t: what a server goes through; answers that were paid are kept, and healthy databases go on.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('times', $mock->url, allows_streaming => 1);
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);

sub insert_rows
{
	my ($count, $title, $db) = @_;
	return $node->safe_psql($db // 'postgres', qq{INSERT INTO job_items (instance_id, product_id, payload)
		SELECT 'store-' || n % 3, '$title ' || n, jsonb_build_object('title', '$title ' || n || '.') FROM generate_series(1, $count) n});
}

# Whatever keeps an answer out of the table, it is written when that is over, and nothing is asked twice.
$node->safe_psql('postgres', q{CREATE TABLE trouble (state text);
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE t text := (SELECT state FROM public.trouble);
BEGIN
  IF t IS NOT NULL THEN RAISE 'trouble %', t USING ERRCODE = t; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER trouble BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'DONE') EXECUTE FUNCTION trouble()});
my %trouble = (deadlock_detected => '40P01', serialization_failure => '40001', disk_full => '53100', out_of_memory => '53200',
	read_only_sql_transaction => '25006', lock_not_available => '55P03', io_error => '58030', check_violation => '23514');
for my $name (sort keys %trouble)
{
	$node->safe_psql('postgres', "TRUNCATE job_items, trouble; INSERT INTO trouble VALUES ('$trouble{$name}')");
	$mock->reset;
	insert_rows(20, $name);
	wait_until("$name: the log says so", sub { log_since($node) =~ /cannot write the outcome of item \d+: trouble $trouble{$name}/ });
	wait_until("$name: all are answered", sub { $mock->stats->{ok} == 20 }, quiet => 1);
	is_deeply(status_counts($node), { RUNNING => 20 }, "$name: the answers are kept");
	$node->safe_psql('postgres', 'TRUNCATE trouble');
	is_deeply(all_finished($node), { DONE => 20 }, "$name: and written when it is over");
	is($mock->stats->{requests}, 20, "$name: each was asked for once");
}
$node->safe_psql('postgres', q{TRUNCATE job_items; ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()});
wait_for($node, 'sessions are read-only', q{SHOW default_transaction_read_only}, expect => 'on');
$node->safe_psql('postgres', q{BEGIN READ WRITE; INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "Read-only."}'); COMMIT});
is_deeply(all_finished($node), { DONE => 1 }, 'default_transaction_read_only is for others');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET default_transaction_read_only');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
wait_for($node, 'sessions may write again', q{SHOW default_transaction_read_only}, expect => 'off');

# What an administrator sets for the sessions of a database or a role, and what would hurt the worker if it inherited it.
my %hostile = (default_transaction_read_only => 'on', default_transaction_isolation => 'serializable', default_transaction_deferrable => 'on',
	statement_timeout => '1ms', lock_timeout => '1ms', idle_in_transaction_session_timeout => '1ms', search_path => 'pg_temp',
	enable_indexscan => 'off', row_security => 'off', array_nulls => 'off', quote_all_identifiers => 'on', bytea_output => 'escape',
	datestyle => 'SQL, DMY', intervalstyle => 'sql_standard', extra_float_digits => '-15', client_encoding => 'LATIN1');
{
	local $ENV{PGOPTIONS} = '-c statement_timeout=0 -c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed'
	  . ' -c default_transaction_deferrable=off -c search_path=public -c lock_timeout=0 -c idle_in_transaction_session_timeout=0';
	my $user = $node->safe_psql('postgres', 'SELECT current_user');
	$node->safe_psql('postgres', 'TRUNCATE job_items');
	for my $whose ('DATABASE postgres', "ROLE $user")
	{
		$mock->reset;
		$node->safe_psql('postgres', join ';', map { "ALTER $whose SET $_ = '$hostile{$_}'" } sort keys %hostile);
		$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . wait_for_worker($node) . ', 10000)');
		$pid = wait_for_worker($node);
		insert_rows(30, $whose);
		$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload, run_after) VALUES ('later', '{"title": "Later."}', clock_timestamp() + '1 s')});
		insert_item($node, '{"title": "Again.", "mock": "http_500*1"}');
		my $counts = all_finished($node, name => "ALTER $whose SET …: all finished");
		is_deeply([ keys %$counts ], ['DONE'], "ALTER $whose SET …: all are done");
		is($mock->stats->{requests}, 33, "ALTER $whose SET …: with one request each, and one more");
		is(worker_pid($node), $pid, "ALTER $whose SET …: by one worker");
		$node->safe_psql('postgres', "ALTER $whose RESET ALL");
	}
}
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
$pid = wait_for_worker($node);

# When the worker has to go before that is over, the log tells whose answers were lost.
my $id = $node->safe_psql('postgres', q{TRUNCATE job_items; INSERT INTO trouble VALUES ('23514');
	INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "Lost."}') RETURNING id});
wait_until('an answer is kept', sub { log_lines($node, qr/cannot write the outcome of item $id:/) });
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
is(scalar(() = log_lines($node, qr/WARNING:  product_optimizer: 1 answer could not be written before the worker had to go: item $id$/)), 1,
	'an answer that was paid and lost is logged with its item');
$node->safe_psql('postgres', 'DROP TABLE trouble CASCADE; DROP FUNCTION trouble CASCADE');
is_deeply(all_finished($node), { DONE => 1 }, 'it is asked for again');

# A database that a worker cannot connect to: it is tried again, but not all the time, and holds up nobody.
$node->safe_psql('postgres', 'CREATE DATABASE broken');
$node->safe_psql('broken', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node, 'broken');
my $folder = $node->data_dir . '/base/' . $node->safe_psql('postgres', q{SELECT oid FROM pg_database WHERE datname = 'broken'});
$node->stop;
rename "$folder/PG_VERSION", "$folder/PG_VERSION.away" or die;
my $offset = -s $node->logfile;
$node->start;
wait_for_worker($node);
my $failures = sub { scalar(() = log_lines($node, qr/FATAL:.*is not a valid data directory/, $offset)) };
wait_until('a worker fails there again and again', sub { $failures->() >= 3 });
insert_rows(50, 'Beside a broken one');
is_deeply(status_counts($node, 'postgres', q{status = 'DONE' AND product_id LIKE 'Beside%'}), { DONE => 50 }, 'others are done')
  if wait_for($node, 'items of other databases are done', q{SELECT count(*) FROM job_items WHERE status = 'DONE' AND product_id LIKE 'Beside%'}, expect => 50);
cmp_ok($failures->(), '<=', 6, 'without a storm of processes');
rename "$folder/PG_VERSION.away", "$folder/PG_VERSION" or die;
insert_rows(5, 'Mended', 'broken');
is_deeply(all_finished($node, db => 'broken'), { DONE => 5 }, 'mended, it has its worker again');

# One that lets nobody in: its worker goes on, is not started again when it has gone, and nothing storms; CONNECTION
# LIMIT 0 is for others.
$node->safe_psql('postgres', 'ALTER DATABASE broken ALLOW_CONNECTIONS false');
$offset = -s $node->logfile;
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . worker_pid($node, 'broken') . ', 10000)');
wait_until('the launcher has looked around twice', sub { log_lines($node, qr/heartbeat/, $offset) >= 2 });
is(worker_pid($node, 'broken'), '', 'a database that allows no connections has no worker');
is(scalar(() = log_lines($node, qr/FATAL/, $offset)), 1, 'and none is tried');
$node->safe_psql('postgres', 'ALTER DATABASE broken ALLOW_CONNECTIONS true CONNECTION LIMIT 0');
wait_until('it has one again when it does', sub { worker_pid($node, 'broken') ne '' });
insert_rows(5, 'Limited', 'broken');
is_deeply(all_finished($node, db => 'broken'), { DONE => 10 }, 'also with CONNECTION LIMIT 0');

# More databases than slots: each is tried, more and more seldom, and the log tells every start.
my $small = start_cluster('small', $mock->url, settings => { max_databases => 1 }, conf => "log_min_messages = debug1\n");
$small->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($small);
my @waiting = map { "waiting_$_" } 1 .. 3;
$small->safe_psql('postgres', "CREATE DATABASE $_") for @waiting;
my $since = -s $small->logfile;
$small->safe_psql($_, 'CREATE EXTENSION product_optimizer') for @waiting;
my $reports = sub { scalar(() = log_lines($small, qr/WARNING:.*has the extension but gets no worker/, $since)) };
wait_until('each is reported', sub { $reports->() == 3 });
my $start = qr/starting background worker process "product_optimizer worker"/;
my $reported = -s $small->logfile;
wait_until('they are tried again', sub { log_lines($small, $start, $reported) >= 9 });
my @at = map { /(\d+):(\d+):([\d.]+)/ ? $1 * 3600 + $2 * 60 + $3 : () } log_lines($small, $start, $reported);
my $apart = $at[8] - $at[0];
cmp_ok($apart < 0 ? $apart + 86400 : $apart, '>', 4, 'three times each takes its time: 1 s, then 2 s, then 4 s');
is($reports->(), 3, 'each is reported once');
$small->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "Beside."}')});
is_deeply(all_finished($small), { DONE => 1 }, 'the one with the slot goes on');
$small->stop;

# A claim waits for the disk, and for no standby: its request leaves while the only one is away.  The answer waits for it.
$node->safe_psql('postgres', 'TRUNCATE job_items');
$mock->reset;
$node->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'away'});
$node->reload;
my $waiter = $node->background_psql('postgres');
$waiter->query_until(qr/started/, "\\echo started\nCREATE TABLE waits ();\n");
my $waits = q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = };
wait_for($node, 'who commits waits for the standby', "$waits 'client backend'", expect => 1);
$node->safe_psql('postgres', q{SET synchronous_commit = local; INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "No standby."}')});
wait_until('the request leaves all the same', sub { $mock->stats->{ok} == 1 });
wait_for($node, 'the answer waits', "$waits 'product_optimizer worker'", expect => 1);
is($node->safe_psql('postgres', 'SELECT status, attempts FROM job_items'), 'RUNNING|1', 'the claim is seen');
$node->safe_psql('postgres', 'SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names');
$node->reload;
is_deeply(all_finished($node), { DONE => 1 }, 'and it ends DONE');
$waiter->quit;

# A standby does nothing until it is promoted; then it goes on with what its primary left.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', 'TRUNCATE job_items');
$mock->reset;
$mock->config(hang => \1);
insert_rows(30, 'Promoted');
wait_until('30 requests of the primary hang', sub { $mock->stats->{hanging} == 30 });
$node->wait_for_catchup($standby, 'replay');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'product_optimizer%'}), 0, 'no process of ours on a standby');
$node->stop('immediate');
$standby->promote;
wait_until('the promoted standby sends what was in flight', sub { $mock->stats->{requests} == 60 });
$mock->release;
is_deeply(all_finished($standby), { DONE => 30 }, 'and everything ends DONE');
$standby->stop;

# pg_upgrade, here to the same version: the queue is adopted and goes on.
$node->start;
is_deeply(all_finished($node), { DONE => 30 }, 'the old primary has done its items too');
$node->safe_psql('broken', 'SELECT optimizer_pause()');
insert_rows(20, 'Upgraded', 'broken');
$node->stop;
my $new = new_cluster('new', $mock->url);
my $bindir = $node->config_data('--bindir');
my @upgrade = ('pg_upgrade', '--no-sync', '-b', $bindir, '-B', $bindir, '-d', $node->data_dir, '-D', $new->data_dir, '-p', $node->port, '-P', $new->port, '-s', $new->host);
chdir $PostgreSQL::Test::Utils::tmp_check;
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check');
command_ok(\@upgrade, 'pg_upgrade');
$new->start;
wait_for($new, 'a queue that was paused still is', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, db => 'broken');
is_deeply(status_counts($new, 'broken'), { DONE => 10, PENDING => 20 }, 'every row came along');
$new->safe_psql('broken', 'SELECT optimizer_resume()');
is_deeply(all_finished($new, db => 'broken'), { DONE => 30 }, 'and the work goes on');
$new->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "New."}')});
is_deeply(all_finished($new), { DONE => 31 }, 'without a word where it was not paused');

unlike(log_since($_), qr/PANIC|was terminated by signal/, 'nothing crashed') for $node, $small, $standby, $new;
done_testing();
