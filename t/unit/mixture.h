
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Mixtures over the probability of a failure, written down from the textbook
 * and checked against published figures (published.c).  The tests check the
 * module against them; the module itself needs none of them.
 *
 * Each is the logarithm of the likelihood of "f" failures in "n" events,
 * averaged over a Beta(a, b) distribution of their probability, over that of
 * the probability "p".
 */


#ifndef MIXTURE_H_INCLUDED
#define MIXTURE_H_INCLUDED


#include <math.h>


static inline double
mixture_lbeta(double a, double b)
{
    return lgamma(a) + lgamma(b) - lgamma(a + b);
}


/*
 * The logarithm of the upper tail, above "x", of a Beta(a, b) distribution:
 * its density is integrated in the logarithm of the odds, where it falls off
 * at both ends at least as exp(-min(a, b) |t|) does.
 */
static inline double
mixture_ltail(double x, double a, double b)
{
    double    t, start, end, step, sum, log_density, peak;
    unsigned  i, steps;

    start = log(x) - log1p(-x);

    /* past the peak it falls off as a normal one, then exponentially */

    peak = log(a / b);
    end = fmax(start, peak) + 10 * sqrt(1 / a + 1 / b) + 40 / b;

    steps = 5000;
    step = (end - start) / steps;
    peak = (start > peak) ? start : peak;
    log_density = -a * log1p(exp(-peak)) - b * log1p(exp(peak));
    sum = 0;

    /* Simpson's rule */

    for (i = 0; i <= steps; i++) {
        t = start + i * step;

        sum += exp(-a * log1p(exp(-t)) - b * log1p(exp(t)) - log_density)
               * (i == 0 || i == steps ? 1 : i % 2 == 0 ? 2 : 4);
    }

    return log(sum * step / 3) + log_density - mixture_lbeta(a, b);
}


/*
 * Over all probabilities.
 */
static inline double
mixture_both(double n, double f, double p, double a, double b)
{
    return mixture_lbeta(a + f, b + n - f) - mixture_lbeta(a, b)
           - (f > 0 ? f * log(p) : 0) - (n > f ? (n - f) * log1p(-p) : 0);
}


/*
 * Over those above "p".
 */
static inline double
mixture_above(double n, double f, double p, double a, double b)
{
    return mixture_both(n, f, p, a, b)
           + mixture_ltail(p, a + f, b + n - f) - mixture_ltail(p, a, b);
}


#endif /* MIXTURE_H_INCLUDED */
