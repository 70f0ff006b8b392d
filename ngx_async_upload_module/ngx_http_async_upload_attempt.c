
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_attempt.h"


static ngx_uint_t ngx_http_async_upload_attempt_received(
    ngx_http_upstream_t *u);
static void ngx_http_async_upload_attempt_answer(
    ngx_http_async_upload_rollout_t *rollout, ngx_http_upstream_t *u,
    ngx_http_async_upload_end_t *end);
static ngx_uint_t ngx_http_async_upload_attempt_class(ngx_http_upstream_t *u,
    ngx_http_upstream_srv_conf_t *us);
static void ngx_http_async_upload_attempt_broken(ngx_http_request_t *r,
    ngx_int_t rc, ngx_http_async_upload_end_t *end);
static ngx_uint_t ngx_http_async_upload_attempt_gone(ngx_http_request_t *r);
static ngx_uint_t ngx_http_async_upload_attempt_cut(ngx_http_request_t *r,
    ngx_int_t rc);


void
ngx_http_async_upload_attempt_failed(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t *rollout, ngx_http_async_upload_end_t *end)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (ngx_http_async_upload_attempt_received(u)) {

        /* the core gives up answers of its own list of statuses only */

        end->result = NGX_HTTP_ASYNC_UPLOAD_FAILURE;
        end->failure = NGX_HTTP_ASYNC_UPLOAD_HTTP;
        end->status = u->headers_in.status_n;
        return;
    }

    end->result = NGX_HTTP_ASYNC_UPLOAD_FAILURE;
    end->failure = ngx_http_async_upload_attempt_class(u, rollout->async);
    end->status = 0;
}


void
ngx_http_async_upload_attempt_ended(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t *rollout, ngx_http_upstream_srv_conf_t *us,
    ngx_int_t rc, ngx_http_async_upload_end_t *end)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    end->result = NGX_HTTP_ASYNC_UPLOAD_FAILURE;
    end->failure = NGX_HTTP_ASYNC_UPLOAD_HTTP;
    end->status = 0;

    if (ngx_http_async_upload_attempt_received(u)) {

        ngx_http_async_upload_attempt_answer(rollout, u, end);

        if (end->result == NGX_HTTP_ASYNC_UPLOAD_SUCCESS) {
            ngx_http_async_upload_attempt_broken(r, rc, end);
        }

        return;
    }

    if (u->peer.sockaddr == NULL
        && (rc == NGX_HTTP_BAD_GATEWAY || rc == NGX_HTTP_GATEWAY_TIME_OUT
            || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST
            || (u->state && u->state->peer && u->state->status >= 500)))
    {
        /*
         * The core has given the attempt up, or there was no peer for one;
         * whatever "rc" is, it may have answered from a stale cache.
         */

        end->failure = ngx_http_async_upload_attempt_class(u, us);
        return;
    }

    if (ngx_http_async_upload_attempt_cut(r, rc)) {
        end->result = NGX_HTTP_ASYNC_UPLOAD_CUT;
        return;
    }

    if (rc == NGX_HTTP_CLIENT_CLOSED_REQUEST || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_BAD_REQUEST || rc == NGX_DONE
        || ngx_http_async_upload_attempt_gone(r))
    {
        end->result = NGX_HTTP_ASYNC_UPLOAD_ABORTED;
        return;
    }

    if (rc >= NGX_HTTP_BAD_REQUEST && rc < NGX_HTTP_INTERNAL_SERVER_ERROR) {

        /* an unbuffered body that nginx itself refused, 413 most likely */

        end->result = NGX_HTTP_ASYNC_UPLOAD_REJECTED;
        return;
    }

    /* out of memory and the like: no fault of an upstream */

    end->result = NGX_HTTP_ASYNC_UPLOAD_CUT;
}


/* a complete header; interim answers are skipped by the core before */

static ngx_uint_t
ngx_http_async_upload_attempt_received(ngx_http_upstream_t *u)
{
    return u->state && u->state->peer
           && u->state->header_time != (ngx_msec_t) -1;
}


static void
ngx_http_async_upload_attempt_answer(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_upstream_t *u, ngx_http_async_upload_end_t *end)
{
    ngx_uint_t  status;

    /*
     * Without a header at all the core passes on what came as HTTP/0.9.  It
     * overwrites the header's status if it answers from a stale cache, and
     * leaves that of early hints in the state.
     */

    status = (u->headers_in.status_n && u->state->status >= NGX_HTTP_OK)
             ? u->state->status : u->headers_in.status_n;

    if (status < 100 || status >= 600) {
        end->failure = NGX_HTTP_ASYNC_UPLOAD_INVALID;
        return;
    }

    end->status = status;

    if (status >= 400) {

        if (ngx_http_async_upload_attempt_fails(rollout, status)) {
            return;
        }

        end->result = NGX_HTTP_ASYNC_UPLOAD_REJECTED;
        return;
    }

    if (status < 200 && status != NGX_HTTP_SWITCHING_PROTOCOLS) {

        /* taken for final by the core, but whatever it is it is no answer */

        end->result = NGX_HTTP_ASYNC_UPLOAD_CUT;
        return;
    }

    end->result = NGX_HTTP_ASYNC_UPLOAD_SUCCESS;
}


/* why an attempt without an answer failed; nothing was closed yet */

static ngx_uint_t
ngx_http_async_upload_attempt_class(ngx_http_upstream_t *u,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_str_t         *name;
    ngx_connection_t  *c;

    c = u->peer.connection;

    if (c == NULL) {
        name = u->peer.name;

        /* without a peer, balancers leave the name of the block there */

        if (name == NULL
            || (u->peer.sockaddr == NULL
                && name->len == us->host.len
                && ngx_strncmp(name->data, us->host.data, name->len) == 0))
        {
            return NGX_HTTP_ASYNC_UPLOAD_NO_LIVE_PEER;
        }

        return NGX_HTTP_ASYNC_UPLOAD_CONNECT;
    }

    if (!u->request_sent) {
        return NGX_HTTP_ASYNC_UPLOAD_CONNECT;
    }

    if (c->read->timedout || c->write->timedout) {
        return NGX_HTTP_ASYNC_UPLOAD_TIMEOUT;
    }

    if (u->state->bytes_received && !c->read->eof && !c->read->error) {
        return NGX_HTTP_ASYNC_UPLOAD_INVALID;
    }

    return NGX_HTTP_ASYNC_UPLOAD_RESET;
}


/*
 * A header of success came; "rc" tells whether the rest did.  The core ends a
 * buffered response as soon as the upstream has delivered it, however slow
 * the client is.
 */

static void
ngx_http_async_upload_attempt_broken(ngx_http_request_t *r, ngx_int_t rc,
    ngx_http_async_upload_end_t *end)
{
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    c = u->peer.connection;

    if (rc == NGX_HTTP_BAD_GATEWAY || rc == NGX_HTTP_GATEWAY_TIME_OUT) {

        if (u->upgrade) {
            /* a session that went idle */
            return;
        }

        end->result = NGX_HTTP_ASYNC_UPLOAD_FAILURE;
        end->failure = (c && c->read->timedout)
                       ? NGX_HTTP_ASYNC_UPLOAD_TIMEOUT
                       : NGX_HTTP_ASYNC_UPLOAD_RESET;
        return;
    }

    if (u->upgrade) {
        return;
    }

    if (ngx_http_async_upload_attempt_cut(r, rc)) {
        end->result = NGX_HTTP_ASYNC_UPLOAD_CUT;
        return;
    }

    if (rc == NGX_HTTP_CLIENT_CLOSED_REQUEST || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_DONE)
    {
        end->result = NGX_HTTP_ASYNC_UPLOAD_ABORTED;
        return;
    }

    if (u->header_sent && rc >= NGX_HTTP_BAD_REQUEST
        && rc < NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        /* an early answer, and an unbuffered body that was still read */

        end->result = (rc == NGX_HTTP_BAD_REQUEST)
                      ? NGX_HTTP_ASYNC_UPLOAD_ABORTED
                      : NGX_HTTP_ASYNC_UPLOAD_REJECTED;
        return;
    }

    if (rc == NGX_ERROR) {

        if (ngx_http_async_upload_attempt_gone(r)) {
            end->result = NGX_HTTP_ASYNC_UPLOAD_ABORTED;

        } else {
            /* a chunk that is none, for one */
            end->result = NGX_HTTP_ASYNC_UPLOAD_FAILURE;
            end->failure = NGX_HTTP_ASYNC_UPLOAD_INVALID;
        }

        return;
    }

    if (rc == NGX_HTTP_INTERNAL_SERVER_ERROR) {
        end->result = NGX_HTTP_ASYNC_UPLOAD_CUT;
    }
}


static ngx_uint_t
ngx_http_async_upload_attempt_gone(ngx_http_request_t *r)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    return r->connection->error || r->connection->timedout
           || (u->pipe && u->pipe->downstream_error);
}


/* the worker ends and its shutdown timeout has closed the connection */

static ngx_uint_t
ngx_http_async_upload_attempt_cut(ngx_http_request_t *r, ngx_int_t rc)
{
#if (NGX_HTTP_V2)
    ngx_connection_t  *c;
#endif

    if (!ngx_exiting) {
        return 0;
    }

    if (rc == NGX_DONE || r->connection->close) {
        return 1;
    }

#if (NGX_HTTP_V2)

    if (r->stream) {
        c = r->stream->connection->connection;

        /* its handler has cleared c->close; a client leaves other traces */

        if (c->error
            && !c->read->eof && !c->read->error && !c->read->timedout
            && !c->write->error && !c->write->timedout)
        {
            return 1;
        }
    }

#endif

    return 0;
}


ngx_uint_t
ngx_http_async_upload_attempt_sent(ngx_http_upstream_t *u)
{
    /* without a connection the flag is that of an earlier attempt */

    return u->peer.connection && u->request_sent;
}


ngx_msec_t
ngx_http_async_upload_attempt_waited(ngx_http_upstream_t *u)
{
    ngx_connection_t  *c;

    c = u->peer.connection;

    if (c == NULL || !u->request_body_sent || u->state == NULL
        || u->state->bytes_received || !c->read->timer_set)
    {
        return 0;
    }

    /* the core starts the timer when the last of the request is sent */

    return ngx_current_msec + u->conf->read_timeout - c->read->timer.key;
}


ngx_uint_t
ngx_http_async_upload_attempt_fails(ngx_http_async_upload_rollout_t *rollout,
    ngx_uint_t status)
{
    ngx_uint_t  n;

    n = status - 400;

    return (rollout->failures[n / 64] >> (n % 64)) & 1;
}
