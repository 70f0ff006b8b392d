#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Several locations of one rollout, and several rollouts of one location, each
# with settings and kept connections of its own, at both arms.  Everything is
# done in turns, and again after a reload.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Outcome;
use Stub;
use Test::More;
use Tls;


my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.};

my $stub = Stub->start(qw(a1 s1 s2));
my $tls = Tls->start($stub, qw(a1 s1));
my $port = free_port();

# Each location may have a cache of connections of its own in newer versions.

my $local = $minor >= 30;
my $keepalive = $local ? 'keepalive 8 local;' : 'keepalive 8;';

my ($http, $locations) = ('', '');

sub block {
    my ($name, @servers) = @_;

    my $text = join "\n        ", map {
        my ($server, @options) = split;
        my $address = $server =~ s/^tls_// ? $tls->port($server)
                                           : $stub->port($server);

        "server 127.0.0.1:$address max_fails=0 @options;";
    } @servers;

    return "    upstream $name {\n        $text\n";
}

sub rollout {
    my ($name, $async, $rollout, @sync) = @_;

    $http .= block($name, @sync) . <<"END";
        $keepalive
        async_upload $async zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollout 100%;
        $rollout
    }
END
}

sub location {
    my ($name, $to, $text) = @_;

    $locations .= <<"END";
        location /$name {
            $text
            proxy_pass $to;
        }
END
}

for (['async', 'a1'], ['async_also', 'a1'], ['async_tls', 'tls_a1'],
     ['async_names', 'tls_a1'])
{
    $http .= block(@$_) . "        $keepalive\n    }\n";
}

my $always = 'async_upload_fallback failure replay=always;';


# Timeouts.

rollout('timed', 'async', $always, 's1', 's2 backup');
rollout('timed_async', 'async', "$always async_upload_timeout 200ms;", 's1');
rollout('patient', 'async', "$always async_upload_timeout 30s;", 's1');

location('short', 'http://timed', 'proxy_read_timeout 200ms;');
location('long', 'http://timed', 'proxy_read_timeout 30s;');
location('async_short', 'http://timed_async', 'proxy_read_timeout 30s;');
location('sync_short', 'http://patient', 'proxy_read_timeout 200ms;');

# An upload that one of its servers holds while the code runs.

sub held {
    my ($uri, $what, $code) = @_;

    $stub->hold;

    my $socket = send_request($port, 'POST', $uri, body => 'the body',
                              headers => ['X-Stub' => $what, 'X-Id' => 'held']);
    my ($server) = $what =~ /(\w+)=slow/;
    my @at;

    wait_for { push @at, map { $_->{stub} } $stub->requests;
               grep { $_ eq $server } @at } "an upload at $server";

    $code->();
    $stub->release;

    return read_response($socket)->{status} . ' at ' . join '+', @at;
}

sub timeouts {
    my ($outcome) = @_;

    my $got = held('/long', 'a1=slow', sub {
        is($outcome->upload('/short', 'a1=hang'), '200 at a1+s1',
           'the short one falls back');
        is($outcome->upload('/short', 'a1=hang s1=hang'), '504 at a1+s1',
           'no POST is repeated at sync');
        is($outcome->upload('/short', 'a1=hang s1=hang', method => 'PUT'),
           '200 at a1+s1+s2', 'but a PUT is');
    });

    is($got, '200 at a1', 'the long one waits for async');

    $got = held('/long', 'a1=500 s1=slow', sub {
        is($outcome->upload('/short', 'a1=500 s1=hang'), '504 at a1+s1',
           'the short one waits for nobody');
    });

    is($got, '200 at a1+s1', 'the long one waits for sync');
    is($outcome->counted('timed'), 'failure http_500: 2, failure timeout: 3,'
       . ' masked: 3, served: 3, success: 1, unserved: 2', 'counted');

    $got = held('/async_short', 'a1=500 s1=slow', sub {
        is($outcome->upload('/async_short', 'a1=hang'), '200 at a1+s1',
           'the timeout of async is for async');
    });

    is($got, '200 at a1+s1', 'and not for sync');

    $got = held('/sync_short', 'a1=slow', sub {
        is($outcome->upload('/sync_short', 'a1=500 s1=hang'), '504 at a1+s1',
           'that of the location is for sync');
    });

    is($got, '200 at a1', 'and not for async that has its own');
}


# Rules for the next server.

rollout('next', 'async', $always, 's1', 's2 backup');

location('off', 'http://next', 'proxy_next_upstream off;');
location('all', 'http://next',
         'proxy_next_upstream error http_500 non_idempotent;');
location('some', 'http://next',
         'proxy_next_upstream error http_503 non_idempotent;');
location('tries', 'http://next',
         'proxy_next_upstream error http_500 non_idempotent;
          proxy_next_upstream_tries 2;');
location('one', 'http://next', 'proxy_next_upstream_tries 1;');

sub rules {
    my ($outcome) = @_;

    my @cases = (
        ['off', 'a1=500 s1=500', '500 at a1+s1'],
        ['all', 'a1=500 s1=500', '200 at a1+s1+s2'],
        ['some', 'a1=500 s1=500', '500 at a1+s1'],
        ['some', 'a1=500 s1=503', '200 at a1+s1+s2'],
        ['tries', 'a1=500 s1=500', '500 at a1+s1'],
        ['one', 'a1=500', '500 at a1'],
        ['off', 'a1=503', '200 at a1+s1'],
    );

    for my $method ('POST', 'PUT', 'PATCH') {
        for (@cases) {
            my ($name, $what, $expected) = @$_;

            is($outcome->upload("/$name", $what, method => $method), $expected,
               "$name: $method, $what");
        }
    }

    is($outcome->counted('next'), 'failure http_500: 18, failure http_503: 3,'
       . ' masked: 9, served: 9, unserved: 9', 'counted');

    # what is no upload, under the same settings

    for (['off', '500 at s1'], ['all', '200 at s1+s2'], ['one', '500 at s1']) {
        my ($name, $expected) = @$_;

        is($outcome->upload("/$name", 's1=500', method => 'DELETE'), $expected,
           "$name: DELETE");
    }
}


# Names of TLS.  The certificates are those of the servers.  Connections are not
# kept, nor are sessions of locations that do not verify them in these blocks: in
# both, nginx does not look at names again.

rollout('names', 'async_names', $always, 'tls_s1');

my $verify = 'proxy_ssl_verify on; proxy_ssl_trusted_certificate tls.pem;
              proxy_ssl_server_name on; proxy_set_header Connection close;
              proxy_set_header X-Arm $async_upload_arm;';

location('name_a1', 'https://names', "$verify proxy_ssl_name a1.example;");
location('name_s1', 'https://names', "$verify proxy_ssl_name s1.example;");

sub names {
    my ($outcome) = @_;

    for (1 .. 2) {
        is($outcome->upload('/name_a1'), '200 at a1', 'async is who it is');
        is($outcome->upload('/name_a1', 'a1=500'), '502 at a1',
           'sync is not');
        is($outcome->upload('/name_s1'), '200 at s1', 'async is not');
    }

    # all that they had

    $tls->handshakes('a1', 4);
    $tls->handshakes('s1', 2);

    is($outcome->counted('names'), 'failure connect: 2, failure http_500: 2,'
       . ' masked: 2, served: 2, success: 2, unserved: 2', 'counted');
}


# Kept connections, of which those that failed are closed: all are of uploads
# that were well at async, or at sync with an async that cannot be reached.

my $dead = free_port();

$http .= <<"END";
    upstream async_dead { server 127.0.0.1:$dead max_fails=0; }
END

rollout('kept', 'async', $always, 's1');
rollout('kept_dead', 'async_dead', $always, 's1');
rollout('kept_tls', 'async_tls', $always, 'tls_s1');
rollout('kept_tls_dead', 'async_dead', $always, 'tls_s1');

my @pairs = map { ([$_, 'a1'], ["${_}_dead", 's1']) } qw(kept kept_tls);

for (@pairs) {
    my ($name) = @$_;
    my $scheme = $name =~ /tls/ ? 'https' : 'http';

    location("${name}_$_", "$scheme://$name", "proxy_ssl_name $_.example;
             proxy_ssl_server_name on;") for qw(x y);
}

sub kept {
    my ($outcome) = @_;

    for (@pairs) {
        my ($name, $server) = @$_;
        my %at;

        for (1 .. 3) {
            for my $location (qw(x y)) {
                my $answer = $outcome->{nginx}->request('POST',
                    "/${name}_$location", body => 'x');

                is($answer->{status}, 200, "$name, $location");
                $at{$_->{connection}}{$location}++ for $stub->requests;
            }
        }

        if ($name =~ /tls/) {

            # as the stub has its connections from Tls.pm

            is_deeply([map { [@$_{qw(name requests)}] }
                           $tls->handshakes($server, 6)],
                      $local ? [['x.example', 3], ['y.example', 3]]
                             : [['x.example', 6]],
                      "$name: connections are kept by location, and name");

        } else {
            is_deeply([map { $at{$_} } sort { $a <=> $b } keys %at],
                      $local ? [{ x => 3 }, { y => 3 }] : [{ x => 3, y => 3 }],
                      "$name: connections are kept by location");
        }
    }
}


# Rollouts by a variable: two of one async block, one of another.

rollout('to_short', 'async', "$always async_upload_tries 2;
        async_upload_timeout 200ms;", 's1');
rollout('to_long', 'async', $always, 's2');
rollout('to_connect', 'async_also', '', 's2');

location('variable', 'http://$arg_to', 'proxy_read_timeout 30s;');

sub variable {
    my ($outcome) = @_;

    my $to = '/variable?to=to';

    my $got = held("${to}_long", 'a1=slow', sub {
        is($outcome->upload("${to}_short", 'a1=hang'), '200 at a1+a1+s1',
           'a short timeout and two tries');
    });

    is($got, '200 at a1', 'a long timeout');

    $got = held("${to}_connect", 'a1=slow', sub {
        is($outcome->upload("${to}_short", 'a1=hang'), '200 at a1+a1+s1',
           'a short timeout and two tries');
    });

    is($got, '200 at a1', 'no timeout but that of the location');

    for (1 .. 2) {
        is($outcome->upload("${to}_long", 'a1=500'), '200 at a1+s2', 'one try');
        is($outcome->upload("${to}_connect", 'a1=500'), '500 at a1', 'none');
        is($outcome->upload("${to}_short", 'a1=500'), '200 at a1+a1+s1',
           'two tries');
    }

    is($outcome->counted('to_short'), 'failure http_500: 2,'
       . ' failure timeout: 2, masked: 4, served: 4', 'counted, two tries');
    is($outcome->counted('to_long'), 'failure http_500: 2, masked: 2,'
       . ' served: 2, success: 1', 'counted, one try');
    is($outcome->counted('to_connect'), 'failure http_500: 2, success: 1',
       'counted, none');

    my %at;

    for (1 .. 3) {
        for my $name (qw(short long connect)) {
            is($outcome->{nginx}->request('POST', "${to}_$name", body => 'x')
                   ->{status}, 200, $name);
            $at{$_->{connection}}{$name}++ for $stub->requests;
        }
    }

    # those that were kept before, and those of each rollout, or of each block

    my @at = sort { (sort keys %$a)[0] cmp (sort keys %$b)[0] } values %at;

    is_deeply(\@at,
              $local ? [{ connect => 3 }, { long => 3 }, { short => 3 }]
                     : [{ connect => 3 }, { long => 3, short => 3 }],
              'connections are kept by rollout');

    is($outcome->counted("to_$_"), 'success: 3', 'counted')
        for qw(short long connect);
}


my $nginx = AsyncUpload->start(
    port => $port,
    env => Tls::environment(),
    files => { 'conf/tls.pem' => slurp("$tls->{dir}/conf/tls.pem") },
    http => <<"END",
    $http

    server {
        listen 127.0.0.1:$port;

        lingering_close off;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Arm \$async_upload_arm;

        $locations

        location = /async_upload/status {
            async_upload_status;
        }
    }
END
);

my @parts = (
    ['timeouts are those of the location and of the rollout', \&timeouts],
    ['rules for the next server are those of the location', \&rules],
    ['kept connections are those of the location', \&kept],
    ['names of TLS are those of the location', \&names],
    ['a location that reaches several rollouts', \&variable],
);

my $outcome = Outcome->new($nginx, $stub);

for my $when ('', ', after a reload') {
    $nginx->reload if $when;

    for (@parts) {
        my ($title, $code) = @$_;

        subtest "$title$when" => sub { $code->($outcome) };
    }
}

$nginx->stop(
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/upstream prematurely closed connection/,
    qr/upstream timed out/,
    qr/upstream SSL certificate does not match/,
);
$tls->stop;

done_testing();
