
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Outcome;

# What became of uploads at a rollout that has Stub's servers behind it: those
# of the async arm have names that begin with "a", those of sync with "s".
#
#     my $outcome = Outcome->new($nginx, $stub);
#
#     is($outcome->upload('/upload', 'a1=500'), '200 at a1+s1');
#     is($outcome->counted('uploads'),
#        'failure http_500: 1, masked: 1, served: 1');
#
# The location has to tell its servers the arm in a header X-Arm.

use strict;
use warnings;

use AsyncUpload;
use Digest::SHA qw(sha256_hex);
use Test::More ();


sub new {
    my ($class, $nginx, $stub) = @_;

    return bless { nginx => $nginx, stub => $stub, before => {} }, $class;
}


# One upload: "STATUS at SERVERS", which are those that had the whole request,
# in their order.  A test fails if one of them had another body, or a header
# that names the other arm.  Arguments: method, body, headers, chunked, port,
# client (in place of http_request).

sub upload {
    my ($self, $uri, $what, %args) = @_;

    my $method = delete $args{method} // 'POST';

    $args{body} //= 'the body';
    $args{headers} = ['X-Stub' => $what // '', @{$args{headers} // []}];

    $self->{stub}->requests;

    my $client = delete $args{client} // \&http_request;
    my $answer = $client->(delete $args{port} // $self->{nginx}{port},
                           $method, $uri, %args);

    return "$answer->{status} at "
           . join '+', map { $_->{stub} } $self->arrived($args{body});
}


# The requests since the last call, all of which had to have this body.

sub arrived {
    my ($self, $body) = @_;

    my @requests = $self->{stub}->requests;

    for (@requests) {
        my $arm = $_->{stub} =~ /^a/ ? 'async' : 'sync';
        my $told = $_->{headers}{'x-arm'} // '';

        Test::More::fail("$_->{stub}: the body is whole: $_->{length} bytes")
            if $_->{sha256} ne sha256_hex($body);

        Test::More::fail("$_->{stub}: it is told its own arm, not \"$told\"")
            if $told ne $arm;
    }

    return @requests;
}


# What was counted of a rollout since the last call: "RESULT: N, ...".

sub counted {
    my ($self, $name) = @_;

    my $rollout = $self->{nginx}->quiet($name);
    my ($async, $sync) = @{$rollout->{arms}}{qw(async sync)};

    if (my @bad = violations($rollout, quiet => 1)) {
        Test::More::fail("$name: every upload is counted once");
        Test::More::diag(map { "    $_\n" } @bad);
    }

    my %now = (
        map({ ($_ => $async->{$_}) } qw(success rejected aborted cut masked)),
        map({ ("failure $_" => $async->{by_class}{$_}) }
            keys %{$async->{by_class}}),
        served => $rollout->{fallback}{served},
        unserved => $rollout->{fallback}{failed},
        sync => $sync->{uploads},
    );

    my $before = $self->{before}{$name} // {};

    $self->{before}{$name} = \%now;

    return join ', ', map { my $n = $now{$_} - ($before->{$_} // 0);
                            $n ? "$_: $n" : () } sort keys %now;
}


1;
