
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <string.h>
#include <stddef.h>

#include "ngx_http_async_upload_hist.h"


static uint64_t ngx_http_async_upload_hist_rank(uint64_t total, double q);


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

        /* what is in an octave that is not used means nothing */

        if (!(dst->octaves >> n & 1)) {
            memset(&dst->count[n << 5], 0, 32 * sizeof(uint64_t));
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
ngx_http_async_upload_hist_copy(ngx_http_async_upload_hist_t *dst,
    const ngx_http_async_upload_hist_t *src)
{
    ngx_http_async_upload_hist_clear(dst);
    ngx_http_async_upload_hist_merge(dst, src);
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
    double  us;

    ngx_http_async_upload_hist_quantiles(h, total, &q, 1, &us);

    return us;
}


void
ngx_http_async_upload_hist_quantiles(const ngx_http_async_upload_hist_t *h,
    uint64_t total, const double *q, unsigned nq, double *us)
{
    double    middle;
    uint64_t  seen, rank;
    unsigned  i, k, n;

    k = 0;
    seen = 0;
    rank = ngx_http_async_upload_hist_rank(total, q[0]);

    for (n = 0; n < NGX_HTTP_ASYNC_UPLOAD_HIST_OCTAVES; n++) {

        if (!(h->octaves >> n & 1)) {
            continue;
        }

        for (i = n << 5; i < (n + 1) << 5; i++) {

            seen += h->count[i];

            if (seen < rank) {
                continue;
            }

            /* a bucket may hold several of the ranks */

            do {
                middle = (double) (h->count[i] - (seen - rank)) - 0.5;

                us[k] = (double) ngx_http_async_upload_hist_low(i)
                        + (double) ngx_http_async_upload_hist_width(i)
                          * middle / (double) h->count[i];

                if (++k == nq) {
                    return;
                }

                rank = ngx_http_async_upload_hist_rank(total, q[k]);

            } while (seen >= rank);
        }
    }

    /* "total" is 0, or more than there is */

    while (k < nq) {
        us[k++] = (total != 0) ? (double) h->max_us : 0;
    }
}


static uint64_t
ngx_http_async_upload_hist_rank(uint64_t total, double q)
{
    uint64_t  rank;

    /* what is no number is taken as 0 */

    if (!(q > 0) || total == 0) {
        return 1;
    }

    if (q >= 1) {
        return total;
    }

    /*
     * 1e-9 keeps a product that is a whole number but for the rounding of q,
     * as 0.95 * 100, from reaching the next rank.
     */

    rank = (uint64_t) ceil(q * (double) total - 1e-9);

    if (rank == 0) {
        return 1;
    }

    return (rank > total) ? total : rank;
}
