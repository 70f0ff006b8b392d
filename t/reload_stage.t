#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Reloads and ends while a stage, a drill or a decision is under way; and many
# workers that might decide the same thing twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Load;
use Test::More;
use Time::HiRes qw(time);


# sanitizers look for leaks when a process ends

my $second = `$ENV{TEST_NGINX_BINARY} -V 2>&1` =~ /-fsanitize=/ ? 4 : 1;


sub state_of {
    my ($rollout) = @_;

    return "$rollout->{state}, $rollout->{share_bp}"
           . ($rollout->{stage} ? ", stage $rollout->{stage}{number}" : '');
}


# An nginx whose workers have all begun.

sub start {
    my ($guarded) = @_;

    my $nginx = $guarded->start;

    wait_for { $nginx->serving >= ($guarded->{workers} // 1) } 'the workers';

    return $nginx;
}


# Events of a rollout, which have each number once.

sub complete {
    my ($nginx, $name, $title) = @_;

    my @events = grep { $_->{rollout} eq $name } $nginx->journal;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(join(' ', map { $_->{sequence} } @events), "@{[1 .. @events]}",
       "$title: the journal is complete");

    return @events;
}


# Reloads under load.

{
    my ($port, $sync, $async) = map { free_port() } 1 .. 3;

    my $servers = AsyncUpload->start(port => $sync, http => <<"END");
    server { listen 127.0.0.1:$sync backlog=1024; return 201; }
    server { listen 127.0.0.1:$async backlog=1024; return 202; }
END

    my $nginx = AsyncUpload->start(port => $port, workers => 2,
                                   http => <<"END");
    upstream upload_async { server 127.0.0.1:$async; }

    upstream uploads {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=uploads:2m;
        async_upload_enabled on;
        async_upload_key \$http_x_client_id;
        async_upload_statistics plain;
        async_upload_stage 30% min_uploads=1000000;
        async_upload_stage 60%;
        async_upload_log logs/journal.jsonl;
    }

    server {
        listen 127.0.0.1:$port backlog=1024;

        location / {
            add_header X-Arm \$async_upload_arm;
            proxy_pass http://uploads;
        }

        location = /async_upload/status {
            async_upload_status;
        }

        location /async_upload/control {
            async_upload_control;
        }
    }
END

    wait_for { $nginx->status('uploads')->{baseline}{frozen} } 'the baseline';

    my $before = $nginx->status('uploads');

    my $load = Load->start($port, uploads => 0, clients => 6,
                           prefix => 'client-', methods => 'POST,PUT');

    my (@evidence, @ages);

    for (1 .. 20) {
        wait_for {
            my $uploads = $nginx->status('uploads')->{clients}{uploads};

            $uploads >= 50 * (@evidence + 1);
        } 'uploads';

        $nginx->reload(draining => 1);

        my $rollout = $nginx->status('uploads');

        push @evidence, $rollout->{observation}{async}{uploads};
        push @ages, $rollout->{observation}{age_s};
    }

    my $result = $load->finish;

    wait_for { !$nginx->draining } 'old workers to be gone';

    my $rollout = $nginx->quiet('uploads');

    is_deeply({ map { ($_ => $result->{$_}) }
                    qw(connect broken timeout invalid answered) },
              { connect => 0, broken => 0, timeout => 0, invalid => 0,
                answered => $result->{sent} },
              'clients see nothing of 20 reloads');
    is(state_of($rollout), 'running, 3000, stage 1', 'the stage stays');
    is($rollout->{epoch}, $before->{epoch}, 'so does the epoch');
    is($rollout->{stage}{since}, $before->{stage}{since},
       'and the time when it began');
    is($rollout->{generation}, $before->{generation} + 20,
       'with 20 generations');
    is_deeply(\@evidence, [sort { $a <=> $b } @evidence],
              'evidence never goes back');
    is_deeply(\@ages, [sort { $a <=> $b } @ages], 'nor does its age');

    conserved($rollout, 'every upload is counted once');

    my ($async_arm, $sync_arm) = @{$rollout->{arms}}{qw(async sync)};

    is($async_arm->{uploads} + $sync_arm->{uploads}, $result->{sent},
       'all of them are counted');
    is($rollout->{observation}{async}{success}, $async_arm->{success},
       'all of async is evidence');
    is($rollout->{observation}{sync}{success}, $sync_arm->{success},
       'all of sync is evidence');
    is("$async_arm->{lost} $sync_arm->{lost} $async_arm->{cut}"
       . " $sync_arm->{cut}", '0 0 0 0', 'none was lost');

    my @events = complete($nginx, 'uploads', '20 reloads');

    is(join(' ', sort map { $_->{event} } @events), 'baseline started',
       'no reload is an event');

    $nginx->stop;
    $servers->end('TERM');
}


# What drains decides nothing, but what it has counted is seen.

{
    my $guarded = Guarded->new;

    $guarded->add('uploads', 'async_upload_rollback run=1;');
    $guarded->add('stays');

    my $nginx = start($guarded);
    my ($old) = $nginx->serving;

    $guarded->uploads($_, 'async', 'ok') for qw(uploads stays);

    my ($holder, $other) = map { $guarded->client } 1 .. 2;

    $guarded->ask($holder, 'uploads', 'async', 'slow-500');
    $guarded->ask($other, 'stays', 'async', 'slow-500');

    my $n = 0;

    wait_for {
        $n += grep { $_->{headers}{'x-stub'} =~ /slow/ }
                   $guarded->{stub}->requests;
        $n >= 2;
    } 'uploads that are held';

    $nginx->reload(draining => 1);

    my ($new) = $nginx->serving;

    $guarded->uploads('stays', 'async', 'ok');

    # so that nobody else can

    kill 'STOP', $new;

    $guarded->{stub}->release;

    is(Guarded::answer($holder)->{status}, 500, 'an upload fails in it');
    is(Guarded::answer($other)->{status}, 500, 'and another one');

    $guarded->{clients} = [];
    close $_ for $holder, $other;
    wait_for { !grep { $_ == $old } $nginx->workers } 'the old worker to end';

    my @rollbacks = grep { $_->{event} eq 'rollback' } $nginx->journal;

    is(scalar @rollbacks, 0, 'a worker that drains does not roll back');

    kill 'CONT', $new;

    wait_for { $nginx->status('uploads')->{state} eq 'rolled_back' }
        'a rollback';
    is(state_of($nginx->status('uploads')), 'rolled_back, 0',
       'but one of now does');

    my ($pid) = slurp("$nginx->{dir}/logs/error.log")
                =~ /\[error\] (\d+)#.*"uploads": ROLLBACK/;

    is($pid, $new, 'it is the one that says so');
    is(state_of($nginx->status('stays')), 'running, 5000',
       'one failure of five is none too many');
    is($nginx->status('stays')->{observation}{async}{failure}, 1,
       'which is evidence');

    @rollbacks = grep { $_->{event} eq 'rollback' }
                     complete($nginx, 'uploads', 'an old worker');
    is(scalar @rollbacks, 1, 'there is one event');

    $guarded->stop;
}


# Ends: no timer of the module holds a worker up.

sub ends {
    my ($nginx, $title, $act, @pids) = @_;

    my $start = time;

    $act->();

    wait_for { !grep { AsyncUpload::alive($_) } @pids } $title;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    cmp_ok(time - $start, '<=', $second, "$title takes at most a second");
}


for my $signal (qw(HUP QUIT TERM)) {
    my $guarded = Guarded->new(workers => 2);

    $guarded->add("rollout_$_") for 1 .. 5;

    my $nginx = start($guarded);

    wait_for { defined $nginx->status('rollout_5')->{last_tick_age_s} }
        'a tick';

    ends($nginx, "$signal with a tick under way", sub {
        kill $signal, $nginx->{pid};
    }, $signal eq 'HUP' ? $nginx->workers : $nginx->{pid});

    wait_for { $nginx->serving >= 2 } 'new workers' if $signal eq 'HUP';

    $guarded->stop if $signal eq 'HUP';
}


# A drill lasts while one of the workers stands still.

for my $signal (qw(HUP QUIT)) {
    my $guarded = Guarded->new(workers => 2);

    $guarded->add('uploads');

    my $nginx = start($guarded);
    my ($first, $other) = $nginx->serving;
    my $client = $guarded->client($first);

    kill 'STOP', $other;

    print $client "POST /async_upload/control/uploads/drill HTTP/1.1\r\n"
                  . "Host: a\r\nConnection: close\r\n"
                  . "Content-Length: 0\r\n\r\n";

    wait_for {
        slurp("$nginx->{dir}/logs/journal.jsonl") =~ /"event":"drill"/;
    } 'a drill';

    my @workers = $nginx->workers;

    ends($nginx, "$signal with a drill under way", sub {
        kill $signal, $nginx->{pid};
        kill 'CONT', $other;
    }, $signal eq 'HUP' ? @workers : $nginx->{pid});

    my $answer = read_response($client);

    is($answer->{status} =~ /^(?:200|409|503)$/ ? 'answered' : $answer->{raw},
       'answered', "$signal: who asked for the drill has an answer");

    if ($signal eq 'QUIT') {
        $nginx->end('QUIT');
        $nginx->launch;
    }

    $guarded->{clients} = [];

    # a drill that nobody waits for ends by itself

    wait_for { $nginx->status('uploads')->{state} eq 'running' }
        'the end of the drill';

    is(state_of($nginx->status('uploads')), 'running, 5000',
       "$signal: the rollout goes on");

    complete($nginx, 'uploads', "$signal with a drill");

    $guarded->stop;
}


# Eight workers, one decision.

{
    my $guarded = Guarded->new(workers => 8, clock => 1);
    my @shares = (10, 20, 30, 40, 50);

    $guarded->add("auto_$_", join ' ', 'async_upload_advance auto;',
        map { "async_upload_stage $_% min_uploads=2 soak=0 latency=off"
              . " success=98% error=2%;" } @shares)
        for 1 .. 4;

    my $nginx = start($guarded);

    $guarded->{clients}[$_] = $guarded->client((sort $nginx->serving)[$_])
        for 0 .. 7;

    for my $stage (1 .. @shares) {
        for my $name (@{$guarded->{names}}) {
            wait_for { $nginx->status($name)->{stage}{number} == $stage }
                "$name in stage $stage";

            $guarded->uploads_by(8, $name, 'async', ('ok') x 8);
        }

        $nginx->advance_clock(2);
    }

    for my $name (@{$guarded->{names}}) {
        wait_for { grep { $_->{rollout} eq $name && $_->{event} eq 'complete' }
                       $nginx->journal } "$name to be complete";

        my @steps = grep { $_->{event} =~ /advance|complete|rollback|review/ }
                        complete($nginx, $name, $name);

        is(join(', ', map { "$_->{from}{stage} $_->{to}{stage}"
                            . " $_->{to}{state}" } @steps),
           join(', ', map({ $_ . ' ' . ($_ + 1) . ' running' }
                          1 .. @shares - 1),
                      @shares . ' ' . @shares . ' complete'),
           "$name: eight workers make each step once");
    }

    $guarded->stop;
}

done_testing();
