
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_FOLLOW_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_FOLLOW_H_INCLUDED_


/*
 * Two masters, as while a binary is upgraded: each has its own zone, both have
 * one state file.  The newer one, of the higher term, decides and writes; the
 * older one follows the file, and takes over when the newer is gone.
 */


#include "ngx_http_async_upload_zone.h"


/*
 * Looks whether another master decides, and does what it says.
 *
 * Context: worker of the newest generation: at each tick, and before anything
 *          is decided.
 * Locks:   the zone mutex, shortly.
 * Returns: 1 if another one decides, else 0.
 */
ngx_uint_t ngx_http_async_upload_follow(
    ngx_http_async_upload_rollout_t *rollout, ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_FOLLOW_H_INCLUDED_ */
