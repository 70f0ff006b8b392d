
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * A log-linear histogram of durations in microseconds: 32 buckets an octave,
 * so a bucket is at most 1/32 of its value wide.
 *
 * The unit knows indices, counts and quantiles.  It must not know what is
 * measured, whose memory a histogram lies in, clocks or nginx.
 *
 * Live histograms only grow.  Windows are differences of two snapshots, which
 * are merged into private memory; a snapshot is what every reader works on.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_HIST_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_HIST_H_INCLUDED_


#include <stdint.h>


/* 32 buckets for 0..31, then 32 for each of the 27 octaves below 2^32 */

#define NGX_HTTP_ASYNC_UPLOAD_HIST_BUCKETS  896
#define NGX_HTTP_ASYNC_UPLOAD_HIST_OCTAVES  28
#define NGX_HTTP_ASYNC_UPLOAD_HIST_MAX_US   UINT64_C(0xffffffff)


/*
 * All zeroes is an empty histogram; so is one without octaves, whatever its
 * counts: those of an octave that is not used mean nothing.  May lie in shared
 * memory.
 */

typedef struct {
    uint64_t  count[NGX_HTTP_ASYNC_UPLOAD_HIST_BUCKETS];
    uint64_t  sum_us;
    uint64_t  max_us;
    uint64_t  octaves;  /* bit i: some of count[32 * i .. + 31] is used */
} ngx_http_async_upload_hist_t;


/*
 * Maps microseconds to a bucket; what exceeds 2^32 - 1 us (71.6 minutes)
 * counts in the last.
 *
 * Returns: the index, 0..895.
 */
static inline unsigned
ngx_http_async_upload_hist_index(uint64_t us)
{
    unsigned  v, shift;

    if (us > NGX_HTTP_ASYNC_UPLOAD_HIST_MAX_US) {
        us = NGX_HTTP_ASYNC_UPLOAD_HIST_MAX_US;
    }

    /* values below 32 fall into the octave of 32 with no shift */

    v = (unsigned) us;
    shift = 26 - (unsigned) __builtin_clz(v | 32);

    return (shift << 5) + (v >> shift);
}

/*
 * Gives the least value of a bucket, "index" 0..895, in microseconds.
 *
 * Returns: 0..2^32 - 2^26; cannot fail.
 */
uint64_t ngx_http_async_upload_hist_low(unsigned index);

/*
 * Gives how many values, in microseconds, share a bucket, "index" 0..895.
 *
 * Returns: 1..2^26, a power of two; cannot fail.
 */
uint64_t ngx_http_async_upload_hist_width(unsigned index);

/*
 * Adds one duration of "us" microseconds.  Sum and maximum take the true
 * value, also past the last bucket's edge.  Counts and sum wrap at 2^64.
 *
 * The bucket is stored last: it is the commit, so a writer that is killed
 * in between leaves at most a sum that is ahead of its count, and a reader
 * never sees a count without its octave.
 *
 * Context: worker, the only writer of "h"; readers in any process.
 * Locks:   none, and no lock-prefixed instruction.
 */
static inline void
ngx_http_async_upload_hist_add(ngx_http_async_upload_hist_t *h, uint64_t us)
{
    uint64_t  octave;
    unsigned  i;

    i = ngx_http_async_upload_hist_index(us);
    octave = UINT64_C(1) << (i >> 5);

    __atomic_store_n(&h->sum_us, h->sum_us + us, __ATOMIC_RELAXED);

    if (us > h->max_us) {
        __atomic_store_n(&h->max_us, us, __ATOMIC_RELAXED);
    }

    if (!(h->octaves & octave)) {
        __atomic_store_n(&h->octaves, h->octaves | octave, __ATOMIC_RELAXED);
    }

    __atomic_store_n(&h->count[i], h->count[i] + 1, __ATOMIC_RELEASE);
}

/*
 * Adds one duration as above where several writers share "h".
 *
 * Context: worker, any number at once.
 * Locks:   none; atomic additions.
 */
void ngx_http_async_upload_hist_add_shared(ngx_http_async_upload_hist_t *h,
    uint64_t us);

/*
 * Adds "src" to "dst": counts and sums are added, the larger maximum stays.
 *
 * "src" may be written by other processes meanwhile; what is finished before
 * the call is seen, and merging the same "src" later sees at least as much in
 * every bucket.
 *
 * Context: any process; "dst" is private to the caller.
 * Locks:   none.
 */
void ngx_http_async_upload_hist_merge(ngx_http_async_upload_hist_t *dst,
    const ngx_http_async_upload_hist_t *src);

/*
 * Empties a histogram.
 *
 * Context: any process; "h" is private to the caller, or locked.
 */
static inline void
ngx_http_async_upload_hist_clear(ngx_http_async_upload_hist_t *h)
{
    h->octaves = 0;
    h->sum_us = 0;
    h->max_us = 0;
}

/*
 * Makes "dst", whatever it holds, a copy of "src", as if it was empty and
 * merged with it: the cost is that of the octaves that are used.
 */
void ngx_http_async_upload_hist_copy(ngx_http_async_upload_hist_t *dst,
    const ngx_http_async_upload_hist_t *src);

/*
 * Takes an older snapshot of the same histogram from a newer one: what is
 * left is the window between both.  Counts and sum stop at 0.
 *
 * A window's maximum cannot be told from two cumulative ones, so "max_us"
 * stays that of "dst": an upper bound.
 *
 * Context: any process; both are private to the caller.
 */
void ngx_http_async_upload_hist_subtract(ngx_http_async_upload_hist_t *dst,
    const ngx_http_async_upload_hist_t *older);

/*
 * Counts the values of a snapshot.
 *
 * Returns: the sum of all buckets, modulo 2^64.
 */
uint64_t ngx_http_async_upload_hist_total(
    const ngx_http_async_upload_hist_t *h);

/*
 * Estimates the quantile "q", 0..1 (what is outside is clamped), of a
 * snapshot whose total is "total": the value of rank ceil(q * total), taken
 * from the middle of its share of the bucket.  It is off by less than the
 * bucket's width: 3.1% at most, 1 us below 64 us.
 *
 * Returns: microseconds; 0 if "total" is 0, the maximum if it is more than
 *          the snapshot holds.
 */
double ngx_http_async_upload_hist_quantile(
    const ngx_http_async_upload_hist_t *h, uint64_t total, double q);

/*
 * Estimates "nq" quantiles, 1 or more, in one pass: "q" holds them in
 * ascending order, "us" gets what hist_quantile says for each.
 */
void ngx_http_async_upload_hist_quantiles(
    const ngx_http_async_upload_hist_t *h, uint64_t total, const double *q,
    unsigned nq, double *us);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_HIST_H_INCLUDED_ */
