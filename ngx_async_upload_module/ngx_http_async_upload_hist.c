
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <stddef.h>

#include "ngx_http_async_upload_hist.h"


uint64_t
ngx_http_async_upload_hist_low(unsigned index)
{
    if (index < 64) {
        return index;
    }

    return (uint64_t) ((index & 31) + 32) << ((index >> 5) - 1);
}


uint64_t
ngx_http_async_upload_hist_width(unsigned index)
{
    if (index < 64) {
        return 1;
    }

    return UINT64_C(1) << ((index >> 5) - 1);
}


void
ngx_http_async_upload_hist_add_shared(ngx_http_async_upload_hist_t *h,
    uint64_t us)
{
    uint64_t  max, octave;
    unsigned  i;

    i = ngx_http_async_upload_hist_index(us);
    octave = UINT64_C(1) << (i >> 5);

    (void) __atomic_fetch_add(&h->sum_us, us, __ATOMIC_RELAXED);

    max = __atomic_load_n(&h->max_us, __ATOMIC_RELAXED);

    while (us > max
           && !__atomic_compare_exchange_n(&h->max_us, &max, us, 0,
                                           __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED))
    {
        /* void: the failed exchange has loaded the new maximum */
    }

    if (!(__atomic_load_n(&h->octaves, __ATOMIC_RELAXED) & octave)) {
        (void) __atomic_fetch_or(&h->octaves, octave, __ATOMIC_RELAXED);
    }

    (void) __atomic_fetch_add(&h->count[i], 1, __ATOMIC_RELEASE);
}


void
ngx_http_async_upload_hist_merge(ngx_http_async_upload_hist_t *dst,
    const ngx_http_async_upload_hist_t *src)
{
    unsigned  i, n;
    uint64_t  max, octaves;

    octaves = __atomic_load_n(&src->octaves, __ATOMIC_ACQUIRE);

    for (n = 0; n < NGX_HTTP_ASYNC_UPLOAD_HIST_OCTAVES; n++) {

        if (!(octaves >> n & 1)) {
            continue;
        }

        for (i = n << 5; i < (n + 1) << 5; i++) {
            dst->count[i] += __atomic_load_n(&src->count[i],
                                             __ATOMIC_ACQUIRE);
        }
    }

    dst->octaves |= octaves;

    /* read after the counts, so that sum and maximum cover each of them */

    dst->sum_us += __atomic_load_n(&src->sum_us, __ATOMIC_RELAXED);

    max = __atomic_load_n(&src->max_us, __ATOMIC_RELAXED);

    if (max > dst->max_us) {
        dst->max_us = max;
    }
}


void
ngx_http_async_upload_hist_subtract(ngx_http_async_upload_hist_t *dst,
    const ngx_http_async_upload_hist_t *older)
{
    unsigned  i, n;
    uint64_t  octaves, used;

    octaves = dst->octaves;

    for (n = 0; n < NGX_HTTP_ASYNC_UPLOAD_HIST_OCTAVES; n++) {

        if (!(octaves & older->octaves & (UINT64_C(1) << n))) {
            continue;
        }

        used = 0;

        for (i = n << 5; i < (n + 1) << 5; i++) {

            if (dst->count[i] > older->count[i]) {
                dst->count[i] -= older->count[i];

            } else {
                dst->count[i] = 0;
            }

            used |= dst->count[i];
        }

        if (used == 0) {
            dst->octaves &= ~(UINT64_C(1) << n);
        }
    }

    if (dst->sum_us > older->sum_us) {
        dst->sum_us -= older->sum_us;

    } else {
        dst->sum_us = 0;
    }
}


uint64_t
ngx_http_async_upload_hist_total(const ngx_http_async_upload_hist_t *h)
{
    unsigned  i, n;
    uint64_t  total;

    total = 0;

    for (n = 0; n < NGX_HTTP_ASYNC_UPLOAD_HIST_OCTAVES; n++) {

        if (!(h->octaves >> n & 1)) {
            continue;
        }

        for (i = n << 5; i < (n + 1) << 5; i++) {
            total += h->count[i];
        }
    }

    return total;
}


double
ngx_http_async_upload_hist_quantile(const ngx_http_async_upload_hist_t *h,
    uint64_t total, double q)
{
    double    middle;
    uint64_t  before, count, rank;
    unsigned  i, n;

    if (total == 0 || h->octaves == 0) {
        return 0;
    }

    /*
     * 1e-9 keeps a product that is a whole number but for the rounding of q,
     * as 0.95 * 100, from reaching the next rank; a q that is no number is
     * taken as 0.
     */

    if (!(q > 0)) {
        rank = 1;

    } else if (q >= 1) {
        rank = total;

    } else {
        rank = (uint64_t) ceil(q * (double) total - 1e-9);

        if (rank == 0) {
            rank = 1;

        } else if (rank > total) {
            rank = total;
        }
    }

    before = 0;

    for (n = 0; n < NGX_HTTP_ASYNC_UPLOAD_HIST_OCTAVES; n++) {

        if (!(h->octaves >> n & 1)) {
            continue;
        }

        for (i = n << 5; i < (n + 1) << 5; i++) {
            count = h->count[i];

            if (count >= rank - before) {
                middle = ((double) (rank - before) - 0.5) / (double) count;

                return (double) ngx_http_async_upload_hist_low(i)
                       + (double) ngx_http_async_upload_hist_width(i) * middle;
            }

            before += count;
        }
    }

    /* "total" is more than there is */

    return (double) h->max_us;
}
