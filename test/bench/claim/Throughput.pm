# Throughput.pm: claims and their write-back by several claimers at once, and under an old snapshot.
package Throughput;

use strict;
use warnings FATAL => 'all';
use List::Util qw(max min sum0);
use Numbers;
use Queue;
use Ways;

my @claimers = (1, 4, 8);
my @lines_of = (
	[ fair => 'batch', 'ours, one `UPDATE` for the 100' ],
	[ fifo => 'batch', 'FIFO, one `UPDATE` for the 100' ],
	[ fair => 'each', 'ours, `complete_item()` of each' ],
	[ fifo => 'each', 'FIFO, `complete_item()` of each' ]);

sub run
{
	my ($selection, $say) = @_;
	my ($rows, $seconds) = $selection->{short} ? (600_000, 2) : (1_500_000, 5);
	my @lines = (
		'## Rows per second, with the write-back', '',
		"A claim of 100 and what makes its rows DONE with a result, each a transaction of its own, over and over for $seconds s",
		'by each number of claimers (pgbench; claimers and server share the cores). The queue starts with ' . thousands($rows),
		'rows of 1,000 stores, interleaved. The two kinds of write-back do the same to the rows; `complete_item()` of each, 100',
		'calls in one statement, also checks each claim and each argument.', '',
		'| claim and write-back | ' . join(' | ', map { $_ == 1 ? '1 claimer' : "$_ claimers" } @claimers) . ' |',
		'|---|' . '--:|' x @claimers);
	for my $line (@lines_of)
	{
		my ($way, $finish, $name) = @$line;
		my $queue = Queue->new(rows => $rows, stores => 1000, shape => 'uniform');
		my ($before, @rates) = (_finished($queue));
		for my $clients (@claimers)
		{
			my $run = $queue->pgbench(pgbench_script($way, $finish), clients => $clients, seconds => $seconds, settings => [ settings_of($way) ]);
			my $finished = _finished($queue);
			die "the queue ran dry\n" if $queue->value(q(SELECT NOT EXISTS (SELECT FROM job_items WHERE status = 'PENDING'))) eq 't';
			push @rates, ($finished - $before) * $run->{rate} / $run->{transactions};
			$before = $finished;
		}
		$queue->drop;
		push @lines, "| $name | " . join(' | ', map { thousands($_) } @rates) . ' |';
		$say->("throughput: $name: " . join(', ', map { thousands($_) } @rates) . ' rows/s');
	}
	return (join("\n", @lines), []);
}

sub _finished { my ($queue) = @_; return $queue->value(q(SELECT count(*) FROM job_items WHERE status = 'DONE')) }

# Two drains by one claimer, one with an old snapshot held, in pieces that take turns: what slows the machine down for a
# while slows both.  For each of the two the rows per second of the first and of the last tenth of what was drained, and
# of the whole; and the part that was drained until one of them had taken too long.
sub _drains
{
	my ($rows, $stores, $patience) = @_;
	my @drains = map { { queue => Queue->new(database => $_, rows => $rows, stores => $stores, shape => 'uniform'), seconds => [] } } 'bench', 'bench_held';
	for my $drain (@drains)
	{
		$drain->{before} = _finished($drain->{queue});
		$drain->{queue}->settle;
	}
	my $holder = $drains[1]{queue}->session;
	$holder->ask($_) for 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT id FROM job_items LIMIT 1';
	my $pieces = $rows >= 1_000_000 ? 50 : 10;
	my $done = 0;
	while ($done < $pieces && max(map { sum0(@{ $_->{seconds} }) } @drains) < $patience)
	{
		for my $drain ($done % 2 ? reverse @drains : @drains)
		{
			my $run = $drain->{queue}->pgbench(pgbench_script(fair => 'batch'), transactions => $rows / 100 / $pieces);
			push @{ $drain->{seconds} }, $run->{transactions} / $run->{rate};
		}
		$done++;
	}
	my $part = $done / $pieces;
	$_->{drained} = _finished($_->{queue}) - $_->{before} for @drains;
	$holder->quit;
	$_->{queue}->drop for @drains;
	return map { _rates_of($_, $rows, $pieces, $part) } @drains;
}

sub _rates_of
{
	my ($drain, $rows, $pieces, $part) = @_;
	my @seconds = @{ $drain->{seconds} };
	die "only $drain->{drained} of $rows rows were drained\n" if $drain->{drained} < 0.999 * $rows * $part;
	my $tenth = min($pieces / 10, scalar @seconds);
	my $rate = sub { return @_ * $rows / $pieces / sum0(@_) };
	return { first => $rate->(@seconds[ 0 .. $tenth - 1 ]), last => $rate->(@seconds[ -$tenth .. -1 ]),
		whole => $drain->{drained} / sum0(@seconds), part => $part };
}

sub run_snapshot
{
	my ($selection, $say) = @_;
	my $rows = $selection->{short} ? 100_000 : 1_000_000;
	my $patience = $selection->{short} ? 30 : 180;    # seconds for one drain
	my @lines = (
		'## Under an old snapshot', '',
		'Rows per second of one claimer that drains ' . thousands($rows) . ' rows to the last one, claim and one `UPDATE` for the 100,',
		'undisturbed and while an idle `REPEATABLE READ` transaction keeps its snapshot from before the first claim to the end:',
		'no vacuum can remove what the drain leaves behind. The two drains, each of a database of its own, take turns.', '',
		'| stores | snapshot | first tenth | last tenth | whole | whole ÷ undisturbed |', '|--:|---|--:|--:|--:|--:|');
	my (@ratios, @cut);
	for my $stores (10, 1000)
	{
		my @drains = _drains($rows, $stores, $patience);
		push @ratios, $drains[1]{whole} / $drains[0]{whole};
		for my $old (0, 1)
		{
			my @rates = map { thousands($_) } @{ $drains[$old] }{qw(first last whole)};
			push @lines, '| ' . join(' | ', thousands($stores), $old ? 'held' : 'none', @rates, $old ? percent_text($ratios[-1]) : '') . ' |';
			$say->("drain: $stores stores, " . ($old ? 'old snapshot' : 'undisturbed') . ': ' . join(', ', @rates) . ' rows/s');
		}
		push @cut, sprintf('With %s stores both drains were stopped after %s of the rows: one had taken more than %d s.', thousands($stores),
			percent_text($drains[0]{part}), $patience) if $drains[0]{part} < 1;
	}
	push @lines, map { ('', $_) } @cut;
	my $least = min(@ratios);
	return (join("\n", @lines), [ {
		asked => 'drain of ' . thousands($rows) . ' rows under an old snapshot ÷ undisturbed, the smallest: at least 85 %',
		found => percent_text($least), holds => $least >= 0.85 } ]);
}

1;
