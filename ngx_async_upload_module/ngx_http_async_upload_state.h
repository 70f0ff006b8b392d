
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_STATE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_STATE_H_INCLUDED_


/*
 * The state file: what of a rollout's zone survives a restart.  It knows what
 * of the zone is kept and how it comes back, but no rules, and nothing of how
 * it looks in the file.
 *
 * Identities of clients are never in it.
 */


#include "ngx_http_async_upload_saved.h"
#include "ngx_http_async_upload_zone.h"


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
 * "durable": with fsync of the file before, and of its directory after it is
 * renamed.
 *
 * Context: worker; one at a time.
 * Returns: 0, or the errno of what failed, then the old file is untouched.
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
 * Keeps a file that was refused aside, as FILE.corrupt, which it replaces; if
 * that fails, there is a [warn] line.
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
 * Reads the file, of which term, master and state word are meant, if it has
 * changed since "inode" and "mtime" (nanoseconds), which are updated.
 *
 * Memory:  "state" is overwritten.
 * Returns: NGX_OK; NGX_DECLINED if it has not changed or is not there;
 *          NGX_ERROR if it is not valid.
 */
ngx_int_t ngx_http_async_upload_state_peek(
    ngx_http_async_upload_rollout_t *rollout, uint64_t *inode, uint64_t *mtime,
    ngx_http_async_upload_state_t *state, ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_STATE_H_INCLUDED_ */
