
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * One run of a scenario.
 */


#include <math.h>
#include <string.h>

#include "rollout.h"
#include "simulate.h"


/* an unremarkable latency, us; a size class takes so many times the last one */

#define USUAL     50000
#define LARGER    4

#define BROKEN    1
#define ADDRESS   2
#define FIRST     100       /* of the clients */

/* latencies that a baseline is made of */

#define RECORDED  10000

/* rules that need a number of uploads have it by then */

#define SOME      200


static void
look(rollout_t *r, uint32_t n, outcome_t *o)
{
    rollout_decide(r);

    if (o->rollback == 0
        && r->decision.verdict == NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK)
    {
        o->rollback = n;
        o->reason = r->decision.reason;
    }

    if (o->review == 0
        && r->decision.verdict >= NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW)
    {
        o->review = n;

        if (o->rollback == 0) {
            o->reason = r->decision.reason;
        }
    }

    if (o->shut == 0 && r->in.gate_slower >= r->conf.evidence) {
        o->shut = n;
    }

    if (o->plain_rollback == 0
        && r->literal.verdict == NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK)
    {
        o->plain_rollback = n;
    }

    if (o->plain_review == 0
        && r->literal.verdict >= NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW)
    {
        o->plain_review = n;
    }
}


/* is there nothing more to be seen? */

static int
done(const scenario_t *s, const outcome_t *o)
{
    switch (s->goal) {

    case ROLLBACK:
        return o->rollback != 0 && o->plain_rollback != 0;

    case REVIEW:
        return o->review != 0;

    case SHUT:
        return o->shut != 0;

    default:
        return o->rollback != 0 && o->plain_rollback != 0;
    }
}


/* whose upload it is, and with whom something is wrong */

static uint32_t
client(const scenario_t *s, random_t *rnd)
{
    double  u;

    if (s->clients == 0 && s->broken == 0 && s->address == 0) {
        return (uint32_t) random_bits(rnd) | FIRST;
    }

    u = random_uniform(rnd);

    if (u < s->broken) {
        return BROKEN;
    }

    if (u < s->broken + s->address) {
        return ADDRESS;
    }

    return FIRST + (uint32_t) (random_bits(rnd)
                               % (s->clients ? s->clients : 1));
}


/*
 * The units look after every upload of async.  A look at one more success finds
 * nothing that the last one did not, once there are some: then the rules are
 * asked only when something has failed.
 */

static void
run_uploads(const scenario_t *s, random_t *rnd, rollout_t *r, outcome_t *o)
{
    double    now, share, p, wait;
    uint32_t  n, who;
    uint64_t  served, bad, sync_bad;
    unsigned  failed;

    now = 0;
    share = s->share / 10000.0;
    bad = random_before(rnd, s->base);
    sync_bad = random_before(rnd, s->base);
    wait = 1000 / s->rate;

    for (n = 1; n <= s->from + s->uploads; n++) {

        if (n == s->from + 1) {
            memset(o, 0, sizeof(outcome_t));

            if (s->failing > 0) {
                bad = random_before(rnd, s->failing);
            }

            if (s->common > 0) {
                sync_bad = random_before(rnd, s->common);
            }
        }

        now += wait * random_wait(rnd);
        r->seen.now_ms = (uint64_t) now;

        /* sync's, until the next one of async */

        served = random_before(rnd, share);

        while (served > sync_bad) {
            served -= sync_bad + 1;
            rollout_served(r, sync_bad);
            rollout_upload(r, SYNC, 0, 1, 0, 0);

            p = (n > s->from && s->common > 0) ? s->common : s->base;
            sync_bad = random_before(rnd, p);
        }

        rollout_served(r, served);
        sync_bad -= served;

        who = client(s, rnd);

        if (bad == 0) {
            p = (n > s->from && s->failing > 0) ? s->failing : s->base;
            bad = random_before(rnd, p);
            failed = 1;

        } else {
            bad--;
            failed = (who == BROKEN);
        }

        rollout_upload(r, ASYNC, who, failed, 0, 0);
        rollout_tick(r, (uint64_t) now);

        if (!failed && n > SOME) {
            continue;
        }

        look(r, (n > s->from) ? n - s->from : n, o);

        if (n > s->from && done(s, o)) {
            return;
        }
    }
}


/* the units look once a second */

static void
run_seconds(const scenario_t *s, random_t *rnd, rollout_t *r, outcome_t *o)
{
    double    us, time, rate, share, large;
    uint32_t  n, before;
    uint64_t  now;
    unsigned  arm, size, after;

    n = 0;
    now = 0;
    share = s->share / 10000.0;
    rate = s->rate / share;
    time = random_wait(rnd) / rate;

    while (n < s->from + s->uploads) {
        now += 1000;
        before = n;

        /* how many upload in this second */

        for ( /* void */ ; time < 1; time += random_wait(rnd) / rate) {
            after = (n >= s->from);
            arm = (random_uniform(rnd) < share) ? ASYNC : SYNC;

            /* one of ten is large, then seven are, and take 16 times as long */

            size = 0;

            if (s->sizes) {
                large = (after && (s->sizes == 1 || arm == ASYNC)) ? 0.7 : 0.1;
                size = (random_uniform(rnd) < large) ? 2 : 0;
            }

            us = USUAL * random_lognormal(rnd, s->sigma);

            if (size) {
                us *= LARGER * LARGER;
            }

            if (after && s->slower > 0 && arm == ASYNC) {
                us *= s->slower;
            }

            if (after && s->both > 0) {
                us *= s->both;
            }

            rollout_upload(r, arm, (uint32_t) random_bits(rnd) | FIRST,
                           random_uniform(rnd) < s->base, size, us);
            n += (arm == ASYNC);
        }

        time -= 1;

        if (before < s->from && n >= s->from) {
            memset(o, 0, sizeof(outcome_t));
        }

        rollout_tick(r, now);
        look(r, (n > s->from) ? n - s->from : n, o);

        if (n > s->from && done(s, o)) {
            return;
        }
    }
}


void
run_scenario(const scenario_t *s, random_t *rnd, outcome_t *outcome)
{
    double            q;
    unsigned          i;
    static rollout_t  r;

    memset(outcome, 0, sizeof(outcome_t));

    rollout_start(&r, s->share, s->confirm_ms, s->sigma > 0);

    if (s->baseline) {
        for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES; i++) {
            q = ngx_http_async_upload_detect_rank(i ? 0.95 : 0.75, RECORDED);

            r.seen.baseline_us[i] =
                (uint64_t) (USUAL * exp(s->sigma * random_quantile(q)));
        }
    }

    if (s->sigma > 0) {
        run_seconds(s, rnd, &r, outcome);

    } else {
        run_uploads(s, rnd, &r, outcome);
    }
}
