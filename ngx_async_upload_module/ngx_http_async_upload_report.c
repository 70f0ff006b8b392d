
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_report.h"
#include "ngx_http_async_upload_criteria.h"
#include "ngx_http_async_upload_event.h"
#include "ngx_http_async_upload_journal.h"
#include "ngx_http_async_upload_measure.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_progress.h"
#include "ngx_http_async_upload_total.h"


#define NGX_HTTP_ASYNC_UPLOAD_REPORT_QUANTILES  3


static void ngx_http_async_upload_report_deployment(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_report_baseline(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_baseline_t *b);
static void ngx_http_async_upload_report_arms(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_report_totals(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_report_classes(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_report_quantiles(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_hist_t *h);
static void ngx_http_async_upload_report_events(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout,
    time_t since);
static void ngx_http_async_upload_report_event(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_event_sh_t *event);
static void ngx_http_async_upload_report_pair(ngx_http_async_upload_json_t *w,
    const char *name, uint64_t sync, uint64_t async);


void
ngx_http_async_upload_report_start(ngx_http_async_upload_json_t *w,
    time_t since)
{
    ngx_http_async_upload_json_text(w, "# Rollout report\n\nGenerated ");
    ngx_http_async_upload_json_put(w, ngx_cached_http_log_iso8601.data,
                                   ngx_cached_http_log_iso8601.len);
    ngx_http_async_upload_json_text(w, ", decisions of the last ");
    ngx_http_async_upload_measure_tell_span(w, (uint64_t) since * 1000);
    ngx_http_async_upload_json_text(w, ".\nModule "
                  NGX_HTTP_ASYNC_UPLOAD_VERSION ", nginx " NGINX_VERSION
                  ".\nA success is an answer: with 202 it is an acceptance, "
                  "not a completion.\n");
}


void
ngx_http_async_upload_report_rollout(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, time_t since)
{
    ngx_http_async_upload_json_text(w, "\n## ");
    ngx_http_async_upload_measure_markdown(w, rollout->name.data,
                                           rollout->name.len);
    ngx_http_async_upload_json_text(w, "\n");

    ngx_http_async_upload_report_deployment(w, rollout, look);
    ngx_http_async_upload_report_baseline(w, &look->baseline);

    ngx_http_async_upload_criteria_report(w, rollout, look);
    ngx_http_async_upload_report_arms(w, look);
    ngx_http_async_upload_report_totals(w, rollout, look);
    ngx_http_async_upload_report_events(w, rollout, since);
}


static void
ngx_http_async_upload_report_deployment(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    const char                             *why;
    ngx_str_t                              *state;
    ngx_http_async_upload_stage_t          *next;
    ngx_http_async_upload_total_clients_t   clients;

    ngx_http_async_upload_json_text(w, "\n### Deployment\n\n"
                                       "| What | Now |\n|---|---|\n| State | ");

    state = &ngx_http_async_upload_name_states[look->word.state];
    ngx_http_async_upload_measure_markdown(w, state->data, state->len);

    ngx_http_async_upload_json_text(w, " |\n| Share of async | ");
    ngx_http_async_upload_measure_tell_share(w,
                             ngx_http_async_upload_zone_share(&look->word));

    if (look->word.share != ngx_http_async_upload_zone_share(&look->word)) {
        ngx_http_async_upload_json_text(w, ", kept at ");
        ngx_http_async_upload_measure_tell_share(w, look->word.share);
    }

    ngx_http_async_upload_json_text(w, " |\n| Stage | ");

    if (look->stage) {
        ngx_http_async_upload_json_text_uint(w, look->stage);
        ngx_http_async_upload_json_text(w, " of ");
        ngx_http_async_upload_json_text_uint(w, look->stages);

    } else {
        ngx_http_async_upload_json_text(w, "none");
    }

    next = ngx_http_async_upload_progress_next(rollout, look);

    if (next) {
        ngx_http_async_upload_json_text(w, ", next ");
        ngx_http_async_upload_measure_tell_share(w, next->share);
    }

    ngx_http_async_upload_json_text(w, " |\n| Observed for | ");
    ngx_http_async_upload_measure_tell_span(w, look->in.stage_ms);

    ngx_http_async_upload_json_text(w, " |\n| Async upstream | ");
    ngx_http_async_upload_measure_markdown(w, rollout->async_name.data,
                                           rollout->async_name.len);

    why = ngx_http_async_upload_progress_idle(rollout, look);

    ngx_http_async_upload_json_text(w, " |\n| Guard | ");
    ngx_http_async_upload_json_text(w, why ? "off: " : "on");

    if (why) {
        ngx_http_async_upload_measure_markdown(w, (u_char *) why,
                                               ngx_strlen(why));
    }

    ngx_http_async_upload_total_clients(&look->counts, &clients);

    ngx_http_async_upload_json_text(w, " |\n| Uploads that failed for clients"
                                       " since the start | ");
    ngx_http_async_upload_json_text_uint(w, clients.failed);
    ngx_http_async_upload_json_text(w, " of ");
    ngx_http_async_upload_json_text_uint(w, clients.uploads);

    ngx_http_async_upload_json_text(w, " |\n| State file | ");

    if (rollout->state_off) {
        ngx_http_async_upload_json_text(w, "none");

    } else {
        ngx_http_async_upload_measure_markdown(w, rollout->state.data,
                                               rollout->state.len);

        if (ngx_http_async_upload_zone_load(&rollout->sh->save_errno)) {
            ngx_http_async_upload_json_text(w, ", NOT SAVED");
        }
    }

    ngx_http_async_upload_json_text(w, " |\n| Journal | ");

    if (rollout->journal) {
        ngx_http_async_upload_measure_markdown(w, rollout->journal->name.data,
                                               rollout->journal->name.len);

    } else {
        ngx_http_async_upload_json_text(w, "none");
    }

    ngx_http_async_upload_json_text(w, " |\n");
}


static void
ngx_http_async_upload_report_baseline(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_baseline_t *b)
{
    uint64_t  uploads;

    uploads = b->success + b->failure;

    ngx_http_async_upload_json_text(w, "\n### Baseline\n\n"
                                       "| What | Sync |\n|---|---|\n"
                                       "| Recorded | ");

    if (b->frozen) {
        ngx_http_async_upload_measure_tell_time(w, b->time_ms);

    } else {
        ngx_http_async_upload_json_text(w, "still rolling");
    }

    ngx_http_async_upload_json_text(w, " |\n| Span | ");
    ngx_http_async_upload_measure_tell_span(w, b->span_ms);
    ngx_http_async_upload_json_text(w, " |\n| Uploads | ");
    ngx_http_async_upload_json_text_uint(w, uploads);

    if (uploads < NGX_HTTP_ASYNC_UPLOAD_PROGRESS_BASELINE) {
        ngx_http_async_upload_json_text(w, ", too few");
    }

    ngx_http_async_upload_json_text(w, " |\n| Success rate | ");
    ngx_http_async_upload_measure_tell_rate(w, b->success, uploads);
    ngx_http_async_upload_json_text(w, " |\n| Latency p50, p95, p99 | ");
    ngx_http_async_upload_report_quantiles(w, &b->latency);
    ngx_http_async_upload_json_text(w, " |\n");
}


static void
ngx_http_async_upload_report_arms(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t                             i;
    ngx_http_async_upload_evidence_arm_t  *sync, *async, *arm;

    sync = &look->counts.evidence.arm[NGX_HTTP_ASYNC_UPLOAD_SYNC];
    async = &look->counts.evidence.arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC];

    ngx_http_async_upload_json_text(w, "\n### Arms in this observation\n\n"
                                       "| What | Sync | Async |\n"
                                       "|---|---|---|\n");

    ngx_http_async_upload_report_pair(w, "Success", sync->success,
                                      async->success);
    ngx_http_async_upload_report_pair(w, "Failure", sync->failure,
                                      async->failure);
    ngx_http_async_upload_report_pair(w, "Rejected (4xx)", sync->rejected,
                                      async->rejected);
    ngx_http_async_upload_report_pair(w, "Aborted by the client",
                                      sync->aborted, async->aborted);

    ngx_http_async_upload_json_text(w, "| Success rate");

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        arm = &look->counts.evidence.arm[i];

        ngx_http_async_upload_json_text(w, " | ");
        ngx_http_async_upload_measure_tell_rate(w, arm->success,
                                                arm->success + arm->failure);
    }

    ngx_http_async_upload_json_text(w, " |\n| Latency p50, p95, p99");

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        ngx_http_async_upload_json_text(w, " | ");
        ngx_http_async_upload_report_quantiles(w, &look->latency[i]);
    }

    ngx_http_async_upload_json_text(w, " |\n");
}


static void
ngx_http_async_upload_report_totals(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t                       i;
    ngx_http_async_upload_cell_sh_t  cell[NGX_HTTP_ASYNC_UPLOAD_ARMS];

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        ngx_http_async_upload_total_arm(&look->counts, i, &cell[i]);
    }

    ngx_http_async_upload_json_text(w, "\n### Arms since the start\n\n"
                                       "| What | Sync | Async |\n"
                                       "|---|---|---|\n");

    ngx_http_async_upload_report_pair(w, "Uploads", cell[0].uploads,
                                      cell[1].uploads);
    ngx_http_async_upload_report_pair(w, "Success", cell[0].success,
                                      cell[1].success);
    ngx_http_async_upload_report_pair(w, "Failure",
                          ngx_http_async_upload_total_failures(&cell[0]),
                          ngx_http_async_upload_total_failures(&cell[1]));
    ngx_http_async_upload_report_classes(w, rollout, look);
    ngx_http_async_upload_report_pair(w, "Rejected (4xx)", cell[0].rejected,
                                      cell[1].rejected);
    ngx_http_async_upload_report_pair(w, "Aborted by the client",
                                      cell[0].aborted, cell[1].aborted);
    ngx_http_async_upload_report_pair(w, "Cut by nginx", cell[0].cut,
                                      cell[1].cut);
    ngx_http_async_upload_report_pair(w, "Lost with a worker", cell[0].lost,
                                      cell[1].lost);
    ngx_http_async_upload_report_pair(w, "In flight",
                          ngx_http_async_upload_total_in_flight(&cell[0]),
                          ngx_http_async_upload_total_in_flight(&cell[1]));
    ngx_http_async_upload_report_pair(w, "Failures masked by sync",
                                      cell[0].masked, cell[1].masked);
    ngx_http_async_upload_report_pair(w, "Bytes", cell[0].bytes,
                                      cell[1].bytes);
}


/* those that have happened */

static void
ngx_http_async_upload_report_classes(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    u_char                           *last;
    u_char                            name[NGX_HTTP_ASYNC_UPLOAD_NAME_LEN + 1];
    uint64_t                         *status;
    ngx_uint_t                        i, k;
    ngx_http_async_upload_cell_sh_t   cell[NGX_HTTP_ASYNC_UPLOAD_ARMS];

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        ngx_http_async_upload_total_arm(&look->counts, i, &cell[i]);
    }

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_CLASSES; k++) {

        if (cell[0].failure[k] == 0 && cell[1].failure[k] == 0) {
            continue;
        }

        status = (k < NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST) ? NULL
                 : &rollout->sh->statuses[k
                                          - NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST];

        last = ngx_http_async_upload_name_class(name,
                           ngx_min(k, NGX_HTTP_ASYNC_UPLOAD_HTTP),
                           status ? ngx_http_async_upload_zone_load(status)
                                  : 0);
        *last = '\0';

        ngx_http_async_upload_json_text(w, "| Failure: ");
        ngx_http_async_upload_measure_markdown(w, name, last - name);
        ngx_http_async_upload_json_text(w, " | ");
        ngx_http_async_upload_json_text_uint(w, cell[0].failure[k]);
        ngx_http_async_upload_json_text(w, " | ");
        ngx_http_async_upload_json_text_uint(w, cell[1].failure[k]);
        ngx_http_async_upload_json_text(w, " |\n");
    }
}


static void
ngx_http_async_upload_report_quantiles(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_hist_t *h)
{
    double      us[NGX_HTTP_ASYNC_UPLOAD_REPORT_QUANTILES];
    uint64_t    total;
    ngx_uint_t  i;

    static const double  q[NGX_HTTP_ASYNC_UPLOAD_REPORT_QUANTILES] = {
        0.5, 0.95, 0.99
    };

    total = ngx_http_async_upload_hist_total(h);

    if (total == 0) {
        ngx_http_async_upload_json_text(w, "-");
        return;
    }

    ngx_http_async_upload_hist_quantiles(h, total, q,
                                     NGX_HTTP_ASYNC_UPLOAD_REPORT_QUANTILES,
                                     us);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_REPORT_QUANTILES; i++) {
        if (i) {
            ngx_http_async_upload_json_text(w, ", ");
        }

        ngx_http_async_upload_measure_tell_latency(w,
                                                   (uint64_t) (us[i] + 0.5));
    }
}


/* the oldest first, as a day goes */

static void
ngx_http_async_upload_report_events(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout, time_t since)
{
    uint64_t                          seq, events, from;
    ngx_uint_t                        n;
    ngx_time_t                       *tp;
    ngx_http_async_upload_event_sh_t  event;

    events = ngx_http_async_upload_zone_load(&rollout->sh->events);

    seq = (events > NGX_HTTP_ASYNC_UPLOAD_RING)
          ? events - NGX_HTTP_ASYNC_UPLOAD_RING : 0;

    n = 0;

    tp = ngx_timeofday();
    from = (tp->sec > since)
           ? (uint64_t) (tp->sec - since) * 1000 + tp->msec : 0;

    ngx_http_async_upload_json_text(w, "\n### Decisions\n\n");

    while (seq++ < events) {

        if (ngx_http_async_upload_event_read(rollout->sh, seq, &event)
            != NGX_OK
            || event.time_ms < from)
        {
            continue;
        }

        if (n++ == 0) {

            if (event.seq > 1 && events >= NGX_HTTP_ASYNC_UPLOAD_RING
                && event.seq <= events - NGX_HTTP_ASYNC_UPLOAD_RING + 2)
            {
                ngx_http_async_upload_json_text(w, "Older ones are in the "
                                                   "journal alone.\n\n");
            }

            ngx_http_async_upload_json_text(w, "| Time | What | Reason |\n"
                                               "|---|---|---|\n");
        }

        ngx_http_async_upload_report_event(w, &event);
    }

    if (n == 0) {
        ngx_http_async_upload_json_text(w, "None.\n");
    }
}


static void
ngx_http_async_upload_report_event(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_event_sh_t *event)
{
    size_t                         len;
    u_char                         what[512];
    ngx_http_async_upload_json_t   text;

    ngx_http_async_upload_json_text(w, "| ");
    ngx_http_async_upload_measure_tell_time(w, event->time_ms);
    ngx_http_async_upload_json_text(w, " | ");

    ngx_http_async_upload_json_init(&text, what, sizeof(what), NULL, NULL);
    ngx_http_async_upload_journal_what(&text, event);

    len = ngx_http_async_upload_json_done(&text);
    ngx_http_async_upload_measure_markdown(w, what, len);

    if (event->who[0]) {
        ngx_http_async_upload_json_text(w, " (");
        ngx_http_async_upload_measure_markdown(w, event->who,
                                               ngx_strlen(event->who));
        ngx_http_async_upload_json_text(w, ")");
    }

    ngx_http_async_upload_json_text(w, " | ");
    ngx_http_async_upload_measure_markdown(w, event->why,
                                           ngx_strlen(event->why));
    ngx_http_async_upload_json_text(w, " |\n");
}


static void
ngx_http_async_upload_report_pair(ngx_http_async_upload_json_t *w,
    const char *name, uint64_t sync, uint64_t async)
{
    ngx_http_async_upload_json_text(w, "| ");
    ngx_http_async_upload_json_text(w, name);
    ngx_http_async_upload_json_text(w, " | ");
    ngx_http_async_upload_json_text_uint(w, sync);
    ngx_http_async_upload_json_text(w, " | ");
    ngx_http_async_upload_json_text_uint(w, async);
    ngx_http_async_upload_json_text(w, " |\n");
}
