#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Ten thousand uploads to a healthy async arm, of which one in five hundred
# fails, as it does at sync: nothing happens.  Then async is gone, and a few are
# enough.  Which arm has an upload, and which one fails, is in its key.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256);
use Evidence;
use Load;
use Test::More;


my ($port, $sync, $async) = map { free_port() } 1 .. 3;

my $nginx = AsyncUpload->start(port => $port, clock => 1, http => <<"END");
    map "\$server_port \$http_x_client_id" \$answer {
        "~^$async out"    500;
        "~(?:123|623)\$"  500;
        default           202;
    }

    server {
        listen 127.0.0.1:$sync backlog=1024;
        listen 127.0.0.1:$async backlog=1024;
        keepalive_requests 100000;

        location / {
            try_files "" \@answer;
        }

        location \@answer {
            if (\$answer = 500) {
                return 500;
            }

            return 202;
        }
    }

    upstream upload_async {
        server 127.0.0.1:$async max_fails=0;
        keepalive 16;
    }

    upstream uploads {
        server 127.0.0.1:$sync max_fails=0;
        keepalive 16;

        async_upload upload_async zone=uploads:1m;
        async_upload_enabled on;
        async_upload_rollout 90%;
        async_upload_key \$http_x_client_id;
        async_upload_rollback run=0;
        async_upload_log logs/journal.jsonl;
    }

    server {
        listen 127.0.0.1:$port backlog=1024;
        keepalive_requests 100000;

        location / {
            proxy_pass http://uploads;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        location /async_upload/status {
            async_upload_status;
        }
    }
END


sub is_async {
    my ($key) = @_;

    return (unpack('N', sha256("uploads.$key")) * 10000) >> 32 < 9000;
}


# a tick after so many seconds

sub after {
    my ($seconds) = @_;

    $nginx->quiet('uploads');
    $nginx->advance_clock($seconds);
    $nginx->next_tick('uploads');
}


# 28 times 400 uploads, with a tick after each, of other clients every time

my ($times, $each) = (28, 400);
my %expected = (sync => [0, 0], async => [0, 0]);
my %states;

for my $time (1 .. $times) {
    my $result = load($port, uploads => $each, clients => 16, keepalive => 1,
                      prefix => "$time-", sizes => '1:4096', seed => $time);

    is($result->{answered}, $each, "$time: all were answered");

    for my $n (0 .. $each - 1) {
        my $arm = is_async("$time-$n") ? 'async' : 'sync';

        $expected{$arm}[$n =~ /[16]23$/ ? 1 : 0]++;
    }

    after(2);

    my $status = $nginx->status('uploads');

    $states{"$status->{state} $status->{share_bp}"}++;
}

my $status = $nginx->status('uploads');

is_deeply({ map { ($_ => [@{$status->{arms}{$_}}{qw(success failure)}]) }
                qw(sync async) }, \%expected, 'these were served, these failed');
cmp_ok($status->{arms}{async}{uploads}, '>=', 10000,
       'async had ten thousand uploads');
cmp_ok($status->{arms}{async}{failure}, '>=', 15, 'of which some failed');
is_deeply(\%states, { 'running 9000' => $times },
          'it was neither rolled back nor was anybody asked');
is($status->{evidence}{repeated}, 0, 'each failure counts');

cmp_ok($status->{evidence}{$_}{evidence}, '<', 1000, "$_: that is no evidence")
    for qw(success error worse slower gate_slower rejected aborted);
cmp_ok($status->{evidence}{proof}{evidence}, '>=', 20,
       'it is proven that errors are below three percent');


# An outage: four failures are too few after so many good uploads, a fifth one is
# evidence, which the next one confirms.

my $bet = Evidence->new(p0 => 0.005);

$bet->tick($expected{async}[1], $expected{async}[0]);

my @keys = grep { is_async($_) } map { "out$_" } 1 .. 20;

sub fails {
    my ($key) = @_;

    my $answer = $nginx->request('POST', '/', body => 'x',
                                 headers => ['X-Client-Id', $key]);

    is($answer->{status}, 500, "$key: async has failed");
    after(10);
    $bet->tick(1, 0);
}

for (1 .. 4) {
    fails(shift @keys);
    is($nginx->status('uploads')->{state}, 'running', 'it goes on');
}

cmp_ok($bet->value, '<', 1000, 'four failures of ten thousand are too few');
fails(shift @keys);
cmp_ok($bet->value, '>=', 1000, 'five are not');
is($nginx->status('uploads')->{state}, 'running', 'but they may be a blip');

# more than that by what was put in with the last good ones, if these were few

my $more = $nginx->status('uploads')->{evidence}{success}{evidence}
           / $bet->value;

cmp_ok($more, '>=', 0.9999, 'so it is said');
cmp_ok($more, '<', 1.5, 'it is not more than that');

fails(shift @keys);
is($nginx->status('uploads')->{state}, 'rolled_back', 'six are an outage');

my ($event) = grep { $_->{event} eq 'rollback' } $nginx->journal;

is($event->{rule}, 'evidence_success', 'the journal says why');
is($event->{arms}{async}{failure}, $expected{async}[1] + 6, 'after how many');
is(scalar(grep { $_->{event} eq 'review' } $nginx->journal), 0,
   'nobody was asked before');

$nginx->stop(qr/async_upload "uploads": ROLLBACK/);

done_testing();
