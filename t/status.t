#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The status: its form, whom it answers, and that its figures mean what they
# say.

use Test::Nginx::Socket 'no_plan';

use lib 't/lib';

use AsyncUpload;
use List::Util qw(sum);
use POSIX qw(ceil floor);
use Stub;
use Time::HiRes qw(time);


our ($Sync, $Async) = map { free_port() } 1 .. 2;
our $Stubs = stub_servers($Sync, $Async);
our $Stub = Stub->start(qw(s1 a1));


sub rollout {
    my ($name, @directives) = @_;

    return <<"END";
    upstream $name {
        server 127.0.0.1:$Sync;
        async_upload upload_async zone=$name:512k;
        @directives
    }
END
}


our $On = 'async_upload_enabled on;';
our $Key = 'async_upload_key $http_x_key;';

our $Two = $Stubs
    . rollout('uploads', $On, $Key, 'async_upload_rollout 50%;')
    . rollout('more');

our $Config = <<'END';
    location /uploads {
        proxy_pass http://uploads;
    }

    location /async_upload/status {
        async_upload_status;
    }
END


sub keys_are {
    my ($hash, $title, @keys) = @_;

    is(join(' ', sort keys %$hash), join(' ', sort @keys), "$title: fields");
}


sub upload {
    my ($uri, $n) = @_;

    for (1 .. $n) {
        nginx->request('POST', $uri, body => 'x', headers => ['X-Key', "k$_"]);
    }
}


# answered(METHOD, ARGUMENTS, ...): one to the status, as data

sub answered {
    my ($method, $args, %more) = @_;

    my $answer = nginx->request($method, "/async_upload/status$args", %more);

    is($answer->{headers}{'content-type'}, 'application/json',
        "$method $args: it is JSON");
    is($answer->{headers}{'cache-control'}, 'no-store',
        "$method $args: it is not stored");

    $answer->{json} = eval { decode_status($answer->{body}) };

    return $answer;
}


# an error of the status

sub refused {
    my ($method, $args, $status, $error) = @_;

    my $answer = answered($method, $args);

    is($answer->{status}, $status, "$method $args: the status");
    keys_are($answer->{json}, "$method $args", qw(error description));
    is($answer->{json}{error}, $error, "$method $args: the error");
    like($answer->{json}{description}, qr/^[^.]+$/,
        "$method $args: its description");

    return $answer;
}


use_steps(http_config => $Two, config => $Config);
run_tests();


__DATA__

=== TEST 1: the status has figures as numbers, settings with their source
--- steps
upload('/uploads', 20);
nginx->quiet('uploads');

my $answer = answered('GET', '');
my $status = $answer->{json};

keys_are($status, 'the page', qw(version nginx generated rollouts));
keys_are($status->{rollouts}, 'rollouts', qw(uploads more));

like($status->{version}, qr/^\d+\.\d+\.\d+$/, 'the version of the module');
is("nginx/$status->{nginx}",
    `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{(nginx/\S+)} && $1,
    'the version of nginx');
like($status->{generated}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/,
    'the time');

for my $name (qw(uploads more)) {
    my $rollout = $status->{rollouts}{$name};

    keys_are($rollout, $name, qw(state enabled dry_run guard share_bp
        share_kept_bp share_actual_bp epoch generation stage next settings
        clients arms forced fallback last_decision evidence observation window
        latency baseline memory budget consecutive_failures signals last_drill
        state_file last_tick_age_s slots events));

    keys_are($rollout->{settings}, 'settings', 'state',
        map { "async_upload$_" } '', qw(_enabled _rollout _key _missing _hash
        _methods _fallback _tries _timeout _failure _stage _advance _rollback
        _review _statistics _budget _dry_run _log));

    for (sort keys %{$rollout->{settings}}) {
        my $setting = $rollout->{settings}{$_};

        ok((grep { exists $setting->{"value$_"} } '', qw(_bp _ms)),
            "$_ has a value");
        like($setting->{source}, qr/^(?:default|environment|nginx\.conf)$/,
            "$_ has a source");
    }

    keys_are($rollout->{clients}, 'clients', qw(uploads failed failed_rate));
    keys_are($rollout->{fallback}, 'fallback',
        qw(served failed left latency_sum_us));
    keys_are($rollout->{arms}, 'arms', qw(sync async));
    keys_are($rollout->{forced}, 'forced', qw(sync async));
    keys_are($rollout->{slots}, 'slots', qw(total used alive overflow));

    for (cells($rollout)) {
        my ($where, $cell) = @$_;

        keys_are($cell, $where, qw(uploads success failure by_class rejected
            aborted cut masked lost in_flight bytes success_rate error_rate
            sizes), $where =~ /^arms/ ? 'latency_us' : ());

        keys_are($cell->{sizes}, "$where.sizes",
            qw(below_64k below_1m below_16m below_256m larger));

        keys_are($_, "$where.sizes", qw(uploads failure latency_sum_us))
            for values %{$cell->{sizes}};

        keys_are($cell->{by_class}, "$where.by_class",
            qw(connect timeout reset invalid no_live_peer hung outcome));

        keys_are($cell->{latency_us}, "$where.latency_us",
            qw(mean p50 p90 p95 p99 max))
            if $cell->{latency_us};
    }
}

my $settings = $status->{rollouts}{uploads}{settings};

is_deeply($settings->{async_upload},
    { value => 'upload_async', source => 'nginx.conf' }, 'the upstream');
is_deeply($settings->{async_upload_rollout},
    { value_bp => 5000, source => 'nginx.conf' }, 'the share');
is_deeply($settings->{async_upload_key},
    { value => ['$http_x_key'], source => 'nginx.conf' }, 'the key');
is_deeply($settings->{async_upload_missing},
    { value => 'sync', source => 'default' }, 'the rule of missing keys');
is_deeply($settings->{async_upload_hash},
    { value => 'sha256', arguments => ['uploads'], source => 'default' },
    'the hash');
is_deeply($settings->{async_upload_methods},
    { value => ['POST', 'PUT', 'PATCH'], source => 'default' }, 'the methods');
is_deeply($settings->{async_upload_fallback},
    { value => 'connect', replay => 'keyed', source => 'default' },
    'the fallback');
is_deeply($settings->{async_upload_tries},
    { value => 1, source => 'default' }, 'the attempts');
is_deeply($settings->{async_upload_timeout},
    { value_ms => undef, connect_ms => undef, source => 'default' },
    'the timeouts are the location\'s');
is_deeply($settings->{async_upload_failure},
    { value => ['500-599'], source => 'default' }, 'the failures');

unlike($answer->{body}, qr/"-?\d+(?:\.\d+)?"/, 'no figure is a string');
like($answer->{body}, qr/\}\n\z/, 'it ends with a line feed');



=== TEST 2: what nginx.conf says is a setting of it
--- http_config eval
$::Stubs . ::rollout('uploads', $::On, $::Key, 'async_upload_rollout 0.07%;',
    'async_upload_missing random;', 'async_upload_hash split_clients;',
    'async_upload_methods DELETE POST;',
    'async_upload_fallback failure replay=always;', 'async_upload_tries 3;',
    'async_upload_timeout 30s connect=500ms;',
    'async_upload_failure 429 502-504 599;')
--- steps
my $settings = nginx->status('uploads')->{settings};

is($settings->{"async_upload_$_"}{source}, 'nginx.conf', "$_: the source")
    for qw(enabled rollout key missing hash methods fallback tries timeout
           failure);

is($settings->{async_upload_rollout}{value_bp}, 7, 'the share');
is($settings->{async_upload_missing}{value}, 'random', 'missing keys');
is($settings->{async_upload_hash}{value}, 'split_clients', 'the hash');
is_deeply($settings->{async_upload_hash}{arguments}, [], 'no arguments');
is("@{[sort @{$settings->{async_upload_methods}{value}}]}", 'DELETE POST',
    'the methods');
is($settings->{async_upload_fallback}{value}, 'failure', 'the fallback');
is($settings->{async_upload_fallback}{replay}, 'always', 'the replay');
is($settings->{async_upload_tries}{value}, 3, 'the attempts');
is_deeply([@{$settings->{async_upload_timeout}}{qw(value_ms connect_ms)}],
    [30000, 500], 'the timeouts');
is_deeply($settings->{async_upload_failure}{value}, ['429', '502-504', '599'],
    'the failures are ranges of statuses');



=== TEST 3: without a rollout there are none
--- http_config
--- config
    location /async_upload/status {
        async_upload_status;
    }
--- steps
is_deeply(nginx->status->{rollouts}, {}, 'it is an empty object');
refused('GET', '?rollout=uploads', 404, 'not_found');



=== TEST 4: one rollout may be asked for by its name
--- http_config eval
$::Two . ::rollout('with.dot-and_line', $::On)
--- steps
for my $name (qw(uploads more with.dot-and_line)) {
    my $answer = answered('GET', "?rollout=$name");

    is($answer->{status}, 200, "$name: the status");
    keys_are($answer->{json}{rollouts}, $name, $name);
    is_deeply($answer->{json}{rollouts}{$name}{settings},
        nginx->status($name)->{settings}, "$name: as in the whole status");
}

keys_are(answered('GET', '?rollout=%75ploads')->{json}{rollouts},
    'escaped', 'uploads');
keys_are(answered('GET', '?format=json&rollout=more&x=1')->{json}{rollouts},
    'beside other arguments', 'more');

refused('GET', "?rollout=$_", 404, 'not_found')
    for 'none', 'upload', 'uploads2', 'UPLOADS', '', '%00', '%3Cb%3E';



=== TEST 5: a location may be that of one rollout
--- config
    location /async_upload/status {
        async_upload_status uploads;
    }

    location /async_upload/status/more {
        async_upload_status more;
    }
--- steps
for (['', 'uploads'], ['?rollout=uploads', 'uploads'], ['/more', 'more'],
     ['/more?rollout=more', 'more'])
{
    my ($args, $name) = @$_;

    keys_are(answered('GET', $args)->{json}{rollouts}, $args, $name);
}

refused('GET', '?rollout=more', 404, 'not_found');
refused('GET', '/more?rollout=uploads', 404, 'not_found');



=== TEST 6: only GET and HEAD are answered
--- steps
for my $method (qw(POST PUT DELETE OPTIONS PATCH)) {
    my $answer = refused($method, '', 405, 'method_not_allowed');

    is($answer->{headers}{allow}, 'GET, HEAD', "$method: what is allowed");
}

my $socket = send_request(nginx->{port}, 'POST', '/async_upload/status',
    body => 'x' x 100000);

is(read_response($socket)->{status}, 405, 'with a body, too');



=== TEST 7: JSON is one of three formats
--- steps
is(answered('GET', '?format=json')->{status}, 200, 'JSON');

for my $format ('html', 'prometheus', 'JSON', 'jso', 'jsonx', '') {
    like(refused('GET', "?format=$format", 406, 'not_acceptable')
            ->{json}{description}, qr/\bjson, text or report$/,
        "$format: it says which there are");
}



=== TEST 8: HEAD is GET without the body
--- steps
for my $args ('', '?rollout=uploads', '?rollout=none', '?format=html') {
    my $get = answered('GET', $args);
    my $head = answered('HEAD', $args);

    is($head->{status}, $get->{status}, "$args: the status");
    is($head->{body}, '', "$args: no body");

    # a figure may have grown by a digit meanwhile

    cmp_ok(abs($head->{headers}{'content-length'} - length $get->{body}),
        '<', 10, "$args: the length");
    is($get->{headers}{'content-length'}, length $get->{body},
        "$args: the length of GET");
}



=== TEST 9: strange values are strings
--- http_config eval
$::Stubs . ::rollout('uploads',
    q{async_upload_key "say \"hi\" & <b>größe</b> \\\\ \t${http_x_key}"},
    "'\xff\xfe\$arg_a' '\$arg_b\x01';",
    q{async_upload_hash sha256 "</script>\"";})
--- steps
my $answer = answered('GET', '');
my $settings = $answer->{json}{rollouts}{uploads}{settings};

is_deeply($settings->{async_upload_key}{value},
    ["say \"hi\" & <b>gr\x{f6}\x{df}e</b> \\ \t\${http_x_key}",
     "\x{fffd}\x{fffd}\$arg_a", "\$arg_b\x01"], 'the keys');
is_deeply($settings->{async_upload_hash}{arguments}, ['</script>"'],
    'the salt');

unlike($answer->{body}, qr/[<>&\0-\x09\x0b-\x1f]/,
    'nothing in it is read as a tag or a control character');



=== TEST 10: rates are of successes and failures, and null without any
--- http_config eval
$::Stubs . <<"END"
    upstream async_stub { server 127.0.0.1:@{[$::Stub->port('a1')]}; }

    upstream uploads {
        server 127.0.0.1:$::Sync;
        async_upload async_stub zone=uploads:512k;
        async_upload_enabled on;
        async_upload_rollout 100%;
    }
END
--- steps
my $send = sub {
    my ($status, $n) = @_;

    nginx->request('POST', '/uploads', body => 'x',
                   headers => ['X-Stub', "a1=$status"]) for 1 .. $n;

    return nginx->quiet('uploads');
};

my $rollout = $send->(404, 3);
my $async = $rollout->{arms}{async};

is($async->{uploads}, 3, 'rejected uploads');
ok(!defined $async->{$_}, "are in no $_") for qw(success_rate error_rate);
is($rollout->{clients}{uploads}, 0, 'and in none of the clients\'');
ok(!defined $rollout->{clients}{failed_rate}, 'which is null');
ok(!defined $async->{latency_us}{$_}, "nor in the latency, $_")
    for qw(mean p50 p90 p95 p99 max);

$rollout = $send->(200, 5);
$rollout = $send->(503, 2);
$async = $rollout->{arms}{async};

conserved($rollout);
cmp_ok(abs($async->{success_rate} - 5 / 7), '<=', 0.000001, 'the success rate');
cmp_ok(abs($async->{error_rate} - 2 / 7), '<=', 0.000001, 'the error rate');
cmp_ok(abs($rollout->{clients}{failed_rate} - 2 / 7), '<=', 0.000001,
    'the rate of the clients');
ok(!defined $rollout->{arms}{sync}{success_rate}, 'of sync nothing is known');
is($async->{by_class}{http_503}, 2, 'a class of a status');



=== TEST 11: latencies are those of the answers
--- http_config eval
<<"END"
    upstream async_stub { server 127.0.0.1:@{[$::Stub->port('a1')]}; }

    upstream uploads {
        server 127.0.0.1:$::Sync;
        async_upload async_stub zone=uploads:512k;
        async_upload_enabled on;
        async_upload_rollout 100%;
    }
END
--- steps
# from when the upstream had the upload until it may answer, and from before
# the client sends until it has the answer: the latency lies in between.  They
# are far enough apart for a quantile of another rank to lie outside.

my (@least, @most);

for my $ms (30, 130, 230, 330, 430) {
    $main::Stub->hold;

    my $sent = time;
    my $socket = send_request(nginx->{port}, 'POST', '/uploads', body => 'x',
                              headers => ['X-Stub', 'a1=slow']);

    wait_for { $main::Stub->requests } 'the request at the upstream';

    my $seen = time;

    wait_for { time - $seen >= $ms / 1000 } "$ms ms";
    push @least, (time - $seen) * 1e6;

    $main::Stub->release;
    read_response($socket);

    push @most, (time - $sent) * 1e6;
}

$main::Stub->hold;

my $rollout = nginx->quiet('uploads');
my $latency = $rollout->{arms}{async}{latency_us};

@least = sort { $a <=> $b } @least;
@most = sort { $a <=> $b } @most;

my $between = sub {
    my ($what, $value, $least, $most) = @_;

    ok($value >= floor($least) && $value <= ceil($most), "the $what")
        or diag("    $value is not from $least to $most\n");
};

$between->('mean', $latency->{mean}, sum(@least) / 5, sum(@most) / 5);
$between->('maximum', $latency->{max}, $least[4], $most[4]);

# a quantile is of the rank ceil(q * n); it is off by a bucket at most, which
# is less than 1/32 of it

for my $q (50, 90, 95, 99) {
    my $i = ceil($q / 100 * 5) - 1;

    $between->("p$q", $latency->{"p$q"}, $least[$i] * 31 / 32,
        $most[$i] * 33 / 32);

    cmp_ok($latency->{"p$q"}, '<=', $latency->{max}, 'not above the maximum');
}

my $sizes = $rollout->{arms}{async}{sizes}{below_64k};

is($sizes->{uploads}, 5, 'the class of their size');
cmp_ok(abs($sizes->{latency_sum_us} / 5 - $latency->{mean}), '<=', 0.1,
    'has their sum');

is_deeply($rollout->{arms}{sync}{latency_us},
    { map { ($_ => undef) } qw(mean p50 p90 p95 p99 max) },
    'sync has no latency');



=== TEST 12: the share of an epoch is what its buckets came to
--- http_config eval
$::Stubs . ::rollout('uploads', $::On, $::Key, 'async_upload_rollout 50%;')
--- steps
ok(!defined nginx->status('uploads')->{share_actual_bp},
    'without uploads it is null');

upload('/uploads', 61);

my $first = nginx->quiet('uploads');
my ($async, $sync) = map { $first->{arms}{$_}{success} } qw(async sync);

is($async + $sync, 61, 'all have succeeded');
ok($async && $sync, 'at both arms');
cmp_ok(abs($first->{share_actual_bp} - $async / 61 * 10000), '<=', 0.1,
    'it is that of async');

nginx->request('GET', '/uploads') for 1 .. 10;

is(nginx->quiet('uploads')->{share_actual_bp}, $first->{share_actual_bp},
    'passes do not count');

# without an identity the share is not async's either

nginx->request('POST', '/uploads', body => 'x') for 1 .. 10;

cmp_ok(abs(nginx->quiet('uploads')->{share_actual_bp} - $async / 71 * 10000),
    '<=', 0.1, 'uploads without a key do, at sync');

# another share by a reload

my $conf = nginx->{dir} . '/conf/nginx.conf';

spew($conf, slurp($conf) =~ s/_rollout 50%/_rollout 20%/r);
nginx->reload;

my $second = nginx->status('uploads');

is($second->{epoch}, $first->{epoch} + 1, 'a reload begins an epoch');
is($second->{share_bp}, 2000, 'with its share');
ok(!defined $second->{share_actual_bp}, 'of which nothing is known');
is($second->{arms}{async}{success}, $async, 'the figures stay');
is_deeply($second->{arms}{async}{latency_us}, $first->{arms}{async}{latency_us},
    'and the latencies');

upload('/uploads', 50);

my $third = nginx->quiet('uploads');
my $new = $third->{arms}{async}{success} - $async;

cmp_ok(abs($third->{share_actual_bp} - $new / 50 * 10000), '<=', 0.1,
    'and then it is that of this epoch alone');



=== TEST 13: the status of a hundred rollouts is one page
--- http_config eval
$::Stubs . CORE::join '', map {
    ::rollout("rollout_$_", "async_upload_rollout $_%;")
} 1 .. 100
--- config
    location ~ ^/(rollout_\d+)$ {
        proxy_pass http://$1;
    }

    location /async_upload/status {
        async_upload_status;
    }
--- steps
nginx->request('POST', "/rollout_$_", body => 'x' x $_) for 1 .. 100;
nginx->quiet("rollout_$_") for 1, 100;

my $answer = answered('GET', '');
my $rollouts = $answer->{json}{rollouts};

is($answer->{truncated}, 0, 'it is whole');
cmp_ok(length $answer->{body}, '>', 10 * 4096, 'it is of many chunks');
keys_are($rollouts, 'rollouts', map { "rollout_$_" } 1 .. 100);

for (1 .. 100) {
    my $rollout = $rollouts->{"rollout_$_"};

    is($rollout->{share_bp}, 0, "rollout_$_: its share is 0, as it is off");
    is($rollout->{share_kept_bp}, $_ * 100, "rollout_$_: its share is kept");
    is($rollout->{arms}{sync}{bytes}, $_, "rollout_$_: its bytes");
}

my ($number) = $answer->{body} =~ /"rollout_100":(\{.*\})\}\}\s*\z/s;

is_deeply(decode_status($number), $rollouts->{rollout_100},
    'the last one is where it ends');



=== TEST 14: a worker ticks each second
--- steps
wait_for {
    defined nginx->status('uploads')->{last_tick_age_s};
} 'the first tick';

my ($end, @bad) = (time + 2);

wait_for {
    my $age = nginx->status('uploads')->{last_tick_age_s};

    push @bad, $age if $age < 0 || $age >= 3;

    time > $end;
} 'some ticks';

ok(!@bad, 'the last one is never older than three seconds') or diag("@bad");



=== TEST 15: each worker has its slot
--- steps
my $slots;

wait_for {
    $slots = nginx->status('uploads')->{slots};
    $slots->{alive} == 1;
} 'the worker\'s slot';

cmp_ok($slots->{total}, '>=', 10, 'there is room for more');
is($slots->{used}, 1, 'one was used');
ok(!$slots->{overflow}, 'none is shared');

nginx->reload;

wait_for {
    $slots = nginx->status('uploads')->{slots};
    $slots->{alive} == 1;
} 'the new worker\'s slot';

cmp_ok($slots->{used}, '<=', 2, 'slots are used again');



=== TEST 16: a connection is kept after each answer
--- pipelined_requests eval
[
    'GET /async_upload/status',
    "POST /async_upload/status\nsome text",
    'GET /async_upload/status?rollout=none',
    'GET /async_upload/status?format=html',
    'GET /async_upload/status',
]
--- error_code eval
[200, 405, 404, 406, 200]
