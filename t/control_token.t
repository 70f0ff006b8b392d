#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The directive async_upload_control and its file of tokens: what is refused,
# that no message has a token in it, and when tokens that were changed count.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use AsyncUpload;
use POSIX qw(mkfifo);
use Test::More;


my ($port, $sync) = map { free_port() } 1 .. 2;
my $secret = 'S3cret-S3cret-S3cret';


# the text of "http", with this text for a server's locations

sub http {
    my ($locations) = @_;

    return <<"END";
    upstream upload_async {
        server 127.0.0.1:$sync;
    }

    upstream uploads {
        server 127.0.0.1:$sync;
        async_upload upload_async zone=uploads:1m;
        async_upload_enabled on;
        async_upload_rollout 10%;
    }

    server {
        listen 127.0.0.1:$port;
        $locations

        location /async_upload/status {
            async_upload_status;
        }
    }
END
}

my $control = 'location /control { async_upload_control token=tokens; }';
my $nginx = AsyncUpload->start(port => $port, http => http(''));
my $path = "$nginx->{dir}/conf/tokens";


# tokens(TEXT, [MODE]): the file, as it is from now on.

sub tokens {
    my ($text, $mode) = @_;

    unlink $path;
    spew($path, $text);
    chmod $mode // 0600, $path or die "chmod: $!\n";
}

# tested(LOCATIONS): what "nginx -t" says of it; empty if it is fine.

sub tested {
    my ($locations) = @_;

    $nginx->configure(http => http($locations));

    my ($status, $output) = $nginx->run('-t');

    return $output =~ /\[(?:emerg|alert|crit|error|warn)\]/ ? $output
           : $status ? "it has failed: $output" : '';
}

# refused(TITLE, TEXT, [LOCATIONS]): it has one [emerg] line with this text.

sub refused {
    my ($title, $text, $locations) = @_;

    my $output = tested($locations // $control);
    my @lines = grep { /\[emerg\]/ } split /\n/, $output;

    $text =~ s/FILE/"$path"/;

    like(join("\n", @lines),
        qr/\A.*\[emerg\] (?:\d+#\d+: )?\Q$text\E in \S+nginx\.conf:\d+\z/,
        "refused: $title");
    ok(index($output, $secret) < 0, '  and no token is in what is said');
}


# The file.

for (['a token', "ops:$secret\n"], ['two', "a:$secret\nb:x$secret\n"],
     ['no line feed at its end', "ops:$secret"],
     ['comments and empty lines', "# ops:x\n\n#\n\nops:$secret\n\n"],
     ['carriage returns', "\r\nops:$secret\r\n# x\r\n"],
     ['all letters of names',
      "ABCDEFGHIJKLM.NOPQRSTUVWXYZ-_019:$secret\n"],
     ['colons in a token', "ops:$secret:$secret\n"],
     ['a token of 16 bytes', 'ops:' . 'x' x 16],
     ['all that a token may have',
      'ops:' . join('', map { chr } 0x21 .. 0x7e) . "\n"])
{
    tokens($_->[1]);
    is(tested($control), '', "a file with $_->[0] is fine");
}

tokens("ops:$secret\n", 0400);
is(tested($control), '', 'a file that is only read is fine');

# as Kubernetes mounts a secret

mkdir "$nginx->{dir}/conf/data";
rename $path, "$nginx->{dir}/conf/data/tokens";
symlink 'data/tokens', $path;
is(tested($control), '', 'a link to a file is fine');

for my $mode (0640, 0604, 0644, 0620, 0602, 0610, 0601, 0660, 0666, 0777) {
    chmod $mode, "$nginx->{dir}/conf/data/tokens";
    refused(sprintf('a link to a file of mode %04o', $mode),
        'token file FILE must be accessible to its owner alone');
}

for my $mode (0640, 0604) {
    tokens("ops:$secret\n", $mode);
    refused(sprintf('a file of mode %04o', $mode),
        'token file FILE must be accessible to its owner alone');
}

unlink $path;
refused('no file',
    'open() FILE failed (2: No such file or directory)');

mkfifo($path, 0600);
refused('a FIFO', 'token file FILE is not a regular file');

unlink $path;
mkdir $path, 0700;
refused('a directory', 'token file FILE is not a regular file');
rmdir $path;

for (['an empty file', '', 'there is no token in FILE'],
     ['a file of comments', "# ops:$secret\n\n", 'there is no token in FILE'],
     ['a file that is too large', "ops:$secret\n" . '#' x 65536,
      'token file FILE is too large, it must have less than 65536 bytes'],
     ['a line without a name', "a:$secret\n\n$secret\n",
      'invalid line 3 of FILE, it must be name:token'],
     ['a line of a token first', "$secret:ops\n",
      'token in line 1 of FILE is too short, it must have at least 16 bytes'],
     ['an empty name', ":$secret\n", 'invalid name in line 1 of FILE, it must'
      . ' be 1 to 32 letters, digits, ".", "_" or "-"'],
     ['a name with a space', "o ps:$secret\n",
      'invalid name in line 1 of FILE, it must'
      . ' be 1 to 32 letters, digits, ".", "_" or "-"'],
     ['a space before', " ops:$secret\n",
      'invalid name in line 1 of FILE, it must'
      . ' be 1 to 32 letters, digits, ".", "_" or "-"'],
     ['a name of 33 bytes', 'x' x 33 . ":$secret\n",
      'invalid name in line 1 of FILE, it must'
      . ' be 1 to 32 letters, digits, ".", "_" or "-"'],
     ['a name of UTF-8', "\xc3\xa4:$secret\n",
      'invalid name in line 1 of FILE, it must'
      . ' be 1 to 32 letters, digits, ".", "_" or "-"'],
     ['an empty token', "a:$secret\nops:\n",
      'token in line 2 of FILE is too short, it must have at least 16 bytes'],
     ['a token of 15 bytes', 'ops:' . 'x' x 15,
      'token in line 1 of FILE is too short, it must have at least 16 bytes'],
     ['a token of 15 bytes and a line end', 'ops:' . 'x' x 15 . "\r\n",
      'token in line 1 of FILE is too short, it must have at least 16 bytes'],
     ['a space after', "ops:$secret \n", 'invalid token in line 1 of FILE, it'
      . ' must be printable ASCII without spaces'],
     ['a token with a null', "ops:$secret\0\n",
      'invalid token in line 1 of FILE, it must be printable ASCII without'
      . ' spaces'],
     ['a token of UTF-8', "ops:$secret\xc3\xa4\n",
      'invalid token in line 1 of FILE, it must be printable ASCII without'
      . ' spaces'],
     ['a name twice', "a:$secret\nb:1$secret\n#\na:2$secret\n",
      'duplicate name in line 4 of FILE'],
     ['a token twice', "a:$secret\nb:$secret\n",
      'duplicate token in line 2 of FILE'])
{
    my ($title, $text, $expected) = @$_;

    tokens($text);
    refused($title, $expected);
}

# root reads everything

if ($> != 0) {
    tokens("ops:$secret\n", 0000);
    refused('a file that cannot be read',
        'open() FILE failed (13: Permission denied)');
}


# The directive.

tokens("ops:$secret\n");

for (['an exact location', 'location = /x { async_upload_control; }',
      '"async_upload_control" must be in a prefix location, "/x" is an exact'
      . ' one'],
     ['a regular expression', 'location ~ ^/x { async_upload_control; }',
      '"async_upload_control" must be in a prefix location, "^/x" is a regular'
      . ' expression'],
     ['a named location', 'location @x { async_upload_control; }',
      '"async_upload_control" must be in a prefix location, "@x" is a named'
      . ' one'],
     ['a second one', 'location /x { async_upload_control;'
      . ' async_upload_control token=tokens; }',
      '"async_upload_control" directive is duplicate'],
     ['the status in the same place', 'location /x { async_upload_status;'
      . ' async_upload_control; }',
      '"async_upload_control" directive is incompatible with'
      . ' "async_upload_status"'],
     ['the status after it', 'location /x { async_upload_control;'
      . ' async_upload_status; }',
      '"async_upload_status" directive is incompatible with'
      . ' "async_upload_control"'],
     ['another word', 'location /x { async_upload_control uploads; }',
      'invalid parameter "uploads"'],
     ['no path', 'location /x { async_upload_control token=; }',
      'invalid parameter "token="'],
     ['two files', 'location /x { async_upload_control token=a token=b; }',
      'invalid number of arguments in "async_upload_control" directive'],
     ['a server', 'async_upload_control;',
      '"async_upload_control" directive is not allowed here'],
     ['an "if"', 'location /x { if ($arg_x) { async_upload_control; } }',
      '"async_upload_control" directive is not allowed here'])
{
    my ($title, $locations, $expected) = @$_;

    refused($title, $expected, $locations);
}


# Tokens count from the next reload on.

sub status_of {
    my ($token) = @_;

    return $nginx->request('POST', '/control/uploads/signal',
        headers => ['Authorization', "Bearer $token"])->{status};
}

$nginx->configure(http => http($control));
$nginx->reload;

is(status_of($secret), 400, 'a token counts');

tokens("ops:new$secret\n");
is(status_of($secret), 400, 'it counts until the next reload');

$nginx->reload;
is(status_of($secret), 401, 'it does not count any more');
is(status_of("new$secret"), 400, 'the new one does');

tokens("ops:newer$secret\n", 0644);
$nginx->reload(fails => 1);
is(status_of("new$secret"), 400, 'a failed reload changes nothing');

# what was tested is in the log of some builds, too

$nginx->stop(qr/\[emerg\] /);

for (slurp("$nginx->{dir}/logs/error.log")) {
    ok(index($_, $secret) < 0, 'no token is in the log');
}

done_testing();
