
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * xoshiro256**, seeded by splitmix64, both by David Blackman and Sebastiano
 * Vigna and in the public domain; written anew.
 */


#include <math.h>

#include "simulate.h"


#define VARIATES  65536


static double  variates[VARIATES];


static uint64_t
split(uint64_t *state)
{
    uint64_t  z;

    *state += UINT64_C(0x9e3779b97f4a7c15);

    z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);

    return z ^ (z >> 31);
}


void
random_seed(random_t *r, uint64_t seed, uint64_t scenario, uint64_t run)
{
    uint64_t  state;
    unsigned  i;

    state = seed;
    state = split(&state) + scenario;
    state = split(&state) + run;

    for (i = 0; i < 4; i++) {
        r->state[i] = split(&state);
    }
}


static inline uint64_t
rotate(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}


uint64_t
random_bits(random_t *r)
{
    uint64_t  result, t, *s;

    s = r->state;

    result = rotate(s[1] * 5, 7) * 9;
    t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);

    return result;
}


double
random_uniform(random_t *r)
{
    return ((double) (random_bits(r) >> 12) + 0.5) * 0x1p-52;
}


double
random_wait(random_t *r)
{
    return -log(random_uniform(r));
}


uint64_t
random_before(random_t *r, double p)
{
    double  n;

    if (p <= 0) {
        return UINT32_MAX;
    }

    if (p >= 1) {
        return 0;
    }

    n = floor(log(random_uniform(r)) / log1p(-p));

    return (n < UINT32_MAX) ? (uint64_t) n : UINT32_MAX;
}


/* by bisection of the distribution */

double
random_quantile(double q)
{
    double    low, high, middle;
    unsigned  i;

    low = -10;
    high = 10;

    for (i = 0; i < 60; i++) {
        middle = (low + high) / 2;

        if (0.5 * erfc(-middle / sqrt(2)) < q) {
            low = middle;

        } else {
            high = middle;
        }
    }

    return low;
}


void
random_init(void)
{
    unsigned  i;

    for (i = 0; i < VARIATES; i++) {
        variates[i] = exp(random_quantile((i + 0.5) / VARIATES));
    }
}


double
random_lognormal(random_t *r, double sigma)
{
    double  x;

    x = variates[random_bits(r) % VARIATES];

    /* the two that are used */

    if (sigma == 1) {
        return x;
    }

    if (sigma == 0.5) {
        return sqrt(x);
    }

    return pow(x, sigma);
}
