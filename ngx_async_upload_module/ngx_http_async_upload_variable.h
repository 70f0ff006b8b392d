
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_VARIABLE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_VARIABLE_H_INCLUDED_


/*
 * The $async_upload_* variables.  None is cached: after a fallback the arm is
 * another one, and the request is created again.
 */


#include "ngx_http_async_upload.h"


/*
 * Declares the variables.
 *
 * Context: master, preconfiguration.
 * Returns: NGX_ERROR if out of memory.
 */
ngx_int_t ngx_http_async_upload_variable_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_VARIABLE_H_INCLUDED_ */
