#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Upstreams by TLS: sessions are kept for each arm by its own balancer, and a
# handshake that fails is a failure to connect.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256);
use File::Temp qw(tempdir);
use Test::More;


my ($port, $plain) = (free_port(), free_port());
my %tls = map { ($_ => free_port()) } qw(s1 s2 a1 a2 other);
my %certificate;


# Two authorities, each of which is its own certificate.

my $dir = tempdir('async_upload_tls_XXXXXX', TMPDIR => 1, CLEANUP => 1);

for my $name (qw(known other)) {
    my $path = "$dir/$name";

    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256"
           . " -nodes -days 2 -subj /CN=$name -addext subjectAltName=DNS:$name"
           . " -keyout $path.key -out $path.crt 2>$path.log") == 0
        or die "openssl: " . slurp("$path.log");

    $certificate{$name} = "ssl_certificate $path.crt;"
                          . " ssl_certificate_key $path.key;";
}


my $http = <<'END';
    log_format tls '$http_x_rollout $http_x_arm $http_x_server'
                   ' $ssl_session_reused $ssl_protocol $ssl_server_name';
    log_format plain '$status $request_method';
END

$http .= <<"END";
    server {
        listen 127.0.0.1:$plain;
        access_log logs/plain.log plain;
        return 200 "plain";
    }
END

for my $name (sort keys %tls) {
    my $known = $name eq 'other' ? 'other' : 'known';

    # sessions by an identifier would be another server's as well

    $http .= <<"END";
    server {
        listen 127.0.0.1:$tls{$name} ssl;

        $certificate{$known}
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache builtin:100;

        access_log logs/tls.log tls;
        return 200 "$name \$http_x_arm";
    }
END
}

my %server = (map({ ($_ => "server 127.0.0.1:$tls{$_} max_fails=0;") }
                  keys %tls),
              plain => "server 127.0.0.1:$plain max_fails=0;");

my $locations = '';

sub rollout {
    my ($name, $async, $sync, %args) = @_;

    my $zone = $args{zone} ? ["zone s_$name 64k;", "zone a_$name 64k;"]
                           : ['', ''];
    my $share = $args{share} // 50;
    my $keepalive = $args{keepalive} // '';

    $http .= <<"END";
    upstream async_$name { $zone->[1] @server{@$async} $keepalive }
    upstream $name {
        $zone->[0]
        @server{@$sync}
        $keepalive
        async_upload async_$name zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout $share%;
        async_upload_key \$http_x_id;
    }
END

    my $connection = $keepalive ? '""' : 'close';

    $locations .= <<"END";
    location /$name {
        proxy_set_header Connection $connection;
        proxy_set_header X-Rollout \$async_upload_name;
        proxy_set_header X-Arm \$async_upload_arm;
        @{[$args{location} // '']}
        proxy_pass https://$name;
    }
END
}


my @cases;

for my $protocol ('TLSv1.2', 'TLSv1.3') {
    for my $zone (0, 1) {
        for (['one', ['a1'], ['s1']], ['two', ['a1', 'a2'], ['s1', 's2']]) {
            my ($n, $async, $sync) = @$_;
            my $name = "$n$zone" . ($protocol =~ /2/ ? '_2' : '_3');

            push @cases, {
                name => $name, servers => scalar @$async,
                protocol => $protocol,
                title => "$protocol, $n server" . ($n eq 'one' ? '' : 's')
                         . ' an arm' . ($zone ? ', in a zone' : ''),
            };

            rollout($name, $async, $sync, zone => $zone,
                    location => "proxy_ssl_protocols $protocol;");
        }
    }
}

rollout('never', ['a1'], ['s1'], location => 'proxy_ssl_session_reuse off;');
rollout('kept', ['a1'], ['s1'], keepalive => 'keepalive 4;');
rollout('no_tls', ['plain'], ['s1'], share => 100);
rollout('no_tls_off', ['plain'], ['s1'], share => 100);
rollout('verify', ['other'], ['s1', 's2'], share => 100,
        location => "proxy_ssl_verify on; proxy_ssl_name known;
                     proxy_ssl_trusted_certificate $dir/known.crt;");
rollout('sni', ['a1'], ['s1'], location => 'proxy_ssl_server_name on;');

$http =~ s/(zone=no_tls_off:512k;)/$1 async_upload_fallback off;/;

# nginx does not free the sessions that it holds for its peers when it ends

my $nginx = AsyncUpload->start(port => $port, env => {
    ASAN_OPTIONS => join ',', $ENV{ASAN_OPTIONS} // (), 'detect_leaks=0',
}, http => <<"END");
    $http

    server {
        listen 127.0.0.1:$port;

        proxy_http_version 1.1;

        $locations

        location = /async_upload/status {
            async_upload_status;
        }
    }
END


# A key of each arm.

sub key {
    my ($name, $arm) = @_;

    for (1 .. 1000) {
        my $bucket = unpack('N', sha256("$name.client-$_")) * 10000 >> 32;

        return "client-$_" if $arm eq ($bucket < 5000 ? 'async' : 'sync');
    }

    die "no key\n";
}

sub post {
    my ($name, $arm) = @_;

    return $nginx->request('POST', "/$name", body => 'x',
                           headers => ['X-Id' => key($name, $arm)]);
}


# What the servers logged since the last call.

my $read = 0;

sub handshakes {
    my ($n) = @_;

    my @lines;

    wait_for {
        @lines = split /\n/, substr slurp("$nginx->{dir}/logs/tls.log"), $read;
        @lines >= $n;
    } "$n lines of the servers";

    $read = length slurp("$nginx->{dir}/logs/tls.log");

    return map { my %line;
                 @line{qw(rollout arm server reused protocol name)} = split ' ';
                 \%line } @lines;
}


# Both arms in turn: the first connection to each server of an arm has a
# handshake in full, the others resume its session.

for my $case (@cases) {
    my (@got, @wanted);
    my $n = $case->{servers};

    for my $i (1 .. 3 * $n) {
        for my $arm (qw(sync async)) {
            my $answer = post($case->{name}, $arm);

            push @got, $answer->{body};
            push @wanted, substr($arm, 0, 1) . (1 + ($i - 1) % $n) . " $arm";
        }
    }

    is_deeply(\@got, \@wanted, "$case->{title}: uploads arrive");

    is_deeply(
        [map { "$_->{arm} $_->{reused} $_->{protocol}" } handshakes(6 * $n)],
        [map({ ("sync . $case->{protocol}", "async . $case->{protocol}") }
             1 .. $n),
         map({ ("sync r $case->{protocol}", "async r $case->{protocol}") }
             1 .. 2 * $n)],
        "$case->{title}: sessions are resumed");
}


post('never', $_) for qw(sync async sync async);

is_deeply([map { $_->{reused} } handshakes(4)], [('.') x 4],
          'sessions are not resumed where it was said');


# One connection of each arm, and so one handshake, which is not resumed.

is(post('kept', $_)->{status}, 200, "a kept connection, $_")
    for qw(sync async sync async);

is_deeply([map { "$_->{arm} $_->{reused}" } handshakes(4)],
          ['sync .', 'async .', 'sync .', 'async .'],
          'connections by TLS are kept');


# Nothing of the upload was sent when the handshake fails.

for (['no_tls', 's1 sync', 's1 sync'], ['verify', 's1 sync', 's2 sync']) {
    my ($name, @bodies) = @$_;

    is(post($name, 'async')->{body}, $_, "$name: sync serves") for @bodies;
    is(post($name, 'async')->{body}, $bodies[0], "$name: sync serves again");
    is(post($name, 'async')->{body}, $bodies[1], "$name: and again");

    my $rollout = $nginx->quiet($name);

    conserved($rollout, "$name: uploads are counted once");
    is($rollout->{arms}{async}{by_class}{connect}, 4,
       "$name: four failures of class connect");
    is($rollout->{fallback}{served}, 4, "$name: four are masked");

    my $servers = $name eq 'verify' ? 2 : 1;

    is_deeply([map { "$_->{arm} $_->{reused}" } handshakes(4)],
              [('sync .') x $servers, ('sync r') x (4 - $servers)],
              "$name: sessions of sync are resumed after the switch");
}

is(post('no_tls_off', 'async')->{status}, 502,
   'without fallback the client gets the error');
is($nginx->quiet('no_tls_off')->{arms}{async}{by_class}{connect}, 1,
   'which is of class connect');
unlike(slurp("$nginx->{dir}/logs/plain.log"), qr/POST|200/,
       'the server without TLS was sent no upload');


# The name that servers are asked for is that of the rollout's block.

post('sni', $_) for qw(sync async);

is_deeply([map { "$_->{arm} $_->{name}" } handshakes(2)],
          ['sync sni', 'async sni'], 'both arms are asked for by one name');

$nginx->stop(qr/SSL_do_handshake\(\) failed/,
             qr/upstream SSL certificate verify error/,
             qr/upstream SSL certificate does not match/);

done_testing();
