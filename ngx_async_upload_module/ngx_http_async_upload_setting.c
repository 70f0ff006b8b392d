
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_setting.h"
#include "ngx_http_async_upload_attempt.h"
#include "ngx_http_async_upload_name.h"


/* settings of more text are rendered each time */
#define NGX_HTTP_ASYNC_UPLOAD_SETTING_MAX  65536


static void ngx_http_async_upload_setting_keep(
    ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_all(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_routing(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_fallback(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_stages(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_rollback(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_review(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_rest(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_statuses(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_setting_source(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_source_e source);
static void ngx_http_async_upload_setting_number(
    ngx_http_async_upload_json_t *w, const char *key, uint64_t value);
static void ngx_http_async_upload_setting_rate(ngx_http_async_upload_json_t *w,
    const char *key, ngx_uint_t ppm);
static void ngx_http_async_upload_setting_name(ngx_http_async_upload_json_t *w,
    const char *key, ngx_str_t *name);
static void ngx_http_async_upload_setting_names(
    ngx_http_async_upload_json_t *w, const char *key, ngx_array_t *names);


void
ngx_http_async_upload_setting_render(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_json_key(w, "settings", sizeof("settings") - 1);

    if (rollout->settings.len == 0) {
        ngx_http_async_upload_setting_keep(rollout);
    }

    if (rollout->settings.len) {
        ngx_http_async_upload_json_put(w, rollout->settings.data,
                                       rollout->settings.len);
        return;
    }

    ngx_http_async_upload_json_open(w, 0);
    ngx_http_async_upload_setting_all(w, rollout);
    ngx_http_async_upload_json_end(w);
}


/* they stay the same as long as the configuration, and so does their text */

static void
ngx_http_async_upload_setting_keep(ngx_http_async_upload_rollout_t *rollout)
{
    u_char                        *buf, *data;
    size_t                         len;
    ngx_http_async_upload_json_t   w;

    buf = ngx_alloc(NGX_HTTP_ASYNC_UPLOAD_SETTING_MAX, ngx_cycle->log);
    if (buf == NULL) {
        return;
    }

    ngx_http_async_upload_json_init(&w, buf, NGX_HTTP_ASYNC_UPLOAD_SETTING_MAX,
                                    NULL, NULL);
    ngx_http_async_upload_json_object(&w, NULL);
    ngx_http_async_upload_setting_all(&w, rollout);
    ngx_http_async_upload_json_end(&w);

    len = ngx_http_async_upload_json_done(&w);

    if (!w.failed) {
        data = ngx_pnalloc(rollout->cycle->pool, len);

        if (data) {
            ngx_memcpy(data, buf, len);
            rollout->settings.data = data;
            rollout->settings.len = len;
        }
    }

    ngx_free(buf);
}


static void
ngx_http_async_upload_setting_all(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_setting_routing(w, rollout);
    ngx_http_async_upload_setting_fallback(w, rollout);
    ngx_http_async_upload_setting_stages(w, rollout);
    ngx_http_async_upload_setting_rollback(w, rollout);
    ngx_http_async_upload_setting_review(w, rollout);
    ngx_http_async_upload_setting_rest(w, rollout);
}


static void
ngx_http_async_upload_setting_routing(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_uint_t                     i;
    ngx_http_async_upload_key_t   *key;
    ngx_http_async_upload_name_t  *m;

    ngx_http_async_upload_json_object(w, "async_upload");
    ngx_http_async_upload_setting_name(w, "value", &rollout->async_name);
    ngx_http_async_upload_setting_source(w, NGX_HTTP_ASYNC_UPLOAD_FROM_CONF);

    ngx_http_async_upload_json_object(w, "async_upload_enabled");
    ngx_http_async_upload_json_bool(w, "value", rollout->enabled);
    ngx_http_async_upload_setting_source(w, rollout->enabled_source);

    ngx_http_async_upload_json_object(w, "async_upload_rollout");
    ngx_http_async_upload_json_uint(w, "value_bp", rollout->share);
    ngx_http_async_upload_setting_source(w, rollout->share_source);

    ngx_http_async_upload_json_object(w, "async_upload_key");
    ngx_http_async_upload_json_array(w, "value");

    key = rollout->keys->elts;

    for (i = 0; i < rollout->keys->nelts; i++) {
        ngx_http_async_upload_setting_name(w, NULL, &key[i].text);
    }

    ngx_http_async_upload_json_end(w);
    ngx_http_async_upload_setting_source(w, rollout->key_source);

    ngx_http_async_upload_json_object(w, "async_upload_missing");
    ngx_http_async_upload_setting_name(w, "value",
                  &ngx_http_async_upload_name_missings[rollout->missing]);
    ngx_http_async_upload_setting_source(w, rollout->missing_source);

    ngx_http_async_upload_json_object(w, "async_upload_hash");
    ngx_http_async_upload_setting_name(w, "value", &rollout->hash_name);
    ngx_http_async_upload_setting_names(w, "arguments", rollout->hash_args);
    ngx_http_async_upload_setting_source(w, rollout->hash_source);

    ngx_http_async_upload_json_object(w, "async_upload_methods");
    ngx_http_async_upload_json_array(w, "value");

    for (m = ngx_http_async_upload_name_methods; m->name.len; m++) {
        if (rollout->methods & m->value) {
            ngx_http_async_upload_setting_name(w, NULL, &m->name);
        }
    }

    ngx_http_async_upload_json_end(w);
    ngx_http_async_upload_setting_source(w, rollout->methods_source);
}


static void
ngx_http_async_upload_setting_fallback(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_json_object(w, "async_upload_fallback");
    ngx_http_async_upload_setting_name(w, "value",
                  &ngx_http_async_upload_name_fallbacks[rollout->fallback]);
    ngx_http_async_upload_setting_name(w, "replay",
                  &ngx_http_async_upload_name_replays[rollout->replay]);
    ngx_http_async_upload_setting_source(w, rollout->fallback_source);

    ngx_http_async_upload_json_object(w, "async_upload_tries");
    ngx_http_async_upload_json_uint(w, "value", rollout->tries);
    ngx_http_async_upload_setting_source(w, rollout->tries_source);

    ngx_http_async_upload_json_object(w, "async_upload_timeout");
    ngx_http_async_upload_setting_number(w, "value_ms", rollout->timeout);
    ngx_http_async_upload_setting_number(w, "connect_ms",
                                         rollout->connect_timeout);
    ngx_http_async_upload_setting_source(w, rollout->timeout_source);

    ngx_http_async_upload_json_object(w, "async_upload_failure");
    ngx_http_async_upload_setting_statuses(w, rollout);
    ngx_http_async_upload_setting_source(w, rollout->failure_source);
}


static void
ngx_http_async_upload_setting_stages(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_uint_t                      i;
    ngx_http_async_upload_stage_t  *stage;

    ngx_http_async_upload_json_object(w, "async_upload_stage");
    ngx_http_async_upload_json_array(w, "value");

    if (rollout->stages) {
        stage = rollout->stages->elts;

        for (i = 0; i < rollout->stages->nelts; i++) {
            ngx_http_async_upload_json_object(w, NULL);
            ngx_http_async_upload_json_uint(w, "share_bp", stage[i].share);
            ngx_http_async_upload_json_uint(w, "min_uploads",
                                            stage[i].min_uploads);
            ngx_http_async_upload_setting_rate(w, "success_rate",
                                               stage[i].success);
            ngx_http_async_upload_setting_rate(w, "error_rate", stage[i].error);
            ngx_http_async_upload_setting_number(w, "latency_percent",
                                                 stage[i].latency);
            ngx_http_async_upload_json_uint(w, "soak_ms", stage[i].soak);
            ngx_http_async_upload_json_end(w);
        }
    }

    ngx_http_async_upload_json_end(w);
    ngx_http_async_upload_setting_source(w, rollout->stages_source);

    ngx_http_async_upload_json_object(w, "async_upload_advance");
    ngx_http_async_upload_setting_name(w, "value",
                     &ngx_http_async_upload_name_advances[rollout->advance]);
    ngx_http_async_upload_setting_source(w, rollout->advance_source);
}


static void
ngx_http_async_upload_setting_rollback(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_rollback_t  *rollback;

    rollback = &rollout->rollback;

    ngx_http_async_upload_json_object(w, "async_upload_rollback");
    ngx_http_async_upload_json_bool(w, "value", rollback->on);

    if (rollback->on) {
        ngx_http_async_upload_setting_rate(w, "success_rate",
                                           rollback->success);
        ngx_http_async_upload_setting_rate(w, "error_rate", rollback->error);
        ngx_http_async_upload_setting_number(w, "run", rollback->run);
        ngx_http_async_upload_setting_number(w, "memory_percent",
                                             rollback->memory);
        ngx_http_async_upload_json_uint(w, "min_uploads",
                                        rollback->min_uploads);
        ngx_http_async_upload_json_uint(w, "window_ms", rollback->window);
    }

    ngx_http_async_upload_setting_source(w, rollout->rollback_source);
}


static void
ngx_http_async_upload_setting_review(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_review_t  *review;

    review = &rollout->review;

    ngx_http_async_upload_json_object(w, "async_upload_review");
    ngx_http_async_upload_json_bool(w, "value", review->on);

    if (review->on) {
        ngx_http_async_upload_setting_rate(w, "success_rate", review->success);
        ngx_http_async_upload_json_uint(w, "for_ms", review->success_for);
        ngx_http_async_upload_setting_number(w, "latency_percent",
                                             review->latency);
        ngx_http_async_upload_json_uint(w, "latency_for_ms",
                                        review->latency_for);
        ngx_http_async_upload_setting_number(w, "complaints",
                                             review->complaints);
        ngx_http_async_upload_setting_number(w, "unattended_ms",
                                             review->unattended);
    }

    ngx_http_async_upload_setting_source(w, rollout->review_source);
}


static void
ngx_http_async_upload_setting_rest(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_json_object(w, "async_upload_statistics");
    ngx_http_async_upload_json_literal(w, "value",
                    rollout->statistics.sequential ? "sequential" : "plain");
    ngx_http_async_upload_json_uint(w, "confirm_ms",
                                    rollout->statistics.confirm);

    if (rollout->statistics.sequential) {
        ngx_http_async_upload_json_uint(w, "evidence",
                                        rollout->statistics.evidence);
        ngx_http_async_upload_json_uint(w, "min_failures",
                                        rollout->statistics.min_failures);

        if (rollout->statistics.proof) {
            ngx_http_async_upload_setting_rate(w, "proof_error_rate",
                                               rollout->statistics.proof);
        } else {
            ngx_http_async_upload_json_null(w, "proof_error_rate");
        }

        ngx_http_async_upload_json_uint(w, "horizon_s",
                                        rollout->statistics.horizon / 1000);
    }

    ngx_http_async_upload_setting_source(w, rollout->statistics_source);

    ngx_http_async_upload_json_object(w, "async_upload_budget");
    ngx_http_async_upload_setting_number(w, "value", rollout->budget);
    ngx_http_async_upload_setting_source(w, rollout->budget_source);

    ngx_http_async_upload_json_object(w, "async_upload_dry_run");
    ngx_http_async_upload_json_bool(w, "value", rollout->dry_run);
    ngx_http_async_upload_setting_source(w, rollout->dry_run_source);

    ngx_http_async_upload_json_object(w, "async_upload_log");

    if (rollout->journal) {
        ngx_http_async_upload_setting_name(w, "value", &rollout->journal->name);

    } else {
        ngx_http_async_upload_json_null(w, "value");
    }

    ngx_http_async_upload_setting_source(w, rollout->journal_source);

    ngx_http_async_upload_json_object(w, "state");

    if (rollout->state_off) {
        ngx_http_async_upload_json_null(w, "value");

    } else {
        ngx_http_async_upload_setting_name(w, "value", &rollout->state);
    }

    ngx_http_async_upload_setting_source(w, rollout->state_source);
}


/* as ranges, "500-599" */

static void
ngx_http_async_upload_setting_statuses(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout)
{
    u_char      *last, buf[sizeof("400-599")];
    ngx_uint_t   from, to;

    ngx_http_async_upload_json_array(w, "value");

    for (from = 400; from < 600; from = to + 1) {

        to = from;

        if (!ngx_http_async_upload_attempt_fails(rollout, from)) {
            continue;
        }

        while (to < 599
               && ngx_http_async_upload_attempt_fails(rollout, to + 1))
        {
            to++;
        }

        last = (from == to) ? ngx_sprintf(buf, "%ui", from)
                            : ngx_sprintf(buf, "%ui-%ui", from, to);

        ngx_http_async_upload_json_string(w, NULL, buf, last - buf);
    }

    ngx_http_async_upload_json_end(w);
}


/* closes the setting, too */

static void
ngx_http_async_upload_setting_source(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_source_e source)
{
    ngx_http_async_upload_setting_name(w, "source",
                                &ngx_http_async_upload_name_sources[source]);
    ngx_http_async_upload_json_end(w);
}


/* 0 is none: a rule that is off, or a time that the location has */

static void
ngx_http_async_upload_setting_number(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t value)
{
    if (value) {
        ngx_http_async_upload_json_uint(w, key, value);

    } else {
        ngx_http_async_upload_json_null(w, key);
    }
}


static void
ngx_http_async_upload_setting_rate(ngx_http_async_upload_json_t *w,
    const char *key, ngx_uint_t ppm)
{
    ngx_http_async_upload_json_ratio(w, key, ppm, 1000000, 6);
}


static void
ngx_http_async_upload_setting_name(ngx_http_async_upload_json_t *w,
    const char *key, ngx_str_t *name)
{
    ngx_http_async_upload_json_string(w, key, name->data, name->len);
}


static void
ngx_http_async_upload_setting_names(ngx_http_async_upload_json_t *w,
    const char *key, ngx_array_t *names)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    name = names->elts;

    ngx_http_async_upload_json_array(w, key);

    for (i = 0; i < names->nelts; i++) {
        ngx_http_async_upload_setting_name(w, NULL, &name[i]);
    }

    ngx_http_async_upload_json_end(w);
}
