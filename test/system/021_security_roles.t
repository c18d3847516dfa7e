# 021_security_roles.t: an ordinary role owns the queue; tenants, dumps, and an owner who tries to become more.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('roles', $mock->url);
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', q{CREATE EXTENSION product_optimizer;
  CREATE ROLE queue_owner LOGIN; CREATE ROLE tenant_a LOGIN; CREATE ROLE tenant_b LOGIN; CREATE ROLE claimer LOGIN;
  GRANT CREATE ON SCHEMA public TO queue_owner;
  SELECT hand_over_optimizer('queue_owner');
  SELECT grant_optimizer('tenant_a', 'producer', '{a}'), grant_optimizer('tenant_b', 'producer', '{b}'), grant_optimizer('claimer', 'consumer');
  SELECT optimizer_row_security(true)});
my @as = map { my $role = $_; sub { my ($sql) = @_; my ($out, $err) = ('', ''); $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, extra_params => [ '-U', $role ]); return "$out$err" } } qw(queue_owner tenant_a tenant_b claimer);
my ($as_owner, $as_a, $as_b, $as_claimer) = @as;

# The worker works for tenants who see only their own.
$as_a->(q{INSERT INTO job_items (instance_id, payload) SELECT 'a', '{"title": "Of a."}' FROM generate_series(1, 5)});
$as_b->(q{INSERT INTO job_items (instance_id, payload) SELECT 'b', '{"title": "Of b."}' FROM generate_series(1, 3)});
is_deeply(all_finished($node), { DONE => 8 }, 'the worker serves a queue that an ordinary role owns, with row security on');
is($as_a->('SELECT count(*), count(result) FROM job_items'), '5|5', 'a tenant sees its answers');
is($as_b->('SELECT instance_id, done FROM store_progress'), 'b|3', 'another its own');
is($as_b->('COPY (SELECT instance_id FROM job_items) TO STDOUT') , "b\nb\nb", 'COPY of a query is filtered');
is($as_b->('COPY job_items (instance_id) TO STDOUT') , "b\nb\nb", 'COPY of the table too');
like($as_b->(q{INSERT INTO job_items (instance_id, payload) VALUES ('a', '1')}), qr/violates row-level security policy/, 'an insert into another store is refused');
like($as_b->(qq{COPY job_items (instance_id, payload) FROM STDIN;\na\t1\n\\.\n}), qr/COPY FROM not supported with row-level security/, 'COPY cannot bring one in either');
is($node->safe_psql('postgres', 'SELECT count(*) FROM job_items'), 8, 'and nothing came in');

# An owner who wants more.  Its trigger runs in the worker, and in a superuser's call.
$as_owner->(q{CREATE TABLE tried (command text, by name, session name, state text);
CREATE FUNCTION try_everything() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  c text;
BEGIN
  FOREACH c IN ARRAY ARRAY['ALTER ROLE queue_owner SUPERUSER', 'CREATE ROLE more SUPERUSER', 'SET ROLE } . $superuser . q{', 'RESET ROLE', 'SET SESSION AUTHORIZATION } . $superuser . q{',
      'RESET SESSION AUTHORIZATION', 'COPY tried TO PROGRAM ''true''', 'ALTER SYSTEM SET product_optimizer.api_base_url = ''http://127.0.0.1:1/v1'''] LOOP
    BEGIN
      EXECUTE c;
      INSERT INTO tried VALUES (c, current_user, session_user, 'done');
    EXCEPTION WHEN OTHERS THEN
      INSERT INTO tried VALUES (c, current_user, session_user, SQLSTATE);
    END;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER try_everything AFTER UPDATE ON job_items FOR EACH STATEMENT EXECUTE FUNCTION try_everything()});
$as_a->(q{INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "Bait."}')});
is_deeply(all_finished($node), { DONE => 9 }, 'the worker goes on');
my $verdict = q{SELECT count(*) > 0, bool_and(by = 'queue_owner'), string_agg(DISTINCT state, ',' ORDER BY state), (SELECT count(*) FROM pg_roles WHERE rolsuper) FROM tried};
is($node->safe_psql('postgres', $verdict), 't|t|25001,42501|1', 'nothing of it worked in the worker')
  or diag($node->safe_psql('postgres', 'SELECT DISTINCT * FROM tried'));
$node->safe_psql('postgres', q{TRUNCATE tried; SELECT optimizer_pause('mine'); INSERT INTO job_items (instance_id, payload) VALUES ('c', '1'), ('c', '2'), ('c', '3'), ('c', '4');
  INSERT INTO jobs (id) VALUES (9);});
$node->safe_psql('postgres', q{SELECT complete_item(id, attempts, '1') FROM claim_pending_items(1);
  SELECT fail_item(id, attempts, 'x', false) FROM claim_pending_items(1); SELECT release_item(id, attempts) FROM claim_pending_items(1); SELECT retry_failed(); SELECT cancel_job(9)});
is($node->safe_psql('postgres', $verdict), 't|t|25001,42501|1', 'nor in the functions that a superuser called')
  or diag($node->safe_psql('postgres', 'SELECT DISTINCT * FROM tried'));
$as_owner->('DROP TRIGGER try_everything ON job_items');
is($as_claimer->(q{SELECT count(*) FROM (SELECT complete_item(id, attempts, '1') FROM claim_pending_items()) c}), 3, 'a role with EXECUTE alone claims and completes');
$as_owner->('SELECT optimizer_resume()');

# Tables of several owners: what the one hangs on his would run as the other.
$node->safe_psql('postgres', 'ALTER TABLE stores OWNER TO tenant_a');
wait_for($node, 'tables of several owners are refused, with the reason',
	q{SELECT state = 'blocked' AND state_reason LIKE 'stores has another owner than job_items%hand_over_optimizer()%' FROM optimizer_workers() WHERE database = 'postgres'});
$node->safe_psql('postgres', q{SELECT hand_over_optimizer('queue_owner')});
wait_for($node, 'and served again when they have one', q{SELECT worker_state NOT IN ('blocked', 'starting') FROM optimizer_stats()});
# What has another type is not read as what it is not: the worker says so, and goes on when it has its own again.
my $job = $node->safe_psql('postgres', q{INSERT INTO jobs (name) VALUES ('of another type') RETURNING id});
for (['jobs', 'model', 'bigint'], ['jobs', 'instructions', 'bigint'], ['job_items', 'job_id', 'integer'])
{
	my ($table, $column, $type) = @$_;
	my $offset = -s $node->logfile;
	$node->safe_psql('postgres', qq{BEGIN; INSERT INTO job_items (job_id, instance_id, payload) VALUES ($job, 'a', '{"title": "Typed."}');
		ALTER TABLE $table RENAME $column TO was; ALTER TABLE $table ADD $column $type DEFAULT 1094795585; COMMIT});
	wait_until("$table.$column as $type: the worker says so", sub { log_lines($node, qr/WARNING:.* cannot claim: column $column has type $type, not /, $offset) });
	$node->safe_psql('postgres', "ALTER TABLE $table DROP $column; ALTER TABLE $table RENAME was TO $column");
	all_finished($node);
}
is($node->safe_psql('postgres', "SELECT count(*) FROM job_items WHERE job_id = $job AND status = 'DONE'"), 3, '… and goes on when it has its own again');

# What a trigger sets "for the session" ends with the transaction that it ran in.
$as_owner->(q{CREATE TABLE found (n serial, xact text DEFAULT pg_current_xact_id()::text, flag text, statement_timeout text);
CREATE FUNCTION leave_settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO found (flag, statement_timeout) VALUES (current_setting('my.flag', true), current_setting('statement_timeout'));
  PERFORM set_config('my.flag', 'left', false), set_config('statement_timeout', '54321', false);
  RETURN NULL;
END $$;
CREATE TRIGGER leave_settings AFTER UPDATE ON job_items FOR EACH STATEMENT EXECUTE FUNCTION leave_settings()});
for (1 .. 2)
{
	$as_a->(q{INSERT INTO job_items (instance_id, payload) VALUES ('a', '{"title": "One after another."}')});
	all_finished($node);
}
is($node->safe_psql('postgres', q{SELECT count(*) > 2, count(nullif(flag, '')), count(*) FILTER (WHERE statement_timeout = '54321ms')
  FROM (SELECT DISTINCT ON (xact) * FROM found ORDER BY xact, n) first}), 't|0|0', 'no transaction of the worker finds what the one before it had set')
  or diag($node->safe_psql('postgres', 'SELECT * FROM found ORDER BY n'));
$as_owner->('DROP TRIGGER leave_settings ON job_items');

# product_optimizer.role: the worker works for nobody else.
configure($node, role => 'queue_owner');
insert_item($node, '{"title": "For the right owner."}');
all_finished($node, name => 'the right owner is served');
configure($node, role => 'tenant_a');
wait_for($node, 'another owner is refused, with the reason',
	q{SELECT worker_state = 'blocked' AND state_reason LIKE 'job_items is owned by queue_owner, not by tenant_a%hand_over_optimizer()%' FROM optimizer_stats()});
my $id = insert_item($node, '{"title": "Has to wait."}', run_after => '2000-01-01');
my $before = worker_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($before)");
wait_for($node, 'a worker that starts so is blocked too', "SELECT worker_state = 'blocked' AND pid <> $before FROM optimizer_stats(), optimizer_workers() WHERE database = 'postgres'");
is($node->safe_psql('postgres', "SELECT status, attempts FROM job_items WHERE id = $id"), 'PENDING|0', 'and sends nothing');
configure($node, role => 'queue_owner');
all_finished($node, name => 'and goes on when the owner is right');

# A dump: whose the tables are is not in it, the rights and policies are.
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $dump = $node->basedir . '/roles.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'restored as a superuser');
wait_for($node, 'the copy is blocked: its tables have another owner', q{SELECT worker_state = 'blocked' AND state_reason LIKE 'job_items is owned by %' FROM optimizer_stats()}, db => 'restored');
$node->safe_psql('restored', q{SELECT hand_over_optimizer('queue_owner')});
wait_for($node, 'handed over it is only paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, db => 'restored');
my $restored = sub { my ($role, $sql) = @_; return $node->safe_psql('restored', $sql, extra_params => [ '-U', $role ]) };
is($restored->('tenant_a', 'SELECT DISTINCT instance_id FROM job_items'), 'a', 'the tenants see what they saw, and no more');
$restored->('queue_owner', 'SELECT optimizer_resume()');
$restored->('tenant_b', q{INSERT INTO job_items (instance_id, payload) VALUES ('b', '{"title": "After the restore."}')});
wait_for($node, 'and are served', q{SELECT bool_and(status = 'DONE') FROM job_items WHERE instance_id = 'b'}, db => 'restored');

# The worker's own statements, with operators in its schema that fit better than PostgreSQL's where it has to convert.
configure($node, role => undef);
$node->safe_psql('postgres', 'CREATE DATABASE squatted');
$node->safe_psql('squatted', q{ALTER DATABASE squatted SET search_path = queue; CREATE SCHEMA queue; SET search_path = queue;
DO $$
DECLARE
  types text[] := ARRAY['int2', 'int4', 'int8', 'numeric', 'float8', 'text', 'name', 'oid', 'bool', 'timestamptz', 'interval', 'text[]', 'int8[]', 'tid', 'tid[]', 'jsonb', 'varchar'];
  a text;
  b text;
  o text;
BEGIN
  FOREACH a IN ARRAY types LOOP
    EXECUTE format('CREATE FUNCTION unnest(x %s) RETURNS SETOF text LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: unnest''; END $f$', a);
    FOREACH b IN ARRAY types LOOP
      EXECUTE format('CREATE FUNCTION caught(x %s, y %s) RETURNS bool LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: %1$s, %2$s''; END $f$', a, b);
      EXECUTE format('CREATE FUNCTION starts_with(x %s, y %s) RETURNS bool LANGUAGE plpgsql AS $f$ BEGIN RAISE ''a squatter ran: starts_with''; END $f$', a, b);
      FOREACH o IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '||'] LOOP
        EXECUTE format('CREATE OPERATOR %s (FUNCTION = caught, LEFTARG = %s, RIGHTARG = %s)', o, a, b);
      END LOOP;
    END LOOP;
  END LOOP;
END $$;
CREATE EXTENSION product_optimizer SCHEMA queue});
wait_for_worker($node, 'squatted');
my $log = -s $node->logfile;
$mock->config(hang => \1);
$node->safe_psql('squatted', q{INSERT INTO stores (instance_id, max_in_flight) VALUES ('a', 5); INSERT INTO jobs (instance_id, name) VALUES ('a', 'j');
  INSERT INTO job_items (job_id, instance_id, payload, run_after) SELECT 1, 'a', '{"title": "x"}', CASE WHEN n > 3 THEN now() + interval '1 s' END FROM generate_series(1, 6) n});
wait_until('requests are in flight', sub { $mock->stats->{hanging} >= 3 });
my $old = worker_pid($node, 'squatted');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");    # hands its items back
wait_until('another worker', sub { my $new = worker_pid($node, 'squatted'); $new ne '' && $new ne $old });
wait_until('requests are in flight again', sub { $mock->stats->{hanging} >= 3 });
$mock->release;
is_deeply(all_finished($node, db => 'squatted'), { DONE => 6 }, 'the worker claims, gives back, promotes and settles');
is(scalar(() = log_lines($node, qr/squatter|cannot (claim|look|put|write)|not unique/, $log)), 0, 'and no squatter ran');

key_never_logged($node);
done_testing();
