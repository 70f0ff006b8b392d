#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# The tests are in unit/dossier.c.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/unit";

use Unit;

Unit::run('dossier');
