# Session.pm: a psql that stays connected and says how long each statement took.
#
#   my $session = Session->new('bench');           # Session->new('bench', 'session_replication_role=replica')
#   my ($rows, $ms) = $session->ask('SELECT 1');   # a reference to the lines; milliseconds
#
# The time is psql's own \timing: from sending the statement to having its whole result, with its commit,
# without the printing.
package Session;

use strict;
use warnings FATAL => 'all';
use IPC::Open2;

my $end = 'end of the answer';

sub new
{
	my ($class, $database, @settings) = @_;
	local $ENV{PGDATABASE} = $database;
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } 'client_min_messages=warning', @settings;
	my $self = bless {}, $class;
	$self->{pid} = open2($self->{out}, $self->{in}, 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1');
	$self->ask('\timing on');
	return $self;
}

# One statement or several; the time is that of the last one.
sub ask
{
	my ($self, $sql) = @_;
	my ($in, $out) = @$self{qw(in out)};
	print $in $sql =~ /^\\/ ? "$sql\n" : "$sql\n;\n", "\\echo $end\n";
	$in->flush;
	my (@rows, $ms);
	while (defined(my $line = <$out>))
	{
		chomp $line;
		return (\@rows, $ms) if $line eq $end;
		if ($line =~ /^Time: ([\d.]+) ms/) { $ms = $1; }
		else { push @rows, $line; }
	}
	die "psql ended in: $sql\n";
}

sub value { my ($self, $sql) = @_; return ($self->ask($sql))[0][0] }

sub ms { my ($self, $sql) = @_; return ($self->ask($sql))[1] }

sub quit
{
	my ($self) = @_;
	return unless delete $self->{pid};
	close $self->{in};
	my $out = $self->{out};
	local $_;
	1 while <$out>;    # until it is gone, and its connection with it
	return;
}

sub DESTROY { my ($self) = @_; local ($?, $!, $@); $self->quit; return }

1;
