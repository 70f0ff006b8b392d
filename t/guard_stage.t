#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# How a rollout comes from stage to stage, by itself and by a person, and what
# is left of the rules at its end and without stages.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


my $guarded = Guarded->new(clock => 1);

my $auto = 'async_upload_advance auto;';
my $ten = 'min_uploads=10 latency=off';

$guarded->add('auto', "$auto async_upload_stage 10% $ten soak=1h;"
    . " async_upload_stage 50% $ten soak=2h;");
$guarded->add('soak', "$auto async_upload_stage 10% latency=off"
    . ' min_uploads=10; async_upload_stage 50%;');
$guarded->add('paused', "$auto async_upload_stage 10% $ten soak=0;"
    . " async_upload_stage 50% $ten soak=0;");
$guarded->add('dry', "$auto async_upload_dry_run on;"
    . " async_upload_stage 10% $ten soak=0; async_upload_stage 50% $ten;");
$guarded->add('manual', "async_upload_stage 10% $ten;"
    . " async_upload_stage 50% $ten;");
$guarded->add('waits', "async_upload_stage 10% $ten soak=1h;"
    . " async_upload_stage 50% $ten;");
$guarded->add('latency', 'async_upload_stage 10% min_uploads=20;'
    . " async_upload_stage 50% $ten;");
$guarded->add('closed', 'async_upload_stage 10%;');
$guarded->add("complete_$_", "async_upload_stage 90% $ten;"
                             . ' async_upload_budget 7;') for 1 .. 2;
$guarded->add('fixed');

my $nginx = $guarded->start;


sub advance {
    my ($name, $expected, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $said = $guarded->command($name, 'advance');

    $said .= ": $1"
        if ($guarded->{answer}{description} // '') =~ /is closed: (.*)/;

    is($said, $expected, $title);
}


sub is_at {
    my ($name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($guarded->state($name), $state, $title);
}


# what opens at once

$guarded->command('paused', 'pause');
$guarded->told('paused');

$guarded->uploads($_, 'async', ('ok') x 10)
    for qw(auto soak paused dry manual waits);
$guarded->uploads('latency', 'async', ('ok') x 20);
$guarded->tick;
$guarded->tick;

is_at('auto', 'running, stage 1, 1000', 'auto: a soak keeps a gate closed');
is_at('paused', 'paused, stage 1, 1000', 'paused: nothing advances by itself');
is($guarded->told('paused'), 'gate by guard: opened', 'paused: the gate is open');
is_at('dry', 'running, stage 1, 1000', 'dry run: nothing advances by itself');
is($guarded->told('dry'), 'gate by guard: opened; advance by guard: gate',
   'dry run: that it would have is an event, once');
is_at('manual', 'running, stage 1, 1000', 'manual: a person advances');
is($guarded->told('manual'), 'gate by guard: opened',
   'manual: that the gate is open is an event, once');
is($guarded->told('auto'), '', 'auto: nothing has happened');

advance('waits', '409 gate_closed: soak', 'a soak holds a person back, too');
advance('latency', '409 gate_closed: latency',
        'a latency that nothing is known to compare with does, too');
advance('closed', '409 gate_closed: uploads, success, error, latency, rejected,'
                  . ' aborted',
        'every rule that is closed is named');
is($guarded->command('waits', 'advance', force => 1), 200, 'but for force=1');
is_at('waits', 'running, stage 2, 5000', 'which advances');


# the gate closes again

$guarded->uploads('manual', 'async', '500');
$guarded->tick;
is($guarded->told('manual'), 'gate by guard: closed',
   'a gate that is closed again is another event');
advance('manual', '409 gate_closed: success, error', 'and advances nobody');


# paused: rollbacks go on, and so does the stage once it is resumed

is($guarded->command('paused', 'resume'), 200, 'paused: it is resumed');
$guarded->tick;
is_at('paused', 'running, stage 2, 5000', 'paused: then it advances by itself');
is($guarded->told('paused'), 'resume by control; advance by guard: gate',
   'paused: events say so');

is($guarded->command('paused', 'pause'), 200, 'paused: it is paused again');
$guarded->uploads('paused', 'async', ('500') x 5);
is_at('paused', 'rolled_back, stage 2, 0', 'paused: rollbacks act');


# a fixed share

$guarded->uploads('fixed', 'async', ('ok') x 200);
$guarded->tick;
is_at('fixed', 'running, 5000', 'without stages nothing advances');
is($guarded->told('fixed'), '', 'there is no gate');
is($guarded->command('fixed', 'advance'), '409 conflict', 'nor a next stage');
$guarded->uploads('fixed', 'async', ('500') x 5);
is_at('fixed', 'rolled_back, 0', 'but the guard acts');
is($guarded->told('fixed'), 'rollback by guard: consecutive', 'and says so');


# complete: a person decides

for my $name ('complete_1', 'complete_2') {
    is($guarded->command($name, 'advance', force => 1), 200, "$name: it is");
    is_at($name, 'complete, stage 1, 9000', "$name: with the last share");
}

$guarded->told($_) for 'complete_1', 'complete_2';

is($guarded->uploads('complete_1', 'async', ('500') x 5, 'ok'), 'a1 6',
   'complete: after five failures async has all uploads still');
is_at('complete_1', 'review, stage 1, 9000', 'complete: but a person is asked');
is($guarded->told('complete_1'), 'review by guard: consecutive',
   'complete: the event says why');

$guarded->uploads('complete_1', 'async', ('500') x 10);
$guarded->command('complete_1', 'signal', critical => 1);
$guarded->tick;
is_at('complete_1', 'review, stage 1, 9000',
      'complete: whatever else happens in this review');
is($guarded->told('complete_1'), 'signal by control',
   'complete: it is asked for once');

is($guarded->command('complete_2', 'rollback'), 200,
   'complete: a person can roll back');
is_at('complete_2', 'rolled_back, stage 1, 0', 'complete: and then it is');


# time goes by

$guarded->after(3500);
is_at('auto', 'running, stage 1, 1000', 'auto: nothing within the soak');

$guarded->after(101);
is_at('auto', 'running, stage 2, 5000', 'auto: after it the second stage');
is($guarded->told('auto'), 'gate by guard: opened; advance by guard: gate',
   'auto: events say so');

$guarded->after(7300);
is_at('auto', 'running, stage 2, 5000', 'auto: a stage counts its own uploads');

$guarded->uploads('auto', 'async', ('ok') x 10);
$guarded->tick;
is_at('auto', 'complete, stage 2, 5000', 'auto: after the last it is complete');
is($guarded->told('auto'), 'gate by guard: opened; complete by guard: gate',
   'auto: events say so');

$guarded->after(86400 - 600 - $nginx->{offset});
is_at('soak', 'running, stage 1, 1000', 'soak: by default it takes a day');
$guarded->after(601);
is_at('soak', 'running, stage 2, 5000', 'soak: and not longer');

$guarded->stop;

done_testing();
