#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The literal rules about rates at their edges: which upload is the one that
# rolls back or opens the gate.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


my $guarded = Guarded->new(clock => 1);

# gates that never open, so that rules alone are seen

my $shut = 'min_uploads=100000 success=100% error=0% latency=off';

$guarded->add('success', "async_upload_stage 50% $shut;"
    . ' async_upload_rollback success=95% error=100% run=0;');
$guarded->add('error', "async_upload_stage 50% $shut;"
    . ' async_upload_rollback success=0% error=5% run=0;');
$guarded->add('fine', "async_upload_stage 50% $shut;"
    . ' async_upload_rollback success=99.9995% error=100% run=0'
    . ' min_uploads=1; async_upload_review off;');
$guarded->add('few', 'async_upload_rollback run=0;');
$guarded->add('fewer', 'async_upload_rollback run=0 min_uploads=7;');
$guarded->add('window', 'async_upload_rollback run=0 window=5m;');
$guarded->add('longer', 'async_upload_rollback run=0 window=10m;');
$guarded->add('nothing', 'async_upload_rollback off;'
    . ' async_upload_review off;');
$guarded->add('sync', 'async_upload_rollback run=0;');

my $gate = 'latency=off; async_upload_rollback off; async_upload_review off';

$guarded->add('gate_uploads',
    "async_upload_stage 10% min_uploads=100 $gate; async_upload_stage 90%;");
$guarded->add('gate_success',
    "async_upload_stage 10% min_uploads=100 success=99.5% error=100% $gate;");
$guarded->add('gate_error',
    "async_upload_stage 10% min_uploads=100 success=0% error=0.5% $gate;");

my $nginx = $guarded->start;


# is_at(NAME, STATE, TITLE): where the rollout is once the guard has looked.

sub is_at {
    my ($name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($guarded->state($name), $state, $title);
}


sub rolled_back {
    my ($name, $stage, $rule, $value, $limit, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($event) = grep { $_->{event} eq 'rollback' } $guarded->events($name);

    is($guarded->state($name), "rolled_back, ${stage}0", $title);
    is($event->{actor}{kind}, 'guard', "$title: by the guard");
    is($event->{rule}, $rule, "$title: by this rule");
    is($event->{unit}, 'ppm', "$title: it has seen parts of a million");
    cmp_ok(abs($event->{value} - $value), '<', 0.01, "$title: as many of them")
        or diag("$event->{value}, not $value");
    is($event->{limit}, $limit, "$title: where it allows these");
}


# advance(NAME, EXPECTED, TITLE): what the command answers, and what it names.

sub advance {
    my ($name, $expected, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $said = $guarded->command($name, 'advance');

    $said .= ": $1"
        if ($guarded->{answer}{description} // '') =~ /is closed: (.*)/;

    is($said, $expected, $title);
}


# exactly the limits

$guarded->uploads('success', 'async', mix(ok => 95, 500 => 5));
$guarded->uploads('error', 'async', mix(ok => 95, 500 => 5));
$guarded->uploads('few', 'async', mix(ok => 49, 500 => 50));
$guarded->uploads('fewer', 'async', mix(ok => 3, 500 => 3));
$guarded->uploads('window', 'async', mix(ok => 400));
$guarded->uploads('longer', 'async', mix(ok => 400));
$guarded->uploads('nothing', 'async', mix(ok => 1, 500 => 100));
$guarded->uploads('sync', 'sync', mix(ok => 50, 500 => 150));
$guarded->uploads('sync', 'async', mix(ok => 100));
$guarded->uploads('gate_uploads', 'async', mix(ok => 99));
$guarded->uploads('gate_success', 'async', mix(ok => 198, 500 => 1));
$guarded->uploads('gate_error', 'async', mix(ok => 198, 500 => 1));

# so that the window has a mark with all of these

$guarded->after(10);

is_at('success', 'running, stage 1, 5000', '95.0% of 100 do not roll back');
is_at('error', 'running, stage 1, 5000', '5.0% errors of 100 do not');
is_at('few', 'running, 5000', 'nor do 50 failures of 99');
is_at('fewer', 'running, 5000', 'nor 3 failures of 6 where 7 are asked for');
is_at('nothing', 'running, 5000', 'nor 100 of 101 where nothing rolls back');
is_at('sync', 'running, 5000', 'nor do failures of sync');

advance('gate_uploads', '409 gate_closed: uploads',
        '99 uploads do not open a gate of 100');
advance('gate_success', '409 gate_closed: success',
        'nor do 198 successes of 199 one of 99.5%');
advance('gate_error', '409 gate_closed: error',
        'nor does 1 error of 199 one of 0.5%');


# one upload more

$guarded->uploads($_, 'async', '500') for qw(success error few fewer);
$guarded->uploads($_, 'async', 'ok')
    for qw(gate_uploads gate_success gate_error);
$guarded->tick;

rolled_back('success', 'stage 1, ', 'literal_stage', 95 / 101 * 1e6, 950000,
            '95 successes of 101 roll back');
rolled_back('error', 'stage 1, ', 'literal_stage', 6 / 101 * 1e6, 50000,
            '6 errors of 101 do');
rolled_back('few', '', 'literal_stage', 49 / 100 * 1e6, 950000,
            '51 failures of 100 do');
rolled_back('fewer', '', 'literal_stage', 3 / 7 * 1e6, 950000,
            '4 failures of 7 do where 7 are enough');

for (['gate_uploads', '100 uploads without a failure open a gate of 100'],
     ['gate_success', '199 successes of 200 open one of 99.5%'],
     ['gate_error', '1 error of 200 opens one of 0.5%'])
{
    my ($name, $title) = @$_;

    is($guarded->told($name), 'gate by guard: opened',
       "$title: that is an event");
    is_at($name, 'running, stage 1, 1000', "$title: a person advances");
    advance($name, 200, $title);
}


# rates that no decimal number has: no rounding hides a failure

$guarded->uploads('fine', 'async', mix(ok => 2000));
$guarded->tick;
is_at('fine', 'running, stage 1, 5000', '2000 of 2000 are 99.9995%');

$guarded->uploads('fine', 'async', '500');
$guarded->tick;
rolled_back('fine', 'stage 1, ', 'literal_stage', 2000 / 2001 * 1e6, 999995,
            '2000 of 2001 are not');


# the window: what was before does not help, and what is too old is no harm

$guarded->after(301);
$guarded->uploads($_, 'async', mix(ok => 95, 500 => 5))
    for qw(window longer);
$guarded->tick;

is_at('window', 'running, 5000', '95.0% of the last five minutes are enough');

$guarded->uploads($_, 'async', '500') for qw(window longer);
$guarded->tick;

rolled_back('window', '', 'literal_5min', 95 / 101 * 1e6, 950000,
            '95 successes of the last 101 are not, whatever was before');
is_at('longer', 'running, 5000', 'in a longer window they are');

$guarded->stop;

done_testing();
