#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# "./build.sh run" and "reload", as a person uses them.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use POSIX qw(WNOHANG);
use Test::More;


my $build = "$FindBin::Bin/../build.sh";
my $dir = tempdir('async_upload_XXXXXX', TMPDIR => 1, CLEANUP => 1) . '/demo';
my $owner = $$;
my $demo;


# run(OPTION, ...): starts the demo and returns its port, once it serves; its
# process id is in "demo".

sub run {
    my (@options) = @_;

    unlink "$dir.out";

    $demo = fork // die "fork: $!\n";

    if ($demo == 0) {
        open STDOUT, '>', "$dir.out";
        open STDERR, '>&', \*STDOUT;
        { exec $build, 'run', "--dir=$dir", @options }
        POSIX::_exit(127);
    }

    my $port = wait_for {
        waitpid($demo, WNOHANG) == 0
            or die "the demo did not start:\n" . slurp("$dir.out");

        slurp("$dir.out") =~ m{^proxy +http://127\.0\.0\.1:(\d+)$}m ? $1 : 0;
    } 'the address of the demo';

    wait_for {
        http_request($port, 'GET', '/async_upload/status')->{status} == 200;
    } 'the demo';

    return $port;
}


sub end {
    my ($signal) = @_;

    my $pid = $demo;

    kill $signal, $pid;
    wait_for { waitpid $pid, WNOHANG } "the end after SIG$signal";
    is($?, 0, "SIG$signal ends the demo");
    $demo = 0;

    is(scalar(grep { slurp($_) =~ /^nginx/ } glob '/proc/[0-9]*/cmdline'), 0,
       'and no process of it is left');
}


END {
    if (defined $owner && $$ == $owner && $demo) {
        local $?;

        kill 'TERM', $demo;
    }
}


sub upload {
    my ($port) = @_;

    return http_request($port, 'POST', '/upload', body => 'x');
}


# build(ARGUMENT, ...): runs build.sh; the exit status and what it said.

sub build {
    my ($command, @args) = @_;

    my $said = qx($build $command --dir='$dir' @args 2>&1);

    return ($? >> 8, $said);
}


my ($status, $said) = build('reload');

is($status, 1, 'without a demo there is nothing to reload');

my $port = run();
my $answer = upload($port);

is($answer->{status}, 201, 'the demo starts, and its flags are off');

($status, $said) = build('run');

is($status, 1, 'a second demo at the same place is refused');
like($said, qr/running already, with process id $demo/, 'which is told');


# the commands that it tells of, and the file

for my $command (qw(enable advance?stage=4&force=1)) {
    is(http_request($port, 'POST',
                    "/async_upload/control/uploads/$command")->{status}, 200,
       "it takes the command $command");
}

is(upload($port)->{status}, 202, 'which is followed');

my $stages = slurp("$dir/conf/stages.conf");

spew("$dir/conf/stages.conf", $stages =~ s/100%/90%/r);

($status, $said) = build('reload');

is($status, 0, 'reload');
wait_for {
    http_request($port, 'GET', '/async_upload/status')->{body}
        =~ /"share_bp":9000,/;
} 'the edited stage to be in force';

spew("$dir/conf/stages.conf", "async_upload_stage 101%;\n");

($status, $said) = build('reload');

is($status, 1, 'a mistake is refused');
like($said, qr/"101%".* in .*stages\.conf:1/, 'and shown');
is(upload($port)->{status}, 202, 'the demo goes on');

spew("$dir/conf/stages.conf", $stages);

end('INT');
is(http_request($port, 'GET', '/')->{status}, 0, 'nothing listens any more');


# a second start: the flags of the environment, another port, the same files

my $other = free_port();

is(run("--port=$other", '--enabled', '--rollout=100'), $other,
   'the port may be chosen');
is(upload($other)->{status}, 202, 'the flags may come from the environment');

like(http_request($other, 'GET', '/async_upload/status')->{body},
     qr/"stage":null,/, 'then there are no stages');

my $where = $answer->{headers}{location};

is(http_request($other, 'GET', $where)->{body}, 'x',
   'what was uploaded before is still there');

end('TERM');

done_testing();
