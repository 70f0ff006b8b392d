
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_ROLLOUT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_ROLLOUT_H_INCLUDED_


/*
 * The state machine: every change of a state word by a command, by a rule or
 * by what finished uploads say.  It knows states, stages, events and the order
 * in which a transition becomes true: word, state file, journal and log,
 * answer.  It knows nothing of HTTP.
 */


#include "ngx_http_async_upload_guard.h"
#include "ngx_http_async_upload_zone.h"


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_ENABLE = 0,
    NGX_HTTP_ASYNC_UPLOAD_DISABLE,
    NGX_HTTP_ASYNC_UPLOAD_SHARE,
    NGX_HTTP_ASYNC_UPLOAD_ADVANCE,
    NGX_HTTP_ASYNC_UPLOAD_PAUSE,
    NGX_HTTP_ASYNC_UPLOAD_RESUME,
    NGX_HTTP_ASYNC_UPLOAD_ROLLBACK,
    NGX_HTTP_ASYNC_UPLOAD_RESTART,
    NGX_HTTP_ASYNC_UPLOAD_DRILL,
    NGX_HTTP_ASYNC_UPLOAD_BASELINE,
    NGX_HTTP_ASYNC_UPLOAD_FORGET,
    NGX_HTTP_ASYNC_UPLOAD_SIGNAL,
    NGX_HTTP_ASYNC_UPLOAD_COMMANDS
} ngx_http_async_upload_command_e;


/*
 * A command with its parameters; the control checks the syntax, that a
 * parameter belongs to the command and its range as a number.
 */

typedef struct {
    ngx_uint_t                       command;
    ngx_int_t                        stage;         /* from 1; 0: not given */
    ngx_int_t                        share;         /* bp; -1: not given */
    ngx_uint_t                       force;
    ngx_int_t                        if_epoch;      /* -1: not given */
    ngx_int_t                        complaints;    /* -1: not given */
    ngx_int_t                        memory;        /* percent; -1 */
    ngx_int_t                        critical;      /* 1; -1 */
    ngx_str_t                        who;           /* for the journal */
    ngx_str_t                        why;
} ngx_http_async_upload_order_t;


/* what became of it */

typedef struct {
    ngx_uint_t                       status;        /* 200, 400, 409, 500 */
    const char                      *error;         /* NULL: none */
    u_char                           description[256];  /* with a null */
    ngx_uint_t                       changed;       /* 0: a no-op */
    ngx_http_async_upload_word_t     word;          /* as it is now */
    uint64_t                         seq;           /* of its event; 0: none */
} ngx_http_async_upload_answer_t;


/*
 * One consistent look at a rollout: what was counted, what the guard says of
 * it, and what the tick knows.  About 120 KB; see rollout_looking.
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

    /* what latency is compared with: 0 nothing, 1 sync, 2 the baseline */
    ngx_uint_t                              reference;
    uint64_t                                reference_p95;
    uint64_t                                soak_left_ms;

    /* latencies of the observation */
    ngx_http_async_upload_hist_t            latency[NGX_HTTP_ASYNC_UPLOAD_ARMS];

    /* the baseline in force: frozen, or what is rolling now */
    ngx_http_async_upload_baseline_t        baseline;
    double                                  memory;     /* ratio; 0: unknown */
} ngx_http_async_upload_look_t;


/* the names of the commands, in the order of command_e */
extern ngx_str_t  ngx_http_async_upload_rollout_commands[];


/*
 * The memory for looks of this process, made once; NULL if out of memory.
 */
ngx_http_async_upload_look_t *ngx_http_async_upload_rollout_looking(
    ngx_log_t *log);

/*
 * Looks at a rollout; changes nothing.
 *
 * Context: worker; any number at once.
 * Locks:   none.
 * Memory:  "look" is overwritten.
 */
void ngx_http_async_upload_rollout_look(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);

/*
 * Carries a command out, all of it but the wait of a drill: when this returns
 * with status 200, the change is in force, in the state file, in journal and
 * log.  With any other status nothing has changed.
 *
 * A drill that began has "changed" set; rollout_drilled tells when it is over.
 *
 * Context: worker.
 * Locks:   the zone mutex, shortly; waits up to a second for another process
 *          that writes the state file.
 */
void ngx_http_async_upload_rollout_command(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_order_t *order,
    ngx_http_async_upload_answer_t *answer, ngx_log_t *log);

/*
 * Looks whether every worker of this generation routes to sync by now, and if
 * so ends the drill that "order" began.
 *
 * Returns: NGX_AGAIN: not yet; NGX_OK: it is over, "took" milliseconds by
 *          "workers"; NGX_ERROR: something else has ended it (a rollback,
 *          another command, its deadline of 10 seconds).
 */
ngx_int_t ngx_http_async_upload_rollout_drilled(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_order_t *order,
    ngx_http_async_upload_answer_t *answer, ngx_msec_t *took,
    ngx_uint_t *workers, ngx_log_t *log);

/*
 * An upload of async has failed, in the epoch "epoch"; called once the failure
 * is counted.  With "turned" there was no live peer for it.
 *
 * Acts at once, where the rules are plain, if it is one too many in a row.
 *
 * Context: worker, log phase or pool cleanup.
 */
void ngx_http_async_upload_rollout_failed(
    ngx_http_async_upload_rollout_t *rollout, uint64_t epoch,
    ngx_uint_t turned, ngx_log_t *log);

/*
 * Looks after a rollout: samples its windows, asks the guard and carries out
 * what it says, settles what is not in file, journal and log yet.  There is no
 * leader: of all workers of the newest generation the first one in an
 * interval does it.
 *
 * Context: worker, timer; not while it exits.
 */
void ngx_http_async_upload_rollout_tick(
    ngx_http_async_upload_rollout_t *rollout, ngx_log_t *log);

/*
 * Applies what nginx.conf says and has changed since it was last applied, to a
 * zone that may be new: then from the state file or from the zone of another
 * size that it replaces.
 *
 * Context: master, once the new configuration cannot fail any more.
 * Locks:   none: meanwhile the master would not notice, nor unlock it, if a
 *          worker died with the zone mutex.
 */
void ngx_http_async_upload_rollout_apply(
    ngx_http_async_upload_rollout_t *rollout, ngx_log_t *log);

/*
 * Saves what is not saved at the exit of a worker.
 */
void ngx_http_async_upload_rollout_exit(
    ngx_http_async_upload_rollout_t *rollout, ngx_log_t *log);


/*
 * An upload of async has succeeded in the epoch of now: no run of failures.
 */
static ngx_inline void
ngx_http_async_upload_rollout_succeeded(
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    if (sh->run) {
        __atomic_store_n(&sh->run, 0, __ATOMIC_RELAXED);
    }

    if (sh->turned) {
        __atomic_store_n(&sh->turned, 0, __ATOMIC_RELAXED);
    }
}


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ROLLOUT_H_INCLUDED_ */
