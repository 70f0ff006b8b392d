#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Outages that are no failures: an async build that answers 403 to everybody or
# 401 to many, or that answers nothing until clients have left.  It never
# advances, and is rolled back or reviewed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use IO::Select;
use Test::More;
use Time::HiRes qw(time);


my $guarded = Guarded->new(clock => 1);

# what never rolls back, and would advance by itself at once

my $eager = 'async_upload_rollback off; async_upload_review off;'
            . ' async_upload_advance auto; async_upload_stage 50% latency=off'
            . ' min_uploads=10 soak=0; async_upload_stage 90%;';

$guarded->add($_) for qw(forbidden many edge blind blind_edge asked_before
                         asked_after silent blind_silent patient few);
$guarded->add("gate_$_", $eager)
    for qw(forbidden many edge blind silent before);

my $nginx = $guarded->start;


sub is_at {
    my ($name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($guarded->state($name), $state, "$name: $title");
}


# begin(NAME, N): uploads that async does not answer; returns their connections,
# once async has all of each.

sub begin {
    my ($name, $n) = @_;

    my @clients = map { $guarded->client } 1 .. $n;

    $guarded->ask($_, $name, 'async', 'hang') for @clients;

    my $arrived = 0;

    wait_for {
        $arrived += grep { $_->{headers}{'x-stub'} =~ /hang/ }
                         $guarded->{stub}->requests;
        $arrived >= $n;
    } "$name: uploads at async";

    return @clients;
}


# leave(CLIENT, ...): the clients leave, and nginx sees it.

sub leave {
    my ($name, @clients) = @_;

    close $_ for @clients;

    return $nginx->quiet($name)->{arms}{async};
}


# clients that wait for more than five seconds

my @patient = begin('patient', 5);
my $since = time;


# sync answers everybody, a tenth of them with a rejection, or nobody

$guarded->uploads($_, 'sync', ('ok') x 100)
    for qw(forbidden many silent few gate_forbidden gate_many gate_silent);
$guarded->uploads($_, 'sync', mix(ok => 90, 403 => 10)) for qw(edge);
$guarded->uploads('gate_edge', 'sync', mix(ok => 198, 403 => 2));
$guarded->uploads('gate_before', 'sync', mix(ok => 50, 403 => 50));
$guarded->uploads($_, 'sync', mix(ok => 50, 403 => 50))
    for qw(asked_before asked_after);

for my $name (qw(asked_before asked_after gate_before)) {
    is($guarded->command($name, 'baseline'), 200,
       "$name: what sync did is the baseline");
    is($guarded->command($name, 'restart'), 200,
       "$name: a new observation begins");
}

# and async

is($guarded->uploads('forbidden', 'async', ('403') x 100), 'a1 100',
   'forbidden: clients get the answers of async');
$guarded->uploads('few', 'async', ('403') x 99);
$guarded->uploads('many', 'async', mix(ok => 60, 401 => 40));
$guarded->uploads('edge', 'async', mix(ok => 85, 403 => 15));
$guarded->uploads('blind', 'async', ('403') x 100);
$guarded->uploads('blind_edge', 'async', mix(ok => 95, 403 => 5));
$guarded->uploads('asked_before', 'async', mix(ok => 50, 403 => 50));
$guarded->uploads('asked_after', 'async', mix(ok => 40, 403 => 60));

# a gate must not be open in between

$guarded->uploads('gate_forbidden', 'async', ('403') x 100);
$guarded->uploads('gate_many', 'async', mix(401 => 40, ok => 60));
$guarded->uploads('gate_blind', 'async', '403', ('ok') x 100);
$guarded->uploads('gate_edge', 'async', ('403') x 4, ('ok') x 196);
$guarded->uploads('gate_before', 'async', ('403') x 52, ('ok') x 48);

for my $name (qw(silent blind_silent gate_silent)) {
    my $async = leave($name, begin($name, 100));

    is($async->{aborted}, 100, "$name: a hundred clients have left");
}

$guarded->uploads('gate_silent', 'async', ('ok') x 10);

$guarded->tick;

is_at($_, 'rolled_back, 0', 'it is rolled back')
    for qw(forbidden many silent asked_after);
is_at($_, 'review, 5000', 'without anything to compare with a person is asked')
    for qw(blind blind_silent);

is($guarded->told($_), 'rollback by guard: rejected', "$_: an event says why")
    for qw(forbidden many);
is($guarded->told('silent'), 'rollback by guard: aborted',
   'silent: an event says why');
is($guarded->told('blind'), 'review by guard: rejected_no_reference',
   'blind: an event says why');
is($guarded->told('blind_silent'), 'review by guard: aborted_no_reference',
   'blind_silent: an event says why');

is_at('few', 'running, 5000', 'not with 99 of them');
is_at('edge', 'running, 5000', 'nor with five points more than sync');
is_at('blind_edge', 'running, 5000', 'nor with five of a hundred');
is_at('asked_before', 'running, 5000', 'nor with what sync did before');

# what never advances

for (['gate_forbidden', 'uploads, success, error, rejected'],
     ['gate_many', 'rejected'], ['gate_blind', 'rejected'],
     ['gate_edge', 'rejected'], ['gate_before', 'rejected'],
     ['gate_silent', 'aborted'])
{
    my ($name, $lines) = @$_;

    is_at($name, 'running, stage 1, 5000', 'it does not advance');
    is($guarded->command($name, 'advance'), '409 gate_closed',
       "$name: nor does a person advance it");
    like($guarded->{answer}{description}, qr/closed: \Q$lines\E\z/,
         "$name: the answer says why");
}

# one more, and one more that was not rejected

$guarded->uploads($_, 'async', '403') for qw(few edge blind_edge);
$guarded->uploads('gate_edge', 'async', ('ok') x 67);
$guarded->uploads('gate_before', 'async', ('ok') x 3);
$guarded->tick;

is_at($_, 'rolled_back, 0', 'it is with one more') for qw(few edge);
is_at('blind_edge', 'review, 5000', 'a person is asked after one more');
is_at('gate_edge', 'running, stage 2, 9000',
      'it advances when async rejects half a point more');
is_at('gate_before', 'running, stage 2, 9000',
      'it does when async rejects half a point more than sync did before');


# clients that have left after more than five seconds: failures

my $left = $since + 5.2 - time;

is(scalar IO::Select->new(@patient)->can_read($left > 0 ? $left : 0), undef,
   'patient: no answer within five seconds');

my $async = leave('patient', @patient);

is($async->{by_class}{hung}, 5, 'patient: five uploads have failed');
is_at('patient', 'rolled_back, 0', 'that is a run of failures');
is($guarded->told('patient'), 'rollback by guard: consecutive',
   'patient: an event says so');

$guarded->stop;

done_testing();
