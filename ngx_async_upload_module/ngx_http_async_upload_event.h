
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_EVENT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_EVENT_H_INCLUDED_


/*
 * The ring of events in the zone: the last 64 transitions of a rollout, each
 * with who, why and the figures it rests on.  It knows neither rules nor who
 * reads; journal, log and status are made from what is read here.
 *
 * An event that goes with a state word is prepared, then the word is changed,
 * then the event is published.  A process killed in between leaves either
 * nothing, or a word whose event the next one publishes.
 */


#include "ngx_http_async_upload_zone.h"


/*
 * Prepares the next event, "event", as seq "events" + 1.  It is not there
 * until published; preparing again replaces it.
 *
 * Locks:   the zone mutex is held.
 */
void ngx_http_async_upload_event_prepare_locked(
    ngx_http_async_upload_zone_sh_t *sh,
    const ngx_http_async_upload_event_sh_t *event);

/*
 * Publishes the event that was prepared.
 *
 * Locks:   the zone mutex is held.
 */
void ngx_http_async_upload_event_publish_locked(
    ngx_http_async_upload_zone_sh_t *sh);

/*
 * Publishes the event of a process that died after it had changed the state
 * word; called before anything else is prepared.
 *
 * Locks:   the zone mutex is held.
 */
void ngx_http_async_upload_event_recover_locked(
    ngx_http_async_upload_zone_sh_t *sh);

/*
 * Keeps what the event "seq" was decided by, before the event is published.
 *
 * Locks:   the zone mutex is held.
 */
void ngx_http_async_upload_event_record_locked(
    ngx_http_async_upload_zone_sh_t *sh, uint64_t seq,
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    const ngx_http_async_upload_guard_decision_t *decision);

/*
 * Copies what the event "seq" was decided by.
 *
 * Returns: NGX_DECLINED if it was no decision, or is not kept any more.
 */
ngx_int_t ngx_http_async_upload_event_recall(
    ngx_http_async_upload_zone_sh_t *sh, uint64_t seq,
    ngx_http_async_upload_record_sh_t *record);

/*
 * Copies the event with this "seq", which is between the last 64 and
 * "sh->events".
 *
 * Context: any process.
 * Locks:   none; the copy is checked afterwards.
 * Returns: NGX_DECLINED if it is not, or no longer, in the ring.
 */
ngx_int_t ngx_http_async_upload_event_read(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t seq, ngx_http_async_upload_event_sh_t *event);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_EVENT_H_INCLUDED_ */
