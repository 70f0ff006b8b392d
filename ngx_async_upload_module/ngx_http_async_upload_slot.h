
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_SLOT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_SLOT_H_INCLUDED_


/*
 * Who owns which slot of a zone: a process claims one, gives it back, or dies
 * with it.  It does not know what is counted there, but that an owner's death
 * loses what was in flight.
 */


#include "ngx_http_async_upload.h"


/*
 * Claims a slot for this process and sets "rollout->slot".  What a dead owner
 * had in flight becomes lost.  Without a free slot it is the overflow slot,
 * with one [warn] line in the life of the zone.
 *
 * Context: worker or single process, at start or at its first upload.
 * Locks:   the zone mutex.
 */
void ngx_http_async_upload_slot_claim(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log);

/*
 * Gives the slot back; what is still in flight becomes lost.
 *
 * Context: worker, at exit.
 * Locks:   the zone mutex.
 */
void ngx_http_async_upload_slot_release(
    ngx_http_async_upload_rollout_t *rollout);

/*
 * Frees the slots of processes that are gone.
 *
 * Context: worker, timer.
 * Locks:   tries the zone mutex, gives up for this time if it is taken.
 */
void ngx_http_async_upload_slot_reap(ngx_http_async_upload_rollout_t *rollout);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_SLOT_H_INCLUDED_ */
