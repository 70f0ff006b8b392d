#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The journal that conf.d/metrics.conf has nginx write: a line of JSON for each
# upload, which together say what the counters say.

use Test::Nginx::Socket 'no_plan';

use lib 't/lib';

use AsyncUpload;
use Cwd qw(abs_path);
use JSON::PP;
use List::Util qw(sum0);
use Stub;


our $Stub = Stub->start(qw(s1 a1 other));
our $Dead = free_port();
our $Metrics = abs_path('conf.d/metrics.conf');

our $Http = <<"END";
    include $Metrics;

    upstream async_dead { server 127.0.0.1:$Dead; }
    upstream other { server 127.0.0.1:@{[$Stub->port('other')]}; }
    upstream async { server 127.0.0.1:@{[$Stub->port('a1')]}; }

    upstream mixed {
        server 127.0.0.1:@{[$Stub->port('s1')]};
        async_upload async zone=mixed:512k;
        async_upload_enabled on;
        async_upload_rollout 50%;
        async_upload_key \$http_x_key;
        async_upload_missing random;
        async_upload_fallback off;
    }

    upstream masked {
        server 127.0.0.1:@{[$Stub->port('s1')]};
        async_upload async_dead zone=masked:512k;
        async_upload_enabled on;
        async_upload_rollout 50%;
        async_upload_key \$http_x_key;
    }
END

our $Config = <<'END';
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    lingering_timeout 300ms;

    location / {
        return 404;
    }

    location /mixed {
        proxy_pass http://mixed;
    }

    location /masked {
        proxy_pass http://masked;
    }

    location /hasty/mixed {
        proxy_read_timeout 300ms;
        proxy_pass http://mixed;
    }

    location /paged/mixed {
        proxy_intercept_errors on;
        error_page 503 = @other;
        proxy_pass http://mixed;
    }

    location @other {
        proxy_pass http://other;
    }

    location /guarded/mixed {
        auth_request /check;
        proxy_pass http://mixed;
    }

    location = /check {
        internal;
        proxy_pass http://mixed;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }

    location /async_upload/status {
        async_upload_status;
    }
END


# an upload by each of some identities, so that both arms have it

sub uploads {
    my ($uri, $n, $what, %args) = @_;

    my @stub = defined $what ? ('X-Stub', "s1=$what a1=$what") : ();

    nginx->request($args{method} // 'POST', $uri, body => 'the body', %args,
        headers => ['X-Key', "key $_", @stub, @{$args{headers} // []}])
        for 1 .. $n;
}


sub lines {
    return split /\n/,
        slurp(nginx->{dir} . '/logs/async_upload_rollout/metrics.jsonl');
}


# The entries of the journal, once there are so many.

sub journal {
    my ($n) = @_;

    my @lines;

    wait_for {
        @lines = lines();
        @lines >= $n;
    } "$n lines";

    is(scalar @lines, $n, 'a line for each upload');

    return map { entry($_) } @lines;
}


my $json = JSON::PP->new->utf8->allow_nonref;

sub entry {
    my ($line) = @_;

    my $entry = eval { $json->decode($line) };

    if (!$entry) {
        fail('a line is JSON');
        diag("    $line\n    $@");
        return;
    }

    my %type = (
        timestamp => qr/^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"$/,
        execution_type => qr/^"(?:sync|async|sync_fallback)"$/,
        success => qr/^(?:true|false)$/,
        duration_ms => qr/^\d+\.\d{3}$/,
        error_type => qr/^"(?:|[a-z_]+|http_\d{3})"$/,
        fallback_used => qr/^(?:true|false)$/,
        file_size_mb => qr/^\d+\.\d{6}$/,
        request_id => qr/^"[0-9a-f]{32}"$/,
    );

    my @bad = grep { !exists $type{$_} } keys %$entry;

    for (keys %type) {
        my ($value) = $line =~ /"$_":("[^"]*"|[^,}]*)/;

        push @bad, $_ if !defined $value || $value !~ $type{$_};
    }

    ok(!@bad, 'a line has its fields, each of its type')
        or diag("    @bad in $line\n");

    return $entry;
}


sub count {
    my ($code, @entries) = @_;

    return scalar grep { $code->() } @entries;
}


# Compares entries with the counters of their rollouts.

sub agree {
    my ($rollouts, @entries) = @_;

    my (%counted, %class);

    for my $rollout (@$rollouts) {
        conserved($rollout);

        for my $arm (qw(sync async)) {
            my $cell = $rollout->{arms}{$arm};

            $counted{"$arm $_"} += $cell->{$_}
                for qw(uploads success rejected aborted cut bytes);

            $class{$arm}{$_} += $cell->{by_class}{$_}
                for keys %{$cell->{by_class}};

            $counted{"$arm us"} += ($cell->{latency_us}{mean} // 0)
                                   * $cell->{success};
        }

        $counted{$_} += $rollout->{fallback}{$_}
            for qw(served failed left latency_sum_us);
    }

    for my $arm (qw(sync async)) {
        my @own = grep { $_->{execution_type} eq $arm } @entries;
        my @fallback = $arm eq 'sync' ? ()
            : grep { $_->{execution_type} eq 'sync_fallback' } @entries;

        is(@own + @fallback, $counted{"$arm uploads"}, "$arm: uploads");

        my @good = grep { $_->{success} } @own;

        is(scalar @good, $counted{"$arm success"}, "$arm: successes");
        is(count(sub { $_->{error_type} ne '' }, @good), 0,
            "$arm: which have no error");

        is(count(sub { $_->{error_type} =~ /^http_4|^rejected$/ }, @own),
            $counted{"$arm rejected"}, "$arm: rejected ones");

        for my $result (qw(aborted cut)) {
            is(count(sub { $_->{error_type} eq $result }, @own),
                $counted{"$arm $result"}, "$arm: $result ones");
        }

        for my $class (sort keys %{$class{$arm}}) {
            is(count(sub { $_->{error_type} eq $class }, @own, @fallback),
                $class{$arm}{$class}, "$arm: failures, $class");
        }

        # cut to a microsecond each, and the mean to a tenth of one

        my $us = 1000 * sum0(map { $_->{duration_ms} } @good);

        cmp_ok(abs($us - $counted{"$arm us"}), '<=', 1.1 * @good + 1,
            "$arm: time");

        # cut to a millionth of a megabyte, which is 1.05 bytes

        my $bytes = 1048576 * sum0(map { $_->{file_size_mb} } @own, @fallback);

        cmp_ok(abs($bytes - $counted{"$arm bytes"}), '<=',
            1.1 * (@own + @fallback), "$arm: bytes");
    }

    my @fallback = grep { $_->{execution_type} eq 'sync_fallback' } @entries;
    my @used = grep { $_->{fallback_used} } @entries;
    my @served = grep { $_->{success} } @fallback;

    is("@used", "@fallback", 'fallback_used is said where it was used');
    is(scalar @fallback,
        $counted{served} + $counted{failed} + $counted{left}, 'fallbacks');
    cmp_ok(@served, '<=', $counted{served}, 'those that sync served');
    is(count(sub { $_->{error_type} eq '' }, @fallback), 0,
        'each says why');

    my %ids = map { ($_->{request_id} => 1) } @entries;

    is(keys %ids, scalar @entries, 'each has an id of its own');
}


use_steps(
    http_config => $Http,
    config => $Config,
    post_setup_server_root => 'mkdir "$ServRoot/logs/async_upload_rollout"',
);
no_root_location();
run_tests();


__DATA__

=== TEST 1: what is no upload has no line
--- steps
uploads('/mixed', 3, undef, method => $_) for qw(GET HEAD DELETE);
uploads('/none', 3);

nginx->request('GET', '/async_upload/status');

uploads('/mixed', 1);

my @entries = journal(1);

agree([nginx->quiet('mixed')], @entries);



=== TEST 2: the lines of mixed traffic say what the counters say
--- steps
my $n = 0;
my $do = sub {
    my ($uri, $count, @more) = @_;

    uploads($uri, $count, @more);
    $n += $count;
};

$do->('/mixed', 30);
$do->('/mixed', 10, $_) for 201, 302, 404, 413, 500, 503, 599;
$do->('/mixed', 6, $_) for 'drop', 'short', 'garbage', 'mumble';
$do->('/mixed', 6, undef, body => 'x' x 100_000);
$do->('/mixed', 6, undef, body => '', method => 'PUT');
$do->('/mixed', 6, undef, body => 'x' x 70_000, chunked => 1);
$do->('/mixed', 4, undef, headers => ['X-Key', '']);
$do->('/hasty/mixed', 6, 'hang');
$do->('/paged/mixed', 6, 503);
$do->('/guarded/mixed', 6);
$do->('/masked', 20);
$do->('/masked', 10, $_) for 404, 503, 'drop';

# what a client may send is in no line, or is escaped

for my $weird ('"', '\\', "\xff\xfe", '%22%0a%00', "{\"a\":1}", '<b>',
               '%f0%9f%98%80')
{
    $do->("/mixed/?a=$weird", 2, undef, headers => [
        'X-Request-Id', $weird, 'User-Agent', $weird, 'Referer', $weird]);
}

# clients that leave, at both arms

for my $key (1 .. 12) {
    my $socket = send_request(nginx->{port}, 'POST', '/mixed', body => 'x',
        headers => ['X-Key', $key, 'X-Stub', 's1=hang a1=hang']);

    wait_for {
        grep { $_->{headers}{'x-key'} eq $key
               && ($_->{headers}{'x-stub'} // '') =~ /hang/ }
            $main::Stub->requests;
    } 'the request at its server';

    close $socket;
    $n++;
}

my @rollouts = map { nginx->quiet($_) } qw(mixed masked);
my @entries = journal($n);

agree(\@rollouts, @entries);

# the traffic has met everything

for my $arm (qw(sync async)) {
    my $cell = $rollouts[0]{arms}{$arm};

    cmp_ok($cell->{$_}, '>', 0, "$arm: some are $_")
        for qw(success rejected aborted);
    cmp_ok($cell->{by_class}{$_} // 0, '>', 0, "$arm: some are $_")
        for qw(http_500 http_503 http_599 reset invalid timeout);
}

my $fallback = $rollouts[1]{fallback};

cmp_ok($fallback->{$_}, '>', 0, "some fallbacks were $_") for qw(served failed);

is((grep { $_->{execution_type} eq 'sync_fallback'
           && $_->{error_type} ne 'connect' } @entries), 0,
    'a fallback says what async failed with');
--- error_log
upstream



=== TEST 3: an upload that nginx itself ends has its line
--- main_config
worker_shutdown_timeout 300ms;
--- steps
# half of the clients leave before

my @sockets;

for my $key (1 .. 16) {
    push @sockets, send_request(nginx->{port}, 'POST', '/mixed', body => 'x',
        headers => ['X-Key', $key, 'X-Stub', 's1=hang a1=hang']);
}

my $seen = 0;

wait_for {
    $seen += () = grep { $_->{headers}{'x-stub'} } $main::Stub->requests;
    $seen >= 16;
} 'the requests at their servers';

close shift @sockets for 1 .. 8;

wait_for {
    8 == grep { /"error_type":"aborted"/ } lines();
} 'those that leave';

nginx->reload;

my $rollout = nginx->quiet('mixed');
my @entries = journal(16);

agree([$rollout], @entries);

is($rollout->{arms}{sync}{aborted} + $rollout->{arms}{async}{aborted}, 8,
    'clients that had left');
is($rollout->{arms}{sync}{cut} + $rollout->{arms}{async}{cut}, 8,
    'clients that had not');



=== TEST 4: sizes are those of bodies, in megabytes
--- steps
my @sizes = (0, 1, 1048, 1049, 65536, 1048576, 1572864);

for my $bytes (@sizes) {
    uploads('/mixed', 1, undef, body => 'x' x $bytes);
}

my @mb = sort { $a <=> $b } map { $_->{file_size_mb} }
             journal(scalar @sizes);

for my $i (0 .. $#sizes) {
    is($mb[$i], int($sizes[$i] * 1000000 / 1048576) / 1000000,
        "$sizes[$i] bytes");
}



=== TEST 5: times are milliseconds of the attempt that served
--- steps
use Time::HiRes qw(time);

my (@least, @most);

for my $uri ('/mixed', '/masked') {
    for my $ms (5, 50) {
        $main::Stub->hold;

        my $sent = time;
        my $socket = send_request(nginx->{port}, 'POST', $uri, body => 'x',
            headers => ['X-Key', 'b', 'X-Stub', 's1=slow a1=slow']);

        wait_for { $main::Stub->requests } 'the request at its server';

        my $seen = time;

        wait_for { time - $seen >= $ms / 1000 } "$ms ms";
        push @least, (time - $seen) * 1000;

        $main::Stub->release;
        read_response($socket);
        push @most, (time - $sent) * 1000;

        wait_for { lines() == @most } 'its line';
    }
}

$main::Stub->hold;

my @entries = journal(4);

for my $i (0 .. 3) {
    my $ms = $entries[$i]{duration_ms};

    ok($ms >= int $least[$i] && $ms <= $most[$i] + 1,
        "$entries[$i]{execution_type}: in between")
        or diag("    $ms is not from $least[$i] to $most[$i]\n");
}
--- error_log
upstream
