
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Saved;

# State files, read and made without the module's own code.
#
#     my $saved = Saved->read($path) or die "not valid: $Saved::Wrong\n";
#
#     is($saved->get('share'), 1000, 'share');
#     spew($path, $saved->with(share => 5000)->text);
#
# A file is lines of a name and values, in their order; the last one has the
# CRC-32 of all before it.

use strict;
use warnings;

use AsyncUpload qw(slurp);
use Compress::Zlib ();
use Exporter qw(import);

our @EXPORT = qw(sealed);

our $Wrong;


# sealed(LINES): a text with the checksum that it needs.

sub sealed {
    my ($lines) = @_;

    return $lines . 'checksum ' . Compress::Zlib::crc32($lines) . "\n";
}


# Saved->read(PATH), Saved->parse(TEXT): undef if it is not complete, and $Wrong
# says why.

sub read {
    my ($class, $path) = @_;

    return $class->parse(slurp($path));
}


sub parse {
    my ($class, $text) = @_;

    my ($lines, $sum) = $text =~ /\A(.*\n)checksum (\d+)\n\z/s;

    if (!defined $sum) {
        $Wrong = 'no checksum at the end of ' . length($text) . ' bytes';
        return undef;
    }

    if ($sum != Compress::Zlib::crc32($lines)) {
        $Wrong = "the checksum is not $sum";
        return undef;
    }

    return bless { lines => [map { [split / /, $_, 2] }
                                 split /\n/, $lines] }, $class;
}


# $saved->get(NAME): its values as one string, of several lines with this name
# the last; undef if there is none.

sub get {
    my ($self, $name) = @_;

    my ($line) = reverse grep { $_->[0] eq $name } @{$self->{lines}};

    return $line ? $line->[1] // '' : undef;
}


# $saved->with(NAME => VALUES, ...): another one, with these lines changed.

sub with {
    my ($self, @changes) = @_;

    my @lines = map { [@$_] } @{$self->{lines}};

    while (my ($name, $values) = splice @changes, 0, 2) {
        my ($line) = grep { $_->[0] eq $name } @lines;

        die "no line $name\n" if !$line;

        $line->[1] = $values;
    }

    return bless { lines => \@lines }, ref $self;
}


# $saved->named(ROLLOUT): the same of another rollout.

sub named {
    my ($self, $name) = @_;

    return $self->with(async_upload_state => "1 \"$name\"");
}


sub text {
    my ($self) = @_;

    return sealed(join '', map { join(' ', grep { defined } @$_) . "\n" }
                               @{$self->{lines}});
}


1;
