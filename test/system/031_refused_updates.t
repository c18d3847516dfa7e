# 031_refused_updates.t: triggers of the application that leave out, without raising, what the extension writes, or give an
# item another status than that.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
# Neither a poll nor a rescan comes to help, and the worker asks for one item at a time.
my $node = start_cluster('refused', $mock->url, settings => { poll_interval => '1h', rescan_interval => '1h', max_in_flight => 1 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);
# The title of an item says which status it is not to get, and what it gets instead: '-' and '=' leave the update out.
$node->safe_psql('postgres', <<'SQL');
CREATE SEQUENCE refusals;
CREATE FUNCTION as_asked() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wish text := split_part(NEW.payload->>'title', ' ', 2);
BEGIN
  IF NEW.status <> split_part(NEW.payload->>'title', ' ', 1) THEN RETURN NEW; END IF;
  PERFORM nextval('refusals');
  IF wish = '-' THEN RETURN NULL; END IF;
  IF wish = '=' THEN RETURN OLD; END IF;
  NEW.status := wish;
  IF wish = 'SCHEDULED' THEN NEW.run_after := clock_timestamp() + interval '300 ms'; NEW.payload := '{"title": "go"}'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER as_asked BEFORE UPDATE ON job_items FOR EACH ROW EXECUTE FUNCTION as_asked();
SQL

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub insert
{
	my ($store, $columns, @titles) = @_;
	my ($names, $values) = $columns ? (", $columns->[0]", ", $columns->[1]") : ('', '');
	return sql("INSERT INTO job_items (instance_id, payload$names) VALUES " . join ', ', map { qq{('$store', '{"title": "$_"}'$values)} } @titles);
}

sub statuses { return sql(qq{SELECT string_agg(status, ' ' ORDER BY id) FROM job_items WHERE instance_id = '$_[0]'}) }

sub all_done
{
	my ($store, $what) = @_;
	return wait_for($node, $what, qq{SELECT bool_and(status = 'DONE') FROM job_items WHERE instance_id = '$store'}, seconds => 20);
}

sub is_logged { my ($line, $what) = @_; return wait_until($what, sub { slurp_file($node->logfile) =~ $line }) }

my $left_out = qr/a trigger or policy of job_items leaves out what was to be written/;

# Claims.
insert('kept', undef, ('RUNNING -') x 30);
insert('same', undef, 'RUNNING =', 'RUNNING PENDING');
insert('others', undef, map { "go $_" } 1 .. 5);
all_done('others', 'items that cannot be claimed do not keep the other stores waiting');
is_logged(qr/WARNING:  product_optimizer: store $_ rests for ten seconds: an item of it cannot be claimed: $left_out/, "the log says why $_ rests") for 'kept', 'same';
is(statuses('kept') . ' ' . statuses('same'), join(' ', ('PENDING') x 32), 'they wait');
cmp_ok(sql('SELECT last_value FROM refusals'), '<', 200, 'nobody asks for them all the time');
insert('turned', undef, 'RUNNING CANCELLED', 'RUNNING SCHEDULED', 'RUNNING FAILED', 'go');
wait_for($node, 'items that get another status are out of the line', q{SELECT string_agg(status, ' ' ORDER BY id) = 'CANCELLED DONE FAILED DONE' FROM job_items WHERE instance_id = 'turned'}, seconds => 20);
wait_for($node, '… and none of them was sent', q{SELECT items_done = 7 AND items_claimed = 7 AND late_results_rejected = 0 FROM optimizer_stats()}, quiet => 1);
is($mock->stats->{requests}, 7, 'who was not claimed is not sent');

# Due items, and orphans.
insert('due', [ 'run_after', q{now() + interval '100 ms'} ], 'PENDING -');
insert('orphan', [ 'status', q{'RUNNING'} ], 'PENDING -', 'PENDING =', 'PENDING RUNNING');
insert('healthy', [ 'run_after', q{now() + interval '100 ms'} ], 'go');
all_done('healthy', 'a due item that is kept from waiting holds up no other');
is_logged(qr/cannot put due items in line: $left_out/, '… and is told of');
sql('SELECT optimizer_resume()'); # has it look for orphans
is_logged(qr/cannot put back orphans: $left_out/, 'and so is an orphan');

# Answers.
insert('answered', undef, 'DONE -', 'DONE =', 'DONE RUNNING');
is_logged(qr/cannot write the outcome of item \d+: $left_out/, 'and an answer that is left out');
my @calls = ([ 'DONE', q{complete_item(id, attempts, '1')} ], [ 'FAILED', q{fail_item(id, attempts, 'no', false)} ], [ 'PENDING', 'release_item(id, attempts)' ]);
for (@calls)
{
	my ($status, $call) = @$_;
	for my $wish ('-', '=', 'RUNNING')
	{
		insert("$status $wish", [ 'status, attempts, lease_expires_at', q{'RUNNING', 1, 'infinity'} ], "$status $wish");
		my (undef, undef, $error) = $node->psql('postgres', qq{SELECT $call FROM job_items WHERE instance_id = '$status $wish'}, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
		is($error, 'psql:<stdin>:1: ERROR:  27000', "$call raises when it is left out: $wish");
	}
}
sql('DROP TRIGGER as_asked ON job_items');
is(sql(qq{SELECT $_->[1] FROM job_items WHERE instance_id = '$_->[0] -'}), $_->[0] eq 'FAILED' ? 'FAILED' : 't', "$_->[1] when it is not") for @calls;
all_done('answered', 'the answers are kept until they can be written');
is(sql(q{SELECT max(attempts) FROM job_items WHERE instance_id = 'answered'}), 1, '… and none is asked for twice');
all_done('kept', 'what is no longer refused is claimed');

# Claims by SQL.
sql('CREATE TRIGGER as_asked BEFORE UPDATE ON job_items FOR EACH ROW EXECUTE FUNCTION as_asked(); SELECT optimizer_pause()');
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
sql('DELETE FROM job_items');
insert('caller', undef, ('RUNNING CANCELLED') x 20, 'go');
is(sql(q{SELECT payload->>'title' FROM claim_pending_items(1)}), 'go', 'a claim goes on behind items that get another status');
sql(q{INSERT INTO stores (instance_id, max_in_flight) VALUES ('one at a time', 1)});
insert('one at a time', undef, ('RUNNING CANCELLED') x 2, 'go', 'too many');
is(sql(q{SELECT payload->>'title' FROM claim_pending_items(5)}), 'go', '… also in a store with a max_in_flight');
sql(q{UPDATE job_items SET status = 'DONE' WHERE instance_id = 'one at a time'});
insert('caller', undef, ('RUNNING CANCELLED') x 20);
is(sql(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM claim_pending_items(1); COMMIT}), 0, '… to the end, also under a snapshot');
insert('caller', undef, 'RUNNING -', 'go');
my (undef, undef, $error) = $node->psql('postgres', 'SELECT count(*) FROM claim_pending_items()');
like($error, qr/ERROR:  $left_out\nDETAIL:  It concerns the item \d+\.\nHINT:  A BEFORE UPDATE trigger has to return NEW/, 'a claim that a trigger leaves out says so');
sql('DROP TRIGGER as_asked ON job_items');
is(sql(q{SELECT count(*) FROM claim_pending_items()}), 2, '… and has lost nothing');

done_testing();
