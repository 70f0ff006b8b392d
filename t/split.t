#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Who goes where: 10,000 keys through a running nginx, at several shares, on
# one and on several workers, before and after reloads.

use strict;
use warnings;

use Digest::SHA qw(sha256);
use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use AsyncUpload;
use Load;


my $n = 10000;

# The shares that the rollout has, in this order, in percent, and on how many
# workers; a step with the same share as the one before is a mere reload.

my @steps = ([0, 1], [1, 1], [10, 4], [50, 4], [50, 4, 1], [50, 1],
             [100, 1]);

# The shares at which nginx' own directive is asked about each key.

my @slices = (0.01, 0.5, 1, 2.5, 10, 33.33, 50, 75, 99.99, 100);

my %hash = (
    sha256 => 'sha256 "upload 2026"',
    split_clients => 'split_clients',
);

my ($port, $sync, $async) = map { free_port } 1 .. 3;

my $stub = AsyncUpload->start(
    port => $sync,
    http => stub_servers($sync, $async),
);


sub conf {
    my ($hash, $share) = @_;

    my ($splits, $headers) = ('', '');

    for my $i (0 .. $#slices) {
        my $slice = $slices[$i];
        my $rest = $slice == 100 ? '' : '* sync;';

        $splits .= <<"END";
    split_clients \$http_x_client_id \$split_$i { $slice% async; $rest }
END
        $headers .= <<"END";
            add_header X-Split-$i \$split_$i always;
END
    }

    return <<"END";
    upstream upload_async {
        server 127.0.0.1:$async;
        keepalive 32;
    }

    upstream uploads {
        server 127.0.0.1:$sync;
        keepalive 32;

        async_upload upload_async zone=uploads:4m;
        async_upload_enabled on;
        async_upload_rollout $share%;
        async_upload_key \$http_x_client_id;
        async_upload_hash $hash{$hash};
    }

$splits

    server {
        # the kernel chooses a worker for each connection

        listen 127.0.0.1:$port reuseport;

        keepalive_requests 100000;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Id \$http_x_client_id;

        location / {
            proxy_pass http://uploads;

            add_header X-Arm \$async_upload_arm always;
            add_header X-Bucket \$async_upload_bucket always;
            add_header X-Worker \$pid always;
$headers
        }

        location /async_upload/status {
            async_upload_status;
        }
    }
END
}


# Sends one upload of each key; returns for each key its answer's status, which
# tells the upstream, and the headers.

sub ask {
    my ($nginx, $title) = @_;

    my $each = "$nginx->{dir}/each";

    my $result = load($port, uploads => $n, clients => 32, keepalive => 1,
                      prefix => 'client-', each => $each,
                      record => ['X-Arm', 'X-Bucket', 'X-Worker',
                                 map { "X-Split-$_" } 0 .. $#slices]);

    is($result->{answered}, $n, "$title: every upload is answered");

    return each_line($each);
}


# The keys that one of the answers does not fit, as text, a few of them.

sub none {
    my ($title, @bad) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $more = @bad > 5 ? @bad - 5 : 0;

    ok(!@bad, $title)
        or diag(map { "    $_\n" } @bad[0 .. $#bad - $more], "$more more");
}


for my $hash (sort keys %hash) {
    my $nginx;
    my ($last_share, $last);

    for my $step (@steps) {
        my ($share, $workers, $again) = @$step;
        my $title = "$hash, $share% on $workers "
                    . ($workers == 1 ? 'worker' : 'workers');

        $title .= ', again' if $again;

        if (!$nginx) {
            $nginx = AsyncUpload->start(port => $port, workers => $workers,
                                        http => conf($hash, $share));

        } else {
            $nginx->configure(workers => $workers, http => conf($hash, $share));
            $nginx->reload;
        }

        my $answers = ask($nginx, $title);

        # the upstream that answered, 201 or 202, is the truth

        my @arms = map { $_->[0] == 202 ? 'async' : 'sync' } @$answers;
        my $taken = grep { $_ eq 'async' } @arms;

        none("$title: the variable names the upstream that answered",
            grep { $answers->[$_][1] ne $arms[$_] } 0 .. $n - 1);

        none("$title: those below the share are async, nobody else",
            map { "key $_, bucket $answers->[$_][2], $arms[$_]" }
            grep { ($answers->[$_][2] < $share * 100) != ($arms[$_] eq 'async') }
                0 .. $n - 1);

        if ($share == 0 || $share == 100) {
            is($taken, $n * $share / 100,
                "$title: " . ($share ? 'everybody is async'
                                     : 'nobody is async'));

        } else {
            my $p = $share / 100;
            my $sigma = sqrt($n * $p * (1 - $p));

            cmp_ok(abs($taken - $n * $p), '<=', 4 * $sigma,
                "$title: the split is as good as that of coins");
        }

        my %workers = map { $_->[3] => 1 } @$answers;

        if ($workers == 1) {
            is(keys %workers, 1, "$title: one worker answered");

        } else {
            cmp_ok(keys %workers, '>', 1, "$title: several workers answered");
        }

        # shares only grow here

        if ($last) {
            my @moved = grep { $last->[$_] ne $arms[$_] } 0 .. $n - 1;

            none("$title: nobody has come back to sync",
                grep { $arms[$_] eq 'sync' } @moved);

            none("$title: the same key goes where it went before", @moved)
                if $share == $last_share;
        }

        ($last_share, $last) = ($share, \@arms);

        # the frozen contract, from the outside

        if ($hash eq 'sha256') {
            none("$title: the bucket is what README says", map {
                my $first = unpack 'N', sha256("upload 2026.client-$_");
                my $bucket = ($first * 10000) >> 32;

                $answers->[$_][2] == $bucket
                    ? () : "key $_, bucket $answers->[$_][2], not $bucket";
            } 0 .. $n - 1);
        }

        next if $hash ne 'split_clients';

        for my $i (0 .. $#slices) {
            my $slice = $slices[$i];
            my @directive = map { $_->[4 + $i] } @$answers;

            none("$title: nginx' own directive takes the same keys",
                grep { $directive[$_] ne $arms[$_] } 0 .. $n - 1)
                if $slice == $share;

            # once is enough: the directive does not know the share

            none("$title: nginx' own directive at $slice% takes the buckets"
                 . ' below it',
                map { "key $_, bucket $answers->[$_][2], $directive[$_]" }
                grep {
                    ($answers->[$_][2] < $slice * 100)
                        != ($directive[$_] eq 'async')
                } 0 .. $n - 1)
                if $share == 0;
        }
    }

    my $rollout = $nginx->quiet('uploads');

    is($rollout->{arms}{sync}{success} + $rollout->{arms}{async}{success},
        @steps * $n, "$hash: every upload is counted");

    conserved($rollout, "$hash: every upload is counted once");
    $nginx->stop;
}


$stub->stop;

done_testing();
