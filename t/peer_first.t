#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# An async server that answers, in part, before it was sent anything, and goes.
# The worker is stopped meanwhile, so that it finds all of this at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use IO::Select;
use Stub;
use Test::More;
use Time::HiRes qw(time);


my $stub = Stub->start('s1');
my $port = free_port();
my ($hole, $guard) = Stub->blackhole;

my $nginx = AsyncUpload->start(port => $port, http => <<"END");
    upstream async { server 127.0.0.1:$hole; }

    upstream uploads {
        server 127.0.0.1:@{[$stub->port('s1')]};
        async_upload async zone=uploads:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
    }

    server {
        listen 127.0.0.1:$port;

        lingering_close off;

        location /upload {
            proxy_pass http://uploads;
        }

        location = /async_upload/status {
            async_upload_status;
        }
    }
END

my ($worker) = $nginx->workers;

my $client = send_request($port, 'POST', '/upload', body => 'x');

wait_for { $nginx->status('uploads')->{arms}{async}{in_flight} }
    'an upload in flight';

kill 'STOP', $worker;

# Now that connections are accepted, the system repeats, within a second, the
# worker's attempt to connect.

my $listener = IO::Select->new($guard->[0]);
my $end = time + 2;
my $own = 0;

while (!$own && $listener->can_read($end - time)) {
    my $socket = $guard->[0]->accept or last;

    # of those that have filled the queue, or of the worker

    $own = !grep { $_ && defined $_->sockport
                   && $_->sockport == $socket->peerport } @$guard;

    syswrite $socket, "HTTP/1.1 200 OK\r\nX-Broken: o" if $own;
    close $socket;
}

ok($own, 'async has spoken first');

kill 'CONT', $worker;

my $answer = read_response($client);

is($answer->{status}, 200, 'an answer');
is($answer->{body}, 's1', 'of sync');
is($answer->{headers}{'x-broken'}, undef, 'without what async has said');

is(join(' ', map { $_->{stub} } $stub->requests), 's1', 'once');

my $rollout = $nginx->quiet('uploads');

conserved($rollout);
is($rollout->{arms}{async}{by_class}{connect}, 1, 'nothing was sent to async');
is($rollout->{fallback}{served}, 1, 'the failure was masked');

$nginx->stop(qr/upstream prematurely closed connection/);

done_testing();
