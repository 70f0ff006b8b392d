
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_saved.h"
#include "ngx_http_async_upload_guard.h"
#include "ngx_http_async_upload_recall.h"


#define NGX_HTTP_ASYNC_UPLOAD_SAVED_WHAT     "async_upload_state"
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_VERSION  1

/* a module with a larger ring may have left more events, but not that many */
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_EVENTS   4096

/* statuses of answers are below */
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_HTTP     600

/* nobody counts that far, and the results of a cell add up in 64 bits */
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_MANY     ((uint64_t) 1 << 56)


#define NGX_HTTP_ASYNC_UPLOAD_SAVED_FIELD(type, name, field, kind, n,         \
    optional, max)                                                            \
    {                                                                         \
        name, offsetof(ngx_http_async_upload_ ## type, field),                \
        NGX_HTTP_ASYNC_UPLOAD_RECORD_ ## kind, n, optional, max               \
    }

/* a number up to "max" */
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(type, name, field, max)              \
    NGX_HTTP_ASYNC_UPLOAD_SAVED_FIELD(type, name, field, NUMBERS, 1, 0, max)

/* "n" numbers */
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(type, name, field, n)                 \
    NGX_HTTP_ASYNC_UPLOAD_SAVED_FIELD(type, name, field, NUMBERS, n, 0,       \
                                      UINT64_MAX)

/* a counter of uploads */
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(type, name, field)                  \
    NGX_HTTP_ASYNC_UPLOAD_SAVED_FIELD(type, name, field, NUMBERS, 1, 0,       \
                                      NGX_HTTP_ASYNC_UPLOAD_SAVED_MANY)

/* the same, of a class of failures */
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS(name, class)                        \
    NGX_HTTP_ASYNC_UPLOAD_SAVED_FIELD(cell_sh_t, "failure." name,             \
        failure[NGX_HTTP_ASYNC_UPLOAD_ ## class], NUMBERS, 1, 1,              \
        NGX_HTTP_ASYNC_UPLOAD_SAVED_MANY)

/* of "n" numbers those that are not 0 */
#define NGX_HTTP_ASYNC_UPLOAD_SAVED_SPARSE(type, name, field, n, max)         \
    NGX_HTTP_ASYNC_UPLOAD_SAVED_FIELD(type, name, field, SPARSE, n, 0, max)

#define NGX_HTTP_ASYNC_UPLOAD_SAVED_DOUBLE(type, name, field)                 \
    NGX_HTTP_ASYNC_UPLOAD_SAVED_FIELD(type, name, field, DOUBLES, 1, 0, 0)

#define NGX_HTTP_ASYNC_UPLOAD_SAVED_STRING(type, name, field, size)           \
    NGX_HTTP_ASYNC_UPLOAD_SAVED_FIELD(type, name, field, STRING, size, 1, 0)

#define NGX_HTTP_ASYNC_UPLOAD_SAVED_END   { NULL, 0, 0, 0, 0, 0 }


/* what is not in the zone in this form */

typedef struct {
    uint64_t  state;
    uint64_t  beneath;
    uint64_t  stage;
    uint64_t  share;
    uint64_t  epoch;
} ngx_http_async_upload_saved_word_t;

typedef struct {
    uint64_t  kept;         /* events that follow */
} ngx_http_async_upload_saved_ring_t;

typedef struct {
    uint64_t  status[NGX_HTTP_ASYNC_UPLOAD_SAVED_HTTP];
} ngx_http_async_upload_saved_http_t;


static void ngx_http_async_upload_saved_put_word(
    ngx_http_async_upload_record_t *w, const char *prefix, uint64_t word);
static void ngx_http_async_upload_saved_put_cell(
    ngx_http_async_upload_record_t *w, const char *prefix,
    const ngx_http_async_upload_state_t *state,
    const ngx_http_async_upload_cell_sh_t *cell);
static uint64_t ngx_http_async_upload_saved_get_word(
    ngx_http_async_upload_recall_t *r, const char *prefix);
static void ngx_http_async_upload_saved_get_cell(
    ngx_http_async_upload_recall_t *r, const char *prefix,
    ngx_http_async_upload_state_t *state,
    ngx_http_async_upload_cell_sh_t *cell);
static ngx_uint_t ngx_http_async_upload_saved_class(
    ngx_http_async_upload_state_t *state, ngx_uint_t status);
static void ngx_http_async_upload_saved_get_hist(
    ngx_http_async_upload_recall_t *r, const char *prefix,
    ngx_http_async_upload_hist_t *h);
static const char *ngx_http_async_upload_saved_get_events(
    ngx_http_async_upload_recall_t *r, ngx_http_async_upload_state_t *state);
static const char *ngx_http_async_upload_saved_check(
    const ngx_http_async_upload_state_t *state);


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_word[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(saved_word_t, "state", state,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(saved_word_t, "beneath", beneath,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(saved_word_t, "stage", stage, 255),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(saved_word_t, "share", share,
                                     NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(saved_word_t, "epoch", epoch, 0xffffffff),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_head[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "saved_ms", saved_ms, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "term", term, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "master", master, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "generation", generation, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "age_ms", age_ms, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "review_ms", review_ms, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(state_t, "failures", failures),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "critical", critical, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(state_t, "complaints", complaints),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "service_memory",
                                    service_memory, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "drill.ms", drill_ms, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "drill.took", drill_took, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(state_t, "drill.workers",
                                    drill_workers, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(state_t, "events", events),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(state_t, "said", said),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_applied[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(applied_t, "done", done, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(applied_t, "enabled", enabled, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(applied_t, "share", share,
                                     NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(applied_t, "stages", stages,
                                     NGX_HTTP_ASYNC_UPLOAD_STAGES),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_SPARSE(applied_t, "stage", stage,
                                       NGX_HTTP_ASYNC_UPLOAD_STAGES,
                                       NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(applied_t, "gates", gates, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(applied_t, "async", async, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(applied_t, "identity", identity, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_baseline[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(baseline_t, "frozen", frozen, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(baseline_t, "time_ms", time_ms, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(baseline_t, "span_ms", span_ms, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(baseline_t, "success", success),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(baseline_t, "failure", failure),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(baseline_t, "rejected", rejected),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(baseline_t, "aborted", aborted),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


/* "lost" is what is missing */

static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_cell[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "uploads", uploads),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "success", success),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS("connect", CONNECT),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS("timeout", TIMEOUT),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS("reset", RESET),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS("invalid", INVALID),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS("no_live_peer", NO_LIVE_PEER),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS("hung", HUNG),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS("outcome", OUTCOME),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_CLASS("http_other", HTTP),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "rejected", rejected),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "aborted", aborted),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "cut", cut),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "masked", masked),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "felt", felt),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "repeated", repeated),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(cell_sh_t, "bytes", bytes, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "fallback.served",
                                      fallback_served),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "fallback.failed",
                                      fallback_failed),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(cell_sh_t, "fallback.left",
                                      fallback_left),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(cell_sh_t, "fallback.latency_us",
                                    fallback_latency_us, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(cell_sh_t, "sizes", size,
                                    3 * NGX_HTTP_ASYNC_UPLOAD_SIZES),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_http[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_SPARSE(saved_http_t, "failure.http", status,
                                       NGX_HTTP_ASYNC_UPLOAD_SAVED_HTTP,
                                       NGX_HTTP_ASYNC_UPLOAD_SAVED_MANY),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_evidence[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(evidence_arm_t, "success", success),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(evidence_arm_t, "failure", failure),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(evidence_arm_t, "repeated", repeated),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(evidence_arm_t, "rejected", rejected),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(evidence_arm_t, "aborted", aborted),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(evidence_arm_t, "bucket", bucket),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(evidence_arm_t, "slow", slow,
                                    NGX_HTTP_ASYNC_UPLOAD_SIZES
                                    * NGX_HTTP_ASYNC_UPLOAD_SLOW),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(evidence_arm_t, "timed", timed,
                                    NGX_HTTP_ASYNC_UPLOAD_SIZES),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_hist[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(hist_t, "sum_us", sum_us, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(hist_t, "max_us", max_us, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_SPARSE(hist_t, "counts", count,
                                       NGX_HTTP_ASYNC_UPLOAD_HIST_BUCKETS,
                                       NGX_HTTP_ASYNC_UPLOAD_SAVED_MANY),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_ring[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(saved_ring_t, "kept", kept,
                                     NGX_HTTP_ASYNC_UPLOAD_SAVED_EVENTS),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const ngx_http_async_upload_record_field_t
    ngx_http_async_upload_saved_event[] =
{
    NGX_HTTP_ASYNC_UPLOAD_SAVED_COUNT(event_sh_t, "seq", seq),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(event_sh_t, "time_ms", time_ms, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(event_sh_t, "type", type,
                                     NGX_HTTP_ASYNC_UPLOAD_EVENTS - 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(event_sh_t, "actor", actor,
                                     NGX_HTTP_ASYNC_UPLOAD_ACTORS - 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(event_sh_t, "rule", rule,
                                     NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS - 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_UPTO(event_sh_t, "dry_run", dry_run, 1),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_DOUBLE(event_sh_t, "value", value),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_DOUBLE(event_sh_t, "limit", limit),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(event_sh_t, "sync",
                                    arm[NGX_HTTP_ASYNC_UPLOAD_SYNC], 5),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_ANY(event_sh_t, "async",
                                    arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC], 5),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_STRING(event_sh_t, "who", who,
                                       NGX_HTTP_ASYNC_UPLOAD_WHO),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_STRING(event_sh_t, "why", why,
                                       NGX_HTTP_ASYNC_UPLOAD_WHY),
    NGX_HTTP_ASYNC_UPLOAD_SAVED_END
};


static const char  *ngx_http_async_upload_saved_cells[]
    [NGX_HTTP_ASYNC_UPLOAD_COHORTS] =
{
    { "sync.bucket", "sync.kept", "sync.forced" },
    { "async.bucket", "async.kept", "async.forced" }
};

static const char  *ngx_http_async_upload_saved_evidences[] = {
    "sync.evidence", "async.evidence"
};

static const char  *ngx_http_async_upload_saved_latencies[] = {
    "sync.latency", "async.latency"
};

/* of "since" */
static const char  *ngx_http_async_upload_saved_befores[] = {
    "sync.before", "async.before"
};


size_t
ngx_http_async_upload_saved_encode(const ngx_http_async_upload_state_t *state,
    const ngx_str_t *name, u_char *buf, size_t size)
{
    uint64_t                                 seq;
    ngx_uint_t                               i, k;
    ngx_http_async_upload_record_t           w;
    ngx_http_async_upload_saved_ring_t       ring;
    const ngx_http_async_upload_event_sh_t  *event;

    ngx_http_async_upload_record_start(&w, buf, size,
                                       NGX_HTTP_ASYNC_UPLOAD_SAVED_WHAT,
                                       NGX_HTTP_ASYNC_UPLOAD_SAVED_VERSION,
                                       name->data, name->len);

    ngx_http_async_upload_saved_put_word(&w, NULL, state->word);

    ngx_http_async_upload_record_put(&w, NULL,
                                     ngx_http_async_upload_saved_head, state);
    ngx_http_async_upload_record_put(&w, "applied",
                                     ngx_http_async_upload_saved_applied,
                                     &state->applied);
    ngx_http_async_upload_record_put(&w, "baseline",
                                     ngx_http_async_upload_saved_baseline,
                                     &state->baseline);
    ngx_http_async_upload_record_put(&w, "baseline.latency",
                                     ngx_http_async_upload_saved_hist,
                                     &state->baseline.latency);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_COHORTS; k++) {
            ngx_http_async_upload_saved_put_cell(&w,
                                    ngx_http_async_upload_saved_cells[i][k],
                                    state, &state->counts.cell[i][k]);
        }

        ngx_http_async_upload_record_put(&w,
                                    ngx_http_async_upload_saved_evidences[i],
                                    ngx_http_async_upload_saved_evidence,
                                    &state->counts.evidence.arm[i]);
        ngx_http_async_upload_record_put(&w,
                                    ngx_http_async_upload_saved_latencies[i],
                                    ngx_http_async_upload_saved_hist,
                                    &state->counts.latency[i]);
        ngx_http_async_upload_record_put(&w,
                                    ngx_http_async_upload_saved_befores[i],
                                    ngx_http_async_upload_saved_hist,
                                    &state->since[i]);
    }

    /* without a gap up to the last one */

    for (ring.kept = 0; ring.kept < NGX_HTTP_ASYNC_UPLOAD_RING; ring.kept++) {
        seq = state->events - ring.kept;

        if (seq == 0
            || state->event[seq % NGX_HTTP_ASYNC_UPLOAD_RING].seq != seq)
        {
            break;
        }
    }

    ngx_http_async_upload_record_put(&w, NULL,
                                     ngx_http_async_upload_saved_ring, &ring);

    for (seq = state->events - ring.kept + 1; seq <= state->events; seq++) {
        event = &state->event[seq % NGX_HTTP_ASYNC_UPLOAD_RING];

        ngx_http_async_upload_record_put(&w, "event",
                                    ngx_http_async_upload_saved_event, event);
        ngx_http_async_upload_saved_put_word(&w, "event.old", event->old);
        ngx_http_async_upload_saved_put_word(&w, "event.now", event->now);
    }

    return ngx_http_async_upload_record_done(&w);
}


static void
ngx_http_async_upload_saved_put_word(ngx_http_async_upload_record_t *w,
    const char *prefix, uint64_t word)
{
    ngx_http_async_upload_word_t        from;
    ngx_http_async_upload_saved_word_t  to;

    ngx_http_async_upload_zone_unpack(word, &from);

    to.state = from.state;
    to.beneath = from.beneath;
    to.stage = from.stage;
    to.share = from.share;
    to.epoch = from.epoch;

    ngx_http_async_upload_record_put(w, prefix,
                                     ngx_http_async_upload_saved_word, &to);
}


static void
ngx_http_async_upload_saved_put_cell(ngx_http_async_upload_record_t *w,
    const char *prefix, const ngx_http_async_upload_state_t *state,
    const ngx_http_async_upload_cell_sh_t *cell)
{
    uint64_t                            n, status;
    ngx_uint_t                          i;
    ngx_http_async_upload_cell_sh_t     copy;
    ngx_http_async_upload_saved_http_t  http;

    copy = *cell;
    ngx_memzero(&http, sizeof(ngx_http_async_upload_saved_http_t));

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_HTTP_STATUSES; i++) {
        n = cell->failure[NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST + i];
        status = state->statuses[i];

        if (status > 0 && status < NGX_HTTP_ASYNC_UPLOAD_SAVED_HTTP) {
            http.status[status] += n;

        } else {
            copy.failure[NGX_HTTP_ASYNC_UPLOAD_HTTP] += n;
        }
    }

    ngx_http_async_upload_record_put(w, prefix,
                                     ngx_http_async_upload_saved_cell, &copy);
    ngx_http_async_upload_record_put(w, prefix,
                                     ngx_http_async_upload_saved_http, &http);
}


const char *
ngx_http_async_upload_saved_decode(ngx_http_async_upload_state_t *state,
    const ngx_str_t *name, const u_char *data, size_t size)
{
    ngx_uint_t                      i, k;
    const char                     *why, *wrong;
    ngx_http_async_upload_recall_t  r;

    ngx_memzero(state, sizeof(ngx_http_async_upload_state_t));

    (void) ngx_http_async_upload_recall_open(&r, data, size,
                                       NGX_HTTP_ASYNC_UPLOAD_SAVED_WHAT,
                                       NGX_HTTP_ASYNC_UPLOAD_SAVED_VERSION,
                                       name->data, name->len);

    state->word = ngx_http_async_upload_saved_get_word(&r, NULL);

    ngx_http_async_upload_recall_get(&r, NULL,
                                     ngx_http_async_upload_saved_head, state);
    ngx_http_async_upload_recall_get(&r, "applied",
                                     ngx_http_async_upload_saved_applied,
                                     &state->applied);
    ngx_http_async_upload_recall_get(&r, "baseline",
                                     ngx_http_async_upload_saved_baseline,
                                     &state->baseline);
    ngx_http_async_upload_saved_get_hist(&r, "baseline.latency",
                                         &state->baseline.latency);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_COHORTS; k++) {
            ngx_http_async_upload_saved_get_cell(&r,
                                    ngx_http_async_upload_saved_cells[i][k],
                                    state, &state->counts.cell[i][k]);
        }

        ngx_http_async_upload_recall_get(&r,
                                    ngx_http_async_upload_saved_evidences[i],
                                    ngx_http_async_upload_saved_evidence,
                                    &state->counts.evidence.arm[i]);
        ngx_http_async_upload_saved_get_hist(&r,
                                    ngx_http_async_upload_saved_latencies[i],
                                    &state->counts.latency[i]);
        ngx_http_async_upload_saved_get_hist(&r,
                                    ngx_http_async_upload_saved_befores[i],
                                    &state->since[i]);
    }

    wrong = ngx_http_async_upload_saved_get_events(&r, state);
    why = ngx_http_async_upload_recall_close(&r);

    return why ? why
           : wrong ? wrong : ngx_http_async_upload_saved_check(state);
}


static uint64_t
ngx_http_async_upload_saved_get_word(ngx_http_async_upload_recall_t *r,
    const char *prefix)
{
    ngx_http_async_upload_word_t        to;
    ngx_http_async_upload_saved_word_t  from;

    ngx_http_async_upload_recall_get(r, prefix,
                                     ngx_http_async_upload_saved_word, &from);

    to.state = from.state;
    to.beneath = from.beneath;
    to.stage = from.stage;
    to.share = from.share;
    to.epoch = from.epoch;

    return ngx_http_async_upload_zone_pack(&to);
}


static void
ngx_http_async_upload_saved_get_cell(ngx_http_async_upload_recall_t *r,
    const char *prefix, ngx_http_async_upload_state_t *state,
    ngx_http_async_upload_cell_sh_t *cell)
{
    ngx_uint_t                          i;
    ngx_http_async_upload_saved_http_t  http;

    ngx_http_async_upload_recall_get(r, prefix,
                                     ngx_http_async_upload_saved_cell, cell);
    ngx_http_async_upload_recall_get(r, prefix,
                                     ngx_http_async_upload_saved_http, &http);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_SAVED_HTTP; i++) {
        if (http.status[i]) {
            cell->failure[ngx_http_async_upload_saved_class(state, i)]
                                                            += http.status[i];
        }
    }
}


/* a place among this module's statuses, as many as it has */

static ngx_uint_t
ngx_http_async_upload_saved_class(ngx_http_async_upload_state_t *state,
    ngx_uint_t status)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_HTTP_STATUSES; i++) {

        if (state->statuses[i] == 0) {
            state->statuses[i] = status;
        }

        if (state->statuses[i] == status) {
            return NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST + i;
        }
    }

    return NGX_HTTP_ASYNC_UPLOAD_HTTP;
}


static void
ngx_http_async_upload_saved_get_hist(ngx_http_async_upload_recall_t *r,
    const char *prefix, ngx_http_async_upload_hist_t *h)
{
    ngx_uint_t  i;

    ngx_http_async_upload_recall_get(r, prefix,
                                     ngx_http_async_upload_saved_hist, h);

    h->octaves = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_HIST_BUCKETS; i++) {
        if (h->count[i]) {
            h->octaves |= (uint64_t) 1 << (i >> 5);
        }
    }
}


static const char *
ngx_http_async_upload_saved_get_events(ngx_http_async_upload_recall_t *r,
    ngx_http_async_upload_state_t *state)
{
    uint64_t                             i;
    const char                          *wrong;
    ngx_http_async_upload_event_sh_t     event;
    ngx_http_async_upload_saved_ring_t   ring;

    ngx_http_async_upload_recall_get(r, NULL,
                                     ngx_http_async_upload_saved_ring, &ring);

    wrong = (ring.kept > state->events) ? "events are missing" : NULL;

    for (i = 0; i < ring.kept; i++) {

        ngx_http_async_upload_recall_get(r, "event",
                                    ngx_http_async_upload_saved_event, &event);
        event.old = ngx_http_async_upload_saved_get_word(r, "event.old");
        event.now = ngx_http_async_upload_saved_get_word(r, "event.now");

        if (event.seq + ring.kept != state->events + 1 + i) {
            wrong = "events are missing";
        }

        /* of more than this module keeps the last ones stay */

        state->event[event.seq % NGX_HTTP_ASYNC_UPLOAD_RING] = event;
    }

    return wrong;
}


static const char *
ngx_http_async_upload_saved_check(const ngx_http_async_upload_state_t *state)
{
    ngx_uint_t                              i, k;
    const ngx_http_async_upload_cell_sh_t  *cell;

    if ((state->word & 0xffffffff) == 0) {
        return "its epoch is 0";
    }

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_COHORTS; k++) {
            cell = &state->counts.cell[i][k];

            if (cell->uploads < ngx_http_async_upload_saved_done(cell)) {
                return "more uploads have ended than begun";
            }
        }
    }

    if (state->failures > ngx_http_async_upload_saved_failures(&state->counts))
    {
        return "more failures count than there were";
    }

    return NULL;
}


uint64_t
ngx_http_async_upload_saved_failures(
    const ngx_http_async_upload_counts_t *counts)
{
    uint64_t    n, repeated;
    ngx_uint_t  i, k;

    n = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_FORCED; i++) {
        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_CLASSES; k++) {
            n += counts->cell[NGX_HTTP_ASYNC_UPLOAD_ASYNC][i].failure[k];
        }

        repeated = counts->cell[NGX_HTTP_ASYNC_UPLOAD_ASYNC][i].repeated;
        n -= ngx_min(n, repeated);
    }

    return n;
}


uint64_t
ngx_http_async_upload_saved_done(const ngx_http_async_upload_cell_sh_t *cell)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = cell->success + cell->rejected + cell->aborted + cell->cut;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_CLASSES; i++) {
        n += cell->failure[i];
    }

    return n;
}
