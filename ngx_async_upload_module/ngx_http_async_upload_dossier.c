
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_dossier.h"


/* where something is in the rules, and in what was seen */

#define NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(name)                              \
    offsetof(ngx_http_async_upload_guard_conf_t, name)
#define NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(name)                               \
    offsetof(ngx_http_async_upload_guard_input_t, name)


static void ngx_http_async_upload_dossier_fields(
    ngx_http_async_upload_json_t *w, const char *key,
    const ngx_http_async_upload_dossier_field_t *field, const void *from);
static void ngx_http_async_upload_dossier_real(ngx_http_async_upload_json_t *w,
    const char *key, double value);


const ngx_http_async_upload_dossier_field_t
    ngx_http_async_upload_dossier_rules[] =
{
    { "sequential", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(sequential) },
    { "gates", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(gates) },
    { "min_uploads", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(min_uploads) },
    { "gate_success", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(gate_success) },
    { "gate_error", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(gate_error) },
    { "gate_latency", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(gate_latency) },
    { "soak_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(soak_ms) },
    { "rollback", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(rollback) },
    { "rb_success", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(rb_success) },
    { "rb_error", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(rb_error) },
    { "rb_min_uploads", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(rb_min_uploads) },
    { "run", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(run) },
    { "memory", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(memory) },
    { "budget", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(budget) },
    { "review", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(review) },
    { "rv_success", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(rv_success) },
    { "rv_success_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(rv_success_ms) },
    { "rv_latency", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(rv_latency) },
    { "rv_latency_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(rv_latency_ms) },
    { "complaints", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(complaints) },
    { "unattended_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(unattended_ms) },
    { "min_latency", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(min_latency) },
    { "min_turned", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(min_turned) },
    { "confirm_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(confirm_ms) },
    { "evidence", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(evidence) },
    { "horizon", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(horizon) },
    { "min_failures", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(min_failures) },
    { "proof", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(proof) },
    { "proof_error", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_RULE(proof_error) },
    { NULL, 0, 0 }
};


const ngx_http_async_upload_dossier_field_t
    ngx_http_async_upload_dossier_seen[] =
{
    { "stage_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(stage_ms) },
    { "stage_uploads", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(stage.uploads) },
    { "stage_success", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(stage.success) },
    { "stage_failure", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(stage.failure) },
    { "window_uploads", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(window.uploads) },
    { "window_success", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(window.success) },
    { "window_failure", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(window.failure) },
    { "review_uploads", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(review.uploads) },
    { "review_success", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(review.success) },
    { "review_failure", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(review.failure) },
    { "critical", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(critical) },
    { "run", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(run) },
    { "run_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(run_ms) },
    { "turned", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(turned) },
    { "turned_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(turned_ms) },
    { "failures", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(failures) },
    { "complaints", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(complaints) },
    { "review_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(review_ms) },
    { "memory", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(memory) },
    { "latency", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(latency) },
    { "latency_n", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(latency_n) },
    { "slow_ms", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(slow_ms) },
    { "reference", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(reference) },
    { "async_finished", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(async.finished) },
    { "async_rejected", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(async.rejected) },
    { "async_aborted", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(async.aborted) },
    { "sync_finished", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(sync.finished) },
    { "sync_rejected", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(sync.rejected) },
    { "sync_aborted", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(sync.aborted) },
    { "repeated", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(repeated) },
    { "success_verdict", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERDICT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(success_verdict) },
    { "error_verdict", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERDICT,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(error_verdict) },
    { "success_evidence", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(success_evidence) },
    { "success_rate", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(success_rate) },
    { "error_evidence", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(error_evidence) },
    { "error_rate", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(error_rate) },
    { "worse", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(worse) },
    { "slower", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(slower) },
    { "missing", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(missing) },
    { "rejected", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(rejected) },
    { "aborted", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(aborted) },
    { "gate_slower", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(gate_slower) },
    { "proof", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(proof) },
    { "two_arm", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(two_arm) },
    { "both", NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,
      NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SAW(both) },
    { NULL, 0, 0 }
};


void
ngx_http_async_upload_dossier_write(ngx_http_async_upload_json_t *w,
    const char *key, const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    const ngx_http_async_upload_guard_decision_t *decision)
{
    ngx_http_async_upload_json_object(w, key);

    ngx_http_async_upload_json_uint(w, "version",
                                    NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERSION);

    ngx_http_async_upload_json_literal(w, "verdict",
                  ngx_http_async_upload_guard_verdicts[decision->verdict]);
    ngx_http_async_upload_json_literal(w, "reason",
                  ngx_http_async_upload_guard_names[decision->reason]);

    ngx_http_async_upload_dossier_real(w, "value", decision->value);
    ngx_http_async_upload_dossier_real(w, "limit", decision->limit);

    ngx_http_async_upload_dossier_fields(w, "rules",
                                         ngx_http_async_upload_dossier_rules,
                                         conf);
    ngx_http_async_upload_dossier_fields(w, "seen",
                                         ngx_http_async_upload_dossier_seen,
                                         in);

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_dossier_fields(ngx_http_async_upload_json_t *w,
    const char *key, const ngx_http_async_upload_dossier_field_t *field,
    const void *from)
{
    double       real;
    uint64_t     count;
    const void  *place;

    ngx_http_async_upload_json_object(w, key);

    for ( /* void */ ; field->name; field++) {
        place = (const char *) from + field->offset;
        count = 0;
        real = 0;

        switch (field->type) {

        case NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT:
            count = *(const uint64_t *) place;
            break;

        case NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD:
            count = *(const uint32_t *) place;
            break;

        case NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERDICT:
            count = *(const ngx_http_async_upload_stats_verdict_e *) place;
            break;

        default:
            real = *(const double *) place;
        }

        if (count != 0) {
            ngx_http_async_upload_json_uint(w, field->name, count);
        }

        ngx_http_async_upload_dossier_real(w, field->name, real);
    }

    ngx_http_async_upload_json_end(w);
}


/* no number is not 0 either */

static void
ngx_http_async_upload_dossier_real(ngx_http_async_upload_json_t *w,
    const char *key, double value)
{
    if (value != 0) {
        ngx_http_async_upload_json_double(w, key, value,
                                         NGX_HTTP_ASYNC_UPLOAD_DOSSIER_DIGITS);
    }
}
