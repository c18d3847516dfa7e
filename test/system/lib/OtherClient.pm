# OtherClient.pm: somebody else who uses the same account, straight at the API.
#
#   my $other = OtherClient->new($mock->url, $key, 'gpt-4o-mini', 15, 400);   # 400 as fast as it can, then 15 a second, evenly
#   $other->stop;
#
# Its requests say "somebody else", so that the mock's log can tell them from ours.
package OtherClient;

use strict;
use warnings FATAL => 'all';
use HTTP::Tiny;
use POSIX ();
use Time::HiRes qw(time sleep);

my $processes = 12;    # so many of its requests can be in flight

sub new
{
	my ($class, $url, $key, $model, $per_second, $at_once) = @_;
	my $self = bless { pids => [], owner => $$ }, $class;
	my $start = time();
	for my $n (0 .. $processes - 1)
	{
		defined(my $pid = fork) or die "cannot fork: $!\n";
		_go_on($url, $key, $model, $start + $n / $per_second, $processes / $per_second, ($at_once // 0) / $processes) if $pid == 0;
		push @{ $self->{pids} }, $pid;
	}
	return $self;
}

# On a timetable of its own: an answer that comes late does not make the next request later.
sub _go_on
{
	my ($url, $key, $model, $next, $gap, $at_once) = @_;
	my $http = HTTP::Tiny->new(timeout => 20, default_headers => { Authorization => "Bearer $key" });
	my $parent = getppid();
	my $body = qq({"model":"$model","max_completion_tokens":16,"messages":[{"role":"user","content":"somebody else"}]});
	my $send = sub { $http->post("$url/chat/completions", { content => $body, headers => { 'Content-Type' => 'application/json' } }) };
	$send->() for 1 .. $at_once;
	$next += $gap * int((time() - $next) / $gap) if $at_once;
	while (getppid() == $parent)
	{
		my $now = time();
		sleep($next - $now) if $next > $now;
		$send->();
		$next += $gap;
	}
	POSIX::_exit(0);
}

sub stop
{
	my ($self) = @_;
	my $status = $?;
	kill 'KILL', @{ $self->{pids} };
	waitpid $_, 0 for @{ $self->{pids} };
	$self->{pids} = [];
	$? = $status;
	return;
}

sub DESTROY { my ($self) = @_; $self->stop if $self->{owner} == $$; return }

1;
