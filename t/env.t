#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The defaults that come from the environment.

use strict;
use warnings;

use Test::More;

use lib 't/lib';

use AsyncUpload;


my ($port, $sync, $async) = map { free_port() } 1 .. 3;


sub conf {
    my (@directives) = @_;

    return stub_servers($sync, $async) . <<"END";
    upstream uploads {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=uploads:1m;
        @directives
    }

    server {
        listen 127.0.0.1:$port;

        location / {
            proxy_pass http://uploads;
        }

        location /async_upload/status {
            async_upload_status;
        }
    }
END
}


sub start {
    my ($env, @directives) = @_;

    return AsyncUpload->start(http => conf(@directives), port => $port,
                              env => $env);
}


# What the status says of the two settings, as "value source".

sub flag {
    my ($rollout) = @_;

    my $setting = $rollout->{settings}{async_upload_enabled};

    return ($setting->{value} ? 'on' : 'off') . " $setting->{source}";
}


sub share {
    my ($rollout) = @_;

    my $setting = $rollout->{settings}{async_upload_rollout};

    return "$setting->{value_bp} $setting->{source}";
}


# What it says of those of the fallback, as "value source".

sub fallback {
    my ($rollout) = @_;

    my $settings = $rollout->{settings};
    my $mode = $settings->{async_upload_fallback};
    my $tries = $settings->{async_upload_tries};
    my $timeout = $settings->{async_upload_timeout};

    return join ', ',
        "$mode->{value} $mode->{replay} $mode->{source}",
        "$tries->{value} $tries->{source}",
        join(' ', map { $_ // 'null' }
                      @$timeout{qw(value_ms connect_ms source)});
}


sub falls_back {
    my ($title, $env, $directives, $expected) = @_;

    my %env = map { ("ASYNC_UPLOAD_$_" => $env->{$_}) } keys %$env;
    my $nginx = start(\%env, @$directives);

    is(fallback($nginx->status('uploads')), $expected, $title);

    $nginx->stop;
}


# Starts nginx and compares with what is in force, too.

sub settles {
    my ($title, $env, $directives, $flag, $share) = @_;

    my $nginx = start($env, @$directives);
    my $rollout = $nginx->status('uploads');

    is(flag($rollout), $flag, "$title: the flag");
    is(share($rollout), $share, "$title: the share");

    my ($on) = $flag =~ /^(\w+)/;
    my ($bp) = $share =~ /^(\d+)/;

    is($rollout->{state}, $on eq 'on' ? 'running' : 'off',
        "$title: the state");
    is($rollout->{share_bp}, $on eq 'on' ? $bp : 0,
        "$title: the share in force");
    is($rollout->{share_kept_bp}, $bp, "$title: the share of an enabled one");

    $nginx->stop;
}


sub refused {
    my ($env, $name, $must, @directives) = @_;

    my ($value) = $env->{$name};
    my (undef, $output) = AsyncUpload->start(
        http => conf(@directives), port => $port, env => $env, fails => 1);

    my @lines = grep { /\[emerg\]/ } split /\n/, $output;

    is(scalar @lines, 1, "$name=$value is refused in one line")
        or diag($output);

    my $text = qq(invalid value "$value" of the environment variable "$name")
               . ", it must be $must";

    like($lines[0], qr/\[emerg\] (?:\S+: )?\Q$text\E$/,
        'which names the variable, the value and what it must be');
}


# Defaults.

settles('no variable', {}, [], 'off default', '0 default');

settles('empty variables',
    { ASYNC_UPLOAD_ENABLED => '', ASYNC_UPLOAD_ROLLOUT => '' }, [],
    'off default', '0 default');

settles('both variables',
    { ASYNC_UPLOAD_ENABLED => 'on', ASYNC_UPLOAD_ROLLOUT => '25' }, [],
    'on environment', '2500 environment');

settles('a flag alone', { ASYNC_UPLOAD_ENABLED => 'on' }, [],
    'on environment', '0 default');

settles('a share alone', { ASYNC_UPLOAD_ROLLOUT => '25' }, [],
    'off default', '2500 environment');

settles('a name that only begins like a variable',
    { ASYNC_UPLOAD_ENABLED_ => 'on', ASYNC_UPLOAD_ROLLOUTS => '25' }, [],
    'off default', '0 default');


# Values.

my @flags = (true => 'on', false => 'off', on => 'on', off => 'off',
             1 => 'on', 0 => 'off', True => 'on', OFF => 'off');

my @shares = ('0' => 0, '0%' => 0, '100' => 10000, '100%' => 10000,
              '1' => 100, '0.01' => 1, '0.5%' => 50, '99.99' => 9999);

while (my ($flag, $expect) = splice @flags, 0, 2) {
    my ($share, $bp) = splice @shares, 0, 2;

    settles("ENABLED=$flag ROLLOUT=$share",
        { ASYNC_UPLOAD_ENABLED => $flag, ASYNC_UPLOAD_ROLLOUT => $share }, [],
        "$expect environment", "$bp environment");
}


# Directives win.

settles('directives beside variables',
    { ASYNC_UPLOAD_ENABLED => 'on', ASYNC_UPLOAD_ROLLOUT => '25' },
    ['async_upload_enabled off;', 'async_upload_rollout 7%;'],
    'off nginx.conf', '700 nginx.conf');

settles('directives that say the same as variables',
    { ASYNC_UPLOAD_ENABLED => 'off', ASYNC_UPLOAD_ROLLOUT => '0' },
    ['async_upload_enabled off;', 'async_upload_rollout 0%;'],
    'off nginx.conf', '0 nginx.conf');

settles('a directive for the flag, a variable for the share',
    { ASYNC_UPLOAD_ENABLED => 'off', ASYNC_UPLOAD_ROLLOUT => '25' },
    ['async_upload_enabled on;'], 'on nginx.conf', '2500 environment');


# Invalid values.

for my $value ('yes', 'tru', 'truee', '2', ' on', 'on ', '-1') {
    refused({ ASYNC_UPLOAD_ENABLED => $value }, 'ASYNC_UPLOAD_ENABLED',
        'true, false, on, off, 1 or 0');
}

for my $value ('101', '100.01%', '-1', '0.001', '.5', '5.', '%', 'half', '1 %',
               '18446744073709551617')
{
    refused({ ASYNC_UPLOAD_ROLLOUT => $value }, 'ASYNC_UPLOAD_ROLLOUT',
        'from 0 to 100 percent in steps of 0.01');
}

refused({ ASYNC_UPLOAD_ENABLED => 'yes' }, 'ASYNC_UPLOAD_ENABLED',
    'true, false, on, off, 1 or 0', 'async_upload_enabled off;');


# A hash that tells whole percents apart, with a share from the environment.

{
    my (undef, $output) = AsyncUpload->start(
        http => conf('async_upload_hash md5;'), port => $port,
        env => { ASYNC_UPLOAD_ROLLOUT => '0.25' }, fails => 1);

    like($output, qr/\[emerg\] (?:\S+: )?share 0\.25% of the environment (?#
        )variable "ASYNC_UPLOAD_ROLLOUT" cannot be told apart by hash (?#
        )"md5", it must be a whole percent in \S+:\d+$/m,
        'a fractional share of the environment is refused, and its name told');
}

settles('a whole share with such a hash', { ASYNC_UPLOAD_ROLLOUT => '25' },
    ['async_upload_hash md5;'], 'off default', '2500 environment');

settles('a directive beside a fractional share with such a hash',
    { ASYNC_UPLOAD_ROLLOUT => '0.25' },
    ['async_upload_hash md5;', 'async_upload_rollout 7%;'],
    'off default', '700 nginx.conf');

my $nginx = AsyncUpload->start(
    http => "server { listen 127.0.0.1:$port; }", port => $port,
    env => { ASYNC_UPLOAD_ENABLED => 'yes', ASYNC_UPLOAD_ROLLOUT => 'half' });

pass('without a rollout no value is refused');

$nginx->stop;


# The fallback.

falls_back('no variable of the fallback', {}, [],
    'connect keyed default, 1 default, null null default');

falls_back('empty variables of the fallback',
    { FALLBACK => '', MAX_RETRIES => '', TIMEOUT => '' }, [],
    'connect keyed default, 1 default, null null default');

falls_back('FALLBACK=true, retries and a time in seconds',
    { FALLBACK => 'true', MAX_RETRIES => '3', TIMEOUT => '30' }, [],
    'failure keyed environment, 4 environment, 30000 null environment');

falls_back('FALLBACK=false, no retries and a time in milliseconds',
    { FALLBACK => 'false', MAX_RETRIES => '0', TIMEOUT => '500ms' }, [],
    'off keyed environment, 1 environment, 500 null environment');

falls_back('FALLBACK=1, the most retries and a time in two units',
    { FALLBACK => '1', MAX_RETRIES => '99', TIMEOUT => '1m30s' }, [],
    'failure keyed environment, 100 environment, 90000 null environment');

falls_back('FALLBACK=OFF alone', { FALLBACK => 'OFF' }, [],
    'off keyed environment, 1 default, null null default');

falls_back('directives beside variables of the fallback',
    { FALLBACK => 'true', MAX_RETRIES => '3', TIMEOUT => '30' },
    ['async_upload_fallback connect;', 'async_upload_tries 2;',
     'async_upload_timeout 7s connect=1s;'],
    'connect keyed nginx.conf, 2 nginx.conf, 7000 1000 nginx.conf');

falls_back('a directive for how to replay beside FALLBACK=false',
    { FALLBACK => 'false' }, ['async_upload_fallback failure replay=always;'],
    'failure always nginx.conf, 1 default, null null default');


# It is in force: async closes the connection, and the body is of a PUT.

my $closed = free_port();

for (['true', 201], ['false', 502]) {
    my ($value, $status) = @$_;

    my $nginx = AsyncUpload->start(
        port => $port, env => { ASYNC_UPLOAD_FALLBACK => $value },
        http => conf('async_upload_enabled on; async_upload_rollout 100%;')
                =~ s/server 127\.0\.0\.1:$async/server 127.0.0.1:$closed/r
                . "server { listen 127.0.0.1:$closed; return 444; }");

    my $answer = $nginx->request('PUT', '/', body => 'x');

    is($answer->{status}, $status, "FALLBACK=$value is in force");

    $nginx->stop(qr/upstream prematurely closed connection/);
}

for my $value ('yes', 'connect', 'failure', '2', 'true ') {
    refused({ ASYNC_UPLOAD_FALLBACK => $value }, 'ASYNC_UPLOAD_FALLBACK',
        'true, false, on, off, 1 or 0');
}

for my $value ('100', '-1', '1.5', 'many', ' 1', '18446744073709551617') {
    refused({ ASYNC_UPLOAD_MAX_RETRIES => $value }, 'ASYNC_UPLOAD_MAX_RETRIES',
        'from 0 to 99');
}

for my $value ('0', '0ms', '-1', '1.5', 'soon', '30 s', '9223372036854775807')
{
    refused({ ASYNC_UPLOAD_TIMEOUT => $value }, 'ASYNC_UPLOAD_TIMEOUT',
        'a time of more than 0, in seconds or as in 500ms');
}

refused({ ASYNC_UPLOAD_TIMEOUT => 'soon' }, 'ASYNC_UPLOAD_TIMEOUT',
    'a time of more than 0, in seconds or as in 500ms',
    'async_upload_timeout 1s;');


# The variables last as long as the process.

my %env = (ASYNC_UPLOAD_ENABLED => 'on', ASYNC_UPLOAD_ROLLOUT => '25',
           ASYNC_UPLOAD_FALLBACK => 'true', ASYNC_UPLOAD_MAX_RETRIES => '3',
           ASYNC_UPLOAD_TIMEOUT => '30');

sub lasts {
    my ($rollout, $title) = @_;

    is(flag($rollout), 'on environment', "the flag outlasts $title");
    is(share($rollout), '2500 environment', "the share outlasts $title");
    is($rollout->{share_bp}, 2500, 'and is in force');

    is(fallback($rollout), 'failure keyed environment, 4 environment,'
                           . ' 30000 null environment',
        "the fallback outlasts $title");
}

$nginx = start(\%env);

$nginx->configure(http => conf('async_upload_missing random;'));
$nginx->reload;

lasts($nginx->status('uploads'), 'a reload');

$nginx->stop;


# A single process has its environment cleaned as a worker has, and then reads
# it at a reload.  nginx' own reload of a single process leaves it unable to
# accept connections, so that it is the log that tells.

$nginx = AsyncUpload->start(http => conf(), port => $port, env => \%env,
                            main => 'master_process off;');

lasts($nginx->status('uploads'), 'the start of a single process');

$nginx->configure(http => conf('async_upload_enabled off;'));

kill 'HUP', $nginx->{pid};

ok(wait_for {
    slurp("$nginx->{dir}/logs/error.log")
        =~ /"uploads": config 2500 -> 0 bp, by config, /;
}, 'the share outlasts a reload of a single process');

$nginx->stop;


# A new binary is started with what "env" names, and so is the module's; the
# sanitizers' is there for their sake.

for my $main ('', join ' ', map { "env $_;" } sort keys %env) {

    $nginx = AsyncUpload->start(
        http => conf(), port => $port, env => \%env,
        daemon => 1,
        main => "env ASAN_OPTIONS; env UBSAN_OPTIONS; env LSAN_OPTIONS; $main");

    $nginx->request('POST', '/', body => 'x');

    is($nginx->quiet('uploads')->{clients}{uploads}, 1,
        'the old binary has counted');

    kill 'USR2', $nginx->{pid};

    my $new = wait_for {
        my $pid = $nginx->pidfile;

        $pid != $nginx->{pid} ? $pid : 0;
    } 'a new binary';

    kill 'WINCH', $nginx->{pid};

    my $rollout;

    wait_for {
        $rollout = $nginx->status('uploads');

        $rollout->{clients}{uploads} == 0;
    } 'the new binary to serve';

    lasts($rollout, 'an upgrade');

    kill 'QUIT', $new;

    wait_for { !AsyncUpload::alive($new) } 'the end of the new binary';

    $nginx->stop;
}


done_testing();
