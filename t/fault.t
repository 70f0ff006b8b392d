#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Faults of the async arm under each kind of fallback: what the client gets,
# which arm serves and as what the failure is counted.  What is expected follows
# from what was sent and what may be sent again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempdir);
use Outcome;
use Rollouts;
use Stub;
use Test::More;


my %modes = (
    off => 'async_upload_fallback off;',
    connect => 'async_upload_fallback connect;',
    keyed => 'async_upload_fallback failure;',
    always => 'async_upload_fallback failure replay=always;',
);

my @modes = sort keys %modes;

# [METHOD, key]

my @kinds = (['POST'], ['POST', 'k1'], ['PUT'], ['PATCH'], ['PATCH', 'k2']);

# 1 MB, and what no kernel takes for a server that reads nothing

my $large = join '', map { chr rand 256 } 1 .. 1048576;
my $huge = $large x 4;

my $stub = Stub->start(qw(a1 a2 s1));
my %ports = map { ($_ => free_port()) } qw(dead s1tls a1tls plain);
my ($stalled, $stalled_guard) = Stub->stalled;
my ($hole, $hole_guard) = Stub->blackhole;

my $rollouts = Rollouts->new($stub, %ports, hole => $hole,
                             stalled => $stalled);


# What is behind the async arm, by name: a rollout each for every kind of
# fallback.

my $verify = 'proxy_ssl_verify on; proxy_ssl_name known;'
             . ' proxy_ssl_trusted_certificate CERT;'
             . ' proxy_ssl_session_reuse off;';

my %arms = (
    servers => ['a1;'],
    silent => ['a1;', 'proxy_read_timeout 500ms;'],
    stalled => ['stalled;', 'proxy_send_timeout 300ms;'],
    refused => ['dead;'],
    blackholed => ['hole;', 'proxy_connect_timeout 300ms;'],
    down => ['a1 down;'],
    all_down => ['a1 down; a2 down; dead backup down;'],
    full => ['a1 max_conns=1;'],
    no_tls => ['plain;', $verify, 'https'],
    silent_tls => ['a1;', "$verify proxy_connect_timeout 1s;", 'https'],
    untrusted => ['a1tls;', $verify, 'https'],
);


# A fault is [ARM, what the server does, { ... }]: "sent" is whether the async
# server was sent anything, "whole" whether it had all of the upload (undef if
# that depends on who was faster), "status" what the client gets if nobody masks
# it, "class" as what it is counted, "mask" whether it can be masked after all.

my $yes = { sent => 1, whole => 1, mask => 1 };

my @faults = (
    ['nothing listens', 'refused', '',
        { status => 502, class => 'connect' }],
    ['a connection is never made', 'blackholed', '',
        { status => 504, class => 'connect' }],
    ['the server is down', 'down', '',
        { status => 502, class => 'no_live_peer' }],
    ['all servers are down', 'all_down', '',
        { status => 502, class => 'no_live_peer' }],
    ['the server has max_conns connections', 'full', '',
        { status => 502, class => 'no_live_peer' }],
    ['the server does not speak TLS', 'no_tls', '',
        { status => 502, class => 'connect' }],
    ['the handshake is never answered', 'silent_tls', '',
        { status => 504, class => 'connect' }],
    ['the certificate is not trusted', 'untrusted', '',
        { status => 502, class => 'connect' }],

    ['the answer is never sent', 'silent', 'hang',
        { %$yes, status => 504, class => 'timeout' }],
    ['the body is never read', 'stalled', '',
        { %$yes, status => 504, class => 'timeout', whole => 0, body => $huge,
          kinds => [['POST'], ['PUT']] }],
    ['the connection is reset before the body', 'servers', 'reset-head',
        { %$yes, status => 502, class => 'reset', whole => 0, body => $large }],
    ['the connection is reset amid the body', 'servers', 'reset-half',
        { %$yes, status => 502, class => 'reset', whole => 0, body => $large }],
    ['the connection is reset after the body', 'servers', 'reset-end',
        { %$yes, status => 502, class => 'reset', body => $large }],
    ['the connection is closed', 'servers', 'drop',
        { %$yes, status => 502, class => 'reset' }],
    ['the header is garbage', 'servers', 'garbage',
        { %$yes, status => 502, class => 'invalid' }],

    map({ ["the answer is $_", 'servers', $_,
           { %$yes, status => $_, class => "http_$_" }] }
        500, 502, 503, 504),

    # nginx cannot take these back

    map({ ["the answer is $_", 'servers', $_,
           { %$yes, status => $_, class => "http_$_", mask => 0 }] }
        501, 505, 507, 599),
    ['the answer breaks off', 'servers', 'short',
        { %$yes, status => 200, class => 'reset', mask => 0, cut => 1 }],
    ['the answer has no header', 'servers', 'mumble',
        { %$yes, status => 0, class => 'invalid', mask => 0 }],

    # what the client caused

    map({ ["the answer is $_", 'servers', $_,
           { %$yes, status => $_, rejected => "http_$_", mask => 0 }] }
        400, 404, 409, 413, 429),
    ['413 is the answer before the body was read, which goes on',
        'servers', 'linger-413',
        { %$yes, status => 413, rejected => 'http_413', mask => 0,
          whole => undef, body => $large }],

    # an answer and a reset race each other

    ['413 is the answer before the body was read, and that is all',
        'servers', 'early-413',
        { %$yes, status => 413, rejected => 'http_413', mask => 0,
          whole => undef, body => $large },
        { %$yes, status => 502, class => 'reset', whole => undef }],
    ['503 is the answer before the body was read, and that is all',
        'servers', 'early-503',
        { %$yes, status => 503, class => 'http_503', whole => undef,
          body => $large },
        { %$yes, status => 502, class => 'reset', whole => undef }],
);


# Two authorities, each of which is its own certificate.

my $dir = tempdir('async_upload_fault_XXXXXX', TMPDIR => 1, CLEANUP => 1);

for my $name (qw(known other)) {
    my $path = "$dir/$name";

    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256"
           . " -nodes -days 2 -subj /CN=$name -addext subjectAltName=DNS:$name"
           . " -keyout $path.key -out $path.crt 2>$path.log") == 0
        or die "openssl: " . slurp("$path.log");
}

for my $arm (sort keys %arms) {
    my ($servers, $location, $scheme) = @{$arms{$arm}};

    for my $mode (@modes) {
        $rollouts->add("${arm}_$mode", async => $servers,
            sync => $scheme ? 's1tls;' : 's1;',
            location => ($location // '') =~ s/CERT/$dir\/known.crt/r,
            scheme => $scheme, rollout => $modes{$mode});
    }
}

my $tls = join '', map {
    my ($server, $name, $to) = @$_;

    <<"END";
    server {
        listen 127.0.0.1:$ports{$server} ssl;

        ssl_certificate $dir/$name.crt;
        ssl_certificate_key $dir/$name.key;

        location / {
            proxy_pass http://127.0.0.1:@{[$stub->port($to)]};
        }
    }
END
} ['s1tls', 'known', 's1'], ['a1tls', 'other', 'a1'];

my $nginx = $rollouts->start(http => <<"END");
    server {
        listen 127.0.0.1:$ports{plain};
        return 200;
    }

    $tls
END

my $outcome = Outcome->new($nginx, $stub);


# What becomes of an upload of this kind, and how it is counted.

sub expected {
    my ($fault, $arm, $mode, $kind) = @_;

    my ($method, $key) = @$kind;
    my $async = $arms{$arm}[0] =~ /^(\w+)/ ? $1 : die;
    my $sync = $arms{$arm}[2] ? 's1tls' : 's1';

    my $again = $mode eq 'always'
                || $mode eq 'keyed' && ($method eq 'PUT' || $key);

    my $masked = $mode ne 'off'
                 && (!$fault->{sent} || $fault->{mask} && $again);

    my $nobody = ($fault->{class} // '') eq 'no_live_peer';
    my $class = $fault->{class} // $fault->{rejected};
    my $body = $fault->{body} // 'the body';

    my @at = (($fault->{whole} ? 'a1' : ()), ($masked ? 's1' : ()));

    return {
        status => $masked ? 200 : $fault->{status},
        by => $masked ? 's1' : $fault->{status},
        truncated => $fault->{cut} ? 1 : 0,
        tried => join(' ', $nobody ? $masked ? () : "async_${arm}_$mode"
                                   : $async,
                           $masked ? $sync : ()),
        at => join(' ', @at),
        arms => join(' ', map { /^a/ ? 'async' : 'sync' } @at),
        sha256 => join(' ', map { sha256_hex($body) } @at),
        execution => $masked ? 'sync_fallback' : 'async',
        success => $masked ? 1 : 0,
        error => $class,
        fallback => $masked ? $class : '',
        reason => $masked ? 'fallback' : 'bucket',
        arm => $masked ? 'sync' : 'async',
        counted => 1,
    }, {
        ($fault->{rejected} ? 'rejected' : "failure $class") => 1,
        $masked ? (masked => 1, served => 1) : (),
    };
}


# The same of what came of it; who was faster is left out.

sub seen {
    my ($got, $fault) = @_;

    my %seen = map { ($_ => $got->{$_}) }
        qw(status truncated tried at arms sha256 execution success error
           fallback reason arm counted);

    if (exists $fault->{whole} && !defined $fault->{whole}) {
        for (qw(at arms sha256)) {
            $seen{$_} = (split ' ', $seen{$_})[-1] // '';
        }

        if ($seen{arms} eq 'async') {
            $seen{$_} = '' for qw(at arms sha256);
        }
    }

    $seen{by} = $got->{body} eq 's1' ? 's1' : $got->{status};

    return \%seen;
}


sub sum {
    my (@counted) = @_;

    my %sum;

    for my $counted (@counted) {
        $sum{$_} += $counted->{$_} for keys %$counted;
    }

    return join ', ', map { "$_: $sum{$_}" } sort keys %sum;
}


for (@faults) {
    my ($title, $arm, $what, @outcomes) = @$_;

    subtest $title => sub {
        my (@uploads, %counted, @full);

        if ($arm eq 'full') {
            @full = map { $rollouts->begin({ to => "full_$_",
                                             what => 'a1=hang' }) } @modes;
            $rollouts->arrived(@full);
        }

        for my $mode (@modes) {
            for my $kind (@{$outcomes[0]{kinds} // \@kinds}) {
                my ($method, $key) = @$kind;

                push @uploads, {
                    to => "${arm}_$mode", method => $method,
                    what => "a1=$what", mode => $mode, kind => $kind,
                    body => $outcomes[0]{body} // 'the body',
                    headers => $key ? ['Idempotency-Key' => $key] : [],
                };
            }
        }

        my @got = $rollouts->play(@uploads);

        for my $upload (@uploads) {
            my $got = shift @got;
            my ($mode, $kind) = @$upload{qw(mode kind)};

            my ($fault) = grep { ($_->{class} // $_->{rejected})
                                 eq $got->{error} } @outcomes;

            $fault = { %{$fault // $outcomes[0]}, body => $outcomes[0]{body} };

            my ($expected, $counted) = expected($fault, $arm, $mode, $kind);

            is_deeply(seen($got, $fault), $expected,
                      "$mode, $kind->[0]" . ($kind->[1] ? ' with a key' : ''));

            push @{$counted{$mode}}, $counted;
        }

        if (@full) {
            $rollouts->leave(@full);
            push @{$counted{$_}}, { aborted => 1 } for @modes;
        }

        is($outcome->counted("${arm}_$_"), sum(@{$counted{$_}}),
           "$_: it is counted once") for @modes;
    };
}


$nginx->stop(
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/no live upstreams/,
    qr/upstream prematurely closed connection/,
    qr/upstream timed out/,
    qr/upstream sent no valid HTTP/,
    qr/upstream sent invalid header/,
    qr/SSL_do_handshake\(\) failed/,
    qr/upstream SSL certificate verify error/,
    qr/(?:recv|readv|send|sendfile|writev)\(\) failed \((?:32|104): /,
);

done_testing();
