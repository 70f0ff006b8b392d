
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package AsyncUpload;

# What the tests share: a small HTTP client, the status as data, the equations
# that hold for it, waiting for a condition, and nginx instances of their own
# where the one of Test::Nginx does not do.
#
#     my $nginx = AsyncUpload->start(
#         http => upstreams($sync, $async) . rollout('uploads', 'share' => 50)
#                 . "server { listen 127.0.0.1:$port; ... }",
#         port => $port,
#     );
#
#     my $answer = $nginx->request('POST', '/upload', body => 'x');
#     my $rollout = $nginx->status->{rollouts}{uploads};
#
#     my ($status, $answer) = $nginx->command('uploads', 'pause');
#     my @events = $nginx->journal;
#
#     conserved($rollout);
#     $nginx->stop;                       # complains about [error] and worse
#
# Blocks of Test::Nginx get a section "steps" by use_steps(), Perl that runs
# beside the block's nginx, which it has as the same kind of object:
#
#     === TEST 1: an upload is counted
#     --- steps
#     nginx->request('POST', '/upload', body => 'x');
#     is(nginx->quiet('uploads')->{arms}{sync}{uploads}, 1, 'once');
#
# Everything listens on 127.0.0.1 alone.  Nothing here waits for a fixed time.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX qw(WNOHANG);
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT = qw(
    cells
    conserved
    decode_status
    free_port
    http_request
    nginx
    read_response
    send_request
    slurp
    spew
    stub_log
    stub_servers
    timeless
    use_steps
    violations
    wait_for
);

# seconds after which a condition that did not come never will; builds with
# sanitizers on a busy machine are slow

our $Deadline = 30;

my $top = abs_path(dirname(__FILE__) . '/../..');

my (%locks, %running);


# wait_for { CONDITION } WHAT, [SECONDS]: polls until the condition is true and
# returns its value; a test fails, named after WHAT, if it does not come true.

sub wait_for (&;$$) {
    my ($condition, $what, $seconds) = @_;

    my $end = time + ($seconds // $Deadline);

    while (1) {
        my $value = $condition->();

        return $value if $value;

        last if time > $end;

        select undef, undef, undef, 0.02;
    }

    Test::More::fail('waiting for ' . ($what // 'a condition'))
        if defined $what;

    return undef;
}


# Returns a port that nobody listens on and that no other test is given while
# this process lives: a name in the network namespace is its lock.

sub free_port {
    for (1 .. 1000) {
        my $port = 10000 + int rand 20000;

        my $lock = IO::Socket::UNIX->new(
            Local => "\0async_upload_test_$port", Listen => 1) or next;

        my $socket = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1,
            ReuseAddr => 1) or next;

        close $socket;
        $locks{$port} = $lock;

        return $port;
    }

    die "there is no free port\n";
}


sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or return '';
    local $/;

    return <$fh> // '';
}


sub spew {
    my ($path, $text) = @_;

    open my $fh, '>', $path or die "$path: $!\n";
    print $fh $text;
    close $fh or die "$path: $!\n";
}


# http_request(PORT, METHOD, URI, [body => STRING], [headers => [NAME, VALUE,
# ...]], [chunked => 1], [timeout => SECONDS], [version => '1.0']): one request
# on a connection of its own.  Returns { status, headers (names in lower case),
# body, raw }, with status 0 if no answer came.

sub http_request {
    my ($port, $method, $uri, %args) = @_;

    my $socket = send_request(@_)
        or return { status => 0, headers => {}, body => '', raw => '' };

    return read_response($socket, $args{timeout}, $method);
}


# send_request(...): sends it, as http_request() does; returns the connection,
# for read_response().

sub send_request {
    my ($port, $method, $uri, %args) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port,
        Timeout => $args{timeout} // $Deadline)
        or return undef;

    my @headers = @{$args{headers} // []};
    my $version = $args{version} // '1.1';
    my $text = "$method $uri HTTP/$version\r\n";

    $text .= "Host: localhost\r\nConnection: close\r\n";

    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }

    if ($args{chunked}) {
        $text .= "Transfer-Encoding: chunked\r\n\r\n";

        for (unpack '(a65536)*', $args{body} // '') {
            $text .= sprintf "%x\r\n%s\r\n", length, $_;
        }

        $text .= "0\r\n\r\n";

    } elsif (defined $args{body}) {
        $text .= 'Content-Length: ' . length($args{body})
                 . "\r\n\r\n$args{body}";

    } else {
        $text .= "\r\n";
    }

    # an answer may come, and the connection be closed, before all is sent

    local $SIG{PIPE} = 'IGNORE';

    while (length $text) {
        my $n = syswrite $socket, $text, 65536;

        last if !$n;

        substr $text, 0, $n, '';
    }

    return $socket;
}


# read_response(SOCKET, [SECONDS], [METHOD]): reads an answer up to the end of
# the connection.  A chunked body is decoded; "truncated" is 1 if less came
# than was announced.

sub read_response {
    my ($socket, $seconds, $method) = @_;

    my $end = time + ($seconds // $Deadline);
    my $select = IO::Select->new($socket);
    my $raw = '';

    while ((my $left = $end - time) > 0) {
        next if !$select->can_read($left);
        last if !sysread $socket, $raw, 65536, length $raw;
    }

    my ($head, $body) = split /\r\n\r\n/, $raw, 2;
    my ($line, @lines) = split /\r\n/, $head // '';
    my %answer = (status => 0, headers => {}, body => $body // '',
                  raw => $raw, truncated => 0);

    if (($line // '') =~ m{^HTTP/1\.\d (\d\d\d)}) {
        $answer{status} = $1;
    }

    for (@lines) {
        my ($name, $value) = split /:\s*/, $_, 2;

        $answer{headers}{lc $name} = $value;
    }

    if (($answer{headers}{'transfer-encoding'} // '') eq 'chunked') {
        my ($rest, $last) = ($answer{body}, 0);

        $answer{body} = '';

        while ($rest =~ s/^([0-9a-fA-F]+)\r\n//) {
            my $size = hex $1;

            $last = 1 if $size == 0;
            $answer{body} .= substr $rest, 0, $size;
            substr $rest, 0, $size + 2 < length $rest ? $size + 2
                                                      : length $rest, '';
        }

        $answer{truncated} = !$last + 0;

    } elsif (($method // '') ne 'HEAD'
             && defined $answer{headers}{'content-length'})
    {
        $answer{truncated} =
            length $answer{body} < $answer{headers}{'content-length'} ? 1 : 0;
    }

    return \%answer;
}


# stub_servers(SYNC_PORT, ASYNC_PORT, [LOCATIONS]): configuration of "http" for
# two upstream servers that answer 201 "sync" and 202 "async" and log what they
# saw, for stub_log(), and the blocks "stub_sync" and "upload_async" naming
# them.  LOCATIONS is text for both servers.

sub stub_servers {
    my ($sync, $async, $locations) = @_;

    $locations //= '';

    my $text = <<"END";
    log_format stub escape=json
        '{"method":"\$request_method","uri":"\$request_uri",'
        '"id":"\$http_x_id","arm":"\$http_x_arm","length":"\$content_length"}';

    upstream stub_sync { server 127.0.0.1:$sync; }
    upstream upload_async { server 127.0.0.1:$async; }
END

    for (['sync', $sync, 201], ['async', $async, 202]) {
        my ($name, $port, $status) = @$_;

        # a body that is read is no reason to close a kept connection

        $text .= <<"END";
    server {
        listen 127.0.0.1:$port;
        access_log logs/stub_$name.log stub;
        client_max_body_size 0;

        location / { return $status "$name"; }
        $locations
    }
END
    }

    return $text;
}


# stub_log(DIR, NAME): what the stub server "sync" or "async" below DIR (the
# prefix of its nginx) saw so far, each as { method, uri, id, arm, length }.

sub stub_log {
    my ($dir, $name) = @_;

    return map { JSON::PP->new->utf8->decode($_) }
        split /\n/, slurp("$dir/logs/stub_$name.log");
}


sub decode_status {
    my ($text) = @_;

    return JSON::PP->new->utf8->decode($text);
}


# timeless(DATA): what a status has but for what goes by the clock, or may be
# another one at the next tick or of another worker, where nothing happens.

sub timeless {
    my ($value) = @_;

    return [map { timeless($_) } @$value] if ref $value eq 'ARRAY';
    return $value if ref $value ne 'HASH';

    return { map { ($_ => timeless($value->{$_})) }
             grep { !/(?:^|_)(?:age|left|span)_s$
                      |^(?:control|hours|memory|slots)$/x }
                 keys %$value };
}


# The cells of a rollout's status, as [name, cell].

sub cells {
    my ($rollout) = @_;

    return (
        ['arms.sync', $rollout->{arms}{sync}],
        ['arms.async', $rollout->{arms}{async}],
        ['forced.sync', $rollout->{forced}{sync}],
        ['forced.async', $rollout->{forced}{async}],
    );
}


# The equations of a rollout's status that do not hold, in words.  They hold at
# any time; with "quiet" also those that take counters of finished uploads
# together, which may be a little apart while uploads end.

sub violations {
    my ($rollout, %args) = @_;

    my (@bad, %sum);

    for (cells($rollout)) {
        my ($name, $c) = @$_;

        my $failure = 0;

        $failure += $_ for values %{$c->{by_class}};

        push @bad, "$name: failure $c->{failure}, by_class $failure"
            if $failure != $c->{failure};

        my $ended = $c->{success} + $c->{failure} + $c->{rejected}
                    + $c->{aborted} + $c->{cut} + $c->{lost};

        push @bad, "$name: uploads $c->{uploads}, ended $ended,"
                   . " in_flight $c->{in_flight}"
            if $c->{uploads} != $ended + $c->{in_flight};

        push @bad, "$name: in_flight is negative"
            if $c->{in_flight} < 0 || $c->{in_flight} > $c->{uploads};

        for my $rate (['success_rate', $c->{success}],
                      ['error_rate', $c->{failure}])
        {
            my ($field, $n) = @$rate;
            my $of = $c->{success} + $c->{failure};
            my $value = $c->{$field};

            push @bad, "$name: $field of $n / $of"
                if $of == 0 ? defined $value
                            : abs($value - $n / $of) > 0.000001;
        }

        next if !$args{quiet};

        push @bad, "$name: in_flight $c->{in_flight}" if $c->{in_flight};

        my ($uploads, $failed) = (0, 0);

        for my $size (values %{$c->{sizes}}) {
            $uploads += $size->{uploads};
            $failed += $size->{failure};
        }

        push @bad, "$name: sizes hold $uploads uploads, $failed failures"
            if $uploads != $c->{success} + $c->{failure}
               || $failed != $c->{failure};

        $sum{$_} += $c->{$_} for qw(success failure masked);
    }

    return @bad if !$args{quiet};

    my ($clients, $fallback) = @$rollout{qw(clients fallback)};

    # clients that left while sync served them felt neither

    push @bad, "clients: uploads $clients->{uploads},"
               . " success + failure - left"
               . " $sum{success} + $sum{failure} - $fallback->{left}"
        if $clients->{uploads}
           != $sum{success} + $sum{failure} - $fallback->{left};

    push @bad, "clients: failed $clients->{failed}, failure - masked - left"
               . " $sum{failure} - $sum{masked} - $fallback->{left}"
        if $clients->{failed}
           != $sum{failure} - $sum{masked} - $fallback->{left};

    push @bad, "fallback: served $fallback->{served}, masked $sum{masked}"
        if $fallback->{served} != $sum{masked};

    return @bad;
}


# ->counted_since(NAME): what this nginx has counted of a rollout since the last
# call, as "RESULT: N, ..."; tests that every upload is counted once.

sub counted_since {
    my ($self, $name) = @_;

    my $rollout = $self->quiet($name);
    my ($async, $sync) = @{$rollout->{arms}}{qw(async sync)};

    conserved($rollout, "  $name: uploads are counted once");

    my %now = (
        map({ ($_ => $async->{$_}) } qw(success rejected aborted cut masked)),
        map({ ("failure $_" => $async->{by_class}{$_}) }
            keys %{$async->{by_class}}),
        served => $rollout->{fallback}{served},
        unserved => $rollout->{fallback}{failed},
        sync => $sync->{uploads},
    );

    my $before = $self->{before}{$name} // {};

    $self->{before}{$name} = \%now;

    return join ', ', map { my $n = $now{$_} - ($before->{$_} // 0);
                            $n ? "$_: $n" : () } sort keys %now;
}


# conserved(ROLLOUT, [TITLE]): a test that nothing was counted twice or not at
# all, of a rollout without uploads in flight.

sub conserved {
    my ($rollout, $title) = @_;

    my @bad = violations($rollout, quiet => 1);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return Test::More::ok(!@bad, $title // 'every upload is counted once')
           || Test::More::diag(map { "    $_\n" } @bad);
}


# AsyncUpload->start(http => TEXT, port => PORT, [workers => N], [main => TEXT],
# [env => { NAME => VALUE }], [files => { PATH => TEXT }], [prepare => CODE],
# [daemon => 1], [clock => 1], [fails => 1]): an nginx of the test's own with
# this text in "http", waited for until it accepts connections at PORT.  Its
# prefix, ->{dir}, is a new directory with these files; status and control are
# expected at /async_upload/status and /async_upload/control of PORT.
#
# "prepare" is called with the object before nginx is started.  With "daemon" it
# is no child of the test, as nginx wants it for an upgrade of its binary.  With
# "clock" it has the module that was built with a clock for tests, see
# advance_clock.  With "fails" it is expected not to start: returns its exit
# status and what it said.

sub start {
    my ($class, %args) = @_;

    my $dir = tempdir('async_upload_XXXXXX', TMPDIR => 1, CLEANUP => 1);

    chmod 0755, $dir;
    make_path("$dir/logs", "$dir/temp", "$dir/html", "$dir/conf");

    my $files = $args{files} // {};

    spew("$dir/$_", $files->{$_}) for keys %$files;

    my $self = bless { %args, dir => $dir, read => 0 }, $class;

    if ($args{clock}) {
        $self->{clock} = "$dir/clock";
        $self->{env} = { %{$args{env} // {}},
                         ASYNC_UPLOAD_TEST_CLOCK => $self->{clock} };
        $self->{offset} = 0;
        $self->advance_clock(0);

        delete @args{qw(clock env)};
    }

    $self->configure(%args);

    $args{prepare}->($self) if $args{prepare};

    if ($args{fails}) {
        my ($status, $output) = $self->run;

        return ($status, $output);
    }

    return $self->launch;
}


# $nginx->launch: starts it again, after end() or crash(), with what it has left
# in its directory.

sub launch {
    my ($self) = @_;

    my $before = $self->pidfile;

    $self->{pid} = $self->spawn;
    $running{$self->{dir}} = $self;

    if ($self->{daemon}) {
        waitpid $self->{pid}, 0;
        $self->{pid} = wait_for {
            my $pid = $self->pidfile;

            $pid != $before ? $pid : 0;
        } 'the pid of nginx';
    }

    wait_for {
        alive($self->{pid})
            or die "nginx did not start:\n" . slurp("$self->{dir}/logs/stderr")
                   . slurp("$self->{dir}/logs/error.log");

        $self->pidfile == $self->{pid}
            && IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                     PeerPort => $self->{port});
    } 'nginx' or die "nginx does not accept connections\n";

    return $self;
}


# Whether a process, a child or not, still runs.

sub alive {
    my ($pid) = @_;

    my $ended = waitpid $pid, WNOHANG;

    return $ended == 0
           || $ended == -1 && slurp("/proc/$pid/stat") =~ /\) [^ZX] /;
}


# What the pid file says, 0 if nothing.

sub pidfile {
    my ($self) = @_;

    return slurp("$self->{dir}/logs/nginx.pid") =~ /^(\d+)$/m ? $1 : 0;
}


# $nginx->configure(http => TEXT, ...): writes the configuration anew, without
# having nginx read it.

sub configure {
    my ($self, %args) = @_;

    $self->{$_} = $args{$_} for keys %args;

    my $user = $> == 0 ? 'user root;' : '';
    my $workers = $self->{workers} // 1;
    my $main = $self->{main} // '';
    my $daemon = $self->{daemon} ? 'on' : 'off';
    my $variable = $self->{clock} ? 'ASYNC_UPLOAD_CLOCK_MODULE'
                                  : 'TEST_NGINX_LOAD_MODULES';
    my $module = $ENV{$variable} // die "$variable is not set\n";

    # workers get from their master's environment what is named alone

    $main .= "env ASYNC_UPLOAD_TEST_CLOCK=$self->{clock};\n" if $self->{clock};

    spew("$self->{dir}/conf/nginx.conf", <<"END");
load_module $module;
$user
daemon $daemon;
worker_processes $workers;
pid logs/nginx.pid;
error_log logs/error.log info;
$main

events {
    worker_connections 512;
}

http {
    default_type text/plain;
    access_log off;

    client_body_temp_path temp/client_body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;

$self->{http}
}
END
}


sub command_line {
    my ($self, @args) = @_;

    my $binary = $ENV{TEST_NGINX_BINARY}
                 // die "TEST_NGINX_BINARY is not set\n";

    return ($binary, '-p', $self->{dir}, '-c', 'conf/nginx.conf', @args);
}


sub spawn {
    my ($self, @args) = @_;

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        $self->enter;
        { exec $self->command_line(@args) }
        POSIX::_exit(127);
    }

    return $pid;
}


# in the child: its environment, and no output into the test's

sub enter {
    my ($self) = @_;

    delete @ENV{grep { /^ASYNC_UPLOAD_/ } keys %ENV};

    my $env = $self->{env} // {};

    $ENV{$_} = $env->{$_} for keys %$env;

    open STDIN, '<', '/dev/null';
    open STDOUT, '>>', "$self->{dir}/logs/stderr";
    open STDERR, '>>', "$self->{dir}/logs/stderr";
}


# $nginx->run('-t'): runs nginx with this configuration to its end; returns its
# exit status and what it said.

sub run {
    my ($self, @args) = @_;

    my $out = "$self->{dir}/logs/stderr";

    unlink $out;

    # what nginx has then is not freed

    local $ENV{ASAN_OPTIONS} = join ',', $ENV{ASAN_OPTIONS} // (),
                                         'detect_leaks=0';

    waitpid $self->spawn(@args), 0;

    return ($? >> 8, slurp($out));
}


# use_steps([SECTION => TEXT, ...]): for a file of Test::Nginx blocks, which
# has been used before.  A block without one of these sections gets it from
# here.  "steps" runs once the block's request was answered, by default one of
# the status.  No block may end with an [error] or worse in its log; one with a
# section "error_log" may have an [error].

my $attached;

sub use_steps {
    my (%sections) = @_;

    Test::Nginx::Util::master_on();

    # State files are beside client_body_temp_path: in logs, as nothing in there
    # outlives a block, while Test::Nginx gives up if it finds a directory that
    # it does not know.

    $Test::Nginx::Util::FilterHttpConfig = sub {
        my ($config) = @_;

        return $config =~ /\bclient_body_temp_path\b/ ? $config
               : "client_body_temp_path logs/client_body;\n$config";
    };

    Test::Nginx::Util::add_block_preprocessor(sub {
        my ($block) = @_;

        my %missing = (
            request => 'GET /async_upload/status',
            no_error_log => "[error]\n[crit]\n[alert]\n[emerg]",
            %sections,
        );

        delete $missing{request}
            if grep { defined $block->$_ } qw(raw_request pipelined_requests
                                              must_die);

        # an expected line has its level

        $missing{no_error_log} =~ s/^\[error\]\n// if defined $block->error_log;

        delete $missing{no_error_log} if defined $block->must_die;

        for my $name (keys %missing) {
            $block->set_value($name, $missing{$name})
                if !defined $block->$name;
        }

        $attached = undef;
    });

    Test::Nginx::Socket::add_response_body_check(sub {
        my ($block) = @_;

        return if !defined $block->steps;

        my $name = $block->name;

        eval "package main; use strict; use warnings;\n"
             . "#line 1 \"steps of $name\"\n" . $block->steps . "\n1"
            or Test::More::fail("$name - $@");
    });
}


# nginx: that of the current Test::Nginx block.

sub nginx {
    return $attached if $attached;

    my $dir = $Test::Nginx::Util::ServRoot;
    my $pid = slurp("$dir/logs/nginx.pid");

    chomp $pid;

    $attached = bless {
        dir => $dir, pid => $pid, port => $Test::Nginx::Util::ServerPort,
    }, __PACKAGE__;

    return $attached;
}


sub request {
    my ($self, @args) = @_;

    return http_request($self->{port}, @args);
}


# The whole status, or one rollout of it by its name.

sub status {
    my ($self, $name) = @_;

    my $answer = $self->request('GET', '/async_upload/status'
                                       . (defined $name ? "?rollout=$name"
                                                        : ''));

    die "status: $answer->{raw}\n" if $answer->{status} != 200;

    my $status = decode_status($answer->{body});

    return defined $name ? $status->{rollouts}{$name} : $status;
}


# $nginx->command(ROLLOUT, COMMAND, [NAME => VALUE, ...]): gives a command with
# these parameters to a rollout; returns the status of the answer and what it
# says, as data.

sub command {
    my ($self, $rollout, $command, @params) = @_;

    my @pairs;

    while (my ($name, $value) = splice @params, 0, 2) {
        $value =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ge;
        push @pairs, "$name=$value";
    }

    my $answer = $self->request(
        'POST', "/async_upload/control/$rollout/$command",
        body => join('&', @pairs),
        headers => ['Content-Type', 'application/x-www-form-urlencoded']);

    return ($answer->{status}, eval { decode_status($answer->{body}) });
}


# $nginx->journal([PATH]): the lines of async_upload_log, as data; PATH is below
# the prefix, logs/journal.jsonl by default.  What is not JSON is a failed test.

sub journal {
    my ($self, $path) = @_;

    my ($text) = slurp("$self->{dir}/" . ($path // 'logs/journal.jsonl'))
                 =~ /\A(.*\n)?/s;

    return map {
        my $line = $_;

        eval { decode_status($line) }
            // (Test::More::fail("a line of the journal is JSON: $line"), ());
    } split /\n/, $text // '';
}


# $nginx->advance_clock(SECONDS): has the time by which the guard goes leap
# forward, for an nginx that was started with "clock".  Latencies and nginx' own
# timers go on as they do.

sub advance_clock {
    my ($self, $seconds) = @_;

    $self->{offset} += $seconds;

    sysopen my $fh, $self->{clock}, POSIX::O_WRONLY | POSIX::O_CREAT
        or die "$self->{clock}: $!\n";

    # all of it in one write: nginx has the file mapped

    syswrite($fh, pack 'q', $self->{offset} * 1_000_000) == 8
        or die "$self->{clock}: $!\n";

    close $fh;
}


# $nginx->next_tick(NAME, ...): waits until the guard has looked at all of these
# rollouts once more.

sub next_tick {
    my ($self, @names) = @_;

    # ages grow until a tick comes

    my %age;

    wait_for {
        my $rollouts = $self->status->{rollouts};

        for (@names) {
            my $now = $rollouts->{$_}{last_tick_age_s} // next;
            my $before = $age{$_} // $now;

            $age{$_} = $before < 0 || $now < $before ? -1 : $now;
        }

        !grep { ($age{$_} // 0) >= 0 } @names;
    } 'a tick';
}


# $nginx->quiet(NAME): one rollout of the status, once nothing is in flight.

sub quiet {
    my ($self, $name) = @_;

    my $rollout;

    wait_for {
        $rollout = $self->status($name);

        !grep { $_->[1]{in_flight} } cells($rollout);
    } "rollout \"$name\" without uploads in flight";

    return $rollout;
}


sub workers {
    my ($self) = @_;

    my $children = '';

    for (glob "/proc/$self->{pid}/task/*/children") {
        $children .= slurp($_);
    }

    return split ' ', $children;
}


# The workers that serve, and those that only end what they have.

sub serving {
    my ($self) = @_;

    return grep { title($_) =~ /worker process$/ } $self->workers;
}


sub draining {
    my ($self) = @_;

    return grep { title($_) =~ /shutting down$/ } $self->workers;
}


sub title {
    my ($pid) = @_;

    return slurp("/proc/$pid/cmdline") =~ s/[\0 ]+$//r;
}


# $nginx->reload: sends HUP and waits until new workers serve and those that
# were there are gone, or, with "draining", serve no more, or, with "fails",
# until the configuration was refused.

sub reload {
    my ($self, %args) = @_;

    my @old = $self->workers;
    my $start = length slurp("$self->{dir}/logs/error.log");

    kill 'HUP', $self->{pid};

    if ($args{fails}) {
        return wait_for {
            substr(slurp("$self->{dir}/logs/error.log"), $start)
                =~ /\[emerg\]/;
        } 'a failed reload';
    }

    return wait_for {
        my %now = map { $_ => 1 } $args{draining} ? $self->serving
                                                  : $self->workers;

        keys %now >= ($args{draining} ? $self->{workers} // 1 : 1)
            && !grep { $now{$_} } @old;
    } 'a reload';
}


# What the error log says that no test ought to overlook, but for lines that
# match one of the patterns.

sub complaints {
    my ($self, @expected) = @_;

    return grep {
        my $line = $_;

        /\[(?:error|crit|alert|emerg)\]/ && !grep { $line =~ $_ } @expected;
    } split /\n/, slurp("$self->{dir}/logs/error.log");
}


# $nginx->stop([PATTERN, ...]): ends it gracefully; a test that its error log
# has nothing from [error] upwards but lines that match a pattern.

sub stop {
    my ($self, @expected) = @_;

    $self->end('QUIT');

    my @bad = $self->complaints(@expected);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    Test::More::ok(!@bad, 'no errors are logged')
        || Test::More::diag(map { "    $_\n" } @bad);
}


sub end {
    my ($self, $signal) = @_;

    delete $running{$self->{dir}} or return;

    kill $signal, $self->{pid};

    if (!wait_for { !alive($self->{pid}) } 'the end of nginx') {
        kill 'KILL', $self->workers, $self->{pid};
        waitpid $self->{pid}, 0;
    }
}


# $nginx->crash: kills the master and all of its workers, of which none can do
# anything any more.

sub crash {
    my ($self) = @_;

    delete $running{$self->{dir}} or return;

    # a master that stands still starts no other workers

    kill 'STOP', $self->{pid};

    my @workers = $self->workers;

    kill 'KILL', @workers, $self->{pid};

    wait_for { !grep { alive($_) } @workers, $self->{pid} } 'the end of nginx';
}


# a test that died

my $owner = $$;

END {
    if ($$ == $owner) {
        local $?;

        $_->end('TERM') for values %running;
    }
}


1;
