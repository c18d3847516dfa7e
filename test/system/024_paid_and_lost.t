# 024_paid_and_lost.t: what was paid and is lost, or is asked for again, is counted and named; a file system that takes
# no more loses nothing.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('paid', $mock->url, settings => { max_in_flight => 40 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);

sub insert_rows
{
	my ($count, $title, %of) = @_;
	my $more = $of{words} ? ", 'description', repeat('Words. ', $of{words})" : '';
	return $node->safe_psql('postgres', qq{INSERT INTO job_items (job_id, instance_id, product_id, payload)
		SELECT @{[ $of{job} // 'NULL' ]}, 'store-' || n % 3, '$title', jsonb_build_object('title', '$title ' || n || '.'$more)
		  FROM generate_series(1, $count) n});
}

sub lost { return stats($node, 'paid_results_lost') }

my $lost_line = qr/WARNING:  product_optimizer: (\d+) answers? could not be written before the worker had to go: item ([\d, …]+)$/;

# A constraint refuses three answers of ten; then the worker has to go.
$node->safe_psql('postgres', q{ALTER TABLE job_items ADD CONSTRAINT refuse CHECK (status <> 'DONE' OR product_id <> 'Refused')});
insert_rows(7, 'Stored');
insert_rows(3, 'Refused');
wait_for($node, 'seven are written', q{SELECT count(*) FROM job_items WHERE status = 'DONE'}, expect => 7);
wait_until('all ten are answered', sub { $mock->stats->{ok} == 10 });
wait_until('three are kept', sub { log_lines($node, qr/cannot write the outcome of item \d+: /) });
is(lost(), 0, 'while an answer is kept, nothing is lost');
$mock->config(hang => \1);
insert_rows(5, 'Flying');
wait_until('five more hang', sub { $mock->stats->{hanging} == 5 });
configure($node, api_key => undef);    # so that nothing is claimed again
my $offset = -s $node->logfile;
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
wait_for_worker($node);
is(lost(), 3, 'paid_results_lost counts what could not be written, and survives the worker');
my $refused = $node->safe_psql('postgres', q{SELECT string_agg(id::text, ', ' ORDER BY id) FROM job_items WHERE product_id = 'Refused'});
my ($line) = log_lines($node, $lost_line, $offset);
my @named = ($line // '') =~ $lost_line ? ($1, join ', ', sort { $a <=> $b } split /, /, $2) : ();
is_deeply(\@named, [ 3, $refused ], 'the log names their items');
is(scalar(log_lines($node, qr/product_optimizer: dropped 5 requests in flight, which the API may bill$/, $offset)), 1, 'and tells what was in flight');
is(stats($node, 'items_done'), 7, 'what was written before is counted once');
is(stats($node, 'late_results_rejected'), 0, 'nothing of it came late');

# At a stop of the server the counter goes with it: the log has it.
$node->safe_psql('postgres', 'ALTER TABLE job_items DROP CONSTRAINT refuse');
$mock->release;
configure($node, api_key => $key);
is_deeply(all_finished($node), { DONE => 15 }, 'what was lost is asked for again');
is($node->safe_psql('postgres', 'SELECT max(attempts) FROM job_items'), 1, 'without losing an attempt');
$node->safe_psql('postgres', q{TRUNCATE job_items; ALTER TABLE job_items ADD CONSTRAINT refuse CHECK (status <> 'DONE')});
$offset = -s $node->logfile;
insert_rows(1, 'Refused');
wait_until('an answer is kept', sub { log_lines($node, qr/cannot write the outcome of item \d+: /, $offset) });
$node->restart;
is(scalar(log_lines($node, $lost_line, $offset)), 1, 'a fast stop logs what it loses');
is(lost(), 0, 'and the counter begins anew with the server');
$node->safe_psql('postgres', 'ALTER TABLE job_items DROP CONSTRAINT refuse');
is_deeply(all_finished($node), { DONE => 1 }, 'it is asked for again');

# An answer that the worker writes on its way out is counted as any other.
$node->safe_psql('postgres', 'TRUNCATE job_items');
my $done = stats($node, 'items_done');
my $locker = $node->background_psql('postgres');
$mock->config(hang => \1);
insert_rows(10, 'On the way out');
wait_until('ten hang', sub { $mock->stats->{hanging} == 10 });
$locker->query_safe('BEGIN; SELECT FROM job_items FOR UPDATE');
$mock->release;
wait_until('ten answers wait for a lock', sub { $mock->stats->{in_flight} == 0 });
wait_for($node, 'they are with the worker', q{SELECT in_flight = 0 AND worker_state = 'running' FROM optimizer_stats()});
$locker->query_safe('COMMIT');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . worker_pid($node) . ', 10000)');
is_deeply(all_finished($node), { DONE => 10 }, 'they are written');
is(stats($node, 'items_done') - $done, 10, 'and counted');
is(lost(), 0, 'none is lost');
$locker->quit;

# A trigger that cannot read an answer, with whatever error, does not make it one that can never be stored.
$node->safe_psql('postgres', q{TRUNCATE job_items;
CREATE FUNCTION read_price() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM coalesce(NEW.result->>'price', '12 EUR')::numeric; RETURN NEW; END $$;
CREATE TRIGGER read_price BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'DONE') EXECUTE FUNCTION read_price()});
$mock->reset;
$offset = -s $node->logfile;
insert_rows(3, 'Priced');
wait_until('a cast fails', sub { log_lines($node, qr/cannot write the outcome of item \d+: invalid input syntax for type numeric/, $offset) });
wait_until('three are answered', sub { $mock->stats->{ok} == 3 });
is_deeply(status_counts($node), { RUNNING => 3 }, 'the answers are kept');
$node->safe_psql('postgres', 'DROP TRIGGER read_price ON job_items');
is_deeply(all_finished($node), { DONE => 3 }, 'and written when the trigger is gone');
is($mock->stats->{requests}, 3, 'none is asked for again');
is(lost(), 0, 'and none is lost');

# An answer that can never be stored ends its item, and is counted and named.
$node->safe_psql('postgres', q{CREATE DATABASE latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
$node->safe_psql('latin1', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node, 'latin1');
my $id = insert_item($node, '{"title": "Unstorable.", "mock": "unicode"}', db => 'latin1');
my $job = $node->safe_psql('latin1', q{INSERT INTO jobs (instructions) VALUES ('Repeat it.') RETURNING id});
insert_item($node, '{"title": "Storable."}', db => 'latin1', job_id => $job);
is_deeply(all_finished($node, db => 'latin1'), { DONE => 1, FAILED => 1 }, 'an answer that the encoding lacks characters for fails its item only');
is($node->safe_psql('latin1', 'SELECT error_code, attempts FROM job_items WHERE id = ' . $id), 'unstorable_answer|1', 'after one request');
is(stats($node, 'paid_results_lost', 'latin1'), 1, 'it is counted');
is(scalar(log_lines($node, qr/WARNING:  product_optimizer: the answer to item $id can never be stored: /)), 1, 'and named');

# Sent again after the end of a server: exactly what was in flight, and each is counted; a worker that has the time to
# hand back what it holds logs their number instead.
my %end = (
	'an immediate stop' => sub { $node->stop('immediate') },
	'kill -9 of the postmaster' => sub {
		my $postmaster = $node->{_pid};
		$node->kill9;
		wait_until('the postmaster is gone', sub { !kill 0, $postmaster }, quiet => 1);
	},
	'kill -9 of the worker' => sub { kill 'KILL', worker_pid($node) },
	'kill -9 of a session' => sub {
		my $session = $node->background_psql('postgres', on_error_stop => 0);
		my $victim = $session->query('SELECT pg_backend_pid()');
		kill 'KILL', $victim;
		eval { $session->quit };
	});
for my $name (sort keys %end)
{
	$node->safe_psql('postgres', 'TRUNCATE job_items');
	$mock->reset;
	$mock->config(hang => \1);
	$offset = -s $node->logfile;
	insert_rows(60, 'Crashed');
	wait_until("$name: 40 requests hang", sub { $mock->stats->{hanging} == 40 }, quiet => 1);
	$end{$name}->();
	wait_until('the server starts again', sub { $node->start(fail_ok => 1) }, quiet => 1) if $name =~ /stop|postmaster/;
	wait_until("$name: what was in flight is sent again", sub { $mock->stats->{requests} == 80 });
	my ($dropped) = map { /dropped (\d+) requests in flight/ } log_lines($node, qr/dropped/, $offset);
	$dropped //= 0;
	cmp_ok($dropped, '==', 0, "$name: it has no time") unless $name =~ /postmaster/;
	wait_for($node, "$name: each of them is counted", "SELECT orphans_rescued + $dropped FROM optimizer_stats()", expect => 40);
	is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE attempts = 2), count(*) FILTER (WHERE attempts = 1) FROM job_items WHERE status = 'RUNNING'}),
		(40 - $dropped) . "|$dropped", "$name: the attempt counts where nobody handed it back");
	$mock->release;
	is_deeply(all_finished($node), { DONE => 60 }, "$name: all end DONE");
	is($mock->stats->{requests}, 100, "$name: nothing else was sent again");
}

# A file system that takes no more, as the kernel says it: no file of the worker's may grow beyond 20 MB, and
# the answers belong into one that is larger.  (WAL comes in files of 16 MB.)
$node->safe_psql('postgres', q{TRUNCATE job_items; ALTER TABLE job_items ALTER payload SET STORAGE EXTERNAL, ALTER result SET STORAGE EXTERNAL;
	INSERT INTO job_items (instance_id, status, payload) SELECT 'filler', 'DONE', jsonb_build_object('title', repeat('x', 1000000)) FROM generate_series(1, 30)});
$mock->reset;
$pid = wait_for_worker($node);
$offset = -s $node->logfile;
system_or_bail('prlimit', "--pid=$pid", '--fsize=20000000:unlimited');
$job = $node->safe_psql('postgres', q{INSERT INTO jobs (instructions) VALUES ('Repeat it.') RETURNING id});
insert_rows(10, 'Large', words => 2000, job => $job);
insert_rows(20, 'Small');
my $count = q{SELECT count(*) FROM job_items WHERE status = '%s' AND product_id = '%s'};
wait_for($node, 'what fits is written', sprintf($count, 'DONE', 'Small'), expect => 20);
wait_until('what does not is reported', sub { log_lines($node, qr/cannot write the outcome of item \d+: could not extend file/, $offset) });
wait_until('all are answered', sub { $mock->stats->{ok} == 30 });
is($node->safe_psql('postgres', sprintf $count, 'RUNNING', 'Large'), 10, 'the answers are kept');
is(lost(), 0, 'and none is lost');
system_or_bail('prlimit', "--pid=$pid", '--fsize=unlimited:unlimited');
is_deeply(all_finished($node), { DONE => 60 }, 'with room again they are written');
is($mock->stats->{requests}, 30, 'and none was asked for twice');
is(worker_pid($node), $pid, 'by the same worker');

unlike(log_since($node), qr/PANIC/, 'nothing panicked');
done_testing();
