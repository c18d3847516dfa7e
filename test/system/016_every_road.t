# 016_every_road.t: whatever way a row becomes PENDING, it is found: at once when the queue can know, and by a look
# at the table when nobody told.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none', '--latency-ms', '2-5');
# Neither a poll nor a rescan comes to help.
my $node = start_cluster('roads', $mock->url,
	settings => { poll_interval => '1h', rescan_interval => '1h' }, conf => "max_prepared_transactions = 5\n");
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);
wait_for($node, 'idle', q{SELECT worker_state = 'idle' FROM optimizer_stats()}, quiet => 1);

sub sql { return $node->safe_psql('postgres', $_[0]) }

my $rows = 0;
sub row
{
	my ($store, $status) = @_;
	$rows++;
	return sprintf q{INSERT INTO job_items (instance_id, status, payload) VALUES ('%s', '%s', '{"title": "Row %d."}')}, $store,
	  $status // 'PENDING', $rows;
}

sub all_done
{
	my ($what) = @_;
	wait_for($node, $what, qq{SELECT count(*) = $rows AND bool_and(status = 'DONE') FROM job_items}, seconds => 20);
	return;
}

sql(row('a'));
all_done('an insert');
sql(row('a', 'FAILED'));
sql(q{UPDATE job_items SET status = 'PENDING' WHERE status = 'FAILED'});
all_done('an update of the application');
sql(row('a', 'FAILED'));
sql('SELECT retry_failed()');
all_done('retry_failed()');
sql(row('a', 'DONE'));
sql(q{INSERT INTO job_items (id, instance_id, payload) SELECT max(id), 'a', '{"title": "Again."}' FROM job_items
      ON CONFLICT (id) DO UPDATE SET status = 'PENDING'});
all_done('ON CONFLICT DO UPDATE');
$rows += 2;
sql(qq{COPY job_items (instance_id, payload) FROM stdin;\na\t{"title": "Copied."}\nb\t{"title": "Copied."}\n\\.\n});
all_done('COPY');
sql(row('a', 'FAILED'));
sql(q{UPDATE job_items SET status = 'PENDING', instance_id = 'moved', priority = 7 WHERE status = 'FAILED'});
all_done('an update that moves it to another store');
sql(row('a', 'FAILED'));
sql(q{
	CREATE FUNCTION never_failed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := 'PENDING'; RETURN NEW; END $$;
	CREATE TRIGGER zzz_never_failed BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'FAILED') EXECUTE FUNCTION never_failed()});
sql(q{UPDATE job_items SET priority = 1 WHERE status = 'FAILED'});
sql('DROP TRIGGER zzz_never_failed ON job_items');
all_done('a trigger of the application that makes it PENDING behind those of the extension');
# What such triggers make of a row that the extension itself writes.
sql(q{
	CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := 'PENDING'; RETURN NEW; END $$;
	CREATE TRIGGER twice BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'DONE' AND NEW.attempts = 1) EXECUTE FUNCTION twice()});
sql(row('twice'));
all_done('a trigger of the application that has an item wait again which is done');
is(sql(q{SELECT attempts FROM job_items WHERE instance_id = 'twice'}), 2, '… once more');
sql(q{
	DROP TRIGGER twice ON job_items;
	CREATE FUNCTION soon() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := TG_ARGV[0]; NEW.run_after := clock_timestamp() + interval '300 ms'; RETURN NEW; END $$;
	CREATE TRIGGER soon BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'DONE' AND NEW.attempts = 1) EXECUTE FUNCTION soon('SCHEDULED')});
sql(row('soon'));
all_done('… or that has it wait until later');
sql(q{
	DROP TRIGGER soon ON job_items;
	CREATE TRIGGER soon BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'PENDING' AND OLD.status = 'RUNNING') EXECUTE FUNCTION soon('PENDING')});
$rows++;
sql(q{INSERT INTO job_items (instance_id, payload, status, attempts, lease_expires_at) VALUES ('soon', '{"title": "Released."}', 'RUNNING', 1, 'infinity')});
sql(q{SELECT release_item(id, attempts) FROM job_items WHERE status = 'RUNNING'});
all_done('… or one that was released');
sql('DROP TRIGGER soon ON job_items');
# Whatever name the trigger has that gives a row a time ahead: it does not leave before.
sql(q{
	CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.run_after := 'infinity'; RETURN NEW; END $$;
	CREATE TRIGGER set_later BEFORE INSERT OR UPDATE ON job_items FOR EACH ROW WHEN (NEW.instance_id = 'hesitant') EXECUTE FUNCTION later()});
my $hesitant = q{SELECT string_agg(status, ',') FROM job_items WHERE instance_id = 'hesitant'};
sql(row('hesitant'));
is(sql($hesitant), 'SCHEDULED', 'an inserted row to which a trigger gives a time ahead is SCHEDULED');
sql(q{UPDATE job_items SET status = 'FAILED' WHERE instance_id = 'hesitant'});
sql(q{UPDATE job_items SET status = 'PENDING' WHERE instance_id = 'hesitant'});
is(sql($hesitant), 'SCHEDULED', '… and an updated one');
sql('DROP TRIGGER set_later ON job_items');
sql(q{UPDATE job_items SET status = 'PENDING', run_after = NULL WHERE instance_id = 'hesitant'});
all_done('… until its time has come');
sql('BEGIN; ' . row('a') . "; SAVEPOINT s; " . row('b') . '; ROLLBACK TO s; COMMIT');
$rows--;
all_done('a transaction of which a part was rolled back');

# Prepared transactions: neither commit nor roll-back passes a trigger.
sql('BEGIN; ' . row('a') . q{; PREPARE TRANSACTION 'insert'});
sql(q{COMMIT PREPARED 'insert'});
all_done('COMMIT PREPARED');

# Ids that commit out of their order, in a store that has gone on meanwhile.
my $late = $node->background_psql('postgres', on_error_stop => 1);
$late->query_safe('BEGIN');
$late->query_safe(row('late'));
sql(row('late')) for 1 .. 3;
wait_for($node, 'the later ones are done', q{SELECT count(*) = 3 FROM job_items WHERE instance_id = 'late' AND status = 'DONE'}, quiet => 1);
$late->query_safe('COMMIT');
all_done('a lower id that is committed later');

# Claims that do not come to their end; the worker is paused until they are gone.
sub paused
{
	my ($what, $body) = @_;
	sql('SELECT optimizer_pause()');
	wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
	sql(row($_)) for 'a', 'a', 'b';
	$body->();
	sql('SELECT optimizer_resume()');
	all_done($what);
	return;
}
my $claim = 'SELECT count(*) FROM claim_pending_items()';
paused('a claim that is rolled back', sub { sql("BEGIN; $claim; ROLLBACK") });
paused('… to a savepoint', sub { sql("BEGIN; SAVEPOINT s; $claim; ROLLBACK TO s; COMMIT") });
paused('… to a savepoint around the one of the claim', sub {
	sql("BEGIN; SAVEPOINT s; SAVEPOINT t; $claim; RELEASE t; SAVEPOINT u; ROLLBACK TO u; ROLLBACK TO s; COMMIT") });
paused('… in a block with an exception handler', sub {
	sql(q{DO $$ BEGIN PERFORM claim_pending_items(); RAISE 'no'; EXCEPTION WHEN raise_exception THEN NULL; END $$}) });
paused('… in a prepared transaction', sub { sql("BEGIN; $claim; PREPARE TRANSACTION 'claim'"); sql(q{ROLLBACK PREPARED 'claim'}) });
paused('… because its session is terminated', sub {
	$late->query_safe("BEGIN; $claim");
	sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'});
	wait_for($node, 'gone', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE state = 'idle in transaction'}, quiet => 1);
});
paused('release_item()', sub { sql('SELECT release_item(id, attempts) FROM claim_pending_items()') });
paused('fail_item() with a delay', sub { sql(q{SELECT fail_item(id, attempts, 'later', true, '50 ms') FROM claim_pending_items()}) });

# While others wait, too, the next claim finds what an update put into the line: nobody has to look at the table for it.
paused('an update while others wait', sub {
	my $woken = q{SELECT count(*) FROM claim_pending_items(3, 1) WHERE instance_id = 'woken'};
	sql(row('woken', 'FAILED'));
	sql(q{UPDATE job_items SET status = 'PENDING' WHERE instance_id = 'woken'});
	is(sql($woken), 1, 'a row that an update put into the line is claimed in its turn');
	is(sql("BEGIN; SELECT count(release_item(id, attempts)) FROM job_items WHERE status = 'RUNNING'; $woken; ROLLBACK"), "3\n1",
		'… also in the transaction that released it');
	sql(q{UPDATE job_items SET status = 'PENDING' WHERE status = 'RUNNING'});
	is(sql(q{BEGIN; UPDATE job_items SET instance_id = 'elsewhere', priority = 3 WHERE instance_id = 'b';
		SELECT count(*) FROM claim_pending_items(3, 1) WHERE instance_id = 'elsewhere'; ROLLBACK}), 1, '… and one of the same transaction');
	wait_for($node, 'a roll-back leaves no row out', q{WITH claimed AS (SELECT FROM claim_pending_items())
		SELECT (SELECT count(*) FROM claimed) + (SELECT count(*) FROM job_items WHERE status = 'RUNNING') = 4});
	sql("SELECT release_item(id, attempts) FROM job_items WHERE status = 'RUNNING'");
});

sql(q{CREATE TRIGGER a_never_failed BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'FAILED') EXECUTE FUNCTION never_failed()});
paused('an update of another column, of which a trigger makes one of the status', sub {
	sql(row('revived', 'FAILED'));
	sql(q{UPDATE job_items SET product_id = 'new' WHERE instance_id = 'revived'});
	is(sql(q{SELECT count(*) FROM claim_pending_items(3, 1) WHERE instance_id = 'revived'}), 1, 'a row that a trigger put into the line is claimed in its turn');
	sql("SELECT release_item(id, attempts) FROM job_items WHERE status = 'RUNNING'");
});
sql('DROP TRIGGER a_never_failed ON job_items');

# … and an item whose time it brought forward is due, though nobody looks at the table.
paused('an update of run_after while others wait', sub {
	$rows++;
	sql(q{INSERT INTO job_items (instance_id, payload, run_after) VALUES ('later', '{"title": "Later."}', now() + interval '1 day')});
	sql(q{UPDATE job_items SET run_after = now() WHERE instance_id = 'later'});
	wait_for($node, 'an item that an update made due gets into line', q{SELECT status = 'PENDING' FROM job_items WHERE instance_id = 'later'}, seconds => 20);
});

# A trigger of the application, inside a statement of the extension: the next claim finds what it put into the line,
# although others wait as well.
sql(q{
	CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN UPDATE job_items SET status = 'PENDING' WHERE instance_id = 'follower' AND status = 'FAILED'; RETURN NULL; END $$;
	CREATE TRIGGER again AFTER UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'DONE' AND NEW.instance_id = 'leader') EXECUTE FUNCTION again()});
paused('a trigger of the application on an item that is done', sub {
	my $all_running = q{FROM job_items WHERE status = 'RUNNING'};
	sql(row('leader', 'RUNNING'));
	sql(row('follower', 'FAILED'));
	is(sql(qq{BEGIN; DO \$\$ BEGIN PERFORM complete_item(id, attempts, '1') $all_running; END \$\$;
		SELECT count(*) FROM claim_pending_items(3, 1) WHERE instance_id = 'follower'; COMMIT}), 1, 'a row that a trigger of the application put into the line is claimed in its turn');
	sql("SELECT release_item(id, attempts) $all_running");
});
sql('DROP TRIGGER again ON job_items');

# Behind the triggers' back, as logical replication and some restores come: found by the poll of an idle worker.
configure($node, poll_interval => '100ms');
sql('BEGIN; SET LOCAL session_replication_role = replica; ' . row('silent') . '; COMMIT');
all_done('a row that no trigger saw');
sql('ALTER TABLE job_items DISABLE TRIGGER USER; ' . row('silent') . '; ALTER TABLE job_items ENABLE TRIGGER USER');
all_done('a row that came while the triggers were disabled');

# Locked when the claim came by.
my $locker = $node->background_psql('postgres', on_error_stop => 1);
sql('SELECT optimizer_pause()');
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
sql(row('locked'));
$locker->query_safe(q{BEGIN; SELECT FROM job_items WHERE status = 'PENDING' FOR UPDATE});
sql(row('locked'));
sql('SELECT optimizer_resume()');
wait_for($node, 'the free row of that store is done',
	q{SELECT count(*) FILTER (WHERE status = 'DONE') = 1 FROM job_items WHERE instance_id = 'locked'}, quiet => 1);
$locker->query_safe('COMMIT');
all_done('a row that was locked when the claim came by');

# Under load nothing is idle: found within rescan_interval, not behind the backlog.
configure($node, poll_interval => undef, rescan_interval => '1s', requests_per_minute => 6000, burst_seconds => 0.5);
sql(q{INSERT INTO job_items (instance_id, payload) SELECT 'big', '{"title": "Big."}' FROM generate_series(1, 3000)});
sql('BEGIN; SET LOCAL session_replication_role = replica; ' . row('quiet') . '; COMMIT');
wait_for($node, 'found', q{SELECT status = 'DONE' FROM job_items WHERE instance_id = 'quiet'}, quiet => 1);
cmp_ok(sql(q{SELECT count(*) FROM job_items WHERE instance_id = 'big' AND status = 'PENDING'}), '>', 500,
	'under load, too, a row that nobody told of is found long before the backlog is gone');

done_testing();
