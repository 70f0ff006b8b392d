
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_PROGRESS_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_PROGRESS_H_INCLUDED_


/*
 * How far a rollout has come and what the guard makes of it, as a part of the
 * status: stage and gate, windows, what async is compared with, limits that are
 * close, the last decision.  It knows nothing of the counters since the
 * rollout's start, nor of who reads.
 */


#include "ngx_http_async_upload_look.h"
#include "ngx_http_async_upload_json.h"


/* uploads that make a baseline trustworthy */
#define NGX_HTTP_ASYNC_UPLOAD_PROGRESS_BASELINE  1000


/* what a monitor may ask for, bits */

#define NGX_HTTP_ASYNC_UPLOAD_PROGRESS_ROLLED_BACK  0x01
#define NGX_HTTP_ASYNC_UPLOAD_PROGRESS_REVIEW       0x02
#define NGX_HTTP_ASYNC_UPLOAD_PROGRESS_BLIND        0x04
#define NGX_HTTP_ASYNC_UPLOAD_PROGRESS_OFF          0x08


/*
 * Writes the members state, enabled, dry_run, guard, shares, epoch, generation,
 * stage and next.
 *
 * Context: worker.
 */
void ngx_http_async_upload_progress_state(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);

/*
 * Writes the members last_decision, observation, window, latency, baseline,
 * memory, budget, consecutive_failures, signals, last_drill, state_file and
 * last_tick_age_s.
 *
 * Context: worker.
 */
void ngx_http_async_upload_progress_figures(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);

/*
 * Why nothing would happen by itself if async were bad.
 *
 * Returns: a word, or NULL: the guard is active.
 */
const char *ngx_http_async_upload_progress_idle(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);

/*
 * What of the things that a monitor may ask for is so.
 *
 * Blind is a rollout whose share is routed while dry run, or rollback being
 * off, leaves it to itself, and one without a tick for 10 seconds.
 *
 * Returns: bits, NGX_HTTP_ASYNC_UPLOAD_PROGRESS_...
 */
ngx_uint_t ngx_http_async_upload_progress_alarm(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);

/*
 * Where the rollout goes from its stage.
 *
 * Returns: the next stage; NULL if there is none, or if it goes nowhere.
 */
ngx_http_async_upload_stage_t *ngx_http_async_upload_progress_next(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);

/*
 * The memory rule: "on", "off", or "unknown"; "why" of the latter two, else
 * NULL.
 */
const char *ngx_http_async_upload_progress_memory(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, const char **why);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_PROGRESS_H_INCLUDED_ */
