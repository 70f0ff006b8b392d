#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What nginx says about wrong, duplicate or contradictory rules of a rollout and
# about its state file.  PREFIX stands for the prefix of nginx.

use Test::Nginx::Socket 'no_plan';

use lib 't/lib';

use Refused;


use_refused();

# runs before that of use_refused()

add_block_preprocessor(sub {
    my ($block) = @_;

    return if !defined $block->emerg;

    $block->set_value('emerg',
        $block->emerg =~ s/PREFIX/$Test::Nginx::Util::ServRoot/r);
});

run_tests();


__DATA__

=== TEST 1: stages must be in ascending order
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 5%;
async_upload_stage 1%;    # here
--- emerg
invalid share "1%", it must be above that of the stage before



=== TEST 2: a stage with the share of the one before is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 5%;
async_upload_stage 5.00%;    # here
--- emerg
invalid share "5.00%", it must be above that of the stage before



=== TEST 3: "0%" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 0%;    # here
--- emerg
invalid share "0%", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 4: "0.00%" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 0.00%;    # here
--- emerg
invalid share "0.00%", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 5: "100.01%" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 100.01%;    # here
--- emerg
invalid share "100.01%", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 6: "0.001%" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 0.001%;    # here
--- emerg
invalid share "0.001%", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 7: "1" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1;    # here
--- emerg
invalid share "1", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 8: "-1%" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage -1%;    # here
--- emerg
invalid share "-1%", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 9: ".5%" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage .5%;    # here
--- emerg
invalid share ".5%", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 10: "1.%" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1.%;    # here
--- emerg
invalid share "1.%", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 11: "%" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage %;    # here
--- emerg
invalid share "%", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 12: "one" is no share of a stage
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage one;    # here
--- emerg
invalid share "one", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 13: a stage without a share is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage;    # here
--- emerg
invalid number of arguments in "async_upload_stage" directive



=== TEST 14: a stage without its share first is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage soak=1h 1%;    # here
--- emerg
invalid share "soak=1h", it must be from 0.01% to 100% in steps of 0.01%



=== TEST 15: a 33rd stage is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1%;
async_upload_stage 2%;
async_upload_stage 3%;
async_upload_stage 4%;
async_upload_stage 5%;
async_upload_stage 6%;
async_upload_stage 7%;
async_upload_stage 8%;
async_upload_stage 9%;
async_upload_stage 10%;
async_upload_stage 11%;
async_upload_stage 12%;
async_upload_stage 13%;
async_upload_stage 14%;
async_upload_stage 15%;
async_upload_stage 16%;
async_upload_stage 17%;
async_upload_stage 18%;
async_upload_stage 19%;
async_upload_stage 20%;
async_upload_stage 21%;
async_upload_stage 22%;
async_upload_stage 23%;
async_upload_stage 24%;
async_upload_stage 25%;
async_upload_stage 26%;
async_upload_stage 27%;
async_upload_stage 28%;
async_upload_stage 29%;
async_upload_stage 30%;
async_upload_stage 31%;
async_upload_stage 32%;
async_upload_stage 33%;    # here
--- emerg
too many stages, there may be at most 32



=== TEST 16: 32 stages are taken
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1%;
async_upload_stage 2%;
async_upload_stage 3%;
async_upload_stage 4%;
async_upload_stage 5%;
async_upload_stage 6%;
async_upload_stage 7%;
async_upload_stage 8%;
async_upload_stage 9%;
async_upload_stage 10%;
async_upload_stage 11%;
async_upload_stage 12%;
async_upload_stage 13%;
async_upload_stage 14%;
async_upload_stage 15%;
async_upload_stage 16%;
async_upload_stage 17%;
async_upload_stage 18%;
async_upload_stage 19%;
async_upload_stage 20%;
async_upload_stage 21%;
async_upload_stage 22%;
async_upload_stage 23%;
async_upload_stage 24%;
async_upload_stage 25%;
async_upload_stage 26%;
async_upload_stage 27%;
async_upload_stage 28%;
async_upload_stage 29%;
async_upload_stage 30%;
async_upload_stage 31%;
async_upload_stage 32%;



=== TEST 17: a share beside stages is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1%;
async_upload_rollout 1%;    # here
--- emerg
"async_upload_rollout" directive is not allowed beside "async_upload_stage", the first stage is the share



=== TEST 18: stages beside a share are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 1%;
async_upload_stage 1%;    # here
--- emerg
"async_upload_stage" directive is not allowed beside "async_upload_rollout", the first stage is the share



=== TEST 19: "min_uploads=0" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% min_uploads=0;    # here
--- emerg
invalid parameter "min_uploads=0", it must be from 1 to 1000000000



=== TEST 20: "min_uploads=-1" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% min_uploads=-1;    # here
--- emerg
invalid parameter "min_uploads=-1", it must be from 1 to 1000000000



=== TEST 21: "min_uploads=1.5" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% min_uploads=1.5;    # here
--- emerg
invalid parameter "min_uploads=1.5", it must be from 1 to 1000000000



=== TEST 22: "min_uploads=1000000001" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% min_uploads=1000000001;    # here
--- emerg
invalid parameter "min_uploads=1000000001", it must be from 1 to 1000000000



=== TEST 23: "min_uploads=many" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% min_uploads=many;    # here
--- emerg
invalid parameter "min_uploads=many", it must be from 1 to 1000000000



=== TEST 24: "min_uploads=" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% min_uploads=;    # here
--- emerg
invalid parameter "min_uploads=", it must be from 1 to 1000000000



=== TEST 25: "min_uploads=off" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% min_uploads=off;    # here
--- emerg
invalid parameter "min_uploads=off", it must be from 1 to 1000000000



=== TEST 26: "min_uploads=18446744073709551617" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% min_uploads=18446744073709551617;    # here
--- emerg
invalid parameter "min_uploads=18446744073709551617", it must be from 1 to 1000000000



=== TEST 27: "success=100.0001%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=100.0001%;    # here
--- emerg
invalid parameter "success=100.0001%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 28: "success=101" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=101;    # here
--- emerg
invalid parameter "success=101", it must be from 0% to 100% in steps of 0.0001%



=== TEST 29: "success=-1%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=-1%;    # here
--- emerg
invalid parameter "success=-1%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 30: "success=99.99999%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=99.99999%;    # here
--- emerg
invalid parameter "success=99.99999%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 31: "success=.5%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=.5%;    # here
--- emerg
invalid parameter "success=.5%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 32: "success=5.%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=5.%;    # here
--- emerg
invalid parameter "success=5.%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 33: "success=%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=%;    # here
--- emerg
invalid parameter "success=%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 34: "success=" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=;    # here
--- emerg
invalid parameter "success=", it must be from 0% to 100% in steps of 0.0001%



=== TEST 35: "success=high" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=high;    # here
--- emerg
invalid parameter "success=high", it must be from 0% to 100% in steps of 0.0001%



=== TEST 36: "success=off" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=off;    # here
--- emerg
invalid parameter "success=off", it must be from 0% to 100% in steps of 0.0001%



=== TEST 37: "success=99,5%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=99,5%;    # here
--- emerg
invalid parameter "success=99,5%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 38: "success=18446744073709551617" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=18446744073709551617;    # here
--- emerg
invalid parameter "success=18446744073709551617", it must be from 0% to 100% in steps of 0.0001%



=== TEST 39: "error=100.0001%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% error=100.0001%;    # here
--- emerg
invalid parameter "error=100.0001%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 40: "error=" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% error=;    # here
--- emerg
invalid parameter "error=", it must be from 0% to 100% in steps of 0.0001%



=== TEST 41: "error=1x" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% error=1x;    # here
--- emerg
invalid parameter "error=1x", it must be from 0% to 100% in steps of 0.0001%



=== TEST 42: "latency=100%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=100%;    # here
--- emerg
invalid parameter "latency=100%", it must be from 101% to 10000% or off



=== TEST 43: "latency=100" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=100;    # here
--- emerg
invalid parameter "latency=100", it must be from 101% to 10000% or off



=== TEST 44: "latency=10001%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=10001%;    # here
--- emerg
invalid parameter "latency=10001%", it must be from 101% to 10000% or off



=== TEST 45: "latency=110.5%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=110.5%;    # here
--- emerg
invalid parameter "latency=110.5%", it must be from 101% to 10000% or off



=== TEST 46: "latency=-1%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=-1%;    # here
--- emerg
invalid parameter "latency=-1%", it must be from 101% to 10000% or off



=== TEST 47: "latency=0" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=0;    # here
--- emerg
invalid parameter "latency=0", it must be from 101% to 10000% or off



=== TEST 48: "latency=" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=;    # here
--- emerg
invalid parameter "latency=", it must be from 101% to 10000% or off



=== TEST 49: "latency=%" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=%;    # here
--- emerg
invalid parameter "latency=%", it must be from 101% to 10000% or off



=== TEST 50: "latency=twice" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=twice;    # here
--- emerg
invalid parameter "latency=twice", it must be from 101% to 10000% or off



=== TEST 51: "soak=-1s" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soak=-1s;    # here
--- emerg
invalid parameter "soak=-1s", it must be a time of at most 365d



=== TEST 52: "soak=" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soak=;    # here
--- emerg
invalid parameter "soak=", it must be a time of at most 365d



=== TEST 53: "soak=soon" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soak=soon;    # here
--- emerg
invalid parameter "soak=soon", it must be a time of at most 365d



=== TEST 54: "soak=1.5h" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soak=1.5h;    # here
--- emerg
invalid parameter "soak=1.5h", it must be a time of at most 365d



=== TEST 55: "soak=366d" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soak=366d;    # here
--- emerg
invalid parameter "soak=366d", it must be a time of at most 365d



=== TEST 56: "soak=1s1h" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soak=1s1h;    # here
--- emerg
invalid parameter "soak=1s1h", it must be a time of at most 365d



=== TEST 57: "soak=9223372036854775807d" of "async_upload_stage" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soak=9223372036854775807d;    # here
--- emerg
invalid parameter "soak=9223372036854775807d", it must be a time of at most 365d



=== TEST 58: a parameter of "async_upload_stage" that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soak=1h soak=2h;    # here
--- emerg
duplicate parameter "soak=2h"



=== TEST 59: "success" is no parameter of "async_upload_stage"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success;    # here
--- emerg
invalid parameter "success"



=== TEST 60: "success:99%" is no parameter of "async_upload_stage"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success:99%;    # here
--- emerg
invalid parameter "success:99%"



=== TEST 61: "soaks=1h" is no parameter of "async_upload_stage"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% soaks=1h;    # here
--- emerg
invalid parameter "soaks=1h"



=== TEST 62: "SOAK=1h" is no parameter of "async_upload_stage"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% SOAK=1h;    # here
--- emerg
invalid parameter "SOAK=1h"



=== TEST 63: "window=5m" is no parameter of "async_upload_stage"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% window=5m;    # here
--- emerg
invalid parameter "window=5m"



=== TEST 64: "2%" is no parameter of "async_upload_stage"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% 2%;    # here
--- emerg
invalid parameter "2%"



=== TEST 65: a parameter behind a wrong one does not hide it
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success soak=1h;    # here
--- emerg
invalid parameter "success"



=== TEST 66: an advance that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1%;
async_upload_advance manual;
async_upload_advance auto;    # here
--- emerg
"async_upload_advance" directive is duplicate



=== TEST 67: "on" is no advance
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_advance "on";    # here
--- emerg
invalid value "on", it must be manual or auto



=== TEST 68: "automatic" is no advance
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_advance "automatic";    # here
--- emerg
invalid value "automatic", it must be manual or auto



=== TEST 69: "AUTO" is no advance
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_advance "AUTO";    # here
--- emerg
invalid value "AUTO", it must be manual or auto



=== TEST 70: "" is no advance
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_advance "";    # here
--- emerg
invalid value "", it must be manual or auto



=== TEST 71: an automatic advance without stages is refused
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_advance auto;
--- emerg
"async_upload_advance auto" without "async_upload_stage" in upstream "uploads"



=== TEST 72: a manual advance without stages is taken
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_advance manual;



=== TEST 73: a rollback that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback run=4;
async_upload_rollback success=94%;    # here
--- emerg
"async_upload_rollback" directive is duplicate



=== TEST 74: a rollback that is off is set, too
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback off;
async_upload_rollback run=4;    # here
--- emerg
"async_upload_rollback" directive is duplicate



=== TEST 75: "success=100.0001%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback success=100.0001%;    # here
--- emerg
invalid parameter "success=100.0001%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 76: "success=101" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback success=101;    # here
--- emerg
invalid parameter "success=101", it must be from 0% to 100% in steps of 0.0001%



=== TEST 77: "success=-1%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback success=-1%;    # here
--- emerg
invalid parameter "success=-1%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 78: "success=99.99999%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback success=99.99999%;    # here
--- emerg
invalid parameter "success=99.99999%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 79: "error=100.0001%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback error=100.0001%;    # here
--- emerg
invalid parameter "error=100.0001%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 80: "error=101" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback error=101;    # here
--- emerg
invalid parameter "error=101", it must be from 0% to 100% in steps of 0.0001%



=== TEST 81: "error=-1%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback error=-1%;    # here
--- emerg
invalid parameter "error=-1%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 82: "error=99.99999%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback error=99.99999%;    # here
--- emerg
invalid parameter "error=99.99999%", it must be from 0% to 100% in steps of 0.0001%



=== TEST 83: "run=-1" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback run=-1;    # here
--- emerg
invalid parameter "run=-1", it must be from 1 to 1000000000, or 0 or off



=== TEST 84: "run=1.5" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback run=1.5;    # here
--- emerg
invalid parameter "run=1.5", it must be from 1 to 1000000000, or 0 or off



=== TEST 85: "run=1000000001" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback run=1000000001;    # here
--- emerg
invalid parameter "run=1000000001", it must be from 1 to 1000000000, or 0 or off



=== TEST 86: "run=" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback run=;    # here
--- emerg
invalid parameter "run=", it must be from 1 to 1000000000, or 0 or off



=== TEST 87: "run=on" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback run=on;    # here
--- emerg
invalid parameter "run=on", it must be from 1 to 1000000000, or 0 or off



=== TEST 88: "memory=100%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=100%;    # here
--- emerg
invalid parameter "memory=100%", it must be from 101% to 10000% or off



=== TEST 89: "memory=100" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=100;    # here
--- emerg
invalid parameter "memory=100", it must be from 101% to 10000% or off



=== TEST 90: "memory=10001%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=10001%;    # here
--- emerg
invalid parameter "memory=10001%", it must be from 101% to 10000% or off



=== TEST 91: "memory=110.5%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=110.5%;    # here
--- emerg
invalid parameter "memory=110.5%", it must be from 101% to 10000% or off



=== TEST 92: "memory=-1%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=-1%;    # here
--- emerg
invalid parameter "memory=-1%", it must be from 101% to 10000% or off



=== TEST 93: "memory=0" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=0;    # here
--- emerg
invalid parameter "memory=0", it must be from 101% to 10000% or off



=== TEST 94: "memory=" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=;    # here
--- emerg
invalid parameter "memory=", it must be from 101% to 10000% or off



=== TEST 95: "memory=%" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=%;    # here
--- emerg
invalid parameter "memory=%", it must be from 101% to 10000% or off



=== TEST 96: "memory=twice" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback memory=twice;    # here
--- emerg
invalid parameter "memory=twice", it must be from 101% to 10000% or off



=== TEST 97: "min_uploads=0" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback min_uploads=0;    # here
--- emerg
invalid parameter "min_uploads=0", it must be from 1 to 1000000000



=== TEST 98: "min_uploads=-1" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback min_uploads=-1;    # here
--- emerg
invalid parameter "min_uploads=-1", it must be from 1 to 1000000000



=== TEST 99: "min_uploads=1.5" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback min_uploads=1.5;    # here
--- emerg
invalid parameter "min_uploads=1.5", it must be from 1 to 1000000000



=== TEST 100: "min_uploads=1000000001" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback min_uploads=1000000001;    # here
--- emerg
invalid parameter "min_uploads=1000000001", it must be from 1 to 1000000000



=== TEST 101: "min_uploads=many" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback min_uploads=many;    # here
--- emerg
invalid parameter "min_uploads=many", it must be from 1 to 1000000000



=== TEST 102: "min_uploads=" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback min_uploads=;    # here
--- emerg
invalid parameter "min_uploads=", it must be from 1 to 1000000000



=== TEST 103: "min_uploads=off" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback min_uploads=off;    # here
--- emerg
invalid parameter "min_uploads=off", it must be from 1 to 1000000000



=== TEST 104: "min_uploads=18446744073709551617" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback min_uploads=18446744073709551617;    # here
--- emerg
invalid parameter "min_uploads=18446744073709551617", it must be from 1 to 1000000000



=== TEST 105: "window=9999ms" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=9999ms;    # here
--- emerg
invalid parameter "window=9999ms", it must be a time from 10s to 24h



=== TEST 106: "window=9s" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=9s;    # here
--- emerg
invalid parameter "window=9s", it must be a time from 10s to 24h



=== TEST 107: "window=0" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=0;    # here
--- emerg
invalid parameter "window=0", it must be a time from 10s to 24h



=== TEST 108: "window=" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=;    # here
--- emerg
invalid parameter "window=", it must be a time from 10s to 24h



=== TEST 109: "window=24h1ms" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=24h1ms;    # here
--- emerg
invalid parameter "window=24h1ms", it must be a time from 10s to 24h



=== TEST 110: "window=1d1s" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=1d1s;    # here
--- emerg
invalid parameter "window=1d1s", it must be a time from 10s to 24h



=== TEST 111: "window=-5m" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=-5m;    # here
--- emerg
invalid parameter "window=-5m", it must be a time from 10s to 24h



=== TEST 112: "window=five" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=five;    # here
--- emerg
invalid parameter "window=five", it must be a time from 10s to 24h



=== TEST 113: "window=off" of "async_upload_rollback" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback window=off;    # here
--- emerg
invalid parameter "window=off", it must be a time from 10s to 24h



=== TEST 114: a parameter of "async_upload_rollback" that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback run=4 run=5;    # here
--- emerg
duplicate parameter "run=5"



=== TEST 115: "critical=1" is no parameter of "async_upload_rollback"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback critical=1;    # here
--- emerg
invalid parameter "critical=1"



=== TEST 116: "on" is no parameter of "async_upload_rollback"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback on;    # here
--- emerg
invalid parameter "on"



=== TEST 117: "offs" is no parameter of "async_upload_rollback"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback offs;    # here
--- emerg
invalid parameter "offs"



=== TEST 118: "for=5m" is no parameter of "async_upload_rollback"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback for=5m;    # here
--- emerg
invalid parameter "for=5m"



=== TEST 119: a parameter behind a wrong one does not hide it
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback critical=1 run=4;    # here
--- emerg
invalid parameter "critical=1"



=== TEST 120: a rollback that is off takes no parameters
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback off run=4;    # here
--- emerg
invalid parameter "run=4" after "off"



=== TEST 121: a rollback with parameters is not off
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback run=4 off;    # here
--- emerg
invalid parameter "off"



=== TEST 122: a rollback that says nothing is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback;    # here
--- emerg
invalid number of arguments in "async_upload_rollback" directive



=== TEST 123: a review that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review for=5m;
async_upload_review off;    # here
--- emerg
"async_upload_review" directive is duplicate



=== TEST 124: "success=100.0001%" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review success=100.0001%;    # here
--- emerg
invalid parameter "success=100.0001%", it must be from 0% to 100% in steps of 0.0001%, or off



=== TEST 125: "success=" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review success=;    # here
--- emerg
invalid parameter "success=", it must be from 0% to 100% in steps of 0.0001%, or off



=== TEST 126: "success=-1%" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review success=-1%;    # here
--- emerg
invalid parameter "success=-1%", it must be from 0% to 100% in steps of 0.0001%, or off



=== TEST 127: "for=9s" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review for=9s;    # here
--- emerg
invalid parameter "for=9s", it must be a time from 10s to 24h



=== TEST 128: "for=" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review for=;    # here
--- emerg
invalid parameter "for=", it must be a time from 10s to 24h



=== TEST 129: "for=25h" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review for=25h;    # here
--- emerg
invalid parameter "for=25h", it must be a time from 10s to 24h



=== TEST 130: "for=off" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review for=off;    # here
--- emerg
invalid parameter "for=off", it must be a time from 10s to 24h



=== TEST 131: "latency=100%" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=100%;    # here
--- emerg
invalid parameter "latency=100%", it must be from 101% to 10000% or off



=== TEST 132: "latency=100" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=100;    # here
--- emerg
invalid parameter "latency=100", it must be from 101% to 10000% or off



=== TEST 133: "latency=10001%" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=10001%;    # here
--- emerg
invalid parameter "latency=10001%", it must be from 101% to 10000% or off



=== TEST 134: "latency=110.5%" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=110.5%;    # here
--- emerg
invalid parameter "latency=110.5%", it must be from 101% to 10000% or off



=== TEST 135: "latency=-1%" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=-1%;    # here
--- emerg
invalid parameter "latency=-1%", it must be from 101% to 10000% or off



=== TEST 136: "latency=0" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=0;    # here
--- emerg
invalid parameter "latency=0", it must be from 101% to 10000% or off



=== TEST 137: "latency=" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=;    # here
--- emerg
invalid parameter "latency=", it must be from 101% to 10000% or off



=== TEST 138: "latency=%" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=%;    # here
--- emerg
invalid parameter "latency=%", it must be from 101% to 10000% or off



=== TEST 139: "latency=twice" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency=twice;    # here
--- emerg
invalid parameter "latency=twice", it must be from 101% to 10000% or off



=== TEST 140: "latency_for=9s" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency_for=9s;    # here
--- emerg
invalid parameter "latency_for=9s", it must be a time from 10s to 24h



=== TEST 141: "latency_for=" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency_for=;    # here
--- emerg
invalid parameter "latency_for=", it must be a time from 10s to 24h



=== TEST 142: "latency_for=25h" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency_for=25h;    # here
--- emerg
invalid parameter "latency_for=25h", it must be a time from 10s to 24h



=== TEST 143: "latency_for=off" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency_for=off;    # here
--- emerg
invalid parameter "latency_for=off", it must be a time from 10s to 24h



=== TEST 144: "complaints=-1" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review complaints=-1;    # here
--- emerg
invalid parameter "complaints=-1", it must be from 1 to 1000000000, or 0 or off



=== TEST 145: "complaints=" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review complaints=;    # here
--- emerg
invalid parameter "complaints=", it must be from 1 to 1000000000, or 0 or off



=== TEST 146: "complaints=1000000001" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review complaints=1000000001;    # here
--- emerg
invalid parameter "complaints=1000000001", it must be from 1 to 1000000000, or 0 or off



=== TEST 147: "complaints=2.5" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review complaints=2.5;    # here
--- emerg
invalid parameter "complaints=2.5", it must be from 1 to 1000000000, or 0 or off



=== TEST 148: "unattended=999ms" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review unattended=999ms;    # here
--- emerg
invalid parameter "unattended=999ms", it must be a time from 1s to 365d or off



=== TEST 149: "unattended=0" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review unattended=0;    # here
--- emerg
invalid parameter "unattended=0", it must be a time from 1s to 365d or off



=== TEST 150: "unattended=" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review unattended=;    # here
--- emerg
invalid parameter "unattended=", it must be a time from 1s to 365d or off



=== TEST 151: "unattended=366d" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review unattended=366d;    # here
--- emerg
invalid parameter "unattended=366d", it must be a time from 1s to 365d or off



=== TEST 152: "unattended=on" of "async_upload_review" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review unattended=on;    # here
--- emerg
invalid parameter "unattended=on", it must be a time from 1s to 365d or off



=== TEST 153: a parameter of "async_upload_review" that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency_for=5m latency_for=5m;    # here
--- emerg
duplicate parameter "latency_for=5m"



=== TEST 154: "run=4" is no parameter of "async_upload_review"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review run=4;    # here
--- emerg
invalid parameter "run=4"



=== TEST 155: "on" is no parameter of "async_upload_review"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review on;    # here
--- emerg
invalid parameter "on"



=== TEST 156: "latency" is no parameter of "async_upload_review"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review latency;    # here
--- emerg
invalid parameter "latency"



=== TEST 157: "success_for=5m" is no parameter of "async_upload_review"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review success_for=5m;    # here
--- emerg
invalid parameter "success_for=5m"



=== TEST 158: a parameter behind a wrong one does not hide it
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review run=4 latency_for=5m;    # here
--- emerg
invalid parameter "run=4"



=== TEST 159: a review that is off takes no parameters
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review off complaints=3;    # here
--- emerg
invalid parameter "complaints=3" after "off"



=== TEST 160: a review with parameters is not off
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review complaints=3 off;    # here
--- emerg
invalid parameter "off"



=== TEST 161: statistics that are set twice are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain;
async_upload_statistics plain confirm=2s;    # here
--- emerg
"async_upload_statistics" directive is duplicate



=== TEST 162: "literal" are no statistics
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics "literal";    # here
--- emerg
invalid value "literal", it must be plain or sequential



=== TEST 163: "PLAIN" are no statistics
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics "PLAIN";    # here
--- emerg
invalid value "PLAIN", it must be plain or sequential



=== TEST 164: "plainly" are no statistics
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics "plainly";    # here
--- emerg
invalid value "plainly", it must be plain or sequential



=== TEST 165: "" are no statistics
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics "";    # here
--- emerg
invalid value "", it must be plain or sequential



=== TEST 166: "confirm=-1s" of "async_upload_statistics" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain confirm=-1s;    # here
--- emerg
invalid parameter "confirm=-1s", it must be a time of at most 1h



=== TEST 167: "confirm=" of "async_upload_statistics" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain confirm=;    # here
--- emerg
invalid parameter "confirm=", it must be a time of at most 1h



=== TEST 168: "confirm=3601s" of "async_upload_statistics" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain confirm=3601s;    # here
--- emerg
invalid parameter "confirm=3601s", it must be a time of at most 1h



=== TEST 169: "confirm=off" of "async_upload_statistics" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain confirm=off;    # here
--- emerg
invalid parameter "confirm=off", it must be a time of at most 1h



=== TEST 170: a parameter of "async_upload_statistics" that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain confirm=1s confirm=2s;    # here
--- emerg
duplicate parameter "confirm=2s"



=== TEST 171: "evidence=1000" is no parameter of "async_upload_statistics"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain evidence=1000;    # here
--- emerg
invalid parameter "evidence=1000"



=== TEST 172: "min_failures=3" is no parameter of "async_upload_statistics"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain min_failures=3;    # here
--- emerg
invalid parameter "min_failures=3"



=== TEST 173: "proof=3%" is no parameter of "async_upload_statistics"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain proof=3%;    # here
--- emerg
invalid parameter "proof=3%"



=== TEST 174: "horizon=24h" is no parameter of "async_upload_statistics"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain horizon=24h;    # here
--- emerg
invalid parameter "horizon=24h"



=== TEST 175: "sequential" is no parameter of "async_upload_statistics"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain sequential;    # here
--- emerg
invalid parameter "sequential"



=== TEST 176: "evidence=1" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential evidence=1;    # here
--- emerg
invalid parameter "evidence=1", it must be from 2 to 1000000000



=== TEST 177: "evidence=1000000001" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential evidence=1000000001;    # here
--- emerg
invalid parameter "evidence=1000000001", it must be from 2 to 1000000000



=== TEST 178: "evidence=-1" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential evidence=-1;    # here
--- emerg
invalid parameter "evidence=-1", it must be from 2 to 1000000000



=== TEST 179: "evidence=1e3" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential evidence=1e3;    # here
--- emerg
invalid parameter "evidence=1e3", it must be from 2 to 1000000000



=== TEST 180: "evidence=off" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential evidence=off;    # here
--- emerg
invalid parameter "evidence=off", it must be from 2 to 1000000000



=== TEST 181: "evidence=" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential evidence=;    # here
--- emerg
invalid parameter "evidence=", it must be from 2 to 1000000000



=== TEST 182: "confirm=3601s" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential confirm=3601s;    # here
--- emerg
invalid parameter "confirm=3601s", it must be a time of at most 1h



=== TEST 183: "confirm=off" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential confirm=off;    # here
--- emerg
invalid parameter "confirm=off", it must be a time of at most 1h



=== TEST 184: "min_failures=0" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential min_failures=0;    # here
--- emerg
invalid parameter "min_failures=0", it must be from 1 to 1000000000



=== TEST 185: "min_failures=1000000001" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential min_failures=1000000001;    # here
--- emerg
invalid parameter "min_failures=1000000001", it must be from 1 to 1000000000



=== TEST 186: "min_failures=off" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential min_failures=off;    # here
--- emerg
invalid parameter "min_failures=off", it must be from 1 to 1000000000



=== TEST 187: "proof=0%" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential proof=0%;    # here
--- emerg
invalid parameter "proof=0%", it must be above 0% and below 100% in steps of 0.0001%, or off



=== TEST 188: "proof=100%" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential proof=100%;    # here
--- emerg
invalid parameter "proof=100%", it must be above 0% and below 100% in steps of 0.0001%, or off



=== TEST 189: "proof=0.00001%" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential proof=0.00001%;    # here
--- emerg
invalid parameter "proof=0.00001%", it must be above 0% and below 100% in steps of 0.0001%, or off



=== TEST 190: "proof=none" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential proof=none;    # here
--- emerg
invalid parameter "proof=none", it must be above 0% and below 100% in steps of 0.0001%, or off



=== TEST 191: "proof=" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential proof=;    # here
--- emerg
invalid parameter "proof=", it must be above 0% and below 100% in steps of 0.0001%, or off



=== TEST 192: "horizon=59s" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential horizon=59s;    # here
--- emerg
invalid parameter "horizon=59s", it must be a time from 1m to 365d



=== TEST 193: "horizon=366d" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential horizon=366d;    # here
--- emerg
invalid parameter "horizon=366d", it must be a time from 1m to 365d



=== TEST 194: "horizon=off" of "async_upload_statistics sequential" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential horizon=off;    # here
--- emerg
invalid parameter "horizon=off", it must be a time from 1m to 365d



=== TEST 195: a parameter of "async_upload_statistics sequential" that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential proof=2% evidence=100 proof=off;    # here
--- emerg
duplicate parameter "proof=off"



=== TEST 196: "success=95%" is no parameter of "async_upload_statistics sequential"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential success=95%;    # here
--- emerg
invalid parameter "success=95%"



=== TEST 197: "latency=75" is no parameter of "async_upload_statistics sequential"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential latency=75;    # here
--- emerg
invalid parameter "latency=75"



=== TEST 198: "plain" is no parameter of "async_upload_statistics sequential"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential plain;    # here
--- emerg
invalid parameter "plain"



=== TEST 199: "proof" is no parameter of "async_upload_statistics sequential"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential proof;    # here
--- emerg
invalid parameter "proof"



=== TEST 200: "mode=sequential" is no parameter of "async_upload_statistics sequential"
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential mode=sequential;    # here
--- emerg
invalid parameter "mode=sequential"



=== TEST 201: a parameter behind a wrong one does not hide it
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics plain evidence=1000 confirm=1s;    # here
--- emerg
invalid parameter "evidence=1000"



=== TEST 202: a budget that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget 10;
async_upload_budget off;    # here
--- emerg
"async_upload_budget" directive is duplicate



=== TEST 203: "0" is no budget
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget "0";    # here
--- emerg
invalid number "0", it must be from 1 to 1000000000 or off



=== TEST 204: "-1" is no budget
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget "-1";    # here
--- emerg
invalid number "-1", it must be from 1 to 1000000000 or off



=== TEST 205: "1.5" is no budget
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget "1.5";    # here
--- emerg
invalid number "1.5", it must be from 1 to 1000000000 or off



=== TEST 206: "10%" is no budget
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget "10%";    # here
--- emerg
invalid number "10%", it must be from 1 to 1000000000 or off



=== TEST 207: "1000000001" is no budget
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget "1000000001";    # here
--- emerg
invalid number "1000000001", it must be from 1 to 1000000000 or off



=== TEST 208: "none" is no budget
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget "none";    # here
--- emerg
invalid number "none", it must be from 1 to 1000000000 or off



=== TEST 209: "" is no budget
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget "";    # here
--- emerg
invalid number "", it must be from 1 to 1000000000 or off



=== TEST 210: a dry run that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_dry_run on;
async_upload_dry_run on;    # here
--- emerg
"async_upload_dry_run" directive is duplicate



=== TEST 211: "yes" is no dry run
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_dry_run "yes";    # here
--- emerg
invalid value "yes", it must be on or off



=== TEST 212: "ON" is no dry run
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_dry_run "ON";    # here
--- emerg
invalid value "ON", it must be on or off



=== TEST 213: "1" is no dry run
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_dry_run "1";    # here
--- emerg
invalid value "1", it must be on or off



=== TEST 214: "" is no dry run
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_dry_run "";    # here
--- emerg
invalid value "", it must be on or off



=== TEST 215: a log that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_log logs/a.log;
async_upload_log logs/b.log;    # here
--- emerg
"async_upload_log" directive is duplicate



=== TEST 216: "syslog:server=127.0.0.1" is no log
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_log "syslog:server=127.0.0.1";    # here
--- emerg
invalid path "syslog:server=127.0.0.1", it must be that of a file, without variables, or off



=== TEST 217: "logs/$host.log" is no log
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_log "logs/$host.log";    # here
--- emerg
invalid path "logs/$host.log", it must be that of a file, without variables, or off



=== TEST 218: "" is no log
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_log "";    # here
--- emerg
invalid path "", it must be that of a file, without variables, or off



=== TEST 219: a log with a format is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_log logs/a.log combined;    # here
--- emerg
invalid number of arguments in "async_upload_log" directive



=== TEST 220: "" is no state file
--- directives
async_upload upload_async zone=uploads:1m state=;    # here
--- emerg
invalid parameter "state=", it must be the path of a file or off



=== TEST 221: "/" is no state file
--- directives
async_upload upload_async zone=uploads:1m state=/;    # here
--- emerg
invalid parameter "state=/", it must be the path of a file or off



=== TEST 222: "logs/" is no state file
--- directives
async_upload upload_async zone=uploads:1m state=logs/;    # here
--- emerg
invalid parameter "state=logs/", it must be the path of a file or off



=== TEST 223: a state file that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m state=logs/a state=logs/b;    # here
--- emerg
invalid parameter "state=logs/b"



=== TEST 224: a state file that is set and off is refused
--- directives
async_upload upload_async zone=uploads:1m state=off state=logs/b;    # here
--- emerg
invalid parameter "state=logs/b"



=== TEST 225: a state file in a directory that is not there is refused
--- directives
async_upload upload_async zone=uploads:1m state=nowhere/uploads;    # here
--- emerg
directory "PREFIX/nowhere/" of the state file cannot be used (2: No such file or directory)



=== TEST 226: a state file below a file is refused
--- directives
async_upload upload_async zone=uploads:1m state=conf/nginx.conf/uploads;    # here
--- emerg
directory "PREFIX/conf/nginx.conf/" of the state file cannot be used (20: Not a directory)



=== TEST 227: a directory is no state file
--- directives
async_upload upload_async zone=uploads:1m state=logs;    # here
--- emerg
state file "PREFIX/logs" is a directory



=== TEST 228: two rollouts with one state file are refused
--- directives
async_upload upload_async zone=uploads:1m state=logs/state;    # here
--- others
upstream others {
    server 127.0.0.1:1;
    async_upload upload_async zone=others:1m state=logs/state;
}
--- emerg
state file "PREFIX/logs/state" of rollout "uploads" is that of rollout "others"



=== TEST 229: the default of another rollout is no state file
--- directives
async_upload upload_async zone=uploads:1m state=logs/async_upload/others.state;    # here
--- others
# that the directory is there before nginx makes it
client_body_temp_path logs/client_body;

upstream others {
    server 127.0.0.1:1;
    async_upload upload_async zone=others:1m;
}
--- post_setup_server_root
mkdir "$Test::Nginx::Util::LogDir/async_upload" or die "mkdir: $!\n";
--- emerg
state file "PREFIX/logs/async_upload/others.state" of rollout "uploads" is that of rollout "others"



=== TEST 230: several rollouts share a directory, or keep nothing
--- directives
async_upload upload_async zone=uploads:1m state=off;
--- others
upstream first {
    server 127.0.0.1:1;
    async_upload upload_async zone=first:1m;
}

upstream second {
    server 127.0.0.1:1;
    async_upload upload_async zone=second:1m;
}

upstream third {
    server 127.0.0.1:1;
    async_upload upload_async zone=third:1m state=off;
}
--- suppress_stderr
--- error_log
with "state=off" rollout "uploads" is at 0% after every start of nginx until it is told to resume
with "state=off" rollout "third" is at 0% after every start of nginx until it is told to resume



=== TEST 231: a review that comes after the rollback is refused
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_rollback success=97%;
--- emerg
success=97% of "async_upload_review" is not above success=97% of "async_upload_rollback" in upstream "uploads"



=== TEST 232: so is one that is said
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_review success=94.9999%;
--- emerg
success=94.9999% of "async_upload_review" is not above success=95% of "async_upload_rollback" in upstream "uploads"



=== TEST 233: a review just above the rollback is taken
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_review success=95.0001%;



=== TEST 234: a review whose success is off is not compared
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback success=100%;
async_upload_review success=off;



=== TEST 235: a review without a rollback is not compared
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback off;
async_upload_review success=1%;



=== TEST 236: a rollback without a review is not compared
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollback success=100%;
async_upload_review off;



=== TEST 237: a gate below the success of the rollback is refused
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_stage 1%;
async_upload_stage 2% success=94%;
async_upload_review off;
--- emerg
success=94% of stage 2 is below success=95% of "async_upload_rollback" in upstream "uploads"



=== TEST 238: so is the default of a gate
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_stage 1%;
async_upload_stage 2%;
async_upload_stage 3%;
async_upload_rollback success=98.75%;
async_upload_review off;
--- emerg
success=98.5% of stage 3 is below success=98.75% of "async_upload_rollback" in upstream "uploads"



=== TEST 239: a gate above the error of the rollback is refused
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_stage 1% error=5.0001%;
--- emerg
error=5.0001% of stage 1 is above error=5% of "async_upload_rollback" in upstream "uploads"



=== TEST 240: a gate below the success of the review is refused
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_stage 1% success=96.5%;
--- emerg
success=96.5% of stage 1 is below success=97% of "async_upload_review" in upstream "uploads"



=== TEST 241: a gate above the latency of the review is refused
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_stage 1% latency=121%;
--- emerg
latency=121% of stage 1 is above latency=120% of "async_upload_review" in upstream "uploads"



=== TEST 242: gates may be at the limits of the other rules
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=97% error=5% latency=120%;



=== TEST 243: gates are not compared with rules that are off
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=0% error=100% latency=10000%;
async_upload_rollback off;
async_upload_review off;



=== TEST 244: nor with limits that are off
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% success=95% latency=10000%;
async_upload_review success=off latency=off;



=== TEST 245: a gate without a latency is not compared
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=off;
async_upload_review latency=101%;



=== TEST 246: a budget without a rollback is refused
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_budget 10;
async_upload_rollback off;
--- emerg
"async_upload_budget" beside "async_upload_rollback off" in upstream "uploads"



=== TEST 247: a budget that is off is none
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_budget off;
async_upload_rollback off;



=== TEST 248: a stage of 0.50% is refused with md5
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_stage 0.5%;
async_upload_hash md5;
--- emerg
share 0.50% of stage 1 cannot be told apart by hash "md5", it must be a whole percent



=== TEST 249: a later stage of 2.25% is refused with unleash
--- directives
async_upload upload_async zone=uploads:1m;    # here
async_upload_hash unleash a;
async_upload_stage 1%;
async_upload_stage 2.25%;
--- emerg
share 2.25% of stage 2 cannot be told apart by hash "unleash", it must be a whole percent



=== TEST 250: stages of whole percents are taken with md5
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash md5;
async_upload_stage 1%;
async_upload_stage 25%;
async_upload_stage 100%;



=== TEST 251: "async_upload_stage" without a rollout is refused
--- directives
async_upload_stage 1%;    # here
--- emerg
"async_upload_stage" without "async_upload" in upstream "uploads"



=== TEST 252: "async_upload_advance" without a rollout is refused
--- directives
async_upload_advance manual;    # here
--- emerg
"async_upload_advance" without "async_upload" in upstream "uploads"



=== TEST 253: "async_upload_rollback" without a rollout is refused
--- directives
async_upload_rollback off;    # here
--- emerg
"async_upload_rollback" without "async_upload" in upstream "uploads"



=== TEST 254: "async_upload_review" without a rollout is refused
--- directives
async_upload_review off;    # here
--- emerg
"async_upload_review" without "async_upload" in upstream "uploads"



=== TEST 255: "async_upload_statistics" without a rollout is refused
--- directives
async_upload_statistics plain;    # here
--- emerg
"async_upload_statistics" without "async_upload" in upstream "uploads"



=== TEST 256: "async_upload_budget" without a rollout is refused
--- directives
async_upload_budget 1;    # here
--- emerg
"async_upload_budget" without "async_upload" in upstream "uploads"



=== TEST 257: "async_upload_dry_run" without a rollout is refused
--- directives
async_upload_dry_run on;    # here
--- emerg
"async_upload_dry_run" without "async_upload" in upstream "uploads"



=== TEST 258: "async_upload_log" without a rollout is refused
--- directives
async_upload_log off;    # here
--- emerg
"async_upload_log" without "async_upload" in upstream "uploads"



=== TEST 259: the smallest values of all rules are taken
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 0.01% min_uploads=1 success=97% error=0% latency=101% soak=0;
async_upload_advance auto;
async_upload_rollback success=0 error=0 run=1 memory=101 min_uploads=1 window=10s;
async_upload_review success=0.0001% for=10s latency=101% latency_for=10s complaints=1 unattended=1s;
async_upload_statistics plain confirm=0;
async_upload_budget 1;
async_upload_dry_run off;
async_upload_log off;



=== TEST 260: the largest values of all rules are taken
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 100% min_uploads=1000000000 success=100% error=100% latency=10000% soak=365d;
async_upload_advance auto;
async_upload_rollback success=99.9999% error=100% run=1000000000 memory=10000% min_uploads=1000000000 window=24h;
async_upload_review success=100.0000% for=24h latency=10000% latency_for=1d complaints=1000000000 unattended=365d;
async_upload_statistics plain confirm=1h;
async_upload_budget 1000000000;
async_upload_dry_run on;
async_upload_log logs/journal.log;



=== TEST 261: the smallest values of sequential statistics are taken
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential evidence=2 confirm=0 min_failures=1 proof=0.0001% horizon=1m;



=== TEST 262: the largest values of sequential statistics are taken
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential horizon=365d proof=99.9999% min_failures=1000000000 confirm=1h evidence=1000000000;



=== TEST 263: sequential statistics need no parameters, and no proof
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_statistics sequential;
--- others
upstream others {
    server 127.0.0.1:1;
    async_upload upload_async zone=others:1m;
    async_upload_statistics sequential proof=off;
}



=== TEST 264: all rules that can be are off
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_stage 1% latency=off;
async_upload_rollback run=0 memory=off;
async_upload_review success=off latency=off complaints=0 unattended=off;
async_upload_budget off;
async_upload_log off;



=== TEST 265: the rules may stand before the rollout and the stages
--- directives
async_upload_budget 3;
async_upload_advance auto;
async_upload_rollback success=96%;
async_upload_stage 1%;
async_upload upload_async zone=uploads:1m;
