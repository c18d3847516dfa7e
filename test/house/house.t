# The rules of the house that a machine can see.  Runs in the source tree, after the build.
use strict;
use warnings;
use Test::More;
use File::Find;

sub slurp { my ($file) = @_; open my $in, '<', $file or die "$file: $!"; local $/; return <$in> }

sub files {
    my ($filter, @folders) = @_;
    my @found;
    find({ no_chdir => 1, wanted => sub { push @found, $_ if -f && /$filter/ } }, @folders);
    return sort @found;
}

# Exactly what PostgreSQL looks up by name leaves the library.
my @exported = map { (split)[-1] } split /\n/, `nm -D --defined-only product_optimizer.so`;
my @strange = grep { !/^(Pg_magic_func|_PG_init|pg_finfo_product_optimizer_\w+|product_optimizer_\w+)$/ } @exported;
ok(@exported > 10, 'the library exports its entry points');
is("@strange", '', 'and nothing else');

# Dependencies run one way.
my %may_include = (
    core => qr{^core/},
    openai => qr{^(core|openai)/},
    http => qr{^http/},
    postgres => qr{^(core|openai|http|postgres)/},
);
for my $room (sort keys %may_include) {
    my @wrong;
    for my $file (files(qr/\.(cpp|h)$/, "src/$room")) {
        my $text = slurp($file);
        while ($text =~ /^#include "([^"]+)"/mg) {
            my $included = $1;
            next if $file eq 'src/postgres/prelude.h';
            push @wrong, "$file: $included" unless $included =~ $may_include{$room};
        }
    }
    is("@wrong", '', "$room includes only what it may");
}

# The pure room has no clock, no randomness, no I/O, no JSON.
my @impure = grep { slurp($_) =~ /#include <(chrono|ctime|random|fstream|iostream|thread|nlohmann|curl)|\bclock_gettime\b/ }
    files(qr/\.(cpp|h)$/, 'src/core');
is("@impure", '', 'core takes time and random numbers as parameters');

# Unit tests link without PostgreSQL.
for my $program (grep { -x } glob 'build/test/unit/*_test') {
    my $libraries = `ldd $program; nm -u $program`;
    unlike($libraries, qr/libpq|ereport|errstart|palloc/, "$program links without PostgreSQL");
}

my @long = grep { (() = slurp($_) =~ /\n/g) > 350 }
    files(qr/\.(cpp|h|sql|pl|pm|t|sh|md|spec)$|\/run$/, qw(src test sql doc));
is("@long", '', 'no file is longer than 350 lines');

# One version, one list of tests.
my ($version) = slurp('product_optimizer.control') =~ /default_version = '([^']+)'/;
my @versions = slurp('META.json') =~ /"version": "(\d+\.\d+\.\d+)"/g;
pop @versions;    # the version of the META format itself
is("@versions", "$version $version", 'META.json names the version of the control file');

my $makefile = slurp('Makefile');
my ($regress) = $makefile =~ /^REGRESS = (.*)$/m;
my ($isolation) = $makefile =~ /^ISOLATION = (.*)$/m;
my $names = sub { join ' ', sort map { m{([^/]+)\.\w+$} } @_ };
is($names->(glob 'sql/*.sql'), join(' ', sort split ' ', $regress), 'every regression test runs');
is($names->(glob 'test/isolation/specs/*.spec'), join(' ', sort split ' ', $isolation), 'every isolation test runs');

my ($schema) = $makefile =~ /^SCHEMA = (.*)$/m;
is($names->(glob 'src/schema/*.sql'), join(' ', sort split ' ', $schema), 'every part of the schema is installed');

# Every entry point of SQL exists in the library, and the other way round.
my %declared = map { $_ => 1 } map { slurp($_) =~ /'MODULE_PATHNAME', '(\w+)'/g } glob 'src/schema/*.sql';
my %defined = map { /^pg_finfo_(\w+)$/ ? ($1 => 1) : () } @exported;
is(join(' ', sort keys %declared), join(' ', sort keys %defined), 'SQL and the library agree on the functions');

done_testing();
