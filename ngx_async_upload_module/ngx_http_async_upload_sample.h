
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_SAMPLE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_SAMPLE_H_INCLUDED_


/*
 * What a tick samples: marks of the windows, how long a limit has been
 * exceeded, the memory of workers, the baseline, the points of the plots.
 */


#include "ngx_http_async_upload_look.h"


/*
 * Samples what "look" has seen, and brings the look up to that: its decision
 * is one that takes this tick into account.
 *
 * Context: worker of the newest generation, tick.
 * Locks:   tries the zone mutex.
 * Returns: NGX_AGAIN if it is taken, or if the state word has changed since:
 *          the next tick will do.
 */
ngx_int_t ngx_http_async_upload_sample(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_SAMPLE_H_INCLUDED_ */
