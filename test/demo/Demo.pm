package Demo;

# Demo.pm: what the display and the report share: one psql that stays open, and how things look.

use strict;
use warnings;
use utf8;
use Exporter 'import';
use IO::Handle;

our @EXPORT = qw(colour grouped is_fancy terminal_size unicode);

my ($separator, $end) = ("\x1f", "\x1e end of answer");

# A psql with a process group of its own, so that Ctrl-C reaches us and not the query.
sub connect {
    my ($class, @psql) = @_;
    pipe(my $from_us, my $to_psql) && pipe(my $from_psql, my $to_us) or die "no pipe: $!\n";
    my $pid = fork // die "no process: $!\n";
    if ($pid == 0) {
        setpgrp;
        open STDIN, '<&', $from_us or die;
        open STDOUT, '>&', $to_us or die;
        exec @psql, '-qAt', '-F', $separator, '-v', 'ON_ERROR_STOP=1' or die "no psql: $!\n";
    }
    close $from_us;
    close $to_us;
    binmode $_, ':encoding(UTF-8)' for $to_psql, $from_psql;
    $to_psql->autoflush(1);
    return bless { pid => $pid, in => $to_psql, out => $from_psql }, $class;
}

# The rows of a query as arrays; dies when psql does, or when there is no answer for ten seconds.
sub rows {
    my ($self, $sql) = @_;
    local $SIG{PIPE} = 'IGNORE';
    local $SIG{ALRM} = sub { die "the database does not answer\n" };
    my @rows;
    alarm 10;
    print { $self->{in} } "$sql;\n\\echo '$end'\n" or die "the connection to the database is gone\n";
    while (1) {
        my $line = readline $self->{out};
        die "the connection to the database is gone\n" unless defined $line;
        chomp $line;
        last if $line eq $end;
        push @rows, [ split /\Q$separator\E/, $line, -1 ];
    }
    alarm 0;
    return @rows;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!);
    close $self->{in};
    close $self->{out};
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
}

# A terminal that can be drawn on, and a person who did not ask for less.
sub is_fancy {
    return -t STDOUT && ($ENV{TERM} // 'dumb') ne 'dumb' && ($ENV{NO_COLOR} // '') eq '' && !$ENV{CI};
}

# Only a locale that names another character set speaks against it; many containers name none.
sub unicode {
    my ($locale) = grep { defined && $_ ne '' } @ENV{qw(LC_ALL LC_CTYPE LANG)};
    return !defined $locale || $locale =~ /utf-?8/i;
}

my %codes = (done => 32, running => 33, waiting => 90, quiet => 90, bold => 1, gauge => 36, bad => 31);

sub colour {
    my ($name, $text) = @_;
    return $text if !is_fancy() || $text eq '';
    return "\e[$codes{$name}m$text\e[0m";
}

# 1234567 as 1,234,567.
sub grouped {
    my $number = sprintf '%.0f', shift;
    1 while $number =~ s/^(-?\d+)(\d{3})/$1,$2/;
    return $number;
}

# Rows and columns, asked anew each time: windows are resized.
sub terminal_size {
    my $size = '';
    my $get_window_size = 0x5413;
    if (ioctl STDOUT, $get_window_size, $size = "\0" x 8) {
        my ($rows, $columns) = unpack 'S2', $size;
        return ($rows, $columns) if $rows > 0 && $columns > 0;
    }
    return ($ENV{LINES} || 24, $ENV{COLUMNS} || 80);
}

1;
