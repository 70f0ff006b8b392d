#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Who may command: the holder of a token, or this machine alone; and what the
# journal has of whoever it was.  Who may not, learns nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use MIME::Base64;
use Socket qw(AF_INET6 IPPROTO_IPV6 IPV6_V6ONLY SOCK_STREAM inet_pton
              pack_sockaddr_in6);
use Test::More;


my ($port, $proxy, $realip, $v6, $sync, $async) = map { free_port() } 1 .. 6;
my $stubs = stub_servers($sync, $async);
my $dir = tempdir('async_upload_XXXXXX', TMPDIR => 1, CLEANUP => 1);

chmod 0755, $dir;

my %token = (ops => 'correct-horse-battery-staple', bot => 'A1b2C3d4E5f6G7h8');

spew("$dir/tokens", "# who may\n\nops:$token{ops}\r\nbot:$token{bot}");
chmod 0600, "$dir/tokens";

spew("$dir/users", "ann:{PLAIN}secret\na token=ops actor=root:{PLAIN}x\n");


# the addresses of IPv6 that this machine has

sub has6 {
    my ($address) = @_;

    socket(my $socket, AF_INET6, SOCK_STREAM, 0) or return 0;

    return setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 0)
           && bind($socket,
                   pack_sockaddr_in6(0, inet_pton(AF_INET6, $address)));
}

my @v6 = grep { has6($_) } '::1', '::ffff:127.0.0.1';
my $listen = join "\n        ",
    map { "listen [$_]:$v6" . (/ffff/ ? ' ipv6only=off' : '') . ';' } @v6;

my $locations = <<"END";
        location /async_upload/status {
            async_upload_status;
        }

        location /control {
            async_upload_control;
        }

        location /token {
            async_upload_control token=$dir/tokens;
        }

        location /user {
            auth_basic people;
            auth_basic_user_file $dir/users;
            async_upload_control;
        }
END

my $nginx = AsyncUpload->start(port => $port, http => <<"END");
    $stubs

    log_format all '\$request \$http_x_none';

    upstream uploads {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=uploads:1m;
        async_upload_enabled on;
        async_upload_rollout 10%;
        async_upload_log logs/journal.jsonl;
    }

    access_log logs/access.log all;

    server {
        listen 127.0.0.1:$port;
        listen unix:$dir/socket;
        $listen

        $locations
    }

    server {
        listen 127.0.0.1:$proxy proxy_protocol;

        $locations
    }

    server {
        listen 127.0.0.1:$realip;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Client;

        $locations
    }
END


sub journal {
    return map { decode_status($_) }
           split /\n/, slurp("$nginx->{dir}/logs/journal.jsonl");
}

wait_for { journal() >= 2 } 'what every rollout begins with';


# command(PATH, [HEADER, ...], [port => PORT, from => ADDRESS, to => ADDRESS,
# unix => PATH, host => NAME, before => TEXT, method => NAME, body => TEXT]):
# one command; returns "STATUS" or "STATUS ERROR", and the answer.

sub command {
    my ($path, $headers, %args) = @_;

    my $socket = $args{unix}
        ? IO::Socket::UNIX->new(Peer => $args{unix})
        : $args{to} ? connect6($args{to})
        : IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                PeerPort => $args{port} // $port,
                                LocalAddr => $args{from} // '127.0.0.1');

    die "no connection: $!\n" if !$socket;

    print $socket $args{before} // '', $args{method} // 'POST',
        " $path HTTP/1.1\r\nHost: ", $args{host} // 'a',
        "\r\nConnection: close\r\n", map({ "$_\r\n" } @{$headers // []}),
        "\r\n", $args{body} // '';
    $socket->flush;

    my $answer = read_response($socket);
    my $json = eval { decode_status($answer->{body}) } // {};

    return (join(' ', $answer->{status}, $json->{error} // ()), $answer);
}


sub connect6 {
    my ($address) = @_;

    socket(my $socket, AF_INET6, SOCK_STREAM, 0) or return undef;
    connect($socket, pack_sockaddr_in6($v6, inet_pton(AF_INET6, $address)))
        or return undef;

    return $socket;
}


# A command that is carried out if it is taken: pause and resume in turns.

my $paused = 0;

sub taken {
    my ($title, $location, @args) = @_;

    my $events = () = journal();
    my $command = $paused ? 'resume' : 'pause';
    my ($status) = command("$location/uploads/$command", @args);

    is($status, 200, "$title: may command");

    $paused = !$paused if $status == 200;

    my @journal = journal();

    is(scalar @journal, $events + 1, '  and it is in the journal');

    return $journal[-1]{actor}{who} // '';
}

sub refused {
    my ($title, $expected, $location, @args) = @_;

    my $events = () = journal();
    my $command = $paused ? 'resume' : 'pause';
    my ($status, $answer) = command("$location/uploads/$command", @args);

    is($status, $expected, "refused: $title");
    is(scalar(() = journal()), $events, '  and nothing has changed');

    return $answer;
}


# Without tokens: this machine alone.

is(taken('127.0.0.1', '/control'), 'peer=127.0.0.1',
    'the journal has the address');
is(taken('127.0.0.9', '/control', [], from => '127.0.0.9'), 'peer=127.0.0.9',
    'the journal has another one');
is(taken('a UNIX socket', '/control', [], unix => "$dir/socket"),
    'peer=unix:', 'the journal has the socket');

for (@v6) {
    my $who = taken($_, '/control', [], to => $_);

    like($who, qr/^peer=\S+$/, "$_: the journal has the address");
}

my $bearer = "Authorization: Bearer $token{ops}";

for (['X-Forwarded-For: 127.0.0.1'], ['x-forwarded-for: ::1'],
     ['X-Forwarded-For:'], ['Forwarded: for=127.0.0.1'],
     ['X-Forwarded-Proto: https'], ['X-Real-IP: 127.0.0.1'], ['Via: 1.1 edge'],
     ['X-Other: 1', 'X-Forwarded-For: 127.0.0.1'],
     [map({ "X-$_: $_" } 1 .. 40), 'Forwarded: for=127.0.0.1'])
{
    refused("local with $_->[-1]", '403 forbidden', '/control', $_);
    refused("a UNIX socket with $_->[-1]", '403 forbidden', '/control', $_,
        unix => "$dir/socket");
    taken("a token with $_->[-1]", '/token', [@$_, $bearer]);
}

my $line = "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n";

refused('the PROXY protocol', '403 forbidden', '/control', [], port => $proxy,
    before => $line);
taken('a token by the PROXY protocol', '/token', [$bearer], port => $proxy,
    before => $line);

like(refused('a real address elsewhere', '403 forbidden', '/control',
             ['X-Client: 192.0.2.1'], port => $realip)->{body},
    qr/a UNIX socket or a loopback address"/, '  for its address');
refused('a real address that claims to be here', '403 forbidden', '/control',
    ['X-Client: 127.0.0.2'], port => $realip);
taken('the peer where no header has an address', '/control', [],
    port => $realip);
is(taken('a token from elsewhere', '/token',
         ['X-Client: 192.0.2.1', $bearer], port => $realip),
    'peer=192.0.2.1 token=ops', 'the journal has the real address');


# With tokens: whoever has one.

is(taken('the first token', '/token', [$bearer]), 'peer=127.0.0.1 token=ops',
    'the journal has its name');
is(taken('the last token', '/token', ["Authorization: Bearer $token{bot}"]),
    'peer=127.0.0.1 token=bot', 'the journal has its name');
taken('a scheme of small letters', '/token',
    ["authorization: bearer $token{ops}"]);
taken('more spaces', '/token', ["Authorization:   Bearer   $token{ops}  "]);

for ([], ['Authorization:'], ['Authorization: Bearer'],
     ['Authorization: Bearer '], ['Authorization: Bearer x'],
     ["Authorization: $token{ops}"], ["Authorization: Basic $token{ops}"],
     ["Authorization: Bearer ops:$token{ops}"],
     ['Authorization: Basic ' . encode_base64("ops:$token{ops}", '')],
     ['Authorization: Bearer ' . substr $token{ops}, 0, -1],
     ["Authorization: Bearer $token{ops}x"],
     ["Authorization: Bearer \u$token{ops}"],
     ["Authorization: Bearer $token{ops} $token{bot}"],
     ["Authorization: Bearer$token{ops}"],
     ['Authorization: Bearer ' . 'x' x 7000],
     ["X-Authorization: Bearer $token{ops}"],
     ["Cookie: token=$token{ops}"])
{
    my $answer = refused(substr($_->[0] // 'no token', 0, 60),
                         '401 unauthorized', '/token', $_);

    is($answer->{headers}{'www-authenticate'}, 'Bearer',
        '  and told what is wanted');
    is($answer->{headers}{'content-type'}, 'application/json',
        '  in JSON');
}

refused('a UNIX socket without the token', '401 unauthorized', '/token', [],
    unix => "$dir/socket");


# Whoever may not command learns nothing, but for the method.

my @same;

for my $path ('uploads/pause', 'none/pause', 'uploads/none', '',
              'uploads/pause?x=1', 'uploads/pause?force=1&force=1')
{
    for my $length (0, 1, 5000) {
        my ($status, $answer) = command("/token/$path",
            ["Content-Length: $length"], body => 'x' x $length);

        push @same, "$status $answer->{body}";
    }
}

is(scalar(grep { $_ ne $same[0] } @same), 0,
    'without a token all commands are answered alike');
is((command('/token/none/none', [], method => 'GET'))[0],
    '405 method_not_allowed', 'the method comes first');
is((command('/token/none/none', [$bearer]))[0], '404 not_found',
    'then who it is, then what is wanted');


# Pages of other sites.

# A name that is not known as a local one may belong to anybody: with a token
# alone, whatever it means.

for (['a', 'http://a'], ['a', 'https://a'], ['B.example', 'http://b.EXAMPLE'],
     ['a:80', 'http://a'], ['a', 'http://a:80'], ['a:443', 'https://a'],
     ['a', 'https://a:443'], ['a:8080', 'http://a:8080'],
     ['a:8080', 'HTTPS://a:8080'], ['128.0.0.1', 'http://128.0.0.1'],
     ['localhost.a', 'http://localhost.a'], ['127.0.0.1.a', 'http://127.0.0.1.a'])
{
    my ($host, $origin) = @$_;

    taken("$origin at $host with a token", '/token',
          ["Origin: $origin", $bearer], host => $host);
    refused("$origin at $host", '403 forbidden', '/control',
        ["Origin: $origin"], host => $host);
}

for (['[::1]:8080', 'http://[::1]:8080'], ['[::1]', 'http://[::1]:80'],
     ['127.0.0.1', 'http://127.0.0.1'], ['127.9.9.9:1', 'http://127.9.9.9:1'],
     ['localhost', 'http://localhost'], ['LocalHost:8080',
     'https://localhost:8080'])
{
    my ($host, $origin) = @$_;

    taken("$origin at $host", '/control', ["Origin: $origin"], host => $host);
}

for (['a', 'null'], ['a', ''], ['a', 'a'], ['a', 'http://b'], ['a', '//a'],
     ['a', 'http://'], ['a', 'http:/a'], ['a', 'file://a'], ['a', 'http://aa'],
     ['a', 'http://a.b'], ['a', 'http://a:8080'], ['a:8080', 'http://a'],
     ['a:80', 'https://a'], ['a:443', 'http://a'], ['a', 'http://a/'],
     ['a', 'http://b@a'], ['a', 'http://a@b'], ['a', 'http://a#b'],
     ['a', 'http://a, http://a'], ['[::1]', 'http://[::2]'],
     ['[::1]:1', 'http://[::1]:2'])
{
    my ($host, $origin) = @$_;

    refused("$origin at $host", '403 forbidden', '/control',
        ["Origin: $origin"], host => $host);
    refused("$origin at $host with a token", '403 forbidden', '/token',
        ["Origin: $origin", $bearer], host => $host);
}

refused('a second origin', '403 forbidden', '/control',
    ['Origin: http://a', 'Origin: http://b']);


# Who it was.

sub basic {
    return 'Authorization: Basic ' . encode_base64($_[0], '');
}

is(taken('a user', '/user', [basic('ann:secret')]), 'peer=127.0.0.1 user=ann',
    'the journal has the user');
is(taken('a user who claims to be more', '/user',
         [basic('a token=ops actor=root:x')]),
    'peer=127.0.0.1 user=a_token=ops_actor=root',
    'a user\'s name is not taken for anything else');
refused('a user without the password', '401', '/user', [basic('ann:x')]);

# in the zone there is room for 95 bytes

for (['Ann B.', 'Ann+B.'], ['token=bot', 'token%3Dbot'], ['"', '%22'],
     ['a' x 64, 'a' x 64], ["\x{e4}" x 32, '%C3%A4' x 32],
     ['a' x 63, 'a' x 64, '127.0.0.10'],
     ["\x{e4}" x 31, '%C3%A4' x 32, '127.0.0.10'])
{
    my ($name, $encoded, $from) = @$_;

    my $command = $paused ? 'resume' : 'pause';

    $from //= '127.0.0.1';

    command("/token/uploads/$command?actor=$encoded", [$bearer],
        from => $from);
    $paused = !$paused;

    is((journal())[-1]{actor}{who}, "peer=$from token=ops actor=$name",
        "the journal has the actor $encoded");
}


# Tokens are nowhere but in their file.

$nginx->stop(qr/user "ann": password mismatch/,
             qr/\[error\] .*too long header line/);

for my $path (glob("$nginx->{dir}/logs/* $nginx->{dir}/temp/*/*")) {
    my $text = slurp($path);

    ok(!grep({ index($text, $_) >= 0 } values %token),
        "no token is in $path");
}

done_testing();
