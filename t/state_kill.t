#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Processes are killed while the state changes: the state file is valid at any
# moment, what was announced stays in force, and nothing comes true that nobody
# has asked for.  "prove t/state_kill.t :: KILLS [SEED]" takes other numbers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Saved;
use Test::More;
use Time::HiRes qw(time);


my ($kills, $seed) = @ARGV;

$kills //= 200;
$seed //= time ^ $$;
srand $seed;

diag("$kills kills, seed $seed") if @ARGV;

my $port = free_port();

# A sanitizer that is killed while it looks for leaks complains; other tests
# have it look.

my %env = (ASAN_OPTIONS => join ',', $ENV{ASAN_OPTIONS} // (),
                                     'detect_leaks=0');

my $nginx = AsyncUpload->start(port => $port, workers => 4, env => \%env,
                               http => <<"END");
    upstream arm_async {
        server 127.0.0.1:1;
    }

    upstream uploads {
        server 127.0.0.1:1;

        async_upload arm_async zone=uploads:1m;
        async_upload_enabled on;
        async_upload_rollout 50%;
        async_upload_statistics plain;
        async_upload_log logs/journal.jsonl;
    }

    # a connection waits for the worker that replaces the one that was killed;
    # of a socket that they share, it might have been that one's to take

    server {
        listen 127.0.0.1:$port reuseport;

        location /async_upload/status {
            async_upload_status;
        }

        location /async_upload/control {
            async_upload_control;
        }
    }
END

my $path = "$nginx->{dir}/temp/async_upload/uploads.state";


# What each command makes of a state: { state, kept (share) }.

my %commands = (
    running => [
        ['share', undef, sub { +{ %{$_[0]}, kept => $_[1] } }],
        ['share', undef, sub { +{ %{$_[0]}, kept => $_[1] } }],
        ['pause', 'reason=x', sub { +{ %{$_[0]}, state => 'paused' } }],
        ['rollback', '', sub { +{ %{$_[0]}, state => 'rolled_back' } }],
        ['disable', '', sub { +{ %{$_[0]}, state => 'off' } }],
    ],
    paused => [
        ['share', undef, sub { +{ %{$_[0]}, kept => $_[1] } }],
        ['resume', '', sub { +{ %{$_[0]}, state => 'running' } }],
        ['rollback', '', sub { +{ %{$_[0]}, state => 'rolled_back' } }],
    ],
    rolled_back => [
        ['resume', '', sub { +{ %{$_[0]}, state => 'running' } }],
    ],
    off => [
        ['enable', '', sub { +{ %{$_[0]}, state => 'running' } }],
    ],
);

my @states = qw(off running paused review rolled_back complete);

sub share {
    my ($is) = @_;

    return $is->{state} =~ /off|rolled_back/ ? 0 : $is->{kept};
}


sub text {
    my ($is) = @_;

    return "$is->{state} $is->{kept}";
}


# Sends a command, without waiting for its answer.

sub order {
    my ($command, $parameters) = @_;

    return send_request($port, 'POST', "/async_upload/control/uploads/$command",
        body => $parameters,
        headers => ['Content-Type', 'application/x-www-form-urlencoded']);
}


# The state that workers route by.

sub observed {
    my $answer = wait_for {
        my $answer = $nginx->request('GET',
                                     '/async_upload/status?rollout=uploads');

        $answer->{status} == 200 ? $answer : undef;
    } 'the status';

    my $rollout = decode_status($answer->{body})->{rollouts}{uploads};

    return { state => $rollout->{state}, kept => $rollout->{share_kept_bp},
             share => $rollout->{share_bp} };
}


# What the file says, undef if there is no valid one.

sub saved {
    my $saved = Saved->read($path) // return undef;

    return { state => $states[$saved->get('state')],
             kept => $saved->get('share') };
}


# Has the master stand still, which then starts no other workers, at a moment
# when it knows which of its workers are dead: of those nobody else would know,
# should it be killed.

sub hold {
    wait_for {
        kill 'STOP', $nginx->{pid};

        my @dead = grep { !AsyncUpload::alive($_) } $nginx->workers;

        kill 'CONT', $nginx->{pid} if @dead;

        !@dead;
    } 'the master to know its workers';
}


# Kills all of nginx and starts it again.

sub restart {
    my (@workers) = @_;

    kill 'KILL', @workers, $nginx->{pid};

    wait_for {
        !grep { AsyncUpload::alive($_) } @workers, $nginx->{pid};
    } 'the end of nginx';

    my $file = saved();

    $nginx->launch;

    return $file;
}


wait_for { -e $path } 'the state file';

my $is = { state => 'running', kept => 5000 };

# what was asked for or seen since the last announcement: the file may be that
# of any of these

my @since = ($is);

my (@invalid, @wrong, @higher);
my ($killed, $crashed, %answers) = (0, 0);

while ($killed < $kills) {

    my $table = $commands{$is->{state}};
    my ($command, $parameters, $make) = @{$table->[rand @$table]};
    my $share = 100 * (1 + int rand 99);

    $share = 10000 if $share == $is->{kept};
    $parameters //= 'share=' . $share / 100;

    my $asked = $make->($is, $share);

    # sometimes a reload goes on

    kill 'HUP', $nginx->{pid} if rand() < 0.1;

    my $socket = order($command, $parameters);

    # the change takes some milliseconds, most of them in the file system

    select undef, undef, undef, rand() ** 2 * 0.01;

    my $kind = rand;

    hold() if $kind < 0.3;

    my @workers = $nginx->workers;

    if ($kind < 0.2) {
        kill 'KILL', @workers, $nginx->{pid};
        $killed += 1 + @workers;

    } elsif ($kind < 0.3) {

        # workers without a master go on

        kill 'KILL', $nginx->{pid};
        $killed++;

    } elsif (@workers) {
        kill 'KILL', $workers[rand @workers];
        $killed++;
    }

    saved() or push @invalid, "$command: $Saved::Wrong";

    my $status = read_response($socket)->{status};

    $answers{$status}++;

    # an answer is an announcement

    if ($status == 200) {
        @since = ($asked);

    } elsif ($status == 0) {
        push @since, $asked;
    }

    my @possible = $status == 200 ? $asked : $status == 0 ? ($is, $asked) : $is;
    my $file;

    if ($kind < 0.3) {
        $crashed++;
        $file = restart(@workers);
        @possible = @since;
    }

    my $now = observed();

    push @wrong, "$command ($status): " . text($now) . ', not '
                 . join(' or ', map { text($_) } @possible)
        if !grep { text($now) eq text($_) } @possible;

    push @wrong, text($now) . " but share $now->{share}"
        if $now->{share} != share($now);

    push @higher, "$command: " . text($now) . ' after ' . text($file)
        if $file && share($now) > share($file);

    $is = { state => $now->{state}, kept => $now->{kept} };
    push @since, $is;
}

ok(!@invalid, 'the file is always valid')
    || diag(map { "    $_\n" } @invalid);

ok(!@higher, 'no share is higher than what was saved')
    || diag(map { "    $_\n" } @higher);

ok(!@wrong, 'the state is what was announced last or asked for since')
    || diag(map { "    $_\n" } @wrong);

diag("$killed killed, $crashed restarts; answers: "
     . join ', ', map { "$_: $answers{$_}" } sort keys %answers) if @ARGV;

# without anybody doing anything

wait_for {
    my ($now, $file) = (observed(), saved());

    $file && text($file) eq text($now);
} 'the file of the state that is in force';


# A rollback that is announced while others raise the share.

my @back;

for my $n (1 .. $kills / 10) {

    $nginx->command('uploads', $_) for qw(enable resume);
    $nginx->command('uploads', 'share', share => 1);

    my @others = map { order('share', "share=$_") } 10 .. 13;
    my $socket = order('rollback', '');

    push @others, map { order('share', "share=$_") } 20 .. 23;

    if (read_response($socket)->{status} == 200) {
        hold();

        my $file = restart($nginx->workers);
        my $now = observed();

        push @back, text($now) . ', file ' . text($file)
            if $now->{state} ne 'rolled_back' || $now->{share};
    }

    read_response($_) for @others;
}

ok(!@back, 'a rollback that was announced survives, whoever else is at it')
    || diag(map { "    $_\n" } @back);


# new workers look for what others have left, once they write

$nginx->reload;
$nginx->command('uploads', 'baseline');
$nginx->command('uploads', 'signal', complaints => 1);

is_deeply([grep { !kill 0, $_ }
           map { /\.tmp\.(\d+)\z/ ? $1 : () } glob "$path.*"], [],
          'no temporary file of a dead process is left');

my %seen;
my @journal = $nginx->journal;
my @numbers = map { $_->{sequence} } @journal;

is_deeply([grep { $_ != 1 && !$seen{$_ - 1} } map { $seen{$_}++; $_ } @numbers],
          [], 'the journal is without gaps');

$nginx->stop(qr/exited on signal 9/, qr/ROLLBACK/);

done_testing();
