
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_total.h"


void
ngx_http_async_upload_total_arm(const ngx_http_async_upload_counts_t *counts,
    ngx_uint_t arm, ngx_http_async_upload_cell_sh_t *sum)
{
    uint64_t        *to;
    ngx_uint_t       i;
    const uint64_t  *from;

    *sum = counts->cell[arm][NGX_HTTP_ASYNC_UPLOAD_BUCKET];

    /* a cell is nothing but counters */

    to = (uint64_t *) sum;
    from = (uint64_t *) &counts->cell[arm][NGX_HTTP_ASYNC_UPLOAD_KEPT];

    for (i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}


uint64_t
ngx_http_async_upload_total_failures(
    const ngx_http_async_upload_cell_sh_t *cell)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_CLASSES; i++) {
        n += cell->failure[i];
    }

    return n;
}


uint64_t
ngx_http_async_upload_total_in_flight(
    const ngx_http_async_upload_cell_sh_t *cell)
{
    return cell->uploads - cell->success
           - ngx_http_async_upload_total_failures(cell) - cell->rejected
           - cell->aborted - cell->cut - cell->lost;
}


void
ngx_http_async_upload_total_clients(
    const ngx_http_async_upload_counts_t *counts,
    ngx_http_async_upload_total_clients_t *clients)
{
    ngx_uint_t                              i;
    const ngx_http_async_upload_cell_sh_t  *cell;

    cell = &counts->cell[0][0];

    clients->failed = 0;
    clients->uploads = 0;

    for (i = 0;
         i < NGX_HTTP_ASYNC_UPLOAD_ARMS * NGX_HTTP_ASYNC_UPLOAD_COHORTS;
         i++)
    {
        clients->failed += cell[i].felt;
        clients->uploads += cell[i].felt + cell[i].masked + cell[i].success;
    }
}


void
ngx_http_async_upload_total_fallback(
    const ngx_http_async_upload_counts_t *counts,
    ngx_http_async_upload_total_fallback_t *fallback)
{
    ngx_uint_t                              i;
    const ngx_http_async_upload_cell_sh_t  *cell;

    cell = counts->cell[NGX_HTTP_ASYNC_UPLOAD_ASYNC];

    ngx_memzero(fallback, sizeof(ngx_http_async_upload_total_fallback_t));

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_COHORTS; i++) {
        fallback->served += cell[i].fallback_served;
        fallback->failed += cell[i].fallback_failed;
        fallback->left += cell[i].fallback_left;
        fallback->latency_us += cell[i].fallback_latency_us;
    }
}
