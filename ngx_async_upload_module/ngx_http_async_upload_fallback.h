
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_FALLBACK_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_FALLBACK_H_INCLUDED_


/*
 * The directives of fallback: when sync takes over, after how many attempts
 * and how long, and which answers are failures.  As for the setters of the
 * others, context: master, while a configuration is loaded.
 */


#include "ngx_http_async_upload.h"


/* async_upload_fallback off | connect | failure [replay=keyed|always] */
char *ngx_http_async_upload_fallback_mode(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_tries number */
char *ngx_http_async_upload_fallback_tries(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_timeout [time] [connect=time] */
char *ngx_http_async_upload_fallback_timeout(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_failure status | status-status ... */
char *ngx_http_async_upload_fallback_failure(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_FALLBACK_H_INCLUDED_ */
