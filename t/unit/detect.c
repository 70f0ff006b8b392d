
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_detect.h"
#include "tap.h"


#define SIZES     NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES
#define SLOW      NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW
#define SYNC      NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC
#define ASYNC     NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC
#define BETS      NGX_HTTP_ASYNC_UPLOAD_STATS_BETS

#define S(name)   NGX_HTTP_ASYNC_UPLOAD_STATS_##name
#define R(name)   NGX_HTTP_ASYNC_UPLOAD_DETECT_##name

#define ROUNDS    200
#define TICKS     50


typedef ngx_http_async_upload_guard_conf_t      conf_t;
typedef ngx_http_async_upload_guard_input_t     input_t;
typedef ngx_http_async_upload_detect_sh_t       sh_t;
typedef ngx_http_async_upload_detect_seen_t     seen_t;
typedef ngx_http_async_upload_detect_arm_t      arm_t;
typedef ngx_http_async_upload_detect_bets_t     bets_t;
typedef ngx_http_async_upload_stats_sh_t        stats_t;
typedef ngx_http_async_upload_stats_bet_t       bet_t;

#define stats_init      ngx_http_async_upload_stats_init
#define stats_tick      ngx_http_async_upload_stats_tick
#define stats_evidence  ngx_http_async_upload_stats_evidence


static const double  odds[BETS] = {
    1.25, 1.5, 2, 3, 4, 6, 9, 14, 25, 60, 200, 1000
};


static conf_t   conf;
static sh_t     sh;
static seen_t   seen;
static input_t  in;
static bets_t   bets;


/* the first stage's defaults, a fresh state, nothing seen */

static void
fresh(unsigned share)
{
    memset(&conf, 0, sizeof(conf_t));
    memset(&sh, 0, sizeof(sh_t));
    memset(&seen, 0, sizeof(seen_t));
    memset(&in, 0xff, sizeof(input_t));

    conf.sequential = 1;
    conf.gate_success = 995000;
    conf.gate_error = 5000;
    conf.gate_latency = 1.1;
    conf.rb_success = 950000;
    conf.rb_error = 50000;
    conf.rv_latency = 1.2;
    conf.evidence = 1000;
    conf.horizon = 86400;
    conf.min_failures = 3;
    conf.confirm_ms = 5000;
    conf.proof = 20;
    conf.proof_error = 30000;

    seen.share = share;
}


/* a second goes by */

static void
tick(void)
{
    ngx_http_async_upload_detect_tick(&conf, &bets, &sh, &seen);
    ngx_http_async_upload_detect_fill(&conf, &sh, &in);

    seen.now_ms += 1000;
}


static double
uniform(void)
{
    return (double) (tap_random() >> 11) * 0x1p-53;
}


static double
normal(void)
{
    return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}


static int
near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * fabs(b);
}


static uint64_t
limit(unsigned arm, unsigned size, unsigned k)
{
    return sh.limits.us[arm][size][k];
}


/* an upload succeeds, and is timed by the limits in force */

static void
serve(unsigned arm, unsigned size, double us)
{
    arm_t     *a;
    unsigned   k;

    a = &seen.arm[arm];
    a->success++;
    a->timed[size]++;

    /* of sync only the first two are looked at */

    for (k = 0; k < (arm == SYNC ? 2 : SLOW); k++) {
        a->slow[size][k] += (limit(arm, size, k) != 0
                             && us > (double) limit(arm, size, k));
    }
}


static void
fail(unsigned arm)
{
    seen.arm[arm].failure++;
}


/* all that an arm has finished */

static uint64_t
finished(const arm_t *a)
{
    return a->success + a->failure + a->rejected + a->aborted;
}


static void
test_fresh(void)
{
    int  nothing;

    fresh(100);
    tick();

    nothing = (in.success_verdict == S(NONE) && in.error_verdict == S(NONE)
               && in.success_evidence == 0 && in.error_evidence == 0
               && in.worse == 0 && in.slower == 0 && in.missing == 0
               && in.rejected == 0 && in.aborted == 0 && in.gate_slower == 0
               && in.proof == 0 && in.both == 0 && in.repeated == 0
               && in.success_rate == 0 && in.error_rate == 0);

    tap_ok(nothing && in.two_arm == 1,
           "a fresh state that has seen nothing has no evidence of anything");
}


/* the uploads that guard.md promises */

static void
test_outage(void)
{
    int       first, late;
    unsigned  n;

    fresh(100);
    conf.confirm_ms = 0;

    for (n = 0; n < 100 && in.success_verdict != S(ROLLBACK); n++) {
        fail(ASYNC);
        tick();
    }

    first = (n == 3 && in.error_verdict == S(ROLLBACK));

    fresh(100);
    conf.confirm_ms = 0;

    for (n = 0; n < 20000; n++) {
        serve(ASYNC, 0, 0);
        tick();
    }

    for (n = 0; n < 100 && in.success_verdict != S(ROLLBACK); n++) {
        fail(ASYNC);
        tick();
    }

    late = (n == 6 && in.error_verdict == S(ROLLBACK));

    tap_ok(first, "an outage at the start is confirmed by the third failure");
    tap_ok(late, "after 20000 without a failure by the sixth");

    fresh(100);

    for (n = 0; n < 6; n++) {
        fail(ASYNC);
        tick();
    }

    tap_ok(in.success_verdict == S(PENDING) && in.error_verdict == S(PENDING),
           "what has not lasted is pending");

    fail(ASYNC);
    tick();

    tap_ok(in.success_verdict == S(ROLLBACK)
           && in.error_verdict == S(ROLLBACK),
           "what has lasted 5 seconds no more");
}


/* the two rules have their own p0 and limit */

static void
test_rules(void)
{
    int       good;
    unsigned  n, k;

    fresh(100);
    conf.gate_error = 200000;

    for (n = 0; n < 20; n++) {
        fail(ASYNC);
        serve(ASYNC, 0, 0);
        serve(ASYNC, 0, 0);
        serve(ASYNC, 0, 0);
        tick();
    }

    tap_ok(in.success_verdict == S(ROLLBACK) && in.error_verdict == S(NONE),
           "an error rate of 25%% is no evidence where 20%% are allowed");

    fresh(100);
    conf.rb_success = 100000;
    conf.rb_error = 900000;

    for (n = 0; n < 20; n++) {
        fail(ASYNC);
        serve(ASYNC, 0, 0);
        serve(ASYNC, 0, 0);
        tick();
    }

    tap_ok(in.success_verdict == S(REVIEW) && in.error_verdict == S(REVIEW),
           "beyond the gate, but not beyond rollback's limits, is a review");

    good = 1;

    for (k = 0; k < 2; k++) {
        fresh(100);
        conf.rb_success = k ? 100000 : 950000;
        conf.rb_error = k ? 50000 : 900000;

        for (n = 0; n < 20; n++) {
            fail(ASYNC);
            serve(ASYNC, 0, 0);
            serve(ASYNC, 0, 0);
            tick();
        }

        good &= (in.success_verdict == (k ? S(REVIEW) : S(ROLLBACK))
                 && in.error_verdict == (k ? S(ROLLBACK) : S(REVIEW)));
    }

    tap_ok(good, "each has a limit of its own");

    fresh(100);
    conf.gate_success = 800000;

    for (n = 0; n < 20; n++) {
        fail(ASYNC);
        serve(ASYNC, 0, 0);
        serve(ASYNC, 0, 0);
        serve(ASYNC, 0, 0);
        tick();
    }

    tap_ok(in.success_verdict == S(NONE) && in.error_verdict == S(ROLLBACK),
           "a success rate of 75%% is none where 80%% are asked for");
}


/*
 * Two arms, closed formula: with th = M rho / (M rho + 1 - rho) each bet is
 * multiplied by th / rho for async and (1 - th) / (1 - rho) for sync.
 */

static void
test_two_arm(void)
{
    int       good;
    double    rho, th, expected;
    size_t    i, k;
    unsigned  f1, f0;
    double   *const evidence[] = { &in.worse, &in.rejected, &in.aborted };

    static const unsigned  shares[] = { 50, 100, 1000, 5000, 9000, 9950 };

    good = 1;

    for (i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        for (f1 = 0; f1 < 5; f1++) {
            for (f0 = 0; f0 < 5; f0++) {
                fresh(shares[i]);

                seen.arm[ASYNC].failure = f1;
                seen.arm[SYNC].failure = f0;
                seen.arm[ASYNC].rejected = f1;
                seen.arm[SYNC].rejected = f0;
                seen.arm[ASYNC].aborted = f1;
                seen.arm[SYNC].aborted = f0;

                /* what succeeds is not looked at */

                seen.arm[ASYNC].success = tap_below(1000);
                seen.arm[SYNC].success = tap_below(1000);
                tick();

                rho = shares[i] / 10000.0;
                expected = 0;

                for (k = 0; k < BETS && f1 + f0 != 0; k++) {
                    th = odds[k] * rho / (odds[k] * rho + 1 - rho);
                    expected += 0.5 / BETS * pow(th / rho, f1)
                                * pow((1 - th) / (1 - rho), f0);
                }

                for (k = 0; k < 3; k++) {
                    good &= near(*evidence[k], expected, 1e-10);
                }
            }
        }
    }

    tap_ok(good, "two arms: evidence is that of the closed formula");

    good = 1;

    for (i = 0; i < 4; i++) {
        fresh(i < 2 ? (i == 0 ? 0 : 10000) : 9951);
        seen.arm[ASYNC].failure = 1000;
        seen.arm[ASYNC].rejected = 1000;
        seen.arm[ASYNC].aborted = 1000;
        tick();
        good &= (in.two_arm == 0 && in.worse == 0 && in.rejected == 0
                 && in.aborted == 0);
    }

    tap_ok(good, "at 0%%, at 100%%, and above 99.5%% two arms are not compared");

    fresh(5);
    seen.arm[ASYNC].failure = 2;
    tick();
    rho = in.worse;
    fresh(50);
    seen.arm[ASYNC].failure = 2;
    tick();
    tap_ok(rho == in.worse && in.worse > 1000,
           "a share of 0.05%% is taken for 0.5%%");
}


/* what is bet on comes from earlier ticks alone */

static void
test_share(void)
{
    int       good, late;
    bet_t     bet;
    double    rho;
    stats_t   worse, rejected;
    uint64_t  a, s, f1, f0, r1, r0;
    unsigned  i, k, nominal;

    good = 1;
    late = 1;

    for (i = 0; i < ROUNDS; i++) {
        nominal = (unsigned) tap_below(9999) + 1;

        fresh(nominal);
        memset(&worse, 0, sizeof(stats_t));
        memset(&rejected, 0, sizeof(stats_t));
        a = 0;
        s = 0;

        for (k = 0; k < TICKS; k++) {
            rho = (nominal / 100.0 + (double) a) / (100 + (double) (a + s));

            f1 = tap_below(2);
            f0 = tap_below(2);
            r1 = tap_below(3);
            r0 = tap_below(4);

            seen.arm[ASYNC].failure += f1;
            seen.arm[SYNC].failure += f0;
            seen.arm[ASYNC].rejected += r1;
            seen.arm[SYNC].rejected += r0;
            seen.arm[ASYNC].success += tap_below(20);
            seen.arm[SYNC].success += tap_below(20);
            seen.arm[SYNC].aborted += tap_below(2);
            tick();

            a = finished(&seen.arm[ASYNC]);
            s = finished(&seen.arm[SYNC]);

            if (rho > 0.995) {
                late &= (in.two_arm == 0);
                continue;
            }

            stats_init(&bet, fmax(rho, 0.005), 86400, 1000);
            stats_tick(&bet, &worse, f1, f0);
            stats_tick(&bet, &rejected, r1, r0);

            good &= near(in.worse, stats_evidence(&worse), 1e-12)
                    && near(in.rejected, stats_evidence(&rejected), 1e-12);
        }

        good &= near(ngx_http_async_upload_detect_share(&sh),
                     (double) a / (double) (a + s), 1e-12);
    }

    tap_ok(good && late, "the share is the observed one of earlier ticks, with "
           "the nominal one worth 100 uploads");

    fresh(100);
    tap_ok(ngx_http_async_upload_detect_share(&sh) == 0,
           "nothing has no share");
}


/* failures that one identity has repeated */

static void
test_repeated(void)
{
    double    proof;
    unsigned  i;

    fresh(100);

    for (i = 0; i < 100; i++) {
        fail(ASYNC);
        seen.arm[ASYNC].repeated++;
        tick();
    }

    tap_ok(in.success_evidence == 0 && in.error_evidence == 0 && in.worse == 0
           && in.success_verdict == S(NONE) && in.repeated == 100,
           "what was repeated is no evidence");

    proof = in.proof;

    fresh(100);

    for (i = 0; i < 100; i++) {
        fail(ASYNC);
        tick();
    }

    tap_ok(proof == in.proof && proof > 0 && proof < 1e-3,
           "but it proves no low rate either");

    fresh(5000);
    seen.arm[SYNC].failure = 5;
    seen.arm[SYNC].repeated = 5;
    tick();
    tap_ok(in.worse == 0, "so it is at sync");

    fresh(100);
    fail(ASYNC);
    seen.arm[ASYNC].repeated = 7;
    tick();
    tap_ok(in.success_evidence == 0, "more than all cannot be repeated");
}


/* a proof needs what the formula says, and is lost by failures */

static void
test_proof(void)
{
    int       good;
    double    e, p0, q, o, held[BETS];
    unsigned  k, n;

    fresh(100);
    p0 = 1 - 0.03;
    good = 1;
    e = 0;
    memset(held, 0, sizeof(held));

    for (n = 0; n < 500 && e < 20; n++) {
        serve(ASYNC, 0, 0);
        tick();

        e = 0;

        for (k = 0; k < BETS; k++) {
            o = odds[k] * p0 / (1 - p0);
            q = o / (1 + o);
            held[k] = (held[k] + (n ? 0.5 / 86400 : 0.5)) * q / p0;
            e += held[k] / BETS;
        }

        good &= near(in.proof, e, 1e-9);
    }

    tap_ok(good && n == 143, "143 uploads without a failure prove that fewer "
           "than 3%% fail");

    fail(ASYNC);
    tick();
    tap_ok(in.proof < 20, "one that fails takes it back");

    fresh(100);
    conf.proof = 0;
    seen.arm[ASYNC].success = 100000;
    tick();
    tap_ok(in.proof == 0, "none is made where none is asked for");
}


static void
test_both(void)
{
    int       alone, both;
    unsigned  i;

    fresh(5000);

    for (i = 0; i < 15; i++) {
        fail(ASYNC);
        serve(SYNC, 0, 0);
        tick();
    }

    alone = (in.both == 0 && in.worse >= 1000);

    fresh(5000);

    for (i = 0; i < 15; i++) {
        fail(ASYNC);
        fail(SYNC);
        tick();
    }

    both = (in.both == 1 && in.worse < 1000
            && in.success_verdict == S(ROLLBACK));

    fresh(5000);

    for (i = 0; i < 15; i++) {
        serve(ASYNC, 0, 0);
        fail(SYNC);
        tick();
    }

    tap_ok(alone && both && in.both == 0, "both arms fail if there is evidence "
           "against both, async is not worse then");
}


/* sync's quantiles, whatever the latencies are like */

static void
test_estimate(void)
{
    int       found, follows, apart, used, good;
    double    mean, sigma, over[2], us;
    uint64_t  was;
    unsigned  i, k, n, round, size;

    found = 1;
    follows = 1;
    apart = 1;
    used = 0;

    for (round = 0; round < 12; round++) {
        sigma = 0.3 + 0.1 * round;
        size = round % SIZES;

        fresh(round % 2 ? 0 : 100);
        seen.mean_us[size] = 20000;

        for (n = 0; n < 8000; n++) {
            k = (unsigned) tap_below(5);

            for (i = 0; i < k; i++) {
                serve(SYNC, size, 50000 * exp(sigma * normal()));
            }

            tick();
        }

        for (i = 0; i < SIZES; i++) {
            used += (limit(SYNC, i, 0) != 0);
        }

        /* how much is above them? */

        over[0] = 0.5 * erfc(log((double) limit(SYNC, size, 0) / 50000)
                             / sigma / sqrt(2));
        over[1] = 0.5 * erfc(log((double) limit(SYNC, size, 1) / 50000)
                             / sigma / sqrt(2));

        if (!(fabs(over[0] - 0.25) < 0.06 && fabs(over[1] - 0.05) < 0.025)) {
            tap_note("sigma %g: %g and %g above", sigma, over[0], over[1]);
            found = 0;
        }

        apart &= (limit(SYNC, size, 2) == limit(SYNC, size, 0)
                  && limit(SYNC, size, 3) == limit(SYNC, size, 1));

        for (i = 0; i < SLOW && round % 2 == 0; i++) {
            apart &= ((double) limit(ASYNC, size, i)
                      == ceil((i < 2 ? 1.1 : 1.2)
                              * (double) limit(SYNC, size, i)));
        }

        /* three times as slow */

        mean = 0;

        for (n = 0; n < 8000; n++) {
            us = 150000 * exp(sigma * normal());
            mean += us / 8000;
            serve(SYNC, size, us);

            if (n % 3 == 0) {
                tick();
            }
        }

        over[0] = 0.5 * erfc(log((double) limit(SYNC, size, 0) / 150000)
                             / sigma / sqrt(2));
        over[1] = 0.5 * erfc(log((double) limit(SYNC, size, 1) / 150000)
                             / sigma / sqrt(2));

        follows &= (fabs(over[0] - 0.25) < 0.06
                    && fabs(over[1] - 0.05) < 0.03);
    }

    tap_ok(found, "sync's p75 and p95 are estimated, with async or without");
    tap_ok(follows, "and followed");
    tap_ok(apart, "async's limits are 110%% and 120%% of them");
    tap_ok(used == 12, "a size without uploads has no limits");

    /* a million a second, at first a thousand times too low */

    fresh(0);
    seen.mean_us[2] = 100;
    tick();

    good = 1;

    for (n = 0; n < 60; n++) {
        was = limit(SYNC, 2, 0);
        k = (limit(SYNC, 2, 0) < 80000) ? 1000000
            : (limit(SYNC, 2, 0) < 120000) ? 250000 : 0;
        i = (limit(SYNC, 2, 1) < 180000) ? 1000000
            : (limit(SYNC, 2, 1) < 220000) ? 50000 : 0;

        seen.arm[SYNC].timed[2] += 1000000;
        seen.arm[SYNC].slow[2][0] += k;
        seen.arm[SYNC].slow[2][1] += i;
        tick();
        good &= (limit(SYNC, 2, 0) <= was * 3);
    }

    tap_ok(good, "one tick moves an estimate by a factor of 2.72 at most");

    tap_ok(limit(SYNC, 2, 0) >= 80000 && limit(SYNC, 2, 0) <= 120000
           && limit(SYNC, 2, 1) >= 180000 && limit(SYNC, 2, 1) <= 220000,
           "an estimate that is a thousand times too low arrives");

    for (n = 0; n < 100; n++) {
        was = limit(SYNC, 2, 0);
        seen.arm[SYNC].timed[2] += 1000000;
        tick();
        good &= (limit(SYNC, 2, 0) + 1 >= was / 3);
    }

    tap_ok(good, "down, too");
    tap_ok(limit(SYNC, 2, 0) == 1 && limit(SYNC, 2, 1) == 1,
           "it never falls below a microsecond");

    for (n = 0; n < 100; n++) {
        seen.arm[SYNC].timed[2] += 1000000;
        seen.arm[SYNC].slow[2][0] += 1000000;
        seen.arm[SYNC].slow[2][1] += 1000000;
        tick();
    }

    tap_ok(limit(SYNC, 2, 0) == UINT32_MAX && limit(SYNC, 2, 1) == UINT32_MAX,
           "nor rises above 71 minutes");
}


/* latency beside control: a tick of several sizes, each with its own share */

static void
test_slow(void)
{
    int       good;
    bet_t     bet;
    double    rho, size, weight[BETS], e[SLOW];
    stats_t   slow[SLOW];
    uint64_t  a, s;
    unsigned  i, k, n, round;
    arm_t     last[2];

    good = 1;

    for (round = 0; round < ROUNDS; round++) {
        fresh((unsigned) tap_below(9000) + 1);
        memset(slow, 0, sizeof(slow));

        for (i = 0; i < SIZES; i++) {
            seen.mean_us[i] = 1000 * (i + 1);
        }

        tick();

        for (n = 0; n < TICKS; n++) {
            memcpy(last, seen.arm, sizeof(last));

            for (i = 0; i < SIZES; i++) {
                for (k = tap_below(3); k != 0; k--) {
                    serve(ASYNC, i, (double) tap_below(4000 * (i + 1)));
                }

                for (k = tap_below(6); k != 0; k--) {
                    serve(SYNC, i, (double) tap_below(4000 * (i + 1)));
                }
            }

            tick();

            rho = (seen.share / 100.0 + (double) finished(&last[ASYNC]))
                  / (100 + (double) finished(&last[ASYNC])
                     + (double) finished(&last[SYNC]));

            for (k = 0; k < SLOW; k++) {
                memset(weight, 0, sizeof(weight));
                e[k] = 0;

                for (i = 0; i < SIZES; i++) {
                    size = (100 * rho + (double) last[ASYNC].timed[i])
                           / (100 + (double) last[ASYNC].timed[i]
                              + (double) last[SYNC].timed[i]);

                    a = seen.arm[ASYNC].slow[i][k] - last[ASYNC].slow[i][k];
                    s = seen.arm[SYNC].slow[i][k % 2]
                        - last[SYNC].slow[i][k % 2];
                    e[k] += (double) (a + s);

                    stats_init(&bet, fmax(size, 0.005), 86400, 1000);
                    ngx_http_async_upload_stats_weigh(&bet, weight, a, s);
                }

                if (e[k] > 0) {
                    ngx_http_async_upload_stats_take(&bet, &slow[k], weight);
                }

                e[k] = stats_evidence(&slow[k]);
            }

            good &= near(in.gate_slower, fmax(e[0], e[1]), 1e-9)
                    && near(in.slower, fmax(e[2], e[3]), 1e-9);
        }
    }

    tap_ok(good, "slow uploads of both arms: by the share of each size in "
           "earlier ticks");

    for (k = 0; k < 2; k++) {
        fresh(1000);
        conf.gate_latency = k ? 1.1 : 0;
        conf.rv_latency = k ? 0 : 1.2;
        seen.mean_us[0] = 1000;
        tick();

        for (n = 0; n < 20; n++) {
            serve(ASYNC, 0, 1e6);
            tick();
        }

        good &= (k ? (in.slower == 0 && in.gate_slower >= 1000
                      && limit(ASYNC, 0, 2) == 0 && limit(ASYNC, 0, 3) == 0)
                   : (in.gate_slower == 0 && in.slower >= 1000
                      && limit(ASYNC, 0, 0) == 0 && limit(ASYNC, 0, 1) == 0));
    }

    tap_ok(good, "a ratio that is off has no limits and no evidence");

    /* other ratios, at once */

    fresh(1000);
    seen.mean_us[0] = 1000;
    tick();
    good = (limit(SYNC, 0, 0) == 1200 && limit(SYNC, 0, 1) == 2500
            && limit(ASYNC, 0, 0) == 1320 && limit(ASYNC, 0, 3) == 3000);
    conf.gate_latency = 1.5;
    conf.rv_latency = 2;
    tick();

    tap_ok(good && limit(ASYNC, 0, 0) == 1800 && limit(ASYNC, 0, 1) == 3750
           && limit(ASYNC, 0, 2) == 2400 && limit(ASYNC, 0, 3) == 5000,
           "limits follow the ratios, from 120%% and 250%% of the mean on");

    conf.gate_latency = 1.1;
    conf.rv_latency = 0;

    for (n = 0; n < 20; n++) {
        serve(ASYNC, 0, 1e6);
        tick();
    }

    good = (in.gate_slower > 1000);

    /* switched off while there is evidence */

    conf.gate_latency = 0;
    tick();
    tap_ok(good && in.gate_slower == 0, "what is switched off has no evidence "
           "any more");
}


/* latency beside what was recorded */

static void
test_baseline(void)
{
    int       good;
    bet_t     bet[2];
    double    e[SLOW];
    stats_t   slow[SLOW];
    unsigned  i, k, n, round, bad[SLOW], all;
    uint64_t  us;

    good = 1;

    for (round = 0; round < 50; round++) {
        fresh(10000);
        seen.baseline_us[0] = 10000;
        seen.baseline_us[1] = 30000;
        seen.mean_us[3] = 777;

        memset(slow, 0, sizeof(slow));
        stats_init(&bet[0], 0.25, 86400, 1000);
        stats_init(&bet[1], 0.05, 86400, 1000);

        tick();

        for (i = 0; i < SIZES; i++) {
            good &= (limit(ASYNC, i, 0) == 11000 && limit(ASYNC, i, 1) == 33000
                     && limit(ASYNC, i, 2) == 12000
                     && limit(ASYNC, i, 3) == 36000);
        }

        for (n = 0; n < TICKS; n++) {
            memset(bad, 0, sizeof(bad));
            all = (unsigned) tap_below(5);

            for (i = 0; i < all; i++) {
                us = tap_below(40000);
                serve(ASYNC, (unsigned) tap_below(SIZES), (double) us);
                bad[0] += (us > 11000);
                bad[1] += (us > 33000);
                bad[2] += (us > 12000);
                bad[3] += (us > 36000);
            }

            serve(SYNC, 3, 1e9);
            tick();

            for (k = 0; k < SLOW; k++) {
                stats_tick(&bet[k % 2], &slow[k], bad[k], all - bad[k]);
                e[k] = stats_evidence(&slow[k]);
            }

            good &= near(in.gate_slower, fmax(e[0], e[1]), 1e-9)
                    && near(in.slower, fmax(e[2], e[3]), 1e-9);
        }
    }

    tap_ok(good, "without a control all sizes are compared with the baseline");

    fresh(10000);
    tick();

    for (n = 0; n < 50; n++) {
        serve(ASYNC, 0, 1e9);
        tick();
    }

    tap_ok(in.slower == 0 && limit(ASYNC, 0, 0) == 0,
           "without both with nothing");

    /* the share goes from 50% to 100% */

    fresh(5000);
    seen.mean_us[0] = 1000;
    seen.baseline_us[0] = 1000000;
    seen.baseline_us[1] = 2000000;
    tick();
    tick();
    ngx_http_async_upload_detect_restart(&sh);
    memset(seen.arm, 0, sizeof(seen.arm));
    seen.share = 10000;

    for (n = 0; n < 50; n++) {
        serve(ASYNC, 0, 20000);
    }

    tick();
    good = (in.slower == 0 && in.gate_slower == 0);
    tick();

    good &= (in.slower == 0 && limit(ASYNC, 0, 0) == 1100000);
    seen.baseline_us[1] = 3000000;
    tick();
    good &= (limit(ASYNC, 0, 1) - 3300000 <= 1);
    seen.baseline_us[0] = 0;
    tick();

    tap_ok(good && in.slower == 0 && limit(ASYNC, 0, 0) == 0,
           "what was counted by other limits is not held against these");

    tap_ok(near(ngx_http_async_upload_detect_rank(0.75, 10000),
                0.75 + 2.576 * sqrt(0.75 * 0.25 / 10000), 1e-12)
           && ngx_http_async_upload_detect_rank(0.95, 100) == 1
           && ngx_http_async_upload_detect_rank(0.95, 0) == 1,
           "a baseline's quantile is taken from a higher rank");
}


static void
test_restart(void)
{
    int       kept, again;
    sh_t      before;
    unsigned  i;

    fresh(1000);
    seen.mean_us[1] = 5000;
    tick();

    for (i = 0; i < 200; i++) {
        fail(ASYNC);
        serve(SYNC, 1, (double) tap_below(10000));
        seen.arm[ASYNC].rejected++;
        seen.arm[ASYNC].aborted++;
        serve(ASYNC, 1, 100000);
        tick();
    }

    before = sh;
    ngx_http_async_upload_detect_restart(&sh);
    kept = (memcmp(&before.limits, &sh.limits, sizeof(sh.limits)) == 0);

    memset(&before, 0, sizeof(sh_t));
    before.limits = sh.limits;

    ngx_http_async_upload_detect_fill(&conf, &sh, &in);

    tap_ok(kept && memcmp(&before, &sh, sizeof(sh_t)) == 0
           && in.success_evidence == 0 && in.slower == 0,
           "an observation starts with the limits alone");

    /* the counts go back */

    fresh(1000);
    seen.arm[ASYNC].failure = 100;
    seen.arm[ASYNC].success = 1000;
    tick();
    before = sh;
    seen.arm[ASYNC].failure = 10;
    seen.arm[ASYNC].success = 100;
    tick();
    again = (memcmp(&before.success, &sh.success, sizeof(stats_t)) == 0);
    seen.arm[ASYNC].success = 101;
    tick();
    again &= (sh.success.ticks == before.success.ticks + 1);

    tap_ok(again, "counts that were lost are no events");
}


/* one memory of bets for several rollouts */

static void
test_bets(void)
{
    int       good;
    sh_t      shared[3], own[3];
    conf_t    confs[3];
    seen_t    seens[3];
    bets_t    one, many[3];
    unsigned  i, k;

    memset(&one, 0, sizeof(one));
    memset(many, 0, sizeof(many));
    memset(shared, 0, sizeof(shared));
    memset(own, 0, sizeof(own));

    for (i = 0; i < 3; i++) {
        fresh(100 * (i + 1));
        confs[i] = conf;
        seens[i] = seen;
        seens[i].mean_us[0] = 1000;
    }

    confs[1].gate_success = 990000;
    confs[1].proof = 10;
    confs[2].horizon = 100;
    confs[2].evidence = 50;

    for (k = 0; k < 300; k++) {
        for (i = 0; i < 3; i++) {
            seens[i].arm[ASYNC].success += tap_below(10);
            seens[i].arm[ASYNC].failure += tap_below(100) < 2;
            seens[i].arm[SYNC].failure += tap_below(100) < 5;
            seens[i].arm[SYNC].timed[0] += 4;
            seens[i].arm[SYNC].slow[0][0]++;
            seens[i].arm[ASYNC].slow[0][2] += tap_below(10) < 2;
            seens[i].arm[SYNC].success += 3;

            ngx_http_async_upload_detect_tick(&confs[i], &one, &shared[i],
                                              &seens[i]);
            ngx_http_async_upload_detect_tick(&confs[i], &many[i], &own[i],
                                              &seens[i]);
        }
    }

    good = 1;

    for (i = 0; i < 3; i++) {
        good &= (memcmp(&shared[i], &own[i], sizeof(sh_t)) == 0);
    }

    tap_ok(good && shared[0].worse.ticks > 0 && shared[2].slow[2].ticks > 0,
           "rollouts may share the memory of bets");
}


/*
 * Ville's inequality for all of it at once: async as good as sync, by sizes
 * that async gets more of, and clients that come and go.  T is 20, so that it
 * would be seen: at most 1 of 20 runs may reach it, each rule for itself.
 */

static void
test_equal(void)
{
    double    size;
    unsigned  i, k, n, round, arm, class, hits[5];

    static const char *const  names[] = {
        "fails more often", "is worse", "rejects more", "is slower",
        "is slower than the gate allows"
    };

    memset(hits, 0, sizeof(hits));

    for (round = 0; round < 2000; round++) {
        unsigned  hit = 0;

        fresh(1000);
        conf.evidence = 20;
        conf.gate_success = 980000;
        conf.gate_error = 20000;
        conf.rv_latency = 1;
        conf.gate_latency = 1;

        for (i = 0; i < SIZES; i++) {
            seen.mean_us[i] = 10000 << i;
        }

        for (n = 0; n < 1000; n++) {

            /* big files are a client's of async, every other hundred ticks */

            for (k = 0; k < 3; k++) {
                arm = tap_below(10) == 0;
                class = (arm && n / 100 % 2) ? 3 : (unsigned) tap_below(3);
                size = exp(0.7 * normal()) * (10000 << class);

                if (tap_below(1000) < 20) {
                    fail(arm);

                } else if (tap_below(1000) < 20) {
                    seen.arm[arm].rejected++;

                } else {
                    serve(arm, class, size);
                }
            }

            if (n / 100 % 2) {
                serve(SYNC, 3, exp(0.7 * normal()) * 80000);
            }

            tick();

            hit |= (unsigned) (in.success_evidence >= 20);
            hit |= (unsigned) (in.worse >= 20) << 1;
            hit |= (unsigned) (in.rejected >= 20) << 2;
            hit |= (unsigned) (in.slower >= 20) << 3;
            hit |= (unsigned) (in.gate_slower >= 20) << 4;
        }

        for (i = 0; i < 5; i++) {
            hits[i] += hit >> i & 1;
        }
    }

    /* 100 are allowed, 150 are five standard deviations more; two quantiles */

    for (i = 0; i < 5; i++) {
        tap_ok(hits[i] <= (i < 3 ? 150 : 270),
               "equal arms: evidence of 20 that async %s in %u of 2000 runs",
               names[i], hits[i]);
    }
}


int
main(void)
{
    test_fresh();
    test_outage();
    test_rules();
    test_two_arm();
    test_share();
    test_repeated();
    test_proof();
    test_both();
    test_estimate();
    test_slow();
    test_baseline();
    test_restart();
    test_bets();
    test_equal();

    return tap_done();
}
