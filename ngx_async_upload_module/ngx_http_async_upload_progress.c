
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_progress.h"
#include "ngx_http_async_upload_measure.h"
#include "ngx_http_async_upload_name.h"


#define NGX_HTTP_ASYNC_UPLOAD_PROGRESS_DECIMALS   6
#define NGX_HTTP_ASYNC_UPLOAD_PROGRESS_QUANTILES  3

/* a guard that has not ticked for that long watches nothing */
#define NGX_HTTP_ASYNC_UPLOAD_PROGRESS_TICK       10000000      /* us */


static void ngx_http_async_upload_progress_name(
    ngx_http_async_upload_json_t *w, const char *key, ngx_str_t *name);
static void ngx_http_async_upload_progress_known(
    ngx_http_async_upload_json_t *w, const char *key, uint64_t n);
static void ngx_http_async_upload_progress_seconds(
    ngx_http_async_upload_json_t *w, const char *key, uint64_t ms);
static void ngx_http_async_upload_progress_when(
    ngx_http_async_upload_json_t *w, const char *key, uint64_t ms);
static void ngx_http_async_upload_progress_stage(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_progress_decision(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_progress_observation(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_progress_window(
    ngx_http_async_upload_json_t *w, const char *key, uint64_t span,
    ngx_http_async_upload_look_t *look,
    ngx_http_async_upload_guard_rate_t *rate);
static void ngx_http_async_upload_progress_latency(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_progress_baseline(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_baseline_t *b);
static void ngx_http_async_upload_progress_limits(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_progress_file(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static ngx_uint_t ngx_http_async_upload_progress_late(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);


void
ngx_http_async_upload_progress_state(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    const char                            *why;
    ngx_http_async_upload_stage_t         *next;
    ngx_http_async_upload_word_t          *word;
    ngx_http_async_upload_evidence_arm_t  *arm;

    word = &look->word;

    ngx_http_async_upload_progress_name(w, "state",
                          &ngx_http_async_upload_name_states[word->state]);
    ngx_http_async_upload_json_bool(w, "enabled",
                          word->state != NGX_HTTP_ASYNC_UPLOAD_STATE_OFF);
    ngx_http_async_upload_json_bool(w, "dry_run", rollout->dry_run);

    why = ngx_http_async_upload_progress_idle(rollout, look);

    ngx_http_async_upload_json_object(w, "guard");
    ngx_http_async_upload_json_bool(w, "active", why == NULL);

    if (why) {
        ngx_http_async_upload_json_literal(w, "why", why);

    } else {
        ngx_http_async_upload_json_null(w, "why");
    }

    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_json_uint(w, "share_bp",
                                    ngx_http_async_upload_zone_share(word));
    ngx_http_async_upload_json_uint(w, "share_kept_bp", word->share);

    arm = look->counts.evidence.arm;

    ngx_http_async_upload_json_ratio(w, "share_actual_bp",
                      arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC].bucket
                      * NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX,
                      arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC].bucket
                      + arm[NGX_HTTP_ASYNC_UPLOAD_SYNC].bucket, 1);

    ngx_http_async_upload_json_uint(w, "epoch", word->epoch);
    ngx_http_async_upload_json_uint(w, "generation",
              ngx_http_async_upload_zone_load(&rollout->sh->generation));

    ngx_http_async_upload_progress_stage(w, rollout, look);

    next = ngx_http_async_upload_progress_next(rollout, look);

    if (next == NULL) {
        ngx_http_async_upload_json_null(w, "next");
        return;
    }

    ngx_http_async_upload_json_object(w, "next");
    ngx_http_async_upload_json_uint(w, "number", look->stage + 1);
    ngx_http_async_upload_json_uint(w, "share_bp", next->share);
    ngx_http_async_upload_json_end(w);
}


void
ngx_http_async_upload_progress_figures(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    uint64_t                           tick;
    ngx_http_async_upload_guard_sh_t  *guard;

    guard = &look->guard;

    ngx_http_async_upload_progress_decision(w, look);
    ngx_http_async_upload_progress_observation(w, look);

    ngx_http_async_upload_json_object(w, "window");
    ngx_http_async_upload_progress_window(w, "rollback",
                                          rollout->rollback.window, look,
                                          &look->in.window);
    ngx_http_async_upload_progress_window(w, "review",
                                          rollout->review.success_for, look,
                                          &look->in.review);
    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_progress_latency(w, look);
    ngx_http_async_upload_progress_baseline(w, &look->baseline);
    ngx_http_async_upload_progress_limits(w, rollout, look);

    if (guard->drill_ms) {
        ngx_http_async_upload_json_object(w, "last_drill");
        ngx_http_async_upload_measure_time(w, "time", guard->drill_ms);
        ngx_http_async_upload_json_uint(w, "took_ms", guard->drill_took);
        ngx_http_async_upload_json_uint(w, "workers", guard->drill_workers);
        ngx_http_async_upload_json_end(w);

    } else {
        ngx_http_async_upload_json_null(w, "last_drill");
    }

    ngx_http_async_upload_progress_file(w, rollout, look);

    tick = ngx_http_async_upload_zone_load(&rollout->sh->tick);

    if (tick) {
        ngx_http_async_upload_progress_seconds(w, "last_tick_age_s",
                             look->now > tick ? (look->now - tick) / 1000 : 0);

    } else {
        ngx_http_async_upload_json_null(w, "last_tick_age_s");
    }
}


const char *
ngx_http_async_upload_progress_idle(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t  state;

    state = look->word.state;

    if (state == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF
        || state == NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK)
    {
        return (char *) ngx_http_async_upload_name_states[state].data;
    }

    if (ngx_http_async_upload_progress_late(rollout, look)) {
        return "no_tick";
    }

    if (ngx_http_async_upload_zone_load(&rollout->sh->follows)) {
        return "newer_master";
    }

    if (rollout->dry_run) {
        return "dry_run";
    }

    /* what is complete is only reviewed */

    if (state == NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE) {
        return rollout->review.on ? NULL : "review_off";
    }

    return rollout->rollback.on ? NULL : "rollback_off";
}


ngx_uint_t
ngx_http_async_upload_progress_alarm(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t  late;

    late = ngx_http_async_upload_progress_late(rollout, look)
           ? NGX_HTTP_ASYNC_UPLOAD_PROGRESS_BLIND : 0;

    switch (look->word.state) {

    case NGX_HTTP_ASYNC_UPLOAD_STATE_OFF:
        return late | NGX_HTTP_ASYNC_UPLOAD_PROGRESS_OFF;

    case NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK:
        return late | NGX_HTTP_ASYNC_UPLOAD_PROGRESS_ROLLED_BACK;

    case NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW:
        late |= NGX_HTTP_ASYNC_UPLOAD_PROGRESS_REVIEW;
        break;

    default:
        break;
    }

    return (rollout->dry_run || !rollout->rollback.on)
           ? late | NGX_HTTP_ASYNC_UPLOAD_PROGRESS_BLIND : late;
}


ngx_http_async_upload_stage_t *
ngx_http_async_upload_progress_next(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_stage_t  *stage;

    if (look->stage == 0 || look->stage >= look->stages) {
        return NULL;
    }

    switch (look->word.state) {

    case NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING:
    case NGX_HTTP_ASYNC_UPLOAD_STATE_PAUSED:
    case NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW:
        stage = rollout->stages->elts;
        return &stage[look->stage];

    default:
        return NULL;
    }
}


const char *
ngx_http_async_upload_progress_memory(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, const char **why)
{
    *why = NULL;

    if (!rollout->rollback.on) {
        *why = "rollback_off";
        return "off";
    }

    if (rollout->rollback.memory == 0) {
        *why = "memory_off";
        return "off";
    }

    if (look->guard.memory_now == 0) {

        /* those that have just started are not looked at yet */

        *why = (rollout->slot && ngx_http_async_upload_zone_load(
                                                    &rollout->slot->rss) == 0)
               ? "not_readable" : "workers_too_young";
        return "unknown";
    }

    if (look->guard.memory == 0) {
        *why = "no_baseline";
        return "unknown";
    }

    return "on";
}


static void
ngx_http_async_upload_progress_name(ngx_http_async_upload_json_t *w,
    const char *key, ngx_str_t *name)
{
    ngx_http_async_upload_json_string(w, key, name->data, name->len);
}


/* null where 0 says that it is not known, or that there is none */

static void
ngx_http_async_upload_progress_known(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t n)
{
    if (n) {
        ngx_http_async_upload_json_uint(w, key, n);

    } else {
        ngx_http_async_upload_json_null(w, key);
    }
}


static void
ngx_http_async_upload_progress_seconds(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t ms)
{
    ngx_http_async_upload_json_ratio(w, key, ms, 1000, 3);
}


static void
ngx_http_async_upload_progress_when(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t ms)
{
    if (ms) {
        ngx_http_async_upload_measure_time(w, key, ms);

    } else {
        ngx_http_async_upload_json_null(w, key);
    }
}


static void
ngx_http_async_upload_progress_stage(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t                      i;
    ngx_http_async_upload_stage_t  *stage;

    if (look->stage == 0) {
        ngx_http_async_upload_json_null(w, "stage");
        return;
    }

    stage = rollout->stages->elts;

    ngx_http_async_upload_json_object(w, "stage");
    ngx_http_async_upload_json_uint(w, "number", look->stage);
    ngx_http_async_upload_json_uint(w, "of", look->stages);
    ngx_http_async_upload_json_uint(w, "share_bp",
                                    stage[look->stage - 1].share);
    ngx_http_async_upload_progress_when(w, "since",
                                        look->guard.watch.since_ms);
    ngx_http_async_upload_progress_seconds(w, "soak_left_s",
                                           look->soak_left_ms);

    ngx_http_async_upload_json_array(w, "gate");

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES; i++) {
        if (look->gate[i].on) {
            ngx_http_async_upload_measure_line(w, i, &look->gate[i]);
        }
    }

    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_json_bool(w, "open", look->open);
    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_progress_decision(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_guard_decision_t  *decision;

    decision = &look->decision;

    ngx_http_async_upload_json_object(w, "last_decision");
    ngx_http_async_upload_json_literal(w, "verdict",
                   ngx_http_async_upload_guard_verdicts[decision->verdict]);
    ngx_http_async_upload_measure_rule(w, "reason", decision->reason,
                                       decision->value, decision->limit);

    if (decision->reason == NGX_HTTP_ASYNC_UPLOAD_GUARD_NOT_MET) {
        ngx_http_async_upload_measure_closed(w, look->gate);
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_progress_observation(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t                             i;
    ngx_http_async_upload_evidence_arm_t  *arm;

    ngx_http_async_upload_json_object(w, "observation");
    ngx_http_async_upload_progress_when(w, "since",
                                        look->guard.watch.since_ms);
    ngx_http_async_upload_progress_seconds(w, "age_s", look->in.stage_ms);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        arm = &look->counts.evidence.arm[i];

        ngx_http_async_upload_json_object(w,
                           i == NGX_HTTP_ASYNC_UPLOAD_SYNC ? "sync" : "async");
        ngx_http_async_upload_json_uint(w, "uploads",
                                        arm->success + arm->failure);
        ngx_http_async_upload_json_uint(w, "success", arm->success);
        ngx_http_async_upload_json_uint(w, "failure", arm->failure);
        ngx_http_async_upload_json_uint(w, "rejected", arm->rejected);
        ngx_http_async_upload_json_uint(w, "aborted", arm->aborted);
        ngx_http_async_upload_json_ratio(w, "success_rate", arm->success,
                                     arm->success + arm->failure,
                                     NGX_HTTP_ASYNC_UPLOAD_PROGRESS_DECIMALS);
        ngx_http_async_upload_json_end(w);
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_progress_window(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t span, ngx_http_async_upload_look_t *look,
    ngx_http_async_upload_guard_rate_t *rate)
{
    ngx_http_async_upload_json_object(w, key);

    /* none reaches back beyond the observation */

    ngx_http_async_upload_progress_seconds(w, "span_s",
                                           ngx_min(span, look->in.stage_ms));
    ngx_http_async_upload_json_uint(w, "uploads", rate->uploads);
    ngx_http_async_upload_json_uint(w, "success", rate->success);
    ngx_http_async_upload_json_uint(w, "failure", rate->failure);
    ngx_http_async_upload_json_ratio(w, "success_rate", rate->success,
                                     rate->uploads,
                                     NGX_HTTP_ASYNC_UPLOAD_PROGRESS_DECIMALS);
    ngx_http_async_upload_json_ratio(w, "error_rate", rate->failure,
                                     rate->uploads,
                                     NGX_HTTP_ASYNC_UPLOAD_PROGRESS_DECIMALS);
    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_progress_latency(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look)
{
    static const char  *references[] = { NULL, "sync", "baseline" };

    ngx_http_async_upload_json_object(w, "latency");

    if (references[look->reference]) {
        ngx_http_async_upload_json_literal(w, "reference",
                                           references[look->reference]);

    } else {
        ngx_http_async_upload_json_null(w, "reference");
    }

    ngx_http_async_upload_progress_known(w, "reference_p95_us",
                                         look->reference_p95);
    ngx_http_async_upload_progress_known(w, "sync_p95_us",
                                  look->p95[NGX_HTTP_ASYNC_UPLOAD_SYNC]);
    ngx_http_async_upload_progress_known(w, "async_p95_us",
                                  look->p95[NGX_HTTP_ASYNC_UPLOAD_ASYNC]);

    if (look->in.latency > 0) {
        ngx_http_async_upload_json_double(w, "ratio", look->in.latency,
                                     NGX_HTTP_ASYNC_UPLOAD_PROGRESS_DECIMALS);

    } else {
        ngx_http_async_upload_json_null(w, "ratio");
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_progress_baseline(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_baseline_t *b)
{
    double       us[NGX_HTTP_ASYNC_UPLOAD_PROGRESS_QUANTILES];
    uint64_t     total, uploads;
    ngx_uint_t   i;

    static const char *names[] = { "p50_us", "p95_us", "p99_us" };

    static const double q[NGX_HTTP_ASYNC_UPLOAD_PROGRESS_QUANTILES] = {
        0.5, 0.95, 0.99
    };

    uploads = b->success + b->failure;

    ngx_http_async_upload_json_object(w, "baseline");
    ngx_http_async_upload_progress_when(w, "recorded", b->time_ms);
    ngx_http_async_upload_json_bool(w, "frozen", b->frozen != 0);
    ngx_http_async_upload_json_ratio(w, "hours", b->span_ms, 3600000, 3);
    ngx_http_async_upload_json_uint(w, "uploads", uploads);
    ngx_http_async_upload_json_ratio(w, "success_rate", b->success, uploads,
                                     NGX_HTTP_ASYNC_UPLOAD_PROGRESS_DECIMALS);

    total = ngx_http_async_upload_hist_total(&b->latency);

    ngx_http_async_upload_hist_quantiles(&b->latency, total, q,
                                     NGX_HTTP_ASYNC_UPLOAD_PROGRESS_QUANTILES,
                                     us);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_PROGRESS_QUANTILES; i++) {
        ngx_http_async_upload_progress_known(w, names[i],
                                      total ? (uint64_t) (us[i] + 0.5) : 0);
    }

    ngx_http_async_upload_json_bool(w, "enough",
                          uploads >= NGX_HTTP_ASYNC_UPLOAD_PROGRESS_BASELINE);
    ngx_http_async_upload_json_end(w);
}


/* what rolls back or calls for a person, and how close to that it is */

static void
ngx_http_async_upload_progress_limits(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    const char                           *rule, *why;
    ngx_http_async_upload_guard_input_t  *in;

    in = &look->in;

    rule = ngx_http_async_upload_progress_memory(rollout, look, &why);

    ngx_http_async_upload_json_object(w, "memory");
    ngx_http_async_upload_json_literal(w, "rule", rule);

    if (why) {
        ngx_http_async_upload_json_literal(w, "why", why);

    } else {
        ngx_http_async_upload_json_null(w, "why");
    }

    ngx_http_async_upload_progress_known(w, "baseline_bytes",
                                         look->guard.memory);
    ngx_http_async_upload_progress_known(w, "now_bytes",
                                         look->guard.memory_now);

    if (look->memory > 0) {
        ngx_http_async_upload_json_double(w, "ratio", look->memory,
                                     NGX_HTTP_ASYNC_UPLOAD_PROGRESS_DECIMALS);

    } else {
        ngx_http_async_upload_json_null(w, "ratio");
    }

    ngx_http_async_upload_progress_known(w, "workers",
                                         look->guard.memory_workers);
    ngx_http_async_upload_progress_known(w, "service_percent",
                                         look->guard.watch.service_memory);
    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_json_object(w, "budget");
    ngx_http_async_upload_progress_known(w, "limit", rollout->budget);
    ngx_http_async_upload_json_uint(w, "used", in->failures);
    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_json_object(w, "consecutive_failures");
    ngx_http_async_upload_progress_known(w, "limit",
                         rollout->rollback.on ? rollout->rollback.run : 0);
    ngx_http_async_upload_json_uint(w, "now", in->run);
    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_json_object(w, "signals");
    ngx_http_async_upload_json_uint(w, "critical", in->critical);
    ngx_http_async_upload_json_uint(w, "complaints", in->complaints);
    ngx_http_async_upload_progress_known(w, "complaints_limit",
                         rollout->review.on ? rollout->review.complaints : 0);
    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_progress_file(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    uint64_t                          saved;
    ngx_err_t                         err;
    u_char                           *last;
    u_char                            text[NGX_MAX_ERROR_STR];
    ngx_http_async_upload_zone_sh_t  *sh;

    if (rollout->state_off) {
        ngx_http_async_upload_json_null(w, "state_file");
        return;
    }

    sh = rollout->sh;

    saved = ngx_http_async_upload_zone_load(&sh->saved_us);
    err = (ngx_err_t) ngx_http_async_upload_zone_load(&sh->save_errno);

    ngx_http_async_upload_json_object(w, "state_file");
    ngx_http_async_upload_progress_name(w, "path", &rollout->state);

    if (saved) {
        ngx_http_async_upload_progress_seconds(w, "saved_age_s",
                         look->now > saved ? (look->now - saved) / 1000 : 0);

    } else {
        ngx_http_async_upload_json_null(w, "saved_age_s");
    }

    if (err) {
        last = ngx_strerror(err, text, sizeof(text));
        ngx_http_async_upload_json_string(w, "error", text, last - text);

    } else {
        ngx_http_async_upload_json_null(w, "error");
    }

    ngx_http_async_upload_json_end(w);
}


/* in the first seconds of a worker there has been no time for a tick */

static ngx_uint_t
ngx_http_async_upload_progress_late(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    uint64_t  tick, since;

    tick = ngx_http_async_upload_zone_load(&rollout->sh->tick);
    since = rollout->slot ? rollout->slot->started_us : 0;

    return look->now > ngx_max(tick, since)
                       + NGX_HTTP_ASYNC_UPLOAD_PROGRESS_TICK;
}
