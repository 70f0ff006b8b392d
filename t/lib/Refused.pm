
# Copyright (C) 2026 the ngx_http_async_upload_module authors

package Refused;

# For files of Test::Nginx blocks about what nginx says of a configuration.
#
# "directives" go into the block "upstream uploads", "others" beside it,
# "status" into a location.  With "emerg" the configuration is refused with this
# line and nothing else, which blames the line that ends in "# here"; otherwise
# it works.

use strict;
use warnings;

use AsyncUpload;
use Exporter qw(import);

our @EXPORT = qw(use_refused);


# the line of the configuration that nginx just read

sub line {
    my $line = 0;

    for (split /\n/, slurp($Test::Nginx::Util::ConfFile)) {
        $line++;

        return $line if /# here$/;
    }

    return 'the line marked "# here"';
}


sub use_refused {
    use_steps();

    Test::Nginx::Util::add_block_preprocessor(sub {
        my ($block) = @_;

        my $others = $block->others // '';
        my $directives = $block->directives // <<'END';
        async_upload upload_async zone=uploads:1m;
END

        my $status = $block->status // '';

        $block->set_value('http_config', <<"END");
    upstream upload_async {
        server 127.0.0.1:1;
    }

    $others

    upstream uploads {
        server 127.0.0.1:1;

        $directives
    }
END

        $block->set_value('config', <<"END");
    location = /works {
        return 200;
    }

    location /status {
        $status
    }
END

        if (!defined $block->emerg) {
            $block->set_value('request', 'GET /works');
            return;
        }

        my $text = $block->emerg;

        chomp $text;
        $text = quotemeta $text;

        my $place = 'in ' . quotemeta($Test::Nginx::Util::ConfFile)
                    . ':(??{ Refused::line() })';

        # where the message does not end with the place, it says PLACE or
        # NOWHERE

        $text =~ s/NOWHERE$// or $text =~ s/PLACE/$place/
            or $text .= " $place";
        $text =~ s/NUMBER/\\d+/g;

        use re 'eval';

        $block->set_value('must_die', 1);
        $block->set_value('suppress_stderr', 1);
        $block->set_value('error_log', '[emerg]');
        $block->set_value('grep_error_log', qr/\[(?:warn|emerg|alert)\].*/);
        $block->set_value('grep_error_log_out',
            qr/\A\[emerg\] \d+#\d+: $text\n\z/);
    });
}


1;
