
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_RULES_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_RULES_H_INCLUDED_


/*
 * The directives of the rules: stages, what rolls back or calls for a person,
 * and what is written down.  What a parameter does not say, and whether the
 * rules go together, is settled later, in _settle.  As for the setters of the
 * others, context: master, while a configuration is loaded.
 */


#include "ngx_http_async_upload.h"


/*
 * async_upload_stage share% [min_uploads=N] [success=P%] [error=P%]
 *                           [latency=P%|off] [soak=time]
 */
char *ngx_http_async_upload_rules_stage(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* async_upload_advance manual | auto */
char *ngx_http_async_upload_rules_advance(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * async_upload_rollback off | [success=P%] [error=P%] [run=N] [memory=P%|off]
 *                             [min_uploads=N] [window=time]
 */
char *ngx_http_async_upload_rules_rollback(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * async_upload_review off | [success=P%] [for=time] [latency=P%|off]
 *                           [latency_for=time] [complaints=N]
 *                           [unattended=off|time]
 */
char *ngx_http_async_upload_rules_review(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* async_upload_statistics plain [confirm=time] */
char *ngx_http_async_upload_rules_statistics(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_budget N | off */
char *ngx_http_async_upload_rules_budget(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* async_upload_dry_run on | off */
char *ngx_http_async_upload_rules_dry_run(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* async_upload_log path | off */
char *ngx_http_async_upload_rules_log(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_RULES_H_INCLUDED_ */
