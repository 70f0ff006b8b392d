
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_stats.h"


#define NGX_HTTP_ASYNC_UPLOAD_STATS_FIRST   0.5     /* stake of a bet */
#define NGX_HTTP_ASYNC_UPLOAD_STATS_LATER   0.5     /* in a whole horizon */
#define NGX_HTTP_ASYNC_UPLOAD_STATS_CLAMP   600.0   /* ln, of one tick */
#define NGX_HTTP_ASYNC_UPLOAD_STATS_RATIO   1e6     /* cap to threshold */
#define NGX_HTTP_ASYNC_UPLOAD_STATS_MAX     1e30    /* e^600 times that, and
                                                       RATIO, is finite */


/* what has been seen, and how much less likely than that is still likely */

typedef struct {
    double  bad;
    double  good;
    double  observed;    /* bad / (bad + good) */
    double  bound;       /* ln, below 0 */
} ngx_http_async_upload_stats_likely_t;


static void ngx_http_async_upload_stats_pay(
    const ngx_http_async_upload_stats_bet_t *bet,
    ngx_http_async_upload_stats_sh_t *sh, const double *factor);
static double ngx_http_async_upload_stats_clamp(double x, double low,
    double high, double other);
static double ngx_http_async_upload_stats_stirling(double x, double shift);
static double ngx_http_async_upload_stats_gain(double count, double p,
    double observed, double difference);
static int ngx_http_async_upload_stats_inside(
    const ngx_http_async_upload_stats_likely_t *likely, double p);
static double ngx_http_async_upload_stats_bisect(
    const ngx_http_async_upload_stats_likely_t *likely, double inside,
    double outside);
static void ngx_http_async_upload_stats_multiply(double *dst,
    const double *a, const double *b, const double *next, unsigned c);


/* by how much the odds of a failure exceed those at p0, if a bettor is right */

static const double
    ngx_http_async_upload_stats_odds[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS] =
{
    1.25, 1.5, 2, 3, 4, 6, 9, 14, 25, 60, 200, 1000
};


void
ngx_http_async_upload_stats_init(ngx_http_async_upload_stats_bet_t *bet,
    double p0, double horizon, double threshold)
{
    double    m;
    unsigned  i;

    p0 = ngx_http_async_upload_stats_clamp(p0, 0, 1, 1);
    threshold = ngx_http_async_upload_stats_clamp(threshold, 1,
                                            NGX_HTTP_ASYNC_UPLOAD_STATS_MAX, 1);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_STATS_BETS; i++) {
        m = ngx_http_async_upload_stats_odds[i];

        /*
         * With q = m p0 / (1 - p0 + m p0) the quotients that are needed are
         * q / p0 = 1 / (1 - (1 - p0)(1 - 1/m)) and (1 - q) / (1 - p0) =
         * 1 / (1 + (m - 1) p0), which lose nothing at either end of p0.
         */

        bet->rate[i] = m * p0 / (1 + (m - 1) * p0);
        bet->bad[i] = -log1p(-(1 - p0) * (1 - 1 / m));
        bet->good[i] = -log1p((m - 1) * p0);
        bet->lose[i] = exp(bet->good[i]);
        bet->win[i] = exp(bet->bad[i]);
    }

    bet->stake = (horizon >= 1) ? NGX_HTTP_ASYNC_UPLOAD_STATS_LATER / horizon
                                : 0;
    bet->cap = NGX_HTTP_ASYNC_UPLOAD_STATS_RATIO * threshold;
}


void
ngx_http_async_upload_stats_reset(ngx_http_async_upload_stats_sh_t *sh)
{
    memset(sh, 0, sizeof(ngx_http_async_upload_stats_sh_t));
}


void
ngx_http_async_upload_stats_tick(const ngx_http_async_upload_stats_bet_t *bet,
    ngx_http_async_upload_stats_sh_t *sh, uint64_t bad, uint64_t good)
{
    double  weight[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];

    if (bad == 0 && good == 0) {
        return;
    }

    /* what happens most often is known beforehand */

    if (bad == 0 && good == 1) {
        ngx_http_async_upload_stats_pay(bet, sh, bet->lose);
        return;
    }

    if (bad == 1 && good == 0) {
        ngx_http_async_upload_stats_pay(bet, sh, bet->win);
        return;
    }

    memset(weight, 0, sizeof(weight));

    ngx_http_async_upload_stats_weigh(bet, weight, bad, good);
    ngx_http_async_upload_stats_take(bet, sh, weight);
}


void
ngx_http_async_upload_stats_weigh(const ngx_http_async_upload_stats_bet_t *bet,
    double *weight, uint64_t bad, uint64_t good)
{
    double    nbad, ngood;
    unsigned  i;

    nbad = (double) bad;
    ngood = (double) good;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_STATS_BETS; i++) {
        weight[i] += nbad * bet->bad[i] + ngood * bet->good[i];
    }
}


void
ngx_http_async_upload_stats_take(const ngx_http_async_upload_stats_bet_t *bet,
    ngx_http_async_upload_stats_sh_t *sh, const double *weight)
{
    double    factor[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];
    unsigned  i;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_STATS_BETS; i++) {
        factor[i] = exp(fmin(weight[i], NGX_HTTP_ASYNC_UPLOAD_STATS_CLAMP));
    }

    ngx_http_async_upload_stats_pay(bet, sh, factor);
}


/* the end of a tick: each bet is multiplied by its factor */

static void
ngx_http_async_upload_stats_pay(const ngx_http_async_upload_stats_bet_t *bet,
    ngx_http_async_upload_stats_sh_t *sh, const double *factor)
{
    double    x, stake, max;
    unsigned  i;

    stake = (sh->ticks == 0) ? NGX_HTTP_ASYNC_UPLOAD_STATS_FIRST : bet->stake;

    sh->ticks++;

    max = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_STATS_BETS; i++) {
        sh->held[i] = (sh->held[i] + stake) * factor[i];
        max = (sh->held[i] > max) ? sh->held[i] : max;
    }

    if (max > bet->cap) {
        x = bet->cap / max;

        for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_STATS_BETS; i++) {
            sh->held[i] *= x;
        }
    }
}


double
ngx_http_async_upload_stats_evidence(const ngx_http_async_upload_stats_sh_t *sh)
{
    double    sum;
    unsigned  i;

    sum = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_STATS_BETS; i++) {
        sum += sh->held[i];
    }

    return sum / NGX_HTTP_ASYNC_UPLOAD_STATS_BETS;
}


double
ngx_http_async_upload_stats_rate(const ngx_http_async_upload_stats_bet_t *bet,
    const ngx_http_async_upload_stats_sh_t *sh)
{
    double    sum, weighed;
    unsigned  i;

    sum = 0;
    weighed = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_STATS_BETS; i++) {
        sum += sh->held[i];
        weighed += sh->held[i] * bet->rate[i];
    }

    return (sum > 0) ? weighed / sum : 0;
}


ngx_http_async_upload_stats_verdict_e
ngx_http_async_upload_stats_verdict(
    const ngx_http_async_upload_stats_rule_t *rule,
    ngx_http_async_upload_stats_rule_sh_t *sh, double evidence, double rate,
    uint64_t bad, uint64_t now_ms)
{
    uint64_t  age_ms;

    sh->failures += bad;

    if (!(evidence >= rule->threshold && rate > rule->limit)) {
        sh->pending = 0;
        sh->confirmed = 0;

        return (evidence >= rule->threshold)
               ? NGX_HTTP_ASYNC_UPLOAD_STATS_REVIEW
               : NGX_HTTP_ASYNC_UPLOAD_STATS_NONE;
    }

    /* only failures begin and confirm */

    if (bad != 0) {

        if (!sh->pending) {
            sh->pending = 1;
            sh->since_ms = now_ms;

        } else {
            age_ms = (now_ms > sh->since_ms) ? now_ms - sh->since_ms : 0;

            if (age_ms >= rule->confirm_ms && sh->failures >= rule->min_fail) {
                sh->confirmed = 1;
            }
        }
    }

    return sh->confirmed ? NGX_HTTP_ASYNC_UPLOAD_STATS_ROLLBACK
                         : NGX_HTTP_ASYNC_UPLOAD_STATS_PENDING;
}


void
ngx_http_async_upload_stats_interval(uint64_t n, uint64_t f, double alpha,
    double *low, double *high)
{
    ngx_http_async_upload_stats_likely_t  likely;

    if (f > n) {
        f = n;
    }

    *low = 0;
    *high = 1;

    if (n == 0 || !(alpha > 0)) {
        return;
    }

    if (alpha > 1) {
        alpha = 1;
    }

    likely.bad = (double) f;
    likely.good = (double) (n - f);
    likely.observed = likely.bad / (double) n;

    /*
     * Inside is each p whose likelihood, p^f (1 - p)^(n - f), is more than
     * alpha times its mean over the prior, B(f + 1/2, n - f + 1/2) /
     * B(1/2, 1/2); the denominator is pi.  Both are divided by the likelihood
     * of f / n, or large counts would leave no digits of their difference.
     */

    likely.bound = log(alpha) - log(acos(-1))
                   + ngx_http_async_upload_stats_stirling(likely.bad, 0.5)
                   + ngx_http_async_upload_stats_stirling(likely.good, 0.5)
                   - ngx_http_async_upload_stats_stirling((double) n, 1);

    if (f != 0) {
        *low = ngx_http_async_upload_stats_bisect(&likely, likely.observed,
                                                  0);
    }

    if (f != n) {
        *high = ngx_http_async_upload_stats_bisect(&likely, likely.observed,
                                                   1);
    }
}


/*
 * Let s(i) be the probability of no run in i events, 1 for i < c.  The run
 * ends first at event c with p^c, later at i + c + 1 with s(i) (1 - p) p^c, so
 * the result is p^c (1 + (1 - p) sum of s(i), i < n - c).
 *
 * s is a linear recurrence: s(i) = (1 - p) sum of p^j s(i - 1 - j), j < c.
 * With x for the shift, x^i can be reduced to a polynomial of degree c - 1,
 * the sum of whose coefficients then is s(i).  Power and sum of powers are
 * doubled along the bits of n - c.  All terms are positive: nothing cancels.
 */

double
ngx_http_async_upload_stats_run(double p, uint64_t n, uint64_t c)
{
    int       bit;
    double    first, sum, last;
    double    next[NGX_HTTP_ASYNC_UPLOAD_STATS_RUN];
    double    power[NGX_HTTP_ASYNC_UPLOAD_STATS_RUN];
    double    powers[NGX_HTTP_ASYNC_UPLOAD_STATS_RUN];
    double    product[NGX_HTTP_ASYNC_UPLOAD_STATS_RUN];
    uint64_t  rest;
    unsigned  i, k;

    p = ngx_http_async_upload_stats_clamp(p, 0, 1, 1);

    if (c == 0) {
        return 1;
    }

    if (n < c) {
        return 0;
    }

    first = pow(p, (double) c);
    rest = n - c;

    if (c > NGX_HTTP_ASYNC_UPLOAD_STATS_RUN) {
        return fmin(1, first * (1 + (1 - p) * (double) rest));
    }

    k = (unsigned) c;

    /* x^k is the sum of next[i] x^i */

    next[k - 1] = 1 - p;

    for (i = k - 1; i-- > 0; ) {
        next[i] = next[i + 1] * p;
    }

    /* x^0, and the sum of none */

    memset(power, 0, sizeof(power));
    memset(powers, 0, sizeof(powers));
    power[0] = 1;

    for (bit = 63; bit >= 0; bit--) {

        ngx_http_async_upload_stats_multiply(product, powers, power, next, k);

        for (i = 0; i < k; i++) {
            powers[i] += product[i];
        }

        ngx_http_async_upload_stats_multiply(power, power, power, next, k);

        if (!(rest >> bit & 1)) {
            continue;
        }

        for (i = 0; i < k; i++) {
            powers[i] += power[i];
        }

        last = power[k - 1];

        for (i = k - 1; i > 0; i--) {
            power[i] = power[i - 1] + last * next[i];
        }

        power[0] = last * next[0];
    }

    sum = 0;

    for (i = 0; i < k; i++) {
        sum += powers[i];
    }

    return fmin(1, first * (1 + (1 - p) * sum));
}


static double
ngx_http_async_upload_stats_clamp(double x, double low, double high,
    double other)
{
    if (isnan(x)) {
        return other;
    }

    return (x < low) ? low : (x > high) ? high : x;
}


/*
 * ln(Gamma(x + shift)) - x ln(x) + x, where shift is 1/2 or 1: a small number
 * that Stirling's series has without the difference of large ones.
 */

static double
ngx_http_async_upload_stats_stirling(double x, double shift)
{
    int     sign;
    double  y;

    if (x < 100) {

        /* lgamma() would leave the sign in a global */

        return lgamma_r(x + shift, &sign) - (x > 0 ? x * log(x) : 0) + x;
    }

    y = 1 / (x * x);

    /* acos(-1) is pi */

    if (shift == 1) {
        return 0.5 * log(2 * acos(-1) * x)
               + (1 / 12.0 - (1 / 360.0 - y / 1260) * y) / x;
    }

    return 0.5 * log(2 * acos(-1))
           - (1 / 24.0 - (7 / 2880.0 - y * 31 / 40320) * y) / x;
}


/*
 * By how much "count" events of the probability "p" are more likely than if it
 * were the observed one, as a logarithm; "difference" is p - observed.
 */

static double
ngx_http_async_upload_stats_gain(double count, double p, double observed,
    double difference)
{
    if (count > 0) {
        return count * (fabs(difference) < 0.5 * observed
                        ? log1p(difference / observed) : log(p / observed));
    }

    return 0;
}


static int
ngx_http_async_upload_stats_inside(
    const ngx_http_async_upload_stats_likely_t *likely, double p)
{
    double  difference;

    difference = p - likely->observed;

    return ngx_http_async_upload_stats_gain(likely->bad, p, likely->observed,
                                            difference)
           + ngx_http_async_upload_stats_gain(likely->good, 1 - p,
                                              1 - likely->observed,
                                              -difference)
           > likely->bound;
}


/*
 * Halves until there is no number in between: some 60 steps, at most the 1100
 * that lead to the least number above 0.
 */

static double
ngx_http_async_upload_stats_bisect(
    const ngx_http_async_upload_stats_likely_t *likely, double inside,
    double outside)
{
    double  middle;

    for ( ;; ) {
        middle = (inside + outside) / 2;

        if (middle == inside || middle == outside) {
            return outside;
        }

        if (ngx_http_async_upload_stats_inside(likely, middle)) {
            inside = middle;

        } else {
            outside = middle;
        }
    }
}


/* dst may be a or b; all have "c" coefficients */

static void
ngx_http_async_upload_stats_multiply(double *dst, const double *a,
    const double *b, const double *next, unsigned c)
{
    double    product[2 * NGX_HTTP_ASYNC_UPLOAD_STATS_RUN];
    unsigned  i, j;

    memset(product, 0, sizeof(product));

    for (i = 0; i < c; i++) {
        for (j = 0; j < c; j++) {
            product[i + j] += a[i] * b[j];
        }
    }

    for (i = 2 * c - 2; i >= c; i--) {
        for (j = 0; j < c; j++) {
            product[i - c + j] += product[i] * next[j];
        }
    }

    memcpy(dst, product, c * sizeof(double));
}
