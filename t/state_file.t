#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The state file: what it keeps, what it looks like, what is refused of it, and
# what happens where it cannot be written.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256);
use Fcntl qw(S_ISREG);
use IO::Socket::UNIX;
use POSIX qw(mkfifo);
use Saved;
use Stub;
use Test::More;
use Time::HiRes qw(time);


my $stub = Stub->start(qw(s1 a1));

my $port = free_port();


# The text of "http" with these rollouts, [NAME, DIRECTIVES, PARAMETERS of
# async_upload], each at /NAME.

sub http {
    my (@rollouts) = @_;

    my ($s1, $a1) = map { $stub->port($_) } qw(s1 a1);
    my ($blocks, $locations) = ('', '');

    for (@rollouts) {
        my ($name, $text, $parameters) = @$_;

        $text //= '';
        $parameters //= '';

        $text .= ' async_upload_stage 10%; async_upload_stage 50%;'
            if $text !~ /async_upload_(?:rollout|stage)/;

        $blocks .= <<"END";
    upstream $name {
        server 127.0.0.1:$s1;

        async_upload arm_async zone=$name:1m $parameters;
        async_upload_enabled on;
        async_upload_statistics plain;
        async_upload_rollback off;
        async_upload_key \$http_x_client_id;
        async_upload_log logs/journal.jsonl;
        $text
    }
END

        $locations .= "location /$name { proxy_pass http://$name; }\n";
    }

    return <<"END";
    upstream arm_async {
        server 127.0.0.1:$a1;
    }

$blocks

    server {
        listen 127.0.0.1:$port;

        $locations

        location /async_upload/status {
            async_upload_status;
        }

        location /async_upload/control {
            async_upload_control;
        }
    }
END
}


sub start {
    my ($rollouts, %args) = @_;

    return AsyncUpload->start(port => $port, http => http(@$rollouts), %args);
}


# Where the state of a rollout is by default.

sub path {
    my ($nginx, $name) = @_;

    return "$nginx->{dir}/temp/async_upload/$name.state";
}


# The identity of a client that is in this tenth of all buckets of a rollout.

sub client {
    my ($name, $tenth) = @_;

    for my $n (1 .. 1000) {
        my $id = "secret-$n";

        return $id
            if (unpack('N', sha256("$name.$id")) * 10) >> 32 == $tenth;
    }
}


# An upload; the server that gets it answers with "what".

sub upload {
    my ($nginx, $name, $tenth, $what) = @_;

    return $nginx->request('POST', "/$name", body => 'x' x 1000,
        headers => ['X-Client-Id', client($name, $tenth),
                    'X-Stub', "s1=$what a1=$what"]);
}


# The state file of a rollout, once it says so.

sub saved {
    my ($nginx, $name, %expected) = @_;

    my $saved;

    wait_for {
        $saved = Saved->read(path($nginx, $name));

        $saved && !grep { ($saved->get($_) // '') ne $expected{$_} }
                        keys %expected;
    } "the state file of $name";

    return $saved // die "no state file: $Saved::Wrong\n";
}


sub state {
    my ($nginx, $name) = @_;

    my $rollout = $nginx->status($name);

    return "$rollout->{state} $rollout->{share_bp}";
}


sub spew_private {
    my ($path, $text) = @_;

    spew($path, $text);
    chmod 0600, $path;
}


sub temporary {
    my ($nginx) = @_;

    return grep { /\.tmp\./ } glob "$nginx->{dir}/temp/async_upload/*";
}


# What is the same before and after a restart.

sub kept {
    my ($rollout) = @_;

    my %kept;

    for (cells($rollout)) {
        my ($name, $cell) = @$_;

        $kept{$name} = { map { $_ => $cell->{$_} } qw(
            uploads success failure by_class rejected aborted cut lost masked
            bytes success_rate error_rate sizes) };

        $kept{$name}{latency} = $cell->{latency_us};
    }

    $kept{$_} = $rollout->{$_} for qw(
        share_bp share_kept_bp state epoch fallback clients baseline);

    return \%kept;
}


# What is expected in the log of nginx: of servers that fail, and rollbacks.

my @expected = (qr/upstream (?:prematurely closed|sent invalid header)/,
                qr/\[error\] .*async_upload "\w+": ROLLBACK/);


# The file of a first start, and everything it keeps.

my $good;

{
    my $nginx = start([['uploads'], ['forced']]);

    is(state($nginx, 'uploads'), 'running 1000',
       'without a file a rollout starts as nginx.conf says');

    my $saved = saved($nginx, 'uploads', state => 1, share => 1000);
    my @stat = stat path($nginx, 'uploads');

    ok(S_ISREG($stat[2]) && ($stat[2] & 07777) == 0600,
       'a state file is for its owner alone');

    # every result there is, of both arms; some of statuses

    for my $tenth (0, 5) {
        upload($nginx, 'uploads', $tenth, $_)
            for ('ok') x 20, qw(500 503 507 404 drop garbage 503);
    }

    is(($nginx->command('uploads', 'pause', reason => 'look "here"'))[0], 200,
       'a pause is announced');
    is(($nginx->command('uploads', 'baseline'))[0], 200,
       'a baseline is recorded');
    is(($nginx->command('forced', 'rollback'))[0], 200,
       'a rollback is announced');

    $good = saved($nginx, 'uploads', state => 2);

    unlike($good->text, qr/secret-/, 'no identity of a client is in the file');

    my $before = kept($nginx->quiet('uploads'));
    my @said = map { "$_->{rollout} $_->{event}" } $nginx->journal;

    $nginx->end('QUIT');
    $nginx->launch;

    is_deeply(kept($nginx->quiet('uploads')), $before,
              'counters, latencies, baseline and state survive a restart');
    conserved($nginx->status('uploads'));

    is(state($nginx, 'forced'), 'rolled_back 0', 'so does a rollback');

    my @now = wait_for {
        my @lines = $nginx->journal;

        @lines >= @said + 2 ? \@lines : undef;
    } 'the journal';

    is_deeply([map { "$_->{rollout} $_->{event}" } @{$now[0]}],
              [@said, 'uploads restored', 'forced restored'],
              'a restart is an event, and no other one is said again');

    my ($why) = grep { $_->{event} eq 'pause' }
                     @{$nginx->status('uploads')->{events}};

    is($why->{reason}, 'look "here"', 'events are told as they were');

    # in flight when everything is killed

    my $socket = send_request($port, 'POST', '/uploads', body => 'x',
                              headers => ['X-Stub' => 's1=hang a1=hang']);

    wait_for {
        $nginx->status('uploads')->{arms}{sync}{in_flight} == 1;
    } 'an upload in flight';

    is(($nginx->command('uploads', 'resume'))[0], 200, 'a resume');

    $before = $nginx->status('uploads')->{arms}{sync};

    $nginx->crash;
    $nginx->launch;

    my $after = $nginx->status('uploads')->{arms}{sync};

    is_deeply([@$after{qw(uploads in_flight lost)}],
              [$before->{uploads}, 0, $before->{lost} + 1],
              'what was in flight is lost after a crash');

    is(state($nginx, 'uploads'), 'running 1000',
       'what was announced is in force after a crash');

    conserved($nginx->status('uploads'));

    $nginx->stop(@expected);
}


# Files that are refused.  Each of them is of a rollout of its own, all in one
# nginx, which had a share of 50% when $good was saved.

my %content = (
    empty => '',
    zeroes => "\0" x 4096,
    later => sealed($good->named('later')->text =~ s/\A(\w+) 1 /$1 2 /r
                    =~ s/checksum .*\n\z//r),
    foreign => $good->named('uploads')->text,
    noise => join('', map { chr(int rand 256) } 1 .. 5000),
    binary => $good->named('binary')->text =~ s/\n/\r\n/gr,
    large => $good->named('large')->text . ' ' x 2_000_000,
    unknown => $good->named('unknown')->text =~ s/^(share .*\n)/$1new 1\n/mr,
    share => $good->named('share')->with(share => 10001)->text,
    epoch => $good->named('epoch')->with(epoch => 0)->text,
    state => $good->named('state')->with(state => 6)->text,
    sum => $good->named('sum')->with('async.bucket.success' => 4711)->text,
    events => $good->named('events')->with(events => 99)->text,
);

$content{unknown} = sealed($content{unknown} =~ s/checksum .*\n\z//r);

my %why = (
    empty => 'it is empty',
    zeroes => 'it is of another kind',
    later => 'it is of a later version',
    foreign => 'it is of another name',
    noise => 'it is of another kind',
    binary => 'its end is missing',
    large => 'it is too large',
    unknown => 'a line is not the one that is expected',
    share => 'a number is out of range',
    epoch => 'its epoch is 0',
    state => 'a number is out of range',
    sum => 'more uploads have ended than begun',
    events => 'events are missing',

    link => 'it is a link',
    dangling => 'it is a link',
    fifo => 'it is no regular file',
    directory => 'it is no regular file',
    socket => 'it is no regular file',
    writable => 'others can write it',
    group => 'others can write it',
    twice => 'it has another name, too',
    stuck => 'it is of another kind',
);

# only root can make and read such files

$why{owner} = 'it belongs to another user' if $> == 0;

# cut off at some bytes, and with single bits that are wrong; t/unit/record.c
# has all of them

for my $n (0 .. 15) {
    my $cut = $good->named("cut$n")->text;
    my $bit = $good->named("bit$n")->text;
    my $at = int($n * length($bit) / 16) + 3;

    $content{"cut$n"} = substr $cut, 0, $n ? int($n * length($cut) / 16) : 1;
    $content{"bit$n"} = $bit;
    substr($content{"bit$n"}, $at, 1) ^= chr(1 << $n % 8);

    $why{"cut$n"} = $n ? 'its end is missing' : 'it is of another kind';
    $why{"bit$n"} = qr/is of another kind|end is missing|checksum is wrong/;
}

{
    my @rollouts = map { [$_, 'async_upload_rollout 50%;'] } sort keys %why;

    my $nginx = start(\@rollouts, prepare => sub {
        my ($nginx) = @_;

        my $dir = "$nginx->{dir}/temp/async_upload";

        mkdir $dir, 0700;

        spew_private(path($nginx, $_), $content{$_}) for keys %content;

        my $good_at = sub {
            my ($name, $mode) = @_;

            spew_private(path($nginx, $name), $good->named($name)->text);
            chmod $mode, path($nginx, $name) if $mode;
        };

        # what has the other name cannot be replaced

        spew_private(path($nginx, 'stuck'), 'nonsense');
        mkdir path($nginx, 'stuck') . '.corrupt';
        spew(path($nginx, 'stuck') . '.corrupt/file', 'x');

        $good_at->('writable', 0602);
        $good_at->('group', 0620);
        $good_at->('twice');
        link path($nginx, 'twice'), "$dir/other";
        spew_private("$dir/target", $good->named('link')->text);
        symlink "$dir/target", path($nginx, 'link');
        symlink "$dir/nothing", path($nginx, 'dangling');
        mkfifo path($nginx, 'fifo'), 0600;
        mkdir path($nginx, 'directory');
        IO::Socket::UNIX->new(Local => path($nginx, 'socket'), Listen => 1);

        if ($why{owner}) {
            $good_at->('owner');
            chown 12345, 0, path($nginx, 'owner');
        }
    });

    my @lines = split /\n/, slurp("$nginx->{dir}/logs/error.log");

    for my $name (sort keys %why) {
        my @error = grep { /\[(?:error|alert|crit|emerg)\]/ && /"\Q$name\E"/ }
                         @lines;
        my $rollout = $nginx->status($name);

        my @bad = grep { defined } (
            @error == 1 ? undef : 'errors: ' . @error,
            ($error[0] // '') =~ /is refused: \Q$why{$name}\E;/
                || ref $why{$name} && ($error[0] // '') =~ $why{$name}
                ? undef : "said: " . ($error[0] // 'nothing'),
            $rollout->{state} eq 'rolled_back' ? undef : $rollout->{state},
            $rollout->{share_bp} == 0 ? undef : "$rollout->{share_bp} bp",
            -l path($nginx, $name) . '.corrupt'
                || -e path($nginx, $name) . '.corrupt'
                ? undef : 'it was not kept aside',
        );

        ok(!@bad, "refused: $name") || diag(map { "    $_\n" } @bad);
    }

    for my $name (sort keys %content) {
        slurp(path($nginx, $name) . '.corrupt') eq $content{$name}
            or fail("$name is kept as it was");
    }

    ok((grep { /\[warn\] .*"\S+stuck\.state" cannot be kept as/ } @lines)
       == 1, 'what cannot be kept aside is said');

    is(slurp("$nginx->{dir}/temp/async_upload/target"),
       $good->named('link')->text, 'what a link points to is left alone');

    # and then they are like others

    for my $name (sort keys %why) {
        saved($nginx, $name, state => 4);
    }

    is(($nginx->command('link', 'resume'))[0], 200,
       'a rollout that was refused is resumed by command');
    is(state($nginx, 'link'), 'running 5000', 'to the share of nginx.conf');

    $nginx->stop(@expected, qr/is refused: /);
}


# One that is refused must not be taken for a first start by the next one, if
# nobody has come to write another.

{
    my $nginx = start([['uploads']]);
    my $log = "$nginx->{dir}/logs/error.log";
    my @states;

    for my $n (1 .. 5) {
        $nginx->crash;

        spew_private(path($nginx, 'uploads'), 'nonsense');
        spew($log, '');

        my $pid = $nginx->{pid} = $nginx->spawn;
        my $end = time + $AsyncUpload::Deadline;

        # killed as soon as it has said so

        until (slurp($log) =~ /is refused: / || time > $end) {
            select undef, undef, undef, 0.0002;
        }

        kill 'STOP', $pid;
        kill 'KILL', $nginx->workers, $pid;
        waitpid $pid, 0;

        $nginx->launch;
        push @states, state($nginx, 'uploads');
    }

    is_deeply(\@states, [('rolled_back 0') x 5],
              'a file that was refused once is refused again');

    $nginx->stop(qr/is refused: /);
}


# Files of modules with other numbers of events and statuses.

{
    my ($events) = $good->text =~ /^((?:event\..*\n)+)/m;
    my ($event) = $events =~ /((?:event\.(?!seq).*\n)*)\z/;

    my $lines = $good->with(
        events => 70, said => 70, kept => 70,
        'async.bucket.uploads' => 200,
        'async.bucket.failure.http' => join ' ', map { ($_, 1) } 500 .. 529)
        ->text;

    $lines =~ s/^(?:event\.|checksum).*\n//mg;
    $lines .= "event.seq $_\n$event" for 1 .. 70;

    my $nginx = start([['uploads']], prepare => sub {
        my ($nginx) = @_;

        mkdir "$nginx->{dir}/temp/async_upload", 0700;
        spew_private(path($nginx, 'uploads'), sealed($lines));
    });

    my $rollout = $nginx->quiet('uploads');

    is(join(' ', $rollout->{state}, map { $_ // 0 }
                 @{$rollout->{arms}{async}{by_class}}{qw(http_500 http_515
                                                         http_other)}),
       'paused 1 1 14', 'statuses for which there is no room are others');

    is_deeply([(map { $_->{sequence} } @{$rollout->{events}})[0, -1]],
              [71, 8], 'of more events than there is room for the last stay');

    is_deeply([violations($rollout)], [], 'and all of them are counted');

    $nginx->stop;
}


# The age of an observation, also after a start of the machine, whose clock
# then begins at 0 while the observation is older.

{
    my $nginx = start([['uploads', 'async_upload_stage 10% soak=360d;']],
                      clock => 1);

    my $left = sub { $nginx->status('uploads')->{stage}{soak_left_s} };
    my $day = 86400;

    # it has begun once it is in the file

    saved($nginx, 'uploads', state => 1);

    $nginx->advance_clock(180 * $day);
    $nginx->command('uploads', 'pause');

    saved($nginx, 'uploads', state => 2);

    my $before = $left->();

    ok(abs($before - 180 * $day) < $day, 'half of a soak is over');

    for my $after ('a restart', 'a start of the machine') {
        $nginx->crash;
        $nginx->advance_clock(-180 * $day) if $after =~ /machine/;
        $nginx->launch;

        ok(abs($left->() - $before) < $day, "so it is after $after");
    }

    $nginx->stop;
}


# nginx -t, and a configuration that is refused, leave files alone.

{
    my $nginx = start([['uploads']]);

    saved($nginx, 'uploads', state => 1);

    my $stat = sub {
        my @stat = Time::HiRes::stat(path($nginx, 'uploads'));

        return join ' ', @stat[1, 7, 9], glob "$nginx->{dir}/temp/*/*";
    };

    my $before = $stat->();

    my ($status) = $nginx->run('-t');

    is($status, 0, 'nginx -t');
    is($stat->(), $before, 'nginx -t leaves the state file alone');

    $nginx->configure(http => http(['uploads', 'async_upload_stage 70%;'])
                              . 'nonsense;');
    $nginx->reload(fails => 1);

    is($stat->(), $before, 'a failed reload leaves the state file alone');
    is(state($nginx, 'uploads'), 'running 1000', 'and the state');

    $nginx->end('QUIT');

    # of one that will be refused, too

    spew_private(path($nginx, 'uploads'), 'nonsense');
    $nginx->configure(http => http(['uploads']));

    $before = $stat->();
    ($status, my $said) = $nginx->run('-t');

    is($status, 0, 'nginx -t with a file that is corrupt');
    unlike($said, qr/refused/, 'says nothing of it');
    is($stat->(), $before, 'and leaves it where it is');

    $nginx->launch;

    is(state($nginx, 'uploads'), 'rolled_back 0', 'a start does not');

    $nginx->stop(qr/unknown directive/, qr/is refused: /);
}


# What processes have left that were killed.

{
    my $child = fork // die "fork: $!\n";

    POSIX::_exit(0) if $child == 0;

    waitpid $child, 0;

    my $nginx = start([['uploads']], prepare => sub {
        my ($nginx) = @_;

        mkdir "$nginx->{dir}/temp/async_upload", 0700;

        spew_private(path($nginx, 'uploads') . ".tmp.$_", 'x')
            for $child, $$, 'mine';
    });

    saved($nginx, 'uploads', state => 1);

    is_deeply([map { s/.*\.tmp\.//r } temporary($nginx)], [sort $$, 'mine'],
              'temporary files of processes that are gone are removed');

    $nginx->stop;
}


# Where nothing can be written, in these ways; [NAME, BREAK, REPAIR, WRAPPER].
# A file system that is full takes one of its own.

my @ways = (['its directory is gone',
    sub { rename "$_[0]/kept", "$_[0]/away" or die "rename: $!\n" },
    sub { rename "$_[0]/away", "$_[0]/kept" or die "rename: $!\n" }]);

push @ways, ['the disk is full',
    sub {
        my ($dir, $pid) = @_;

        open my $fh, '>', "/proc/$pid/root$dir/kept/full" or die "full: $!\n";

        1 while syswrite $fh, 'x' x 4096;
        1 while syswrite $fh, 'x';
    },
    sub { unlink "/proc/$_[1]/root$_[0]/kept/full" or die "unlink: $!\n" },
    <<'END'
exec unshare -m sh -c 'mount -t tmpfs -o size=256k none kept && exec "$@"' - \
END
] if $> == 0 && system('unshare -m mount -t tmpfs none /tmp 2>/dev/null') == 0;

for (@ways) {
    my ($way, $break, $repair, $wrapper) = @$_;

    my $binary = $ENV{TEST_NGINX_BINARY};

    local $ENV{TEST_NGINX_BINARY} = $binary;

    my $nginx = start(
        [['uploads', '', 'state=kept/uploads.state']],
        prepare => sub {
            my ($nginx) = @_;

            mkdir "$nginx->{dir}/kept";

            return if !$wrapper;

            spew("$nginx->{dir}/nginx", "#!/bin/sh\ncd $nginx->{dir}\n"
                 . ($wrapper =~ s/\n\z//r) . "\n    $binary \"\$@\"\n");
            chmod 0755, "$nginx->{dir}/nginx";

            $ENV{TEST_NGINX_BINARY} = "$nginx->{dir}/nginx";
        });

    my ($state, $pid) = ($nginx->{dir}, $nginx->{pid});
    my $kept = "/proc/$pid/root$state/kept";
    my $log = "$state/logs/error.log";
    my $before;

    wait_for {
        $before = Saved->read("$kept/uploads.state");

        $before && $before->get('state') == 1;
    } 'the state file';

    $break->($state, $pid);

    is(($nginx->command('uploads', 'rollback'))[0], 200,
       "$way: a rollback happens");
    is(state($nginx, 'uploads'), 'rolled_back 0', "$way: it is in force");

    like(slurp($log), qr/\[alert\] .*state cannot be saved/,
         "$way: an alarm is given");

    for my $n (1, 2) {
        my ($status, $answer) = $nginx->command('uploads', 'resume');

        is("$status $answer->{error}", '409 not_saved',
           "$way: the share is not raised, $n");
    }

    is(state($nginx, 'uploads'), 'rolled_back 0', "$way: nothing has changed");
    is(() = slurp($log) =~ /state cannot be saved/g, 1, "$way: one alarm");

    $repair->($state, $pid);

    is_deeply([map { s{.*/}{}r } glob "$kept/*"], ['uploads.state'],
              "$way: no temporary file is left");
    is(slurp("$kept/uploads.state"), $before->text,
       "$way: the file was left alone");

    is(($nginx->command('uploads', 'resume'))[0], 200,
       "$way: once there is room again, the share is raised");
    is(Saved->read("$kept/uploads.state")->get('state'), 1, "$way: and saved");

    if ($wrapper) {
        $nginx->stop(@expected, qr/state cannot be saved/);
        next;
    }

    # without a command; it takes some seconds, so in one way only

    $break->($state, $pid);

    is(($nginx->command('uploads', 'disable'))[0], 200, "$way: off");

    $repair->($state, $pid);

    wait_for {
        my $saved = Saved->read("$kept/uploads.state");

        $saved && $saved->get('state') == 0;
    } "$way: to be saved some time after";

    wait_for {
        2 == (() = slurp($log) =~ /state is saved again/g);
    } "$way: that to be said";

    $nginx->stop(@expected, qr/state cannot be saved/);
}


done_testing();
