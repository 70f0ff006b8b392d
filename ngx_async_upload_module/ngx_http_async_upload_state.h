
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_STATE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_STATE_H_INCLUDED_


/*
 * The state file: what of a rollout's zone survives a restart.  It knows which
 * fields of the zone are kept and the format of the file, but no rules.
 *
 * The file is text: a line that says what it is, its version and the rollout,
 * lines of a name and numbers or a quoted string, and a last line with a
 * checksum of all before it.  A reader ignores nothing: an unknown name, a
 * missing one or a number out of its range makes the file corrupt.
 *
 * It is written to a temporary file beside it, 0600, which is renamed.
 * Identities of clients are never in it.
 */


#include "ngx_http_async_upload_zone.h"


/* the file as it was read; too large for a stack */

typedef struct {
    uint64_t                           word;
    uint64_t                           term;
    uint64_t                           master;      /* pid */
    uint64_t                           generation;
    uint64_t                           saved_ms;    /* since 1970 */
    uint64_t                           age_ms;      /* of the observation */
    uint64_t                           events;
    uint64_t                           failures;    /* since the budget began */
    uint64_t                           critical;
    uint64_t                           service_memory;
    ngx_http_async_upload_applied_t    applied;
    ngx_http_async_upload_baseline_t   baseline;
    uint64_t                           statuses
                                         [NGX_HTTP_ASYNC_UPLOAD_HTTP_STATUSES];
    uint64_t                           drill_ms;
    uint64_t                           drill_took;
    uint64_t                           drill_workers;

    /* the cells' histograms when the observation began */
    ngx_http_async_upload_hist_t       since[NGX_HTTP_ASYNC_UPLOAD_ARMS];

    ngx_http_async_upload_counts_t     counts;      /* with the evidence */
    ngx_http_async_upload_event_sh_t   event[NGX_HTTP_ASYNC_UPLOAD_RING];
} ngx_http_async_upload_state_t;


/*
 * Takes what is to be kept from the zone, with "word" for the state word.
 *
 * Context: any process.
 * Locks:   none; the guard's part is copied between two equal sequences.
 * Memory:  "state" is overwritten.
 */
void ngx_http_async_upload_state_take(ngx_http_async_upload_rollout_t *rollout,
    uint64_t word, ngx_http_async_upload_state_t *state);

/*
 * Writes a state as the rollout's file.
 *
 * Context: worker; one at a time.
 * Returns: 0, or the errno of what failed, then the old file is untouched.
 *          "durable": fsync of the file and of its directory before and after
 *          the rename.
 */
ngx_err_t ngx_http_async_upload_state_write(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_state_t *state, ngx_uint_t durable,
    ngx_log_t *log);

/*
 * Reads the rollout's file.
 *
 * A link, a FIFO or anything but a file of its own that belongs to this user,
 * to root or to the worker's user and that nobody else can write is not read;
 * a file over 1 MB neither.
 *
 * Context: master while a configuration is loaded, or worker.
 * Returns: NGX_OK; NGX_DECLINED if there is no file; NGX_ERROR if it is
 *          refused, then "why" says in a few words what is wrong with it.
 */
ngx_int_t ngx_http_async_upload_state_read(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_state_t *state, const char **why, ngx_log_t *log);

/*
 * Keeps a file that was refused aside, as FILE.corrupt, which it replaces.
 *
 * Context: master, once the configuration cannot fail any more.
 */
void ngx_http_async_upload_state_set_aside(
    ngx_http_async_upload_rollout_t *rollout, ngx_log_t *log);

/*
 * Fills a zone that was never used with what was read or, of the same or
 * another layout in memory, taken: counters go into "base", what was in
 * flight there is lost, the guard's part is restored as of "now" (monotonic
 * us), the ring gets the events.  The state word is not set.
 *
 * Context: master, before any worker of this zone runs.
 */
void ngx_http_async_upload_state_fill(ngx_http_async_upload_zone_sh_t *sh,
    const ngx_http_async_upload_state_t *state, uint64_t now);

/*
 * Reads from the file no more than term, master and state word, if it has
 * changed since "inode" and "mtime" (nanoseconds), which are updated.
 *
 * Returns: NGX_OK; NGX_DECLINED if it has not changed or is not there;
 *          NGX_ERROR if it is not valid.
 */
ngx_int_t ngx_http_async_upload_state_peek(
    ngx_http_async_upload_rollout_t *rollout, uint64_t *inode, uint64_t *mtime,
    ngx_http_async_upload_state_t *state, ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_STATE_H_INCLUDED_ */
