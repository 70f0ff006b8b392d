#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Balancers that nginx has since 1.27.3 and 1.29.6 in both arms, with fallback:
# servers whose names are resolved anew, and sticky.  An older nginx refuses
# their directives.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Dns;
use Outcome;
use Stub;
use Test::More;


my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.};
my ($port, $dead) = (free_port(), free_port());

if ($minor < 30) {
    for (['sticky cookie server;', qr/unknown directive "sticky"/],
         ['server a.example resolve;', qr/invalid parameter "resolve"/])
    {
        my ($directive, $error) = @$_;

        my ($status, $output) = AsyncUpload->start(port => $port, fails => 1,
            http => "upstream a { server 127.0.0.1:$dead; $directive }");

        isnt($status, 0, $directive);
        like($output, $error, 'this nginx does not have it');
    }

    done_testing();
    exit;
}


my $stub = Stub->start(qw(a1 a2@a1 a3 a4 s1 s2@s1 s3 s4));
my @names = map { ("$_.resolve", "$_.tries") } qw(async sync);
my $dns = Dns->start(map { ($_ => '127.0.0.1') } @names);

my ($http, $locations) = ('', '');

sub rollout {
    my ($name, $async, $sync, $rollout) = @_;

    $http .= <<"END";
    upstream async_$name {
        zone async_$name 128k;
        $async
    }

    upstream $name {
        zone $name 128k;
        $sync
        async_upload async_$name zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
        async_upload_fallback failure replay=always;
        $rollout
    }
END

    $locations .= <<"END";
        location /$name {
            proxy_pass http://$name;
        }
END
}

my $resolver = "resolver 127.0.0.1:$dns->{port} valid=1s ipv6=off;";

for (['resolve', ''], ['tries', 'async_upload_tries 2;']) {
    my ($name, $rollout) = @$_;

    rollout($name, map({ my ($arm, $server) = @$_;
                         "$resolver server $arm.$name:"
                         . $stub->port($server) . ' resolve max_fails=0;' }
                       ['async', 'a1'], ['sync', 's1']), $rollout);
}

my %servers = map {
    my $arm = $_;
    ($arm => join ' ', map { 'server 127.0.0.1:' . $stub->port("$arm$_")
                             . ' max_fails=0;' } 3, 4);
} qw(a s);

rollout('cookie', "$servers{a} sticky cookie of_async;",
        "$servers{s} sticky cookie of_sync;", '');

for (['learn', ''], ['learn_header', 'header']) {
    my ($name, $header) = @$_;

    rollout($name, map({ my ($servers, $zone) = @$_;
                         "$servers sticky learn create=\$upstream_cookie_session"
                         . " lookup=\$cookie_session zone=$zone:64k $header;" }
                       [$servers{a}, "sessions_async_$name"],
                       [$servers{s}, "sessions_$name"]), '');
}

my $nginx = AsyncUpload->start(port => $port, http => <<"END");
    $http

    server {
        listen 127.0.0.1:$port;

        lingering_close off;
        proxy_set_header X-Arm \$async_upload_arm;
        add_header X-Upstream "\$upstream_addr" always;

        $locations

        location = /async_upload/status {
            async_upload_status;
        }
    }
END

my $outcome = Outcome->new($nginx, $stub);


# Sends uploads that their async servers hold until the code has run; each is
# [URI, WHAT].

sub meanwhile(&@) {
    my ($code, @uploads) = @_;

    $stub->hold;

    my (@sockets, @at);

    for (@uploads) {
        my ($uri, $what) = @$_;

        push @sockets, send_request($port, 'POST', $uri, body => 'the body',
                                    headers => ['X-Stub' => $what]);
    }

    wait_for { push @at, $outcome->arrived('the body'); @at == @uploads }
        'all are at async';

    $code->();
    $stub->release;

    my @answers = map { read_response($_) } @sockets;
    my %at;

    push @{$at{$_->{uri}}}, $_->{stub} for @at, $outcome->arrived('the body');

    return map { { at => "$answers[$_]{status} at "
                         . join('+', @{$at{$uploads[$_][0]}}),
                   by => $answers[$_]{headers}{'x-upstream'} } } 0 .. $#uploads;
}


my ($a, $s) = ($stub->port('a1'), $stub->port('s1'));

subtest 'sync resolved to another server while async had the upload' => sub {
    is($outcome->upload('/resolve'), '200 at a1', 'async');
    is($outcome->upload('/resolve', 'a1=500'), '200 at a1+s1', 'sync');

    my ($got) = meanwhile {
        $dns->set('sync.resolve' => '127.0.0.2', 'sync.tries' => '127.0.0.2');
    } ['/resolve', 'a1=slow-500'];

    is($got->{at}, '200 at a1+s2', 'it falls back on the server of now');
    is($got->{by}, "127.0.0.1:$a, 127.0.0.2:$s",
       'the addresses are known to their end');

    is($outcome->upload('/resolve', 'a1=drop'), '200 at a1+s2',
       'so does one after that');
    is($outcome->counted('resolve'), 'failure http_500: 2, failure reset: 1,'
       . ' masked: 3, served: 3, success: 1', 'counted');
};


subtest 'async resolved to another server while it had the upload' => sub {
    my ($one, $two) = meanwhile {
        $dns->set('async.resolve' => '127.0.0.2', 'async.tries' => '127.0.0.2');
    } ['/resolve', 'a1=slow-500'], ['/tries', 'a1=slow-500'];

    is($one->{at}, '200 at a1+s2', 'it falls back');
    is($two->{at}, '200 at a1+a2', 'more attempts are at the server of now');
    is($two->{by}, "127.0.0.1:$a, 127.0.0.2:$a",
       'the addresses are known to their end');
    is($outcome->upload('/resolve'), '200 at a2', 'the next one is at a2');

    is($outcome->counted('resolve'),
       'failure http_500: 1, masked: 1, served: 1, success: 1', 'counted');
    is($outcome->counted('tries'), 'success: 1', 'counted, with more tries');
};


# A session of sticky: what upload() makes of the same upload, again and again.

sub sticks {
    my ($title, $uri, $what, @headers) = @_;

    my %seen;

    $seen{$outcome->upload($uri, $what, headers => [@headers])}++ for 1 .. 4;

    is(keys %seen, 1, $title) or diag(explain(\%seen));

    return (keys %seen)[0];
}

sub wanders {
    my ($title, $uri, $what, @headers) = @_;

    my %seen;

    $seen{$outcome->upload($uri, $what, headers => [@headers])}++ for 1 .. 4;

    is_deeply([sort values %seen], [2, 2], $title) or diag(explain(\%seen));
}


subtest 'sticky cookie: each arm has its own' => sub {
    my $fails = 'a3=500 a4=500';

    wanders('async without a cookie', '/cookie', '');
    wanders('fallback without a cookie', '/cookie', $fails);

    my $cookies = sub {
        my ($what, @headers) = @_;

        $stub->requests;

        my $answer = $nginx->request('POST', '/cookie', body => 'x',
                                     headers => ['X-Stub' => $what, @headers]);
        my @at = map { $_->{stub} } $stub->requests;

        return ($at[-1], $answer->{raw} =~ /^Set-Cookie: (\w+=\w+)/mg);
    };

    my ($at, @async) = $cookies->('');

    is(@async, 1, 'async sets one');
    like($async[0], qr/^of_async=/, 'of its own');
    is(sticks('async', '/cookie', '', Cookie => $async[0]), "200 at $at",
       'its server is kept');

    ($at, my @both) = $cookies->($fails, Cookie => $async[0]);

    my ($sync) = grep { /^of_sync=/ } @both;

    ok($sync, 'sync sets one, too');

    my @cookie = (Cookie => "$async[0]; $sync");

    like(sticks('fallback', '/cookie', $fails, @cookie), qr/^200 at a\d\+$at$/,
         'both servers are kept');
    is(sticks('async', '/cookie', '', @cookie), sticks('without that of sync',
       '/cookie', '', Cookie => $async[0]), 'one does not disturb the other');
};


for my $name (qw(learn learn_header)) {
    subtest "sticky $name: each arm learns its own sessions" => sub {
        my $uri = "/$name";
        my $fails = 'a3=500 a4=500';

        my $at = $outcome->upload($uri, 'a3=cookie a4=cookie',
                                  headers => ['X-Id' => "A$name"]);

        like($at, qr/^200 at a\d$/, 'a session at async');
        is(sticks('async', $uri, '', Cookie => "session=A$name"), $at,
           'its server is kept');

        wanders('an unknown session', $uri, '', Cookie => 'session=none');

        ($at) = $outcome->upload($uri, "$fails s3=cookie s4=cookie",
                                 headers => ['X-Id' => "S$name"])
                =~ /^200 at a\d\+(s\d)$/;

        ok($at, 'a session at sync');

        my %seen;

        for (1 .. 4) {
            my $got = $outcome->upload($uri, $fails,
                                       headers => [Cookie => "session=S$name"]);

            $seen{$got =~ s/^200 at a\d\+//r}++;
        }

        is_deeply(\%seen, { $at => 4 }, 'its server is kept')
            or diag(explain(\%seen));

        wanders('the session is none of async', $uri, '',
                Cookie => "session=S$name");
    };
}


$nginx->stop(qr/upstream prematurely closed connection/,
             qr/no live upstreams/);

done_testing();
