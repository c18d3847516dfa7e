# ProductOptimizer.pm: a cluster with the extension, and how to wait for what it does.
#
#   my $mock = MockOpenai->new;
#   my $node = start_cluster('main', $mock->url);            # preloaded, not yet created anywhere
#   $node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
#   configure($node, model => 'gpt-4o-mini');                 # reloads, and waits for the reload
#   wait_for($node, 'all done', "SELECT bool_and(status = 'DONE') FROM job_items");
package ProductOptimizer;

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use MockOpenai;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(
  start_cluster new_cluster configure write_settings setting wait_until wait_for wait_for_worker worker_pid
  all_finished status_counts insert_item log_since log_lines key_never_logged stats seconds_of $key $slowness
);

our $key = 'sk-system-test-4f1d8a0b9c2e';    # never to be seen in a log
our $slowness = $ENV{SLOWNESS} // 1;           # deadlines and delays may be so many times as long, with sanitizers

# Wide open limits: what a test is not about shall not slow it down.
my %defaults = (
	api_key => $key,
	requests_per_minute => 60000,
	tokens_per_minute => 200000000,
	burst_seconds => 6,
	retry_base_delay => '50ms',
	retry_max_delay => '200ms',
	rescan_interval => '2s',
	stats_log_interval => '5s',
	heartbeat_interval => '5s',
);
my %settings_of;
my @nodes;

sub _quoted { my ($value) = @_; $value =~ s/([\\'])/$1$1/g; $value =~ s/\n/\\n/g; return "'$value'" }

# Writes the settings file, without a reload.  undef takes a setting out again.
sub write_settings
{
	my ($node, %changes) = @_;
	my $settings = $settings_of{ $node->name } //= { generation => 0, %defaults };
	@$settings{ keys %changes } = values %changes;
	$settings->{generation}++;
	my $file = $node->data_dir . '/product_optimizer.conf';
	open my $out, '>', "$file.new" or die "cannot write $file.new: $!\n";
	for my $name (sort keys %$settings)
	{
		next if $name eq 'generation' || !defined $settings->{$name};
		print $out "product_optimizer.$name = ", _quoted($settings->{$name}), "\n";
	}
	print $out "system_test.generation = '$settings->{generation}'\n";
	close $out or die;
	rename "$file.new", $file or die;
	return $settings->{generation};
}

# What a setting is, as far as it was set here.
sub setting { my ($node, $name) = @_; return $settings_of{ $node->name }{$name} }

# Changes settings by a reload.  A connection that sees the new generation was forked after the
# server had told all its processes.
sub configure
{
	my ($node, %changes) = @_;
	my $generation = write_settings($node, %changes);
	$node->reload;
	wait_for($node, "settings reloaded (@{[ sort keys %changes ]})", "SELECT current_setting('system_test.generation')",
		expect => $generation, quiet => 1);
	return;
}

# A cluster with the extension preloaded, not started: { settings => {…}, conf => "more lines", … of init }.
sub new_cluster
{
	my ($name, $url, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	push @nodes, $node;
	my $settings = delete $options{settings} // {};
	my $conf = delete $options{conf} // '';
	my $extra = [ '--encoding=UTF8', '--no-locale', @{ delete $options{extra} // [] } ];
	$node->init(extra => $extra, %options);
	$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'product_optimizer'
include = 'product_optimizer.conf'
log_statement = none
restart_after_crash = on
autovacuum_naptime = 1h
$conf
CONF
	write_settings($node, api_base_url => $url, %$settings);
	return $node;
}

sub start_cluster
{
	my ($name, $url, %options) = @_;
	my $node = new_cluster($name, $url, %options);
	$node->start;
	return $node;
}

sub seconds_of
{
	my ($what) = @_;
	my $began = time;
	$what->();
	return time() - $began;
}

# Polls until the sub is true; the last resort after so many seconds is a failed test, with what was seen.
sub wait_until
{
	my ($name, $check, %options) = @_;
	my $seconds = ($options{seconds} // 60) * $slowness;
	my $deadline = time() + $seconds;
	my $seen;
	for (;;)
	{
		$seen = $check->();
		last if $seen || time() > $deadline;
		select(undef, undef, undef, 0.02);
	}
	if (!$seen)
	{
		fail("$name (not within $seconds s)");
		$options{explain}->() if $options{explain};
	}
	elsif (!$options{quiet})
	{
		pass($name);
	}
	return $seen;
}

# The same for a query: until it says expect ('t'), in the database db ('postgres').  Errors count as "not yet".
sub wait_for
{
	my ($node, $name, $query, %options) = @_;
	my $db = $options{db} // 'postgres';
	my $expect = $options{expect} // 't';
	my ($out, $err) = ('', '');
	return wait_until(
		$name,
		sub {
			my $status = $node->psql($db, $query, stdout => \$out, stderr => \$err);
			return $status == 0 && $out eq $expect;
		},
		explain => sub {
			diag("wanted: $expect\nlast seen: $out $err\nof: $query");
			_explain($node, $db);
		},
		%options);
}

sub _explain
{
	my ($node, $db) = @_;
	for my $query (
		"SELECT status, error_code, attempts, count(*) FROM job_items GROUP BY 1, 2, 3",
		'SELECT * FROM optimizer_stats()', 'SELECT * FROM optimizer_workers()')
	{
		my ($out, $err) = ('', '');
		$node->psql($db, $query, stdout => \$out, stderr => \$err, extra_params => ['-x']);
		diag("$query\n$out$err");
	}
	my @log = split /\n/, slurp_file($node->logfile);
	diag("the server log's end:\n" . join "\n", @log > 40 ? @log[ -40 .. -1 ] : @log);
	return;
}

sub worker_pid
{
	my ($node, $db) = @_;
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE datname = '"
		  . ($db // 'postgres') . "' AND backend_type = 'product_optimizer worker'");
}

sub wait_for_worker
{
	my ($node, $db, %options) = @_;
	$db //= 'postgres';
	wait_for($node, "a worker runs in $db", "SELECT count(*) FROM optimizer_workers() WHERE database = '$db' AND pid IS NOT NULL",
		expect => '1', db => $db, %options);
	return worker_pid($node, $db);
}

# Inserts one item and returns its id; other columns of job_items by name: insert_item($node, '{"title": …}', max_attempts => 1)
sub insert_item
{
	my ($node, $payload, %columns) = @_;
	my $db = delete $columns{db} // 'postgres';
	%columns = (instance_id => 'store-a', %columns, payload => $payload);
	my @names = sort keys %columns;
	my $values = join ', ', map { (my $value = $columns{$_}) =~ s/'/''/g; "'$value'" } @names;
	return $node->safe_psql($db, "INSERT INTO job_items (@{[ join ', ', @names ]}) VALUES ($values) RETURNING id");
}

# Waits until nothing waits or runs, then tells the counts: { DONE => 400 }.
sub all_finished
{
	my ($node, %options) = @_;
	wait_for($node, $options{name} // 'every item is finished',
		"SELECT NOT EXISTS (SELECT FROM job_items WHERE status NOT IN ('DONE', 'FAILED', 'CANCELLED'))",
		quiet => 1, %options);
	return status_counts($node, $options{db});
}

sub status_counts
{
	my ($node, $db, $where) = @_;
	my $rows = $node->safe_psql($db // 'postgres',
		'SELECT status, count(*) FROM job_items WHERE ' . ($where // 'true') . ' GROUP BY status');
	return { map { split /\|/ } split /\n/, $rows };
}

# One column of optimizer_stats().
sub stats
{
	my ($node, $column, $db) = @_;
	return $node->safe_psql($db // 'postgres', "SELECT $column FROM optimizer_stats()");
}

# What the server has logged from that offset on (-s $node->logfile, taken before).
sub log_since { my ($node, $offset) = @_; return slurp_file($node->logfile, $offset // 0) }

sub key_never_logged
{
	my ($node) = @_;
	my @lines = log_lines($node, qr/\Q$key\E/);
	return is(scalar(@lines), 0, 'the server log never shows the key') || diag(join "\n", @lines);
}

sub log_lines
{
	my ($node, $pattern, $offset) = @_;
	return grep { /$pattern/ } split /\n/, log_since($node, $offset);
}

# The server comes back by itself after a crash, so that the tests behind it may well succeed.
END
{
	my $status = $?;
	for my $node (@nodes)
	{
		next unless -e $node->logfile;
		my @crashes = log_lines($node, qr/was terminated by signal (?:4|6|7|8|11):/, 0);
		diag("a process of ", $node->name, " crashed:\n", join "\n", @crashes) if @crashes;
		$status ||= 1 if @crashes;
	}
	$? = $status;
}

1;
