#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Latencies: a person is asked if async alone is slower, not if both arms are,
# nor if async has other uploads.  Both arms have theirs at the same time, so
# that a busy machine is busy for both.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use IO::Select;
use Test::More;


my $guarded = Guarded->new(clock => 1, half => 1, sequential => 1);

my $stage = 'async_upload_stage 50% min_uploads=10';
my $next = 'async_upload_stage 60%';

$guarded->add($_) for qw(slower equal both sizes larger);
$guarded->add($_, 'async_upload_rollout 0%;') for qw(before hardly_before);
$guarded->add('gate', "$stage; $next; async_upload_review latency=250%;");
$guarded->add('off', "$stage latency=off; $next; async_upload_review latency=off;"
    . ' async_upload_statistics sequential proof=off;');

my $nginx = $guarded->start;
my @clients = map { $guarded->client } 1 .. 32;


sub is_at {
    my ($name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($guarded->state($name), $state, "$name: $title");
}


sub evidence {
    my ($name, $what) = @_;

    return $nginx->status($name)->{evidence}{$what}{evidence};
}


# Quantiles of a lognormal distribution of sigma 0.5, in an order that does not
# matter: the times in ms that uploads of one byte take.

my @normal = (-1.96, 0.84, -0.32, 1.28, -0.84, 0.06, 0.52, -1.28, 1.96, -0.06,
              -0.52, 0.32, -1.04, 1.04, 0.19, -0.67, -0.19, 0.67, -0.43, 0.43);
my @ms = map { 30 * exp(0.5 * $_) } @normal;


# takes(FACTOR, [LARGE]): the same so many times, where of ten uploads LARGE are
# large and take three times as long as the others.

sub takes {
    my ($factor, $large) = @_;

    return [map { ($_ * 7) % 10 < ($large // 0)
                  ? [3 * $factor * $ms[$_ % 20], 65536]
                  : [$factor * $ms[$_ % 20], 1] } 0 .. 199];
}


# play(N, NAME => { ARM => TAKES, ... }, ...): N uploads to each arm of each of
# these rollouts, side by side, as many at a time as there are clients.

sub play {
    my ($uploads, %takes) = @_;

    my @queue;

    for my $i (0 .. $uploads - 1) {
        for my $name (sort keys %takes) {
            for my $arm (sort keys %{$takes{$name}}) {
                my $list = $takes{$name}{$arm};

                push @queue, [$name, $arm, @{$list->[$i % @$list]}];
            }
        }
    }

    my @free = @clients;
    my $select = IO::Select->new;

    while (@queue || $select->count) {
        while (@queue && @free) {
            my $client = shift @free;

            send_one($client, @{shift @queue});
            $select->add($client);
        }

        my @ready = $select->can_read(30) or die "no answer\n";

        for my $client (@ready) {
            Guarded::answer($client);
            $select->remove($client);
            push @free, $client;
        }
    }

    Guarded::settle($clients[0]);
}


sub send_one {
    my ($client, $name, $arm, $ms, $bytes) = @_;

    my $key = $guarded->identity($arm, $guarded->{sent}++);

    $ms = int $ms;

    print $client "POST /$name HTTP/1.1\r\nHost: a\r\nX-Key: $key\r\n"
                  . "X-Stub: a1=after-$ms s1=after-$ms\r\n"
                  . "Content-Length: $bytes\r\n\r\n" . 'x' x $bytes;
}


# What sync is like: a thousand uploads are a baseline, half of it is none.

play(1000, before => { sync => takes(1) });
play(500, hardly_before => { sync => takes(1) });
$guarded->tick;

for (qw(before hardly_before)) {
    is($guarded->command($_, 'share', share => '100%'), 200,
       "$_: then all is async's");
}

$guarded->tick;

# Both arms, side by side.

my %alike = (async => takes(1), sync => takes(1));
my %slower = (async => takes(1.5), sync => takes(1));

play(100, both => \%alike, before => { async => takes(1) },
     hardly_before => { async => takes(2) });
play(400, gate => \%slower, equal => \%alike,
     both => { async => takes(3), sync => takes(3) },
     sizes => { async => takes(1, 8), sync => takes(1, 2) },
     larger => { async => takes(1, 5), sync => takes(1) });
play(50, slower => \%slower, off => \%slower);
$guarded->tick;

# it takes some hundred until it cannot be luck any more

is_at('slower', 'running, 5000', 'fifty uploads say nothing yet');

for (1 .. 20) {
    my @waits = (evidence('slower', 'slower') < 1000 ? 'slower' : (),
                 evidence('gate', 'gate_slower') < 1000 ? 'gate' : ());

    last if !@waits;

    play(100, map { ($_ => \%slower) } @waits);
    $guarded->tick;
}

is_at('slower', 'review, 5000', 'a person is asked when async is slower');
is($guarded->told('slower'), 'review by guard: evidence_slower',
   'slower: by its rule');

is_at($_, 'running, 5000', 'nothing is asked') for qw(equal both sizes larger);
is_at('before', 'running, 10000', 'nothing is asked');
is_at('hardly_before', 'running, 10000',
      'half a thousand uploads are not to be compared with');
is_at($_, 'running, stage 1, 5000', 'nothing is asked') for qw(gate off);

for (qw(equal both sizes larger before hardly_before gate off)) {
    cmp_ok(evidence($_, 'slower'), '<', 1000, "$_: there is no evidence");
}

# too slow for the gate, though not for a review

cmp_ok(evidence('gate', 'gate_slower'), '>=', 1000,
       'gate: but there is of a tenth');
is($guarded->command('gate', 'advance'), '409 gate_closed',
   'gate: it does not advance');
like($guarded->{answer}{description}, qr/closed: .*\bevidence\b/,
     'gate: the answer says why');
is($guarded->command('off', 'advance'), 200,
   'off: where latency is of no interest it does');


# When both had been slower, and now async alone is so, or when it is slower
# than sync was.

play(300, both => { async => takes(6), sync => takes(3) },
     before => { async => takes(2) });
$guarded->tick;

is_at('both', 'review, 5000', 'a person is asked when async alone is slower');
is_at('before', 'review, 10000', 'or when it is slower than sync was before');
is($guarded->told('both'), 'review by guard: evidence_slower',
   'both: by its rule');
is($guarded->told('before'),
   'share by control; review by guard: evidence_slower',
   'before: by its rule');

$guarded->stop;

done_testing();
