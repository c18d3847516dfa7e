# RequestRecorder.pm: a server that answers "ok" to whatever is posted and remembers what that was.
#
# The mock judges requests as the API does; this one shows them, to the last byte.
package RequestRecorder;

use strict;
use warnings FATAL => 'all';
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Utils;

my $count = 0;

sub new
{
	my ($class, %options) = @_; # completion_tokens: what each answer says it has
	my $file = "$PostgreSQL::Test::Utils::tmp_check/requests_$$\_" . ++$count;
	my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', Proto => 'tcp')
	  or die "cannot listen: $@\n";
	my $self = bless { port => $listener->sockport, file => $file, owner => $$ }, $class;
	defined($self->{pid} = fork) or die "cannot fork: $!\n";
	if ($self->{pid} == 0)
	{
		eval { _serve($listener, $file, $self->{owner}, $options{completion_tokens} // 3); 1 } or print STDERR "the recorder died: $@";
		POSIX::_exit(0);
	}
	return $self;
}

sub port { return $_[0]{port} }
sub url { return "http://127.0.0.1:$_[0]{port}/v1" }

# Every request so far: { path, headers (by lower-case name), body (decoded) }.
sub requests
{
	my ($self) = @_;
	return () unless -e $self->{file};
	return map { decode_json($_) } split /\n/, PostgreSQL::Test::Utils::slurp_file($self->{file});
}

sub _answer
{
	my ($path, $tokens) = @_;
	return encode_json(
		$path =~ m{/responses$}
		? { object => 'response', status => 'completed', model => 'recorded', output => [
				{ type => 'message', role => 'assistant', content => [ { type => 'output_text', text => 'ok' } ] } ],
			usage => { input_tokens => 7, output_tokens => $tokens, total_tokens => 7 + $tokens } }
		: { object => 'chat.completion', model => 'recorded', choices => [
				{ index => 0, finish_reason => 'stop', message => { role => 'assistant', content => 'ok' } } ],
			usage => { prompt_tokens => 7, completion_tokens => $tokens, total_tokens => 7 + $tokens } });
}

sub _serve
{
	my ($listener, $file, $owner, $tokens) = @_;
	my $ready = IO::Select->new($listener);
	my %received;
	open my $out, '>>', $file or die;
	$out->autoflush(1);
	while (getppid() == $owner)
	{
		for my $socket ($ready->can_read(0.25))
		{
			if ($socket == $listener)
			{
				$ready->add(scalar $listener->accept);
				next;
			}
			if (!sysread($socket, $received{$socket}, 65536, length($received{$socket} // '')))
			{
				delete $received{$socket};
				$ready->remove($socket);
				close $socket;
				next;
			}
			while ($received{$socket} =~ /\A(\S+) (\S+) [^\r]*\r\n(.*?)\r\n\r\n/s)
			{
				my ($head, $path, $lines, %headers) = ($+[0], $2, $3);
				$headers{ lc $1 } = $2 while $lines =~ /^([^:\r]+): *([^\r]*)\r?$/mg;
				my $length = $headers{'content-length'} // 0;
				last if length($received{$socket}) < $head + $length;
				my $body = substr($received{$socket}, $head, $length);
				substr($received{$socket}, 0, $head + $length, '');
				print $out encode_json({ path => $path, headers => \%headers, body => decode_json($body) }), "\n";
				my $answer = _answer($path, $tokens);
				print $socket "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
				  . length($answer) . "\r\n\r\n$answer";
				$socket->flush;
			}
		}
	}
	return;
}

sub DESTROY
{
	my ($self) = @_;
	return if $self->{owner} != $$;
	my $status = $?;
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$? = $status;
	return;
}

1;
