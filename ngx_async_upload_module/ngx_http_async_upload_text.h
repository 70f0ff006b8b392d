
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_TEXT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_TEXT_H_INCLUDED_


/*
 * The status for a terminal: twelve lines of at most 80 columns of printable
 * ASCII a rollout.  It knows what somebody who was just woken up wants to know
 * first; the figures are those of the JSON.
 */


#include "ngx_http_async_upload_look.h"
#include "ngx_http_async_upload_json.h"


/*
 * Writes one rollout as "look" has seen it.
 *
 * Context: worker.
 */
void ngx_http_async_upload_text_rollout(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_TEXT_H_INCLUDED_ */
