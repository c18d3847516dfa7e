# 023_way_out.t: where requests go, who decides it, and how the key gets there and nowhere else.
use strict;
use warnings FATAL => 'all';
use IO::Socket::INET;
use MockOpenai;
use ProductOptimizer;
use RequestRecorder;
use TlsServer;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $recorder = RequestRecorder->new;
my $other = RequestRecorder->new;

# The environment tells the way to somebody else: nobody listens to it.
my @variables = qw(http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY);
(my $elsewhere = $other->url) =~ s{/v1$}{};
@ENV{@variables} = ($elsewhere) x @variables;
my $proxy_password = 'proxy-pw-7d3e1f';
my $node = start_cluster('way_out', $recorder->url, settings => { heartbeat_interval => 0, stats_log_interval => 0, max_in_flight => 1 });
delete @ENV{@variables};
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);
# The server's own: a worker inherits it, but PostgreSQL overwrites it there with the process title.
my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
like(slurp_file("/proc/$postmaster/environ"), qr/https_proxy=\Q$elsewhere\E/, 'the server has the variables');

sub item_is_done
{
	my ($name) = @_;
	my $id = insert_item($node, '{"title": "Goes its way."}');
	all_finished($node);
	return is($node->safe_psql('postgres', "SELECT status FROM job_items WHERE id = $id"), 'DONE', $name);
}

# The queue is blocked for a reason, its row waits unharmed, and setting it right heals it.
sub blocks
{
	my ($name, $reason, $wrong, $right) = @_;
	configure($node, %$wrong);
	my $id = insert_item($node, '{"title": "Waits."}');
	wait_for($node, "$name blocks the queue", "SELECT worker_state = 'blocked' AND state_reason ~* '$reason' FROM optimizer_stats()", seconds => 20);
	wait_for($node, 'its row waits, without an attempt lost', "SELECT status = 'PENDING' AND attempts = 0 FROM job_items WHERE id = $id", seconds => 20, quiet => 1);
	configure($node, %$right);
	all_finished($node);
	return is($node->safe_psql('postgres', "SELECT status FROM job_items WHERE id = $id"), 'DONE', "$name: mended, it goes on");
}

item_is_done('the proxies of the environment are ignored');
is(scalar($other->requests), 0, 'and not asked');

# A redirect is not followed.
my $redirecting = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', Proto => 'tcp') or die;
my $redirecting_url = 'http://127.0.0.1:' . $redirecting->sockport . '/v1';
defined(my $redirector = fork) or die;
if ($redirector == 0)
{
	while (my $client = $redirecting->accept)
	{
		sysread $client, my $request, 65536;
		print $client "HTTP/1.1 307 Temporary Redirect\r\nLocation: $elsewhere/v1/chat/completions\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
		close $client;
	}
	POSIX::_exit(0);
}
blocks('a redirect', 'HTTP 307', { api_base_url => $redirecting_url }, { api_base_url => $recorder->url });
kill 'KILL', $redirector;
waitpid $redirector, 0;
is(scalar($other->requests), 0, 'nothing, and so no key, arrived where it pointed');

# A name that leads to this machine: libcurl itself makes that of everything below .localhost.  (Other names lead
# elsewhere in the unit tests, which have a resolver of their own.)
my $before = $recorder->requests;
configure($node, api_base_url => 'http://gateway.localhost:' . $recorder->port . '/v1', allow_plain_http => 'on');
insert_item($node, '{"title": "Waits."}');
wait_for($node, 'a name that leads to this machine blocks the queue', q{SELECT worker_state = 'blocked' AND state_reason ~ 'leads to an address' FROM optimizer_stats()}, seconds => 20);
is(scalar($recorder->requests), $before, 'nothing arrives there');
configure($node, api_base_url => $recorder->url, allow_plain_http => undef);
all_finished($node);
is(scalar($recorder->requests), $before + 1, 'by its address it does');

# TLS with a private CA.
my $tls = TlsServer->new($recorder->port, name => 'localhost');
my $stranger = TlsServer->new($recorder->port, name => 'elsewhere.example');
my %back = (api_base_url => $recorder->url, ca_file => undef, proxy => undef);
blocks('a certificate that nobody trusts', 'certificate', { api_base_url => $tls->url }, { ca_file => $tls->ca_file });
like(($recorder->requests)[-1]{headers}{host}, qr/^localhost:\d+$/, 'with ca_file the request went through TLS');
blocks('the certificate of another CA', 'certificate', { ca_file => $stranger->ca_file }, { ca_file => $tls->ca_file });
blocks('a certificate for another name', 'certificate', { api_base_url => $stranger->url, ca_file => $stranger->ca_file }, \%back);
my $ca = $node->basedir . '/ca.pem';
append_to_file($ca, "no certificate\n");
chmod 0644, $ca;
blocks('a ca_file without a certificate', 'ca_file holds no certificate', { ca_file => $ca }, \%back);
chmod 0666, $ca;
blocks('a ca_file that others may write', 'ca_file must belong', { ca_file => $ca }, \%back);

# A proxy, and its password.
my $port = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Proto => 'tcp')->sockport;
configure($node, proxy => "http://me:$proxy_password\@127.0.0.1:$port");
item_is_done('there is no proxy to this machine');
is($node->safe_psql('postgres', 'SHOW product_optimizer.proxy'), '********', 'the proxy is not shown');
my $id = insert_item($node, '{"title": "Through the proxy."}', max_attempts => 1, instance_id => 'store-p', run_after => '2100-01-01');
configure($node, api_base_url => 'https://api.invalid/v1');
$node->safe_psql('postgres', "UPDATE job_items SET run_after = now() WHERE id = $id");
wait_for($node, 'a host elsewhere is reached by the proxy only', "SELECT error ~ 'proxy' AND error_code = 'connect_failed' FROM job_items WHERE id = $id");
unlike($node->safe_psql('postgres', 'SELECT j::text FROM job_items j'), qr/$proxy_password/, 'whose password is in no error');
my $offset = -s $node->logfile;
configure($node, proxy => "ftp://me:$proxy_password\@127.0.0.1:$port", api_base_url => $recorder->url);
ok(scalar(log_lines($node, qr/invalid value for parameter "product_optimizer\.proxy"/, $offset)), 'a proxy that is none is refused');
configure($node, %back);

# The key file.
my $file = $node->basedir . '/key';
my %from_file = (api_key => undef, api_key_file => $file);
my %from_setting = (api_key => $key, api_key_file => undef);
my $real = $node->basedir . '/real_key';
append_to_file($real, "$key-in-a-file\n");
chmod 0600, $real;
for my $trouble (
	[ 'a symbolic link', 'api_key_file is a symbolic link', sub { symlink $real, $file } ],
	[ 'a FIFO', 'api_key_file is not a regular file', sub { POSIX::mkfifo($file, 0600) } ],
	[ 'a folder', 'api_key_file is not a regular file', sub { mkdir $file, 0700 }, sub { rmdir $file } ],
	[ 'a key file for everybody', 'api_key_file must be readable by', sub { append_to_file($file, $key); chmod 0644, $file } ],
	[ 'a key file for the group', 'api_key_file must be readable by', sub { append_to_file($file, $key); chmod 0640, $file } ],
	[ 'a large key file', 'api_key_file is larger than 4096 bytes', sub { append_to_file($file, "$key\n" . 'x' x 4096); chmod 0600, $file } ],
	[ 'an empty key file', 'api_key_file is empty', sub { append_to_file($file, ''); chmod 0600, $file } ],
	[ 'a key file without a key', 'api_key_file does not begin with a key', sub { append_to_file($file, "\n$key\n"); chmod 0600, $file } ],
	[ 'a key that is none', 'the API key holds characters', sub { append_to_file($file, "k\xc3\xa9y\n"); chmod 0600, $file } ],
	[ 'a missing key file', 'api_key_file cannot be opened by the server: No such file', sub { } ])
{
	my ($name, $reason, $make, $remove) = @$trouble;
	$make->();
	blocks($name, $reason, \%from_file, \%from_setting);
	$remove ? $remove->() : unlink $file;
}
is(scalar(log_lines($node, qr/\Q$key\E/)), 0, 'none of it shows the content');

# A rotation under load: no row fails or loses an attempt, whichever key it went with.
my $mock = MockOpenai->new('--meter', 'none', '--latency-ms', '20-60', '--key', 'sk-old-key-1', '--key', 'sk-new-key-2');
append_to_file($file, "sk-old-key-1\n");
chmod 0600, $file;
$node->safe_psql('postgres', 'TRUNCATE job_items');
configure($node, %from_file, api_base_url => $mock->url, max_in_flight => 16);
$node->safe_psql('postgres', q{INSERT INTO job_items (instance_id, payload) SELECT 's' || n % 5, jsonb_build_object('title', 'Mug ' || n) FROM generate_series(1, 600) n});
wait_until('requests go out with the old key', sub { $mock->stats->{requests} >= 100 });
append_to_file("$file.new", "sk-new-key-2\n");
chmod 0600, "$file.new";
rename "$file.new", $file or die;
configure($node);
is_deeply(all_finished($node), { DONE => 600 }, 'a rotation under load fails no row');
is($node->safe_psql('postgres', 'SELECT max(attempts) FROM job_items'), 1, 'and costs none an attempt');
my %with = map { $_ => 1 } map { $_->{key_hash} } $mock->log;
is(scalar(keys %with), 2, 'some went with the old key, some with the new one');
$mock->config(key => ['sk-new-key-2']);
item_is_done('the old one can be revoked now');

# A reply that comes after the rotation may quote the key that its request went with.
my $gateway = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', Proto => 'tcp', Timeout => $PostgreSQL::Test::Utils::timeout_default) or die;
sub next_request
{
	my $client = $gateway->accept or die "no request came: $@";
	my $request = '';
	1 while $request !~ /\r\n\r\n.*"messages".*\}$/s && sysread($client, $request, 65536, length $request);
	return ($client, $request =~ /Authorization: Bearer (\S+)/);
}
sub quote_keys
{
	my ($client, @keys) = @_;
	my $body = qq({"error": {"code": "no_account", "message": "no account has the token @keys"}});
	print $client "HTTP/1.1 422 No\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
	return close $client;
}
my ($old_key, $new_key) = ('gateway/Old:4711', 'gateway/New:0815');
$node->safe_psql('postgres', 'TRUNCATE job_items');
unlink $file;
append_to_file($file, $old_key);
chmod 0600, $file;
configure($node, api_base_url => 'http://127.0.0.1:' . $gateway->sockport . '/v1');
insert_item($node, '{"title": "Before the rotation."}');
my ($first, $key_before) = next_request();
is($key_before, $old_key, 'a request went with the old key');
unlink $file;
append_to_file($file, $new_key);
chmod 0600, $file;
configure($node);
insert_item($node, '{"title": "After the rotation."}');
my ($second, $key_after) = next_request();
is($key_after, $new_key, 'and one with the new key');
quote_keys($first, $old_key);
quote_keys($second, $new_key);
is_deeply(all_finished($node), { FAILED => 2 }, 'both are refused');
is($node->safe_psql('postgres', q{SELECT DISTINCT error FROM job_items}), 'HTTP 422: no account has the token [key]', 'and quote no key');
close $gateway;
configure($node, %from_setting, api_base_url => $recorder->url, max_in_flight => 1);

# Nothing in a row or a job changes the way, the headers or the key.
$node->safe_psql('postgres', 'TRUNCATE jobs, job_items');
my $seen = $recorder->requests;
my $hostile = q({"base_url": "http://127.0.0.1:1/v1", "api_base_url": "http://127.0.0.1:1", "url": "http://127.0.0.1:1", "host": "evil.example",
  "Authorization": "Bearer sk-evil", "headers": {"Authorization": "Bearer sk-evil"}, "api_key": "sk-evil", "proxy": "http://127.0.0.1:1",
  "x\\r\\nAuthorization: Bearer sk-evil": "a\\r\\nHost: evil.example"});
$node->safe_psql('postgres', "INSERT INTO jobs (id, instance_id, model, instructions, params) OVERRIDING SYSTEM VALUE VALUES
  (1, 'a', 'gpt-5-mini', E'Be good.\\r\\nAuthorization: Bearer sk-evil', '$hostile'),
  (2, E'a', E'gpt\\r\\nHost: evil.example\\r\\n\\r\\nGET / HTTP/1.1', NULL, NULL), (3, 'a', '../../../evil?x=http://127.0.0.1:1#', NULL, NULL)");
$node->safe_psql('postgres', "INSERT INTO job_items (job_id, instance_id, product_id, payload) SELECT j, E'a\\r\\nHost: evil.example', E'x\\r\\ny', '$hostile' FROM generate_series(1, 3) j");
is_deeply(all_finished($node), { DONE => 3 }, 'hostile rows and jobs are answered');
my @requests = splice @{ [ $recorder->requests ] }, $seen;
is(scalar(@requests), 3, 'by this server');
for my $request (@requests)
{
	my $headers = $request->{headers};
	is($request->{path}, '/v1/chat/completions', 'the path is ours');
	is($headers->{authorization}, "Bearer $key", 'so is the key');
	is_deeply([ sort keys %$headers ], [qw(accept accept-encoding authorization content-length content-type host user-agent)], 'and no header is new');
	like($headers->{host}, qr/^127\.0\.0\.1:\d+$/, 'nor the host');
	is_deeply([ map { $_->{role} } @{ $request->{body}{messages} } ], [qw(developer user)], 'the product is a message of its own');
	unlike($request->{body}{messages}[0]{content}, qr/evil\.example/, 'and not in the instructions');
}

# Who decides: superusers, in the configuration.
$node->safe_psql('postgres', 'CREATE ROLE clerk LOGIN CREATEROLE; GRANT CREATE ON DATABASE postgres TO clerk; CREATE DATABASE shop OWNER clerk');
my @clerk = (extra_params => [ '-U', 'clerk' ]);
for my $setting (qw(api_base_url api_key api_key_file proxy ca_file allow_plain_http))
{
	my $name = "product_optimizer.$setting";
	for my $statement ("ALTER SYSTEM SET $name = 'on'", "SET $name = 'on'", "SET LOCAL $name = 'on'", "ALTER DATABASE shop SET $name = 'on'",
		"ALTER ROLE clerk SET $name = 'on'", "GRANT ALTER SYSTEM ON PARAMETER $name TO clerk", "SELECT set_config('$name', 'on', false)",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET $name = 'on' AS 'SELECT 1'")
	{
		my (undef, undef, $error) = $node->psql('postgres', $statement, @clerk);
		like($error, qr/ERROR:  (permission denied|parameter "\Q$name\E" cannot be changed now|must be superuser)/, "not for everybody: $statement");
	}
	$node->safe_psql('postgres', "GRANT SET ON PARAMETER $name TO clerk");
	my (undef, undef, $error) = $node->psql('postgres', "SET $name = 'on'", @clerk);
	like($error, qr/cannot be changed now/, "not in a session even when granted: $name");
	(undef, undef, $error) = $node->psql('postgres', "SHOW $name", @clerk);
	like($error, qr/must be superuser|permission denied/, "not shown: $name");
}
for my $statement (q{COPY (SELECT 1) TO '/tmp/never'}, q{CREATE TEMP TABLE t (x text); COPY t FROM '} . $real . q{'}, qq{SELECT pg_read_file('$real')},
	q{SELECT pg_read_file('product_optimizer.conf')}, 'SELECT * FROM pg_file_settings', 'SELECT pg_reload_conf()', 'SELECT lo_import(' . "'$real')")
{
	my (undef, $out, $error) = $node->psql('postgres', $statement, @clerk);
	like($error, qr/permission denied|must be superuser/, "not for everybody: $statement");
	unlike($out . $error, qr/\Q$key\E/, 'and no key in it');
}

# Neither secret is seen, however much is logged.
configure($node, proxy => "http://me:$proxy_password\@127.0.0.1:$port");
$node->append_conf('postgresql.conf', "log_statement = all\nlog_min_messages = debug5\nlog_error_verbosity = verbose\nlog_min_error_statement = debug5\ndebug_print_plan = on");
configure($node);
item_is_done('at work while everything is logged');
blocks('a refused address in the loudest log', 'plain http', { api_base_url => 'http://192.0.2.1/v1' }, { api_base_url => $recorder->url });
configure($node, proxy => "http://me:$proxy_password-2\@127.0.0.1:$port", api_key => "$key-2");
item_is_done('and after both secrets were changed');
cmp_ok(length log_since($node), '>', 100000, 'everything was logged');
is(scalar(log_lines($node, qr/\Q$proxy_password\E/)), 0, 'the server log never shows the password of the proxy');
key_never_logged($node);
for my $query ('SELECT * FROM pg_settings', 'SHOW ALL', 'SELECT * FROM pg_stat_activity', 'SELECT * FROM optimizer_stats()', 'SELECT * FROM optimizer_workers()',
	'SELECT * FROM pg_db_role_setting', 'SELECT * FROM jobs, job_items, homes')
{
	unlike($node->safe_psql('postgres', $query), qr/\Q$key\E|$proxy_password/, "neither secret in: $query");
}
my ($dump, $dump_error) = run_command([ 'pg_dumpall', '-h', $node->host, '-p', $node->port ]);
like($dump, qr/CREATE EXTENSION IF NOT EXISTS product_optimizer/, 'a dump');
unlike($dump . $dump_error, qr/\Q$key\E|$proxy_password/, 'holds neither');
for my $process (split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity'), -1)
{
	for my $name (qw(cmdline environ))
	{
		open my $in, '<', "/proc/$process/$name" or next;
		unlike(join('', <$in>), qr/\Q$key\E|$proxy_password/, "nor /proc/…/$name");
	}
}

done_testing();
