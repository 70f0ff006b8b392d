
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_HISTORY_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_HISTORY_H_INCLUDED_


/*
 * What has been, as a part of the status: the last events and the points of the
 * plots.  It knows nothing of what is now.
 */


#include "ngx_http_async_upload_zone.h"
#include "ngx_http_async_upload_json.h"


/*
 * Writes the member "events": those in the ring, the newest first, with their
 * figures or without.
 *
 * Context: worker.
 */
void ngx_http_async_upload_history_events(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t figures);

/*
 * Writes the member "history": the names of a point's fields, the seconds
 * between two points, and the points, the oldest first, each an array.  What
 * was not known is null.
 *
 * Context: worker.
 */
void ngx_http_async_upload_history_points(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_plots_t *plots);

/*
 * The newest event that the ring holds, or the newest before "seq".
 *
 * Returns: NGX_DECLINED if there is none; "event->seq" is that of it.
 */
ngx_int_t ngx_http_async_upload_history_before(
    ngx_http_async_upload_rollout_t *rollout, uint64_t seq,
    ngx_http_async_upload_event_sh_t *event);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_HISTORY_H_INCLUDED_ */
