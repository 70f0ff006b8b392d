
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_REPORT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_REPORT_H_INCLUDED_


/*
 * The status as a report to keep or to send around, in Markdown with the tables
 * of GitHub's: deployment, baseline, criteria, both arms and what has been
 * decided.  It knows the report's words; the figures are those of the JSON.
 */


#include "ngx_http_async_upload_look.h"
#include "ngx_http_async_upload_json.h"


/* Writes the title of a report on the last "since" seconds. */
void ngx_http_async_upload_report_start(ngx_http_async_upload_json_t *w,
    time_t since);

/*
 * Writes one rollout as "look" has seen it, with the events of the last
 * "since" seconds that are in the ring.
 *
 * Context: worker.
 */
void ngx_http_async_upload_report_rollout(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, time_t since);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_REPORT_H_INCLUDED_ */
