
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * The detectors of a rollout: a bet against each thing that a healthy async arm
 * would not do.
 *
 *   success, error   it fails more often than the gate allows
 *   worse            it fails more often than control, the sync arm now
 *   rejected         it answers 4xx more often than control
 *   aborted          clients leave it more often than they leave control
 *   slower           its successes take longer than control's, or without one
 *                    than the baseline's, by more than a ratio
 *   proof            bets the other way: errors are below a rate
 *
 * Beside a control a detector sees only what is bad, in either arm: if async is
 * no worse, a bad upload is async's with a probability of its share of traffic
 * at most, however good or bad the day is.
 *
 * A latency is slow if it is above a limit of its arm and size class.  Of sync
 * that is an estimate of its own quantile, of async a multiple of it.  Whoever
 * counts uploads takes the limits from here, and a limit depends on earlier
 * uploads alone, so a bet on what it will be exceeded by is fair, however poor
 * the estimate is.
 *
 * The unit knows counts, shares, limits and what a tick is.  It must not know
 * who counts, epochs, clocks, whose memory its state lies in, or nginx.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_DETECT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_DETECT_H_INCLUDED_


#include "ngx_http_async_upload_facts.h"


#define NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC   0
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC  1
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_ARMS   2
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES  5

/* p75 and p95 */
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES  2

/* gate's ratio times p75, and p95; review's ratio times p75, and p95 */
#define NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW   4

#define NGX_HTTP_ASYNC_UPLOAD_DETECT_BETS   11


/* what latency is compared with */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_DETECT_NOTHING = 0,
    NGX_HTTP_ASYNC_UPLOAD_DETECT_CONTROL,
    NGX_HTTP_ASYNC_UPLOAD_DETECT_BASELINE
} ngx_http_async_upload_detect_reference_e;


/*
 * What an arm has finished since the observation began: success, failure,
 * rejected and aborted are all there are.
 */

typedef struct {
    uint64_t  success;
    uint64_t  failure;
    uint64_t  repeated;     /* failures that are no evidence */
    uint64_t  rejected;
    uint64_t  aborted;

    /* successes whose latency counts, and those above the limits */
    uint64_t  timed[NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES];
    uint64_t  slow[NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES]
                  [NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW];
} ngx_http_async_upload_detect_arm_t;


/* what a tick sees */

typedef struct {
    uint64_t  now_ms;       /* monotonic */
    uint32_t  share;        /* that is routed by, basis points */

    ngx_http_async_upload_detect_arm_t  arm[NGX_HTTP_ASYNC_UPLOAD_DETECT_ARMS];

    /* mean latency of sync's successes so far, by size; 0: there were none */
    uint64_t  mean_us[NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES];

    /* p75 and p95 of the baseline; 0: not known; see detect_rank */
    uint64_t  baseline_us[NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES];
} ngx_http_async_upload_detect_seen_t;


/*
 * The limits of latency, in microseconds: slow is what takes longer.  0: none,
 * nothing is counted.  Of sync the third and fourth are the first and second.
 */

typedef struct {
    uint64_t  us[NGX_HTTP_ASYNC_UPLOAD_DETECT_ARMS]
                [NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES]
                [NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW];

    /* sync's quantiles as they are estimated, of so many successes */
    double    tau[NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES]
                 [NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES];
    uint64_t  timed[NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES];

    /* what async's are made of, beside that */
    uint64_t  reference;    /* ..._detect_reference_e */
    uint64_t  baseline_us[NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES];
    double    ratio[NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW];
} ngx_http_async_upload_detect_limits_sh_t;


/*
 * The detectors; all zeroes is fresh; may lie in shared memory.  "limits" may
 * be read by anyone at any time, word by word; the rest is the tick's, and to
 * be copied consistently.
 */

typedef struct {
    ngx_http_async_upload_detect_limits_sh_t  limits;

    /* what the last tick has seen */
    ngx_http_async_upload_detect_arm_t  last[NGX_HTTP_ASYNC_UPLOAD_DETECT_ARMS];

    ngx_http_async_upload_stats_sh_t  success;
    ngx_http_async_upload_stats_sh_t  error;
    ngx_http_async_upload_stats_sh_t  control;      /* sync beyond the gate */
    ngx_http_async_upload_stats_sh_t  worse;
    ngx_http_async_upload_stats_sh_t  rejected;
    ngx_http_async_upload_stats_sh_t  aborted;
    ngx_http_async_upload_stats_sh_t  slow[NGX_HTTP_ASYNC_UPLOAD_DETECT_SLOW];
    ngx_http_async_upload_stats_sh_t  proof;

    ngx_http_async_upload_stats_rule_sh_t  success_rule;
    ngx_http_async_upload_stats_rule_sh_t  error_rule;

    /* as of the last tick */
    uint64_t  success_verdict;                      /* ..._verdict_e */
    uint64_t  error_verdict;
    double    success_rate;                         /* 0..1 */
    double    error_rate;
    uint64_t  two_arm;
} ngx_http_async_upload_detect_sh_t;


/*
 * The bets that were made last, since most of them are the same at the next
 * tick; all zeroes: none yet; private memory, may serve any number of rollouts.
 */

typedef struct {
    struct {
        uint64_t                           done;        /* 0: none yet */
        double                             p0;
        double                             horizon;
        double                             threshold;
        ngx_http_async_upload_stats_bet_t  bet;
    } made[NGX_HTTP_ASYNC_UPLOAD_DETECT_BETS];
} ngx_http_async_upload_detect_bets_t;


/*
 * Takes what has been counted since the last tick.  To be called once a second,
 * also if nothing was.
 *
 * A count that is lower than at the last tick is taken as it is from now on.
 * Limits are set for what is counted from now on.
 *
 * What is bet against comes from "conf": gate_success and gate_error, also
 * without a gate; gate_latency and rv_latency, 0 turns either off; rb_success
 * and rb_error, above which evidence rolls back; evidence, horizon,
 * min_failures, confirm_ms; proof and proof_error.
 *
 * Two arms are compared while there is a control: at a share above 0% and below
 * 100%, and until 99.5% of what has finished was async's.  A share below 0.5%
 * is taken for 0.5%.
 *
 * Context: any process; some microseconds.
 * Locks:   the caller's: one writer of all but "limits".
 */
void ngx_http_async_upload_detect_tick(
    const ngx_http_async_upload_guard_conf_t *conf,
    ngx_http_async_upload_detect_bets_t *bets,
    ngx_http_async_upload_detect_sh_t *sh,
    const ngx_http_async_upload_detect_seen_t *seen);

/*
 * Starts an observation anew: forgets all but the limits, which are of sync.
 *
 * Locks:   the caller's, as for detect_tick.
 */
void ngx_http_async_upload_detect_restart(
    ngx_http_async_upload_detect_sh_t *sh);

/*
 * Fills in what the guard wants to know of the detectors, as of the last tick:
 * all of "in" from "repeated" on.
 *
 * "repeated" is that of the last tick: "in->stage" may be newer.
 *
 * Context: any process.
 */
void ngx_http_async_upload_detect_fill(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_detect_sh_t *sh,
    ngx_http_async_upload_guard_input_t *in);

/*
 * The share of async of all that has finished, as of the last tick.
 *
 * Returns: 0..1; 0 for 0 of 0.
 */
double ngx_http_async_upload_detect_share(
    const ngx_http_async_upload_detect_sh_t *sh);

/*
 * The quantile to be taken of a baseline of "n" latencies so that it is above
 * the true quantile "q", 0..1, with a probability of 99.5%.
 *
 * Returns: q..1.
 */
double ngx_http_async_upload_detect_rank(double q, uint64_t n);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_DETECT_H_INCLUDED_ */
