
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * The gate: what a stage needs before the next one, line by line.
 *
 * The unit knows the rules of a stage and what was seen.  It must not know what
 * follows from an open gate, or nginx.
 *
 * The types are named after the guard, by whose rules a gate is made.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_GATE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_GATE_H_INCLUDED_


#include "ngx_http_async_upload_facts.h"


/* the lines of a gate, each of them open, closed, or off */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_SOAK = 0,      /* ms */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_UPLOADS,
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_SUCCESS,       /* ppm, at least */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_ERROR,         /* ppm, at most */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_LATENCY,       /* ratio, at most */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_REJECTED,      /* points over sync, ppm */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_ABORTED,       /* points over sync, ppm */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_EVIDENCE,      /* against it, at most */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_PROOF,         /* of it, at least */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES
} ngx_http_async_upload_guard_gate_e;


typedef struct {
    uint32_t  on;               /* 0: the line does not count */
    uint32_t  known;            /* 0: "have" cannot be told */
    uint32_t  open;
    double    need;
    double    have;
} ngx_http_async_upload_guard_line_t;


/* "soak", "uploads", "success", .. */
extern const char  *ngx_http_async_upload_guard_lines[];


/*
 * Fills in the lines of the gate: what each needs, has, and whether it is open.
 *
 * A rate of nothing and a latency of fewer than min_latency successes are not
 * known, and closed.  Losses are compared with a rate of 0 where there is no
 * reference.  Any verdict of a detector but NONE counts as evidence.
 *
 * Memory:  "lines" has room for NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES.
 * Returns: 1 if all lines that are on are open, else 0; 0 if there is no gate.
 */
int ngx_http_async_upload_gate_open(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_line_t *lines);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_GATE_H_INCLUDED_ */
