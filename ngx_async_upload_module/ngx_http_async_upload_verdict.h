
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_VERDICT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_VERDICT_H_INCLUDED_


/*
 * What the detectors say, for people: how sure it is that async is worse than
 * it may be, how much is missing, how fast a rollback can be.  It knows the
 * figures of a look and the words; it decides nothing.
 */


#include "ngx_http_async_upload_look.h"
#include "ngx_http_async_upload_explain.h"
#include "ngx_http_async_upload_json.h"


/*
 * Writes the member "evidence": null where the statistics are plain.
 *
 * The text is kept until the guard's part of the zone changes, as it takes
 * thousands of instructions and a tick does it at most.
 */
void ngx_http_async_upload_verdict_render(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);

/*
 * Writes the first half of that line: how things are now.
 *
 * Memory and returns as below.
 */
u_char *ngx_http_async_upload_verdict_now(ngx_http_async_upload_look_t *look,
    u_char *buf, u_char *last);

/*
 * Writes the second half: what was seen, and what the gate still needs.
 */
u_char *ngx_http_async_upload_verdict_seen(ngx_http_async_upload_look_t *look,
    u_char *buf, u_char *last);

/*
 * Writes the line about errors, as in
 *     errors now ~4.1% (limit 5%) - evidence against healthy 312 of 1000 -
 *     6 of 143 failed - between 0.7% and 12.4%
 * and, where a gate is not open yet, how many more uploads it needs.
 *
 * Memory:  "buf" .. "last", no terminating null is written.
 * Returns: the end of what was written; "buf" where the statistics are plain.
 */
u_char *ngx_http_async_upload_verdict_line(ngx_http_async_upload_look_t *look,
    u_char *buf, u_char *last);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_VERDICT_H_INCLUDED_ */
