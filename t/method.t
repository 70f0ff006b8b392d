#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Which uploads are sent to sync after async was sent some of them: that is up
# to the kind of fallback, the method, a key and whether the body is buffered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256_hex);
use Outcome;
use Rollouts;
use Stub;
use Test::More;


my %modes = (
    off => 'async_upload_fallback off;',
    connect => 'async_upload_fallback connect;',
    keyed => 'async_upload_fallback failure replay=keyed;',
    always => 'async_upload_fallback failure replay=always;',
);

my @modes = sort keys %modes;

my @methods = qw(GET HEAD POST PUT DELETE MKCOL COPY MOVE OPTIONS PROPFIND
                 PROPPATCH LOCK UNLOCK PATCH);

# headers, and whether they are a key

my @headers = (
    ['no header', 0],
    ['a key', 1, 'Idempotency-Key', '8e03978e'],
    ['a key in small letters', 1, 'idempotency-key', '"8e03978e-40d5"'],
    ['a key in capitals', 1, 'IDEMPOTENCY-KEY', '0'],
    ['an empty key', 0, 'Idempotency-Key', ''],
    ['a key of blanks', 0, 'Idempotency-Key', '  '],
    ['an empty key and another', 1, 'Idempotency-Key', '',
        'Idempotency-Key', 'b'],
    ['a longer name', 0, 'Idempotency-Keys', 'a'],
    ['a longer name before', 0, 'X-Idempotency-Key', 'a'],
    ['a shorter name', 0, 'Idempotency-Ke', 'a'],
    ['a name of that length', 0, 'Idempotency-Kez', 'a'],
    ['a key after many headers', 1, map({ ("X-Header-$_" => 'a') } 1 .. 60),
        'Idempotency-Key', 'a'],
);

my $large = 'noise' x 100000;
my $stub = Stub->start(qw(a1 s1));
my $rollouts = Rollouts->new($stub, dead => free_port());

# lingering: the answer comes although nginx does not read all of the body

my $unbuffered = 'proxy_request_buffering off; lingering_close on;';

for my $mode (@modes) {
    $rollouts->add($mode, async => 'a1;', sync => 's1;',
                   rollout => "$modes{$mode} async_upload_methods @methods;");

    $rollouts->add("unbuffered_$mode", async => 'a1;', sync => 's1;',
                   rollout => $modes{$mode}, location => $unbuffered);
    $rollouts->add("unbuffered_dead_$mode", async => 'dead;', sync => 's1;',
                   rollout => $modes{$mode}, location => $unbuffered);
    $rollouts->add("unbuffered_down_$mode", async => 'a1 down;', sync => 's1;',
                   rollout => $modes{$mode}, location => $unbuffered);
}

$rollouts->add('default', async => 'a1;', sync => 's1;',
               rollout => $modes{always});

my $nginx = $rollouts->start;
my $outcome = Outcome->new($nginx, $stub);
my %counted;


sub replayed {
    my ($mode, $method, $key) = @_;

    return $mode eq 'always' || $mode eq 'keyed' && ($key || $method eq 'PUT');
}


# Uploads { to, mode, again: whether sync takes over, class, whole: whether
# async had the body, status: what the client gets if it does not, ... }.

sub check {
    my (@uploads) = @_;

    my @got = $rollouts->play(@uploads);

    for my $upload (@uploads) {
        my $got = shift @got;
        my ($again, $class) = @$upload{qw(again class)};
        my @arms = (('async') x !!$upload->{whole}, ('sync') x !!$again);
        my $sum = sha256_hex($upload->{body} // 'the body');

        # a HEAD has no body to know the server by

        my $by = $upload->{method} eq 'HEAD' || !$again ? '' : ' s1';
        my $status = $again ? 200 : $upload->{status};

        is($got->{status} . ($got->{body} eq 's1' ? ' s1' : ''),
           "$status$by", "$upload->{title}: the answer");
        is("$got->{arms}; $got->{sha256}", "@arms; @{[map { $sum } @arms]}",
           '  who had it, and was told that');
        is("$got->{execution} $got->{error} $got->{fallback}",
           $again ? "sync_fallback $class $class" : "async $class ",
           '  as what it is counted');

        my $counted = $counted{$upload->{to}} //= {};

        $counted->{"failure $class"}++;

        if ($again) {
            $counted->{$_}++ for qw(masked served);
        }
    }
}


sub counted {
    for my $name (sort keys %counted) {
        my $counted = delete $counted{$name};

        is($outcome->counted($name),
           join(', ', map { "$_: $counted->{$_}" } sort keys %$counted),
           "$name: all are counted, once");
    }
}


# Methods, with a key and without, and what a key is.

my @faults = ([drop => 502, 'reset'], [500 => 500, 'http_500'],
              [garbage => 502, 'invalid']);

for my $mode (@modes) {
    for my $fault (@faults) {
        my ($what, $status, $class) = @$fault;

        for my $method (@methods) {
            check(map {
                my ($title, $key, @headers) = @$_;

                +{
                    to => $mode, method => $method, what => "a1=$what",
                    headers => \@headers, whole => 1, status => $status,
                    class => $class, again => replayed($mode, $method, $key),
                    title => "$mode, $what, $method with $title",
                };
            } $method =~ /^(?:POST|PUT)$/ && $what eq 'drop' ? @headers
                                                            : @headers[0, 1]);
        }
    }
}

counted();


# What is no upload has no fallback.

my ($got) = $rollouts->play({ to => 'default', method => 'DELETE',
                              what => 's1=500' });

is("$got->{status} $got->{at} $got->{arms} $got->{counted}", '500 s1 sync 0',
   'another method goes to sync at once');
is($outcome->counted('default'), '', 'uncounted');


# Bodies that are not buffered: all of it was not there when nginx began.

for my $mode (@modes) {
    for my $method (qw(POST PUT)) {
        for my $chunked (0, 1) {
            my %common = (method => $method, body => $large,
                          chunked => $chunked,
                          headers => ['Idempotency-Key' => 'a']);

            my $how = "unbuffered, $mode, $method"
                      . ($chunked ? ', chunked' : '');

            check({ %common, to => "unbuffered_dead_$mode", status => 502,
                    class => 'connect', again => $mode ne 'off',
                    title => "$how, refused" },
                  { %common, to => "unbuffered_down_$mode", status => 502,
                    class => 'no_live_peer', again => $mode ne 'off',
                    title => "$how, down" },
                  { %common, to => "unbuffered_$mode", what => 'a1=drop',
                    whole => 1, status => 502, class => 'reset',
                    title => "$how, dropped" },
                  { %common, to => "unbuffered_$mode", what => 'a1=503',
                    whole => 1, status => 503, class => 'http_503',
                    title => "$how, 503" },
                  { %common, to => "unbuffered_$mode", what => 'a1=reset-head',
                    status => 502, class => 'reset',
                    title => "$how, reset" });

            # what came with the head is as good as buffered

            check({ %common, to => "unbuffered_$mode", what => 'a1=503',
                    body => 'short', whole => 1, status => 503,
                    class => 'http_503',
                    again => replayed($mode, $method, 1),
                    title => "$how, short, 503" });
        }
    }
}

counted();

$nginx->stop(
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/no live upstreams/,
    qr/upstream prematurely closed connection/,
    qr/upstream sent invalid header/,
    qr/(?:recv|readv|send|sendfile|writev)\(\) failed \((?:32|104): /,
);

done_testing();
