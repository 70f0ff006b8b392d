
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Dns;

# A name server for the tests, whose answers may change.
#
#     my $dns = Dns->start('sync.example' => '127.0.0.1');
#
#     ... "resolver 127.0.0.1:$dns->{port} valid=1s ipv6=off;" ...
#
#     $dns->set('sync.example' => '127.0.0.2');   # returns when nginx knows
#
# It knows one address of each name, and IPv4 alone.  Each name is to be of one
# upstream block only, which asks for itself.

use strict;
use warnings;

use AsyncUpload;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX ();


sub start {
    my ($class, %names) = @_;

    my $dir = tempdir('async_upload_dns_XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $port = free_port();
    my $self = bless { port => $port, dir => $dir, owner => $$,
                       names => \%names }, $class;

    my $socket = IO::Socket::INET->new(Proto => 'udp',
        LocalAddr => '127.0.0.1', LocalPort => $port) or die "dns: $!\n";

    $self->write;

    $self->{pid} = fork // die "fork: $!\n";

    if ($self->{pid} == 0) {
        eval { $self->serve($socket) };
        print STDERR "dns: $@" if $@;
        POSIX::_exit(1);
    }

    return $self;
}


sub write {
    my ($self) = @_;

    my $names = $self->{names};

    spew("$self->{dir}/new", join '', map { "$_ $names->{$_}\n" } keys %$names);
    rename "$self->{dir}/new", "$self->{dir}/names" or die "rename: $!\n";
}


# Who asks anew after the new answer has taken it.

sub set {
    my ($self, %names) = @_;

    $self->{names}{$_} = $names{$_} for keys %names;

    my $start = -s "$self->{dir}/log" // 0;

    $self->write;

    for my $name (keys %names) {
        wait_for {
            my $log = substr slurp("$self->{dir}/log"), $start;

            2 <= (() = $log =~ /^\Q$name $names{$name}\E$/mg);
        } "the address of $name";
    }
}


sub serve {
    my ($self, $socket) = @_;

    open my $log, '>>', "$self->{dir}/log" or die "log: $!\n";
    $log->autoflush(1);

    while (getppid == $self->{owner}) {
        my $in = '';

        vec($in, fileno $socket, 1) = 1;

        next if select($in, undef, undef, 1) <= 0;
        next if !defined $socket->recv(my $query, 512);

        my ($id, undef, $n) = unpack 'nnn', $query;
        my $question = substr $query, 12;
        my ($name, $at) = ('', 0);

        while (my $size = ord substr $question, $at, 1) {
            $name .= ($at ? '.' : '') . substr $question, $at + 1, $size;
            $at += $size + 1;
        }

        $question = substr $question, 0, $at + 5;

        my %names = split ' ', slurp("$self->{dir}/names");
        my $address = $names{$name};

        my $answer = pack('nnnnnn', $id, defined $address ? 0x8180 : 0x8183, 1,
                          defined $address ? 1 : 0, 0, 0) . $question;

        if (defined $address) {
            $answer .= pack 'nnnNnC4', 0xc00c, 1, 1, 1, 4, split /\./, $address;
        }

        $socket->send($answer);

        print $log $name, ' ', $address // '', "\n";
    }

    POSIX::_exit(0);
}


sub DESTROY {
    my ($self) = @_;

    if ($self->{pid} && $self->{owner} == $$) {
        local $?;

        kill 'KILL', $self->{pid};
        waitpid $self->{pid}, 0;
    }
}


1;
