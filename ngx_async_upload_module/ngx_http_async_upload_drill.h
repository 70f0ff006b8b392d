
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_DRILL_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_DRILL_H_INCLUDED_


/*
 * The wait for the end of a drill.  It knows a timer and whom to tell; it knows
 * neither requests nor what a drill does.
 *
 * It lives in memory of its own: the drill must end, too, if whoever waits for
 * it is gone.  If this worker cannot end it, the tick of another does.
 */


#include "ngx_http_async_upload_rollout.h"


/* how it ended */

typedef struct {
    ngx_int_t                        rc;        /* NGX_OK; NGX_ERROR: failed */
    ngx_msec_t                       took;      /* ms */
    ngx_uint_t                       workers;
    ngx_http_async_upload_answer_t   answer;
} ngx_http_async_upload_drill_end_t;


typedef void (*ngx_http_async_upload_drill_pt)(void *data,
    ngx_http_async_upload_drill_end_t *end);

typedef struct ngx_http_async_upload_drill_s  ngx_http_async_upload_drill_t;


/*
 * Waits for the end of the drill that "order" began with "answer"; both are
 * copied.  "handler" is called with "data" once it is over, also if this worker
 * has to end: within 10 ms then.
 *
 * Context: worker.
 * Memory:  freed once it is over.
 * Returns: NULL if out of memory.
 */
ngx_http_async_upload_drill_t *ngx_http_async_upload_drill_wait(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_order_t *order,
    ngx_http_async_upload_answer_t *answer,
    ngx_http_async_upload_drill_pt handler, void *data, ngx_log_t *log);

/*
 * Nobody is to be told any more; the wait goes on.
 */
void ngx_http_async_upload_drill_leave(ngx_http_async_upload_drill_t *drill);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_DRILL_H_INCLUDED_ */
