#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# How often async is tried before sync, which tries the location's limits
# leave, how long each arm is waited for and which answers are failures.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use IO::Select;
use List::Util qw(min);
use Outcome;
use Rollouts;
use Stub;
use Test::More;
use Time::HiRes qw(time);


my $always = 'async_upload_fallback failure replay=always;';
my $elsewhere = 'proxy_next_upstream error timeout http_503 non_idempotent;';

my $stub = Stub->start(qw(a1 a2 a3 s1 s2));
my ($hole, $hole_guard) = Stub->blackhole;
my ($stalled, $stalled_guard) = Stub->stalled;

my $rollouts = Rollouts->new($stub, hole => $hole, stalled => $stalled,
                             map { ($_ => free_port()) } qw(d1 d2 d3));

my (@cases, @checks);


# The servers that are tried, in their order, if all of them fail: "tries" is
# async_upload_tries, "limit" proxy_next_upstream_tries, 0 for none.

sub tried {
    my ($servers, $sync, $tries, $limit, $kept) = @_;

    my $budget = $limit || 1000;

    # one try is for sync, if there is more than one

    my $async = min($tries, $kept && $budget > 1 ? $budget - 1 : $budget);

    # each server has its turn before the balancer may choose any again

    my @tried = map { @$servers == 1 ? $servers->[0] : $servers->[$_] // 'any' }
                    0 .. $async - 1;

    my $left = $kept ? min(scalar @$sync, $budget - $async) : 0;

    return (@tried, @$sync[0 .. $left - 1]);
}


# A case is an upload of a rollout of its own, so that its first server is the
# first one, and what becomes of it.  "took" is how many seconds each attempt
# has to have taken: less than 2 more.

sub case {
    my ($title, $expected, %args) = @_;

    my $name = 'case' . @cases;
    my ($method, $what, $body, $took) =
        delete @args{qw(method what body took)};

    $rollouts->add($name, async => 'a1;', sync => 's1;', %args);

    push @cases, {
        to => $name, title => $title, expected => $expected,
        method => $method, what => $what // '', took => $took,
        defined $body ? (body => $body) : (),
    };
}


my @dead = map { "d$_" } 1 .. 3;
my @live = map { "a$_" } 1 .. 3;
my $all = join ' ', map { "$_=503" } @live, qw(s1 s2);

for my $tries (1 .. 3) {
    for my $n (1 .. 3) {
        for my $limit (0 .. 4) {
            my $rollout = "async_upload_tries $tries;";
            my $location = "$elsewhere proxy_next_upstream_tries $limit;";
            my $how = "$tries tries of $n servers, limit $limit";

            my @servers = map { my $servers = $_;
                                join ' ', map { "$_ max_fails=0;" }
                                              @$servers[0 .. $n - 1]; }
                              \@live, \@dead;

            # all fail, those of sync, too

            my @tried = tried([@live[0 .. $n - 1]], [qw(s1 s2)], $tries, $limit,
                              1);

            case("$how, answers", ['503', "@tried", 'http_503'],
                 what => $all, location => $location, async => $servers[0],
                 sync => 's1 max_fails=0; s2 max_fails=0;',
                 rollout => "$rollout $always");

            # sync's first does

            @tried = tried([@dead[0 .. $n - 1]], ['s1'], $tries, $limit, 1);

            for my $fallback ('connect', 'failure') {
                case("$how, refused, $fallback",
                     [$tried[-1] eq 's1' ? '200' : '502', "@tried", 'connect'],
                     location => $location, async => $servers[1],
                     sync => 's1; s2;',
                     rollout => "$rollout async_upload_fallback $fallback;");
            }

            # what is not sent again is not tried again

            for my $fallback ('off', 'connect', 'failure') {
                case("$how, sent, $fallback", ['503', 'a1', 'http_503'],
                     what => $all, location => $location, async => $servers[0],
                     rollout => "$rollout async_upload_fallback $fallback;");
                case("$how, dropped, $fallback", ['502', 'a1', 'reset'],
                     what => $all =~ s/503/drop/gr, location => $location,
                     async => $servers[0],
                     rollout => "$rollout async_upload_fallback $fallback;");
            }

            # without fallback all tries are async's

            @tried = tried([@dead[0 .. $n - 1]], [], $tries, $limit, 0);

            case("$how, refused, off", ['502', "@tried", 'connect'],
                 location => $location, async => $servers[1],
                 rollout => "$rollout async_upload_fallback off;");
        }
    }
}


# What async had no server for has cost no try.

for my $limit (0 .. 2) {
    my @tried = tried([], ['s1', 's2'], 0, $limit, 1);

    case("limit $limit, no server is live", [503, "@tried", 'no_live_peer'],
         what => $all, async => 'a1 down;',
         sync => 's1 max_fails=0; s2 max_fails=0;',
         location => "$elsewhere proxy_next_upstream_tries $limit;",
         rollout => "async_upload_tries 3; $always");
}

case('servers that are out after a failure are not tried again',
     ['200', 'a1 a2 s1', 'http_503'], what => 'a1=503 a2=503',
     async => 'a1; a2;', rollout => "async_upload_tries 3; $always");
case('a backup has its turn', ['200', 'a1 a2 a3 s1', 'http_503'],
     what => 'a1=503 a2=503 a3=503',
     async => 'a1; a2; a3 backup;', rollout => "async_upload_tries 4; $always");
case('the second server does', ['200', 'a1 a2', ''], what => 'a1=503',
     async => 'a1; a2;', rollout => "async_upload_tries 2; $always");
case('the second server does after one that refuses', ['200', 'd1 a2', ''],
     async => 'd1; a2;', rollout => 'async_upload_tries 2;');
case('the same server does', ['200', 'd1 d1 d1 s1', 'connect'],
     async => 'd1;', rollout => 'async_upload_tries 3;');
case('the last failure is the one that counts',
     ['200', 'd1 a2 a3 s1', 'reset'], what => 'a2=504 a3=drop',
     async => 'd1; a2; a3;', rollout => "async_upload_tries 3; $always");
case('but what was sent and failed is never one of connecting',
     ['200', 'a1 d2 d3 s1', 'http_504'], what => 'a1=504',
     async => 'a1; d2; d3;', rollout => "async_upload_tries 3; $always");
case('nor is it one of no live server', ['200', 'a1 s1', 'http_504'],
     what => 'a1=504', async => 'a1; a2 down;',
     rollout => "async_upload_tries 3; $always");
case('nothing is tried again once it was sent',
     ['503', 'd1 a2', 'http_503'], what => 'a2=503',
     async => 'd1; a2; a3;', rollout => 'async_upload_tries 3;');


# The location's own rules are for sync, and only for it.

my @two = (async => 'a1;', sync => 's1 max_fails=0; s2 max_fails=0;',
           rollout => $always);

case('sync does not try a POST that was sent elsewhere by default',
     ['502', 'a1 s1', 'reset'], what => 'a1=drop s1=drop', @two);
case('but a PUT', ['200', 'a1 s1 s2', 'reset'], method => 'PUT',
     what => 'a1=drop s1=drop', @two);
case('sync does not try 503 elsewhere by default', ['503', 'a1 s1', 'http_500'],
     method => 'PUT', what => 'a1=500 s1=503', @two);
case('nor garbage', ['502', 'a1 s1', 'invalid'],
     method => 'PUT', what => 'a1=garbage s1=garbage', @two);
case('sync tries elsewhere what the location says',
     ['200', 'a1 s1 s2', 'reset'], what => 'a1=drop s1=503', @two,
     location => $elsewhere);
case('and 404', ['200', 'a1 s1 s2', 'reset'], what => 'a1=drop s1=404', @two,
     location => 'proxy_next_upstream http_404 non_idempotent;');
case('async does not', ['404', 'a1', 'http_404'], what => 'a1=404', @two,
     location => 'proxy_next_upstream http_404 non_idempotent;');
case('sync tries nothing elsewhere with off', ['502', 'a1 s1', 'http_500'],
     method => 'PUT', what => 'a1=500 s1=drop', @two,
     location => 'proxy_next_upstream off;');


# Which answers are failures.

for (['429 500-599', 429, 'failure', 0], ['429', 503, 'rejected', 0],
     ['502-504', 500, 'rejected', 0], ['502-504', 502, 'failure', 1],
     ['502-504', 504, 'failure', 1], ['502-504', 505, 'rejected', 0],
     ['404 410-420', 404, 'failure', 0], ['404 410-420', 410, 'failure', 0],
     ['404 410-420', 420, 'failure', 0], ['404 410-420', 421, 'rejected', 0],
     ['400-599', 400, 'failure', 0], ['400-599', 599, 'failure', 0],
     ['400-599', 500, 'failure', 1], ['500', 500, 'failure', 1])
{
    my ($list, $status, $result, $masked) = @$_;

    case("async_upload_failure $list: $status is a $result"
         . ($masked ? ', masked' : ''),
         [$masked ? 200 : $status, $masked ? 'a1 s1' : 'a1', "http_$status"],
         what => "a1=$status",
         rollout => "$always async_upload_failure $list;");

    $cases[-1]{counted} = $result eq 'failure' ? "failure http_$status: 1"
                                               : 'rejected: 1';
}

case('async_upload_failure 404: a dropped connection is a failure still',
     ['200', 'a1 s1', 'reset'], what => 'a1=drop',
     rollout => "$always async_upload_failure 404;");


# Times.  Here sync has as long as the location says, async has not.

my $short = 'proxy_read_timeout 500ms; proxy_send_timeout 500ms;'
            . ' proxy_connect_timeout 500ms;';

case('async is waited for as long as async_upload_timeout says',
     ['200', 'a1 s1', 'timeout'], what => 'a1=hang',
     rollout => "$always async_upload_timeout 500ms;", took => [0.5, 0]);
case('so is the sending', ['200', 'stalled s1', 'timeout'],
     async => 'stalled;', body => 'x' x 4194304,
     rollout => "$always async_upload_timeout 500ms;", took => [0.5, 0]);
case('and the connecting', ['200', 'hole s1', 'connect'], async => 'hole;',
     rollout => "$always async_upload_timeout connect=500ms;",
     took => [0.5, 0]);
case('as the location says where nothing else does',
     ['200', 'a1 s1', 'timeout'], what => 'a1=hang', rollout => $always,
     location => $short, took => [0.5, 0]);
case('connect= changes nothing of the rest', ['200', 'a1 s1', 'timeout'],
     what => 'a1=hang', location => $short,
     rollout => "$always async_upload_timeout connect=60s;", took => [0.5, 0]);
case('nor the rest of the connecting', ['200', 'hole s1', 'connect'],
     async => 'hole;', location => $short,
     rollout => "$always async_upload_timeout 60s;", took => [0.5, 0]);
case('sync\'s time is the location\'s', ['504', 'a1 s1', 'http_500'],
     what => 'a1=500 s1=hang', location => $short,
     rollout => "$always async_upload_timeout 60s connect=60s;",
     took => [0, 0.5]);
case('each try has all of its time', ['200', 'a1 a1 s1', 'timeout'],
     what => 'a1=hang',
     rollout => "$always async_upload_timeout 500ms; async_upload_tries 2;",
     took => [0.5, 0.5, 0]);

case('proxy_next_upstream_timeout ends the tries', ['504', 'a1', 'timeout'],
     what => 'a1=hang', location => "$short proxy_next_upstream_timeout 100ms;",
     rollout => "$always async_upload_tries 3;", took => [0.5]);
case('proxy_next_upstream_timeout leaves tries', ['200', 'a1 a1 a1 s1',
                                                  'timeout'],
     what => 'a1=hang', location => "$short proxy_next_upstream_timeout 60s;",
     rollout => "$always async_upload_tries 3;", took => [0.5, 0.5, 0.5, 0]);

# Longer than the location has, and than any other case takes.

$rollouts->add('patient', async => 'a1;', sync => 's1;', location => $short,
               rollout => "$always async_upload_timeout 60s;");
$rollouts->add('sync_patient', async => 'a1;', sync => 's1;',
               rollout => "$always async_upload_timeout 500ms;",
               location => 'proxy_read_timeout 60s;');
$rollouts->add('connecting', async => 'hole;', sync => 's1;',
               location => $short,
               rollout => 'async_upload_timeout connect=1s;');
$rollouts->add('sync_connecting', async => 'd1;', sync => 'hole;',
               location => 'proxy_connect_timeout 1s;',
               rollout => 'async_upload_timeout connect=100ms;');


sub took {
    my ($got, @expected) = @_;

    for my $seconds (split ' ', $got->{took}) {
        my $expected = shift @expected // last;

        # the clock of nginx ticks once a round of its events

        ok($seconds > $expected - 0.05 && $seconds < $expected + 2,
           "  an attempt took $expected s and not $seconds s");
    }
}


my $nginx = $rollouts->start;
my $outcome = Outcome->new($nginx, $stub);

$stub->hold;

my @patient = ({ to => 'patient', what => 'a1=slow' },
               { to => 'sync_patient', what => 'a1=500 s1=slow' });
my @connecting = map { { to => $_ } } qw(connecting sync_connecting);

$rollouts->begin($_) for @patient, @connecting;

my $start = time;

# some at a time, in as many connections as nginx has

for (my @left = @cases; my @some = splice @left, 0, 100; ) {
    my @got = $rollouts->play(@some);

    for my $case (@some) {
        my $got = shift @got;
        my ($status, $tried, $error) = @{$case->{expected}};
        my @tried = split ' ', $tried;

        my $by = join ' ', map {
            (shift @tried // '') eq 'any' ? s/^[ad]\d$/any/r : $_;
        } split ' ', $got->{tried};

        is("$got->{status}, by $by, $got->{error}",
           "$status, by $tried, $error", $case->{title});

        my $again = $got->{execution} eq 'sync_fallback';

        my $counted = $case->{counted}
            // (!$error ? 'success: 1' : $error =~ /^http_4/ ? 'rejected: 1'
                                                    : "failure $error: 1");

        # 4xx and 5xx of sync are no service

        $counted .= $status < 500 ? ', masked: 1, served: 1' : ', unserved: 1'
            if $again;

        is($outcome->counted($case->{to}), $counted, '  as what it is counted');

        took($got, @{$case->{took} // []});
    }
}

my $select = IO::Select->new(map { $_->{socket} } @patient);
my $left = $start + 1.5 - time;

is(scalar $select->can_read($left > 0 ? $left : 0), undef,
   'a longer time is waited for');
$stub->release;
is_deeply([map { "$_->{status} $_->{at}" } $rollouts->finish(@patient)],
          ['200 a1', '200 a1 s1'], 'and the answer comes');

my ($async, $sync) = $rollouts->finish(@connecting);

is("$async->{status} $async->{tried}", '200 hole s1', 'so is connecting');
took($async, 1, 0);
is("$sync->{status} $sync->{tried}", '504 d1 hole', 'to sync, too');
took($sync, 0, 1);

$nginx->stop(
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/no live upstreams/,
    qr/upstream prematurely closed connection/,
    qr/upstream timed out/,
    qr/upstream sent invalid header/,
);

done_testing();
