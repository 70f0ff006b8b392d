#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Clients that leave while async says nothing: before 5 s, or three times
# sync's p99, have passed since async had the whole upload it is the client's
# doing, after that a failure of async.  In neither case sync is asked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use IO::Select;
use Outcome;
use Rollouts;
use Stub;
use Test::More;
use Time::HiRes qw(time);


my %modes = (
    off => 'async_upload_fallback off;',
    connect => 'async_upload_fallback connect;',
    keyed => 'async_upload_fallback failure;',
    always => 'async_upload_fallback failure replay=always;',
);

my @modes = sort keys %modes;

my $stub = Stub->start(qw(a1 s1));
my ($stalled, $stalled_guard) = Stub->stalled;
my ($hole, $hole_guard) = Stub->blackhole;

my $rollouts = Rollouts->new($stub, hole => $hole, stalled => $stalled);

$rollouts->add($_, async => 'a1;', sync => 's1;', rollout => $modes{$_})
    for @modes;

# what has no key goes to sync

$rollouts->add('slow', async => 'a1;', sync => 's1;',
               rollout => 'async_upload_key $http_x_key;');

$rollouts->add('unread', async => 'stalled;', sync => 's1;',
               rollout => $modes{always});
$rollouts->add('begun', async => 'a1;', sync => 's1;',
               rollout => $modes{always});
$rollouts->add('unmade', async => 'hole;', sync => 's1;',
               rollout => "$modes{always} async_upload_timeout connect=60s;");
$rollouts->add('ignored', async => 'a1;', sync => 's1;',
               rollout => "$modes{always} async_upload_timeout 7s;",
               location => 'proxy_ignore_client_abort on;');
$rollouts->add('sync', async => 'a1;', sync => 's1;', share => 0);

my $nginx = $rollouts->start;
my $outcome = Outcome->new($nginx, $stub);


# Waits for so many seconds since a time, in which nothing comes from any of
# these.

sub silence {
    my ($since, $seconds, @uploads) = @_;

    my $select = IO::Select->new(map { $_->{socket} } @uploads);
    my $left = $since + $seconds - time;

    is(scalar $select->can_read($left > 0 ? $left : 0), undef,
       "no answer within $seconds s");
}


sub left {
    my ($upload, $error, $title) = @_;

    my ($got) = $rollouts->leave($upload);

    is("$got->{execution} $got->{success} $got->{error}",
       "async 0 $error", $title);
    is($got->{tried} =~ tr/,//, 0, '  tried once');
}


my @first = map { { to => $_, what => 'a1=hang' } } @modes;
my @last = map { { to => $_, what => 'a1=hang' } } @modes;
my @key = (headers => ['X-Key' => 'a']);
my ($unsure, $sure) = map { { to => 'slow', what => 'a1=hang', @key } } 1, 2;
my $slow = { to => 'slow', what => 's1=slow' };
my $at_sync = { to => 'sync', what => 's1=hang' };
my $ignored = { to => 'ignored', what => 'a1=hang' };
my $begun = { to => 'begun', what => 'a1=begin' };
my $unread = { to => 'unread', body => 'x' x 4194304 };
my $unmade = { to => 'unmade' };

my @all = (@first, @last, $unsure, $sure, $slow, $at_sync, $ignored, $begun);

$rollouts->begin($_) for @all, $unread, $unmade;
$rollouts->arrived(@all);

my $since = time;

# early, but not at once

silence($since, 1, @first);
left($_, 'aborted', "$_->{to}: the client leaves early") for @first;

# sync's p99 is more than 2 s now

silence($since, 2.2, $slow);
$stub->release;
is(($rollouts->finish($slow))[0]{at}, 's1', 'a slow upload at sync');

my $p99 = $nginx->status('slow')->{arms}{sync}{latency_us}{p99} / 1e6;

cmp_ok($p99, '>', 1.9, "sync's p99 is $p99 s");

silence($since, 5.1, @last, $unsure, $sure, $at_sync, $unread, $unmade);

left($unsure, 'aborted', 'the client leaves while sync might be as slow');
left($_, 'hung', "$_->{to}: the client leaves late") for @last;
left($unread, 'aborted', 'the client leaves before all was sent');
left($begun, 'aborted', 'the client leaves amid the header of an answer');
left($unmade, 'aborted', 'the client leaves before async is connected to');
close delete $ignored->{socket};

my ($got) = $rollouts->leave($at_sync);

is("$got->{execution} $got->{success} $got->{error}", 'sync 0 aborted',
   'the client leaves sync late');

silence($since, 3 * $p99 + 0.1, $sure);
left($sure, 'hung', 'the client leaves when sync is never as slow');

$rollouts->log($ignored);

is($outcome->counted($_), 'aborted: 1, failure hung: 1', "$_: both are counted")
    for @modes;
is($outcome->counted('slow'), 'aborted: 1, failure hung: 1, sync: 1',
   'and those beside a slow sync');
is($outcome->counted($_), 'aborted: 1', "$_: it is counted")
    for qw(unread begun unmade);
is($outcome->counted('sync'), 'sync: 1', 'and that of sync');
is($nginx->status('sync')->{arms}{sync}{aborted}, 1, 'as aborted');
is($outcome->counted('ignored'), 'failure timeout: 1, masked: 1, served: 1',
   'a client that is not looked after changes nothing');

$nginx->stop(qr/upstream timed out/);

done_testing();
