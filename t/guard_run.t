#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Failures in a row, which act before the next request of any worker, and other
# reasons to roll back that are no rates: budget and signals.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


my $guarded = Guarded->new(workers => 2);

$guarded->add("run_$_") for 1 .. 20;
$guarded->add($_) for qw(broken rejected share paused old);
$guarded->add('three', 'async_upload_rollback run=3;');
$guarded->add('never', 'async_upload_rollback run=0;');
$guarded->add('nothing', 'async_upload_rollback off;');
$guarded->add('dry', 'async_upload_dry_run on; async_upload_budget 8;');
$guarded->add('budget', 'async_upload_budget 6;');
$guarded->add('restarted', 'async_upload_budget 6;');
$guarded->add('stages', 'async_upload_budget 6;'
    . ' async_upload_stage 10%; async_upload_stage 20%;');
$guarded->add($_) for qw(critical memory);
$guarded->add('complaints', 'async_upload_review complaints=3;');

my $nginx = $guarded->start;

wait_for { $nginx->serving == 2 } 'both workers';

my ($first, $second) = map { $guarded->client($_) } $nginx->serving;


# play(CLIENT, NAME, ARM, WHAT, ...): sends these uploads, one after another;
# returns the servers that answered.

sub play {
    my ($client, $name, $arm, @what) = @_;

    my $by = join ' ', map { $guarded->upload($client, $name, $arm, $_)->{by} }
                           @what;

    # an upload has ended when it is logged, which is after its answer

    Guarded::settle($client);

    return $by;
}


# at once, whichever worker has the request

for my $i (1 .. 20) {
    my $name = "run_$i";

    my @by = map { play($_, $name, 'async', '500') }
                 $first, $second, $first, $second, $first;

    push @by, play($second, $name, 'async', 'ok');

    is("@by", 'a1 a1 a1 a1 a1 s1',
       "$name: after five failures the next upload goes to sync");
}

is($guarded->told('run_1'), 'rollback by guard: consecutive',
   'an event says why');
is($guarded->state('run_1'), 'rolled_back, 0', 'it is rolled back');


# what breaks a row

play($first, 'broken', 'async', qw(500 500 500 500));
play($second, 'broken', 'async', 'ok');
play($first, 'broken', 'async', qw(500 500 500 500));
is($guarded->state('broken'), 'running, 5000',
   'four failures, a success and four failures are no five in a row');
is(play($second, 'broken', 'async', qw(500 ok)), 'a1 s1',
   'one more is the fifth');

play($first, 'rejected', 'async', qw(500 500 403 500 500));
is($guarded->state('rejected'), 'running, 5000',
   'what was rejected is no failure');
is(play($second, 'rejected', 'async', qw(500 ok)), 'a1 s1',
   'but no success either');

play($first, 'share', 'async', qw(500 500 500 500));
is($guarded->command('share', 'share', share => '20%'), 200,
   'the share is changed meanwhile');
play($first, 'share', 'async', qw(500 500 500 500));
is($guarded->state('share'), 'running, 2000',
   'four failures before it are not counted after it');

play($first, 'paused', 'async', qw(500 500 500 500));
is($guarded->command('paused', 'pause'), 200, 'it is paused');
is(play($second, 'paused', 'async', qw(500 ok)), 'a1 s1',
   'a fifth failure rolls back all the same');

play($first, 'three', 'async', qw(500 500));
is(play($second, 'three', 'async', qw(500 ok)), 'a1 s1',
   'three are enough where it says so');

is(play($first, 'never', 'async', ('500') x 20, 'ok'),
   join(' ', ('a1') x 21), 'with run=0 there is no such rule');
is(play($first, 'nothing', 'async', ('500') x 20, 'ok'),
   join(' ', ('a1') x 21), 'nor where nothing rolls back');


# An upload that fails late, of an observation that has ended, is neither one
# of the row nor does it break it.

$guarded->ask($second, 'old', 'async', 'slow-500');

wait_for { grep { $_->{headers}{'x-stub'} =~ /slow/ }
               $guarded->{stub}->requests } 'the slow upload at async';

is($guarded->command('old', 'restart'), 200, 'the observation starts anew');
play($first, 'old', 'async', qw(500 500 500 500));
$guarded->{stub}->release;
is(Guarded::answer($second)->{status}, 500, 'an upload of before fails');
is($guarded->state('old'), 'running, 5000', 'that is not the fifth failure');
is(play($first, 'old', 'async', qw(500 ok)), 'a1 s1', 'this is');


# the budget

for my $name (qw(budget restarted)) {
    play($first, $name, 'async', qw(500 ok 500 ok 500 ok 500 ok 500));
}

is($guarded->command('restarted', 'restart'), 200, 'one is restarted');
play($first, 'stages', 'async', qw(500 ok 500 ok 500 ok));
is($guarded->command('stages', 'advance', force => 1), 200, 'one is advanced');
play($first, 'stages', 'async', qw(500 ok 500 ok));

$guarded->tick;

is($guarded->state($_), 'running, 5000', "$_: five failures of six are left")
    for qw(budget restarted);
is($guarded->state('stages'), 'running, stage 2, 2000',
   'stages: five failures of six');

play($first, $_, 'async', qw(ok 500)) for qw(budget restarted stages);

wait_for { $guarded->state('budget') eq 'rolled_back, 0' }
    'the end of the budget';
wait_for { $guarded->state('stages') eq 'rolled_back, stage 2, 0' }
    'the end of the budget after a stage';
is($guarded->told('budget'), 'rollback by guard: budget',
   'the sixth failure ends it');

play($first, 'restarted', 'async', qw(ok 500 ok 500 ok 500 ok 500));
$guarded->tick;
is($guarded->state('restarted'), 'running, 5000',
   'restarted: five failures of six after a restart');
play($first, 'restarted', 'async', qw(ok 500));
wait_for { $guarded->state('restarted') eq 'rolled_back, 0' }
    'the end of the budget after a restart';

is($guarded->command('budget', 'resume'), 200, 'it is resumed');
play($first, 'budget', 'async', qw(ok 500 ok 500));
$guarded->tick;
is($guarded->state('budget'), 'running, 5000', 'then the budget is a new one');


# a dry run

is(play($first, 'dry', 'async', ('500') x 7), join(' ', ('a1') x 7),
   'in a dry run nobody is sent to sync');
is($guarded->state('dry'), 'running, 5000', 'and it runs');

my @events = grep { $_->{event} eq 'rollback' } $guarded->events('dry');

is(scalar @events, 1, 'what would have been done is an event, once');
ok($events[0]{dry_run}, 'which says that it was not');
is($events[0]{rule}, 'consecutive', 'and why it would have been');
is_deeply($events[0]{from}, $events[0]{to}, 'nothing has changed');

play($first, 'dry', 'async', qw(ok 500));
$guarded->tick;
$guarded->tick;
is($guarded->told('dry'), 'rollback by guard: budget',
   'another reason is another event, also once');

is($guarded->command('dry', 'rollback'), 200, 'a person can still roll back');
is($guarded->state('dry'), 'rolled_back, 0', 'and it is');


# signals

is($guarded->command('critical', 'signal', critical => 1), 200,
   'a critical error is signalled');
is($guarded->state('critical'), 'rolled_back, 0', 'it rolls back at once');
is($guarded->told('critical'),
   'signal by control; rollback by guard: critical', 'events say so');

is($guarded->command('memory', 'signal', memory => 119), 200,
   '119% of memory is signalled');
$guarded->tick;
is($guarded->state('memory'), 'running, 5000', 'that is no reason');
is($guarded->command('memory', 'signal', memory => 120), 200,
   '120% is signalled');
is($guarded->state('memory'), 'rolled_back, 0', 'this is');
like($guarded->told('memory'), qr/; rollback by guard: memory\z/,
     'an event says so');

is($guarded->command('complaints', 'signal', complaints => 2), 200,
   'two complaints are signalled');
$guarded->tick;
is($guarded->state('complaints'), 'running, 5000', 'that is no reason');
is($guarded->command('complaints', 'signal', complaints => 1), 200,
   'a third one is');
is($guarded->state('complaints'), 'review, 5000',
   'a person is asked, and the share is held');
like($guarded->told('complaints'), qr/; review by guard: complaints\z/,
     'an event says so');


# a review still rolls back

is(play($first, 'complaints', 'async', ('500') x 5, 'ok'),
   'a1 a1 a1 a1 a1 s1', 'in review five failures roll back');

$guarded->stop;

done_testing();
