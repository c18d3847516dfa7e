# 029_used_tokens.t: token_accounting = 'used', where the answers tell what to reserve.
use strict;
use warnings FATAL => 'all';
use ProductOptimizer;
use RequestRecorder;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Of 20,000 a minute 2,000 fit at once; each answer says that it took more.
my $recorder = RequestRecorder->new(completion_tokens => 3000);
my $node = start_cluster('used', $recorder->url, settings => { token_accounting => 'used', requests_per_minute => 60_000, tokens_per_minute => 20_000 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);
for my $name ('an item whose answer is longer than fits', 'the next one, which is not too large for that')
{
	my $id = insert_item($node, '{"title": "Mug."}');
	all_finished($node);
	is($node->safe_psql('postgres', "SELECT status || coalesce(': ' || error, '') FROM job_items WHERE id = $id"), 'DONE', $name);
}
done_testing();
