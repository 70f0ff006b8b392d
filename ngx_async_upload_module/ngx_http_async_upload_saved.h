
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_SAVED_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_SAVED_H_INCLUDED_


/*
 * What a state file says, and the names that it says it by: a text as of
 * _record.  It knows neither files nor where the figures come from or go to.
 *
 * A reader ignores nothing: an unknown name, a missing one or a number out of
 * its range makes the file corrupt.  Failures are named by class and status,
 * events are as many as there are, so that a module with more or fewer of them
 * can read it.
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
    uint64_t                           review_ms;   /* waiting for a person */
    uint64_t                           events;
    uint64_t                           said;        /* of events */
    uint64_t                           failures;    /* since the budget began */
    uint64_t                           critical;
    uint64_t                           complaints;  /* in review's window */
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

    /* the last ones, as they lie in the zone's ring: by seq */
    ngx_http_async_upload_event_sh_t   event[NGX_HTTP_ASYNC_UPLOAD_RING];
} ngx_http_async_upload_state_t;


/*
 * Writes "state" of the rollout "name" into "size" bytes at "buf".
 *
 * Context: any process.
 * Returns: the length of the text; 0 if there was no room.
 */
size_t ngx_http_async_upload_saved_encode(
    const ngx_http_async_upload_state_t *state, const ngx_str_t *name,
    u_char *buf, size_t size);

/*
 * Reads what was written for the rollout "name".
 *
 * Context: any process.
 * Memory:  "state" is overwritten.
 * Returns: NULL, or in a few words what is wrong.
 */
const char *ngx_http_async_upload_saved_decode(
    ngx_http_async_upload_state_t *state, const ngx_str_t *name,
    const u_char *data, size_t size);

/*
 * Counts the failures of async, of bucket and kept uploads.
 */
uint64_t ngx_http_async_upload_saved_failures(
    const ngx_http_async_upload_counts_t *counts);

/*
 * Counts the uploads of a cell that have ended.
 */
uint64_t ngx_http_async_upload_saved_done(
    const ngx_http_async_upload_cell_sh_t *cell);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_SAVED_H_INCLUDED_ */
