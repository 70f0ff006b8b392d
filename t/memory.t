#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The rule about memory, with workers that really grow: by bodies that wait in
# their memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


# what a worker gets for each body that it holds

my $mb = 1024 * 1024;
my $large = 24 * $mb;
my $small = 8 * $mb;


sub state_of {
    my ($rollout) = @_;

    return "$rollout->{state}, $rollout->{share_bp}";
}


# An nginx whose clock leaps, with its rollouts.

sub start {
    my (%args) = @_;

    my $guarded = Guarded->new(clock => 1, %args);

    $guarded->add($_) for qw(grows paused);
    $guarded->add('half', 'async_upload_rollback memory=150%;');
    $guarded->add('much', 'async_upload_rollback memory=10000%;');
    $guarded->add('off', 'async_upload_rollback memory=off;');
    $guarded->add('none', 'async_upload_rollback off;');
    $guarded->add('dry', 'async_upload_dry_run on;');
    $guarded->add('held', 'async_upload_rollback off;');

    my $nginx = $guarded->start(
        http => "client_body_buffer_size 32m; client_max_body_size 0;");

    wait_for { $nginx->serving >= ($args{workers} // 1) } 'the workers';

    return ($guarded, $nginx);
}


# Has workers hold a body; returns the connections.

sub hold {
    my ($guarded, $size, @workers) = @_;

    my @held;

    for my $worker (@workers) {
        my $socket = $guarded->client($worker);

        print $socket "POST /held HTTP/1.1\r\nHost: a\r\nX-Key: a\r\n"
                      . "X-Stub: a1=slow s1=slow\r\n"
                      . "Content-Length: $size\r\n\r\n" . 'x' x $size;

        push @held, $socket;
    }

    my $n = 0;

    wait_for {
        $n += grep { $_->{length} == $size } $guarded->{stub}->requests;

        $n >= @workers;
    } 'bodies that are held';

    return @held;
}


# The memory that nginx counts.

sub anonymous {
    my ($pid) = @_;

    return slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB$/m ? $1 * 1024
                                                                  : 0;
}


sub is_at {
    my ($guarded, $name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(state_of($guarded->{nginx}->status($name)), $state, "$name: $title");
}


# Each worker says every second, by the clock of the world, what it has.

sub known {
    my ($guarded, $workers) = @_;

    my $now;

    wait_for {
        $guarded->tick;

        my $most = 0;

        for (map { anonymous($_) } $guarded->{nginx}->serving) {
            $most = $_ if $_ > $most;
        }

        $now = $guarded->{nginx}->status('grows')->{memory}{now_bytes} // 0;

        abs($now - $most) < $mb;
    } 'the memory of the workers to be known';

    return $now;
}


my ($guarded, $nginx) = start();
my ($worker) = $nginx->serving;

is($guarded->command('paused', 'pause'), 200, 'one is paused');


# The first minute of a worker says nothing.

$guarded->tick;
is($nginx->status('grows')->{memory}{now_bytes}, undef,
   'in the first minute no memory is known');
is($nginx->status('grows')->{memory}{rule}, 'unknown', 'nor is the rule in force');

$guarded->after(61);
known($guarded);

my $memory = $nginx->status('grows')->{memory};
my $baseline = $memory->{baseline_bytes};

cmp_ok(abs($baseline - anonymous($worker)), '<', $mb,
       'then what the worker has is the baseline');
is($memory->{rule}, 'on', 'and the rule in force');
is($memory->{workers}, 1, 'for one worker');
is($nginx->status('off')->{memory}{rule}, 'off', 'but where it is off');


# No growth, for long, and some that is less than 16 MB.

$guarded->after(600) for 1 .. 2;
is_at($guarded, 'grows', 'running, 5000', 'without growth nothing happens');

my @held = hold($guarded, $small, $worker);

cmp_ok(known($guarded), '>=', $baseline + $small / 2, 'the worker has grown');
cmp_ok(known($guarded), '<', $baseline + 16 * $mb, 'by less than 16 MB');
$guarded->after(61) for 1 .. 3;
is_at($guarded, 'grows', 'running, 5000', 'which is no growth');


# More than that, which must last for a minute.

push @held, hold($guarded, $large, $worker, $worker);

my $grown = known($guarded);

cmp_ok($grown, '>=', $baseline + 2 * $large, 'the worker has really grown');
cmp_ok($grown, '>=', $baseline * 1.5, 'by half and more');

$guarded->after(50);
is_at($guarded, $_, 'running, 5000', 'not at once') for qw(grows half);
$guarded->told($_) for @{$guarded->{names}};

$guarded->after(20);
is_at($guarded, $_, 'rolled_back, 0', 'after a minute it is rolled back')
    for qw(grows half paused);
is_at($guarded, 'much', 'running, 5000', 'but not where more is allowed');
is_at($guarded, 'off', 'running, 5000', 'nor where the rule is off');
is_at($guarded, 'none', 'running, 5000', 'nor where nothing rolls back');
is_at($guarded, 'dry', 'running, 5000', 'nor in a dry run');

is($guarded->told('dry'), 'rollback by guard: memory',
   'dry: but the journal says so');
is($guarded->told('off'), '', 'off: of which the journal says nothing');

my ($event) = $guarded->events('grows');

is("$event->{event}, $event->{rule}, $event->{unit}",
   'rollback, memory, ratio', 'grows: the journal says which rule');
is($event->{limit}, 1.2, 'grows: and the limit');
cmp_ok(abs($event->{value} - $grown / $baseline), '<', 0.1,
       'grows: and how much it is');

($event) = $guarded->events('half');
is($event->{limit}, 1.5, 'half: with its own limit');


# It goes on when it is resumed, and a minute more is needed.

is($guarded->command('grows', 'resume'), 200, 'it is resumed');
$guarded->tick;
is_at($guarded, 'grows', 'running, 5000', 'the minute begins anew');
$guarded->after(62);
is_at($guarded, 'grows', 'rolled_back, 0', 'and is over after a minute');


# A baseline that a person records, with what there is now.

is($guarded->command('grows', 'resume'), 200, 'it is resumed again');
$guarded->uploads('grows', 'sync', 'ok');
is($guarded->command('grows', 'baseline'), 200, 'with a new baseline');
$guarded->after(61) for 1 .. 2;
is_at($guarded, 'grows', 'running, 5000', 'that is no growth any more');


# A worker that is new does not count.

is($guarded->command('half', 'resume'), 200, 'half: it is resumed');
$guarded->after(30);
@held = ();
$guarded->{clients} = [];
kill 'KILL', $worker;

wait_for { my ($new) = $nginx->serving; ($new // $worker) != $worker }
    'a new worker';

($worker) = $nginx->serving;
@held = hold($guarded, $large, $worker, $worker);
$guarded->after(58);
is($nginx->status('half')->{memory}{now_bytes}, undef,
   'a worker of less than a minute is not counted');
is_at($guarded, 'half', 'running, 5000', 'nor has the one before left a trace');
$guarded->after(10);
known($guarded);
$guarded->after(50);
is_at($guarded, 'half', 'running, 5000', 'until it is old enough');
$guarded->after(20);
is_at($guarded, 'half', 'rolled_back, 0', 'and has been so for a minute');

@held = ();
$guarded->{clients} = [];
$nginx->stop(qr/ROLLBACK/, qr/worker process \d+ exited on signal 9/);


# Several workers: the largest one.  A reload keeps the baseline.

($guarded, $nginx) = start(workers => 2);

$guarded->after(61);
known($guarded);
$baseline = $nginx->status('grows')->{memory}{baseline_bytes};

$nginx->reload;
@held = hold($guarded, $large, (sort { $b <=> $a } $nginx->serving)[0, 0]);
$guarded->after(61);
known($guarded);
is($nginx->status('grows')->{memory}{baseline_bytes}, $baseline,
   'a reload keeps the baseline');
$guarded->after(62);
is_at($guarded, 'grows', 'rolled_back, 0', 'one worker of two is enough');


# With another number of workers the baseline is no longer one.

$guarded->command('grows', 'resume');
@held = ();
$guarded->{clients} = [];
$nginx->configure(workers => 1);
$nginx->reload;
@held = hold($guarded, $large, ($nginx->serving)[0, 0]);
$guarded->after(61);
$grown = known($guarded);

$memory = $nginx->status('grows')->{memory};

cmp_ok(abs($memory->{baseline_bytes} - $grown), '<', $mb,
       'with another number of workers it is taken anew');
is($memory->{workers}, 1, 'for as many as there are now');
$guarded->after(62) for 1 .. 2;
is_at($guarded, 'grows', 'running, 5000', 'what they have now is no growth');


# The memory of the service, as somebody signals it.

is($guarded->command('grows', 'signal', memory => 119), 200,
   'the service has 119% of its memory');
$guarded->tick;
is_at($guarded, 'grows', 'running, 5000', 'which is allowed');
$guarded->told('grows');
is($guarded->command('grows', 'signal', memory => 120), 200,
   'the service has 120%');
is_at($guarded, 'grows', 'rolled_back, 0', 'which is too much at once');

my ($signal, $rollback) = $guarded->events('grows');

is("$signal->{event} by $signal->{actor}{kind}: $signal->{reason}",
   'signal by control: memory=120', 'the journal has the signal');
is("$rollback->{event} by $rollback->{actor}{kind}: $rollback->{rule}"
   . " $rollback->{value} $rollback->{limit}",
   'rollback by guard: memory 1.2 1.2', 'and what follows');

is($guarded->command('off', 'signal', memory => 500), 200,
   'off: it is signalled');
$guarded->tick;
is_at($guarded, 'off', 'running, 5000', 'where the rule is off it says nothing');

@held = ();
$guarded->{clients} = [];
$nginx->stop(qr/ROLLBACK/);

done_testing();
