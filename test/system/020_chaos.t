# 020_chaos.t: a minute of everything at once (make chaos: ten); the rules of the table and of the limit hold.
#
# CHAOS_SEED repeats the deeds of a run, CHAOS_SECONDS says for how long.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::Bin/../chaos";
use Chaos;
use ChaosAudit;
use Test::More;

my $seed = $ENV{CHAOS_SEED} || time() % 1000000;
my $seconds = $ENV{CHAOS_SECONDS} || 60;
diag("chaos for $seconds s with the seed $seed (repeat it: make chaos CHAOS_SECONDS=$seconds CHAOS_SEED=$seed)");

my $chaos = Chaos->new(seed => $seed);
$chaos->run($seconds);
$chaos->calm_down;
audit_chaos($chaos);
diag('deeds: ' . join ', ', map { "$_ $chaos->{done}{$_}" } sort keys %{ $chaos->{done} });
my $seen = $chaos->{mock}->stats;
diag("requests: $seen->{requests}, by status: " . join ', ', map { "$_ $seen->{by_status}{$_}" } sort keys %{ $seen->{by_status} });

done_testing();
