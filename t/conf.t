#!/usr/bin/perl

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# What nginx says about a wrong, duplicate or contradictory directive: one line
# with the user's token, the file and the line.

use Test::Nginx::Socket 'no_plan';

use lib 't/lib';

use Refused;


use_refused();

run_tests();


__DATA__

=== TEST 1: a second rollout in a block is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload upload_async zone=more:1m;     # here
--- emerg
"async_upload" directive is duplicate



=== TEST 2: an unknown parameter of a rollout is refused
--- directives
async_upload upload_async zone=uploads:1m maybe;    # here
--- emerg
invalid parameter "maybe"



=== TEST 3: a second zone of a rollout is refused
--- directives
async_upload upload_async zone=uploads:1m zone=more:1m;     # here
--- emerg
invalid parameter "zone=more:1m"



=== TEST 4: a rollout without a zone is refused
--- directives
async_upload upload_async;      # here
--- emerg
"async_upload" must have the "zone=name:size" parameter



=== TEST 5: a zone without a size is refused
--- directives
async_upload upload_async zone=uploads;     # here
--- emerg
invalid zone "zone=uploads", it must be zone=name:size



=== TEST 6: a zone whose size is none is refused
--- directives
async_upload upload_async zone=uploads:1x;  # here
--- emerg
invalid zone size "1x"



=== TEST 7: a zone with an empty size is refused
--- directives
async_upload upload_async zone=uploads:;    # here
--- emerg
invalid zone size ""



=== TEST 8: a zone without a name is refused
--- directives
async_upload upload_async zone=:1m;         # here
--- emerg
invalid zone name "", it must be 1 to 64 letters, digits, ".", "_" or "-"



=== TEST 9: a zone's name that is no word is refused
--- directives
async_upload upload_async zone=up/loads:1m; # here
--- emerg
invalid zone name "up/loads", it must be 1 to 64 letters, digits, ".", "_" or "-"



=== TEST 10: a zone's name beyond ASCII is refused
--- directives
async_upload upload_async zone=größe:1m;    # here
--- emerg
invalid zone name "größe", it must be 1 to 64 letters, digits, ".", "_" or "-"



=== TEST 11: a zone's name of 65 letters is refused
--- directives eval
"async_upload upload_async zone=" . 'n' x 65 . ":1m;    # here"
--- emerg eval
'invalid zone name "' . 'n' x 65
. '", it must be 1 to 64 letters, digits, ".", "_" or "-"'



=== TEST 12: a zone's name of 64 letters is not
--- directives eval
"async_upload upload_async zone=" . 'n' x 64 . ":1m;"



=== TEST 13: a zone of less than eight pages is refused as one of eight
--- directives
async_upload upload_async zone=uploads:31k; # here
--- emerg
zone "uploads" is too small: 32k, with worker_processes 1 at least NUMBERk is needed PLACE



=== TEST 14: a zone without room for all workers is refused, the size that will do is named
--- directives
async_upload upload_async zone=uploads:32k; # here
--- emerg
zone "uploads" is too small: 32k, with worker_processes 1 at least NUMBERk is needed PLACE



=== TEST 15: two rollouts with one zone are refused
--- others
upstream before {
    server 127.0.0.1:1;
    async_upload upload_async zone=uploads:1m;
}
--- directives
async_upload upload_async zone=uploads:1m;  # here
--- emerg
zone "uploads" is that of another rollout



=== TEST 16: two rollouts with one zone of two sizes are refused
--- others
upstream before {
    server 127.0.0.1:1;
    async_upload upload_async zone=uploads:2m;
}
--- directives
async_upload upload_async zone=uploads:1m;  # here
--- emerg
the size 1048576 of shared memory zone "async_upload:uploads" conflicts with already declared size 2097152



=== TEST 17: the block's own zone may have the rollout's name
--- directives
zone uploads 64k;
async_upload upload_async zone=uploads:1m;



=== TEST 18: a rollout without any parameter is refused
--- directives
async_upload;   # here
--- emerg
invalid number of arguments in "async_upload" directive



=== TEST 19: an async upstream without a block is refused
--- directives
async_upload none zone=uploads:1m;      # here
--- emerg
there is no upstream block "none" for "async_upload" of upstream "uploads"



=== TEST 20: an address is no async upstream
--- directives
async_upload 127.0.0.1:1 zone=uploads:1m;   # here
--- emerg
there is no upstream block "127.0.0.1:1" for "async_upload" of upstream "uploads"



=== TEST 21: a name that a proxy_pass has made known is no async upstream
--- others
server {
    listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;

    location / {
        proxy_pass http://localhost;
    }
}
--- directives
async_upload localhost zone=uploads:1m;     # here
--- emerg
there is no upstream block "localhost" for "async_upload" of upstream "uploads"



=== TEST 22: a rollout to the block itself is refused
--- directives
async_upload uploads zone=uploads:1m;       # here
--- emerg
"async_upload" of upstream "uploads" names the block itself



=== TEST 23: a rollout to another rollout is refused
--- others
upstream other {
    server 127.0.0.1:1;
    async_upload upload_async zone=other:1m;
}
--- directives
async_upload other zone=uploads:1m;     # here
--- emerg
"async_upload" of upstream "uploads" names "other", which is a rollout itself, PLACE



=== TEST 24: the async upstream may stand behind the rollout
--- others
upstream before {
    server 127.0.0.1:1;
    async_upload behind zone=before:1m;
}

upstream behind {
    server 127.0.0.1:1;
}



=== TEST 25: the name of the async upstream is compared as nginx does
--- directives
async_upload UPLOAD_async zone=uploads:1m;



=== TEST 26: a directive of a rollout without the rollout is refused
--- directives
async_upload_enabled on;        # here
async_upload_rollout 10%;
--- emerg
"async_upload_enabled" without "async_upload" in upstream "uploads"



=== TEST 27: so is each other one of them
--- directives
async_upload_rollout 10%;       # here
--- emerg
"async_upload_rollout" without "async_upload" in upstream "uploads"



=== TEST 28: a key without a rollout is refused
--- directives
async_upload_key $arg_a;        # here
--- emerg
"async_upload_key" without "async_upload" in upstream "uploads"



=== TEST 29: a rule for missing keys without a rollout is refused
--- directives
async_upload_missing random;    # here
--- emerg
"async_upload_missing" without "async_upload" in upstream "uploads"



=== TEST 30: a hash without a rollout is refused
--- directives
async_upload_hash split_clients;    # here
--- emerg
"async_upload_hash" without "async_upload" in upstream "uploads"



=== TEST 31: methods without a rollout are refused
--- directives
async_upload_methods POST;      # here
--- emerg
"async_upload_methods" without "async_upload" in upstream "uploads"



=== TEST 32: a fallback without a rollout is refused
--- directives
async_upload_fallback off;      # here
--- emerg
"async_upload_fallback" without "async_upload" in upstream "uploads"



=== TEST 33: the directives may stand before the rollout
--- directives
async_upload_enabled on;
async_upload_rollout 10%;
async_upload_key $arg_a;
async_upload_missing random;
async_upload_hash sha256 salt;
async_upload_methods POST;
async_upload_fallback off;
async_upload upload_async zone=uploads:1m;



=== TEST 34: a directive of an upstream block is not allowed in a server
--- status
async_upload_enabled on;        # here
--- emerg
"async_upload_enabled" directive is not allowed here



=== TEST 35: a flag that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_enabled on;
async_upload_enabled off;       # here
--- emerg
"async_upload_enabled" directive is duplicate



=== TEST 36: a flag that is neither on nor off is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_enabled true;      # here
--- emerg
invalid value "true", it must be on or off



=== TEST 37: a flag without a value is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_enabled;           # here
--- emerg
invalid number of arguments in "async_upload_enabled" directive



=== TEST 38: a share that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 1%;
async_upload_rollout 1%;        # here
--- emerg
"async_upload_rollout" directive is duplicate



=== TEST 39: a share without a percent sign is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 50;        # here
--- emerg
invalid share "50", it must be from 0% to 100% in steps of 0.01%



=== TEST 40: a share above 100% is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 100.01%;   # here
--- emerg
invalid share "100.01%", it must be from 0% to 100% in steps of 0.01%



=== TEST 41: a negative share is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout -1%;       # here
--- emerg
invalid share "-1%", it must be from 0% to 100% in steps of 0.01%



=== TEST 42: a share in smaller steps is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 0.001%;    # here
--- emerg
invalid share "0.001%", it must be from 0% to 100% in steps of 0.01%



=== TEST 43: a share that begins with a point is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout .5%;       # here
--- emerg
invalid share ".5%", it must be from 0% to 100% in steps of 0.01%



=== TEST 44: a share that ends with a point is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 5.%;       # here
--- emerg
invalid share "5.%", it must be from 0% to 100% in steps of 0.01%



=== TEST 45: a percent sign alone is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout %;         # here
--- emerg
invalid share "%", it must be from 0% to 100% in steps of 0.01%



=== TEST 46: a share in words is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout half%;     # here
--- emerg
invalid share "half%", it must be from 0% to 100% in steps of 0.01%



=== TEST 47: a share that no integer holds is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 18446744073709551617%;     # here
--- emerg
invalid share "18446744073709551617%", it must be from 0% to 100% in steps of 0.01%



=== TEST 48: keys that are set twice are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_key $arg_a;
async_upload_key $arg_b;        # here
--- emerg
"async_upload_key" directive is duplicate



=== TEST 49: a key that is the same for every client is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_key $arg_a client; # here
--- emerg
invalid key "client", without a variable it is the same for every client



=== TEST 50: a key with an unknown variable is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_key $no_such;      # here
--- emerg
unknown "no_such" variableNOWHERE



=== TEST 51: a rule for missing keys that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_missing sync;
async_upload_missing sync;      # here
--- emerg
"async_upload_missing" directive is duplicate



=== TEST 52: an unknown rule for missing keys is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_missing async;     # here
--- emerg
invalid value "async", it must be sync or random



=== TEST 53: a rule for missing keys is no word that begins like one
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_missing syn;       # here
--- emerg
invalid value "syn", it must be sync or random



=== TEST 54: a hash that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash sha256 a;
async_upload_hash split_clients;    # here
--- emerg
"async_upload_hash" directive is duplicate



=== TEST 55: an unknown hash is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash crc32;        # here
--- emerg
invalid hash "crc32", it must be one of sha256, split_clients, md5, unleash, growthbook, launchdarkly, statsig, flagd, optimizely



=== TEST 56: sha256 without its salt is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash sha256;       # here
--- emerg
invalid number of arguments of hash "sha256": 0, it must have 1



=== TEST 57: sha256 with two salts is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash sha256 a b;   # here
--- emerg
invalid number of arguments of hash "sha256": 2, it must have 1



=== TEST 58: split_clients with a salt is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash split_clients a;  # here
--- emerg
invalid number of arguments of hash "split_clients": 1, it must have 0



=== TEST 59: methods that are set twice are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_methods POST;
async_upload_methods PUT;       # here
--- emerg
"async_upload_methods" directive is duplicate



=== TEST 60: an unknown method is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_methods POST UPLOAD;   # here
--- emerg
invalid method "UPLOAD", it must be one that nginx knows, such as POST, PUT or PATCH



=== TEST 61: a method in small letters is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_methods post;      # here
--- emerg
invalid method "post", it must be one that nginx knows, such as POST, PUT or PATCH



=== TEST 62: a method that is named twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_methods POST PUT POST;     # here
--- emerg
duplicate method "POST"



=== TEST 63: a fallback that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback off;
async_upload_fallback connect;  # here
--- emerg
"async_upload_fallback" directive is duplicate



=== TEST 64: an unknown fallback is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback always;   # here
--- emerg
invalid value "always", it must be off, connect or failure



=== TEST 65: a status that is set twice is refused
--- status
async_upload_status;
async_upload_status;            # here
--- emerg
"async_upload_status" directive is duplicate



=== TEST 66: a parameter of a status that is no rollout's name is refused
--- status
async_upload_status control=/control;   # here
--- emerg
invalid parameter "control=/control"



=== TEST 67: a status of an unknown rollout is refused
--- status
async_upload_status none;       # here
--- emerg
there is no rollout "none" for "async_upload_status"



=== TEST 68: a status is of a rollout by its zone's name, not by its block's
--- directives
async_upload upload_async zone=other:1m;
--- status
async_upload_status uploads;    # here
--- emerg
there is no rollout "uploads" for "async_upload_status"



=== TEST 69: a status of two rollouts is refused
--- status
async_upload_status uploads more;   # here
--- emerg
invalid number of arguments in "async_upload_status" directive



=== TEST 70: a key that depends on the decision is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_key ${async_upload_bucket}; # here
--- emerg
invalid key "${async_upload_bucket}", it must not depend on the decision



=== TEST 71: a fallback is no word that begins like one
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback fail;   # here
--- emerg
invalid value "fail", it must be off, connect or failure



=== TEST 72: a fallback in capitals is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback FAILURE;   # here
--- emerg
invalid value "FAILURE", it must be off, connect or failure



=== TEST 73: an unknown parameter of a fallback is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback failure keyed;   # here
--- emerg
invalid parameter "keyed"



=== TEST 74: an unknown replay is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback failure replay=never;   # here
--- emerg
invalid parameter "replay=never", it must be replay=keyed or replay=always



=== TEST 75: an empty replay is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback failure replay=;   # here
--- emerg
invalid parameter "replay=", it must be replay=keyed or replay=always



=== TEST 76: a replay is no word that begins like one
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback failure replay=key;   # here
--- emerg
invalid parameter "replay=key", it must be replay=keyed or replay=always



=== TEST 77: a replay beside "connect" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback connect replay=always;   # here
--- emerg
"replay=always" without "failure"



=== TEST 78: a replay beside "off" is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback off replay=keyed;   # here
--- emerg
"replay=keyed" without "failure"



=== TEST 79: a fallback with a parameter twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback failure replay=keyed replay=keyed;   # here
--- emerg
invalid number of arguments in "async_upload_fallback" directive



=== TEST 80: a fallback without a value is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback;   # here
--- emerg
invalid number of arguments in "async_upload_fallback" directive



=== TEST 81: a fallback that is set twice is refused, with and without its parameter
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback failure replay=always;
async_upload_fallback failure;  # here
--- emerg
"async_upload_fallback" directive is duplicate



=== TEST 82: tries that are set twice are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries 1;
async_upload_tries 1;       # here
--- emerg
"async_upload_tries" directive is duplicate



=== TEST 83: "0" is no number of tries
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries 0;   # here
--- emerg
invalid number "0", it must be from 1 to 100



=== TEST 84: "101" is no number of tries
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries 101;   # here
--- emerg
invalid number "101", it must be from 1 to 100



=== TEST 85: "-1" is no number of tries
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries -1;   # here
--- emerg
invalid number "-1", it must be from 1 to 100



=== TEST 86: "1.5" is no number of tries
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries 1.5;   # here
--- emerg
invalid number "1.5", it must be from 1 to 100



=== TEST 87: "2x" is no number of tries
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries 2x;   # here
--- emerg
invalid number "2x", it must be from 1 to 100



=== TEST 88: "many" is no number of tries
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries many;   # here
--- emerg
invalid number "many", it must be from 1 to 100



=== TEST 89: "18446744073709551617" is no number of tries
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries 18446744073709551617;   # here
--- emerg
invalid number "18446744073709551617", it must be from 1 to 100



=== TEST 90: "" is no number of tries
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries "";   # here
--- emerg
invalid number "", it must be from 1 to 100



=== TEST 91: two numbers of tries are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_tries 1 2;   # here
--- emerg
invalid number of arguments in "async_upload_tries" directive



=== TEST 92: a timeout that is set twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 1s;
async_upload_timeout connect=1s;     # here
--- emerg
"async_upload_timeout" directive is duplicate



=== TEST 93: "0" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 0;   # here
--- emerg
invalid time "0", it must be more than 0, as in 30s or connect=500ms



=== TEST 94: "0ms" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 0ms;   # here
--- emerg
invalid time "0ms", it must be more than 0, as in 30s or connect=500ms



=== TEST 95: "connect=0" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout connect=0;   # here
--- emerg
invalid time "connect=0", it must be more than 0, as in 30s or connect=500ms



=== TEST 96: "-1s" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout -1s;   # here
--- emerg
invalid time "-1s", it must be more than 0, as in 30s or connect=500ms



=== TEST 97: "1.5s" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 1.5s;   # here
--- emerg
invalid time "1.5s", it must be more than 0, as in 30s or connect=500ms



=== TEST 98: "soon" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout soon;   # here
--- emerg
invalid time "soon", it must be more than 0, as in 30s or connect=500ms



=== TEST 99: "connect=" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout connect=;   # here
--- emerg
invalid time "connect=", it must be more than 0, as in 30s or connect=500ms



=== TEST 100: "connect=soon" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout connect=soon;   # here
--- emerg
invalid time "connect=soon", it must be more than 0, as in 30s or connect=500ms



=== TEST 101: "connects=1s" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout connects=1s;   # here
--- emerg
invalid time "connects=1s", it must be more than 0, as in 30s or connect=500ms



=== TEST 102: "" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout "";   # here
--- emerg
invalid time "", it must be more than 0, as in 30s or connect=500ms



=== TEST 103: "9223372036854775807s" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 9223372036854775807s;   # here
--- emerg
invalid time "9223372036854775807s", it must be more than 0, as in 30s or connect=500ms



=== TEST 104: "1s1h" is no timeout
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 1s1h;   # here
--- emerg
invalid time "1s1h", it must be more than 0, as in 30s or connect=500ms



=== TEST 105: two times of a timeout are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 1s 2s;   # here
--- emerg
duplicate parameter "2s"



=== TEST 106: two times for connecting are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout connect=1s connect=1s;   # here
--- emerg
duplicate parameter "connect=1s"



=== TEST 107: an invalid time after a valid one is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 1s connect=0s;   # here
--- emerg
invalid time "connect=0s", it must be more than 0, as in 30s or connect=500ms



=== TEST 108: a timeout of three times is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_timeout 1s connect=1s 1s;   # here
--- emerg
invalid number of arguments in "async_upload_timeout" directive



=== TEST 109: failures that are set twice are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 500;
async_upload_failure 503;   # here
--- emerg
"async_upload_failure" directive is duplicate



=== TEST 110: "399" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 399;   # here
--- emerg
invalid status "399", it must be from 400 to 599, as in 503 or 500-599



=== TEST 111: "600" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 600;   # here
--- emerg
invalid status "600", it must be from 400 to 599, as in 503 or 500-599



=== TEST 112: "200" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 200;   # here
--- emerg
invalid status "200", it must be from 400 to 599, as in 503 or 500-599



=== TEST 113: "5xx" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 5xx;   # here
--- emerg
invalid status "5xx", it must be from 400 to 599, as in 503 or 500-599



=== TEST 114: "500-" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 500-;   # here
--- emerg
invalid status "500-", it must be from 400 to 599, as in 503 or 500-599



=== TEST 115: "-500" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure -500;   # here
--- emerg
invalid status "-500", it must be from 400 to 599, as in 503 or 500-599



=== TEST 116: "-" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure -;   # here
--- emerg
invalid status "-", it must be from 400 to 599, as in 503 or 500-599



=== TEST 117: "503-500" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 503-500;   # here
--- emerg
invalid status "503-500", it must be from 400 to 599, as in 503 or 500-599



=== TEST 118: "500-600" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 500-600;   # here
--- emerg
invalid status "500-600", it must be from 400 to 599, as in 503 or 500-599



=== TEST 119: "399-500" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 399-500;   # here
--- emerg
invalid status "399-500", it must be from 400 to 599, as in 503 or 500-599



=== TEST 120: "500-502-504" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 500-502-504;   # here
--- emerg
invalid status "500-502-504", it must be from 400 to 599, as in 503 or 500-599



=== TEST 121: "" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure "";   # here
--- emerg
invalid status "", it must be from 400 to 599, as in 503 or 500-599



=== TEST 122: "500,503" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 500,503;   # here
--- emerg
invalid status "500,503", it must be from 400 to 599, as in 503 or 500-599



=== TEST 123: "18446744073709552116" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 18446744073709552116;   # here
--- emerg
invalid status "18446744073709552116", it must be from 400 to 599, as in 503 or 500-599



=== TEST 124: "-1-500" is no status of failures
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure -1-500;   # here
--- emerg
invalid status "-1-500", it must be from 400 to 599, as in 503 or 500-599



=== TEST 125: a status of failures that is named twice is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 503 429 503;   # here
--- emerg
duplicate status 503 in "503"



=== TEST 126: a status of failures within a range that was named is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure 500-504 502-510;   # here
--- emerg
duplicate status 502 in "502-510"



=== TEST 127: failures without a status are refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_failure;   # here
--- emerg
invalid number of arguments in "async_upload_failure" directive



=== TEST 128: "async_upload_tries" without a rollout is refused
--- directives
async_upload_tries 2;   # here
--- emerg
"async_upload_tries" without "async_upload" in upstream "uploads"



=== TEST 129: "async_upload_timeout" without a rollout is refused
--- directives
async_upload_timeout 1s;   # here
--- emerg
"async_upload_timeout" without "async_upload" in upstream "uploads"



=== TEST 130: "async_upload_failure" without a rollout is refused
--- directives
async_upload_failure 503;   # here
--- emerg
"async_upload_failure" without "async_upload" in upstream "uploads"



=== TEST 131: every setting of the fallback is taken
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback failure replay=always;
async_upload_tries 100;
async_upload_timeout connect=500ms 1h;
async_upload_failure 400-599;



=== TEST 132: a range of one status is taken, and those beside each other
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_fallback failure replay=keyed;
async_upload_tries 1;
async_upload_timeout 1ms;
async_upload_failure 503-503 504-505 502 400 599;



=== TEST 133: md5 with one argument is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash md5 a;            # here
--- emerg
invalid number of arguments of hash "md5": 1, it must have 0



=== TEST 134: unleash with no argument is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash unleash;          # here
--- emerg
invalid number of arguments of hash "unleash": 0, it must have 1



=== TEST 135: unleash with two arguments is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash unleash a b;      # here
--- emerg
invalid number of arguments of hash "unleash": 2, it must have 1



=== TEST 136: growthbook with no argument is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash growthbook;       # here
--- emerg
invalid number of arguments of hash "growthbook": 0, it must have 1



=== TEST 137: growthbook with two arguments is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash growthbook a b;   # here
--- emerg
invalid number of arguments of hash "growthbook": 2, it must have 1



=== TEST 138: launchdarkly with one argument is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash launchdarkly a;   # here
--- emerg
invalid number of arguments of hash "launchdarkly": 1, it must have 2



=== TEST 139: launchdarkly with three arguments is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash launchdarkly a b c;# here
--- emerg
invalid number of arguments of hash "launchdarkly": 3, it must have 2



=== TEST 140: statsig with one argument is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash statsig a;        # here
--- emerg
invalid number of arguments of hash "statsig": 1, it must have 2



=== TEST 141: statsig with three arguments is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash statsig a b c;    # here
--- emerg
invalid number of arguments of hash "statsig": 3, it must have 2



=== TEST 142: flagd with no argument is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash flagd;            # here
--- emerg
invalid number of arguments of hash "flagd": 0, it must have 1



=== TEST 143: flagd with two arguments is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash flagd a b;        # here
--- emerg
invalid number of arguments of hash "flagd": 2, it must have 1



=== TEST 144: optimizely with no argument is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash optimizely;       # here
--- emerg
invalid number of arguments of hash "optimizely": 0, it must have 1



=== TEST 145: optimizely with two arguments is refused
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash optimizely a b;   # here
--- emerg
invalid number of arguments of hash "optimizely": 2, it must have 1



=== TEST 146: a share of 0.25% is refused with md5
--- directives
async_upload upload_async zone=uploads:1m;  # here
async_upload_rollout 0.25%;
async_upload_hash md5;
--- emerg
share 0.25% cannot be told apart by hash "md5", it must be a whole percent



=== TEST 147: a share of 0.01% is refused with md5
--- directives
async_upload upload_async zone=uploads:1m;  # here
async_upload_rollout 0.01%;
async_upload_hash md5;
--- emerg
share 0.01% cannot be told apart by hash "md5", it must be a whole percent



=== TEST 148: a share of 12.5% is refused with unleash
--- directives
async_upload upload_async zone=uploads:1m;  # here
async_upload_rollout 12.5%;
async_upload_hash unleash a;
--- emerg
share 12.50% cannot be told apart by hash "unleash", it must be a whole percent



=== TEST 149: a share of 99.99% is refused with unleash
--- directives
async_upload upload_async zone=uploads:1m;  # here
async_upload_rollout 99.99%;
async_upload_hash unleash a;
--- emerg
share 99.99% cannot be told apart by hash "unleash", it must be a whole percent



=== TEST 150: the share may stand behind the hash, and the hash before the rollout
--- directives
async_upload_hash md5;
async_upload upload_async zone=uploads:1m;  # here
async_upload_rollout 0.5%;
--- emerg
share 0.50% cannot be told apart by hash "md5", it must be a whole percent



=== TEST 151: a share of 1% is not refused with md5
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 1%;
async_upload_hash md5;



=== TEST 152: a share of 0% is not refused with md5
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 0%;
async_upload_hash md5;



=== TEST 153: a share of 100.00% is not refused with md5
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 100.00%;
async_upload_hash md5;



=== TEST 154: a share of 1% is not refused with unleash
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 1%;
async_upload_hash unleash a;



=== TEST 155: a share of 0% is not refused with unleash
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 0%;
async_upload_hash unleash a;



=== TEST 156: a share of 100.00% is not refused with unleash
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 100.00%;
async_upload_hash unleash a;



=== TEST 157: a fractional share is not refused with growthbook
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 0.25%;
async_upload_hash growthbook a;



=== TEST 158: a fractional share is not refused with launchdarkly
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 0.25%;
async_upload_hash launchdarkly a b;



=== TEST 159: a fractional share is not refused with statsig
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 0.25%;
async_upload_hash statsig a b;



=== TEST 160: a fractional share is not refused with flagd
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 0.25%;
async_upload_hash flagd a;



=== TEST 161: a fractional share is not refused with optimizely
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_rollout 0.25%;
async_upload_hash optimizely a;



=== TEST 162: arguments of a hash may be empty and hold separators
--- directives
async_upload upload_async zone=uploads:1m;
async_upload_hash launchdarkly "" "a.b: c";
