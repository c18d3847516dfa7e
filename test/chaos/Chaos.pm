# Chaos.pm: a cluster under load to which everything happens that can happen, drawn from a seeded deck.
#
#   my $chaos = Chaos->new(seed => 7);  $chaos->run(60);  $chaos->calm_down;
#
# The same seed gives the same deeds in the same order, and the same rows; not the same interleaving.
package Chaos;

use strict;
use warnings FATAL => 'all';
use File::Basename qw(dirname);
use MockOpenai;
use POSIX ();
use PostgreSQL::Test::Utils;
use ProductOptimizer;
use Test::More;
use Time::HiRes qw(time);

# The account of the brief ten times as fast, of which 90 % are used: its minute is six seconds.
our $period = 6;
our %account = (requests => 500, tokens => 500000);
our %limit = (requests => 450, tokens => 450000);
our $burst_seconds = 0.3;

our @databases = ('postgres', 'second');
my $backlog = 120;
our $most_in_flight = 60;

# Each name is a method.  A deck holds each once, and the ends of processes twice.
my @ends = qw(kill_worker kill_launcher kill_session kill_postmaster stop_immediately stop_fast terminate_worker terminate_launcher);
my @deeds = (@ends, @ends, qw(reload reload cancel_jobs delete_rows pause lock_table lock_rows hang revoke_key faults faults retry_failed));

sub new
{
	my ($class, %options) = @_;
	my $self = bless { seed => $options{seed}, state => $options{seed}, done => {}, deck => [], claimers => {}, ends => 0 }, $class;
	$self->{mock} = MockOpenai->new('--rpm', $account{requests}, '--tpm', $account{tokens}, '--period', $period,
		'--latency-ms', '20-200', '--seed', $options{seed} % 1000000);
	$self->{node} = start_cluster('chaos', $self->{mock}->url, settings => {
		requests_per_minute => $limit{requests} * 60 / $period, tokens_per_minute => $limit{tokens} * 60 / $period,
		burst_seconds => $burst_seconds, max_in_flight => $most_in_flight, rescan_interval => '1s', request_timeout => '10s',
		max_response_bytes => '256kB', max_attempts => 8 });
	my $setup = slurp_file(dirname(__FILE__) . '/setup.sql');
	for my $db (@databases)
	{
		$self->{node}->safe_psql('postgres', "CREATE DATABASE $db") if $db ne 'postgres';
		$self->{node}->safe_psql($db, "CREATE EXTENSION product_optimizer;\n$setup");
		wait_for_worker($self->{node}, $db);
	}
	return $self;
}

# A generator of its own, so that nobody else's rand() comes between.
sub draw
{
	my ($self, $below) = @_;
	$self->{state} = ($self->{state} * 1103515245 + 12345) % 2147483648;
	return int($self->{state} / 2147483648 * $below);
}

sub _seed_for_sql { my ($self) = @_; return $self->draw(1000000) / 1000000 }

sub _shuffled
{
	my ($self, @cards) = @_;
	for my $i (reverse 1 .. $#cards)
	{
		my $j = $self->draw($i + 1);
		@cards[ $i, $j ] = @cards[ $j, $i ];
	}
	return @cards;
}

# Until it succeeds: the server may be on its way up.
sub sql
{
	my ($self, $db, $query) = @_;
	my ($out, $err) = ('', '');
	wait_until("SQL in $db: $query",
		sub {
			my $status = $self->{node}->psql($db, $query, stdout => \$out, stderr => \$err);
			die "$query\n$err" if $status == 3 && $err !~ /deadlock detected/;
			return $status == 0;
		},
		seconds => 90, quiet => 1, explain => sub { diag($err) });
	return $out;
}

sub _any_database { my ($self) = @_; return $databases[ $self->draw(scalar @databases) ] }

sub _fill
{
	my ($self) = @_;
	$self->sql($_, "CALL chaos.fill($backlog, @{[ $self->_seed_for_sql ]})") for @databases;
	return;
}

# Claimers in SQL: a psql each, that is started again when its server has gone.
sub _tend_claimers
{
	my ($self) = @_;
	for my $db (@databases)
	{
		my $pid = $self->{claimers}{$db};
		next if $pid && waitpid($pid, POSIX::WNOHANG()) == 0;
		my @command = ($self->{node}->installed_command('psql'), '-Xq', '-d', $self->{node}->connstr($db), '-c',
			"CALL chaos.claimer(1000, @{[ $self->_seed_for_sql ]})");
		defined($pid = fork) or die "cannot fork: $!\n";
		if ($pid == 0)
		{
			open STDOUT, '>', '/dev/null';
			open STDERR, '>&', \*STDOUT;
			exec @command or POSIX::_exit(127);
		}
		$self->{claimers}{$db} = $pid;
	}
	return;
}

sub run
{
	my ($self, $seconds) = @_;
	my $end = time() + $seconds;
	while (time() < $end)
	{
		$self->_fill;
		$self->_tend_claimers;
		$self->{deck} = [ $self->_shuffled(@deeds) ] unless @{ $self->{deck} };
		my $deed = shift @{ $self->{deck} };
		note(sprintf '%.1f s left: %s', $end - time(), $deed);
		$self->$deed;
		$self->{done}{$deed}++;
		$self->_goes_on($deed) or last;
	}
	return;
}

# Whatever was done to it, the queue asks the API again, for both databases' items, within a minute.
sub _goes_on
{
	my ($self, $deed) = @_;
	my $more = 5 + $self->draw(60);
	my $seen = $self->{mock}->stats->{requests};
	return wait_until("after $deed the queue goes on", sub { $self->{mock}->stats->{requests} >= $seen + $more },
		seconds => 90, quiet => 1, explain => sub {
			my $node = $self->{node};
			diag($node->psql($_, 'SELECT * FROM optimizer_stats()', extra_params => ['-x'])) for @databases;
			diag(join "\n", (split /\n/, log_since($node))[ -40 .. -1 ]);
		});
}

# Ends of processes.
sub _pid_of
{
	my ($self, $type) = @_;
	my $db = $self->_any_database;
	my $which = $type eq 'worker' ? "backend_type = 'product_optimizer worker' AND datname = '$db'"
	  : $type eq 'launcher' ? "backend_type = 'product_optimizer launcher'"
	  : "backend_type = 'client backend' AND datname = '$db' AND pid <> pg_backend_pid()";
	return $self->sql('postgres', "SELECT pid FROM pg_stat_activity WHERE $which LIMIT 1");
}

sub _kill
{
	my ($self, $type) = @_;
	my $pid = $self->_pid_of($type);
	$self->{ends}++;
	kill 'KILL', $pid if $pid ne '';
	return;
}

sub kill_worker { my ($self) = @_; return $self->_kill('worker') }
sub kill_launcher { my ($self) = @_; return $self->_kill('launcher') }
sub kill_session { my ($self) = @_; return $self->_kill('session') }

sub _terminate
{
	my ($self, $type) = @_;
	my $pid = $self->_pid_of($type);
	$self->sql('postgres', "SELECT pg_terminate_backend($pid)") if $pid ne '';
	return;
}

sub terminate_worker { my ($self) = @_; return $self->_terminate('worker') }
sub terminate_launcher { my ($self) = @_; return $self->_terminate('launcher') }

# The processes of the old server may take a moment to see that it is gone.
sub _start
{
	my ($self) = @_;
	return wait_until('the server starts again', sub { $self->{node}->start(fail_ok => 1) }, seconds => 90, quiet => 1);
}

sub kill_postmaster
{
	my ($self) = @_;
	my $pid = $self->{node}{_pid};
	$self->{ends}++;
	$self->{node}->kill9;
	wait_until('the postmaster is gone', sub { !kill 0, $pid }, seconds => 90, quiet => 1);
	return $self->_start;
}

sub _stop
{
	my ($self, $mode) = @_;
	# A crash just before may leave it busy with its recovery; then it is asked again.
	wait_until("stop -m $mode", sub { $self->{node}->stop($mode, fail_ok => 1) }, seconds => 90, quiet => 1);
	return $self->_start;
}

sub stop_immediately { my ($self) = @_; $self->{ends}++; return $self->_stop('immediate') }
sub stop_fast { my ($self) = @_; return $self->_stop('fast') }

# Commands of people.
sub reload
{
	my ($self) = @_;
	$self->sql('postgres', 'SELECT 1');
	configure($self->{node}, max_in_flight => 10 + $self->draw($most_in_flight - 10), claim_batch_size => 1 + $self->draw(100),
		claim_per_store => 1 + $self->draw(20), api => ('chat_completions', 'responses')[ $self->draw(2) ]);
	return;
}

sub cancel_jobs
{
	my ($self) = @_;
	return $self->sql($self->_any_database, q{SELECT cancel_job(j.id) FROM (SELECT job_id AS id FROM job_items
	  WHERE job_id IS NOT NULL AND status IN ('PENDING', 'RUNNING', 'SCHEDULED') GROUP BY 1 ORDER BY 1 DESC LIMIT 1) j});
}

sub delete_rows
{
	my ($self) = @_;
	return $self->sql($self->_any_database, q{DELETE FROM job_items WHERE id IN (SELECT id FROM job_items WHERE status = 'RUNNING' LIMIT 3)
	  OR id IN (SELECT id FROM job_items WHERE status = 'PENDING' LIMIT 3)});
}

sub pause
{
	my ($self) = @_;
	$self->sql($_, 'SELECT optimizer_pause($$chaos$$)') for @databases;
	wait_for($self->{node}, 'the queue pauses', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, db => $_, seconds => 90, quiet => 1)
	  for @databases;
	$self->sql($_, 'SELECT optimizer_resume()') for @databases;
	return;
}

# Held for longer than the worker's lock_timeout.
sub lock_table
{
	my ($self) = @_;
	return $self->sql($self->_any_database, 'BEGIN; LOCK TABLE job_items; SELECT pg_sleep(0.6); COMMIT');
}

sub lock_rows
{
	my ($self) = @_;
	return $self->sql($self->_any_database,
		q{BEGIN; SELECT count(*) FROM (SELECT FROM job_items WHERE status IN ('RUNNING', 'PENDING') LIMIT 30 FOR UPDATE) r; SELECT pg_sleep(0.6); COMMIT});
}

sub retry_failed { my ($self) = @_; return $self->sql($self->_any_database, 'SELECT retry_failed()') }

# Troubles of the API.
sub hang
{
	my ($self) = @_;
	my $mock = $self->{mock};
	$mock->config(hang => \1);
	wait_until('requests hang', sub { $mock->stats->{hanging} >= 10 }, seconds => 90, quiet => 1);
	$mock->release;
	return;
}

sub revoke_key
{
	my ($self) = @_;
	$self->{mock}->config(key => ['sk-somebody-elses']);
	wait_for($self->{node}, 'a revoked key blocks the queue', q{SELECT worker_state = 'blocked' FROM optimizer_stats()},
		db => $_, seconds => 90, quiet => 1) for @databases;
	$self->{mock}->config(key => []);
	configure($self->{node});
	return;
}

sub faults
{
	my ($self) = @_;
	my @kinds = $self->_shuffled(qw(http_500 http_503 http_502_html drop cut garbage empty rate_limit length slow wrong_types));
	$self->{mock}->config(faults => { map { $_ => 0.02 } @kinds[ 0 .. 2 ] }, slow_ms => 500);
	return;
}

# No more trouble, no more work, and what is left is done.
sub calm_down
{
	my ($self) = @_;
	for my $pid (values %{ $self->{claimers} }) { kill 'TERM', $pid; waitpid $pid, 0; }
	$self->{mock}->config(faults => {}, key => []);
	$self->{mock}->release;
	$self->sql('postgres', 'SELECT pg_reload_conf()');
	return grep { all_finished($self->{node}, db => $_, seconds => 180, name => "every item of $_ is finished") } @databases;
}

1;
