
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Tls;

# TLS in front of Stub's servers, by an nginx of its own.
#
#     my $tls = Tls->start($stub, 'a1', 's1');
#
#     ... "server 127.0.0.1:" . $tls->port('a1') ...
#
#     my @handshakes = $tls->handshakes('a1', 6);     # since the last call
#
# A handshake is { reused (a session), name (that was asked for), requests }; so
# many requests are waited for.  The certificates are of
# names "SERVER.example", as "a1.example", signed by ->{dir}/conf/tls.pem.
#
# "drop" closes the connection to the client, and so does "stale"; of the other
# things that the stub does those that are an answer, or none, pass.

use strict;
use warnings;

use AsyncUpload;
use File::Temp qw(tempdir);
use Test::More ();


sub start {
    my ($class, $stub, @names) = @_;

    my $self = bless { ports => { map { ($_ => free_port()) } @names } },
                     $class;
    my $servers = '';

    for my $name (@names) {
        $servers .= <<"END";
    map "\$connection_requests \$http_x_stub" \$stale_$name {
        "~^1 " 0;
        "~\\b$name=stale\\b" 1;
        default 0;
    }

    server {
        listen 127.0.0.1:$self->{ports}{$name} ssl;

        ssl_certificate $name.pem;
        ssl_certificate_key key.pem;
        access_log logs/$name.log handshakes;
        client_max_body_size 0;
        lingering_close off;
        error_page 502 = \@drop;

        location / {
            if (\$stale_$name) {
                return 444;
            }

            proxy_pass http://127.0.0.1:@{[$stub->port($name)]};
            proxy_next_upstream off;
        }

        location \@drop {
            return 444;
        }
    }
END
    }

    my $text = "log_format handshakes '\$connection \$ssl_session_reused"
               . " \$ssl_server_name';\n$servers";

    $self->{nginx} = AsyncUpload->start(
        http => $text, port => $self->{ports}{$names[0]},
        files => certificates(@names));
    $self->{dir} = $self->{nginx}{dir};

    return $self;
}


sub certificates {
    my (@names) = @_;

    my $dir = tempdir('async_upload_tls_XXXXXX', TMPDIR => 1, CLEANUP => 1);

    openssl(qw(req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority),
            '-keyout', "$dir/key.pem", '-out', "$dir/tls.pem");

    for (@names) {
        spew("$dir/extensions", "subjectAltName=DNS:$_.example\n");

        openssl(qw(req -new -subj), "/CN=$_.example", '-key', "$dir/key.pem",
                '-out', "$dir/request");
        openssl(qw(x509 -req -days 2 -set_serial), 1 + int rand 1e9,
                '-in', "$dir/request", '-CA', "$dir/tls.pem",
                '-CAkey', "$dir/key.pem", '-extfile', "$dir/extensions",
                '-out', "$dir/$_.pem");
    }

    return { map { ("conf/$_.pem" => slurp("$dir/$_.pem")) }
                 qw(key tls), @names };
}


# For AddressSanitizer to see past OpenSSL's functions in an nginx that speaks
# TLS to upstreams: that sessions are kept to its end is a leak of nginx' own,
# which is suppressed by name.

sub environment {
    return { map { ($_ => "$ENV{$_},fast_unwind_on_malloc=0") }
                 grep { defined $ENV{$_} } 'ASAN_OPTIONS' };
}


sub openssl {
    my (@args) = @_;

    open my $fh, '-|', 'sh', '-c', 'exec openssl "$@" 2>&1', 'sh', @args
        or die "openssl: $!\n";
    my $output = do { local $/; <$fh> };

    close $fh or die "openssl @args: $output\n";
}


sub port {
    my ($self, $name) = @_;

    return $self->{ports}{$name} // die "there is no server $name\n";
}


sub handshakes {
    my ($self, $name, $requests) = @_;

    my (@new, @order, %connections);

    wait_for {
        my @lines = slurp("$self->{dir}/logs/$name.log") =~ /^(.*)\n/mg;

        @new = splice @lines, $self->{read}{$name} // 0;
        @new >= $requests;
    } "$requests requests at $name";

    $self->{read}{$name} += @new;

    for (@new) {
        my ($connection, $reused, $server) = split / /, $_, -1;

        push @order, $connection if !$connections{$connection};

        my $handshake = $connections{$connection} //= {
            reused => $reused eq 'r' ? 1 : 0, name => $server, requests => 0,
        };

        $handshake->{requests}++;
    }

    return map { $connections{$_} } @order;
}


# What its error log has to have is that the stub closes connections.

sub stop {
    my ($self) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $self->{nginx}->stop(qr/upstream prematurely closed connection/);
}


1;
