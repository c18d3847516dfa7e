# 010_limits.t: against each of the three ways in which servers count, six times as fast as in life: an account of
# 500 requests and 500,000 tokens in ten seconds, of which we use 450 and 450,000.  All three run side by side.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %ours = (requests_per_minute => 6 * 450, tokens_per_minute => 6 * 450_000, burst_seconds => 1, model => 'gpt-4o-mini');
# What leaves evenly arrives up to 100 ms more or less evenly on a busy machine, which is one tenth of the burst.
my %bound = (rpm => 450, tpm => 450_000, burst_seconds => 1.1, period => 10);
my @account = ('--period', 10, '--rpm', 500, '--tpm', 500_000);
my $items = 700;

my %run;
for my $meter (qw(draining sliding fixed))
{
	my $mock = MockOpenai->new('--meter', $meter, @account, '--latency-ms', 'lognormal:150,0.5');
	my $node = start_cluster($meter, $mock->url, settings => { %ours, max_output_tokens => 600 });
	$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
	$run{$meter} = { mock => $mock, node => $node };
}
for my $one (values %run)
{
	wait_for_worker($one->{node}, undef, quiet => 1);
	$one->{node}->safe_psql('postgres', <<"SQL");
INSERT INTO job_items (instance_id, payload)
SELECT 'store-' || n % 5, jsonb_build_object('title', 'Mug ' || n) FROM generate_series(1, $items) n
SQL
}
for my $meter (sort keys %run)
{
	my ($mock, $node) = @{ $run{$meter} }{qw(mock node)};
	is_deeply(all_finished($node, seconds => 90), { DONE => $items }, "$meter: every item ends DONE");
	my $audit = $mock->audit(%bound);
	is($mock->stats->{rate_limited}, 0, "$meter: no 429");
	ok($audit->{ok}, "$meter: no window of any length above the bound");
	cmp_ok($audit->{max_in_60s_requests}, '<', 500, "$meter: fewer than the account's 500 in any ten seconds");
	cmp_ok($audit->{min_in_60s_requests}, '>=', 0.99 * 450, "$meter: at least 99 % of 450 in any ten seconds");
	note("$meter: ", join ', ', map { "$_ " . ($audit->{$_} // 'null') } sort keys %$audit);
}

done_testing();
