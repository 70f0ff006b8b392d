#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What the detectors of a rollout say, in numbers: as their definition has it
# for these uploads, since the observation began, over reloads and restarts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Evidence;
use Guarded;
use Test::More;


# The definition itself, by vectors.

my ($rows, @off) = (0);

for my $row (@{decode_status(slurp("$FindBin::Bin/vectors/stats.json"))
                   ->{detector}})
{
    my $ticks = 0;

    $ticks += $_->[0] for @{$row->{ticks_rle}};

    next if $ticks > 5000;

    my $bet = Evidence->new(map { ($_ => $row->{$_}) }
                                qw(p0 horizon threshold));

    for (@{$row->{ticks_rle}}) {
        my ($times, $bad, $good) = @$_;

        $bet->tick($bad, $good) for 1 .. $times;
    }

    $rows++;
    push @off, $row->{name}
        if abs($bet->value - $row->{expect}{e}) > 1e-6 * $row->{expect}{e}
           || abs($bet->rate - $row->{expect}{rate}) > 1e-6;
}

cmp_ok($rows, '>=', 5, 'there are vectors of the definition');
is_deeply(\@off, [], 'it is the one of the vectors');


# Rollouts that nothing happens to, whatever is seen.  With so long a horizon it
# makes no difference at which ticks it is; with one of a minute it does.

my $guarded = Guarded->new(clock => 1, half => 1, sequential => 1);

my $calm = 'async_upload_rollback off; async_upload_review off;';
my $minute = "$calm async_upload_statistics sequential horizon=1m";
my $always = "$calm async_upload_statistics sequential horizon=365d";

$guarded->add('batch', "$always;");
$guarded->add('all', "$always; async_upload_rollout 100%;");
$guarded->add('both', "$always;");
$guarded->add('ticks', "$minute;");
$guarded->add('arms', "$minute;");
$guarded->add('gates', "$minute proof=10% evidence=50; async_upload_stage 50%"
    . ' success=99% error=2% latency=off;');
$guarded->add('plain', "$calm async_upload_statistics plain;");

my $stage = 'async_upload_stage 50% min_uploads=10 latency=off';
my $next = 'async_upload_stage 60%';

$guarded->add('proof', "$stage; $next;");
$guarded->add('proof_2', "$stage; $next;"
    . ' async_upload_statistics sequential proof=2%;');
$guarded->add('proof_off', "$stage; $next;"
    . ' async_upload_statistics sequential proof=off;');
$guarded->add('failed', "$stage; $next;");
$guarded->add('auto', "$stage soak=0; $next; async_upload_advance auto;");

my $nginx = $guarded->start;


sub evidence {
    my ($name) = @_;

    return $nginx->status($name)->{evidence};
}


# says(NAME, TITLE, DETECTOR => EVIDENCE, ...)

sub says {
    my ($name, $title, %expected) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $evidence = evidence($name);

    is_near($evidence->{$_}{evidence}, $expected{$_}, "$name, $title: $_")
        for sort keys %expected;
}


# bets(P0 of failures, P0 of errors, RATE that is to be proven, HORIZON)

sub bets {
    my ($success, $error, $proof, $horizon) = @_;

    return (
        success => Evidence->new(p0 => $success, horizon => $horizon),
        error => Evidence->new(p0 => $error, horizon => $horizon),
        proof => Evidence->new(p0 => 1 - $proof, horizon => $horizon,
                               threshold => 20),
    );
}


# take(BETS, BAD, GOOD): one tick of them.

sub take {
    my ($bets, $bad, $good) = @_;

    $bets->{$_}->tick($bad, $good) for qw(success error);
    $bets->{proof}->tick($good, $bad);

    return map { ($_ => $bets->{$_}->value) } qw(success error proof);
}


# An upload whose client leaves when async, or sync, has all of it.

sub leave {
    my ($name, $arm) = @_;

    my $client = $guarded->client;

    $guarded->ask($client, $name, $arm, 'hang');

    wait_for { grep { $_->{headers}{'x-stub'} =~ /hang/ }
                   $guarded->{stub}->requests } 'an upload at its server';

    close $client;
    $nginx->quiet($name);
}


# Before anything has happened.

my $nothing = evidence('batch');

is_near($nothing->{$_}{evidence}, 0, "nothing was seen: $_")
    for qw(success error worse rejected aborted slower gate_slower proof);
is($nothing->{error}{rate_now}, undef, 'nor is there a rate');
is_deeply($nothing->{error}{rate_interval}, [0, 1], 'it may be anything');
is(evidence('plain'), undef, 'plain: there are no detectors');


# At one tick or more, it is all the same.

$guarded->uploads('batch', 'async', mix(ok => 388, 500 => 12));
$guarded->uploads('all', 'async', ('500') x 3, ('ok') x 97);
$guarded->uploads('both', 'sync', ('500') x 6, ('ok') x 10);
$guarded->uploads('both', 'async', ('500') x 6, ('ok') x 10);
$guarded->uploads('plain', 'async', ('500') x 3);
$guarded->tick;

my $long = 365 * 86400;
my %batch = bets(0.005, 0.005, 0.03, $long);

says('batch', '12 failures of 400', take(\%batch, 12, 388));

my $said = evidence('batch');
my ($low, $high) = @{$said->{error}{rate_interval}};

is_near($said->{$_}{rate_now}, $batch{$_}->rate, "$_: the rate of now")
    for qw(success error);
is_near($said->{$_}{limit_rate}, 0.05, "$_: where rollback allows this")
    for qw(success error);
is_near($said->{proof}{limit_rate}, 0.03, 'proof: which rate is to be proven');
is($said->{proof}{threshold}, 20, 'proof: and how');
is($said->{error}{threshold}, 1000, 'error: a thousand are proof');
is("$said->{error}{failed} of $said->{error}{uploads}", '12 of 400',
   'error: what was seen');

cmp_ok(likely($low + 1e-6, 12, 400), '<', log 20,
       'lower rates than the interval has are unlikely');
cmp_ok(likely($low - 1e-6, 12, 400), '>', log 20, 'as of there');
cmp_ok(likely($high - 1e-6, 12, 400), '<', log 20, 'and so are higher ones');
cmp_ok(likely($high + 1e-6, 12, 400), '>', log 20, 'likewise');

sub percent {
    my ($rate) = @_;

    return sprintf('%.2f', 100 * $rate) =~ s/\.?0+\z//r . '%';
}

like($said->{line},
     qr/^errors\ now\ ~\Q@{[percent($batch{error}->rate)]}\E\ \(limit\ 5%\)
        \ -\ evidence\ against\ healthy\ @{[int $batch{error}->value]}\ of\ 1000
        \ -\ 12\ of\ 400\ failed
        \ -\ between\ \Q@{[percent($low)]}\E\ and\ \Q@{[percent($high)]}\E/x,
     'it is said in one line');

like($nginx->request('GET',
                     '/async_upload/status?rollout=batch&format=text')->{body}
         =~ s/\n {10}/ - /gr,
     qr/^evidence  \Q$said->{line}\E$/m, 'in two lines of the text');

ok($said->{control}, 'there is a control');
ok(!$said->{both_arms}, 'which does not fail');

ok(!evidence('all')->{control}, 'all: there is none at 100%');
says('all', 'nothing is compared', worse => 0,
     take({ bets(0.005, 0.005, 0.03, $long) }, 3, 97));

ok(evidence('both')->{both_arms}, 'both: both arms fail');
says('both', 'it fails all the same',
     take({ bets(0.005, 0.005, 0.03, $long) }, 6, 10));

is(evidence('plain'), undef, 'plain: there are no detectors at all');


# Tick by tick.  Async's part of what is bad is compared with its share, which
# is expected as it is set, until enough was seen by earlier ticks.

my %ticks = bets(0.005, 0.005, 0.03, 60);
my %gates = bets(0.01, 0.02, 0.1, 60);
my %arms = bets(0.005, 0.005, 0.03, 60);
my %seen = (sync => 0, async => 0);

$arms{$_} = Evidence->new(horizon => 60) for qw(worse rejected aborted);

my @ticks = qw(ok 500 ok 500 500 ok ok ok 500 ok);
my @arms = map { [split /=/] } qw(sync=500 async=500 async=403 sync=403
    async=leave sync=leave async=500 sync=ok async=403 async=500);

for my $i (0 .. $#ticks) {
    my ($arm, $what) = @{$arms[$i]};
    my $n = $i + 1;

    $guarded->uploads($_, 'async', $ticks[$i]) for qw(ticks gates);

    if ($what eq 'leave') {
        leave('arms', $arm);

    } else {
        $guarded->uploads('arms', $arm, $what);
    }

    $guarded->tick;

    my @counts = ($ticks[$i] eq '500', $ticks[$i] ne '500');

    says('ticks', "tick $n", take(\%ticks, @counts));
    says('gates', "tick $n", take(\%gates, @counts));

    my $share = (100 * 0.5 + $seen{async}) / (100 + $seen{async} + $seen{sync});
    my $detector = { 500 => 'worse', 403 => 'rejected',
                     leave => 'aborted' }->{$what};

    $arms{$detector}->tick($arm eq 'async', $arm eq 'sync', $share)
        if $detector;

    says('arms', "tick $n",
         map({ ($_ => $arms{$_}->value) } qw(worse rejected aborted)),
         take(\%arms, $arm eq 'async' && $what eq '500',
              $arm eq 'async' && $what eq 'ok'));

    $seen{$arm}++;
}

is(evidence('gates')->{error}{threshold}, 50, 'gates: fifty are proof');

my $arms = evidence('arms');

is("$arms->{rejected}{failed} of $arms->{rejected}{uploads}", '2 of 6',
   'arms: what async has rejected');
is("$arms->{aborted}{failed} of $arms->{aborted}{uploads}", '1 of 6',
   'arms: what its clients have left');


# A reload changes nothing.

my %before = map { ($_ => evidence($_)) } @{$guarded->{names}};

$guarded->{clients} = [];
$nginx->reload;
$guarded->tick;

is_deeply({ map { ($_ => evidence($_)) } @{$guarded->{names}} }, \%before,
          'after a reload all is as before');

$guarded->uploads('ticks', 'async', '500');
$guarded->tick;
says('ticks', 'after a reload', take(\%ticks, 1, 0));


# A restart has the counts, and takes them at one tick.

$guarded->{clients} = [];
$nginx->end('QUIT');
$nginx->launch;
$guarded->tick;

%ticks = bets(0.005, 0.005, 0.03, 60);
says('ticks', 'after a restart', take(\%ticks, 5, 6));
says('batch', 'after a restart', take({ bets(0.005, 0.005, 0.03, $long) },
                                      12, 388));
says('arms', 'after a restart', map {
    my ($detector, @counts) = @$_;

    ($detector => Evidence->new(p0 => 0.5)->tick(@counts)->value)
} ['worse', 3, 1], ['rejected', 2, 1], ['aborted', 1, 1]);

$guarded->uploads('ticks', 'async', '500');
$guarded->tick;
says('ticks', 'and one more', take(\%ticks, 1, 0));


# A new observation has seen nothing.

is($guarded->command('ticks', 'restart'), 200, 'ticks: it is restarted');
is($guarded->command('arms', 'share', share => '60%'), 200,
   'arms: its share is changed');

for (1, 2) {
    says($_, 'all is forgotten', map { ($_ => 0) }
         qw(success error proof worse rejected aborted)) for qw(ticks arms);
    is(evidence('ticks')->{error}{uploads}, 0, 'ticks: nothing was counted');
    $guarded->tick;
}

$guarded->uploads('ticks', 'async', '500');
$guarded->uploads('arms', 'async', '500');
$guarded->tick;

says('ticks', 'anew', take({ bets(0.005, 0.005, 0.03, 60) }, 1, 0));
says('arms', 'anew', worse => Evidence->new(p0 => 0.6)->tick(1, 0)->value);


# Proof.  143 uploads without a failure prove that errors are below 3%, and 215
# that they are below 2%.

sub gate {
    my ($name) = @_;

    my $status = $nginx->status($name);

    return {
        needs => $status->{evidence}{needs_uploads},
        closed => join(', ', map { $_->{rule} }
                             grep { !$_->{open} } @{$status->{stage}{gate}}),
    };
}

sub is_closed {
    my ($name, $needs, $closed, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply(gate($name), { needs => $needs, closed => $closed },
              "$name: $title");
}

my @lines = @{$nginx->status('proof')->{stage}{gate}};

is(join(' ', map { $_->{rule} } @lines),
   'uploads success error rejected aborted evidence proof',
   'proof: the gate has lines of its own');
is_near($lines[5]{need}, 1000, 'proof: which need that this is not reached');
is_near($lines[6]{need}, 20, 'proof: and that this is');

is_closed('proof', 143, 'uploads, success, error, rejected, aborted, proof',
          'before the first upload');
is_closed('proof_off', 10, 'uploads, success, error, rejected, aborted',
          'before the first upload');

$guarded->uploads($_, 'async', ('ok') x 9) for qw(proof proof_2 proof_off auto);
$guarded->uploads('failed', 'async', '500', ('ok') x 50);
$guarded->tick;

is_closed('proof', 134, 'uploads, proof', 'after 9 uploads');
is_closed('proof_off', 1, 'uploads', 'after 9 uploads');

# one failure of at least 200 is half a percent, and as much proof as it takes

my %failed = bets(0.005, 0.005, 0.03, 86400);

take(\%failed, 1, 50);
is(successes(1, 0.005) - 50, 149, 'failed: by its rate it would be 149');
is_closed('failed', $failed{proof}->needs(20), 'success, error, proof',
          'after a failure of 51');

$guarded->uploads($_, 'async', ('ok') x 133)
    for qw(proof proof_2 proof_off auto);
$guarded->tick;

is_closed('proof', 1, 'proof', 'after 142 uploads');
is_closed('proof_2', 73, 'proof', 'after 142 uploads');
is_near($nginx->status($_)->{stage}{gate}[6]{have},
        evidence($_)->{proof}{evidence}, "$_: the line has what is proven")
    for qw(proof proof_2);
is_closed('proof_off', 0, '', 'after 142 uploads');
is($guarded->command('proof', 'advance'), '409 gate_closed',
   'proof: a person does not advance it');
like($guarded->{answer}{description}, qr/closed: proof\z/,
     'proof: the answer says why');
is($guarded->state('auto'), 'running, stage 1, 5000', 'auto: nor does it');
is($nginx->status('auto')->{last_decision}{reason}, 'not_proven',
   'auto: as it is not proven');

$guarded->uploads($_, 'async', 'ok') for qw(proof proof_2 proof_off auto);
$guarded->tick;

is_closed('proof', 0, '', 'after 143 uploads');
is_closed('proof_2', 72, 'proof', 'after 143 uploads');
is($guarded->command('proof', 'advance'), 200,
   'proof: then a person does advance it');
is($guarded->state('auto'), 'running, stage 2, 6000', 'auto: so does it');

$guarded->uploads('proof_2', 'async', ('ok') x 72);
$guarded->tick;
is_closed('proof_2', 0, '', 'after 215 uploads');


# How many uploads a second it takes to notice something within five minutes:
# an outage, 10% and 6%.

my $speed = evidence('proof_2')->{uploads_per_s_for_rollback_in_300_s};

for (['outage', 0.01, 0.03], ['failing_10_percent', 0.2, 0.5],
     ['failing_6_percent', 0.35, 1])
{
    my ($fault, $least, $most) = @$_;

    cmp_ok($speed->{$fault}, '>=', $least, "$fault: uploads a second");
    cmp_ok($speed->{$fault}, '<=', $most, "$fault: not more than that");
}

$guarded->stop;

done_testing();
