#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# An async arm without a live server: a restart of the service is waited for, an
# outage is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


my $guarded = Guarded->new(clock => 1);

# servers that nobody is at, and that are not tried again

my $dead = join ' ', map { "server 127.0.0.1:$_ fail_timeout=1h;" }
                         free_port(), free_port();

# a service that is restarted; how many uploads are turned away until it is
# found again is left to the machine, so that no rule may count them

my @ports = (free_port(), free_port());
my @service = (port => $ports[0], http => <<"END");
    server {
        listen 127.0.0.1:$ports[0];
        listen 127.0.0.1:$ports[1];
        return 202;
    }
END

my $service = AsyncUpload->start(@service);

$guarded->add('restart', 'async_upload_rollback run=0 min_uploads=1000000;'
    . ' async_upload_statistics plain confirm=20s;',
    async => join ' ', map { "server 127.0.0.1:$_ fail_timeout=1s;" } @ports);
$guarded->add($_, '', async => $dead) for qw(outage two);
$guarded->add('minute',
    'async_upload_statistics plain confirm=60s;', async => $dead);
$guarded->add('off', 'async_upload_rollback off;', async => $dead);
$guarded->add('unmasked', 'async_upload_fallback off;', async => $dead);
$guarded->add('one', '', async => 'server 127.0.0.1:' . free_port() . ';');

my $nginx = $guarded->start;


sub turned_away {
    my ($name) = @_;

    return $nginx->status($name)->{arms}{async}{by_class}{no_live_peer} // 0;
}


sub is_at {
    my ($name, $state, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($guarded->state($name), $state, "$name: $title");
}


# a restart of two seconds

is($guarded->uploads('restart', 'async', ('ok') x 10), '202 10',
   'restart: async serves');

$service->stop;

wait_for {
    $guarded->uploads('restart', 'async', 'ok') eq 's1 1'
        or fail('restart: sync serves what async does not');

    turned_away('restart') >= 3;
} 'three uploads that are turned away';

$guarded->tick;
is_at('restart', 'running, 5000', 'two seconds after the first it waits');

$service = AsyncUpload->start(@service);

wait_for { $guarded->uploads('restart', 'async', 'ok') eq '202 1' }
    'the service to be found again';


# outages

$guarded->uploads($_, 'async', ('ok') x 5) for qw(outage minute off unmasked);
$guarded->uploads('two', 'async', ('ok') x 4);

is(turned_away($_), 3, "$_: three uploads are turned away")
    for qw(outage minute off unmasked);
is(turned_away('two'), 2, 'two: two uploads are turned away');

$guarded->tick;
is_at($_, 'running, 5000', 'nothing happens within two seconds')
    for qw(outage unmasked);

$guarded->after(6);

is_at($_, 'rolled_back, 0', 'after five seconds it is rolled back')
    for qw(outage unmasked);

my ($event) = grep { $_->{event} eq 'rollback' } $guarded->events('outage');

is($event->{rule}, 'no_live_peer', 'outage: an event says why');
is($event->{unit}, 'ms', 'outage: it has seen milliseconds');
is($event->{limit}, 5000, 'outage: so many are allowed');
cmp_ok($event->{value}, '>=', 8000, 'outage: it was more');

is_at('two', 'running, 5000', 'two that were turned away are not enough');
is_at('minute', 'running, 5000', 'nor are seconds where a minute is asked for');
is_at('off', 'running, 5000', 'nor is anything where nothing rolls back');

$guarded->uploads('two', 'async', 'ok');
$guarded->tick;
is_at('two', 'rolled_back, 0', 'a third one is');

$guarded->after(60);
is_at('restart', 'running, 5000', 'what was before async served is forgotten');
is_at('minute', 'rolled_back, 0', 'a minute is in the end');
is($guarded->told('minute'), 'rollback by guard: no_live_peer',
   'minute: an event says why');


# The only server is never given up: these are failures to connect.

is($guarded->uploads('one', 'async', ('ok') x 6), 's1 6',
   'one: sync serves everybody');
is($guarded->told('one'), 'rollback by guard: consecutive',
   'one: failures to connect are a run');

conserved($nginx->quiet($_), "$_: every upload is counted once")
    for @{$guarded->{names}};

$service->stop;
$guarded->stop(qr/connect\(\) failed \(111: /, qr/no live upstreams/);

done_testing();
