
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_guard.h"
#include "ngx_http_async_upload_ratio.h"


/* points, in ppm, that async's losses may be above those of the reference */
#define NGX_HTTP_ASYNC_UPLOAD_GUARD_BAD    50000

/* uploads that the rate of review's window must be made of */
#define NGX_HTTP_ASYNC_UPLOAD_GUARD_LEAST  100


static int ngx_http_async_upload_guard_rollback(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision);
static int ngx_http_async_upload_guard_broken(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision);
static int ngx_http_async_upload_guard_review(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision);
static int ngx_http_async_upload_guard_wait(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision);
static void ngx_http_async_upload_guard_counted(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_rate_t *rate);
static int ngx_http_async_upload_guard_rates(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_rate_t *rate,
    ngx_http_async_upload_guard_reason_e reason,
    ngx_http_async_upload_guard_decision_t *decision);
static int ngx_http_async_upload_guard_losses(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_reason_e rejected,
    ngx_http_async_upload_guard_reason_e aborted,
    ngx_http_async_upload_guard_decision_t *decision);
static int ngx_http_async_upload_guard_seen(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in, double evidence);
static int ngx_http_async_upload_guard_proven(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision);
static int ngx_http_async_upload_guard_set(
    ngx_http_async_upload_guard_decision_t *decision,
    ngx_http_async_upload_guard_reason_e reason, double value, double limit);
static int ngx_http_async_upload_guard_reached(uint64_t value, uint64_t limit);


const char  *ngx_http_async_upload_guard_verdicts[] = {
    "wait",
    "advance",
    "review",
    "rollback"
};


const char  *ngx_http_async_upload_guard_names[] = {
    "none",

    "critical",
    "memory",
    "consecutive",
    "no_live_peer",
    "budget",
    "literal_stage",
    "literal_5min",
    "evidence_success",
    "evidence_error",
    "rejected",
    "aborted",
    "unattended",

    "no_way_back",
    "literal_success_30min",
    "literal_latency",
    "complaints",
    "rejected_no_reference",
    "aborted_no_reference",
    "evidence_success_below_gate",
    "evidence_error_above_gate",
    "evidence_worse_than_control",
    "evidence_slower",
    "evidence_missing_uploads",

    "few_uploads",
    "pending_confirmation",
    "slower_than_gate",
    "gate_not_met",
    "not_proven",

    "gate",

    "evidence_rejected",
    "evidence_aborted",
    "few_identities"
};


/* in the order of guard_reason_e */

static const unsigned char  ngx_http_async_upload_guard_follows
    [NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS] = {
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WAIT,           /* none */

    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* critical */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* memory */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* consecutive */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* no_live_peer */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* budget */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* literal_stage */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* literal_5min */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* evidence_success */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* evidence_error */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* rejected */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* aborted */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK,       /* unattended */

    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* no_way_back */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* literal_success_30min */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* literal_latency */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* complaints */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* rejected_no_reference */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* aborted_no_reference */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* evidence_success_below_.. */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* evidence_error_above_gate */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* evidence_worse_than_.. */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* evidence_slower */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* evidence_missing_uploads */

    NGX_HTTP_ASYNC_UPLOAD_GUARD_WAIT,           /* few_uploads */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WAIT,           /* pending_confirmation */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WAIT,           /* slower_than_gate */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WAIT,           /* gate_not_met */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WAIT,           /* not_proven */

    NGX_HTTP_ASYNC_UPLOAD_GUARD_ADVANCE,        /* gate */

    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* evidence_rejected */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,         /* evidence_aborted */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW          /* few_identities */
};


void
ngx_http_async_upload_guard_decide(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision)
{
    if (ngx_http_async_upload_guard_rollback(conf, in, decision)) {
        return;
    }

    if (ngx_http_async_upload_guard_reached(in->review_ms,
                                            conf->unattended_ms))
    {
        (void) ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_UNATTENDED,
                   (double) in->review_ms, (double) conf->unattended_ms);
        return;
    }

    if (conf->review && ngx_http_async_upload_guard_review(conf, in, decision))
    {
        return;
    }

    (void) ngx_http_async_upload_guard_wait(conf, in, decision);
}


/* returns 1 if it has decided */

static int
ngx_http_async_upload_guard_rollback(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision)
{
    ngx_http_async_upload_guard_rate_t  stage;

    if (in->critical != 0) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_CRITICAL,
                   (double) in->critical, 1);
    }

    if (conf->rollback
        && ngx_http_async_upload_guard_broken(conf, in, decision))
    {
        return 1;
    }

    if (ngx_http_async_upload_guard_reached(in->failures, conf->budget)) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_BUDGET,
                   (double) in->failures, (double) conf->budget);
    }

    if (!conf->rollback) {
        return 0;
    }

    ngx_http_async_upload_guard_counted(conf, in, &stage);

    if (ngx_http_async_upload_guard_rates(conf, &stage,
            NGX_HTTP_ASYNC_UPLOAD_GUARD_STAGE, decision))
    {
        return 1;
    }

    if (!conf->sequential) {
        if (ngx_http_async_upload_guard_rates(conf, &in->window,
                NGX_HTTP_ASYNC_UPLOAD_GUARD_WINDOW, decision))
        {
            return 1;
        }

    } else if (in->success_verdict == NGX_HTTP_ASYNC_UPLOAD_STATS_ROLLBACK) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_EVIDENCE_SUCCESS,
                   ngx_http_async_upload_ratio_ppm(in->stage.success,
                                                   in->stage.uploads),
                   conf->rb_success);

    } else if (in->error_verdict == NGX_HTTP_ASYNC_UPLOAD_STATS_ROLLBACK) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_EVIDENCE_ERROR,
                   ngx_http_async_upload_ratio_ppm(in->stage.failure,
                                                   in->stage.uploads),
                   conf->rb_error);
    }

    return ngx_http_async_upload_facts_compared(in)
           && ngx_http_async_upload_guard_losses(conf, in,
                  NGX_HTTP_ASYNC_UPLOAD_GUARD_REJECTED,
                  NGX_HTTP_ASYNC_UPLOAD_GUARD_ABORTED, decision);
}


/* what needs no rate; returns 1 if it has decided */

static int
ngx_http_async_upload_guard_broken(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision)
{
    if (conf->memory > 0 && in->memory >= conf->memory) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_MEMORY,
                   in->memory, conf->memory);
    }

    if (ngx_http_async_upload_guard_reached(in->run, conf->run)
        && (!conf->sequential || in->run_ms >= conf->confirm_ms))
    {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_RUN,
                   (double) in->run, (double) conf->run);
    }

    if (ngx_http_async_upload_guard_reached(in->turned, conf->min_turned)
        && in->turned_ms >= conf->confirm_ms)
    {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_NO_LIVE_PEER,
                   (double) in->turned_ms, (double) conf->confirm_ms);
    }

    return 0;
}


/* returns 1 if it has decided */

static int
ngx_http_async_upload_guard_review(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision)
{
    const ngx_http_async_upload_guard_rate_t  *rate;

    rate = &in->review;

    if (in->stage_ms >= conf->rv_success_ms
        && rate->uploads >= NGX_HTTP_ASYNC_UPLOAD_GUARD_LEAST
        && ngx_http_async_upload_ratio_below(rate->success, rate->uploads,
                                             conf->rv_success))
    {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_SUCCESS,
                   ngx_http_async_upload_ratio_ppm(rate->success,
                                                   rate->uploads),
                   conf->rv_success);
    }

    if (conf->rv_latency > 0
        && ngx_http_async_upload_facts_timed(conf, in)
        && in->latency > conf->rv_latency
        && in->slow_ms >= conf->rv_latency_ms)
    {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_LATENCY,
                   in->latency, conf->rv_latency);
    }

    if (ngx_http_async_upload_guard_reached(in->complaints, conf->complaints))
    {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_COMPLAINTS,
                   (double) in->complaints, (double) conf->complaints);
    }

    if (!ngx_http_async_upload_facts_compared(in)
        && ngx_http_async_upload_guard_losses(conf, in,
               NGX_HTTP_ASYNC_UPLOAD_GUARD_REJECTED_BLIND,
               NGX_HTTP_ASYNC_UPLOAD_GUARD_ABORTED_BLIND, decision))
    {
        return 1;
    }

    if (!conf->sequential) {
        return 0;
    }

    if (ngx_http_async_upload_guard_proven(conf, in, decision)) {
        return 1;
    }

    return conf->rollback && in->repeated != 0
           && ngx_http_async_upload_guard_rates(conf, &in->stage,
                  NGX_HTTP_ASYNC_UPLOAD_GUARD_FEW_IDENTITIES, decision);
}


/* always returns 1: where nothing else is to be done, it is to wait */

static int
ngx_http_async_upload_guard_wait(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision)
{
    unsigned                            i;
    ngx_http_async_upload_guard_line_t  lines
                                            [NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES];

    if (!conf->gates) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_NONE, 0, 0);
    }

    if (ngx_http_async_upload_gate_open(conf, in, lines)) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE,
                   (double) in->stage.uploads, (double) conf->min_uploads);
    }

    if (in->stage.uploads < conf->min_uploads) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_FEW,
                   (double) in->stage.uploads, (double) conf->min_uploads);
    }

    if (conf->sequential
        && in->success_verdict == NGX_HTTP_ASYNC_UPLOAD_STATS_PENDING)
    {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_PENDING,
                   ngx_http_async_upload_ratio_ppm(in->stage.success,
                                                   in->stage.uploads),
                   conf->rb_success);
    }

    if (conf->sequential
        && in->error_verdict == NGX_HTTP_ASYNC_UPLOAD_STATS_PENDING)
    {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_PENDING,
                   ngx_http_async_upload_ratio_ppm(in->stage.failure,
                                                   in->stage.uploads),
                   conf->rb_error);
    }

    if (conf->sequential && in->gate_slower >= conf->evidence) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_SLOWER_THAN_GATE,
                   in->gate_slower, conf->evidence);
    }

    /* the first line that is closed; the last one is that of the proof */

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_PROOF; i++) {
        if (lines[i].on && !lines[i].open) {
            return ngx_http_async_upload_guard_set(decision,
                       NGX_HTTP_ASYNC_UPLOAD_GUARD_NOT_MET,
                       lines[i].have, lines[i].need);
        }
    }

    return ngx_http_async_upload_guard_set(decision,
               NGX_HTTP_ASYNC_UPLOAD_GUARD_NOT_PROVEN, in->proof, conf->proof);
}


/* the stage without failures that are no evidence */

static void
ngx_http_async_upload_guard_counted(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_rate_t *rate)
{
    uint64_t  repeated;

    *rate = in->stage;

    if (conf->sequential) {
        repeated = (in->repeated < rate->failure) ? in->repeated
                                                  : rate->failure;
        rate->uploads -= repeated;
        rate->failure -= repeated;
    }
}


/* is a rate of success or error beyond rollback's limits? */

static int
ngx_http_async_upload_guard_rates(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_rate_t *rate,
    ngx_http_async_upload_guard_reason_e reason,
    ngx_http_async_upload_guard_decision_t *decision)
{
    if (rate->uploads < conf->rb_min_uploads) {
        return 0;
    }

    if (ngx_http_async_upload_ratio_below(rate->success, rate->uploads,
                                          conf->rb_success))
    {
        return ngx_http_async_upload_guard_set(decision, reason,
                   ngx_http_async_upload_ratio_ppm(rate->success,
                                                   rate->uploads),
                   conf->rb_success);
    }

    if (ngx_http_async_upload_ratio_above(rate->failure, rate->uploads,
                                          conf->rb_error))
    {
        return ngx_http_async_upload_guard_set(decision, reason,
                   ngx_http_async_upload_ratio_ppm(rate->failure,
                                                   rate->uploads),
                   conf->rb_error);
    }

    return 0;
}


/* are more uploads rejected or aborted than the reference allows? */

static int
ngx_http_async_upload_guard_losses(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_reason_e rejected,
    ngx_http_async_upload_guard_reason_e aborted,
    ngx_http_async_upload_guard_decision_t *decision)
{
    const ngx_http_async_upload_guard_loss_t  *async, *ref;

    async = &in->async;
    ref = ngx_http_async_upload_facts_reference(in);

    if (async->finished < conf->rb_min_uploads) {
        return 0;
    }

    if (ngx_http_async_upload_guard_seen(conf, in, in->rejected)
        && ngx_http_async_upload_ratio_points(async->rejected,
               async->finished, ref->rejected, ref->finished,
               NGX_HTTP_ASYNC_UPLOAD_GUARD_BAD))
    {
        return ngx_http_async_upload_guard_set(decision, rejected,
                   ngx_http_async_upload_ratio_ppm(async->rejected,
                                                   async->finished),
                   ngx_http_async_upload_ratio_ppm(ref->rejected,
                                                   ref->finished)
                   + NGX_HTTP_ASYNC_UPLOAD_GUARD_BAD);
    }

    if (ngx_http_async_upload_guard_seen(conf, in, in->aborted)
        && ngx_http_async_upload_ratio_points(async->aborted,
               async->finished, ref->aborted, ref->finished,
               NGX_HTTP_ASYNC_UPLOAD_GUARD_BAD))
    {
        return ngx_http_async_upload_guard_set(decision, aborted,
                   ngx_http_async_upload_ratio_ppm(async->aborted,
                                                   async->finished),
                   ngx_http_async_upload_ratio_ppm(ref->aborted,
                                                   ref->finished)
                   + NGX_HTTP_ASYNC_UPLOAD_GUARD_BAD);
    }

    return 0;
}


/* points are enough, but where there is a control to have evidence against */

static int
ngx_http_async_upload_guard_seen(const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in, double evidence)
{
    return !conf->sequential || !in->two_arm || evidence >= conf->evidence;
}


/*
 * Is there a detector's proof?  What is bad enough for a rollback that must not
 * happen by itself is bad enough for a review.
 */

static int
ngx_http_async_upload_guard_proven(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision)
{
    if (in->success_verdict >= NGX_HTTP_ASYNC_UPLOAD_STATS_REVIEW) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_BELOW_SUCCESS,
                   ngx_http_async_upload_ratio_ppm(in->stage.success,
                                                   in->stage.uploads),
                   conf->gate_success);
    }

    if (in->error_verdict >= NGX_HTTP_ASYNC_UPLOAD_STATS_REVIEW) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_ABOVE_ERROR,
                   ngx_http_async_upload_ratio_ppm(in->stage.failure,
                                                   in->stage.uploads),
                   conf->gate_error);
    }

    if (in->worse >= conf->evidence) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_WORSE,
                   in->worse, conf->evidence);
    }

    if (in->slower >= conf->evidence) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_SLOWER,
                   in->slower, conf->evidence);
    }

    if (in->missing >= conf->evidence) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_MISSING,
                   in->missing, conf->evidence);
    }

    if (in->rejected >= conf->evidence) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_EVIDENCE_REJECTED,
                   in->rejected, conf->evidence);
    }

    if (in->aborted >= conf->evidence) {
        return ngx_http_async_upload_guard_set(decision,
                   NGX_HTTP_ASYNC_UPLOAD_GUARD_EVIDENCE_ABORTED,
                   in->aborted, conf->evidence);
    }

    return 0;
}


static int
ngx_http_async_upload_guard_set(
    ngx_http_async_upload_guard_decision_t *decision,
    ngx_http_async_upload_guard_reason_e reason, double value, double limit)
{
    decision->verdict = (ngx_http_async_upload_guard_verdict_e)
                        ngx_http_async_upload_guard_follows[reason];
    decision->reason = reason;
    decision->value = value;
    decision->limit = limit;

    return 1;
}


/* a limit of 0 is none */

static int
ngx_http_async_upload_guard_reached(uint64_t value, uint64_t limit)
{
    return limit != 0 && value >= limit;
}
