
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_FORM_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_FORM_H_INCLUDED_


/*
 * The body of a command, a short application/x-www-form-urlencoded one.  It
 * knows how a body is read; it knows nothing of what is in it.
 *
 * The body is read as it comes, so that one that is too long is refused before
 * all of it was sent.
 */


#include "ngx_http_async_upload_rollout.h"


#define NGX_HTTP_ASYNC_UPLOAD_FORM_MAX  4096        /* bytes */


typedef struct {
    ngx_http_request_t              *request;
    ngx_http_async_upload_answer_t  *answer;        /* if it is refused */
    ngx_str_t                        text;
} ngx_http_async_upload_form_t;


/*
 * Looks at what the request's header says of its body.
 *
 * Returns: NGX_ERROR if it is too large or of another type; see the answer.
 */
ngx_int_t ngx_http_async_upload_form_announced(
    ngx_http_async_upload_form_t *form);

/*
 * Starts to read; "handler" is called as soon as there is something, or once
 * if there is no body, and is to call form_read.
 *
 * Returns: as form_read, but never NGX_AGAIN.
 */
ngx_int_t ngx_http_async_upload_form_start(ngx_http_async_upload_form_t *form,
    ngx_http_client_body_handler_pt handler);

/*
 * Reads on.
 *
 * Memory:  "text", in the request's pool.
 * Returns: NGX_OK once all is there; NGX_AGAIN if "handler" is called again
 *          when more has come; NGX_ERROR if it is refused, the answer says why;
 *          otherwise a status to finalize the request with, without an answer.
 */
ngx_int_t ngx_http_async_upload_form_read(ngx_http_async_upload_form_t *form,
    ngx_http_client_body_handler_pt handler);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_FORM_H_INCLUDED_ */
