
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_RESPOND_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_RESPOND_H_INCLUDED_


/*
 * An answer that the module itself gives: it grows in chunks of the request's
 * pool and is sent once it is complete.  The unit knows how an answer is sent
 * and what an error looks like; it knows nothing of what is said.
 *
 * Nothing of the module is to be stored anywhere: every answer has
 * "Cache-Control: no-store".
 */


#include "ngx_http_async_upload.h"
#include "ngx_http_async_upload_json.h"


/*
 * An answer as it grows.  It must stay where it is until it is sent, as the
 * writer points to it.  The writer is open, "type" may be changed; the rest is
 * private to the unit.
 */

typedef struct {
    ngx_http_async_upload_json_t     w;
    ngx_str_t                        type;      /* application/json */

    ngx_http_request_t              *request;
    ngx_chain_t                     *first;
    ngx_chain_t                     *last;
    off_t                            size;      /* of the full chunks */
} ngx_http_async_upload_respond_t;


/*
 * Starts an answer.
 *
 * Context: worker, content phase or later.
 * Memory:  the request's pool.
 * Returns: NGX_ERROR if out of memory.
 */
ngx_int_t ngx_http_async_upload_respond_start(
    ngx_http_async_upload_respond_t *out, ngx_http_request_t *r);

/*
 * Adds a header to the answer; "name" and "value" are constants.
 *
 * Returns: NGX_ERROR if out of memory.
 */
ngx_int_t ngx_http_async_upload_respond_header(ngx_http_request_t *r,
    const char *name, const char *value);

/*
 * Sends the answer with this HTTP status.
 *
 * Returns: as ngx_http_output_filter; 500 if not all of it could be written,
 *          nothing was sent then.
 */
ngx_int_t ngx_http_async_upload_respond_send(
    ngx_http_async_upload_respond_t *out, ngx_uint_t status);

/*
 * Answers with an error: JSON {error, description}.  "error" is one word for
 * programs, "description" one sentence for people, of any bytes.
 *
 * Returns: as respond_send.
 */
ngx_int_t ngx_http_async_upload_respond_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *error, ngx_str_t *description);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_RESPOND_H_INCLUDED_ */
