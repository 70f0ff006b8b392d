
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_JOURNAL_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_JOURNAL_H_INCLUDED_


/*
 * What is said of an event: its JSON, the line of async_upload_log and the
 * line of nginx' log.  It knows nothing of who waits for it to be said.
 */


#include "ngx_http_async_upload_zone.h"
#include "ngx_http_async_upload_json.h"


/*
 * Writes the event as one JSON object without a key: time (ISO 8601, UTC, with
 * milliseconds), sequence, epoch, rollout, event, actor {kind, and what is
 * known of who}, from and to {state, stage, share_bp}, reason, rule, value,
 * limit, dry_run and, with "figures", both arms; with "record", not NULL, what
 * it was decided by.
 */
void ngx_http_async_upload_journal_render(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_event_sh_t *event, ngx_uint_t figures,
    const ngx_http_async_upload_record_sh_t *record);

/*
 * Writes an event as the text of its log line: "ROLLBACK 1000 -> 0 bp, stage 2,
 * rule consecutive (5 of 5), by guard".
 */
void ngx_http_async_upload_journal_tell(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event);

/*
 * Writes the part of that which does not come from outside: up to the actor,
 * without who and why.
 */
void ngx_http_async_upload_journal_what(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event);

/* The word for an event's type. */
ngx_str_t *ngx_http_async_upload_journal_event(
    const ngx_http_async_upload_event_sh_t *event);

/* The word for its actor. */
ngx_str_t *ngx_http_async_upload_journal_actor(
    const ngx_http_async_upload_event_sh_t *event);

/*
 * Says an event: one line in nginx' log (ROLLBACK [error], REVIEW [warn],
 * others [notice]) and one line, in one write, in the journal.
 *
 * Context: worker.
 * Returns: NGX_ERROR if the journal could not be written; logged as [alert]
 *          once until it is good again.
 */
ngx_int_t ngx_http_async_upload_journal_say(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_event_sh_t *event, ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_JOURNAL_H_INCLUDED_ */
