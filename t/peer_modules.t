#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Rollouts beside what else nginx does with an upstream request: caches, stored
# answers, redirects within a request, and, where nginx has it, "sticky".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Stub;
use Test::More;


my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.};

my $stub = Stub->start(qw(s1 s2 a1 a2));
my ($port, $dead) = (free_port(), free_port());

my %server = (map({ ($_ => "server 127.0.0.1:" . $stub->port($_)
                           . ' max_fails=0;') } qw(s1 s2 a1 a2)),
              dead => "server 127.0.0.1:$dead max_fails=0;",
              fragile => 'server 127.0.0.1:' . $stub->port('a1')
                         . ' max_fails=1 fail_timeout=1h;',
              down => "server 127.0.0.1:$dead down;",
              out => "server 127.0.0.1:$dead max_fails=1 fail_timeout=1h;");

my ($http, $locations, $nginx) = ('', '');
my @tests;


sub rollout {
    my ($name, $async, $sync, %args) = @_;

    my $share = $args{share} // 100;
    my @async = map { $server{$_} // $_ } split ' ', $async;
    my @sync = map { $server{$_} // $_ } split ' ', $sync;

    $http .= <<"END";
    upstream async_$name { @async @{[$args{in_async} // '']} }
    upstream $name {
        @sync
        @{[$args{in_sync} // '']}
        async_upload async_$name zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout $share%;
        async_upload_key \$http_x_id;
        @{[$args{rollout} // '']}
    }
END

    $locations .= "location /$name {\n@{[$args{location} // '']}"
                  . "\nproxy_pass http://$name;\n}\n\n";
}

sub test(&$) {
    my ($code, $title) = @_;

    push @tests, [$title, $code];
}

sub post {
    my ($name, $what, %args) = @_;

    return $nginx->request($args{method} // 'POST', $args{uri} // "/$name",
        body => $args{body} // 'x',
        headers => ['X-Stub' => $what // '', 'X-Id' => $args{id} // 'a',
                    @{$args{headers} // []}]);
}

# The servers that had a request since the last call, with the arm that each
# was told to be.

sub at {
    return join ' ', map { "$_->{stub}:" . ($_->{headers}{'x-arm'} // '') }
                         $stub->requests;
}

sub counted {
    my ($name) = @_;

    return $nginx->counted_since($name);
}


# Answers from a cache.

my $cache = 'proxy_cache c; proxy_cache_methods POST; proxy_cache_key $uri;
             add_header X-Cache $upstream_cache_status always;';

rollout('cache', 'a1', 's1', location => "$cache proxy_cache_valid any 1h;");
rollout('cache_dead', 'dead', 's1',
        location => "$cache proxy_cache_valid any 1h;");
rollout('stale', 'a1', 's1', location => "$cache proxy_cache_valid 200 1s;
        proxy_cache_use_stale error http_500;");
rollout('update', 'a1', 's1', location => "$cache proxy_cache_valid 200 1s;
        proxy_cache_use_stale updating; proxy_cache_background_update on;");
rollout('revalidate', 'dead', 's1', location => "$cache
        proxy_cache_valid 200 1s; proxy_cache_revalidate on;");

test {
    for (['cache', 'a1:async', 'success: 1'],
         ['cache_dead', 's1:sync', 'failure connect: 1, masked: 1, served: 1'])
    {
        my ($name, $at, $counted) = @$_;

        is(post($name)->{headers}{'x-cache'}, 'MISS', "$name: first");
        is(at(), $at, "$name: where");

        my $answer = post($name);

        is($answer->{headers}{'x-cache'}, 'HIT', "$name: second");
        is($answer->{body}, substr($at, 0, 2), "$name: the same answer");
        is(at(), '', "$name: nowhere");
        is(counted($name), $counted, "$name: one upload");
    }
} 'an answer from a cache is no upload';

test {
    for my $what ('a1=drop', 'a1=500') {
        post('stale');
        is(at(), 'a1:async', "$what: fetched") if $what eq 'a1=drop';
    }

    my ($answer, $class);

    for (['a1=drop', 'reset'], ['a1=500', 'http_500']) {
        my ($what, $class) = @$_;

        counted('stale');

        wait_for {
            $answer = post('stale', $what);
            $answer->{headers}{'x-cache'} ne 'HIT';
        } 'an expired answer';

        is("$answer->{status} $answer->{headers}{'x-cache'}", '200 STALE',
           "$what: stale");
        is(at(), 'a1:async', "$what: where");
        is(counted('stale'), "failure $class: 1", "$what: a failure");
    }
} 'a stale answer hides a failure of async from the client alone';

test {
    post('update');
    at();

    my $answer;

    wait_for {
        $answer = post('update');
        $answer->{headers}{'x-cache'} ne 'HIT';
    } 'an expired answer';

    is("$answer->{status} $answer->{headers}{'x-cache'}", '200 STALE',
       'served at once');

    my $at = '';

    wait_for { $at .= at() } 'the update';
    is($at, 's1:sync', 'updated by sync, as every subrequest');
    is(counted('update'), 'success: 1', 'one upload');
} 'an update in the background is no upload';

test {
    post('revalidate');
    at();
    counted('revalidate');

    my $answer;

    wait_for {
        $answer = post('revalidate');
        $answer->{headers}{'x-cache'} ne 'HIT';
    } 'an expired answer';

    is("$answer->{status} $answer->{headers}{'x-cache'}", '200 EXPIRED',
       'asked for anew');
    is(at(), 's1:sync', 'of sync');
    is(counted('revalidate'), 'failure connect: 1, masked: 1, served: 1',
       'masked');
} 'an expired answer is asked for at sync after the switch';


rollout('store', 'a1', 's1', location => 'root html; proxy_store on;');
rollout('store_dead', 'dead', 's1', location => 'root html; proxy_store on;');

test {
    for (['store', 'a1', 'success: 1'],
         ['store_dead', 's1', 'failure connect: 1, masked: 1, served: 1'])
    {
        my ($name, $at, $counted) = @$_;

        is(post($name)->{body}, $at, "$name: answer");
        is(slurp("$nginx->{dir}/html/$name"), $at, "$name: stored");
        is(counted($name), $counted, "$name: one upload");
    }

    at();
} 'the answer of the arm that served is stored';


# Several upstream requests of one request.

rollout('post_action', 'a1', 's1', location => 'post_action @post_action;');
$locations .= 'location @post_action { proxy_pass http://post_action; }';

test {
    is(post('post_action')->{body}, 'a1', 'answer');

    my $at = '';

    wait_for { ($at .= at() . ' ') =~ /\w+:\w+ \w*:?\w*/ && $at =~ tr/:// == 2 }
        'the action';
    is(counted('post_action'), 'success: 1', 'one upload');
} 'an action after an upload is no other upload';


rollout('again_off', 'dead', 's1', rollout => 'async_upload_fallback off;',
        location => 'error_page 502 = @again_off;');
$locations .= 'location @again_off { proxy_pass http://again_off; }';

rollout('again', 'dead', 's1',
        location => 'proxy_intercept_errors on; error_page 503 = @again;');
$locations .= 'location @again { proxy_pass http://again; }';

rollout('again_live', 'a1', 's1',
        location => 'proxy_intercept_errors on; error_page 503 = @again_live;');
$locations .= 'location @again_live { proxy_pass http://again_live; }';

rollout('first', 'dead', 's1', rollout => 'async_upload_fallback off;',
        location => 'error_page 502 = @second;');
rollout('second', 'a1', 's1');
$locations .= 'location @second { proxy_pass http://second; }';

test {
    is(post('again_off')->{status}, 502, 'twice at a dead async');
    is(counted('again_off'), 'failure connect: 1', 'one failure');

    is(post('again_live', 'a1=503')->{status}, 503, 'twice at async');
    is(at(), 'a1:async a1:async', 'both know where');
    is(counted('again_live'), 'failure http_503: 1', 'one failure');

    is(post('again', 's1=503')->{status}, 503, 'twice at sync');
    is(at(), 's1:sync s1:sync', 'both know where');
    is(counted('again'), 'failure connect: 1, unserved: 1', 'one failure');
} 'an error page at the same rollout is no other upload';

# what a second round finds at async need not be what the first one found

rollout('again_other', 'out a1', 's1',
        location => 'proxy_intercept_errors on;
                     error_page 503 = @again_other;');
$locations .= 'location @again_other { proxy_pass http://again_other; }';

rollout('again_busy', 'fragile down', 's1',
        location => 'error_page 502 = @again_busy;');
$locations .= 'location @again_busy { proxy_pass http://again_busy; }';

test {
    is(post('again_other', 's1=503')->{status}, 503, 'twice at sync');
    is(at(), 's1:sync s1:sync', 'both know where');
    is(counted('again_other'), 'failure connect: 1, unserved: 1',
       'one failure');
} 'an error page after the switch stays at sync';

test {
    is(post('again_busy', 'a1=drop')->{body}, 's1', 'async, then sync');
    is(at(), 'a1:async s1:sync', 'both know where');
    is(counted('again_busy'), 'failure reset: 1', 'one failure');
} 'an error page that async has no server for goes to sync';

test {
    is(post('first')->{body}, 'a1', 'answer of the second');
    is(at(), 'a1:async', 'where');
    is(counted('first'), 'failure connect: 1', 'the first');
    is(counted('second'), 'success: 1', 'the second');
} 'an error page at another rollout is an upload of that one';


rollout('accel', 'a1', 's1');

test {
    my $answer = post('accel', 'a1=accel',
                      headers => ['X-Accel-To' => '/internal']);

    is($answer->{body}, 'the file', 'answer');
    is(at(), 'a1:async', 'where');
    is(counted('accel'), 'success: 1', 'a success');
} 'an answer that redirects to a file is a success';


if ($minor > 29) {

    # keys of both arms, of a rollout at 50%

    my %key;

    for my $name (map { ("cookie_$_", "learn_$_", "header_$_") }
                      qw(sync async both dead))
    {
        for (1 .. 1000) {
            my $bucket = unpack('N', sha256("$name.client-$_")) * 10000 >> 32;

            $key{$name}{$bucket < 5000 ? 'async' : 'sync'} //= "client-$_";
        }

        my ($what, $where) = split /_/, $name;
        my $zone = 0;

        my $sticky = sub {
            return 'sticky cookie "session";' if $what eq 'cookie';

            my $header = $what eq 'header' ? 'header' : '';

            return "sticky learn create=\$upstream_cookie_session"
                   . " lookup=\$cookie_session zone=$_[0]_$name:64k $header;";
        };

        rollout($name, $where eq 'dead' ? 'dead dead' : 'a1 a2', 's1 s2',
            share => 50,
            in_sync => $where eq 'async' ? '' : $sticky->('s'),
            in_async => $where =~ /async|both/ ? $sticky->('a') : '',
            location => 'proxy_set_header Connection close;
                         proxy_set_header X-Arm $async_upload_arm;');
    }

    # The servers that a client comes to, one after another.

    my $visits = sub {
        my ($name, $arm, $n) = @_;

        my $session = "$name-$arm";
        my @servers;

        for (1 .. $n) {
            my $answer = post($name,
                join(' ', map { "$_=cookie" } qw(s1 s2 a1 a2)),
                id => $key{$name}{$arm},
                @servers ? (headers => ['Cookie' => "session=$session"]) : ());

            if (!@servers && $name =~ /cookie/) {

                # the last one is that of the balancer

                ($session) = $answer->{raw}
                    =~ /^Set-Cookie: session=(\w{32})/m;
                $session //= '';

            } elsif (!@servers) {
                $session = $key{$name}{$arm};
            }

            push @servers, $answer->{body};
        }

        $stub->requests;

        return \@servers;
    };

    for my $what (qw(cookie learn header)) {
        for my $where (qw(sync async both)) {
            my $name = "${what}_$where";

            test {
                for my $arm (qw(sync async)) {
                    my $letter = substr $arm, 0, 1;
                    my $servers = $visits->($name, $arm, 6);
                    my $sticky = $where eq 'both' || $where eq $arm;

                    is_deeply($servers,
                        [map { $letter . ($sticky ? 1 : 2 - $_ % 2) } 1 .. 6],
                        $sticky ? "$arm stays" : "$arm takes turns");
                }

                is(counted($name), 'success: 6, sync: 6', 'all are counted');
            } "\"sticky\" by $what works in $where";
        }

        test {
            my $servers = $visits->("${what}_dead", 'async', 6);

            is_deeply($servers, [('s1') x 6], 'sync stays');
            is(counted("${what}_dead"),
               'failure connect: 6, masked: 6, served: 6', 'all are masked');
        } "\"sticky\" by $what works in sync after the switch";
    }
}


$nginx = AsyncUpload->start(port => $port, http => <<"END");
    proxy_cache_path cache keys_zone=c:1m;

    $http

    server {
        listen 127.0.0.1:$port;

        lingering_close off;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Arm \$async_upload_arm;

        $locations

        location = /internal {
            internal;
            return 200 "the file";
        }

        location = /async_upload/status {
            async_upload_status;
        }
    }
END

for (@tests) {
    my ($title, $code) = @$_;

    subtest $title => $code;
}

$nginx->stop(qr/connect\(\) failed \(111: Connection refused\)/,
             qr/upstream prematurely closed connection/);


# Servers by names that nginx resolves again and again: of both arms, and of
# sync while an upload is still connecting to async.

resolving() if $minor > 29;

done_testing();


# Answers any query with the address that stands in the file of its name.

sub name_server {
    my ($dir) = @_;

    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                       Proto => 'udp') or die "udp: $!\n";
    my $owner = $$;
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        my $select = IO::Select->new($socket);

        while (getppid == $owner) {
            next if !$select->can_read(1);

            my $peer = recv $socket, my $query, 512, 0;
            my ($id, @labels) = unpack 'n x10 (C/a)*', $query;
            my ($name) = grep { -e "$dir/$_" } @labels;
            my $type = unpack 'n', substr $query, -4;
            my @answer = $name && $type == 1
                ? pack 'nnnNnC4', 0xc00c, 1, 1, 1, 4,
                       split /\./, slurp("$dir/$name")
                : ();

            send $socket, pack('n6', $id, 0x8180, 1, scalar @answer, 0, 0)
                          . substr($query, 12) . join('', @answer), 0, $peer;
        }

        POSIX::_exit(0);
    }

    return ($socket->sockport, $pid);
}


sub resolving {
    my $dir = tempdir('async_upload_names_XXXXXX', TMPDIR => 1, CLEANUP => 1);

    my ($front, $back) = (free_port(), free_port());
    my ($hole, $guard) = Stub->blackhole;

    spew("$dir/sync", '127.0.0.2');
    spew("$dir/async", '127.0.0.3');

    my ($names, $pid) = name_server($dir);

    my $nginx = AsyncUpload->start(port => $front, http => <<"END");
    resolver 127.0.0.1:$names valid=1s ipv6=off;
    resolver_timeout 5s;

    upstream async {
        zone async 64k;
        server async.test:$back resolve;
    }

    upstream hole {
        server 127.0.0.1:$hole;
    }

    upstream uploads {
        zone sync 64k;
        server sync.test:$back resolve;
        async_upload async zone=uploads:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
    }

    upstream slow {
        zone slow 64k;
        server sync.test:$back resolve;
        async_upload hole zone=slow:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
    }

    server {
        listen 0.0.0.0:$back;
        return 200 "\$server_addr \$http_x_arm";
    }

    log_format addresses '\$upstream_addr';

    server {
        listen 127.0.0.1:$front;

        lingering_close off;
        proxy_set_header X-Arm \$async_upload_arm;
        access_log logs/addresses.log addresses;

        location /uploads { proxy_pass http://uploads; }
        location /slow { proxy_pass http://slow; }

        location = /async_upload/status {
            async_upload_status;
        }
    }
END

    my $arrives = sub {
        my ($method, $uri, $body, $title) = @_;

        my $got = wait_for {
            $nginx->request($method, $uri, body => 'x')->{body} eq $body
        } $title;

        ok($got, $title);
    };

    $arrives->('POST', '/uploads', '127.0.0.3 async', 'async by its name');
    $arrives->('GET', '/uploads', '127.0.0.2 sync', 'sync by its name');
    $arrives->('GET', '/slow', '127.0.0.2 sync', 'sync of another');

    # addresses are copied for the log, as those of the zone may be gone by then

    like(slurp("$nginx->{dir}/logs/addresses.log"),
         qr/^127\.0\.0\.3:$back$/m, 'the address of async is logged');

    my $client = send_request($front, 'POST', '/slow', body => 'x');

    spew("$dir/$_->[0]", $_->[1])
        for ['sync', '127.0.0.4'], ['async', '127.0.0.5'];

    $arrives->('GET', '/slow', '127.0.0.4 sync', 'sync by its new address');

    is($nginx->status('slow')->{arms}{async}{in_flight}, 1,
       'an upload that is still connecting to async');

    is(read_response($client)->{body}, '127.0.0.4 sync',
       'is served by sync at its new address');

    $arrives->('POST', '/uploads', '127.0.0.5 async',
               'async by its new address');

    conserved($nginx->quiet($_)) for qw(slow uploads);

    $nginx->stop(qr/upstream timed out .* while connecting to upstream/,
                 qr/no live upstreams/);

    kill 'KILL', $pid;
    waitpid $pid, 0;
}
