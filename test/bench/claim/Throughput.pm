# Throughput.pm: claims and their write-back by several claimers at once, and under an old snapshot.
package Throughput;

use strict;
use warnings FATAL => 'all';
use List::Util qw(min sum0);
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

# A drain by one claimer, in pieces, so that one which takes too long can be ended: rows per second of the first
# and of the last tenth of what was drained, and of the whole; and the part that was drained.
sub _drain
{
	my ($rows, $stores, $old_snapshot, $patience) = @_;
	my $queue = Queue->new(rows => $rows, stores => $stores, shape => 'uniform');
	my $before = _finished($queue);
	$queue->settle;
	my $holder = $queue->session;
	$holder->ask('BEGIN ISOLATION LEVEL REPEATABLE READ') if $old_snapshot;
	$holder->ask('SELECT id FROM job_items LIMIT 1') if $old_snapshot;
	my $pieces = $rows >= 1_000_000 ? 50 : 10;
	my @seconds;
	while (@seconds < $pieces && sum0(@seconds) < $patience)
	{
		my $run = $queue->pgbench(pgbench_script(fair => 'batch'), transactions => $rows / 100 / $pieces);
		push @seconds, $run->{transactions} / $run->{rate};
	}
	my $drained = _finished($queue) - $before;
	$holder->quit;
	$queue->drop;
	my $part = @seconds / $pieces;
	die "only $drained of $rows rows were drained\n" if $drained < 0.999 * $rows * $part;
	my $tenth = $pieces / 10;
	my $rate = sub { return @_ * $rows / $pieces / sum0(@_) };
	my $last = @seconds > $tenth ? -$tenth : -@seconds;
	return { first => $rate->(@seconds[ 0 .. ($tenth < @seconds ? $tenth : @seconds) - 1 ]), last => $rate->(@seconds[ $last .. -1 ]),
		whole => $drained / sum0(@seconds), part => $part };
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
		'no vacuum can remove what the drain leaves behind.', '',
		'| stores | snapshot | first tenth | last tenth | whole | whole ÷ undisturbed |', '|--:|---|--:|--:|--:|--:|');
	my (@ratios, @cut);
	for my $stores (10, 1000)
	{
		my $undisturbed;
		for my $old (0, 1)
		{
			my $drain = _drain($rows, $stores, $old, $patience);
			my @rates = map { thousands($_) } @$drain{qw(first last whole)};
			push @cut, sprintf('With %s stores %s the drain was stopped after %s of the rows: it had taken more than %d s.', thousands($stores),
				$old ? 'and the old snapshot' : 'and no snapshot', percent_text($drain->{part}), $patience) if $drain->{part} < 1;
			push @ratios, $drain->{whole} / $undisturbed if $old;
			push @lines, '| ' . join(' | ', thousands($stores), $old ? 'held' : 'none', @rates, $old ? percent_text($ratios[-1]) : '') . ' |';
			$say->("drain: $stores stores, " . ($old ? 'old snapshot' : 'undisturbed') . ': ' . join(', ', @rates) . ' rows/s');
			$undisturbed = $drain->{whole};
		}
	}
	push @lines, map { ('', $_) } @cut;
	my $least = min(@ratios);
	return (join("\n", @lines), [ {
		asked => 'drain of ' . thousands($rows) . ' rows under an old snapshot ÷ undisturbed, the smallest: at least 85 %',
		found => percent_text($least), holds => $least >= 0.85 } ]);
}

1;
