
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_explain.h"
#include "ngx_http_async_upload_gate.h"
#include "tap.h"


#define LINE(name)  NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_##name
#define LINES       NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_LINES
#define ASYNC       NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC
#define MINUTES     (5 * 60 * 1000)

#define needs       ngx_http_async_upload_explain_needs
#define speed       ngx_http_async_upload_explain_speed


typedef ngx_http_async_upload_guard_conf_t     conf_t;
typedef ngx_http_async_upload_guard_input_t    input_t;
typedef ngx_http_async_upload_guard_line_t     gate_t;
typedef ngx_http_async_upload_detect_sh_t      sh_t;
typedef ngx_http_async_upload_detect_seen_t    seen_t;
typedef ngx_http_async_upload_detect_bets_t    bets_t;
typedef ngx_http_async_upload_explain_line_t   line_t;


static conf_t   conf;
static input_t  in;
static sh_t     sh;
static seen_t   seen;
static bets_t   bets;
static line_t   lines[LINES];


static void
fresh(void)
{
    memset(&conf, 0, sizeof(conf_t));
    memset(&in, 0, sizeof(input_t));
    memset(&sh, 0, sizeof(sh_t));
    memset(&seen, 0, sizeof(seen_t));

    conf.sequential = 1;
    conf.gates = 1;
    conf.min_uploads = 100;
    conf.gate_success = 995000;
    conf.gate_error = 5000;
    conf.rb_success = 950000;
    conf.rb_error = 50000;
    conf.evidence = 1000;
    conf.horizon = 86400;
    conf.min_failures = 3;
    conf.confirm_ms = 5000;
    conf.proof = 20;
    conf.proof_error = 30000;
}


static void
upload(uint64_t success, uint64_t failure)
{
    seen.arm[ASYNC].success += success;
    seen.arm[ASYNC].failure += failure;
    seen.now_ms += 1000;

    ngx_http_async_upload_detect_tick(&conf, &bets, &sh, &seen);
    ngx_http_async_upload_detect_fill(&conf, &sh, &in);

    in.stage.success = seen.arm[ASYNC].success;
    in.stage.failure = seen.arm[ASYNC].failure;
    in.stage.uploads = in.stage.success + in.stage.failure;
    in.async.finished = in.stage.uploads;
}


static int
opens(uint64_t more)
{
    sh_t     kept_sh;
    int      open;
    seen_t   kept_seen;
    gate_t   gate[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES];
    input_t  kept_in;

    kept_sh = sh;
    kept_seen = seen;
    kept_in = in;

    if (more) {
        upload(more, 0);
    }

    open = ngx_http_async_upload_gate_open(&conf, &in, gate);

    sh = kept_sh;
    seen = kept_seen;
    in = kept_in;

    return open;
}


/* what is needed is just what opens the gate */

static void
test_needs(void)
{
    int       exact;
    unsigned  i, k, steps;
    uint64_t  n;

    static const uint32_t  rates[] = { 0, 1, 5000, 20000, 500000, 1000000 };

    exact = 1;

    for (i = 0; i < 300; i++) {
        fresh();
        conf.min_uploads = tap_below(300) + 1;
        conf.gate_success = 1000000 - rates[2 + tap_below(4)];
        conf.gate_error = rates[2 + tap_below(4)];
        conf.proof = (i % 3 == 0) ? 0 : 20;
        conf.proof_error = rates[2 + tap_below(3)];

        steps = (unsigned) tap_below(5);

        for (k = 0; k < steps; k++) {
            upload(tap_below(60), tap_below(3));
        }

        n = needs(&conf, &sh, &in);

        exact &= opens(n) && (n == 0 || !opens(n - 1));
    }

    tap_ok(exact, "with so many successes more the gate opens, with one less "
           "it does not");

    fresh();
    upload(0, 1);
    conf.gate_success = 1000000;
    tap_ok(needs(&conf, &sh, &in) == UINT64_MAX, "no number will do where "
           "nothing may fail");

    fresh();
    upload(1, 1);
    conf.gate_error = 0;
    tap_ok(needs(&conf, &sh, &in) == UINT64_MAX, "nor without any error");

    fresh();
    conf.proof_error = 0;
    upload(1000, 0);
    tap_ok(needs(&conf, &sh, &in) == UINT64_MAX, "that nothing fails cannot be "
           "proven");

    fresh();
    in.stage.failure = UINT64_MAX / 2;
    in.stage.uploads = UINT64_MAX / 2;
    tap_ok(needs(&conf, &sh, &in) == UINT64_MAX, "what cannot be counted will "
           "not do");

    conf.gates = 0;
    tap_ok(needs(&conf, &sh, &in) == 0, "no gate needs nothing");

    fresh();
    tap_ok(needs(&conf, &sh, &in) == 143, "at first the default gate needs 143 "
           "uploads, for its proof");
}


/* guard.md: 0.02/s for an outage, 0.2 to 0.35 for 10%, 0.35 to 0.7 for 6% */

static void
test_speed(void)
{
    double  outage, ten, six;

    fresh();
    outage = speed(&conf, 1, MINUTES);
    ten = speed(&conf, 0.1, MINUTES);
    six = speed(&conf, 0.06, MINUTES);

    tap_ok(outage > 0.015 && outage < 0.0205 && ten > 0.3 && ten < 0.38
           && six > 0.6 && six < 0.8,
           "five minutes need %.3f uploads a second for an outage, %.2f for "
           "10%%, %.2f for 6%%", outage, ten, six);

    tap_ok(speed(&conf, 0.05, MINUTES) == 0 && speed(&conf, 0, MINUTES) == 0,
           "within the limits none is fast enough");

    tap_ok(speed(&conf, 1, 5000) == 0 && speed(&conf, 1, 5001) > 1000,
           "nor where it has to last for longer");

    conf.min_failures = 59;
    tap_ok(fabs(speed(&conf, 1, MINUTES) - 59 / 295.0) < 1e-12,
           "the failures that are asked for are needed");

    fresh();
    conf.gate_success = 1000000;
    conf.gate_error = 0;
    tap_ok(speed(&conf, 1, MINUTES) < outage
           && speed(&conf, 1, MINUTES) > 0.01
           && isfinite(speed(&conf, 0.06, MINUTES)),
           "where nothing may fail it is the most daring bettor's");

    fresh();
    conf.rb_success = 0;
    conf.rb_error = 1000000;
    tap_ok(speed(&conf, 1, MINUTES) == 0, "limits of 100%% are never exceeded");

    conf.rb_error = 50000;
    tap_ok(fabs(speed(&conf, 1, MINUTES) - outage) < 1e-12,
           "one of the two limits is enough");
}


static void
test_lines(void)
{
    int       good;
    double    low, high;
    unsigned  i;

    fresh();
    in.stage.uploads = 143;
    in.stage.success = 137;
    in.stage.failure = 6;
    in.async.finished = 160;
    in.async.rejected = 16;
    in.async.aborted = 1;
    in.sync.finished = 1000;
    in.sync.rejected = 20;
    in.sync.aborted = 30;
    in.reference = 1;
    in.success_evidence = 312;
    in.success_rate = 0.041;
    in.error_evidence = 0.9;
    in.error_rate = 0.09;
    in.worse = 3;
    in.rejected = 4;
    in.aborted = 5;
    in.slower = 6;
    in.gate_slower = 7;
    in.proof = 8;

    ngx_http_async_upload_explain(&conf, &in, lines);

    good = 1;

    for (i = 0; i < LINES; i++) {
        good &= (lines[i].threshold == (i == LINE(PROOF) ? 20 : 1000));

        if (i >= LINE(WORSE)) {
            good &= (lines[i].evidence == i - LINE(WORSE) + 3);
        }
    }

    tap_ok(good && lines[LINE(SUCCESS)].evidence == 312
           && lines[LINE(ERROR)].evidence == 0.9,
           "each line has its evidence and what it is compared with");

    ngx_http_async_upload_stats_interval(143, 6, 0.05, &low, &high);

    good = (lines[LINE(SUCCESS)].rate == 0.041
            && fabs(lines[LINE(SUCCESS)].limit - 0.05) < 1e-12
            && lines[LINE(SUCCESS)].bad == 6 && lines[LINE(SUCCESS)].of == 143
            && lines[LINE(SUCCESS)].low == low
            && lines[LINE(SUCCESS)].high == high);

    tap_ok(good && fabs(low - 0.007) < 0.0005 && fabs(high - 0.124) < 0.0005,
           "the rate now, its limit, what failed, and the interval");
    tap_ok(lines[LINE(ERROR)].rate == 0, "without evidence the rate now is not "
           "known");

    ngx_http_async_upload_stats_interval(160, 16, 0.05, &low, &high);

    good = (lines[LINE(REJECTED)].bad == 16 && lines[LINE(REJECTED)].of == 160
            && fabs(lines[LINE(REJECTED)].limit - 0.07) < 1e-12
            && lines[LINE(REJECTED)].low == low
            && lines[LINE(REJECTED)].high == high
            && lines[LINE(ABORTED)].bad == 1
            && fabs(lines[LINE(ABORTED)].limit - 0.08) < 1e-12);

    tap_ok(good, "losses are those of all that has finished, their limit is 5 "
           "points above the reference");

    tap_ok(fabs(lines[LINE(PROOF)].limit - 0.03) < 1e-12
           && !lines[LINE(WORSE)].rated && !lines[LINE(SLOWER)].rated
           && lines[LINE(PROOF)].rated,
           "where two arms are compared there is no rate");

    good = 1;

    for (i = 0; i < LINES; i++) {
        good &= (ngx_http_async_upload_explain_names[i] != NULL);
    }

    tap_ok(good && !strcmp(ngx_http_async_upload_explain_names[0], "success")
           && !strcmp(ngx_http_async_upload_explain_names[LINES - 1], "proof"),
           "the lines have their names");

    fresh();
    ngx_http_async_upload_explain(&conf, &in, lines);
    tap_ok(lines[LINE(SUCCESS)].low == 0 && lines[LINE(SUCCESS)].high == 1
           && fabs(lines[LINE(REJECTED)].limit - 0.05) < 1e-12,
           "nothing has been seen: any rate is possible");
}


int
main(void)
{
    test_needs();
    test_speed();
    test_lines();

    return tap_done();
}
