# 026_old_snapshot.t: somebody holds a snapshot for hours, so that no entry of an index that a drain leaves behind goes
# away, and many items are scheduled for next year.  What is read must follow what is done, and nothing else.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none', '--latency-ms', '1-5');
# No look at all between: what is told has to suffice.
my $node = start_cluster('snapshot', $mock->url, settings => { poll_interval => '1h', rescan_interval => '1h' });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);
wait_for($node, 'idle', q{SELECT worker_state = 'idle' FROM optimizer_stats()}, quiet => 1);

my $holder = $node->background_psql('postgres', on_error_stop => 1);
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM job_items');

sub entries_read
{
	my ($index) = @_;
	return $node->safe_psql('postgres', "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = '$index'");
}

$node->safe_psql('postgres', <<'SQL');
INSERT INTO job_items (instance_id, run_after, payload)
SELECT 'next year', now() + interval '1 year', '{"title": "Next year."}' FROM generate_series(1, 50000)
SQL

sub all_due_done
{
	my ($what) = @_;
	wait_for($node, $what, q{SELECT NOT EXISTS (SELECT FROM job_items WHERE instance_id <> 'next year' AND status <> 'DONE')}, quiet => 1);
	return;
}

# Due one by one, so that there are hundreds of looks.
my $rows = 4000;
$node->safe_psql('postgres', <<"SQL");
INSERT INTO job_items (instance_id, run_after, payload)
SELECT 'store ' || n % 10, now() + n * interval '1 ms', format('{"title": "Row %s."}', n)::jsonb FROM generate_series(1, $rows) n
SQL
all_due_done('every item that was scheduled is done');
cmp_ok(entries_read('idx_job_items_scheduled'), '<', 12 * $rows, 'due items: entries of those that went on, or are not due yet, are not read again and again');
cmp_ok(entries_read('idx_job_items_instance_status_id'), '<', 12 * $rows, 'claims: neither are those of claimed ones');

# What comes to lie where nothing was left is found all the same.
$node->safe_psql('postgres', <<'SQL');
INSERT INTO job_items (instance_id, status, run_after, payload) VALUES ('late', 'SCHEDULED', now() - interval '1 hour', '{"title": "Late."}')
SQL
all_due_done('an item that was due an hour ago when it came');
my $late = $node->background_psql('postgres', on_error_stop => 1);
$late->query_safe(q{BEGIN; INSERT INTO job_items (instance_id, run_after, payload) VALUES ('late', now() + interval '50 ms', '{"title": "Later."}')});
$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, run_after, payload) VALUES ('a', now() + interval '100 ms', '{"title": "Soon."}')});
all_due_done('one that is due after it');
$late->query_safe('COMMIT');
all_due_done('an item that was due before it was committed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'DONE'}), $rows + 3, 'all of them');

# A store is served far on: what waits again behind that, and what is urgent, is found without reading all of it again.
$node->safe_psql('postgres', q{SELECT optimizer_pause('the test claims')});
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
$node->safe_psql('postgres', <<'SQL');
INSERT INTO job_items (instance_id, payload) SELECT 'far', format('{"title": "Row %s."}', n)::jsonb FROM generate_series(1, 5000) n;
CREATE TABLE held AS SELECT id, attempts FROM claim_pending_items(50, 50);
DO $$
BEGIN
  FOR n IN 1..40 LOOP
    PERFORM complete_item(id, attempts, '{}') FROM claim_pending_items(100, 100);
    COMMIT;
  END LOOP;
END $$;
SQL
my $read = entries_read('idx_job_items_instance_status_id');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE claimed (n int, place int, id bigint, urgent boolean, again boolean);
DO $$
DECLARE
  again held;
BEGIN
  FOR n IN 1..50 LOOP
    DELETE FROM held WHERE id = (SELECT max(id) FROM held) RETURNING * INTO again;
    PERFORM release_item(again.id, again.attempts);
    INSERT INTO job_items (instance_id, priority, payload) VALUES ('far', -1, '{"title": "Urgent."}');
    COMMIT;
    INSERT INTO claimed
    SELECT n, row_number() OVER (), c.id, c.priority = -1, c.id = again.id
      FROM claim_pending_items(3, 3) AS c WHERE complete_item(c.id, c.attempts, '{}');
    COMMIT;
  END LOOP;
END $$;
SQL
is($node->safe_psql('postgres', q{SELECT count(*) FROM claimed WHERE CASE place WHEN 1 THEN urgent WHEN 2 THEN again ELSE NOT urgent AND NOT again END}),
	150, 'the urgent one, the one that waits again, and the next of the line are in the very next claim');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT id) FROM claimed'), 150, 'nothing is claimed twice');
cmp_ok(entries_read('idx_job_items_instance_status_id') - $read, '<', 2 * 5000, 'the thousands of entries that were left behind between them are read once, not by each claim');

$holder->query_safe('COMMIT');
done_testing();
