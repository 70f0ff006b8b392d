
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Callgrind;

# What callgrind has counted in one run, and the difference of two runs.
#
# A profile is
#
#     total      instructions
#     self       { OBJECT => { FUNCTION => instructions } }, without those of
#                functions it calls
#     calls      { FUNCTION => { CALLER => calls } }
#     inclusive  { FUNCTION => { CALLER => instructions } }, of these calls with
#                all that is called in turn
#
# OBJECT is the base name of a file.  Functions have their names without the
# version that libraries append; callgrind names one without a symbol after its
# address.

use strict;
use warnings;


# Callgrind->read(FILE): the format is described in the manual of valgrind.

sub read {
    my ($class, $path) = @_;

    my %self = (total => undef, self => {}, calls => {}, inclusive => {});
    my (%objects, %functions, $object, $function, $callee);

    open my $fh, '<', $path or die "$path: $!\n";

    local $_;

    while (<$fh>) {

        if (/^[-+*\d]/) {

            # a cost; after "calls" it is that of the calls

            my ($cost) = / (\d+)$/ or next;

            if (defined $callee) {
                $self{inclusive}{$callee}{$function} += $cost;
                undef $callee;

            } else {
                $self{self}{$object}{$function} += $cost;
            }

        } elsif (/^calls=(\d+)/) {
            $self{calls}{$callee}{$function} += $1;

        } elsif (/^fn=(\(\d+\))(?: (.*))?/) {
            $function = name($functions{$1} //= $2);

        } elsif (/^cfn=(\(\d+\))(?: (.*))?/) {
            $callee = name($functions{$1} //= $2);

        } elsif (/^ob=(\(\d+\))(?: (.*))?/) {
            $object = ($objects{$1} //= $2) =~ s{.*/}{}r;

        } elsif (/^cob=(\(\d+\)) (.*)/) {
            $objects{$1} //= $2;

        } elsif (/^(?:summary|totals): (\d+)/) {
            $self{total} = $1;
        }
    }

    close $fh;

    die "$path: not a profile of callgrind\n" if !$self{total};

    return bless \%self, $class;
}


sub name {
    my ($name) = @_;

    return $name =~ s/@.*//r;
}


# $profile->calls(PATTERN, [EXCEPT]): how often functions whose name matches
# were called, but for calls by those whose name matches EXCEPT.

sub calls {
    my ($self, @patterns) = @_;

    return sum($self->{calls}, @patterns);
}


# $profile->inclusive(PATTERN, [EXCEPT]): the instructions of the same calls.

sub inclusive {
    my ($self, @patterns) = @_;

    return sum($self->{inclusive}, @patterns);
}


sub sum {
    my ($table, $pattern, $except) = @_;

    my $n = 0;

    for my $function (grep { /$pattern/ } keys %$table) {
        for (keys %{$table->{$function}}) {
            $n += $table->{$function}{$_} if !defined $except || !/$except/;
        }
    }

    return $n;
}


# $profile->less(OTHER, [N]): a profile of what this one has more than the
# other, over N.

sub less {
    my ($self, $other, $n) = @_;

    $n //= 1;

    my %diff = (total => ($self->{total} - $other->{total}) / $n);

    for my $part (qw(self calls inclusive)) {
        for my $p ($self, $other) {
            for my $outer (keys %{$p->{$part}}) {
                for (keys %{$p->{$part}{$outer}}) {
                    $diff{$part}{$outer}{$_} //=
                        (($self->{$part}{$outer}{$_} // 0)
                         - ($other->{$part}{$outer}{$_} // 0)) / $n;
                }
            }
        }
    }

    return bless \%diff, ref $self;
}


1;
