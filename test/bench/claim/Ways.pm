# Ways.pm: the ways to claim that are compared, and how their claims are finished.
#
# All take 100 rows from PENDING to RUNNING, with the same columns written and returned.
package Ways;

use strict;
use warnings FATAL => 'all';
use Exporter 'import';

our @EXPORT = qw(prepared_claim settings_of pgbench_script);

my $taken = "status = 'RUNNING', attempts = attempts + 1, claimed_by = 'a worker',"
  . " started_at = clock_timestamp(), finished_at = NULL, lease_expires_at = clock_timestamp() + interval '5 min'";

my %claim = (
	fair => 'SELECT id, attempts, instance_id, payload FROM claim_pending_items(100, 20)',

	# As every second queue has it: oldest first, whoever it belongs to.
	fifo => <<"SQL",
UPDATE job_items SET $taken
 WHERE id IN (SELECT id FROM job_items WHERE status = 'PENDING' ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)
RETURNING id, attempts, instance_id, payload
SQL

	# No queue at all: what it costs to find, lock and update rows that do not lie beside each other.
	scattered => <<"SQL",
UPDATE job_items SET $taken
 WHERE id IN (SELECT id FROM job_items WHERE id = ANY (\$1) AND status = 'PENDING' FOR UPDATE SKIP LOCKED)
RETURNING id, attempts, instance_id, payload
SQL

	# The usual way to be fair.  Its order is that of the index, so it need not sort; ids are chosen before
	# anything is locked or joined; and PENDING is asked again, for another claimer may have been faster.
	window => <<"SQL",
WITH ranked AS (
  SELECT id, row_number() OVER (PARTITION BY instance_id ORDER BY priority, id) AS place
    FROM job_items WHERE status = 'PENDING'),
chosen AS (SELECT id FROM ranked WHERE place <= 20 ORDER BY place, id LIMIT 100),
locked AS (
  SELECT id FROM job_items WHERE id IN (SELECT id FROM chosen) AND status = 'PENDING' FOR UPDATE SKIP LOCKED)
UPDATE job_items SET $taken WHERE id IN (SELECT id FROM locked)
RETURNING id, attempts, instance_id, payload
SQL
);
chomp %claim;

# The competitors would have a table without triggers of ours, and so they shall: their sessions fire none.
sub settings_of { my ($way) = @_; return $way eq 'fair' ? () : ('session_replication_role=replica') }

sub prepared_claim
{
	my ($way) = @_;
	return 'PREPARE claim' . ($way eq 'scattered' ? '(bigint[])' : '') . " AS $claim{$way}";
}

my $answer = q('{"title": "Blue mug", "description": "A mug that is blue."}');
my %finish = (
	each => "SELECT count(complete_item(c.id, c.attempt, $answer)) FROM unnest(:ids::bigint[], :attempts::int[]) AS c(id, attempt)",

	# Every row is claimed once here, so that attempts = 1 is its fencing token.
	batch => "UPDATE job_items SET status = 'DONE', result = $answer, finished_at = clock_timestamp(), claimed_by = NULL,"
	  . ' lease_expires_at = NULL WHERE id = ANY (:ids::bigint[]) AND attempts = 1',
);

# A claim, and what finishes it, each a transaction of its own.
sub pgbench_script
{
	my ($way, $finish) = @_;
	return <<"SQL";
WITH claimed AS ($claim{$way})
SELECT coalesce(array_agg(id), '{}') AS ids, coalesce(array_agg(attempts), '{}') AS attempts FROM claimed \\gset
$finish{$finish};
SQL
}

1;
