
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Load;

# Runs the load client, load/load.c, which is built into build/load if it is
# not there yet.  load/load.c says what the figures mean.
#
#     my $result = load($port, uploads => 10000, clients => 16);
#
#     my $load = Load->start($port, uploads => 0);
#     ...
#     my $result = $load->finish;         # ends it first if it has no end
#
# Arguments: uploads (0: until finish), clients, keepalive, seed, sizes
# ("MIN:MAX"), methods ("PUT,POST"), uri, prefix (of the keys), record (a list
# of headers, of which the first is counted as the arm), each (a file for one
# line an upload), timeout (ms).

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use Fcntl qw(LOCK_EX);
use File::Basename qw(dirname);
use JSON::PP;

our @EXPORT = qw(each_line load);

my $here = abs_path(dirname(__FILE__) . '/../load');
my $out = abs_path("$here/../..") . '/build/load';
my $binary;


# One test at a time builds.

sub binary {
    return $binary if defined $binary;

    mkdir dirname($out);
    mkdir $out;

    open my $lock, '>', "$out/lock" or die "$out/lock: $!\n";
    flock $lock, LOCK_EX or die "$out/lock: $!\n";

    my $log = `make -C "$here" OUT="$out" 2>&1`;
    die "the load client does not build:\n$log" if $? != 0;

    return $binary = "$out/load";
}


sub start {
    my ($class, $port, %args) = @_;

    my @options = ('-n', $args{uploads} // 1000, '-c', $args{clients} // 16,
                   '-s', $args{seed} // 1);

    my %options = (sizes => '-b', methods => '-m', uri => '-u',
                   prefix => '-i', each => '-o', timeout => '-t');

    for (sort keys %options) {
        push @options, $options{$_}, $args{$_} if defined $args{$_};
    }

    push @options, '-k' if $args{keepalive};
    push @options, '-r', $_ for @{$args{record} // ['X-Arm']};

    my $pid = open my $fh, '-|', binary(), @options, $port;

    die "cannot run the load client: $!\n" if !$pid;

    return bless { pid => $pid, fh => $fh,
                   endless => !($args{uploads} // 1000) }, $class;
}


sub finish {
    my ($self) = @_;

    kill 'TERM', $self->{pid} if $self->{endless};

    my $fh = delete $self->{fh};
    my $text = do { local $/; <$fh> };

    close $fh or die "the load client failed: exit status ", $? >> 8, "\n";

    return JSON::PP->new->utf8->decode($text);
}


sub DESTROY {
    my ($self) = @_;

    if ($self->{fh}) {
        kill 'KILL', $self->{pid};
        close delete $self->{fh};
    }
}


sub load {
    return Load->start(@_)->finish;
}


# The lines about uploads, as [status, header, ...], indexed by their number.

sub each_line {
    my ($path) = @_;

    my @lines;

    open my $fh, '<', $path or die "$path: $!\n";

    while (my $line = <$fh>) {
        my ($number, @fields) = split ' ', $line;

        $lines[$number] = \@fields;
    }

    return \@lines;
}


1;
