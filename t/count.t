#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What is counted as what: each upload once, at one arm, with one result.
#
# Every block has an nginx with new counters.  /to_sync is a rollout at 0%,
# /to_async one at 100% without fallback, /to_dead one at 100% whose async
# server refuses connections; s1 is the server of sync, a1 that of async.

use Test::Nginx::Socket 'no_plan';

use lib 't/lib';

use AsyncUpload;
use IO::Socket::INET;
use Stub;
use Time::HiRes qw(time);


our $Stub = Stub->start(qw(s1 a1 a2 other));
our ($Hole, $Guard) = Stub->blackhole;
our ($Dead, $Plain) = map { free_port() } 1 .. 2;

our %Port = (dead => $Dead, hole => $Hole,
             map { ($_ => $Stub->port($_)) } qw(s1 a1 a2 other));


# rollout(NAME, SYNC, ASYNC, [DIRECTIVE, ...]): with servers by their names

sub rollout {
    my ($name, $sync, $async, @directives) = @_;

    my ($s, $a) = map {
        join ' ', map { "server 127.0.0.1:$Port{$_};" } split ' '
    } $sync, $async;

    my $share = grep({ /^async_upload_rollout / } @directives)
                ? '' : 'async_upload_rollout 100%;';

    return <<"END";
    upstream async_$name {
        $a
    }

    upstream $name {
        $s
        async_upload async_$name zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        $share
        @directives
    }
END
}


our $Http = <<"END"
    upstream other { server 127.0.0.1:$Port{other}; }
END
    . rollout('to_sync', 's1', 'a1', 'async_upload_rollout 0%;')
    . rollout('to_async', 's1', 'a1', 'async_upload_fallback off;')
    . rollout('to_dead', 's1', 'dead');

# both(PREFIX, DIRECTIVE, ...): the locations PREFIX/to_sync and PREFIX/to_async

sub both {
    my ($prefix, @directives) = @_;

    return <<"END";
    location $prefix/ {
        @directives

        location $prefix/to_sync {
            proxy_pass http://to_sync;
        }

        location $prefix/to_async {
            proxy_pass http://to_async;
        }
    }
END
}


our $Config = <<'END'
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    large_client_header_buffers 4 32k;
    lingering_timeout 300ms;

    location /to_sync {
        proxy_pass http://to_sync;
    }

    location /to_async {
        proxy_pass http://to_async;
    }

    location /to_dead {
        proxy_pass http://to_dead;
    }

    location /async_upload/status {
        async_upload_status;
    }
END
    . both('/hasty', 'proxy_read_timeout 300ms;')
    . both('/unbuffered', 'proxy_request_buffering off;');


# counted(NAME): what the rollout has counted since the last call in this
# block, as "ARM RESULT: N, ...", once nothing is in flight.

our (%Before, $Block);

sub counted {
    my ($name) = @_;

    my $rollout = nginx->quiet($name);

    conserved($rollout, "  $name: each upload is counted once");

    my %now = (
        'fallback served' => $rollout->{fallback}{served},
        'fallback failed' => $rollout->{fallback}{failed},
        'fallback left' => $rollout->{fallback}{left},
    );

    for (cells($rollout)) {
        my ($arm, $cell) = ($_->[0] =~ s/^arms\.//r, $_->[1]);

        $now{"$arm $_"} = $cell->{$_}
            for qw(success rejected aborted cut lost);

        $now{"$arm $_"} = $cell->{by_class}{$_} for keys %{$cell->{by_class}};
    }

    if (($Block // 0) != nginx->{pid}) {
        $Block = nginx->{pid};
        %Before = ();
    }

    my $before = $Before{$name} // {};

    $Before{$name} = \%now;

    return join ', ', map { my $n = $now{$_} - ($before->{$_} // 0);
                            $n ? "$_: $n" : () } sort keys %now;
}


# upload(ARM, [WHAT], [uri => URI], ...): to /to_ARM, asking its server to do
# WHAT.

sub upload {
    my ($arm, $what, %args) = @_;

    return nginx->request($args{method} // 'POST',
                          headers_for($arm, $what, %args));
}

sub headers_for {
    my ($arm, $what, %args) = @_;

    my $server = $arm eq 'sync' ? 's1' : 'a1';
    my $stub = defined $what ? ['X-Stub', "$server=$what"] : [];

    return ($args{uri} // "/to_$arm", body => $args{body} // 'the body', %args,
            headers => [@{$args{headers} // []}, @$stub]);
}


# seen: the servers that had a whole request since the last call, in order.

sub seen {
    return join ' ', map { $_->{stub} } $Stub->requests;
}


# ends(WHAT, RESULT, STATUS, ...): at both arms.

sub ends {
    my ($what, $result, $status, %args) = @_;

    my $uri = $args{uri} // '';

    for my $arm (qw(sync async)) {
        my $server = $arm eq 'sync' ? 's1' : 'a1';
        my $answer = upload($arm, $what, %args, uri => "$uri/to_$arm");

        is($answer->{status}, $status, "$arm, $what: the client's status")
            if defined $status;

        is(counted("to_$arm"), "$arm $result: 1", "$arm, $what: $result");
        is(seen(), $server, "$arm, $what: one upload there");
    }
}


# leaves(ARM, WHAT, [until => CODE], ...): the client goes once its request has
# arrived at the server, or CODE, called with the connection, returned.

sub leaves {
    my ($arm, $what, %args) = @_;

    my ($uri, %request) = headers_for($arm, $what, %args);
    my $socket = send_request(nginx->{port}, 'POST', $uri, %request);

    if ($args{until}) {
        $args{until}->($socket);

    } else {
        wait_for { seen() } 'the request at its server';
    }

    close $socket;
}


# raw(END, TEXT): see Stub

sub raw {
    my ($end, $text) = @_;

    return "raw:$end:" . $text =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
}


# partly(URI, TEXT): sends the beginning of an upload

sub partly {
    my ($uri, $text) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => nginx->{port}) or die "$!\n";

    print $socket "POST $uri HTTP/1.1\r\nHost: localhost\r\n$text";

    return $socket;
}


sub in_flight {
    my ($name) = @_;

    return wait_for {
        grep { $_->[1]{in_flight} } cells(nginx->status($name));
    } 'an upload in flight';
}


# logged(PATTERN): the access log's line, once it is there

sub logged {
    my ($pattern) = @_;

    return wait_for {
        slurp(nginx->{dir} . '/logs/access.log') =~ /^.*$pattern.*$/m && $&;
    } "a line like $pattern in the access log";
}


our $Version = do {
    `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.} ? $1 : die;
};


# what the block before may have left

add_block_preprocessor(sub { seen() });

use_steps(http_config => $Http, config => $Config);
run_tests();


__DATA__

=== TEST 1: a complete 2xx answer is a success
--- steps
ends($_, 'success', $_) for 200, 201, 202, 204, 206;



=== TEST 2: a 3xx answer is a success
--- steps
ends($_, 'success', $_) for 301, 302, 303, 307, 308;



=== TEST 3: a 4xx answer is a rejection
--- steps
ends($_, 'rejected', $_) for 400, 401, 404, 409, 413, 429, 499;



=== TEST 4: a 5xx answer is a failure of its own class
--- steps
ends($_, "http_$_", $_) for 500, 502, 503, 504, 507, 599;



=== TEST 5: a status that is none is an invalid answer
--- steps
ends($_, 'invalid', undef) for 600, 655, 656, 999;



=== TEST 6: more statuses than the table holds are one class
--- steps
upload('async', 500 + $_) for 1 .. 20;

my $rollout = nginx->quiet('to_async');
my $classes = $rollout->{arms}{async}{by_class};
my @own = grep { /^http_\d+$/ } keys %$classes;

conserved($rollout);
is(@own, 16, 'sixteen have their own');
is($classes->{http_other} // $classes->{http}, 4, 'four share one');



=== TEST 7: each of the methods is counted, and a body may be empty
--- steps
for my $method (qw(POST PUT PATCH)) {
    ends('ok', 'success', 200, method => $method, body => '');
}



=== TEST 8: a refused connection is a failure to connect
--- http_config eval
$::Http . ::rollout('sync_dead', 'dead', 'a1', 'async_upload_rollout 0%;')
. ::rollout('async_dead', 's1', 'dead', 'async_upload_fallback off;')
--- config eval
$::Config . CORE::join '', map {
    "location /$_ { proxy_pass http://$_; }\n"
} qw(sync_dead async_dead)
--- steps
for my $arm (qw(sync async)) {
    is(upload($arm, undef, uri => "/${arm}_dead")->{status}, 502,
        "$arm: the client's status");
    is(counted("${arm}_dead"), "$arm connect: 1", "$arm: the result");
}

is(seen(), '', 'nobody was sent anything');
--- error_log
connect() failed (111: Connection refused)



=== TEST 9: a connection that is not accepted in time is a failure to connect
--- http_config eval
$::Http . ::rollout('sync_hole', 'hole', 'a1', 'async_upload_rollout 0%;')
. ::rollout('async_hole', 's1', 'hole', 'async_upload_fallback off;')
--- config eval
$::Config . "proxy_connect_timeout 300ms;\n" . CORE::join '', map {
    "location /$_ { proxy_pass http://$_; }\n"
} qw(sync_hole async_hole)
--- steps
for my $arm (qw(sync async)) {
    is(upload($arm, undef, uri => "/${arm}_hole")->{status}, 504,
        "$arm: the client's status");
    is(counted("${arm}_hole"), "$arm connect: 1", "$arm: the result");
}
--- error_log
upstream timed out (110: Connection timed out) while connecting to upstream



=== TEST 10: no server that is up is a failure of its class
--- http_config eval
$::Http . <<"END"
    upstream down {
        server 127.0.0.1:$::Dead down;
    }

    upstream async_down {
        server 127.0.0.1:$::Port{s1};
        async_upload down zone=async_down:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
        async_upload_fallback off;
    }

    upstream sync_down {
        server 127.0.0.1:$::Dead down;
        async_upload async_to_async zone=sync_down:512k;
        async_upload_enabled on;
        async_upload_rollout 0%;
    }
END
--- config eval
$::Config . CORE::join '', map {
    "location /$_ { proxy_pass http://$_; }\n"
} qw(sync_down async_down)
--- steps
for my $arm (qw(sync async)) {
    is(upload($arm, undef, uri => "/${arm}_down")->{status}, 502,
        "$arm: the client's status");
    is(counted("${arm}_down"), "$arm no_live_peer: 1", "$arm: the result");
}
--- error_log
no live upstreams while connecting to upstream



=== TEST 11: a connection closed before the answer is a reset
--- steps
ends('drop', 'reset', 502);
--- error_log
upstream prematurely closed connection while reading response header



=== TEST 12: a connection reset before the answer is a reset
--- steps
ends(raw('reset', ''), 'reset', 502);
--- error_log
recv() failed (104: Connection reset by peer) while reading response header



=== TEST 13: a connection lost within the header is a reset
--- steps
ends(raw('close', "HTTP/1.1 200 OK\r\nContent-Le"), 'reset', 502);
--- error_log
upstream prematurely closed connection while reading response header



=== TEST 14: an answer shorter than announced is a reset
--- steps
ends('short', 'reset', 200);
ends(raw('close', "HTTP/1.1 201 OK\r\nContent-Length: 9\r\n\r\n"), 'reset',
    201);
--- error_log
upstream prematurely closed connection while reading upstream



=== TEST 15: a chunked answer without its end is a reset
--- steps
ends(raw('close', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  . "5\r\nhello\r\n"), 'reset', 200);
--- error_log
upstream prematurely closed connection while reading upstream



=== TEST 16: a connection reset within the answer is a reset
--- steps
my $answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello";

ends(raw('reset', $answer), 'reset', undef);
--- error_log
while reading upstream



=== TEST 17: an answer up to the end of the connection is a success
--- steps
ends(raw('close', "HTTP/1.1 200 OK\r\n\r\nhello"), 'success', 200);
ends(raw('close', "HTTP/1.0 201 OK\r\n\r\n"), 'success', 201);



=== TEST 18: a header that is none is an invalid answer
--- steps
ends('garbage', 'invalid', 502);
--- error_log
upstream sent invalid header



=== TEST 19: an answer without a header is invalid
--- steps
ends('mumble', 'invalid', undef);
--- error_log
upstream sent no valid HTTP/1.0 header



=== TEST 20: a header larger than its buffer is an invalid answer
--- steps
ends(raw('hold', "HTTP/1.1 200 OK\r\nX-Large: " . 'x' x 9000 . "\r\n\r\n"),
    'invalid', 502);
--- error_log
upstream sent too big header while reading response header



=== TEST 21: a chunk that is none is an invalid answer
--- steps
ends(raw('close', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  . "none\r\n"), 'invalid', undef);
--- error_log
upstream sent invalid chunked response



=== TEST 22: no answer in time is a timeout
--- steps
ends('hang', 'timeout', 504, uri => '/hasty');
--- error_log
upstream timed out (110: Connection timed out) while reading response header



=== TEST 23: no rest of an answer in time is a timeout
--- steps
ends(raw('hold', "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"),
    'timeout', 200, uri => '/hasty');
--- error_log
upstream timed out (110: Connection timed out) while reading upstream



=== TEST 24: a client that leaves while the upstream is silent has aborted
--- steps
for my $arm (qw(sync async)) {
    leaves($arm, 'hang');
    is(counted("to_$arm"), "$arm aborted: 1", "$arm: the result");
    logged(qr/"POST \/to_$arm .*" 499 /);
}



=== TEST 25: a client that leaves while the answer comes has aborted
--- config eval
$::Config . ::both('/unbuffered_answer', 'proxy_buffering off;')
--- steps
my $answer = "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" . 'x' x 20000;

for my $arm (qw(sync async)) {
    for my $uri ('', '/unbuffered', '/unbuffered_answer') {
        leaves($arm, raw('hold', $answer), uri => "$uri/to_$arm",
            until => sub { sysread $_[0], my $some, 100 });

        is(counted("to_$arm"), "$arm aborted: 1", "$arm $uri: the result");
        is(seen(), $arm eq 'sync' ? 's1' : 'a1', "$arm: it had the upload");
    }
}



=== TEST 26: an upload that goes on without its client ends as if it were there
--- config eval: $::Config . ::both('/on', 'proxy_ignore_client_abort on;')
--- steps
for my $arm (qw(sync async)) {
    $main::Stub->hold;
    leaves($arm, 'slow', uri => "/on/to_$arm");
    in_flight("to_$arm");
    $main::Stub->release;
    is(counted("to_$arm"), "$arm success: 1", "$arm: the result");
}

$main::Stub->hold;



=== TEST 27: a client that leaves within a buffered body has uploaded nothing
--- steps
for my $arm (qw(sync async)) {
    close partly("/to_$arm", "Content-Length: 1000\r\n\r\nsome");

    logged(qr/"POST \/to_$arm .*" 400 /);

    is(counted("to_$arm"), '', "$arm: nothing is counted");
}

is(seen(), '', 'nobody was sent anything');



=== TEST 28: a client that leaves within an unbuffered body has aborted
--- steps
for my $arm (qw(sync async)) {
    my $socket = partly("/unbuffered/to_$arm",
                        "Content-Length: 1000\r\n\r\nsome");

    in_flight("to_$arm");
    close $socket;

    is(counted("to_$arm"), "$arm aborted: 1", "$arm: the result");
}

is(seen(), '', 'nobody had all of it');



=== TEST 29: a client that stops within an unbuffered body has aborted
--- config eval
$::Config . ::both('/stopped', 'proxy_request_buffering off;',
                   'client_body_timeout 300ms;')
--- steps
for my $arm (qw(sync async)) {
    my $socket = partly("/stopped/to_$arm",
                        "Content-Length: 1000\r\n\r\nsome");

    in_flight("to_$arm");

    is(counted("to_$arm"), "$arm aborted: 1", "$arm: the result");
}



=== TEST 30: a body that nginx itself refuses is no upload
--- config eval: $::Config . ::both('/small', 'client_max_body_size 100;')
--- steps
for my $arm (qw(sync async)) {
    my $uri = "/small/to_$arm";
    my $answer = upload($arm, undef, uri => $uri, body => 'x' x 101);

    is($answer->{status}, 413, "$arm: the client's status");

    $answer = upload($arm, undef, uri => $uri, body => 'x' x 101,
                     chunked => 1);

    is($answer->{status}, 413, "$arm, chunked: the client's status");
    is(counted("to_$arm"), '', "$arm: nothing is counted");
}

is(seen(), '', 'nobody was sent anything');
--- error_log
client intended to send too large



=== TEST 31: an unbuffered body that nginx refuses later on is rejected
--- config eval
$::Config . ::both('/small', 'client_max_body_size 100;',
                   'proxy_request_buffering off;')
--- steps
for my $arm (qw(sync async)) {
    my $socket = partly("/small/to_$arm",
                        "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n");

    in_flight("to_$arm");

    print $socket "100\r\n" . 'x' x 256 . "\r\n0\r\n\r\n";

    is(counted("to_$arm"), "$arm rejected: 1", "$arm: the result");
}

is(seen(), '', 'nobody had all of it');
--- error_log
client intended to send too large chunked body



=== TEST 32: other methods pass and are not counted
--- steps
for my $method (qw(GET HEAD DELETE OPTIONS)) {
    for my $arm (qw(sync async)) {
        is(upload($arm, undef, method => $method)->{status}, 200,
            "$method to $arm");
        is(counted("to_$arm"), '', "$method to $arm: nothing is counted");
        is(seen(), 's1', "$method to $arm: it goes to sync");
    }
}



=== TEST 33: a subrequest of auth_request passes, the upload is counted once
--- config eval
$::Config . <<'END'
    location /guarded/ {
        auth_request /check;

        location /guarded/to_async {
            proxy_pass http://to_async;
        }
    }

    location = /check {
        internal;
        proxy_pass http://to_async;
        proxy_method POST;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }
END
--- steps
is(upload('async', undef, uri => '/guarded/to_async')->{status}, 200,
    'the client\'s status');
is(counted('to_async'), 'async success: 1', 'the upload is counted');
is(seen(), 's1 a1', 'sync was asked, async had the upload');

my $answer = nginx->request('POST', '/guarded/to_async', body => 'x',
                            headers => ['X-Stub', 's1=403']);

is($answer->{status}, 403, 'one that is not allowed');
is(counted('to_async'), '', 'is no upload');
is(seen(), 's1', 'nobody had it');



=== TEST 34: a mirrored upload passes, the original is counted once
--- config eval
$::Config . <<'END'
    location /mirrored/to_async {
        mirror /copy;
        proxy_pass http://to_async;
    }

    location = /copy {
        internal;
        proxy_pass http://to_async;
    }
END
--- steps
is(upload('async', 503, uri => '/mirrored/to_async')->{status}, 503,
    'the client\'s status');
is(counted('to_async'), 'async http_503: 1', 'the upload is counted');

my @seen;

wait_for { push @seen, split ' ', seen(); @seen == 2 } 'both of them';

is("@{[sort @seen]}", 'a1 s1', 'sync had the copy, async had the upload');



=== TEST 35: an error page at another upstream is the failure that it hides
--- config eval
$::Config . ::both('/paged', 'proxy_intercept_errors on;',
                   'error_page 503 404 502 = @other;') . <<'END'
    location @other {
        proxy_pass http://other;
    }
END
--- steps
for my $arm (qw(sync async)) {
    my $server = $arm eq 'sync' ? 's1' : 'a1';

    for ([503, 'http_503'], [404, 'rejected'], ['drop', 'reset']) {
        my ($what, $result) = @$_;
        my $answer = upload($arm, $what, uri => "/paged/to_$arm");

        is("$answer->{status} $answer->{body}", '200 other',
            "$arm, $what: the client has the page");
        is(counted("to_$arm"), "$arm $result: 1", "$arm, $what: $result");
        is(seen(), "$server other", "$arm, $what: each was asked once");
    }
}
--- error_log
upstream prematurely closed connection



=== TEST 36: an error page that is a file is the failure that it hides
--- config eval
$::Config . ::both('/paged', 'proxy_intercept_errors on;',
                   'error_page 503 =200 /index.html;')
--- steps
for my $arm (qw(sync async)) {
    is(upload($arm, 503, uri => "/paged/to_$arm")->{status}, 200,
        "$arm: the client's status");
    is(counted("to_$arm"), "$arm http_503: 1", "$arm: the result");
}



=== TEST 37: an error page at another rollout is counted there, too
--- config eval
$::Config . <<'END'
    location /paged/to_async {
        proxy_intercept_errors on;
        error_page 503 = @sync;
        proxy_pass http://to_async;
    }

    location @sync {
        proxy_pass http://to_sync;
    }
END
--- steps
is(upload('async', 503, uri => '/paged/to_async')->{status}, 200,
    'the client\'s status');
is(counted('to_async'), 'async http_503: 1', 'a failure at the one');
is(counted('to_sync'), 'sync success: 1', 'a success at the other');
is(seen(), 'a1 s1', 'both had it');



=== TEST 38: an error page at the same rollout is no second upload
--- http_config eval
$::Http . ::rollout('twice', 's1', 'a1 a2', 'async_upload_fallback off;')
--- config eval
$::Config . <<'END'
    location /paged/twice {
        proxy_intercept_errors on;
        error_page 503 = @again;
        proxy_pass http://twice;
    }

    location @again {
        proxy_pass http://twice;
    }
END
--- steps
my $answer = upload('async', 503, uri => '/paged/twice');

is("$answer->{status} $answer->{body}", '200 a2', 'the second pass serves');
is(counted('twice'), 'async http_503: 1', 'the first one decides');
is(seen(), 'a1 a2', 'each server had it once');



=== TEST 39: what a client gets by X-Accel-Redirect is the success of the arm
--- config eval: $::Config . ::both('/again', 'proxy_set_header X-Stub "";')
--- steps
for my $arm (qw(sync async)) {
    my $server = $arm eq 'sync' ? 's1' : 'a1';

    for (['/index.html', $server], ['/none', $server],
         ["/again/to_$arm", "$server $server"])
    {
        my ($to, $seen) = @$_;

        upload($arm, 'accel', headers => ['X-Accel-To', $to]);

        is(counted("to_$arm"), "$arm success: 1", "$arm, $to: a success");
        is(seen(), $seen, "$arm, $to: the decision is kept");
    }
}
--- error_log
No such file or directory



=== TEST 40: an interim answer that nginx takes for the last is cut
--- steps
for my $arm (qw(sync async)) {
    upload($arm, raw('close', "HTTP/1.1 102 Processing\r\n\r\n"
                              . "HTTP/1.1 200 OK\r\n\r\n"));

    is(counted("to_$arm"), "$arm cut: 1", "$arm: the result");
}



# An answer after early hints was cut: the core keeps the status of the hints.

=== TEST 41: early hints are an answer only to an nginx that does not know them
--- steps
my $answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
             . "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

for my $arm (qw(sync async)) {
    my $result = $main::Version < 29 ? 'cut' : 'success';

    upload($arm, raw('close', $answer));
    is(counted("to_$arm"), "$arm $result: 1", "$arm: $result");
}



=== TEST 42: an upload that the end of a worker cuts off is cut
--- main_config
worker_shutdown_timeout 300ms;
--- steps
for my $arm (qw(sync async)) {
    my ($uri, %request) = headers_for($arm, 'hang');
    my $socket = send_request(nginx->{port}, 'POST', $uri, %request);

    wait_for { seen() } 'the request at its server';

    nginx->reload;

    is(read_response($socket)->{status}, 0, "$arm: the client has no answer");
    is(counted("to_$arm"), "$arm cut: 1", "$arm: the result");
    logged(qr/"POST \/to_$arm .*" 000 /);
}



=== TEST 43: an upload that outlasts a reload is counted as ever
--- steps
for my $arm (qw(sync async)) {
    $main::Stub->hold;

    my ($uri, %request) = headers_for($arm, 'slow');
    my $socket = send_request(nginx->{port}, 'POST', $uri, %request);

    wait_for { seen() } 'the request at its server';

    nginx->reload(draining => 1);
    in_flight("to_$arm");

    $main::Stub->release;

    is(read_response($socket)->{status}, 200, "$arm: the client's status");
    is(counted("to_$arm"), "$arm success: 1", "$arm: the result");
}

$main::Stub->hold;



=== TEST 44: an upgraded connection is a success, as fast as its header
--- config eval
$::Config . ::both('/upgraded', 'proxy_set_header Connection upgrade;',
                   'proxy_set_header Upgrade stub;')
--- steps
for my $arm (qw(sync async)) {
    my $server = $arm eq 'sync' ? 's1' : 'a1';
    my $socket = partly("/upgraded/to_$arm",
        "Connection: Upgrade\r\nUpgrade: stub\r\nContent-Length: 0\r\n"
        . "X-Stub: $server=upgrade\r\n\r\n");

    my $got = '';

    wait_for { sysread $socket, $got, 1000, length $got; $got =~ /\r\n\r\n/ }
        "$arm: the header";

    like($got, qr{^HTTP/1\.1 101 }, "$arm: the client's status");

    in_flight("to_$arm");

    # it lives for longer than its header took

    my $end = time + 1;

    wait_for { time >= $end } "$arm: some time";

    print $socket 'hello';

    is(read_response($socket)->{raw}, "$server hello", "$arm: the tunnel");
    close $socket;

    is(counted("to_$arm"), "$arm success: 1", "$arm: the result");
    cmp_ok(nginx->status("to_$arm")->{arms}{$arm}{latency_us}{max}, '<',
        1000000, "$arm: the time of the header");
}



=== TEST 45: an upload in chunks is counted with its bytes
--- steps
for my $arm (qw(sync async)) {
    for my $uri ("/to_$arm", "/unbuffered/to_$arm") {
        is(upload($arm, undef, uri => $uri, body => 'x' x 100_000,
                  chunked => 1)->{status}, 200, "$uri: the client's status");
        is(counted("to_$arm"), "$arm success: 1", "$uri: the result");
    }

    my $cell = nginx->status("to_$arm")->{arms}{$arm};

    is($cell->{bytes}, 200_000, "$arm: the bytes of bodies");
    is($cell->{sizes}{below_1m}{uploads}, 2, "$arm: the class of size");
    is(join(' ', map { $_->{length} } $main::Stub->requests),
        '100000 100000', "$arm: as the upstream saw it");
}



=== TEST 46: bytes and classes of size are those of the bodies
--- steps
my @sizes = (
    [below_64k => 0, 1, 65535],
    [below_1m => 65536, 1048575],
    [below_16m => 1048576, 16777215],
    [below_256m => 16777216],
);

for my $arm (qw(sync async)) {
    my $bytes = 0;

    for (@sizes) {
        my ($class, @n) = @$_;

        for my $n (@n) {
            is(upload($arm, $n % 2 ? 'ok' : 503, body => 'x' x $n)->{status},
                $n % 2 ? 200 : 503, "$arm, $n bytes");

            $bytes += $n;
        }

        my $cell = nginx->quiet("to_$arm")->{arms}{$arm};

        is($cell->{bytes}, $bytes, "$arm: bytes up to $class");
        is($cell->{sizes}{$class}{uploads}, scalar @n, "$arm: $class");
        is($cell->{sizes}{$class}{failure}, scalar grep({ !($_ % 2) } @n),
            "$arm: $class, failures");
    }

    my $cell = nginx->status("to_$arm")->{arms}{$arm};
    my ($sizes, $seen) = (0, 0);

    $sizes += $_->{uploads} for values %{$cell->{sizes}};
    $seen += $_->{length} for $main::Stub->requests;

    is($sizes, $cell->{uploads}, "$arm: the classes are all uploads");
    is($seen, $bytes, "$arm: the upstream saw these bytes");

    counted("to_$arm");
}



=== TEST 47: rejected and aborted uploads are of no class of size
--- steps
upload('async', 404);
leaves('async', 'hang');

is(counted('to_async'), 'async aborted: 1, async rejected: 1', 'the results');

my $sizes = nginx->status('to_async')->{arms}{async}{sizes};

is($sizes->{$_}{uploads}, 0, "$_: none") for sort keys %$sizes;



=== TEST 48: a masked failure is async's, and what sync did is told apart
--- steps
my @cases = (
    ['ok', 200, 'async connect: 1, fallback served: 1', 1],
    [404, 404, 'async connect: 1, fallback served: 1', 1],
    [503, 503, 'async connect: 1, fallback failed: 1', 0],
    ['drop', 502, 'async connect: 1, fallback failed: 1', 0],
);

my $masked = 0;

for (@cases) {
    my ($what, $status, $result, $masks) = @$_;
    my $answer = nginx->request('POST', '/to_dead', body => 'the body',
                                headers => ['X-Stub', "s1=$what"]);

    is($answer->{status}, $status, "$what: the client's status");
    is(counted('to_dead'), $result, "$what: the result");
    is(seen(), 's1', "$what: sync had it once");

    $masked += $masks;

    my $rollout = nginx->status('to_dead');

    is($rollout->{arms}{async}{masked}, $masked, "$what: masked so far");
    is($rollout->{arms}{sync}{uploads}, 0, "$what: no upload of sync");
}

my $clients = nginx->status('to_dead')->{clients};

is($clients->{uploads}, 4, 'clients: uploads');
is($clients->{failed}, 2, 'clients: failed');
--- error_log
connect() failed (111: Connection refused)



=== TEST 49: a client that leaves after the switch leaves async's failure
--- steps
my $socket = send_request(nginx->{port}, 'POST', '/to_dead',
    body => 'the body', headers => ['X-Stub', 's1=hang']);

wait_for { seen() } 'the request at sync';
close $socket;

is(counted('to_dead'), 'async connect: 1, fallback left: 1',
    'neither served nor failed');
is(nginx->status('to_dead')->{arms}{async}{masked}, 0, 'and not masked');
--- error_log
connect() failed (111: Connection refused)



=== TEST 50: attempts at several servers of sync are one upload
--- http_config eval
$::Http . ::rollout('several', 'dead s1', 'a1', 'async_upload_rollout 0%;')
--- config eval
$::Config . "location /several { proxy_pass http://several; }\n"
--- steps
for (1 .. 4) {
    is(upload('sync', undef, uri => '/several')->{status}, 200,
        'the client\'s status');
    is(counted('several'), 'sync success: 1', 'the result');
}

is(seen(), 's1 s1 s1 s1', 'the upstream had each once');
--- error_log
connect() failed (111: Connection refused)



=== TEST 51: every upload of a kept connection is counted
--- steps
my $socket = partly('/to_sync', "Content-Length: 1\r\n\r\nx"
    . "POST /to_async HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
    . "\r\nx"
    . "POST /to_async HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
    . "Connection: close\r\nX-Stub: a1=503\r\n\r\nx");

my @answers = read_response($socket)->{raw} =~ m{HTTP/1\.1 (\d+)}g;

is("@answers", '200 200 503', 'three answers');

is(counted('to_sync'), 'sync success: 1', 'one at the one rollout');
is(counted('to_async'), 'async http_503: 1, async success: 1',
    'two at the other');
is(seen(), 's1 a1 a1', 'as the upstreams saw it');
