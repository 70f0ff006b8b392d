
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_ATTEMPT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_ATTEMPT_H_INCLUDED_


/*
 * How one attempt at an upstream ended, read from what nginx' upstream layer
 * leaves behind.  The only unit that knows what those traces mean; it changes
 * nothing and counts nothing.
 */


#include "ngx_http_async_upload.h"


typedef struct {
    ngx_uint_t                       result;    /* ..._result_e */
    ngx_uint_t                       failure;   /* ..._class_e, of a FAILURE */
    ngx_uint_t                       status;    /* upstream's, 0: none came */
} ngx_http_async_upload_end_t;


/*
 * Reads the failure of an attempt that is given up for another one.
 *
 * Context: worker, peer.free with NGX_PEER_FAILED, before the balancer's own.
 */
void ngx_http_async_upload_attempt_failed(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t *rollout, ngx_http_async_upload_end_t *end);

/*
 * Reads the end of the last attempt when the core ends the upstream request
 * with "rc".
 *
 * "us" is the block of the arm that served.
 *
 * Context: worker, u->finalize_request.
 * Source:  src/http/ngx_http_upstream.c, ngx_http_upstream_finalize_request()
 *          and its callers.
 */
void ngx_http_async_upload_attempt_ended(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t *rollout, ngx_http_upstream_srv_conf_t *us,
    ngx_int_t rc, ngx_http_async_upload_end_t *end);

/*
 * Whether anything of the request was sent in the attempt of now.
 */
ngx_uint_t ngx_http_async_upload_attempt_sent(ngx_http_upstream_t *u);

/*
 * How long the upstream has had the whole request without a word, in
 * milliseconds; 0 if it has not got all of it, or has begun to answer.
 */
ngx_msec_t ngx_http_async_upload_attempt_waited(ngx_http_upstream_t *u);

/* Whether an answer with this status, 400 to 599, counts as a failure. */
ngx_uint_t ngx_http_async_upload_attempt_fails(
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t status);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ATTEMPT_H_INCLUDED_ */
