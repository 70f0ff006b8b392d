
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_TICK_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_TICK_H_INCLUDED_


/*
 * What happens every second: windows, baseline, memory and plots are sampled,
 * the guard is asked, and what is not yet in file, journal and log gets there.
 */


#include "ngx_http_async_upload_zone.h"


/*
 * Looks after a rollout.  There is no leader: of all workers of the newest
 * generation the first one in an interval does it.  Each worker says which
 * epoch it routes by and how much memory it has, "memory" bytes.
 *
 * Context: worker, timer; not while it exits.
 * Locks:   the zone mutex, shortly.
 */
void ngx_http_async_upload_tick(ngx_http_async_upload_rollout_t *rollout,
    uint64_t memory, ngx_log_t *log);

/*
 * Saves what is not saved yet.
 *
 * Context: worker of the newest generation, at its exit.
 */
void ngx_http_async_upload_tick_last(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_TICK_H_INCLUDED_ */
