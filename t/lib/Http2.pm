
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Http2;

# The server's side of HTTP/2 without TLS, as far as nginx needs it when it is
# the client: for Stub, as its protocols "h2" and "grpc".  Streams come one
# after the other; the header table is never added to, as nginx does not use
# what would be in it.
#
# A connection's state is kept in the client's record of Stub, below "h2".

use strict;
use warnings;

use constant {
    DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6,
    GOAWAY => 7, WINDOW_UPDATE => 8, CONTINUATION => 9,
    END_STREAM => 1, ACK => 1, END_HEADERS => 4, PADDED => 8, PRIORITY => 32,
};

my $preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

# RFC 7541, appendix A: those that nginx names by their index

my @static = (undef, [':authority', ''], [':method', 'GET'],
              [':method', 'POST'], [':path', '/'], [':path', '/index.html'],
              [':scheme', 'http'], [':scheme', 'https']);

# RFC 7541, appendix B: characters by the length of their codes, which follow
# each other in this order; those of 19 bits and more are in no test

my @codes = ([5, '012aceiost'], [6, ' %-./3456789=A_bdfghlmnpru'],
             [7, ':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz'], [8, '&*,;XZ'],
             [10, '!"()?'], [11, "'+|"], [12, '#>'], [13, "\0\$@[]~"],
             [14, '^}'], [15, '<`{']);

my (%character, $code, $length);

for (@codes) {
    my ($bits, $characters) = @$_;

    $code = ($code // 0) << $bits - ($length // $bits);
    $length = $bits;

    $character{sprintf '%0*b', $bits, $code++} = $_
        for split //, $characters;
}


sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N', length $payload), 1)
           . pack('CCN', $type, $flags, $stream) . $payload;
}


# Takes what came from a connection; returns a request once it is complete.

sub parse {
    my ($client) = @_;

    my $h2 = $client->{h2} //= {};

    if (!$h2->{open}) {
        return undef if length $client->{in} < length $preface;

        die "no preface of HTTP/2\n"
            if substr($client->{in}, 0, length $preface, '') ne $preface;

        $h2->{open} = 1;

        # large windows: no body waits for an update

        syswrite $client->{socket},
            frame(SETTINGS, 0, 0, pack 'nN', 4, 0x7fffffff)
            . frame(WINDOW_UPDATE, 0, 0, pack 'N', 0x40000000);
    }

    while (length $client->{in} >= 9) {

        my ($high, $low, $type, $flags, $stream) =
            unpack 'CnCCN', $client->{in};
        my $size = ($high << 16) + $low;

        last if length $client->{in} < 9 + $size;

        my $payload = substr $client->{in}, 9, $size;

        substr $client->{in}, 0, 9 + $size, '';

        if ($type == SETTINGS && !($flags & ACK)) {
            syswrite $client->{socket}, frame(SETTINGS, ACK, 0, '');

        } elsif ($type == PING && !($flags & ACK)) {
            syswrite $client->{socket}, frame(PING, ACK, 0, $payload);

        } elsif ($type == RST_STREAM) {
            delete $h2->{stream};

        } elsif ($type == HEADERS || $type == CONTINUATION || $type == DATA) {

            # a frame of another stream is nginx' error: end it, as servers do

            if ($type == HEADERS && $stream > ($h2->{last} // 0)) {
                $h2->{last} = $stream;
                $h2->{stream} = { id => $stream, block => '', body => '',
                                  ended => 0, headed => 0 };

            } elsif (!$h2->{stream} || $h2->{stream}{id} != $stream) {
                syswrite $client->{socket},
                    frame(GOAWAY, 0, 0, pack 'NN', $h2->{last} // 0, 1);
                shutdown $client->{socket}, 2;
                return undef;
            }

            my $request = take($h2->{stream}, $type, $flags, $payload);

            if ($request) {
                delete $h2->{stream};
                return $request;
            }
        }
    }

    return undef;
}


sub take {
    my ($stream, $type, $flags, $payload) = @_;

    $stream->{ended} = 1 if $type != CONTINUATION && $flags & END_STREAM;

    if ($type == DATA) {
        $stream->{body} .= $payload;

    } else {
        $stream->{block} .= $payload;
        $stream->{headed} = 1 if $flags & END_HEADERS;
    }

    return undef if !$stream->{ended} || !$stream->{headed};

    my %headers = decode($stream->{block});

    return { method => $headers{':method'}, uri => $headers{':path'},
             head => '', body => $stream->{body}, headers => \%headers,
             stream => $stream->{id} };
}


sub decode {
    my ($block) = @_;

    my %headers;

    while (length $block) {
        my $first = ord substr $block, 0, 1, '';

        if ($first & 0x80) {
            my $entry = $static[$first & 0x7f] // die "unknown header\n";

            $headers{$entry->[0]} = $entry->[1];
            next;
        }

        my $index = $first & ($first & 0x40 ? 0x3f : 0x0f);
        my $name = $index ? ($static[$index] // die "unknown header\n")->[0]
                          : text(\$block);

        $headers{$name} = text(\$block);
    }

    return %headers;
}


sub text {
    my ($block) = @_;

    my $first = ord substr $$block, 0, 1, '';
    my $size = $first & 0x7f;

    if ($size == 0x7f) {
        my ($more, $shift) = (0x80, 0);

        while ($more & 0x80) {
            $more = ord substr $$block, 0, 1, '';
            $size += ($more & 0x7f) << $shift;
            $shift += 7;
        }
    }

    my $text = substr $$block, 0, $size, '';

    return $text if !($first & 0x80);

    my ($bits, $plain) = ('', '');

    for (split //, unpack 'B*', $text) {
        $bits .= $_;

        if (defined $character{$bits}) {
            $plain .= $character{$bits};
            $bits = '';
        }
    }

    return $plain;
}


sub header {
    my ($name, $value) = @_;

    return "\0" . chr(length $name) . $name . chr(length $value) . $value;
}


sub answer {
    my ($name, $request, $what) = @_;

    my $id = $request->{stream};

    # it is for nginx to close, as it may be sending something still

    return (frame(RST_STREAM, 0, $id, pack 'N', 2), 1) if $what eq 'reset';
    return (frame(GOAWAY, 0, 0, pack 'NN', $id - 1, 0), 1)
        if $what eq 'goaway';
    return (frame(HEADERS, END_HEADERS, $id, "\xff\xff\xff\xff\xff"), 1)
        if $what eq 'garbage';

    my $status = $what =~ /^\d+$/ ? $what : 200;
    my $trailers = ($request->{headers}{te} // '') eq 'trailers';

    my $text = frame(HEADERS, END_HEADERS, $id,
                     header(':status', $status)
                     . header('x-stub-name', $name)
                     . ($trailers ? header('content-type', 'application/grpc')
                                  : ''))
               . frame(DATA, $trailers ? 0 : END_STREAM, $id, $name);

    $text .= frame(HEADERS, END_HEADERS | END_STREAM, $id,
                   header('grpc-status', 0))
        if $trailers;

    return ($text, 1);
}


1;
