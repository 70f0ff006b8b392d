
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Evidence;

# The detector of a rollout as it is defined, without the module's own code: a
# bet, which begins with little money, against "each event is bad with a
# probability of at most p0".
#
#     my $bet = Evidence->new(p0 => 0.005);
#
#     $bet->tick(1, 99);              # 1 was bad and 99 were good
#     $bet->tick(2, 0);
#
#     is(near($bet->value), ...);     # the evidence, and ->rate, that of now
#
# Each bettor believes that the odds are so many times those of p0.  A bit of
# money is put in at each tick with events, half of it at the first and half of
# it in all others of a horizon.

use strict;
use warnings;

use Exporter qw(import);
use List::Util qw(max min sum0);
use POSIX qw(ceil lgamma);

our @EXPORT = qw(is_near likely successes);

my @odds = (1.25, 1.5, 2, 3, 4, 6, 9, 14, 25, 60, 200, 1000);


# Evidence->new(p0 => P, [horizon => SECONDS], [threshold => N]).

sub new {
    my ($class, %args) = @_;

    return bless { horizon => 86400, threshold => 1000, %args,
                   held => [(0) x @odds], ticks => 0 }, $class;
}


sub copy {
    my ($self) = @_;

    return bless { %$self, held => [@{$self->{held}}] }, ref $self;
}


# $bet->tick(BAD, GOOD, [P0]): P0 if it is another one by now.

sub tick {
    my ($self, $bad, $good, $p0) = @_;

    return $self if $bad + $good == 0;

    $p0 //= $self->{p0};

    my $stake = $self->{ticks}++ ? 1 / (2 * $self->{horizon}) : 1 / 2;

    for my $k (0 .. $#odds) {
        my $q = $self->believed($k, $p0);
        my $gain = $bad * log($q / $p0) + $good * log((1 - $q) / (1 - $p0));

        $self->{held}[$k] = ($self->{held}[$k] + $stake) * exp min(600, $gain);
    }

    my $most = max @{$self->{held}};
    my $cap = 1e6 * $self->{threshold};

    if ($most > $cap) {
        $_ *= $cap / $most for @{$self->{held}};
    }

    return $self;
}


sub believed {
    my ($self, $k, $p0) = @_;

    my $odds = $odds[$k] * $p0 / (1 - $p0);

    return $odds / (1 + $odds);
}


sub value {
    my ($self) = @_;

    return sum0(@{$self->{held}}) / @odds;
}


sub rate {
    my ($self) = @_;

    my $sum = sum0 @{$self->{held}};

    return $sum && sum0(map { $self->{held}[$_]
                              * $self->believed($_, $self->{p0}) } 0 .. $#odds)
                   / $sum;
}


# $bet->needs(LIMIT): the least number of bad events, at one tick, with which
# the evidence is this much.

sub needs {
    my ($self, $limit) = @_;

    return 0 if $self->value >= $limit;

    my ($low, $high) = (0, 1);

    $high *= 2 while $self->copy->tick($high, 0)->value < $limit;

    while ($high - $low > 1) {
        my $middle = int(($low + $high) / 2);

        if ($self->copy->tick($middle, 0)->value >= $limit) {
            $high = $middle;

        } else {
            $low = $middle;
        }
    }

    return $high;
}


# successes(FAILURES, RATE): how many there must be for failures to be no more
# than this part of all.

sub successes {
    my ($failures, $rate) = @_;

    return ceil($failures / $rate - 1e-9) - $failures;
}


# likely(P, F, N): how much less likely F failures of N are by a rate of P than
# on the average over all rates (by the Beta(1/2, 1/2) distribution), as a
# logarithm.  An interval of rates at 95% is where this is below ln 20.

sub likely {
    my ($p, $f, $n) = @_;

    my $beta = sub { lgamma($_[0]) + lgamma($_[1]) - lgamma($_[0] + $_[1]) };

    return $beta->($f + 0.5, $n - $f + 0.5) - $beta->(0.5, 0.5)
           - ($f && $f * log $p) - ($n - $f && ($n - $f) * log(1 - $p));
}


# is_near(HAVE, EXPECTED, TITLE): a test that they are the same to five digits,
# or to the last of six behind the point.

sub is_near {
    my ($have, $expected, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    Test::More::ok(defined $have
                   && abs($have - $expected) <= 1e-5 * abs($expected) + 1e-6,
                   $title)
        || Test::More::diag('    ', $have // 'nothing', ", not $expected\n");
}


1;
