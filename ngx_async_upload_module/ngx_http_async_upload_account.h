
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_ACCOUNT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_ACCOUNT_H_INCLUDED_


/*
 * Counts an upload: once when it reaches the balancer, once when it is over.
 * What is counted is what the balancer wrote into the context; this unit
 * does not look at upstreams.
 */


#include "ngx_http_async_upload.h"


/*
 * Counts an upload as begun.  The request's pool ends it if the log phase
 * never comes.
 *
 * Context: worker, peer.init.
 * Locks:   none, but for the claim of a slot by a process that has none yet.
 */
void ngx_http_async_upload_account_start(ngx_http_async_upload_ctx_t *ctx);

/*
 * Counts an upload as over; a second call does nothing.
 *
 * Context: worker, log phase or pool cleanup.
 * Locks:   none; single writer per slot.
 */
void ngx_http_async_upload_account_commit(ngx_http_async_upload_ctx_t *ctx);

/*
 * The size of the request's body in bytes, as far as it is known: promised
 * by Content-Length or read so far.
 */
uint64_t ngx_http_async_upload_account_size(ngx_http_request_t *r);

/*
 * Whether a client that has left an upload at async has waited too long for
 * it to be the client's doing: longer than 5 s and than three times the p99
 * of sync's successes.
 *
 * "waited" is the milliseconds since async has had the whole body.
 *
 * Memory:  17 KB of the request's pool, only past the 5 s.
 */
ngx_uint_t ngx_http_async_upload_account_hung(ngx_http_async_upload_ctx_t *ctx,
    ngx_msec_t waited);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ACCOUNT_H_INCLUDED_ */
