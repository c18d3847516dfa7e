# 009_nobody_stops_the_others.t: one store's limit, one row, one strange database: everybody else goes on.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('others', $mock->url);
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);

sub insert_rows
{
	my ($store, $count, %columns) = @_;
	my $db = $columns{db} // 'postgres';
	my $job = $columns{job} // 'NULL';
	return $node->safe_psql($db, qq{INSERT INTO job_items (job_id, instance_id, payload)
		SELECT $job, '$store', jsonb_build_object('title', 'Item ' || n || '.') FROM generate_series(1, $count) n});
}

sub done
{
	my ($store, $count, $name) = @_;
	return wait_for($node, $name, "SELECT count(*) = $count FROM job_items WHERE instance_id = '$store' AND status = 'DONE'");
}

# A store at its own limit of one a minute; and a model whose bucket lets nothing through yet.
$node->safe_psql('postgres', q{INSERT INTO stores (instance_id, requests_per_minute) VALUES ('limited', 1)});
insert_rows('limited', 50);
insert_rows('free', 300);
done('free', 300, 'a store at its own limit does not hold up another');
is($node->safe_psql('postgres', q{SELECT count(*) <= 1 FROM job_items WHERE instance_id = 'limited' AND status = 'DONE'}), 't', 'and keeps its limit');
$node->safe_psql('postgres', q{TRUNCATE job_items, stores; INSERT INTO rate_limits VALUES ('gpt-5-nano', 1, 100000)});
my $job = $node->safe_psql('postgres', q{INSERT INTO jobs (model) VALUES ('gpt-5-nano') RETURNING id});
insert_rows('slow-model', 50, job => $job);
insert_rows('fast-model', 300);
done('fast-model', 300, 'a model without permits does not hold up another');

# A payload of 2 kB that is more than 1 GB as text cannot be read at all.
$node->safe_psql('postgres', q{TRUNCATE job_items; DELETE FROM rate_limits});
$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload) SELECT 'a-poison', jsonb_agg(1e131071::numeric) FROM generate_series(1, 8300)});
insert_rows('healthy', 50);
is_deeply(all_finished($node), { DONE => 50, FAILED => 1 }, 'an item that cannot be read fails alone');
is($node->safe_psql('postgres', q{SELECT error_code FROM job_items WHERE status = 'FAILED'}), 'unreadable_item', 'and says so');

# A trigger that raises on one row keeps that row from being claimed, and no other.
$node->safe_psql('postgres', q{TRUNCATE job_items;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.product_id = 'refused') EXECUTE FUNCTION refuse();
INSERT INTO job_items (instance_id, product_id, payload) VALUES ('a-refused', 'refused', '{}')});
insert_rows('healthy', 50);
done('healthy', 50, 'a row whose update a trigger refuses holds up nobody');
is($node->safe_psql('postgres', q{SELECT status FROM job_items WHERE product_id = 'refused'}), 'PENDING', 'and is not lost');
$node->safe_psql('postgres', q{DROP TRIGGER refuse ON job_items; UPDATE job_items SET priority = 1, run_after = NULL WHERE product_id = 'refused'});
is_deeply(all_finished($node), { DONE => 51 }, 'when the trigger is gone it follows');

# A store that has nothing left, and stands before the one at fault, does not rest for it.
$node->safe_psql('postgres', q{SELECT optimizer_pause()});
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
$node->safe_psql('postgres', $_) for q{INSERT INTO job_items (instance_id, payload) VALUES ('a-stale', '{}')},
  q{INSERT INTO job_items (instance_id, product_id, payload) VALUES ('at-fault', 'refused', '{}')}, q{DELETE FROM job_items WHERE instance_id = 'a-stale'},
  q{CREATE TRIGGER refuse BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.product_id = 'refused') EXECUTE FUNCTION refuse()},
  'SELECT optimizer_resume()';
wait_until('the store at fault rests', sub { log_since($node) =~ /store at-fault rests for ten seconds/ });
unlike(log_since($node), qr/store a-stale rests/, '… and no other');
$node->safe_psql('postgres', q{DROP TRIGGER refuse ON job_items; DELETE FROM job_items WHERE instance_id = 'at-fault'});

# A trigger that raises on a due item keeps that item waiting, and nobody else.
$node->safe_psql('postgres', q{TRUNCATE job_items;
INSERT INTO job_items (instance_id, product_id, payload, run_after) VALUES ('a-due', 'refused', '{}', clock_timestamp() + '2 s');
CREATE TRIGGER refuse BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.product_id = 'refused') EXECUTE FUNCTION refuse()});
wait_until('the due item is refused', sub { log_since($node) =~ /cannot put due items in line: not this one/ });
insert_rows('healthy', 50);
done('healthy', 50, 'a due item that a trigger refuses holds up nobody');
$node->safe_psql('postgres', 'DROP TRIGGER refuse ON job_items');
is_deeply(all_finished($node), { DONE => 51 }, 'when the trigger is gone it follows too');

# The same for a due item and an orphan among many, and for a store with more such items than can be tried one by one.
$node->safe_psql('postgres', q{BEGIN; TRUNCATE job_items;
INSERT INTO job_items (instance_id, product_id, payload, status, run_after)
	SELECT 'a-due', CASE WHEN n IN (1, 60) THEN 'refused' END, '{}', 'SCHEDULED', clock_timestamp() FROM generate_series(1, 100) n;
INSERT INTO job_items (instance_id, product_id, payload, status, run_after)
	SELECT 'a-due-all', 'refused', '{}', 'SCHEDULED', clock_timestamp() FROM generate_series(1, 100) n;
INSERT INTO job_items (instance_id, product_id, payload, status, attempts, claimed_by, lease_expires_at)
	SELECT 'an-orphan', CASE WHEN n IN (1, 60) THEN 'refused' END, '{}', 'RUNNING', 1, 'somebody', clock_timestamp() FROM generate_series(1, 100) n;
ALTER TABLE job_items ADD CONSTRAINT refuse CHECK (product_id <> 'refused' OR status = 'PAID') NOT VALID;
COMMIT});
done('a-due', 98, 'two due items that a constraint refuses hold up nobody');
done('an-orphan', 98, 'nor do two orphans');
is_deeply(status_counts($node), { DONE => 196, SCHEDULED => 102, RUNNING => 2 }, 'nothing else happened');
$node->safe_psql('postgres', q{ALTER TABLE job_items DROP CONSTRAINT refuse});
is_deeply(all_finished($node), { DONE => 300 }, 'when the constraint is gone they follow');

# A due item that somebody has locked is waited for calmly.
$node->safe_psql('postgres', q{TRUNCATE job_items; INSERT INTO job_items (instance_id, payload, run_after) VALUES ('a', '{}', clock_timestamp() + '1 h')});
my $locker = $node->background_psql('postgres');
$locker->query_safe(q{BEGIN; SELECT FROM job_items FOR UPDATE});
is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'SCHEDULED'}), 1, 'an item is scheduled');
$locker->query_safe(q{UPDATE job_items SET run_after = clock_timestamp(), status = 'SCHEDULED'; COMMIT; BEGIN; SELECT FROM job_items FOR UPDATE});
my $transactions = sub { $node->safe_psql('postgres', q{SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'}) };
insert_rows('b', 20);
done('b', 20, 'others go on');
my $before = $transactions->();
wait_for($node, 'three seconds', q{SELECT clock_timestamp() > started_at + '5 s' FROM (SELECT max(started_at) AS started_at FROM job_items) i});
cmp_ok($transactions->() - $before, '<', 1000, 'and the worker does not spin');
$locker->query_safe('COMMIT');
$locker->quit;
is_deeply(all_finished($node), { DONE => 21 }, 'when it is unlocked it follows');

# A row that somebody has locked while its request flies keeps no other answer out of the table.
$node->safe_psql('postgres', 'TRUNCATE job_items');
$mock->config(hang => \1);
insert_rows('in-flight', 40);
wait_until('40 requests hang', sub { $mock->stats->{hanging} == 40 });
$locker = $node->background_psql('postgres');
$locker->query_safe(q{BEGIN; SELECT FROM job_items WHERE id = (SELECT min(id) FROM job_items) FOR UPDATE});
$mock->release;
done('in-flight', 39, 'the answers of the others are written');
is($node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'RUNNING'}), 1, 'the locked one is kept');
$locker->query_safe('COMMIT');
done('in-flight', 40, 'and written when the lock is gone');

# The same for the whole table.
$node->safe_psql('postgres', 'TRUNCATE job_items');
$mock->config(hang => \1);
insert_rows('in-flight', 40);
wait_until('40 requests hang again', sub { $mock->stats->{hanging} == 40 });
$locker->query_safe(q{BEGIN; LOCK TABLE job_items});
$mock->release;
wait_until('the answers are there', sub { $mock->stats->{hanging} == 0 && $mock->stats->{in_flight} == 0 });
wait_until('and cannot be written', sub { log_since($node) =~ /cannot write the outcome of item \d+: canceling statement due to lock timeout/ });
$locker->query_safe('COMMIT');
$locker->quit;
is_deeply(all_finished($node), { DONE => 40 }, 'a locked table loses no answer');
is($node->safe_psql('postgres', 'SELECT max(attempts) FROM job_items'), 1, 'and none is asked for twice');

# Answers that a trigger refuses, all of one store: the others go on, and those of it that fly are kept.
$node->safe_psql('postgres', q{TRUNCATE job_items;
CREATE FUNCTION refuse_answer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no answers'; END $$;
CREATE TRIGGER refuse_answer BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'DONE' AND NEW.instance_id = 'a-refuses') EXECUTE FUNCTION refuse_answer()});
$mock->reset;
insert_rows('a-refuses', 300);
wait_for($node, 'many answers of a store are refused', q{SELECT count(*) >= 20 FROM job_items WHERE status = 'RUNNING'});
wait_until('and reported', sub { log_since($node) =~ /cannot write the outcome of item \d+: no answers/ });
insert_rows('healthy', 1000);
done('healthy', 1000, 'answers that are refused hold up nobody else');
my $kept = $node->safe_psql('postgres', q{SELECT count(*) FROM job_items WHERE status = 'RUNNING'});
cmp_ok($kept, '<', 300, 'no more of its items are sent when some dozens are refused');
$node->safe_psql('postgres', 'DROP TRIGGER refuse_answer ON job_items');
is_deeply(all_finished($node), { DONE => 1300 }, 'when the trigger is gone they are written');
is($mock->stats->{requests}, 1300, 'and none was sent again');

# A trigger that waits for a lock, for one answer among many, delays that one.
$node->safe_psql('postgres', q{TRUNCATE job_items; CREATE TABLE ledger ();
CREATE FUNCTION keep_ledger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN LOCK TABLE ledger; RETURN NEW; END $$;
CREATE TRIGGER keep_ledger BEFORE UPDATE ON job_items FOR EACH ROW WHEN (NEW.status = 'DONE' AND NEW.product_id = 'in-ledger') EXECUTE FUNCTION keep_ledger()});
$locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE ledger');
$mock->reset;
$mock->config(hang => \1);
insert_rows('in-flight', 60);
$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, product_id, payload) VALUES ('a-ledger', 'in-ledger', '{}')});
wait_until('61 requests hang', sub { $mock->stats->{hanging} == 61 });
$mock->release;
done('in-flight', 60, 'an answer whose trigger waits for a lock holds up no other');
$locker->query_safe('COMMIT');
$locker->quit;
is_deeply(all_finished($node), { DONE => 61 }, 'and follows when the lock is gone');
is($mock->stats->{requests}, 61, 'none was sent again');
$node->safe_psql('postgres', 'DROP TRIGGER keep_ledger ON job_items');

# Settings that no item fits are nobody's fault.
configure($node, tokens_per_minute => 8000);
$node->safe_psql('postgres', 'TRUNCATE job_items');
insert_rows('a', 20);
wait_for($node, 'a bucket smaller than the output cap blocks the queue',
	q{SELECT worker_state = 'blocked' AND state_reason LIKE 'needs % tokens at once%' FROM optimizer_stats()});
is_deeply(status_counts($node), { PENDING => 20 }, 'and fails no row');
configure($node, tokens_per_minute => 200000000);
is_deeply(all_finished($node), { DONE => 20 }, 'all goes on when it is raised');

# Nobody's cancel reaches the worker.
$pid = worker_pid($node);
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
insert_rows('after-cancel', 5);
done('after-cancel', 5, 'pg_cancel_backend() has nothing to cancel');
is(worker_pid($node), $pid, 'in the worker');

# Databases of other encodings.
for my $encoding ('LATIN1', 'WIN1252', 'SQL_ASCII')
{
	my $db = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	$node->safe_psql($db, 'CREATE EXTENSION product_optimizer');
	wait_for_worker($node, $db);
	# An answer in plain text repeats the payload, so that it has no character that LATIN1 lacks.
	$job = $node->safe_psql($db, q{INSERT INTO jobs (instructions) VALUES ('Repeat it.') RETURNING id});
	$node->safe_psql($db, qq{INSERT INTO job_items (job_id, instance_id, payload)
		SELECT $job, convert_from('\\x636166e9', '$encoding'), jsonb_build_object('title', convert_from('\\x636166e9', '$encoding')) FROM generate_series(1, 3)});
	# In WIN1252 these bytes are no characters, and have no form in UTF-8.  The second store is found by the walk alone.
	my $nameless = qq{INSERT INTO job_items (job_id, instance_id, payload) VALUES ($job, 'a' || chr(%d), '{"title": "Nameless."}')};
	$node->safe_psql($db, sprintf($nameless, 129));
	$node->safe_psql($db, 'BEGIN; SET LOCAL session_replication_role = replica; ' . sprintf($nameless, 141) . '; COMMIT');
	insert_rows('plain', 20, db => $db, job => $job);
	my $counts = all_finished($node, db => $db, name => "$encoding: all finished");
	is($counts->{DONE}, 25, "$encoding: all end DONE");

	# What the worker of one database says must not keep another one from reading it.
	$node->safe_psql($db, q{CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not %', convert_from('\x636166e9', 'LATIN1') USING ERRCODE = '55006'; END $$;
		CREATE TRIGGER stop BEFORE UPDATE ON job_items FOR EACH ROW EXECUTE FUNCTION stop()}
		=~ s/'LATIN1'/'$encoding'/r);
	insert_rows('refused', 1, db => $db, job => $job);
	wait_for($node, "$encoding: every database can read what went wrong",
		"SELECT last_error FROM optimizer_workers() WHERE database = '$db'", expect => 'not caf?');
	$node->safe_psql($db, 'DROP TRIGGER stop ON job_items');
	wait_for($node, "$encoding: it goes on", q{SELECT status = 'DONE' FROM job_items WHERE instance_id = 'refused'}, db => $db);

	# An external worker may say what its database can hold.
	$node->safe_psql($db, 'SELECT optimizer_pause()');
	my $id = insert_item($node, '{"title": "External."}', db => $db);
	is($node->safe_psql($db, qq{SELECT fail_item(c.id, c.attempts, convert_from('\\x636166e9', '$encoding'), false) FROM claim_pending_items() c}),
		'FAILED', "$encoding: an error text with characters of its own");
	is($node->safe_psql($db, "SELECT convert_to(error, '$encoding') FROM job_items WHERE id = $id"),
		$encoding eq 'SQL_ASCII' ? '\\x636166efbfbd' : '\\x636166e9', "$encoding: is kept");
}

unlike(log_since($node), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
