
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * What is told of the detectors: how sure they are, what more they need, and
 * how fast they are.
 *
 * The unit knows what a decision was made of and what the rules are.  It must
 * not know who reads it, or nginx.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_H_INCLUDED_


#include "ngx_http_async_upload_detect.h"


/* what is said of the detectors, in this order; the names are explain_names */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_SUCCESS = 0,
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_ERROR,
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_WORSE,
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_REJECTED,
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_ABORTED,
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_SLOWER,
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_GATE_SLOWER,
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_PROOF,
    NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_LINES
} ngx_http_async_upload_explain_line_e;


/*
 * One line for people: "errors now ~4.1% (limit 5%) - evidence 312 of 1000 -
 * 6 of 143 failed - between 0.7% and 12.4%".  Rates are 0..1.
 */

typedef struct {
    double    evidence;
    double    threshold;
    uint32_t  rated;        /* 0: there is nothing below */
    double    rate;         /* of failures now; 0: not known */
    double    limit;        /* what must not be exceeded */
    uint64_t  bad;          /* failures */
    uint64_t  of;           /* uploads */
    double    low;          /* of the rate since the observation began, 95% */
    double    high;
} ngx_http_async_upload_explain_line_t;


/* "success", "error", "worse", .. */
extern const char  *ngx_http_async_upload_explain_names[];


/*
 * Says it line by line.  All of it comes from what a decision was made of, so
 * one that was recorded can be explained likewise.
 *
 * Context: any process; some 50 microseconds.
 * Memory:  "lines" has room for NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_LINES.
 */
void ngx_http_async_upload_explain(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_explain_line_t *lines);

/*
 * Tells how many more uploads, all of them successes, the gate needs: for
 * min_uploads, its rates and its proof.
 *
 * Returns: 0 if none; UINT64_MAX if no number will do.
 */
uint64_t ngx_http_async_upload_explain_needs(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_guard_input_t *in);

/*
 * Tells how many uploads a second async must get, so that it is rolled back
 * within "within_ms" on the average, after hours of good service, once "rate",
 * 0..1, of them fail: 1 is an outage.
 *
 * Returns: uploads a second; 0 if never: the rate is within rollback's limits,
 *          or confirm_ms takes longer than that.
 * Source:  Wald's approximation: evidence grows by the Kullback-Leibler
 *          divergence of the rates with each upload.
 */
double ngx_http_async_upload_explain_speed(
    const ngx_http_async_upload_guard_conf_t *conf, double rate,
    uint64_t within_ms);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_EXPLAIN_H_INCLUDED_ */
