
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * The vectors of the unit "stats", through the unit "detect": what a rollout's
 * detector makes of the same events.
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_detect.h"
#include "vectors.h"


#define PPM    1e6
#define ASYNC  NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC


typedef ngx_http_async_upload_guard_conf_t   conf_t;
typedef ngx_http_async_upload_guard_input_t  input_t;


/* 0 if the number is no whole one of parts of a million */

static int
whole(double rate, uint32_t *ppm)
{
    *ppm = (uint32_t) (rate * PPM + 0.5);

    return fabs(rate * PPM - *ppm) < 1e-6;
}


int
detect_agrees(const json_t *row, const char *where,
    const ngx_http_async_upload_stats_rule_t *rule)
{
    size_t                                       i;
    conf_t                                       conf;
    json_t                                      *ticks, *run;
    double                                       p0, e, rate;
    input_t                                      in;
    uint32_t                                     ppm, limit;
    uint64_t                                     n, bad, good;
    ngx_http_async_upload_stats_sh_t             sh;
    ngx_http_async_upload_stats_bet_t            bet;
    ngx_http_async_upload_stats_rule_sh_t        rule_sh;
    ngx_http_async_upload_stats_verdict_e        verdict;
    ngx_http_async_upload_detect_sh_t            detect;
    ngx_http_async_upload_detect_seen_t          seen;
    static ngx_http_async_upload_detect_bets_t   bets;

    p0 = member_number(row, where, "p0");

    /* a rollout's limits are */

    if (!whole(p0, &ppm) || !whole(rule->limit, &limit)) {
        return 1;
    }

    memset(&conf, 0, sizeof(conf_t));
    memset(&in, 0, sizeof(input_t));
    memset(&sh, 0, sizeof(sh));
    memset(&rule_sh, 0, sizeof(rule_sh));
    memset(&detect, 0, sizeof(detect));
    memset(&seen, 0, sizeof(seen));

    conf.gate_success = 1000000 - ppm;
    conf.gate_error = ppm;
    conf.rb_success = 1000000 - limit;
    conf.rb_error = limit;
    conf.evidence = member_number(row, where, "threshold");
    conf.horizon = member_number(row, where, "horizon");
    conf.min_failures = rule->min_fail;
    conf.confirm_ms = rule->confirm_ms;

    ngx_http_async_upload_stats_init(&bet, p0, conf.horizon, conf.evidence);

    ticks = member(row, where, "ticks_rle", JSON_ARRAY);

    json_array_foreach (ticks, i, run) {
        n = (uint64_t) json_integer_value(json_array_get(run, 0));
        bad = (uint64_t) json_integer_value(json_array_get(run, 1));
        good = (uint64_t) json_integer_value(json_array_get(run, 2));

        for ( /* void */ ; n != 0; n--) {
            ngx_http_async_upload_stats_tick(&bet, &sh, bad, good);

            e = ngx_http_async_upload_stats_evidence(&sh);
            rate = ngx_http_async_upload_stats_rate(&bet, &sh);
            verdict = ngx_http_async_upload_stats_verdict(rule, &rule_sh, e,
                                                          rate, bad,
                                                          seen.now_ms);

            seen.arm[ASYNC].success += good;
            seen.arm[ASYNC].failure += bad;

            ngx_http_async_upload_detect_tick(&conf, &bets, &detect, &seen);
            ngx_http_async_upload_detect_fill(&conf, &detect, &in);

            if (!equal(e, in.success_evidence, where, "detect, success")
                || !equal(e, in.error_evidence, where, "detect, error")
                || !equal(rate, in.success_rate, where, "detect, its rate")
                || !equal(rate, in.error_rate, where, "detect, that rate"))
            {
                return 0;
            }

            if (in.success_verdict != verdict || in.error_verdict != verdict) {
                return mismatch(where, "detect: another verdict");
            }

            seen.now_ms += 1000;
        }
    }

    return 1;
}
