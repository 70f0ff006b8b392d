#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# When a person is asked, and what happens if nobody comes: rates and latencies
# that are not good for long, complaints, a way back that is none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


my $guarded = Guarded->new(clock => 1);

my $off = 'async_upload_rollback off;';
my $dead = 'server 127.0.0.1:' . free_port() . ' down;';

$guarded->add($_, $off) for qw(at_97 below_97 few late recent slow);
$guarded->add('old', "$off async_upload_review for=40m;");
$guarded->add('hour', "$off async_upload_review for=1h;");
$guarded->add('never', "$off async_upload_review off;");
$guarded->add('limit', "$off async_upload_review success=99% for=30m;");
$guarded->add('fast', "$off async_upload_review latency=off;");
$guarded->add('complaints', "$off async_upload_review complaints=3 for=30m;");
$guarded->add('unattended', "$off async_upload_review complaints=1"
                            . ' unattended=1h;');
$guarded->add('attended', "$off async_upload_review complaints=1"
                          . ' unattended=1h;');
$guarded->add('no_way_back', 'async_upload_rollout 100%;', sync => $dead);
$guarded->add('no_drill', 'async_upload_rollout 100%;', sync => $dead);
$guarded->add('gate', 'async_upload_stage 50% min_uploads=20 latency=110%;');

my $nginx = $guarded->start;


sub is_at {
    my ($name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($guarded->state($name), $state, "$name: $title");
}


sub review {
    my ($name, $rule, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_at($name, 'review, 5000', $title);

    my ($event) = grep { $_->{event} eq 'review' } $guarded->events($name);

    is($event->{rule}, $rule, "$name: an event has the rule");
    is($event->{actor}{kind}, 'guard', "$name: it is the guard's");

    return $event;
}


# uploads that take so many milliseconds each

sub timed {
    my ($name, $arm, $ms, $n) = @_;

    $guarded->uploads_by(50, $name, $arm, ("after-$ms") x $n);
}


# No way back.

is($guarded->uploads('no_way_back', 'async', ('500') x 5, 'ok'), 'a1 6',
   'no_way_back: nobody is sent to a sync that is not there');
is_at('no_way_back', 'review, 10000', 'a person is asked');
is($guarded->told('no_way_back'), 'review by guard: no_way_back',
   'no_way_back: an event says why');

is($guarded->command('no_way_back', 'rollback'), '409 no_way_back',
   'no_way_back: nor does a person roll back unknowingly');
is_at('no_way_back', 'review, 10000', 'it does not');
is($guarded->command('no_drill', 'drill'), '409 no_way_back',
   'no_drill: nor is that tried out');
is_at('no_drill', 'running, 10000', 'it is not');
is($guarded->command('no_way_back', 'rollback', force => 1), 200,
   'no_way_back: force=1 does');
is_at('no_way_back', 'rolled_back, 0', 'then it is rolled back');


# Latencies, far enough from each other for a busy machine.

$guarded->command('complaints', 'signal', complaints => 2);
$guarded->command($_, 'signal', complaints => 1) for qw(unattended attended);

timed($_, 'sync', 100, 100) for qw(slow fast gate);
timed($_, 'async', 300, 100) for qw(slow fast);
timed('gate', 'async', 300, 20);

$guarded->uploads('old', 'async', mix(ok => 90, 500 => 10));

$guarded->tick;
$guarded->tick;
is_at('slow', 'running, 5000', 'slow uploads are no reason at once');

is($guarded->command('gate', 'advance'), '409 gate_closed',
   'gate: but no gate opens');
like($guarded->{answer}{description}, qr/closed: latency\z/,
     'gate: it is the latency');
$guarded->uploads_by(5, 'gate', 'async', ('ok') x 1000);
is($guarded->command('gate', 'advance'), 200,
   'gate: when enough of them are fast it is open');

# nine minutes, then a tick at which they are not slow

$guarded->after(540);
is_at('slow', 'running, 5000', 'nor are nine minutes of them');

$guarded->uploads_by(5, 'slow', 'async', ('ok') x 2500);
$guarded->tick;
timed('slow', 'async', 300, 200);
$guarded->tick;
$guarded->tick;

$guarded->after(540);
is_at('slow', 'running, 5000',
      'nor ten with a moment in between when they were not slow');

$guarded->after(70);

my $event = review('slow', 'literal_latency',
                   'ten minutes without a break are a reason');

is($event->{unit}, 'ratio', 'slow: it has seen a ratio');
cmp_ok($event->{value}, '>', 1.2, 'slow: which is greater');
is($event->{limit}, 1.2, 'slow: than allowed');
is_at('fast', 'running, 5000', 'nothing is asked where the rule is off');


# Twenty minutes have gone by.  Rates need half an hour.

is_at('complaints', 'running, 5000', 'two are none too many');
is_at($_, 'review, 5000', 'a person is asked') for qw(unattended attended);

$guarded->uploads('at_97', 'async', mix(ok => 97, 500 => 3));
$guarded->uploads($_, 'async', mix(ok => 96, 500 => 4))
    for qw(below_97 hour never late);
$guarded->uploads('few', 'async', mix(ok => 95, 500 => 4));
$guarded->uploads('limit', 'async', mix(ok => 98, 500 => 2));
$guarded->tick;
is_at('below_97', 'running, 5000',
      '96% are no reason before the stage is half an hour old');
is($guarded->command('late', 'restart'), 200, 'late: it is restarted');
$guarded->uploads('late', 'async', mix(ok => 96, 500 => 4));

$guarded->after(1800 - 120 - $nginx->{offset});
is_at('below_97', 'running, 5000', 'nor just before');

$guarded->after(130);
is_at('at_97', 'running, 5000', '97% of 100 are no reason at all');
is_at('few', 'running, 5000', 'nor is any rate of 99');
is_at('hour', 'running, 5000', 'nor where an hour is asked for');
is_at('never', 'running, 5000', 'nor where nobody is asked');
is_at('late', 'running, 5000', 'nor when the observation is younger');

$event = review('below_97', 'literal_success_30min', '96% of 100 are');
is($event->{value}, 960000, 'below_97: it has seen as many of a million');
is($event->{limit}, 970000, 'below_97: where it allows these');
review('limit', 'literal_success_30min', '98% are where 99% are asked for');

# Unattended: an hour after the question.

is($guarded->command('attended', 'resume'), 200, 'attended: somebody came');

$guarded->uploads('old', 'async', ('ok') x 100);

$guarded->after(3600 - 120 - $nginx->{offset});
is_at('unattended', 'review, 5000', 'it is held for less than an hour');
is_at('old', 'running, 5000',
      'what is older than the window is not looked at any more');

# complaints, likewise

$guarded->command('complaints', 'signal', complaints => 2);
is_at('complaints', 'running, 5000',
      'two more are no reason when the others are old');
$guarded->command('complaints', 'signal', complaints => 1);
review('complaints', 'complaints', 'another one within half an hour is');

$guarded->after(130);
is_at('unattended', 'rolled_back, 0', 'then it is rolled back');
like($guarded->told('unattended'), qr/; rollback by guard: unattended\z/,
     'unattended: an event says why');
is_at('attended', 'running, 5000', 'it is not where somebody came');
review('hour', 'literal_success_30min', 'after an hour it is asked, too');

$guarded->stop;

done_testing();
