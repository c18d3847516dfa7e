# 030_failed_claims.t: claims that fail half-way or are rolled back, while others claim past what they had locked.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
# Neither a poll nor a rescan comes to help.
my $node = start_cluster('failed', $mock->url, settings => { poll_interval => '1h', rescan_interval => '1h' });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub pause
{
	sql('SELECT optimizer_pause()');
	wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
	return;
}

# A store with so many rows that no claim below finds nothing, and looks at the table for that.
sub fill { return sql(q{INSERT INTO job_items (instance_id, payload) SELECT 'always', '1' FROM generate_series(1, 20000)}) }

sub insert { my ($store, $priority, $title) = @_; return sql("INSERT INTO job_items (instance_id, priority, payload) VALUES ('$store', $priority, '{\"title\": \"$title\"}')") }

sub claimed
{
	my ($title, $what) = @_;
	return wait_for($node, $what, qq{SELECT coalesce(bool_or(payload->>'title' = '$title'), false) FROM claim_pending_items(2, 1)});
}

pause();

# The statement that locks rows is cancelled: it has locked 'one', and stands before the row of another store.
sql(<<'SQL');
CREATE ROLE queue_owner;
SELECT hand_over_optimizer('queue_owner');
CREATE FUNCTION not_yet(store text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF store = 'b' AND current_setting('application_name') = 'slow' THEN PERFORM pg_advisory_lock_shared(42); END IF;
  RETURN true;
END $$;
CREATE POLICY not_yet ON job_items USING (not_yet(instance_id));
ALTER TABLE job_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_items FORCE ROW LEVEL SECURITY;
SQL
insert('a', 0, 'one');
insert('b', 0, 'two');
insert('a', 0, 'three');
fill();
my $gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(42)');
my $slow = $node->background_psql('postgres', on_error_stop => 0);
$slow->query_safe(q{SET application_name = 'slow'});
$slow->query_until(qr/asked/, "\\echo asked\nSELECT count(*) FROM claim_pending_items(2);\n");
wait_for($node, 'it has locked a row and waits', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}, quiet => 1);
claimed('three', 'another claim passes over the locked row');
is(sql(q{SELECT status FROM job_items WHERE payload->>'title' = 'one'}), 'PENDING', '… which waits');
sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'slow'});
claimed('one', 'what a cancelled statement had locked is claimed soon after');
$_->quit for $slow, $gate;
sql('ALTER TABLE job_items NO FORCE ROW LEVEL SECURITY; ALTER TABLE job_items DISABLE ROW LEVEL SECURITY; DROP POLICY not_yet ON job_items');

# A row is claimed as what its own transaction made of it, and is again what it was.
insert('c', 5, 'raised');
insert('c', 6, 'second');
insert('c', 7, 'third');
my $claimer = $node->background_psql('postgres', on_error_stop => 1);
$claimer->query_safe('BEGIN');
$claimer->query_safe(q{UPDATE job_items SET priority = 0 WHERE payload->>'title' = 'raised'});
is($claimer->query_safe(q{SELECT string_agg(payload->>'title', ' ') FROM claim_pending_items(100, 1) WHERE instance_id = 'c'}), 'raised', 'a claim sees its own update');
claimed('third', 'others claim past it');
$claimer->query_safe('ROLLBACK');
claimed('raised', 'a row that has its old priority back is claimed soon after');

# … and one that was deleted is there again.
insert('d', 0, 'deleted');
$claimer->query_safe('BEGIN');
$claimer->query_safe(q{DELETE FROM job_items WHERE instance_id = 'd'});
is($claimer->query_safe(q{SELECT count(*) FROM claim_pending_items(100, 1) WHERE instance_id = 'd'}), 0, 'a claim does not give what its transaction deleted');
$claimer->query_safe('ROLLBACK');
claimed('deleted', 'a row that is there again is claimed soon after');

done_testing();
