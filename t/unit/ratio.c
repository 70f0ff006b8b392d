
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_ratio.h"
#include "tap.h"


#define ROUNDS  200000
#define MOST    ((UINT64_C(1) << 43) - 1)

#define greater  ngx_http_async_upload_ratio_greater
#define below    ngx_http_async_upload_ratio_below
#define above    ngx_http_async_upload_ratio_above
#define points   ngx_http_async_upload_ratio_points
#define ppm      ngx_http_async_upload_ratio_ppm


typedef unsigned __int128  wide_t;


/* of any size: as many small numbers as large ones */

static uint64_t
any(void)
{
    return tap_random() >> tap_below(64);
}


static uint64_t
any_whole(void)
{
    uint64_t  n;

    n = any();

    return n ? n : 1;
}


static void
test_greater(void)
{
    int       good, near;
    uint64_t  a, b, c, d, k, last, next;
    unsigned  i, ones;

    good = 1;
    near = 1;

    for (i = 0; i < ROUNDS; i++) {
        a = any();
        b = any_whole();
        c = any();
        d = any_whole();

        good &= (greater(a, b, c, d) == ((wide_t) a * d > (wide_t) c * b));

        /* the same fraction, and its neighbours */

        k = 1 + tap_below(UINT64_C(1) << 31);
        a = (a >> 32) * k;
        b = ((b >> 32) + 1) * k;
        c = a / k;
        d = b / k;

        near &= !greater(a, b, c, d) && !greater(c, d, a, b)
                && greater(a + 1, b, c, d) && !greater(c, d, a + 1, b)
                && (a == 0 || (greater(a, b - 1, c, d)
                               && greater(c, d, a - 1, b)));
    }

    tap_ok(good, "fractions compare as their products of 128 bits do");
    tap_ok(near, "a fraction is not greater than itself, and one part more is");

    /* Fibonacci's numbers: the longest way there is, to a difference of 1 */

    last = 1;
    next = 1;
    ones = 0;
    good = 1;

    while (next <= UINT64_MAX - last) {
        k = last + next;

        /* k / next and next / last lie on either side of the golden ratio */

        good &= (greater(k, next, next, last)
                 == ((wide_t) k * last > (wide_t) next * next))
                && (greater(k, next, next, last)
                    != greater(next, last, k, next));
        ones++;
        last = next;
        next = k;
    }

    tap_ok(good && ones == 91, "also where Euclid's algorithm is slowest");

    tap_ok(greater(UINT64_MAX, 1, UINT64_MAX - 1, 1)
           && greater(1, UINT64_MAX - 1, 1, UINT64_MAX)
           && greater(UINT64_MAX - 1, UINT64_MAX, UINT64_MAX - 2,
                      UINT64_MAX - 1)
           && !greater(UINT64_MAX, UINT64_MAX, 1, 1)
           && !greater(0, 1, 0, UINT64_MAX)
           && greater(1, UINT64_MAX, 0, 1),
           "also the largest numbers there are");
}


static void
test_limit(void)
{
    int       good;
    uint64_t  part, whole;
    uint32_t  limit;
    unsigned  i;

    tap_ok(!below(950, 1000, 950000) && !above(950, 1000, 950000)
           && below(949, 1000, 950000) && above(951, 1000, 950000),
           "95%% exactly is neither below nor above 95%%");

    /* with doubles 1 - 199 / 200 is more than 0.005 */

    tap_ok(!below(199, 200, 995000) && below(198, 199, 995000)
           && !above(1, 200, 5000) && above(1, 199, 5000),
           "no rounding decides about 99.5%%");

    good = 1;

    for (i = 0; i < ROUNDS; i++) {
        whole = any();
        part = whole ? tap_random() % whole + (i & 1) : 0;
        limit = (uint32_t) tap_below(1000001);

        good &= below(part, whole, limit)
                == ((wide_t) part * 1000000 < (wide_t) limit * whole)
                && above(part, whole, limit)
                   == ((wide_t) part * 1000000 > (wide_t) limit * whole);
    }

    tap_ok(good, "limits are exact for counts of any size");

    tap_ok(!below(0, 0, 1000000) && !above(0, 0, 0),
           "0 of 0 is neither below 100%% nor above 0%%");

    tap_ok(!below(0, 1, 0) && !above(0, 1, 0) && !below(1, 1, 1000000)
           && !above(1, 1, 1000000) && above(1, UINT64_MAX, 0)
           && below(UINT64_MAX - 1, UINT64_MAX, 1000000),
           "nothing is below 0%% or above 100%%");
}


static void
test_points(void)
{
    int       good;
    uint64_t  a, n, b, m;
    uint32_t  p;
    unsigned  i;

    tap_ok(!points(70, 1000, 2, 100, 50000) && points(71, 1000, 2, 100, 50000)
           && !points(6999, 100000, 2, 100, 50000),
           "7%% is not more than 5 points above 2%%, one more is");

    tap_ok(!points(5, 1000, 0, 1, 5000) && points(6, 1000, 0, 1, 5000),
           "0.5%% is not more than 0.5 points above nothing, one more is");

    tap_ok(!points(0, 1000, 1000, 1000, 0) && points(1, 1000, 0, 1000, 0)
           && !points(1, 1, 1, 1, 0) && !points(1, 1, 950, 1000, 50000)
           && points(1, 1, 949, 1000, 50000),
           "no points, and points up to 100%%");

    tap_ok(!points(0, 0, 0, 100, 0) && !points(100, 100, 0, 0, 0)
           && !points(0, 0, 0, 0, 0),
           "no rate is above nothing, and none is above no rate");

    good = 1;

    for (i = 0; i < ROUNDS; i++) {
        n = any_whole();
        a = tap_random() % n + (i & 1);
        m = 1 + (any() & (MOST - 1));
        b = tap_random() % m + (i >> 1 & 1);
        p = (uint32_t) tap_below(1000001);

        /* the largest product has 128 bits, if the counts have 43 */

        n = 1 + (n & (MOST - 1));
        a %= n + 1;

        good &= points(a, n, b, m, p)
                == ((wide_t) a * m * 1000000
                    > ((wide_t) b * 1000000 + (wide_t) p * m) * n);
    }

    tap_ok(good, "points are exact for counts of 43 bits");

    tap_ok(!points(MOST, MOST, MOST, MOST, 1000000)
           && !points(MOST, MOST, 0, MOST, 1000000)
           && points(MOST, MOST, 0, MOST, 999999)
           && points(1, UINT64_MAX, 0, MOST, 0),
           "also at the largest of them");
}


static void
test_ppm(void)
{
    tap_ok(ppm(0, 0) == 0 && ppm(0, 7) == 0 && ppm(7, 7) == 1000000
           && ppm(199, 200) == 995000 && ppm(1, 200) == 5000
           && ppm(1, 8000000) == 0.125
           && ppm(UINT64_MAX, UINT64_MAX) == 1000000,
           "a rate to be read is in parts of a million");
}


int
main(void)
{
    test_greater();
    test_limit();
    test_points();
    test_ppm();

    return tap_done();
}
