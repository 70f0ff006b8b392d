#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Rollouts behind fastcgi_pass, scgi_pass, uwsgi_pass, grpc_pass and, where
# nginx has it, proxy_pass by HTTP/2.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256 sha256_hex);
use Stub;
use Test::More;


my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.};

# HTTP/2 is spoken by servers of nginx itself, in front of "s1" and "a1"

my $stub = Stub->start(qw(s1 a1), map { ("s$_/$_", "a$_/$_") }
                                      qw(fastcgi scgi uwsgi));
my ($port, $dead) = (free_port(), free_port());
my %h2 = map { ($_ => free_port()) } qw(s1 a1);

my $cgi = <<'END';
    PARAM HTTP_X_ARM $async_upload_arm;
    PARAM HTTP_X_TEXT "$async_upload_arm is the arm";
    PARAM REQUEST_METHOD $request_method;
    PARAM REQUEST_URI $request_uri;
    PARAM CONTENT_LENGTH $content_length;
END

my %protocols = (
    fastcgi => $cgi =~ s/PARAM/fastcgi_param/gr . 'fastcgi_pass',
    scgi => $cgi =~ s/PARAM/scgi_param/gr . 'scgi_pass',
    uwsgi => $cgi =~ s/PARAM/uwsgi_param/gr . 'uwsgi_pass',
    grpc => 'grpc_set_header X-Arm $async_upload_arm;
             grpc_set_header X-Text "$async_upload_arm is the arm"; grpc_pass',
);

if ($minor >= 30) {
    $protocols{h2} = 'proxy_set_header X-Arm $async_upload_arm;
                      proxy_set_header X-Text "$async_upload_arm is the arm";
                      proxy_http_version 2; proxy_pass';
}

my ($http, $locations) = ('', '');

for my $protocol (sort keys %protocols) {
    my $by_h2 = $protocol =~ /grpc|h2/;

    my ($sync, $async) = $by_h2
        ? @h2{qw(s1 a1)}
        : map { $stub->port("$_$protocol") } qw(s a);

    my $keepalive = $by_h2 ? 'keepalive 4;' : '';

    $http .= <<"END";
    upstream async_$protocol { server 127.0.0.1:$async; $keepalive }
    upstream dead_$protocol { server 127.0.0.1:$dead; }
    upstream down_$protocol { server 127.0.0.1:$async down; }
END

    for (['live', 'async', 50], ['dead', 'dead', 100], ['down', 'down', 100]) {
        my ($kind, $block, $share) = @$_;
        my $name = "${kind}_$protocol";

        $http .= <<"END";
    upstream r_$name {
        server 127.0.0.1:$sync;
        $keepalive
        async_upload ${block}_$protocol zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout $share%;
        async_upload_key \$http_x_id;
    }
END

        my $to = ($protocol eq 'h2' ? 'http://' : '') . "r_$name";

        $locations .= <<"END";
        location /$name {
            $protocols{$protocol} $to;
        }
END

        # unbuffered, where the protocol has that

        my $module = $protocol eq 'h2' ? 'proxy' : $protocol;

        $locations .= <<"END" if $protocol ne 'grpc';
        location /unbuffered_$name {
            ${module}_request_buffering off;
            $protocols{$protocol} $to;
        }
END
    }
}

for my $name (keys %h2) {
    my $listen = $minor > 25 ? "listen 127.0.0.1:$h2{$name}; http2 on;"
                             : "listen 127.0.0.1:$h2{$name} http2;";

    $http .= <<"END";
    server {
        $listen

        location / {
            client_max_body_size 0;
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:@{[$stub->port($name)]};
        }
    }
END
}

my $nginx = AsyncUpload->start(port => $port, http => <<"END");
    $http

    server {
        listen 127.0.0.1:$port;

        lingering_close off;
        client_max_body_size 0;
        client_body_buffer_size 8k;

        add_header X-Fallback \$async_upload_fallback always;

        $locations

        location = /async_upload/status {
            async_upload_status;
        }
    }
END


my $noise = join '', map { chr rand 256 } 1 .. 1048576;

sub bucket {
    my ($name, $key) = @_;

    return unpack('N', sha256("$name.$key")) * 10000 >> 32;
}


# One upload; it has to arrive at the arm, once, whole and knowing where it is.

sub arrives {
    my ($title, $location, $arm, $why, %args) = @_;

    my $answer = $nginx->request('POST', "/$location", body => 'x', %args);
    my @requests = $stub->requests;
    my $request = $requests[0] // { headers => {}, sha256 => '' };

    is_deeply(
        {
            status => $answer->{status},
            fallback => $answer->{headers}{'x-fallback'} // '',
            requests => scalar @requests,
            arm => $request->{headers}{'x-arm'},
            text => $request->{headers}{'x-text'},
            body => $request->{sha256},
        },
        {
            status => 200,
            fallback => $why,
            requests => 1,
            arm => $arm,
            text => "$arm is the arm",
            body => sha256_hex($args{body} // 'x'),
        }, $title);
}


for my $protocol (sort keys %protocols) {

    for my $key (map { "client-$_" } 1 .. 8) {
        my $arm = bucket("live_$protocol", $key) < 5000 ? 'async' : 'sync';

        arrives("$protocol: $key goes to $arm", "live_$protocol", $arm, '',
                headers => ['X-Id' => $key]);
    }

    my $uploads = 0;

    for my $buffered ('', $protocol eq 'grpc' ? () : 'unbuffered_') {
        for my $size (0, 1, 16384, 1048576) {
            for my $chunked (0, 1) {

                # CGI has no body without a length

                my @args = (body => substr($noise, 0, $size),
                            chunked => $chunked, headers => ['X-Id' => 'a']);
                my $title = "$size bytes" . ($buffered && ', unbuffered')
                            . ($chunked ? ', chunked' : '');

                next if $chunked && $buffered && $protocol ne 'h2';

                arrives("$protocol: dead, $title", "${buffered}dead_$protocol",
                        'sync', 'connect', @args);
                arrives("$protocol: down, $title", "${buffered}down_$protocol",
                        'sync', 'no_live_peer', @args);
                $uploads++;
            }
        }
    }

    for (['dead', 'connect'], ['down', 'no_live_peer']) {
        my ($kind, $class) = @$_;
        my $rollout = $nginx->quiet("${kind}_$protocol");

        conserved($rollout, "$protocol: $kind: uploads are counted once");

        is($rollout->{arms}{async}{by_class}{$class}, $uploads,
           "$protocol: $kind: all are of class $class");
        is($rollout->{fallback}{served}, $uploads,
           "$protocol: $kind: all are served by sync");
    }
}

$nginx->stop(qr/connect\(\) failed \(111: Connection refused\)/);

done_testing();
