#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Which arm an upload goes to and why, as its variables tell and as the
# upstreams see it.

use Test::Nginx::Socket 'no_plan';

use lib 't/lib';

use AsyncUpload;
use Digest::SHA qw(sha256);
use JSON::PP;


our ($Sync, $Async, $Dead) = map { free_port() } 1 .. 3;

our $Stubs = stub_servers($Sync, $Async);

# what every location with a rollout tells

our $Tell = <<'END';
    add_header X-Name $async_upload_name always;
    add_header X-Arm $async_upload_arm always;
    add_header X-Bucket $async_upload_bucket always;
    add_header X-Reason $async_upload_reason always;
    add_header X-Share $async_upload_share always;
    add_header X-Fallback $async_upload_fallback always;
END


# rollout(NAME, DIRECTIVE, ...): a block of this name, on at 100% if the
# directives do not say otherwise.

sub rollout {
    my ($name, @directives) = @_;

    my %given = map { /^(\w+)/ ? ($1 => 1) : () } @directives;

    push @directives, 'async_upload_enabled on;'
        if !$given{async_upload_enabled};

    push @directives, 'async_upload_rollout 100%;'
        if !$given{async_upload_rollout};

    push @directives, 'async_upload_key $http_x_key;'
        if !$given{async_upload_key};

    return <<"END";
    upstream $name {
        server 127.0.0.1:$Sync;
        async_upload upload_async zone=$name:512k;
        @directives
    }
END
}


sub location {
    my ($uri, $name, @directives) = @_;

    return <<"END";
    location $uri {
        @directives
        proxy_pass http://$name;
    }
END
}


our $Status = <<'END';
    location /async_upload/status {
        async_upload_status;
    }
END


# send_to(URI, [KEY], [METHOD]): one request; returns what its answer tells,
# with "served" as the arm that did.

sub send_to {
    my ($uri, $key, $method) = @_;

    my $answer = nginx->request($method // 'POST', $uri, body => 'x',
        headers => [defined $key ? ('X-Key', $key) : ()]);

    my $headers = $answer->{headers};

    return {
        served => $answer->{body}, status => $answer->{status},
        map { (lc $_ => $headers->{'x-' . lc $_} // '') }
            qw(Name Arm Bucket Reason Share Fallback First Map),
    };
}


# tells(ANSWER, TITLE, NAME => VALUE, ...)

sub tells {
    my ($answer, $title, %expect) = @_;

    for my $name (sort keys %expect) {
        is($answer->{$name}, $expect{$name}, "$title: $name");
    }
}


# The bucket of sha256, by the formula of its contract.

sub bucket {
    my ($salt, $key) = @_;

    return unpack('N', sha256("$salt.$key")) * 10000 >> 32;
}


# The vectors: a rollout for each hash and its arguments at shares that all
# rows have, and at the row's own threshold for some of them.

our @Rows = do {
    open my $fh, '<', 't/vectors/bucket.json' or die "vectors: $!\n";
    local $/;

    @{JSON::PP->new->utf8->decode(<$fh>)};
};

# All of sha256 and split_clients, some of the others: each rollout is a zone.

my %few = map { ($_ => 1) } our @Few = qw(md5 unleash growthbook launchdarkly
                                          statsig flagd optimizely);

my (%names, %rows);

@Rows = grep { $rows{$_->{hash}}++ < ($few{$_->{hash}} ? 10 : 60) } @Rows;

sub name_of {
    my ($row, $share) = @_;

    return $names{join "\0", $row->{hash}, @{$row->{args}}, $share}
               //= 'v' . keys %names;
}

my %seen;

for my $row (@Rows) {
    my ($few, $step) = ($few{$row->{hash}}, 1);
    my @shares = $few ? (1000, 5000) : (0, 100, 1000, 5000, 10000);

    $step = 100 if $row->{hash} =~ /^(?:md5|unleash)$/;

    push @shares, $row->{bucket}, $row->{bucket} + $step
        if $seen{$row->{hash}}++ < ($few ? 5 : 15);

    $row->{rollouts} = { map { ($_ => name_of($row, $_)) } @shares };
}

# every mode but the default, with some arguments

our @Hashes = ('split_clients', 'md5', 'unleash group', 'growthbook seed',
               'launchdarkly flag salt', 'statsig spec rule', 'flagd flag',
               'optimizely experiment');

our $Vectors = '';
our $Locations = '';

for (sort keys %names) {
    my ($hash, @rest) = split /\0/;
    my $share = pop @rest;

    $Vectors .= rollout($names{$_},
        "async_upload_hash $hash @rest;",
        sprintf('async_upload_rollout %.2f%%;', $share / 100));

    $Locations .= location("/$names{$_}", $names{$_});
}


use_steps();
no_shuffle();
run_tests();


__DATA__

=== TEST 1: buckets and arms are those of the vectors
--- http_config eval: $::Stubs . $::Vectors
--- config eval: $::Tell . $::Locations . $::Status
--- steps
my (%rows, @bad);

for my $row (@main::Rows) {
    my $key = $row->{key};

    utf8::encode($key);
    $rows{$row->{hash}}++;

    for my $share (sort { $a <=> $b } keys %{$row->{rollouts}}) {
        my $answer = send_to("/$row->{rollouts}{$share}", $key);
        my $arm = $share > $row->{bucket} ? 'async' : 'sync';

        if (defined $row->{async_at_share_bp}{$share}) {
            $arm = $row->{async_at_share_bp}{$share} ? 'async' : 'sync';
        }

        push @bad, "$row->{hash} @{$row->{args}}, key \"$key\", $share bp:"
                   . " bucket $answer->{bucket}, not $row->{bucket},"
                   . " $answer->{arm}, served by $answer->{served}, not $arm"
            if $answer->{bucket} ne $row->{bucket}
               || $answer->{arm} ne $arm || $answer->{served} ne $arm
               || $answer->{share} != $share || $answer->{reason} ne 'bucket';
    }
}

ok(!@bad, 'every row at every share') or diag(map { "    $_\n" } @bad);
cmp_ok($rows{$_}, '>=', 30, "rows of $_") for qw(sha256 split_clients);
is($rows{$_}, 10, "rows of $_") for @main::Few;
cmp_ok((grep { $_->{key} =~ /[^\0-\x7f]/ } @main::Rows), '>', 0,
    'keys beyond ASCII');



=== TEST 2: a rollout that is off takes nobody, whatever else is true
--- http_config eval
$::Stubs . ::rollout('uploads', 'async_upload_enabled off;',
                     'async_upload_missing random;')
--- config eval: $::Tell . ::location('/u', 'uploads') . $::Status
--- steps
for my $key ('a', 'b', undef) {
    tells(send_to('/u', $key), 'off', served => 'sync', arm => 'sync',
        reason => 'off', share => 0, name => 'uploads', fallback => '');
}

tells(send_to('/u', 'a', 'GET'), 'off, GET', served => 'sync',
    reason => 'off');

conserved(nginx->quiet('uploads'));



=== TEST 3: a method that is no upload passes, before its key is looked at
--- http_config eval
$::Stubs . ::rollout('uploads', 'async_upload_missing random;')
--- config eval: $::Tell . ::location('/u', 'uploads') . $::Status
--- steps
for my $method ('GET', 'DELETE', 'OPTIONS') {
    for my $key ('a', undef) {
        tells(send_to('/u', $key, $method), $method, served => 'sync',
            arm => 'sync', reason => 'not_upload', share => 10000);
    }
}

for my $method ('POST', 'PUT', 'PATCH') {
    tells(send_to('/u', 'a', $method), $method, served => 'async',
        arm => 'async', reason => 'bucket');
}

is(nginx->quiet('uploads')->{arms}{$_->[0]}{uploads}, $_->[1],
    "uploads at $_->[0]") for ['sync', 0], ['async', 3];



=== TEST 4: uploads are what async_upload_methods says
--- http_config eval
$::Stubs . ::rollout('uploads', 'async_upload_methods DELETE MKCOL;')
--- config eval: $::Tell . ::location('/u', 'uploads') . $::Status
--- steps
for my $method ('POST', 'PUT', 'PATCH', 'GET') {
    tells(send_to('/u', 'a', $method), $method, served => 'sync',
        reason => 'not_upload');
}

for my $method ('DELETE', 'MKCOL') {
    tells(send_to('/u', 'a', $method), $method, served => 'async',
        reason => 'bucket');
}



=== TEST 5: without an identity the default is sync, at any share
--- http_config eval: $::Stubs . ::rollout('uploads')
--- config eval: $::Tell . ::location('/u', 'uploads') . $::Status
--- steps
for my $key (('', undef) x 10) {
    tells(send_to('/u', $key), 'no key', served => 'sync', arm => 'sync',
        reason => 'missing_key', bucket => '');
}

is(nginx->quiet('uploads')->{arms}{sync}{uploads}, 20, 'they are uploads');



=== TEST 6: without an identity "random" takes the share of requests
--- http_config eval
$::Stubs . ::rollout('half', 'async_upload_missing random;',
                     'async_upload_rollout 50%;')
. ::rollout('none', 'async_upload_missing random;', 'async_upload_rollout 0%;')
. ::rollout('all', 'async_upload_missing random;')
--- config eval
$::Tell . ::location('/half', 'half') . ::location('/none', 'none')
. ::location('/all', 'all') . $::Status
--- steps
my ($n, $async, $wrong, %buckets) = (400, 0, 0);

for (1 .. $n) {
    my $answer = send_to('/half');

    $async++ if $answer->{served} eq 'async';
    $buckets{$answer->{bucket}}++;

    $wrong++ if $answer->{reason} ne 'missing_key'
                || ($answer->{bucket} < 5000 ? 'async' : 'sync')
                   ne $answer->{served};
}

# 4 sigma of the binomial distribution

cmp_ok(abs($async - $n / 2), '<=', 4 * sqrt($n / 4),
    "about half of them go to async, $async of $n");

is($wrong, 0, 'as their buckets say');

# of n draws of 10000, fewer than n * n / 20000 are expected to meet another

cmp_ok(keys %buckets, '>', $n - 2 * $n * $n / 20000 - 10,
    'hardly two of them share a bucket');

for (1 .. 30) {
    tells(send_to('/none'), '0%', served => 'sync', reason => 'missing_key');
    tells(send_to('/all'), '100%', served => 'async', reason => 'missing_key');
}



=== TEST 7: the first key that is not empty is the identity
--- http_config eval
$::Stubs . ::rollout('uploads',
    'async_upload_key $http_x_a $cookie_uid "$arg_x$arg_y" $http_x_key;')
--- config eval: $::Tell . ::location('/u', 'uploads') . $::Status
--- steps
my @cases = (
    ['/u', ['X-A' => 'one'], 'one'],
    ['/u', ['X-A' => 'one', Cookie => 'uid=two', 'X-Key' => 'four'], 'one'],
    ['/u', ['X-A' => '', Cookie => 'uid=two', 'X-Key' => 'four'], 'two'],
    ['/u?x=3', [Cookie => 'uid=two'], 'two'],
    ['/u?x=3', ['X-Key' => 'four'], '3'],
    ['/u?y=4', ['X-Key' => 'four'], '4'],
    ['/u?x=3&y=4', ['X-Key' => 'four'], '34'],
    ['/u', ['X-Key' => 'four'], 'four'],
    ['/u', ['X-Key' => 'one'], 'one'],
    ['/u', ['X-A' => '0', 'X-Key' => 'four'], '0'],
);

for (@cases) {
    my ($uri, $headers, $key) = @$_;
    my $answer = nginx->request('POST', $uri, body => 'x',
                                headers => $headers);

    is($answer->{headers}{'x-bucket'}, bucket('uploads', $key),
        "$uri @$headers: the bucket of \"$key\"");
}



=== TEST 8: without async_upload_key it is the address
--- http_config eval
$::Stubs . <<"END"
    upstream uploads {
        server 127.0.0.1:$::Sync;
        async_upload upload_async zone=uploads:512k;
        async_upload_enabled on;
        async_upload_rollout 100%;
    }
END
--- config eval: $::Tell . ::location('/u', 'uploads') . $::Status
--- steps
is(send_to('/u', 'a')->{bucket}, bucket('uploads', '127.0.0.1'),
    'the bucket of the address, by the rollout\'s name as salt');



=== TEST 9: 0% takes no key and 100% takes all
--- http_config eval
$::Stubs . ::rollout('none', 'async_upload_rollout 0%;') . ::rollout('all')
. CORE::join('', map {
    my ($hash) = /^(\w+)/;

    ::rollout("none_$hash", 'async_upload_rollout 0%;',
              "async_upload_hash $_;")
    . ::rollout("all_$hash", "async_upload_hash $_;")
} @::Hashes)
--- config eval
$::Tell . $::Status . CORE::join('', map { ::location("/$_", $_) }
    'none', 'all', map { /^(\w+)/; ("none_$1", "all_$1") } @::Hashes)
--- steps
my @names = ('', map { /^(\w+)/; "_$1" } @main::Hashes);

is(@names, 9, 'the default and the others');

for my $key (1 .. 100) {
    for my $name (map { ("none$_", "all$_") } @names) {
        nginx->request('POST', "/$name", body => 'x',
                       headers => ['X-Key' => $key]);
    }
}

for (map { (["none$_", 'sync', 'async'], ["all$_", 'async', 'sync']) } @names)
{
    my ($name, $all, $nobody) = @$_;
    my $rollout = nginx->quiet($name);

    is($rollout->{arms}{$all}{success}, 100, "$name: all of them go to $all");
    is($rollout->{arms}{$nobody}{uploads}, 0, "$name: nobody to $nobody");
}



=== TEST 10: a decision is kept over internal redirects
--- http_config eval
$::Stubs . ::rollout('uploads', 'async_upload_missing random;',
                     'async_upload_rollout 50%;') . <<"END"
    server {
        listen 127.0.0.1:$::Dead;

        location / {
            add_header X-Accel-Redirect \$arg_to;
            return 200;
        }
    }
END
--- config eval
$::Tell . <<"END" . $::Status
    set \$first "\$async_upload_bucket \$async_upload_arm";

    add_header X-First \$first always;

    location /final {
        proxy_pass http://uploads;
    }

    location \@named {
        proxy_pass http://uploads;
    }

    location /rewrite {
        rewrite ^ /final last;
    }

    location /try_files {
        try_files /none /none/either \@named;
    }

    location /try_uri {
        try_files /none /final;
    }

    location /error_page {
        error_page 418 /final;
        return 418;
    }

    location /error_named {
        error_page 418 = \@named;
        return 418;
    }

    location /accel {
        proxy_pass http://127.0.0.1:$::Dead/?to=/final;
    }

    location /accel_named {
        proxy_pass http://127.0.0.1:$::Dead/?to=\@named;
    }

    location /chain {
        error_page 418 /try_files;
        return 418;
    }
END
--- steps
my (%served, $n);

for my $uri ('/final', '/rewrite', '/try_files', '/try_uri', '/error_named',
             '/accel_named')
{
    my @bad;

    for (1 .. 8) {
        my $answer = send_to($uri);

        $n++;
        $served{$answer->{served}}++;

        push @bad, join ' ', %$answer
            if $answer->{first} ne "$answer->{bucket} $answer->{arm}"
               || $answer->{served} ne $answer->{arm}
               || $answer->{bucket} eq '';
    }

    ok(!@bad, "$uri: one bucket and one arm") or diag(map { "    $_\n" } @bad);
}

# the core makes a GET of it, which is no upload

for my $uri ('/error_page', '/chain', '/accel') {
    for (1 .. 4) {
        my $answer = send_to($uri);

        tells($answer, "$uri: a pass", served => 'sync', arm => 'sync',
            reason => 'not_upload');

        like($answer->{first}, qr/^$answer->{bucket} /, 'of the same bucket');
    }
}

my $rollout = nginx->quiet('uploads');

conserved($rollout);
is($rollout->{arms}{$_}{success}, $served{$_} // 0, "each is one upload at $_")
    for qw(sync async);
is($rollout->{clients}{uploads}, $n, 'and they are all');



=== TEST 11: in the rewrite phase the only rollout is meant
--- http_config eval: $::Stubs . ::rollout('uploads')
--- config eval
$::Tell . <<'END' . $::Status
    location /return {
        set $one "$async_upload_name $async_upload_arm $async_upload_bucket";
        set $two "$async_upload_reason $async_upload_share";
        return 200 "$one $two";
    }

    location /branch {
        if ($async_upload_arm = async) {
            return 200 "new";
        }

        return 200 "old";
    }
END
--- steps
is(send_to('/return', 'alice')->{served},
    'uploads async ' . bucket('uploads', 'alice') . ' bucket 10000',
    'all variables have a value');

is(send_to('/branch', 'alice')->{served}, 'new', 'so that one can branch');
is(send_to('/branch', undef)->{served}, 'old', 'without a key, too');

is(nginx->status('uploads')->{clients}{uploads}, 0,
    'and nothing of this is an upload');



=== TEST 12: with two rollouts the rewrite phase knows none of them
--- http_config eval
$::Stubs . ::rollout('uploads') . ::rollout('more', 'async_upload_rollout 0%;')
--- config eval
$::Tell . <<'END' . $::Status
    location /return {
        set $one "$async_upload_name$async_upload_arm$async_upload_bucket";
        set $two "$async_upload_reason$async_upload_share";
        return 200 "<$one$two$async_upload_fallback>";
    }

    location /u {
        set $first "<$async_upload_arm>";
        add_header X-First $first always;
        add_header X-Name $async_upload_name always;
        add_header X-Arm $async_upload_arm always;
        add_header X-Bucket $async_upload_bucket always;
        add_header X-Share $async_upload_share always;
        proxy_pass http://uploads;
    }

    location /m {
        proxy_pass http://more;
    }

    location /static {
        try_files /index.html =404;
    }
END
--- steps
is(send_to('/return', 'a')->{served}, '<>', 'every value is empty');

tells(send_to('/u', 'a'), 'one', first => '<>', name => 'uploads',
    arm => 'async', served => 'async', share => 10000,
    bucket => bucket('uploads', 'a'));

tells(send_to('/m', 'a'), 'the other', name => 'more', arm => 'sync',
    served => 'sync', share => 0, bucket => bucket('more', 'a'));

tells(send_to('/static', 'a', 'GET'), 'neither', status => 200, name => '',
    arm => '', bucket => '', reason => '', share => '', fallback => '');



=== TEST 13: a proxy_pass with a variable finds the rollout
--- http_config eval
$::Stubs . ::rollout('uploads') . ::rollout('more', 'async_upload_rollout 0%;')
--- config eval
$::Tell . <<'END' . $::Status
    location /v {
        set $to $arg_to;
        proxy_pass http://$to;
    }
END
--- steps
tells(send_to('/v?to=uploads', 'a'), 'one', name => 'uploads', arm => 'async',
    served => 'async', bucket => bucket('uploads', 'a'));

tells(send_to('/v?to=UPLOADS', 'a'), 'in capitals', name => 'uploads',
    arm => 'async', served => 'async');

tells(send_to('/v?to=more', 'a'), 'the other', name => 'more', arm => 'sync',
    served => 'sync', bucket => bucket('more', 'a'));

tells(send_to('/v?to=stub_sync', 'a'), 'none', name => '', arm => '',
    served => 'sync');

is(nginx->quiet($_)->{clients}{uploads}, $_ eq 'uploads' ? 2 : 1,
    "$_ counts") for qw(uploads more);



=== TEST 14: every place that takes a variable has the same value
--- http_config eval
$::Stubs . ::rollout('uploads', 'async_upload_rollout 50%;') . <<'END'
    map $async_upload_arm $mapped {
        volatile;
        async new;
        sync old;
        default none;
    }

    log_format told '$http_x_key $async_upload_arm $mapped '
                    '$async_upload_bucket';
END
--- config eval
$::Tell . <<'END' . $::Status
    add_header X-Map $mapped always;

    location /u {
        access_log logs/told.log told;
        proxy_set_header X-Arm $async_upload_arm;
        proxy_set_header X-Id "$http_x_key $mapped $async_upload_bucket";
        proxy_pass http://uploads;
    }
END
--- steps
my %word = (async => 'new', sync => 'old');
my (%sent, %seen, @logged, @bad);

for my $key (1 .. 40) {
    my $answer = send_to('/u', $key);
    my $arm = $answer->{served};

    $sent{$arm}{"$arm $key $word{$arm} $answer->{bucket}"} = 1;
    push @logged, "$key $arm $word{$arm} $answer->{bucket}";

    push @bad, $key if $answer->{arm} ne $arm || $answer->{map} ne $word{$arm};
}

ok($sent{sync} && $sent{async}, 'both arms are met');
ok(!@bad, 'add_header and map') or diag("keys @bad");

# logs are written once the answer is out

for my $arm (qw(sync async)) {
    my %seen;

    wait_for {
        %seen = map { ("$_->{arm} $_->{id}" => 1) }
                    stub_log(nginx->{dir}, $arm);

        keys %seen >= keys %{$sent{$arm}};
    } "the log of $arm";

    is_deeply(\%seen, $sent{$arm}, "proxy_set_header, as $arm saw it");
}

my @told;

wait_for {
    @told = split /\n/, slurp(nginx->{dir} . '/logs/told.log');

    @told >= @logged;
} 'the access log';

is_deeply(\@told, \@logged, 'log_format');



=== TEST 15: after a fallback every place names the arm that serves now
--- http_config eval
$::Stubs . <<"END"
    upstream dead {
        server 127.0.0.1:$::Dead;
    }

    upstream uploads {
        server 127.0.0.1:$::Sync;
        async_upload dead zone=uploads:512k;
        async_upload_enabled on;
        async_upload_rollout 100%;
        async_upload_key \$http_x_key;
    }

    map \$async_upload_arm \$mapped {
        volatile;
        async new;
        sync old;
        default none;
    }
END
--- config eval
$::Tell . <<'END' . $::Status
    add_header X-Map $mapped always;
    set $first $async_upload_arm;
    add_header X-First $first always;

    location /u {
        proxy_set_header X-Arm $async_upload_arm;
        proxy_set_header X-Id "$mapped $async_upload_fallback";
        proxy_pass http://uploads;
    }
END
--- steps
tells(send_to('/u', 'a'), 'add_header', served => 'sync', status => 201,
    first => 'async', arm => 'sync', map => 'old', reason => 'fallback',
    fallback => 'connect', bucket => bucket('uploads', 'a'));

my ($seen) = wait_for {
    (stub_log(nginx->{dir}, 'sync'))[0];
} 'the log of sync';

is($seen->{arm}, 'sync', 'proxy_set_header, as sync saw it');
is($seen->{id}, 'old connect', 'and the other variables');

my $rollout = nginx->quiet('uploads');

conserved($rollout);
is($rollout->{arms}{async}{masked}, 1, 'it is a masked failure of async');
--- error_log
connect() failed (111: Connection refused)
--- no_error_log
[alert]
[emerg]
