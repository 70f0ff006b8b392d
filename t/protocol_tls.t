#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Fallback after failures over https: sessions of each server are used again,
# on new connections and after a fallback, and kept connections may be stale.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Outcome;
use Stub;
use Test::More;
use Tls;


my $stub = Stub->start(qw(a1 a2 s1));
my $tls = Tls->start($stub, qw(a1 a2 s1));
my ($port, $dead) = (free_port(), free_port());

my ($http, $locations) = ('', '');

# Sessions are kept with the server, in the process or in its zone.

sub rollout {
    my ($name, %args) = @_;

    my $keepalive = $args{keepalive} ? 'keepalive 4;' : '';
    my $zone = sub { $args{zone} ? "zone $_[0] 64k;" : '' };
    my $connection = $args{keepalive} ? '""' : 'close';
    my $server = $args{dead} ? $dead : $tls->port('a1');

    $http .= <<"END";
    upstream async_$name {
        @{[$zone->("async_$name")]}
        server 127.0.0.1:$server max_fails=0;
        $keepalive
    }

    upstream $name {
        @{[$zone->($name)]}
        server 127.0.0.1:@{[$tls->port('s1')]} max_fails=0;
        $keepalive
        async_upload async_$name zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
        async_upload_fallback failure replay=always;
    }
END

    $locations .= <<"END";
        location /$name {
            proxy_http_version 1.1;
            proxy_set_header Connection $connection;
            proxy_set_header X-Arm \$async_upload_arm;
            proxy_ssl_session_reuse @{[$args{reuse} // 'on']};
            proxy_pass https://$name;
        }
END
}

rollout('new');
rollout('zone', zone => 1);
rollout('no_reuse', reuse => 'off');
rollout('kept', keepalive => 1);
rollout('kept_zone', keepalive => 1, zone => 1);
rollout('dead', dead => 1);

my $nginx = AsyncUpload->start(port => $port, env => Tls::environment(),
                               http => <<"END");
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
my $noise = join '', map { chr rand 256 } 1 .. 1048576;

# What the servers saw since the last call, in which there were so many requests
# to async and to sync: one letter a handshake, "n", a new session, or "r", one
# that was reused.

sub sessions {
    my %requests = (a1 => $_[0], s1 => $_[1]);

    return join ' ', map {
        my $name = $_;

        "$name:" . join '', map { $_->{reused} ? 'r' : 'n' }
                                $tls->handshakes($name, $requests{$name});
    } qw(a1 s1);
}


for my $name (qw(new zone)) {
    subtest "$name: each arm uses its own sessions again" => sub {
        is($outcome->upload("/$name"), '200 at a1', 'async') for 1 .. 3;
        is(sessions(3, 0), 'a1:nrr s1:', 'the first one of async is new');

        is($outcome->upload("/$name", 'a1=500'), '200 at a1+s1', 'fallback')
            for 1 .. 3;
        is(sessions(3, 3), 'a1:rrr s1:nrr', 'and the first one of sync');

        is($outcome->upload("/$name", 'a1=drop'), '200 at a1+s1', 'dropped')
            for 1 .. 2;
        is($outcome->upload("/$name"), '200 at a1', 'async') for 1 .. 2;
        is(sessions(4, 2), 'a1:rrrr s1:rr',
           'sessions of dropped connections are good still');

        is($outcome->upload("/$name", 'a1=500', chunked => 1, body => $noise),
           '200 at a1+s1', 'a megabyte');
        is(sessions(1, 1), 'a1:r s1:r', 'and so forth');
        is($outcome->counted($name), 'failure http_500: 4, failure reset: 2,'
           . ' masked: 6, served: 6, success: 5', 'counted');
    };
}


subtest 'sessions are new where it was said' => sub {
    is($outcome->upload('/no_reuse', 'a1=500'), '200 at a1+s1', 'fallback')
        for 1 .. 3;
    is(sessions(3, 3), 'a1:nnn s1:nnn', 'at both arms');
};


for my $name (qw(kept kept_zone)) {
    subtest "$name: a kept connection may be stale" => sub {
        is($outcome->upload("/$name"), '200 at a1', 'async') for 1 .. 3;
        is($outcome->upload("/$name", 'a1=500'), '200 at a1+s1', 'fallback')
            for 1 .. 3;
        is(sessions(6, 3), 'a1:nrr s1:n', 'connections without an error are kept');

        # the stub does not see what Tls.pm drops

        is($outcome->upload("/$name"), '200 at a1', 'async');
        is($outcome->upload("/$name", 'a1=stale'), '200 at a1', 'stale');
        is($outcome->upload("/$name"), '200 at a1', 'async');

        # one, the one that was dropped, and its retry and one more

        my @at = $tls->handshakes('a1', 4);

        is($at[-1]{requests}, 2, 'the new connection is kept');
        is($at[-1]{reused}, 1, 'its session is not new');

        is($outcome->upload("/$name", 'a1=drop'), '200 at a1+a1+s1',
           'the one after the stale one is dropped, too');
        sessions(2, 1);
        is($outcome->counted($name), 'failure http_500: 3, failure reset: 1,'
           . ' masked: 4, served: 4, success: 6', 'counted');
    };
}


subtest 'a refused connection is no reason to give up the session of sync'
    => sub
{
    is($outcome->upload('/dead'), '200 at s1', 'refused') for 1 .. 3;
    is(sessions(0, 3), 'a1: s1:nrr', 'sessions');
    is($outcome->counted('dead'), 'failure connect: 3, masked: 3, served: 3',
       'counted');
};


$nginx->stop(
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/upstream prematurely closed connection/,
    qr/recv\(\) failed|SSL_read\(\) failed|SSL_shutdown\(\) failed/,
);
$tls->stop;

done_testing();
