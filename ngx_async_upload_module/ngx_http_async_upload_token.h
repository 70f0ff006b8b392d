
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_TOKEN_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_TOKEN_H_INCLUDED_


/*
 * The directive async_upload_control and the file of tokens that it names.
 *
 * A line of the file is "name:token"; empty lines and those that begin with
 * "#" mean nothing.  No message ever has a token in it, and what was read is
 * wiped: digests are all that is kept.
 */


#include "ngx_http_async_upload.h"


/*
 * async_upload_control [token=path], of a prefix location
 *
 * Context: master, while a configuration is loaded; so root's files can be
 *          read.
 * Returns: as all setters.
 */
char *ngx_http_async_upload_token_control(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_TOKEN_H_INCLUDED_ */
