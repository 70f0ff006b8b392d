#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What a rollout does by evidence: what rolls it back and when, what is asked a
# person, and what is neither.  Identities are many, so every failure counts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Evidence;
use Guarded;
use Test::More;


my $guarded = Guarded->new(clock => 1, half => 1, sequential => 1);

my $slowly = 'async_upload_statistics sequential confirm=1m';

# A rollout with these directives.  Latencies are of no interest, as uploads to
# one arm do not come at the same time as those to the other.

sub rollout {
    my ($name, $text) = @_;

    $text //= '';
    $text .= ' async_upload_review latency=off;'
        if $text !~ /async_upload_review/;

    $guarded->add($name, $text);
}


# a tenth of all may fail

my $lax = 'async_upload_stage 50% latency=off success=90% error=10%;'
          . ' async_upload_review success=85% latency=off;'
          . ' async_upload_rollback success=80% error=20%';
my $no_run = 'async_upload_rollback run=0;';

rollout('outage');
rollout('errors', ($lax =~ s/error=10%/error=0.5%/r)
    =~ s/error=20%/error=5%;/r);
rollout('slowly', "$slowly; $no_run");
rollout('silent', "$slowly; $no_run");
rollout('recovers', "$slowly; $no_run");
rollout('five', 'async_upload_statistics sequential confirm=0'
    . " min_failures=5; $no_run");
rollout('one', 'async_upload_statistics sequential confirm=0'
    . " min_failures=1 evidence=15; $no_run");
rollout('none', 'async_upload_statistics sequential confirm=0'
    . " min_failures=1 evidence=16; $no_run");
rollout('sync');
rollout('both', $no_run);
rollout('dry', "async_upload_dry_run on; $no_run");
rollout('never', 'async_upload_rollback off;');
rollout('nothing', 'async_upload_rollback off; async_upload_review off;');
rollout('old');
rollout($_) for qw(between stays);
rollout('escalates', $no_run);
rollout('literal');
rollout('complete', 'async_upload_stage 50% min_uploads=1 latency=off;'
    . ' async_upload_statistics sequential proof=off;');

rollout($_, "$slowly evidence=1000000000; $lax;") for qw(run run_broken);
rollout('budget', "$slowly; async_upload_budget 3;");

rollout($_, "$lax run=0;") for qw(worse not_worse);
rollout($_) for qw(rejects rejects_some rejects_few rejects_both leaves
                   leaves_some leaves_few);

my $nginx = $guarded->start;


sub is_at {
    my ($name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($guarded->state($name), $state, "$name: $title");
}


# decided(NAME, EVENT, RULE, TITLE): what the guard has made of it; returns the
# line of the journal.

sub decided {
    my ($name, $event, $rule, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($line) = grep { $_->{event} eq $event } $guarded->events($name);

    is($line && "$line->{actor}{kind}: $line->{rule}", "guard: $rule",
       "$name: $title");

    return $line // {};
}


# clients that leave uploads which async or sync has all of

sub leave {
    my ($name, $arm, $n) = @_;

    my @clients = map { $guarded->client } 1 .. $n;

    $guarded->ask($_, $name, $arm, 'hang') for @clients;

    my $arrived = 0;

    wait_for {
        $arrived += grep { $_->{headers}{'x-stub'} =~ /hang/ }
                         $guarded->{stub}->requests;
        $arrived >= $n;
    } "$name: uploads at their server";

    close $_ for @clients;
    $nginx->quiet($name);
}


# Failures from the start.  After the second one there is evidence, but it is
# not enough of them, and too soon.

for my $name (qw(slowly silent recovers)) {
    $guarded->uploads($name, 'async', ('500') x 3);
}

$guarded->uploads($_, 'async', '500') for qw(outage errors one none);
$guarded->uploads('five', 'async', ('500') x 2);
$guarded->uploads('sync', 'sync', ('500') x 10);
$guarded->uploads('both', $_, ('500') x 3) for qw(sync async);
$guarded->uploads($_, 'async', ('500') x 4) for qw(dry never nothing);
$guarded->tick;

is_at($_, 'running, 5000', 'failures alone are no reason at once')
    for qw(outage slowly silent recovers five one none both dry nothing);
is_at('sync', 'running, 5000', 'what sync does is none at all');

for my $name (qw(slowly silent recovers)) {
    cmp_ok($nginx->status($name)->{evidence}{success}{evidence}, '>=', 1000,
           "$name: there is evidence");
}

$guarded->uploads($_, 'async', '500') for qw(outage errors);
$guarded->tick;

# each failure that comes later confirms it

$guarded->uploads($_, 'async', '500') for qw(one none);
$guarded->tick;
is_at('one', 'rolled_back, 0', 'where one is proof a second one confirms it');
is_at('none', 'running, 5000', 'where more is proof it is only the first');

$guarded->uploads('five', 'async', ('500') x 2);
$guarded->tick;
is_at('five', 'running, 5000', 'four are no five');
$guarded->uploads('five', 'async', '500');
$guarded->tick;
is_at('five', 'rolled_back, 0', 'where five are asked for the fifth is one');

$guarded->uploads('slowly', 'async', '500');
$guarded->after(20);
is_at($_, 'running, 5000', 'a minute is not over') for qw(slowly silent);
is_at('outage', 'running, 5000', 'two failures are no reason, ever');

$guarded->uploads($_, 'async', '500')
    for qw(outage errors both dry never nothing);
$guarded->tick;

is_at('outage', 'rolled_back, 0', 'the third one is, after five seconds');
is_at('errors', 'rolled_back, stage 1, 0', 'so it is for the rate of errors');
is_at('both', 'rolled_back, 0', 'and when both arms fail');
is_at('dry', 'running, 5000', 'in a dry run nothing is done');
is_at('nothing', 'running, 5000', 'nor where nothing is to be done');

my $line = decided('outage', 'rollback', 'evidence_success', 'by its rule');

is_deeply({ map { ($_ => $line->{arms}{async}{$_}) }
                qw(success failure rejected aborted) },
          { success => 0, failure => 3, rejected => 0, aborted => 0 },
          'outage: the journal has the figures');
is("$line->{value} $line->{unit} of $line->{limit}", '0 ppm of 950000',
   'outage: what was seen, where this is asked for');
is("$line->{from}{share_bp} $line->{to}{share_bp}", '5000 0',
   'outage: and what has changed');
like($line->{reason}, qr/^errors now ~76\.36% \(limit 5%\) - evidence against /,
     'outage: it says how bad it is');
like($line->{reason}, qr/ healthy 240106 of 1000 - 3 of 3 failed - between /,
     'outage: and how sure that is');

decided('errors', 'rollback', 'evidence_error', 'by its rule');
like(decided('both', 'rollback', 'evidence_success', 'by its rule')->{reason},
     qr/both arms/, 'both: it says that sync fails, too');
ok(decided('dry', 'rollback', 'evidence_success', 'it would have been done')
       ->{dry_run}, 'dry: which is said');
decided('never', 'review', 'evidence_success_below_gate',
        'where nothing is rolled back a person is asked');
is_at('never', 'review, 5000', 'and it goes on');


# Silence confirms nothing, and a fault that is over is none.

$guarded->uploads('recovers', 'async', ('ok') x 100);
$guarded->after(60);
is_at($_, 'running, 5000', 'nothing has failed since') for qw(silent recovers);
is($nginx->status('silent')->{last_decision}{verdict}, 'wait',
   'silent: it waits');

$guarded->uploads($_, 'async', '500') for qw(slowly silent recovers);
$guarded->tick;
is_at($_, 'rolled_back, 0', 'the next failure confirms it')
    for qw(slowly silent);
is_at('recovers', 'running, 5000', 'it is none any more');


# Of an observation that has ended.

$guarded->uploads('old', 'async', ('500') x 2);
$guarded->tick;
is($guarded->command('old', 'restart'), 200, 'old: it is restarted');
$guarded->after(10);
$guarded->uploads('old', 'async', '500');
$guarded->tick;
is_at('old', 'running, 5000', 'failures of before are forgotten');
$guarded->after(10);
$guarded->uploads('old', 'async', '500');
$guarded->tick;
$guarded->after(10);
is_at('old', 'running, 5000', 'two are not enough');
$guarded->uploads('old', 'async', '500');
$guarded->tick;
is_at('old', 'rolled_back, 0', 'three are');


# Between the gate's rate and rollback's, a person decides.  Worse is worse.

$guarded->uploads($_, 'async', mix(ok => 970, 500 => 30))
    for qw(between stays escalates);
$guarded->uploads('literal', 'async', mix(ok => 94, 500 => 6));
$guarded->uploads('complete', 'async', 'ok');
$guarded->tick;

is_at($_, 'review, 5000', 'a person is asked')
    for qw(between stays escalates);
decided('between', 'review', 'evidence_success_below_gate', 'by its rule');
is_at('literal', 'rolled_back, 0', 'the literal rule is still there');
decided('literal', 'rollback', 'literal_stage', 'by its rule');
is($guarded->command('complete', 'advance'), 200, 'complete: it is completed');

# so many failures at a time that no longer three percent fail, but all

my $bet = Evidence->new(p0 => 0.005)->tick(30, 970);
my $failures = 2;

while ($bet->rate <= 0.05) {
    $bet->tick(1, 0);
    $failures++;
}

cmp_ok((30 + $failures) / (1000 + $failures), '<', 0.05,
       'escalates: by the literal rule it is healthy');
is($guarded->uploads('escalates', 'async', ('500') x $failures),
   "a1 $failures", 'escalates: it goes on meanwhile');
$guarded->uploads('complete', 'async', ('500') x 3);
$guarded->uploads('between', 'async', ('ok') x 1500);
$guarded->tick;

is_at('escalates', 'review, 5000', 'they roll back nothing at once');
cmp_ok($nginx->status('between')->{evidence}{success}{evidence}, '<', 1000,
       'between: when it serves again there is no evidence left');

$guarded->after(10);
$guarded->uploads($_, 'async', '500') for qw(stays escalates complete);
$guarded->tick;

is_at('escalates', 'rolled_back, 0', 'an outage rolls back a review, too');
decided('escalates', 'rollback', 'evidence_success', 'by its rule');
is_at('complete', 'review, stage 1, 5000',
      'where there may be no way back a person is asked');
is_at('between', 'review, 5000', 'but it does not go on without a person');
is(scalar(grep { $_->{event} eq 'review' } $guarded->history('between')), 1,
   'between: who is asked once');
is_at('stays', 'review, 5000', 'three percent later on are no outage');
cmp_ok($nginx->status('stays')->{evidence}{error}{evidence}, '>=', 1000,
       'stays: for which there is evidence still');


# Failures in a row, where they are no evidence: not at once.

$guarded->uploads($_, 'async', ('500') x 5) for qw(run run_broken);
$guarded->uploads('run_broken', 'async', 'ok');
$guarded->after(70);
is_at('run', 'running, stage 1, 5000', 'five at a time are one blip');
$guarded->uploads('run', 'async', '500');
$guarded->uploads('run_broken', 'async', ('500') x 4);
$guarded->tick;
is_at('run', 'rolled_back, stage 1, 0', 'one more after a minute is an outage');
decided('run', 'rollback', 'consecutive', 'by its rule');
is_at('run_broken', 'running, stage 1, 5000', 'not when one was served');

$guarded->uploads('budget', 'async', qw(500 500));
$guarded->tick;
is_at('budget', 'running, 5000', 'two failures of three are left');
$guarded->uploads('budget', 'async', '500');
$guarded->tick;
is_at('budget', 'rolled_back, 0', 'the third one ends the budget');
decided('budget', 'rollback', 'budget', 'by its rule');


# Worse than sync, though not worse than the gate allows.  Each failure is of
# async by a chance of its share: that all of them are is proof in the end.

my $worse = Evidence->new;
my ($n, $async, $sync) = (0, 0, 0);

while (1) {

    # by the share of what earlier ticks have seen: a failure comes first

    $worse->tick(1, 0, (100 * 0.5 + $async) / (100 + $async + $sync));

    $guarded->uploads('worse', 'async', '500', ('ok') x 15);
    $guarded->uploads('not_worse', 'async', '500', ('ok') x 15);
    $guarded->uploads('worse', 'sync', ('ok') x 20);
    $guarded->uploads('not_worse', 'sync', '500', ('ok') x 19);
    $guarded->tick;

    $async += 16;
    $sync += 20;
    $n++;

    last if $worse->value >= 1000;

    is_at('worse', 'running, stage 1, 5000', "$n failures are no proof");
}

is_at('worse', 'review, stage 1, 5000', "$n failures are");

my $line_of_worse = decided('worse', 'review', 'evidence_worse_than_control',
                            'by its rule');

is_near($line_of_worse->{value}, $worse->value, 'worse: the journal has it');
is_at('not_worse', 'running, stage 1, 5000', 'not if sync fails, too');


# What is no failure, but more of async than of sync.  As long as it may be luck
# it is nothing, five points more are a reason to roll back, and less is asked.

for my $name (qw(rejects leaves)) {
    for (['', 120, 20], ['_some', 384, 16], ['_few', 120, 8]) {
        my ($more, $ok, $bad) = @$_;

        $guarded->uploads_of(2, "$name$more",
                             map { (['sync', 'ok'], ['async', 'ok']) } 1 .. $ok);

        if ($name eq 'rejects') {
            $guarded->uploads("$name$more", 'async', ('403') x $bad);

        } else {
            leave("$name$more", 'async', $bad);
        }
    }
}

$guarded->uploads_of(2, 'rejects_both',
                     map { (['sync', $_], ['async', $_]) }
                         mix(ok => 100, 403 => 100));
$guarded->tick;

for (['rejects', 'rejected'], ['leaves', 'aborted']) {
    my ($name, $rule) = @$_;

    is_at($name, 'rolled_back, 0', '20 of 140 roll back');
    decided($name, 'rollback', $rule, 'by its rule');
    is_at("${name}_some", 'review, 5000', '16 of 400 are asked about');
    decided("${name}_some", 'review', "evidence_$rule", 'by its rule');
    is_at("${name}_few", 'running, 5000', '8 of 128 may be luck');
}

is_at('rejects_both', 'running, 5000', 'what sync rejects, too, is nothing');

$guarded->stop;

done_testing();
