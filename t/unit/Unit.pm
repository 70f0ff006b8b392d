package Unit;

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Finds the compiled unit tests: in $ENV{ASYNC_UPLOAD_UNITS}, where the build
# has left them, or else builds them into build/units.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;


# The path of a binary; dies if there is none.

sub path {
    my ($name) = @_;

    my $here = File::Spec->rel2abs(dirname(__FILE__));
    my $dir = $ENV{ASYNC_UPLOAD_UNITS};

    if (!defined $dir || $dir eq '') {
        $dir = "$here/../../build/units";

        my $log = `make -C "$here" OUT="$dir" 2>&1`;
        die "unit tests do not build:\n$log" if $? != 0;
    }

    my $path = File::Spec->rel2abs("$dir/$name");
    die "no unit test $path\n" if !-x $path;

    return $path;
}


# Becomes the binary, whose output is TAP.

sub run {
    my ($name) = @_;

    my $path = path($name);

    exec { $path } $path or die "cannot run $path: $!\n";
}


1;
