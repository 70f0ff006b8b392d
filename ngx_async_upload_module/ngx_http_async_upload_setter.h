
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_SETTER_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_SETTER_H_INCLUDED_


/*
 * One function a directive: checks its words, then keeps them.  What depends
 * on other directives or on the environment is settled later, in _conf.
 *
 * All of them, context: master, while a configuration is loaded.  They
 * return NGX_CONF_OK; or NGX_CONF_ERROR, with one [emerg] line that names the
 * word; or the text of it, which the core completes.
 */


#include "ngx_http_async_upload.h"


/*
 * Keeps the place of a block's first directive of this module, for messages
 * about the whole block.
 */
void ngx_http_async_upload_setter_mark(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);

/* async_upload upstream zone=name:size [state=path|off] */
char *ngx_http_async_upload_setter_rollout(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_enabled on | off */
char *ngx_http_async_upload_setter_enabled(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_rollout share% */
char *ngx_http_async_upload_setter_share(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_key string ... */
char *ngx_http_async_upload_setter_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_missing sync | random */
char *ngx_http_async_upload_setter_missing(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_hash mode [argument ...] */
char *ngx_http_async_upload_setter_hash(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_methods method ... */
char *ngx_http_async_upload_setter_methods(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* async_upload_status [rollout], of a location */
char *ngx_http_async_upload_setter_status(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_SETTER_H_INCLUDED_ */
