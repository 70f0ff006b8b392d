#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The units against the vectors in vectors/, and what unit/vectors.c says when
# a row is wrong or a file is none of vectors.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/unit";

use Unit;


my $binary = Unit::path('vectors');
my $vectors = "$FindBin::Bin/vectors";
my $temp = tempdir(CLEANUP => 1);


# Returns the exit status and the output, stderr last.

sub run_vectors {
    my ($file) = @_;

    my $output = `"$binary" "$file" 2>&1`;

    die "$binary: killed by signal " . ($? & 127) . "\n" if $? & 127;

    return ($? >> 8, $output);
}


sub file_of {
    my ($name, $text) = @_;

    open my $fh, '>', "$temp/$name" or die "$temp/$name: $!\n";
    print $fh $text;
    close $fh or die "$temp/$name: $!\n";

    return "$temp/$name";
}


sub vectors_of {
    my ($name) = @_;

    open my $fh, '<', "$vectors/$name" or die "$vectors/$name: $!\n";
    local $/;

    return decode_json(<$fh>);
}


# Every row of a file is accounted for: passed, or said to be of something that
# is not there yet.

sub accounted {
    my ($output) = @_;

    my $rows = 0;

    $rows += $_ for $output =~ /^\w+: (\d+) rows passed(?:, by .+)?$/mg;
    $rows += $_ for $output =~ /^(\d+) rows of \w+ not built yet:/mg;

    return $rows;
}


my $buckets = vectors_of('bucket.json');
my $stats = vectors_of('stats.json');

my ($status, $output) = run_vectors("$vectors/bucket.json");

diag($output) if !is($status, 0, 'no bucket differs from the vectors');
is(accounted($output), scalar @$buckets, 'every row of buckets is accounted');

for my $mode (qw(sha256 split_clients md5 unleash growthbook launchdarkly
                 statsig flagd optimizely))
{
    my $rows = grep { $_->{hash} eq $mode } @$buckets;

    like($output, qr/^\Q$mode\E: $rows rows passed$/m,
        "all rows of $mode were run");
}

($status, $output) = run_vectors("$vectors/stats.json");

my $rows = 0;

for my $name (grep { !/^meta$|_defaults$/ } keys %$stats) {
    my $section = $stats->{$name};

    $rows += ref $section eq 'ARRAY' ? @$section : keys %$section;
}

diag($output) if !is($status, 0, 'no statistic differs from the vectors');
is(accounted($output), $rows, 'every row of statistics is accounted');

for my $name ('hist_index', 'hist_quantile', 'detector', 'rule',
              'rate_interval', 'run_prob', 'decide')
{
    my $rows = @{$stats->{$name}};

    like($output, qr/^\Q$name\E: $rows rows passed$/m,
        "all rows of $name were run");
}

for my $name ('truncated_beta_optional', 'published_checks') {
    my $section = $stats->{$name};
    my $rows = ref $section eq 'ARRAY' ? @$section : keys %$section;

    like($output, qr/^\Q$name\E: $rows rows passed, by the tests' own/m,
        "all rows of $name were run, and are said to check the tests");
}


# Wrong rows.

my ($row) = grep { $_->{hash} eq 'sha256' && $_->{bucket} == 4620 } @$buckets;

$row->{bucket} = 4621;

($status, $output) = run_vectors(file_of('wrong', encode_json([$row])));

is($status, 1, 'a wrong bucket fails');
like($output, qr/row 0, sha256, key "alice": .*expected 4621, got 4620$/m,
    'and its row, the expected and the real bucket are named');
like($output, qr/^sha256: 0 of 1 rows passed$/m, 'and it is not counted');

$row->{bucket} = 4620;
$row->{async_at_share_bp}{4620} = JSON::PP::true;

($status, $output) = run_vectors(file_of('wrong', encode_json([$row])));

is($status, 1, 'a wrong arm at a share fails');
like($output, qr/at share 4620: expected async, got sync$/m,
    'and the share is named');

$row->{async_at_share_bp}{4620} = JSON::PP::false;
$row->{args} = [];

($status, $output) = run_vectors(file_of('wrong', encode_json([$row])));

is($status, 1, 'a wrong number of arguments fails');

$stats->{hist_index}[3]{width}++;

($status, $output) = run_vectors(file_of('wrong', encode_json($stats)));

is($status, 1, 'a wrong width fails');
like($output, qr/^mismatch: hist_index, row 3: expected/m,
    'and the row is named');

$stats->{hist_index}[3]{width}--;

for my $what ('total', 'delta') {
    my $expect = $stats->{hist_quantile}[1]{"expect_$what"};
    my $value = $expect->{'0.95'};

    $expect->{'0.95'} = $value * (1 + 1e-7);

    ($status, $output) = run_vectors(file_of('wrong', encode_json($stats)));

    is($status, 1, "a quantile of the $what that is wrong by 1e-7 fails");
    like($output, qr/^mismatch: hist_quantile, row 1: $what 0.95: expected/m,
        'and the quantile is named');

    $expect->{'0.95'} = $value * (1 + 1e-11);

    ($status, $output) = run_vectors(file_of('right', encode_json($stats)));

    is($status, 0, "a quantile of the $what that is off by 1e-11 passes");

    $expect->{'0.95'} = $value;
}


# Wrong statistics: each figure of a row, by a bit more than is allowed.

sub number_at {
    my ($row, @path) = @_;

    my $last = pop @path;

    for (@path) {
        $row = ref $row eq 'ARRAY' ? $row->[$_] : $row->{$_};
    }

    return ref $row eq 'ARRAY' ? \$row->[$last] : \$row->{$last};
}

for my $case (['detector', 1, 'expect', 'e'],
              ['detector', 8, 'expect', 'e_max'],
              ['detector', 4, 'expect', 'rate'],
              ['detector', 0, 'expect', 'S', 11],
              ['detector', 3, 'expect', 'active_ticks'],
              ['detector', 0, 'expect', 'first_tick_e_ge_threshold'],
              ['rule', 1, 'expect', 'transitions', 1, 0],
              ['rate_interval', 3, 'lo'],
              ['rate_interval', 3, 'hi'],
              ['run_prob', 2, 'prob'],
              ['truncated_beta_optional', 0, 'log_e'])
{
    my ($name, $n, @path) = @$case;
    my $number = number_at($stats->{$name}[$n], @path);
    my $value = $$number;

    $$number = $value =~ /^\d+$/ ? $value + 1 : $value * (1 + 1e-8);

    ($status, $output) = run_vectors(file_of('wrong', encode_json($stats)));

    is($status, 1, "$name: a wrong @path fails");
    like($output, qr/^mismatch: $name, row $n: /m, 'and the row is named');

    $$number = $value;
}

for my $case (['confseq', 2, 'value'],
              ['confseq', 5, 'value', 0],
              ['confseq', 7, 'value', 2],
              ['optimizely_ssrm', 'log_marginal_M1', 3],
              ['kayenta', 'mann_whitney_95ci', 'estimate'],
              ['sre_workbook', 1, 'burn'])
{
    my ($name, @path) = @$case;
    my $number = number_at($stats->{published_checks}{$name}, @path);
    my $value = $$number;

    $$number = $value + 1e-5;

    ($status, $output) = run_vectors(file_of('wrong', encode_json($stats)));

    is($status, 1, "published: a wrong @path of $name fails");
    like($output, qr/^mismatch: published_checks, $name: /m,
        'and the figure is named');

    $$number = $value;
}

$stats->{rule}[0]{expect}{final} = 'review';

($status, $output) = run_vectors(file_of('wrong', encode_json($stats)));

is($status, 1, 'a wrong verdict fails');

$stats->{rule}[0]{expect}{final} = 'rollback';


# Wrong decisions: the row, and what it was decided by.

sub like_decision {
    my ($expected, $title) = @_;

    ($status, $output) = run_vectors(file_of('wrong', encode_json($stats)));

    is($status, 1, $title);
    like($output, qr/^mismatch: decide, row 0: expected $expected$/m,
        'and what was decided instead is named');
}

my $decide = $stats->{decide}[0];

$decide->{decision} = 'HOLD';
like_decision('HOLD gate, got ADVANCE gate', 'a wrong decision fails');
$decide->{decision} = 'ADVANCE';

$decide->{reason} = 'not_proven';
like_decision('ADVANCE not_proven, got ADVANCE gate', 'a wrong reason fails');
$decide->{reason} = 'gate';

$decide->{input}{lat_over_seconds} = 600;
$decide->{input}{lat_ratio} = 1.25;
like_decision('ADVANCE gate, got REVIEW literal_latency',
    'a wrong input fails');
$decide->{input}{lat_ratio} = 1;

$stats->{decide_defaults}{min_uploads} = 401;
like_decision('ADVANCE gate, got HOLD few_uploads', 'a wrong default fails');

$decide->{cfg}{min_uploads} = 400;
($status, $output) = run_vectors(file_of('right', encode_json($stats)));
unlike($output, qr/: decide, row 0: /, 'but not if the row has its own');
delete $decide->{cfg}{min_uploads};
$stats->{decide_defaults}{min_uploads} = 100;


# What is not there yet.

$row->{args} = ['q4.2025'];

($status, $output) = run_vectors(file_of('later',
    encode_json([$row, { hash => 'later', key => 'a' }, { hash => 'later' }])));

is($status, 0, 'a mode that is not there is no mismatch');
like($output, qr/^2 rows of modes not built yet: later 2$/m,
    'but is counted apart');


# No vectors.

sub decision_of {
    my ($defaults, %other) = @_;

    return encode_json({
        detector => [],
        decide => [{ %$decide, %other }],
        $defaults ? (decide_defaults => $stats->{decide_defaults}) : (),
    });
}

my %foreign = (
    'a missing file' => undef,
    'an empty file' => '',
    'a truncated file' => substr(encode_json($buckets), 0, 1000),
    'an empty array' => '[]',
    'an empty object' => '{}',
    'an array of numbers' => '[1, 2]',
    'another object' => '{"sections": []}',
    'a row without a hash' => '[{"key": "a"}]',
    'a row without a key' => '[{"hash": "sha256", "args": ["a"]}]',
    'a row without a bucket' => '[{"hash": "sha256", "args": ["a"],'
                                . ' "key": "a", "async_at_share_bp": {}}]',
    'a row without a width' => '{"hist_index":'
                               . ' [{"us": 1, "index": 1, "lo": 1}]}',
    'a row that is a number' => '{"hist_index": [1]}',
    'a decision without defaults' => decision_of(0),
    'a decision without input' => decision_of(1, input => {}),
    'a decision by an unknown rule' => decision_of(1, cfg => { luck => 1 }),
    'a decision by an unknown verdict' => decision_of(1,
        input => { %{$decide->{input}}, v_fail => 'guilty' }),
    'an index past the end' => '{"hist_quantile": [{"counts": [[896, 1]],'
                               . ' "older_snapshot": [], "expect_total": {},'
                               . ' "expect_delta": {}}], "hist_index": []}',
);

for my $what (sort keys %foreign) {
    my $file = defined $foreign{$what} ? file_of('foreign', $foreign{$what})
                                       : "$temp/none";

    ($status, $output) = run_vectors($file);

    is($status, 2, "$what is no file of vectors");
    like($output, qr/\Avectors: \Q$file\E: [^\n]+\n\z/,
        'and one line says why');
}


done_testing();
