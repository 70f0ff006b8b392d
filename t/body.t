#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Bodies of any size and kind are the same at sync after async has failed at
# any point, and nothing is left of them afterwards.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Digest::SHA qw(sha256_hex);
use Outcome;
use Rollouts;
use Stub;
use Test::More;


# what async does; whether it had the whole body before

my @faults = (
    ['a1=503', 1, 'http_503'],
    ['a1=drop', 1, 'reset'],
    ['a1=reset-end', 1, 'reset'],
    ['a1=reset-half', 0, 'reset'],
    ['a1=reset-head', 0, 'reset'],
);

my %locations = (
    plain => '',
    large_buffer => 'client_body_buffer_size 4m;',
    single_buffer => 'client_body_in_single_buffer on;
                      client_body_buffer_size 4m;',
    file_clean => 'client_body_in_file_only clean;',
    file_kept => 'client_body_in_file_only on;',
    old_version => 'proxy_http_version 1.0;',
    no_sendfile => 'sendfile off;',
    sendfile => 'sendfile on;',
);

my $noise = join '', map { chr rand 256 } 1 .. 65537;
my $stub = Stub->start(qw(a1 s1));
my $rollouts = Rollouts->new($stub, dead => my $dead = free_port());

for my $name (sort keys %locations) {
    $rollouts->add($name, async => 'a1;', sync => 's1;',
                   rollout => 'async_upload_fallback failure replay=always;',
                   location => $locations{$name});
}

$rollouts->add('refused', async => 'dead;', sync => 's1;');
$rollouts->add('set', async => 'a1;', sync => 's1;',
               rollout => 'async_upload_fallback failure replay=always;',
               location => 'proxy_set_body "$request_body at $async_upload_arm";
                            client_body_buffer_size 4m;
                            client_body_in_single_buffer on;');
$rollouts->add('file_name', async => 'a1;', sync => 's1;',
               rollout => 'async_upload_fallback failure replay=always;',
               location => 'client_body_in_file_only clean;
                            proxy_pass_request_body off;
                            proxy_set_header Content-Length "";
                            proxy_set_header X-File $request_body_file;');

my $nginx = $rollouts->start;
my $outcome = Outcome->new($nginx, $stub);
my (%sums, %counted);


sub body {
    my ($size) = @_;

    return substr $noise x (1 + int $size / length $noise), 0, $size;
}

sub sum {
    my ($size) = @_;

    return $sums{$size} //= sha256_hex(body($size));
}


# Uploads of these sizes to a rollout, for each fault, at once.

sub uploads {
    my ($name, $sizes, %args) = @_;

    my @uploads;

    for my $fault (@{$args{faults} // \@faults}) {
        for my $size (@$sizes) {
            push @uploads, {
                to => $name, fault => $fault, what => $fault->[0],
                size => $size // 0, chunked => $args{chunked},
                body => defined $size ? body($size) : undef,
                method => $args{method},
            };
        }
    }

    my @got = $rollouts->play(@uploads);

    for my $upload (@uploads) {
        my $got = shift @got;
        my (undef, $whole, $class) = @{$upload->{fault}};
        my $sum = sum($upload->{size});

        is("$got->{status} $got->{body}, $got->{error}, "
           . "at $got->{at}: $got->{sha256}",
           "200 s1, $class, at " . ($whole ? "a1 s1: $sum $sum" : "s1: $sum"),
           "$name: $upload->{size} bytes, $upload->{what}"
           . ($args{chunked} ? ', chunked' : ''));

        $counted{$name}{"failure $class"}++;
        $counted{$name}{$_}++ for qw(masked served);
    }
}

my @sizes = (0, 1, 16383, 16384, 16385, 3145728);

for my $name (sort keys %locations) {
    for my $chunked (0, 1) {

        # half of nothing, or of what is chunked, has never come

        my @some = grep { !$chunked || $_->[0] ne 'a1=reset-half' } @faults;

        uploads($name, [@sizes], chunked => $chunked, faults => \@some);
    }
}

uploads('plain', [undef]);
uploads('refused', [undef, @sizes], faults => [['', 0, 'connect']]);

uploads('plain', [67108864],
        faults => [['a1=503', 1, 'http_503'], ['a1=reset-half', 0, 'reset']]);

# What came with the head and was put into a file is read again into a buffer
# that had been forgotten if the connection was reset between the two: sync was
# sent the head alone.

uploads('file_clean', [(1) x 50],
        faults => [['a1=reset-head', 0, 'reset']]) for 1 .. 3;

# a large one at a time is enough

uploads('plain', [67108864], chunked => 1, faults => [['a1=drop', 1, 'reset']]);
uploads('file_clean', [67108864], faults => [['a1=drop', 1, 'reset']]);


# Bodies that nginx makes itself are made anew.

for (@faults) {
    my ($what, $whole, $class) = @$_;

    my ($got) = $rollouts->play({ to => 'set', what => $what,
                                  body => body(16385) });

    my ($async, $sync) = map { sha256_hex(body(16385) . " at $_") }
                             qw(async sync);

    is("$got->{body}, $got->{sha256}",
       's1, ' . ($whole ? "$async $sync" : $sync), "proxy_set_body, $what");

    $counted{set}{"failure $class"}++;
    $counted{set}{$_}++ for qw(masked served);
}

my ($got) = $rollouts->play({ to => 'file_name', what => 'a1=503',
                              body => body(3) });

my @files = map { $_->{headers}{'x-file'} }
                @{$rollouts->{requests}{$got->{id}}};

is("$got->{body}, $got->{sha256}", 's1, ' . sum(0) . ' ' . sum(0),
   'a body that is not passed on');
like($files[0], qr{^/.*/client_body/}, 'async is told the file');
is($files[1], $files[0], 'sync is told the same one');

$counted{file_name} = { 'failure http_503' => 1, masked => 1, served => 1 };


for my $name (sort keys %counted) {
    my $expected = join ', ', map { "$_: $counted{$name}{$_}" }
                                  sort keys %{$counted{$name}};

    is($outcome->counted($name), $expected, "$name: every upload is counted");
}


# Only those that nginx was told to keep are left.

my ($kept, @left) = 0;

for my $file ($rollouts->files) {
    my $sum = sha256_hex(slurp($file));

    if (grep { $sum eq sum($_) } @sizes) {
        $kept++;

    } else {
        push @left, $file;
    }
}

my $uploads = 0;

$uploads += $_->{uploads} for values %{$nginx->status('file_kept')->{arms}};

is_deeply(\@left, [], 'no file is left behind');
is($kept, $uploads, 'but those that were to be kept');

$nginx->stop(
    qr/connect\(\) failed \(111: Connection refused\)/,
    qr/upstream prematurely closed connection/,
    qr/(?:recv|readv|send|sendfile|writev)\(\) failed \((?:32|104): /,
);

done_testing();
