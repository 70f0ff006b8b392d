
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_text.h"
#include "ngx_http_async_upload_history.h"
#include "ngx_http_async_upload_journal.h"
#include "ngx_http_async_upload_measure.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_progress.h"
#include "ngx_http_async_upload_total.h"
#include "ngx_http_async_upload_verdict.h"


#define NGX_HTTP_ASYNC_UPLOAD_TEXT_COLUMNS  80
#define NGX_HTTP_ASYNC_UPLOAD_TEXT_BAR      48

/* what is longer is cut anyway */
#define NGX_HTTP_ASYNC_UPLOAD_TEXT_LINE     256


/* writes the rest of a line, after its label */

typedef void (*ngx_http_async_upload_text_pt)(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);


typedef struct {
    const char                      *label;
    ngx_http_async_upload_text_pt    write;
} ngx_http_async_upload_text_line_t;


static void ngx_http_async_upload_text_state(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_share(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_stage(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_gate(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_async(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_sync(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_arm(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look, ngx_uint_t i);
static void ngx_http_async_upload_text_latency(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_clients(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_guard(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_now(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_seen(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_limits(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_baseline(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_event(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_text_upper(ngx_http_async_upload_json_t *w,
    ngx_str_t *word);
static void ngx_http_async_upload_text_limit(ngx_http_async_upload_json_t *w,
    uint64_t limit);


static ngx_http_async_upload_text_line_t
    ngx_http_async_upload_text_lines[] = {

    { "state     ", ngx_http_async_upload_text_state },
    { "share     ", ngx_http_async_upload_text_share },
    { "stage     ", ngx_http_async_upload_text_stage },
    { "gate      ", ngx_http_async_upload_text_gate },
    { "async     ", ngx_http_async_upload_text_async },
    { "sync      ", ngx_http_async_upload_text_sync },
    { "latency   ", ngx_http_async_upload_text_latency },
    { "clients   ", ngx_http_async_upload_text_clients },
    { "guard     ", ngx_http_async_upload_text_guard },
    { "evidence  ", ngx_http_async_upload_text_now },
    { "          ", ngx_http_async_upload_text_seen },
    { "limits    ", ngx_http_async_upload_text_limits },
    { "baseline  ", ngx_http_async_upload_text_baseline },
    { "event     ", ngx_http_async_upload_text_event },
    { NULL, NULL }
};


void
ngx_http_async_upload_text_rollout(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    size_t                              len;
    u_char                              buf[NGX_HTTP_ASYNC_UPLOAD_TEXT_LINE];
    ngx_http_async_upload_json_t        cut;
    ngx_http_async_upload_text_line_t  *line;

    for (line = ngx_http_async_upload_text_lines; line->label; line++) {

        ngx_http_async_upload_json_init(&cut, buf, sizeof(buf), NULL, NULL);
        ngx_http_async_upload_json_text(&cut, line->label);
        line->write(&cut, rollout, look);

        len = ngx_http_async_upload_json_done(&cut);

        if (len == ngx_strlen(line->label)) {

            /* nothing to say */
            continue;
        }

        if (cut.failed || len > NGX_HTTP_ASYNC_UPLOAD_TEXT_COLUMNS) {
            len = ngx_min(len, NGX_HTTP_ASYNC_UPLOAD_TEXT_COLUMNS - 3);

            ngx_http_async_upload_json_put(w, buf, len);
            ngx_http_async_upload_json_text(w, "...\n");
            continue;
        }

        ngx_http_async_upload_json_put(w, buf, len);
        ngx_http_async_upload_json_text(w, "\n");
    }
}


static void
ngx_http_async_upload_text_state(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_text_upper(w,
                 &ngx_http_async_upload_name_states[look->word.state]);

    ngx_http_async_upload_json_text(w, ", epoch ");
    ngx_http_async_upload_json_text_uint(w, look->word.epoch);
    ngx_http_async_upload_json_text(w, ", watched for ");
    ngx_http_async_upload_measure_tell_span(w, look->in.stage_ms);
    ngx_http_async_upload_json_text(w, ", rollout ");
    ngx_http_async_upload_measure_tell_plain(w, rollout->name.data,
                                             rollout->name.len);
}


static void
ngx_http_async_upload_text_share(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t                             i, share, full;
    ngx_http_async_upload_evidence_arm_t  *arm;

    share = ngx_http_async_upload_zone_share(&look->word);

    /* full only at 100%, empty only at 0% */

    full = (share * (NGX_HTTP_ASYNC_UPLOAD_TEXT_BAR - 1)
            + NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX - 1)
           / NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX;

    if (share == NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX) {
        full = NGX_HTTP_ASYNC_UPLOAD_TEXT_BAR;
    }

    ngx_http_async_upload_json_text(w, "[");

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_TEXT_BAR; i++) {
        ngx_http_async_upload_json_text(w, i < full ? "#" : "-");
    }

    ngx_http_async_upload_json_text(w, "] ");
    ngx_http_async_upload_measure_tell_share(w, share);

    arm = look->counts.evidence.arm;

    ngx_http_async_upload_json_text(w, ", ");
    ngx_http_async_upload_measure_tell_rate(w,
                      arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC].bucket,
                      arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC].bucket
                      + arm[NGX_HTTP_ASYNC_UPLOAD_SYNC].bucket);
    ngx_http_async_upload_json_text(w, " seen");
}


static void
ngx_http_async_upload_text_stage(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_stage_t  *next;

    if (look->stage == 0) {
        ngx_http_async_upload_json_text(w, "none, the share is fixed");

    } else {
        ngx_http_async_upload_json_text_uint(w, look->stage);
        ngx_http_async_upload_json_text(w, " of ");
        ngx_http_async_upload_json_text_uint(w, look->stages);
    }

    if (look->word.share != ngx_http_async_upload_zone_share(&look->word)) {
        ngx_http_async_upload_json_text(w, ", kept at ");
        ngx_http_async_upload_measure_tell_share(w, look->word.share);
    }

    next = ngx_http_async_upload_progress_next(rollout, look);

    if (next) {
        ngx_http_async_upload_json_text(w, ", next ");
        ngx_http_async_upload_measure_tell_share(w, next->share);
        ngx_http_async_upload_json_text(w, rollout->advance
                                           ? " by itself" : " by command");
    }

    if (look->soak_left_ms) {
        ngx_http_async_upload_json_text(w, ", soak ");
        ngx_http_async_upload_measure_tell_span(w, look->soak_left_ms);
        ngx_http_async_upload_json_text(w, " left");
    }
}


static void
ngx_http_async_upload_text_gate(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t   i;
    const char  *before;

    if (!look->conf.gates) {
        ngx_http_async_upload_json_text(w, "none");
        return;
    }

    if (look->open) {
        ngx_http_async_upload_json_text(w, "OPEN");
        return;
    }

    before = "SHUT: ";

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES; i++) {

        if (!look->gate[i].on || look->gate[i].open) {
            continue;
        }

        ngx_http_async_upload_json_text(w, before);
        ngx_http_async_upload_json_text(w,
                                        ngx_http_async_upload_guard_lines[i]);
        ngx_http_async_upload_json_text(w, " ");
        ngx_http_async_upload_measure_tell_line(w, i, &look->gate[i]);

        before = ", ";
    }
}


static void
ngx_http_async_upload_text_async(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_text_arm(w, look, NGX_HTTP_ASYNC_UPLOAD_ASYNC);
}


static void
ngx_http_async_upload_text_sync(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_text_arm(w, look, NGX_HTTP_ASYNC_UPLOAD_SYNC);
}


/* in the observation */

static void
ngx_http_async_upload_text_arm(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look, ngx_uint_t i)
{
    uint64_t                               uploads;
    ngx_http_async_upload_evidence_arm_t  *arm;

    arm = &look->counts.evidence.arm[i];
    uploads = arm->success + arm->failure;

    ngx_http_async_upload_json_text_uint(w, uploads);
    ngx_http_async_upload_json_text(w, " uploads, ");
    ngx_http_async_upload_json_text_uint(w, arm->failure);
    ngx_http_async_upload_json_text(w, " failed, success ");
    ngx_http_async_upload_measure_tell_rate(w, arm->success, uploads);
    ngx_http_async_upload_json_text(w, ", p95 ");
    ngx_http_async_upload_measure_tell_latency(w, look->p95[i]);
}


static void
ngx_http_async_upload_text_latency(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    static const char  *references[] = { "", "sync", "the baseline" };

    if (look->in.latency <= 0) {
        ngx_http_async_upload_json_text(w, "nothing to compare yet");
        return;
    }

    ngx_http_async_upload_json_text(w, "p95 of async is ");
    ngx_http_async_upload_json_text_double(w, look->in.latency * 100, 4);
    ngx_http_async_upload_json_text(w, "% of that of ");
    ngx_http_async_upload_json_text(w, references[look->reference]);
    ngx_http_async_upload_json_text(w, ", ");
    ngx_http_async_upload_measure_tell_latency(w, look->reference_p95);
}


static void
ngx_http_async_upload_text_clients(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_total_clients_t   clients;
    ngx_http_async_upload_total_fallback_t  fallback;

    ngx_http_async_upload_total_clients(&look->counts, &clients);
    ngx_http_async_upload_total_fallback(&look->counts, &fallback);

    ngx_http_async_upload_json_text(w, clients.failed ? "HURT: "
                                                      : "not hurt: ");
    ngx_http_async_upload_json_text_uint(w, clients.failed);
    ngx_http_async_upload_json_text(w, " of ");
    ngx_http_async_upload_json_text_uint(w, clients.uploads);
    ngx_http_async_upload_json_text(w, " uploads failed since the start, ");
    ngx_http_async_upload_json_text_uint(w, fallback.served);
    ngx_http_async_upload_json_text(w, " saved by sync");
}


static void
ngx_http_async_upload_text_guard(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    const char                              *why;
    ngx_http_async_upload_guard_decision_t  *decision;

    decision = &look->decision;
    why = ngx_http_async_upload_progress_idle(rollout, look);

    if (why) {
        ngx_http_async_upload_json_text(w, "OFF (");
        ngx_http_async_upload_json_text(w, why);
        ngx_http_async_upload_json_text(w, "): ");

    } else {
        ngx_http_async_upload_json_text(w, "on: ");
    }

    ngx_http_async_upload_json_text(w,
                   ngx_http_async_upload_guard_verdicts[decision->verdict]);

    if (decision->reason == NGX_HTTP_ASYNC_UPLOAD_GUARD_NONE) {
        return;
    }

    ngx_http_async_upload_json_text(w, ", ");
    ngx_http_async_upload_json_text(w,
                       ngx_http_async_upload_guard_names[decision->reason]);

    if (ngx_http_async_upload_measure_unit(decision->reason)) {
        ngx_http_async_upload_json_text(w, " (");
        ngx_http_async_upload_measure_tell_rule(w, decision->reason,
                                                decision->value,
                                                decision->limit);
        ngx_http_async_upload_json_text(w, ")");
    }
}


/* the evidence in two lines; none with plain statistics */

static void
ngx_http_async_upload_text_now(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    u_char  *last, buf[NGX_HTTP_ASYNC_UPLOAD_TEXT_LINE];

    last = ngx_http_async_upload_verdict_now(look, buf, buf + sizeof(buf));

    ngx_http_async_upload_json_put(w, buf, last - buf);
}


static void
ngx_http_async_upload_text_seen(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    u_char  *last, buf[NGX_HTTP_ASYNC_UPLOAD_TEXT_LINE];

    last = ngx_http_async_upload_verdict_seen(look, buf, buf + sizeof(buf));

    ngx_http_async_upload_json_put(w, buf, last - buf);
}


static void
ngx_http_async_upload_text_limits(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    const char  *rule, *why;

    ngx_http_async_upload_json_text_uint(w, look->in.run);
    ngx_http_async_upload_text_limit(w, rollout->rollback.on
                                        ? rollout->rollback.run : 0);
    ngx_http_async_upload_json_text(w, " in a row, budget ");
    ngx_http_async_upload_json_text_uint(w, look->in.failures);
    ngx_http_async_upload_text_limit(w, rollout->budget);

    rule = ngx_http_async_upload_progress_memory(rollout, look, &why);

    ngx_http_async_upload_json_text(w, ", memory ");

    if (why) {
        ngx_http_async_upload_json_text(w, rule);
        ngx_http_async_upload_json_text(w, " (");
        ngx_http_async_upload_json_text(w, why);
        ngx_http_async_upload_json_text(w, ")");
        return;
    }

    ngx_http_async_upload_json_text_double(w, look->memory * 100, 4);
    ngx_http_async_upload_json_text(w, "% of ");
    ngx_http_async_upload_json_text_uint(w, rollout->rollback.memory);
    ngx_http_async_upload_json_text(w, "%");
}


static void
ngx_http_async_upload_text_baseline(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    uint64_t                           uploads, total;
    ngx_http_async_upload_baseline_t  *b;

    b = &look->baseline;
    uploads = b->success + b->failure;

    ngx_http_async_upload_json_text_uint(w, uploads);
    ngx_http_async_upload_json_text(w, " uploads in ");
    ngx_http_async_upload_measure_tell_span(w, b->span_ms);
    ngx_http_async_upload_json_text(w, ", success ");
    ngx_http_async_upload_measure_tell_rate(w, b->success, uploads);

    total = ngx_http_async_upload_hist_total(&b->latency);

    ngx_http_async_upload_json_text(w, ", p95 ");
    ngx_http_async_upload_measure_tell_latency(w,
                       (uint64_t) (ngx_http_async_upload_hist_quantile(
                                          &b->latency, total, 0.95) + 0.5));
    ngx_http_async_upload_json_text(w, b->frozen ? ", frozen" : ", rolling");

    if (uploads < NGX_HTTP_ASYNC_UPLOAD_PROGRESS_BASELINE) {
        ngx_http_async_upload_json_text(w, ", too few");
    }
}


static void
ngx_http_async_upload_text_event(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    uint64_t                          now;
    ngx_time_t                       *tp;
    ngx_http_async_upload_event_sh_t  event;

    if (ngx_http_async_upload_history_before(rollout, UINT64_MAX, &event)
        != NGX_OK)
    {
        ngx_http_async_upload_json_text(w, "none yet");
        return;
    }

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    ngx_http_async_upload_measure_tell_span(w, now > event.time_ms
                                               ? now - event.time_ms : 0);
    ngx_http_async_upload_json_text(w, " ago: ");
    ngx_http_async_upload_journal_tell(w, &event);
}


static void
ngx_http_async_upload_text_upper(ngx_http_async_upload_json_t *w,
    ngx_str_t *word)
{
    u_char      c;
    ngx_uint_t  i;

    for (i = 0; i < word->len; i++) {
        c = (u_char) ngx_toupper(word->data[i]);
        ngx_http_async_upload_json_put(w, &c, 1);
    }
}


/* 0 is none */

static void
ngx_http_async_upload_text_limit(ngx_http_async_upload_json_t *w,
    uint64_t limit)
{
    if (limit) {
        ngx_http_async_upload_json_text(w, " of ");
        ngx_http_async_upload_json_text_uint(w, limit);
    }
}
