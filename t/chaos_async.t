#!/usr/bin/env perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# All uploads are async's, which is killed and started again ten times under
# load: clients see none of it, and every failure is counted, once.  What the
# load client, the status, the access logs of all servers say is one account.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use File::Find;
use List::Util qw(sum0);
use Load;
use Test::More;


my $kills = 10;
my $clients = 32;
my ($port, $sync, $async, $inner) = map { free_port() } 1 .. 4;

# sanitizers take their time

my $uploads = `$ENV{TEST_NGINX_BINARY} -V 2>&1` =~ /-fsanitize=/ ? 6000 : 20000;


# The servers.  Async has read all of a body when it asks a server of its own,
# which answers after a while, so that there is always something going on, and
# has logged it, as there is no body to read, before anybody has the answer; one
# process does all of this.

my $log = <<'END';
    log_format served '$http_x_client_id $status';

    keepalive_requests 100000;
    client_max_body_size 0;
    client_body_buffer_size 32k;
END

sub start_async {
    return AsyncUpload->start(
        port => $async, main => 'master_process off;', http => <<"END");
    $log
    limit_req_zone \$server_port zone=pace:32k rate=5000r/s;

    server {
        listen 127.0.0.1:$async backlog=1024;
        add_header X-Served async always;

        location / {
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://127.0.0.1:$inner;
        }
    }

    server {
        listen 127.0.0.1:$inner backlog=1024;
        access_log logs/served.log served;
        limit_req zone=pace burst=1000;
        limit_req_log_level info;

        location / {
            try_files "" \@done;
        }

        location \@done {
            return 202;
        }
    }
END
}

my $stub = AsyncUpload->start(port => $sync, http => <<"END");
    $log

    server {
        listen 127.0.0.1:$sync backlog=1024;
        access_log logs/served.log served;
        add_header X-Served sync always;
        return 201;
    }
END

my $nginx = AsyncUpload->start(port => $port, workers => 2, http => <<"END");
    log_format each '\$http_x_client_id \$status \$async_upload_counted'
                    ' \$async_upload_execution \$async_upload_success'
                    ' "\$async_upload_fallback" "\$async_upload_error"';

    upstream upload_async {
        server 127.0.0.1:$async;
        keepalive 16;
    }

    upstream uploads {
        server 127.0.0.1:$sync;
        keepalive 16;

        async_upload upload_async zone=uploads:4m;
        async_upload_enabled on;
        async_upload_rollback off;
        async_upload_rollout 100%;
        async_upload_fallback failure replay=always;
    }

    server {
        listen 127.0.0.1:$port backlog=1024;

        keepalive_requests 100000;
        client_body_buffer_size 4k;

        access_log logs/each.log each;
        proxy_http_version 1.1;
        proxy_set_header Connection "";

        # a tenth of the bodies are in files that have a name

        if (\$http_x_client_id ~ "0\$") {
            rewrite ^ /file;
        }

        location / {
            proxy_pass http://uploads;
        }

        location /file {
            client_body_in_file_only clean;
            proxy_pass http://uploads;
        }

        location = /async_upload/status {
            access_log off;
            async_upload_status;
        }
    }
END


# Waits until a counter of async, or all of its uploads, is so much higher.

sub advance {
    my ($counter, $n) = @_;

    my $goal = $nginx->status('uploads')->{arms}{async}{$counter} + $n;

    wait_for { $nginx->status('uploads')->{arms}{async}{$counter} >= $goal }
        "$n more of $counter";
}


my @async = start_async();

my $load = Load->start($port, uploads => 0, clients => $clients, seed => 7,
                       keepalive => 1, prefix => '', sizes => '0:16384',
                       methods => 'POST,PUT,PATCH', record => ['X-Served'],
                       each => "$nginx->{dir}/each_client.log");

for my $n (1 .. $kills) {
    advance('success', $uploads / $kills * 0.8);

    # some were being served, and some come while it is gone

    $async[-1]->end($n % 2 ? 'KILL' : 'TERM');

    advance('failure', $clients);

    push @async, start_async();
}

advance('success', 100);

wait_for { $nginx->status('uploads')->{arms}{async}{uploads} >= $uploads }
    "$uploads uploads";

my $result = $load->finish;
my $rollout = $nginx->quiet('uploads');
my $cell = $rollout->{arms}{async};

cmp_ok($result->{sent}, '>=', $uploads, "there were at least $uploads uploads");


# Clients.

my %served = (async => 0, sync => 0, %{$result->{arm}});
my ($by_async, $by_sync) = @served{qw(async sync)};

is_deeply({ map { ($_ => $result->{$_}) }
                qw(connect broken timeout invalid answered) },
          { connect => 0, broken => 0, timeout => 0, invalid => 0,
            answered => $result->{sent} },
          'clients see no error');
is_deeply($result->{status}, { 201 => $by_sync, 202 => $by_async },
          'nor another answer than those of the servers');
is($by_sync + $by_async, $result->{sent}, 'all are served');


# Counters.

conserved($rollout);

is_deeply({ map { ($_ => $cell->{$_}) }
                qw(uploads success failure masked rejected aborted cut lost) },
          { uploads => $result->{sent}, success => $by_async,
            failure => $by_sync, masked => $by_sync, rejected => 0,
            aborted => 0, cut => 0, lost => 0 },
          'what async answered is a success, what it did not a masked failure');
is($rollout->{fallback}{served}, $by_sync, 'sync has served the others');
is($rollout->{fallback}{failed}, 0, 'without a failure');
is($rollout->{arms}{sync}{uploads}, 0, 'none was of sync');
is($rollout->{clients}{failed}, 0, 'people feel nothing');

my %classes = map { ($_ => $cell->{by_class}{$_}) }
              grep { $cell->{by_class}{$_} } keys %{$cell->{by_class}};

ok($classes{reset} && $classes{connect},
   'some were being served, some came while async was gone');
note("$result->{sent} uploads, failures of async: ",
     join ', ', map { "$_: $classes{$_}" } sort keys %classes);


# Logs: that of the rollout says of each upload what its client says.

my @each = @{each_line("$nginx->{dir}/each_client.log")};
my (%lines, %logged, @wrong);

wait_for {
    $lines{$_}++ for slurp("$nginx->{dir}/logs/each.log") =~ /\n/g;
    (delete $lines{"\n"} // 0) >= $result->{sent};
} 'the lines of the access log';

for (split /\n/, slurp("$nginx->{dir}/logs/each.log")) {
    my ($id, $status, $counted, $execution, $success, $fallback, $error) =
        split;
    my ($seen, $server) = @{$each[$id] // []};

    $lines{$id}++;
    $logged{$execution}++;

    if ($execution eq 'sync_fallback') {
        $logged{$fallback =~ tr/"//dr}++;
        push @wrong, $_ if $server ne 'sync' || $fallback ne $error;

    } else {
        push @wrong, $_ if $server ne 'async' || $fallback ne '""'
                           || $error ne '""';
    }

    push @wrong, $_ if $status != $seen || !$counted || !$success;
}

is_deeply(\@wrong, [], 'the log says of an upload what its client says');
is(keys %lines, $result->{sent}, 'each upload has its line');
is(sum0(values %lines), $result->{sent}, 'and only one');
is_deeply(\%logged, { async => $by_async, sync_fallback => $by_sync, %classes },
          'executions and failures are those that are counted');


# What the servers saw.

sub served {
    my (@servers) = @_;

    my %n;

    for (map { split /\n/, slurp("$_->{dir}/logs/served.log") } @servers) {
        my ($id, $status) = split;

        $n{$id}++ if $status < 300;
    }

    return \%n;
}

my @by = ([], []);

push @{$by[$each[$_][1] eq 'sync']}, $_ for 0 .. $#each;

my $at_sync;

wait_for { $at_sync = served($stub); keys %$at_sync >= $by_sync }
    'the log of sync';

is_deeply($at_sync, { map { ($_ => 1) } @{$by[1]} },
          'sync had those that it served, each of them once');

# Async had those that it served, and perhaps some whose answer did not get out:
# these were sent again, which is what replay=always asks for.

my $at_async = served(@async);
my @unknown = grep { !$at_async->{$_} } @{$by[0]};
my @again = grep { $at_sync->{$_} } keys %$at_async;

is_deeply(\@unknown, [], 'async had those that it served');
cmp_ok(@again, '<=', $classes{reset} // 0,
       'it had more only of those that are failures with something sent');


# Temporary files.

like(slurp("$nginx->{dir}/logs/error.log"), qr/buffered to a temporary file/,
     'some bodies were in files');

my @left;

find(sub {
    push @left, $File::Find::name if -f && $File::Find::name !~ /\.state$/;
}, "$nginx->{dir}/temp");

is_deeply(\@left, [], 'none of the files is left');

$nginx->stop(
    qr/(?:connect|recv|send|sendfile|writev)\(\) failed \((?:104|111|32):/,
    qr/upstream prematurely closed connection/,
);
$_->end('TERM') for @async;
$stub->stop;

done_testing();
