
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_SETTLE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_SETTLE_H_INCLUDED_


/*
 * The rules and the state file of a rollout: what nothing was said of, and
 * what was said but does not go together.  It knows the defaults; the words of
 * nginx.conf were read by the setters.
 */


#include "ngx_http_async_upload.h"


/* Context of all: master, while a configuration is loaded. */

/*
 * Gives a new rollout the rules that need nothing else to be known; a
 * directive changes some of them.
 */
void ngx_http_async_upload_settle_create(
    ngx_http_async_upload_rollout_t *rollout);

/*
 * Gives the stages what they do not say and the rollout the share of the
 * first one, and checks the rules against one another.  Called once the
 * environment is settled.
 *
 * Returns: NGX_ERROR, with one [emerg] line.
 */
ngx_int_t ngx_http_async_upload_settle_rules(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);

/*
 * Checks that all shares of a rollout are such that its hash can tell them
 * apart.
 *
 * Returns: NGX_ERROR, with one [emerg] line.
 */
ngx_int_t ngx_http_async_upload_settle_shares(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);

/*
 * Settles where the state of a rollout is kept: if nothing was said, in a
 * directory beside the bodies of clients that nginx makes as it makes theirs.
 * "others" are the rollouts settled before this one.
 *
 * Returns: NGX_ERROR, with one [emerg] line, or if out of memory.
 */
ngx_int_t ngx_http_async_upload_settle_state(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout, ngx_array_t *others);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_SETTLE_H_INCLUDED_ */
