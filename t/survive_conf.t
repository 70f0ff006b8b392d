#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What a changed nginx.conf makes of a rollout, be it by a reload or because
# nginx was stopped meanwhile: only what has changed is the operator speaking.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


my $three = stages(1, 10, 50);


sub stages {
    return join ' ', map { "async_upload_stage $_% min_uploads=5;" } @_;
}


sub share {
    return "async_upload_rollout $_[0];";
}


# The text of a rollout, the commands that it is given, another text, and then
# state and share, whether observation begins anew, the event's reason (undef:
# there is no event), and what later commands make of it.

my @cases = (
    same => {
        commands => ['rollback'],
        is => 'rolled_back, 0',
        then => [resume => 'running, 5000'],
    },
    commanded => {
        commands => ['share share=25%'],
        is => 'running, 2500',
    },
    other => {
        text => 'async_upload_tries 1;',
        commands => ['share share=25%'],
        later => 'async_upload_tries 3; async_upload_fallback failure;'
                 . ' async_upload_timeout 3s; async_upload_failure 503;'
                 . ' async_upload_methods PUT POST;',
        is => 'running, 2500',
    },
    share_up => {
        later => share('60%'),
        is => 'running, 6000', anew => 1, reason => 'share',
    },
    share_down => {
        later => share('40.25%'),
        is => 'running, 4025', anew => 1, reason => 'share',
    },
    share_commanded => {
        commands => ['share share=25%'],
        later => share('60%'),
        is => 'running, 6000', anew => 1, reason => 'share',
    },
    share_paused => {
        commands => ['pause'],
        later => share('60%'),
        is => 'paused, 6000', anew => 1, reason => 'share',
    },
    share_off => {
        commands => ['disable'],
        later => share('60%'),
        is => 'off, 0', reason => 'share',
        then => [enable => 'running, 6000'],
    },
    share_rolled_back => {
        commands => ['rollback'],
        later => share('60%'),
        is => 'rolled_back, 0', reason => 'share',
        then => [resume => 'running, 6000'],
    },
    stages_more => {
        text => $three,
        commands => ['advance force=1'],
        later => stages(1, 2, 10, 50, 100),
        is => 'running, 1000, stage 3', anew => 1, reason => 'stages',
    },
    stages_below => {
        text => $three,
        commands => ['advance force=1'],
        later => stages(1, 5, 50),
        is => 'running, 500, stage 2', anew => 1, reason => 'stages',
    },
    stages_above => {
        text => $three,
        commands => ['advance force=1'],
        later => stages(20, 50),
        is => 'running, 2000, stage 1', anew => 1, reason => 'stages',
    },
    stages_fewer => {
        text => $three,
        commands => ['advance stage=3 force=1'],
        later => stages(1),
        is => 'running, 100, stage 1', anew => 1, reason => 'stages',
    },
    stages_rolled_back => {
        text => $three,
        commands => ['advance force=1', 'rollback'],
        later => stages(1, 5, 8, 50),
        is => 'rolled_back, 0, stage 3', reason => 'stages',
        then => [resume => 'running, 800, stage 3'],
    },
    stages_paused => {
        text => $three,
        commands => ['advance force=1', 'pause'],
        later => stages(10, 50),
        is => 'paused, 1000, stage 1', anew => 1, reason => 'stages',
    },
    complete_longer => {
        text => $three,
        commands => ['advance stage=3 force=1', 'advance force=1'],
        later => stages(1, 10, 50, 100),
        is => 'running, 5000, stage 3', anew => 1, reason => 'stages',
    },
    complete_same => {
        text => $three,
        commands => ['advance stage=3 force=1', 'advance force=1'],
        is => 'complete, 5000, stage 3',
    },
    to_stages => {
        text => share('30%'),
        later => $three,
        is => 'running, 1000, stage 2', anew => 1, reason => 'stages',
    },
    from_stages => {
        text => $three,
        commands => ['advance force=1'],
        later => share('30%'),
        is => 'running, 3000', anew => 1, reason => 'stages',
    },
    gates => {
        text => $three,
        commands => ['advance force=1'],
        later => $three =~ s/min_uploads=5/min_uploads=7 success=98%/gr,
        is => 'running, 1000, stage 2', reason => 'rules',
    },
    rules => {
        text => 'async_upload_rollback run=5;',
        later => 'async_upload_rollback run=7 error=3%;',
        is => 'running, 5000', reason => 'rules',
    },
    async => {
        upstream => 'elsewhere',
        is => 'running, 5000', anew => 1, reason => 'async upstream',
    },
    async_rolled_back => {
        commands => ['rollback'],
        upstream => 'elsewhere',
        is => 'rolled_back, 0', reason => 'async upstream',
    },
    key => {
        key => '$http_x_key $remote_addr',
        is => 'running, 5000', anew => 1, reshuffled => 1,
        reason => 'key or hash, reshuffled',
    },
    salt => {
        hash => 'sha256 resalted',
        is => 'running, 5000', anew => 1, reshuffled => 1,
        reason => 'key or hash, reshuffled',
    },
    hash => {
        hash => 'split_clients',
        is => 'running, 5000', anew => 1, reshuffled => 1,
        reason => 'key or hash, reshuffled',
    },
    off => {
        text => 'async_upload_enabled on;',
        later => 'async_upload_enabled off;',
        is => 'off, 0', anew => 1, reason => 'enabled',
        then => [enable => '409 conflict'],
        back => 'running, 5000',
    },
    off_paused => {
        text => 'async_upload_enabled on;',
        commands => ['share share=25%', 'pause'],
        later => 'async_upload_enabled off;',
        is => 'off, 0', anew => 1, reason => 'enabled',
        then => [resume => '409 conflict'],
        back => 'paused, 2500',
    },
    off_rolled_back => {
        text => "async_upload_enabled on; $three",
        commands => ['advance force=1', 'rollback'],
        later => "async_upload_enabled off; $three",
        is => 'off, 0, stage 2', reason => 'enabled',
        then => [enable => '409 conflict'],
        back => 'rolled_back, 0, stage 2',
    },
    off_complete => {
        text => "async_upload_enabled on; $three",
        commands => ['advance stage=3 force=1', 'advance force=1'],
        later => "async_upload_enabled off; $three",
        is => 'off, 0, stage 3', anew => 1, reason => 'enabled',
        back => 'complete, 5000, stage 3',
    },
    off_share => {
        text => 'async_upload_enabled on;',
        later => 'async_upload_enabled off; ' . share('70%'),
        is => 'off, 0', anew => 1, reason => 'share, enabled',
    },
    disabled => {
        text => 'async_upload_enabled on;',
        commands => ['disable'],
        is => 'off, 0',
        then => [enable => 'running, 5000'],
    },
    default => {
        text => 'async_upload_advance manual; # without async_upload_enabled',
        commands => ['enable'],
        is => 'running, 5000',
    },
    default_off => {
        text => 'async_upload_advance manual; # without async_upload_enabled',
        is => 'off, 0',
        then => [enable => 'running, 5000'],
    },
    default_share => {
        text => 'async_upload_advance manual; # without async_upload_enabled',
        commands => ['enable', 'pause'],
        later => share('60%') . ' # without async_upload_enabled',
        is => 'paused, 6000', anew => 1, reason => 'share',
    },
    several => {
        text => $three,
        commands => ['advance force=1'],
        later => stages(10, 20, 50) . ' async_upload_rollback run=3;',
        upstream => 'elsewhere', hash => 'sha256 resalted',
        is => 'running, 1000, stage 1', anew => 1, reshuffled => 1,
        reason => 'stages, async upstream, key or hash, reshuffled',
    },
    absent => {
        text => $three,
        commands => ['advance force=1', 'rollback'],
        absent => 1,
        is => 'rolled_back, 0, stage 2',
        then => [resume => 'running, 1000, stage 2'],
    },
);


# The text of nginx.conf, at first, "later", and "back" at what it was.

sub conf {
    my ($guarded, $when) = @_;

    @$guarded{qw(http locations names)} = ('', '', []);

    for (my $i = 0; $i < @cases; $i += 2) {
        my ($name, $case) = @cases[$i, $i + 1];
        my $text = $case->{text} // '';

        $text = $case->{later} // $text if $when eq 'later';
        $text = "$text\n" if $text =~ /#/;

        next if $when eq 'absent' && $case->{absent};

        $guarded->add($name, $text);
    }

    my $conf = $guarded->conf;

    # what Guarded takes for granted

    $conf =~ s/(# without async_upload_enabled\n) async_upload_enabled on;/$1/g;

    return $conf if $when ne 'later';

    for (my $i = 0; $i < @cases; $i += 2) {
        my ($name, $case) = @cases[$i, $i + 1];

        $conf =~ s/(async_upload) async_$name (?=zone)/$1 $case->{upstream} /
            if $case->{upstream};

        my ($at) = $conf =~ /zone=$name:/ ? $+[0] : die;
        my $own = substr $conf, $at;

        $own =~ s/async_upload_key [^;]*/async_upload_key $case->{key}/
            if $case->{key};
        $own =~ s/async_upload_hash [^;]*/async_upload_hash $case->{hash}/
            if $case->{hash};

        substr $conf, $at, length($conf) - $at, $own;
    }

    return "upstream elsewhere { server 127.0.0.1:" . $guarded->{stub}->port('a1')
           . "; }\n$conf";
}


sub state_of {
    my ($rollout) = @_;

    return "$rollout->{state}, $rollout->{share_bp}"
           . ($rollout->{stage} ? ", stage $rollout->{stage}{number}" : '');
}


# The status of all, once a worker has taken over what the master has left.

sub look {
    my ($guarded) = @_;

    my $rollouts;

    wait_for {
        $rollouts = $guarded->{nginx}->status->{rollouts};

        !grep { ($_->{generation} // 0) == 0 || !defined $_->{last_tick_age_s} }
            values %$rollouts;
    } 'the rollouts';

    return $rollouts;
}


sub command {
    my ($guarded, $name, $text) = @_;

    my ($command, %params) = map { split /=/ } split ' ', $text;

    return $guarded->command($name, $command, %params);
}


# All of it, where "act" has nginx read what has changed.

sub play {
    my ($how, $act, %args) = @_;

    my %case = @cases;
    my @names = sort keys %case;
    my $guarded = Guarded->new;

    my $nginx = AsyncUpload->start(http => conf($guarded, 'first'),
                                   port => $guarded->{port}, %args);

    $guarded->{nginx} = $nginx;

    my @bad;

    for my $name (@names) {
        $guarded->uploads($name, 'async', 'ok', '500') if !$case{$name}{absent};

        for (@{$case{$name}{commands} // []}) {
            my $status = command($guarded, $name, $_);

            push @bad, "$name: $_: $status" if $status != 200;
        }

        # an observation that has something to lose

        $guarded->uploads($name, 'async', 'ok', '404');
        $guarded->uploads($name, 'sync', 'ok', '502');
    }

    is_deeply(\@bad, [], "$how: everything is as commanded at first");

    # which is recorded by the next tick

    wait_for {
        !grep { $_->{share_bp} && !$_->{baseline}{frozen} }
            values %{$nginx->status->{rollouts}};
    } 'baselines';

    my $before = look($guarded);

    $guarded->events($_) for @{$guarded->{names}};

    my $conf = conf($guarded, 'later');

    # nginx -t only reads it

    $nginx->configure(http => $conf);
    like(($nginx->run('-t'))[1], qr/test is successful/,
         "$how: nginx -t accepts it");

    my $tested = look($guarded);

    is_deeply({ map { ($_ => [@{$tested->{$_}}{qw(state share_bp epoch
                                                  generation)}]) } @names },
              { map { ($_ => [@{$before->{$_}}{qw(state share_bp epoch
                                                  generation)}]) } @names },
              "$how: nginx -t changes nothing");

    # nor does what fails

    $nginx->configure(http => "$conf\nlog_format;");
    $nginx->reload(fails => 1);

    $tested = look($guarded);

    is_deeply({ map { ($_ => [@{$tested->{$_}}{qw(state share_bp epoch
                                                  generation)}]) } @names },
              { map { ($_ => [@{$before->{$_}}{qw(state share_bp epoch
                                                  generation)}]) } @names },
              "$how: nor does a reload that fails");

    # gone for a while

    $nginx->configure(http => conf($guarded, 'absent'));
    $act->($nginx, $guarded);
    ok(!$nginx->status->{rollouts}{absent}, "$how: one is gone for a while");

    $nginx->configure(http => $conf);
    conf($guarded, 'later');
    $act->($nginx, $guarded);

    my $after = look($guarded);

    for my $name (@names) {
        my ($case, $old, $new) = ($case{$name}, $before->{$name},
                                  $after->{$name});

        is(state_of($new), $case->{is}, "$how: $name: is $case->{is}");

        # what is closed has nothing to observe

        is($new->{epoch}, $old->{epoch} + 1, "$how: $name: a new epoch")
            if $case->{anew};
        is($new->{epoch}, $old->{epoch}, "$how: $name: the same epoch")
            if !defined $case->{reason} || $case->{reason} eq 'rules';

        my @evidence = map { map { $_->{uploads} + $_->{rejected} }
                                 @{$_->{observation}}{qw(sync async)} }
                           $old, $new;

        is("@evidence[2, 3]", $case->{anew} ? '0 0' : "@evidence[0, 1]",
           "$how: $name: the evidence " . ($case->{anew} ? 'begins anew'
                                                         : 'goes on'))
            if $new->{share_bp} || $case->{anew};

        is_deeply($new->{arms}, $old->{arms}, "$how: $name: counters go on");

        my @events;

        wait_for {
            push @events, grep { $_->{event} ne 'restored' || $_->{reason}
                                 ne 'state file' } $guarded->events($name);

            @events || !defined $case->{reason};
        } "$how: $name: the event";

        # a restart has its own, with what has changed; other stages are other
        # rules, too

        is(join('; ', map { ($_->{reason} // '') =~ s/^state file, //r
                                                 =~ s/^stages, rules/stages/r }
                      @events),
           $case->{reason} // '', "$how: $name: events");

        for (@events) {
            is($_->{actor}{kind}, 'config', "$how: $name: nginx.conf did it");
            is($_->{from}{share_bp}, $old->{share_bp},
               "$how: $name: the share of before");
            is($_->{to}{share_bp}, $new->{share_bp},
               "$how: $name: the share of after");
        }
    }

    # once for each

    my %warned;

    $warned{$_}++ for slurp("$nginx->{dir}/logs/error.log")
        =~ /\[warn\] .*async_upload "(\w+)": .*reshuffled/g;

    is_deeply(\%warned, { map { $case{$_}{reshuffled} ? ($_ => 1) : () }
                              @names },
              "$how: reshuffling is warned of");

    # what gates and rules are now

    my ($gate) = grep { $_->{rule} eq 'uploads' }
                     @{$after->{gates}{stage}{gate}};

    is($gate->{need}, 7, "$how: a changed gate applies");

    $guarded->uploads('rules', 'async', ('500') x 6);
    is(state_of($nginx->status('rules')), 'running, 5000',
       "$how: six failures are not seven");
    $guarded->uploads('rules', 'async', '500');
    is(state_of($nginx->status('rules')), 'rolled_back, 0',
       "$how: a changed rule applies");

    # and what people do

    for my $name (@names) {
        my ($command, $then) = @{$case{$name}{then} // next};
        my $answer = command($guarded, $name, $command);

        $answer = state_of($nginx->status($name)) if $answer eq '200';

        is($answer, $then, "$how: $name: $command");
    }

    # back on

    my @back = grep { $case{$_}{back} } @names;

    $nginx->configure(http => conf($guarded, 'first'));
    $act->($nginx, $guarded);

    is(state_of($nginx->status($_)), $case{$_}{back},
       "$how: $_: on again it is as it was") for @back;

    $guarded->stop(qr/invalid number of arguments in "log_format"/);
}


play('reload', sub {
    my ($nginx, $guarded) = @_;

    $guarded->{clients} = [];
    $nginx->reload;
});

play('restart', sub {
    my ($nginx, $guarded) = @_;

    $guarded->{clients} = [];
    $nginx->end('QUIT');
    $nginx->launch;
}, env => { ASYNC_UPLOAD_ENABLED => 'off' });

done_testing();
