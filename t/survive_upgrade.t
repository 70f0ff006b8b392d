#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Two masters, while a binary is upgraded: the newer one decides and the older
# one follows, until either is gone; nothing that was decided is forgotten.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;
use Time::HiRes qw(time);


my @names = qw(running rolled paused failing decided last late);

my $guarded;


sub state_of {
    my ($rollout) = @_;

    return "$rollout->{state}, $rollout->{share_bp}";
}


# Of a certain master, as both accept connections: one of its workers answers.

sub workers_of {
    my ($pid) = @_;

    local $guarded->{nginx}{pid} = $pid;

    return $guarded->{nginx}->serving;
}


sub ask_of {
    my ($pid, $method, $uri) = @_;

    my ($worker) = workers_of($pid) or return undef;
    my $socket = $guarded->client($worker);

    print $socket "$method $uri HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                  . ($method eq 'POST' ? "Content-Length: 0\r\n" : '')
                  . "\r\n";

    my $answer = read_response($socket);

    return (eval { decode_status($answer->{body}) } // {}, $answer->{status});
}


# Its state of a rollout, or of all.

sub seen_by {
    my ($pid, $name) = @_;

    my ($status) = ask_of($pid, 'GET', '/async_upload/status');
    my $rollouts = $status->{rollouts} // {};

    return state_of($rollouts->{$name}) if defined $name && $rollouts->{$name};

    return { map { ($_ => state_of($rollouts->{$_})) } keys %$rollouts };
}


sub command {
    my ($pid, $name, $command) = @_;

    my ($answer, $status) = ask_of($pid, 'POST',
                                   "/async_upload/control/$name/$command");

    return $status == 200 ? 200 : "$status $answer->{error}";
}


sub upload_at {
    my ($pid, $name, @what) = @_;

    my $socket = $guarded->client((workers_of($pid))[0]);

    return join ' ', map { $guarded->upload($socket, $name, 'async', $_)->{by} }
                         @what;
}


sub is_seen {
    my ($pid, $expected, $title) = @_;

    my $seen;

    wait_for {
        $seen = seen_by($pid);

        !grep { ($seen->{$_} // '') ne $expected->{$_} } keys %$expected;
    } undef, 5;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply({ map { ($_ => $seen->{$_}) } keys %$expected }, $expected,
              $title);
}


# Events of all, with one number each.  What the old one has just written, when
# the new one starts, may be there once more, as it was.

sub complete_journal {
    my ($title) = @_;

    my (%numbers, %seen);

    for ($guarded->{nginx}->journal) {

        # what is said once more has no record of what it was decided by

        my $line = JSON::PP->new->canonical->encode(
                       { %$_, record => undef });

        push @{$numbers{$_->{rollout}}}, $_->{sequence} if !$seen{$line}++;
    }

    is_deeply(\%numbers, { map { ($_ => [1 .. @{$numbers{$_}}]) }
                               keys %numbers },
              "$title: the journal is complete");
}


# An nginx, and its successor by USR2.

sub start {
    $guarded = Guarded->new(workers => 1);
    $guarded->add($_) for @names;

    # "reuseport" would give each worker connections of its own; the new binary
    # is started with what "env" names, which is there for sanitizers' sake

    my $conf = $guarded->conf =~ s/ reuseport;/;/r;
    my $nginx = AsyncUpload->start(
        http => $conf, port => $guarded->{port}, daemon => 1,
        main => 'env ASAN_OPTIONS; env UBSAN_OPTIONS; env LSAN_OPTIONS;');

    $guarded->{nginx} = $nginx;

    is($guarded->command('rolled', 'rollback'), 200, 'one is rolled back');
    is($guarded->command('paused', 'pause'), 200, 'one is paused');

    return $nginx;
}


sub successor {
    my ($nginx, $old) = @_;

    kill 'USR2', $old;

    my $new = wait_for {
        my $pid = $nginx->pidfile;

        $pid && $pid != $old ? $pid : 0;
    } 'a new binary';

    # it has the files once it has said so

    my %announced = map { ($_->{rollout} => $_->{sequence}) } $nginx->journal;

    wait_for { workers_of($new) } 'its worker';

    wait_for {
        my %now = map { ($_->{rollout} => $_->{sequence}) }
                      grep { $_->{event} eq 'restored' } $nginx->journal;

        !grep { ($now{$_} // 0) < $announced{$_} } @names;
    } 'what it has restored';

    return $new;
}


# the master is no child of the test: it is the one that the pid file names

sub follows {
    my ($nginx, $old, $new) = @_;

    wait_for {
        my $n = () = slurp("$nginx->{dir}/logs/error.log")
                     =~ /nginx of process $new decides from now on/g;

        $n >= @names;
    } 'the old nginx to follow';

    for my $command (qw(rollback resume pause)) {
        is(command($old, 'running', $command), '409 conflict',
           "the old one takes no command \"$command\"");
    }
}


# Both.

my $nginx = start();
my $old = $nginx->{pid};
my $new = successor($nginx, $old);

is_seen($new, { running => 'running, 5000', rolled => 'rolled_back, 0',
                paused => 'paused, 5000' },
        'the new binary has the states of the old one');

follows($nginx, $old, $new);

is(upload_at($old, 'failing', ('500') x 6), join(' ', ('a1') x 6),
   'failures at the old one are served as they were');
is(upload_at($new, 'decided', ('500') x 6), 'a1 a1 a1 a1 a1 s1',
   'failures at the new one roll back at once');
is(command($new, 'paused', 'resume'), 200, 'the new one takes commands');
is(command($new, 'rolled', 'resume'), 200, 'also what raises the share');

my $decided = {
    running => 'running, 5000', rolled => 'running, 5000',
    paused => 'running, 5000', failing => 'running, 5000',
    decided => 'rolled_back, 0',
};

is_seen($new, $decided, 'the new one decides');
is_seen($old, $decided, 'the old one follows');
is(upload_at($old, 'decided', 'ok'), 's1', 'and routes by that');

complete_journal('with two masters');


# Back-out: the workers of the old one are back, the new one ends.

kill 'WINCH', $old;
wait_for { !workers_of($old) } 'the old workers to be gone';

is(command($new, 'last', 'rollback'), 200, 'the new one is alone and decides');

kill 'HUP', $old;
wait_for { workers_of($old) } 'the old workers to be back';

is(command($new, 'late', 'rollback'), 200, 'and decides to its end');

kill 'QUIT', $new;
wait_for { $nginx->pidfile == $old } 'the end of the new one';

# it also acts upon what it has seen fail meanwhile

@$decided{qw(last late failing)} = ('rolled_back, 0') x 3;

is_seen($old, $decided, 'the old one has what the new one decided');
is(command($old, 'running', 'rollback'), 200, 'it takes commands again');
is(command($old, 'late', 'resume'), 200, 'also what raises the share');
is(upload_at($old, 'paused', ('500') x 6), 'a1 a1 a1 a1 a1 s1',
   'and decides by itself');

@$decided{qw(running late paused)} = ('rolled_back, 0', 'running, 5000',
                                      'rolled_back, 0');

complete_journal('after a back-out');


# Once more, to its end.

$new = successor($nginx, $old);
is_seen($new, $decided, 'the next one has all of it');

follows($nginx, $old, $new);

kill 'QUIT', $old;
wait_for { !AsyncUpload::alive($old) } 'the end of the old one';

$nginx->{pid} = $new;

is(command($new, 'late', 'rollback'), 200, 'it goes on alone');
$decided->{late} = 'rolled_back, 0';
is_seen($new, $decided, 'with what all of them have decided');

complete_journal('after the upgrade');

my %counted = map { ($_ => $nginx->quiet($_)) } @names;

conserved($counted{$_}, "$_: what was counted adds up") for @names;

$nginx->end('QUIT');
$nginx->launch;
is_seen($nginx->{pid}, $decided, 'a restart has it, too');

$guarded->{nginx} = $nginx;
$guarded->stop;


# A new one that decides and is killed, before any worker of the old one could
# look at the file: what it has announced stays.

$nginx = start();
$old = $nginx->{pid};

my @standing = workers_of($old);

kill 'STOP', @standing;

$new = successor($nginx, $old);

is(upload_at($new, 'decided', ('500') x 6), 'a1 a1 a1 a1 a1 s1',
   'a new binary rolls back while the old one stands still');

wait_for {
    grep { $_->{rollout} eq 'decided' && $_->{event} eq 'rollback' }
        $nginx->journal;
} 'the rollback to be announced';

kill 'STOP', $new;
kill 'KILL', workers_of($new), $new;
wait_for { $nginx->pidfile == $old } 'the end of the new one';

kill 'CONT', @standing;

is_seen($old, { running => 'running, 5000', rolled => 'rolled_back, 0',
                decided => 'rolled_back, 0' },
        'the old one takes over what a killed one has announced');
is(command($old, 'running', 'rollback'), 200, 'and decides');

complete_journal('after the new one was killed');

$nginx->{pid} = $old;
$guarded->stop(qr/new binary process \d+ exited on signal 9/);


# A new one that is there while the old one is about to decide, and has not had
# a tick since: there is one that decides.

$nginx = start();
$old = $nginx->{pid};

my ($worker) = workers_of($old);
my $socket = $guarded->client($worker);

$new = successor($nginx, $old);

$guarded->upload($socket, 'decided', 'async', '500') for 1 .. 6;

is_seen($new, { decided => 'running, 5000' }, 'the new one has seen nothing');
is_seen($old, { decided => 'running, 5000' },
        'what the old one has seen decides nothing any more');
is_deeply([grep { $_->{event} eq 'rollback' && $_->{rollout} eq 'decided' }
                $nginx->journal], [], 'nor is it announced');

follows($nginx, $old, $new);

kill 'QUIT', $old;
wait_for { !AsyncUpload::alive($old) } 'the end of the old one';

$nginx->{pid} = $new;

complete_journal('with both for a moment');

$guarded->stop;

done_testing();
