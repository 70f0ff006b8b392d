
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_explain.h"
#include "ngx_http_async_upload_ratio.h"


#define NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM    1000000

/* that an interval does not cover the rate */
#define NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_ALPHA  0.05

/* points above the reference's rate, as the guard has it */
#define NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_POINTS  0.05

/* no proof is waited for any longer */
#define NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_MOST   (UINT64_C(1) << 40)


static void ngx_http_async_upload_explain_rate(
    ngx_http_async_upload_explain_line_t *line, double rate, double limit,
    uint64_t bad, uint64_t of);
static uint64_t ngx_http_async_upload_explain_dilute(uint64_t bad, uint64_t of,
    uint32_t ppm);
static uint64_t ngx_http_async_upload_explain_prove(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_stats_sh_t *sh);
static double ngx_http_async_upload_explain_uploads(
    const ngx_http_async_upload_guard_conf_t *conf, double p0, double limit,
    double rate);


const char  *ngx_http_async_upload_explain_names[] = {
    "success",
    "error",
    "worse",
    "rejected",
    "aborted",
    "slower",
    "gate_slower",
    "proof"
};


void
ngx_http_async_upload_explain(const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_explain_line_t *lines)
{
    unsigned                                   i;
    const ngx_http_async_upload_guard_loss_t  *ref;

    const double  evidence[] = {
        in->success_evidence, in->error_evidence, in->worse, in->rejected,
        in->aborted, in->slower, in->gate_slower, in->proof
    };

    memset(lines, 0, NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_LINES
                     * sizeof(ngx_http_async_upload_explain_line_t));

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_LINES; i++) {
        lines[i].evidence = evidence[i];
        lines[i].threshold = (i == NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PROOF)
                             ? conf->proof : conf->evidence;
    }

    ngx_http_async_upload_explain_rate(
        &lines[NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_SUCCESS], in->success_rate,
        1 - (double) conf->rb_success / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM,
        in->stage.failure, in->stage.uploads);

    ngx_http_async_upload_explain_rate(
        &lines[NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_ERROR], in->error_rate,
        (double) conf->rb_error / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM,
        in->stage.failure, in->stage.uploads);

    ngx_http_async_upload_explain_rate(
        &lines[NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PROOF], 0,
        (double) conf->proof_error / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM,
        in->stage.failure, in->stage.uploads);

    ref = ngx_http_async_upload_facts_reference(in);

    ngx_http_async_upload_explain_rate(
        &lines[NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_REJECTED], 0,
        (double) ref->rejected / (double) ref->finished
        + NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_POINTS,
        in->async.rejected, in->async.finished);

    ngx_http_async_upload_explain_rate(
        &lines[NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_ABORTED], 0,
        (double) ref->aborted / (double) ref->finished
        + NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_POINTS,
        in->async.aborted, in->async.finished);
}


uint64_t
ngx_http_async_upload_explain_needs(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_guard_input_t *in)
{
    uint64_t                                   most, n;
    const ngx_http_async_upload_guard_rate_t  *rate;

    if (!conf->gates) {
        return 0;
    }

    rate = &in->stage;

    most = (rate->uploads < conf->min_uploads)
           ? conf->min_uploads - rate->uploads : 0;

    n = ngx_http_async_upload_explain_dilute(rate->failure, rate->uploads,
                  NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM - conf->gate_success);
    most = (n > most) ? n : most;

    n = ngx_http_async_upload_explain_dilute(rate->failure, rate->uploads,
                                             conf->gate_error);
    most = (n > most) ? n : most;

    if (conf->sequential && conf->proof > 0 && !(in->proof >= conf->proof)) {
        n = ngx_http_async_upload_explain_prove(conf, &sh->proof);
        most = (n > most) ? n : most;
    }

    return most;
}


double
ngx_http_async_upload_explain_speed(
    const ngx_http_async_upload_guard_conf_t *conf, double rate,
    uint64_t within_ms)
{
    double  n, error;

    if (within_ms <= conf->confirm_ms) {
        return 0;
    }

    n = ngx_http_async_upload_explain_uploads(conf,
            1 - (double) conf->gate_success / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM,
            1 - (double) conf->rb_success / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM,
            rate);

    error = ngx_http_async_upload_explain_uploads(conf,
            (double) conf->gate_error / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM,
            (double) conf->rb_error / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM,
            rate);

    n = fmin(n, error);

    return isfinite(n) ? n * 1000 / (double) (within_ms - conf->confirm_ms) : 0;
}


/* where nothing is held on the average no rate means anything */

static void
ngx_http_async_upload_explain_rate(ngx_http_async_upload_explain_line_t *line,
    double rate, double limit, uint64_t bad, uint64_t of)
{
    line->rated = 1;
    line->rate = (line->evidence >= 1) ? rate : 0;
    line->limit = limit;
    line->bad = bad;
    line->of = of;

    ngx_http_async_upload_stats_interval(of, bad,
                                         NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_ALPHA,
                                         &line->low, &line->high);
}


/* how many more uploads bring the rate of what is bad down to "ppm" */

static uint64_t
ngx_http_async_upload_explain_dilute(uint64_t bad, uint64_t of, uint32_t ppm)
{
    uint64_t  least;

    if (!ngx_http_async_upload_ratio_above(bad, of, ppm)) {
        return 0;
    }

    if (ppm == 0 || bad > UINT64_MAX / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM) {
        return UINT64_MAX;
    }

    /* rounded up */

    least = (bad * NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM - 1) / ppm + 1;

    return least - of;
}


/* the least number of successes that makes a proof */

static uint64_t
ngx_http_async_upload_explain_prove(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_stats_sh_t *sh)
{
    uint64_t                           low, high, middle;
    ngx_http_async_upload_stats_sh_t   then;
    ngx_http_async_upload_stats_bet_t  bet;

    ngx_http_async_upload_stats_init(&bet,
                   1 - (double) conf->proof_error
                       / NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PPM,
                   conf->horizon, conf->proof);

    low = 0;
    high = NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_MOST;

    while (high - low > 1) {
        middle = low + (high - low) / 2;

        then = *sh;
        ngx_http_async_upload_stats_tick(&bet, &then, middle, 0);

        if (ngx_http_async_upload_stats_evidence(&then) >= conf->proof) {
            high = middle;

        } else {
            low = middle;
        }
    }

    return (high < NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_MOST) ? high : UINT64_MAX;
}


/*
 * Uploads until a rollback.  A bettor that is nearly right gains by each upload
 * the divergence of what is from what is healthy.  It is one of twelve, or two,
 * and holds after hours of good service what is put in at one tick.
 */

static double
ngx_http_async_upload_explain_uploads(
    const ngx_http_async_upload_guard_conf_t *conf, double p0, double limit,
    double rate)
{
    double  divergence, gain, n;

    if (!(rate > limit && rate > p0)) {
        return INFINITY;
    }

    /* no bettor expects more than a thousand times the odds */

    p0 = fmax(p0, rate / 1000);

    divergence = rate * log(rate / p0);

    if (rate < 1) {
        divergence += (1 - rate) * log((1 - rate) / (1 - p0));
    }

    gain = log(conf->evidence) + log(2 * fmax(1, conf->horizon))
           + log(NGX_HTTP_ASYNC_UPLOAD_STATS_BETS / 2.0);

    /* one failure more confirms it */

    n = gain / divergence + 1 / rate;

    return fmax(n, (double) conf->min_failures / rate);
}
