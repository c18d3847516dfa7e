# 022_caps.t: a store's max_pending does not keep a dump from being restored whole, and holds again once the queue is at home.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $source = start_cluster('source', $mock->url);
$source->safe_psql('postgres', 'CREATE DATABASE shop');
$source->safe_psql('shop', 'CREATE EXTENSION product_optimizer');
$source->safe_psql('shop', q{SELECT optimizer_pause('so that everything stays as it is')});

my $insert = q{INSERT INTO job_items (instance_id, payload, run_after) SELECT 'capped', to_jsonb(n), %s FROM generate_series(1, %d) n};
my $refused = sub {
	my ($node, $db, $name) = @_;
	my ($out, $err) = ('', '');
	$node->psql($db, "\\set VERBOSITY verbose\n" . sprintf($insert, 'NULL', 1), stdout => \$out, stderr => \$err);
	like($err, qr/ERROR:  QF001: store "capped" may have at most 5 items waiting/, $name);
	like($err, qr/HINT:  Wait until some of its items are done, .* stores\.max_pending/, "$name: the hint");
};

# 20 wait, more than the cap that came later; in the database also 3 MB of one row that takes little room on disk.
$source->safe_psql('shop', sprintf($insert, 'NULL', 12) . ';' . sprintf($insert, q{'infinity'}, 8));
$source->safe_psql('shop', q{INSERT INTO job_items (instance_id, payload) SELECT 'large', to_jsonb(repeat('x', 3000000))});
$source->safe_psql('shop', q{INSERT INTO stores (instance_id, max_pending) VALUES ('capped', 5)});
$refused->($source, 'shop', 'the source is full');

my $of_everything = q{SELECT count(*), md5(string_agg(i::text, chr(10) ORDER BY id)), (SELECT string_agg(s::text, chr(10)) FROM stores s) FROM job_items i};
my $digest = $source->safe_psql('shop', $of_everything);
my ($plain, $inserts, $custom) = map { $source->basedir . "/shop.$_" } qw(sql inserts dump);
$source->command_ok([ 'pg_dump', '-f', $plain, $source->connstr('shop') ], 'pg_dump, as SQL');
$source->command_ok([ 'pg_dump', '--inserts', '-f', $inserts, $source->connstr('shop') ], 'pg_dump, as INSERTs');
$source->command_ok([ 'pg_dump', '-Fc', '-f', $custom, $source->connstr('shop') ], 'pg_dump -Fc');
$source->stop('fast');

# The worst order: the caps and what makes it a restored queue are there before the items.
my ($list, $list_err) = run_command([ 'pg_restore', '-l', $custom ]);
my @data = grep { /TABLE DATA/ } split /\n/, $list;
my ($policies) = grep { / stores / } @data;
my ($items) = grep { / job_items / } @data;
ok($policies && $items, 'the list of the dump names both tables');
my $order = $source->basedir . '/order';
append_to_file($order, join("\n", grep { $_ ne $items } split(/\n/, $list)) . "\n$items\n");

my $target = start_cluster('target', $mock->url);
my @psql = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1');
my %restore = (
	by_psql => [ @psql, '-f', $plain ],
	by_inserts => [ @psql, '-f', $inserts ],
	by_pg_restore => [ 'pg_restore', '--exit-on-error' ],
	caps_first => [ 'pg_restore', '--exit-on-error', '-L', $order ]);
for my $db (sort keys %restore)
{
	$target->safe_psql('postgres', "CREATE DATABASE $db");
	my @command = @{ $restore{$db} };
	$target->command_ok([ @command, '-d', $target->connstr($db), $command[0] eq 'pg_restore' ? $custom : () ], "$db: restored");
	is($target->safe_psql($db, $of_everything), $digest, "$db: whole");
	# As long as nobody says that it is at home here, a second part may follow.
	$target->safe_psql($db, 'BEGIN;' . sprintf($insert, 'NULL', 1) . '; ROLLBACK');
	$target->safe_psql($db, q{SELECT optimizer_resume(), optimizer_pause('so that everything stays as it is')});
	$refused->($target, $db, "$db: once resumed, it is full");
}
is($mock->stats->{requests}, 0, 'nothing was sent');

# Many stores do not fill the server's lock table.
$target->safe_psql('postgres', 'CREATE DATABASE many');
$target->safe_psql('many', 'CREATE EXTENSION product_optimizer');
wait_for_worker($target, 'many');
$target->safe_psql('many', 'SELECT optimizer_pause()');
wait_for($target, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, db => 'many', quiet => 1);
$target->safe_psql('many', q{INSERT INTO stores (instance_id, max_pending, max_in_flight) SELECT 'many ' || n, 1, 1 FROM generate_series(1, 20000) n});
my $fill = q{BEGIN; INSERT INTO job_items (instance_id, payload) SELECT 'many ' || n, '1' FROM generate_series(1, 20000) n RETURNING 1;};
is(() = $target->safe_psql('many', "$fill COMMIT") =~ /^1$/mg, 20_000, 'an INSERT for 20,000 capped stores');
is($target->safe_psql('many', 'BEGIN; SELECT count(*) FROM claim_pending_items(10000); SELECT count(*) FROM claim_pending_items(10000); COMMIT'),
	"10000\n10000", 'and claims of one transaction from all of them');

done_testing();
