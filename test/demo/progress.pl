#!/usr/bin/perl

# progress.pl DEADLINE PSQL…: shows the queue until nothing waits or runs.
#
# On a terminal it redraws in place, else it prints a line per second.  Exit code 0 when every item is
# DONE, 1 when one is not or the deadline (in seconds) has passed, 130 and 143 after a signal.

use strict;
use warnings;
use utf8;
use File::Basename 'dirname';
use Time::HiRes 'time';
use lib dirname(__FILE__);
use Demo;

binmode STDOUT, ':encoding(UTF-8)';
STDOUT->autoflush(1);

my ($deadline, @psql) = @ARGV;
my $frame_seconds = 0.12;
my $pace_seconds  = 10;     # the rates are those of so many seconds
my ($full, $shade, $light) = unicode() ? ('█', '▓', '░') : ('#', '+', '.');
my $dash = unicode() ? '─' : '-';

my $database = Demo->connect(@psql);
my ($started) = map { $_->[0] } $database->rows('SELECT extract(epoch FROM min(created_at)) FROM job_items');
my @names = map { $_->[0] } $database->rows('SELECT store FROM shop.stores ORDER BY backlog DESC');
my ($name_width) = sort { $b <=> $a } map { length } @names;

my @history;                # a hash per look, oldest first
my %finished;               # seconds after the insert at which a store was done
my @drawn;                  # how long the lines of the last frame are
my ($drawn_columns, $cursor_hidden) = (0, 0);

# Ends the display in order; the exit code is what a shell would see.
sub leave {
    my ($code) = @_;
    print "\e[0m\e[?25h" if $cursor_hidden;
    $cursor_hidden = 0;
    undef $database;
    exit $code;
}
$SIG{INT}  = sub { print "\n"; leave(130) };
$SIG{TERM} = sub { print "\n"; leave(143) };
$SIG{HUP}  = sub { leave(129) };

# What is true now, in one question: the stores, then the statistics.
sub look {
    my %now = (at => time, waiting => 0, running => 0, done => 0, lost => 0);
    my @rows = $database->rows(<<'SQL');
        SELECT 'store', instance_id, pending + scheduled, running, done, failed + cancelled FROM store_progress;
        SELECT 'stats', worker_state, state_reason, in_flight, requests_last_minute, requests_per_minute,
               tokens_last_minute, tokens_per_minute, rate_limited FROM optimizer_stats()
SQL
    for my $row (@rows) {
        my ($kind, @fields) = @$row;
        if ($kind eq 'store') {
            my ($name, %store) = shift @fields;
            @store{qw(waiting running done lost)} = @fields;
            $now{$_} += $store{$_} for keys %store;
            $store{total} = $store{waiting} + $store{running} + $store{done} + $store{lost};
            $now{stores}{$name} = \%store;
            $finished{$name} //= $now{at} - $started if $store{waiting} + $store{running} == 0;
        } else {
            @now{qw(state reason in_flight requests request_limit tokens token_limit rate_limited)} = @fields;
        }
    }
    $now{total} = $now{waiting} + $now{running} + $now{done} + $now{lost};
    # The server tells the sum of the last minute; with what was known a minute ago it goes on for ever.
    my $minute_ago = (grep { $_->{at} <= $now{at} - 60 } @history)[-1];
    $now{"all_$_"} = $now{$_} + ($minute_ago ? $minute_ago->{"all_$_"} : 0) for qw(requests tokens);
    shift @history while @history > 1 && $history[1]{at} < $now{at} - 61;
    push @history, \%now;
    return \%now;
}

# How much a number grew per minute over the last seconds.
sub pace {
    my ($of) = @_;
    my $now = $history[-1];
    my $then = (grep { $_->{at} <= $now->{at} - $pace_seconds } @history)[-1];
    my $grown = $of->($now) - ($then ? $of->($then) : 0);
    my $seconds = $now->{at} - ($then ? $then->{at} : $started);
    return 60 * $grown / ($seconds > 1 ? $seconds : 1);
}

# Parts of a whole as cells, each a number, a colour and a character.
sub bar {
    my ($cells, @parts) = @_;
    my $total = 0;
    $total += $_->[0] for @parts;
    my ($text, $sum, $used) = ('', 0, 0);
    for my $part (@parts) {
        $sum += $part->[0];
        my $until = $total > 0 ? int($cells * $sum / $total) : 0;
        $text .= colour($part->[1], $part->[2] x ($until - $used));
        $used = $until;
    }
    return $text . ' ' x ($cells - $used);
}

sub store_line {
    my ($name, $store, $cells) = @_;
    my $rate = $finished{$name}
        ? colour($store->{lost} ? 'bad' : 'done', sprintf '%9s', sprintf 'in %.1f s', $finished{$name})
        : sprintf '%5.0f/min', pace(sub { $name eq 'all' ? $_[0]{done} : $_[0]{stores}{$name}{done} });
    my $lost = $store->{lost} ? colour('bad', " $store->{lost} failed") : '';
    return sprintf("  %-${name_width}s  %s  %5d  %7d  %7d  %s%s", $name,
        bar($cells, [ $store->{done}, 'done', $full ], [ $store->{running}, 'running', $shade ],
            [ $store->{waiting}, 'waiting', $light ], [ $store->{lost}, 'bad', 'x' ]),
        @$store{qw(done running waiting)}, $rate, $lost);
}

sub gauge_line {
    my ($name, $pace, $limit, $cells) = @_;
    # Which of two looks saw a request is chance: one more than the limit allows is none.
    $pace = $limit if $pace > $limit && $pace - $limit <= 60 / $pace_seconds;
    my $filled = $limit > 0 ? int($cells * $pace / $limit + 0.5) : 0;
    $filled = $cells if $filled > $cells;
    return sprintf "  %-${name_width}s  %s  %s of %s a minute", $name,
        bar($cells, [ $filled, 'gauge', $full ], [ $cells - $filled, 'waiting', $light ]), grouped($pace), grouped($limit);
}

sub frame {
    my ($now, $columns) = @_;
    my $cells = $columns - $name_width - 42;
    $cells = 60 if $cells > 60;
    my $state = $now->{state} . ($now->{reason} ? " ($now->{reason})" : '');
    my $room = $columns - 30;
    $state = substr($state, 0, $room - 1) . (unicode() ? '…' : '~') if length $state > $room;
    return (
        '',
        colour('quiet', sprintf "  %-${name_width}s  %-${cells}s   done  running  waiting       rate", 'store', ''),
        (map { store_line($_, $now->{stores}{$_}, $cells) } @names),
        colour('quiet', '  ' . $dash x ($name_width + $cells + 37)),
        store_line('all', $now, $cells),
        '',
        gauge_line('requests', pace(sub { $_[0]{all_requests} }), $now->{request_limit}, $cells),
        gauge_line('tokens', pace(sub { $_[0]{all_tokens} }), $now->{token_limit}, $cells),
        '',
        sprintf("  %6.1f s   in flight %3d   %s", $now->{at} - $started, $now->{in_flight}, $state),
    );
}

# Up to where it began, each line anew, all in one write: nothing flickers.
sub draw {
    my ($now, $columns) = @_;
    my @lines = frame($now, $columns);
    my $text = '';
    $text .= "\e[?25l" unless $cursor_hidden;
    # A window that became narrower has wrapped the lines that no longer fit.
    my $up = 0;
    $up += $_ > $columns ? int(($_ + $columns - 1) / $columns) : 1 for @drawn;
    $text .= "\e[${up}A" if $up;
    $text .= "\r\e[J" if $drawn_columns != $columns;
    $text .= "$_\e[K\n" for @lines;
    @drawn = map { length s/\e\[\d+m//gr } @lines;
    ($drawn_columns, $cursor_hidden) = ($columns, 1);
    print $text;
}

sub plain_line {
    my ($now) = @_;
    printf "  %5.1f s  done %3d of %d, running %2d  |  %s  |  %s rpm, %s tpm  |  %s\n",
        $now->{at} - $started, $now->{done}, $now->{total}, $now->{running},
        join(', ', map { "$_ $now->{stores}{$_}{done}/$now->{stores}{$_}{total}" } @names),
        grouped(pace(sub { $_[0]{all_requests} })), grouped(pace(sub { $_[0]{all_tokens} })),
        $now->{state} . ($now->{state} =~ /blocked|paused/ ? " ($now->{reason})" : '');
}

my $next_plain = 0;
my $ended = eval {
    while (1) {
        my $now = look();
        my $over = $now->{waiting} + $now->{running} == 0;
        my $late = $now->{at} - $started > $deadline;
        my ($rows, $columns) = terminal_size();
        if (is_fancy() && $columns >= 66 && $rows > @names + 12) {
            draw($now, $columns);
        } elsif ($over || $now->{at} >= $next_plain) {
            @drawn = ();
            plain_line($now);
            $next_plain = $now->{at} + 1;
        }
        if ($over || $late) {
            print "\n  After $deadline seconds $now->{waiting} items still wait and $now->{running} run.\n" unless $over;
            return $over && $now->{done} == $now->{total} ? 0 : 1;
        }
        my $rest = $now->{at} + $frame_seconds - time;
        select undef, undef, undef, $rest > 0.02 ? $rest : 0.02;
    }
};
print "\n  $@" unless defined $ended;
leave($ended // 1);
