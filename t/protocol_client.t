#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Fallback after failures for clients that speak HTTP/2.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use File::Temp qw(tempdir);
use Outcome;
use Stub;
use Test::More;
use Tls;


my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.};

my $stub = Stub->start(qw(a1 s1 a1grpc/grpc s1grpc/grpc));
my ($port, $h2, $tls, $dead) = map { free_port() } 1 .. 4;
my $dir = tempdir('async_upload_client_XXXXXX', TMPDIR => 1, CLEANUP => 1);

my ($http, $locations) = ('', '');

for my $protocol ('', 'grpc') {
    for (['failure', "a1$protocol", 'failure replay=always'],
         ['keyed', "a1$protocol", 'failure'],
         ['dead', 'dead', 'failure replay=always'])
    {
        my ($name, $server, $fallback) = @$_;
        my $async = $server eq 'dead' ? $dead : $stub->port($server);
        my $pass = $protocol ? 'grpc_pass grpc' : 'proxy_pass http';
        my $settings = $protocol
            ? 'grpc_set_header X-Arm $async_upload_arm;'
            : 'proxy_set_header X-Arm $async_upload_arm;
               proxy_set_header Connection ""; proxy_http_version 1.1;';

        $name .= "_$protocol" if $protocol;

        $http .= <<"END";
    upstream async_$name {
        server 127.0.0.1:$async max_fails=0;
        keepalive 4;
    }

    upstream $name {
        server 127.0.0.1:@{[$stub->port("s1$protocol")]} max_fails=0;
        keepalive 4;
        async_upload async_$name zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
        async_upload_fallback $fallback;
    }
END

        $locations .= <<"END";
        location /$name {
            $settings
            $pass://$name;
        }
END
    }
}

my $listen = $minor > 25
    ? "listen 127.0.0.1:$h2; listen 127.0.0.1:$tls ssl; http2 on;"
    : "listen 127.0.0.1:$h2 http2; listen 127.0.0.1:$tls ssl http2;";

my $nginx = AsyncUpload->start(port => $port,
                               files => Tls::certificates('client'),
                               http => <<"END");
    $http

    server {
        $listen
        listen 127.0.0.1:$port;

        ssl_certificate client.pem;
        ssl_certificate_key key.pem;

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


# as http_request(), but by HTTP/2 and with nothing but the status

sub curl {
    my ($port, $method, $uri, %args) = @_;

    my @headers = @{$args{headers}};
    my @args = (qw(-s --http2-prior-knowledge -m 60 -o), "$dir/answer",
                '-w', '%{http_version} %{http_code}', '-X', $method,
                '-H', 'Content-Type:', '-H', 'Expect:');

    while (my ($name, $value) = splice @headers, 0, 2) {
        push @args, '-H', "$name: $value";
    }

    spew("$dir/body", $args{body});

    # without a length, by stdin

    push @args, $args{chunked} ? ('-T', '-') : ('--data-binary', "\@$dir/body")
        if length $args{body};

    open my $stdin, '<', "$dir/body" or die "$dir/body: $!\n";
    open my $saved, '<&', \*STDIN or die "dup: $!\n";
    open STDIN, '<&', $stdin or die "dup: $!\n";

    open my $fh, '-|', 'curl', @args, "http://127.0.0.1:$port$uri"
        or die "curl: $!\n";
    my ($version, $status) = split ' ', <$fh> // '';

    close $fh;
    open STDIN, '<&', $saved or die "dup: $!\n";

    is($version, 2, '  by HTTP/2');

    return { status => $status };
}


sub upload {
    my ($name, $what, %args) = @_;

    return $outcome->upload("/$name", $what, client => \&curl, port => $h2,
                            %args);
}


for my $size (0, 1, 16384, length $noise) {
    subtest "$size bytes" => sub {
        my $uploads = 0;

        for my $chunked (0, $size ? 1 : ()) {
            my @body = (body => substr($noise, 0, $size), chunked => $chunked);
            my $title = $chunked ? ', without a length' : '';

            is(upload('failure', '', @body), '200 at a1', "well$title");

            for my $what (500, 503) {
                is(upload('failure', "a1=$what", @body), '200 at a1+s1',
                   "answers $what$title");
            }

            is(upload('failure', '', @body), '200 at a1', "well$title");
            is(upload('failure', 'a1=drop', @body), '200 at a1+a1+s1',
               "a kept connection is dropped, and a new one$title");
            is(upload('failure', 'a1=drop', @body), '200 at a1+s1',
               "dropped$title");
            is(upload('dead', '', @body), '200 at s1', "refused$title");
            $uploads++;
        }

        is($outcome->counted('failure'),
           join(', ', "failure http_500: $uploads",
                "failure http_503: $uploads", 'failure reset: ' . 2 * $uploads,
                'masked: ' . 4 * $uploads, 'served: ' . 4 * $uploads,
                'success: ' . 2 * $uploads),
           'counted');
        is($outcome->counted('dead'), "failure connect: $uploads,"
           . " masked: $uploads, served: $uploads", 'counted');
    };
}


subtest 'what is safe to repeat is' => sub {
    my @key = (headers => ['Idempotency-Key' => '"8e03978e"']);

    is(upload('keyed', 'a1=500'), '500 at a1', 'POST');
    is(upload('keyed', 'a1=500', @key), '200 at a1+s1', 'POST with a key');
    is(upload('keyed', 'a1=500', method => 'PUT'), '200 at a1+s1', 'PUT');
    is($outcome->counted('keyed'), 'failure http_500: 3, masked: 2, served: 2',
       'counted');
};


# A body of HTTP/2 never comes with its header, and gRPC's are not buffered:
# nothing is left of it to be sent again.

subtest 'gRPC: what has no body is repeated, the others if nothing was sent'
    => sub
{
    for my $round (1 .. 3) {
        is(upload('failure_grpc'), '200 at a1grpc', 'well');
        is(upload('failure_grpc', 'a1grpc=500', body => ''),
           '200 at a1grpc+s1grpc', '500, no body');
        is(upload('failure_grpc', 'a1grpc=500'), '500 at a1grpc', '500, a body');
        is(upload('failure_grpc', 'a1grpc=reset'), '502 at a1grpc', 'reset, a body');
        is(upload('dead_grpc'), '200 at s1grpc', 'refused');
        is(upload('dead_grpc', '', body => $noise), '200 at s1grpc',
           'refused, 3 MB');
    }

    is($outcome->counted('failure_grpc'), 'failure http_500: 6,'
       . ' failure invalid: 3, masked: 3, served: 3, success: 3', 'counted');
    is($outcome->counted('dead_grpc'), 'failure connect: 6, masked: 6,'
       . ' served: 6', 'counted');
};


# Many at once; over TLS, as curl shares no connection of its own accord else.

subtest 'streams of one connection fall back on their own' => sub {
    my $config = join "next\n", map {
        <<"END"
url = "https://127.0.0.1:$tls/failure"
output = "$dir/answer$_"
write-out = "%{http_code} %{num_connects}\\n"
data-binary = "\@$dir/body"
header = "X-Stub: @{[$_ % 2 ? 'a1=500' : 'a1=slow']}"
header = "Expect:"
http2
insecure
silent
END
    } 1 .. 16;

    spew("$dir/body", $noise);
    spew("$dir/config", $config);
    $stub->hold;

    open my $fh, '-|', "curl -Z --parallel-max 16 -K $dir/config 2>$dir/log"
        or die "curl: $!\n";

    my %at;

    wait_for {
        $at{$_->{stub}}++ for $outcome->arrived($noise);
        ($at{a1} // 0) == 16 && ($at{s1} // 0) == 8;
    } 'sixteen at async, eight at sync, at once';

    $stub->release;

    my %answers;

    while (<$fh>) {
        my ($status, $connects) = split;

        $answers{$status}++;
        $answers{connections} += $connects;
    }

    close $fh;

    is_deeply(\%answers, { 200 => 16, connections => 1 }, 'all are answered');
    is($outcome->counted('failure'),
       'failure http_500: 8, masked: 8, served: 8, success: 8', 'counted');
};


$nginx->stop(
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/upstream prematurely closed connection/,
    qr/upstream rejected request with error/,
    qr/recv\(\) failed/,
);

done_testing();
