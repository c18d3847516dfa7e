# leaks.t: a worker that has seen everything ends without a leak of its own.  Run by test/asan/run, with
# LEAK_REPORTS as the log_path of the sanitizer; PostgreSQL's own leaks are in leaks.suppressions, or show no frame of ours.
use strict;
use warnings FATAL => 'all';
use MockOpenai;
use ProductOptimizer;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = MockOpenai->new('--meter', 'none');
my $node = start_cluster('leaks', $mock->url, settings => { retry_base_delay => '1ms', retry_max_delay => '5ms', max_response_bytes => '256kB' });
$node->safe_psql('postgres', 'CREATE EXTENSION product_optimizer');
my $pid = wait_for_worker($node);
for my $api ('chat_completions', 'responses')
{
	configure($node, api => $api);
	$node->safe_psql('postgres', <<'SQL');
INSERT INTO job_items (instance_id, payload)
SELECT 'store-' || n % 20, jsonb_build_object('title', 'Mug ' || n || '.') || CASE WHEN n % 10 = 0 THEN jsonb_build_object('mock', faults.kinds[1 + n / 10 % 14]) ELSE '{}' END
  FROM (SELECT '{http_500*1,garbage*1,drop*1,bad_request,refusal,deep*1,nul,length*1,rate_limit*1,cut*1,endless*1,insufficient_quota*1,wrong_types*1,forbidden*1}'::text[] AS kinds) faults,
       generate_series(1, 2000) n
SQL
	for my $round (1 .. 100)
	{
		last if $node->safe_psql('postgres', q{SELECT NOT EXISTS (SELECT FROM job_items WHERE status NOT IN ('DONE', 'FAILED'))}) eq 't';
		configure($node);    # a blocked queue probes at once
	}
	all_finished($node, name => "$api: all are finished");
}
is(worker_pid($node), $pid, 'it was one worker');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)");
wait_for($node, 'another one follows', "SELECT count(*) FROM optimizer_workers() WHERE pid <> $pid", expect => 1);

my $report = -e "$ENV{LEAK_REPORTS}.$pid" ? slurp_file("$ENV{LEAK_REPORTS}.$pid") : '';
my @ours = grep { /product_optimizer\.so|libcurl/ } split /\n\n/, $report;
is("@ours", '', 'no leak has a frame of ours');
done_testing();
