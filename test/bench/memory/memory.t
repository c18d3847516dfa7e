# memory.t: a million rows through one worker, then minutes of nothing but errors; its memory and descriptors stay flat.
#
# MEMORY_ROWS and MEMORY_ERROR_SECONDS make it shorter or longer.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $rows = $ENV{MEMORY_ROWS} || 1000000;
my $error_seconds = $ENV{MEMORY_ERROR_SECONDS} || 300;
my $batch = 20000;
my $in_flight = 256;

my $mock = MockOpenai->new('--meter', 'none', '--log', '/dev/null', '--log-limit', 1000);
my $node = start_cluster('memory', $mock->url, conf => "autovacuum_naptime = 5s\nshared_buffers = 256MB\nmax_wal_size = 4GB\n",
	settings => { requests_per_minute => 100000000, tokens_per_minute => 2000000000, heartbeat_interval => '60s', max_in_flight => $in_flight, max_attempts => 1000 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);

# Kilobytes of memory that is the worker's own (not the shared buffers that it touched), and open descriptors.
sub usage
{
	my ($anonymous) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return ($anonymous, scalar(my @descriptors = glob "/proc/$pid/fd/*"));
}

sub say_usage
{
	my ($what, $since) = @_;
	my ($memory, $descriptors) = usage();
	diag(sprintf '%-28s %7.1f s  %8d kB  %4d descriptors', $what, time() - $since, $memory, $descriptors);
	return ($memory, $descriptors);
}

sub insert_batch
{
	return $node->safe_psql('postgres', <<"SQL");
INSERT INTO job_items (instance_id, payload)
SELECT 'store-' || n % 50, jsonb_build_object('title', 'Mug ' || n || '.', 'description', repeat('A blue mug. ', 10)) FROM generate_series(1, $batch) n
SQL
}

# What the first tenth took is the measure for the rest.  A request in flight is a descriptor.
sub stays_flat
{
	my ($name, $first, $last) = @_;
	cmp_ok($last->[0], '<=', $first->[0] + 8192, "$name: memory stays flat ($first->[0] kB, then $last->[0] kB)");
	cmp_ok($last->[1], '<=', $in_flight + 100, "$name: descriptors are those of the requests in flight ($first->[1], then $last->[1])");
	return;
}

my $began = time;
my (@first, @last);
for (my $sent = 0; $sent < $rows; $sent += $batch)
{
	insert_batch();
	wait_for($node, "$sent", q{SELECT NOT EXISTS (SELECT FROM job_items WHERE status = 'PENDING')}, seconds => 600, quiet => 1) or last;
	@last = usage();
	@first = @last if $sent < $rows / 10;
	say_usage($sent + $batch . ' rows', $began) if ($sent + $batch) % ($rows / 10) < $batch;
}
all_finished($node);
is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE status = 'DONE') = count(*), count(*) FROM job_items}), "t|$rows", 'all are DONE');
diag(sprintf '%d rows in %.0f s', $rows, time() - $began);
stays_flat("$rows rows", \@first, \@last);
is(worker_pid($node), $pid, 'by one worker');

$node->safe_psql('postgres', 'TRUNCATE job_items');
$mock->config(faults => { http_500 => 0.7, http_503 => 0.1, garbage => 0.1, drop => 0.1 });
configure($node, retry_base_delay => '1ms', retry_max_delay => '1ms');
insert_batch();
$began = time;
(@first, @last) = ();
my $report_at = 0;
while (time() - $began < $error_seconds)
{
	my $retries = stats($node, 'retries');
	wait_for($node, 'errors', "SELECT retries > $retries + 1000 FROM optimizer_stats()", seconds => 120, quiet => 1) or last;
	@last = usage();
	@first = @last if time() - $began < $error_seconds / 10 || !@first;
	next if time() - $began < $report_at;
	say_usage($retries . ' retries', $began);
	$report_at += $error_seconds / 10;
}
diag(stats($node, 'retries') . ' retries');
stays_flat('errors only', \@first, \@last);
is(worker_pid($node), $pid, 'by the same worker');

$mock->config(faults => {});
my $ended = all_finished($node, seconds => 300);
is(($ended->{DONE} // 0) + ($ended->{FAILED} // 0), $batch, 'when the errors end all are finished');
done_testing();
