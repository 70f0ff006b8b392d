
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_CRITERIA_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_CRITERIA_H_INCLUDED_


/*
 * The criteria of a rollout as a part of the report: the gate, what rolls back
 * and what calls for a person, each with what is seen, its limit and whether it
 * is met.  It decides nothing; that is the guard's.
 */


#include "ngx_http_async_upload_look.h"
#include "ngx_http_async_upload_json.h"


/*
 * Writes a section of Markdown with a table each.
 *
 * Context: worker.
 */
void ngx_http_async_upload_criteria_report(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_CRITERIA_H_INCLUDED_ */
