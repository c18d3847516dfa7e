# ChaosAudit.pm: what must hold when chaos is over, by the log of the tables and that of the API.
package ChaosAudit;

use strict;
use warnings FATAL => 'all';
use Chaos;
use Exporter 'import';
use ProductOptimizer;
use Test::More;

our @EXPORT = qw(audit_chaos);

# Every request so far, by the title of its item: { asked, paid, held_off }.  The mock does not read what comes with
# a wrong key, and the worker's own question about the settings is for no item.
sub _arrivals
{
	my ($mock) = @_;
	my %of_title;
	for my $arrival (grep { $_->{status} != 401 && $_->{user} !~ /checks the settings/ } $mock->log)
	{
		my ($title) = $arrival->{user} =~ /(Chaos \w+ \d+\.)/ or die "a request for nothing: $arrival->{user}\n";
		my $seen = $of_title{$title} //= { asked => 0, paid => 0, held_off => 0 };
		$seen->{asked}++;
		$seen->{paid}++ if $arrival->{status} == 200 && !$arrival->{fault};
		$seen->{held_off}++ if $arrival->{status} == 429 && ($arrival->{fault} // '') ne 'too_large';
	}
	return \%of_title;
}

sub _no_rows
{
	my ($node, $db, $query, $name) = @_;
	my $rows = $node->safe_psql($db, $query);
	return is($rows, '', "$db: $name");
}

sub _audit_tables
{
	my ($node, $db) = @_;
	$node->safe_psql($db, 'ANALYZE');    # nothing was vacuumed in all that time
	_no_rows($node, $db, q{SELECT * FROM chaos.of_item WHERE status NOT IN ('DONE', 'FAILED', 'CANCELLED') OR ended - reopened <> 1 OR undone > 0 LIMIT 5},
		'every item is DONE, FAILED or CANCELLED exactly once');
	_no_rows($node, $db, q{SELECT id, left(result::text, 200) FROM job_items WHERE status = 'DONE' AND (result IS NULL
		OR position(payload->>'title' in result::text) = 0 AND payload->>'mock' IS DISTINCT FROM 'deep_content') LIMIT 5}, 'every answer belongs to its row');
	_no_rows($node, $db, q{SELECT id, status FROM job_items WHERE claimed_by IS NOT NULL OR lease_expires_at IS NOT NULL OR finished_at IS NULL
		OR (status = 'FAILED' AND error IS NULL) LIMIT 5}, 'nobody holds what is finished');
	# A claim whose number was not given back never comes again: the fencing token is unique.
	_no_rows($node, $db, q{SELECT item, attempts FROM (
		SELECT item, attempts, lead(attempts) OVER w AS next, lead(old) OVER w AS from_status, old, new FROM chaos.log
		 WINDOW w AS (PARTITION BY item ORDER BY n)) l
		WHERE new = 'RUNNING' AND old <> 'PENDING' OR next < attempts AND from_status <> 'RUNNING' LIMIT 5},
		'claims come from PENDING, and only their holder gives an attempt back');
	return;
}

# Every request has its claim, and every paid answer too many a claim that was lost with its worker.
sub _audit_requests
{
	my ($node, $db, $arrivals) = @_;
	my (@unclaimed, @unexplained);
	my ($resent, $lost) = (0, 0);
	for my $row (split /\n/, $node->safe_psql($db, 'SELECT title, claims, given_back FROM chaos.of_item'))
	{
		my ($title, $claims, $given_back) = split /\|/, $row;
		my $seen = $arrivals->{$title} // { asked => 0, paid => 0, held_off => 0 };
		my $again = $seen->{paid} > 1 ? $seen->{paid} - 1 : 0;
		my $explained = $given_back > $seen->{held_off} ? $given_back - $seen->{held_off} : 0;
		push @unclaimed, "$row: $seen->{asked} requests" if $seen->{asked} > $claims;
		push @unexplained, "$row: $seen->{paid} paid, $seen->{held_off} held off" if $again > $explained;
		$resent += $again;
		$lost += $explained;
	}
	is("@unclaimed[0 .. ($#unclaimed > 4 ? 4 : $#unclaimed)]", '', "$db: no request without a claim");
	is("@unexplained[0 .. ($#unexplained > 4 ? 4 : $#unexplained)]", '', "$db: nothing is paid again but what a worker had in flight when it ended");
	return ($resent, $lost);
}

# What one worker lost by a crash is at most what it may have in flight; and only crashes lose anything.
sub _audit_crashes
{
	my ($node, $db, $ends, $most_in_flight) = @_;
	my ($workers, $most) = split /\|/, $node->safe_psql($db, q{SELECT count(*), coalesce(max(lost), 0) FROM (
		SELECT count(*) AS lost FROM chaos.log WHERE lost AND holder LIKE 'product_optimizer worker %' GROUP BY holder) l});
	cmp_ok($most, '<=', $most_in_flight, "$db: no crash lost more claims than may be in flight");
	cmp_ok($workers, '<=', $ends, "$db: only crashes lost claims ($workers workers, $ends crashes)");
	return;
}

sub audit_chaos
{
	my ($chaos) = @_;
	my ($mock, $node) = @$chaos{qw(mock node)};
	my $arrivals = _arrivals($mock);
	my ($resent, $lost) = (0, -grep { $_->{status} == 401 } $mock->log);
	for my $db (@Chaos::databases)
	{
		_audit_tables($node, $db);
		my ($resent_of_db, $lost_of_db) = _audit_requests($node, $db, $arrivals);
		$resent += $resent_of_db;
		$lost += $lost_of_db;
		_audit_crashes($node, $db, $chaos->{ends}, $Chaos::most_in_flight);
		note("$db: " . join ', ', map { s/\|/ /r } split /\n/, $node->safe_psql($db, 'SELECT status, count(*) FROM job_items GROUP BY 1 ORDER BY 1'));
	}
	cmp_ok($resent, '<=', $lost, "$resent answers were paid again, $lost requests were in flight at the ends of workers");

	# The mock meters as the API does, and every window of arrivals, over both databases and all restarts, is within
	# what the settings promise.  Two busy cores may hold an arrival up by as much as half a second.
	my $refused = grep { $_->{status} == 429 && !$_->{fault} } $mock->log;
	is($refused, 0, 'the API never had to refuse anything over its limits');
	my $audit = $mock->audit(rpm => $Chaos::limit{requests}, tpm => $Chaos::limit{tokens}, burst_seconds => $Chaos::burst_seconds + 0.5);
	ok($audit->{ok}, 'every window of arrivals is within the limit') or diag(explain($audit));
	cmp_ok($audit->{max_in_60s_requests}, '<=', $Chaos::account{requests}, "no minute held more than the account allows ($audit->{max_in_60s_requests})");
	diag("$resent answers were paid again; $lost requests were in flight at the ends of workers; busiest minute $audit->{max_in_60s_requests} of $Chaos::account{requests}");
	unlike(log_since($node), qr/PANIC|terminated by signal (?!9)/, 'nothing crashed by itself');
	key_never_logged($node);
	return;
}

1;
