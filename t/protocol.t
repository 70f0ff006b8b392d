#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Fallback after failures over every protocol that nginx speaks to upstreams:
# what is sent again, on which connection, and as what it is counted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Outcome;
use Stub;
use Test::More;


my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.};

my $cgi = <<'END';
    PARAM HTTP_X_ARM $async_upload_arm;
    PARAM REQUEST_METHOD $request_method;
    PARAM REQUEST_URI $request_uri;
    PARAM CONTENT_LENGTH $content_length;
END

my $proxy = <<'END';
    proxy_set_header X-Arm $async_upload_arm;
    proxy_set_header Connection "";
END

# By protocol: what stands before "PROTOCOL_pass NAME", and whether it keeps
# connections.

my %protocols = (
    http => { keeps => 1, module => 'proxy', scheme => 'http://',
              text => $proxy . 'proxy_http_version 1.1;' },
    fastcgi => { keeps => 1, module => 'fastcgi', scheme => '',
                 text => $cgi =~ s/PARAM/fastcgi_param/gr
                         . 'fastcgi_keep_conn on;' },
    scgi => { keeps => 0, module => 'scgi', scheme => '',
              text => $cgi =~ s/PARAM/scgi_param/gr },
    uwsgi => { keeps => 0, module => 'uwsgi', scheme => '',
               text => $cgi =~ s/PARAM/uwsgi_param/gr },
    grpc => { keeps => 1, module => 'grpc', scheme => 'grpc://', streams => 1,
              text => 'grpc_set_header X-Arm $async_upload_arm;' },
);

if ($minor >= 30) {
    $protocols{h2} = { keeps => 1, module => 'proxy', scheme => 'http://',
                       streams => 1,
                       text => $proxy . 'proxy_http_version 2;' };
}

my @protocols = sort keys %protocols;

my $stub = Stub->start(map { my $p = $_; map { "$_$p/$p" } qw(a1 a2 s1) }
                           @protocols);
my ($port, $dead) = (free_port(), free_port());

my ($http, $locations) = ('', '');

sub rollout {
    my ($protocol, $name, $rollout, $servers) = @_;

    my $p = $protocols{$protocol};
    my $keepalive = $p->{keeps} ? 'keepalive 4;' : '';
    my $sync = $stub->port("s1$protocol");

    $servers //= ['a1'];

    my $async = join ' ', map {
        my $server = $_ eq 'dead' ? $dead : $stub->port("$_$protocol");

        "server 127.0.0.1:$server max_fails=0;";
    } @$servers;

    $http .= <<"END";
    upstream async_${name}_$protocol {
        $async
        $keepalive
    }

    upstream ${name}_$protocol {
        server 127.0.0.1:$sync max_fails=0;
        $keepalive
        async_upload async_${name}_$protocol zone=${name}_$protocol:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
        $rollout
    }
END

    $locations .= <<"END";
        location /${name}_$protocol {
            $p->{text}
            $p->{module}_pass $p->{scheme}${name}_$protocol;
        }
END
}

for (@protocols) {
    rollout($_, 'always', 'async_upload_fallback failure replay=always;');
    rollout($_, 'short', 'async_upload_fallback failure replay=always;
                          async_upload_timeout 200ms;');
    rollout($_, 'dead', 'async_upload_fallback failure replay=always;',
            ['dead']);
    rollout($_, 'keyed', 'async_upload_fallback failure;');
    rollout($_, 'connect', 'async_upload_fallback connect;');
    rollout($_, 'two', 'async_upload_fallback failure replay=always;
                        async_upload_tries 2;', ['a1', 'a2']);
    rollout($_, 'two_half', 'async_upload_fallback failure replay=always;
                             async_upload_tries 2;', ['a1', 'dead']);
    rollout($_, 'two_dead', 'async_upload_fallback connect;
                             async_upload_tries 2;', ['dead', 'a2']);
}

my $nginx = AsyncUpload->start(port => $port, http => <<"END");
    $http

    server {
        listen 127.0.0.1:$port;

        lingering_close off;
        client_max_body_size 0;
        client_body_buffer_size 8k;

        $locations

        location = /async_upload/status {
            async_upload_status;
        }
    }
END

my $outcome = Outcome->new($nginx, $stub);
my $noise = join '', map { chr rand 256 } 1 .. 3145728;


# upload PROTOCOL, NAME, WHAT: "a1" and so on stand for the protocol's own.

sub upload {
    my ($protocol, $name, $what, %args) = @_;

    my $got = $outcome->upload("/${name}_$protocol",
                               ($what // '') =~ s/\b([as]\d)=/$1$protocol=/gr,
                               %args);

    return $got =~ s/\b([as]\d)$protocol\b/$1/gr;
}

sub counted {
    my ($protocol, $name) = @_;

    return $outcome->counted("${name}_$protocol");
}


# What a failure is, by what the server does.

my %failures = (500 => 'http_500', 502 => 'http_502', 503 => 'http_503',
                504 => 'http_504', drop => 'reset', garbage => 'invalid');

sub failures {
    my ($protocol) = @_;

    return (%failures, $protocols{$protocol}{streams}
                       ? (reset => 'invalid', goaway => 'invalid') : ());
}


for my $protocol (@protocols) {
    my $p = $protocols{$protocol};
    my %failures = failures($protocol);


    # Connections to both arms are warm from the second round on, so that
    # numbers of streams and of records differ.

    subtest "$protocol: a failure of async is masked by sync" => sub {
        for my $round (1 .. 3) {
            for my $what (sort keys %failures) {
                is(upload($protocol, 'always'), '200 at a1', 'async is well');

                # a kept connection that is closed is tried once more

                my $at = $what eq 'drop' && $p->{keeps} ? 'a1+a1+s1' : 'a1+s1';

                is(upload($protocol, 'always', "a1=$what"), "200 at $at",
                   "$what, round $round");
                is(counted($protocol, 'always'),
                   "failure $failures{$what}: 1, masked: 1, served: 1,"
                   . ' success: 1', "one of class $failures{$what}");
            }
        }

        is(upload($protocol, 'short', 'a1=hang'), '200 at a1+s1', 'hang')
            for 1 .. 2;
        is(counted($protocol, 'short'),
           'failure timeout: 2, masked: 2, served: 2', 'two of class timeout');

        is(upload($protocol, 'dead'), '200 at s1', 'refused') for 1 .. 2;
        is(counted($protocol, 'dead'),
           'failure connect: 2, masked: 2, served: 2', 'two of class connect');
    };


    subtest "$protocol: what sync answers to it is the answer" => sub {
        for (['s1=404', '404', 'masked: 1, served: 1'],
             ['s1=503', '503', 'unserved: 1'], ['s1=drop', '502', 'unserved: 1'])
        {
            my ($sync, $status, $counted) = @$_;

            # on a connection that sync has just opened, or has kept

            is(upload($protocol, 'always', "a1=500 $sync") =~ s/\+s1\+s1/+s1/r,
               "$status at a1+s1", $sync);
            is(counted($protocol, 'always'), "failure http_500: 1, $counted",
               'counted');
        }
    };


    subtest "$protocol: bodies of any size arrive at sync" => sub {
        for my $size (0, 1, 16383, 16384, 16385, length $noise) {
            for my $chunked (0, 1) {
                for my $what ($size < 1e6 ? (500, 'drop')
                                          : $chunked ? 500 : 'drop')
                {
                    my $title = "$what, $size bytes"
                                . ($chunked ? ', chunked' : '');

                    # gRPC's bodies are not buffered but where all of it has
                    # come with the header

                    my $once = $protocol eq 'grpc' && $size > 1;

                    my $got = upload($protocol, 'always', "a1=$what",
                                     chunked => $chunked,
                                     body => substr $noise, 0, $size);

                    is($got, $once ? ($what eq 'drop' ? '502 at a1'
                                                      : '500 at a1')
                                   : '200 at a1+s1', $title);
                }
            }
        }
    };


    subtest "$protocol: keyed: what is safe to repeat is" => sub {
        my @key = (headers => ['Idempotency-Key' => '"8e03978e"']);

        for my $what (sort keys %failures) {
            my $status = $what =~ /\d/ ? $what : 502;

            is(upload($protocol, 'keyed', "a1=$what"), "$status at a1",
               "$what, POST");
            is(upload($protocol, 'keyed', "a1=$what", @key), '200 at a1+s1',
               "$what, POST with a key");
            is(upload($protocol, 'keyed', "a1=$what", method => 'PUT'),
               '200 at a1+s1', "$what, PUT");
            is(counted($protocol, 'keyed'),
               "failure $failures{$what}: 3, masked: 2, served: 2",
               "three of class $failures{$what}");

            is(upload($protocol, 'connect', "a1=$what", @key,
                      method => 'PUT'), "$status at a1", "$what, connect");
            is(counted($protocol, 'connect'), "failure $failures{$what}: 1",
               "one of class $failures{$what}");
        }
    };


    subtest "$protocol: several attempts at async come before sync" => sub {
        my %seen;

        for (1 .. 4) {
            is(upload($protocol, 'two', 'a1=500 a2=500') =~ s/a\d/a/gr,
               '200 at a+a+s1', 'both fail');
        }

        # Round robin: every second one is first at the one that is well.

        $seen{upload($protocol, 'two', 'a1=500')}++ for 1 .. 4;

        is_deeply(\%seen, { '200 at a1+a2' => 2, '200 at a2' => 2 },
                  'if one of them fails the other one serves');
        is(counted($protocol, 'two'),
           'failure http_500: 4, masked: 4, served: 4, success: 4', 'counted');

        for (1 .. 4) {
            is(upload($protocol, 'two_dead'), '200 at a2',
               'one of them is dead');
        }

        is(counted($protocol, 'two_dead'), 'success: 4', 'counted');

        # whichever comes first, something was sent

        is(upload($protocol, 'two_half', 'a1=500'), '200 at a1+s1',
           'one of them is dead, and the other one fails')
            for 1 .. 4;

        is(counted($protocol, 'two_half'),
           'failure http_500: 4, masked: 4, served: 4', 'counted');
    };


    next if !$p->{keeps};

    # A kept connection that the server closes on the next upload says nothing
    # about the server: nginx tries anew, for which there has to be permission.

    subtest "$protocol: a stale connection is no failure" => sub {
        for (1 .. 3) {
            is(upload($protocol, 'always'), '200 at a1', 'a connection is kept')
                for 1 .. 2;
            is(upload($protocol, 'always', 'a1=stale'), '200 at a1+a1',
               'it is stale');
        }

        is(counted($protocol, 'always') =~ s/^.*(?=success)//r, 'success: 9',
           'all are successes of async');

        is(upload($protocol, 'always', 'a1=drop'), '200 at a1+a1+s1',
           'the next one fails, too');
        is(counted($protocol, 'always'),
           'failure reset: 1, masked: 1, served: 1', 'one of class reset');

        # both arms have kept one

        is(upload($protocol, 'always', 'a1=500'), '200 at a1+s1', 'at sync');
        is(upload($protocol, 'always', 'a1=500 s1=stale'), '502 at a1+s1',
           'sync is under the rules of the location: no POST is repeated');
        is(upload($protocol, 'always', 'a1=500'), '200 at a1+s1', 'at sync');

        # but for an error of nginx itself: on the new connection, streams have
        # the number that they had on the old one

        like(upload($protocol, 'always', 'a1=500 s1=stale', method => 'PUT'),
             $p->{streams} ? qr/^(?:502 at a1\+s1|200 at a1\+s1\+s1)$/
                           : qr/^200 at a1\+s1\+s1$/, 'but a PUT is');

        is(upload($protocol, 'keyed'), '200 at a1', 'a connection is kept');
        is(upload($protocol, 'keyed', 'a1=stale'), '502 at a1',
           'no POST without a key is repeated at async either');
        is(counted($protocol, 'keyed') =~ s/^.*(?=failure reset)//r,
           'failure reset: 1, success: 1', 'one of class reset');
    };
}

$nginx->stop(
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/upstream prematurely closed connection/,
    qr/upstream timed out/,
    qr/upstream sent (?:no valid HTTP|invalid|unsupported|goaway|too)/,
    qr/upstream rejected request with error/,
    qr/recv\(\) failed/,
);

done_testing();
