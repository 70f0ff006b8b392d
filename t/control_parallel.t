#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Commands that contradict each other, all at once, and commands while nginx
# reloads: what was answered with 200 is in force, in the journal and in the
# state file, one after another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use List::Util qw(max shuffle);
use Test::More;
use Time::HiRes qw(time);


my ($port, $sync, $async) = map { free_port() } 1 .. 3;
my $stubs = stub_servers($sync, $async);
my $json = JSON::PP->new->canonical;

my $nginx = AsyncUpload->start(port => $port, workers => 4, http => <<"END");
    $stubs

    upstream staged {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=staged:1m;
        async_upload_enabled on;
        async_upload_stage 1%;
        async_upload_stage 10%;
        async_upload_stage 50%;
        async_upload_stage 100%;
        async_upload_log logs/staged.jsonl;
    }

    upstream fixed {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=fixed:1m;
        async_upload_enabled on;
        async_upload_rollout 10%;
        async_upload_log logs/fixed.jsonl;
    }

    server {
        listen 127.0.0.1:$port;

        location /async_upload/status {
            async_upload_status;
        }

        location /control {
            async_upload_control;
        }
    }
END


# From which states each command leads to which; "=" is where it came from.

my %legal = (
    pause => { running => 'paused' },
    resume => { paused => 'running', review => 'running',
                rolled_back => 'running' },
    advance => { map { ($_ => 'running') } qw(running paused review) },
    complete => { map { ($_ => 'complete') } qw(running paused review) },
    share => { running => 'running', paused => 'paused', review => 'running' },
    rollback => { map { ($_ => 'rolled_back') }
                      qw(running paused review complete) },
    restart => { map { ($_ => '=') } qw(running paused review) },
    disable => { map { ($_ => 'off') }
                     qw(running paused review rolled_back complete) },
    enable => { off => qr/^(?:running|paused|review|rolled_back|complete)$/ },
    drill => { running => 'rolled_back', paused => 'rolled_back',
               rolled_back => qr/^(?:running|paused)$/ },
    signal => { map { ($_ => '=') }
                    qw(off running paused review rolled_back complete) },
);


sub journal {
    my ($name) = @_;

    return map { decode_status($_) }
           split /\n/, slurp("$nginx->{dir}/logs/$name.jsonl");
}

# An event by the one before it: a drill is rolled back, too, and a rollback or
# another state ends it.

sub legal {
    my ($event, $before) = @_;

    my ($from, $to) = map { $event->{$_}{state} } qw(from to);

    return $to eq 'rolled_back'
        if $event->{event} eq 'rollback' && $from eq 'rolled_back'
           && $before->{event} eq 'drill';

    my $expected = $legal{$event->{event}}{$from} // return 0;

    return $expected eq '=' ? $to eq $from
           : ref $expected ? $to =~ $expected : $to eq $expected;
}


# The journal is complete, and each event begins where the one before ended.

sub chained {
    my ($name, $title) = @_;

    my @journal = journal($name);

    is(join(' ', map { $_->{sequence} } @journal), join(' ', 1 .. @journal),
        "$title: the journal has no gap");

    my @bad;

    for (1 .. $#journal) {
        my ($before, $event) = @journal[$_ - 1, $_];

        push @bad, "$event->{sequence}: "
                   . $json->encode([$before->{to}, $event->{from}])
            if $json->encode($before->{to}) ne $json->encode($event->{from});
    }

    ok(!@bad, '  each event begins where the one before ended')
        or diag(map { "    $_\n" } @bad);

    @bad = map { "$_->{sequence}: $_->{event} from $_->{from}{state}"
                 . " to $_->{to}{state}" }
           map { $journal[$_] }
           grep { $journal[$_]{actor}{kind} eq 'control'
                  && !legal(@journal[$_, $_ - 1]) } 1 .. $#journal;

    ok(!@bad, '  each event is a legal one') or diag(map { "    $_\n" } @bad);

    my $status = $nginx->status($name);
    my $last = $journal[-1];

    is("$status->{state} $status->{epoch}",
        "$last->{to}{state} $last->{epoch}", '  the status is the last one\'s');

    return @journal;
}


# the same as told by answers to commands: each event is one's, and no other's

sub answered {
    my ($title, $journal, @answers) = @_;

    my %told = map { ($_->{sequence} => $_) }
               grep { $_->{changed} } @answers;

    my %done = map { ($_->{sequence} => $_) }
               grep { $_->{actor}{kind} eq 'control' } @$journal;

    # the end of a drill is an event, too

    delete @done{grep { $done{$_}{event} eq 'drill'
                        && $done{$_}{from}{state} eq 'rolled_back' }
                     keys %done};

    is(join(' ', sort { $a <=> $b } keys %told),
        join(' ', sort { $a <=> $b } keys %done),
        "$title: each change was answered, each answer is a change");

    my @bad = grep {
        $done{$_} && $done{$_}{actor}{who} !~ / actor=\Q$told{$_}{actor}\E$/;
    } keys %told;

    ok(!@bad, '  each to whoever made it') or diag("    @bad\n");
}


# all(NAME, COMMAND, ...): all of them at once; returns their answers, with
# "status" and with whoever they were from as "actor".

sub all {
    my ($name, @commands) = @_;

    my @sockets = map {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
            or die "no connection: $!\n";
    } @commands;

    for (0 .. $#commands) {
        my $query = $commands[$_] =~ /\?/ ? '&' : '?';

        syswrite $sockets[$_], "POST /control/$name/$commands[$_]${query}actor="
                               . "c$_ HTTP/1.1\r\nHost: a\r\n"
                               . "Connection: close\r\n\r\n";
    }

    return map {
        my $answer = read_response($sockets[$_]);

        my $told = eval { decode_status($answer->{body}) } // {};

        +{ %$told, status => $answer->{status}, actor => "c$_",
           asked => $commands[$_] };
    } 0 .. $#commands;
}


wait_for { journal('staged') >= 2 && journal('fixed') >= 2 }
    'what every rollout begins with';

my %mixes = (
    staged => ['pause', 'resume', 'rollback', 'advance?force=1', 'disable',
               'enable', 'restart', 'signal?complaints=1',
               'advance?stage=2&force=1', 'resume?stage=1'],
    fixed => ['pause', 'resume', 'rollback', 'share?share=1', 'share?share=99',
              'share?share=50', 'disable', 'enable', 'restart', 'drill'],
);

for my $name (sort keys %mixes) {
    my @answers = all($name, shuffle map { @{$mixes{$name}} } 1 .. 10);

    is(scalar @answers, 100, "$name: 100 commands at once");

    my @bad = grep { $_->{status} != 200 && $_->{status} != 409 } @answers;

    ok(!@bad, '  each is carried out or conflicts')
        or diag(map { "    $_->{asked}: $_->{status}\n" } @bad);

    cmp_ok(scalar(grep { $_->{changed} } @answers), '>', 1,
        '  several of them change something');

    # a drill that was interrupted is told so; but it had begun

    my @journal = chained($name, $name);
    my %begun = map { ($_->{actor}{who} =~ s/.* actor=//r => $_->{sequence}) }
                grep { $_->{event} eq 'drill'
                       && $_->{to}{state} eq 'rolled_back' } @journal;

    for (grep { $_->{asked} eq 'drill' && $_->{status} == 409
                && $begun{$_->{actor}} } @answers)
    {
        @$_{qw(changed sequence)} = (1, $begun{$_->{actor}});
    }

    answered($name, \@journal, @answers);

    my $status = $nginx->status($name);
    my $now = $status->{state};

    ok($status->{share_bp} == 0 || $now =~ /^(?:running|paused|complete)$/,
        '  no share where nobody is to be let through');
}


# A command every 50 ms, and 20 reloads.

my ($acknowledged, %now) = (0);
my $next = time;

sub command {
    my ($name, $command) = @_;

    # it is the pace that is tested, nothing is waited for

    select undef, undef, undef, max 0, $next - time;
    $next = time + 0.05;

    my $answer = $nginx->request('POST', "/control/$name/$command");
    my $told = eval { decode_status($answer->{body}) } // {};

    if ($answer->{status} == 200) {
        $acknowledged++;
        $now{$name} = $told;

    } elsif ($answer->{status} != 503 || $told->{error} ne 'superseded'
             || $answer->{headers}{'retry-after'} != 1)
    {
        fail("$command: $answer->{raw}");
    }

    # it is in force, at whichever worker

    my $status = $nginx->status($name);

    push @{$now{bad}}, "$command: " . $json->encode([$now{$name}, $status])
        if $status->{state} ne $now{$name}{state}
           || $status->{share_bp} != $now{$name}{share_bp}
           || $status->{epoch} != $now{$name}{epoch};
}

for (['staged', 'enable'], ['fixed', 'enable'], ['staged', 'resume'],
     ['fixed', 'resume'])
{
    my ($name, $command) = @$_;

    $now{$name} = $nginx->status($name);
    command($name, $command) if $now{$name}{state} ne 'complete';
}

# during a reload, and twice when it is over

my $n = 0;

for (1 .. 20) {
    my %old = map { ($_ => 1) } $nginx->workers;

    kill 'HUP', $nginx->{pid};

    my $end = time + 30;
    my $more = 2;

    while ($more && time < $end) {
        my @workers = $nginx->workers;

        $more-- if @workers && !grep { $old{$_} } @workers;
        $n++;

        command('fixed', $n % 3 ? 'share?share=' . $n * 37 % 100
                         : $n % 2 ? 'pause' : 'resume');
    }
}

is($nginx->serving, 4, 'there were 20 reloads');
cmp_ok($acknowledged, '>=', 40,
    'commands were acknowledged, but by workers that were just replaced');
ok(!$now{bad}, 'each of them was in force as soon as it was answered')
    or diag(map { "    $_\n" } @{$now{bad}});

my @journal = chained('fixed', 'after 20 reloads');


# What is in force is in the file.

my %before = map { my $status = $nginx->status($_);
                   ($_ => join ' ', @$status{qw(state share_bp epoch)}) }
             qw(fixed staged);

$nginx->crash;
$nginx->launch;

for my $name (sort keys %before) {
    my $status = $nginx->status($name);

    like(join(' ', @$status{qw(state share_bp)}),
        qr/^\Q@{[$before{$name} =~ s{ \d+$}{}r]}\E$/,
        "$name: it is in the state file");
}

$nginx->stop(qr/\[error\] .*ROLLBACK.* by control/);

done_testing();
