
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_LIVE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_LIVE_H_INCLUDED_


/*
 * What the operating system and nginx know about how things are: servers of a
 * block that may be used now, memory of this process.
 */


#include "ngx_http_async_upload.h"


/*
 * Whether nginx would find a server of this block now: one that is not down
 * and not set aside for its failures.
 *
 * Context: worker.
 * Locks:   the read lock of the block's zone, if it has one.
 * Returns: 1, or 0; 1 also where it cannot be told: with a balancer of others.
 */
ngx_uint_t ngx_http_async_upload_live_peers(ngx_http_upstream_srv_conf_t *us);

/*
 * The memory of this process that no file backs and nobody shares.
 *
 * Returns: bytes; 0 if it cannot be told.
 */
uint64_t ngx_http_async_upload_live_memory(void);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_LIVE_H_INCLUDED_ */
