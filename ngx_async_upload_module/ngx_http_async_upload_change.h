
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_CHANGE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_CHANGE_H_INCLUDED_


/*
 * How a change becomes true and known: state word, state file, journal and
 * log, in this order; a raised share is in the file before it is in the word.
 * It knows nothing of which changes are right.
 */


#include "ngx_http_async_upload_event.h"
#include "ngx_http_async_upload_state.h"
#include "ngx_http_async_upload_zone.h"


/* what else changes in the guard's part, with the zone mutex held */

typedef void (*ngx_http_async_upload_change_pt)(
    ngx_http_async_upload_guard_sh_t *guard, void *data);


/*
 * Changes the state word from "old" to "now" and publishes "event" with it;
 * its old, now, seq and time are filled in.  Another epoch starts the
 * observation anew.  With equal words the event alone is published.  "more",
 * if not NULL, is called with "data" once the word is changed.
 *
 * Context: worker of the newest generation.
 * Locks:   the zone mutex, shortly.
 * Returns: NGX_DECLINED if the word is not "old" any more.
 */
ngx_int_t ngx_http_async_upload_change_word(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_word_t *old,
    const ngx_http_async_upload_word_t *now,
    ngx_http_async_upload_event_sh_t *event,
    ngx_http_async_upload_change_pt more, void *data);

/*
 * Writes the state file with "word" for the state word, which is "old", before
 * it is that.
 *
 * Locks:   with 0 no other process writes until change_settle, which must come
 *          next, be it that change_word has declined.
 * Returns: 0, or the errno of what failed; 0 where there is no file; NGX_EAGAIN
 *          if the state word is not "old" any more, then nothing is written.
 */
ngx_err_t ngx_http_async_upload_change_plan(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_word_t *old,
    const ngx_http_async_upload_word_t *word, ngx_log_t *log);

/*
 * Settles what has changed: into the state file, then into journal and log, in
 * the order of events.  What cannot be saved is said all the same, after an
 * [alert].
 *
 * "wait": milliseconds to wait for another process that does just that.
 *
 * Context: worker of the newest generation.
 * Returns: NGX_AGAIN if another process is still at it.
 */
ngx_int_t ngx_http_async_upload_change_settle(
    ngx_http_async_upload_rollout_t *rollout, ngx_msec_t wait, ngx_log_t *log);

/*
 * Writes the state file with the counters of now, if somebody else does not.
 */
void ngx_http_async_upload_change_save(
    ngx_http_async_upload_rollout_t *rollout, uint64_t total, ngx_log_t *log);

/*
 * The memory of this process for a state file, too large for a stack.  Whoever
 * calls this may use it until somebody else does.
 */
ngx_http_async_upload_state_t *ngx_http_async_upload_change_state(void);

/*
 * Publishes the event of a changed nginx.conf, which the master has left.
 *
 * Locks:   the zone mutex is held.
 */
void ngx_http_async_upload_change_take_locked(
    ngx_http_async_upload_rollout_t *rollout);

/*
 * Starts the observation anew, for the epoch "epoch", at "now" microseconds.
 *
 * Locks:   the zone mutex is held.
 */
void ngx_http_async_upload_change_observe_locked(
    ngx_http_async_upload_rollout_t *rollout, uint64_t epoch, uint64_t now);

/* Opens and closes what readers see of the guard's part, in pairs. */
void ngx_http_async_upload_change_open_locked(
    ngx_http_async_upload_zone_sh_t *sh);

/* See above. */
void ngx_http_async_upload_change_close_locked(
    ngx_http_async_upload_zone_sh_t *sh);


/* Whether this process is of the configuration that was applied last. */
static ngx_inline ngx_uint_t
ngx_http_async_upload_change_current(ngx_http_async_upload_rollout_t *rollout)
{
    return rollout->generation
           == ngx_http_async_upload_zone_load(&rollout->sh->generation);
}


/* The epoch after "epoch". */
static ngx_inline uint64_t
ngx_http_async_upload_change_epoch(uint64_t epoch)
{
    epoch = (epoch + 1) & 0xffffffff;

    return epoch ? epoch : 1;
}


/* The zone's mutex. */
static ngx_inline ngx_shmtx_t *
ngx_http_async_upload_change_mutex(ngx_http_async_upload_rollout_t *rollout)
{
    return &((ngx_slab_pool_t *) rollout->shm_zone->shm.addr)->mutex;
}


/* Milliseconds since 1970. */
static ngx_inline uint64_t
ngx_http_async_upload_change_wall(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


#endif /* _NGX_HTTP_ASYNC_UPLOAD_CHANGE_H_INCLUDED_ */
