#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# conf.d/stages.conf, as people copy it, and every command of the README: those
# to try it, and those of the operator's guide from off to 100% and out again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Demo;
use Digest::SHA qw(sha256);
use Test::More;


# Clients who are async in the first percent, and who are sync up to 99%.

my (@first, @last);

for my $n (1 .. 2000) {
    my $bucket = (unpack('N', sha256("uploads.client-$n")) * 10000) >> 32;

    push @first, "client-$n" if $bucket < 100;
    push @last, "client-$n" if $bucket >= 9900;
}


# uploads(DEMO, N, CLIENT, ...): sends N uploads of these clients, by turns; the
# statuses that were answered, each once.

sub uploads {
    my ($demo, $n, @clients) = @_;

    my %seen;

    for my $i (1 .. $n) {
        my $answer = $demo->request('POST', '/upload', body => "upload $i",
                                    headers => ['X-Client-ID',
                                                $clients[$i % @clients]]);

        $seen{$answer->{status}}++;
    }

    return join ' ', sort keys %seen;
}


# run(DEMO, TITLE, TEXT, [NAME => VALUE, ...]): runs commands that succeed, and
# returns what they said.

sub run {
    my ($demo, $title, $text, %env) = @_;

    my ($status, $said) = $demo->shell($text, %env);

    is($status, 0, $title) || diag($said);

    return $said;
}


# what the README refers to is there

my $readme = slurp("$FindBin::Bin/../README.md");

my %anchors = map {
    (lc s/[^\w -]//gr =~ tr/ /-/r) => 1
} $readme =~ /^##+ (.+)$/mg;

is(join(' ', grep { !$anchors{$_} } $readme =~ /\]\(#([^)]+)\)/g), '',
   'every link of the README leads to a section');

my @directives = slurp("$FindBin::Bin/../ngx_async_upload_module/"
                       . 'ngx_http_async_upload_module.c')
                 =~ /ngx_string\("(async_upload\w*)"\)/g;

is(join(' ', grep { !$anchors{$_} } @directives), '',
   'every directive has a section');


# stages.conf as it is

my $demo = Demo->start;

my (undef, $said) = $demo->run('-t');

like($said, qr{test is successful}, 'stages.conf is valid');
unlike($said, qr/\[(?:warn|error)\]/, 'and nothing is to be warned of');

is(uploads($demo, 1, @first), '201', 'the rollout is off at first');

my $rollout = $demo->quiet('uploads');

is("$rollout->{state}, stage $rollout->{stage}{number} of $rollout->{stage}{of}",
   'off, stage 1 of 4', 'with four stages');

is(join(' ', map { $_->{share_bp} / 100 . '%' }
             @{$rollout->{settings}{async_upload_stage}{value}}),
   '1% 10% 50% 100%', 'which are 1%, 10%, 50% and 100%');

my $statistics = $rollout->{settings}{async_upload_statistics};

is("$statistics->{value}, $statistics->{source}", 'sequential, nginx.conf',
   'they are decided on by evidence');

is(uploads($demo, 1, @first), '201', 'an upload');
conserved($demo->quiet('uploads'), 'is counted');


# the other statistics, as the comments have them

$demo->edit('stages.conf', sub {
    s/^async_upload_statistics[^;]*;\n//m;
    s/^#(async_upload_statistics)/$1/m;
});
$demo->reload;

$statistics = $demo->status('uploads')->{settings}{async_upload_statistics};

is($statistics->{value}, 'plain', 'evidence can be done without');

$demo->edit('stages.conf', sub {
    s/^async_upload_statistics[^;]*;\n/async_upload_statistics sequential;\n/m;
});
$demo->reload;

is_deeply(
    { %{$demo->status('uploads')->{settings}{async_upload_statistics}} },
    $rollout->{settings}{async_upload_statistics},
    'what stages.conf says are the defaults');


# "Try it", but for build.sh itself

my @try = map { $_->[1] } grep { $_->[1] !~ /build\.sh/ }
          Demo::commands('Try it');

is(scalar @try, 2, 'there is something to try');

$said = run($demo, 'what is to be tried can be', "$try[0]\n$try[1]");

my @counts = $said =~ /^ +(\d+ 20[12])$/mg;

is(scalar @counts, 4, 'three rounds of uploads') || diag($said);
is("$counts[0], $counts[3]", '100 201, 100 201', 'the first and last at sync');

is(join(' ', map { (split)[1] } @counts[1, 2]), '201 202',
   'the second at both');
like($said, qr/"error":"gate_closed"/, 'a gate is closed');
like($said, qr/^state +ROLLED_BACK/m, 'the rollout rolls back');
like($said, qr/rule consecutive \(\d+ of 5\)/, 'because of failures in a row');
like($said, qr/"command":"resume".*"share_bp":5000/, 'it goes on');
like($said, qr/"command":"rollback".*"share_bp":0/, 'and ends');

is(scalar(grep { $_->{event} eq 'rollback' }
          $demo->journal('logs/async_upload_rollout/journal.jsonl')), 2,
   'both rollbacks are in the journal');

$demo->stop(qr/async_upload "uploads": ROLLBACK/, qr/rename\(\)/);


# the guide, with gates that a test can open

$demo = Demo->start(edit => { 'stages.conf' => sub {
    s/min_uploads=\d+/min_uploads=10/g;
    s/latency=\d+%/latency=off/g;
} });

my %guide;

for (Demo::commands("Operator's guide")) {
    my ($subtitle, $text) = @$_;

    push @{$guide{$subtitle}}, $text;
}

my $prelude = (delete $guide{''})->[0];


# follow(SUBTITLE, N, [NAME => VALUE, ...]): the commands in block N below this
# title of the guide.

sub follow {
    my ($subtitle, $n, %env) = @_;

    my $text = $guide{$subtitle}[$n]
               // die "there are no commands $n in \"$subtitle\"\n";

    $guide{$subtitle}[$n] = undef;

    my $said = run($demo, "$subtitle: " . ($text =~ s/\n/; /gr),
                   "$prelude\n$text", %env);

    return ($said, $demo->status('uploads'));
}


# at(ROLLOUT): its state and the share it has.

sub at {
    my ($rollout) = @_;

    return "$rollout->{state} at " . $rollout->{share_bp} / 100 . '%';
}


# the gate has opened by what was uploaded: as many as it was said to need

sub open_gate {
    is(uploads($demo, 20, @first), '202', 'the first clients are async');

    my $needs = $demo->quiet('uploads')->{evidence}{needs_uploads};

    cmp_ok($needs, '>', 0, 'which is not yet proof');
    is(uploads($demo, $needs, @first), '202', 'so there are more of them');

    wait_for { $demo->status('uploads')->{stage}{open} } 'an open gate';
}


my $day = 'Days 1 and 2: deploy, off';

($said, $rollout) = follow($day, 0);
like($said, qr/^state +OFF/m, 'a reload of nginx says that it is off');

# the demo's block has its stages in this file

my $stages = slurp("$demo->{dir}/conf/stages.conf");
my ($instead) = Demo::section("Operator's guide")
                =~ /### \Q$day\E\n.*?```nginx\n(.*?)```/s;

spew("$demo->{dir}/conf/stages.conf", $instead);
$demo->reload;
is(at($demo->status('uploads')), 'running at 0%', 'without stages it runs');

($said) = follow($day, 1);
like($said, qr/"drill":\{"took_ms":\d+,"workers":2\}/, 'and can be drilled');

spew("$demo->{dir}/conf/stages.conf", $stages);
$demo->reload;
is(at($demo->status('uploads')), 'off at 0%', 'with stages it is off again');

is(uploads($demo, 120, @first, @last), '201', 'so everybody is at sync');

($said, $rollout) = follow('Days 3 and 4: the baseline', 0);
ok($rollout->{baseline}{frozen}, 'the baseline is kept');
is($rollout->{baseline}{uploads}, 120, 'with all uploads');

$day = 'Days 5 to 7: the first percent';

($said, $rollout) = follow($day, 0);
is(at($rollout), 'running at 1%', 'the first percent');

open_gate();
is(uploads($demo, 20, @last), '201', 'the last clients are sync');

($said) = follow($day, 1);
like($said, qr/^\| State \| running \|$/m, 'a report');

($said, $rollout) = follow($day, 2);
is(at($rollout), 'running at 10%', 'the next stage');

($said, $rollout) = follow('The next stages', 0);
like($said, qr/"state":"paused"/, 'it pauses');
is(at($rollout), 'running at 10%', 'and goes on');

$day = 'Back, in one command';

($said, $rollout) = follow($day, 0);
is(at($rollout), 'rolled_back at 0%', 'back in one command');
is(uploads($demo, 5, @first), '201', 'for the very next request');

($said, $rollout) = follow($day, 1);
is(at($rollout), 'running at 1%', 'and on with the first stage');


# in review

$demo->command('uploads', 'signal', complaints => 5);
is(at($demo->status('uploads')), 'review at 1%', 'complaints call for a person');
run($demo, 'it was nothing', "$prelude\nrollout resume");
is(at($demo->status('uploads')), 'running at 1%', 'the rollout goes on');


# to the end

for my $share (10, 50, 100) {
    open_gate();
    run($demo, 'to the next stage', "$prelude\nrollout advance");
    is(at($demo->status('uploads')), "running at $share%", "up to $share%");
}

open_gate();
run($demo, 'after the last stage', "$prelude\nrollout advance");
is(at($demo->status('uploads')), 'complete at 100%', 'it is complete');


# several edges: one of them

($said) = follow('Several edges', 0, TOKEN => 'a1' x 16,
                 EDGES => "http://127.0.0.1:$demo->{port}");
like($said, qr/"state":"rolled_back"/, 'an edge takes commands with a token');

my @left = map { grep { defined } @$_ } values %guide;

ok(!@left, 'all of the guide was followed') || diag(@left);


# out: the new servers in place of the old ones, and nothing of the module

$demo->edit('nginx.conf', sub {
    s/^load_module .*\n//m;
    s/upstream upload_async \{.*?\}\n//s;
    s/(upstream uploads \{\s+server +127\.0\.0\.1:)\d+/$1$demo->{ports}{8082}/;
    s/^ *(?:async_upload|include +stages).*\n//mg;
    s/include +metrics\.conf/access_log off/;
    s/^ *add_header +X-Upload-Arm .*\n//m;
    s/http:\/\/upload_async/http:\/\/uploads/g;
});

$demo->reload;

is(uploads($demo, 5, @first, @last), '202', 'everybody is at the new service');

$demo->stop(qr/async_upload "uploads": ROLLBACK/);

done_testing();
