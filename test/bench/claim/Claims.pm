# Claims.pm: how long a claim of 100 takes, by table size, number of stores, distribution and way.
package Claims;

use strict;
use warnings FATAL => 'all';
use List::Util qw(first max min uniq);
use Numbers;
use Queue;
use Ways;

my @ways = qw(fair fifo scattered window);
my $blocks = 4;
my $warm_up = 5;

# Claims per block.  The window claim has its seconds to spend where the table is large.
sub _claims
{
	my ($way, $rows) = @_;
	return 50 if $way ne 'window';
	return $rows <= 100_000 ? 10 : $rows < 10_000_000 ? 3 : 1;
}

sub _session
{
	my ($queue, $way) = @_;
	my $session = $queue->session(settings_of($way));
	$session->ask(prepared_claim($way));
	return $session;
}

# So many claims, of which the first are not counted, each followed by the refill.
sub _block
{
	my ($queue, $session, $uncounted, $claims, @arguments) = @_;
	my (@ms, @claimed);
	for my $n (1 .. $uncounted + $claims)
	{
		my ($claimed, $ms) = $session->ask('EXECUTE claim' . (shift @arguments // ''));
		$queue->refill;
		next if $n <= $uncounted;
		push @ms, $ms;
		push @claimed, scalar @$claimed;
	}
	return (\@ms, \@claimed);
}

# For so many claims of rows that lie anywhere.
sub _scattered_ids
{
	my ($queue, $claims) = @_;
	my ($ids) = $queue->ask('SELECT id FROM job_items WHERE status = \'PENDING\' ORDER BY random() LIMIT ' . $claims * 100);
	return map { "('{" . join(',', splice @$ids, 0, 100) . "}')" } 1 .. $claims;
}

# Blocks of the ways alternate, so that what else the machine does meets all of them; only the first claims
# of a block, which find what the other left behind, are not counted.
sub _measure
{
	my ($queue, $rows) = @_;
	my (%session, %ms, %claimed, %fresh);
	for my $way (@ways)
	{
		$session{$way} = _session($queue, $way);
		($fresh{$way}) = _block($queue, $session{$way}, $warm_up, _claims($way, $rows)) if $way eq 'fair' || $way eq 'fifo';
		$queue->touch($session{$way});
	}
	for my $block (1 .. $blocks)
	{
		for my $way (@ways)
		{
			my $uncounted = $way ne 'window' ? $warm_up : $rows < 10_000_000 || $block == 1 ? 1 : 0;
			my $claims = _claims($way, $rows);
			my @arguments = $way eq 'scattered' ? _scattered_ids($queue, $uncounted + $claims) : ();
			my ($ms, $claimed) = _block($queue, $session{$way}, $uncounted, $claims, @arguments);
			push @{ $ms{$way} }, @$ms;
			push @{ $claimed{$way} }, @$claimed;
		}
	}
	$session{$_}->quit for @ways;
	my %result = map { $_ => { median => median(@{ $ms{$_} }), p99 => percentile(99, @{ $ms{$_} }), count => scalar @{ $ms{$_} },
		least => min(@{ $claimed{$_} }) } } @ways;
	$result{$_}{fresh} = median(@{ $fresh{$_} }) for keys %fresh;
	return \%result;
}

sub _combinations
{
	my ($selection) = @_;
	my @all;
	for my $rows (@{ $selection->{rows} })
	{
		for my $shape (@{ $selection->{shapes} })
		{
			my @stores = $shape eq 'one-each' ? $rows : @{ $selection->{stores} };
			push @all, map { { rows => $rows, stores => $_, shape => $shape } }
			  grep { stores_needed($shape, $_) <= $rows && ($shape ne 'uniform' || $_ < $rows) } @stores;
		}
	}
	return @all;
}

sub run
{
	my ($selection, $say) = @_;
	my @measured;
	for my $combination (_combinations($selection))
	{
		my $queue = Queue->new(%$combination);
		my $result = _measure($queue, $combination->{rows});
		$queue->drop;
		push @measured, { %$combination, %$result };
		$say->(sprintf 'claims: %s rows, %s stores, %s: %s', thousands($combination->{rows}), thousands($combination->{stores}),
			$combination->{shape}, join ', ', map { "$_ " . ms_text($result->{$_}{median}) . ' ms' } @ways);
	}
	return (_section(@measured), [ _verdicts(@measured) ]);
}

sub _section
{
	my @measured = @_;
	my @lines = (
		'## A claim of 100', '',
		'Milliseconds from sending the statement to having its rows, commit included. Between two claims, and outside',
		'of what is measured, the claimed rows are finished and as many new ones inserted for the same stores, so',
		'every claim meets the same queue. The ways share one loaded table and take turns in blocks, of which',
		"the first $warm_up claims are not counted; each has its own session, which has read the table and its indexes once. *uniform*: the rows of all stores interleaved one by one; *whale*: one",
		'store has 99 % of the rows; *one-each*: a store per row. Where a store would have no row, there is no line.', '',
		'* **ours**: `SELECT … FROM claim_pending_items(100, 20)`',
		'* **FIFO**: `UPDATE … WHERE id IN (SELECT id … WHERE status = \'PENDING\' ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)`.',
		'  Not fair: the store that was there first gets everything. Its rows lie side by side: in loading order, some ten pages for 100.',
		'* **scattered**: the same `UPDATE`, of 100 waiting rows drawn at random beforehand and found by their ids. No queue, and no',
		'  choice to make: what it costs to touch 100 rows that do not lie side by side, as the rows of 100 stores do not.',
		'* **window**: `row_number() OVER (PARTITION BY instance_id ORDER BY priority, id) <= 20`, the first 100 by that',
		'  number, then lock and update. Fair within a claim, with no memory of the one before.', '',
		'| rows | stores | distribution | ours, median | ours, p99 | FIFO, median | FIFO, p99 | scattered, median | window, median | window, worst | ours ÷ FIFO | ours ÷ scattered | window ÷ ours |',
		'|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|');
	for my $one (@measured)
	{
		my ($fair, $fifo, $scattered, $window) = @$one{@ways};
		push @lines, '| ' . join(' | ', thousands($one->{rows}), thousands($one->{stores}), $one->{shape},
			ms_text($fair->{median}), ms_text($fair->{p99}), ms_text($fifo->{median}), ms_text($fifo->{p99}),
			ms_text($scattered->{median}), ms_text($window->{median}), ms_text($window->{p99}),
			(map { sprintf '%.2f', $fair->{median} / $_->{median} } $fifo, $scattered), sprintf('%.1f', $window->{median} / $fair->{median})) . ' |';
	}
	my $worst = (sort { $b->{fair}{fresh} / $b->{fifo}{fresh} <=> $a->{fair}{fresh} / $a->{fifo}{fresh} } @measured)[0];
	push @lines, '', sprintf('Ours, FIFO and scattered: %d claims each per line; window: %s.', $blocks * _claims('fair', 0),
		join ' to ', uniq map { $blocks * _claims('window', $_) } (reverse sort { $a <=> $b } map { $_->{rows} } @measured)[ 0, -1 ]);
	my @short = grep { my $one = $_; grep { $one->{$_}{least} < 100 } @ways } @measured;
	push @lines, 'Every claim returned 100 rows.' if !@short;
	push @lines, sprintf('**Not every claim returned 100 rows**: at %s rows, %s stores, %s the smallest of ours had %d, of FIFO %d, of scattered %d, of window %d.',
		thousands($_->{rows}), thousands($_->{stores}), $_->{shape}, map { $_->{least} } @$_{@ways}) for @short;
	push @lines, '', 'A session that has just connected has not mapped the pages of `shared_buffers` yet, and pays for each of 4 kB once, when it',
		'first touches it: scattered rows cost it more than rows side by side. `huge_pages` make that cheaper. In their first',
		sprintf('%d claims, before they had read anything, ours and FIFO were furthest apart at %s rows, %s stores, %s: %s and %s ms (%.2f).',
			_claims('fair', 0), thousands($worst->{rows}), thousands($worst->{stores}), $worst->{shape},
			(map { ms_text($worst->{$_}{fresh}) } qw(fair fifo)), $worst->{fair}{fresh} / $worst->{fifo}{fresh});
	return join "\n", @lines;
}

sub _verdicts
{
	my @measured = @_;
	my $find = sub {
		my ($rows, $stores) = @_;
		return first { $_->{rows} == $rows && $_->{stores} == $stores && $_->{shape} eq 'uniform' } @measured;
	};
	my ($large, $small) = ($find->(10_000_000, 100_000), $find->(10_000, 10));
	my $growth = $large && $small ? $large->{fair}{median} / $small->{fair}{median} : undef;
	my @at_10m = grep { $_->{rows} == 10_000_000 } @measured;
	my $lead = @at_10m ? min(map { $_->{window}{median} / $_->{fair}{median} } @at_10m) : undef;
	my $cost = max(map { $_->{fair}{median} / $_->{fifo}{median} } @measured);
	return (
		{ asked => 'median claim at 10,000,000 rows of 100,000 stores ÷ the one at 10,000 of 10: at most 2',
			found => $growth && sprintf('%.2f', $growth), holds => $growth && $growth <= 2 },
		{ asked => 'window claim ÷ ours at 10,000,000 rows, the smallest: at least 200',
			found => $lead && sprintf('%.0f', $lead), holds => $lead && $lead >= 200 },
		{ asked => 'ours ÷ plain FIFO, the largest of all lines: at most 2',
			found => sprintf('%.2f', $cost), holds => $cost <= 2 });
}

1;
