
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_TOTAL_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_TOTAL_H_INCLUDED_


/*
 * Sums of counters that people ask for.  It knows what the counters of a cell
 * have in common; it knows nothing of how sums are shown.
 */


#include "ngx_http_async_upload_zone.h"


/* what people feel: a failure that was masked is none */

typedef struct {
    uint64_t                         uploads;   /* served or failed */
    uint64_t                         failed;
} ngx_http_async_upload_total_clients_t;


/* sync's service of what failed at async */

typedef struct {
    uint64_t                         served;
    uint64_t                         failed;
    uint64_t                         left;
    uint64_t                         latency_us;    /* sum */
} ngx_http_async_upload_total_fallback_t;


/* Sums up what bucket and kept cohorts of an arm have counted. */
void ngx_http_async_upload_total_arm(
    const ngx_http_async_upload_counts_t *counts, ngx_uint_t arm,
    ngx_http_async_upload_cell_sh_t *sum);

/* The failures of all classes. */
uint64_t ngx_http_async_upload_total_failures(
    const ngx_http_async_upload_cell_sh_t *cell);

/* The uploads that neither ended nor were lost. */
uint64_t ngx_http_async_upload_total_in_flight(
    const ngx_http_async_upload_cell_sh_t *cell);

/* Both arms, all cohorts. */
void ngx_http_async_upload_total_clients(
    const ngx_http_async_upload_counts_t *counts,
    ngx_http_async_upload_total_clients_t *clients);

/* All cohorts of async. */
void ngx_http_async_upload_total_fallback(
    const ngx_http_async_upload_counts_t *counts,
    ngx_http_async_upload_total_fallback_t *fallback);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_TOTAL_H_INCLUDED_ */
