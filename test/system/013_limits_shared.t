# 013_limits_shared.t: one limit for all: two databases, callers of try_acquire(), crashes and reloads.
use strict;
use warnings FATAL => 'all';
use IPC::Run;
use List::Util qw(max);
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# 45 requests a second, 45 at once: six times as fast as in life.
my ($per_second, $burst) = (45, 45);
my $mock = MockOpenai->new('--meter', 'none', '--latency-ms', '50-150');
my $node = start_cluster('shared', $mock->url, settings => { requests_per_minute => 60 * $per_second, burst_seconds => 1 });
my @databases = qw(first second);
for my $db (@databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION product_optimizer');
	wait_for_worker($node, $db, quiet => 1);
}

sub insert_items
{
	my ($db, $count) = @_;
	$node->safe_psql($db, "INSERT INTO job_items (instance_id, payload) SELECT 'store-' || n % 3, jsonb_build_object('title', 'of $db ' || n) FROM generate_series(1, $count) n");
	return;
}

sub count_arrivals { my ($db, $from) = @_; return scalar grep { $_->{t} / 1e6 >= $from } $mock->log($db ? (contains => "of $db") : ()) }

sub wait_arrivals
{
	my ($count, $what) = @_;
	my $from = $mock->stats->{requests};
	return wait_until("$count more requests $what", sub { $mock->stats->{requests} >= $from + $count }, seconds => 60);
}

# The most that any window holds above the rate; times in seconds.
sub worst
{
	my ($rate, @times) = @_;
	my ($level, $worst, $last) = (0, 0, undef);
	for my $time (sort { $a <=> $b } @times)
	{
		$level = max(0, $level - $rate * ($time - ($last // $time))) + 1;
		$worst = max($worst, $level);
		$last = $time;
	}
	return $worst;
}

# What leaves evenly arrives a few milliseconds more or less evenly.
my $jitter = 0.05 * $per_second;

# Two databases with backlogs share evenly.
insert_items($_, 1200) for @databases;
wait_arrivals(90, 'until both are at it');
my $began = time();
wait_arrivals(6 * $per_second, 'of both databases');
my $took = time() - $began;
my ($first, $second) = map { count_arrivals($_, $began) } @databases;
note("first $first, second $second");
cmp_ok(abs($first - $second), '<=', 0.1 * ($first + $second), 'two databases share the limit evenly');
cmp_ok($first + $second, '>=', 0.99 * $per_second * $took - 3, 'and use it');

# kill -9 of a worker, which restarts all of the server's processes; then of the server itself.
my ($pid) = split /\n/, $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'product_optimizer worker'");
kill 'KILL', $pid;
wait_for($node, 'the worker of another process', "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'product_optimizer worker' AND pid <> $pid", quiet => 1);
wait_arrivals(3 * $per_second, 'after the kill of a worker');
my @processes = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
push @processes, split /\n.*/s, slurp_file($node->data_dir . '/postmaster.pid');
$node->kill9;
# Its children notice in their own time, and until then hold on to the memory.
wait_until('the killed server is gone', sub { !grep { kill 0, $_ } @processes }, quiet => 1);
$node->start;
wait_arrivals(3 * $per_second, 'after the kill of the server');
my @times = map { $_->{m} / 1e9 } $mock->log;
my $most = worst($per_second, @times);
note("most above the rate: $most");
cmp_ok($most, '<=', $burst + $jitter, 'two crashes opened no window above the bound');

# A raised limit holds from the reload on, and so does a lowered one.
configure($node, requests_per_minute => 120 * $per_second);
$began = time();
wait_arrivals(3 * 2 * $per_second, 'at twice the rate');
$took = time() - $began;
cmp_ok(count_arrivals(undef, $began), '>=', 0.97 * 2 * $per_second * $took - 3, 'a raised limit is used at once');
configure($node, requests_per_minute => 20 * 60);
# The workers read the new settings before they look for work again.
$began = time() + 0.1;
wait_arrivals(3 * 20, 'at less than half the rate');
$most = worst(20, map { $_->{m} / 1e9 } grep { $_->{t} / 1e6 > $began } $mock->log);
cmp_ok($most, '<=', 20 + 0.05 * 20, 'a lowered one is not exceeded from then on');

# Eight sessions that ask for permits beside the workers, and after a refusal come back when the SQL expression says.
# What was granted to them, and sent by the workers of each database.
sub beside_sessions
{
	my ($seconds, $pause) = @_;
	my $began = time();
	my $ended = $began + $seconds;
	my $loop = <<"SQL";
DO \$\$
DECLARE
  answer record;
BEGIN
  WHILE clock_timestamp() < to_timestamp($ended) LOOP
    SELECT * INTO answer FROM try_acquire(10);
    IF answer.granted THEN
      RAISE NOTICE 'granted at %', extract(epoch FROM clock_timestamp());
    ELSE
      PERFORM pg_sleep($pause);
    END IF;
  END LOOP;
END \$\$
SQL
	my @sessions = map {
		my $session = { out => '' };
		$session->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('first'), '-c', $loop ], '>&', \$session->{out});
		$session;
	} 1 .. 8;
	$_->{run}->finish for @sessions;
	my $inside = sub { grep { $_ >= $began && $_ <= $ended } @_ };
	my %got = (sessions => [ $inside->(map { $_->{out} =~ /granted at ([\d.]+)/g } @sessions) ]);
	$got{$_} = [ $inside->(map { $_->{t} / 1e6 } $mock->log(contains => "of $_")) ] for @databases;
	my @all = map { @$_ } values %got;
	note(join ', ', map { "$_: " . @{ $got{$_} } } sort keys %got);
	cmp_ok(worst($per_second, @all), '<=', $burst + $jitter, 'no window of all together is above the bound');
	cmp_ok(scalar(@all), '>=', 0.99 * $per_second * $seconds - 3, 'and together they use the limit');
	return map { $_ => @{ $got{$_} } / @all } keys %got;
}

configure($node, requests_per_minute => 60 * $per_second);
insert_items($_, 600) for @databases;
my %part = beside_sessions(4, 'extract(epoch FROM answer.retry_after)');
cmp_ok($part{$_}, '>=', 0.27, "three who ask share evenly: $_") for sort keys %part;
$node->safe_psql('second', q{SELECT optimizer_pause()});
wait_for($node, 'one of the two workers pauses', q{SELECT worker_state = 'paused' AND in_flight = 0 FROM optimizer_stats()}, db => 'second');
%part = beside_sessions(4, '0.002');
cmp_ok($part{first}, '>=', 0.4, 'sessions that never stop asking do not crowd out the worker');
cmp_ok($part{sessions}, '>=', 0.4, 'nor the worker them');
$node->safe_psql('second', 'SELECT optimizer_resume()');

# Whoever has nothing to do sleeps, and whoever is throttled sleeps until the instant of the next permit.
configure($node, requests_per_minute => 2, poll_interval => '1h', rescan_interval => '1h', heartbeat_interval => 0, stats_log_interval => 0);
$node->safe_psql($_, q{UPDATE job_items SET status = 'CANCELLED' WHERE status = 'PENDING'}) for @databases;
wait_for($node, 'nothing is in flight', 'SELECT sum(in_flight) = 0 FROM optimizer_workers()', db => 'first');
insert_items('second', 5);
wait_for($node, 'one waits for a permit', q{SELECT worker_state = 'throttled' AND in_flight = 0 FROM optimizer_stats()}, db => 'second');
my %pid_of = map { split /\|/ } split /\n/, $node->safe_psql('first', 'SELECT database, pid FROM optimizer_workers()');
sub switches { my ($count) = slurp_file("/proc/$_[0]/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m; return $count }
$began = time();
wait_until('the log has told of the last claim', sub { time() > $began + 1.5 }, quiet => 1);
my %before = map { $_ => switches($pid_of{$_}) } @databases;
wait_until('three seconds pass', sub { time() > $began + 4.5 }, quiet => 1);
for my $db (@databases)
{
	my $woken = switches($pid_of{$db}) - $before{$db};
	note("$db: woken $woken times");
	cmp_ok($woken, '<=', 1, ($db eq 'first' ? 'an idle' : 'a throttled') . ' worker sleeps');
}

done_testing();
