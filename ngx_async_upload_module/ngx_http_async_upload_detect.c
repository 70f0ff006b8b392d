
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_detect.h"


#define NGX_HTTP_ASYNC_UPLOAD_DETECT_PPM       1e6

/* shares beyond which two arms are not compared */
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_LEAST     0.005
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_MOST      0.995

/* uploads that an expected share is worth beside the observed one */
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_EXPECTED  100.0

/* successes after which an estimate of a quantile no longer settles */
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_SETTLED   1000

#define NGX_HTTP_ASYNC_UPLOAD_DETECT_FIRST     10.0     /* likewise, at first */
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_MOVE      1.0      /* ln, in one tick */
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_LONGEST   4294967295.0     /* us */

#define NGX_HTTP_ASYNC_UPLOAD_DETECT_NORMAL    2.576    /* 99.5% */


/* the bets that are made */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_SUCCESS = 0,
    NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_ERROR,
    NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_PROOF,
    NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_SHARE,
    NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_BASELINE,
    NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_SIZE =
        NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_BASELINE
        + NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES
} ngx_http_async_upload_detect_bet_e;


/* a quantile, and how an estimate of it is made */

typedef struct {
    double  above;      /* the part of all that is above it */
    double  gain;       /* ln of it, for all of a tick being above */
    double  first;      /* of the mean, to begin with */
} ngx_http_async_upload_detect_quantile_t;


static void ngx_http_async_upload_detect_since(
    const ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_seen_t *seen,
    ngx_http_async_upload_detect_arm_t *now);
static double ngx_http_async_upload_detect_expect(double expected,
    uint64_t async, uint64_t sync);
static const ngx_http_async_upload_stats_bet_t *
    ngx_http_async_upload_detect_bet(
        const ngx_http_async_upload_guard_conf_t *conf,
        ngx_http_async_upload_detect_bets_t *bets, unsigned i, double p0);
static uint64_t ngx_http_async_upload_detect_counted(
    const ngx_http_async_upload_detect_arm_t *arm);
static uint64_t ngx_http_async_upload_detect_finished(
    const ngx_http_async_upload_detect_arm_t *arm);
static void ngx_http_async_upload_detect_rates(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_arm_t *now, uint64_t now_ms);
static void ngx_http_async_upload_detect_compare(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_arm_t *now, double share);
static void ngx_http_async_upload_detect_control(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_arm_t *now, double share);
static void ngx_http_async_upload_detect_baseline(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_arm_t *now);
static int ngx_http_async_upload_detect_changed(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_limits_sh_t *limits,
    const ngx_http_async_upload_detect_seen_t *seen, uint64_t reference);
static int ngx_http_async_upload_detect_estimate(
    ngx_http_async_upload_detect_limits_sh_t *limits, unsigned size,
    const ngx_http_async_upload_detect_arm_t *sync, uint64_t mean_us);
static void ngx_http_async_upload_detect_publish(
    ngx_http_async_upload_detect_limits_sh_t *limits, unsigned size);
static double ngx_http_async_upload_detect_ratio(
    const ngx_http_async_upload_guard_conf_t *conf, unsigned slow);


/*
 * The best gain is 1 / f, with the density f of the logarithm there; these are
 * the ones for lognormal latencies of sigma 0.8.
 */

static const ngx_http_async_upload_detect_quantile_t
    ngx_http_async_upload_detect_quantiles
        [NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES] =
{
    { 0.25, 2.5, 1.2 },
    { 0.05, 7.5, 2.5 }
};


void
ngx_http_async_upload_detect_tick(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_seen_t *seen)
{
    int                                  changed, moved;
    double                               share;
    unsigned                             i;
    uint64_t                             reference;
    ngx_http_async_upload_detect_arm_t   now[NGX_HTTP_ASYNC_UPLOAD_DETECT_ARMS];
    const ngx_http_async_upload_detect_arm_t  *sync, *async;

    ngx_http_async_upload_detect_since(sh, seen, now);

    /* of earlier ticks alone, as all that is bet on */

    sync = &sh->last[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC];
    async = &sh->last[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC];

    share = ngx_http_async_upload_detect_expect((double) seen->share / 10000,
                                  ngx_http_async_upload_detect_finished(async),
                                  ngx_http_async_upload_detect_finished(sync));

    sh->two_arm = seen->share > 0 && seen->share < 10000
                  && share <= NGX_HTTP_ASYNC_UPLOAD_DETECT_MOST;

    ngx_http_async_upload_detect_rates(conf, bets, sh, now, seen->now_ms);

    if (sh->two_arm) {
        reference = NGX_HTTP_ASYNC_UPLOAD_DETECT_CONTROL;
        ngx_http_async_upload_detect_compare(conf, bets, sh, now, share);

    } else if (seen->share != 0 && seen->baseline_us[0] != 0) {
        reference = NGX_HTTP_ASYNC_UPLOAD_DETECT_BASELINE;

    } else {
        reference = NGX_HTTP_ASYNC_UPLOAD_DETECT_NOTHING;
    }

    /* what was counted by other limits says nothing of these */

    if (sh->limits.reference == reference) {

        if (reference == NGX_HTTP_ASYNC_UPLOAD_DETECT_CONTROL) {
            ngx_http_async_upload_detect_control(conf, bets, sh, now, share);

        } else if (reference == NGX_HTTP_ASYNC_UPLOAD_DETECT_BASELINE) {
            ngx_http_async_upload_detect_baseline(conf, bets, sh, now);
        }
    }

    memcpy(sh->last, seen->arm, sizeof(sh->last));

    changed = ngx_http_async_upload_detect_changed(conf, &sh->limits, seen,
                                                   reference);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES; i++) {
        moved = ngx_http_async_upload_detect_estimate(&sh->limits, i,
                                      &now[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC],
                                      seen->mean_us[i]);

        if (changed || moved) {
            ngx_http_async_upload_detect_publish(&sh->limits, i);
        }
    }
}


void
ngx_http_async_upload_detect_restart(ngx_http_async_upload_detect_sh_t *sh)
{
    ngx_http_async_upload_detect_limits_sh_t  limits;

    limits = sh->limits;

    memset(sh, 0, sizeof(ngx_http_async_upload_detect_sh_t));

    sh->limits = limits;
}


void
ngx_http_async_upload_detect_fill(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_detect_sh_t *sh,
    ngx_http_async_upload_guard_input_t *in)
{
    unsigned  k;
    double    slow[NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW];

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW; k++) {
        slow[k] = ngx_http_async_upload_detect_ratio(conf, k) > 0
                  ? ngx_http_async_upload_stats_evidence(&sh->slow[k]) : 0;
    }

    in->repeated = sh->last[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC].repeated;

    in->success_verdict = (ngx_http_async_upload_stats_verdict_e)
                          sh->success_verdict;
    in->error_verdict = (ngx_http_async_upload_stats_verdict_e)
                        sh->error_verdict;

    in->success_evidence = ngx_http_async_upload_stats_evidence(&sh->success);
    in->success_rate = sh->success_rate;
    in->error_evidence = ngx_http_async_upload_stats_evidence(&sh->error);
    in->error_rate = sh->error_rate;

    in->worse = ngx_http_async_upload_stats_evidence(&sh->worse);
    in->slower = fmax(slow[2], slow[3]);
    in->missing = 0;
    in->rejected = ngx_http_async_upload_stats_evidence(&sh->rejected);
    in->aborted = ngx_http_async_upload_stats_evidence(&sh->aborted);
    in->gate_slower = fmax(slow[0], slow[1]);
    in->proof = ngx_http_async_upload_stats_evidence(&sh->proof);

    in->two_arm = (uint32_t) sh->two_arm;

    in->both = fmax(in->success_evidence, in->error_evidence) >= conf->evidence
               && ngx_http_async_upload_stats_evidence(&sh->control)
                  >= conf->evidence;
}


double
ngx_http_async_upload_detect_share(const ngx_http_async_upload_detect_sh_t *sh)
{
    uint64_t  async, sync;

    sync = ngx_http_async_upload_detect_finished(
                             &sh->last[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC]);
    async = ngx_http_async_upload_detect_finished(
                             &sh->last[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC]);

    return (async != 0) ? (double) async / ((double) async + (double) sync) : 0;
}


double
ngx_http_async_upload_detect_rank(double q, uint64_t n)
{
    if (n == 0) {
        return 1;
    }

    return fmin(1, q + NGX_HTTP_ASYNC_UPLOAD_DETECT_NORMAL
                       * sqrt(q * (1 - q) / (double) n));
}


/* the counts of both arms since the last tick; all of them are of 64 bits */

static void
ngx_http_async_upload_detect_since(const ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_seen_t *seen,
    ngx_http_async_upload_detect_arm_t *now)
{
    size_t           i;
    uint64_t        *dst;
    const uint64_t  *last, *total;

    dst = (uint64_t *) now;
    last = (const uint64_t *) sh->last;
    total = (const uint64_t *) seen->arm;

    for (i = 0; i < sizeof(seen->arm) / (sizeof(uint64_t)); i++) {
        dst[i] = (total[i] > last[i]) ? total[i] - last[i] : 0;
    }
}


/* a share: what is expected, until enough was seen */

static double
ngx_http_async_upload_detect_expect(double expected, uint64_t async,
    uint64_t sync)
{
    return (expected * NGX_HTTP_ASYNC_UPLOAD_DETECT_EXPECTED + (double) async)
           / (NGX_HTTP_ASYNC_UPLOAD_DETECT_EXPECTED + (double) async
              + (double) sync);
}


static const ngx_http_async_upload_stats_bet_t *
ngx_http_async_upload_detect_bet(const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets, unsigned i, double p0)
{
    double  threshold;

    threshold = (i == NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_PROOF) ? conf->proof
                                                              : conf->evidence;

    if (!bets->made[i].done || bets->made[i].p0 != p0
        || bets->made[i].horizon != conf->horizon
        || bets->made[i].threshold != threshold)
    {
        ngx_http_async_upload_stats_init(&bets->made[i].bet, p0, conf->horizon,
                                         threshold);

        bets->made[i].done = 1;
        bets->made[i].p0 = p0;
        bets->made[i].horizon = conf->horizon;
        bets->made[i].threshold = threshold;
    }

    return &bets->made[i].bet;
}


static uint64_t
ngx_http_async_upload_detect_counted(
    const ngx_http_async_upload_detect_arm_t *arm)
{
    return (arm->failure > arm->repeated) ? arm->failure - arm->repeated : 0;
}


static uint64_t
ngx_http_async_upload_detect_finished(
    const ngx_http_async_upload_detect_arm_t *arm)
{
    return arm->success + arm->failure + arm->rejected + arm->aborted;
}


/* async, and sync by the same measure, against what the gate asks for */

static void
ngx_http_async_upload_detect_rates(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_arm_t *now, uint64_t now_ms)
{
    uint64_t                                   bad;
    ngx_http_async_upload_stats_rule_t         rule;
    const ngx_http_async_upload_stats_bet_t   *bet;
    const ngx_http_async_upload_detect_arm_t  *async, *sync;

    sync = &now[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC];
    async = &now[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC];
    bad = ngx_http_async_upload_detect_counted(async);

    rule.threshold = conf->evidence;
    rule.min_fail = conf->min_failures;
    rule.confirm_ms = conf->confirm_ms;

    bet = ngx_http_async_upload_detect_bet(conf, bets,
              NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_SUCCESS,
              1 - conf->gate_success / NGX_HTTP_ASYNC_UPLOAD_DETECT_PPM);

    ngx_http_async_upload_stats_tick(bet, &sh->success, bad, async->success);
    ngx_http_async_upload_stats_tick(bet, &sh->control,
                                ngx_http_async_upload_detect_counted(sync),
                                sync->success);

    rule.limit = 1 - conf->rb_success / NGX_HTTP_ASYNC_UPLOAD_DETECT_PPM;
    sh->success_rate = ngx_http_async_upload_stats_rate(bet, &sh->success);
    sh->success_verdict = ngx_http_async_upload_stats_verdict(&rule,
                              &sh->success_rule,
                              ngx_http_async_upload_stats_evidence(
                                                               &sh->success),
                              sh->success_rate, bad, now_ms);

    bet = ngx_http_async_upload_detect_bet(conf, bets,
              NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_ERROR,
              conf->gate_error / NGX_HTTP_ASYNC_UPLOAD_DETECT_PPM);

    ngx_http_async_upload_stats_tick(bet, &sh->error, bad, async->success);

    rule.limit = conf->rb_error / NGX_HTTP_ASYNC_UPLOAD_DETECT_PPM;
    sh->error_rate = ngx_http_async_upload_stats_rate(bet, &sh->error);
    sh->error_verdict = ngx_http_async_upload_stats_verdict(&rule,
                            &sh->error_rule,
                            ngx_http_async_upload_stats_evidence(&sh->error),
                            sh->error_rate, bad, now_ms);

    /* whose failures they are does not matter to what is to be proven */

    if (conf->proof > 0) {
        bet = ngx_http_async_upload_detect_bet(conf, bets,
                  NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_PROOF,
                  1 - conf->proof_error / NGX_HTTP_ASYNC_UPLOAD_DETECT_PPM);

        ngx_http_async_upload_stats_tick(bet, &sh->proof, async->success,
                                         async->failure);
    }
}


/* what is bad in both arms: as much of it is async's as async has uploads */

static void
ngx_http_async_upload_detect_compare(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_arm_t *now, double share)
{
    uint64_t                                   bad, good;
    const ngx_http_async_upload_stats_bet_t   *bet;
    const ngx_http_async_upload_detect_arm_t  *async, *sync;

    sync = &now[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC];
    async = &now[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC];

    bad = ngx_http_async_upload_detect_counted(async);
    good = ngx_http_async_upload_detect_counted(sync);

    if (bad == 0 && good == 0 && async->rejected == 0 && sync->rejected == 0
        && async->aborted == 0 && sync->aborted == 0)
    {
        return;
    }

    bet = ngx_http_async_upload_detect_bet(conf, bets,
              NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_SHARE,
              fmax(share, NGX_HTTP_ASYNC_UPLOAD_DETECT_LEAST));

    ngx_http_async_upload_stats_tick(bet, &sh->worse, bad, good);
    ngx_http_async_upload_stats_tick(bet, &sh->rejected, async->rejected,
                                     sync->rejected);
    ngx_http_async_upload_stats_tick(bet, &sh->aborted, async->aborted,
                                     sync->aborted);
}


/* likewise what is slow, where each size has its own share */

static void
ngx_http_async_upload_detect_control(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_arm_t *now, double share)
{
    int                                        any;
    double                                     size, weight
                                       [NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];
    unsigned                                   i, k;
    uint64_t                                   bad, good;
    const ngx_http_async_upload_stats_bet_t   *bet, *bets_of
                                       [NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES];
    const ngx_http_async_upload_detect_arm_t  *async, *sync, *last;

    sync = &now[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC];
    async = &now[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC];
    last = sh->last;

    memset(bets_of, 0, sizeof(bets_of));

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW; k++) {

        memset(weight, 0, sizeof(weight));
        bet = NULL;
        any = 0;

        for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES; i++) {
            bad = async->slow[i][k];
            good = sync->slow[i][k % NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES];

            if ((bad == 0 && good == 0)
                || sh->limits.us[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC][i][k]
                   == 0)
            {
                continue;
            }

            if (bets_of[i] == NULL) {
                size = ngx_http_async_upload_detect_expect(share,
                           last[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC].timed[i],
                           last[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC].timed[i]);

                bets_of[i] = ngx_http_async_upload_detect_bet(conf, bets,
                                 NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_SIZE + i,
                                 fmax(size,
                                      NGX_HTTP_ASYNC_UPLOAD_DETECT_LEAST));
            }

            bet = bets_of[i];
            any = 1;

            ngx_http_async_upload_stats_weigh(bet, weight, bad, good);
        }

        if (any) {
            ngx_http_async_upload_stats_take(bet, &sh->slow[k], weight);
        }
    }
}


/* the baseline knows no sizes */

static void
ngx_http_async_upload_detect_baseline(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_arm_t *now)
{
    unsigned                                   i, k, q;
    uint64_t                                   bad, all;
    const ngx_http_async_upload_stats_bet_t   *bet;
    const ngx_http_async_upload_detect_arm_t  *async;

    async = &now[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC];

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW; k++) {
        bad = 0;
        all = 0;

        for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES; i++) {
            if (sh->limits.us[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC][i][k] != 0) {
                bad += async->slow[i][k];
                all += async->timed[i];
            }
        }

        if (all == 0 && bad == 0) {
            continue;
        }

        q = k % NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES;

        bet = ngx_http_async_upload_detect_bet(conf, bets,
                  NGX_HTTP_ASYNC_UPLOAD_DETECT_BET_BASELINE + q,
                  ngx_http_async_upload_detect_quantiles[q].above);

        ngx_http_async_upload_stats_tick(bet, &sh->slow[k], bad,
                                         (all > bad) ? all - bad : 0);
    }
}


/* are the limits made of something else from now on? */

static int
ngx_http_async_upload_detect_changed(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_limits_sh_t *limits,
    const ngx_http_async_upload_detect_seen_t *seen, uint64_t reference)
{
    int       changed;
    double    ratio;
    unsigned  k;

    changed = (limits->reference != reference);

    limits->reference = reference;

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW; k++) {
        ratio = ngx_http_async_upload_detect_ratio(conf, k);
        changed |= (limits->ratio[k] != ratio);
        limits->ratio[k] = ratio;
    }

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES; k++) {
        changed |= (limits->baseline_us[k] != seen->baseline_us[k]);
        limits->baseline_us[k] = seen->baseline_us[k];
    }

    return changed;
}


/*
 * Moves the estimates of sync's quantiles: up by as much as more of it is above
 * them than should be, at first by leaps, in the end so that they follow a day
 * but not a minute.  Returns 1 if they have moved.
 */

static int
ngx_http_async_upload_detect_estimate(
    ngx_http_async_upload_detect_limits_sh_t *limits, unsigned size,
    const ngx_http_async_upload_detect_arm_t *sync, uint64_t mean_us)
{
    double                                          n, x, *tau;
    unsigned                                        i;
    const ngx_http_async_upload_detect_quantile_t  *q;

    tau = limits->tau[size];
    q = ngx_http_async_upload_detect_quantiles;

    if (!(tau[0] > 0)) {

        if (mean_us == 0) {
            return 0;
        }

        for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES; i++) {
            tau[i] = q[i].first * (double) mean_us;
        }

        return 1;
    }

    if (sync->timed[size] == 0
        || limits->us[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC][size][0] == 0)
    {
        return 0;
    }

    n = (double) sync->timed[size];

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES; i++) {
        x = q[i].gain * ((double) sync->slow[size][i] - n * q[i].above)
            / ((double) limits->timed[size] + n
               + NGX_HTTP_ASYNC_UPLOAD_DETECT_FIRST);

        x = fmax(-NGX_HTTP_ASYNC_UPLOAD_DETECT_MOVE,
                 fmin(NGX_HTTP_ASYNC_UPLOAD_DETECT_MOVE, x));

        tau[i] = fmax(1, fmin(NGX_HTTP_ASYNC_UPLOAD_DETECT_LONGEST,
                              tau[i] * exp(x)));
    }

    limits->timed[size] += sync->timed[size];

    if (limits->timed[size] > NGX_HTTP_ASYNC_UPLOAD_DETECT_SETTLED) {
        limits->timed[size] = NGX_HTTP_ASYNC_UPLOAD_DETECT_SETTLED;
    }

    return 1;
}


static void
ngx_http_async_upload_detect_publish(
    ngx_http_async_upload_detect_limits_sh_t *limits, unsigned size)
{
    double    tau, limit;
    unsigned  k, q;

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW; k++) {
        q = k % NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES;
        tau = round(limits->tau[size][q]);

        switch (limits->reference) {

        case NGX_HTTP_ASYNC_UPLOAD_DETECT_CONTROL:
            limit = ceil(limits->ratio[k] * tau);
            break;

        case NGX_HTTP_ASYNC_UPLOAD_DETECT_BASELINE:
            limit = ceil(limits->ratio[k] * (double) limits->baseline_us[q]);
            break;

        default:
            limit = 0;
        }

        __atomic_store_n(
            &limits->us[NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC][size][k],
            (uint64_t) tau, __ATOMIC_RELAXED);

        __atomic_store_n(
            &limits->us[NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC][size][k],
            (uint64_t) limit, __ATOMIC_RELAXED);
    }
}


/* 0: off */

static double
ngx_http_async_upload_detect_ratio(
    const ngx_http_async_upload_guard_conf_t *conf, unsigned slow)
{
    double  ratio;

    ratio = (slow < NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES)
            ? conf->gate_latency : conf->rv_latency;

    return (ratio > 0) ? ratio : 0;
}
