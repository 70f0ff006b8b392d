#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Whether the decisions of a journal are made again.  The journals are those of
# unit/dossier.c.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/unit";

use Unit;


my $decisions = 60;
my $others = 20;        # a third of that
my $rest = $decisions - 1;

my $replay = Unit::path('replay');
my $dossier = Unit::path('dossier');
my $temp = tempdir(CLEANUP => 1);
my $json = JSON::PP->new->canonical->allow_bignum(0);


# Returns the exit status and the output, stderr last.

sub replay {
    my (@args) = @_;

    my $args = join ' ', map { "\"$_\"" } @args;
    my $output = `"$replay" $args 2>&1`;

    die "$replay: killed by signal " . ($? & 127) . "\n" if $? & 127;

    return ($? >> 8, $output);
}


sub file_of {
    my (@lines) = @_;

    open my $fh, '>', "$temp/journal" or die "$temp/journal: $!\n";
    print $fh @lines;
    close $fh or die "$temp/journal: $!\n";

    return "$temp/journal";
}


my @lines = `"$dossier" write $decisions`;

# Decisions that a changed number must change: a rollback by what was seen.

my ($n) = grep { $lines[$_] =~ /"record":\{[^{]*"reason":"complaints"/ }
               0 .. $#lines;

ok(defined $n && @lines == $decisions + $others,
    'there is a journal, with a decision that will be changed');

my ($status, $output) = replay(file_of(@lines));

is($status, 0, 'a journal is decided again as it was');
is(() = $output =~ /: the same$/mg, $decisions, 'each of its decisions');
like($output, qr/^$decisions decided the same, 0 differently, 0 cannot be /m,
    'and they are counted');
like($output, qr/; $others other events, 0 lines/m,
    'beside the events that are none');


sub with {
    my ($change) = @_;

    my $event = $json->decode($lines[$n]);

    $change->($event->{record});

    my @changed = @lines;
    $changed[$n] = $json->encode($event) . "\n";

    return replay(file_of(@changed));
}

($status, $output) = with(sub { delete $_[0]{seen}{complaints} });

is($status, 1, 'a decision that is not made any more fails');

my $line = $n + 1;

like($output, qr/^$line: \S+ uploads review, review, complaints \([\d.e+]+, /m,
    'its line is named, and what was decided');
like($output, qr/^$line: .*: now \w+, \w+ \(/m, 'and what is decided now');
like($output, qr/^$rest decided the same, 1 differently, /m,
    'and it is counted');

($status, $output) = with(sub { $_[0]{value}++ });

is($status, 1, 'so does one with another figure');

($status, $output) = with(sub { $_[0]{rules}{luck} = 1 });

is($status, 1, 'one of a rule that is not known fails');
like($output, qr/^$line: .* cannot be decided again: unknown "luck" of rules$/m,
    'and this is told');

($status, $output) = with(sub { $_[0]{version} = 2 });

like($output, qr/^$line: .* cannot be decided again: it is of another version/m,
    'so is another version');

($status, $output) = replay(file_of(@lines, substr($lines[0], 0, 100)));

is($status, 0, 'a line that was cut short is no decision');
like($output, qr/, 1 lines that are none$/m, 'but counted');

($status, $output) = replay(file_of("\n", '{"event":"pause"}', "\n"));

is($status, 2, 'without a decision nothing is decided again');
like($output, qr/^replay: \S+journal: there is nothing to decide again$/m,
    'and this is told');

($status, $output) = replay("$temp/none");

is($status, 2, 'a journal must be there');
like($output, qr/\Areplay: \S+none: No such file/, 'or the reason is told');

($status, $output) = replay();

is($status, 2, 'it must be named');

done_testing();
