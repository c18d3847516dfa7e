# Inserts.pm: what the triggers cost those who insert.
package Inserts;

use strict;
use warnings FATAL => 'all';
use Numbers;
use Queue;

my $rows = 100_000;
my $store = store_expression('uniform', 1000);

# Calls what is measured with the triggers and without, in turn, and once before it counts.  Each repetition
# starts with an empty table, and with a checkpoint behind it.
sub _alternate
{
	my ($queue, $repetitions, $measure) = @_;
	my %seen;
	for my $repetition (0 .. $repetitions)
	{
		for my $state ($repetition % 2 ? qw(ENABLE DISABLE) : qw(DISABLE ENABLE))
		{
			$queue->ask("ALTER TABLE job_items $state TRIGGER USER");
			$queue->ask('TRUNCATE job_items');
			$queue->ask('CHECKPOINT');
			my $value = $measure->();
			push @{ $seen{$state} }, $value if $repetition > 0;
		}
	}
	$queue->ask('ALTER TABLE job_items ENABLE TRIGGER USER');
	return map { median(@{ $seen{$_} }) } qw(ENABLE DISABLE);
}

sub run
{
	my ($selection, $say) = @_;
	my ($repetitions, $seconds) = $selection->{short} ? (3, 1) : (9, 3);
	my $queue = Queue->new;
	my $source = sub { return "SELECT $store, $payload FROM (SELECT generate_series(1, $_[0]) AS n) AS numbers" };
	my $file = "$ENV{PGHOST}/data/rows.copy";
	$queue->ask('COPY (' . $source->($rows) . ") TO '$file'");

	my $one = "\\set n random(1, 1000)\nINSERT INTO job_items (instance_id, payload) VALUES"
	  . " (md5((:n)::text)::uuid::text, $payload);\n";
	my $hundred = 'INSERT INTO job_items (instance_id, payload) ' . $source->(100) . ";\n";
	my $into = 'INSERT INTO job_items (instance_id, payload) ';
	my $rate_of = sub { my ($script, $size) = @_; return $size * $queue->pgbench($script, clients => 4, seconds => $seconds)->{rate} };
	my $ms_of = sub { my ($sql) = @_; return $rows / $queue->{main}->ms($sql) * 1000 };
	my @kinds = (
		[ 'one statement of 100,000 rows', sub { $ms_of->($into . $source->($rows)) } ],
		[ '`COPY` of 100,000 rows', sub { $ms_of->("COPY job_items (instance_id, payload) FROM '$file'") } ],
		[ 'statements of 100 rows, 4 clients', sub { $rate_of->($hundred, 100) } ],
		[ 'single rows, 4 clients', sub { $rate_of->($one, 1) } ]);

	my @lines = (
		'## Inserts', '',
		'Rows per second into `job_items` with its triggers and with the triggers disabled, each statement a transaction of its',
		"own, the rows of 1,000 stores interleaved; medians of $repetitions repetitions that take turns. The cost is how much longer a row takes.", '',
		'| insert | with triggers | without | cost |', '|---|--:|--:|--:|');
	my @costs;
	for my $kind (@kinds)
	{
		my ($name, $measure) = @$kind;
		my ($with, $without) = _alternate($queue, $repetitions, $measure);
		push @costs, $without / $with - 1;
		push @lines, "| $name | " . thousands($with) . ' | ' . thousands($without) . ' | ' . percent_text($costs[-1]) . ' |';
		$say->("inserts: $name: " . thousands($with) . ' rows/s, without triggers ' . thousands($without));
	}
	$queue->drop;
	return (join("\n", @lines), [ {
		asked => 'one statement of 100,000 rows with the triggers: at most 10 % slower than without',
		found => percent_text($costs[0]), holds => $costs[0] <= 0.1 } ]);
}

1;
