
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_ACT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_ACT_H_INCLUDED_


/*
 * What the rollout does by itself: it carries out what the guard has decided,
 * and counts the failures in a row that need no tick.
 */


#include "ngx_http_async_upload_rollout.h"


/*
 * Carries out what the guard has decided in "look": rolls back, asks for a
 * person, goes on to the next stage; in a dry run only says so, once.  A
 * rollback to a sync arm without a live peer becomes a review.
 *
 * Context: worker of the newest generation.
 * Locks:   the zone mutex, shortly.
 */
void ngx_http_async_upload_act(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log);

/*
 * Says that the gate has opened or closed since the last look.
 */
void ngx_http_async_upload_act_gate(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log);

/*
 * Ends a drill, whose word is "word": back to the state beneath.  "order" is
 * who began it, or NULL; with 0 "workers" it has failed.
 */
void ngx_http_async_upload_act_undrill(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_word_t *word, ngx_http_async_upload_order_t *order,
    ngx_uint_t workers, ngx_msec_t took, ngx_log_t *log);

/*
 * An upload of async has failed, in the epoch "epoch"; called once the failure
 * is counted.  With "turned" there was no live peer for it.
 *
 * Acts at once, where the rules are plain, if it is one too many in a row.
 *
 * Context: worker, log phase or pool cleanup.
 */
void ngx_http_async_upload_act_failed(
    ngx_http_async_upload_rollout_t *rollout, uint64_t epoch,
    ngx_uint_t turned, ngx_log_t *log);

/*
 * An upload of async of epoch "epoch" was answered: there are live peers.
 */
static ngx_inline void
ngx_http_async_upload_act_answered(
    ngx_http_async_upload_rollout_t *rollout, uint64_t epoch)
{
    uint64_t  *turned;

    turned = &rollout->sh->turned;

    if (*turned && *turned >> 32 == epoch) {
        __atomic_store_n(turned, 0, __ATOMIC_RELAXED);
    }
}


/*
 * An upload of async of epoch "epoch" has succeeded: no run of failures.
 */
static ngx_inline void
ngx_http_async_upload_act_succeeded(
    ngx_http_async_upload_rollout_t *rollout, uint64_t epoch)
{
    uint64_t  *run;

    run = &rollout->sh->run;

    if (*run && *run >> 32 == epoch) {
        __atomic_store_n(run, 0, __ATOMIC_RELAXED);
    }

    ngx_http_async_upload_act_answered(rollout, epoch);
}


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ACT_H_INCLUDED_ */
