# Numbers.pm: the statistics of the benchmark, and how numbers are written.
package Numbers;

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use List::Util qw(max sum0);

our @EXPORT = qw(percentile median jain thousands ms_text percent_text);

# The smallest value that so many percent of all do not exceed.
sub percentile
{
	my ($percent, @values) = @_;
	my @sorted = sort { $a <=> $b } @values;
	my $rank = $percent / 100 * @sorted;
	$rank = int($rank) + ($rank > int($rank) ? 1 : 0);
	return $sorted[ max($rank, 1) - 1 ];
}

sub median { return percentile(50, @_) }

# 1 when all have the same, 1/n when one has all.
sub jain
{
	my @shares = @_;
	return sum0(@shares)**2 / (@shares * sum0(map { $_**2 } @shares));
}

sub thousands
{
	my $text = sprintf '%.0f', $_[0];
	1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
	return $text;
}

sub ms_text { my ($ms) = @_; return $ms < 10 ? sprintf('%.2f', $ms) : $ms < 100 ? sprintf('%.1f', $ms) : thousands($ms) }

sub percent_text { return sprintf '%.1f %%', 100 * $_[0] }

1;
