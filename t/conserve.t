#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Nothing is counted twice and nothing gets lost: what clients sent, what the
# counters say, what the access log has and what the upstreams saw agree, on
# one and on several workers, over reloads, crashes and a full zone.
#
# The load is generated from fixed seeds; a failure names its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

use AsyncUpload;
use Load;


my $uploads = 10000;    # at least, in each of the big runs
my $clients = 16;
my $share = 50;

my @arms = qw(sync async);

my ($port, $sync, $async, $held) = map { free_port } 1 .. 4;


# The upstreams, an nginx of their own.  An upload to /hold is answered when the
# test says so.

my $stub = AsyncUpload->start(
    port => $sync,
    workers => 2,
    http => stub_servers($sync, $async, <<"END"),
location /hold {
            proxy_pass http://127.0.0.1:$held;
            proxy_read_timeout 300s;
        }
END
);

my $holder = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1', LocalPort => $held, Listen => 128,
    ReuseAddr => 1) or die "cannot listen: $!\n";


sub proxy_conf {
    my (%args) = @_;

    my $zone = $args{zone} // '4m';
    my $keepalive = $args{keepalive} ? 'keepalive 32;' : '';
    my $connection = $args{keepalive} ? '""' : 'close';
    my $key = '$http_x_client_id';

    return <<"END";
    upstream upload_async {
        server 127.0.0.1:$async;
        $keepalive
    }

    upstream uploads {
        server 127.0.0.1:$sync;
        $keepalive

        async_upload upload_async zone=uploads:$zone;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout $share%;
        async_upload_key $key;
    }

    log_format each '\$async_upload_counted \$async_upload_arm \$status';

    server {
        listen 127.0.0.1:$port backlog=1024;

        access_log logs/each.log each;
        client_max_body_size 0;
        add_header X-Arm \$async_upload_arm always;

        location / {
            proxy_pass http://uploads;
            proxy_http_version 1.1;
            proxy_set_header Connection $connection;
            proxy_read_timeout 300s;
        }

        location /async_upload/status {
            access_log off;
            async_upload_status;
        }
    }
END
}


sub start_proxy {
    my (%args) = @_;

    return AsyncUpload->start(port => $port, http => proxy_conf(%args), %args);
}


# finished uploads of a cell

sub done {
    my ($cell) = @_;

    my $n = 0;

    $n += $cell->{$_} for qw(success failure rejected aborted cut);

    return $n;
}


sub total {
    my ($rollout, $field) = @_;

    my $n = 0;

    for (@arms) {
        my $cell = $rollout->{arms}{$_};

        $n += $field eq 'done' ? done($cell) : $cell->{$field};
    }

    return $n;
}


# what the access log says of uploads, by arm

sub logged {
    my ($nginx) = @_;

    my %n = (sync => 0, async => 0);

    for (split /\n/, slurp("$nginx->{dir}/logs/each.log")) {
        my ($counted, $arm) = split;

        $n{$arm}++ if $counted;
    }

    return \%n;
}


# What the upstreams saw at a URI, by arm, once it is as much as expected: they
# log an upload when they are through with its body.

sub upstreams_saw {
    my ($uri, $expected) = @_;

    my %n;

    wait_for {
        for my $arm (@arms) {
            $n{$arm} = () = slurp("$stub->{dir}/logs/stub_$arm.log")
                            =~ /"uri":"\Q$uri\E"/g;
        }

        $n{sync} + $n{async} >= $expected;
    };

    return \%n;
}


# Every counter of a status that must never go back, as { path => value }.

sub counters {
    my ($rollout) = @_;

    my %flat;

    my $walk;
    $walk = sub {
        my ($path, $value) = @_;

        if (ref $value eq 'HASH') {
            $walk->("$path.$_", $value->{$_}) for keys %$value;

        } elsif (defined $value
                 && $path !~ /\.(?:in_flight|\w+_rate|mean|p\d+)$/)
        {
            $flat{$path} = $value;
        }
    };

    $walk->($_, $rollout->{$_}) for qw(arms forced clients fallback epoch);
    $flat{'slots.used'} = $rollout->{slots}{used};

    return \%flat;
}


# A watch: polls the status all the time and keeps what was wrong with it.

sub watch {
    my ($nginx) = @_;

    return { nginx => $nginx, polls => 0, bad => [], last => {} };
}


sub poll {
    my ($watch) = @_;

    my $answer = $watch->{nginx}->request('GET', '/async_upload/status',
                                          timeout => 2);

    # its worker was killed or is stopped

    return $watch->{rollout} if $answer->{status} == 0 || $answer->{truncated};

    my $rollout = decode_status($answer->{body})->{rollouts}{uploads};
    my $now = counters($rollout);

    push @{$watch->{bad}}, violations($rollout);

    for (sort keys %{$watch->{last}}) {
        my ($was, $is) = ($watch->{last}{$_}, $now->{$_} // 0);

        push @{$watch->{bad}}, "$_ went from $was to $is" if $is < $was;
    }

    $watch->{last} = $now;
    $watch->{rollout} = $rollout;
    $watch->{polls}++;

    return $rollout;
}


# polls until there were N uploads more

sub advance {
    my ($watch, $n) = @_;

    my $goal = total(poll($watch), 'uploads') + $n;

    wait_for { total(poll($watch), 'uploads') >= $goal } "$n uploads more";
}


sub watched {
    my ($watch, $title) = @_;

    my @bad = @{$watch->{bad}};

    ok(!@bad && $watch->{polls} >= 10,
        "$title: in every one of the polls no upload in flight is negative"
        . ' and no counter goes back')
        or diag("    $watch->{polls} polls\n", map { "    $_\n" } @bad[0 .. 19]);
}


# The worker with the most connections.

sub busiest {
    my ($nginx) = @_;

    my %fds = map { $_ => scalar(() = glob "/proc/$_/fd/*") } $nginx->serving;

    return (sort { $fds{$b} <=> $fds{$a} } keys %fds)[0];
}


sub crash {
    my ($nginx, $pid) = @_;

    kill 'KILL', $pid;

    wait_for { !grep { $_ == $pid } $nginx->workers } 'the end of a worker';
}


# The same, returns how many uploads were in flight: first the worker is
# stopped, and the others say it.

sub crash_counted {
    my ($watch, $pid) = @_;

    kill 'STOP', $pid;

    wait_for { slurp("/proc/$pid/stat") =~ /\) T / } 'a worker to stop';

    my $polls = $watch->{polls};

    wait_for { poll($watch); $watch->{polls} > $polls } 'the status';

    my $in_flight = total($watch->{rollout}, 'in_flight');

    crash($watch->{nginx}, $pid);

    return $in_flight;
}


# Starts an upload that stays with its upstream until it is released.

sub hold {
    my ($key) = @_;

    my $client = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port)
        or die "cannot connect: $!\n";

    print $client "POST /hold HTTP/1.1\r\nHost: localhost\r\n"
                  . "X-Client-Id: $key\r\nConnection: close\r\n"
                  . "Content-Length: 0\r\n\r\n";

    my $server;

    wait_for {
        IO::Select->new($holder)->can_read(0) && ($server = $holder->accept);
    } 'an upload to hold' or die "no upload came\n";

    return { client => $client, server => $server };
}


sub release {
    my ($hold) = @_;

    sysread $hold->{server}, my $request, 65536;

    print {$hold->{server}}
        "HTTP/1.0 201 Created\r\nContent-Length: 4\r\n\r\nheld";
    close $hold->{server};

    return read_response($hold->{client})->{status};
}


# All sources agree exactly, by arm; nothing was killed.

sub exact {
    my ($nginx, $result, $rollout, $uri, $title) = @_;

    is($result->{sent}, $result->{answered}, "$title: every upload is answered");

    my $stub = upstreams_saw($uri, $result->{answered});
    my $log = logged($nginx);

    for my $arm (@arms) {
        my $cell = $rollout->{arms}{$arm};
        my $n = $result->{arm}{$arm};

        is_deeply([done($cell), $cell->{success}, $cell->{uploads}, $log->{$arm},
                   $stub->{$arm}], [($n) x 5],
            "$title: $arm: counters, access log and upstream have the clients'"
            . " $n uploads");

        my $latency = 0;

        $latency += $_->{latency_sum_us} for values %{$cell->{sizes}};

        # as far as the mean's only decimal goes

        ok(abs($cell->{latency_us}{mean} - $latency / $n) < 0.051,
            "$title: $arm: histogram and size classes hold the same uploads")
            or diag("    mean $cell->{latency_us}{mean}, "
                    . "sum $latency of $n");
    }

    is($rollout->{arms}{sync}{lost} + $rollout->{arms}{async}{lost}, 0,
        "$title: no upload is lost");

    conserved($rollout, "$title: every upload is counted once");
}


# Crashes and reloads.

{
    my $title = 'workers are killed';
    my $nginx = start_proxy(workers => 4);
    my $watch = watch($nginx);
    my ($kills, $in_flight) = (0, 0);

    my $load = Load->start($port, uploads => 0, clients => $clients, seed => 11,
                           sizes => '0:32768', prefix => 'a', uri => '/a');

    advance($watch, $uploads / 8);
    $in_flight += crash_counted($watch, busiest($nginx));
    $kills++;

    advance($watch, $uploads / 8);
    $nginx->reload(draining => 1);

    advance($watch, $uploads / 8);
    $in_flight += crash_counted($watch, busiest($nginx));
    $kills++;

    advance($watch, $uploads / 8);
    my $hold = hold('held');
    $nginx->reload(draining => 1);

    my @draining;

    wait_for {
        poll($watch);
        (@draining = $nginx->draining) == 1;
    } 'one old worker with a slow upload';

    advance($watch, $uploads / 8);
    $in_flight += crash_counted($watch, @draining);
    $kills++;
    undef $hold;

    advance($watch, $uploads / 8);
    $nginx->reload(draining => 1);
    advance($watch, $uploads / 4);

    my $result = $load->finish;
    my $rollout = $nginx->quiet('uploads');

    watched($watch, $title);

    # with the one that was held
    my $sent = $result->{sent} + 1;
    my $done = total($rollout, 'done');
    my $lost = total($rollout, 'lost');
    my $log = logged($nginx);

    cmp_ok($sent, '>=', $uploads, "$title: there were enough uploads");

    for (@arms) {
        my $cell = $rollout->{arms}{$_};

        is($cell->{uploads}, done($cell) + $cell->{lost},
            "$title: $_: every upload is done or lost");

        cmp_ok(abs(done($cell) - $log->{$_}), '<=', $kills,
            "$title: $_: the access log agrees with what is done");

        # a worker may be killed between the sum and the result

        my $sizes = 0;

        $sizes += $_->{uploads} for values %{$cell->{sizes}};
        $sizes -= $cell->{success} + $cell->{failure};

        ok($sizes >= 0 && $sizes <= $kills,
            "$title: $_: size classes agree with successes and failures");
    }

    cmp_ok(abs($done - $log->{sync} - $log->{async}), '<=', $kills,
        "$title: the access log agrees with what is done");

    ok($result->{answered} <= $done + $lost && $done + $lost <= $sent,
        "$title: no more uploads are counted than were sent, no fewer than"
        . ' were answered')
        or diag("    $result->{answered} <= $done + $lost <= $sent");

    # more than the clients' connections: nginx lingers after an answer

    ok($lost >= 1 && $lost <= $in_flight,
        "$title: no more are lost than were in flight")
        or diag("    $lost of $in_flight");

    cmp_ok($result->{broken}, '<=', $kills * $clients,
        "$title: clients see no more closed connections than there were");

    is($result->{connect} + $result->{timeout} + $result->{invalid}, 0,
        "$title: clients see nothing but closed connections");

    is_deeply([sort keys %{$result->{status}}], [201, 202],
        "$title: every answer is one of an upstream");

    # each "exited on signal 9" is an alert

    is(scalar $nginx->complaints, $kills, "$title: no other errors are logged")
        or diag($nginx->complaints);
    $nginx->stop(qr/exited on signal 9/);
}


# The number of workers changes under load.

{
    my $title = 'worker_processes 2, 4, 1 and 2';
    my $nginx = start_proxy(workers => 2);
    my $watch = watch($nginx);

    my $load = Load->start($port, uploads => 0, clients => $clients, seed => 12,
                           sizes => '0:32768', prefix => 'b', uri => '/b');

    for (4, 1, 2) {
        advance($watch, $uploads / 4);
        $nginx->configure(workers => $_);
        $nginx->reload(draining => 1);
    }

    advance($watch, $uploads / 4);

    my $result = $load->finish;

    watched($watch, $title);
    exact($nginx, $result, $nginx->quiet('uploads'), '/b', $title);
    $nginx->stop;
}


# Connections are kept on both sides, bodies are of all sizes.

{
    my $title = 'keepalive';
    my $nginx = start_proxy(workers => 4, keepalive => 1);
    my $watch = watch($nginx);

    my $load = Load->start($port, uploads => $uploads, clients => $clients,
                           keepalive => 1, seed => 13, sizes => '0:65536',
                           methods => 'POST,PUT,PATCH', prefix => 'c', uri => '/c');

    advance($watch, $uploads / 2);
    wait_for { total(poll($watch), 'done') >= $uploads } 'the rest';

    my $result = $load->finish;

    watched($watch, $title);
    exact($nginx, $result, $nginx->quiet('uploads'), '/c', $title);

    # large bodies, which go through temporary files

    my $before = $nginx->quiet('uploads');
    my $large = load($port, uploads => 200, clients => $clients,
                     keepalive => 1, seed => 14, sizes => '65536:2097152',
                     methods => 'POST,PUT,PATCH', prefix => 'd');

    my $after = $nginx->quiet('uploads');

    is(total($after, 'bytes') - total($before, 'bytes'), $large->{bytes},
        'large bodies: the bytes counted are those that were sent');
    is(total($after, 'success') - total($before, 'success'), $large->{sent},
        'large bodies: every upload is counted');
    conserved($after, 'large bodies: every upload is counted once');
    $nginx->stop;
}


# A worker dies and another one takes its place.

{
    my $nginx = start_proxy(workers => 1);
    my $sent = 0;
    my $slowest = 0;

    for my $round (1 .. 5) {
        is(load($port, uploads => 20, clients => 2)->{answered}, 20,
            "worker $round serves");
        $sent += 20;

        $nginx->quiet('uploads');
        crash($nginx, $nginx->serving);

        my $begin = time;

        wait_for {
            $nginx->request('POST', '/upload', body => 'x',
                            timeout => 1)->{status};
        } 'a new worker';

        my $took = time - $begin;

        $slowest = $took if $took > $slowest;
        $sent++;
    }

    cmp_ok($slowest, '<', 1, 'a new worker serves within a second of a crash');

    my $rollout = $nginx->quiet('uploads');

    is(total($rollout, 'done'), $sent,
        'crashed workers leave what they have counted');
    is(total($rollout, 'lost'), 0, 'idle workers lose nothing when they crash');
    is($rollout->{slots}{used}, 1, 'a new worker goes on in the dead one\'s slot');
    conserved($rollout);
    $nginx->stop(qr/exited on signal 9/);
}


# All workers are replaced, many times over.

{
    my $title = 'replaced workers';
    my $nginx = start_proxy(workers => 4);
    my $watch = watch($nginx);
    my ($sent, $kills) = (0, 0);

    for (1 .. 20) {
        $nginx->reload(draining => 1);

        my $result = load($port, uploads => 100, clients => 8, seed => $_,
                          prefix => 'e');

        $sent += $result->{answered};
        poll($watch);
    }

    ok((wait_for { !$nginx->draining } undef, 2),
        'no worker is left shutting down 2 seconds after 20 reloads in a row');

    for (1 .. 5) {
        my @pids = $nginx->serving;

        $nginx->quiet('uploads');
        kill 'KILL', @pids;
        $kills += @pids;

        wait_for {
            my %now = map { $_ => 1 } $nginx->serving;

            keys %now == 4 && !grep { $now{$_} } @pids;
        } 'new workers';

        my $result = load($port, uploads => 100, clients => 8, seed => $_,
                          prefix => 'f');

        $sent += $result->{answered};
        poll($watch);
    }

    my $rollout = $nginx->quiet('uploads');

    watched($watch, $title);
    is(total($rollout, 'uploads'), $sent, "$title: count every upload");
    is(total($rollout, 'done'), $sent, "$title: count it once");

    # more than a hundred processes had a slot; those of a few generations may
    # have lived beside one another

    cmp_ok($rollout->{slots}{used}, '<=', 4 * 4,
        "$title: give their slots to the next ones");
    conserved($rollout);

    # one tick at least has come by

    wait_for { defined $nginx->status('uploads')->{last_tick_age_s} } 'a tick';

    my $begin = time;

    $nginx->stop(qr/exited on signal 9/);
    cmp_ok(time - $begin, '<', 1, 'an idle nginx quits within a second');
}


# The smallest zone, and old workers that do not go.

{
    my $title = 'a full zone';
    my $workers = 4;

    my ($status, $output) = AsyncUpload->start(
        port => $port, http => proxy_conf(zone => '64k'), workers => $workers,
        fails => 1);

    my ($least) = $output =~ /at least (\d+k) is needed/;

    ok(defined $least, 'a zone too small names the least that will do')
        or diag($output);

    my $nginx = start_proxy(zone => $least // '4m', workers => $workers);
    my $watch = watch($nginx);
    my $slots = poll($watch)->{slots}{total};

    cmp_ok($slots, '>=', 2 * $workers + 8,
        'the least zone has twice the workers\' slots and 8');

    my $warnings = sub {
        return scalar(() = slurp("$nginx->{dir}/logs/error.log")
                           =~ /\[warn\].*no free slot in zone "uploads"/g);
    };

    # each generation leaves workers behind, until the next one finds no slot

    my ($full, @holds);

    for (1 .. 4 * $slots) {
        push @holds, map { hold("hold$_") } 1 .. 4 * $workers;

        my $rollout = poll($watch);

        $full = $rollout->{slots}{alive} == $slots;

        is($warnings->(), 0, "$title: it is not full at first") if $_ == 1;

        $nginx->reload(draining => 1);

        last if $full;
    }

    ok(poll($watch)->{slots}{overflow}, "$title: workers without a slot share"
       . ' one');
    is($warnings->(), 1, "$title: one warning says so");

    my $load = Load->start($port, uploads => $uploads, clients => 2 * $clients,
                           seed => 15, prefix => 'g', uri => '/g');

    wait_for { total(poll($watch), 'done') >= $uploads } 'the uploads';

    my $result = $load->finish;
    my $rollout = poll($watch);
    my $log = logged($nginx);
    my $stub = upstreams_saw('/g', $result->{answered});

    is(total($rollout, 'in_flight'), scalar @holds,
        "$title: the slow uploads are in flight");

    for (@arms) {
        my $n = $result->{arm}{$_};

        is_deeply([done($rollout->{arms}{$_}), $log->{$_}, $stub->{$_}],
            [($n) x 3],
            "$title: $_: counters, access log and upstream have the clients'"
            . " $n uploads");
    }

    # those of the shared slot must be known one by one to tell what is lost

    my $lost = hold('lost');

    crash($nginx, $_) for $nginx->serving;
    close $lost->{server};

    is(scalar(grep { release($_) == 201 } @holds), scalar @holds,
        "$title: the slow uploads are answered");

    wait_for { !$nginx->draining } 'the old workers\' end';
    $nginx->reload;

    $rollout = $nginx->quiet('uploads');
    $log = logged($nginx);

    is_deeply([total($rollout, 'uploads') - 1, total($rollout, 'success'),
               $log->{sync} + $log->{async}],
        [(@holds + $result->{answered}) x 3],
        "$title: the slow uploads are counted");
    is(total($rollout, 'lost'), 1,
        "$title: what a killed worker had in flight in the shared slot is lost");

    is($nginx->status('uploads')->{slots}{alive}, $workers,
        "$title: once there is room every worker has a slot again");
    is($warnings->(), 1, "$title: no other warning was logged");

    my $more = load($port, uploads => 1000, clients => $clients, prefix => 'h');

    $rollout = $nginx->quiet('uploads');

    is(total($rollout, 'success'), @holds + $result->{answered} + 1000,
        "$title: what was counted while it was full stays");
    watched($watch, $title);
    conserved($rollout, "$title: every upload is counted once");
    $nginx->stop(qr/exited on signal 9/);
}


$stub->stop;

done_testing();
