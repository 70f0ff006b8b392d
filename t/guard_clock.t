#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The module as people have it goes by the clock of the system, and has no
# other; what time does is seen with it, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;
use Time::HiRes qw(time);


my ($module, $clock) = map { slurp($_) } @ENV{qw(TEST_NGINX_LOAD_MODULES
                                                ASYNC_UPLOAD_CLOCK_MODULE)};

for ('ASYNC_UPLOAD_TEST_CLOCK', 'async_upload_zone_offset') {
    like($clock, qr/$_/, "the module of tests has $_");
    unlike($module, qr/$_/, 'the one of people has not');
}


my $guarded = Guarded->new;

my $dead = join ' ', map { "server 127.0.0.1:$_ fail_timeout=1h;" }
                         free_port(), free_port();

$guarded->add('soak', 'async_upload_advance auto; async_upload_stage 10%'
    . ' min_uploads=10 latency=off soak=2s; async_upload_stage 50%'
    . ' min_uploads=10 latency=off;');
$guarded->add('confirm', 'async_upload_statistics plain confirm=2s;',
              async => $dead);

my $began = time;
my $nginx = $guarded->start;


# since(NAME, EVENT, BEGAN): so many seconds after a time that has happened, by
# the test's clock and the journal's.

sub since {
    my ($name, $event, $began) = @_;

    my $found;

    wait_for {
        ($found) = grep { $_->{event} eq $event } $guarded->history($name);
    } "$name: $event";

    my $seconds = time - $began;

    cmp_ok($seconds, '>=', 2, "$name: not before two seconds");
    like($found->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/,
         "$name: the journal has the time");

    return $seconds;
}


my $turned = time;

$guarded->uploads('soak', 'async', ('ok') x 10);
$guarded->uploads('confirm', 'async', ('ok') x 5);

# a wide margin, for busy machines: the point is that it comes without a command

cmp_ok(since('soak', 'advance', $began), '<', 20, 'soak: but soon after');
cmp_ok(since('confirm', 'rollback', $turned), '<', 20,
       'confirm: but soon after');

is($guarded->state('soak'), 'running, stage 2, 5000', 'soak: it has advanced');
is($guarded->state('confirm'), 'rolled_back, 0', 'confirm: it is rolled back');

$guarded->stop(qr/connect\(\) failed \(111: /, qr/no live upstreams/);

done_testing();
