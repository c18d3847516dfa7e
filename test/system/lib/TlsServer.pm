# TlsServer.pm: TLS before a server of plain http on this machine, with a certificate of a private CA.
#
#   my $tls = TlsServer->new($recorder->port, name => 'localhost');
#   $tls->url; $tls->ca_file;
#
# openssl s_server takes one connection after the other; what it decrypts goes on to the plain server, whose answers
# go back.  So there must be one request in flight at most.
package TlsServer;

use strict;
use warnings FATAL => 'all';
use IO::Select;
use IO::Socket::INET;
use IPC::Open2;
use POSIX ();
use PostgreSQL::Test::Utils;

my $count = 0;

sub _openssl
{
	my (@words) = @_;
	system("openssl @words >/dev/null 2>&1") == 0 or die "openssl @words failed\n";
	return;
}

sub new
{
	my ($class, $plain_port, %of) = @_;
	my $base = "$PostgreSQL::Test::Utils::tmp_check/tls_$$\_" . ++$count;
	my $key = '-newkey rsa:2048 -nodes -days 2';
	_openssl("req -x509 $key -subj '/CN=private CA $count' -keyout $base.ca.key -out $base.ca");
	_openssl("req $key -subj '/CN=$of{name}' -keyout $base.key -out $base.csr");
	open my $out, '>', "$base.ext" or die;
	print $out "subjectAltName=DNS:$of{name}\n";
	close $out or die;
	_openssl("x509 -req -days 2 -in $base.csr -CA $base.ca -CAkey $base.ca.key -CAcreateserial -extfile $base.ext -out $base.crt");
	chmod 0644, "$base.ca";

	# s_server cannot tell its port and be quiet: a free one is found before.
	my $free = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Proto => 'tcp') or die;
	my $self = bless { port => $free->sockport, ca_file => "$base.ca", owner => $$ }, $class;
	close $free;
	defined($self->{pid} = fork) or die "cannot fork: $!\n";
	if ($self->{pid} == 0)
	{
		eval { _relay($self->{port}, $plain_port, $base, $self->{owner}); 1 } or print STDERR "the TLS server died: $@";
		POSIX::_exit(0);
	}
	my $deadline = time() + 30;
	until (IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp'))
	{
		die "the TLS server did not start\n" if time() > $deadline;
		select(undef, undef, undef, 0.02);
	}
	return $self;
}

sub url { my ($self, $host) = @_; return 'https://' . ($host // 'localhost') . ":$self->{port}/v1" }
sub ca_file { return $_[0]{ca_file} }

sub _relay
{
	my ($port, $plain_port, $base, $owner) = @_;
	my $pid = open2(my $decrypted, my $answers, 'openssl', 's_server', '-quiet', '-accept', "127.0.0.1:$port",
		'-key', "$base.key", '-cert', "$base.crt");
	my $plain = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $plain_port, Proto => 'tcp') or die;
	my $ready = IO::Select->new($decrypted, $plain);
	my $open = 1;
	while ($open && getppid() == $owner)
	{
		for my $from ($ready->can_read(0.25))
		{
			my $to = $from == $plain ? $answers : $plain;
			$open = 0, last if !sysread($from, my $bytes, 65536);
			syswrite $to, $bytes;
		}
	}
	kill 'KILL', $pid;
	waitpid $pid, 0;
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
