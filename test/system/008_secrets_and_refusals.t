# 008_secrets_and_refusals.t: what a setting must not be, and what nobody may see.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use RequestRecorder;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $recorder = RequestRecorder->new;
my $node = start_cluster('refusals', $recorder->url, settings => { heartbeat_interval => 0, stats_log_interval => 0 });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);

sub item_is_done
{
	my ($name) = @_;
	my $id = insert_item($node, '{"title": "Still at work."}');
	all_finished($node);
	return is($node->safe_psql('postgres', "SELECT status FROM job_items WHERE id = $id"), 'DONE', $name);
}

# A wrong value is refused at the reload, and the old one stays.
my %wrong = (
	api => [ 'chat', 'assistants', '' ],
	api_base_url => [ '', 'ftp://127.0.0.1/v1', 'http://', 'https://user:secret@example.com/v1', 'http://127.0.0.1/v1?key=1', "http://127.0.0.1/v1\n", "http://127.0.0.1/\xff" ],
	model => [ '', 'two words', "gpt\xff", 'x' x 201 ],
	instructions => [ "broken \xff\xfe", "overlong \xc0\x80", "surrogate \xed\xa0\x80", "cut \xc3", 'x' x 100001 ],
	reasoning_effort => ["\xff"], service_tier => ["\xff"],
	extra_body => [ '[1]', '{', '42', '{"a": "' . "\xff" . '"}', '{"a":' x 200 . '1' . '}' x 200 ],
	requests_per_minute => [ '0', '-1', 'many', '99999999999' ], tokens_per_minute => ['0'], burst_seconds => [ '0', '61', 'NaN' ],
	max_output_tokens => [ '15', '1000001' ], max_in_flight => [ '0', '10001' ], claim_batch_size => ['0'], claim_per_store => ['-5'],
	poll_interval => [ '1ms', '2 fortnights' ], request_timeout => ['0'], max_attempts => [ '0', '1001' ], heartbeat_interval => ['-1'],
	max_response_bytes => ['10'], token_accounting => ['guess'], max_tokens_param => ['tokens'], allow_plain_http => ['perhaps'],
	max_databases => ['17']);
my $values = q{SELECT string_agg(name || '=' || setting, chr(10) ORDER BY name) FROM pg_settings WHERE name LIKE 'product_optimizer.%'};
my $before = $node->safe_psql('postgres', $values);
for my $setting (sort keys %wrong)
{
	my $unheard = 0;
	my $old = setting($node, $setting);
	for my $value (@{ $wrong{$setting} })
	{
		my $offset = -s $node->logfile;
		configure($node, $setting => $value);
		my $said = $setting eq 'max_databases' ? qr/cannot be changed without restarting/ : qr/LOG:  invalid value for parameter "product_optimizer\.$setting"|LOG:  .*outside the valid range|LOG:  parameter "product_optimizer\.$setting" requires/;
		$unheard++ unless log_lines($node, $said, $offset);
		(my $shown = substr($value, 0, 40)) =~ s/[^ -~]/?/g;
		ok($node->safe_psql('postgres', $values) eq $before, "$setting = '$shown' is refused")
		  or diag($node->safe_psql('postgres', "SELECT setting FROM pg_settings WHERE name = 'product_optimizer.$setting'"));
	}
	is($unheard, 0, "$setting: the log says that it was refused");
	configure($node, $setting => $old);
}
item_is_done('the worker goes on with the old values');
is(scalar(() = log_lines($node, qr/user:secret/, 0)), 0, 'the password in a base URL that was refused is not in the log');
my $offset = -s $node->logfile;
configure($node, api_key => "sk-with blank-$key");
item_is_done('a key that is none is refused');
is(($recorder->requests)[-1]{headers}{authorization}, "Bearer $key", 'and the old one is used on');
is(scalar(() = log_lines($node, qr/sk-with blank/, $offset)), 0, 'without being shown in the log');
configure($node, api_key => $key);
my ($status, undef, $err) = $node->psql('postgres', q{ALTER SYSTEM SET product_optimizer.no_such_setting = 1});
isnt($status, 0, 'an unknown setting is refused');

# A parallel worker takes over the settings of its leader, those with a secret too.
configure($node, proxy => 'http://me:proxy-pw@127.0.0.1:9');
my $parallel = $node->safe_psql('postgres', q{SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')});
is($node->safe_psql('postgres', "SET $parallel = on; SELECT count(*) > 0 FROM pg_class"), 't', 'a parallel query beside secrets');
configure($node, proxy => undef);
is(worker_pid($node), $pid, 'crashes nothing');

# Nobody sets these in a session, and the key is not for anybody's eyes.
$node->safe_psql('postgres', q{CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA public TO clerk});
for my $statement (q{SET product_optimizer.model = 'x'}, q{SET product_optimizer.api_key = 'sk-of-a-session'},
	q{ALTER ROLE clerk SET product_optimizer.api_key = 'x'}, q{SELECT set_config('product_optimizer.api_base_url', 'http://127.0.0.1:1/v1', false)})
{
	(undef, undef, $err) = $node->psql('postgres', $statement);
	like($err, qr/cannot be changed now/, $statement);
}
configure($node, extra_body => '{"user": "a superuser may see this"}');
for my $user ([ 'a superuser', undef ], [ 'somebody else', 'clerk' ])
{
	my ($who, $role) = @$user;
	my @as = $role ? (extra_params => [ '-U', $role ]) : ();
	for my $query ('SELECT * FROM pg_settings', 'SHOW ALL', 'SHOW product_optimizer.api_key', q{SELECT current_setting('product_optimizer.api_key')},
		'SELECT * FROM pg_stat_activity', 'SELECT * FROM pg_prepared_statements', 'SELECT * FROM pg_backend_memory_contexts')
	{
		my ($out, $error);
		(undef, $out, $error) = $node->psql('postgres', $query, @as);
		unlike("$out$error", qr/\Q$key\E/, "$who does not see the key by: $query");
	}
}
(undef, undef, $err) = $node->psql('postgres', 'SHOW product_optimizer.api_key', extra_params => [ '-U', 'clerk' ]);
like($err, qr/must be superuser|permission denied/, 'only a superuser is told that there is one');
for my $name ('api_base_url', 'api_key_file', 'allow_plain_http', 'extra_body', 'instructions')
{
	(undef, undef, $err) = $node->psql('postgres', "SHOW product_optimizer.$name", extra_params => [ '-U', 'clerk' ]);
	like($err, qr/must be superuser|permission denied/, "$name is a superuser's business");
}
for my $query ('SELECT * FROM job_items', 'SELECT * FROM optimizer_stats()', 'SELECT optimizer_pause()', 'SELECT * FROM claim_pending_items(1, 1)', 'SELECT * FROM store_progress')
{
	(undef, undef, $err) = $node->psql('postgres', $query, extra_params => [ '-U', 'clerk' ]);
	like($err, qr/permission denied/, "not for everybody: $query");
}
for my $source ('job_items', 'jobs', 'homes', 'optimizer_stats()', 'optimizer_workers()', 'optimizer_rate_limits()')
{
	is($node->safe_psql('postgres', "SELECT count(*) FROM $source s WHERE s::text LIKE '%$key%'"), 0, "no key in $source");
}

# Plain http beyond this machine is refused before anything is sent: no connection is even begun.
$node->safe_psql('postgres', 'TRUNCATE job_items');
configure($node, extra_body => undef, api_base_url => 'http://192.0.2.1/v1');
insert_item($node, '{"title": "Never in the clear."}');
wait_for($node, 'plain http beyond this machine blocks the queue',
	q{SELECT worker_state = 'blocked' AND state_reason ~* 'plain http' FROM optimizer_stats()}, seconds => 20);
wait_for($node, 'its rows wait, without an attempt lost', q{SELECT status = 'PENDING' AND attempts = 0 FROM job_items}, seconds => 20);
open my $tcp, '<', "/proc/$pid/net/tcp" or die;
my @to_there = grep { /:[0-9A-F]{4} 010200C0:/ } <$tcp>;
is(scalar(@to_there), 0, 'there is no socket to that address');
like(log_since($node), qr/WARNING:  product_optimizer: the queue is blocked: .*plain http/i, 'the log tells');
configure($node, api_base_url => $recorder->url);
is_deeply(all_finished($node), { DONE => 1 }, 'and a reload with a right URL heals it');

is(worker_pid($node), $pid, 'it was the same worker all the time');
key_never_logged($node);

done_testing();
