
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Measured;

# An nginx whose instructions are counted, and its only client.
#
# The single process of "master_process off" takes a request through the same
# functions as a worker.  The client sends a request once it has the answer to
# the one before, all of it in one write, so that the events come in the same
# order in every run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use AsyncUpload;
use Callgrind;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_SNDBUF TCP_NODELAY);

use parent -norequire, 'AsyncUpload';


# Measured->start(http => TEXT, port => PORT, [module => PATH]): waited for
# until it accepts connections; without a module it runs without it.

sub configure {
    my ($self, %args) = @_;

    my $module = $self->{module} ? "load_module $self->{module};" : '';

    spew("$self->{dir}/conf/nginx.conf", <<"END");
$module
daemon off;
master_process off;
pid logs/nginx.pid;
error_log logs/error.log notice;

events {
    worker_connections 128;
}

http {
    access_log off;

    client_body_temp_path temp/client_body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;

    keepalive_requests 1000000;
    keepalive_timeout 1h;

$self->{http}
}
END
}


sub command_line {
    my ($self, @args) = @_;

    # a script may start nginx, so children are followed over exec

    return ('valgrind', '--tool=callgrind', '-q', '--trace-children=yes',
            '--dump-line=no', '--dump-before=ngx_reopen_files',
            "--callgrind-out-file=$self->{dir}/profile",
            $self->SUPER::command_line(@args));
}


sub connect {
    my ($self) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $self->{port})
        or die "cannot connect: $!\n";

    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    setsockopt $socket, SOL_SOCKET, SO_SNDBUF, 262144;

    return $socket;
}


# send_requests(SOCKET, N, TEXT, STATUS): sends the same request N times and
# expects the same status each time.

sub send_requests {
    my ($self, $socket, $n, $text, $status) = @_;

    for (1 .. $n) {
        my $sent = syswrite $socket, $text;

        die "cannot send a request\n" if ($sent // 0) != length $text;

        my $answer = '';
        my $size;

        while (!defined $size || length $answer < $size) {
            sysread $socket, $answer, 65536, length $answer
                or die "no complete answer: $answer\n";

            next if defined $size;

            if ((my $end = index $answer, "\r\n\r\n") >= 0) {
                my $head = substr $answer, 0, $end;

                $head =~ /^Content-Length: (\d+)/mi
                    or die "an answer without a length\n";

                $size = $end + 4 + $1;
            }
        }

        die "$status was expected: $answer\n"
            if $answer !~ m{^HTTP/1.1 $status };
    }
}


# Writes the profile of what was executed since the last time and returns it.
# callgrind does so before the function that nginx reopens its logs with.

sub profile {
    my ($self) = @_;

    my $path = "$self->{dir}/profile." . ++$self->{profiles};

    kill 'USR1', $self->{pid};

    # A single process looks for signals before it waits for events.  One that
    # comes in between is seen with the next event.

    wait_for { -s $path } undef, 2
        or $self->request('GET', '/ready') && wait_for { -s $path } 'a profile'
        or die "no profile\n";

    # with the first answer from here on it is complete

    $self->request('GET', '/ready');

    return Callgrind->read($path);
}


# Ends nginx, whose client this was.

sub finish {
    my ($self, $client) = @_;

    kill 'TERM', $self->{pid};
    close $client;

    $self->end('TERM');

    my @bad = $self->complaints;

    die join "\n", 'in the error log:', @bad, '' if @bad;
}


1;
