# Queue.pm: a database of its own (database => 'bench') with the extension, its worker paused and its queue filled.
#
#   my $queue = Queue->new(rows => 10_000, stores => 10, shape => 'uniform');
#   my $session = $queue->session;                 # more connections: $queue->session(@settings)
#   $queue->refill;                                # finishes what is claimed, inserts as many for the same stores
#   $queue->drop;
package Queue;

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use Session;
use Time::HiRes qw(time);

our @EXPORT = qw(stores_needed store_expression $payload);

our $payload = q('{"sku": "10-2937-B", "title": "Blue mug", "category": "Kitchen", "description": )
  . q("A mug for coffee or tea, 0.3 l, dishwasher safe, with a handle for two fingers.", "price": 7.9}'::jsonb);

# The store of row n, as an SQL expression.  Names have 36 characters and no order that the rows have, too.
sub store_expression
{
	my ($shape, $stores) = @_;
	my $number = {
		uniform => "n % $stores",
		whale => "CASE WHEN n % 100 = 0 THEN 1 + n / 100 % ($stores - 1) ELSE 0 END",
		'one-each' => 'n',
	}->{$shape} // die "no such shape: $shape\n";
	return "md5(($number)::text)::uuid::text";
}

# So many rows are needed to give each store one.
sub stores_needed { my ($shape, $stores) = @_; return $shape eq 'whale' ? ($stores - 1) * 100 : $stores }

sub wait_until
{
	my ($what, $seconds, $check) = @_;
	my $deadline = time() + $seconds;
	until ($check->())
	{
		die "$what: not within $seconds s\n" if time() > $deadline;
		select undef, undef, undef, 0.05;
	}
	return;
}

sub new
{
	my ($class, %options) = @_;
	my $self = bless { admin => Session->new('postgres'), database => $options{database} // 'bench' }, $class;
	$self->{admin}->ask("DROP DATABASE IF EXISTS $self->{database} WITH (FORCE)");
	$self->{admin}->ask("CREATE DATABASE $self->{database} TEMPLATE template0");
	my $session = $self->{main} = $self->session;
	$session->ask("CREATE EXTENSION $_") for 'product_optimizer', 'pg_prewarm';
	# Its worker would claim, too.
	$session->ask(q{SELECT optimizer_pause('benchmark')});
	wait_until('the worker is paused', 60, sub { $session->value('SELECT worker_state FROM optimizer_stats()') eq 'paused' });
	$self->_load(%options) if $options{rows};
	return $self;
}

sub session { my ($self, @settings) = @_; return Session->new($self->{database}, @settings) }

sub ask { my ($self, $sql) = @_; return $self->{main}->ask($sql) }

sub value { my ($self, $sql) = @_; return $self->{main}->value($sql) }

# Behind the triggers' back and without the secondary indexes, which are then made as they were.  The table is
# emptied in the same transaction: PostgreSQL then writes no WAL for it.
sub _load
{
	my ($self, %options) = @_;
	my $session = $self->{main};
	my ($indexes) = $session->ask(<<'SQL');
SELECT pg_get_indexdef(i.indexrelid) || '|' || i.indexrelid::regclass FROM pg_index i
 WHERE i.indrelid = 'job_items'::regclass AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
SQL
	my ($triggers) = $session->ask(<<'SQL');
SELECT format('ALTER TABLE job_items ENABLE %s TRIGGER %I', CASE tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' END, tgname)
  FROM pg_trigger WHERE tgrelid = 'job_items'::regclass AND NOT tgisinternal AND tgenabled <> 'D'
SQL
	my $store = store_expression($options{shape}, $options{stores});
	$session->ask('BEGIN');
	$session->ask($_) for 'ALTER TABLE job_items DISABLE TRIGGER USER', 'TRUNCATE job_items CASCADE',
	  map { 'DROP INDEX ' . (split /\|/)[1] } @$indexes;
	$session->ask(<<"SQL");
INSERT INTO job_items (id, instance_id, product_id, payload)
SELECT n, $store, 'product-' || n, $payload FROM (SELECT generate_series(1, $options{rows}) AS n) AS numbers
SQL
	$session->ask($_) for "SELECT setval(pg_get_serial_sequence('job_items', 'id'), $options{rows})",
	  (map { (split /\|/)[0] } @$indexes), @$triggers;
	$session->ask('COMMIT');
	$self->settle;
	$self->_wait_for_full_claims($options{claim} // 100);
	return;
}

# The state of a table that has been there for a while: vacuumed, and in memory as far as that goes.
sub settle
{
	my ($self) = @_;
	$self->ask($_) for 'VACUUM (ANALYZE) job_items', <<'SQL', 'CHECKPOINT';
SELECT pg_prewarm(c.oid) FROM pg_class c
 WHERE c.oid = 'job_items'::regclass OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'job_items'::regclass)
SQL
	return;
}

# What comes past the triggers is found by the rescan, which need not take its time while nothing is measured.
sub _wait_for_full_claims
{
	my ($self, $rows) = @_;
	$self->_rescan("SET product_optimizer.rescan_interval = '1s'");
	my $claim = $self->session;
	wait_until('a claim gives a full batch', 180, sub {
		my ($claimed) = $claim->ask('SELECT id FROM claim_pending_items(100, 20)');
		$self->refill if @$claimed;
		return @$claimed >= $rows;
	});
	$self->_rescan('RESET product_optimizer.rescan_interval');
	return;
}

sub _rescan { my ($self, $change) = @_; $self->{admin}->ask("ALTER SYSTEM $change"); $self->{admin}->ask('SELECT pg_reload_conf()'); return }

# What a session has read once, it has mapped into its memory: the state of one that has been there for a while.
sub touch
{
	my ($self, $session) = @_;
	$session->ask($_) for 'BEGIN', 'SET LOCAL max_parallel_workers_per_gather = 0', 'SET LOCAL enable_indexonlyscan = off',
	  'SELECT count(*) FROM job_items', 'SET LOCAL enable_indexonlyscan = on', 'SET LOCAL enable_seqscan = off', 'SET LOCAL enable_bitmapscan = off', 'SET LOCAL enable_sort = off',
	  q{SELECT count(*) FROM (SELECT FROM job_items WHERE status = 'PENDING' ORDER BY instance_id, priority, id OFFSET 0) AS by_store},
	  q{SELECT count(*) FROM (SELECT FROM job_items WHERE status = 'PENDING' ORDER BY id OFFSET 0) AS by_age},
	  'SELECT count(*) FROM (SELECT FROM job_items ORDER BY id OFFSET 0) AS by_key', 'COMMIT';
	return;
}

# What was claimed is done, and each store gets as many new rows as it lost: the queue stays what it is, as
# one does whose work comes in as it goes out.
sub refill
{
	my ($self) = @_;
	$self->ask(<<'SQL');
WITH finished AS (
  UPDATE job_items
     SET status = 'DONE', result = '{}', finished_at = clock_timestamp(), claimed_by = NULL, lease_expires_at = NULL
   WHERE status = 'RUNNING' RETURNING instance_id, product_id, payload)
INSERT INTO job_items (instance_id, product_id, payload) SELECT * FROM finished
SQL
	return;
}

# Runs pgbench with that script; a hash of what it printed: rate (transactions per second), transactions, log.
sub pgbench
{
	my ($self, $script, %options) = @_;
	my $file = "$ENV{PGHOST}/script.sql";
	open my $out, '>', $file or die "$file: $!\n";
	print $out $script;
	close $out or die "$file: $!\n";
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } @{ $options{settings} // [] };
	my @command = ('pgbench', '-n', '-M', 'prepared', '-c', $options{clients} // 1, '-j', $options{clients} // 1, '-f', $file,
		$options{seconds} ? ('-T', $options{seconds}) : ('-t', $options{transactions}), @{ $options{more} // [] }, $self->{database});
	open my $in, '-|', "@command 2>&1" or die "pgbench: $!\n";
	my $said = do { local $/; <$in> };
	close $in or die "pgbench failed:\n$said";
	my ($transactions) = $said =~ /^number of transactions actually processed: (\d+)/m;
	my ($failed) = $said =~ /^number of failed transactions: (\d+)/m;
	my ($rate) = $said =~ /^tps = ([\d.]+)/m;
	die "pgbench failed:\n$said" if !$rate || $failed;
	return { transactions => $transactions, rate => $rate };
}

sub drop
{
	my ($self) = @_;
	$self->{main}->quit;
	$self->{admin}->ask("DROP DATABASE $self->{database} WITH (FORCE)");
	$self->{admin}->quit;
	return;
}

1;
