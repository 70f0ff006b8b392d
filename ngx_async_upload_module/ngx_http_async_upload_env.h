
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_ENV_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_ENV_H_INCLUDED_


/*
 * Settings by environment, the ASYNC_UPLOAD_* variables.  They are read while
 * a configuration is loaded; what nginx.conf says wins.  An empty variable
 * counts as one that is not set.
 */


#include "ngx_http_async_upload.h"


/*
 * Makes nginx keep the variables: it drops those that it was not told of when
 * it starts workers or another binary.
 *
 * Context: master, while a configuration is loaded.
 * Returns: NGX_ERROR if out of memory.
 */
ngx_int_t ngx_http_async_upload_env_keep(ngx_conf_t *cf);

/*
 * Gives a rollout the settings that nginx.conf left open.
 *
 * Returns: NGX_ERROR, with one [emerg] line, if a variable has a value that
 *          it cannot have.
 */
ngx_int_t ngx_http_async_upload_env_settle(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ENV_H_INCLUDED_ */
