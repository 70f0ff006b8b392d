
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


#include <stdint.h>
#include "ngx_http_async_upload_stats.h"


/* in ascending order of gravity */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_GUARD_WAIT = 0,
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ADVANCE,
    NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW,
    NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK
} ngx_http_async_upload_guard_verdict_e;


/* why; the names are in guard_names, in this order */

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

    NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS
} ngx_http_async_upload_guard_reason_e;


/* the lines of a gate, each of them open, closed, or off */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_SOAK = 0,      /* ms */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_UPLOADS,
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_SUCCESS,       /* ppm, at least */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_ERROR,         /* ppm, at most */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_LATENCY,       /* ratio, at most */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_REJECTED,      /* points over sync, ppm */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_ABORTED,       /* points over sync, ppm */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_EVIDENCE,      /* against it, at most */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_PROOF,         /* of it, at least */
    NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES
} ngx_http_async_upload_guard_gate_e;


typedef struct {
    uint32_t  sequential;       /* 0: the literal rules alone */

    /* the stage's gate; "gates" 0: a fixed share, there is none */
    uint32_t  gates;
    uint64_t  min_uploads;
    uint32_t  gate_success;     /* ppm */
    uint32_t  gate_error;       /* ppm */
    double    gate_latency;     /* of the reference, 1.1; 0: off */
    uint64_t  soak_ms;

    /* "rollback" 0: nothing rolls back by itself, but for unattended_ms */
    uint32_t  rollback;
    uint32_t  rb_success;       /* ppm */
    uint32_t  rb_error;         /* ppm */
    uint64_t  rb_min_uploads;
    uint64_t  run;              /* 0: off */
    double    memory;           /* of the baseline, 1.2; 0: off */
    uint64_t  budget;           /* failures; 0: off */

    /* "review" 0: off */
    uint32_t  review;
    uint32_t  rv_success;       /* ppm */
    uint64_t  rv_success_ms;
    double    rv_latency;       /* of the reference, 1.2; 0: off */
    uint64_t  rv_latency_ms;
    uint64_t  complaints;       /* 0: off */
    uint64_t  unattended_ms;    /* 0: off */

    uint64_t  min_latency;      /* successes a latency is made of, 100 */
    uint64_t  min_turned;       /* uploads turned away, 3 */
    uint64_t  confirm_ms;

    /* sequential alone */
    double    evidence;         /* that counts as proof, 1000 */
    double    proof;            /* evidence that opens the gate, 20; 0: off */
} ngx_http_async_upload_guard_conf_t;


/* what was counted since the observation began, or in a window of it */

typedef struct {
    uint64_t  uploads;          /* that count: success + failure */
    uint64_t  success;
    uint64_t  failure;
} ngx_http_async_upload_guard_rate_t;


/* of all finished uploads of an arm, those that were "bad" in some way */

typedef struct {
    uint64_t  finished;         /* with rejected and aborted ones */
    uint64_t  rejected;
    uint64_t  aborted;
} ngx_http_async_upload_guard_loss_t;


/* times are milliseconds that have gone by */

typedef struct {
    uint64_t  stage_ms;

    ngx_http_async_upload_guard_rate_t  stage;
    ngx_http_async_upload_guard_rate_t  window;     /* rollback's */
    ngx_http_async_upload_guard_rate_t  review;     /* review's */

    uint64_t  critical;         /* signals */
    uint64_t  run;              /* failures in a row */
    uint64_t  run_ms;           /* from the first to the last of them */
    uint64_t  turned;           /* uploads that found no live peer, in a row */
    uint64_t  turned_ms;        /* since the first of them */
    uint64_t  failures;         /* that count for the budget */
    uint64_t  complaints;       /* within review's window */
    uint64_t  review_ms;        /* waiting for a person; 0: not in review */

    /* the least of the last minute, to the baseline; 0: not known */
    double    memory;

    /* p95 of async to that of the reference; the successes of the smaller */
    double    latency;
    uint64_t  latency_n;
    uint64_t  slow_ms;          /* has been above rv_latency */

    /* "reference" 0: there is nothing to compare async's losses with */
    uint32_t  reference;
    ngx_http_async_upload_guard_loss_t  async;
    ngx_http_async_upload_guard_loss_t  sync;

    /* sequential alone: verdicts and evidence of the detectors */
    ngx_http_async_upload_stats_verdict_e  success_verdict;
    ngx_http_async_upload_stats_verdict_e  error_verdict;
    double    worse;
    double    slower;
    double    missing;
    double    gate_slower;
    double    proof;
} ngx_http_async_upload_guard_input_t;


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


typedef struct {
    uint32_t  on;               /* 0: the line does not count */
    uint32_t  known;            /* 0: "have" cannot be told */
    uint32_t  open;
    double    need;
    double    have;
} ngx_http_async_upload_guard_line_t;


/* "wait", "advance", "review", "rollback" */
extern const char  *ngx_http_async_upload_guard_verdicts[];

/* the names of the reasons, as in the comments above; "none" */
extern const char  *ngx_http_async_upload_guard_names[];

/* "soak", "uploads", "success", .. */
extern const char  *ngx_http_async_upload_guard_lines[];


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
 *             with rb_min_uploads finished ones at async; nobody came to
 *             review for unattended_ms.
 *   REVIEW    success in the review window below its limit, once the stage is
 *             that old, with 100 uploads; latency above its limit for
 *             rv_latency_ms; complaints; rejected or aborted uploads 5 points
 *             above nothing, where there is no reference; (sequential) the
 *             detectors.
 *   ADVANCE   all lines of the gate are open.
 *   WAIT      otherwise.
 *
 * Without sequential the input's verdicts and evidence are not looked at.  A
 * detector's ROLLBACK leads to REVIEW where nothing rolls back by itself.
 *
 * Context: any process.
 * Returns: nothing; cannot fail.
 */
void ngx_http_async_upload_guard_decide(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_decision_t *decision);

/*
 * Fills in the lines of the gate: what each needs, has, and whether it is open.
 *
 * A rate of nothing and a latency of fewer than min_latency successes are not
 * known, and closed.  Losses are compared with a rate of 0 where there is no
 * reference.  Any verdict of a detector but NONE counts as evidence.
 *
 * Memory:  "lines" has room for NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES.
 * Returns: 1 if all lines that are on are open, else 0; 0 if there is no gate.
 */
int ngx_http_async_upload_guard_gate(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    ngx_http_async_upload_guard_line_t *lines);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_GUARD_H_INCLUDED_ */
