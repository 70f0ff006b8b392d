#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Rules, stages and state files as they are settled: what the status says is in
# force of what nginx.conf and the environment say.

use strict;
use warnings;

use Test::More;

use lib 't/lib';

use AsyncUpload;


my ($port, $sync, $async) = map { free_port() } 1 .. 3;


# conf(NAME => DIRECTIVES, ...): rollouts of these names.  What follows "state="
# at the beginning of DIRECTIVES is a parameter of the rollout.

sub conf {
    my (%rollouts) = @_;

    my $text = stub_servers($sync, $async);

    for my $name (sort keys %rollouts) {
        my $directives = $rollouts{$name};
        my $state = $directives =~ s/^(state=\S+)// ? $1 : '';

        $text .= <<"END";
    upstream $name {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=$name:1m $state;
        $directives
    }
END
    }

    return $text . <<"END";
    server {
        listen 127.0.0.1:$port;

        # state files are beside those of "http"

        client_body_temp_path logs/bodies;

        location /async_upload/status {
            async_upload_status;
        }
    }
END
}


# The settings of a rollout, without those that this file is not about.

sub settings {
    my ($nginx, $name) = @_;

    my %settings = %{$nginx->status($name)->{settings}};

    delete @settings{map { "async_upload$_" } '', qw(_enabled _key _missing
                     _hash _methods _fallback _tries _timeout _failure)};

    return \%settings;
}


sub stage {
    my ($bp, $uploads, $success, $error, $latency, $soak) = @_;

    return { share_bp => $bp, min_uploads => $uploads,
             success_rate => $success, error_rate => $error,
             latency_percent => $latency, soak_ms => $soak };
}


my ($minute, $hour, $day) = (60_000, 3_600_000, 86_400_000);

# what is in force where nothing was said

my %default = (
    async_upload_rollout => { value_bp => 0, source => 'default' },
    async_upload_stage => { value => [], source => 'default' },
    async_upload_advance => { value => 'manual', source => 'default' },
    async_upload_rollback => {
        value => JSON::PP::true, success_rate => 0.95, error_rate => 0.05,
        run => 5, memory_percent => 120, min_uploads => 100,
        window_ms => 5 * $minute, source => 'default',
    },
    async_upload_review => {
        value => JSON::PP::true, success_rate => 0.97, for_ms => 30 * $minute,
        latency_percent => 120, latency_for_ms => 10 * $minute,
        complaints => undef, unattended_ms => undef, source => 'default',
    },
    async_upload_statistics => {
        value => 'sequential', evidence => 1000, confirm_ms => 5000,
        min_failures => 3, proof_error_rate => 0.03, horizon_s => 86_400,
        source => 'default',
    },
    async_upload_budget => { value => undef, source => 'default' },
    async_upload_dry_run => { value => JSON::PP::false, source => 'default' },
    async_upload_log => { value => undef, source => 'default' },
);

my $nginx = AsyncUpload->start(http => conf(), port => $port);
my $dir = $nginx->{dir};

# the defaults but for these settings, all of which nginx.conf has

sub settled {
    my ($name, %changed) = @_;

    my %expected = (
        %default,
        state => { value => "$dir/temp/async_upload/$name.state",
                   source => 'default' },
    );

    for my $setting (keys %changed) {
        my $key = $setting eq 'state' ? $setting : "async_upload_$setting";

        $expected{$key} = { %{$expected{$key}}, %{$changed{$setting}},
                            source => 'nginx.conf' };

        # plain statistics have no such parameters

        delete @{$expected{$key}}{qw(evidence min_failures proof_error_rate
                                     horizon_s)}
            if ($expected{$key}{value} // '') eq 'plain';
    }

    return \%expected;
}

sub settles {
    my ($name, $title, @changed) = @_;

    is_deeply(settings($nginx, $name), settled($name, @changed), $title);
}


# The directory of state files.

my %stages = (
    manual => 'async_upload_stage 1%; async_upload_stage 5.5%;
               async_upload_stage 25%; async_upload_stage 50%;
               async_upload_stage 75%; async_upload_stage 100%;',
    auto => 'async_upload_stage 1%; async_upload_stage 2% soak=0;
             async_upload_stage 3% soak=90m; async_upload_advance auto;',
    said => 'async_upload_stage 0.01% min_uploads=7 success=97.0001% error=5%
                                latency=off soak=1500ms;
             async_upload_stage 100% latency=120 success=100 error=0;',
);

my %rollouts = (
    %stages,
    nothing => '',
    off => 'state=off async_upload_rollback off; async_upload_review off;
            async_upload_budget off; async_upload_dry_run off;
            async_upload_log off; async_upload_advance manual;
            async_upload_statistics plain;',
    some => 'state=conf/some async_upload_rollback window=10s run=0;
             async_upload_review success=99.9999% complaints=3;
             async_upload_statistics plain confirm=250ms;
             async_upload_budget 1; async_upload_log logs/journal.log;',
    others => "state=$dir/temp/others
               async_upload_rollback success=1.5% error=99% run=1 memory=off
                                     min_uploads=1 window=1d;
               async_upload_review success=off for=1d latency=off
                                   latency_for=1h complaints=0 unattended=2h;
               async_upload_statistics sequential evidence=20 min_failures=1
                                       confirm=0 proof=2.5% horizon=90m;
               async_upload_dry_run on; async_upload_log logs/journal.log;
               async_upload_rollout 7%;",
);

$nginx->configure(http => conf(%rollouts));

my ($status, $output) = $nginx->run('-t');

is($status, 0, 'the configuration is valid') or diag($output);

my @made = stat "$dir/temp/async_upload";
my @body = stat "$dir/temp/client_body";

is_deeply([@made[2, 4, 5]], [@body[2, 4, 5]],
    'the directory of state files is made as that of bodies is');
is_deeply([glob "$dir/temp/async_upload/*"], [],
    'testing a configuration leaves nothing in there');
is(scalar(() = $output =~ /\[warn\]/g), 1, 'one warning')
    or diag($output);
like($output, qr/\[warn\] .*with "state=off" rollout "off" is at 0% after every /,
    'about the rollout that keeps no state');

$nginx->reload;


# Settings.

settles('nothing', 'what nothing was said of has its defaults');

settles('manual', 'stages have defaults by their number',
    rollout => { value_bp => 100 },
    stage => { value => [
        stage(100, 100, 0.995, 0.005, 110, 0),
        stage(550, 500, 0.99, 0.01, 110, 0),
        stage(2500, 2000, 0.985, 0.015, 110, 0),
        stage(5000, 5000, 0.98, 0.02, 110, 0),
        stage(7500, 5000, 0.98, 0.02, 110, 0),
        stage(10000, 5000, 0.98, 0.02, 110, 0),
    ] });

settles('auto', 'stages last a day if they advance by themselves',
    rollout => { value_bp => 100 },
    advance => { value => 'auto' },
    stage => { value => [
        stage(100, 100, 0.995, 0.005, 110, $day),
        stage(200, 500, 0.99, 0.01, 110, 0),
        stage(300, 2000, 0.985, 0.015, 110, 90 * $minute),
    ] });

settles('said', 'stages are as they are said',
    rollout => { value_bp => 1 },
    stage => { value => [
        stage(1, 7, 0.970001, 0.05, undef, 1500),
        stage(10000, 500, 1, 0, 120, 0),
    ] });

is_deeply(settings($nginx, 'off'), {
    %{settled('off', state => { value => undef }, advance => {}, budget => {},
              statistics => { value => 'plain' }, dry_run => {}, log => {})},
    map { ("async_upload_$_" => { value => JSON::PP::false,
                                  source => 'nginx.conf' }) }
        qw(rollback review),
}, 'what is off is off');

settles('some', 'a parameter changes nothing but itself',
    rollback => { window_ms => 10_000, run => undef },
    review => { success_rate => 0.999999, complaints => 3 },
    statistics => { value => 'plain', confirm_ms => 250 },
    budget => { value => 1 },
    log => { value => "$dir/logs/journal.log" },
    state => { value => "$dir/conf/some" });

settles('others', 'all parameters are as they are said',
    rollout => { value_bp => 700 },
    rollback => { success_rate => 0.015, error_rate => 0.99, run => 1,
                  memory_percent => undef, min_uploads => 1,
                  window_ms => $day },
    review => { success_rate => 0, for_ms => $day, latency_percent => undef,
                latency_for_ms => $hour, complaints => undef,
                unattended_ms => 2 * $hour },
    statistics => { evidence => 20, min_failures => 1, confirm_ms => 0,
                    proof_error_rate => 0.025, horizon_s => 5400 },
    dry_run => { value => JSON::PP::true },
    log => { value => "$dir/logs/journal.log" },
    state => { value => "$dir/temp/others" });

ok(-f "$dir/logs/journal.log", 'the journal is there');


# Rules may come, change and go with a reload.

$nginx->configure(http => conf(%rollouts, nothing => $stages{auto},
                               auto => $stages{said}, manual => ''));
$nginx->reload;

is_deeply(settings($nginx, 'nothing')->{async_upload_stage},
    settled('nothing', stage => { value => [
        stage(100, 100, 0.995, 0.005, 110, $day),
        stage(200, 500, 0.99, 0.01, 110, 0),
        stage(300, 2000, 0.985, 0.015, 110, 90 * $minute),
    ] })->{async_upload_stage}, 'stages that came with a reload');

is_deeply(settings($nginx, 'auto')->{async_upload_stage},
    settled('auto', stage => { value => [
        stage(1, 7, 0.970001, 0.05, undef, 1500),
        stage(10000, 500, 1, 0, 120, 0),
    ] })->{async_upload_stage}, 'stages that were changed');

settles('manual', 'stages that went');


# A configuration that is refused changes nothing.

$nginx->configure(http => conf(%rollouts,
                               auto => "state=nowhere/auto $stages{auto}"));
$nginx->reload(fails => 1);

settles('manual', 'nothing is settled anew by a configuration that is refused');

$nginx->stop(qr/\[emerg\] .* directory "\Q$dir\E\/nowhere\/" of the state file/);


# The share of the environment.

sub with_share {
    my ($share, $directives) = @_;

    $nginx = AsyncUpload->start(
        http => conf(uploads => $directives), port => $port,
        env => { ASYNC_UPLOAD_ENABLED => 'on', ASYNC_UPLOAD_ROLLOUT => $share });
    $dir = $nginx->{dir};
}

my $ignored = 'the environment variable "ASYNC_UPLOAD_ROLLOUT" is ignored, as'
              . ' upstream "uploads" has "async_upload_stage"';

$ignored = qr/\[warn\] \d+#\d+: \Q$ignored\E in \S+:\d+$/m;

with_share('25', $stages{said});

settles('uploads', 'the share of the environment is ignored beside stages',
    rollout => { value_bp => 1 },
    stage => { value => [
        stage(1, 7, 0.970001, 0.05, undef, 1500),
        stage(10000, 500, 1, 0, 120, 0),
    ] });

is($nginx->status('uploads')->{share_bp}, 1, 'the first stage is in force');

my $said = slurp("$dir/logs/stderr") . slurp("$dir/logs/error.log");

is(scalar(() = $said =~ /$ignored/g), 1, 'with one warning') or diag($said);

$nginx->stop;

with_share('25', 'async_upload_rollback error=1%;');

is($nginx->status('uploads')->{share_bp}, 2500,
    'and is in force without them');
unlike(slurp("$dir/logs/stderr") . slurp("$dir/logs/error.log"), $ignored,
    'without a warning');

$nginx->stop;

($status, $output) = AsyncUpload->start(
    http => conf(uploads => $stages{said}), port => $port, fails => 1,
    env => { ASYNC_UPLOAD_ROLLOUT => 'half' });

like($output, qr/\[emerg\] .*"half" of the environment .*"ASYNC_UPLOAD_ROLLOUT"/,
    'an invalid share of the environment is refused even beside stages');


done_testing();
