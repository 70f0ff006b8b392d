#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What is to be found again after a reload, after nginx was stopped and started,
# and after it was killed: in each state that a rollout can have.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;
use Time::HiRes qw(time);


my $guarded = Guarded->new(workers => 2);

my $stages = join ' ', map { "async_upload_stage $_ min_uploads=10;" }
                           '10%', '50%', '90%';

# in another state each

my @fixed = qw(running shared paused review rolled_back off off_paused
               off_back drilled held unsaved);
my @staged = qw(first second complete stage_back);

$guarded->add($_) for @fixed;
$guarded->add($_, $stages) for @staged;
$guarded->add('nowhere', 'async_upload_rollout 50%;');

# the size of this zone is changed later, and this one has no state file

my ($size, $off) = ('1m', '');

sub conf {
    return $guarded->conf =~ s/(zone=nowhere:1m)/$1 state=off/r
                          =~ s/(zone=\w+):1m/$1:$size/gr;
}

my $nginx = AsyncUpload->start(port => $guarded->{port}, workers => 2,
                               http => conf());

$guarded->{nginx} = $nginx;


sub command {
    my ($name, @command) = @_;

    is($guarded->command($name, @command), 200, "$name: @command");
}


# What must stay what it is: all of the status but what time alone changes, what
# belongs to the workers or is looked at apart.

sub picture {
    my ($name) = @_;

    my $rollout = $nginx->quiet($name);
    # a rate, or the time that it covers, may be of a sliding window

    delete @$rollout{qw(slots generation last_tick_age_s last_decision window
                        memory state_file events settings guard
                        consecutive_failures)};

    my $since = seconds($rollout->{observation}{since});

    delete @{$rollout->{observation}}{qw(since age_s)};
    delete @{$rollout->{stage}}{qw(since soak_left_s)} if $rollout->{stage};

    # what is not recorded goes on

    delete $rollout->{baseline} if !$rollout->{baseline}{frozen};

    return ($rollout, $since);
}


# Of a time of ISO 8601, since midnight.

sub seconds {
    my ($time) = @_;

    my ($hours, $minutes, $seconds) = $time =~ /T(\d+):(\d+):([\d.]+)Z/;

    return 3600 * $hours + 60 * $minutes + $seconds;
}


sub state_of {
    my ($rollout) = @_;

    return "$rollout->{state}, $rollout->{share_bp}"
           . ($rollout->{stage} ? ", stage $rollout->{stage}{number}" : '');
}


# The events of all rollouts: each with a number, none is missing, none is there
# twice, and what the status has are the last of them.  Who is killed just after
# a line is written has it written once more, as it was.

my $killed = 0;

sub complete_journal {
    my ($title) = @_;

    my (%events, @bad, %seen);

    for ($nginx->journal) {

        # what is said once more has no record of what it was decided by

        my $line = JSON::PP->new->canonical->encode(
                       { %$_, record => undef });

        push @{$events{$_->{rollout}}}, $_ if !$killed || !$seen{$line}++;
    }

    for my $name (@{$guarded->{names}}) {
        my @numbers = map { $_->{sequence} } @{$events{$name} // []};

        # what has no state file begins anew with each start

        if ($name eq 'nowhere') {
            my ($first) = grep { $numbers[$_] == 1 } reverse 0 .. $#numbers;

            @numbers = @numbers[$first .. $#numbers];
        }

        push @bad, "$name: @numbers" if "@numbers" ne "@{[1 .. @numbers]}";

        my @last = map { $_->{sequence} }
                       @{$nginx->status($name)->{events} // []};
        my $last = join ' ', sort { $a <=> $b } @last;
        my $first = @numbers > 64 ? @numbers - 63 : 1;

        push @bad, "$name: status has $last of @numbers"
            if $last ne "@{[$first .. @numbers]}";
    }

    is_deeply(\@bad, [], "$title: the journal is complete");

    return \%events;
}


# What each of them is to be.

my %states = (
    running => 'running, 5000', shared => 'running, 2501',
    paused => 'paused, 5000', review => 'review, 5000',
    rolled_back => 'rolled_back, 0', off => 'off, 0', off_paused => 'off, 0',
    off_back => 'off, 0', drilled => 'running, 5000',
    held => 'running, 5000', unsaved => 'running, 5000',
    first => 'running, 1000, stage 1', second => 'running, 5000, stage 2',
    complete => 'complete, 9000, stage 3',
    stage_back => 'rolled_back, 0, stage 2', nowhere => 'rolled_back, 0',
);

sub has_states {
    my ($title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply({ map { ($_ => state_of($nginx->status($_))) }
                    @{$guarded->{names}} }, \%states,
              "$title: each of them has its state");
}


# All of them, before and after.

sub survives {
    my ($title, $act, %expected) = @_;

    my %before = map { ($_ => [picture($_)]) } @{$guarded->{names}};
    my $journal = complete_journal("before $title");
    my $start = time;

    $act->();

    # somebody takes over what the master has left, and says so

    wait_for {
        !grep { !defined $_->{last_tick_age_s} }
            values %{$nginx->status->{rollouts}};
    } 'a tick';

    my $end = time;

    for my $name (@{$guarded->{names}}) {
        my $event = $expected{$name} // $expected{all};
        my ($before, $since) = @{$before{$name}};

        if (my $change = $expected{change}{$name}) {
            $change->($before);
        }

        wait_for {
            my @events = grep { $_->{rollout} eq $name } $nginx->journal;

            @events >= @{$journal->{$name}} + ($event ? 1 : 0);
        } "$title: the events of $name";

        my ($now, $began) = picture($name);

        is_deeply($now, $before, "$name: after $title");

        # the time while there was no nginx does not count; two clocks are not
        # read at once

        ok($name eq 'nowhere' && $title =~ /restart/
           || $began >= $since - 0.05
                 && $began <= $since
                           + ($title =~ /restart/ ? $end - $start : 0) + 0.05,
           "$name: the observation goes on after $title")
            || diag("since $since, now $began, took ", $end - $start);

        conserved($nginx->quiet($name), "$name: nothing is lost in $title");
    }

    has_states("after $title");

    my $now = complete_journal($title);

    for my $name (@{$guarded->{names}}) {
        my @more = @{$now->{$name}}[@{$journal->{$name}} .. $#{$now->{$name}}];
        my $event = $expected{$name} // $expected{all} // '';

        is(join(', ', map { $_->{event} } @more), $event,
           "$name: what $title is called");
    }
}


# Uploads of both arms, with failures, and states.

for my $name (@fixed, @staged) {
    $guarded->uploads($name, 'async', mix(ok => 6, 500 => 2, 404 => 1));
    $guarded->uploads($name, 'sync', mix(ok => 4, 502 => 1, 403 => 2));
}

command('running', 'baseline');
command('shared', 'share', share => '25.01%', reason => 'for a while');
command('paused', 'pause', actor => 'somebody', reason => 'it is "late"');
command('review', 'signal', complaints => 1);
command('off', 'disable');
command('off_paused', 'pause');
command('off_paused', 'disable');
command('off_back', 'rollback');
command('off_back', 'disable');
command('drilled', 'drill');
command('second', 'advance', force => 1);
command('complete', 'advance', stage => 3, force => 1);
command('complete', 'advance', force => 1);
command('stage_back', 'advance', force => 1);
command('stage_back', 'rollback', reason => 'by hand');
command('held', 'restart');

$guarded->uploads('review', 'async', ('ok') x 60, mix(403 => 20, ok => 20));
$guarded->uploads('rolled_back', 'async', ('500') x 5);
$guarded->uploads($_, 'async', mix(ok => 3, 500 => 1))
    for qw(shared drilled held second);

is(state_of($nginx->status('rolled_back')), 'rolled_back, 0',
   'rolled_back: five failures');
wait_for { $nginx->status('review')->{state} eq 'review' }
    'a review of what is rejected';

has_states('at first');
is($nginx->status('stage_back')->{share_kept_bp}, 5000,
   'what is rolled back knows its share');


# Without a state file a cold start is at 0% until somebody looks.

like(slurp("$nginx->{dir}/logs/error.log") . slurp("$nginx->{dir}/logs/stderr"),
     qr/\[warn\] .*state/, 'a rollout without a state file is warned of');

command('nowhere', 'resume');
$states{nowhere} = 'running, 5000';
has_states('with what is resumed');
ok(!-e "$nginx->{dir}/temp/async_upload/nowhere.state", 'it has no file');
wait_for { $nginx->status('nowhere')->{baseline}{frozen} } 'its baseline';


# A reload says nothing new.

survives('a reload', sub { $nginx->reload });


# Another size of the zones is another memory.

$size = '2m';

survives('another size of the zone', sub {
    $nginx->configure(http => conf());
    $nginx->reload;
}, all => 'config');

is_deeply([grep { $_->{events}[0]{reason} ne 'size of the zone' }
                values %{$nginx->status->{rollouts}}], [],
          'events say so');


# Stopped, which takes what is in flight to its end, and started.  What has no
# file begins anew.

sub begins_anew {
    my ($before) = @_;

    my ($now) = picture('nowhere');

    is(state_of($now), 'rolled_back, 0', 'nowhere: it is at 0% again');
    is($now->{clients}{uploads}, 0, 'nowhere: with nothing counted');

    %$before = %$now;
}

my @held = map { $guarded->client } 1 .. 2;

$guarded->ask($held[0], 'held', 'async', 'slow');
$guarded->ask($held[1], 'held', 'sync', 'slow-500');

my $n;

wait_for {
    $n += grep { $_->{headers}{'x-stub'} =~ /slow/ } $guarded->{stub}->requests;

    $n >= 2;
} 'two uploads at their servers';

my $uploads = $nginx->status('held')->{clients}{uploads};

kill 'QUIT', $nginx->{pid};

wait_for { $nginx->draining } 'nginx to drain';

$guarded->{stub}->release;
is_deeply([map { Guarded::answer($_)->{status} } @held], [200, 500],
          'what is in flight comes to its end');

$nginx->end('QUIT');
$guarded->{clients} = [];
$nginx->launch;

is($nginx->status('held')->{clients}{uploads}, $uploads + 2,
   'and is counted');
$states{nowhere} = 'rolled_back, 0';
has_states('started again');

survives('a restart', sub {
    $nginx->end('QUIT');
    $nginx->launch;
}, all => 'restored', nowhere => 'started',
   change => { nowhere => \&begins_anew });

survives('two restarts in a row', sub {
    $nginx->end('TERM');
    $nginx->launch;
}, all => 'restored', nowhere => 'started',
   change => { nowhere => \&begins_anew });


# Killed: what was in flight is lost, and counted as that.  A command has what
# was counted written.

$guarded->uploads($_, 'async', mix(ok => 3, 500 => 1))
    for qw(running paused second held);
$guarded->uploads('held', 'sync', ('ok') x 3);
$guarded->{stub}->hold;

@held = map { $guarded->client } 1 .. 3;

$guarded->ask($_, 'held', 'async', 'slow') for @held;

$n = 0;

wait_for {
    $n += grep { $_->{headers}{'x-stub'} =~ /slow/ } $guarded->{stub}->requests;

    $n >= 3;
} 'three uploads at async';

$guarded->uploads('shared', 'async', ('500') x 4);
command($_, 'signal', complaints => 1)
    for grep { $_ ne 'shared' } @{$guarded->{names}};

my $held = $nginx->status('held');

is($held->{arms}{async}{in_flight}, 3, 'held: three are in flight');

# one more failure rolls back, and is announced

$guarded->uploads('shared', 'async', '500');

wait_for {
    slurp("$nginx->{dir}/logs/journal.jsonl")
        =~ /"rollout":"shared","event":"rollback"/;
} 'an announced rollback';

my %before = map { ($_ => $nginx->status($_)) } @{$guarded->{names}};

$killed = 1;
$nginx->crash;
@held = ();
$guarded->{clients} = [];
$nginx->launch;

$states{shared} = 'rolled_back, 0';
has_states('with an announced rollback before kill -9');

for my $name (grep { $_ ne 'nowhere' } @{$guarded->{names}}) {
    my $before = $before{$name};
    my $now = $nginx->status($name);

    is(state_of($now), state_of($before), "$name: kill -9 changes no state");
    is($now->{epoch}, $before->{epoch}, "$name: nor the epoch");
    is($now->{share_kept_bp}, $before->{share_kept_bp},
       "$name: nor the share that it returns to");
    is_deeply($now->{baseline}, $before->{baseline}, "$name: nor the baseline")
        if $before->{baseline}{frozen};

    for (map { $_->[1] } cells($before)) {
        $_->{lost} += $_->{in_flight};
        $_->{in_flight} = 0;
    }

    is_deeply($now->{arms}, $before->{arms}, "$name: nor what was counted");
    conserved($now, "$name: with what was lost it adds up");

    delete @{$_->{observation}}{qw(since age_s)} for $now, $before;

    is_deeply($now->{observation}, $before->{observation},
              "$name: nor the evidence");
}

is($nginx->status('held')->{arms}{async}{lost}, 3, 'held: three are lost');

survives('the next reload', sub { $nginx->reload });


# A higher share that cannot be saved is refused, and is not there later either;
# what is lowered is.

my $files = "$nginx->{dir}/temp/async_upload";

rename $files, "$files.gone" or die "$files: $!\n";

is($guarded->command('unsaved', 'share', share => '80%'), '409 not_saved',
   'a higher share that cannot be saved is refused');
is(state_of($nginx->status('unsaved')), 'running, 5000', 'and is not in force');
is($guarded->command('second', 'advance', force => 1), '409 not_saved',
   'nor is the next stage');
is($guarded->command('stage_back', 'resume'), '409 not_saved',
   'nor is what was rolled back resumed');
is($guarded->command('off', 'enable'), '409 not_saved',
   'nor what was off enabled');
is($guarded->command('running', 'rollback'), 200, 'but a rollback is done');
is(state_of($nginx->status('running')), 'rolled_back, 0', 'and in force');
isnt($nginx->status('running')->{state_file}{error}, undef,
     'the status says that it is not saved');
like(slurp("$nginx->{dir}/logs/error.log"),
     qr/\[alert\] .*async_upload "running": its state cannot be saved/,
     'and the log does');

rename "$files.gone", $files or die "$files: $!\n";

wait_for { !defined $nginx->status('running')->{state_file}{error} }
    'the state to be saved once it can be';

$nginx->crash;
$guarded->{clients} = [];
$nginx->launch;

# neither is a share or stage there that was never saved, nor is a rollback gone
# that was saved late

$states{running} = 'rolled_back, 0';
has_states('killed after what could not be saved');


# What lay beneath.

command($_, 'enable') for qw(off off_paused off_back);
command($_, 'resume') for qw(stage_back rolled_back running);

is_deeply({ map { ($_ => state_of($nginx->status($_))) }
                qw(off off_paused off_back stage_back rolled_back running) },
          { off => 'running, 5000', off_paused => 'paused, 5000',
            off_back => 'rolled_back, 0',
            stage_back => 'running, 5000, stage 2',
            rolled_back => 'running, 5000', running => 'running, 5000' },
          'what was off or rolled back returns to what it was');

complete_journal('the end');

$guarded->stop(qr/\[alert\] .*its state cannot be saved/,
               qr/\[crit\] .*async_upload.*state/);

done_testing();
