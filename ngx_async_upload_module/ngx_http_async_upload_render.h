
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_RENDER_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_RENDER_H_INCLUDED_


/*
 * The status as JSON: what is said of a rollout, in which words and units.
 * It knows nothing of HTTP; the writer's owner sends what comes out.
 *
 * Rates are fractions of 1 with 6 decimals, null where nothing was counted;
 * every other number has its unit in its name.
 */


#include "ngx_http_async_upload_look.h"
#include "ngx_http_async_upload_json.h"


/* Opens the document: versions, time and the object of the rollouts. */
void ngx_http_async_upload_render_start(ngx_http_async_upload_json_t *w);

/*
 * Writes one rollout, named, as "look" has seen it; with "plots", which may be
 * NULL, also the history and the figures of the events.
 */
void ngx_http_async_upload_render_rollout(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look,
    const ngx_http_async_upload_plots_t *plots);

/* Closes what render_start opened. */
void ngx_http_async_upload_render_end(ngx_http_async_upload_json_t *w);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_RENDER_H_INCLUDED_ */
