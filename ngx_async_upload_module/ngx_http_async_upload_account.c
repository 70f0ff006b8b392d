
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_account.h"
#include "ngx_http_async_upload_act.h"
#include "ngx_http_async_upload_slot.h"
#include "ngx_http_async_upload_zone.h"


#define NGX_HTTP_ASYNC_UPLOAD_ACCOUNT_HUNG  5000    /* ms */


static uint64_t *ngx_http_async_upload_account_result(
    ngx_http_async_upload_ctx_t *ctx, ngx_http_async_upload_cell_sh_t *cell);
static void ngx_http_async_upload_account_size_class(
    ngx_http_async_upload_ctx_t *ctx, ngx_http_async_upload_cell_sh_t *cell,
    ngx_uint_t size);
static void ngx_http_async_upload_account_fallback(
    ngx_http_async_upload_ctx_t *ctx, ngx_http_async_upload_cell_sh_t *cell);
static void ngx_http_async_upload_account_evidence(
    ngx_http_async_upload_ctx_t *ctx, ngx_uint_t size);
static void ngx_http_async_upload_account_slow(
    ngx_http_async_upload_ctx_t *ctx,
    ngx_http_async_upload_evidence_arm_t *arm, const uint64_t *limit,
    ngx_uint_t size);
static void ngx_http_async_upload_account_repeated(
    ngx_http_async_upload_ctx_t *ctx,
    ngx_http_async_upload_evidence_arm_t *arm);
static void ngx_http_async_upload_account_served(
    ngx_http_async_upload_ctx_t *ctx, time_t second);
static void ngx_http_async_upload_account_rule(
    ngx_http_async_upload_ctx_t *ctx);
static ngx_uint_t ngx_http_async_upload_account_class(uint64_t bytes);


void
ngx_http_async_upload_account_start(ngx_http_async_upload_ctx_t *ctx)
{
    ngx_http_async_upload_cell_sh_t  *cell;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = ctx->rollout;

    if (rollout->slot == NULL) {
        ngx_http_async_upload_slot_claim(rollout,
                                         ctx->request->connection->log);
    }

    /* kept: a single process may change its configuration meanwhile */
    ctx->slot = rollout->slot;
    ctx->counted = 1;
    ctx->done = ngx_http_async_upload_account_commit;

    cell = &ctx->slot->counts.cell[ctx->arm][ctx->cohort];

    ngx_http_async_upload_zone_add(ctx->slot, &cell->uploads, 1);
}


void
ngx_http_async_upload_account_commit(ngx_http_async_upload_ctx_t *ctx)
{
    uint64_t                         *result, bytes;
    ngx_uint_t                        size;
    ngx_http_request_t               *r;
    ngx_http_async_upload_cell_sh_t  *cell;

    if (!ctx->counted || ctx->committed) {
        return;
    }

    ctx->committed = 1;
    ctx->done = NULL;

    r = ctx->request;
    cell = &ctx->slot->counts.cell[ctx->arm][ctx->cohort];

    bytes = ngx_http_async_upload_account_size(r);
    size = ngx_http_async_upload_account_class(bytes);

    /*
     * The result is the commit: a worker killed before its store has lost
     * the upload, and at most these sums are ahead of it by one.
     */

    if (bytes) {
        ngx_http_async_upload_zone_add(ctx->slot, &cell->bytes,
                            ngx_min(bytes, (uint64_t) r->request_length));
    }

    ngx_http_async_upload_account_size_class(ctx, cell, size);

    if (ctx->fallback) {
        ngx_http_async_upload_account_fallback(ctx, cell);

    } else if (ctx->result == NGX_HTTP_ASYNC_UPLOAD_FAILURE) {
        ngx_http_async_upload_zone_add(ctx->slot, &cell->felt, 1);
    }

    if (ctx->cohort != NGX_HTTP_ASYNC_UPLOAD_FORCED) {
        ngx_http_async_upload_account_evidence(ctx, size);
    }

    result = ngx_http_async_upload_account_result(ctx, cell);

    if (result == &cell->success
        && ctx->cohort != NGX_HTTP_ASYNC_UPLOAD_FORCED)
    {
        if (ctx->slot->shared) {
            ngx_http_async_upload_hist_add_shared(
                       &ctx->slot->counts.latency[ctx->arm], ctx->latency);

        } else {
            ngx_http_async_upload_hist_add(
                       &ctx->slot->counts.latency[ctx->arm], ctx->latency);
        }
    }

    ngx_http_async_upload_zone_add(ctx->slot, result, 1);

    if (ctx->arm == NGX_HTTP_ASYNC_UPLOAD_ASYNC
        && ctx->cohort != NGX_HTTP_ASYNC_UPLOAD_FORCED)
    {
        ngx_http_async_upload_account_rule(ctx);
    }
}


/* a success that took longer than limits of latency allow */

static void
ngx_http_async_upload_account_slow(ngx_http_async_upload_ctx_t *ctx,
    ngx_http_async_upload_evidence_arm_t *arm, const uint64_t *limit,
    ngx_uint_t size)
{
    uint64_t    us;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_SLOW; i++) {
        us = __atomic_load_n(&limit[i], __ATOMIC_RELAXED);

        if (us != 0 && ctx->latency > us) {
            ngx_http_async_upload_zone_add(ctx->slot, &arm->slow[size][i], 1);
        }
    }
}


/* a failure that is no evidence is counted as such, before it is counted */

static void
ngx_http_async_upload_account_repeated(ngx_http_async_upload_ctx_t *ctx,
    ngx_http_async_upload_evidence_arm_t *arm)
{
    ngx_http_async_upload_cell_sh_t  *cell;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = ctx->rollout;

    if (!rollout->statistics.sequential
        || ngx_http_async_upload_repeat_failed(&rollout->sh->repeat,
                               ctx->identity,
                               ngx_http_async_upload_zone_now() / 1000000))
    {
        return;
    }

    ctx->repeated = 1;

    cell = &ctx->slot->counts.cell[ctx->arm][ctx->cohort];

    ngx_http_async_upload_zone_add(ctx->slot, &arm->repeated, 1);
    ngx_http_async_upload_zone_add(ctx->slot, &cell->repeated, 1);
}


/* "another one was served" is what makes a failure one of its client */

static void __attribute__((noinline))
ngx_http_async_upload_account_served(ngx_http_async_upload_ctx_t *ctx,
    time_t second)
{
    uint64_t                          now;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = ctx->rollout;

    rollout->served_both = (rollout->served_at == second);
    rollout->served_at = second;
    rollout->served_who = ctx->identity;

    /* when it ended, without another look at the clock */

    now = ctx->started + ctx->latency;

#if (NGX_HTTP_ASYNC_UPLOAD_TEST_CLOCK)
    now += ngx_http_async_upload_zone_offset();
#endif

    ngx_http_async_upload_repeat_succeeded(&rollout->sh->repeat,
                                           ctx->identity, now / 1000000);
}


/* once all is counted: what the rules that need no tick make of it */

static void
ngx_http_async_upload_account_rule(ngx_http_async_upload_ctx_t *ctx)
{
    time_t                            now;
    ngx_uint_t                        class;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = ctx->rollout;

    if (!ctx->fallback && ctx->result != NGX_HTTP_ASYNC_UPLOAD_FAILURE) {

        if (ctx->result == NGX_HTTP_ASYNC_UPLOAD_SUCCESS) {
            ngx_http_async_upload_act_succeeded(rollout, ctx->epoch);

            if (rollout->statistics.sequential) {

                now = ngx_time();

#if (NGX_HTTP_ASYNC_UPLOAD_TEST_CLOCK)
                now += ngx_http_async_upload_zone_offset() / 1000000;
#endif

                /* two of them in a second are enough to know */

                if (rollout->served_at != now
                    || (rollout->served_who != ctx->identity
                        && !rollout->served_both))
                {
                    ngx_http_async_upload_account_served(ctx, now);
                }
            }

        } else if (ctx->result == NGX_HTTP_ASYNC_UPLOAD_REJECTED) {
            ngx_http_async_upload_act_answered(rollout, ctx->epoch);
        }

        return;
    }

    if (ctx->repeated) {
        return;
    }

    class = ctx->fallback ? ctx->masked_failure : ctx->failure;

    /* what follows is not about this request alone */

    ngx_http_async_upload_act_failed(rollout, ctx->epoch,
                           class == NGX_HTTP_ASYNC_UPLOAD_NO_LIVE_PEER,
                           ngx_cycle->log);
}


/* the one counter of the upload's result, at the arm of its decision */

static uint64_t *
ngx_http_async_upload_account_result(ngx_http_async_upload_ctx_t *ctx,
    ngx_http_async_upload_cell_sh_t *cell)
{
    ngx_uint_t  class, status;

    if (ctx->fallback) {
        class = ctx->masked_failure;
        status = ctx->masked_status;

    } else {
        switch (ctx->result) {

        case NGX_HTTP_ASYNC_UPLOAD_SUCCESS:
            return &cell->success;

        case NGX_HTTP_ASYNC_UPLOAD_REJECTED:
            return &cell->rejected;

        case NGX_HTTP_ASYNC_UPLOAD_ABORTED:
            return &cell->aborted;

        case NGX_HTTP_ASYNC_UPLOAD_FAILURE:
            class = ctx->failure;
            status = ctx->status;
            break;

        default: /* CUT; OPEN: the request ended before its upstream began */
            return &cell->cut;
        }
    }

    if (class == NGX_HTTP_ASYNC_UPLOAD_HTTP) {
        class = ngx_http_async_upload_zone_status_class(ctx->rollout->sh,
                                                        status);
    }

    return &cell->failure[class];
}


static void
ngx_http_async_upload_account_size_class(ngx_http_async_upload_ctx_t *ctx,
    ngx_http_async_upload_cell_sh_t *cell, ngx_uint_t size)
{
    ngx_http_async_upload_size_sh_t  *s;

    s = &cell->size[size];

    if (ctx->fallback || ctx->result == NGX_HTTP_ASYNC_UPLOAD_FAILURE) {
        ngx_http_async_upload_zone_add(ctx->slot, &s->failure, 1);
        ngx_http_async_upload_zone_add(ctx->slot, &s->uploads, 1);

    } else if (ctx->result == NGX_HTTP_ASYNC_UPLOAD_SUCCESS) {
        ngx_http_async_upload_zone_add(ctx->slot, &s->latency_us,
                                       ctx->latency);
        ngx_http_async_upload_zone_add(ctx->slot, &s->uploads, 1);
    }
}


/* what became of an upload after sync took it over */

static void
ngx_http_async_upload_account_fallback(ngx_http_async_upload_ctx_t *ctx,
    ngx_http_async_upload_cell_sh_t *cell)
{
    if (ctx->result == NGX_HTTP_ASYNC_UPLOAD_FAILURE) {
        ngx_http_async_upload_zone_add(ctx->slot, &cell->felt, 1);
        ngx_http_async_upload_zone_add(ctx->slot, &cell->fallback_failed, 1);
        return;
    }

    /* a status: sync has answered, be it with a 4xx, to a client that stayed */

    if (ctx->status
        && (ctx->result == NGX_HTTP_ASYNC_UPLOAD_SUCCESS
            || ctx->result == NGX_HTTP_ASYNC_UPLOAD_REJECTED))
    {
        ngx_http_async_upload_zone_add(ctx->slot, &cell->masked, 1);
        ngx_http_async_upload_zone_add(ctx->slot, &cell->fallback_served, 1);
        ngx_http_async_upload_zone_add(ctx->slot, &cell->fallback_latency_us,
                                       ctx->latency);
        return;
    }

    ngx_http_async_upload_zone_add(ctx->slot, &cell->fallback_left, 1);
}


/* only what began and ended in the epoch of now says anything about it */

static void
ngx_http_async_upload_account_evidence(ngx_http_async_upload_ctx_t *ctx,
    ngx_uint_t size)
{
    uint64_t                              *result;
    const uint64_t                        *limit;
    ngx_http_async_upload_word_t           word;
    ngx_http_async_upload_evidence_arm_t  *arm;

    ngx_http_async_upload_zone_word(ctx->rollout->sh, &word);

    if (word.epoch != ctx->epoch) {
        return;
    }

    /* it is of this epoch already, but for the first upload of one */

    if (ngx_http_async_upload_zone_load(&ctx->slot->counts.evidence.epoch)
        != word.epoch
        && ngx_http_async_upload_zone_evidence(ctx->slot, word.epoch)
           != NGX_OK)
    {
        return;
    }

    arm = &ctx->slot->counts.evidence.arm[ctx->arm];

    if (ctx->fallback) {
        result = &arm->failure;

    } else {
        switch (ctx->result) {

        case NGX_HTTP_ASYNC_UPLOAD_SUCCESS:
            result = &arm->success;
            break;

        case NGX_HTTP_ASYNC_UPLOAD_FAILURE:
            result = &arm->failure;
            break;

        case NGX_HTTP_ASYNC_UPLOAD_REJECTED:
            result = &arm->rejected;
            break;

        case NGX_HTTP_ASYNC_UPLOAD_ABORTED:

            /* while it was being sent the arm could not do anything for it */

            if (!ctx->whole) {
                return;
            }

            result = &arm->aborted;
            break;

        default:
            return;
        }
    }

    if (ctx->cohort == NGX_HTTP_ASYNC_UPLOAD_BUCKET) {
        ngx_http_async_upload_zone_add(ctx->slot, &arm->bucket, 1);
    }

    /* with an unbuffered body it is the client's uplink that was timed */

    if (result == &arm->success && !ctx->request->request_body_no_buffering) {

        limit = ctx->rollout->sh->guard.detect.limits.us[ctx->arm][size];

        /* the first one is the lowest, but for those that are off */

        if (ctx->latency > limit[0] && (limit[0] | limit[2])) {
            ngx_http_async_upload_account_slow(ctx, arm, limit, size);
        }

        ngx_http_async_upload_zone_add(ctx->slot, &arm->timed[size], 1);
    }

    if (result == &arm->failure && ctx->arm == NGX_HTTP_ASYNC_UPLOAD_ASYNC) {
        ngx_http_async_upload_account_repeated(ctx, arm);
    }

    ngx_http_async_upload_zone_add(ctx->slot, result, 1);
}


uint64_t
ngx_http_async_upload_account_size(ngx_http_request_t *r)
{
    /* the core keeps it up for chunked bodies, too */

    return r->headers_in.content_length_n > 0
           ? (uint64_t) r->headers_in.content_length_n : 0;
}


/* below 64k, 1m, 16m, 256m, or larger */

static ngx_uint_t
ngx_http_async_upload_account_class(uint64_t bytes)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_SIZES - 1; i++) {
        if (bytes < ((uint64_t) 1 << (16 + 4 * i))) {
            break;
        }
    }

    return i;
}


ngx_uint_t
ngx_http_async_upload_account_hung(ngx_http_async_upload_ctx_t *ctx,
    ngx_msec_t waited)
{
    double                           p99;
    ngx_http_async_upload_hist_t    *sync;
    ngx_http_async_upload_slots_t    slots;
    ngx_http_async_upload_counts_t  *counts;

    if (waited <= NGX_HTTP_ASYNC_UPLOAD_ACCOUNT_HUNG) {
        return 0;
    }

    counts = ngx_palloc(ctx->request->pool,
                        sizeof(ngx_http_async_upload_counts_t));
    if (counts == NULL) {
        return 0;
    }

    ngx_http_async_upload_zone_read(ctx->rollout->sh, 0, counts, &slots);

    sync = &counts->latency[NGX_HTTP_ASYNC_UPLOAD_SYNC];

    p99 = ngx_http_async_upload_hist_quantile(sync,
                            ngx_http_async_upload_hist_total(sync), 0.99);

    return (double) waited * 1000 > 3 * p99;
}
