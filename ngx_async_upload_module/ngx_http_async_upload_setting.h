
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_SETTING_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_SETTING_H_INCLUDED_


/*
 * The settings of a rollout as a part of the status: by the names of their
 * directives, each with the values in force and where they came from.  What is
 * off or left to something else is null.  It knows nothing of what is counted.
 */


#include "ngx_http_async_upload.h"
#include "ngx_http_async_upload_json.h"


/*
 * Writes the member "settings".
 *
 * Context: any process.
 */
void ngx_http_async_upload_setting_render(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_SETTING_H_INCLUDED_ */
