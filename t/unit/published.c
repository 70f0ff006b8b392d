
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Figures that others have published, computed anew: those of mixtures by
 * mixture.h, which the module is checked against, the others here.  They are
 * checks of the tests' own mathematics, not of the module.
 *
 * A mixture's parameters are given there as the deviation s = f - n p and the
 * variance v = n p (1 - p), its distribution by the variance and the alpha
 * that it is best for.
 */


#include <math.h>
#include <string.h>

#include "mixture.h"
#include "vectors.h"


/* the last digit of what is published with six of them, rounded or cut */

#define PUBLISHED  1e-6

#define MAX_ARMS   4


typedef struct {
    double  n;
    double  f;
    double  p;
    double  a;
    double  b;
} mix_t;


typedef double (*level_pt)(double x, const double *arg);


static double
best_rho(double v, double alpha)
{
    double  x;

    x = 2 * log(1 / alpha);

    return v / (x + log1p(x));
}


static double
normal_bound(double v, double alpha, double v_best)
{
    double  rho;

    rho = best_rho(v_best, alpha);

    return sqrt((v + rho) * log((v + rho) / (rho * alpha * alpha)));
}


/* alpha is twice as large for a mixture of one side */

static mix_t
mix(double s, double v, double v_best, double alpha, double p)
{
    mix_t   m;
    double  r;

    r = fmax(best_rho(v_best, alpha) - p * (1 - p), 1e-3 * p * (1 - p));

    m.p = p;
    m.n = v / (p * (1 - p));
    m.f = m.n * p + s;
    m.a = r / (1 - p);
    m.b = r / p;

    return m;
}


static double
mix_one_sided(double s, double v, double v_best, double p)
{
    mix_t  m;

    m = mix(s, v, v_best, 2 * 0.05, p);

    return mixture_above(m.n, m.f, m.p, m.a, m.b);
}


static double
mix_two_sided(double s, double v, double v_best, double p)
{
    mix_t  m;

    m = mix(s, v, v_best, 0.05, p);

    return mixture_both(m.n, m.f, m.p, m.a, m.b);
}


/* where a function reaches ln(1 / 0.05), between a lower and a higher one */

static double
solve(level_pt level, const double *arg, double below, double above)
{
    double    middle;
    unsigned  i;

    middle = 0;

    for (i = 0; i < 60; i++) {
        middle = (below + above) / 2;

        if (level(middle, arg) < log(1 / 0.05)) {
            below = middle;

        } else {
            above = middle;
        }
    }

    return middle;
}


/* arg: v, v_best, p */

static double
level_one_sided(double s, const double *arg)
{
    return mix_one_sided(s, arg[0], arg[1], arg[2]);
}


/* arg: n, f, how many trials the interval is best for */

static double
level_interval(double p, const double *arg)
{
    double  v;

    v = p * (1 - p);

    return mix_two_sided(arg[1] - arg[0] * p, arg[0] * v, arg[2] * v, p);
}


static int
check_interval(const json_t *value, const char *where, double n, double f,
    double n_best)
{
    double  arg[3] = { n, f, n_best };

    return fabs(json_number_value(json_array_get(value, 0))
                - solve(level_interval, arg, f / n, 1e-9)) <= PUBLISHED
           && fabs(json_number_value(json_array_get(value, 1))
                   - solve(level_interval, arg, f / n, 1 - 1e-9)) <= PUBLISHED
           ? 1 : mismatch(where, "the interval differs");
}


/*
 * Two samples of 1000 successive integers, the second is shifted: what speaks
 * least against a common median counts.  At a value that both have, one may
 * take it as below the median and the other as above.
 */

static double
quantile_p_value(int shift)
{
    int     k;
    double  sum, least;

    least = INFINITY;

    for (k = shift; k <= 1000; k++) {
        sum = mix_two_sided(k - 500, 250, 25, 0.5)
              + mix_two_sided(k - shift + 1 - 500, 250, 25, 0.5);
        least = fmin(least, sum);
    }

    return fmin(1, exp(-least));
}


static int
check_value(const json_t *value, const char *where, double got)
{
    double  expected;

    expected = json_number_value(value);

    if (json_is_number(value)
        && fabs(expected - got) <= PUBLISHED * fmax(1, fabs(expected)))
    {
        return 1;
    }

    return mismatch(where, "expected %.17g, got %.17g", expected, got);
}


static int
check_confseq(const json_t *row, const char *where)
{
    int          passed;
    size_t       i;
    unsigned     k;
    json_t      *value;
    const char  *name;

    static const double  bound[] = { 100, 100, 0.2 };
    static const int     shifts[] = { 70, 85, 100 };

    name = json_string_value(member(row, where, "f", JSON_STRING));
    value = json_object_get(row, "value");

    if (strncmp(name, "two-sided normal mixture best_rho(", 34) == 0) {
        return check_value(value, where, best_rho(100, 0.05));
    }

    if (strncmp(name, "normal_mixture_bound(", 21) == 0) {
        return check_value(value, where, normal_bound(100, 0.05, 100));
    }

    if (strcmp(name, "beta_binomial_log_mixture(10,100,100,.2,.8) one-sided")
        == 0)
    {
        return check_value(value, where, mix_one_sided(10, 100, 100, 0.2));
    }

    if (strcmp(name, "beta_binomial_log_mixture two-sided") == 0) {
        return check_value(value, where, mix_two_sided(10, 100, 100, 0.2));
    }

    if (strncmp(name, "beta_binomial_mixture_bound(", 28) == 0) {
        return check_value(value, where, solve(level_one_sided, bound, 0, 80));
    }

    if (strcmp(name, "bernoulli_confidence_interval(700,1000,.05,100)") == 0) {
        return check_interval(value, where, 1000, 700, 100);
    }

    if (strcmp(name, "bernoulli_confidence_interval(15,50,.05,50)") == 0) {
        return check_interval(value, where, 50, 15, 50);
    }

    if (strncmp(name, "quantile_ab_p_value p50 ", 24) == 0) {
        passed = (json_array_size(value) == 3);

        for (i = 0; i < 3; i++) {
            k = (unsigned) i;
            passed &= check_value(json_array_get(value, i), where,
                                  quantile_p_value(shifts[k]));
        }

        return passed;
    }

    return mismatch(where, "unknown figure \"%s\"", name);
}


/*
 * The log-probability of counts per arm, batch after batch, under a given
 * distribution and under a Dirichlet prior of ones, which each batch updates.
 */

static int
check_ssrm(const json_t *value, const char *where)
{
    int       passed;
    double    x, m0, m1, total, before;
    double    prior[MAX_ARMS], null[MAX_ARMS];
    size_t    i, k, arms;
    json_t   *batches, *batch, *list;

    list = member(value, where, "null", JSON_ARRAY);
    batches = member(value, where, "batches", JSON_ARRAY);
    arms = json_array_size(list);

    if (arms == 0 || arms > MAX_ARMS) {
        foreign("%s: no valid \"null\"", where);
    }

    for (k = 0; k < arms; k++) {
        prior[k] = 1;
        null[k] = json_number_value(json_array_get(list, k));
    }

    passed = 1;
    m0 = 0;
    m1 = 0;

    json_array_foreach (batches, i, batch) {
        total = 0;
        before = 0;

        for (k = 0; k < arms; k++) {
            x = json_number_value(json_array_get(batch, k));

            m0 += x * log(null[k]) - lgamma(x + 1);
            m1 += lgamma(prior[k] + x) - lgamma(prior[k]) - lgamma(x + 1);

            total += x;
            before += prior[k];
            prior[k] += x;
        }

        m0 += lgamma(total + 1);
        m1 += lgamma(total + 1) + lgamma(before) - lgamma(before + total);

        passed &= equal(json_number_value(json_array_get(
                            json_object_get(value, "log_marginal_M0"), i)),
                        m0, where, "log_marginal_M0");
        passed &= equal(json_number_value(json_array_get(
                            json_object_get(value, "log_marginal_M1"), i)),
                        m1, where, "log_marginal_M1");
    }

    return passed;
}


/* the least and the greatest difference, and the median of all of them */

static int
check_mann_whitney(const json_t *value, const char *where)
{
    int      passed, below, above;
    double   d, e, low, high, middle[2];
    size_t   i, k, m, n;
    json_t  *x, *y, *ci;

    value = member(value, where, "mann_whitney_95ci", JSON_OBJECT);
    x = member(value, where, "experiment", JSON_ARRAY);
    y = member(value, where, "control", JSON_ARRAY);
    ci = member(value, where, "ci", JSON_ARRAY);

#define DIFFERENCE(i) (json_number_value(json_array_get(x, (i) / 4))          \
                       - json_number_value(json_array_get(y, (i) % 4)))

    /* of four and four the 2.5% quantile of the rank sum leaves none out */

    if (json_array_size(x) != 4 || json_array_size(y) != 4) {
        foreign("%s: not four and four", where);
    }

    low = INFINITY;
    high = -INFINITY;
    middle[0] = middle[1] = NAN;
    n = 16;

    for (i = 0; i < n; i++) {
        d = DIFFERENCE(i);

        low = fmin(low, d);
        high = fmax(high, d);

        below = above = 0;

        for (k = 0; k < n; k++) {
            e = DIFFERENCE(k);
            below += (e < d);
            above += (e > d);
        }

        for (m = 0; m < 2; m++) {
            if (below <= (int) (7 + m) && above <= (int) (8 - m)) {
                middle[m] = d;
            }
        }
    }

    passed = equal(json_number_value(json_array_get(ci, 0)), low, where, "ci");
    passed &= equal(json_number_value(json_array_get(ci, 1)), high, where,
                    "ci");
    passed &= equal(member_number(value, where, "estimate"),
                    (middle[0] + middle[1]) / 2, where, "estimate");

    return passed;
}


/* how many times faster than in 30 days a budget burns */

static int
check_burn(const json_t *row, const char *where)
{
    int          n;
    char         unit;
    double       percent, time;
    const char  *budget;

    budget = json_string_value(member(row, where, "budget", JSON_STRING));

    n = sscanf(budget, "%lf%% in %lf%c", &percent, &time, &unit);

    if (n != 3) {
        foreign("%s: no valid \"budget\"", where);
    }

    return equal(member_number(row, where, "burn"),
                 percent / 100 * 30 * 24 / (unit == 'd' ? time * 24 : time),
                 where, "burn");
}


int
row_published(const json_t *row, const char *where)
{
    int          passed;
    size_t       i;
    json_t      *value, *check;
    const char  *name;

    name = json_string_value(member(row, where, "name", JSON_STRING));
    value = json_object_get(row, "value");

    if (strcmp(name, "optimizely_ssrm") == 0) {
        return check_ssrm(value, where);
    }

    if (strcmp(name, "kayenta") == 0) {
        return check_mann_whitney(value, where);
    }

    passed = (json_array_size(value) != 0);

    json_array_foreach (value, i, check) {

        if (strcmp(name, "confseq") == 0) {
            passed &= check_confseq(check, where);

        } else if (strcmp(name, "sre_workbook") == 0) {
            passed &= check_burn(check, where);

        } else {
            passed = 0;
        }
    }

    return passed ? 1 : mismatch(where, "\"%s\" differs or is unknown", name);
}
