
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_criteria.h"
#include "ngx_http_async_upload_measure.h"
#include "ngx_http_async_upload_progress.h"
#include "ngx_http_async_upload_ratio.h"


/* uploads that a rate of review's window must be made of */
#define NGX_HTTP_ASYNC_UPLOAD_CRITERIA_REVIEW     100


/* of a criterion */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_CRITERIA_PASS = 0,
    NGX_HTTP_ASYNC_UPLOAD_CRITERIA_FAIL,
    NGX_HTTP_ASYNC_UPLOAD_CRITERIA_OPEN,      /* cannot be told yet */
    NGX_HTTP_ASYNC_UPLOAD_CRITERIA_OFF
} ngx_http_async_upload_criteria_result_e;


static void ngx_http_async_upload_criteria_gate(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_criteria_rollback(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_criteria_review(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_criteria_rate(ngx_http_async_upload_json_t *w,
    const char *name, uint64_t part,
    ngx_http_async_upload_guard_rate_t *rate, ngx_uint_t limit,
    ngx_uint_t error, ngx_uint_t least, ngx_uint_t on);
static void ngx_http_async_upload_criteria_count(
    ngx_http_async_upload_json_t *w, const char *name, uint64_t n,
    uint64_t limit);
static void ngx_http_async_upload_criteria_percent(
    ngx_http_async_upload_json_t *w, const char *name, double ratio,
    ngx_uint_t known, ngx_uint_t limit, ngx_uint_t bad);
static void ngx_http_async_upload_criteria_result(
    ngx_http_async_upload_json_t *w, ngx_uint_t result);


void
ngx_http_async_upload_criteria_report(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_json_text(w, "\n### Criteria\n");

    ngx_http_async_upload_criteria_gate(w, rollout, look);
    ngx_http_async_upload_criteria_rollback(w, rollout, look);
    ngx_http_async_upload_criteria_review(w, rollout, look);
}


static void
ngx_http_async_upload_criteria_gate(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t                           i;
    ngx_http_async_upload_guard_line_t  *line;

    static const char  *needs[NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES] = {
        "at least ",        /* soak */
        "at least ",        /* uploads */
        "at least ",        /* success */
        "at most ",         /* error */
        "at most ",         /* latency */
        "at most ",         /* rejected */
        "at most ",         /* aborted */
        "less than ",       /* evidence */
        "at least "         /* proof */
    };

    if (!look->conf.gates) {
        return;
    }

    ngx_http_async_upload_json_text(w, "\nThe gate of stage ");
    ngx_http_async_upload_json_text_uint(w, look->stage);
    ngx_http_async_upload_json_text(w, " is ");
    ngx_http_async_upload_json_text(w, look->open ? "open" : "shut");
    ngx_http_async_upload_json_text(w, rollout->advance
                             ? "; it advances by itself.\n\n"
                             : "; it advances by command.\n\n");
    ngx_http_async_upload_json_text(w, "| Gate | Has | Needs | Result |\n"
                                       "|---|---|---|---|\n");

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES; i++) {

        line = &look->gate[i];

        if (!line->on) {
            continue;
        }

        ngx_http_async_upload_json_text(w, "| ");
        ngx_http_async_upload_json_text(w,
                                        ngx_http_async_upload_guard_lines[i]);
        ngx_http_async_upload_json_text(w, " | ");
        ngx_http_async_upload_measure_tell_have(w, i, line);
        ngx_http_async_upload_json_text(w, " | ");
        ngx_http_async_upload_json_text(w, needs[i]);
        ngx_http_async_upload_measure_tell_need(w, i, line);

        ngx_http_async_upload_criteria_result(w, line->open
                                       ? NGX_HTTP_ASYNC_UPLOAD_CRITERIA_PASS
                                       : line->known
                                       ? NGX_HTTP_ASYNC_UPLOAD_CRITERIA_FAIL
                                       : NGX_HTTP_ASYNC_UPLOAD_CRITERIA_OPEN);
    }
}


static void
ngx_http_async_upload_criteria_rollback(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    const char                           *why;
    ngx_http_async_upload_rollback_t     *rule;
    ngx_http_async_upload_guard_input_t  *in;

    in = &look->in;
    rule = &rollout->rollback;

    ngx_http_async_upload_json_text(w, "\n| Rollback | Seen | Limit | Result |"
                                       "\n|---|---|---|---|\n");

    ngx_http_async_upload_criteria_rate(w, "success", in->stage.success,
                                        &in->stage, rule->success, 0,
                                        rule->min_uploads, rule->on);
    ngx_http_async_upload_criteria_rate(w, "error", in->stage.failure,
                                        &in->stage, rule->error, 1,
                                        rule->min_uploads, rule->on);

    if (!look->conf.sequential) {
        ngx_http_async_upload_criteria_rate(w, "success in the window",
                                            in->window.success, &in->window,
                                            rule->success, 0,
                                            rule->min_uploads, rule->on);
        ngx_http_async_upload_criteria_rate(w, "error in the window",
                                            in->window.failure, &in->window,
                                            rule->error, 1,
                                            rule->min_uploads, rule->on);
    }

    ngx_http_async_upload_criteria_count(w, "failures in a row", in->run,
                                         rule->on ? rule->run : 0);
    ngx_http_async_upload_criteria_count(w, "budget of failures", in->failures,
                                         rule->on ? rollout->budget : 0);

    (void) ngx_http_async_upload_progress_memory(rollout, look, &why);

    ngx_http_async_upload_criteria_percent(w, "memory of workers", look->memory,
                           why == NULL, rule->on ? rule->memory : 0,
                           look->conf.memory > 0
                           && in->memory >= look->conf.memory);
}


static void
ngx_http_async_upload_criteria_review(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_review_t       *rule;
    ngx_http_async_upload_guard_input_t  *in;

    in = &look->in;
    rule = &rollout->review;

    ngx_http_async_upload_json_text(w, "\n| Review | Seen | Limit | Result |\n"
                                       "|---|---|---|---|\n");

    ngx_http_async_upload_criteria_rate(w, "success in the window",
                                        in->review.success, &in->review,
                                        rule->success, 0,
                                        NGX_HTTP_ASYNC_UPLOAD_CRITERIA_REVIEW,
                                        rule->on);

    ngx_http_async_upload_criteria_percent(w, "latency", in->latency,
                           in->latency > 0, rule->on ? rule->latency : 0,
                           look->conf.rv_latency > 0
                           && in->latency > look->conf.rv_latency);

    ngx_http_async_upload_criteria_count(w, "complaints", in->complaints,
                                         rule->on ? rule->complaints : 0);
}


/* "error": the limit is a most, of failures, instead of a least */

static void
ngx_http_async_upload_criteria_rate(ngx_http_async_upload_json_t *w,
    const char *name, uint64_t part,
    ngx_http_async_upload_guard_rate_t *rate, ngx_uint_t limit,
    ngx_uint_t error, ngx_uint_t least, ngx_uint_t on)
{
    ngx_uint_t  result;

    if (!on) {
        result = NGX_HTTP_ASYNC_UPLOAD_CRITERIA_OFF;

    } else if (rate->uploads < least || rate->uploads == 0) {
        result = NGX_HTTP_ASYNC_UPLOAD_CRITERIA_OPEN;

    } else if (error
               ? ngx_http_async_upload_ratio_above(part, rate->uploads, limit)
               : ngx_http_async_upload_ratio_below(part, rate->uploads, limit))
    {
        result = NGX_HTTP_ASYNC_UPLOAD_CRITERIA_FAIL;

    } else {
        result = NGX_HTTP_ASYNC_UPLOAD_CRITERIA_PASS;
    }

    ngx_http_async_upload_json_text(w, "| ");
    ngx_http_async_upload_json_text(w, name);
    ngx_http_async_upload_json_text(w, " | ");
    ngx_http_async_upload_measure_tell_rate(w, part, rate->uploads);
    ngx_http_async_upload_json_text(w, " of ");
    ngx_http_async_upload_json_text_uint(w, rate->uploads);
    ngx_http_async_upload_json_text(w, error ? " | at most " : " | at least ");
    ngx_http_async_upload_json_text_double(w, (double) limit / 10000, 7);
    ngx_http_async_upload_json_text(w, "%");
    ngx_http_async_upload_criteria_result(w, result);
}


/* a limit of 0 is none */

static void
ngx_http_async_upload_criteria_count(ngx_http_async_upload_json_t *w,
    const char *name, uint64_t n, uint64_t limit)
{
    ngx_http_async_upload_json_text(w, "| ");
    ngx_http_async_upload_json_text(w, name);
    ngx_http_async_upload_json_text(w, " | ");
    ngx_http_async_upload_json_text_uint(w, n);
    ngx_http_async_upload_json_text(w, " | ");

    if (limit == 0) {
        ngx_http_async_upload_json_text(w, "none");
        ngx_http_async_upload_criteria_result(w,
                                           NGX_HTTP_ASYNC_UPLOAD_CRITERIA_OFF);
        return;
    }

    ngx_http_async_upload_json_text(w, "less than ");
    ngx_http_async_upload_json_text_uint(w, limit);
    ngx_http_async_upload_criteria_result(w, n >= limit
                                       ? NGX_HTTP_ASYNC_UPLOAD_CRITERIA_FAIL
                                       : NGX_HTTP_ASYNC_UPLOAD_CRITERIA_PASS);
}


/* likewise, in percent */

static void
ngx_http_async_upload_criteria_percent(ngx_http_async_upload_json_t *w,
    const char *name, double ratio, ngx_uint_t known, ngx_uint_t limit,
    ngx_uint_t bad)
{
    ngx_http_async_upload_json_text(w, "| ");
    ngx_http_async_upload_json_text(w, name);
    ngx_http_async_upload_json_text(w, " | ");

    if (known) {
        ngx_http_async_upload_json_text_double(w, ratio * 100, 4);
        ngx_http_async_upload_json_text(w, "%");

    } else {
        ngx_http_async_upload_json_text(w, "?");
    }

    ngx_http_async_upload_json_text(w, " | ");

    if (limit == 0) {
        ngx_http_async_upload_json_text(w, "none");
        ngx_http_async_upload_criteria_result(w,
                                           NGX_HTTP_ASYNC_UPLOAD_CRITERIA_OFF);
        return;
    }

    ngx_http_async_upload_json_text_uint(w, limit);
    ngx_http_async_upload_json_text(w, "%");
    ngx_http_async_upload_criteria_result(w,
                                     bad ? NGX_HTTP_ASYNC_UPLOAD_CRITERIA_FAIL
                                     : known
                                     ? NGX_HTTP_ASYNC_UPLOAD_CRITERIA_PASS
                                     : NGX_HTTP_ASYNC_UPLOAD_CRITERIA_OPEN);
}


/* ends the row, too */

static void
ngx_http_async_upload_criteria_result(ngx_http_async_upload_json_t *w,
    ngx_uint_t result)
{
    static const char  *results[] = { "pass", "FAIL", "not known yet", "off" };

    ngx_http_async_upload_json_text(w, " | ");
    ngx_http_async_upload_json_text(w, results[result]);
    ngx_http_async_upload_json_text(w, " |\n");
}
