
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_PEER_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_PEER_H_INCLUDED_


/*
 * The balancer of a rollout's block.  It chooses no server: it calls the
 * balancer of the arm that the decision names, and after a failure of the
 * async arm, where the configuration allows it, that of the sync arm.
 *
 * An upload at the sync arm runs exactly as it would without the module; the
 * calls of the async arm's balancer are wrapped until the switch.
 */


#include "ngx_http_async_upload.h"


/*
 * Chooses the arm of a request and initialises its balancer.
 *
 * Context: worker, in the place of the block's own peer.init, which is
 *          "sync_init" of its rollout.
 * Memory:  the request's pool; once for each location the cycle's.
 * Returns: NGX_ERROR if out of memory, or as the arm's own.
 */
ngx_int_t ngx_http_async_upload_peer_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_PEER_H_INCLUDED_ */
