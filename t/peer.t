#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The async arm and the switch to the sync arm: what is tried where, how often,
# with what and how it is counted.  All of it runs on a worker of a master, on
# another one after a reload and in a single process.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256_hex);
use IO::Select;
use List::Util qw(min);
use Stub;
use Test::More;
use Time::HiRes qw(time);


my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.};

my $stub = Stub->start(qw(s1 s2 a1 a2));
my ($port, $dead) = (free_port(), free_port());
my ($hole, $hole_guard) = Stub->blackhole;

my %server = (map({ ($_ => 'server 127.0.0.1:' . $stub->port($_)) }
                  qw(s1 s2 a1 a2)),
              dead => "server 127.0.0.1:$dead",
              hole => "server 127.0.0.1:$hole");

my ($http, $locations);


# rollout NAME, ASYNC, SYNC, [ROLLOUT, LOCATION]: at 100%, with a location
# /NAME; servers stand in the texts by their names.

sub servers {
    my ($text) = @_;

    return $text =~ s/\b(s1|s2|a1|a2|dead|hole)\b/$server{$1}/gr;
}

sub rollout {
    my ($name, $async, $sync, $rollout, $location) = @_;

    $http .= "upstream async_$name {\n" . servers($async) . "\n}\n"
             . "upstream $name {\n" . servers($sync) . "\n"
             . "async_upload async_$name zone=$name:512k;\n"
             . "async_upload_enabled on;\nasync_upload_rollout 100%;\n"
             . "async_upload_rollback off;\n"
             . ($rollout // '') . "\n}\n\n";

    location($name, $name, $location);
}

sub location {
    my ($name, $block, $location) = @_;

    $locations .= "location /$name {\n" . ($location // '')
                  . "\nproxy_pass http://$block;\n}\n\n";
}


my (@tests, $nginx);

sub test(&$) {
    my ($code, $title) = @_;

    push @tests, [$title, $code];

    return $tests[-1];
}


# What the upload METHOD to /NAME came to: "STATUS at SERVERS, by ADDRESSES".
# SERVERS are those that had the whole request, in their order; each has to
# have had the whole body and a header that names its own arm.

sub upload {
    my ($name, $method, $what, %args) = @_;

    $args{body} //= 'the body';

    my $answer = $nginx->request($method, $args{uri} // "/$name", %args,
        headers => ['X-Stub' => $what // '', @{$args{headers} // []}]);

    return outcome($answer, $args{sent} // $args{body});
}

sub outcome {
    my ($answer, $body) = @_;

    my @requests = $stub->requests;

    for (@requests) {
        my $arm = $_->{stub} =~ /^a/ ? 'async' : 'sync';

        is($_->{sha256}, sha256_hex($body), "  the body is whole at $arm");
        is($_->{headers}{'x-arm'} // '', $arm, "  $arm is told its own name")
            if !exists $_->{headers}{'x-direct'};
    }

    my ($by) = $stub->names($answer->{headers}{'x-upstream'})
               =~ s/127\.0\.0\.1:$dead/dead/gr =~ s/127\.0\.0\.1:$hole/hole/gr;

    return join ' ', $answer->{status}, 'at',
                     join('+', map { $_->{stub} } @requests) . ',',
                     'by', $by // '';
}


# What was counted of a rollout since the last call: "RESULT: N, ...".

sub counted {
    my ($name) = @_;

    return $nginx->counted_since($name);
}


# Nothing was sent yet.

rollout('dead', 'dead;', 's1;');

test {
    for my $method (qw(POST PUT PATCH)) {
        is(upload('dead', $method), '200 at s1, by dead, s1', $method);
    }

    is(counted('dead'), 'failure connect: 3, masked: 3, served: 3',
       'three of class connect');
} 'an upload that async refuses is served by sync, once';


rollout('down', 'a1 down;', 's1;');
rollout('downs', 'a1 down; a2 down;', 's1;');

test {
    for my $name (qw(down downs)) {
        is(upload($name, 'POST'), '200 at s1, by s1', $name);
        is(counted($name), 'failure no_live_peer: 1, masked: 1, served: 1',
           'one of class no_live_peer');
    }
} 'an upload that finds no server of async is served by sync';


rollout('off', 'dead;', 's1;', 'async_upload_fallback off;');
rollout('off_down', 'a1 down;', 's1;', 'async_upload_fallback off;');
rollout('off_more', 'a1 max_fails=0; a2 max_fails=0;', 's1;',
        'async_upload_fallback off;',
        'proxy_next_upstream error http_500 non_idempotent;');

test {
    is(upload('off', 'POST'), '502 at , by dead', 'refused');
    is(counted('off'), 'failure connect: 1', 'one of class connect');

    is(upload('off_down', 'POST'), '502 at , by async_off_down', 'down');
    is(counted('off_down'), 'failure no_live_peer: 1',
       'one of class no_live_peer');

    for my $method (qw(POST PUT PATCH)) {
        is(upload('off_more', $method, 'a1=500 a2=500') =~ s/a[12]/a/gr,
           '500 at a, by a', "$method, 500");
        is(upload('off_more', $method, 'a1=drop a2=drop') =~ s/a[12]/a/gr,
           '502 at a, by a', "$method, dropped");
    }

    is(counted('off_more'), 'failure http_500: 3, failure reset: 3',
       'three of each class');
} 'without fallback the client gets the error of async';


# Something was sent.

rollout('sent', 'a1 max_fails=0;', 's1;', '', 'proxy_read_timeout 200ms;');

my @sent = (
    [drop => 502, 'reset'], [garbage => 502, 'invalid'],
    [hang => 504, 'timeout'], [500 => 500, 'http_500'],
    [502 => 502, 'http_502'], [503 => 503, 'http_503'],
    [504 => 504, 'http_504'], [599 => 599, 'http_599'],
    [short => 200, 'reset'],
);

test {
    for (@sent) {
        my ($what, $status, $class) = @$_;

        for my $method (qw(POST PUT PATCH)) {
            is(upload('sent', $method, "a1=$what"),
               "$status at a1, by a1", "$method, $what");
        }

        is(counted('sent'), "failure $class: 3", "three of class $class");
    }

    is(upload('sent', 'POST', 'a1=mumble'), '0 at a1, by ',
       'what is not HTTP is passed on, as HTTP/0.9');
    is(counted('sent'), 'failure invalid: 1', 'one of class invalid');

    is(upload('sent', 'POST', 'a1=404'), '404 at a1, by a1', 'rejection');
    is(counted('sent'), 'rejected: 1', 'one rejected');
} 'what was sent to async is not sent to sync too';


rollout('stale', 'a1 max_fails=0; keepalive 4;', 's1;');

test {
    for my $method (qw(POST PUT PATCH)) {
        is(upload('stale', 'POST'), '200 at a1, by a1', 'a connection is kept');
        is(upload('stale', $method, 'a1=drop'), '502 at a1, by a1',
           "$method on the connection");
    }

    is(counted('stale'), 'failure reset: 3, success: 3', 'three are failures');
} 'what was sent on a stale connection is not sent again';


# Bodies.

rollout('small', 'dead;', 's1;', '',
        'client_body_buffer_size 8k; client_max_body_size 0;');
rollout('file', 'dead;', 's1;', '',
        'client_body_in_file_only clean; client_max_body_size 0;');
rollout('single', 'dead;', 's1;', '', 'client_body_in_single_buffer on;
        client_body_buffer_size 2m; client_max_body_size 0;');
rollout('unbuffered', 'dead;', 's1;', '',
        'proxy_request_buffering off; client_max_body_size 0;');
rollout('unbuffered_down', 'a1 down;', 's1;', '',
        'proxy_request_buffering off; client_max_body_size 0;');
rollout('set', 'dead;', 's1;', '', 'proxy_set_body "at $async_upload_arm";');
rollout('none', 'dead;', 's1;', '', 'proxy_pass_request_body off;
        proxy_set_header X-Arm $async_upload_arm;
        proxy_set_header Content-Length "";');

my $noise = join '', map { chr rand 256 } 1 .. 1048576;

test {
    for my $name (qw(small file single unbuffered unbuffered_down)) {
        my $n = 0;

        for my $size (0, 1, 16384, 1048576) {
            for my $chunked (0, 1) {
                for my $method (qw(POST PUT)) {
                    my $got = upload($name, $method, '', chunked => $chunked,
                                     body => substr $noise, 0, $size);

                    like($got, qr/^200 at s1, by (?:dead, )?s1$/,
                         "$name: $method of $size bytes"
                         . ($chunked ? ', chunked' : ''));
                    $n++;
                }
            }
        }

        my $class = $name =~ /down/ ? 'no_live_peer' : 'connect';

        is(counted($name), "failure $class: $n, masked: $n, served: $n",
           "$n of class $class");
    }

    is(upload('set', 'POST', '', sent => 'at sync'),
       '200 at s1, by dead, s1', 'a body that names the arm is made anew');
    is(upload('none', 'POST', '', sent => ''),
       '200 at s1, by dead, s1', 'no body');
} 'the body arrives whole at sync, of any size and kind';


rollout('unbuffered_sent', 'a1 max_fails=0;', 's1;', '',
        'proxy_request_buffering off;');

test {
    is(upload('unbuffered_sent', 'PUT', 'a1=drop'), '502 at a1, by a1', 'PUT');
    is(upload('unbuffered_sent', 'POST', ''), '200 at a1, by a1', 'POST');
    is(counted('unbuffered_sent'), 'failure reset: 1, success: 1', 'both');
} 'a body that is not buffered is not sent twice';


# The limits of proxy_next_upstream.

for my $tries (0 .. 4) {
    my $location = "proxy_next_upstream_tries $tries;";

    rollout("tries$tries", 'dead max_fails=0;',
            'dead max_fails=0; dead max_fails=0; s1 max_fails=0;', '',
            $location);
    rollout("tries${tries}_down", 'a1 down;',
            'dead max_fails=0; dead max_fails=0; s1 max_fails=0;', '',
            $location);
}

test {
    for my $tries (0 .. 4) {

        # three at sync at most, of which the third would do

        my $n = $tries == 0 ? 3 : $tries - 1;
        my $by = join ', ', 'dead', ('dead') x min($n, 2),
                            $n > 2 ? 's1' : ();

        is(upload("tries$tries", 'POST'),
           ($n > 2 ? '200 at s1,' : '502 at ,') . " by $by", "$tries tries");
        $n = $tries == 0 ? 3 : $tries;

        $by = join ', ', ('dead') x min($n, 2), $n > 2 ? 's1' : ();

        is(upload("tries${tries}_down", 'POST'),
           ($n > 2 ? '200 at s1,' : '502 at ,') . " by $by",
           "$tries tries, of which async needs none");
    }

    is(counted('tries1'), 'failure connect: 1', 'the only try is at async');
    is(counted('tries2'), 'failure connect: 1, unserved: 1',
       'a try is kept for sync');
    is(counted('tries4'), 'failure connect: 1, masked: 1, served: 1',
       'three tries are left to sync');
} 'proxy_next_upstream_tries is for both arms together';


rollout('late', 'hole;', 's1;', '',
        'proxy_connect_timeout 300ms; proxy_next_upstream_timeout 200ms;');
rollout('in_time', 'hole;', 's1;', '',
        'proxy_connect_timeout 200ms; proxy_next_upstream_timeout 20s;');

test {
    is(upload('late', 'POST'), '504 at , by hole', 'too late');
    is(counted('late'), 'failure connect: 1', 'one of class connect');
    is(upload('in_time', 'POST'), '200 at s1, by hole, s1', 'in time');
    is(counted('in_time'), 'failure connect: 1, masked: 1, served: 1',
       'one of class connect, masked');
} 'proxy_next_upstream_timeout is for both arms together';


# Servers within the async arm.

rollout('backup', 'a1 down; a2 backup;', 's1;');
rollout('backup_dead', 'dead fail_timeout=1h; a2 backup;', 's1;');
rollout('backup_no', 'a1 down; dead backup;', 's1;');

test {
    is(upload('backup', 'POST'), '200 at a2, by a2', 'down');
    is(upload('backup_dead', 'POST'), '200 at s1, by dead, s1', 'dead');
    is(upload('backup_dead', 'POST'), '200 at a2, by a2', 'out of service');
    is(upload('backup_no', 'POST'), '200 at s1, by dead, s1', 'dead, too');
    is(counted('backup'), 'success: 1', 'a success');
    is(counted('backup_dead'),
       'failure connect: 1, masked: 1, served: 1, success: 1', 'both');
} 'the backup of async comes before sync';


rollout('fails', 'dead max_fails=2 fail_timeout=1h; a2;', 's1;');
rollout('fails_sent', 'a1 max_fails=2 fail_timeout=1h; a2 down;', 's1;');
rollout('fails_all', 'dead fail_timeout=1h; dead fail_timeout=1h;', 's1;');

test {
    my %seen;

    $seen{upload('fails', 'POST')}++ for 1 .. 10;

    is_deeply(\%seen,
              { '200 at s1, by dead, s1' => 2, '200 at a2, by a2' => 8 },
              'a server is out after two failures');

    is(upload('fails_sent', 'POST', 'a1=drop'), '502 at a1, by a1', 'first');
    is(upload('fails_sent', 'POST', 'a1=drop'), '502 at a1, by a1', 'second');
    is(upload('fails_sent', 'POST', 'a1=drop'), '200 at s1, by s1',
       'the only one is out after two failures');

    is(upload('fails_all', 'POST'), '200 at s1, by dead, s1', 'first')
        for 1 .. 2;
    is(upload('fails_all', 'POST'), '200 at s1, by s1', 'both are out');
    is(counted('fails_all'), 'failure connect: 2, failure no_live_peer: 1,'
                             . ' masked: 3, served: 3', 'all masked');
} 'max_fails holds for the servers of async';


rollout('conns', 'a1 max_conns=1;', 's1;');

test {
    $stub->hold;

    my $socket = send_request($port, 'POST', '/conns', body => 'x',
                              headers => ['X-Stub' => 'a1=slow']);
    my @at;

    wait_for { push @at, $stub->requests; @at } 'an upload at async';

    is(upload('conns', 'POST'), '200 at s1, by s1',
       'one more than async takes');
    $stub->release;
    is(read_response($socket)->{status}, 200, 'the one that was there');
    is(upload('conns', 'POST'), '200 at a1, by a1', 'async is free again');
    is(counted('conns'),
       'failure no_live_peer: 1, masked: 1, served: 1, success: 2', 'all');
} 'max_conns holds for the servers of async';


# After the switch.

rollout('rules', 'dead;', 's1 max_fails=0; s2 max_fails=0;', '',
        'proxy_set_header X-Arm $async_upload_arm;
         proxy_set_header Connection close;');
rollout('rules_all', 'dead;', 's1 max_fails=0; s2 max_fails=0;', '',
        'proxy_next_upstream error http_503 non_idempotent;');
rollout('rules_off', 'dead;', 'dead max_fails=0; s2 max_fails=0 backup;', '',
        'proxy_next_upstream off;');
rollout('rules_down', 'dead;', 's1 down;');

test {
    my $both = 's1=503 s2=503';

    is(upload('rules', 'PUT', $both), '503 at s1, by dead, s1',
       '503 is not tried elsewhere by default');
    is(upload('rules', 'POST', 's1=drop s2=drop'), '502 at s2, by dead, s2',
       'nor is a POST that was dropped');
    is(upload('rules', 'PUT', 's1=drop s2=drop'),
       '502 at s1+s2, by dead, s1, s2', 'but a PUT is');
    is(counted('rules'), 'failure connect: 3, unserved: 3', 'none was masked');

    is(upload('rules_all', 'POST', 's1=503'), '200 at s1+s2, by dead, s1, s2',
       '503 of a POST is tried elsewhere where it was said');

    is(upload('rules_off', 'POST'), '502 at , by dead, dead',
       'nothing is tried elsewhere where it was said');
    is(upload('rules_down', 'POST'), '502 at , by dead, rules_down',
       'no server at sync either');
    is(counted('rules_down'), 'failure connect: 1, unserved: 1',
       'the failure is that of async');
} 'sync works under the location\'s own rules after the switch';


# Two locations of a rollout.

rollout('two', 'a1 max_fails=0; keepalive 4;', 's1;', '',
        'proxy_read_timeout 300ms;');
location('also', 'two', 'proxy_read_timeout 30s;');

test {
    $stub->hold;

    my $slow = send_request($port, 'POST', '/also', body => 'x',
                            headers => ['X-Stub' => 'a1=slow']);

    is(upload('two', 'POST', 'a1=hang', body => 'x') =~ s/at a1\+a1/at a1/r,
       '504 at a1, by a1', 'the one with the short timeout');
    $stub->release;
    is(read_response($slow)->{status}, 200, 'the one with the long timeout');
    is(counted('two'), 'failure timeout: 1, success: 1', 'one of each');
} 'each location keeps its own timeouts at async';


rollout('kept', $minor > 29 ? 'a1; keepalive 4 local;' : 'a1; keepalive 4;',
        's1;');
location('kept_also', 'kept');

test {
    my %connections;

    for (1 .. 3) {
        for my $name (qw(kept kept_also)) {
            my $answer = $nginx->request('POST', "/$name", body => 'x');

            is($answer->{status}, 200, $name);
            $connections{$_->{connection}}{$name}++ for $stub->requests;
        }
    }

    # "local" is to each location its own, by the address of its configuration

    is_deeply([map { $connections{$_} } sort { $a <=> $b } keys %connections],
              $minor > 29 ? [{ kept => 3 }, { kept_also => 3 }]
                          : [{ kept => 3, kept_also => 3 }],
              'connections to async are used again');
} 'a location finds its own kept connections at async again';


# Which block is meant.

rollout('variable_a', 'a1;', 's1;');
rollout('variable_d', 'dead;', 's2;');

$locations .= <<'END';
    location /variable {
        proxy_pass http://$arg_to;
    }

    location /direct {
        proxy_set_header X-Direct $async_upload_arm.;
        proxy_pass http://async_variable_a;
    }
END

test {
    is(upload('', 'POST', '', uri => '/variable?to=variable_a'),
       '200 at a1, by a1', 'one');
    is(upload('', 'POST', '', uri => '/variable?to=variable_d'),
       '200 at s2, by dead, s2', 'the other');
    is(counted('variable_a'), 'success: 1', 'a success');
    is(counted('variable_d'), 'failure connect: 1, masked: 1, served: 1',
       'a masked failure');
} 'proxy_pass may name the rollout by a variable';

test {
    my $answer = $nginx->request('POST', '/direct', body => 'x');
    my ($request) = $stub->requests;

    is($answer->{status}, 200, 'it is served');
    is($request->{stub}, 'a1', 'by async');
    is($request->{headers}{'x-direct'}, '.', 'without a rollout');
    is(counted('variable_a'), '', 'uncounted');
} 'the async block without its rollout is as any other';


# A session.

rollout('session', 'a1;', 's1;', 'async_upload_methods GET;',
        'proxy_set_header Upgrade $http_upgrade;
         proxy_set_header Connection upgrade;');
rollout('session_dead', 'dead;', 's1;', 'async_upload_methods GET;',
        'proxy_set_header Upgrade $http_upgrade;
         proxy_set_header Connection upgrade;');

test {
    for (['session', 'a1', 'success: 1'],
         ['session_dead', 's1', 'failure connect: 1, masked: 1, served: 1'])
    {
        my ($name, $server, $counted) = @$_;

        my $socket = send_request($port, 'GET', "/$name",
            headers => ['X-Stub' => "$server=upgrade", Upgrade => 'stub']);

        my $head = '';

        while ($head !~ /\r\n\r\n/ && IO::Select->new($socket)->can_read(30)) {
            sysread $socket, $head, 4096, length $head or last;
        }

        like($head, qr/^HTTP\/1.1 101 /, "$name: switching protocols");
        syswrite $socket, 'ping';
        sysread $socket, my $echo, 4096;
        is($echo, "$server ping", 'it is open both ways');
        close $socket;
        is(counted($name), $counted, 'counted');
    }

    $stub->requests;
} 'an upgraded connection is served by the arm that took it';


# The client leaves while async is connected to.

test {
    my $socket = send_request($port, 'POST', '/hole', body => 'x');

    wait_for { $nginx->status('hole')->{arms}{async}{in_flight} }
        'an upload in flight';

    close $socket;

    is(counted('hole'), 'aborted: 1', 'it was aborted');
    is(join('', map { $_->{stub} } $stub->requests), '', 'sync saw nothing');
} 'an upload whose client has left is not tried elsewhere';


# Once only, as it takes three seconds: the 60 s of the location would be an age
# for a client.

rollout('hole', 'hole;', 's1;');

my $patience = test {
    my $start = time;

    is(upload('hole', 'POST'), '200 at s1, by hole, s1', 'served by sync');

    my $seconds = time - $start;

    ok($seconds > 2.9 && $seconds < 20, "after three seconds, not $seconds");
    is(counted('hole'), 'failure connect: 1, masked: 1, served: 1',
       'one of class connect, masked');
} 'connecting to async takes three seconds at most';


sub configuration {
    return <<"END";
    $http

    server {
        listen 127.0.0.1:$port;

        lingering_close off;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Arm \$async_upload_arm;

        add_header X-Upstream "\$upstream_addr" always;

        $locations

        location = /async_upload/status {
            async_upload_status;
        }
    }
END
}


sub play {
    my ($where) = @_;

    $stub->requests;

    for (@tests) {
        my ($title, $code) = @$_;

        subtest "$where: $title" => $code;
    }
}


my @errors = (
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/no live upstreams/,
    qr/upstream prematurely closed connection/,
    qr/upstream timed out/,
    qr/upstream sent no valid HTTP/,
    qr/upstream sent invalid header/,
);

$nginx = AsyncUpload->start(port => $port, http => configuration());

play('worker');

@tests = grep { $_ != $patience } @tests;

$nginx->reload;

play('reloaded');
$nginx->stop(@errors);

$nginx = AsyncUpload->start(port => $port, http => configuration(),
                            main => 'master_process off;');

play('single process');
$nginx->stop(@errors);

done_testing();
