
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_COMMAND_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_COMMAND_H_INCLUDED_


/*
 * A person's command, from the order to the answer; it knows how a command is
 * carried out, and those that do not change the state: drill, baseline, forget
 * and signal.
 */


#include "ngx_http_async_upload_rollout.h"


/*
 * Carries a command out, all of it but the wait of a drill: when this returns
 * with status 200, the change is in force, in the state file, in journal and
 * log.  With any other status nothing has changed.
 *
 * A drill that began has "changed" set; command_drilled tells when it is over.
 *
 * Context: worker.
 * Locks:   the zone mutex, shortly; waits up to a second for another process
 *          that writes the state file.
 */
void ngx_http_async_upload_command(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_order_t *order,
    ngx_http_async_upload_answer_t *answer, ngx_log_t *log);

/*
 * Looks whether every worker of this generation routes to sync by now, and if
 * so ends the drill that "order" began.
 *
 * Returns: NGX_AGAIN: not yet; NGX_OK: it is over, "took" milliseconds by
 *          "workers"; NGX_ERROR: something else has ended it (a rollback,
 *          another command, its deadline of 10 seconds).
 */
ngx_int_t ngx_http_async_upload_command_drilled(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_order_t *order,
    ngx_http_async_upload_answer_t *answer, ngx_msec_t *took,
    ngx_uint_t *workers, ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_COMMAND_H_INCLUDED_ */
