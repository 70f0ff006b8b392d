
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_STATUS_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_STATUS_H_INCLUDED_


/*
 * The status location: GET and HEAD.  It reads, it never changes anything,
 * and it holds no lock while it renders.
 */


#include "ngx_http_async_upload.h"


/*
 * Answers a request to a location with async_upload_status.
 *
 * Context: worker, content phase.
 * Memory:  the request's pool.
 * Returns: as every content handler.
 */
ngx_int_t ngx_http_async_upload_status_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_STATUS_H_INCLUDED_ */
