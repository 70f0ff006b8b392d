
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Which failures are evidence.  A client keeps its arm, so one that is broken
 * fails again and again, and says no more about the arm than it did at first.
 *
 * A failure does not count if one of the same identity has counted in the last
 * ten minutes and another identity has succeeded in the last two: the arm does
 * serve, then.  If nobody else succeeds every failure counts, however few are
 * behind it.
 *
 * The unit knows identities as numbers, and seconds.  It must not know what an
 * identity is made of, arms, clocks or nginx.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_REPEAT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_REPEAT_H_INCLUDED_


#include <stdint.h>


#define NGX_HTTP_ASYNC_UPLOAD_REPEAT_SETS  64   /* a power of 2 */
#define NGX_HTTP_ASYNC_UPLOAD_REPEAT_WAYS  4


/*
 * Each word is a time and an identity; all zeroes is fresh; lies in shared
 * memory.  Where more identities fail than there is room for the oldest ones
 * are forgotten, and count again.
 */

typedef struct {
    uint64_t  served[2];    /* of two identities */
    uint64_t  failed[NGX_HTTP_ASYNC_UPLOAD_REPEAT_SETS]
                    [NGX_HTTP_ASYNC_UPLOAD_REPEAT_WAYS];
} ngx_http_async_upload_repeat_sh_t;


/*
 * Takes a success of the identity "who", a hash of it, or 0 if there is none.
 * "now" is a monotonic time in seconds.
 *
 * Successes are remembered to 10 seconds: shared memory is seldom written.
 *
 * Context: any process, any number at once.
 * Locks:   none, nor locked instructions.
 */
void ngx_http_async_upload_repeat_succeeded(
    ngx_http_async_upload_repeat_sh_t *sh, uint32_t who, uint64_t now);

/*
 * Takes a failure of the identity "who", likewise; one of nobody counts.
 *
 * Two that come at the same moment may both count.
 *
 * Context: any process, any number at once.
 * Locks:   none.
 * Returns: 1 if the failure counts, 0 if it is a repeated one.
 */
int ngx_http_async_upload_repeat_failed(ngx_http_async_upload_repeat_sh_t *sh,
    uint32_t who, uint64_t now);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_REPEAT_H_INCLUDED_ */
