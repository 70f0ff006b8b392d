
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Rollouts;

# Many rollouts in one nginx, and uploads to them side by side.
#
#     my $rollouts = Rollouts->new($stub, dead => $dead);
#
#     $rollouts->add('off', async => 'a1;', sync => 's1 max_fails=0; s2;',
#                    rollout => 'async_upload_fallback off;',
#                    location => 'proxy_read_timeout 1s;');
#
#     my $nginx = $rollouts->start;
#     my ($first, $second) = $rollouts->play(
#         { to => 'off', what => 'a1=500', method => 'PUT', body => 'x' },
#         { to => 'off', what => 'a1=hang' });
#
# A rollout is at 100%, whatever fails, and has a location of its name.  In
# "async" and "sync" the names of Stub's servers, and of the ports given to
# new(), stand for "server ADDRESS".
#
# What became of an upload is a hash:
#
#     status, body, headers, truncated    the client's answer, as read_response
#     tried       the servers of all attempts, by their names
#     sent, took  the bytes sent in each of them, and the seconds it took
#     at          the servers that had the whole request, in their order
#     arms        which arm each of these was told to be
#     sha256      the body that each of these had
#     execution, success, error, fallback, reason, arm, counted
#                 $async_upload_... at log time
#
# Lists are joined by blanks.

use strict;
use warnings;

use AsyncUpload;
use JSON::PP;
use List::Util qw(max);
use Time::HiRes qw(time);


my $format = join ',', map { qq("$_->[0]":"\$$_->[1]") } (
    [id => 'http_x_id'], [tried => 'upstream_addr'],
    [sent => 'upstream_bytes_sent'], [took => 'upstream_response_time'],
    map { [$_ => "async_upload_$_"] }
        qw(execution success error fallback reason arm counted),
);


sub new {
    my ($class, $stub, %ports) = @_;

    %ports = (%ports, %{$stub->{ports}});

    return bless {
        stub => $stub, port => free_port(), http => '', locations => '',
        servers => { map { ($_ => "127.0.0.1:$ports{$_}") } keys %ports },
        requests => {}, uploads => 0,
    }, $class;
}


# $rollouts->add(NAME, async => TEXT, sync => TEXT, [rollout => TEXT],
# [location => TEXT], [scheme => 'https'], [share => PERCENT]).

sub add {
    my ($self, $name, %args) = @_;

    my ($async, $sync) = map { $self->servers($_) } @args{qw(async sync)};
    my $rollout = $args{rollout} // '';
    my $share = $args{share} // 100;

    $self->{http} .= <<"END";
    upstream async_$name {
        $async
    }

    upstream $name {
        $sync
        async_upload async_$name zone=$name:512k;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout $share%;
        $rollout
    }

END

    $self->location($name, $name, %args);
}


# $rollouts->location(NAME, ROLLOUT, [location => TEXT], ...): one more.

sub location {
    my ($self, $name, $to, %args) = @_;

    my $location = $args{location} // '';
    my $scheme = $args{scheme} // 'http';

    $self->{locations} .= <<"END";
        location /$name {
            $location
            proxy_pass $scheme://$to;
        }

END
}


sub servers {
    my ($self, $text) = @_;

    my $names = join '|', keys %{$self->{servers}};

    return $text =~ s/\b($names)\b/server $self->{servers}{$1}/gr;
}


# $rollouts->start([http => TEXT], ...): arguments as AsyncUpload->start's.

sub start {
    my ($self, %args) = @_;

    my $http = delete $args{http} // '';

    return $self->{nginx} = AsyncUpload->start(
        %args, port => $self->{port}, http => <<"END");
    log_format uploads escape=json '{$format}';

    client_body_buffer_size 16k;
    client_max_body_size 0;

    $http
    $self->{http}

    server {
        listen 127.0.0.1:$self->{port};

        access_log logs/uploads.log uploads;
        lingering_close off;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Arm \$async_upload_arm;

        $self->{locations}

        location = /async_upload/status {
            access_log off;
            async_upload_status;
        }
    }
END
}


# $rollouts->begin(UPLOAD): sends it; returns it for finish().  An upload is
# { to => NAME, [what => TEXT for Stub], [method], [headers], [body],
# [chunked] }; without a body it has a short one, with undef none.

sub begin {
    my ($self, $upload) = @_;

    my %args = map { ($_ => $upload->{$_}) }
                   grep { defined $upload->{$_} } qw(body chunked);

    $args{body} = 'the body' if !exists $upload->{body};

    $upload->{id} = 'upload-' . ++$self->{uploads};
    $upload->{method} //= 'POST';

    $upload->{socket} = send_request(
        $self->{port}, $upload->{method}, "/$upload->{to}", %args,
        headers => ['X-Id' => $upload->{id}, 'X-Stub' => $upload->{what} // '',
                    @{$upload->{headers} // []}])
        or die "nginx is gone\n";

    return $upload;
}


# $rollouts->finish(UPLOAD, ...): reads the answers; returns what became of
# each.

sub finish {
    my ($self, @uploads) = @_;

    # where one is not answered in time the others have had theirs

    my $end = time + $AsyncUpload::Deadline;

    my @answers = map {
        read_response(delete $_->{socket}, max($end - time, 1), $_->{method})
    } @uploads;

    my $log = $self->log(@uploads);

    $self->collect;

    return map {
        my $answer = shift @answers;
        my $line = $log->{$_->{id}};
        my @at = @{$self->{requests}{$_->{id}} // []};

        +{
            %$answer, %$line,
            tried => $self->names($line->{tried}),
            map({ ($_ => $line->{$_} =~ tr/,//dr) } qw(sent took)),
            at => join(' ', map { $_->{stub} } @at),
            arms => join(' ', map { $_->{headers}{'x-arm'} // '' } @at),
            sha256 => join(' ', map { $_->{sha256} } @at),
        };
    } @uploads;
}


sub play {
    my ($self, @uploads) = @_;

    return $self->finish(map { $self->begin($_) } @uploads);
}


# $rollouts->arrived(UPLOAD, ...): waits until a server has had all of each.

sub arrived {
    my ($self, @uploads) = @_;

    wait_for {
        $self->collect;

        !grep { !$self->{requests}{$_->{id}} } @uploads;
    } 'uploads at their servers';
}


# What the servers had since the last call.

sub collect {
    my ($self) = @_;

    push @{$self->{requests}{$_->{headers}{'x-id'} // ''}}, $_
        for $self->{stub}->requests;
}


# $rollouts->leave(UPLOAD, ...): has the clients gone, and nginx see it.

sub leave {
    my ($self, @uploads) = @_;

    close delete $_->{socket} for @uploads;

    my $log = $self->log(@uploads);

    return map { $log->{$_->{id}} } @uploads;
}


# What nginx' access log says of uploads, once it does, by their numbers.

sub log {
    my ($self, @uploads) = @_;

    my ($json, %log) = JSON::PP->new->utf8;

    wait_for {
        my ($lines) = slurp("$self->{nginx}{dir}/logs/uploads.log")
                      =~ /\A(.*\n)/s;

        %log = map { ($_->{id} => $_) }
                   map { $json->decode($_) } split /\n/, $lines // '';

        !grep { !$log{$_->{id}} } @uploads;
    } 'uploads in the log';

    return \%log;
}


# The servers of $upstream_addr, by their names.

sub names {
    my ($self, $text) = @_;

    my %name = reverse %{$self->{servers}};

    return join ' ', map { $name{$_} // $_ } split /, /, $text;
}


# The files that nginx has put bodies into and not removed yet.

sub files {
    my ($self) = @_;

    my @files = glob "$self->{nginx}{dir}/temp/*/*";

    push @files, map { glob "$_/*" } @files;
    push @files, map { glob "$_/*" } @files;

    return grep { -f && !m{/async_upload/} } @files;
}


1;
