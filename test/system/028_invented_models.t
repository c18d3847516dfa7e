# 028_invented_models.t: names of models that somebody invents take no bucket from the models of others.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# A bucket starts empty; at this rate a request flows in within a millisecond.
my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('invented', $mock->url, settings => { requests_per_minute => 60_000 });
for my $db (qw(first second))
{
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION product_optimizer');
}

sub buckets { my ($where) = @_; return $node->safe_psql('first', "SELECT count(*) FROM optimizer_rate_limits() WHERE $where") }

sub granted
{
	my ($db, $model, $what) = @_;
	return wait_until($what, sub { $node->safe_psql($db, "SELECT granted FROM try_acquire(0, '$model', 1)") eq 't' }, seconds => 20);
}

$node->safe_psql('first', "SELECT try_acquire(0, 'nothing wanted', 0)");
is(buckets("model = 'nothing wanted'"), 0, 'whoever asks for nothing gets no bucket');
for (1 .. 2)
{
	$node->safe_psql('first', "SELECT count(*) FROM generate_series(1, 1100) n, LATERAL try_acquire(0, 'invented ' || n, 1)");
}
cmp_ok(buckets("model LIKE 'invented %'"), '<=', 342, 'one database takes a third of the buckets for what nothing configured names');
is(buckets("model = '(all others)'"), 1, 'the rest share one');
granted('first', 'invented 1100', 'which grants as well');
is(buckets("model = 'invented 1100'"), 0, 'without a bucket of its own');
granted('second', 'another', 'a model of another database gets permits');
is(buckets("model = 'another'"), 1, 'from a bucket of its own');
$node->safe_psql('first', "INSERT INTO rate_limits (model, requests_per_minute) VALUES ('configured', 60000)");
granted('first', 'configured', 'so does a model that rate_limits names');
is(buckets("model = 'configured'"), 1, 'from a bucket of its own too');

# A name longer than its place in shared memory is cut between characters, and one from a database of another encoding is
# told in UTF-8: else nobody could read the buckets any more.
my $long = 'mm' . "\x{e9}" x 150;
utf8::encode($long);
$node->safe_psql('first', "INSERT INTO rate_limits (model, requests_per_minute) VALUES ('$long', 60000)");
my $job = $node->safe_psql('first', "INSERT INTO jobs (model) VALUES ('$long') RETURNING id");
insert_item($node, '{"title": "Long."}', db => 'first', job_id => $job);
is_deeply(all_finished($node, db => 'first'), { FAILED => 1 }, 'a model with a long name is asked for, though the API does not know it');
is(buckets("model = 'mm' || repeat(U&'\\00E9', 102)"), 1, 'and its bucket can be read');
$node->safe_psql('postgres', q{CREATE DATABASE latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
$node->safe_psql('latin1', 'CREATE EXTENSION product_optimizer');
granted('latin1', "mod' || chr(232) || 'le", 'a model named in LATIN1 gets permits');
is(buckets("model = U&'mod\\00E8le'"), 1, 'from the bucket of this name');
granted('second', "\xe6\xa8\xa1", 'so does one that LATIN1 has no word for');
is($node->safe_psql('latin1', q{SELECT count(*) FROM optimizer_rate_limits() WHERE model = '???'}), 1, 'which can be read there all the same');
done_testing();
