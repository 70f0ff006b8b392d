
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_verdict.h"


/* room for the text of all detectors */
#define NGX_HTTP_ASYNC_UPLOAD_VERDICT_MAX     4096

/* a rollback is to come within five minutes */
#define NGX_HTTP_ASYNC_UPLOAD_VERDICT_WITHIN  300000    /* ms */

#define NGX_HTTP_ASYNC_UPLOAD_VERDICT_DIGITS  6


static void ngx_http_async_upload_verdict_keep(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_verdict_all(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_verdict_one(ngx_http_async_upload_json_t *w,
    const char *name, ngx_http_async_upload_explain_line_t *line);
static u_char *ngx_http_async_upload_verdict_rate(u_char *p, u_char *last,
    double rate);


/* failures of which a rollback within five minutes is told about */

static const struct {
    const char  *name;
    double       rate;
} ngx_http_async_upload_verdict_faults[] = {
    { "outage", 1 },
    { "failing_10_percent", 0.1 },
    { "failing_6_percent", 0.06 }
};


void
ngx_http_async_upload_verdict_render(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_explained_t  *kept;

    if (!look->conf.sequential) {
        ngx_http_async_upload_json_null(w, "evidence");
        return;
    }

    kept = rollout->explained;

    if (kept == NULL || kept->sequence != look->guard.sequence
        || kept->epoch != look->word.epoch)
    {
        ngx_http_async_upload_verdict_keep(rollout, look);
        kept = rollout->explained;
    }

    if (kept && kept->len) {
        ngx_http_async_upload_json_key(w, "evidence", sizeof("evidence") - 1);
        ngx_http_async_upload_json_put(w, kept->text, kept->len);
        return;
    }

    ngx_http_async_upload_json_object(w, "evidence");
    ngx_http_async_upload_verdict_all(w, look);
    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_verdict_keep(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    size_t                              len;
    ngx_http_async_upload_json_t        w;
    ngx_http_async_upload_explained_t  *kept;

    kept = rollout->explained;

    if (kept == NULL) {
        kept = ngx_palloc(rollout->cycle->pool,
                          sizeof(ngx_http_async_upload_explained_t)
                          + NGX_HTTP_ASYNC_UPLOAD_VERDICT_MAX);
        if (kept == NULL) {
            return;
        }

        kept->text = (u_char *) kept
                     + sizeof(ngx_http_async_upload_explained_t);

        rollout->explained = kept;
    }

    ngx_http_async_upload_json_init(&w, kept->text,
                                    NGX_HTTP_ASYNC_UPLOAD_VERDICT_MAX, NULL,
                                    NULL);
    ngx_http_async_upload_json_object(&w, NULL);
    ngx_http_async_upload_verdict_all(&w, look);
    ngx_http_async_upload_json_end(&w);

    len = ngx_http_async_upload_json_done(&w);

    kept->len = w.failed ? 0 : len;
    kept->sequence = look->guard.sequence;
    kept->epoch = look->word.epoch;
}


static void
ngx_http_async_upload_verdict_all(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look)
{
    double                                 speed;
    uint64_t                               needs;
    ngx_uint_t                             i;
    u_char                                *last, text[256];
    ngx_http_async_upload_explain_line_t   lines
                                     [NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_LINES];

    last = ngx_http_async_upload_verdict_line(look, text, text + sizeof(text));
    ngx_http_async_upload_json_string(w, "line", text, last - text);

    ngx_http_async_upload_explain(&look->conf, &look->in, lines);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_LINES; i++) {
        ngx_http_async_upload_verdict_one(w,
                           ngx_http_async_upload_explain_names[i], &lines[i]);
    }

    ngx_http_async_upload_json_bool(w, "control", look->in.two_arm);
    ngx_http_async_upload_json_bool(w, "both_arms", look->in.both);
    ngx_http_async_upload_json_uint(w, "repeated", look->in.repeated);

    needs = ngx_http_async_upload_explain_needs(&look->conf,
                                               &look->guard.detect, &look->in);

    if (!look->conf.gates || needs == UINT64_MAX) {
        ngx_http_async_upload_json_null(w, "needs_uploads");

    } else {
        ngx_http_async_upload_json_uint(w, "needs_uploads", needs);
    }

    ngx_http_async_upload_json_object(w, "uploads_per_s_for_rollback_in_300_s");

    for (i = 0; i < sizeof(ngx_http_async_upload_verdict_faults)
                    / sizeof(ngx_http_async_upload_verdict_faults[0]); i++)
    {
        speed = ngx_http_async_upload_explain_speed(&look->conf,
                            ngx_http_async_upload_verdict_faults[i].rate,
                            NGX_HTTP_ASYNC_UPLOAD_VERDICT_WITHIN);

        if (speed > 0) {
            ngx_http_async_upload_json_double(w,
                            ngx_http_async_upload_verdict_faults[i].name,
                            speed, 3);
        } else {
            ngx_http_async_upload_json_null(w,
                            ngx_http_async_upload_verdict_faults[i].name);
        }
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_verdict_one(ngx_http_async_upload_json_t *w,
    const char *name, ngx_http_async_upload_explain_line_t *line)
{
    ngx_http_async_upload_json_object(w, name);

    ngx_http_async_upload_json_double(w, "evidence", line->evidence,
                                      NGX_HTTP_ASYNC_UPLOAD_VERDICT_DIGITS);
    ngx_http_async_upload_json_double(w, "threshold", line->threshold,
                                      NGX_HTTP_ASYNC_UPLOAD_VERDICT_DIGITS);

    if (line->rated) {

        if (line->rate > 0) {
            ngx_http_async_upload_json_double(w, "rate_now", line->rate,
                                       NGX_HTTP_ASYNC_UPLOAD_VERDICT_DIGITS);
        } else {
            ngx_http_async_upload_json_null(w, "rate_now");
        }

        ngx_http_async_upload_json_double(w, "limit_rate", line->limit,
                                      NGX_HTTP_ASYNC_UPLOAD_VERDICT_DIGITS);
        ngx_http_async_upload_json_uint(w, "failed", line->bad);
        ngx_http_async_upload_json_uint(w, "uploads", line->of);
        ngx_http_async_upload_json_array(w, "rate_interval");
        ngx_http_async_upload_json_double(w, NULL, line->low,
                                      NGX_HTTP_ASYNC_UPLOAD_VERDICT_DIGITS);
        ngx_http_async_upload_json_double(w, NULL, line->high,
                                      NGX_HTTP_ASYNC_UPLOAD_VERDICT_DIGITS);
        ngx_http_async_upload_json_end(w);
    }

    ngx_http_async_upload_json_end(w);
}


u_char *
ngx_http_async_upload_verdict_line(ngx_http_async_upload_look_t *look,
    u_char *buf, u_char *last)
{
    u_char  *p;

    p = ngx_http_async_upload_verdict_now(look, buf, last);

    if (p == buf) {
        return p;
    }

    p = ngx_slprintf(p, last, " - ");

    return ngx_http_async_upload_verdict_seen(look, p, last);
}


u_char *
ngx_http_async_upload_verdict_now(ngx_http_async_upload_look_t *look,
    u_char *buf, u_char *last)
{
    u_char                               *p;
    ngx_http_async_upload_guard_conf_t   *conf;
    ngx_http_async_upload_guard_input_t  *in;

    in = &look->in;
    conf = &look->conf;

    if (!conf->sequential) {
        return buf;
    }

    p = buf;

    if (in->error_evidence >= 1) {
        p = ngx_slprintf(p, last, "errors now ~");
        p = ngx_http_async_upload_verdict_rate(p, last, in->error_rate);

    } else {
        p = ngx_slprintf(p, last, "no sign of errors");
    }

    p = ngx_slprintf(p, last, " (limit ");
    p = ngx_http_async_upload_verdict_rate(p, last,
                                           (double) conf->rb_error / 1000000);

    return ngx_slprintf(p, last, ") - evidence against healthy %uL of %uL",
                        (uint64_t) in->error_evidence,
                        (uint64_t) conf->evidence);
}


u_char *
ngx_http_async_upload_verdict_seen(ngx_http_async_upload_look_t *look,
    u_char *buf, u_char *last)
{
    u_char                               *p;
    uint64_t                              needs;
    ngx_http_async_upload_explain_line_t *line;
    ngx_http_async_upload_explain_line_t  lines
                                     [NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_LINES];

    if (!look->conf.sequential) {
        return buf;
    }

    ngx_http_async_upload_explain(&look->conf, &look->in, lines);

    line = &lines[NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_ERROR];

    p = ngx_slprintf(buf, last, "%uL of %uL failed - between ", line->bad,
                     line->of);
    p = ngx_http_async_upload_verdict_rate(p, last, line->low);
    p = ngx_slprintf(p, last, " and ");
    p = ngx_http_async_upload_verdict_rate(p, last, line->high);

    if (look->in.both) {
        p = ngx_slprintf(p, last, " - both arms");
    }

    if (!look->conf.gates || look->open) {
        return p;
    }

    needs = ngx_http_async_upload_explain_needs(&look->conf,
                                                &look->guard.detect,
                                                &look->in);

    if (needs != 0 && needs != UINT64_MAX) {
        p = ngx_slprintf(p, last, " - needs about %uL more uploads", needs);
    }

    return p;
}


/* a rate as percent with at most two decimals */

static u_char *
ngx_http_async_upload_verdict_rate(u_char *p, u_char *last, double rate)
{
    ngx_uint_t  n;

    n = (ngx_uint_t) (rate * 10000 + 0.5);

    if (n % 100 == 0) {
        return ngx_slprintf(p, last, "%ui%%", n / 100);
    }

    if (n % 10 == 0) {
        return ngx_slprintf(p, last, "%ui.%ui%%", n / 100, n % 100 / 10);
    }

    return ngx_slprintf(p, last, "%ui.%02ui%%", n / 100, n % 100);
}
