# MockOpenai.pm: the mock of the API as an object.
#
#   my $mock = MockOpenai->new('--latency-ms', '20-60');
#   $mock->config(hang => \1);  $mock->release;  $mock->stats->{hanging};
#
# Its process ends with the object, and by itself when this process is gone.
package MockOpenai;

use strict;
use warnings FATAL => 'all';
use HTTP::Tiny;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

my $count = 0;

sub new
{
	my ($class, @flags) = @_;
	my $binary = $ENV{MOCK_OPENAI} or die "MOCK_OPENAI is not set\n";
	my $base = "$PostgreSQL::Test::Utils::tmp_check/mock_$$\_" . ++$count;
	my @command = ($binary, '--port', 0, '--port-file', "$base.port", '--parent-pid', $$,
		'--log', "$base.log", @flags);
	defined(my $pid = fork) or die "cannot fork: $!\n";
	if ($pid == 0)
	{
		exec @command or POSIX::_exit(127);
	}
	my $self = bless { pid => $pid, owner => $$, http => HTTP::Tiny->new(timeout => 20) }, $class;
	my $deadline = time() + 30;
	until (-s "$base.port")
	{
		die "the mock did not start: @command\n" if time() > $deadline || waitpid($pid, POSIX::WNOHANG()) != 0;
		select(undef, undef, undef, 0.02);
	}
	$self->{port} = PostgreSQL::Test::Utils::slurp_file("$base.port") + 0;
	return $self;
}

sub url { return "http://127.0.0.1:$_[0]{port}/v1" }

sub _ask
{
	my ($self, $method, $path, $body) = @_;
	my %options = defined $body ? (content => encode_json($body)) : ();
	my $reply = $self->{http}->request($method, "http://127.0.0.1:$self->{port}/mock/$path", \%options);
	die "the mock says to $path: $reply->{status} $reply->{content}\n" unless $reply->{success};
	return $reply->{content};
}

sub config { my ($self, %live) = @_; return decode_json($self->_ask('POST', 'config', \%live)) }
sub stats { return decode_json($_[0]->_ask('GET', 'stats')) }
sub release { return decode_json($_[0]->_ask('POST', 'release', {})) }
sub reset { return decode_json($_[0]->_ask('POST', 'reset', {})) }
sub audit { my ($self, %bounds) = @_; return decode_json($self->_ask('POST', 'audit', \%bounds)) }

# The arrivals, oldest first; filters as in the mock's README: contains => 'text', model => …
sub log
{
	my ($self, %filter) = @_;
	my $query = $self->{http}->www_form_urlencode(\%filter);
	return map { decode_json($_) } split /\n/, $self->_ask('GET', "log?$query");
}

sub stop
{
	my ($self) = @_;
	return unless $self->{pid};
	my $status = $?;
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$? = $status;
	$self->{pid} = 0;
	return;
}

sub DESTROY
{
	my ($self) = @_;
	$self->stop if $self->{owner} == $$;
	return;
}

1;
