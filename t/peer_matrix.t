#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Every balancer, in every order of it, keepalive and async_upload, with and
# without a zone: 56 pairs of rollouts in one nginx.  The async block of a pair
# is built as its sync block is.  The async servers of the first rollout of a
# pair are alive, those of the second are dead.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256);
use Test::More;


my @balancers = ('', 'least_conn;', 'ip_hash;', 'hash $http_x_id;',
                 'hash $http_x_id consistent;', 'random;', 'random two;');

# L is the balancer, K is keepalive, R is the rollout

my @orders = ('L K R', 'R L K', 'L R K', 'K R L');
my @keys = map { "client-$_" } 1 .. 16;

my ($port, $dead) = (free_port(), free_port());
my %stubs = map { ($_ => free_port()) } qw(sync1 sync2 async1 async2);

# before 1.29.7, a balancer that follows "keepalive" replaces it

my ($minor) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/1\.(\d+)\.};
my $keepalive_of_any_order = $minor > 29;

my (@pairs, $http);


sub block {
    my ($name, $pair, $servers, @rollout) = @_;

    my %directives = (
        L => $pair->{balancer},
        K => 'keepalive 2;',
        R => "@rollout",
    );

    my $zone = $pair->{zone} ? "zone $name 32k;" : '';

    return "upstream $name {\n    $zone\n    "
           . join("\n    ", map { $directives{$_} } split ' ', $pair->{order})
           . "\n    " . join("\n    ", map { "server 127.0.0.1:$_;" } @$servers)
           . "\n}\n\n";
}


for my $balancer (@balancers) {
    for my $order (@orders) {
        for my $zone (0, 1) {
            my $i = @pairs;

            my $title = ($balancer || 'round robin;') . " $order"
                        . ($zone ? ', zone' : '');

            push @pairs, { name => "live$i", dead => "dead$i", title => $title,
                           balancer => $balancer, order => $order,
                           zone => $zone };

            my $pair = $pairs[-1];

            for my $name ("live$i", "dead$i") {
                my ($share, @servers) = $name =~ /live/
                    ? (50, @stubs{qw(async1 async2)})
                    : (100, $dead, $dead);

                $http .= block($name, $pair, [@stubs{qw(sync1 sync2)}],
                               "async_upload async_$name zone=$name:512k;",
                               'async_upload_enabled on;',
                               'async_upload_rollback off;',
                               "async_upload_rollout $share%;",
                               'async_upload_key $http_x_id;');

                $http .= block("async_$name", $pair, \@servers);
            }
        }
    }
}


# The servers tell which connection a request came by.

$http .= <<'END';
    log_format stub '$server_port $connection $http_x_rollout $http_x_arm';
END

for (sort keys %stubs) {
    my $status = /async/ ? 202 : 201;

    $http .= <<"END";
    server {
        listen 127.0.0.1:$stubs{$_};
        access_log logs/stub.log stub;
        keepalive_requests 10000;
        return $status "$_ \$http_x_arm";
    }
END
}

my $nginx = AsyncUpload->start(port => $port, http => <<"END");
$http
    server {
        listen 127.0.0.1:$port;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Rollout \$async_upload_name;
        proxy_set_header X-Arm \$async_upload_arm;
        add_header X-Bucket \$async_upload_bucket always;
        add_header X-Fallback \$async_upload_fallback always;

        location /upload {
            proxy_pass http://\$arg_to;
        }

        location = /async_upload/status {
            async_upload_status;
        }
    }
END


sub bucket {
    my ($name, $key) = @_;

    return unpack('N', sha256("$name.$key")) * 10000 >> 32;
}


sub post {
    my ($rollout, $key) = @_;

    return $nginx->request('POST', "/upload?to=$rollout", body => 'x',
                           headers => ['X-Id' => $key]);
}


# The connections that the servers saw since the last call, by rollout, arm and
# server, with the number of their requests.

my $read = 0;

sub connections {
    my $log = slurp("$nginx->{dir}/logs/stub.log");
    my %seen;

    for (split /\n/, substr $log, $read) {
        my ($server, $connection, $rollout, $arm) = split ' ';

        $seen{$rollout}{$arm}{$server}{$connection}++;
    }

    $read = length $log;

    return \%seen;
}


# One round over all pairs.

sub traffic {
    my ($when) = @_;

    my (@lost, @astray, @stranger, @unmasked);

    for my $pair (@pairs) {
        my ($name, $dead, $title) = @$pair{qw(name dead title)};
        my %arrived;

        for my $key (@keys) {
            my $answer = post($name, $key);
            my $bucket = bucket($name, $key);
            my $arm = $bucket < 5000 ? 'async' : 'sync';

            $arrived{$arm}++;

            push @astray, "$title: $key, bucket $bucket"
                if ($answer->{headers}{'x-bucket'} // '') ne $bucket;

            push @lost, "$title: $key: $answer->{status} $answer->{body}"
                if $answer->{body} !~ /^${arm}[12] $arm$/;
        }

        push @stranger, $title if keys %arrived != 2;

        # both servers of the arm are out of service from the third upload on

        for my $why (qw(connect connect no_live_peer)) {
            my $answer = post($dead, 'a');

            push @unmasked, "$title: $why: $answer->{raw}"
                if $answer->{status} != 201
                   || $answer->{body} !~ /^sync[12] sync$/
                   || $answer->{headers}{'x-fallback'} ne $why;
        }
    }

    is_deeply(\@astray, [], "$when: the bucket is that of the key");
    is_deeply(\@lost, [], "$when: uploads arrive where their bucket says");
    is_deeply(\@stranger, [], "$when: both arms of every rollout have traffic");
    is_deeply(\@unmasked, [], "$when: dead async servers are masked by sync");
}


# With one worker, uploads one after another and room for both servers of the
# block in its cache, each server is connected to once for each arm; had both
# arms one cache, their four connections would drive each other out.

sub kept_apart {
    my ($when) = @_;

    my (@many, @none);
    my $connections = connections();

    for my $pair (@pairs) {
        my $kept = $keepalive_of_any_order || $pair->{order} ne 'K R L'
                   || $pair->{balancer} eq '';

        for my $arm (qw(sync async)) {
            my $servers = $connections->{$pair->{name}}{$arm} // {};

            push @none, "$pair->{title}: $arm" if !%$servers;

            for my $server (sort keys %$servers) {
                my $requests = 0;
                my $used = keys %{$servers->{$server}};

                $requests += $_ for values %{$servers->{$server}};

                push @many, "$pair->{title}: $arm: $used for $requests uploads"
                    if $used != ($kept ? 1 : $requests);
            }
        }
    }

    is_deeply(\@none, [], "$when: the servers saw both arms");
    is_deeply(\@many, [], "$when: an arm keeps connections in its own cache");
}


# What was counted is what was sent.

sub counts {
    my ($rounds) = @_;

    my $rollouts = $nginx->status->{rollouts};
    my @wrong;

    for my $pair (@pairs) {
        my $live = $rollouts->{$pair->{name}};
        my $gone = $rollouts->{$pair->{dead}};
        my $async = $rounds * grep { bucket($pair->{name}, $_) < 5000 } @keys;
        my $sync = $rounds * @keys - $async;

        my $figures = join ' ', $live->{arms}{async}{success},
            $live->{arms}{sync}{success}, $gone->{arms}{async}{failure},
            $gone->{arms}{async}{masked}, $gone->{fallback}{served},
            violations($live, quiet => 1), violations($gone, quiet => 1);

        my $expected = join ' ', $async, $sync, (3 * $rounds) x 3;

        push @wrong, "$pair->{title}: $figures, not $expected"
            if $figures ne $expected;
    }

    is_deeply(\@wrong, [], "$rounds rounds: every upload was counted, once");
}


traffic('at first');
kept_apart('at first');
counts(1);

# a new worker has empty caches and knows of no failures

$nginx->reload;

traffic('after a reload');
kept_apart('after a reload');
counts(2);

$nginx->stop(qr/connect\(\) failed \(111: Connection refused\)/);

done_testing();
