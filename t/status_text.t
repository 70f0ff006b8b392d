#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The status as text and as a report: the same figures as those of the JSON, in
# a form that nothing from outside can break.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use Guarded;
use Test::More;


my $guarded = Guarded->new(clock => 1);

$guarded->add('stages', 'async_upload_stage 10% min_uploads=100 latency=off'
    . ' soak=2h; async_upload_stage 50%; async_upload_stage 100%;'
    . ' async_upload_rollback run=9 min_uploads=30; async_upload_budget 77;'
    . ' async_upload_review off;'
    . ' async_upload_fallback failure replay=always;');
$guarded->add('fixed', 'async_upload_rollout 33.33%; async_upload_dry_run on;');
$guarded->add('idle', 'async_upload_enabled off; async_upload_rollout 100%;');

my $port = free_port();

my $nginx = $guarded->start(http => <<"END");
    server {
        listen 127.0.0.1:$port;

        location = /one {
            async_upload_status stages;
        }
    }
END

# "ä", and what turns the direction of text

my $strange = "|a| # b <script>&amp; `c` *d* _e_ [f](g) \\|\\ \xc3\xa4"
              . "\xe2\x80\xae " . 'x' x 120;


sub answer {
    my ($args, @headers) = @_;

    return $nginx->request('GET', "/async_upload/status$args",
                           headers => \@headers);
}


# text(NAME): the lines, by their labels

sub text {
    my ($name) = @_;

    my $body = answer("?format=text&rollout=$name")->{body};

    return map { /^(\w+)\s+(.*)/ ? ($1 => $2) : () } split /\n/, $body;
}


# rows(MARKDOWN): the cells of all rows of tables, by the first cell; a pipe
# with a backslash is none

sub rows {
    my ($body) = @_;

    my %rows;

    for (grep { /^\|/ } split /\n/, $body) {
        my (undef, @cells) = split /(?<!\\)\|/, $_, -1;

        s/^ +| +$//g for @cells;
        pop @cells;

        push @{$rows{$cells[0]}}, [@cells[1 .. $#cells]];
    }

    return \%rows;
}


sub percent {
    my ($rate) = @_;

    return defined $rate ? sprintf('%.2f%%', $rate * 100) : '-';
}


# told(US): a latency as people are told

sub told {
    my ($us) = @_;

    return '-' if !$us;
    return "$us us" if $us < 1000;
    return ($us < 1e6 ? sprintf('%.3g', $us / 1e3) . ' ms'
                      : sprintf('%.3g', $us / 1e6) . ' s');
}


$guarded->uploads('stages', 'async', mix(ok => 19, 500 => 1));
$guarded->uploads('stages', 'sync', mix(ok => 40, 404 => 2, 500 => 3));
$guarded->tick;

is($guarded->command('stages', 'pause', reason => $strange,
                     actor => '|<i>`x`'), 200, 'a command with strange words');


# Twelve lines.

my $answer = answer('?format=text');

is($answer->{status}, 200, 'text: the status');
is($answer->{headers}{'content-type'}, 'text/plain', 'text: the type');
is($answer->{headers}{'cache-control'}, 'no-store', 'text: not to be stored');

my @lines = split /\n/, $answer->{body}, -1;

like($answer->{body}, qr/[^\n]\n\z/, 'text: it ends with a line feed');
is(scalar(grep { length > 80 } @lines), 0, 'text: no line over 80 columns');
is(scalar(grep { /[^ -~]/ } @lines), 0, 'text: all of it is printable ASCII');
is(join(' ', map { length $_ ? 'x' : '-' } @lines),
    join(' ', ('x') x 12, '-', ('x') x 12, '-', ('x') x 12, '-'),
    'text: twelve lines a rollout, an empty one between two');

is($nginx->request('HEAD', '/async_upload/status?format=text')
        ->{headers}{'content-type'}, 'text/plain', 'text: HEAD');

my $status = $nginx->status('stages');
my %text = text('stages');

is(join(' ', sort keys %text), 'async baseline clients event gate guard latency'
    . ' limits share stage state sync', 'text: the labels');

like($text{state}, qr/^PAUSED, epoch $status->{epoch}, .*, rollout stages$/,
    'text: the state');
like($text{share}, qr/^\[#+-+\] 10%, /, 'text: the share');

my $actual = sprintf '%.2f', $status->{share_actual_bp} / 100;

like($text{share}, qr/, $actual% seen$/, 'text: as it was seen');
is($text{share} =~ tr/#//, 5, 'text: a bar of it');
like($text{stage}, qr/^1 of 3, next 50% by command, soak 1h 59m left$/,
    'text: the stage');

my ($shut, @closed) = map { "$_->[0] $_->[1]" } map {
    my ($have, $need) = @$_{qw(have need)};

    $_->{open} ? () : [$_->{rule}, $_->{rule} eq 'soak' ? '' :
        $_->{unit} eq 'ppm' ? sprintf('%g%% of %g%%', $have / 1e4, $need / 1e4)
                            : "$have of $need"];
} @{$status->{stage}{gate}};

is($shut, 'soak ', 'text: the soak is not over');
is($text{gate} =~ s/^SHUT: soak \d+s of 2h, (.*)\.\.\.$/$1/r,
    substr(join(', ', @closed), 0, length($text{gate}) - 24),
    'text: the lines of the gate that are closed');

for my $arm (qw(async sync)) {
    my $seen = $status->{observation}{$arm};

    is($text{$arm}, "$seen->{uploads} uploads, $seen->{failure} failed, success "
        . percent($seen->{success_rate}) . ', p95 '
        . told($status->{latency}{"${arm}_p95_us"}), "text: $arm");
}

is($text{latency}, 'nothing to compare yet', 'text: latency');
is($text{clients}, "HURT: $status->{clients}{failed} of"
    . " $status->{clients}{uploads} uploads failed since the start,"
    . " $status->{fallback}{served} saved by sync", 'text: the clients');
is($status->{clients}{failed}, 4, 'text: who were hurt, also by sync');

my $decision = $status->{last_decision};

is($text{guard}, "on: $decision->{verdict}, $decision->{reason}"
    . " ($decision->{value} of $decision->{limit})", 'text: the guard');

my $run = $status->{consecutive_failures}{now};

like($text{limits}, qr/^$run of 9 in a row, budget 1 of 77, memory /,
    'text: the limits');
like($text{baseline}, qr/^0 uploads in \d+s, success -, p95 -, frozen, too few$/,
    'text: the baseline');
like($text{event}, qr/^\d+s ago: pause at 1000 bp, stage 1, by control \(/,
    'text: the last event');
like($text{event}, qr/\.\.\.$/, 'text: what is too long is cut');

%text = text('fixed');

is($text{stage}, 'none, the share is fixed', 'text: without stages');
is($text{gate}, 'none', 'text: without a gate');
like($text{guard}, qr/^OFF \(dry_run\): wait$/, 'text: in a dry run');
like($text{share}, qr/\] 33\.33%, - seen$/, 'text: a share with decimals');
like($text{clients}, qr/^not hurt: 0 of 0 uploads /, 'text: nobody is hurt');

%text = text('idle');

like($text{state}, qr/^OFF, /, 'text: off');
like($text{share}, qr/^\[-+\] 0%, /, 'text: without a share');
like($text{stage}, qr/, kept at 100%$/, 'text: but with what it returns to');

# a bar of 48 marks is full at 100% alone, and empty at 0%

for (['99.99%', 47], ['100%', 48], ['0.01%', 1], ['50%', 24]) {
    my ($share, $full) = @$_;

    $guarded->command('fixed', 'share', share => $share);
    %text = text('fixed');
    is($text{share} =~ tr/#//, $full, "text: the bar of $share");
    like($text{share}, qr/\] \Q$share\E, /, "text: $share");
}


# The report.

$answer = answer('?format=report&rollout=stages');

is($answer->{status}, 200, 'report: the status');
is($answer->{headers}{'content-type'}, 'text/markdown; charset=utf-8',
    'report: the type');

my $report = $answer->{body};

utf8::decode($report) or fail('report: it is UTF-8');

unlike($report, qr/[<>]/, 'report: no tags');
unlike($report, qr/[^\n -~\x{e4}\x{fffd}]/,
    'report: nothing that cannot be seen');
like($report, qr/^## stages$/m, 'report: the rollout');

# all rows of a table have as many cells as its head

my ($columns, @broken);

for (split /\n/, $report) {
    if (!/^\|/) {
        undef $columns;
        next;
    }

    my $n = () = /(?<!\\)\|/g;

    $columns //= $n;
    push @broken, $_ if $n != $columns || !/ ?\|$/;
}

is_deeply(\@broken, [], 'report: tables are tables');

my $rows = rows($report);

$status = $nginx->status('stages');

is($rows->{State}[0][0], 'paused', 'report: the state');
is($rows->{'Share of async'}[0][0], '10%', 'report: the share');
is($rows->{Stage}[0][0], '1 of 3, next 50%', 'report: the stage');
is($rows->{'Async upstream'}[0][0], 'async\_stages', 'report: the upstream');
is($rows->{Guard}[0][0], 'on', 'report: the guard');
is($rows->{'Uploads that failed for clients since the start'}[0][0],
    "$status->{clients}{failed} of $status->{clients}{uploads}",
    'report: the clients');
is($rows->{'State file'}[0][0] =~ s/\\//gr, $status->{state_file}{path},
    'report: the state file');

# in the observation first, then since the start

my $since = $status->{arms};
my $seen = $status->{observation};

is_deeply($rows->{Success},
    [map { my $arm = $_; [map { $arm->{$_}{success} } qw(sync async)] }
         $seen, $since], 'report: successes');
is_deeply($rows->{Failure},
    [map { my $arm = $_; [map { $arm->{$_}{failure} } qw(sync async)] }
         $seen, $since], 'report: failures');
is_deeply($rows->{'Rejected (4xx)'}, [[2, 0], [2, 0]], 'report: rejected ones');
is_deeply($rows->{'Failure: http\_500'}, [[3, 1]], 'report: by class');
is_deeply($rows->{Bytes}, [[map { $since->{$_}{bytes} } qw(sync async)]],
    'report: bytes');
is_deeply($rows->{'Success rate'}[1],
    [map { percent($seen->{$_}{success_rate}) } qw(sync async)],
    'report: rates');

like($rows->{'Latency p50, p95, p99'}[1][1],
    qr/, \Q@{[told($status->{latency}{async_p95_us})]}\E, /,
    'report: latencies');

# criteria: the gate, then what rolls back

is_deeply($rows->{uploads}[0], ['20', 'at least 100', 'FAIL'],
    'report: too few uploads');
is_deeply($rows->{success}[0], ['95%', 'at least 99.5%', 'FAIL'],
    'report: too little success');
is_deeply($rows->{success}[1], ['95.00% of 20', 'at least 95%',
    'not known yet'], 'report: nothing is known of a rollback');
is_deeply($rows->{'budget of failures'}[0], ['1', 'less than 77', 'pass'],
    'report: the budget');
is_deeply($rows->{complaints}[0], ['0', 'none', 'off'],
    'report: a rule that is off');

$guarded->uploads('stages', 'async', mix(ok => 18, 500 => 2));

is_deeply(rows(answer('?format=report&rollout=stages')->{body})->{success}[1],
    ['92.50% of 40', 'at least 95%', 'FAIL'], 'report: a limit that is broken');

# decisions

my ($event) = grep { /by control/ } split /\n/, $report;

like($event, qr/^\| [\d-]{10} [\d:]{8}Z \| pause at 1000 bp, stage 1, by control/,
    'report: a decision');
like($event, qr/\\\|&lt;i&gt;\\`x\\`/, 'report: who made it');
my $why = <<'END' . "\x{e4}\x{fffd} xxx";
\|a\| \# b &lt;script&gt;&amp;amp; \`c\` \*d\* \_e\_ \[f\]\(g\) \\\|\\
END

$why =~ s/\n/ /;

cmp_ok(index($event, "| $why"), '>', 0, 'report: why, without markup')
    or diag($event);

my $events = sub {
    my ($since) = @_;

    my $body = answer("?format=report&rollout=stages&since=$since")->{body};

    return scalar grep { /^\| \d{4}-/ } split /\n/, $body;
};

my $all = @{$status->{events}};

cmp_ok($all, '>=', 2, 'report: there are events');
is($events->($_), $all, "report: all of them in $_") for qw(30m 24h 7d 1d6h);
is($events->('24h'), $all, 'report: a day is the default');
is($events->('0'), 0, 'report: none in the last 0 seconds');

for my $since ('', '1', '30') {
    my $answer = answer("?format=report&since=$since");

    is($answer->{status}, $since eq '' ? 400 : 200, "report: since=$since");
}

for my $since ('yesterday', '-1h', '1h%202x', '%3Cb%3E', '1.5h') {
    my $answer = answer("?format=report&since=$since");
    my $error = decode_status($answer->{body});

    is($answer->{status}, 400, "report: since=$since is refused");
    is($error->{error}, 'bad_request', "report: since=$since: the error");
    like($error->{description}, qr/"since", it must be a time such as 30m, /,
        "report: since=$since: the description");
}


# What a client accepts.

for (['text/plain', 'text/plain'],
     ['text/plain;q=0.9, */*', 'text/plain'],
     ['Text/Markdown', 'text/markdown; charset=utf-8'],
     ['application/json', 'application/json'],
     ['*/*', 'application/json'],
     ['text/html,application/xhtml+xml,*/*;q=0.8', 'application/json'],
     ['text/plainer', 'application/json'],
     ['', 'application/json'])
{
    my ($accept, $type) = @$_;

    is(answer('', 'Accept', $accept)->{headers}{'content-type'}, $type,
        "accept: $accept");
    is(answer('?format=json', 'Accept', $accept)->{headers}{'content-type'},
        'application/json', "accept: $accept: format has the last word");
}


# Alarms go with every format, and so does the rollout of a location.

for my $format (qw(text report)) {
    is(answer("?format=$format&fail=off")->{status}, 503,
        "$format: an alarm");
    is(answer("?format=$format&fail=review")->{status}, 200,
        "$format: no alarm");
    is(answer("?format=$format&rollout=none")->{status}, 404,
        "$format: no such rollout");

    my $body = http_request($port, 'GET', "/one?format=$format")->{body};

    like($body, qr/\bstages\b/, "$format: the rollout of the location");
    unlike($body, qr/\bfixed\b/, "$format: and no other");
}

$guarded->stop;

done_testing();
