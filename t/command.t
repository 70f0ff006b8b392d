#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What each command does in each state: all cells of the table, at a rollout
# with stages and at one without.  What is refused, and what is the case
# already, changes nothing and is no event.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


# The columns are the states.  A cell is where the command leads to, as "STATE",
# "STATE/STAGE" or "STATE/SHARE"; with "+" the observation starts anew, with
# "++" twice.  "-": it is the case already, "=": an event, and the state stays.
# What is refused has its status or, where that is 409, "no" for a conflict and
# "gate" for a gate that is closed.
#
# Rollouts with stages are at the second of three, when complete at the third.

my @states = qw(off running paused review rolled_back complete);
my %state = (run => 'running', back => 'rolled_back', done => 'complete',
             map { ($_ => $_) } qw(off paused review));

my %table = (
    staged => <<'END',
enable                  run/2+  -       -         -        -       -
disable                 -       off+    off+      off+     off+    off+
share share=2.5%        no      no      no        no       no      no
advance                 no      gate    gate      gate     no      -
advance force=1         no      run/3+  run/3+    run/3+   no      -
advance stage=1         no      no      no        no       no      -
advance stage=1 force=1 no      no      no        no       no      -
advance stage=2         no      -       -         -        no      -
advance stage=3         no      gate    gate      gate     no      -
advance stage=3 force=1 no      run/3+  run/3+    run/3+   no      -
pause                   no      paused  -         no       no      no
resume                  no      -       run       run+     run/2+  no
resume stage=1          no      no      no        no       run/1+  no
resume stage=2          no      -       run       run+     run/2+  no
resume stage=3          no      no      no        no       run/3+  no
resume stage=4          400     400     400       400      400     400
rollback                no      back+   back+     back+    -       back+
restart                 no      run+    paused+   review+  no      no
drill                   no      run++   paused++  no       no      no
baseline                =       =       =         =        =       =
forget                  -       -       -         -        -       -
signal complaints=1     =       =       =         =        =       =
signal memory=119       =       =       =         =        =       =
END

    fixed => <<'END',
enable                  run/5000+  -          -             -          -
disable                 -          off+       off+          off+       off+
share share=2.5%        no         run/250+   paused/250+   run/250+   no
share share=50%         no         -          -             run/5000+  no
share share=99          no         run/9900+  paused/9900+  run/9900+  no
share share=0           no         run/0+     paused/0+     run/0+     no
advance                 no         no         no            no         no
advance force=1         no         no         no            no         no
pause                   no         paused     -             no         no
resume                  no         -          run           run+       run/5000+
resume stage=1          400        400        400           400        400
rollback                no         back+      back+         back+      -
restart                 no         run+       paused+       review+    no
drill                   no         run++      paused++      no         no
END

    # one upload opens the gate

    open => <<'END',
advance                 no  run/3+  run/3+  run/3+  no  -
advance stage=3         no  run/3+  run/3+  run/3+  no  -
END

    # the second of two stages, and its gate is open

    last => <<'END',
advance                 no  done  done  done  no  -
advance force=1         no  done  done  done  no  -
END

    # async_upload_enabled off, so that this is the only state

    absolute => <<'END',
enable                  no
disable                 -
share share=2.5%        no
advance                 no
advance force=1         no
advance stage=3 force=1 no
pause                   no
resume                  no
rollback                no
rollback force=1        no
restart                 no
drill                   no
baseline                =
forget                  -
signal critical=1       =
END
);

# the others are the case already when they are given a second time

my %anew = map { ($_ => 1) } qw(restart drill baseline signal);

my %refused = (
    '-' => 200, 400 => '400 bad_request', no => '409 conflict',
    gate => '409 gate_closed',
);

my @shares = (1000, 5000, 10000);
my %closed = (off => 1, rolled_back => 1);

my $review = 'async_upload_review complaints=9;';
my $ten = 'min_uploads=10 latency=off';
my $one = 'min_uploads=1 latency=off';

my $guarded = Guarded->new;

# thousands of changes of a file would take long; it is the subject of others

my %args = (zone => 'state=off');

$guarded->add('staged', "$review async_upload_stage 10% $ten;"
    . " async_upload_stage 50% $ten; async_upload_stage 100% $ten;", %args);
$guarded->add('fixed', $review, %args);
$guarded->add('open', "$review async_upload_stage 10% $one;"
    . " async_upload_stage 50% $one; async_upload_stage 100% $one;", %args);
$guarded->add('last', "$review async_upload_stage 10% $one;"
    . " async_upload_stage 50% $one;", %args);
$guarded->add('absolute', "async_upload_enabled off;"
    . " async_upload_stage 10% $one;", %args);

my $nginx = $guarded->start;


# What a command may change: { state, stage, share_bp, share_kept_bp, epoch,
# events }.  That a gate has opened is no event of a command.

sub now {
    my ($name) = @_;

    # the first of each, since to decode all of it would take long

    my $text = $nginx->request('GET', "/async_upload/status?rollout=$name")
                     ->{body};
    my %now = map { ($_ => $text =~ /"$_":"?(\w+)/ ? $1 : undef) }
                  qw(state share_bp share_kept_bp epoch);

    return {
        %now, stage => $text =~ /"stage":\{"number":(\d+)/ ? $1 : 0,
        events => scalar(grep { $_->{event} ne 'gate' }
                             $guarded->history($name)),
    };
}


# Gives a command that a test needs on its way.

sub order {
    my ($name, @order) = @_;

    my $said = $guarded->command($name, @order);

    $said eq '200' or die "$name: @order: $said\n";
}


# Leads a rollout to a state, whatever its state is.

sub lead {
    my ($name, $state) = @_;

    return if $name eq 'absolute';

    my @stage = $name eq 'fixed' ? () : (stage => 2);

    order($name, 'enable');
    order($name, 'rollback');
    order($name, 'resume', @stage);
    order($name, 'share', share => '50%') if !@stage;

    $guarded->uploads($name, 'async', 'ok') if $name =~ /^(?:open|last)$/;

    if ($state eq 'off') {
        order($name, 'disable');

    } elsif ($state eq 'paused') {
        order($name, 'pause');

    } elsif ($state eq 'review') {
        order($name, 'signal', complaints => 9);

    } elsif ($state eq 'rolled_back') {
        order($name, 'rollback');

    } elsif ($state eq 'complete') {
        order($name, 'advance', force => 1) if $name ne 'last';
        order($name, 'advance', force => 1);
    }

    my $is = now($name)->{state};

    $is eq $state or die "$name is $is, not $state\n";
}


# So that there is a baseline to record.  The guard does that by itself at its
# first look at a share, which is an event, too.

$guarded->uploads($_, 'sync', 'ok') for qw(staged absolute);

lead($_, 'running') for qw(staged fixed open last);
$guarded->tick;


sub same {
    my ($is, $was, $title) = @_;

    is_deeply($is, $was, "$title: nothing has changed");
}


sub cell {
    my ($name, $state, $order, $cell) = @_;

    my ($command, %params) = split /[ =]/, $order;
    my $title = "$name, $state: $order";

    lead($name, $state);

    my $was = now($name);

    # whoever has not seen the last change does not change anything

    if ($cell ne '400') {
        is($guarded->command($name, $command, %params,
                             if_epoch => $was->{epoch} + 1),
           '409 epoch_moved', "$title: with another epoch it is refused");
        same(now($name), $was, "$title with another epoch");
    }

    my $said = $guarded->command($name, $command, %params,
                                 if_epoch => $was->{epoch});
    my $is = now($name);

    if (my $expected = $refused{$cell}) {
        is($said, $expected, "$title: $expected");
        like($guarded->{answer}{description}, qr/^[a-z].*[^.]\z/,
             "$title: it says why")
            if $cell ne '-';
        same($is, $was, $title);
        return;
    }

    is($said, 200, "$title: it is done");

    my ($to, $where, $anew) = $cell =~ m{^([a-z_]*)(?:/(\d+))?=?(\+*)$};
    my %expected = (%$was, epoch => $was->{epoch} + length $anew,
                    events => $was->{events} + (length $anew || 1));

    $expected{state} = $state{$to} // $state;

    if (defined $where && $name eq 'fixed') {
        $expected{share_kept_bp} = $where;

    } elsif (defined $where) {
        $expected{stage} = $where;
        $expected{share_kept_bp} = $shares[$where - 1];
    }

    $expected{share_bp} = $closed{$expected{state}}
                          ? 0 : $expected{share_kept_bp};

    is_deeply($is, \%expected, "$title: $cell");

    # once more: the next stage has a gate of its own

    $said = $guarded->command($name, $command, %params);

    if ($anew{$command} || $order eq 'advance force=1') {
        is($said, 200, "$title, again: it is done again");

    } else {
        is($said, $order eq 'advance' && $is->{state} ne 'complete'
                  ? '409 gate_closed' : 200,
           "$title, again: it is the case already");
        same(now($name), $is, "$title, again");
    }
}


for my $name (qw(staged fixed open last absolute)) {
    for my $row (split /\n/, $table{$name}) {
        my ($order, $rest) = $row =~ /^(\w+(?: \w+=\S+)*)\s+(.*)/;
        my @cells = split ' ', $rest;

        for my $i (0 .. $#cells) {
            cell($name, $states[$i], $order, $cells[$i]);
        }
    }
}


# off keeps what is beneath

for my $state (qw(running paused review rolled_back complete)) {
    lead('staged', $state);

    my $was = now('staged');

    is($guarded->command('staged', 'disable'), 200, "$state: it is disabled");
    is($guarded->state('staged'), "off, stage $was->{stage}, 0",
       "$state: it is off");

    is($guarded->command('staged', 'enable'), 200, "$state: it is enabled");
    is_deeply(now('staged'), { %$was, epoch => $was->{epoch} + 2,
                               events => $was->{events} + 2 },
              "$state: it is what it was");
}


# the journal has all that has happened, in this order and without a gap

for my $name (qw(staged fixed open last absolute)) {
    my @sequence = map { $_->{sequence} } $guarded->history($name);

    is_deeply(\@sequence, [1 .. @sequence], "$name: the journal is complete");

    my $events = $nginx->status($name)->{events};

    is_deeply([map { $_->{sequence} } reverse @$events],
              [@sequence > 64 ? @sequence[-64 .. -1] : @sequence],
              "$name: the status has the last of it");
}

$guarded->stop;

done_testing();
