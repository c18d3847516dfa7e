# Fairness.pm: who gets how much of the claims, while all wait and when somebody is new.
package Fairness;

use strict;
use warnings FATAL => 'all';
use List::Util qw(max min sum);
use Numbers;
use Queue;

my $claims = 300;
my $window = 100;

# Queues made by plain inserts: [ number of stores, rows of each, rows of the first one, weights in turn ].
my @cases = (
	[ '37 stores, one with 10 × the rows', 37, 2000, 20_000 ],
	[ '1,000 stores', 1000, 60, 60 ],
	[ '20 stores of weights 0.5, 1, 2 and 3', 20, 6000, 6000, 0.5, 1, 2, 3 ]);

# Items per store in each of the claims.
sub _served
{
	my ($name, $stores, $rows, $rows_of_first, @weights) = @_;
	my $queue = Queue->new;
	$queue->ask('INSERT INTO stores (instance_id, weight) VALUES '
		  . join ', ', map { "('store-$_', $weights[ $_ % @weights ])" } 0 .. $stores - 1) if @weights;
	$queue->ask(<<"SQL");
INSERT INTO job_items (instance_id, payload)
SELECT 'store-' || s, $payload FROM generate_series(1, $rows_of_first) n, generate_series(0, $stores - 1) s WHERE s = 0 OR n <= $rows
SQL
	$queue->settle;
	my @served;
	for (1 .. $claims)
	{
		my ($claimed) = $queue->ask('SELECT substr(instance_id, 7) FROM claim_pending_items(100, 20)');
		my @items = (0) x $stores;
		$items[$_]++ for @$claimed;
		push @served, \@items;
	}
	my $waiting = $queue->value(q(SELECT count(DISTINCT instance_id) FROM job_items WHERE status = 'PENDING'));
	die "$name: not all stores were waiting to the end\n" if $waiting != $stores;
	$queue->drop;
	return @served;
}

sub _sum_of
{
	my @claims = @_;
	my @sum = (0) x @{ $claims[0] };
	for my $items (@claims) { $sum[$_] += $items->[$_] for 0 .. $#sum; }
	return @sum;
}

# A newcomer, several times over, behind a million rows of one store.
sub _newcomers
{
	my ($rows) = @_;
	my $queue = Queue->new(rows => $rows, stores => 1, shape => 'uniform', claim => 20);
	my $claim = $queue->session;
	my ($served, $newcomers) = (0, 5);
	for my $n (1 .. $newcomers)
	{
		$claim->ask('SELECT id FROM claim_pending_items(100, 20)') for 1 .. 3;
		$queue->ask("INSERT INTO job_items (instance_id, payload) VALUES ('newcomer $n', $payload)");
		my ($claimed) = $claim->ask('SELECT instance_id FROM claim_pending_items(100, 20)');
		$served++ if grep { $_ eq "newcomer $n" } @$claimed;
	}
	$claim->quit;
	$queue->drop;
	return ($served, $newcomers);
}

sub run
{
	my ($selection, $say) = @_;
	my @lines = (
		'## Fairness', '',
		"$claims claims of `claim_pending_items(100, 20)` while all stores wait. Jain's index of the items per store is 1 when all get",
		"the same; here each store's items are divided by its weight. The lowest of all runs of $window claims counts, and so does",
		"the largest distance of a store's share from what its weight is of all weights, as a part of that.", '',
		"| queue | lowest Jain's index of $window claims | largest distance from its share, all claims |", '|---|--:|--:|');
	my ($lowest, $weighted);
	for my $case (@cases)
	{
		my ($name, $stores, undef, undef, @weights) = @$case;
		my @served = _served(@$case);
		my @weight = map { @weights ? $weights[ $_ % @weights ] : 1 } 0 .. $stores - 1;
		my $jain = min(map {
			my @items = _sum_of(@served[ $_ .. $_ + $window - 1 ]);
			jain(map { $items[$_] / $weight[$_] } 0 .. $stores - 1);
		} 0 .. $claims - $window);
		my @all = _sum_of(@served);
		my $distance = max(map { abs($all[$_] / sum(@all) / ($weight[$_] / sum(@weight)) - 1) } 0 .. $stores - 1);
		push @lines, sprintf('| %s | %.5f | %.2f %% |', $name, $jain, 100 * $distance);
		$say->(sprintf 'fairness: %s: Jain %.5f, off by %.2f %%', $name, $jain, 100 * $distance);
		if (@weights) { $weighted = $distance; }
		else { $lowest = min($lowest // 1, $jain); }
	}
	my $rows = $selection->{short} ? 100_000 : 1_000_000;
	my ($served, $newcomers) = _newcomers($rows);
	$say->("fairness: $served of $newcomers newcomers were in the next claim");
	push @lines, '', sprintf('%d of %d newcomers with one item, each behind %s rows of another store, were in the very next claim.',
		$served, $newcomers, thousands($rows));
	return (join("\n", @lines), [
		{ asked => "Jain's index of items per store, any $window claims: at least 0.999", found => sprintf('%.5f', $lowest), holds => $lowest >= 0.999 },
		{ asked => 'weighted shares: within 1 %', found => sprintf('%.2f %%', 100 * $weighted), holds => $weighted <= 0.01 },
		{ asked => 'a newcomer behind ' . thousands($rows) . ' rows of another store: in the very next claim',
			found => "$served of $newcomers", holds => $served == $newcomers } ]);
}

1;
