
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_CONTROL_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_CONTROL_H_INCLUDED_


/*
 * The control location: POST of LOCATION/ROLLOUT/COMMAND.  It knows HTTP and
 * who may command; what a command does is the rollout's business.
 */


#include "ngx_http_async_upload.h"


/*
 * Answers a request to a location with async_upload_control.
 *
 * What is refused, is refused in an order that tells nothing to whoever may
 * not command: method, access, rollout and command, body, parameters.
 *
 * Context: worker, content phase.
 * Memory:  the request's pool.
 * Returns: as every content handler.
 */
ngx_int_t ngx_http_async_upload_control_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_CONTROL_H_INCLUDED_ */
