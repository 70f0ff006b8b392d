#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# How the module's sources have to look, as far as a program can tell: which
# unit may include which, names, layout and docstrings.
#
# "prove t/style.t :: DIR" checks another tree.

use strict;
use warnings;

use FindBin;
use Test::More;


my $root = @ARGV ? $ARGV[0] : "$FindBin::Bin/..";
my $dir = "$root/ngx_async_upload_module";
my $prefix = 'ngx_http_async_upload';


# The layers.  A unit includes units of lower layers only; "header" is the
# header that all of them share, the rest are ${prefix}_UNIT.

my @layers = (
    [qw(header)],
    [qw(bucket murmur hist stats repeat ratio facts json name parse record
       recall)],
    [qw(gate guard detect explain zone slot file live)],
    [qw(dossier event journal measure total saved state look change rollout
       command act follow sample tick apply verdict)],
    [qw(decide attempt copy peer account variable render progress history text
       report criteria respond setting status access param form drill control
       env)],
    [qw(conf setter fallback rules settle token)],
    [qw(module)],
);

# What may be included within a layer.

my %within = (
    bucket => [qw(murmur)],
    facts => [qw(stats)],
    recall => [qw(record)],
    guard => [qw(gate)],
    explain => [qw(detect)],
    zone => [qw(detect guard)],
    slot => [qw(zone)],
    peer => [qw(decide attempt copy account)],
    copy => [qw(attempt)],
    journal => [qw(dossier event measure)],
    fallback => [qw(setter)],
    state => [qw(event saved)],
    change => [qw(event journal state)],
    rollout => [qw(change look)],
    act => [qw(rollout follow verdict)],
    verdict => [qw(look)],
    command => [qw(rollout act follow)],
    follow => [qw(change)],
    sample => [qw(look change)],
    tick => [qw(act change follow sample)],
    apply => [qw(change)],
    rules => [qw(setter)],
    conf => [qw(settle)],
    account => [qw(decide)],
    variable => [qw(decide account)],
    status => [qw(render progress text report respond)],
    control => [qw(respond access param form drill)],
    render => [qw(setting progress history)],
    text => [qw(progress history)],
    report => [qw(progress criteria)],
    criteria => [qw(progress)],
    setting => [qw(attempt)],
);

# Units that compile without nginx, and what they may include beyond each
# other.

my %pure = map { $_ => 1 } qw(bucket murmur hist stats repeat ratio facts json
                              gate guard detect explain dossier record recall);
my %libc = map { $_ => 1 } qw(float.h limits.h math.h stddef.h stdint.h
                              string.h);
my %more = (bucket => qr{^openssl/});

my $max_columns = 80;
my $max_lines = 700;
my $max_unit = 8;


my %layer;

for my $n (0 .. $#layers) {
    $layer{$_} = $n for @{$layers[$n]};
}


sub slurp {
    my ($path) = @_;

    open my $fh, '<:encoding(UTF-8)', $path or die "$path: $!\n";
    local $/;

    return <$fh>;
}


# The unit a file or an include belongs to, undef if to none.

sub unit_of {
    my ($name) = @_;

    return 'header' if $name eq "$prefix.h";
    return $1 if $name =~ /^${prefix}_(\w+)\.[ch]$/;
    return undef;
}


# The code alone, line by line where it was: strings are emptied, comments are
# replaced by \x01 at their end.

sub code_of {
    my ($text) = @_;

    $text =~ s{
        ( /\* .*? \*/ | " (?: \\. | [^"\\\n] )* " | ' (?: \\. | [^'\\\n] )* ' )
    }{
        my $found = $1;
        my $lines = $found =~ tr/\n//;

        $found =~ m{^/} ? "\n" x $lines . "\x01" : substr($found, 0, 1) x 2;
    }gesx;

    return $text;
}


# The names that code declares at its top level, each as [line, name].

sub names_of {
    my ($code) = @_;

    my (@names, $line, $depth, $chunk, $enum);

    $line = 0;
    $depth = 0;
    $chunk = '';

    for (split /\n/, $code) {
        $line++;

        if (/^\s*#\s*define\s+(\w+)/) {
            push @names, [$line, $1];
        }

        # directives, also those of several lines

        if (/^\s*#/ .. !/\\$/) {
            next;
        }

        tr/\x01//d;

        if ($depth == 0) {
            $chunk .= " $_";

            if (/^(?:typedef\s+)?(?:struct|union|enum)\s+(\w+)\s*\{/) {
                push @names, [$line, $1];
            }

            $enum = $chunk =~ /\benum\b[^;]*\{/;

        } elsif ($enum && /^\s+([A-Za-z_]\w*)\s*(?:=.*)?,?\s*$/) {
            push @names, [$line, $1];
        }

        # the end of a typedef

        if ($depth == 1 && /^\}\s*(\w+)\s*;/) {
            push @names, [$line, $1];
        }

        my $before = $depth;

        $depth += tr/{// - tr/}//;

        next if $before != 0;

        if ($chunk =~ /^\s*typedef\b.*\(\s*\*\s*(\w+)\s*\)\s*\(/
            || $chunk =~ /^\s*typedef\b[^{]*?\b(\w+)\s*;/)
        {
            push @names, [$line, $1];
            $chunk = '';

        } elsif ($chunk =~ /^\s*(?:struct|union|enum|typedef)\b[^(]*\{/) {
            $chunk = '';

        } elsif ($chunk =~ /\{/ || $chunk =~ /;/) {

            # a function, a prototype or a variable: the last word before its
            # parameters, its dimensions, its value or its end

            $chunk =~ s/__attribute__\s*\(\(.*?\)\)//g;

            if ($chunk =~ /\b(\w+)\s*(?:\(|\[|=|;)/) {
                push @names, [$line, $1];
            }

            $chunk = '';
        }
    }

    return @names;
}


# Reports all offenders of a rule at once.

sub none {
    my ($title, @bad) = @_;

    ok(!@bad, $title) or diag(map { "    $_\n" } @bad);
}


my @files = map { s{.*/}{}r } sort glob("$dir/*");
my (%text, %code);

for my $file (grep { /\.[ch]$/ } @files) {
    $text{$file} = slurp("$dir/$file");
    $code{$file} = code_of($text{$file});
}

my @sources = sort keys %text;
my @headers = grep { /\.h$/ } @sources;

ok(@sources > 0, 'there are sources');

none('every file is a C source or header of the module',
    grep { !defined unit_of($_) } @files);

none("a unit's name has at most $max_unit letters",
    grep { (unit_of($_) // '') !~ /^[a-z]{1,$max_unit}$/ } @sources);

none('every unit has a layer',
    grep { !exists $layer{unit_of($_) // ''} } @sources);

none('the module itself has no header',
    grep { $_ eq "${prefix}_module.h" } @files);


# Includes.

my (@up, @foreign, @unpure, @late, %includes);

for my $file (@sources) {
    my $unit = unit_of($file) // next;
    my ($line, $code) = (0, 0);

    for (split /\n/, $text{$file}) {
        $line++;

        $code = 1 if /^(?:typedef|static|struct|enum|[a-z_]\w*\()/;

        next if !/^\s*#\s*include\s*([<"])([^>"]+)[>"]/;

        my ($quote, $name) = ($1, $2);
        my $at = "$file:$line: $name";
        my $other = unit_of($name);

        push @late, $at if $code;

        if ($quote eq '<') {
            push @unpure, $at
                if $pure{$unit} && !$libc{$name}
                   && !($more{$unit} && $name =~ $more{$unit});

            next;
        }

        if (!defined $other) {
            push @foreign, $at;
            next;
        }

        push @unpure, $at if $pure{$unit} && !$pure{$other};

        next if $other eq $unit;

        $includes{$unit}{$other} = 1;

        next if !exists $layer{$unit} || !exists $layer{$other};

        push @up, $at
            if $layer{$other} >= $layer{$unit}
               && !grep { $_ eq $other } @{$within{$unit} // []};
    }
}

none('units include units of lower layers only', @up);
none('what is included in quotes is the module\'s', @foreign);
none('pure units include no nginx', @unpure);
none('includes come before types and functions', @late);


# An exception from the layers must not close a circle.

sub reaches {
    my ($from, $to, $seen) = @_;

    return 0 if $seen->{$from}++;

    for (keys %{$includes{$from} // {}}) {
        return 1 if $_ eq $to || reaches($_, $to, $seen);
    }

    return 0;
}

none('units do not include each other in a circle',
    grep { reaches($_, $_, {}) } sort keys %includes);


# Layout.

my (@tabs, @trailing, @long, @left, @unprefixed, @undocumented);

for my $file (@sources) {
    my $line = 0;

    for (split /\n/, $text{$file}, -1) {
        $line++;

        push @tabs, "$file:$line" if /\t/;
        push @trailing, "$file:$line" if /[ \r]$/;
        push @long, "$file:$line: " . length if length > $max_columns;
        push @left, "$file:$line" if /\b(?:TODO|FIXME|XXX)\b/;
    }

    for (names_of($code{$file})) {
        my ($line, $name) = @$_;

        push @unprefixed, "$file:$line: $name"
            if $name !~ /^(?:${prefix}_|_?\U${prefix}\E_)/;
    }
}

none('no tabs', @tabs);
none('no trailing spaces', @trailing);
none("no line over $max_columns columns", @long);
none('no TODO, FIXME or XXX', @left);
none('every function, variable, type and macro has the prefix', @unprefixed);

none('every file starts with the copyright',
    grep { $text{$_} !~ m{\A\n?/\*\n \* Copyright \(C\) } } @sources);

none('every file ends with one line feed',
    grep { $text{$_} !~ /[^\n]\n\z/ } @sources);

none("no file has more than $max_lines lines",
    map { my $n = $text{$_} =~ tr/\n//; $n > $max_lines ? "$_: $n" : () }
        @sources);

none('every header opens with what its unit knows',
    grep {
        my ($opening) = $code{$_} =~ /\A(.*?)^(?:[a-z]|\#include
                                                |\#define[ ]\w+[ ])/msx;
        ($opening // $code{$_}) !~ /\x01.*\x01/s;
    } @headers);


# Prototypes start in the first column; a call never does.

for my $file (@headers) {
    my $code = $code{$file};

    while ($code =~ /^((?:[a-z_]\w*[\s*]+)+?)(${prefix}_\w+)\([^;{]*[;{]/mg) {
        my ($type, $name, $start) = ($1, $2, $-[0]);

        next if $type =~ /\btypedef\b/;

        my $before = substr($code, 0, $start);

        push @undocumented, "$file: $name" if $before !~ /\x01\n\z/;
    }
}


none('every prototype in a header has its comment directly above',
    @undocumented);


# The build.

my $config = slurp("$root/config");

$config =~ s/^\s*#.*//mg;

my @patterns = map {
    my $p = quotemeta($_ =~ s{.*/}{}r);
    $p =~ s/\\\*/.*/g;
    qr/^$p$/;
} $config =~ /(\S*${prefix}[\w*.]*)/g;

none('every source and header is named in config',
    grep {
        my $file = $_;
        my $unit = unit_of($file) // '';

        !(grep { $file =~ $_ } @patterns) && $config !~ /\b\Q$unit\E\b/;
    } @sources);


# The tests.  A test that is skipped, or the only one that runs, is seldom
# meant to stay; a fixed time to wait is too short on a busy machine.

my (@unrun, @naps);

for my $path (sort glob("$root/t/*.t")) {
    my $file = $path =~ s{.*/}{}r;
    my $line = 0;

    for (split /\n/, slurp($path)) {
        $line++;

        push @unrun, "$file:$line" if /^---\s*(?:SKIP|ONLY|LAST)\b/;
        push @naps, "$file:$line" if /^[^#]*\bs[l]eep\b/;
    }
}

none('no test is skipped, the only or the last one', @unrun);
none('no test waits for a fixed time', @naps);


done_testing();
