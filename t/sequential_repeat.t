#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# One broken client among good ones says nothing about the arm that it keeps,
# however often it comes back.  One that nobody else is served beside does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Evidence;
use Guarded;
use Test::More;


my $guarded = Guarded->new(clock => 1, half => 1, sequential => 1);

my ($broken, $second, $third, $good) = map { $guarded->identity('async', $_) }
                                           1 .. 4;

# uploads to one arm do not come at the same time as those to the other

my $review = 'async_upload_review latency=off;';

$guarded->add($_, $review)
    for qw(healthy alone again served_before itself run late);
$guarded->add('among',
              "$review async_upload_statistics sequential horizon=365d;");
$guarded->add('nobody', "$review async_upload_missing random;"
    . ' async_upload_rollout 100%;');
$guarded->add('unasked', 'async_upload_review off;');
$guarded->add('budget', "$review async_upload_budget 3;");
$guarded->add('plain', "$review async_upload_statistics plain;");
$guarded->add('gate', "$review async_upload_stage 50% latency=off;"
    . ' async_upload_stage 60%;');

my $nginx = $guarded->start;


sub is_at {
    my ($name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($guarded->state($name), $state, "$name: $title");
}


sub upload {
    my ($name, @uploads) = @_;

    return $guarded->uploads_of(1, $name, @uploads);
}


# counts(NAME, TOTAL, REPEATED, TITLE): so many failures of async, of which
# these are no evidence.

sub counts {
    my ($name, $total, $repeated, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $status = $nginx->status($name);

    is("$status->{arms}{async}{failure}, $status->{evidence}{repeated}",
       "$total, $repeated", "$name: $title");
}


# 200 failures of one client, among 800 uploads of others that are served.  By
# the raw rate it is beyond the literal limit, without that client it is not.

my @among = map { (([async => 'ok']) x 4, [$broken, 500]) } 1 .. 200;

upload($_, @among) for qw(among unasked);
upload('healthy', map { (([async => 'ok']) x 38, [$broken, 500]) } 1 .. 5);
upload('gate', map { (([async => 'ok']) x 38, [$broken, 500]) } 1 .. 5);
upload('plain', [async => 'ok'], ([$broken, 500]) x 6);
upload('alone', ([$broken, 500]) x 3);
$guarded->tick;

counts('among', 200, 199, 'of 200 failures one counts');
counts('unasked', 200, 199, 'likewise');
counts('healthy', 5, 4, 'of five one does');
counts('alone', 3, 0, 'where nobody else is served all of them do');
is($nginx->status('plain')->{evidence}, undef, 'plain: literally they all do');

is_at('among', 'review, 5000', 'a person is asked');
is($guarded->told('among'), 'review by guard: few_identities',
   'among: since there are few');
is_at('unasked', 'running, 5000', 'without anybody to ask it goes on');
is_at('healthy', 'running, 5000', 'within the literal limits, too');
is_at('plain', 'rolled_back, 0', 'five in a row are five in a row');
is_at('alone', 'running, 5000', 'it is not confirmed yet');

is_near($nginx->status('among')->{evidence}{success}{evidence},
        Evidence->new(p0 => 0.005)->tick(1, 800)->value,
        'among: there is as much evidence as of a single failure');

is($guarded->command('gate', 'advance'), '409 gate_closed',
   'gate: but the gate goes by all of them');
like($guarded->{answer}{description}, qr/closed: success, error, proof\z/,
     'gate: the answer says so');

upload($_, ([$broken, 500]) x 20) for qw(among unasked);
$guarded->after(10);
upload($_, [$broken, 500]) for qw(among unasked alone);
$guarded->tick;

counts('among', 221, 220, 'later ones do not count either');
is_at('among', 'review, 5000', 'it is never rolled back');
is_at('unasked', 'running, 5000', 'nor where nobody is asked');
is_at('alone', 'rolled_back, 0', 'it is rolled back where all of them fail');
is($guarded->told('alone'), 'rollback by guard: evidence_success',
   'alone: by evidence');


# What does not count, does not count for anything.

upload('budget', [async => 'ok'], ([$broken, 500]) x 10);
upload('run', [$good, 'ok'], ([$broken, 500]) x 5);
$guarded->after(10);
upload('run', ([$broken, 500]) x 5);
$guarded->tick;

is_at('budget', 'running, 5000', 'ten failures of one are one of three');
is($nginx->status('budget')->{budget}{used}, 1, 'budget: one is used');
is_at('run', 'running, 5000', 'ten failures of one in a row are no row');
is($nginx->status('run')->{consecutive_failures}{now}, 1,
   'run: but one failure');

upload('budget', [$second, 500], [$third, 500]);
$guarded->tick;
is_at('budget', 'rolled_back, 0', 'three of three are the end of it');


# The same identity again after ten minutes.

upload('again', [$good, 'ok'], [$broken, 500]);
$guarded->after(590);
upload('again', [$good, 'ok'], [$broken, 500]);
$guarded->tick;
counts('again', 2, 1, 'within ten minutes it does not count');
$guarded->after(10);
upload('again', [$good, 'ok'], [$broken, 500]);
$guarded->tick;
counts('again', 3, 1, 'after them it does');
upload('again', [$broken, 500]);
$guarded->tick;
counts('again', 4, 2, 'and is what the next ten begin with');


# Others that were served, but not of late; its own service; nobody's failures.

upload('served_before', [$good, 'ok'], [$broken, 500]);
$guarded->after(100);
upload('served_before', [$broken, 500]);
$guarded->tick;
counts('served_before', 2, 1, 'somebody was served two minutes ago');
$guarded->after(30);
upload('served_before', ([$broken, 500]) x 3);
$guarded->tick;
counts('served_before', 5, 1, 'after them all failures count');

upload('itself', [$broken, 'ok'], ([$broken, 500]) x 2);
upload('late', [$good, 'ok'], [$second, 500], [$broken, 500]);
upload('nobody', [$good, 'ok'], (['', 500]) x 2);
$guarded->tick;
counts('itself', 2, 0, 'that it was served itself is no reason');
counts('late', 2, 0, 'two that fail are two');
counts('nobody', 2, 0, 'who is nobody is not the same one again');

# an outage that few are there to see

$guarded->after(130);
upload('late', [$broken, 500], [$second, 500]);
$guarded->tick;
$guarded->after(10);
upload('late', [$broken, 500]);
$guarded->tick;
is_at('late', 'rolled_back, 0', 'when nobody is served any more it counts');


# What did not count does not do so after a restart either.

$guarded->{clients} = [];
$nginx->end('QUIT');
$nginx->launch;
$guarded->tick;

counts('among', 221, 220, 'after a restart it is the same');
is_at('among', 'review, 5000', 'and still it is not rolled back');
is_at('unasked', 'running, 5000', 'likewise');
is_near($nginx->status('unasked')->{evidence}{success}{evidence},
        Evidence->new(p0 => 0.005)->tick(1, 800)->value,
        'unasked: there is as much evidence as of a single failure');

$guarded->stop;

done_testing();
