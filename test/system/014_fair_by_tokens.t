# 014_fair_by_tokens.t: a store of heavy items gets its share of what is scarce, not more.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none', '--latency-ms', '1-3');
# Tokens are scarce: a request of the light store takes some 1,700 of them, one of the heavy store eight times as many.
my %limits = (requests_per_minute => 180000, tokens_per_minute => 18000000, burst_seconds => 0.5, max_output_tokens => 50);
my $node = start_cluster('tokens', $mock->url, settings => \%limits);
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
wait_for_worker($node);

# What each store was charged while both waited, and how many requests that were.
sub race
{
	my ($heavy_bytes, $light_bytes, $heavy_rows, $light_rows) = @_;
	$node->safe_psql('postgres', 'TRUNCATE job_items; SELECT optimizer_pause()');
	wait_for($node, 'paused', q{SELECT worker_state = 'paused' FROM optimizer_stats()}, quiet => 1);
	$node->safe_psql('postgres', <<"SQL");
INSERT INTO job_items (instance_id, payload)
SELECT store, jsonb_build_object('n', store || n || '.', 'text', repeat('x', bytes))
  FROM (VALUES ('heavy', $heavy_bytes, $heavy_rows), ('light', $light_bytes, $light_rows)) s (store, bytes, rows), generate_series(1, rows) n
SQL
	$mock->reset;
	$node->safe_psql('postgres', 'SELECT optimizer_resume()');
	all_finished($node, quiet => 1);
	my %seen = (heavy => [], light => []);
	my $n = 0;
	push @{ $seen{ $_->{user} =~ /heavy\d/ ? 'heavy' : 'light' } }, { %$_, n => $n++ } for $mock->log;
	my $both = (sort { $a <=> $b } map { $_->[-1]{n} } values %seen)[0];
	my %sum;
	for my $store (keys %seen)
	{
		my @early = grep { $_->{n} <= $both } @{ $seen{$store} };
		$sum{$store} = { requests => scalar(@early), tokens => eval { my $t = 0; $t += $_->{tokens} for @early; $t } };
	}
	note("$_: $sum{$_}{requests} requests, $sum{$_}{tokens} tokens while both waited") for sort keys %sum;
	return \%sum;
}

my $by_tokens = race(40000, 4000, 60, 800);
my $share = $by_tokens->{heavy}{tokens} / ($by_tokens->{heavy}{tokens} + $by_tokens->{light}{tokens});
cmp_ok(abs($share - 0.5), '<', 0.05, 'where tokens are scarce, a store of items eight times as big gets half of the tokens');

configure($node, fair_by => 'items');
my $by_items = race(40000, 4000, 60, 800);
cmp_ok(abs($by_items->{heavy}{requests} - $by_items->{light}{requests}), '<=', 4, 'fair_by = items: they get as many requests');

# Where requests are scarce, the size does not matter.
configure($node, fair_by => undef, requests_per_minute => 3000, tokens_per_minute => 100000000);
my $scarce_requests = race(2000, 100, 100, 150);
cmp_ok(abs($scarce_requests->{heavy}{requests} - $scarce_requests->{light}{requests}), '<=', 4,
	'by default stores share requests where those are scarce');

done_testing();
