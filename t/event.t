#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What is said of an event: one line in nginx' log, of its level and in one
# form, and one line of JSON in the journal.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Stub;
use Test::More;


my $stub = Stub->start(qw(s1 a1));
my $port = free_port();
my ($http, $locations) = ('', '');

for (['stages', 'async_upload_stage 10%; async_upload_stage 50%;'
          . ' async_upload_rollback run=3; async_upload_review complaints=4;'],
     ['dry', 'async_upload_rollout 50%; async_upload_dry_run on;'
          . ' async_upload_rollback run=2;'],
     ['full', 'async_upload_rollout 50%; async_upload_log /dev/full;'])
{
    my ($name, $text) = @$_;

    $text .= ' async_upload_log logs/journal.jsonl;' if $text !~ /_log/;

    $http .= <<"END";
    upstream async_$name {
        server 127.0.0.1:@{[$stub->port('a1')]} max_fails=0;
    }

    upstream $name {
        server 127.0.0.1:@{[$stub->port('s1')]};

        async_upload async_$name zone=$name:1m;
        async_upload_enabled on;
        async_upload_key \$http_x_key;
        async_upload_statistics plain;
        $text
    }
END
    $locations .= "location /$name { proxy_pass http://$name; }\n";
}

my $nginx = AsyncUpload->start(port => $port, http => <<"END");
    $http

    server {
        listen 127.0.0.1:$port;

        $locations

        location /async_upload/status {
            async_upload_status;
        }

        location /async_upload/control {
            async_upload_control;
        }
    }
END


# said(NAME): what nginx' log has of a rollout, "LEVEL: TEXT", without what
# nginx itself adds of a request

sub said {
    my ($name) = @_;

    return map { /\[(\w+)\] .*?async_upload "\Q$name\E": (.*)/
                     ? "$1: " . $2 =~ s/(?: while |, client: ).*//r : () }
        split /\n/, slurp("$nginx->{dir}/logs/error.log");
}


# last_said(NAME, LINE, TITLE)

sub last_said {
    my ($name, $line, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $found = wait_for { ((said($name))[-1] // '') eq $line } undef, 10;

    ok($found, $title)
        or diag((said($name))[-1] // 'nothing');
}


sub command {
    my ($name, @args) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(($nginx->command($name, @args))[0], 200, "@args");
}


# Uploads with these results at async, whatever their keys are.

sub uploads {
    my ($name, @results) = @_;

    my $key = 0;

    for my $result (@results) {
        my $by = '';

        while ($by ne 'a1') {
            my $answer = $nginx->request('POST', "/$name", body => 'x',
                headers => ['X-Key', 'k' . $key++, 'X-Stub', "a1=$result"]);

            $by = $answer->{headers}{'x-stub-name'} // '';
        }
    }
}


my $peer = 'peer=127.0.0.1';

my $started = wait_for {
    grep { $_ eq 'notice: started at 1000 bp, stage 1, by config, reason "for'
                 . ' the first time"' } said('stages');
} undef, 10;

ok($started, 'a start');

command('stages', 'advance', force => 1);
last_said('stages', "notice: 1000 -> 5000 bp, stage 2, by control ($peer),"
    . ' reason "forced"', 'the next stage, against the gate');

command('stages', 'pause', actor => 'eve', reason => 'why "not" \\ ä');
last_said('stages', "notice: pause at 5000 bp, stage 2, by control ($peer"
    . ' actor=eve), reason "why \x22not\x22 \x5C \xC3\xA4"',
    'what is not plain in a reason is escaped');

command('stages', 'resume');
last_said('stages', "notice: resume at 5000 bp, stage 2, by control ($peer)",
    'a resumption');

command('stages', 'signal', complaints => 4);
last_said('stages', 'warn: REVIEW at 5000 bp, stage 2, rule complaints (4 of'
    . ' 4), by guard', 'a review');

uploads('stages', ('500') x 3);
last_said('stages', 'error: ROLLBACK 5000 -> 0 bp, stage 2, rule consecutive'
    . ' (3 of 3), by guard', 'a rollback');

command('stages', 'disable');
last_said('stages', "notice: disable at 0 bp, stage 2, by control ($peer)",
    'off');

uploads('dry', ('500') x 2);
last_said('dry', 'warn: dry run: ROLLBACK at 5000 bp, rule consecutive (2 of'
    . ' 2), by guard', 'a dry run says so');


# The journal has the same, with the figures.

my @events = grep { $_->{rollout} eq 'stages' } $nginx->journal;

is(join(' ', map { $_->{sequence} } @events), join(' ', 1 .. @events),
    'no event is missing');

my ($rollback) = grep { $_->{event} eq 'rollback' } @events;
my ($pause) = grep { $_->{event} eq 'pause' } @events;

like(delete $rollback->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    'the time of a line');
delete @$rollback{qw(sequence epoch)};

cmp_ok(delete $rollback->{arms}{async}{p95_us} // 0, '>=', 0,
    'a latency, if there is one');
delete $rollback->{arms}{sync}{p95_us};

is_deeply($rollback->{from}, { state => 'review', stage => 2,
    share_bp => 5000 }, 'what was');
is_deeply($rollback->{to}, { state => 'rolled_back', stage => 2,
    share_bp => 0 }, 'what is');
delete @$rollback{qw(from to)};

my $arms = delete $rollback->{arms};
my $record = delete $rollback->{record};

is_deeply([@$record{qw(verdict reason value limit)}],
    ['rollback', 'consecutive', 3, 3], 'what it was decided by');

is($arms->{async}{failure}, 3, 'the failures that it rests on');
is($arms->{async}{success}, 0, 'and no success');

is_deeply($rollback, { rollout => 'stages', event => 'rollback',
    actor => { kind => 'guard' }, reason => undef, rule => 'consecutive',
    value => 3, limit => 3, unit => 'uploads', dry_run => JSON::PP::false },
    'a line of the journal');

is_deeply($pause->{actor}, { kind => 'control', who => "$peer actor=eve" },
    'who it was');
is($pause->{reason}, "why \"not\" \\ \x{e4}", 'and why');
is($pause->{rule}, undef, 'by no rule');
ok(!exists $pause->{value}, 'so without figures of one');

my ($dry) = grep { $_->{dry_run} } $nginx->journal;

is($dry->{event}, 'rollback', 'the journal has the dry run');
is_deeply($dry->{from}, $dry->{to}, 'that has changed nothing');


# A journal that cannot be written is told of once, and stops nothing.

command('full', 'pause');
command('full', 'resume');

my @full = said('full');

is(scalar(grep { /^alert: journal "\/dev\/full" was not written \(28: /}
              @full), 1, 'a full disk');
is($full[-1], "notice: resume at 5000 bp, by control ($peer)",
    'what has happened is in the log all the same');
is($nginx->status('full')->{state}, 'running', 'and has happened');

$nginx->stop(qr/ROLLBACK/, qr/was not written/);

done_testing();
