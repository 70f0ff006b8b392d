#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Async fails altogether while there is load: clients see none of it, a few
# uploads later nobody is sent there any more, and the journal says why.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Load;
use Test::More;
use Time::HiRes qw(time);
use Time::Local qw(timegm);


my $clients = 24;

my ($port, $sync, $async) = map { free_port() } 1 .. 3;


# The servers: async answers 503 while there is a file "outage", and both are
# fast, so that hardly anything is in flight when it begins.

my $log = "log_format served '\$msec \$status \$http_x_client_id';";

my $sync_server = AsyncUpload->start(port => $sync, http => <<"END");
    $log

    server {
        listen 127.0.0.1:$sync backlog=1024;
        access_log logs/served.log served;
        keepalive_requests 1000000;
        return 201;
    }
END

sub start_async {
    return AsyncUpload->start(port => $async, http => <<"END");
    $log

    server {
        listen 127.0.0.1:$async backlog=1024;
        access_log logs/served.log served;
        keepalive_requests 1000000;

        location / {
            if (-f \$document_root/outage) {
                return 503;
            }

            return 202;
        }
    }
END
}


# What a server has answered, as [time, status, identity].

sub served {
    my ($server) = @_;

    return map { [split] } split /\n/, slurp("$server->{dir}/logs/served.log");
}


sub time_of {
    my ($event) = @_;

    my ($year, $month, $day, $hour, $min, $sec) =
        $event->{time} =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):([\d.]+)Z$/
            or return 0;

    return timegm(0, $min, $hour, $day, $month - 1, $year) + $sec;
}


# break() has async fail and returns the times of the failures, as far as there
# is a server to tell them.

sub outage {
    my ($workers, $what, $break, $errors) = @_;

    my $server = start_async();
    my $title = "$workers workers, $what";

    my $nginx = AsyncUpload->start(port => $port, workers => $workers,
                                   http => <<"END");
    upstream upload_async {
        server 127.0.0.1:$async;
        keepalive 16;
    }

    upstream uploads {
        server 127.0.0.1:$sync;
        keepalive 16;

        async_upload upload_async zone=uploads:2m;
        async_upload_enabled on;
        async_upload_rollout 10%;
        async_upload_key \$http_x_client_id;
        async_upload_fallback failure replay=always;
        async_upload_statistics plain;
        async_upload_log logs/journal.jsonl;
    }

    server {
        listen 127.0.0.1:$port backlog=1024 reuseport;
        keepalive_requests 1000000;

        proxy_http_version 1.1;
        proxy_set_header Connection "";

        location / {
            add_header X-Arm \$async_upload_arm;
            proxy_pass http://uploads;
        }

        location = /async_upload/status {
            async_upload_status;
        }
    }
END

    my $load = Load->start($port, uploads => 0, clients => $clients,
                           keepalive => 1, prefix => 'client-',
                           sizes => '0:4096');

    wait_for { $nginx->status('uploads')->{arms}{async}{success} >= 100 }
        'uploads that async serves';

    my $before = time;

    $break->($server);

    wait_for { $nginx->status('uploads')->{state} eq 'rolled_back' }
        'a rollback';

    my $sync_uploads = $nginx->status('uploads')->{arms}{sync}{uploads};

    wait_for { $nginx->status('uploads')->{arms}{sync}{uploads}
                   >= $sync_uploads + 1000 } 'uploads after the rollback';

    my $result = $load->finish;
    my $rollout = $nginx->quiet('uploads');
    my $cell = $rollout->{arms}{async};

    # clients

    is_deeply({ map { ($_ => $result->{$_}) }
                    qw(connect broken timeout invalid answered) },
              { connect => 0, broken => 0, timeout => 0, invalid => 0,
                answered => $result->{sent} },
              "$title: no client sees an error");
    is_deeply([grep { $_ !~ /^20[12]$/ } keys %{$result->{status}}], [],
              "$title: all are served");

    # the arms

    conserved($rollout, "$title: every upload is counted once");
    is($cell->{uploads} + $rollout->{arms}{sync}{uploads}, $result->{sent},
       "$title: all of them are");
    is($cell->{masked}, $cell->{failure},
       "$title: every failure of async was masked");
    is($rollout->{clients}{failed}, 0, "$title: people feel nothing");
    is("$rollout->{state}, $rollout->{share_bp}", 'rolled_back, 0',
       "$title: it is at 0%");

    # Five in a row; others were in flight then, of one client each.  Where one
    # that was sent before succeeds in between, it ends a row.

    cmp_ok($cell->{failure}, '>=', 5, "$title: five failures are needed");
    cmp_ok($cell->{failure}, '<=', 5 + $clients - 1,
           "$title: and not many more are sent there ($cell->{failure})");

    my @times = map { $_->[0] } grep { $_->[1] == 503 } served($server);

    if (@times) {
        is(scalar @times, $cell->{failure},
           "$title: the server saw as many as are counted");

        my %identities = map { ($_->[2] => 1) }
                             grep { $_->[1] == 503 } served($server);

        is(scalar keys %identities, $cell->{failure},
           "$title: of an identity each");
    }

    # the journal

    my @events = $nginx->journal;
    my @rollbacks = grep { $_->{event} eq 'rollback' } @events;

    is(scalar @rollbacks, 1, "$title: the journal has one rollback");
    is(join(' ', map { $_->{sequence} } @events), "@{[1 .. @events]}",
       "$title: it is complete");

    my $event = $rollbacks[0];

    is_deeply([@$event{qw(rule limit unit dry_run)}],
              ['consecutive', 5, 'uploads', JSON::PP::false],
              "$title: the journal says which rule");

    # another worker may have had the sixth by then

    cmp_ok($event->{value}, '>=', 5, "$title: and how many there were");
    cmp_ok($event->{value}, '<=', $cell->{failure}, "$title: of all");
    is($event->{actor}{kind}, 'guard', "$title: and that it was the guard");
    is_deeply([map { "$_->{state}, $_->{share_bp}" } @$event{qw(from to)}],
              ['running, 1000', 'rolled_back, 0'],
              "$title: and from where to where");

    my $figures = $event->{arms};

    cmp_ok($figures->{async}{failure}, '>=', 5,
           "$title: and the failures of async");
    cmp_ok($figures->{async}{failure}, '<=', $cell->{failure},
           "$title: those of then");
    cmp_ok($figures->{async}{success}, '>=', 100,
           "$title: and its successes");
    cmp_ok($figures->{sync}{success}, '>=', $figures->{async}{success},
           "$title: and those of sync");
    is($figures->{sync}{failure}, 0, "$title: which has not failed");

    my $at = time_of($event);
    my $fifth = $times[4] // $before;

    cmp_ok($at, '>=', $before - 0.002, "$title: not before it failed");
    cmp_ok($at - $fifth, '<', 1,
           "$title: within a second of the fifth failure");

    my $n = () = slurp("$nginx->{dir}/logs/error.log")
                 =~ /\[error\] .*async_upload "uploads": ROLLBACK 1000 -> 0/g;

    is($n, 1, "$title: the log has one line");

    $nginx->stop(qr/async_upload "uploads": ROLLBACK/, @$errors);
    $server->end('TERM');
}


for my $workers (2, 8) {
    outage($workers, 'answers of 503', sub {
        my ($server) = @_;

        spew("$server->{dir}/html/outage", '');
    }, []);

    outage($workers, 'a server that is gone', sub {
        my ($server) = @_;

        $server->end('TERM');
    }, [qr/(?:connect|recv|send|writev)\(\) failed \((?:104|111|32):/,
        qr/upstream prematurely closed connection/]);
}

$sync_server->stop;

done_testing();
