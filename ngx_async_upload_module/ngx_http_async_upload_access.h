
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_ACCESS_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_ACCESS_H_INCLUDED_


/*
 * Who may command: the holder of a token, or, where there are none, whoever is
 * on this machine.  It knows requests and tokens; it knows nothing of commands.
 *
 * nginx' own allow, deny, auth_basic and client certificates have had their say
 * before.  Of a token only its digest is kept, and no token is ever logged.
 */


#include "ngx_http_async_upload_rollout.h"


/* a token as it is kept: SHA-256, bytes */
#define NGX_HTTP_ASYNC_UPLOAD_ACCESS_DIGEST  32

/* bytes of a token's name, at most */
#define NGX_HTTP_ASYNC_UPLOAD_ACCESS_NAME    32


/*
 * The digest of a token, NGX_HTTP_ASYNC_UPLOAD_ACCESS_DIGEST bytes.
 *
 * Context: any process.
 * Returns: NGX_ERROR if the library has none.
 */
ngx_int_t ngx_http_async_upload_access_digest(ngx_str_t *token,
    u_char *digest);

/*
 * Looks whether a request may command.
 *
 * With "tokens", whose "token" is a digest, it must have one of them, as
 * "Authorization: Bearer TOKEN"; "name" is then that token's, else it is empty.
 * Without (NULL), it must come over a UNIX socket or from a loopback address,
 * and neither by the PROXY protocol nor with a header that tells of a proxy.
 * Either way, a page of another origin than the request's host is refused.
 *
 * The time it takes does not depend on how much of a token is right.
 *
 * Context: worker.
 * Returns: NGX_ERROR, then "answer" says why: 401 or 403.
 */
ngx_int_t ngx_http_async_upload_access_check(ngx_http_request_t *r,
    ngx_array_t *tokens, ngx_http_async_upload_answer_t *answer,
    ngx_str_t *name);

/*
 * Writes who commands, "peer=ADDRESS user=NAME token=NAME actor=CLAIM", as
 * much as is known of it, ended with a null.
 *
 * In the first three there are no spaces; what has no room is cut at a
 * character's end.  "user" is nginx' $remote_user, "actor" the request's claim.
 *
 * Memory:  "buf" has room for NGX_HTTP_ASYNC_UPLOAD_WHO bytes.
 * Returns: the bytes written, without the null.
 */
size_t ngx_http_async_upload_access_who(ngx_http_request_t *r,
    ngx_str_t *token, ngx_str_t *actor, u_char *buf);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ACCESS_H_INCLUDED_ */
