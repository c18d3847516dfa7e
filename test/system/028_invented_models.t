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
done_testing();
