
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_CONF_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_CONF_H_INCLUDED_


/*
 * The configuration objects: made, settled and checked against one another.
 * The configuration of an upstream block is never merged, so defaults and
 * environment are settled once all blocks are known.
 */


#include "ngx_http_async_upload.h"


/* Context of all: master, while a configuration is loaded. */

/* Makes the list of rollouts; NULL if out of memory. */
void *ngx_http_async_upload_conf_create_main(ngx_conf_t *cf);

/* Makes the rollout of a block, if it is to be one; NULL if out of memory. */
void *ngx_http_async_upload_conf_create_srv(ngx_conf_t *cf);

/* Makes the configuration of a location; NULL if out of memory. */
void *ngx_http_async_upload_conf_create_loc(ngx_conf_t *cf);

/* Gives an "if" or "limit_except" what its location has; cannot fail. */
char *ngx_http_async_upload_conf_merge_loc(ngx_conf_t *cf, void *parent,
    void *child);

/*
 * Settles every rollout, checks it against the other blocks, and puts the
 * module's balancer over whatever the block's balancers and keepalive have
 * installed.  Runs after those of all modules of nginx.
 *
 * Returns: NGX_CONF_ERROR, with one [emerg] line.
 */
char *ngx_http_async_upload_conf_init_main(ngx_conf_t *cf, void *conf);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_CONF_H_INCLUDED_ */
