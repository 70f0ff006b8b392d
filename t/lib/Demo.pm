
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Demo;

# The demo of conf.d, in an nginx of the test's own, and what the README has
# people type at it.
#
#     my $demo = Demo->start;
#     my ($status, $said) = $demo->shell($_) for Demo::commands('Try it');
#
# An object is one of AsyncUpload's.

use strict;
use warnings;

use parent -norequire => 'AsyncUpload';

use AsyncUpload;
use Cwd qw(realpath);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use POSIX ();


my $top = realpath("$FindBin::Bin/..");


# Demo->start([flags => 'rollout.conf'], [edit => { FILE => CODE }]): with these
# flags instead of stages.conf; CODE changes a file of conf.d, in $_, before
# nginx reads it.  ->{ports} has the ports by those of demo.conf.

sub start {
    my ($class, %args) = @_;

    my $dir = tempdir('async_upload_XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my %ports = map { $_ => free_port() } 8080, 8081, 8082;

    my $self = bless { dir => $dir, ports => \%ports, port => $ports{8080},
                       workers => 2, read => 0 }, $class;

    chmod 0755, $dir;
    make_path(map { "$dir/$_" } qw(conf data/sync data/async modules temp build
                                   logs/async_upload_rollout));

    symlink $ENV{TEST_NGINX_LOAD_MODULES},
        "$dir/modules/ngx_http_async_upload_module.so";

    # the README's directory, as far as its commands go

    symlink $dir, "$dir/build/demo";
    symlink "$top/LICENSE", "$dir/LICENSE";

    copy("$top/conf.d/$_", "$dir/conf/$_")
        for qw(metrics.conf stages.conf rollout.conf);
    copy("$top/conf.d/demo.conf", "$dir/conf/nginx.conf");

    spew("$dir/conf/tokens", 'demo:' . 'a1' x 16 . "\n");
    chmod 0600, "$dir/conf/tokens";

    $self->edit('nginx.conf', sub {
        for my $port (keys %ports) {
            s/127\.0\.0\.1:$port\b/127.0.0.1:=$ports{$port}/g;
        }

        s/127\.0\.0\.1:=/127.0.0.1:/g;
        s/include +stages\.conf;/include $args{flags};/ if $args{flags};

        $_ = "daemon off;\n" . ($> == 0 ? "user root;\n" : '') . $_;
    });

    my $edit = $args{edit} // {};

    $self->edit($_, $edit->{$_}) for keys %$edit;

    return $self->launch;
}


# $demo->edit(FILE, CODE): changes a file of its conf.

sub edit {
    my ($self, $file, $code) = @_;

    local $_ = slurp("$self->{dir}/conf/$file");

    $code->();

    spew("$self->{dir}/conf/$file", $_);
}


# section(TITLE): a section of the README.

sub section {
    my ($title) = @_;

    my ($section) = slurp("$top/README.md")
                    =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms
        or die "there is no section \"$title\"\n";

    return $section;
}


# commands(TITLE): what a section has in "sh", as [SUBTITLE, TEXT] in its order.

sub commands {
    my ($title) = @_;

    my $section = section($title);
    my ($subtitle, @blocks) = ('');

    while ($section =~ /^(?:### ([^\n]*)|```sh\n(.*?)^```)$/msg) {
        if (defined $1) {
            $subtitle = $1;

        } else {
            push @blocks, [$subtitle, $2];
        }
    }

    return @blocks;
}


# $demo->shell(TEXT, [NAME => VALUE, ...]): has bash run it where the README
# would have it run, with these variables; returns its exit status, which is
# that of the first command that fails, and what it said.

sub shell {
    my ($self, $text, %env) = @_;

    my $nginx = join ' ', map { "'$_'" } $self->command_line;
    my $out = "$self->{dir}/logs/shell";

    $text =~ s/127\.0\.0\.1:8080\b/127.0.0.1:$self->{port}/g;

    spew("$self->{dir}/commands", "nginx() { $nginx \"\$@\"; }\n$text");

    # what an nginx has that only tests, or signals, is not freed

    local $ENV{ASAN_OPTIONS} = join ',', $ENV{ASAN_OPTIONS} // (),
                                         'detect_leaks=0';

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        chdir $self->{dir};
        @ENV{keys %env} = values %env;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>&', \*STDOUT;
        { exec 'bash', '-eu', 'commands' }
        POSIX::_exit(127);
    }

    waitpid $pid, 0;

    return ($? >> 8, slurp($out));
}


1;
