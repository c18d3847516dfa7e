# 006_dump_restore.t: a restore loses nothing, and spends nothing until somebody says so.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $source = start_cluster('source', $mock->url, settings => { max_attempts => 2, max_in_flight => 10 });
my $schema = 'queue';    # not where everybody's search_path leads
$source->safe_psql('postgres', 'CREATE DATABASE shop');
$source->safe_psql('postgres', "ALTER DATABASE shop SET search_path = $schema, public");
$source->safe_psql('shop', "CREATE SCHEMA $schema; CREATE EXTENSION product_optimizer SCHEMA $schema");

# Something of each kind: 30 DONE, 5 FAILED, 10 in flight, 500 PENDING, 20 SCHEDULED, 7 CANCELLED.
my $insert = q{INSERT INTO job_items (job_id, instance_id, product_id, priority, payload, run_after)
  SELECT %s, 'store-' || n %% 4, '%s-' || n, n %% 3, jsonb_build_object('title', '%s ' || n || '.', 'mock', '%s'), %s FROM generate_series(1, %d) n};
$source->safe_psql('shop', q{INSERT INTO jobs (name, instructions, response_schema, params) VALUES
  ('autumn', NULL, NULL, '{"verbosity": "low"}'), ('cancelled', 'Nothing.', '{"type": "object"}', NULL)});
$source->safe_psql('shop', sprintf($insert, 1, 'done', 'Dumped', 'none', 'NULL', 30));
$source->safe_psql('shop', sprintf($insert, 'NULL', 'bad', 'Dumped bad', 'bad_request', 'NULL', 5));
all_finished($source, db => 'shop');
$source->safe_psql('shop', q{INSERT INTO stores VALUES ('store-1', 2.5, 30, 60000, 100000000, false), ('store-closed', 1, NULL, NULL, NULL, true);
  INSERT INTO rate_limits VALUES ('gpt-4o-mini', 300, NULL)});
$source->safe_psql('shop', sprintf($insert, 2, 'cancelled', 'Cancelled', 'none', q{now() + interval '1 day'}, 7) . '; SELECT cancel_job(2)');
$source->safe_psql('shop', sprintf($insert, 'NULL', 'later', 'Later', 'none', q{now() + interval '1 day'}, 20));
$mock->config(hang => \1);
$source->safe_psql('shop', sprintf($insert, 1, 'open', 'Open', 'none', 'NULL', 510));
wait_until('10 requests are in flight', sub { $mock->stats->{hanging} == 10 });

my $of_everything = q{SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM (
  SELECT i.id, job_id, instance_id, product_id, status, priority, payload, run_after, attempts, max_attempts, result, error, error_code, model,
         prompt_tokens, completion_tokens, created_at, started_at, finished_at FROM job_items i WHERE id <> ALL ('{%s}')
  UNION ALL SELECT id, NULL, instance_id, name, NULL, NULL, response_schema, NULL, NULL, NULL, params, instructions, model, NULL, NULL, NULL, created_at, NULL, cancelled_at FROM jobs
  UNION ALL SELECT max_in_flight, NULL, instance_id, weight::text, paused::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, requests_per_minute, tokens_per_minute, NULL, NULL, NULL FROM stores
  UNION ALL SELECT NULL, NULL, model, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, requests_per_minute, tokens_per_minute, NULL, NULL, NULL FROM rate_limits) t};
# What was in flight is put back in line by the worker of the restored database, before anybody resumes it.
my $in_flight = $source->safe_psql('shop', q{SELECT string_agg(id::text, ',') FROM job_items WHERE status = 'RUNNING'});
$of_everything = sprintf $of_everything, $in_flight;
my %dumped = %{ status_counts($source, 'shop') };
is_deeply(\%dumped, { DONE => 30, FAILED => 5, RUNNING => 10, PENDING => 500, SCHEDULED => 20, CANCELLED => 7 }, 'the source holds something of each kind');
my $digest = $source->safe_psql('shop', $of_everything);
my $plain = $source->basedir . '/shop.sql';
my $custom = $source->basedir . '/shop.dump';
$source->command_ok([ 'pg_dump', '-f', $plain, $source->connstr('shop') ], 'pg_dump, as SQL');
$source->command_ok([ 'pg_dump', '-Fc', '-f', $custom, $source->connstr('shop') ], 'pg_dump -Fc');
$source->stop('fast');
$mock->release;
$mock->reset;

my $target = start_cluster('target', $mock->url, settings => { max_attempts => 2 });
my %restore = (
	by_psql => sub { $target->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $plain, $target->connstr('by_psql') ], 'psql -f') },
	by_pg_restore => sub {
		# The worst moment: the worker is up and has found itself at home before the first row arrives.
		my @restore = ('pg_restore', '--exit-on-error', '-d', $target->connstr('by_pg_restore'), $custom);
		$target->command_ok([ @restore, '--section=pre-data' ], 'pg_restore, the extension');
		wait_for($target, 'by_pg_restore: the worker is there before the rows', q{SELECT worker_state = 'idle' FROM optimizer_stats()}, db => 'by_pg_restore');
		$target->command_ok([ @restore, '--section=data', '--section=post-data' ], 'pg_restore, the rows');
	});
for my $db (sort keys %restore)
{
	$target->safe_psql('postgres', "CREATE DATABASE $db");
	$target->safe_psql('postgres', "ALTER DATABASE $db SET search_path = $schema, public");
	$restore{$db}->();
	wait_for($target, "$db: the worker is paused, and says why",
		q{SELECT worker_state = 'paused' AND state_reason LIKE '%restored%optimizer_resume()%' FROM optimizer_stats()}, db => $db);
	is($target->safe_psql($db, $of_everything), $digest, "$db: every row and policy arrived as it was");
	wait_for($target, "$db: what was in flight waits again", "SELECT DISTINCT status FROM job_items WHERE id IN ($in_flight)", expect => 'PENDING', db => $db);
	is($target->safe_psql($db, q{SELECT max(id) < nextval('job_items_id_seq') FROM job_items}), 't', "$db: new items get new ids");
	is($target->safe_psql($db, q{INSERT INTO jobs (name) VALUES ('new') RETURNING id}), 3, "$db: new jobs too");
	insert_item($target, '{"title": "After the restore."}', db => $db);
	wait_for($target, "$db: a new item waits as well", q{SELECT why_waiting(max(id)) LIKE 'The worker is paused: restored%' FROM job_items}, db => $db);
}
$target->restart;
for my $db (sort keys %restore)
{
	wait_for($target, "$db: it stays paused over a restart", q{SELECT worker_state = 'paused' FROM optimizer_stats()}, db => $db);
}
is($mock->stats->{requests}, 0, 'not one request was sent');

for my $db (sort keys %restore)
{
	$mock->reset;
	$target->safe_psql($db, 'SELECT optimizer_resume()');
	wait_for($target, "$db: after optimizer_resume() it goes on", q{SELECT count(*) FROM job_items WHERE status NOT IN ('DONE', 'FAILED', 'SCHEDULED', 'CANCELLED')},
		expect => 0, db => $db);
	is_deeply(status_counts($target, $db), { DONE => 541, FAILED => 5, SCHEDULED => 20, CANCELLED => 7 }, "$db: everything that was open is DONE");
	is($mock->stats->{requests}, 511, "$db: each was sent once, what was in flight at the dump included");
	is($target->safe_psql($db, q{SELECT count(*) FROM job_items WHERE product_id LIKE 'done-%' AND attempts = 1 AND position(payload->>'title' in result->>'description') > 0}),
		30, "$db: what was DONE was left alone");
}
$target->restart;
for my $db (sort keys %restore)
{
	wait_for($target, "$db: it is at home now", q{SELECT worker_state = 'idle' FROM optimizer_stats()}, db => $db);
}

# The source, too, goes on where it was: a dump changes nothing.
$mock->reset;
$source->start;
wait_for($source, 'the source goes on', q{SELECT count(*) FROM job_items WHERE status IN ('PENDING', 'RUNNING')}, expect => 0, db => 'shop');
is_deeply(status_counts($source, 'shop'), { DONE => 540, FAILED => 5, SCHEDULED => 20, CANCELLED => 7 }, 'and ends DONE');
is($source->safe_psql('shop', q{SELECT max(attempts) FROM job_items}), 1, 'with one attempt each');

done_testing();
