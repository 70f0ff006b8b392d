#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# No budget of instructions, clock reads and locks is missed.  The figures are
# counted, so they do not depend on what else the machine does.

use strict;
use warnings;

use File::Temp;
use FindBin;
use JSON::PP;
use Test::More;


my $json = File::Temp->new;

open my $run, '-|', "$FindBin::Bin/bench/run", '--quick', "--json=$json"
    or die "cannot run bench/run: $!\n";

my @table = <$run>;

close $run;
diag($_) for @table;

my $status = $? >> 8;
my $result = eval { JSON::PP->new->decode(do { local $/; <$json> }) };
my @checks = @{$result->{checks} // []};

cmp_ok(@checks, '>', 0, 'the benchmark comes to its end');

for (@checks) {
    my ($what, $figure, $budget) = @$_{qw(what figure budget)};

    cmp_ok($figure, '<=', $budget, "the budget is not missed: $what");
}

is($status, grep({ !$_->{met} } @checks) ? 1 : 0,
   'its exit status says whether a budget is missed');

done_testing();
