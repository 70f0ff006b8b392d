#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# conf.d/demo.conf, as people copy it, with a share of conf.d/rollout.conf: both
# services keep what they were sent, and the journal of conf.d/metrics.conf
# agrees with the status.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Demo;
use Digest::SHA qw(sha256_hex);
use JSON::PP;
use Test::More;


my $nginx = Demo->start(flags => 'rollout.conf');

my $dir = $nginx->{dir};
my %port = %{$nginx->{ports}};

my $rollout = $nginx->status('uploads');

is($rollout->{state}, 'off', 'the flags start off');


# upload(PORT, METHOD, BODY, ...): the status, after what the Location of the
# answer holds was compared.

my $client = 0;
my $sent = 0;

sub upload {
    my ($port, $method, $body, %args) = @_;

    my $answer = http_request($port, $method, '/upload', body => $body,
                              headers => ['X-Client-ID', 'client-' . $client++],
                              %args);

    $sent++ if $port == $port{8080};

    my $where = $answer->{headers}{location} // '';
    my $stored = http_request($port{8080}, 'GET', $where);
    my $title = "$method of " . length($body) . " bytes"
                . ($args{chunked} ? ', chunked' : '');

    is(sha256_hex($stored->{body}), sha256_hex($body),
       "$title is kept at $where");

    return $answer->{status};
}


# each service, at any size; the second by itself, as nothing is sent to it

my @bodies = ('', 'x', join('', map { chr } 0 .. 255) x 64,
              pack('N*', map { $_ * 2654435761 % 2**32 } 1 .. 750_000));

for my $body (@bodies) {
    for my $method (qw(POST PUT PATCH)) {
        is(upload($port{8080}, $method, $body), 201,
           'today\'s service answers 201');
        is(upload($port{8082}, $method, $body), 202,
           'the new one answers 202');
    }

    upload($port{8080}, 'POST', $body, chunked => 1);
    upload($port{8082}, 'POST', $body, chunked => 1);
}

is(http_request($port{8080}, 'POST', '/upload')->{status}, 400,
   'an upload without a body is refused');
$sent++;

is(http_request($port{8080}, 'PUT', '/files/0', body => 'x')->{status}, 403,
   'nothing can be stored under a name of the client\'s');
is(http_request($port{8081}, 'PUT', '/files/0', body => 'x')->{status}, 201,
   'but by the service itself');


# turned on

spew("$dir/conf/rollout.conf",
     "async_upload_enabled on; async_upload_rollout 50%;\n");

$nginx->reload;

my %seen;

$seen{upload($port{8080}, 'POST', "body $_")}++ for 1 .. 40;

is(join(' ', sort keys %seen), '201 202', 'at 50% both services are used');

spew("$dir/conf/rollout.conf",
     "async_upload_enabled on; async_upload_rollout 100%;\n");

$nginx->reload;

is(upload($port{8080}, $_, 'all'), 202, 'at 100% the new one alone')
    for qw(POST PUT PATCH);


# the journal, once the last upload is in it

my $journal = "$dir/logs/async_upload_rollout/metrics.jsonl";

wait_for { (slurp($journal) =~ tr/\n//) >= $sent } 'the journal';

$rollout = $nginx->quiet('uploads');
conserved($rollout);

my (%lines, %files);
my @lines = split /\n/, slurp($journal);

is(scalar @lines, $sent, 'the journal has one line for each upload');

for (@lines) {
    my $line = eval { JSON::PP->new->utf8->decode($_) };

    if (!defined $line) {
        fail("no JSON: $_");
        next;
    }

    my $types = join ' ', map { "$_:" . kind($line->{$_}) } sort keys %$line;

    is($types, 'duration_ms:number error_type:string execution_type:string'
               . ' fallback_used:boolean file_size_mb:number'
               . ' request_id:string success:boolean timestamp:string',
       'the fields of a line') if !$files{$types}++;

    my $arm = $line->{execution_type} eq 'sync' ? 'sync' : 'async';

    $lines{$arm}{uploads}++;
    $lines{$arm}{success}++ if $line->{success};
    $lines{$arm}{masked}++ if $line->{fallback_used};
    $lines{$arm}{missing}++
        if $line->{success} && !-e "$dir/data/$arm/$line->{request_id}";
}

for my $arm (qw(sync async)) {
    for my $field (qw(uploads success masked)) {
        is($lines{$arm}{$field} // 0, $rollout->{arms}{$arm}{$field},
           "the journal and the status agree: $arm $field");
    }

    is($lines{$arm}{missing}, undef,
       "a request_id of the journal is the name of the file: $arm");
}


# a dead service is masked, and the journal says so

my $dead = free_port();

$nginx->edit('nginx.conf', sub {
    s/(upload_async \{\s+server +127\.0\.0\.1:)\d+/$1$dead/;
});

$nginx->reload;

is(upload($port{8080}, 'POST', 'masked'), 201, 'a dead service is masked');

wait_for { (slurp($journal) =~ tr/\n//) >= $sent } 'the journal';

my $last = decode_status((split /\n/, slurp($journal))[-1]);

is($last->{execution_type}, 'sync_fallback', 'the journal says so');
is($last->{error_type}, 'connect', 'and why');
ok($last->{fallback_used}, 'and that sync has served');


$nginx->stop(qr/access forbidden by rule/, qr/connect\(\) failed/);

done_testing();


# kind(VALUE): what JSON made of it.

sub kind {
    my ($value) = @_;

    return 'boolean' if JSON::PP::is_bool($value);

    return JSON::PP->new->allow_nonref->encode($value) =~ /^"/ ? 'string'
                                                               : 'number';
}
