
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * The rules: from what was counted to what follows.
 *
 * The unit knows counts, rates, ratios, durations and the rules of a stage.
 * It must not know where the figures come from, shared memory, clocks, state
 * words or nginx.  It keeps nothing: what took time, such as a latency that
 * has been too high for ten minutes, comes in as the time it has taken.
 *
 * Rates are compared as integers, in parts of a million (ppm), without
 * rounding.  0 of 0 breaks no limit and opens no gate.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_GUARD_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_GUARD_H_INCLUDED_


#include "ngx_http_async_upload_facts.h"
#include "ngx_http_async_upload_gate.h"


/* in ascending order of gravity */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WAIT = 0,
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ADVANCE,
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK
} ngx_http_async_upload_guard_verdict_e;


/*
 * Why; the names are in guard_names, in this order.  The numbers are kept in
 * state files and journals: a reason stays where it is, new ones come last.
 */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_GUARD_NONE = 0,

    /* ROLLBACK, in the order in which they are looked at */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_CRITICAL,           /* critical */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_MEMORY,             /* memory */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_RUN,                /* consecutive */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_NO_LIVE_PEER,       /* no_live_peer */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_BUDGET,             /* budget */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_STAGE,              /* literal_stage */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WINDOW,             /* literal_5min */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_EVIDENCE_SUCCESS,   /* evidence_success */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_EVIDENCE_ERROR,     /* evidence_error */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REJECTED,           /* rejected */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ABORTED,            /* aborted */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_UNATTENDED,         /* unattended */

    /* REVIEW, likewise */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_NO_WAY_BACK,        /* no_way_back; not by
                                                       guard_decide */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_SUCCESS,            /* literal_success_30min */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_LATENCY,            /* literal_latency */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_COMPLAINTS,         /* complaints */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REJECTED_BLIND,     /* rejected_no_reference */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ABORTED_BLIND,      /* aborted_no_reference */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_BELOW_SUCCESS,
                                            /* evidence_success_below_gate */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ABOVE_ERROR,    /* evidence_error_above_gate */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WORSE,
                                            /* evidence_worse_than_control */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_SLOWER,             /* evidence_slower */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_MISSING,        /* evidence_missing_uploads */

    /* WAIT */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_FEW,                /* few_uploads */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_PENDING,            /* pending_confirmation */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_SLOWER_THAN_GATE,   /* slower_than_gate */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_NOT_MET,            /* gate_not_met */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_NOT_PROVEN,         /* not_proven */

    /* ADVANCE */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE,               /* gate */

    /* REVIEW, after evidence_missing_uploads */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_EVIDENCE_REJECTED,  /* evidence_rejected */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_EVIDENCE_ABORTED,   /* evidence_aborted */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_FEW_IDENTITIES,     /* few_identities */

    NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS
} ngx_http_async_upload_guard_reason_e;


/*
 * A decision and what it rests on: rates and losses in ppm, memory and latency
 * as ratios, the time of no_live_peer and unattended in ms, evidence, or a
 * number.  gate_not_met has the first line that is closed, gate the uploads.
 */

typedef struct {
    ngx_http_async_upload_guard_verdict_e  verdict;
    ngx_http_async_upload_guard_reason_e   reason;
    double                                 value;   /* seen */
    double                                 limit;   /* compared with */
} ngx_http_async_upload_guard_decision_t;


/* "wait", "advance", "review", "rollback" */
extern const char  *ngx_http_async_upload_guard_verdicts[];

/* the names of the reasons, as in the comments above; "none" */
extern const char  *ngx_http_async_upload_guard_names[];


/*
 * Decides by the rules of "conf" what follows from "in".
 *
 * ROLLBACK beats REVIEW, REVIEW beats ADVANCE.  In order:
 *
 *   ROLLBACK  critical; memory; a run of failures (sequential: that has lasted
 *             confirm_ms); no live peer for confirm_ms; budget; the rate of
 *             success or error of the stage, or (plain) of the window, beyond
 *             the limit, with rb_min_uploads of them; (sequential) the
 *             detectors; rejected or aborted uploads 5 points above sync's,
 *             with rb_min_uploads finished ones at async and (sequential,
 *             beside a control) evidence for it; nobody came to review for
 *             unattended_ms.
 *   REVIEW    success in the review window below its limit, once the stage is
 *             that old, with 100 uploads; latency above its limit for
 *             rv_latency_ms; complaints; rejected or aborted uploads 5 points
 *             above nothing, where there is no reference; (sequential) the
 *             detectors; (sequential) a rate of the stage beyond rollback's
 *             limit only with failures that one identity has repeated.
 *   ADVANCE   all lines of the gate are open.
 *   WAIT      otherwise.
 *
 * Without sequential the input's verdicts and evidence are not looked at, and
 * every failure counts.
 * Without rollback only what somebody has asked for rolls back: a critical
 * error, a budget, a review that nobody came to.  A detector's ROLLBACK leads
 * to REVIEW then.
 *
 * Context: any process.
 * Returns: nothing; cannot fail.
 */
void ngx_http_async_upload_guard_decide(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision);



#endif /* _NGX_HTTP_ASYNC_UPLOAD_GUARD_H_INCLUDED_ */
