
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_history.h"
#include "ngx_http_async_upload_event.h"
#include "ngx_http_async_upload_journal.h"
#include "ngx_http_async_upload_name.h"


#define NGX_HTTP_ASYNC_UPLOAD_HISTORY_FINE    10    /* s from point to point */
#define NGX_HTTP_ASYNC_UPLOAD_HISTORY_COARSE  300


static void ngx_http_async_upload_history_ring(ngx_http_async_upload_json_t *w,
    const char *key, const ngx_http_async_upload_point_t *points,
    uint64_t written, ngx_uint_t n);
static void ngx_http_async_upload_history_known(
    ngx_http_async_upload_json_t *w, uint64_t n);


/* of a point; each arm has the last four */

static const char  *ngx_http_async_upload_history_fields[] = {
    "time_s", "share_bp", "state",
    "sync_success", "sync_failure", "sync_p50_us", "sync_p95_us",
    "async_success", "async_failure", "async_p50_us", "async_p95_us",
    NULL
};


void
ngx_http_async_upload_history_events(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t figures)
{
    uint64_t                          seq;
    ngx_http_async_upload_event_sh_t  event;

    ngx_http_async_upload_json_array(w, "events");

    seq = UINT64_MAX;

    while (ngx_http_async_upload_history_before(rollout, seq, &event)
           == NGX_OK)
    {
        ngx_http_async_upload_journal_render(w, rollout, &event, figures,
                                             NULL);
        seq = event.seq;
    }

    ngx_http_async_upload_json_end(w);
}


ngx_int_t
ngx_http_async_upload_history_before(ngx_http_async_upload_rollout_t *rollout,
    uint64_t seq, ngx_http_async_upload_event_sh_t *event)
{
    uint64_t  events, least;

    events = ngx_http_async_upload_zone_load(&rollout->sh->events);

    least = (events > NGX_HTTP_ASYNC_UPLOAD_RING)
            ? events - NGX_HTTP_ASYNC_UPLOAD_RING : 0;

    seq = ngx_min(seq, events + 1);

    /* one that is just being overwritten is no more */

    while (seq > least + 1) {

        if (ngx_http_async_upload_event_read(rollout->sh, --seq, event)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_async_upload_history_points(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_plots_t *plots)
{
    const char  **field;

    ngx_http_async_upload_json_object(w, "history");

    ngx_http_async_upload_json_array(w, "fields");

    for (field = ngx_http_async_upload_history_fields; *field; field++) {
        ngx_http_async_upload_json_literal(w, NULL, *field);
    }

    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_json_uint(w, "fine_step_s",
                                    NGX_HTTP_ASYNC_UPLOAD_HISTORY_FINE);
    ngx_http_async_upload_json_uint(w, "coarse_step_s",
                                    NGX_HTTP_ASYNC_UPLOAD_HISTORY_COARSE);

    ngx_http_async_upload_history_ring(w, "fine", plots->fine_point,
                                       plots->fine,
                                       NGX_HTTP_ASYNC_UPLOAD_FINE);
    ngx_http_async_upload_history_ring(w, "coarse", plots->coarse_point,
                                       plots->coarse,
                                       NGX_HTTP_ASYNC_UPLOAD_COARSE);

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_history_ring(ngx_http_async_upload_json_t *w,
    const char *key, const ngx_http_async_upload_point_t *points,
    uint64_t written, ngx_uint_t n)
{
    uint64_t                              i;
    ngx_str_t                            *state;
    ngx_uint_t                            arm;
    const ngx_http_async_upload_point_t  *point;

    ngx_http_async_upload_json_array(w, key);

    for (i = (written > n) ? written - n : 0; i < written; i++) {

        point = &points[i % n];
        state = &ngx_http_async_upload_name_states[
                ngx_min(point->state, NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE)];

        ngx_http_async_upload_json_array(w, NULL);
        ngx_http_async_upload_json_uint(w, NULL, point->time);
        ngx_http_async_upload_json_uint(w, NULL, point->share);
        ngx_http_async_upload_json_string(w, NULL, state->data, state->len);

        for (arm = 0; arm < NGX_HTTP_ASYNC_UPLOAD_ARMS; arm++) {
            ngx_http_async_upload_json_uint(w, NULL, point->arm[arm].success);
            ngx_http_async_upload_json_uint(w, NULL, point->arm[arm].failure);
            ngx_http_async_upload_history_known(w, point->arm[arm].p50_us);
            ngx_http_async_upload_history_known(w, point->arm[arm].p95_us);
        }

        ngx_http_async_upload_json_end(w);
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_history_known(ngx_http_async_upload_json_t *w,
    uint64_t n)
{
    if (n) {
        ngx_http_async_upload_json_uint(w, NULL, n);

    } else {
        ngx_http_async_upload_json_null(w, NULL);
    }
}
