
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_decide.h"
#include "ngx_http_async_upload_bucket.h"
#include "ngx_http_async_upload_zone.h"


static void ngx_http_async_upload_decide_free(void *data);
static ngx_http_async_upload_ctx_t *ngx_http_async_upload_decide_create(
    ngx_http_request_t *r, ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_decide_cleanup(void *data);
static ngx_int_t ngx_http_async_upload_decide_arm(
    ngx_http_async_upload_ctx_t *ctx);
static ngx_int_t ngx_http_async_upload_decide_hash(
    ngx_http_async_upload_ctx_t *ctx);
static ngx_int_t ngx_http_async_upload_decide_key(
    ngx_http_async_upload_ctx_t *ctx, ngx_str_t *key);


ngx_int_t
ngx_http_async_upload_decide_init(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log)
{
    ngx_str_t                     *arg;
    ngx_uint_t                     i, n;
    ngx_pool_cleanup_t            *cln;
    ngx_http_async_upload_arg_t   *args;
    ngx_http_async_upload_hash_t  *hash;

    arg = rollout->hash_args->elts;
    n = rollout->hash_args->nelts;

    /* said once */
    rollout->hash_failed = 1;

    cln = ngx_pool_cleanup_add(rollout->cycle->pool,
                               sizeof(ngx_http_async_upload_hash_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    hash = cln->data;
    ngx_memzero(hash, sizeof(ngx_http_async_upload_hash_t));

    args = ngx_pcalloc(rollout->cycle->pool,
                       (n + 1) * sizeof(ngx_http_async_upload_arg_t));
    if (args == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        args[i].data = arg[i].data;
        args[i].len = arg[i].len;
    }

    if (ngx_http_async_upload_bucket_init(hash, rollout->hash_mode, args, n)
        != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "async_upload \"%V\": OpenSSL does not provide the hash, "
                      "all uploads go to the sync arm", &rollout->name);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_async_upload_decide_free;

    rollout->hash = hash;
    rollout->hash_failed = 0;

    return NGX_OK;
}


/* with the configuration, also where a single process takes another one */

static void
ngx_http_async_upload_decide_free(void *data)
{
    ngx_http_async_upload_bucket_cleanup(data);
}


ngx_http_async_upload_ctx_t *
ngx_http_async_upload_decide(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_ctx_t  *ctx;

    for (ctx = ngx_http_async_upload_decide_known(r); ctx; ctx = ctx->next) {
        if (ctx->rollout == rollout) {
            break;
        }
    }

    if (ctx) {
        if (ctx->upload && !ctx->counted && !(r->method & rollout->methods)) {

            /* an error page has made a GET of what was to be an upload */

            ctx->upload = 0;
            ctx->arm = NGX_HTTP_ASYNC_UPLOAD_SYNC;
            ctx->serving = NGX_HTTP_ASYNC_UPLOAD_SYNC;
            ctx->reason = NGX_HTTP_ASYNC_UPLOAD_BY_METHOD;
        }

        return ctx;
    }

    ctx = ngx_http_async_upload_decide_create(r, rollout);
    if (ctx == NULL) {
        return NULL;
    }

    if (ngx_http_async_upload_decide_arm(ctx) != NGX_OK) {
        return NULL;
    }

    ctx->serving = ctx->arm;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "async_upload \"%V\": arm %ui, bucket %i of %ui",
                   &rollout->name, ctx->arm, ctx->bucket, ctx->share);

    return ctx;
}


ngx_http_async_upload_ctx_t *
ngx_http_async_upload_decide_known(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_async_upload_ctx_t  *ctx, *last;

    ctx = ngx_http_get_module_ctx(r, ngx_http_async_upload_module);

    if (ctx || !(r->internal || r->filter_finalize)) {
        return ctx;
    }

    /*
     * An internal redirect has cleared the contexts.  The pool is that of the
     * main request, so that a subrequest must not take its parent's.
     */

    last = NULL;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_async_upload_decide_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx->request != r) {
            continue;
        }

        /* latest first, as the cleanups are */

        ctx->next = NULL;

        if (last == NULL) {
            ngx_http_set_ctx(r, ctx, ngx_http_async_upload_module);

        } else {
            last->next = ctx;
        }

        last = ctx;
    }

    return ngx_http_get_module_ctx(r, ngx_http_async_upload_module);
}


static ngx_http_async_upload_ctx_t *
ngx_http_async_upload_decide_create(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_async_upload_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_async_upload_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;

    /* one by one, which costs half of what a call to zero them does */

    ctx->request = r;
    ctx->rollout = rollout;
    ctx->next = ngx_http_get_module_ctx(r, ngx_http_async_upload_module);

    ctx->arm = NGX_HTTP_ASYNC_UPLOAD_SYNC;
    ctx->serving = NGX_HTTP_ASYNC_UPLOAD_SYNC;
    ctx->cohort = NGX_HTTP_ASYNC_UPLOAD_BUCKET;
    ctx->reason = NGX_HTTP_ASYNC_UPLOAD_BY_BUCKET;
    ctx->share = 0;
    ctx->bucket = -1;
    ctx->identity = 0;
    ctx->epoch = 0;

    ctx->upstream = NULL;
    ctx->finalize = NULL;
    ctx->slot = NULL;
    ctx->done = NULL;
    ctx->states = 0;
    ctx->started = 0;
    ctx->latency = 0;
    ctx->result = NGX_HTTP_ASYNC_UPLOAD_OPEN;
    ctx->failure = 0;
    ctx->status = 0;
    ctx->masked_failure = 0;
    ctx->masked_status = 0;

    ctx->upload = 0;
    ctx->counted = 0;
    ctx->committed = 0;
    ctx->fallback = 0;
    ctx->whole = 0;
    ctx->repeated = 0;

    cln->handler = ngx_http_async_upload_decide_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_async_upload_module);

    return ctx;
}


/* it also marks a context in the pool, to be found after a redirect */

static void
ngx_http_async_upload_decide_cleanup(void *data)
{
    ngx_http_async_upload_ctx_t *ctx = data;

    if (ctx->done) {
        ctx->done(ctx);
    }
}


static ngx_int_t
ngx_http_async_upload_decide_arm(ngx_http_async_upload_ctx_t *ctx)
{
    ngx_http_request_t               *r;
    ngx_http_async_upload_word_t      word;
    ngx_http_async_upload_rollout_t  *rollout;

    r = ctx->request;
    rollout = ctx->rollout;

    ngx_http_async_upload_zone_word(rollout->sh, &word);

    if (rollout->slot && rollout->slot->seen != word.epoch) {
        ngx_http_async_upload_zone_see(rollout->slot, word.epoch);
    }

    ctx->arm = NGX_HTTP_ASYNC_UPLOAD_SYNC;
    ctx->cohort = NGX_HTTP_ASYNC_UPLOAD_BUCKET;
    ctx->epoch = word.epoch;
    ctx->upload = (r == r->main && (r->method & rollout->methods));

    if (word.state == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF) {
        ctx->reason = NGX_HTTP_ASYNC_UPLOAD_BY_OFF;
        return NGX_OK;
    }

    if (word.state == NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK) {
        ctx->reason = NGX_HTTP_ASYNC_UPLOAD_BY_ROLLED_BACK;
        return NGX_OK;
    }

    ctx->share = word.share;

    if (!ctx->upload) {
        ctx->reason = NGX_HTTP_ASYNC_UPLOAD_BY_METHOD;
        return NGX_OK;
    }

    if (ngx_http_async_upload_decide_hash(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_async_upload_bucket_taken(rollout->hash_mode, ctx->bucket,
                                           ctx->share))
    {
        ctx->arm = NGX_HTTP_ASYNC_UPLOAD_ASYNC;
    }

    return NGX_OK;
}


/* sets bucket and reason; the bucket stays -1 where sync is the answer */

static ngx_int_t
ngx_http_async_upload_decide_hash(ngx_http_async_upload_ctx_t *ctx)
{
    ngx_str_t                         key;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = ctx->rollout;

    if (ngx_http_async_upload_decide_key(ctx, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        ctx->reason = NGX_HTTP_ASYNC_UPLOAD_BY_MISSING_KEY;

        if (rollout->missing == NGX_HTTP_ASYNC_UPLOAD_MISSING_RANDOM) {
            ctx->bucket = ngx_random() % NGX_HTTP_ASYNC_UPLOAD_BUCKETS;
        }

        return NGX_OK;
    }

    ctx->reason = NGX_HTTP_ASYNC_UPLOAD_BY_BUCKET;

    if (rollout->hash == NULL) {

        if (rollout->hash_failed
            || ngx_http_async_upload_decide_init(rollout,
                                               ctx->request->connection->log)
               != NGX_OK)
        {
            return NGX_OK;
        }
    }

    ctx->bucket = ngx_http_async_upload_bucket_find(rollout->hash, key.data,
                                                    key.len);
    ctx->identity = rollout->hash->identity;

    if (ctx->bucket < 0) {
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "async_upload \"%V\": the hash failed, the upload goes "
                      "to the sync arm", &rollout->name);
    }

    return NGX_OK;
}


/* the first string that is not empty */

static ngx_int_t
ngx_http_async_upload_decide_key(ngx_http_async_upload_ctx_t *ctx,
    ngx_str_t *key)
{
    ngx_uint_t                    i;
    ngx_array_t                  *keys;
    ngx_http_variable_value_t    *v;
    ngx_http_async_upload_key_t  *k;

    keys = ctx->rollout->keys;
    k = keys->elts;
    ngx_str_null(key);

    for (i = 0; i < keys->nelts && key->len == 0; i++) {

        if (k[i].index != NGX_ERROR) {
            v = ngx_http_get_flushed_variable(ctx->request, k[i].index);

            if (v && !v->not_found) {
                key->data = v->data;
                key->len = v->len;
            }

            continue;
        }

        if (ngx_http_complex_value(ctx->request, &k[i].value, key) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_async_upload_decide_bucket(ngx_http_async_upload_ctx_t *ctx)
{
    ngx_uint_t  reason;

    if (ctx->bucket == -1) {

        reason = ctx->reason;

        if (ngx_http_async_upload_decide_hash(ctx) != NGX_OK) {
            ctx->bucket = -1;
        }

        ctx->reason = reason;
    }

    return ctx->bucket;
}


ngx_http_async_upload_rollout_t *
ngx_http_async_upload_decide_rollout(ngx_http_request_t *r)
{
    ngx_str_t                          *host;
    ngx_uint_t                          i;
    ngx_http_upstream_t                *u;
    ngx_http_upstream_srv_conf_t       *us;
    ngx_http_async_upload_rollout_t   **rollouts;
    ngx_http_async_upload_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_async_upload_module);
    rollouts = mcf->rollouts.elts;
    u = r->upstream;

    if (u == NULL) {
        return mcf->rollouts.nelts == 1 ? rollouts[0] : NULL;
    }

    /* as the core finds the upstream block of a request */

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        us = rollouts[i]->sync;

        if (u->resolved == NULL) {
            if (u->conf && u->conf->upstream == us) {
                return rollouts[i];
            }

            continue;
        }

        host = &u->resolved->host;

        if (us->host.len == host->len
            && ((us->port == 0 && u->resolved->no_port)
                || us->port == u->resolved->port)
            && ngx_strncasecmp(us->host.data, host->data, host->len) == 0)
        {
            return rollouts[i];
        }
    }

    return NULL;
}
