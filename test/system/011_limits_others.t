# 011_limits_others.t: somebody else eats 30 % of the same account, which only the API's headers tell.
use strict;
use warnings FATAL => 'all';
use List::Util qw(max);
use MockOpenai;
use OtherClient;
use ProductOptimizer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# As in 010_limits.t six times as fast as in life, but as slow as life for make bench-limit.
my $real = $ENV{BENCH_LIMIT};
my $faster = $real ? 1 : 6;
my $period = 60 / $faster;
my %ours = (requests_per_minute => $faster * 450, tokens_per_minute => $faster * 450_000, burst_seconds => 6 / $faster, model => 'gpt-4o-mini');
# Of 500 in a period the other takes 150, and we would 450.
my ($per_second, $others) = map { $_ / $period } 500, 150;
# Until the level is found; what is refused while nothing is known of others is felt for one window more.
my ($lead, $seconds) = $real ? (100, 180) : (24, 20);
my $latency = 'lognormal:' . ($real ? 800 : 150) . ',0.5';

my %run;
for my $meter (qw(draining sliding fixed))
{
	my $mock = MockOpenai->new('--meter', $meter, '--period', $period, '--rpm', 500, '--tpm', 500_000, '--latency-ms', $latency);
	my $node = start_cluster($meter, $mock->url, settings => { %ours, max_output_tokens => 600 });
	$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
	wait_for_worker($node, undef, quiet => 1);
	# A bucket that drains at 500 a period takes its time to fill with 600.
	$run{$meter} = { mock => $mock, node => $node, at_once => $meter eq 'draining' ? 400 : 0 };
}
for my $one (values %run)
{
	$one->{other} = OtherClient->new($one->{mock}->url, $key, 'gpt-4o-mini', $others, $one->{at_once});
	$one->{node}->safe_psql('postgres', <<'SQL');
INSERT INTO job_items (instance_id, payload)
SELECT 'store-' || n % 5, jsonb_build_object('title', 'Mug ' || n) FROM generate_series(1, 4000) n
SQL
}

my $is_theirs = sub { $_[0]{user} =~ /somebody else/ };
for my $meter (sort keys %run)
{
	my ($mock, $node) = @{ $run{$meter} }{qw(mock node)};
	wait_until("$meter: both have been at it for a while",
		sub { my $s = $mock->stats; $s->{last_arrival} - $s->{first_arrival} > $lead + $seconds }, seconds => 600);
	my @all = $mock->log;
	my ($from, $until) = map { $all[0]{m} + $_ * 1e9 } $lead, $lead + $seconds;
	my @counted = grep { $_->{m} > $from && $_->{m} <= $until } @all;
	my @ours = grep { !$is_theirs->($_) } @counted;
	my $refused = grep { $_->{status} == 429 } @ours;
	my $admitted = @ours - $refused;
	my $theirs = grep { $is_theirs->($_) && $_->{status} == 200 } @counted;
	note(sprintf 'figure: %s: %d admitted and %d refused of ours, %d admitted of theirs', $meter, $admitted, $refused, $theirs);
	my $refusable = { draining => 0, sliding => 0.001, fixed => 0.001 }->{$meter};
	cmp_ok($refused, '<=', $refusable && max(1, $refusable * @ours), "$meter: nothing or next to nothing is refused");
	cmp_ok($admitted, '>=', 0.97 * ($per_second - $others) * $seconds, "$meter: at least 97 % of what the other leaves is used");
	# In a log, the other asks at moments at which there is no room for it.
	cmp_ok($admitted + $theirs, '>=', ({ draining => 0.99, sliding => 0.96, fixed => 0.98 }->{$meter}) * $per_second * $seconds, "$meter: and so is the account as a whole");
	is($node->safe_psql('postgres', 'SELECT server_requests_limit, server_followed FROM optimizer_rate_limits()'), '500|t',
		"$meter: and it is seen that the server is followed");
	$run{$meter}{other}->stop;
}

done_testing();
