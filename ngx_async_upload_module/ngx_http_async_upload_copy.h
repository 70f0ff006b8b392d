
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_COPY_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_COPY_H_INCLUDED_


/*
 * The upstream configuration that the async arm runs under: the location's
 * with the rollout's own rules for another try and its timeouts.  The
 * location's itself is never changed.
 */


#include "ngx_http_async_upload.h"


/*
 * The copy of a location's upstream configuration, always the same one: a
 * keepalive cache may take its address for the location's name.
 *
 * "replay" is 1 if the upload may be sent again after some of it was sent.
 *
 * Context: worker, any time of a request.
 * Memory:  the pool of the rollout's cycle, once for each location.
 * Returns: "conf" itself where no copy can be had; nothing is sent twice then
 *          that could not be without the module.
 */
ngx_http_upstream_conf_t *ngx_http_async_upload_copy_conf(
    ngx_http_async_upload_rollout_t *rollout, ngx_http_upstream_conf_t *conf,
    ngx_uint_t replay);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_COPY_H_INCLUDED_ */
