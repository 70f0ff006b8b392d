
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_APPLY_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_APPLY_H_INCLUDED_


/*
 * From nginx.conf to the state word.  Only what has changed since nginx.conf
 * was last applied is the operator speaking; a zone that is new gets its past
 * from the zone of another size that it replaces, or from the state file.
 */


#include "ngx_http_async_upload_zone.h"


/*
 * Applies the configuration of a rollout to its zone.
 *
 * Context: master, once the new configuration cannot fail any more.
 * Locks:   none: meanwhile the master would not notice, nor unlock it, if a
 *          worker died with the zone mutex.
 */
void ngx_http_async_upload_apply(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_APPLY_H_INCLUDED_ */
