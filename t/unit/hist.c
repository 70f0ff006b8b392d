
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ngx_http_async_upload_hist.h"
#include "tap.h"


#define BUCKETS    NGX_HTTP_ASYNC_UPLOAD_HIST_BUCKETS
#define VALUES     20000
#define WRITERS    4
#define ADDITIONS  1000000    /* of each writer, a multiple of 200 */


typedef ngx_http_async_upload_hist_t  hist_t;

#define hist_index     ngx_http_async_upload_hist_index
#define hist_low       ngx_http_async_upload_hist_low
#define hist_width     ngx_http_async_upload_hist_width
#define hist_add       ngx_http_async_upload_hist_add
#define hist_shared    ngx_http_async_upload_hist_add_shared
#define hist_merge     ngx_http_async_upload_hist_merge
#define hist_subtract  ngx_http_async_upload_hist_subtract
#define hist_total     ngx_http_async_upload_hist_total
#define hist_quantile  ngx_http_async_upload_hist_quantile
#define hist_quantiles ngx_http_async_upload_hist_quantiles


/* a duration of any size below 2^32: uniform in its logarithm */

static uint64_t
duration(void)
{
    return (tap_random() >> 32) >> tap_below(32);
}


/* the mask says just which octaves hold counts */

static int
octaves_are_exact(const hist_t *h)
{
    unsigned  i;
    uint64_t  octaves;

    octaves = 0;

    for (i = 0; i < BUCKETS; i++) {
        if (h->count[i] != 0) {
            octaves |= UINT64_C(1) << (i / 32);
        }
    }

    return octaves == h->octaves;
}


static int
compare(const void *a, const void *b)
{
    uint64_t  x, y;

    x = *(const uint64_t *) a;
    y = *(const uint64_t *) b;

    return (x > y) - (x < y);
}


static void
test_index(void)
{
    int       edges, contiguous, narrow;
    unsigned  i, n;
    uint64_t  v, low, width;

    edges = 1;
    contiguous = (hist_low(0) == 0);
    narrow = 1;

    for (i = 0; i < BUCKETS; i++) {
        low = hist_low(i);
        width = hist_width(i);

        edges &= (hist_index(low) == i && hist_index(low + width - 1) == i);
        contiguous &= (low + width
                       == (i + 1 < BUCKETS ? hist_low(i + 1)
                                           : UINT64_C(1) << 32));
        narrow &= (width == 1 || width * 32 <= low);
    }

    tap_ok(edges, "the first and the last value of every bucket have its "
           "index");
    tap_ok(contiguous, "buckets follow each other without a gap from 0 to "
           "2^32");
    tap_ok(narrow, "no bucket is wider than 1 us or 1/32 of its least value");

    tap_ok(hist_index(UINT64_C(1) << 32) == BUCKETS - 1
           && hist_index(UINT64_MAX) == BUCKETS - 1,
           "what is past 2^32 - 1 us counts in the last bucket");

    for (n = 0; n < 1000000; n++) {
        v = duration();
        i = hist_index(v);

        if (i >= BUCKETS || v < hist_low(i) || v - hist_low(i) >= hist_width(i))
        {
            break;
        }
    }

    tap_ok(n == 1000000, "random values lie in their bucket");
}


static void
test_add(void)
{
    unsigned       i;
    uint64_t       v, sum, max;
    static hist_t  a, b;

    sum = 0;
    max = 0;

    for (i = 0; i < VALUES; i++) {
        v = duration();

        if (i % 1000 == 999) {
            v += UINT64_C(5000000000);
        }

        hist_add(&a, v);
        hist_shared(&b, v);

        sum += v;
        max = v > max ? v : max;
    }

    tap_ok(memcmp(&a, &b, sizeof(hist_t)) == 0,
           "both ways to add come to the same");
    tap_ok(hist_total(&a) == VALUES, "every value is counted once");
    tap_ok(a.sum_us == sum && a.max_us == max,
           "sum and maximum take the true values, also past the last bucket");
    tap_ok(octaves_are_exact(&a), "the mask tells the used octaves");

    memset(&a, 0, sizeof(hist_t));
    hist_add(&a, 0);
    tap_ok(hist_total(&a) == 1 && a.count[0] == 1 && a.octaves == 1,
           "a duration of 0 is counted");
}


static void
test_quantile(void)
{
    int              good, worst;
    double           q, got;
    unsigned         i, index;
    static double    many[1001], each[1001];
    static hist_t    h;
    static uint64_t  values[VALUES];

    tap_ok(hist_quantile(&h, 0, 0.5) == 0, "an empty histogram's quantile is "
           "0");
    tap_ok(hist_quantile(&h, 5, 0.5) == 0, "also if a total is claimed");

    for (i = 0; i < 64; i++) {
        hist_add(&h, i);
    }

    good = 1;

    for (i = 1; i <= 64; i++) {
        good &= (hist_quantile(&h, 64, i / 64.0) == i - 0.5);
    }

    tap_ok(good, "one value of each 0..63: the k-th of 64 is k - 1/2");

    tap_ok(hist_quantile(&h, 64, -1) == 0.5
           && hist_quantile(&h, 64, 0) == 0.5
           && hist_quantile(&h, 64, NAN) == 0.5
           && hist_quantile(&h, 64, 2) == 63.5
           && hist_quantile(&h, 64, INFINITY) == 63.5,
           "what is outside 0..1 is clamped");

    tap_ok(hist_quantile(&h, 100, 1) == 63,
           "a total that is too large ends at the maximum");

    memset(&h, 0, sizeof(hist_t));

    for (i = 0; i < 100; i++) {
        hist_add(&h, i < 95 ? 10 : 1000);
    }

    tap_ok(hist_quantile(&h, 100, 0.95) < 11
           && hist_quantile(&h, 100, 0.951) > 991,
           "0.95 of 100 is rank 95, a bit more is rank 96");

    memset(&h, 0, sizeof(hist_t));

    for (i = 0; i < 4; i++) {
        hist_add(&h, 123456);
    }

    good = 1;

    for (i = 1; i <= 4; i++) {
        good &= (hist_quantile(&h, 4, i / 4.0)
                 == (double) hist_low(412) + 2048 * (i - 0.5) / 4);
    }

    tap_ok(good, "values of one bucket are spread evenly over it");

    memset(&h, 0, sizeof(hist_t));

    for (i = 0; i < VALUES; i++) {
        values[i] = duration();
        hist_add(&h, values[i]);
    }

    good = 1;

    for (i = 0; i <= 1000; i++) {
        many[i] = i / 1000.0;
    }

    hist_quantiles(&h, VALUES, many, 1001, each);

    for (i = 0; i <= 1000; i++) {
        good &= (each[i] == hist_quantile(&h, VALUES, many[i]));
    }

    tap_ok(good, "many quantiles in one pass are those one by one");

    hist_quantiles(&h, VALUES + 5000, many, 1001, each);
    tap_ok(each[1000] == (double) h.max_us && each[0] < 1,
           "those past the values end at the maximum, the others do not");

    qsort(values, VALUES, sizeof(uint64_t), compare);

    worst = 1;
    good = 1;

    for (i = 1; i < 1000; i++) {
        q = i / 1000.0;
        got = hist_quantile(&h, VALUES, q);

        index = hist_index(values[(unsigned) lround(q * VALUES) - 1]);

        worst &= (got > (double) hist_low(index)
                  && got < (double) (hist_low(index) + hist_width(index)));
        good &= (got >= hist_quantile(&h, VALUES, q - 0.001));
    }

    tap_ok(worst, "every quantile is in the bucket of the true one");
    tap_ok(good, "quantiles do not decrease");
}


static void
test_merge(void)
{
    int              good;
    unsigned         i;
    uint64_t         v;
    static hist_t    a, b, both, merged, empty;

    for (i = 0; i < VALUES; i++) {

        /* so that both have octaves of their own */

        if (i % 2 == 0) {
            v = tap_below(1000);
            hist_add(&a, v);

        } else {
            v = duration() + 500;
            hist_add(&b, v);
        }

        hist_add(&both, v);
    }

    hist_merge(&merged, &a);
    tap_ok(memcmp(&merged, &a, sizeof(hist_t)) == 0,
           "merging into an empty one is a copy");

    hist_merge(&merged, &empty);
    tap_ok(memcmp(&merged, &a, sizeof(hist_t)) == 0,
           "merging an empty one changes nothing");

    hist_merge(&merged, &b);
    tap_ok(memcmp(&merged, &both, sizeof(hist_t)) == 0,
           "merged halves are the whole");

    good = 1;

    for (i = 0; i <= 1000; i++) {
        good &= (hist_quantile(&merged, VALUES, i / 1000.0)
                 == hist_quantile(&both, VALUES, i / 1000.0));
    }

    tap_ok(good, "quantiles of merged and of concatenated values are equal");

    hist_subtract(&merged, &a);

    tap_ok(memcmp(merged.count, b.count, sizeof(b.count)) == 0
           && merged.sum_us == b.sum_us && merged.octaves == b.octaves,
           "subtracting undoes merging");
    tap_ok(merged.max_us == both.max_us,
           "the maximum stays that of the newer snapshot");

    hist_subtract(&merged, &b);
    tap_ok(merged.octaves == 0 && merged.sum_us == 0
           && hist_total(&merged) == 0
           && hist_quantile(&merged, 0, 0.5) == 0,
           "a window without values is empty");

    merged = a;
    hist_subtract(&merged, &both);
    tap_ok(hist_total(&merged) == 0 && merged.sum_us == 0
           && octaves_are_exact(&merged),
           "snapshots in the wrong order leave 0, not 2^64 less something");

    merged = a;
    hist_subtract(&merged, &empty);
    tap_ok(memcmp(&merged, &a, sizeof(hist_t)) == 0,
           "subtracting an empty one changes nothing");
}


/*
 * One process adds the same duration again and again while this one takes
 * snapshots: none may show more than was added or less than the last one.
 */

static void
test_reader(void)
{
    int             good, status;
    pid_t           pid;
    hist_t         *live;
    unsigned        i, snapshots;
    uint64_t        total, last;
    static hist_t   h;

    live = mmap(NULL, sizeof(hist_t), PROT_READ|PROT_WRITE,
                MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    pid = fork();

    if (pid == 0) {
        for (i = 0; i < 3000000; i++) {
            hist_add(live, 100000);
        }

        _exit(0);
    }

    good = 1;
    last = 0;
    snapshots = 0;

    do {
        memset(&h, 0, sizeof(hist_t));
        hist_merge(&h, live);

        total = hist_total(&h);

        good &= (total >= last && h.sum_us >= total * 100000
                 && (total == 0 || h.max_us == 100000));

        last = total;
        snapshots++;

    } while (waitpid(pid, &status, WNOHANG) == 0);

    memset(&h, 0, sizeof(hist_t));
    hist_merge(&h, live);

    tap_note("%u snapshots", snapshots);
    tap_ok(good, "a snapshot taken while another process writes never goes "
           "back, and its sum covers its counts");
    tap_ok(hist_total(&h) == 3000000 && h.sum_us == UINT64_C(300000000000),
           "what a finished writer has added is seen");

    munmap(live, sizeof(hist_t));
}


/*
 * All start at once, or the first would be over before the last is there.
 */

static void
test_writers(void)
{
    int       good;
    pid_t     pid[WRITERS];
    unsigned  i, n;

    struct {
        hist_t    live;
        unsigned  ready;
    } *shared;

    shared = mmap(NULL, sizeof(*shared), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    for (n = 0; n < WRITERS; n++) {
        pid[n] = fork();

        if (pid[n] == 0) {
            __atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);

            while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < WRITERS)
            {
                sched_yield();
            }

            for (i = 0; i < ADDITIONS; i++) {
                hist_shared(&shared->live, i % 200 + n);
            }

            _exit(0);
        }
    }

    for (n = 0; n < WRITERS; n++) {
        waitpid(pid[n], NULL, 0);
    }

    /* 0..199 has the mean 99.5, writer n adds n */

    good = (hist_total(&shared->live) == WRITERS * ADDITIONS
            && shared->live.sum_us == WRITERS * ADDITIONS * (99.5 + 1.5)
            && shared->live.max_us == 199 + WRITERS - 1);

    tap_ok(good && octaves_are_exact(&shared->live),
           "%d writers of one histogram lose nothing", WRITERS);

    munmap(shared, sizeof(*shared));
}


int
main(void)
{
    test_index();
    test_add();
    test_quantile();
    test_merge();
    test_reader();
    test_writers();

    return tap_done();
}
