
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Guarded;

# Rollouts that are guarded, in one nginx, with uploads whose results and arms
# are chosen, time that leaps, and commands.
#
#     my $guarded = Guarded->new(clock => 1);
#
#     $guarded->add('edge', 'async_upload_stage 10% min_uploads=100;');
#
#     my $nginx = $guarded->start;
#
#     $guarded->uploads('edge', 'async', mix(ok => 95, 500 => 5));
#     $guarded->tick;
#     is($guarded->state('edge'), 'running, stage 1, 1000', '95.0% ...');
#
# Rules are plain, flags on and shares 50% where the text of a rollout has
# nothing else.  One upstream server, "s1" of Stub, is sync for all rollouts,
# and "a1" is async.  What an upload asks for is a word of Stub: ok, 500, ...
#
# With one worker, which is the default, the guard has looked and acted when
# tick() returns, as the worker that answers the status has done so.

use strict;
use warnings;

use AsyncUpload;
use Digest::SHA qw(sha256);
use Exporter qw(import);
use IO::Socket::INET;
use List::Util qw(sum0);
use Stub;
use Test::More ();

our @EXPORT = qw(mix);


# Guarded->new([clock => 1], [workers => N], [half => 1], [sequential => 1],
# [servers => { async => TEXT }]): "servers" are the servers of an arm's block,
# instead of Stub's.  With "sequential" statistics are those by default.
#
# Identities are of the first and of the last hundredth of all buckets, so that
# their arm is that at 1% and more, or 99% and less; there are some forty of
# each arm.  With "half" they are of all buckets, two thousand of each arm at
# 50%.

sub new {
    my ($class, %args) = @_;

    my $stub = Stub->start(qw(s1 a1));
    my $size = $args{half} ? 5000 : 100;
    my %keys;

    for my $n (1 .. 4000) {
        my $bucket = (unpack('N', sha256("guarded.key-$n")) * 10000) >> 32;

        push @{$keys{async}}, "key-$n" if $bucket < $size;
        push @{$keys{sync}}, "key-$n" if $bucket >= 10000 - $size;
    }

    return bless {
        %args, keys => \%keys, stub => $stub, port => free_port(), http => '',
        locations => '', names => [], sent => 0, clients => [],
        servers => { sync => 'server 127.0.0.1:' . $stub->port('s1') . ';',
                     async => 'server 127.0.0.1:' . $stub->port('a1') . ';',
                     %{$args{servers} // {}} },
    }, $class;
}


# $guarded->add(NAME, [TEXT], [async => TEXT], [sync => TEXT], [zone => TEXT]):
# a rollout with these directives; "async" and "sync" are servers of its own,
# "zone" are more parameters of async_upload.

sub add {
    my ($self, $name, $text, %args) = @_;

    my %servers = (%{$self->{servers}}, %args);
    my $zone = $args{zone} // '';

    $text //= '';

    $text .= ' async_upload_enabled on;' if $text !~ /\basync_upload_enabled\b/;
    $text .= ' async_upload_statistics plain;'
        if !$self->{sequential} && $text !~ /\basync_upload_statistics\b/;
    $text .= ' async_upload_rollout 50%;'
        if $text !~ /\basync_upload_(?:rollout|stage)\b/;

    # A worker with sanitizers grows by what it frees, and a clock that leaps
    # makes minutes of it.

    if ($self->{sequential} && $text !~ /\basync_upload_rollback off\b|memory=/
        && $text !~ s/\b(async_upload_rollback [^;]*);/$1 memory=off;/)
    {
        $text .= ' async_upload_rollback memory=off;';
    }

    $self->{http} .= <<"END";
    upstream async_$name {
        $servers{async}
        keepalive 32;
    }

    upstream $name {
        $servers{sync}
        keepalive 32;

        async_upload async_$name zone=$name:1m $zone;
        async_upload_key \$http_x_key;
        async_upload_hash sha256 guarded;
        async_upload_log logs/journal.jsonl;
        $text
    }

END

    $self->{locations} .= <<"END";
        location /$name {
            proxy_pass http://$name;
        }

END

    push @{$self->{names}}, $name;
}


# $guarded->start([http => TEXT], ...): arguments as AsyncUpload->start's.

sub start {
    my ($self, %args) = @_;

    my $http = delete $args{http} // '';

    $self->{nginx} = AsyncUpload->start(
        port => $self->{port}, clock => $self->{clock},
        workers => $self->{workers}, %args, http => $self->conf($http));

    return $self->{nginx};
}


# The text of "http", with what has been added by now.

sub conf {
    my ($self, $http) = @_;

    $http //= '';

    return <<"END";
    $http
    $self->{http}

    server {
        listen 127.0.0.1:$self->{port} reuseport;

        keepalive_requests 1000000;
        keepalive_timeout 1h;
        lingering_close off;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_read_timeout 30s;

        add_header X-Worker \$pid always;

        $self->{locations}

        location = /none {
            return 204;
        }

        location /async_upload/status {
            async_upload_status;
        }

        location /async_upload/control {
            async_upload_control;
        }
    }
END
}


# mix(ok => 95, 500 => 5): so many of each, in turns that keep the rarer ones as
# far from each other as can be.

sub mix {
    my (@counts) = @_;

    my (@parts, @list);

    while (my ($what, $n) = splice @counts, 0, 2) {
        push @parts, { what => $what, n => $n, owed => 0 };
    }

    my $total = sum0 map { $_->{n} } @parts;

    for (1 .. $total) {
        $_->{owed} += $_->{n} for @parts;

        my ($next) = sort { $b->{owed} <=> $a->{owed} } @parts;

        $next->{owed} -= $total;
        push @list, $next->{what};
    }

    return @list;
}


# $guarded->client: a connection that is kept, for upload(); of a certain worker
# with its process id.

sub client {
    my ($self, $worker) = @_;

    for (1 .. 1000) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                           PeerPort => $self->{port})
            or die "no connection: $!\n";

        return $socket if !defined $worker;

        return $socket if settle($socket) == $worker;
    }

    die "worker $worker accepts no connections\n";
}


# settle(CLIENT): waits until nginx is done with what this client has sent, also
# with what comes after the answer; returns the worker.

sub settle {
    my ($socket) = @_;

    print $socket "HEAD /none HTTP/1.1\r\nHost: a\r\n\r\n";

    return answer($socket, 'HEAD')->{worker};
}


# $guarded->identity(ARM, N): one of an arm's identities, which are taken in
# turns where ARM is an argument; an identity may stand in its place.

sub identity {
    my ($self, $arm, $n) = @_;

    my $keys = $self->{keys}{$arm} // return $arm;

    return $keys->[$n % @$keys];
}


# $guarded->ask(CLIENT, NAME, ARM, WHAT, [HEADERS]): sends an upload.

sub ask {
    my ($self, $socket, $name, $arm, $what, $headers) = @_;

    my $key = $self->identity($arm, $self->{sent}++);

    $headers //= '';

    print $socket "POST /$name HTTP/1.1\r\nHost: a\r\nX-Key: $key\r\n"
                  . "X-Stub: a1=$what s1=$what\r\n$headers"
                  . "Content-Length: 1\r\n\r\nx";
}


# Reads an answer: { status, by (the server that gave it, empty if nginx did
# it), worker }; status 0 if the connection was closed.

sub answer {
    my ($socket, $method) = @_;

    my $in = '';
    my $end;

    while (($end = index $in, "\r\n\r\n") < 0) {
        sysread $socket, $in, 65536, length $in
            or return { status => 0, by => '', worker => 0 };
    }

    my ($length) = $in =~ /^Content-Length: (\d+)/im;
    my ($by) = $in =~ /^X-Stub-Name: (\w+)/im;
    my ($worker) = $in =~ /^X-Worker: (\d+)/im;
    my ($status) = $in =~ m{^HTTP/1\.1 (\d+)};

    $end += 4 + (($method // '') eq 'HEAD' ? 0 : $length // 0);

    while (length $in < $end) {
        sysread $socket, $in, 65536, length $in or last;
    }

    return { status => $status, by => $by // '', worker => $worker // 0 };
}


# $guarded->upload(CLIENT, NAME, ARM, WHAT): one upload, to its end.

sub upload {
    my ($self, $socket, @args) = @_;

    $self->ask($socket, @args);

    return answer($socket);
}


# $guarded->uploads(NAME, ARM, WHAT, ...): one after another on one connection;
# returns the servers that answered them, and how often: "a1 95, s1 5".

sub uploads {
    my ($self, $name, $arm, @what) = @_;

    $self->{clients}[0] //= $self->client;

    return $self->uploads_by(1, $name, $arm, @what);
}


# $guarded->uploads_by(N, NAME, ARM, WHAT, ...): the same on N connections, with
# N uploads at a time.

sub uploads_by {
    my ($self, $n, $name, $arm, @what) = @_;

    return $self->uploads_of($n, $name, map { [$arm, $_] } @what);
}


# $guarded->uploads_of(N, NAME, [ARM, WHAT], ...): the same of several arms.

sub uploads_of {
    my ($self, $n, $name, @what) = @_;

    my %by;

    while (my @some = splice @what, 0, $n) {
        for my $i (0 .. $#some) {
            $self->{clients}[$i] //= $self->client;
            $self->ask($self->{clients}[$i], $name, @{$some[$i]});
        }

        for my $i (0 .. $#some) {
            my $answer = answer($self->{clients}[$i]);

            delete $self->{clients}[$i] if $answer->{status} == 0;
            $by{$answer->{by} || $answer->{status}}++;
        }
    }

    return join ', ', map { "$_ $by{$_}" } sort keys %by;
}


# $guarded->tick: waits until the guard has looked at everything that has
# happened so far.  With a clock of tests time goes on by two seconds.

sub tick {
    my ($self) = @_;

    my $nginx = $self->{nginx};

    if ($self->{clock}) {
        $self->leap(2);

        # all of a large status is slow to decode

        wait_for {
            my $text = $nginx->request('GET', '/async_upload/status')->{body};

            @{$self->{names}} == grep { $_ ne 'null' && $_ < 2 }
                                     $text =~ /"last_tick_age_s":([^,}]+)/g;
        } 'a tick';

        return;
    }

    $nginx->next_tick(@{$self->{names}});
}


# $guarded->after(SECONDS): a tick after so many seconds of the guard's clock.

sub after {
    my ($self, $seconds) = @_;

    $self->leap($seconds - 2);
    $self->tick;
}


# What was answered before is also done with before time leaps.

sub leap {
    my ($self, $seconds) = @_;

    local $SIG{PIPE} = 'IGNORE';

    settle($_) for grep { $_ } @{$self->{clients}};

    $self->{nginx}->advance_clock($seconds);
}


# $guarded->state(NAME): "STATE, stage N, SHARE" with the share in basis points,
# "STATE, SHARE" without stages.

sub state {
    my ($self, $name) = @_;

    return state_of($self->{nginx}->status($name));
}


sub state_of {
    my ($rollout) = @_;

    my $stage = $rollout->{stage} ? $rollout->{stage}{number} : 0;

    return join ', ', $rollout->{state}, $stage ? "stage $stage" : (),
                      $rollout->{share_bp};
}


# $guarded->command(NAME, COMMAND, [PARAMETER => VALUE, ...]): the status of its
# answer, with the error if it is one.

sub command {
    my ($self, @args) = @_;

    my ($status, $answer) = $self->{nginx}->command(@args);

    $self->{answer} = $answer;

    return $status if $status == 200;

    return "$status " . ($answer->{error} // 'without JSON');
}


# $guarded->history(NAME): all that the journal has of a rollout, as data.

sub history {
    my ($self, $name) = @_;

    open my $fh, '<', "$self->{nginx}{dir}/logs/journal.jsonl"
        or die "no journal: $!\n";

    seek $fh, $self->{read} // 0, 0;

    while (my $line = <$fh>) {
        last if $line !~ /\n\z/;

        $self->{read} += length $line;

        my $event = decode_status($line);

        push @{$self->{history}{$event->{rollout}}}, $event;
    }

    return @{$self->{history}{$name} // []};
}


# $guarded->events(NAME): the same, since the last call.

sub events {
    my ($self, $name) = @_;

    my @events = $self->history($name);
    my $before = $self->{told}{$name} // 0;

    $self->{told}{$name} = @events;

    return @events[$before .. $#events];
}


# $guarded->told(NAME): the same as text, "EVENT by ACTOR: RULE; ...", the rule
# only where there is one, of a gate "opened" or "closed", and without what every
# rollout begins with.

sub told {
    my ($self, $name) = @_;

    return join '; ', map {
        my $rule = ($_->{event} eq 'gate' ? $_->{reason} : $_->{rule}) // 'none';
        my $text = "$_->{event} by $_->{actor}{kind}"
                   . ($rule ne 'none' ? ": $rule" : '');

        $text =~ /^(?:started by config|baseline by guard)/ ? () : $text;
    } $self->events($name);
}


# $guarded->stop([PATTERN, ...]): tests that every upload was counted once, and
# that nothing else is in the error log but rollbacks.

sub stop {
    my ($self, @expected) = @_;

    my @bad;

    for my $name (@{$self->{names}}) {
        push @bad, map { "$name: $_" }
                       violations($self->{nginx}->quiet($name), quiet => 1);
    }

    Test::More::ok(!@bad, 'every upload is counted once')
        || Test::More::diag(map { "    $_\n" } @bad);

    $self->{nginx}->stop(qr/\[error\] .*async_upload "\w+": .*rollback/i,
                         @expected);
}


1;
