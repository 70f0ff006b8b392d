
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Stub;

# Upstream servers for the tests that do what each request asks them to, and
# tell what they were sent.  One process serves all of them.
#
#     my $stub = Stub->start('s1', 's2', 'a1', 'f1/fastcgi', 'g1/grpc');
#
#     ... "server 127.0.0.1:" . $stub->port('s1') ...
#
#     $nginx->request('POST', '/upload', body => 'x',
#         headers => ['X-Stub' => 'a1=drop s1=503']);
#
#     my @requests = $stub->requests;             # since the last call
#
# What a server does with a request stands in the request's header X-Stub, as
# "name=what", separated by spaces:
#
#     ok          answers 200 with its name (default)
#     503         answers this status with its name
#     drop        reads the request and closes the connection
#     stale       the same if it is not the first one of the connection
#     hang        reads the request and answers nothing
#     begin       the same after half a header
#     garbage     answers a status line and what is no header
#     mumble      answers what is not HTTP
#     short       announces 100 bytes, sends its name and closes
#     cookie      answers 200 with "Set-Cookie: session=" . X-Id
#     accel       answers 200 with "X-Accel-Redirect: " and X-Accel-To
#     slow        answers only when "release" was called, or slow-WHAT
#     after-30    answers 200 after so many milliseconds, or after-30-WHAT
#     upgrade     answers 101, then its name with the first bytes that come
#     raw:END:TEXT  sends TEXT, which is percent-encoded, and then closes,
#                 resets or holds the connection (END is close, reset or hold)
#     reset-head  resets the connection when the head of the request has come,
#     reset-half  when half of its body has, or
#     reset-end   when all of it has
#     early-413   answers this status when the head has come and closes
#     linger-413  the same, but reads the rest before it closes
#     reset       resets the stream (HTTP/2)
#     goaway      refuses the stream and says goodbye (HTTP/2)
#
# A protocol follows the name of a server: http (default), h2, grpc (with
# trailers where they are asked for), fastcgi, scgi, uwsgi.  "s2@s1" listens on
# 127.0.0.2, on the port of s1 that was named before.
#
# A request is { stub, connection, number (on its connection, from 1), method,
# uri, head (as it came), headers (lower case), length, sha256 }.  Connections
# are numbered from 1 over all servers.  It is logged before the answer is
# sent.

use strict;
use warnings;

use AsyncUpload;
use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempdir);
use Http2;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use List::Util qw(max min);
use POSIX ();
use Socket qw(SOMAXCONN SOL_SOCKET SO_LINGER SO_RCVBUF);
use Time::HiRes qw(time);


my %protocols = (
    http => { parse => \&parse_http, answer => \&answer_http,
              early => \&early_http },
    fastcgi => { parse => \&parse_fastcgi, answer => \&answer_fastcgi },
    grpc => { parse => \&Http2::parse, answer => \&Http2::answer },
    h2 => { parse => \&Http2::parse, answer => \&Http2::answer },
    scgi => { parse => \&parse_scgi, answer => \&answer_cgi },
    uwsgi => { parse => \&parse_uwsgi, answer => \&answer_cgi },
);

my $json = JSON::PP->new->latin1->canonical;


sub start {
    my ($class, @names) = @_;

    my $dir = tempdir('async_upload_stub_XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $self = bless { log => "$dir/log", release => "$dir/release",
                       read => 0, connections => 0 }, $class;

    for (@names) {
        my ($name, $other, $protocol) = m{^(\w+)(?:@(\w+))?(?:/(\w+))?$}
            or die "invalid stub $_\n";
        my $port = $other ? $self->port($other) : free_port();

        my $socket = IO::Socket::INET->new(
            LocalAddr => $other ? '127.0.0.2' : '127.0.0.1',
            LocalPort => $port, ReuseAddr => 1, Listen => SOMAXCONN)
            or die "stub $name: $!\n";

        $self->{ports}{$name} = $port;

        push @{$self->{servers}}, {
            name => $name, socket => $socket,
            protocol => $protocols{$protocol // 'http'} // die,
        };
    }

    spew($self->{log}, '');

    $self->{owner} = $$;
    $self->{pid} = fork // die "fork: $!\n";

    if ($self->{pid} == 0) {
        eval { $self->serve };
        print STDERR "stub: $@" if $@;
        POSIX::_exit(1);
    }

    close $_->{socket} for @{delete $self->{servers}};

    return $self;
}


sub port {
    my ($self, $name) = @_;

    return $self->{ports}{$name} // die "there is no stub $name\n";
}


# Addresses, as in $upstream_addr, with the servers' names in their place.

sub names {
    my ($self, $text) = @_;

    my %name = reverse %{$self->{ports}};

    return ($text // '') =~ s/127\.0\.0\.1:(\d+)/$name{$1} \/\/ $&/gre;
}


# The requests since the last call.

sub requests {
    my ($self) = @_;

    open my $fh, '<', $self->{log} or die "stub: $!\n";
    seek $fh, $self->{read}, 0;

    my @requests;

    while (my $line = <$fh>) {
        last if $line !~ /\n\z/;

        $self->{read} += length $line;
        push @requests, $json->decode($line);
    }

    return @requests;
}


# Has those that were asked to be slow answer.

sub release {
    my ($self) = @_;

    spew($self->{release}, '');
}


sub hold {
    my ($self) = @_;

    unlink $self->{release};
}


sub DESTROY {
    my ($self) = @_;

    if ($self->{pid} && $self->{owner} == $$) {
        local $?;

        kill 'KILL', $self->{pid};
        waitpid $self->{pid}, 0;
    }
}


# In the process of the servers.

sub serve {
    my ($self) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $select = IO::Select->new(map { $_->{socket} } @{$self->{servers}});
    my %server = map { (fileno $_->{socket} => $_) } @{$self->{servers}};
    my (%client, @slow, @later);

    open my $log, '>>', $self->{log} or die "$self->{log}: $!\n";
    $log->autoflush(1);

    my $close = sub {
        my ($socket) = @_;

        delete $client{fileno $socket};
        $select->remove($socket);
        close $socket;
    };

    while (getppid == $self->{owner}) {

        if (@slow && -e $self->{release}) {
            for (splice @slow) {
                $close->($_->{socket})
                    if !reply($_, @{delete $_->{waits}});
            }
        }

        if (@later && $later[0]{due} <= time) {
            my $now = time;
            my @due = grep { $_->{due} <= $now } @later;

            @later = grep { $_->{due} > $now } @later;

            for (@due) {
                $close->($_->{socket})
                    if !reply($_, @{delete $_->{waits}});
            }
        }

        my $left = @slow ? 0.02 : 1;

        $left = max(min($left, $later[0]{due} - time), 0) if @later;

        for my $socket ($select->can_read($left)) {

            if (my $server = $server{fileno $socket}) {
                my $new = $socket->accept or next;

                $select->add($new);
                $client{fileno $new} = {
                    server => $server, socket => $new, in => '', number => 0,
                    connection => ++$self->{connections},
                };
                next;
            }

            my $client = $client{fileno $socket};

            if (!sysread $socket, $client->{in}, 262144, length $client->{in}) {
                @slow = grep { $_ != $client } @slow;
                @later = grep { $_ != $client } @later;
                $close->($socket);
                next;
            }

            if ($client->{upgraded}) {
                syswrite $socket, "$client->{server}{name} $client->{in}";
                $close->($socket);
                next;
            }

            my $early = $client->{server}{protocol}{early};

            if ($early && (my $then = $early->($client))) {
                reset_by($socket) if $then eq 'reset';
                $close->($socket);
                next;
            }

            my $request = $client->{server}{protocol}{parse}->($client) or next;
            my $name = $client->{server}{name};

            my %entry = (
                stub => $name, connection => $client->{connection},
                number => ++$client->{number},
                length => length $request->{body},
                sha256 => sha256_hex($request->{body}),
                map { ($_ => $request->{$_}) } qw(method uri head headers),
            );

            print $log $json->encode(\%entry), "\n";

            my $what = what($name, $request);

            $what = $client->{number} > 1 ? 'drop' : 'ok' if $what eq 'stale';

            if ($what =~ /^slow(?:-(.*))?$/) {
                $client->{waits} = [$request, $1 // 'ok'];
                push @slow, $client;

            } elsif ($what =~ /^after-(\d+)(?:-(.*))?$/) {
                $client->{waits} = [$request, $2 // 'ok'];
                $client->{due} = time + $1 / 1000;
                @later = sort { $a->{due} <=> $b->{due} } @later, $client;

            } elsif ($what eq 'begin') {
                syswrite $socket, "HTTP/1.1 200 Stub\r\nContent-";

            } elsif ($what ne 'hang') {
                $client->{upgraded} = $what eq 'upgrade';
                $close->($socket) if !reply($client, $request, $what);
            }
        }
    }

    POSIX::_exit(0);
}


# What the request asks the server to do.

sub what {
    my ($name, $request) = @_;

    my ($what) = ($request->{headers}{'x-stub'} // '')
                 =~ /(?:^|\s)\Q$name\E=(\S+)/;

    return $what // 'ok';
}


# Has the connection reset when it is closed.

sub reset_by {
    my ($socket) = @_;

    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
}


# Returns 0 if the connection is to be closed.

sub reply {
    my ($client, $request, $what) = @_;

    return 0 if $what eq 'drop' || $what =~ /^linger/;

    if ($what eq 'reset-end') {
        reset_by($client->{socket});
        return 0;
    }

    my ($text, $keep);

    if ($what =~ /^raw:(\w+):(.*)/) {
        $keep = $1 eq 'hold';
        $text = $2 =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;

        setsockopt $client->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0
            if $1 eq 'reset';

    } else {
        ($text, $keep) = $client->{server}{protocol}{answer}
                             ->($client->{server}{name}, $request, $what);
    }

    while (length $text) {
        my $n = syswrite $client->{socket}, $text or return 0;

        substr $text, 0, $n, '';
    }

    return $keep;
}


# Parsers return undef as long as the request is not complete.

sub parse_http {
    my ($client) = @_;

    my $request = head_http($client) or return undef;

    # a megabyte at a time is not to be looked at again for each packet

    if (($request->{headers}{'transfer-encoding'} // '') eq 'chunked') {

        return undef if length $client->{in} < 5
                        || substr($client->{in}, -5) ne "0\r\n\r\n";

        pos($client->{in}) = 0;

        while ($client->{in} =~ /\G([0-9a-fA-F]+)\r\n/gc) {
            my ($at, $size) = (pos $client->{in}, hex $1);

            last if $size == 0;

            $request->{body} .= substr $client->{in}, $at, $size;
            pos($client->{in}) = $at + $size + 2;
        }

        $client->{in} = '';

    } elsif (my $size = $request->{headers}{'content-length'}) {

        return undef if length $client->{in} < $size;

        $request->{body} = substr $client->{in}, 0, $size, '';
    }

    delete $client->{request};

    return $request;
}


# Takes the head from what has come.

sub head_http {
    my ($client) = @_;

    return $client->{request} if $client->{request};

    my $end = index $client->{in}, "\r\n\r\n";

    return undef if $end < 0;

    my $head = substr $client->{in}, 0, $end + 4, '';
    my ($line, @lines) = split /\r\n/, $head;
    my ($method, $uri) = split ' ', $line;
    my %headers = map { my ($n, $v) = split /:\s*/, $_, 2; (lc $n => $v) }
                      @lines;

    return $client->{request} = {
        method => $method, uri => $uri, head => $head, body => '',
        headers => \%headers, version => $line =~ m{HTTP/1\.1$} ? 1 : 0,
    };
}


# What is done before the request is complete: returns "close" or "reset".

sub early_http {
    my ($client) = @_;

    my $request = head_http($client) or return undef;
    my $what = what($client->{server}{name}, $request);

    my $length = $request->{headers}{'content-length'} // 0;

    return 'reset' if $what eq 'reset-head'
        || $what eq 'reset-half' && 2 * length $client->{in} >= $length;

    return undef if $what !~ /^(early|linger)-(\d+)$/ || $client->{answered}++;

    my ($then, $status) = ($1, $2);
    $request->{headers}{connection} = 'close';

    my ($text) = answer_http($client->{server}{name}, $request, $status);

    syswrite $client->{socket}, $text;

    return $then eq 'early' ? 'close' : undef;
}


sub answer_http {
    my ($name, $request, $what) = @_;

    return ("$name says hello\r\n\r\n", 0) if $what eq 'mumble';
    return ("HTTP/1.1 200 Stub\r\n\1\2\3\r\n\r\n", 0) if $what eq 'garbage';

    if ($what eq 'upgrade') {
        return ("HTTP/1.1 101 Stub\r\nConnection: Upgrade\r\n"
                . "Upgrade: stub\r\n\r\n", 1);
    }

    my $length = $what eq 'short' ? 100 : length $name;
    my $status = $what =~ /^\d+$/ ? $what : 200;
    my $keep = $what ne 'short' && $request->{version}
               && ($request->{headers}{connection} // '') ne 'close';

    my $text = "HTTP/1.1 $status Stub\r\nContent-Length: $length\r\n"
               . "X-Stub-Name: $name\r\n";

    $text .= "Set-Cookie: session=$request->{headers}{'x-id'}\r\n"
        if $what eq 'cookie';

    $text .= "X-Accel-Redirect: $request->{headers}{'x-accel-to'}\r\n"
        if $what eq 'accel';

    $text .= "Connection: close\r\n" if !$keep;

    $name = '' if $request->{method} eq 'HEAD';

    return ("$text\r\n$name", $keep);
}


# of CGI's variables

sub cgi {
    my ($params, $body) = @_;

    my %headers;

    for (keys %$params) {
        $headers{lc s/^HTTP_//r =~ tr/_/-/r} = $params->{$_};
    }

    return { method => $params->{REQUEST_METHOD}, uri => $params->{REQUEST_URI},
             head => '', body => $body, headers => \%headers };
}


sub parse_scgi {
    my ($client) = @_;

    return undef if $client->{in} !~ /\A(\d+):/;

    my ($start, $size) = (length($1) + 1, $1);

    return undef if length $client->{in} < $start + $size + 1;

    my %params = substr($client->{in}, $start, $size) =~ /([^\0]*)\0/g;
    my $body = substr $client->{in}, $start + $size + 1;

    return undef if length $body < $params{CONTENT_LENGTH};

    return cgi(\%params, $body);
}


sub parse_uwsgi {
    my ($client) = @_;

    return undef if length $client->{in} < 4;

    my (undef, $size) = unpack 'Cv', $client->{in};

    return undef if length $client->{in} < 4 + $size;

    my %params = unpack '(v/a)*', substr $client->{in}, 4, $size;
    my $body = substr $client->{in}, 4 + $size;

    return undef if length $body < ($params{CONTENT_LENGTH} || 0);

    return cgi(\%params, $body);
}


sub answer_cgi {
    my ($name, $request, $what) = @_;

    return ("$name says hello\r\n\r\n", 0) if $what eq 'garbage';

    my $status = $what =~ /^\d+$/ ? $what : 200;

    return ("Status: $status Stub\r\nContent-Length: " . length($name)
            . "\r\nX-Stub-Name: $name\r\n\r\n$name", 0);
}


sub parse_fastcgi {
    my ($client) = @_;

    my ($at, $params, $body, $ended, $keep) = (0, '', '', 0, 0);

    while (length($client->{in}) - $at >= 8) {
        my ($type, undef, $size, $padding) =
            unpack 'x C n n C', substr $client->{in}, $at, 8;

        last if length($client->{in}) - $at < 8 + $size + $padding;

        my $content = substr $client->{in}, $at + 8, $size;

        $at += 8 + $size + $padding;

        $keep = ord(substr $content, 2, 1) & 1 if $type == 1;
        $params .= $content if $type == 4;
        $body .= $content if $type == 5;

        if ($type == 5 && $size == 0) {
            $ended = 1;
            last;
        }
    }

    return undef if !$ended;

    substr $client->{in}, 0, $at, '';

    my (%params, @pair);

    while (length $params) {
        my @sizes = map {
            ord $params < 128 ? unpack('C', substr $params, 0, 1, '')
                              : unpack('N', substr $params, 0, 4, '')
                                & 0x7fffffff
        } 1, 2;

        @pair = map { substr $params, 0, $_, '' } @sizes;
        $params{$pair[0]} = $pair[1];
    }

    return { %{cgi(\%params, $body)}, keep => $keep };
}


sub answer_fastcgi {
    my ($name, $request, $what) = @_;

    my ($text) = answer_cgi($name, $request, $what);

    my $record = sub {
        my ($type, $content) = @_;

        return pack('CCnnCx', 1, $type, 1, length $content, 0) . $content;
    };

    return ($record->(6, $text) . $record->(6, '')
            . $record->(3, pack 'NCx3', 0, 0), $request->{keep});
}


# Stub->blackhole: a port to which connections are neither accepted nor
# refused, for as long as the object that is returned second lives.

sub blackhole {
    my $port = free_port();

    my $socket = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1,
        Listen => 1) or die "blackhole: $!\n";

    # the queue of those that wait to be accepted

    listen $socket, 0;

    my @waiting = map {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port,
                              Blocking => 0)
    } 1 .. 4;

    return ($port, [$socket, @waiting]);
}


# Stub->stalled: a port whose connections are made, but never read from, for as
# long as the object that is returned second lives.

sub stalled {
    my $port = free_port();

    my $socket = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1)
        or die "stalled: $!\n";

    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 4096;
    listen $socket, 64;

    return ($port, $socket);
}


1;
