
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_DECIDE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_DECIDE_H_INCLUDED_


/*
 * One decision per request and rollout: which arm, and why.  Made when it is
 * first needed, by a variable or by the balancer, and kept over internal
 * redirects.  Deciding counts nothing: a variable may be asked for by an
 * error page of a request that never reaches an upstream.
 */


#include "ngx_http_async_upload.h"


/*
 * Prepares the rollout's hash in this process.
 *
 * Context: worker or single process, at start or at the first decision.
 * Memory:  the pool of the rollout's cycle, which also frees the hash.
 * Returns: NGX_ERROR, with one [emerg] line, if OpenSSL cannot do it; it is
 *          not tried again.
 */
ngx_int_t ngx_http_async_upload_decide_init(
    ngx_http_async_upload_rollout_t *rollout, ngx_log_t *log);

/*
 * The decision of a request at a rollout, made now if it was not made yet.
 *
 * Memory:  the request's pool.
 * Returns: NULL if out of memory.
 */
ngx_http_async_upload_ctx_t *ngx_http_async_upload_decide(
    ngx_http_request_t *r, ngx_http_async_upload_rollout_t *rollout);

/*
 * The rollout that a request is at or is bound for: that of its upstream;
 * before it has one (rewrite phase) the only one configured.
 *
 * Returns: NULL if there is none or it cannot be known yet.
 */
ngx_http_async_upload_rollout_t *ngx_http_async_upload_decide_rollout(
    ngx_http_request_t *r);

/* What is known of a request so far, by rollouts, latest first, or NULL. */
ngx_http_async_upload_ctx_t *ngx_http_async_upload_decide_known(
    ngx_http_request_t *r);

/*
 * The bucket of a request, whether or not the decision needed it.
 *
 * Returns: 0..9999, or -1 if the request has no identity.
 */
ngx_int_t ngx_http_async_upload_decide_bucket(ngx_http_async_upload_ctx_t *ctx);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_DECIDE_H_INCLUDED_ */
