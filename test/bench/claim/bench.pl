# bench.pl: measures what BENCH_PARTS names and writes the document; see run.
#
#   PGHOST=FOLDER_OF_THE_SOCKET BENCH_…=… perl -I . bench.pl DOCUMENT
use strict;
use warnings FATAL => 'all';
use Claims;
use Fairness;
use Inserts;
use List::Util qw(max);
use Numbers;
use Session;
use Throughput;
use Time::HiRes qw(time);

my ($document) = @ARGV;
my %selection = map { $_ => [ split ' ', $ENV{ 'BENCH_' . uc $_ } ] } qw(rows stores shapes parts);
$selection{short} = max(@{ $selection{rows} }) < 1_000_000;
my %parts = (
	claims => \&Claims::run,
	throughput => \&Throughput::run,
	snapshot => \&Throughput::run_snapshot,
	inserts => \&Inserts::run,
	fairness => \&Fairness::run);
for my $name (grep { !$parts{$_} } @{ $selection{parts} }) { die "no such part: $name\n"; }

my $began = time;
my ($load) = do { open my $in, '<', '/proc/loadavg' or die; split ' ', <$in> };
$| = 1;
my $say = sub { printf "%4d s  %s\n", time() - $began, @_ };
print "The load is $load: what else runs here will be in the figures.\n" if $load > 0.5;

my (@sections, @verdicts);
for my $part (@{ $selection{parts} })
{
	my ($section, $found) = $parts{$part}->(\%selection, $say);
	push @sections, $section;
	push @verdicts, @$found;
}

my $admin = Session->new('postgres');
my ($major) = $admin->value('SHOW server_version') =~ /^(\S+)/;
my %server = map { $_ => $admin->value("SHOW $_") } qw(shared_buffers fsync synchronous_commit);
$admin->quit;
my $cores = grep { /^processor\s*:/ } do { open my $in, '<', '/proc/cpuinfo' or die; <$in> };

my @asked = map { [ $_, defined $_->{found} && $_->{found} ne '' ? ($_->{found}, $_->{holds} ? 'holds' : '**falls short**') : ('–', 'not measured') ] } @verdicts;
open my $out, '>', $document or die "$document: $!\n";
print $out join("\n",
	'# Benchmarks', '',
	'Written by `make bench-claim`, which anybody can repeat; its variables are at the head of `test/bench/claim/run`.',
	'Figures of one run on one machine: compare them with each other, not with those of other machines.', '',
	"PostgreSQL $major on $cores cores, clients and server together; shared_buffers $server{shared_buffers}, fsync $server{fsync},",
	"synchronous_commit $server{synchronous_commit}. Store names of 36 characters, payloads of some 190 bytes, collation C. Every table is",
	'loaded in bulk, has the indexes that the extension gives it, and is vacuumed, analyzed and read into memory before the first claim.',
	"The database's own worker is paused. The competitors' sessions fire no triggers of ours.",
	@{ $selection{rows} } ? 'Table sizes of this run: ' . join(', ', map { thousands($_) } @{ $selection{rows} }) . '.' : (), '',
	'## What was asked, and what was found', '',
	'| asked | found | |', '|---|--:|---|',
	(map { "| $_->[0]{asked} | $_->[1] | $_->[2] |" } @asked), '',
	(map { "$_\n" } @sections),
	sprintf('The whole run took %d minutes; the load of the machine was %s when it began.', (time() - $began) / 60 + 0.5, $load)), "\n";
close $out or die "$document: $!\n";
print "\n", map { sprintf "%-16s %s: %s\n", $_->[2] =~ s/\*//gr, $_->[0]{asked}, $_->[1] } @asked;
