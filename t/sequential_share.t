#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# A share of uploads that is far from that of identities is said once: few
# clients send most of them, or the key does not tell clients apart.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


my $guarded = Guarded->new(clock => 1, sequential => 1);

my $calm = 'async_upload_review off;';

$guarded->add($_, $calm) for qw(less half few again);
$guarded->add($_, "$calm async_upload_rollout 40%;") for qw(twice more);
$guarded->add('none', "$calm async_upload_rollout 0%;");
$guarded->add('all', "$calm async_upload_rollout 100%;");
$guarded->add('plain', "$calm async_upload_statistics plain;");

my $nginx = $guarded->start;


# said(NAME): the shares that the log has of it.

sub said {
    my ($name) = @_;

    return join ', ', slurp("$nginx->{dir}/logs/error.log")
        =~ /\[warn\]\ .*async_upload\ "$name":\ async\ gets\ (\d+\ bp)
            \ of\ the\ uploads\ at\ a\ share\ of\ (\d+\ bp):/xg;
}


sub uploads {
    my ($name, $async, $sync) = @_;

    $guarded->uploads($name, 'async', ('ok') x $async);
    $guarded->uploads($name, 'sync', ('ok') x $sync);
}


# Of so many async ought to have had a hundred.

uploads('less', 49, 151);
uploads('plain', 49, 151);
uploads('again', 49, 151);
uploads('half', 50, 150);
uploads('twice', 200, 50);
uploads('more', 201, 49);
uploads('few', 0, 199);
uploads('none', 0, 200);
uploads('all', 200, 0);
$guarded->tick;

is(said('less'), '2450 bp, 5000 bp', 'less than half is said');
is(said('more'), '8040 bp, 4000 bp', 'and so is more than twice');
is(said('plain'), '2450 bp, 5000 bp', 'whatever it is decided by');
is(said($_), '', "$_: nothing is said") for qw(half twice few none all);

uploads('few', 0, 1);
uploads('less', 0, 100);
$guarded->tick;
$guarded->tick;

like(said('few'), qr/^[01] bp, 5000 bp\z/,
     'none at all is said when it cannot be luck');
is(said('less'), '2450 bp, 5000 bp', 'it is said once');

is($guarded->command('again', 'restart'), 200, 'it is observed anew');
$guarded->tick;
is(said('again'), '2450 bp, 5000 bp', 'nothing is said of before');
uploads('again', 150, 50);
$guarded->tick;
is(said('again'), '2450 bp, 5000 bp', 'when it is as it should be nothing is');
is($guarded->command('again', 'restart'), 200, 'it is observed anew');
uploads('again', 20, 180);
$guarded->tick;
is(said('again'), '2450 bp, 5000 bp, 1000 bp, 5000 bp',
   'when it is not it is said again');

$guarded->stop;

done_testing();
