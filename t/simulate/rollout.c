
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <string.h>

#include "rollout.h"


#define MINUTE   (60 * 1000)

/* quantiles are read at one of so many looks */

#define LOOKS    10
#define ENOUGH   100


/* bets are the same in all runs, and costly */

static ngx_http_async_upload_detect_bets_t  bets;


void
rollout_start(rollout_t *r, unsigned share, unsigned confirm_ms,
    unsigned timed)
{
    ngx_http_async_upload_guard_conf_t  *conf;

    memset(r, 0, sizeof(rollout_t));

    r->seen.share = share;
    r->timed = timed;
    r->window.span_ms = 5 * MINUTE;
    r->review.span_ms = 30 * MINUTE;

    conf = &r->conf;

    conf->sequential = 1;

    conf->gates = 1;
    conf->min_uploads = 100;
    conf->gate_success = 995000;
    conf->gate_error = 5000;
    conf->gate_latency = 1.1;

    conf->rollback = 1;
    conf->rb_success = 950000;
    conf->rb_error = 50000;
    conf->rb_min_uploads = 100;
    conf->run = 5;

    conf->review = 1;
    conf->rv_success = 970000;
    conf->rv_success_ms = r->review.span_ms;
    conf->rv_latency = 1.2;
    conf->rv_latency_ms = 10 * MINUTE;

    conf->min_latency = ENOUGH;
    conf->min_turned = 3;
    conf->confirm_ms = confirm_ms;

    conf->evidence = 1000;
    conf->horizon = 86400;
    conf->min_failures = 3;
    conf->proof = 20;
    conf->proof_error = 30000;

    r->plain = r->conf;
    r->plain.sequential = 0;
}


void
rollout_upload(rollout_t *r, unsigned arm, uint32_t who, unsigned failed,
    unsigned size, double us)
{
    uint64_t                             now, *limit;
    unsigned                             k;
    ngx_http_async_upload_detect_arm_t  *a;

    a = &r->seen.arm[arm];

    now = r->seen.now_ms;

    if (failed) {
        a->failure++;

        if (arm == SYNC) {
            return;
        }

        r->run_all++;

        if (!ngx_http_async_upload_repeat_failed(&r->repeat, who, now / 1000)) {
            a->repeated++;
            return;
        }

        if (r->run++ == 0) {
            r->run_ms = now;
        }

        return;
    }

    a->success++;

    if (arm == ASYNC) {
        r->run = 0;
        r->run_all = 0;
        ngx_http_async_upload_repeat_succeeded(&r->repeat, who, now / 1000);
    }

    if (!r->timed) {
        return;
    }

    limit = r->detect.limits.us[arm][size];
    a->timed[size]++;

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW; k++) {
        a->slow[size][k] += (limit[k] != 0 && us > (double) limit[k]);
    }

    ngx_http_async_upload_hist_add(&r->latency[arm], (uint64_t) us);

    if (arm == SYNC) {
        r->sum_us[size] += (uint64_t) us;
    }
}


void
rollout_served(rollout_t *r, uint64_t n)
{
    r->seen.arm[SYNC].success += n;
}


void
rollout_tick(rollout_t *r, uint64_t now_ms)
{
    unsigned                                   i;
    const ngx_http_async_upload_detect_arm_t  *sync;

    r->seen.now_ms = now_ms;

    if (r->timed) {
        sync = &r->seen.arm[SYNC];

        for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES; i++) {
            r->seen.mean_us[i] = sync->timed[i] ? r->sum_us[i] / sync->timed[i]
                                                : 0;
        }
    }

    ngx_http_async_upload_detect_tick(&r->conf, &bets, &r->detect, &r->seen);
}


/* what async has done since the window began, and a mark if it is time */

static void
rollout_window(rollout_t *r, window_t *w,
    ngx_http_async_upload_guard_rate_t *rate)
{
    uint64_t                                   now, next;
    const ngx_http_async_upload_detect_arm_t  *a;

    a = &r->seen.arm[ASYNC];
    now = r->seen.now_ms;

    rate->success = a->success;
    rate->failure = a->failure;

    while (w->begin + 1 < w->written
           && now - w->mark[(w->begin + 1) % MARKS].ms >= w->span_ms)
    {
        w->begin++;
    }

    if (w->written && now - w->mark[w->begin % MARKS].ms >= w->span_ms) {
        rate->success -= w->mark[w->begin % MARKS].success;
        rate->failure -= w->mark[w->begin % MARKS].failure;
    }

    rate->uploads = rate->success + rate->failure;

    if (w->written == 0
        || now - w->mark[(w->written - 1) % MARKS].ms >= w->span_ms / 60)
    {
        next = w->written++;
        w->mark[next % MARKS].ms = now;
        w->mark[next % MARKS].success = a->success;
        w->mark[next % MARKS].failure = a->failure;
    }
}


/* the literal rule of latency, at some of the looks */

static void
rollout_latency(rollout_t *r)
{
    double    sync, async;
    uint64_t  n;

    if (r->looks++ % LOOKS == 0) {
        n = ngx_http_async_upload_hist_total(&r->latency[SYNC]);
        sync = ngx_http_async_upload_hist_quantile(&r->latency[SYNC], n, 0.95);

        r->in.latency_n = ngx_http_async_upload_hist_total(&r->latency[ASYNC]);
        async = ngx_http_async_upload_hist_quantile(&r->latency[ASYNC],
                                                    r->in.latency_n, 0.95);

        r->in.latency = (n >= ENOUGH && sync > 0) ? async / sync : 0;

        if (!(r->in.latency_n >= ENOUGH
              && r->in.latency > r->conf.rv_latency))
        {
            r->slow_ms = 0;

        } else if (r->slow_ms == 0) {
            r->slow_ms = r->seen.now_ms;
        }
    }

    r->in.slow_ms = r->slow_ms ? r->seen.now_ms - r->slow_ms : 0;
}


void
rollout_decide(rollout_t *r)
{
    unsigned                                   i;
    ngx_http_async_upload_guard_loss_t        *loss;
    const ngx_http_async_upload_detect_arm_t  *a;

    a = &r->seen.arm[ASYNC];

    r->in.stage_ms = r->seen.now_ms;
    r->in.stage.success = a->success;
    r->in.stage.failure = a->failure;
    r->in.stage.uploads = a->success + a->failure;

    rollout_window(r, &r->window, &r->in.window);
    rollout_window(r, &r->review, &r->in.review);

    if (r->timed) {
        rollout_latency(r);
    }

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_ARMS; i++) {
        loss = (i == ASYNC) ? &r->in.async : &r->in.sync;
        loss->finished = r->seen.arm[i].success + r->seen.arm[i].failure;
    }

    r->in.reference = (r->in.sync.finished >= ENOUGH);

    ngx_http_async_upload_detect_fill(&r->conf, &r->detect, &r->in);

    r->in.run = r->run;
    r->in.run_ms = r->run ? r->seen.now_ms - r->run_ms : 0;

    ngx_http_async_upload_guard_decide(&r->conf, &r->in, &r->decision);

    r->in.run = r->run_all;

    ngx_http_async_upload_guard_decide(&r->plain, &r->in, &r->literal);
}
