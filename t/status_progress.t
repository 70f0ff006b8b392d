#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What the status says of stages, gates, windows, limits, events and history,
# against what was sent; and what monitors may ask it for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use List::Util qw(all first sum0);
use POSIX qw(ceil);
use Test::More;


my $guarded = Guarded->new(clock => 1);

my $calm = 'async_upload_rollback run=0 success=0% error=100%;'
    . ' async_upload_review off;';

$guarded->add('gate', 'async_upload_stage 10% min_uploads=20 success=90%'
    . " error=10% latency=off soak=1h; async_upload_stage 50%; $calm");
$guarded->add('latency', "async_upload_stage 10% min_uploads=20; $calm");
$guarded->add('last', "async_upload_stage 100%; $calm");
$guarded->add('fixed', $calm);
$guarded->add('window', 'async_upload_rollback run=9 success=0% error=100%'
    . ' window=5m; async_upload_review success=0% for=30m complaints=100;'
    . ' async_upload_budget 100;');
$guarded->add('events', "async_upload_rollout 2.5%; $calm");
$guarded->add('dry', "async_upload_dry_run on; $calm");
$guarded->add('blind', 'async_upload_rollback off;');
$guarded->add('off', 'async_upload_enabled off;');
$guarded->add('baseline', "async_upload_rollout 0%; $calm");
$guarded->add('unsaved', $calm, zone => 'state=off');

my $nginx = $guarded->start;


sub status {
    my ($name) = @_;

    return $nginx->status($name);
}


# monitor(ARGUMENTS): what a monitor gets: the HTTP status and the page

sub monitor {
    my ($args) = @_;

    my $answer = $nginx->request('GET', "/async_upload/status?$args");

    return ($answer->{status}, eval { decode_status($answer->{body}) });
}


# iso(TIME): seconds since 1970

sub iso {
    my ($y, $mon, $d, $h, $m, $s) = $_[0]
        =~ /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d\.\d{3})Z$/
        or return -1;

    # days before a month, of years that start in March

    ($y, $mon) = $mon > 2 ? ($y, $mon - 3) : ($y - 1, $mon + 9);

    my $days = 365 * $y + int($y / 4) - int($y / 100) + int($y / 400)
        + int((153 * $mon + 2) / 5) + $d - 719469;

    return $days * 86400 + $h * 3600 + $m * 60 + $s;
}


sub is_near {
    my ($value, $expected, $by, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(defined $value && abs($value - $expected) <= $by, $title)
        or diag(($value // 'null') . ", not $expected");
}


# The gate is a checklist of what is asked for.

my $started = time;

$guarded->uploads('gate', 'async', mix(ok => 15, 500 => 2));
$guarded->uploads('gate', 'sync', mix(ok => 7, 404 => 3));

# 600 s of the hour

$guarded->after(600);

my $rollout = status('gate');
my $stage = $rollout->{stage};
my %line = map { $_->{rule} => $_ } @{$stage->{gate}};

is(join(' ', map { $_->{rule} } @{$stage->{gate}}),
    'soak uploads success error rejected aborted',
    'a gate has the lines that are on, in order');

is($stage->{number}, 1, 'its number');
is($stage->{of}, 2, 'of so many');
is($stage->{share_bp}, 1000, 'its share');
is_deeply($rollout->{next}, { number => 2, share_bp => 5000 }, 'the next one');
is_near(iso($stage->{since}), $started, 60, 'since when');
is($stage->{since}, $rollout->{observation}{since}, 'as the observation');

is_near($stage->{soak_left_s}, 3600 - $rollout->{observation}{age_s}, 0.001,
    'the soak that is left');
is_near($rollout->{observation}{age_s}, 600, 30, 'after as much time');
is_near($line{soak}{have} / 1000, $rollout->{observation}{age_s}, 0.001,
    'the soak it has');
is($line{soak}{need}, 3_600_000, 'of what it needs');

is_deeply($line{uploads}, { rule => 'uploads', need => 20, have => 17,
    unit => 'uploads', open => JSON::PP::false }, 'uploads: 3 are missing');
is_near($line{success}{have}, 15 / 17 * 1e6, 0.01, 'success: has');
is_near($line{error}{have}, 2 / 17 * 1e6, 0.01, 'error: has');
is($line{success}{need}, 900_000, 'success: needs');
is($line{error}{need}, 100_000, 'error: needs');
is($line{success}{unit}, 'ppm', 'success: in parts of a million');

# rejected: 0 of 17 against 3 of 10, where there are 100 of sync; there are not,
# nor is there a baseline, so it is against nothing

is($line{rejected}{have}, 0, 'rejected: points above nothing');

ok(!$line{$_}{open}, "$_: closed") for qw(soak uploads success error);
ok($line{$_}{open}, "$_: open") for qw(rejected aborted);
ok(!$stage->{open}, 'so the gate is closed');

is($rollout->{last_decision}{verdict}, 'wait', 'the guard waits');
is_deeply([@{$rollout->{last_decision}}{qw(reason value limit unit)}],
    ['few_uploads', 17, 20, 'uploads'], 'for more uploads');

is_deeply($rollout->{observation}{async},
    { uploads => 17, success => 15, failure => 2, rejected => 0, aborted => 0,
      success_rate => 0 + sprintf '%.6f', 15 / 17 }, 'async was observed');
is_deeply($rollout->{observation}{sync},
    { uploads => 7, success => 7, failure => 0, rejected => 3, aborted => 0,
      success_rate => 1 }, 'as was sync');

$guarded->uploads('gate', 'async', mix(ok => 23));
$guarded->tick;

$rollout = status('gate');

is_deeply([@{$rollout->{last_decision}}{qw(reason line unit)}],
    ['gate_not_met', 'soak', 'ms'], 'the guard names the line that is closed');
is($rollout->{last_decision}{limit}, 3_600_000, 'with what it needs');

$guarded->after(3000);

$rollout = status('gate');

ok((all { $_->{open} } @{$rollout->{stage}{gate}}), 'all lines are open');
ok($rollout->{stage}{open}, 'so the gate is');
is($rollout->{stage}{soak_left_s}, 0, 'nothing is left of the soak');
is($rollout->{last_decision}{verdict}, 'advance', 'the guard would go on');

($line{latency}) = grep { $_->{rule} eq 'latency' }
    @{status('latency')->{stage}{gate}};

is_deeply($line{latency}, { rule => 'latency', need => 1.1, have => undef,
    unit => 'ratio', open => JSON::PP::false },
    'what is not known is null and closed');

is(status('last')->{next}, undef, 'the last stage has no next one');
is(status('fixed')->{$_}, undef, "a fixed share has no $_") for qw(stage next);


# Windows.

$guarded->uploads('window', 'async', mix(ok => 6, 500 => 4));
$guarded->after(10);
$guarded->after(400);
$guarded->uploads('window', 'async', mix(ok => 5, 500 => 3));

my ($status) = $guarded->command('window', 'signal', complaints => 7);

is($status, 200, 'complaints were signalled');

$rollout = status('window');

my ($rollback, $review) = @{$rollout->{window}}{qw(rollback review)};

is_deeply([@$rollback{qw(uploads success failure)}], [8, 5, 3],
    'the window of rollback has what is newer');
is_near($rollback->{success_rate}, 5 / 8, 1e-6, 'its success rate');
is_near($rollback->{error_rate}, 3 / 8, 1e-6, 'its error rate');
is($rollback->{span_s}, 300, 'its span');
is_deeply([@$review{qw(uploads success failure)}], [18, 11, 7],
    'that of review has all');
is($review->{span_s}, 1800, 'as it is longer');

is_deeply($rollout->{budget}, { limit => 100, used => 7 }, 'the budget');
is($rollout->{consecutive_failures}{limit}, 9, 'failures in a row: the limit');
is_deeply($rollout->{signals},
    { critical => 0, complaints => 7, complaints_limit => 100 },
    'the signals');

my $run = $rollout->{consecutive_failures}{now};

$guarded->uploads('window', 'async', ('500') x 2);
is(status('window')->{consecutive_failures}{now}, $run + 2, 'two more of them');
$guarded->uploads('window', 'async', 'ok');
is(status('window')->{consecutive_failures}{now}, 0, 'none after a success');

is($guarded->command('window', 'restart'), 200, 'it is observed anew');

$rollout = status('window');

is_near($rollout->{window}{$_}{span_s}, $rollout->{observation}{age_s}, 0.001,
    "the window of $_ is not longer than the observation")
    for qw(rollback review);


# Shares, states and the guard.

my $says = sub {
    my ($name, $state, $enabled, $share, $kept, $why, $title) = @_;

    my $rollout = status($name);

    is_deeply([@$rollout{qw(state enabled share_bp share_kept_bp)}],
        [$state, $enabled ? JSON::PP::true : JSON::PP::false, $share, $kept],
        $title);
    is($rollout->{guard}{why}, $why, "$title: why the guard is not active");
    is(!!$rollout->{guard}{active}, !defined $why, "$title: whether it is");
};

my @every = qw(rolled_back review blind off);

# fails(NAME, WORD, ...): these and no others are so

my $fails = sub {
    my ($name, @words) = @_;

    for my $word (@every) {
        my $so = grep { $_ eq $word } @words;

        is((monitor("rollout=$name&fail=$word"))[0], $so ? 503 : 200,
            "$name, fail=$word: " . ($so ? 'it is so' : 'it is not so'));
    }
};

$says->('fixed', 'running', 1, 5000, 5000, undef, 'running');
$fails->('fixed');

is($guarded->command('fixed', 'rollback'), 200, 'it is rolled back');
$says->('fixed', 'rolled_back', 1, 0, 5000, 'rolled_back', 'rolled back');
$fails->('fixed', 'rolled_back');

is($guarded->command('fixed', 'resume'), 200, 'it is resumed');
is($guarded->command('fixed', 'disable'), 200, 'it is disabled');
$says->('fixed', 'off', 0, 0, 5000, 'off', 'off');
$fails->('fixed', 'off');

$says->('off', 'off', 0, 0, 5000, 'off', 'off by nginx.conf');
$says->('dry', 'running', 1, 5000, 5000, 'dry_run', 'in a dry run');
ok(status('dry')->{dry_run}, 'which is said');
$fails->('dry', 'blind');
$says->('blind', 'running', 1, 5000, 5000, 'rollback_off', 'left to itself');
$fails->('blind', 'blind');

# several at once, escaped or not, and all rollouts together

for my $args ('rollout=dry&fail=review,blind', 'fail=off%2Crolled_back',
              'fail=blind', 'rollout=off&fail=rolled_back,off,review')
{
    my ($code, $page) = monitor($args);

    is($code, 503, "$args: one of them is so");
    ok($page && $page->{rollouts}, "$args: the page is there all the same");
}

is((monitor('rollout=window&fail=rolled_back,review,blind,off'))[0], 200,
    'none of them is so');
is((monitor('fail=review'))[0], 200, 'no rollout is in review');

my $head = $nginx->request('HEAD',
                           '/async_upload/status?rollout=off&fail=off');

is($head->{status}, 503, 'HEAD: the status');
is($head->{body}, '', 'HEAD: without the page');

for (['fail=', ''], ['fail=Off', 'Off'], ['fail=off,blnd', 'blnd'],
     ['fail=off,', ''], ['fail=%22%3Cb%3E', '"<b>'])
{
    my ($args, $word) = @$_;
    my ($code, $error) = monitor($args);

    is($code, 400, "$args: refused");
    is($error->{error}, 'bad_request', "$args: the error");
    is($error->{description},
        "invalid \"$word\" in \"fail\", it must be of rolled_back, review,"
        . ' blind and off', "$args: the description");
}

# A guard that has not looked for long is blind.  The clock leaps while it does
# not look, so until it does.

my $blind = wait_for {
    $nginx->advance_clock(11);

    (monitor('rollout=window&fail=blind'))[0] == 503;
} 'a tick that is late';

ok($blind, 'without a tick for ten seconds it is blind');
$guarded->tick;
is((monitor('rollout=window&fail=blind'))[0], 200, 'with one it is not');


# Events, the newest first.

my @shares = map { 100 * $_ } 1 .. 70;

for my $share (@shares) {
    $status = $guarded->command('events', 'share', share => $share / 100 . '%',
        reason => "to <$share> bp");
    is($status, 200, "a share of $share") if $status != 200;
}

my @said = grep { $_->{rollout} eq 'events' } $nginx->journal;
my @events = @{status('events')->{events}};

is(@events, 64, '64 events are kept');
is(join(' ', map { $_->{to}{share_bp} } @events),
    join(' ', reverse @shares[-64 .. -1]), 'they are the last ones');
is(join(' ', map { $_->{sequence} } @events),
    join(' ', map { $said[-1]{sequence} - $_ } 0 .. 63), 'without gaps');
is($events[0]{reason}, 'to <7000> bp', 'the reason');
is_deeply($events[0]{actor}{kind}, 'control', 'the actor');
is_near(iso($events[0]{time}), time, 60, 'the time');

ok(!(grep { $_->{arms} } @events), 'they are without figures');

my ($code, $page) = monitor('rollout=events&history=1');

is_deeply($page->{rollouts}{events}{events}, [reverse @said[-64 .. -1]],
    'with history they are what the journal says');
delete $_->{arms} for @said;
is_deeply(\@events, [reverse @said[-64 .. -1]], 'so they are without, but for'
    . ' the figures');

my ($answer) = grep { ($nginx->command('events', 'drill'))[0] == 200 } 1;
my $drill = status('events')->{last_drill};

ok($answer, 'a drill');
is($drill->{workers}, 1, 'all workers took part');
cmp_ok($drill->{took_ms}, '<=', 10_000, 'in less than its deadline');
is_near(iso($drill->{time}), time, 60, 'at this time');
is(status('gate')->{last_drill}, undef, 'where there was none, it is null');


# History.

$guarded->uploads('latency', 'async', mix(ok => 3, 500 => 1));
$guarded->uploads('latency', 'sync', mix(ok => 5, 500 => 2));

# two points of ten seconds

$guarded->after(11) for 1 .. 2;

($code, $page) = monitor('rollout=latency&history=1');

my $history = $page->{rollouts}{latency}{history};

is_deeply([sort keys %$history],
    [qw(coarse coarse_step_s fields fine fine_step_s)], 'history: fields');
is("$history->{fine_step_s} $history->{coarse_step_s}", '10 300',
    'history: seconds between points');
is("@{$history->{fields}}", 'time_s share_bp state sync_success sync_failure'
    . ' sync_p50_us sync_p95_us async_success async_failure async_p50_us'
    . ' async_p95_us', 'history: fields of a point');

my @fields = @{$history->{fields}};
my @points = map { my %point; @point{@fields} = @$_; \%point }
    @{$history->{fine}};

ok((all { @$_ == @fields } @{$history->{fine}}, @{$history->{coarse}}),
    'history: all points have all of them');
ok((all { $points[$_]{time_s} >= $points[$_ - 1]{time_s} } 1 .. $#points),
    'history: the oldest comes first');

for (['async_success', 3], ['async_failure', 1], ['sync_success', 5],
     ['sync_failure', 2])
{
    my ($field, $n) = @$_;

    is((sum0 map { $_->{$field} } @points), $n,
        "history: each upload is in one point, $field");
}

my $point = first { $_->{async_success} } @points;

is("$point->{state} $point->{share_bp}", 'running 1000',
    'history: state and share');
cmp_ok($point->{async_p95_us}, '>', 0, 'history: a latency');
ok((all { defined $_->{async_p50_us} || !$_->{async_success} } @points),
    'history: which is null where there was none');

ok(!exists status('latency')->{history}, 'history is there if asked for');
ok(!exists +(monitor('rollout=latency&history=0'))[1]{rollouts}{latency}
       {history}, 'not with 0');

for my $value ('', '2', 'yes', '11') {
    my ($code, $error) = monitor("history=$value");

    is($code, 400, "history=$value: refused");
    is($error->{description},
        "invalid \"$value\" in \"history\", it must be 0 or 1",
        "history=$value: the description");
}


# The baseline.

$guarded->uploads_by(20, 'baseline', 'sync', mix(ok => 997, 500 => 2));
is($guarded->command('baseline', 'baseline'), 200, 'a baseline is recorded');

my $baseline = status('baseline')->{baseline};

is($baseline->{uploads}, 999, 'uploads of the baseline');
is_near($baseline->{success_rate}, 997 / 999, 1e-6, 'its success rate');
ok(!$baseline->{enough}, 'they are too few');
is_near(iso($baseline->{recorded}), time, 60, 'when it was recorded');
ok($baseline->{frozen}, 'it is frozen');

my $latency = status('baseline')->{arms}{sync}{latency_us};

is_near($baseline->{"${_}_us"}, $latency->{$_}, ceil($latency->{$_} / 32),
    "its $_ is that of sync") for qw(p50 p95 p99);

$guarded->uploads('baseline', 'sync', 'ok');
is($guarded->command('baseline', 'baseline'), 200, 'it is recorded again');

$baseline = status('baseline')->{baseline};

is($baseline->{uploads}, 1000, 'with one more');
ok($baseline->{enough}, 'they are enough');


# The state file.

my $file = status('gate')->{state_file};

ok(-s $file->{path}, 'the state file is there');
is($file->{error}, undef, 'it could be written');
cmp_ok($file->{saved_age_s}, '>=', 0, 'some time ago');
is(status('unsaved')->{state_file}, undef, 'without one it is null');

$guarded->stop;

done_testing();
