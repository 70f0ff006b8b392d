
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_gate.h"
#include "ngx_http_async_upload_ratio.h"


/* points, in ppm, that async's losses may be above those of the reference */
#define NGX_HTTP_ASYNC_UPLOAD_GATE_POINTS  5000


static void ngx_http_async_upload_gate_line(
    ngx_http_async_upload_guard_line_t *line, int known, int open, double need,
    double have);
static void ngx_http_async_upload_gate_loss(
    ngx_http_async_upload_guard_line_t *line, uint64_t lost,
    uint64_t finished, uint64_t reference_lost, uint64_t reference_finished);
static double ngx_http_async_upload_gate_against(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in);


const char  *ngx_http_async_upload_guard_lines[] = {
    "soak",
    "uploads",
    "success",
    "error",
    "latency",
    "rejected",
    "aborted",
    "evidence",
    "proof"
};


int
ngx_http_async_upload_gate_open(const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_line_t *lines)
{
    double                                     against;
    unsigned                                   i;
    const ngx_http_async_upload_guard_loss_t  *ref;
    const ngx_http_async_upload_guard_rate_t  *rate;

    memset(lines, 0, NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES
                     * sizeof(ngx_http_async_upload_guard_line_t));

    if (!conf->gates) {
        return 0;
    }

    rate = &in->stage;
    ref = ngx_http_async_upload_facts_reference(in);

    if (conf->soak_ms != 0) {
        ngx_http_async_upload_gate_line(
            &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_SOAK], 1,
            in->stage_ms >= conf->soak_ms, (double) conf->soak_ms,
            (double) in->stage_ms);
    }

    ngx_http_async_upload_gate_line(
        &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_UPLOADS], 1,
        rate->uploads >= conf->min_uploads, (double) conf->min_uploads,
        (double) rate->uploads);

    ngx_http_async_upload_gate_line(
        &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_SUCCESS], rate->uploads != 0,
        !ngx_http_async_upload_ratio_below(rate->success, rate->uploads,
                                           conf->gate_success),
        conf->gate_success,
        ngx_http_async_upload_ratio_ppm(rate->success, rate->uploads));

    ngx_http_async_upload_gate_line(
        &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_ERROR], rate->uploads != 0,
        !ngx_http_async_upload_ratio_above(rate->failure, rate->uploads,
                                           conf->gate_error),
        conf->gate_error,
        ngx_http_async_upload_ratio_ppm(rate->failure, rate->uploads));

    if (conf->gate_latency > 0) {
        ngx_http_async_upload_gate_line(
            &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_LATENCY],
            ngx_http_async_upload_facts_timed(conf, in),
            in->latency <= conf->gate_latency, conf->gate_latency,
            in->latency);
    }

    ngx_http_async_upload_gate_loss(
        &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_REJECTED], in->async.rejected,
        in->async.finished, ref->rejected, ref->finished);

    ngx_http_async_upload_gate_loss(
        &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_ABORTED], in->async.aborted,
        in->async.finished, ref->aborted, ref->finished);

    if (conf->sequential) {
        against = ngx_http_async_upload_gate_against(conf, in);

        ngx_http_async_upload_gate_line(
            &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_EVIDENCE], 1,
            against < conf->evidence, conf->evidence, against);
    }

    if (conf->sequential && conf->proof > 0) {
        ngx_http_async_upload_gate_line(
            &lines[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_PROOF], 1,
            in->proof >= conf->proof, conf->proof, in->proof);
    }

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES; i++) {
        if (lines[i].on && !lines[i].open) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_async_upload_gate_line(ngx_http_async_upload_guard_line_t *line,
    int known, int open, double need, double have)
{
    line->on = 1;
    line->known = known;
    line->open = known && open;
    line->need = need;
    line->have = known ? have : 0;
}


static void
ngx_http_async_upload_gate_loss(ngx_http_async_upload_guard_line_t *line,
    uint64_t lost, uint64_t finished, uint64_t reference_lost,
    uint64_t reference_finished)
{
    ngx_http_async_upload_gate_line(line, finished != 0,
        !ngx_http_async_upload_ratio_points(lost, finished, reference_lost,
            reference_finished, NGX_HTTP_ASYNC_UPLOAD_GATE_POINTS),
        NGX_HTTP_ASYNC_UPLOAD_GATE_POINTS,
        ngx_http_async_upload_ratio_ppm(lost, finished)
        - ngx_http_async_upload_ratio_ppm(reference_lost,
                                          reference_finished));
}


/*
 * The most evidence against async; a verdict implies that it is proof.  What is
 * no number is handed on, it opens no gate.
 */

static double
ngx_http_async_upload_gate_against(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in)
{
    double    most;
    unsigned  i;

    const double  against[] = {
        in->worse, in->slower, in->missing, in->gate_slower, in->rejected,
        in->aborted
    };

    most = 0;

    for (i = 0; i < sizeof(against) / sizeof(against[0]); i++) {
        if (isnan(against[i])) {
            return against[i];
        }

        most = fmax(most, against[i]);
    }

    if (in->success_verdict != NGX_HTTP_ASYNC_UPLOAD_STATS_NONE
        || in->error_verdict != NGX_HTTP_ASYNC_UPLOAD_STATS_NONE)
    {
        most = fmax(most, conf->evidence);
    }

    return most;
}
