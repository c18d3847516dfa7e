# 015_many_claimers.t: eight sessions claim, insert, update and delete at once; every row is counted exactly once.
use strict;
use warnings FATAL => 'all';
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_cluster('many_claimers', 'http://127.0.0.1:9/v1');
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);
# The claimers are the sessions of this test alone.
$node->safe_psql('postgres', q{SELECT optimizer_pause('claimed by others')});
wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);

# Who was claimed, in the transaction of the claim: a row claimed twice has two lines, a claim that was rolled
# back has none.  No key here: it would have claimers wait for each other, and hide what is to be seen.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE claimed (id bigint, attempts int);
INSERT INTO job_items (instance_id, payload) SELECT 'store-' || n % 50, '{"title": "From the start."}' FROM generate_series(1, 5000) n;
SQL

my %script = (
	claim => 'INSERT INTO claimed SELECT id, attempts FROM claim_pending_items(40, 3)',
	# Sizes and stores at random; some wait a little, and some of the transactions stay open behind later ones.
	insert => <<'SQL',
\set store random(0, 60)
\set rows random(1, 60)
BEGIN;
INSERT INTO job_items (instance_id, priority, payload)
SELECT 'store-' || (:store + n % 3), n % 4, '{"title": "Inserted."}' FROM generate_series(1, :rows) n;
\if :rows % 10 = 0
\sleep 5 ms
\endif
COMMIT;
SQL
	roll_back => <<'SQL',
BEGIN;
INSERT INTO job_items (instance_id, payload) SELECT 'store-' || n, '{"title": "Never there."}' FROM generate_series(1, 20) n;
\sleep 2 ms
ROLLBACK;
SQL
	# Under the claimers' hands: the place in the line changes, to the front and to the back, and the store.
	# In the order of ids, so that these do not block each other in a circle.
	update => <<'SQL',
\set store random(0, 60)
\set priority random(-3, 3)
BEGIN;
UPDATE job_items SET priority = :priority
 WHERE id = ANY (ARRAY(SELECT id FROM job_items WHERE status = 'PENDING' AND instance_id = 'store-' || :store ORDER BY id LIMIT 10 FOR UPDATE));
\sleep 1 ms
COMMIT;
SQL
	move => <<'SQL',
\set store random(0, 60)
\set other random(0, 60)
UPDATE job_items SET instance_id = 'store-' || :other, payload = payload || '{"moved": true}'
 WHERE id = ANY (ARRAY(SELECT id FROM job_items WHERE status = 'PENDING' AND instance_id = 'store-' || :store ORDER BY id LIMIT 5 FOR UPDATE));
SQL
	delete => <<'SQL',
\set store random(0, 60)
DELETE FROM job_items
 WHERE id = ANY (ARRAY(SELECT id FROM job_items WHERE instance_id = 'store-' || :store AND status = 'PENDING' ORDER BY id LIMIT 4 FOR UPDATE));
SQL
	# Claimed ones go, too.
	delete_claimed => <<'SQL',
\set store random(0, 60)
DELETE FROM job_items
 WHERE id = ANY (ARRAY(SELECT id FROM job_items WHERE instance_id = 'store-' || :store AND status = 'RUNNING' ORDER BY id LIMIT 2 FOR UPDATE));
SQL
	# Held by somebody for a moment: skipped by claims, not forgotten.
	lock => <<'SQL',
\set store random(0, 60)
BEGIN;
SELECT id FROM job_items WHERE instance_id = 'store-' || :store AND status = 'PENDING' ORDER BY id LIMIT 5 FOR UPDATE;
\sleep 3 ms
COMMIT;
SQL
);
my %weight = (claim => 12, insert => 6, roll_back => 1, update => 3, move => 2, delete => 2, delete_claimed => 1, lock => 2);
my @files;
for my $name (sort keys %script)
{
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$name.sql";
	open my $out, '>', $file or die "$file: $!\n";
	print $out $script{$name} =~ /;\s*$/ ? $script{$name} : "$script{$name};\n";
	close $out or die;
	push @files, '-f', "$file\@$weight{$name}";
}

my $offset = -s $node->logfile;
my ($out, $err) = ('', '');
my $ok = IPC::Run::run([ 'pgbench', '-n', '-M', 'prepared', '-c', 8, '-j', 2, '-T', 7, '--random-seed=20', @files,
		$node->connstr('postgres') ], '>', \$out, '2>', \$err);
ok($ok, 'eight sessions do all of it at once') or diag($out, $err);
unlike($err, qr/aborted|ERROR/, 'and none of them meets an error') or diag($err);
my ($transactions) = $out =~ /^number of transactions actually processed: (\d+)/m;
cmp_ok($transactions // 0, '>', 500, 'and does much of it') or diag($out);

# What is left is claimed by eight more at once, until nothing waits; what was hidden by a lock or came without
# a word has to turn up without anybody's help.
wait_until('in the end nothing waits', sub {
	my $run = IPC::Run::run([ 'pgbench', '-n', '-M', 'prepared', '-c', 8, '-j', 2, '-t', 20, '-f',
			"$PostgreSQL::Test::Utils::tmp_check/claim.sql", $node->connstr('postgres') ], '>', \$out, '2>', \$err);
	return 0 if !$run;
	return $node->safe_psql('postgres', q{SELECT NOT EXISTS (SELECT FROM job_items WHERE status = 'PENDING')}) eq 't';
}, seconds => 60, explain => sub {
	diag($err, $node->safe_psql('postgres', q{SELECT instance_id, status, count(*), min(id), max(id) FROM job_items WHERE status = 'PENDING' GROUP BY 1, 2 LIMIT 10}));
});

is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT id FROM claimed GROUP BY id HAVING count(*) > 1) AS twice'), '0',
	'no row was claimed twice');
is($node->safe_psql('postgres', 'SELECT count(*) FROM job_items i WHERE NOT EXISTS (SELECT FROM claimed c WHERE c.id = i.id)'), '0',
	'every row that is still there was claimed');
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT status || ' ' || attempts, ', ') FROM job_items"), 'RUNNING 1',
	'once, and it is held by that claim');
is($node->safe_psql('postgres', 'SELECT string_agg(DISTINCT attempts::text, $$, $$) FROM claimed'), '1', 'as each claim was told');
my $counts = $node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM claimed), (SELECT count(*) FROM job_items)');
note("claimed, still there: $counts; transactions: $transactions");
cmp_ok((split /\|/, $counts)[0], '>', 5000, 'more than what was there at the start');

my @errors = log_lines($node, qr/\b(ERROR|FATAL|PANIC|deadlock)\b/, $offset);
is("@errors", '', 'the server log has no deadlock and no other error');

$node->stop;
done_testing();
