
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Sequential statistics: is an arm worse than it may be, how sure is that, and
 * what follows.  They hold however often and whenever they are looked at.
 *
 * The unit knows counts of good and bad events, probabilities and the time it
 * is given.  It must not know what an event is, arms, stages, whose memory a
 * state lies in, clocks or nginx.
 *
 * The detector is a bet against "healthy", which means: whatever has happened
 * so far, the next event is bad with a probability of at most "p0".  Twelve
 * bettors, each sure of another rate q > p0, multiply what they hold by
 * q / p0 at each bad event and by (1 - q) / (1 - p0) at each good one.  If the
 * arm is healthy, none can expect to gain.  Each starts with 1/2 and gets the
 * other half in equal parts during the first "horizon" ticks that have
 * events, so it also notices an arm that turns bad after hours of good
 * service.  The evidence is what they hold on the average.  By Ville's
 * inequality a healthy arm ever reaches T in that time with a probability of
 * at most 1 / T, and in every further horizon of at most 1 / (2 T).
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_STATS_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_STATS_H_INCLUDED_


#include <stdint.h>


#define NGX_HTTP_ASYNC_UPLOAD_STATS_BETS  12

/* the longest run of failures whose probability is exact */

#define NGX_HTTP_ASYNC_UPLOAD_STATS_RUN   64


/* what "healthy" means, and how it is bet against; private memory */

typedef struct {
    double    rate[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];  /* q, 0..1 */
    double    bad[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];   /* ln(q / p0) */
    double    good[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];  /* ln((1-q) / (1-p0)) */
    double    lose[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];  /* (1-q) / (1-p0) */
    double    win[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];   /* q / p0 */
    double    stake;     /* put into each bet at every tick but the first */
    double    cap;       /* no bet holds more */
} ngx_http_async_upload_stats_bet_t;


/* a detector; all zeroes is a fresh one; may lie in shared memory */

typedef struct {
    double    held[NGX_HTTP_ASYNC_UPLOAD_STATS_BETS];
    uint64_t  ticks;     /* that had events */
} ngx_http_async_upload_stats_sh_t;


/* in ascending order of gravity */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_STATS_NONE = 0,
    NGX_HTTP_ASYNC_UPLOAD_STATS_PENDING,
    NGX_HTTP_ASYNC_UPLOAD_STATS_REVIEW,
    NGX_HTTP_ASYNC_UPLOAD_STATS_ROLLBACK
} ngx_http_async_upload_stats_verdict_e;


typedef struct {
    double    threshold;    /* evidence that counts as proof, above 1 */
    double    limit;        /* the rate, 0..1, that must not be exceeded */
    uint64_t  min_fail;     /* failures without which nothing is confirmed */
    uint64_t  confirm_ms;   /* how long what is seen must have lasted */
} ngx_http_async_upload_stats_rule_t;


/* how far a rule has come; all zeroes is fresh; may lie in shared memory */

typedef struct {
    uint64_t  failures;     /* since the start */
    uint64_t  since_ms;     /* if pending */
    uint32_t  pending;      /* 0 or 1 */
    uint32_t  confirmed;    /* 0 or 1 */
} ngx_http_async_upload_stats_rule_sh_t;


/*
 * Prepares the bets against an arm that fails with a probability of at most
 * "p0", 0..1; what is outside is clamped, what is no number is taken for 1.
 *
 * "horizon" is the number of ticks with events during which the second half
 * of the stakes is put in, 1 or more, usually the length of a stage in
 * seconds; below 1 or no number: it is never put in.  "threshold", 1..1e30, is
 * the evidence that will count as proof: a bet is cut at a million times that,
 * so that an arm that recovers is not held against its past for ever.  What
 * is outside is clamped, what is no number is taken for 1.
 *
 * At p0 = 1 nothing can ever be proven; at 0 the first failures count as much
 * as the most daring bet allows, not as infinitely much.
 *
 * p0 may change between ticks, as a share of traffic does, if the new one does
 * not depend on the events it will be held against: call this again.
 *
 * Context: any process; costs 24 logarithms and 24 exponentials.
 * Returns: nothing; cannot fail.
 */
void ngx_http_async_upload_stats_init(ngx_http_async_upload_stats_bet_t *bet,
    double p0, double horizon, double threshold);

/*
 * Forgets all evidence: for the start of a stage.
 *
 * Locks: the caller's, as for stats_tick.
 */
void ngx_http_async_upload_stats_reset(ngx_http_async_upload_stats_sh_t *sh);

/*
 * Takes the events since the last tick: "bad" and "good" ones, in any number;
 * their order within a tick does not matter.  A tick without events changes
 * nothing, and does not count.
 *
 * A tick multiplies a bet by at most e^600, and the cap holds afterwards, so
 * all values stay finite; both only ever lower the evidence.
 *
 * Context: any process; about 100 ns.
 * Locks:   the caller's: one writer, and readers that take a consistent copy.
 * Source:  Ville's inequality; test supermartingales restarted with summable
 *          weights after Shin, Ramdas and Rinaldo, "E-detectors",
 *          arXiv 2203.03532.
 */
void ngx_http_async_upload_stats_tick(
    const ngx_http_async_upload_stats_bet_t *bet,
    ngx_http_async_upload_stats_sh_t *sh, uint64_t bad, uint64_t good);

/*
 * Weighs "bad" and "good" events of a tick whose events differ in what is
 * healthy, as they do with a share of traffic that depends on a size: once for
 * each "bet" there is.  "weight" has room for STATS_BETS and is all zeroes at
 * first; stats_take ends the tick.
 *
 * Context: any process.
 * Returns: nothing; "weight" has grown.
 */
void ngx_http_async_upload_stats_weigh(
    const ngx_http_async_upload_stats_bet_t *bet, double *weight,
    uint64_t bad, uint64_t good);

/*
 * Takes all that was weighed as one tick, as stats_tick does; only to be called
 * if there were events.  Stake and cap are those of "bet".  The rate of such a
 * detector means nothing.
 *
 * Context: any process.
 * Locks:   the caller's, as for stats_tick.
 */
void ngx_http_async_upload_stats_take(
    const ngx_http_async_upload_stats_bet_t *bet,
    ngx_http_async_upload_stats_sh_t *sh, const double *weight);

/*
 * Tells the evidence against "healthy".
 *
 * Returns: 0 and up to a million times the threshold; 0 before the first tick.
 */
double ngx_http_async_upload_stats_evidence(
    const ngx_http_async_upload_stats_sh_t *sh);

/*
 * Estimates the rate of bad events now: what the bettors believe, each
 * weighed by what it holds.  It is above p0 by construction, and means
 * something only where there is evidence.
 *
 * Returns: p0..1; 0 if nothing is held, as before the first tick.
 */
double ngx_http_async_upload_stats_rate(
    const ngx_http_async_upload_stats_bet_t *bet,
    const ngx_http_async_upload_stats_sh_t *sh);

/*
 * Says what follows from a detector's "evidence" and "rate" after a tick with
 * "bad" failures; to be asked at every tick, also without events.
 *
 *   NONE      the evidence is below the threshold;
 *   REVIEW    it is not, but the rate is not above the limit: too bad for
 *             the one, not bad enough for the other;
 *   PENDING   both are exceeded;
 *   ROLLBACK  and a failure came confirm_ms or more after the first tick that
 *             said so with a failure of its own, and there were min_fail
 *             failures in all.  It stays while both are exceeded.
 *
 * So neither a burst of failures nor silence after it confirms itself.
 *
 * "now_ms" is a monotonic time in milliseconds; if it goes back, what is
 * pending is no older than 0.  An evidence or a rate that is no number
 * exceeds nothing.
 *
 * Context: any process.
 * Locks:   the caller's, as for stats_tick.
 */
ngx_http_async_upload_stats_verdict_e ngx_http_async_upload_stats_verdict(
    const ngx_http_async_upload_stats_rule_t *rule,
    ngx_http_async_upload_stats_rule_sh_t *sh, double evidence, double rate,
    uint64_t bad, uint64_t now_ms);

/*
 * Gives an interval for the probability of a failure, of which "f" were seen
 * in "n" events; f over n is taken for n.  It covers a constant probability at
 * every n at once with a probability of at least 1 - "alpha", so it may be
 * looked at as often as one likes.  alpha is 0..1: at 0 and where it is no
 * number the interval is 0..1, over 1 is taken for 1.
 *
 * The interval always holds f / n, and grows as alpha falls.  Its ends are
 * exact to some 1e-14 of themselves, for all counts.
 *
 * Context: any process; some microseconds, so not for each request.
 * Returns: nothing; 0 <= low <= high <= 1, also for n = 0.
 * Source:  Robbins' method of mixtures with a Beta(1/2, 1/2); Howard, Ramdas,
 *          McAuliffe and Sekhon, arXiv 1810.08240.
 */
void ngx_http_async_upload_stats_interval(uint64_t n, uint64_t f,
    double alpha, double *low, double *high);

/*
 * Tells how probable it is that among "n" events, each bad with probability
 * "p", there are "c" bad ones in a row.  p is clamped to 0..1, and taken for 1
 * if it is no number.
 *
 * The time does not depend on n but for its logarithm, and grows with the
 * square of c.  The relative error is at most about n times 2e-16.  For c above
 * STATS_RUN it is an upper bound: n - c + 1 ways to have the run.
 *
 * Returns: 0..1; 1 if c is 0.
 * Source:  Feller, An Introduction to Probability Theory, volume 1, XIII.7.
 */
double ngx_http_async_upload_stats_run(double p, uint64_t n, uint64_t c);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_STATS_H_INCLUDED_ */
