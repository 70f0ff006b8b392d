#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Commands over HTTP: where they are given, how, and with which parameters.
# What is refused says why and changes nothing, in whatever form it came.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);


my ($port, $h2, $sync, $async) = map { free_port() } 1 .. 4;
my $stubs = stub_servers($sync, $async);
my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{/1\.(\d+)};
my $listen = $minor > 25 ? "listen 127.0.0.1:$h2; http2 on;"
                         : "listen 127.0.0.1:$h2 http2;";

my $locations = <<'END';
        location /async_upload/status {
            async_upload_status;
        }

        location /control {
            async_upload_control;
        }

        location /slash/ {
            async_upload_control;
        }

        location ^~ /preferred {
            async_upload_control;
        }

        location /outer {
            location /outer/inner {
                async_upload_control;
            }
        }

        location /if {
            if ($http_x_if) {
                add_header X-If yes;
            }

            async_upload_control;
        }

        location /limited {
            limit_except GET {
                deny 127.0.0.2;
            }

            async_upload_control;
        }

        location /denied {
            deny all;
            async_upload_control;
        }

        location /mirrored {
            mirror /control/uploads/rollback;
            proxy_pass http://stub_sync;
        }

        location /read {
            client_body_in_file_only clean;
            mirror /nothing;
            async_upload_control;
        }

        location /nothing {
            return 204;
        }

        location /small {
            client_max_body_size 100;
            async_upload_control;
        }

        location /worker {
            return 200 "worker $pid\n";
        }

        location /redirected {
            error_page 404 = /control/uploads/rollback;
            return 404;
        }
END

my $nginx = AsyncUpload->start(port => $port, workers => 2, http => <<"END");
    $stubs

    upstream uploads {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=uploads:1m;
        async_upload_enabled on;
        async_upload_stage 1%;
        async_upload_stage 10%;
        async_upload_log logs/journal.jsonl;
    }

    upstream fixed {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=fixed:1m;
        async_upload_enabled on;
        async_upload_rollout 10%;
        async_upload_log logs/journal.jsonl;
    }

    log_format protocol '\$server_protocol \$status';

    server {
        listen 127.0.0.1:$port;
        root html;

        $locations
    }

    server {
        $listen
        access_log logs/h2.log protocol;

        $locations
    }
END

my @form = ('Content-Type', 'application/x-www-form-urlencoded');


sub events {
    return map { decode_status($_) }
           split /\n/, slurp("$nginx->{dir}/logs/journal.jsonl");
}


# The rollouts as the status has them, without what goes by the clock, and all
# that was journalled.

sub figure {
    my $json = JSON::PP->new->canonical;

    return $json->encode(timeless($nginx->status->{rollouts}))
           . slurp("$nginx->{dir}/logs/journal.jsonl");
}


# command(PATH, ...): one of a location, arguments as http_request()'s; returns
# "STATUS" or "STATUS ERROR", then the answer as data, then as it came.

sub command {
    my ($path, %args) = @_;

    my $answer = $nginx->request($args{method} // 'POST', $path, %args);
    my $json = eval { decode_status($answer->{body}) } // {};

    return (join(' ', $answer->{status}, $json->{error} // ()), $json,
            $answer);
}


# raw(TEXT, ...): sends these, one write each, returns all answers as text.

sub raw {
    my (@parts) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $port)
        or die "no connection: $!\n";

    local $SIG{PIPE} = 'IGNORE';

    $socket->sockopt(Socket::TCP_NODELAY(), 1);
    syswrite $socket, $_ for @parts;

    return read_response($socket)->{raw};
}


wait_for { events() >= 4 } 'what every rollout begins with';


# Where and how.

for my $prefix ('/control', '/slash', '/preferred', '/outer/inner', '/if',
                '/limited')
{
    my ($status, $json, $answer) = command("$prefix/uploads/pause");

    is($status, 200, "$prefix: a command is taken");
    is($json->{state}, 'paused', '  and in force');

    is((command("$prefix/uploads/resume"))[0], 200, '  and its contrary');
}

is((command('/if/fixed/pause', headers => ['X-If', 1]))[0], 200,
    'the blocks of a location are no way around it');
is((command('/denied/fixed/pause'))[0], 403, 'nginx\' own access acts');

my ($status, $json, $answer) = command('/control/fixed/share',
    body => 'share=2.5%25&reason=h%c3%a4lf+of+it&actor=Ann+B.',
    headers => \@form);

is($status, 200, 'parameters come in a body');
is(join(' ', sort keys %$json), 'changed command epoch rollout sequence'
                                . ' share_bp share_kept_bp stage state',
    'the answer\'s fields');
is($answer->{headers}{'content-type'}, 'application/json', 'it is JSON');
is($answer->{headers}{'cache-control'}, 'no-store', 'it is not stored');

my ($event) = (events())[-1];
my $now = $nginx->status('fixed');

is_deeply($json, { rollout => 'fixed', command => 'share',
                   changed => JSON::PP::true, state => $now->{state},
                   stage => undef, share_bp => 250, share_kept_bp => 250,
                   epoch => $now->{epoch}, sequence => $event->{sequence} },
    'they are those of the status and of the journal');
is($event->{actor}{who}, 'peer=127.0.0.1 actor=Ann B.',
    'the journal has who did it');
is($event->{reason}, "h\x{e4}lf of it", 'the journal has the reason');

($status, $json) = command('/control/fixed/share?share=2.5');

is($status, 200, 'what is the case already is no error');
ok(!$json->{changed} && !defined $json->{sequence},
    'it is no change and no event');

($status, $json) = command('/control/fixed/rollback');

is("$json->{state} $json->{share_bp} $json->{share_kept_bp}",
    'rolled_back 0 250', 'the share that it returns to is told');

command('/control/fixed/resume');

my $epoch = $nginx->status('fixed')->{epoch};

is((command("/control/fixed/share?share=3&if_epoch=$epoch"))[0], 200,
    'the right epoch is accepted');
is((command("/control/fixed/share?share=4&if_epoch=$epoch"))[0],
    '409 epoch_moved', 'an old epoch is not');


# Whatever form it has, it is the same command.  A row is a title, the share
# that it sets, and how.

my @same = (
    ['chunked', 5, body => 'share=5', chunked => 1, headers => \@form],
    ['a type with a charset', 6, body => 'share=6',
     headers => ['Content-Type',
                 'Application/X-WWW-form-urlencoded ; charset=UTF-8']],
    ['HTTP/1.0', 7, query => 'share=7', version => '1.0'],
    ['empty pairs', 8, query => '&share=8&&'],
    ['encoded letters', 9, query => '%73%68%61%72%65=%39&%61ctor='],
    ['the percent sign', 10, query => 'share=10%25'],
    ['an empty body of another type', 11, query => 'share=11', body => '',
     headers => ['Content-Type', 'text/plain']],
    ['query and body', 12, query => 'share=12', body => 'actor=me',
     headers => \@form],
    ['a body of 4096 bytes', 13, body => 'share=13' . '&' x 4088,
     headers => \@form],
    ['a chunked one of 4096 bytes', 14, body => 'share=14' . '&' x 4088,
     chunked => 1, headers => \@form],
    ['the longest actor and reason', 15,
     query => 'share=15&actor=' . 'a' x 64 . '&reason=' . '%C3%A4' x 95],
    ['a body that another module has read', 16, path => '/read',
     body => 'share=16', headers => \@form],
);

for (@same) {
    my ($title, $share, %args) = @$_;

    my $query = delete $args{query};
    my $path = (delete $args{path} // '/control') . '/fixed/share';
    my ($status, $json) = command($path . (defined $query ? "?$query" : ''),
                                  %args);

    is($status, 200, "$title: it is taken") or diag($json->{description});
    is($json->{share_bp}, $share * 100, "$title: it is in force");
}

my $head = "POST /control/fixed/share HTTP/1.1\r\nHost: a\r\n"
           . "Connection: close\r\nContent-Type: $form[1]\r\n";

like(raw("${head}Content-Length: 8\r\n\r\n", split //, 'share=17'),
    qr{^HTTP/1.1 200 .*"share_bp":1700}s, 'a body may come in pieces');

like(raw("${head}Expect: 100-continue\r\nContent-Length: 8\r\n\r\n",
         'share=18'),
    qr{^HTTP/1.1 100 .*HTTP/1.1 200 .*"share_bp":1800}s,
    'a client may wait until its body is wanted');

like(raw(join '', map { "POST /control/fixed/share?share=$_->[0] HTTP/1.1\r\n"
                        . "Host: a\r\n$_->[1]Content-Length: 0\r\n\r\n" }
                      ['19', ''], ['20', "Connection: close\r\n"]),
    qr{^HTTP/1.1 200 .*"share_bp":1900.*HTTP/1.1 200 .*"share_bp":2000}s,
    'commands may be pipelined');

my ($version, $code) = split ' ', `curl -s --http2-prior-knowledge -m 60 \\
    -o $nginx->{dir}/answer -w '%{http_version} %{http_code}' \\
    -d share=21 http://127.0.0.1:$h2/control/fixed/share`;

is("$version $code", '2 200', 'HTTP/2 will do');
is(decode_status(slurp("$nginx->{dir}/answer"))->{share_bp}, 2100,
    '  and is in force');


# What is refused.  A row is a title, the command with its query, the status,
# the error, what the description must say, and what else there is.

my $long = 'x' x 5000;
my $huge = 'x' x 3000000;

my @refused = (
    ['GET', 'uploads/rollback', 405, 'method_not_allowed', qr/POST/,
     method => 'GET'],
    ['HEAD', 'uploads/rollback', 405, undef, undef, method => 'HEAD'],
    ['PUT', 'uploads/rollback', 405, 'method_not_allowed', qr/POST/,
     method => 'PUT', body => 'x'],
    ['OPTIONS', 'uploads/rollback', 405, 'method_not_allowed', qr/POST/,
     method => 'OPTIONS'],
    ['an unknown method', 'uploads/rollback', 405, 'method_not_allowed',
     qr/POST/, method => 'ROLLBACK'],

    ['no rollout', '', 404, 'not_found', qr{/control/ROLLOUT/COMMAND$}],
    ['no command', 'uploads', 404, 'not_found', qr/COMMAND/],
    ['an empty command', 'uploads/', 404, 'not_found', qr/command/],
    ['an empty rollout', '/rollback', 404, 'not_found', qr/./],
    ['an unknown rollout', 'upload/rollback', 404, 'not_found', qr/rollout/],
    ['a longer name of a rollout', 'uploads2/rollback', 404, 'not_found',
     qr/rollout/],
    ['another case of a rollout', 'Uploads/rollback', 404, 'not_found',
     qr/rollout/],
    ['an unknown command', 'uploads/stop', 404, 'not_found', qr/command/],
    ['another case of a command', 'uploads/Rollback', 404, 'not_found',
     qr/command/],
    ['more of a command', 'uploads/rollback/', 404, 'not_found', qr/command/],
    ['more of a path', 'uploads/rollback/now', 404, 'not_found',
     qr/command/],
    ['a null in a command', 'uploads/rollback%00', 400, undef, undef],
    ['a way up', 'uploads/rollback/../stop', 404, 'not_found', qr/command/],
    ['an encoded way up', 'uploads/%2e%2e/rollback', 404, 'not_found', qr/./],
    ['a way out', '../../rollback', 400, undef, undef],

    ['no share', 'fixed/share', 400, 'bad_request', qr/needs .* share$/],
    ['an empty share', 'fixed/share?share=', 400, 'bad_request', qr/""/],
    ['a share without a value', 'fixed/share?share', 400, 'bad_request',
     qr/""/],
    (map { ["the share $_->[0]", "fixed/share?share=$_->[0]", 400,
            'bad_request',
            qr/"\Q$_->[1]\E" of parameter "share", it must be from 0% to 100%/]
    } ['-1', '-1'], ['101', '101'], ['100.01', '100.01'], ['NaN', 'NaN'],
      ['inf', 'inf'], ['1e1', '1e1'], ['1e400', '1e400'],
      ['0x10', '0x10'], ['2,5', '2,5'], ['0.001', '0.001'], ['.5', '.5'],
      ['5.', '5.'], ['%2B5', '+5'], ['+5', ' 5'], ['5%20', '5 '],
      ['5%00', '5?'], ['5%0d%0a', '5??'], ['5%25%25', '5%%'],
      ['18446744073709551621', '18446744073709551621'],
      ['9223372036854775808', '9223372036854775808'],
      ['%D9%A5', "\x{665}"], ['../5', '../5']),
    ['a share twice', 'fixed/share?share=5&share=5', 400, 'bad_request',
     qr/"share" is given twice/],
    ['a share in query and body', 'fixed/share?share=5', 400, 'bad_request',
     qr/"share" is given twice/, body => 'share=5', headers => \@form],
    ['an array', 'fixed/share?share[]=5', 400, 'bad_request', qr/"share\[\]"/],
    ['an encoding cut short', 'fixed/share?share=5%2', 400, 'bad_request',
     qr/encoding in parameter "share"/],
    ['an encoding without digits', 'fixed/share?share=5%zz', 400,
     'bad_request', qr/encoding in parameter "share"/],
    ['an encoding without digits in a name', 'fixed/share?%g0=5', 400,
     'bad_request', qr/encoding in parameter "%g0"/],

    ['an unknown parameter', 'fixed/share?share=5&who=me', 400, 'bad_request',
     qr/"share" takes no parameter "who", it takes share, actor, reason, if_e/],
    ['another case of a parameter', 'uploads/rollback?Force=1', 400,
     'bad_request', qr/no parameter "Force", it takes force, actor/],
    ['a parameter of another command', 'uploads/pause?force=1', 400,
     'bad_request', qr/no parameter "force", it takes actor, reason, if_e/],
    ['a long name', "uploads/pause?$long=1", 400, 'bad_request',
     qr/"x{64}\.\."/],
    ['a name with a line feed', 'uploads/pause?a%0d%0ab=1', 400,
     'bad_request', qr/"a\?\?b"/],

    (map { ["$_->[0] is $_->[1]", "uploads/$_->[0]=$_->[1]", 400,
            'bad_request', $_->[2]] }
        ['advance?stage', '0', qr/from 1 to 32$/],
        ['advance?stage', '33', qr/from 1 to 32$/],
        ['advance?stage', 'one', qr/"one" of parameter "stage"/],
        ['resume?stage', '-1', qr/"-1" of parameter "stage"/],
        ['rollback?force', '0', qr/must be 1$/],
        ['rollback?force', 'true', qr/must be 1$/],
        ['rollback?force', '', qr/must be 1$/],
        ['rollback?if_epoch', '0', qr/from 1 to 4294967295$/],
        ['rollback?if_epoch', '4294967296', qr/from 1 to 4294967295$/],
        ['rollback?if_epoch', '-1', qr/"-1" of parameter "if_epoch"/],
        ['signal?critical', '2', qr/must be 1$/],
        ['signal?complaints', '0', qr/from 1 to 1000000$/],
        ['signal?complaints', '1000001', qr/from 1 to 1000000$/],
        ['signal?memory', '0', qr/from 1% to 10000%$/],
        ['signal?memory', '10001', qr/from 1% to 10000%$/],
        ['signal?memory', '120.5', qr/"120\.5"/],
        ['rollback?actor', 'a%00', qr/actor.*control characters$/],
        ['rollback?actor', 'a%1B[31m', qr/actor.*control characters$/],
        ['rollback?actor', 'a%7F', qr/actor.*control characters$/],
        ['rollback?actor', 'a%C2%85', qr/actor.*control characters$/],
        ['rollback?actor', 'a' x 65, qr/actor.*at most 64 bytes/],
        ['rollback?reason', 'a%0d%0aSet-Cookie:+a=b',
         qr/reason.*control characters$/],
        ['rollback?reason', '%FF', qr/reason.*UTF-8/],
        ['rollback?reason', '%C3', qr/reason.*UTF-8/],
        ['rollback?reason', '%C0%80', qr/reason.*UTF-8/],
        ['rollback?reason', '%ED%A0%80', qr/reason.*UTF-8/],
        ['rollback?reason', '%F4%90%80%80', qr/reason.*UTF-8/],
        ['rollback?reason', 'a' x 191, qr/reason.*at most 190 bytes/]),
    ['a signal of nothing', 'uploads/signal', 400, 'bad_request',
     qr/needs at least one of complaints, memory, critical$/],
    ['a stage that there is not', 'uploads/resume?stage=3', 400,
     'bad_request', qr/./],

    ['JSON', 'uploads/rollback', 415, 'unsupported_type', qr/urlencoded$/,
     body => '{"force":1}', headers => ['Content-Type', 'application/json']],
    ['a body without a type', 'uploads/rollback', 415, 'unsupported_type',
     qr/urlencoded$/, body => 'force=1'],
    ['a type that begins likewise', 'uploads/rollback', 415,
     'unsupported_type', qr/urlencoded$/, body => 'force=1',
     headers => ['Content-Type', "$form[1]2"]],
    ['a chunked body without a type', 'uploads/rollback', 415,
     'unsupported_type', qr/urlencoded$/, body => 'force=1', chunked => 1],
    ['a body of 4097 bytes', 'uploads/rollback', 413, 'too_large',
     qr/at most 4096 bytes$/, body => '&' x 4097, headers => \@form],
    ['a chunked body of 4097 bytes', 'uploads/rollback', 413, 'too_large',
     qr/at most 4096 bytes$/, body => '&' x 4097, headers => \@form,
     chunked => 1],
    ['a huge chunked body', 'uploads/rollback', 413, 'too_large',
     qr/at most 4096 bytes$/, body => substr($huge, 0, 300000),
     headers => \@form, chunked => 1],
    ['a huge body', 'uploads/rollback', 413, undef, undef, body => $huge,
     headers => \@form],
    ['a body that its location does not take', 'uploads/rollback', 413,
     'too_large', qr/./, path => '/small', body => '&' x 101,
     headers => \@form, chunked => 1],
    ['a bad parameter in a body', 'uploads/rollback', 400, 'bad_request',
     qr/no parameter "x"/, body => 'x=1', headers => \@form],
    ['a body that ends within an encoding', 'uploads/rollback', 400,
     'bad_request', qr/encoding in parameter "%"/,
     body => '&' x 4095 . '%', headers => \@form],
    ['a null in a body', 'uploads/rollback', 400, 'bad_request', qr/"\?x"/,
     body => "\0x=1", headers => \@form],
    ['a stream of bytes', 'uploads/rollback', 400, 'bad_request', qr/./,
     body => join('', map { chr } 0 .. 255), headers => \@form],
    ['what an other module has read', 'uploads/rollback', 413, 'too_large',
     qr/./, path => '/read', body => '&' x 4097, headers => \@form,
     chunked => 1],
);

my $before = figure();

cmp_ok(scalar @refused, '>=', 60, 'enough is refused');

for (@refused) {
    my ($title, $what, $status, $error, $text, %args) = @$_;

    my ($had, $json, $answer) = command(($args{path} // '/control')
                                        . "/$what", %args);
    my @bad;

    push @bad, "status $had" if $had ne join ' ', $status, $error // ();
    push @bad, "description $json->{description}"
        if $text && ($json->{description} // '') !~ $text;
    push @bad, 'fields ' . join ' ', sort keys %$json
        if $error && join(' ', sort keys %$json) ne 'description error';
    push @bad, 'headers'
        if $error && (($answer->{headers}{'cache-control'} // '') ne 'no-store'
                      || $answer->{headers}{'content-type'}
                         ne 'application/json');
    push @bad, 'no Allow'
        if $status == 405 && ($answer->{headers}{allow} // '') ne 'POST';
    push @bad, 'it has changed something' if figure() ne $before;

    ok(!@bad, "refused: $title") or diag(map { "    $_\n" } @bad);
}


# The same on one connection, and what is no request any more.

my $plain = "POST /control/uploads/rollback HTTP/1.1\r\nHost: a\r\n";
my $rollback = "${plain}Content-Type: $form[1]\r\n";
my $body = "$plain\r\n" x 100;
my $length = length $body;

my @raw = (
    ['pipelined ones', [400, 404, 405],
     "${rollback}Content-Length: 3\r\n\r\na=1"
     . "POST /control/none/rollback HTTP/1.1\r\nHost: a\r\n\r\n"
     . "GET /control/uploads/rollback HTTP/1.1\r\nHost: a\r\n"
     . "Connection: close\r\n\r\n"],
    ['commands as a body', [413],
     "${rollback}Content-Length: $length\r\nConnection: close\r\n\r\n$body"],
    ['a command after a chunked body that is too long', [413],
     "${rollback}Transfer-Encoding: chunked\r\n\r\n1389\r\n" . 'x' x 5001
     . "\r\n0\r\n\r\n${plain}Connection: close\r\n\r\n"],
    ['a bad chunk', [400],
     "${rollback}Transfer-Encoding: chunked\r\n\r\nzz\r\nforce=1\r\n"],
    ['a bad chunk after a good one', [400],
     "${rollback}Transfer-Encoding: chunked\r\n\r\n7\r\nforce=1\r\n",
     "zz\r\n"],
    ['two lengths', [400],
     "${rollback}Content-Length: 7\r\nContent-Length: 8\r\n\r\nforce=1"],
    ['a length and chunks', [400],
     "${rollback}Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
     . "7\r\nforce=1\r\n0\r\n\r\n"],
    ['a negative length', [400], "${rollback}Content-Length: -1\r\n\r\n"],
    ['no host', [400], "POST /control/uploads/rollback HTTP/1.1\r\n\r\n"],
    ['a body that waits to be wanted', [100, 413],
     "${rollback}Content-Length: 4097\r\nExpect: 100-continue\r\n"
     . "Connection: close\r\n\r\n", 'x' x 4097],
    ['a client that leaves within its body', [],
     "${rollback}Content-Length: 7\r\n\r\nforce", 'leaves'],
    ['a client that leaves within a chunk', [],
     "${rollback}Transfer-Encoding: chunked\r\n\r\n7\r\nforce", 'leaves'],
    ['a body that is too long, before it comes', [413],
     "${rollback}Content-Length: 4097\r\n\r\n", 'waits'],
    ['a body of another type, before it comes', [415],
     "${plain}Content-Length: 7\r\n\r\n", 'waits'],
);

for (@raw) {
    my ($title, $statuses, @parts) = @$_;

    my @had;

    if ($parts[-1] !~ /^(?:leaves|waits)$/) {
        @had = raw(@parts) =~ m{^HTTP/1\.1 (\d+)}mg;

    } else {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                           PeerPort => $port)
            or die "no connection: $!\n";

        syswrite $socket, $parts[0];
        shutdown $socket, 1 if $parts[1] eq 'leaves';
        IO::Select->new($socket)->can_read($AsyncUpload::Deadline);
        sysread $socket, my $in, 65536;
        @had = $in =~ m{^HTTP/1\.1 (\d+)}mg;
    }

    is("@had", "@$statuses", "refused: $title");
    ok(figure() eq $before, '  and nothing has changed');
}

is((command('/mirrored'))[0], 201, 'what is mirrored is no command');
is($nginx->request('POST', '/redirected', body => 'x')->{status}, 405,
    'a page of errors is no command');
ok(figure() eq $before, '  nor has anything changed');

# curl often drops an answer that comes before it has sent all

for (['a body by HTTP/2 that is too long', '--data-binary', '@-'],
     ['one without a length', '-T', '-'])
{
    my ($title, @args) = @$_;
    my $log = "$nginx->{dir}/logs/h2.log";
    my $start = length slurp($log);

    open my $fh, '|-', 'curl', qw(-s --http2-prior-knowledge -m 60 -X POST),
        '-o', '/dev/null', '-H', "Content-Type: $form[1]", @args,
        "http://127.0.0.1:$h2/control/uploads/rollback"
        or die "curl: $!\n";
    print $fh '&' x 5000;
    close $fh;

    wait_for { length slurp($log) > $start } $title;

    is(substr(slurp($log), $start), "HTTP/2.0 413\n", "refused: $title");
    ok(figure() eq $before, '  and nothing has changed');
}


# A drill ends, whoever waits for it.

my $workers = () = $nginx->serving;

($status, $json) = command('/control/fixed/drill?actor=ann');

is($status, 200, 'a drill is answered when it is over');
is($json->{drill}{workers}, $workers, '  by all workers');
like($json->{drill}{took_ms}, qr/^\d+$/, '  and tells how long it took');
is($json->{state}, 'running', '  when the rollout is what it was before');


sub drill_left {
    my ($title, $leave) = @_;

    my $events = () = events();
    my $socket = send_request($port, 'POST', '/control/fixed/drill');

    # it has begun

    wait_for { events() > $events } $title;

    $leave->($socket);

    wait_for { events() > $events + 1 } $title;

    my @drill = (events())[$events .. $events + 1];

    is(join(' ', map { "$_->{event} $_->{to}{state}" } @drill),
        'drill rolled_back drill running', "$title: it ends all the same");
    is($nginx->status('fixed')->{state}, 'running', '  and so says the status');

    return read_response($socket) if $socket->opened;
}

drill_left('its client leaves', sub { close $_[0] });

$answer = drill_left('its worker ends', sub { $nginx->reload });

like($answer->{status}, qr/^(?:200|409|503)$/, '  and its client is told');

if ($answer->{status} != 200) {
    like(decode_status($answer->{body})->{error},
        qr/^(?:interrupted|conflict|superseded)$/, '  why');
}

# a worker that stands still holds up the drill, but not the end of others

my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
    or die "no connection: $!\n";

print $socket "GET /worker HTTP/1.1\r\nHost: a\r\n\r\n";

my $in = '';

while ($in !~ /\nworker \d+\n/) {
    sysread $socket, $in, 4096, length $in or die "no worker\n";
}

my ($worker) = $in =~ /worker (\d+)/;
my ($still) = grep { $_ != $worker } $nginx->serving;
my $events = () = events();

kill 'STOP', $still;

print $socket "POST /control/fixed/drill HTTP/1.1\r\nHost: a\r\n"
              . "Connection: close\r\n\r\n";

wait_for { events() > $events } 'a drill that cannot end';

my $start = time;

kill 'QUIT', $nginx->{pid};
$answer = read_response($socket);

cmp_ok(time - $start, '<', 5, 'a drill does not hold up its worker');
is("$answer->{status} " . decode_status($answer->{body})->{error},
    '503 interrupted', '  and its client is told');
is($answer->{headers}{'retry-after'}, 1, '  when to ask again');

kill 'CONT', $still;

$nginx->stop(qr/\[error\] .*ROLLBACK.* by control/,
             qr/\[error\] .*(?:intended to send too large|access forbidden)/,
             qr/\[error\] .*chunk/);

done_testing();
