
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_http_async_upload_stats.h"
#include "mixture.h"
#include "tap.h"


#define BETS          NGX_HTTP_ASYNC_UPLOAD_STATS_BETS
#define RUN           NGX_HTTP_ASYNC_UPLOAD_STATS_RUN

#define NONE          NGX_HTTP_ASYNC_UPLOAD_STATS_NONE
#define PENDING       NGX_HTTP_ASYNC_UPLOAD_STATS_PENDING
#define REVIEW        NGX_HTTP_ASYNC_UPLOAD_STATS_REVIEW
#define ROLLBACK      NGX_HTTP_ASYNC_UPLOAD_STATS_ROLLBACK

/* how often a correct simulation may fail, if another seed is taken */

#define MISTAKE       1e-6


typedef ngx_http_async_upload_stats_bet_t      bet_t;
typedef ngx_http_async_upload_stats_sh_t       sh_t;
typedef ngx_http_async_upload_stats_rule_t     rule_t;
typedef ngx_http_async_upload_stats_rule_sh_t  rule_sh_t;

#define stats_init      ngx_http_async_upload_stats_init
#define stats_reset     ngx_http_async_upload_stats_reset
#define stats_tick      ngx_http_async_upload_stats_tick
#define stats_weigh     ngx_http_async_upload_stats_weigh
#define stats_take      ngx_http_async_upload_stats_take
#define stats_evidence  ngx_http_async_upload_stats_evidence
#define stats_rate      ngx_http_async_upload_stats_rate
#define stats_verdict   ngx_http_async_upload_stats_verdict
#define stats_interval  ngx_http_async_upload_stats_interval
#define stats_run       ngx_http_async_upload_stats_run


static const double  rates[] = { 0.005, 0.01, 0.05, 0.25, 0.5, 0.95 };

#define RATES  (sizeof(rates) / sizeof(rates[0]))


/* the bettors' odds, as the vectors' meta data have them */

static const double  odds[BETS] = {
    1.25, 1.5, 2, 3, 4, 6, 9, 14, 25, 60, 200, 1000
};


static double
uniform(void)
{
    return (double) (tap_random() >> 11) * 0x1p-53;
}


static int
near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * fabs(b);
}


/*
 * The least number that a binomial count of "n" trials, each with probability
 * "p", exceeds with a probability of MISTAKE at most.
 */

static unsigned
binomial_most(unsigned n, double p)
{
    double    below;
    unsigned  k;

    below = 0;

    for (k = 0; k < n; k++) {
        below += exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0)
                     + k * log(p) + (n - k) * log1p(-p));

        if (below >= 1 - MISTAKE) {
            break;
        }
    }

    return k;
}


static int
finite_state(const bet_t *bet, const sh_t *sh)
{
    double    e, rate;
    unsigned  i;

    for (i = 0; i < BETS; i++) {
        if (!(sh->held[i] >= 0 && sh->held[i] <= bet->cap * (1 + 1e-12))) {
            return 0;
        }
    }

    e = stats_evidence(sh);
    rate = stats_rate(bet, sh);

    return isfinite(e) && e >= 0 && rate >= 0 && rate <= 1;
}


/* one event after the other, by the definition of q and nothing else */

static void
test_definition(void)
{
    int       good, all, unordered;
    sh_t      sh;
    bet_t     bet;
    double    p0, q, o, expected, rate, sum, most, held[BETS];
    unsigned  i, k, n, bad, total, left, round;

    good = 1;
    all = 1;
    unordered = 1;

    for (round = 0; round < 300; round++) {
        p0 = rates[tap_below(RATES)];

        stats_init(&bet, p0, 1000, 1000);
        stats_reset(&sh);

        for (i = 0; i < BETS; i++) {
            held[i] = 0;
        }

        for (k = 0; k < 5; k++) {
            total = (unsigned) tap_below(20) + 1;
            bad = (unsigned) tap_below(total + 1);

            if (p0 < 0.1 && bad > 2) {
                bad = 2;
            }

            /* a random order of the tick's events */

            for (i = 0; i < BETS; i++) {
                held[i] += (k == 0) ? 0.5 : 0.0005;
            }

            for (left = bad, n = total; n > 0; n--) {

                if (tap_below(n) < left) {
                    left--;

                    for (i = 0; i < BETS; i++) {
                        o = odds[i] * p0 / (1 - p0);
                        held[i] *= o / (1 + o) / p0;
                    }

                } else {
                    for (i = 0; i < BETS; i++) {
                        o = odds[i] * p0 / (1 - p0);
                        held[i] *= 1 / (1 + o) / (1 - p0);
                    }
                }
            }

            stats_tick(&bet, &sh, bad, total - bad);

            /* all are cut alike */

            most = 0;

            for (i = 0; i < BETS; i++) {
                most = fmax(most, held[i]);
            }

            for (i = 0; i < BETS; i++) {
                held[i] *= fmin(1, bet.cap / most);
                unordered &= near(sh.held[i], held[i], 1e-10);
            }

            expected = 0;
            sum = 0;
            rate = 0;

            for (i = 0; i < BETS; i++) {
                held[i] = sh.held[i];
                o = odds[i] * p0 / (1 - p0);
                q = o / (1 + o);

                expected += held[i] / BETS;
                sum += held[i];
                rate += held[i] * q;
            }

            good &= near(stats_evidence(&sh), expected, 1e-12);
            all &= near(stats_rate(&bet, &sh), rate / sum, 1e-12);

        }
    }

    tap_ok(unordered, "a tick comes to the same as its events one by one, in "
           "any order");
    tap_ok(good, "the evidence is the mean of what is held");
    tap_ok(all, "the rate is the mean belief, weighed by what is held");
}


/* events of several p0 within a tick, and of one */

static void
test_pieces(void)
{
    int       product, same, one;
    sh_t      a, b, c;
    bet_t     bets[3];
    double    weight[BETS], expected;
    uint64_t  bad[3], good[3];
    unsigned  i, k, round;

    product = 1;
    same = 1;
    one = 1;

    for (round = 0; round < 300; round++) {

        for (k = 0; k < 3; k++) {
            stats_init(&bets[k], rates[tap_below(RATES)], 1000, 1e30);
            bad[k] = tap_below(3);
            good[k] = tap_below(20);
        }

        bad[2]++;

        stats_reset(&a);
        stats_tick(&bets[0], &a, 0, 3);
        b = a;
        c = a;

        memset(weight, 0, sizeof(weight));

        for (k = 0; k < 3; k++) {
            stats_weigh(&bets[k], weight, bad[k], good[k]);
        }

        stats_take(&bets[0], &a, weight);

        for (i = 0; i < BETS; i++) {
            expected = b.held[i] + bets[0].stake;

            for (k = 0; k < 3; k++) {
                expected *= pow(bets[k].win[i], (double) bad[k])
                            * pow(bets[k].lose[i], (double) good[k]);
            }

            product &= near(a.held[i], expected, 1e-10);
        }

        product &= (a.ticks == 2);

        memset(weight, 0, sizeof(weight));
        stats_weigh(&bets[1], weight, bad[1], good[1] + 1);
        stats_take(&bets[1], &b, weight);
        stats_tick(&bets[1], &c, bad[1], good[1] + 1);
        same &= (c.ticks == 2);

        for (i = 0; i < BETS; i++) {
            same &= near(b.held[i], c.held[i], 1e-13);
        }

        /* single events, whose factors are known beforehand */

        memset(weight, 0, sizeof(weight));
        stats_weigh(&bets[2], weight, round % 2, 1 - round % 2);
        stats_take(&bets[2], &b, weight);
        stats_tick(&bets[2], &c, round % 2, 1 - round % 2);

        for (i = 0; i < BETS; i++) {
            one &= near(b.held[i], c.held[i], 1e-13);
        }
    }

    tap_ok(product, "a tick of several p0 comes to the product of all, and is "
           "one tick");
    tap_ok(same, "of one p0 it is as any other");
    tap_ok(one, "a tick of one event likewise");
}


/*
 * All outcomes of 12 ticks of one event: a fair bet gains nothing on the
 * average, so what is expected is just what was put in.
 */

static void
test_fair(void)
{
    int       fair, less, ville;
    sh_t      sh;
    bet_t     bet;
    double    p0, p, e, max, weight, mean, expected, reach[4];
    size_t    i, k;
    unsigned  n, outcome, bit;

    static const double  levels[] = { 1.5, 2, 5, 20 };

    n = 12;
    expected = 0.5 + (n - 1) * 0.5 / n;
    fair = 1;
    less = 1;
    ville = 1;

    for (i = 0; i < 2 * RATES; i++) {
        p0 = rates[i / 2];
        p = (i % 2 == 0) ? p0 : 0.6 * p0;

        stats_init(&bet, p0, n, 1e30);

        mean = 0;
        memset(reach, 0, sizeof(reach));

        for (outcome = 0; outcome < 1U << n; outcome++) {
            stats_reset(&sh);

            weight = 1;
            max = 0;

            for (bit = 0; bit < n; bit++) {
                if (outcome >> bit & 1) {
                    stats_tick(&bet, &sh, 1, 0);
                    weight *= p;

                } else {
                    stats_tick(&bet, &sh, 0, 1);
                    weight *= 1 - p;
                }

                e = stats_evidence(&sh);
                max = fmax(max, e);
            }

            mean += weight * stats_evidence(&sh);

            for (k = 0; k < 4; k++) {
                reach[k] += (max >= levels[k]) ? weight : 0;
            }
        }

        if (i % 2 == 0) {
            fair &= near(mean, expected, 1e-10);

        } else {
            less &= (mean < expected);
        }

        for (k = 0; k < 4; k++) {
            ville &= (reach[k] <= 1 / levels[k]);
        }
    }

    tap_ok(fair, "all outcomes at p0: the evidence is on the average what was "
           "put in");
    tap_ok(less, "below p0 it is less");
    tap_ok(ville, "all outcomes: T is reached with a probability of at most "
           "1/T");
}


/*
 * The same for whole stages, by simulation.  T is 20, so that it happens often
 * enough to tell.
 */

static void
test_ville(void)
{
    sh_t      sh;
    bet_t     bet;
    double    p;
    size_t    i;
    unsigned  run, runs, tick, horizon, hits, most;

    runs = 2000;
    horizon = 500;
    most = binomial_most(runs, 1 / 20.0);

    for (i = 0; i < RATES; i++) {
        stats_init(&bet, rates[i], horizon, 20);
        hits = 0;

        for (run = 0; run < runs; run++) {
            stats_reset(&sh);

            for (tick = 0; tick < horizon; tick++) {

                /* the rate may drift below p0, but every other run is at it */

                p = rates[i] * ((run % 2) ? 1 : 1 - 0.2 * tick / horizon);

                if (uniform() < p) {
                    stats_tick(&bet, &sh, 1, 0);

                } else {
                    stats_tick(&bet, &sh, 0, 1);
                }

                if (stats_evidence(&sh) >= 20) {
                    hits++;
                    break;
                }
            }
        }

        tap_ok(hits <= most, "a healthy arm, p0 %g: evidence 20 in %u of %u "
               "stages, at most %u", rates[i], hits, runs, most);
    }
}


static void
test_monotone(void)
{
    int       more, instead, rescaled, capped;
    sh_t      a, b, c;
    bet_t     bet, free_bet;
    double    p0, p;
    uint64_t  bad, good;
    unsigned  round, tick, changed;

    more = 1;
    instead = 1;
    rescaled = 1;
    capped = 1;

    for (round = 0; round < 2000; round++) {
        p0 = rates[tap_below(RATES)];

        stats_init(&bet, p0, 100, 1e30);
        stats_reset(&a);
        stats_reset(&b);
        stats_reset(&c);

        p = p0 * (round % 3 + 1) / 2;
        changed = (unsigned) tap_below(20);

        for (tick = 0; tick < 20; tick++) {
            bad = (uniform() < p);
            good = tap_below(3);

            stats_tick(&bet, &a, bad, good + 1);

            if (tick == changed) {
                stats_tick(&bet, &b, bad + 1, good);
                stats_tick(&bet, &c, bad + 1, good + 1);

            } else {
                stats_tick(&bet, &b, bad, good + 1);
                stats_tick(&bet, &c, bad, good + 1);
            }

            if (stats_evidence(&b) < stats_evidence(&a) * (1 - 1e-12)) {
                instead = 0;
            }

            if (stats_evidence(&c) < stats_evidence(&a) * (1 - 1e-12)) {
                more = 0;
            }
        }
    }

    tap_ok(more, "one more failure never lowers the evidence");
    tap_ok(instead, "one failure instead of a success neither");

    for (round = 0; round < 300; round++) {
        p0 = rates[tap_below(RATES - 1)];

        stats_init(&bet, p0, 100, 2);
        stats_init(&free_bet, p0, 100, 1e30);
        stats_reset(&a);
        stats_reset(&b);

        /* up to the cap, and then back */

        for (tick = 0; tick < 60; tick++) {
            p = (tick < 30) ? fmin(1, 20 * p0) : p0;
            bad = (uniform() < p);

            stats_tick(&bet, &a, bad, 1 - bad);
            stats_tick(&free_bet, &b, bad, 1 - bad);

            if (stats_evidence(&a) > stats_evidence(&b) * (1 + 1e-12)) {
                rescaled = 0;
            }

            capped &= finite_state(&bet, &a);
        }
    }

    tap_ok(rescaled, "a bet that is cut never has more than one that is not");
    tap_ok(capped, "no bet holds more than the cap");
}


static void
test_state(void)
{
    int       i, finite, nothing;
    sh_t      a, b;
    bet_t     bet, other;
    size_t    k, n;
    double    last;
    uint64_t  most;

    static const double  strange[] = {
        0, 1, -1, 2, NAN, INFINITY, -INFINITY, DBL_MIN, 5e-324, 1 - 0x1p-53,
        0x1p-53, DBL_MAX
    };

    static const uint64_t  counts[] = {
        0, 1, 2, 1000, 1000000, UINT64_C(1) << 53, UINT64_MAX
    };

    memset(&a, 0, sizeof(sh_t));
    stats_init(&bet, 0.005, 86400, 1000);

    tap_ok(stats_evidence(&a) == 0 && stats_rate(&bet, &a) == 0,
           "all zeroes is a detector without evidence");

    stats_tick(&bet, &a, 0, 0);
    tap_ok(a.ticks == 0 && stats_evidence(&a) == 0,
           "a tick without events changes nothing");

    for (i = 0; i < 100; i++) {
        stats_tick(&bet, &a, i % 3 == 0, 2);
    }

    tap_ok(a.ticks == 100, "ticks with events are counted");

    b = a;
    stats_tick(&bet, &a, 0, 0);
    tap_ok(memcmp(&a, &b, sizeof(sh_t)) == 0,
           "also later a tick without events changes nothing");

    stats_reset(&a);
    memset(&b, 0, sizeof(sh_t));
    tap_ok(memcmp(&a, &b, sizeof(sh_t)) == 0, "a reset forgets all");

    stats_tick(&bet, &a, 1, 7);
    stats_tick(&bet, &b, 1, 7);
    tap_ok(memcmp(&a, &b, sizeof(sh_t)) == 0 && a.ticks == 1,
           "after a reset the detector is as a fresh one");

    /* numbers at and past the edges */

    finite = 1;

    for (k = 0; k < sizeof(strange) / sizeof(strange[0]); k++) {
        for (n = 0; n < 3 * 49; n++) {
            stats_init(&bet, n / 49 == 0 ? strange[k] : 0.01,
                       n / 49 == 1 ? strange[k] : 100,
                       n / 49 == 2 ? strange[k] : 1000);
            stats_reset(&a);

            for (i = 0; i < 5; i++) {
                stats_tick(&bet, &a, counts[n % 7], counts[n % 49 / 7]);
                finite &= finite_state(&bet, &a);
                stats_tick(&bet, &a, 1, 3);
                finite &= finite_state(&bet, &a);
            }
        }
    }

    tap_ok(finite, "no p0, horizon, threshold or count makes what is held "
           "infinite or no number");

    stats_init(&bet, 1, 100, 1000);
    stats_init(&other, NAN, 100, 1000);
    stats_reset(&a);
    nothing = (memcmp(&bet, &other, sizeof(bet_t)) == 0);

    for (i = 0; i < 100; i++) {
        stats_tick(&bet, &a, 1000, 0);
        nothing &= (stats_evidence(&a) <= 1);
    }

    tap_ok(nothing, "at a p0 of 1, and where it is no number, nothing is "
           "proven by failures only");

    stats_init(&bet, 0, 100, 1000);
    stats_reset(&a);
    stats_tick(&bet, &a, 1, 1000000);

    last = 0;

    for (i = 0; i < BETS; i++) {
        last += 0.5 * odds[i] / BETS;
    }

    tap_ok(near(stats_evidence(&a), last, 1e-12),
           "at a p0 of 0 a failure counts by the odds, successes nothing");

    stats_init(&bet, -0.5, 100, 1000);
    stats_init(&other, 0, 100, 1000);
    nothing = (memcmp(&bet, &other, sizeof(bet_t)) == 0);
    stats_init(&bet, 1.5, 100, 1000);
    stats_init(&other, 1, 100, 1000);
    nothing &= (memcmp(&bet, &other, sizeof(bet_t)) == 0);
    tap_ok(nothing, "a p0 outside 0..1 is clamped");

    most = 0;

    for (k = 0; k < 3; k++) {
        stats_init(&bet, 0.1, k == 0 ? 0.99 : k == 1 ? NAN : INFINITY, 1000);
        most += (bet.stake != 0);
    }

    tap_ok(most == 0, "a horizon below 1, none and an endless one put in "
           "nothing after the first tick");

    /* both ends of p0 lose no digits: near 1 failures tell hardly anything */

    stats_init(&bet, 1 - 1e-12, 100, 1000);
    tap_ok(near(bet.bad[11], (1 - (1 - 1e-12)) * (1 - 1 / 1000.0), 1e-9)
           && near(bet.bad[0], (1 - (1 - 1e-12)) * (1 - 1 / 1.25), 1e-9),
           "next to 1 a failure's weight keeps its digits");
}


static void
test_verdict(void)
{
    size_t                                 i;
    rule_t                                 rule;
    rule_sh_t                              sh;
    ngx_http_async_upload_stats_verdict_e  got;

    static const struct {
        double       e;
        double       rate;
        uint64_t     bad;
        uint64_t     now_ms;    /* 0: a fresh state */
        unsigned     expected;
        const char  *title;
    } table[] = {
        { 0, 0, 0, 0, NONE, "nothing has happened" },
        { 999.9, 0.9, 1, 1000, NONE, "evidence below the threshold" },
        { 1000, 0.05, 1, 2000, REVIEW, "proof, but a rate at the limit" },
        { 1000, 0.051, 0, 3000, PENDING, "over the limit without a failure" },
        { 1000, 0.051, 1, 9000, PENDING, "which is then the first: no age" },
        { 1000, 0.051, 0, 14000, PENDING, "old enough, but no failure" },
        { 1000, 0.051, 1, 14000, ROLLBACK, "a failure after confirm_ms" },
        { 1000, 0.051, 0, 15000, ROLLBACK, "it stays without failures" },
        { 1000, 0.04, 0, 16000, REVIEW, "until the rate is below the limit" },
        { 1000, 0.06, 1, 17000, PENDING, "and then starts anew" },
        { 999, 0.06, 1, 30000, NONE, "or the evidence below the threshold" },
        { 2000, 0.06, 1, 31000, PENDING, "and then starts anew, too" },
        { 2000, 0.06, 5, 35999, PENDING, "1 ms less than confirm_ms" },
        { 2000, 0.06, 1, 36000, ROLLBACK, "just confirm_ms" },

        { 2000, 0.9, 1, 0, PENDING, "first of three failures" },
        { 2000, 0.9, 1, 9000, PENDING, "second, late enough" },
        { 2000, 0.9, 1, 9001, ROLLBACK, "third" },

        { 2000, 0.9, 500, 0, PENDING, "a burst does not confirm itself" },
        { 2000, 0.9, 0, 90000, PENDING, "nor does silence after it" },
        { 2000, 0.9, 1, 90000, ROLLBACK, "the next failure does" },

        { 1, 0.1, 2, 0, NONE, "failures count from the start" },
        { 2000, 0.9, 1, 10000, PENDING, "third of all, first that is proof" },
        { 2000, 0.9, 1, 15000, ROLLBACK, "and the next" },

        { 2000, 0.9, 3, 0, PENDING, "at the start of the clock" },
        { 0, 0, 0, 1, NONE, "over" },
        { 2000, 0.9, 1, 50000, PENDING, "pending" },
        { 2000, 0.9, 1, 40000, PENDING, "time that goes back is no age" },
        { 2000, 0.9, 1, 55000, ROLLBACK, "time that has come again is" },

        { NAN, 0.9, 1, 0, NONE, "no number is no evidence" },
        { 2000, NAN, 1, 1, REVIEW, "and no rate over the limit" },
        { INFINITY, 1, 1, 2, PENDING, "infinite evidence is evidence" },
    };

    rule.threshold = 1000;
    rule.limit = 0.05;
    rule.min_fail = 3;
    rule.confirm_ms = 5000;

    memset(&sh, 0, sizeof(rule_sh_t));

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {

        if (table[i].now_ms == 0) {
            memset(&sh, 0, sizeof(rule_sh_t));
        }

        got = stats_verdict(&rule, &sh, table[i].e, table[i].rate,
                            table[i].bad, table[i].now_ms);

        tap_ok(got == table[i].expected, "verdict, step %u: %s", (unsigned) i,
               table[i].title);
    }

    rule.confirm_ms = 0;
    rule.min_fail = 0;
    memset(&sh, 0, sizeof(rule_sh_t));

    tap_ok(stats_verdict(&rule, &sh, 1000, 1, 1, 7) == PENDING
           && stats_verdict(&rule, &sh, 1000, 1, 1, 7) == ROLLBACK,
           "without anything to wait for the second tick rolls back");

    tap_ok(NONE < PENDING && PENDING < REVIEW && REVIEW < ROLLBACK,
           "the graver verdict is the larger");
}


static void
test_interval(void)
{
    int       ends, nested, holds, mirrored, ordered;
    double    p, alpha, low, high, wider_low, wider_high, l;
    size_t    k;
    uint64_t  n, f;
    unsigned  i, run, runs, misses, most, bad, exact;

    static const double  truths[] = { 0.002, 0.05, 0.3, 0.9 };

    static const uint64_t  edges[] = {
        1, 2, 3, 1000, 1000000000, UINT64_C(1) << 53, UINT64_MAX
    };

    ends = 1;
    nested = 1;
    holds = 1;
    mirrored = 1;

    for (i = 0; i < 5000; i++) {
        n = 1 + (tap_random() >> 32 >> (12 + tap_below(19)));
        f = (i % 3 == 0) ? tap_below(n + 1) : tap_below(n / 50 + 1);
        alpha = pow(10, -6 * uniform()) / 1.01;

        stats_interval(n, f, alpha, &low, &high);

        p = (double) f / (double) n;
        holds &= (low >= 0 && high <= 1 && low <= p && p <= high);

        /* the ends are where the mixture comes to 1 / alpha */

        if (f != 0) {
            l = mixture_both((double) n, (double) f, low, 0.5, 0.5);
            ends &= (fabs(l + log(alpha)) < 1e-7);

        } else {
            ends &= (low == 0);
        }

        if (f != n && high < 0.999) {
            l = mixture_both((double) n, (double) f, high, 0.5, 0.5);
            ends &= (fabs(l + log(alpha)) < 1e-7);

        } else if (f == n) {
            ends &= (high == 1);
        }

        stats_interval(n, f, alpha / 2, &wider_low, &wider_high);
        nested &= (wider_low <= low && wider_high >= high
                   && (f == 0 || wider_low < low)
                   && (f == n || wider_high > high));

        stats_interval(n, n - f, alpha, &wider_low, &wider_high);
        mirrored &= (fabs(1 - wider_high - low) < 1e-12
                     && fabs(1 - wider_low - high) < 1e-12);
    }

    tap_ok(holds, "the interval holds the observed rate");
    tap_ok(ends, "its ends are where the mixture of likelihoods is 1/alpha");
    tap_ok(nested, "a smaller alpha makes it strictly larger on both sides");
    tap_ok(mirrored, "failures and successes exchanged mirror it");

    /* it is looked at again and again: a miss at any time is a miss */

    alpha = 0.05;
    runs = 600;
    most = binomial_most(runs, alpha);

    for (k = 0; k < sizeof(truths) / sizeof(truths[0]); k++) {
        misses = 0;

        for (run = 0; run < runs; run++) {
            bad = 0;
            exact = 1;

            for (i = 1; i <= 3000; i++) {
                bad += (uniform() < truths[k]);

                if (i < exact) {
                    continue;
                }

                exact = i + 1 + i / 10;

                stats_interval(i, bad, alpha, &low, &high);

                if (truths[k] < low || truths[k] > high) {
                    misses++;
                    break;
                }
            }
        }

        tap_ok(misses <= most, "a rate of %g is ever missed in %u of %u runs "
               "of 3000, at most %u", truths[k], misses, runs, most);
    }

    ordered = 1;

    for (k = 0; k < sizeof(edges) / sizeof(edges[0]); k++) {
        for (i = 0; i < 3; i++) {
            n = edges[k];
            f = (i == 0) ? 0 : (i == 1) ? n / 3 : n;

            stats_interval(n, f, 1e-300, &low, &high);
            p = (double) f / (double) n;
            ordered &= (low >= 0 && low <= p && p <= high && high <= 1);

            stats_interval(n, f, 1, &low, &high);
            ordered &= (low >= 0 && low <= p && p <= high && high <= 1);
        }
    }

    tap_ok(ordered, "also at the largest counts and the least alpha");

    /*
     * Closed forms for large n, where 2 Gamma(n / 2 + 1/2)^2 / Gamma(n + 1)
     * and the like have become simple: no failures, and just as many as
     * successes.
     */

    ends = 1;

    for (p = 1e10; p < 1e15; p *= 10) {
        stats_interval((uint64_t) p, 0, 0.05, &low, &high);
        ends &= (low == 0 && near(high, -expm1((log(0.05) - log(M_PI * p) / 2)
                                               / p), 1e-9));

        stats_interval((uint64_t) p, (uint64_t) p / 2, 0.05, &low, &high);
        l = sqrt(-expm1(2 * (log(0.05) - log(M_PI * p / 2) / 2) / p)) / 2;
        ends &= (near(high - 0.5, l, 1e-6) && near(0.5 - low, l, 1e-6));
    }

    tap_ok(ends, "the largest counts lose no digits");

    /* of one event the mixture is 1 / (2 p) */

    stats_interval(1, 1, 1e-300, &low, &high);
    tap_ok(near(low, 5e-301, 1e-12) && high == 1,
           "nor does the least end");

    stats_interval(0, 0, 0.05, &low, &high);
    tap_ok(low == 0 && high == 1, "no events say nothing");

    stats_interval(100, 5, NAN, &low, &high);
    holds = (low == 0 && high == 1);
    stats_interval(100, 5, 0, &low, &high);
    tap_ok(holds && low == 0 && high == 1,
           "nor does an alpha of 0 or that is no number");

    stats_interval(100, 5, 1, &wider_low, &wider_high);
    stats_interval(100, 5, 7, &low, &high);
    tap_ok(low == wider_low && high == wider_high && low > 0 && high < 1,
           "an alpha over 1 is taken for 1");

    stats_interval(100, 100, 0.05, &wider_low, &wider_high);
    stats_interval(100, 101, 0.05, &low, &high);
    tap_ok(low == wider_low && high == 1, "more failures than events are as "
           "many");
}


/* P(run of c in n) by all outcomes */

static double
run_enumerated(double p, unsigned n, unsigned c)
{
    double    sum, weight;
    unsigned  outcome, bit, run, found;

    sum = 0;

    for (outcome = 0; outcome < 1U << n; outcome++) {
        weight = 1;
        run = 0;
        found = (c == 0);

        for (bit = 0; bit < n; bit++) {
            if (outcome >> bit & 1) {
                weight *= p;
                found |= (++run >= c);

            } else {
                weight *= 1 - p;
                run = 0;
            }
        }

        sum += found ? weight : 0;
    }

    return sum;
}


/* and by the Markov chain of the run's length, step by step */

static double
run_stepwise(double p, unsigned n, unsigned c)
{
    double    state[RUN + 1], back, done;
    unsigned  i, k;

    memset(state, 0, sizeof(state));
    state[0] = 1;
    done = 0;

    for (i = 0; i < n; i++) {
        done += state[c - 1] * p;
        back = 0;

        for (k = 0; k < c; k++) {
            back += state[k] * (1 - p);
        }

        for (k = c - 1; k > 0; k--) {
            state[k] = state[k - 1] * p;
        }

        state[0] = back;
    }

    return done;
}


static void
test_run(void)
{
    int       enumerated, stepwise, monotone, bound;
    double    p, got, last;
    size_t    i;
    unsigned  n, c, run, runs, hits, k, length;

    enumerated = 1;

    for (n = 0; n <= 12; n++) {
        for (c = 0; c <= 14; c++) {
            for (i = 0; i < RATES; i++) {
                got = stats_run(rates[i], n, c);
                last = run_enumerated(rates[i], n, c);

                enumerated &= (fabs(got - last) <= 1e-12 * last);
            }
        }
    }

    tap_ok(enumerated, "runs in up to 12 events: as by all outcomes");

    stepwise = 1;

    for (i = 0; i < 400; i++) {
        p = uniform();
        p = (i % 2) ? p : p * p * p;
        n = 1 + (unsigned) tap_below(i % 10 ? 300 : 20000);
        c = 1 + (unsigned) tap_below(i % 3 ? 8 : RUN);

        stepwise &= near(stats_run(p, n, c), run_stepwise(p, n, c), 1e-10);
    }

    tap_ok(stepwise, "in up to 20000 events: as by the chain step by step");

    monotone = 1;

    for (i = 0; i < RATES; i++) {
        for (c = 1; c <= 6; c++) {
            for (n = 1, last = 0; n < 200; n++) {
                got = stats_run(rates[i], n, c);
                monotone &= (got >= last * (1 - 1e-12)
                             && got <= n * pow(rates[i], c) * (1 + 1e-12)
                             && got <= stats_run(rates[i], n, c - 1)
                                       * (1 + 1e-12)
                             && got <= stats_run(rates[i] * 1.01, n, c)
                                       * (1 + 1e-12));
                last = got;
            }
        }
    }

    tap_ok(monotone, "the probability grows with n and p, falls with c, and is "
           "at most n p^c");

    runs = 20000;
    hits = 0;

    for (run = 0; run < runs; run++) {
        length = 0;

        for (k = 0; k < 100 && length < 3; k++) {
            length = (uniform() < 0.2) ? length + 1 : 0;
        }

        hits += (length == 3);
    }

    p = stats_run(0.2, 100, 3);
    n = binomial_most(runs, p);
    c = runs - binomial_most(runs, 1 - p);

    tap_ok(hits >= c && hits <= n, "three in a row within 100 at 20%%: in %u "
           "of %u simulated runs, %u..%u expected", hits, runs, c, n);

    p = stats_run(0.002, UINT64_C(1000000000000), 5);
    tap_ok(near(p, 1 - exp(-1e12 * pow(0.002, 5) * 0.998), 1e-3),
           "in 1e12 events: as a Poisson process of runs");

    bound = 1;

    for (i = 0; i < 2000; i++) {
        n = 1 + (unsigned) tap_below(1000000);
        got = stats_run(uniform(), n, 1 + tap_below(8));
        bound &= (got >= 0 && got <= 1);
    }

    tap_ok(bound && stats_run(0.5, UINT64_MAX, 3) == 1
           && stats_run(1e-12, UINT64_MAX, 1) > 1 - 1e-6
           && stats_run(0.5, UINT64_MAX, RUN) <= 1,
           "also in the largest number of events it is at most 1");

    tap_ok(stats_run(0, 100, 1) == 0 && stats_run(-1, 100, 1) == 0
           && stats_run(-INFINITY, 100, 1) == 0
           && stats_run(1, 100, 100) == 1 && stats_run(2, 100, 3) == 1
           && stats_run(INFINITY, 100, 3) == 1 && stats_run(NAN, 100, 3) == 1
           && stats_run(NAN, 2, 3) == 0,
           "a probability outside 0..1 is clamped, no number is 1");

    tap_ok(stats_run(0.5, 0, 0) == 1 && stats_run(0.5, 0, 1) == 0
           && stats_run(0.5, 4, 5) == 0 && stats_run(0.5, 5, 5) == 1 / 32.0,
           "no run at all is always there, one that is too long never");

    bound = 1;

    for (n = RUN + 1; n < 1000; n++) {
        got = stats_run(0.95, n, RUN + 1);
        last = run_stepwise(0.95, n, RUN + 1);

        bound &= (got <= 1 && got >= last * (1 - 1e-12)
                  && (n > 2 * RUN || near(got, last, 1e-12)));
    }

    tap_ok(bound, "a run of more than %u gets an upper bound", RUN);
}


int
main(void)
{
    test_definition();
    test_pieces();
    test_fair();
    test_ville();
    test_monotone();
    test_state();
    test_verdict();
    test_interval();
    test_run();

    return tap_done();
}
