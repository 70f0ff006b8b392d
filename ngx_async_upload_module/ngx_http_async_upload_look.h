
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_LOOK_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_LOOK_H_INCLUDED_


/*
 * A look at a rollout: all that its zone says at one moment, put into the form
 * in which the guard and people want it, and the guard's opinion of it.  It
 * changes nothing; tick, commands and status all decide by the same look.
 */


#include "ngx_http_async_upload_zone.h"
#include "ngx_http_async_upload_guard.h"


/* what the latency of async is compared with */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_LOOK_NOTHING = 0,
    NGX_HTTP_ASYNC_UPLOAD_LOOK_SYNC,
    NGX_HTTP_ASYNC_UPLOAD_LOOK_BASELINE
} ngx_http_async_upload_look_reference_e;


/*
 * One consistent look at a rollout: what was counted, what the guard says of
 * it, and what the tick knows.  About 80 KB; see look_memory.
 */

typedef struct {
    ngx_http_async_upload_word_t            word;
    uint64_t                                now;        /* guard's clock, us */
    ngx_http_async_upload_counts_t          counts;
    ngx_http_async_upload_slots_t           slots;
    ngx_http_async_upload_guard_sh_t        guard;
    ngx_http_async_upload_guard_conf_t      conf;
    ngx_http_async_upload_guard_input_t     in;
    ngx_http_async_upload_guard_decision_t  decision;
    ngx_http_async_upload_guard_line_t      gate
                                     [NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES];
    ngx_uint_t                              open;       /* 1: the gate */
    ngx_uint_t                              stage;      /* from 1; 0: none */
    ngx_uint_t                              stages;

    /* p95 of the observation, us; 0: not known */
    uint64_t                                p95[NGX_HTTP_ASYNC_UPLOAD_ARMS];

    /* what latency is compared with: ..._look_reference_e */
    ngx_uint_t                              reference;
    uint64_t                                reference_p95;
    uint64_t                                soak_left_ms;

    /* latencies of the observation */
    ngx_http_async_upload_hist_t            latency[NGX_HTTP_ASYNC_UPLOAD_ARMS];

    /* the baseline in force: frozen, or what is rolling now */
    ngx_http_async_upload_baseline_t        baseline;
    double                                  memory;     /* ratio; 0: unknown */
} ngx_http_async_upload_look_t;


/*
 * The memory of this process for looks, too large for a stack.
 */
ngx_http_async_upload_look_t *ngx_http_async_upload_look_memory(void);

/*
 * Looks at a rollout.
 *
 * Context: worker; any number at once.
 * Locks:   none.
 * Memory:  "look" is overwritten.
 */
void ngx_http_async_upload_look_take(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);

/*
 * Asks the guard once more, after something of "look->in" was changed.
 */
void ngx_http_async_upload_look_again(ngx_http_async_upload_look_t *look);

/*
 * Copies the points of the plots, the newest "fine" - 1 and "coarse" - 1,
 * each modulo the size of its array.
 */
void ngx_http_async_upload_look_plots(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_plots_t *plots);

/*
 * The baseline as it would be recorded now: sync in the last 18 to 24 hours.
 */
void ngx_http_async_upload_look_rolling(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_http_async_upload_baseline_t *b);

/*
 * The totals of sync, bucket and kept, since the zone or its past began.
 */
void ngx_http_async_upload_look_sync(ngx_http_async_upload_look_t *look,
    uint64_t *success, uint64_t *failure, uint64_t *rejected,
    uint64_t *aborted);

/*
 * Successes and failures of an arm, likewise.
 */
void ngx_http_async_upload_look_arm(ngx_http_async_upload_look_t *look,
    ngx_uint_t arm, uint64_t *success, uint64_t *failure);

/*
 * Fills in the figures of an event: both arms in the observation.
 */
void ngx_http_async_upload_look_figures(ngx_http_async_upload_look_t *look,
    ngx_http_async_upload_event_sh_t *event);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_LOOK_H_INCLUDED_ */
