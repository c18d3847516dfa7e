#!/usr/bin/perl

# report.pl COUNTS MILLISECONDS PSQL…: what came of it.  COUNTS is a file with what the mock itself counted:
# statistics, settings, audit, each a JSON object; empty for the real API.

use strict;
use warnings;
use utf8;
use File::Basename 'dirname';
use JSON::PP;
use Text::Wrap 'wrap';
use lib dirname(__FILE__);
use Demo;

binmode STDOUT, ':encoding(UTF-8)';

my ($counts_file, $milliseconds, @psql) = @ARGV;
my $database = Demo->connect(@psql);
my $arrow = unicode() ? '→' : '->';
my (undef, $columns) = terminal_size();
$columns = 100 if $columns > 100;
$columns = 66 if $columns < 66;

sub heading { print "\n  ", colour('bold', shift), "\n" }

sub summary {
    my ($done, $attempts, $tokens, $first_ms, $seconds) = @{ ($database->rows(<<'SQL'))[0] };
        SELECT count(*) FILTER (WHERE status = 'DONE'), max(attempts), sum(prompt_tokens + completion_tokens),
               round(extract(epoch FROM min(started_at) - min(created_at)) * 1000),
               round(extract(epoch FROM max(finished_at) - min(created_at)), 1) FROM job_items
SQL
    my ($refused) = @{ ($database->rows('SELECT rate_limited FROM optimizer_stats()'))[0] };
    heading("$done products done in $seconds s");
    print '  ', $attempts == 1 ? 'Each in one attempt.' : "Some took $attempts attempts.",
        "  The first was claimed $first_ms ms after the insert.\n";
    print '  ', $refused == 0 ? 'Zero 429s: the API never had to say "too many requests".'
                              : colour('bad', "The API answered 429 $refused times."), "\n";
    open my $file, '<', $counts_file or die "$counts_file: $!\n";
    my $reader = JSON::PP->new;
    $reader->incr_parse(do { local $/; <$file> } // '');
    my ($stats, $config, $audit) = map { $reader->incr_parse } 1 .. 3;
    return unless $audit;
    printf "  The mock's own count: %d requests, %d refused.  In its fullest %d s it let through\n"
         . "  %d of the %d requests and %s of the %s tokens that it allows.\n", $stats->{requests},
        $stats->{rate_limited}, $config->{period}, $audit->{max_in_60s_requests}, $config->{rpm},
        grouped($audit->{max_in_60s_tokens}), grouped($config->{tpm});
}

sub stores {
    heading('What each store got');
    printf "  %-14s %6s %13s %13s %13s %10s\n", '', qw(items), 'first answer', 'last answer', 'average wait', 'tokens';
    for my $row ($database->rows(<<'SQL')) {
        SELECT instance_id, count(*), extract(epoch FROM min(finished_at - created_at)),
               extract(epoch FROM max(finished_at - created_at)), extract(epoch FROM avg(started_at - created_at)),
               sum(prompt_tokens + completion_tokens)
          FROM job_items WHERE status = 'DONE' GROUP BY 1 ORDER BY 2 DESC
SQL
        my ($name, $items, $first, $last, $wait, $tokens) = @$row;
        printf "  %-14s %6d %11.1f s %11.1f s %11.1f s %10s\n", $name, $items, $first, $last, $wait, grouped($tokens);
    }
}

# A field's old and new text under each other, wrapped beside its name.
sub change {
    my ($field, $before, $after) = @_;
    local $Text::Wrap::columns = $columns;
    local $Text::Wrap::unexpand = 0;
    my $indent = ' ' x 23;
    print colour('quiet', wrap(sprintf('    %-19s', $field), $indent, $before)), "\n" if defined $before;
    my $label = defined $before ? '' : $field;
    print wrap(sprintf('    %-16s%-3s', $label, $arrow), $indent, $after), "\n";
}

sub products {
    heading('One product of each shop, before and after' . (-s $counts_file ? ' (by the mock: no model was asked)' : ''));
    for my $row ($database->rows(<<'SQL')) {
        SELECT DISTINCT ON (instance_id) instance_id, product_id, payload->>'title', payload->>'description',
               result->>'title', result->>'description', result->>'seo_title', result->>'seo_description'
          FROM job_items
         WHERE status = 'DONE' AND product_id ~ '^(VN-105|PT-227|GA-334|KB-411)-'
         ORDER BY instance_id, id
SQL
        my ($store, $product, $title, $description, @new) = @$row;
        print "\n  $store  ", colour('quiet', $product), "\n";
        change('title', $title, $new[0]);
        change('description', $description, $new[1]);
        change('seo_title', undef, $new[2]);
        change('seo_description', undef, $new[3]);
    }
}

sub statistics {
    heading('SELECT * FROM optimizer_stats(), in part');
    for my $row ($database->rows(<<'SQL')) {
        SELECT key, value
          FROM optimizer_stats() s, jsonb_each_text(to_jsonb(s)) WITH ORDINALITY
         WHERE key IN ('worker_state', 'pending', 'in_flight', 'connections_open', 'requests_last_minute',
                       'requests_per_minute', 'tokens_last_minute', 'tokens_per_minute', 'items_done', 'items_failed',
                       'retries', 'rate_limited', 'prompt_tokens', 'completion_tokens', 'latency_p50_ms',
                       'latency_p95_ms', 'latency_p99_ms')
         ORDER BY array_position('{worker_state,pending,in_flight,connections_open,requests_last_minute,
                    requests_per_minute,tokens_last_minute,tokens_per_minute,items_done,items_failed,retries,
                    rate_limited,prompt_tokens,completion_tokens,latency_p50_ms,latency_p95_ms,
                    latency_p99_ms}'::text[], key)
SQL
        my ($name, $value) = @$row;
        printf "  %-22s %12s\n", $name, $value =~ /^\d+$/ ? grouped($value) : $value;
    }
}

products();
stores();
statistics();
summary();
printf "  From the end of the build to here: %.1f s.\n\n", $milliseconds / 1000;
