#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# A rollout at off, and one at 0%, changes nothing of what its block does: each
# case is run at a plain block and at both of them, and the three have to do
# the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Stub;
use Test::More;


my $stub = Stub->start(qw(s1 s2 s3 a1));
my ($port, $dead) = (free_port(), free_port());
my ($one, $two, $three) = map { "server 127.0.0.1:" . $stub->port($_) }
                              qw(s1 s2 s3);
my $gone = "server 127.0.0.1:$dead";


# A case is [TITLE, BLOCK, LOCATION, REQUEST, ...], a request is [METHOD, what
# the servers do, [number of times]].

sub all {
    return map { [$_, @_] } qw(GET POST PUT PATCH DELETE);
}

my @cases = (
    ['weights are kept to',
        "$one weight=3; $two weight=2; $three;", '',
        ['POST', '', 12], ['GET', '', 6], ['PUT', '', 6]],

    ['least_conn chooses as ever',
        "least_conn; $one weight=2; $two; $three;", '', ['POST', '', 8]],

    ['hash chooses as ever',
        "hash \$http_x_id; $one; $two; $three;", '', ['POST', '', 12]],

    ['a consistent hash chooses as ever',
        "hash \$http_x_id consistent; $one; $two; $three;", '',
        ['POST', '', 12]],

    ['ip_hash chooses as ever', "ip_hash; $one; $two; $three;", '',
        ['POST', '', 4]],

    ['a zone changes nothing of it',
        "zone ZONE 64k; $one weight=3; $two;", '', ['POST', '', 8]],

    ['a server that is down is left out',
        "$one down; $two; $three;", '', ['POST', '', 4], ['GET', '', 4]],

    ['a backup is for when all others have failed',
        "$gone; $one backup; $two backup;", '', ['POST', '', 4]],

    ['a backup takes over from a server that answers 500',
        "$one; $two backup;",
        'proxy_next_upstream http_500 non_idempotent;',
        all('s1=500')],

    ['a server without a living one answers 502', "$gone;", '',
        all('', 2)],

    ['no server is live', "$one down; $two down;", '', all('')],

    ['a refused connection is tried elsewhere', "$gone; $one; $two;", '',
        all('', 2)],

    ['a server is out after one failure',
        "$gone fail_timeout=1h; $one;", '', ['POST', '', 5]],

    ['a server is out after three failures',
        "$gone max_fails=3 fail_timeout=1h; $one;", '', ['POST', '', 9]],

    ['a server is never out without max_fails',
        "$gone max_fails=0; $one;", '', ['PUT', '', 7]],

    ['500 is passed on', "$one; $two;", '', all('s1=500 s2=500', 2)],

    ['500 is tried elsewhere, but for what is not idempotent',
        "$one max_fails=0; $two max_fails=0;", 'proxy_next_upstream http_500;',
        all('s1=500', 2)],

    ['500 is tried elsewhere, if it is not idempotent too',
        "$one max_fails=0; $two max_fails=0;",
        'proxy_next_upstream http_500 non_idempotent;', all('s1=500', 2)],

    ['404 and 429 are tried elsewhere where it was said',
        "$one max_fails=0; $two max_fails=0;",
        'proxy_next_upstream http_404 http_429 non_idempotent;',
        all('s1=404'), all('s1=429')],

    ['a dropped connection is tried elsewhere, but for POST and PATCH',
        "$one max_fails=0; $two max_fails=0;", '', all('s1=drop', 2)],

    ['a dropped connection is tried elsewhere, POST and PATCH too',
        "$one max_fails=0; $two max_fails=0;",
        'proxy_next_upstream error non_idempotent;', all('s1=drop', 2)],

    ['garbage is tried elsewhere where it was said',
        "$one max_fails=0; $two max_fails=0;",
        'proxy_next_upstream invalid_header non_idempotent;',
        all('s1=garbage', 2)],

    ['a timeout is tried elsewhere',
        "$one max_fails=0; $two max_fails=0;",
        'proxy_read_timeout 100ms; proxy_next_upstream timeout non_idempotent;',
        ['PUT', 's1=hang', 2], ['POST', 's1=hang', 2]],

    ['nothing is tried elsewhere',
        "$one max_fails=0; $gone max_fails=0;", 'proxy_next_upstream off;',
        all('s1=500', 2)],

    ['the number of tries is limited',
        "$gone max_fails=0; $gone max_fails=0; $one max_fails=0;",
        'proxy_next_upstream_tries 2;', all('', 3)],

    ['the number of tries is one',
        "$gone max_fails=0; $one max_fails=0;",
        'proxy_next_upstream_tries 1;', all('', 2)],

    ['a short answer is passed on as far as it came', "$one; $two;", '',
        all('s1=short s2=short')],

    ['connections are kept',
        "$one max_fails=0; $two max_fails=0; keepalive 2;", '',
        ['POST', '', 6], ['GET', '', 6]],

    ['the cache of connections has its limit',
        "$one max_fails=0; $two max_fails=0; keepalive 1;", '',
        ['POST', '', 6]],

    ['a stale connection costs no try, but for POST and PATCH',
        "$one max_fails=0; keepalive 2;", '',
        map { ['GET', ''], [$_, 's1=drop'] } qw(GET POST PUT PATCH)],

    ['a stale connection is tried elsewhere',
        "$one max_fails=0; $two max_fails=0; keepalive 2;",
        'proxy_next_upstream_tries 1;',
        map { ['GET', '', 2], [$_, 's1=drop', 2] } qw(GET POST PUT PATCH)],

    ['answers that come in one go are not buffered', "$one; $two;",
        'proxy_buffering off;', ['POST', '', 2], ['POST', 's1=short', 2]],

    ['bodies are not buffered', "$gone max_fails=0; $one; $two;",
        'proxy_request_buffering off;', ['POST', '', 4],
        ['POST', 's1=drop s2=drop', 2], ['PUT', 's1=drop s2=drop', 2]],

    ['errors are intercepted', "$one max_fails=0; $two max_fails=0;",
        'proxy_intercept_errors on; error_page 500 =202 /page;',
        all('s1=500')],
);

# A case of its own, as it takes uploads at the same time: three fill all the
# connections that the servers may have, and there is none for a fourth.

push @cases, ['the number of connections is limited',
    "$one max_conns=1; $two max_conns=2;", '', ['POST', '', 4]];

my ($http, $locations) = ('', '');

for my $i (0 .. $#cases) {
    my (undef, $block, $location) = @{$cases[$i]};

    for my $kind (qw(plain off zero)) {
        my $name = "$kind$i";
        my $rollout = '';

        $rollout = "async_upload a zone=$name:512k;" if $kind ne 'plain';
        $rollout .= ' async_upload_enabled on; async_upload_rollout 0%;'
            if $kind eq 'zero';

        $http .= "upstream $name { " . $block =~ s/ZONE/peers_$name/r
                 . " $rollout }\n";
        $locations .= "location /$name { $location"
                      . " proxy_pass http://$name; }\n";
    }
}

my $nginx = AsyncUpload->start(port => $port, http => <<"END");
    upstream a { server 127.0.0.1:@{[$stub->port('a1')]}; }

    $http

    server {
        listen 127.0.0.1:$port;

        lingering_close off;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host upstream;
        proxy_connect_timeout 5s;

        add_header X-Upstream "\$upstream_addr; \$upstream_status" always;

        $locations

        location = /page {
            internal;
            return 200 "the page";
        }

        location = /async_upload/status {
            async_upload_status;
        }
    }
END


# An answer with names in place of ports and without the date.

sub shown {
    my ($answer) = @_;

    return $stub->names($answer->{raw} =~ s/^Date: .*\n//mr)
           =~ s/\b(?:plain|off|zero)(\d+)\b/block$1/gr;
}


# What a block makes of the requests of a case: all that the client and the
# servers see, with connections numbered anew.

sub play {
    my ($name, @requests) = @_;

    my (@seen, %connections);

    $stub->requests;

    for (@requests) {
        my ($method, $what, $times) = @$_;

        for (1 .. $times // 1) {
            my $answer = $nginx->request($method, "/$name/file",
                headers => ['X-Stub' => $what, 'X-Id' => "client-$_"],
                $method =~ /^P/ ? (body => "body of $_") : ());

            push @seen, shown($answer);
        }

        for my $request ($stub->requests) {
            my $c = $connections{$request->{connection}}
                        //= 1 + keys %connections;

            push @seen, "$request->{stub}, connection $c,"
                        . " number $request->{number}, $request->{sha256}\n"
                        . $request->{head} =~ s{/\w+/file}{/file}r;
        }
    }

    return \@seen;
}


sub crowd {
    my ($name) = @_;

    $stub->hold;
    $stub->requests;

    my (@open, @at);

    for (1 .. 3) {
        push @open, send_request($port, 'POST', "/$name", body => 'x',
                                 headers => ['X-Stub' => 's1=slow s2=slow']);

        wait_for {
            push @at, map { $_->{stub} } $stub->requests;
            @at == @open;
        } 'an upload at a server';
    }

    my $answer = $nginx->request('POST', "/$name", body => 'x');

    $stub->release;

    return [@at, map { shown($_) } map({ read_response($_) } @open), $answer];
}


for my $i (0 .. $#cases) {
    my ($title, undef, undef, @requests) = @{$cases[$i]};

    my ($plain, $off, $zero) =
        map { $i == $#cases ? crowd("$_$i") : play("$_$i", @requests) }
            qw(plain off zero);

    is_deeply($off, $plain, "off: $title");
    is_deeply($zero, $plain, "at 0%: $title");
}


# Meanwhile all of them were counted, at sync, and async was never asked.

my $rollouts = $nginx->status->{rollouts};

for my $kind (qw(off zero)) {
    my (@wrong, $uploads);

    for my $i (0 .. $#cases) {
        my (undef, undef, undef, @requests) = @{$cases[$i]};
        my $rollout = $rollouts->{"$kind$i"};
        my $sent = 0;

        for (@requests) {
            $sent += $_->[2] // 1 if $_->[0] =~ /^(?:POST|PUT|PATCH)$/;
        }

        push @wrong, "$cases[$i][0]: $rollout->{arms}{sync}{uploads} of $sent"
            if $rollout->{arms}{sync}{uploads} != $sent;

        push @wrong, map { "$cases[$i][0]: $_" }
                         violations($rollout, quiet => 1),
                         $rollout->{arms}{async}{uploads} ? 'async' : ();
    }

    is_deeply(\@wrong, [], "$kind: uploads are counted at sync");
}

my @bad = (
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/no live upstreams/,
    qr/upstream prematurely closed connection/,
    qr/upstream timed out/,
    qr/upstream sent no valid HTTP/,
    qr/upstream sent invalid header/,
);

$nginx->stop(@bad);

done_testing();
