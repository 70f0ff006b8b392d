#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What testing a configuration and failing to load one leave as it was, and
# what a reload changes.

use strict;
use warnings;

use Test::More;

use lib 't/lib';

use AsyncUpload;


my ($port, $sync, $async, $taken) = map { free_port() } 1 .. 4;


sub conf {
    my (%args) = @_;

    my $share = $args{share} // '50%';
    my $enabled = $args{enabled} // 'on';
    my $zone = $args{zone} // '4m';
    my $more = $args{more} // '';

    return stub_servers($sync, $async) . <<"END";
    upstream uploads {
        server 127.0.0.1:$sync;

        async_upload upload_async zone=uploads:$zone;
        async_upload_enabled $enabled;
        async_upload_rollout $share;
        async_upload_key \$http_x_id;
    }

    $more

    server {
        listen 127.0.0.1:$port;

        location / {
            proxy_pass http://uploads;
        }

        location /async_upload/status {
            async_upload_status;
        }
    }
END
}


# What is to stay as it is: the status but for what time alone changes, and the
# files but for the logs.

sub figures {
    my ($nginx) = @_;

    my $rollout = timeless($nginx->quiet('uploads'));

    delete $rollout->{generation};

    return $rollout;
}


sub files {
    my ($nginx) = @_;

    my %files;

    for (split /\n/, `find "$nginx->{dir}" -printf '%P %m %s %i\\n'`) {
        my ($path, @about) = split / /;

        # states are saved now and then

        next if $path =~ m{^(?:logs/(?:error\.log|stderr)|conf
                               |temp/async_upload)(?:/|$)}x;

        $files{$path} = "@about";
    }

    return \%files;
}


sub accepted {
    my ($nginx, $what) = @_;

    like(($nginx->run('-t'))[1], qr/test is successful/,
        "nginx -t accepts $what");
}


sub upload {
    my ($nginx, $n) = @_;

    for (1 .. $n) {
        $nginx->request('POST', '/', body => 'x', headers => ['X-Id', "k$_"]);
    }
}


# Runs "act" beside a running nginx and compares.

sub changes_nothing {
    my ($nginx, $title, $act) = @_;

    my ($figures, $files) = (figures($nginx), files($nginx));

    $act->();

    is_deeply(figures($nginx), $figures, "$title changes no figure");
    is_deeply(files($nginx), $files, "$title changes no file");
}


my $nginx = AsyncUpload->start(http => conf(), port => $port, workers => 2);

upload($nginx, 40);
$nginx->quiet('uploads');
$nginx->next_tick('uploads');

my $first = figures($nginx);

ok($first->{arms}{sync}{uploads} && $first->{arms}{async}{uploads},
    'there are figures that could change');


# Only testing it.

changes_nothing($nginx, 'nginx -t with another share', sub {
    for my $n (1 .. 20) {
        $nginx->configure(http => conf(share => "$n%"));

        accepted($nginx, "a share of $n%");
    }
});

changes_nothing($nginx, 'nginx -t with the rollout off', sub {
    $nginx->configure(http => conf(enabled => 'off'));

    accepted($nginx, 'it');
});

changes_nothing($nginx, 'nginx -t that fails', sub {
    $nginx->configure(http => conf(share => '101%'));

    like(($nginx->run('-t'))[1], qr/test failed/,
        'nginx -t refuses a share of 101%');
});


# Failing to load it, ever later.

changes_nothing($nginx, 'a reload that fails in a directive', sub {
    $nginx->configure(http => conf(share => '75%', more => 'no_such;'));
    $nginx->reload(fails => 1);
});

changes_nothing($nginx, 'a reload that fails in the rollouts', sub {
    $nginx->configure(http => conf(share => '75%', more => <<'END'));
    upstream more {
        server 127.0.0.1:1;
        async_upload none zone=more:4m;
    }
END
    $nginx->reload(fails => 1);
});

changes_nothing($nginx, 'a reload that fails in a log file', sub {
    $nginx->configure(http => conf(share => '75%',
                                   more => 'access_log no/such/directory;'));
    $nginx->reload(fails => 1);
});

changes_nothing($nginx, 'a reload that fails in a later zone', sub {
    $nginx->configure(http => conf(share => '75%', more => <<'END'));
    upstream more {
        server 127.0.0.1:1;
        async_upload upload_async zone=more:64k;
    }
END
    $nginx->reload(fails => 1);
});

my $holder = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
    LocalPort => $taken, Listen => 1) or die "port $taken: $!\n";

changes_nothing($nginx, 'a reload that fails with an address in use', sub {
    $nginx->configure(http => conf(share => '75%', more => <<"END"));
    server {
        listen 127.0.0.1:$taken;
    }
END
    $nginx->reload(fails => 1);

    wait_for {
        slurp("$nginx->{dir}/logs/error.log") =~ /still could not bind/;
    } 'nginx to give up';
});

close $holder;

changes_nothing($nginx, 'a reload with more workers than the zone holds', sub {
    $nginx->configure(http => conf(share => '75%'), workers => 1000);
    $nginx->reload(fails => 1);
});

my $small = 'zone "uploads" is too small: 4096k,'
            . ' with worker_processes 1000 at least';

like(slurp("$nginx->{dir}/logs/error.log"),
    qr/\[emerg\] \S+ $small \d+k is needed in \S+nginx\.conf:\d+$/m,
    'which names the size that would do');


# And loading it.

changes_nothing($nginx, 'a reload with the same rollout', sub {
    $nginx->configure(http => conf(), workers => 2);
    $nginx->reload;
});

$nginx->configure(http => conf(share => '75%'));
$nginx->reload;

my $second = figures($nginx);

is($second->{share_bp}, 7500, 'a reload applies another share');
is($second->{epoch}, $first->{epoch} + 1, 'and begins an epoch');
is_deeply($second->{arms}, $first->{arms}, 'and keeps the figures');

$nginx->configure(http => conf(share => '75%', enabled => 'off'));
$nginx->reload;

my $third = figures($nginx);

is($third->{state}, 'off', 'a reload turns the rollout off');
is($third->{epoch}, $first->{epoch} + 2, 'and begins an epoch');
is_deeply($third->{arms}, $first->{arms}, 'and keeps the figures');

upload($nginx, 40);

is(figures($nginx)->{arms}{sync}{uploads},
    $first->{arms}{sync}{uploads} + 40, 'and every upload goes to sync');
is(figures($nginx)->{arms}{async}{uploads}, $first->{arms}{async}{uploads},
    'and none to async');

$nginx->stop(qr/invalid share "101%"/,
             qr/unknown directive "no_such"/,
             qr/there is no upstream block "none"/,
             qr{open\(\) "[^"]*/no/such/directory" failed},
             qr/zone "(?:more|uploads)" is too small/,
             qr/bind\(\) to 127\.0\.0\.1:$taken failed/,
             qr/still could not bind/);


# The least size of a zone.

for my $workers (1, 7) {
    my ($status, $output) = AsyncUpload->start(
        http => conf(zone => '64k'), port => $port, workers => $workers,
        fails => 1);

    isnt($status, 0, "$workers workers do not start with a zone of 64k");

    my ($least) = $output =~ /at least (\d+k) is needed/;

    ok($least, 'the size that will do is named') or diag($output);

    my $nginx = AsyncUpload->start(
        http => conf(zone => $least), port => $port, workers => $workers);

    wait_for {
        $nginx->status('uploads')->{slots}{alive} == $workers;
    } "a slot for each of $workers workers";

    $nginx->configure(http => conf(zone => $least, share => '1%'));
    $nginx->reload;

    ok(!$nginx->status('uploads')->{slots}{overflow},
        'it holds the workers of a reload, too');

    $nginx->stop;
}


done_testing();
