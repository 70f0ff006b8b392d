#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Rollouts at random, simulated with the module's own units, come to what is
# promised.  The seed is fixed, and every figure has to be within what so few
# runs can tell: 1 of 10,000 correct simulations would fail one of the tests.
#
# The figures expected are those of another implementation, in another language,
# with 2,000 runs and more; where there is none, of 10,000 runs of this one.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/unit";

use Unit;


my $seed = 1;
my $mistake = 1e-4;

my $binary = Unit::path('simulate');

my (%values, %runs, %reasons);


# Runs scenarios.

sub simulate {
    my ($runs, @scenarios) = @_;

    my $names = join ',', @scenarios;
    my @lines = `"$binary" --seed=$seed --runs=$runs --scenario=$names --values`;

    die "$binary failed\n" if $? != 0;

    for (@lines) {
        my ($scenario, $column, $n, @of) = split;

        if ($column eq 'reason') {
            $reasons{$scenario}{$_}++ for @of;

        } else {
            $values{$scenario}{$column} = \@of;
        }

        $runs{$scenario} = $n;
    }
}


# The probability of at most $k successes in $n trials of $p.

sub at_most {
    my ($n, $p, $k) = @_;

    return 0 if $k < 0;
    return 1 if $k >= $n || $p <= 0;
    return 0 if $p >= 1;

    my ($sum, $log) = (0, $n * log(1 - $p));

    for my $i (0 .. $k) {
        $sum += exp $log;
        $log += log(($n - $i) / ($i + 1) * $p / (1 - $p));
    }

    return $sum > 1 ? 1 : $sum;
}


# Something has happened in a part of the runs.

sub part_is {
    my ($scenario, $column, $p, $title) = @_;

    my $n = $runs{$scenario};
    my $k = @{$values{$scenario}{$column}};

    ok(at_most($n, $p, $k) > $mistake && 1 - at_most($n, $p, $k - 1) > $mistake,
        $title)
        or diag("$scenario: $column in $k of $n, expected $p");
}


# A quantile of the uploads until then: not too few are up to it, and not too
# many are below it.

sub quantile_is {
    my ($scenario, $column, $q, $value, $title) = @_;

    my $n = $runs{$scenario};
    my $of = $values{$scenario}{$column};
    my $upto = grep { $_ <= $value } @$of;
    my $below = grep { $_ < $value } @$of;

    ok(at_most($n, $q, $upto) > $mistake
       && 1 - at_most($n, $q, $below - 1) > $mistake, $title)
        or diag("$scenario: $column at $value or less in $upto, at less in "
                . "$below of $n, expected about " . $q * $n);
}


sub uploads_are {
    my ($scenario, $column, $median, $p90, $title) = @_;

    part_is($scenario, $column, 1, "$title, always");
    quantile_is($scenario, $column, 0.5, $median,
        "$title after $median uploads, as a median");
    quantile_is($scenario, $column, 0.9, $p90, "and after $p90 in 90%");
}


# A fault is seen, and how fast.

simulate(300, qw(outage outage_late ten ten_late six six_late));

uploads_are('outage', 'rollback', 3, 3,
    'an outage at the start is rolled back');
uploads_are('outage_late', 'rollback', 5, 5,
    'an outage after 20,000 uploads is rolled back');
uploads_are('ten', 'rollback', 56, 100,
    '10% of failures from the start are rolled back');
uploads_are('ten_late', 'rollback', 96, 156,
    '10% of failures after 20,000 uploads are rolled back');
uploads_are('six', 'rollback', 100, 288,
    '6% of failures from the start are rolled back');
uploads_are('six_late', 'rollback', 202, 513,
    '6% of failures after 20,000 uploads are rolled back');

uploads_are('outage', 'plain_rollback', 5, 5,
    'plain: an outage is rolled back');


# What is no fault is not.

simulate(20, qw(healthy_02 healthy_05_slow));

part_is('healthy_02', 'rollback', 0,
    '0.2% of failures are not rolled back in 100,000 uploads');
part_is('healthy_05_slow', 'rollback', 0,
    'nor are 0.5%, as many as the gate allows, at 0.1/s');
part_is('healthy_02', 'review', 0, 'nor reviewed');

simulate(40, qw(equal both_slower sizes));

for my $scenario (qw(equal both_slower sizes)) {
    part_is($scenario, 'rollback', 0, "$scenario: is not rolled back");
    part_is($scenario, 'review', 0, "$scenario: nor reviewed");
    part_is($scenario, 'shut', 0, "$scenario: and the gate is open");
}


# What a person has to look at.

simulate(200, qw(worse_1 worse_10 worse_50));

part_is("worse_$_", 'rollback', 0.0006, "1% fail, share $_%: no rollback")
    for qw(1 10);

uploads_are('worse_1', 'review', 1062, 2125,
    '1% beside 0.2% at control, share 1%, is reviewed');
uploads_are('worse_10', 'review', 1257, 2401,
    '1% beside 0.2% at control, share 10%, is reviewed');
uploads_are('worse_50', 'review', 2769, 4736,
    '1% beside 0.2% at control, share 50%, is reviewed');


# Latency.

simulate(100, qw(slower_20 slower_50 baseline_50));

part_is('slower_20', 'review', 0, 'a latency of 120% is not reviewed');

uploads_are('slower_20', 'shut', 2924, 4405, 'but shuts the gate');
uploads_are('slower_50', 'review', 506, 713, 'one of 150% is reviewed');
uploads_are('baseline_50', 'review', 380, 559,
    'one of 150% of the baseline is reviewed');


# Who fails.

simulate(100, qw(broken alone address address_most));

part_is('broken', 'rollback', 0,
    'one broken client among good ones is not rolled back');
part_is('broken', 'review', 1, 'but reviewed');
part_is('broken', 'plain_rollback', 1, 'plain: it is rolled back');
is($reasons{broken}{few_identities}, $runs{broken},
    'for there are few identities behind the failures');

uploads_are('alone', 'rollback', 3, 3,
    'a broken client that is alone is rolled back');
uploads_are('address', 'rollback', 5, 5,
    'an outage behind one address is rolled back');
uploads_are('address_most', 'rollback', 42, 74,
    'one of which most is behind one address is rolled back');


# The results are those of the runs, whoever runs them.

sub table {
    my ($options) = @_;

    my $table = `"$binary" --runs=7 --scenario=ten,worse_10 $options`;

    die "$binary failed\n" if $? != 0;

    return $table;
}

is(table('--jobs=1'), table('--jobs=5'),
    'the number of processes makes no difference');
is(table("--seed=$seed"), table("--seed=$seed"), 'a seed can be repeated');
isnt(table("--seed=$seed"), table('--seed=2'), 'another one is another');

for my $case (['--runs=0', 'invalid value "0" of --runs'],
              ['--runs=1x', 'invalid value "1x" of --runs'],
              ['--seed=-1', 'invalid value "-1" of --seed'],
              ['--scenario=luck', 'no scenario "luck"'],
              ['--luck', 'invalid argument "--luck"'])
{
    my ($option, $error) = @$case;
    my $output = `"$binary" $option 2>&1`;

    is($? >> 8, 2, "$option fails");
    is($output, "simulate: $error\n", 'and the reason is told');
}

done_testing();
