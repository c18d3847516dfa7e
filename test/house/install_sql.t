# What the install script must not hold, and what each of its objects must have.  Every check is shown bad samples
# first, so that it is seen to fail.  Runs in the source tree.
use strict;
use warnings;
use Test::More;

sub slurp { my ($file) = @_; open my $in, '<', $file or die "$file: $!"; local $/; return <$in> }

# Statements without comments and literals: {text => with literals, bare => without}.
sub statements {
    my ($sql) = @_;
    my @statements;
    my ($text, $bare) = ('', '');
    while ($sql =~ /\G(--[^\n]*|'(?:[^']|'')*'|\$(\w*)\$.*?\$\2\$|;|[^-'\$;]+|.)/gs) {
        my $piece = $1;
        next if $piece =~ /^--/;
        if ($piece eq ';') {
            push @statements, { text => $text, bare => $bare } if $bare =~ /\S/;
            ($text, $bare) = ('', '');
            next;
        }
        $text .= $piece;
        $bare .= $piece =~ /^['\$]./ ? "''" : $piece;
    }
    push @statements, { text => $text, bare => $bare } if $bare =~ /\S/;
    return @statements;
}

sub short { my ($statement) = @_; (my $line = $statement->{text}) =~ s/\s+/ /g; $line =~ s/^ //; return substr $line, 0, 60 }

# These run no SQL; each backend's own search_path may stay.
my %no_sql = map { $_ => 1 } qw(wake_worker note_arrivals schedule_item requeue_item);

my %checks = (
    'every function that can be called is in C' => sub {
        return map { short($_) } grep { $_->{bare} =~ /^\s*CREATE\s+(FUNCTION|PROCEDURE)\b/i && $_->{bare} !~ /\bLANGUAGE\s+C\b|\bRETURNS\s+trigger\b/i } @_;
    },
    'every function pins its search_path to the extension\'s schema, pg_temp last' => sub {
        return map { short($_) } grep {
            $_->{bare} =~ /^\s*CREATE\s+(?:FUNCTION|PROCEDURE)\s+(\w+)/i && !$no_sql{$1}
              && $_->{bare} !~ /\bSET\s+search_path\s*=\s*\@extschema\@\s*,\s*pg_temp\s*(?=SET\b|AS\b|\z)/i
        } @_;
    },
    'nothing is SECURITY DEFINER' => sub { return map { short($_) } grep { $_->{bare} =~ /\bSECURITY\s+DEFINER\b/i } @_ },
    'nothing that is already there is adopted' => sub {
        return map { short($_) } grep { $_->{bare} =~ /\bOR\s+REPLACE\b|\bIF\s+NOT\s+EXISTS\b/i } @_;
    },
    'nothing is granted' => sub { return map { short($_) } grep { $_->{bare} =~ /\bGRANT\b|\bDEFAULT\s+PRIVILEGES\b/i } @_ },
    'every function, table and view is revoked from PUBLIC' => sub {
        my %revoked;
        for (grep { $_->{bare} =~ /^\s*REVOKE\s+ALL\s+ON\s+(?!TYPE\b).*\bFROM\s+PUBLIC\s*$/is } @_) { $revoked{$1}++ while $_->{bare} =~ /\b([a-z_]+)\b/g }
        return map { $_->{bare} =~ /^\s*CREATE\s+(?:FUNCTION|PROCEDURE|TABLE|VIEW)\s+(\w+)/i && !$revoked{$1} ? "$1" : () } @_;
    },
    'every row type is revoked from PUBLIC' => sub {
        my %revoked;
        for (grep { $_->{bare} =~ /^\s*REVOKE\s+ALL\s+ON\s+TYPE\b.*\bFROM\s+PUBLIC\s*$/is } @_) { $revoked{$1}++ while $_->{bare} =~ /\b([a-z_]+)\b/g }
        return map { $_->{bare} =~ /^\s*CREATE\s+(?:TABLE|VIEW|TYPE)\s+(\w+)/i && !$revoked{$1} ? "$1" : () } @_;
    },
    'views show what their reader may see' => sub {
        return map { short($_) } grep { $_->{bare} =~ /^\s*CREATE\s+VIEW\b/i && $_->{bare} !~ /WITH\s*\(\s*security_invoker\s*=\s*true\s*\)/i } @_;
    },
    'what the script calls is pg_catalog\'s or its own' => sub {
        my %own = map { $_->{bare} =~ /^\s*CREATE\s+FUNCTION\s+(\w+)/i ? ($1 => 1) : () } @_;
        return map { short($_) } grep { $_->{bare} =~ /^\s*(DO\b|(?:SELECT|CALL)\s+((?:\w+\.)?\w+))/i && (uc $1 eq 'DO' || $2 !~ /^pg_catalog\./ && !$own{$2}) } @_;
    },
    'functions that take any type are named with their schema' => sub {
        return map { short($_) } grep { $_->{text} =~ /(?<![.\w])(?:pg_column_\w+|pg_typeof|format|concat\w*|quote_\w+|num_n\w+|array_\w+|cardinality|unnest|to_jsonb?|jsonb?_build_\w+)\(/i } @_;
    },
    'objects go where the extension goes' => sub {
        return map { short($_) } grep { $_->{bare} =~ /^\s*CREATE\s+(?:FUNCTION|TABLE|VIEW|TYPE|SCHEMA|OPERATOR)\s+(?:\w+\s*\.|\@extschema\@)|^\s*(?:CREATE|SET)\s+(?:SCHEMA|search_path)\b/i } @_;
    },
);

my %bad = (
    'every function that can be called is in C' => [ q{CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$}, q{CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'LANGUAGE C'} ],
    'every function pins its search_path to the extension\'s schema, pg_temp last' => [
        q{CREATE FUNCTION f() RETURNS int LANGUAGE C AS 'x', 'y'}, q{CREATE FUNCTION f() RETURNS int LANGUAGE C SET search_path = @extschema@ AS 'x', 'y'},
        q{CREATE FUNCTION f() RETURNS int LANGUAGE C SET search_path = pg_temp, @extschema@ AS 'x'}, q{CREATE FUNCTION f() RETURNS int LANGUAGE C SET search_path = @extschema@, pg_temp, public AS 'x'},
        q{CREATE FUNCTION f() RETURNS int LANGUAGE C AS 'SET search_path = @extschema@, pg_temp'} ],
    'nothing is SECURITY DEFINER' => [q{CREATE FUNCTION f() RETURNS int LANGUAGE C SECURITY  DEFINER AS 'x'}],
    'nothing that is already there is adopted' => [ q{CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE C AS 'x'}, q{CREATE TABLE IF NOT EXISTS t (a int)}, q{CREATE INDEX IF NOT EXISTS i ON t (a)} ],
    'nothing is granted' => [ q{GRANT SELECT ON job_items TO PUBLIC}, q{ALTER DEFAULT PRIVILEGES IN SCHEMA x REVOKE ALL ON TABLES FROM y} ],
    'every function, table and view is revoked from PUBLIC' => [ q{CREATE TABLE t (a int); REVOKE ALL ON tt FROM PUBLIC}, q{CREATE FUNCTION f() RETURNS int LANGUAGE C AS 'x'; REVOKE ALL ON FUNCTION f() FROM somebody}, q{CREATE VIEW v AS SELECT 1} ],
    'every row type is revoked from PUBLIC' => [ q{CREATE TABLE t (a int); REVOKE ALL ON t FROM PUBLIC}, q{CREATE VIEW v AS SELECT 1; REVOKE ALL ON TYPE vv FROM PUBLIC} ],
    'views show what their reader may see' => [ q{CREATE VIEW v AS SELECT 1}, q{CREATE VIEW v WITH (security_barrier = true) AS SELECT 1} ],
    'what the script calls is pg_catalog\'s or its own' => [ q{SELECT pg_extension_config_dump('t', '')}, q{SELECT public.f()}, q{DO $$ BEGIN END $$} ],
    'functions that take any type are named with their schema' => [ q{CREATE TABLE t (a jsonb CHECK (pg_column_size(a) < 9))}, q{CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN RAISE '%', format('%s', 1); END $$}, q{CREATE VIEW v AS SELECT array_length(a, 1) FROM t} ],
    'objects go where the extension goes' => [ q{CREATE TABLE public.t (a int)}, q{CREATE SCHEMA x}, q{SET search_path = public} ],
);

my $sql = join "\n", map { slurp($_) } glob 'src/schema/*.sql';
my @statements = statements($sql);
cmp_ok(scalar(@statements), '>', 80, 'the script is read');
for my $name (sort keys %checks) {
    isnt(join(', ', $checks{$name}->(statements($_))), '', "refused: $_") for @{ $bad{$name} };
    is(join(', ', $checks{$name}->(@statements)), '', $name);
}
is(join(' ', map { $_->{bare} } statements("SELECT 'it''s; -- no comment', \$x\$ ; \$x\$; -- a comment; \n SELECT 2")), "SELECT '', ''  \n SELECT 2", 'quotes and comments are told apart');

# What runs no SQL: no statement is executed in the bodies of these entry points, nor in the files' helpers for them.
my $triggers = slurp('src/postgres/queue_triggers.cpp') . slurp('src/postgres/row_triggers.cpp');
for my $function (sort keys %no_sql) {
    my ($body) = $triggers =~ /^Datum product_optimizer_$function\(PG_FUNCTION_ARGS\) \{(.*?)^\}/ms;
    ok(defined $body && $body !~ /\bExecute\w*\(|\bSPI_(exec|connect|prepare)/, "$function() runs no SQL");
}

# doc/security.md shows what grant_optimizer() grants, statement by statement.
sub normal { my ($text) = @_; $text =~ s/\s+/ /g; $text =~ s/^ | $//g; return $text }
my %granted;
my $levels = slurp('src/postgres/access_levels.h');
while ($levels =~ /\{"(\w+)",\s*(?:true|false),(.*?)\}\}/gs) {
    my ($level, $lists) = ($1, $2);
    $lists =~ s/"\s*\n\s*"//g;    # adjacent literals are one
    $granted{$level} = join "\n", sort map { normal($_) } $lists =~ /"([^"]+)"/g;
}
my ($shown) = slurp('doc/security.md') =~ /^-- producer(.*?)^```/ms;
my %shown;
for my $part (split /^-- (?=\w+:)/m, "producer$shown") {
    my ($level) = $part =~ /^(\w+)/;
    $shown{$level} = join "\n", sort map { normal($_) } $part =~ /^GRANT (.*?)\s+TO \w+;/msg;
}
is(join(' ', sort keys %granted), 'consumer operator producer reader', 'the levels are read');
is($shown{$_}, $granted{$_}, "doc/security.md shows the rights of $_") for sort keys %granted;

done_testing();
