
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * What is decided by: the rules in force, and what was seen.
 *
 * The unit knows what counts, rates, ratios and durations mean.  It must not
 * know what follows from them, where they come from, or nginx.
 *
 * The types are named after the guard, for which they are made.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_FACTS_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_FACTS_H_INCLUDED_


#include <stdint.h>
#include "ngx_http_async_upload_stats.h"


typedef struct {
    uint32_t  sequential;       /* 0: the literal rules alone */

    /*
     * The stage's gate; "gates" 0: a fixed share, there is none.  What is
     * healthy for a detector is what the gate asks for, gate or none.
     */
    uint32_t  gates;
    uint64_t  min_uploads;
    uint32_t  gate_success;     /* ppm */
    uint32_t  gate_error;       /* ppm */
    double    gate_latency;     /* of the reference, 1.1; 0: off */
    uint64_t  soak_ms;

    /* "rollback" 0: its rules are off; budget is a rule of its own */
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
    double    horizon;          /* ticks, 86400 */
    uint64_t  min_failures;     /* for a rollback by evidence, 3 */
    double    proof;            /* evidence that opens the gate, 20; 0: off */
    uint32_t  proof_error;      /* of errors below that, ppm, 30000 */
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

    /* sequential alone: failures of the stage that are no evidence */
    uint64_t  repeated;         /* by one identity among good ones */

    /* verdicts of the detectors and the evidence, rates are 0..1 */
    ngx_http_async_upload_stats_verdict_e  success_verdict;
    ngx_http_async_upload_stats_verdict_e  error_verdict;
    double    success_evidence;
    double    success_rate;     /* of failures, now */
    double    error_evidence;
    double    error_rate;       /* of failures, now */
    double    worse;            /* than control */
    double    slower;           /* by more than rv_latency */
    double    missing;
    double    rejected;         /* more than at control */
    double    aborted;          /* likewise */
    double    gate_slower;      /* by more than gate_latency */
    double    proof;            /* that errors are below proof_error */

    uint32_t  two_arm;          /* 0: there is no control to compare with */
    uint32_t  both;             /* 1: both arms fail, as evidence has it */
} ngx_http_async_upload_guard_input_t;


/*
 * What async's losses are compared with.
 *
 * Returns: sync's, or where there is no reference one that has lost nothing.
 */
const ngx_http_async_upload_guard_loss_t *ngx_http_async_upload_facts_reference(
    const ngx_http_async_upload_guard_input_t *in);

/*
 * Tells whether there is a reference for async's losses.
 *
 * Returns: 1 or 0.
 */
int ngx_http_async_upload_facts_compared(
    const ngx_http_async_upload_guard_input_t *in);

/*
 * Tells whether the ratio of latencies is known: there is one, of at least
 * min_latency successes.
 *
 * Returns: 1 or 0.
 */
int ngx_http_async_upload_facts_timed(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_FACTS_H_INCLUDED_ */
