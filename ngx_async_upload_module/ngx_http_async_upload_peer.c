
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_peer.h"
#include "ngx_http_async_upload_account.h"
#include "ngx_http_async_upload_attempt.h"
#include "ngx_http_async_upload_copy.h"
#include "ngx_http_async_upload_decide.h"
#include "ngx_http_async_upload_zone.h"


typedef struct {
    ngx_http_request_t              *request;
    ngx_http_async_upload_rollout_t  *rollout;
    ngx_http_async_upload_ctx_t     *ctx;
    ngx_http_upstream_conf_t        *conf;          /* the location's own */

    ngx_uint_t                       counts;        /* the upload's own pass */
    ngx_uint_t                       replay;        /* after bytes were sent */
    ngx_uint_t                       sent;          /* in any attempt */
    ngx_uint_t                       attempts;
    ngx_uint_t                       left;          /* attempts at async */
    ngx_uint_t                       budget;        /* at all arms */
    ngx_uint_t                       shown;         /* pc->tries as left */

    ngx_http_async_upload_end_t      end;           /* of the last attempt */

    /* the async arm's balancer */
    void                            *data;
    ngx_uint_t                       tries;
    ngx_event_get_peer_pt            get;
    ngx_event_free_peer_pt           free;
    ngx_event_notify_peer_pt         notify;
#if (NGX_SSL || NGX_COMPAT)
    ngx_event_set_peer_session_pt    set_session;
    ngx_event_save_peer_session_pt   save_session;
#endif
} ngx_http_async_upload_peer_t;


static void ngx_http_async_upload_peer_finalize(ngx_http_request_t *r,
    ngx_int_t rc);
static ngx_int_t ngx_http_async_upload_peer_async(ngx_http_request_t *r,
    ngx_http_async_upload_ctx_t *ctx, ngx_uint_t counts);
static ngx_uint_t ngx_http_async_upload_peer_replay(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t *rollout);
static void ngx_http_async_upload_peer_clear(ngx_peer_connection_t *pc);
static ngx_int_t ngx_http_async_upload_peer_arm(
    ngx_http_async_upload_peer_t *p);
static void ngx_http_async_upload_peer_publish(
    ngx_http_async_upload_peer_t *p, ngx_peer_connection_t *pc);
static ngx_int_t ngx_http_async_upload_peer_get(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_async_upload_peer_free(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t state);
static ngx_int_t ngx_http_async_upload_peer_switch(
    ngx_http_async_upload_peer_t *p, ngx_peer_connection_t *pc);
static ngx_int_t ngx_http_async_upload_peer_create(ngx_http_request_t *r);
static void ngx_http_async_upload_peer_notify(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t type);
#if (NGX_SSL || NGX_COMPAT)
static ngx_int_t ngx_http_async_upload_peer_set_session(
    ngx_peer_connection_t *pc, void *data);
static void ngx_http_async_upload_peer_save_session(ngx_peer_connection_t *pc,
    void *data);
#endif


ngx_int_t
ngx_http_async_upload_peer_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_uint_t                        counts;
    ngx_http_upstream_t              *u;
    ngx_http_async_upload_ctx_t      *ctx;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = ngx_http_conf_upstream_srv_conf(us, ngx_http_async_upload_module);

    ctx = ngx_http_async_upload_decide(r, rollout);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    /* an error page that comes back is no second upload */

    counts = ctx->upload && !ctx->counted;

    if (counts) {

        ngx_http_async_upload_account_start(ctx);

        u = r->upstream;

        ctx->upstream = u;
        ctx->finalize = u->finalize_request;
        u->finalize_request = ngx_http_async_upload_peer_finalize;

        ctx->states = r->upstream_states->nelts;
    }

    /* nor does it go back to an arm that has failed */

    if (ctx->serving == NGX_HTTP_ASYNC_UPLOAD_ASYNC) {
        return ngx_http_async_upload_peer_async(r, ctx, counts);
    }

    if (counts) {
        ctx->started = ngx_http_async_upload_zone_clock();
    }

    return rollout->sync_init(r, us);
}


/* the core ends the upstream request; nothing of it was freed yet */

static void
ngx_http_async_upload_peer_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_upstream_t          *u;
    ngx_http_async_upload_end_t   end;
    ngx_http_async_upload_ctx_t  *ctx;

    u = r->upstream;

    for (ctx = ngx_http_async_upload_decide_known(r); ctx; ctx = ctx->next) {
        if (ctx->upstream == u) {
            break;
        }
    }

    if (ctx == NULL) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "async_upload: an upstream request without a context");
        return;
    }

    ngx_http_async_upload_attempt_ended(r, ctx->rollout, u->upstream, rc, &end);

    if (end.result == NGX_HTTP_ASYNC_UPLOAD_ABORTED
        && ctx->arm == NGX_HTTP_ASYNC_UPLOAD_ASYNC && !ctx->fallback
        && ngx_http_async_upload_account_hung(ctx,
                                     ngx_http_async_upload_attempt_waited(u)))
    {
        end.result = NGX_HTTP_ASYNC_UPLOAD_FAILURE;
        end.failure = NGX_HTTP_ASYNC_UPLOAD_HUNG;
    }

    ctx->result = end.result;
    ctx->failure = end.failure;
    ctx->status = end.status;
    ctx->whole = u->request_body_sent;

    if (u->upgrade && u->state) {
        ctx->latency = (uint64_t) u->state->header_time * 1000;

    } else if (ctx->serving == NGX_HTTP_ASYNC_UPLOAD_SYNC
               && r->upstream_states->nelts > ctx->states + 1)
    {
        /* sync has tried several of its servers, under the core's own clock */

        ctx->latency = (uint64_t) u->state->response_time * 1000;

    } else if (ctx->started) {
        ctx->latency = ngx_http_async_upload_zone_clock() - ctx->started;
    }

    u->finalize_request = ctx->finalize;
    u->finalize_request(r, rc);
}


static ngx_int_t
ngx_http_async_upload_peer_async(ngx_http_request_t *r,
    ngx_http_async_upload_ctx_t *ctx, ngx_uint_t counts)
{
    ngx_http_upstream_t              *u;
    ngx_http_async_upload_peer_t     *p;
    ngx_http_async_upload_rollout_t  *rollout;

    p = ngx_palloc(r->pool, sizeof(ngx_http_async_upload_peer_t));
    if (p == NULL) {
        return NGX_ERROR;
    }

    u = r->upstream;
    rollout = ctx->rollout;

    p->request = r;
    p->rollout = rollout;
    p->ctx = ctx;
    p->counts = counts;
    p->sent = 0;
    p->attempts = 0;
    p->conf = u->conf;
    p->left = rollout->tries;
    p->replay = ngx_http_async_upload_peer_replay(r, rollout);

    /* the core cuts pc->tries to it only once, before sync is known */

    p->budget = u->conf->next_upstream_tries ? u->conf->next_upstream_tries
                                             : NGX_MAX_INT_T_VALUE;

    u->conf = ngx_http_async_upload_copy_conf(rollout, u->conf, p->replay);

    if (ngx_http_async_upload_peer_arm(p) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_async_upload_peer_publish(p, &u->peer);

    return NGX_OK;
}


/* whether the upload may be sent again after some of it was sent */

static ngx_uint_t
ngx_http_async_upload_peer_replay(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (rollout->fallback != NGX_HTTP_ASYNC_UPLOAD_FALLBACK_FAILURE) {
        return 0;
    }

    if (rollout->replay == NGX_HTTP_ASYNC_UPLOAD_REPLAY_ALWAYS
        || r->method == NGX_HTTP_PUT)
    {
        return 1;
    }

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return 0;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == sizeof("Idempotency-Key") - 1
            && h[i].value.len
            && ngx_strncmp(h[i].lowcase_key, "idempotency-key",
                           sizeof("Idempotency-Key") - 1)
               == 0)
        {
            return 1;
        }
    }
}


/*
 * Balancers take what they find in "data" for their own, and keepalive and
 * sticky wrap what they find in the callbacks.
 */

static void
ngx_http_async_upload_peer_clear(ngx_peer_connection_t *pc)
{
    pc->data = NULL;
    pc->get = NULL;
    pc->free = NULL;
    pc->notify = NULL;
#if (NGX_SSL || NGX_COMPAT)
    pc->set_session = NULL;
    pc->save_session = NULL;
#endif
    pc->tries = 0;
}


static ngx_int_t
ngx_http_async_upload_peer_arm(ngx_http_async_upload_peer_t *p)
{
    ngx_http_upstream_t           *u;
    ngx_peer_connection_t         *pc;
    ngx_http_upstream_srv_conf_t  *us;

    u = p->request->upstream;
    us = p->rollout->async;
    pc = &u->peer;

    ngx_http_async_upload_peer_clear(pc);

    /* the core looks at the flags of the block whose peers it is given */
    u->upstream = us;

    if (us->peer.init(p->request, us) != NGX_OK) {
        return NGX_ERROR;
    }

    p->data = pc->data;
    p->tries = pc->tries;
    p->get = pc->get;
    p->free = pc->free;
    p->notify = pc->notify;

    pc->data = p;
    pc->get = ngx_http_async_upload_peer_get;
    pc->free = ngx_http_async_upload_peer_free;
    pc->notify = p->notify ? ngx_http_async_upload_peer_notify : NULL;

#if (NGX_SSL || NGX_COMPAT)
    p->set_session = pc->set_session;
    p->save_session = pc->save_session;

    pc->set_session = p->set_session ? ngx_http_async_upload_peer_set_session
                                     : NULL;
    pc->save_session = p->save_session
                       ? ngx_http_async_upload_peer_save_session : NULL;
#endif

    return NGX_OK;
}


/* what the core is told: the attempts left at async, and one for sync */

static void
ngx_http_async_upload_peer_publish(ngx_http_async_upload_peer_t *p,
    ngx_peer_connection_t *pc)
{
    ngx_uint_t  tries;

    tries = p->left;

    if (p->rollout->fallback != NGX_HTTP_ASYNC_UPLOAD_FALLBACK_OFF) {
        tries++;
    }

    p->shown = ngx_min(tries, p->budget);
    pc->tries = p->shown;
}


static ngx_int_t
ngx_http_async_upload_peer_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_async_upload_peer_t *p = data;

    ngx_int_t   rc;
    ngx_uint_t  n, fallback;

    fallback = (p->rollout->fallback != NGX_HTTP_ASYNC_UPLOAD_FALLBACK_OFF);

    if (pc->tries > p->shown) {

        /* the core gives back what a stale keepalive connection has cost */

        n = pc->tries - p->shown;

        p->left += n;
        p->budget += n;
    }

    pc->cached = 0;
    pc->connection = NULL;

    if (p->left == 0 || (fallback && p->attempts && p->budget == 1)) {
        return ngx_http_async_upload_peer_switch(p, pc);
    }

    if (p->tries == 0 && p->attempts) {

        /* all its servers had their turn, and more attempts are wanted */

        if (ngx_http_async_upload_peer_arm(p) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* a frame that was sent has kept the stream's number at its connection */

    if (p->attempts && p->request->upstream->request_sent
        && ngx_http_async_upload_peer_create(p->request) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (p->counts) {
        p->ctx->started = ngx_http_async_upload_zone_clock();
    }

    pc->tries = p->tries;

    rc = p->get(pc, p->data);

    p->tries = pc->tries;

    if (rc == NGX_BUSY && fallback) {

        /* the core would not look for another peer now */

        if (p->attempts == 0) {
            p->end.failure = NGX_HTTP_ASYNC_UPLOAD_NO_LIVE_PEER;
            p->end.status = 0;
        }

        return ngx_http_async_upload_peer_switch(p, pc);
    }

    ngx_http_async_upload_peer_publish(p, pc);

    return rc;
}


static void
ngx_http_async_upload_peer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_async_upload_peer_t *p = data;

    ngx_uint_t                   stop;
    ngx_http_async_upload_end_t  end;

    stop = 0;

    if (state & NGX_PEER_FAILED) {
        ngx_http_async_upload_attempt_failed(p->request, p->rollout, &end);

        /* "connect" is that nothing was sent, in no attempt */

        if (!p->sent || end.failure != NGX_HTTP_ASYNC_UPLOAD_CONNECT) {
            p->end = end;
        }

        if (ngx_http_async_upload_attempt_sent(p->request->upstream)) {
            p->sent = 1;
            stop = !p->replay;
        }
    }

    pc->tries = p->tries;

    p->free(pc, p->data, state);

    p->tries = pc->tries;
    p->attempts++;
    p->left--;
    p->budget--;

    if (stop) {

        /* not even where the connection was a stale one of a cache */

        p->left = 0;
        p->budget = 0;
        pc->cached = 0;
    }

    ngx_http_async_upload_peer_publish(p, pc);
}


/*
 * From here on the sync arm's balancer is called by the core itself, under
 * the location's own configuration, as if it had been the only one.  It is
 * initialised just now: its servers may have been resolved anew since.
 */

static ngx_int_t
ngx_http_async_upload_peer_switch(ngx_http_async_upload_peer_t *p,
    ngx_peer_connection_t *pc)
{
    ngx_http_request_t           *r;
    ngx_http_upstream_t          *u;
    ngx_http_async_upload_ctx_t  *ctx;

    r = p->request;
    u = r->upstream;
    ctx = p->ctx;

    ctx->serving = NGX_HTTP_ASYNC_UPLOAD_SYNC;

    if (p->counts) {
        ctx->fallback = 1;
        ctx->masked_failure = p->end.failure;
        ctx->masked_status = p->end.status;
        ctx->started = ngx_http_async_upload_zone_clock();

        /* the core has pushed the state of this attempt already */
        ctx->states = r->upstream_states->nelts - 1;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "async_upload \"%V\": sync takes over, failure %ui",
                   &p->rollout->name, p->end.failure);

    u->conf = p->conf;
    u->upstream = p->rollout->sync;

    ngx_http_async_upload_peer_clear(pc);

    if (p->rollout->sync_init(r, p->rollout->sync) != NGX_OK) {
        return NGX_ERROR;
    }

    pc->tries = ngx_min(pc->tries, p->budget);

    /* its headers may name the arm */

    if (ngx_http_async_upload_peer_create(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (u->buffer.start) {

        /*
         * Async spoke first.  Where nothing was sent, nginx 1.22 would have
         * sync's answer continue that of async.
         */

        u->request_sent = 1;
    }

    return pc->get(pc, pc->data);
}


/* makes the request for the upstream anew, as if nothing had been sent yet */

static ngx_int_t
ngx_http_async_upload_peer_create(ngx_http_request_t *r)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    u->request_bufs = r->request_body ? r->request_body->bufs : NULL;

    /* the core forgets the buffer it read a file into, but not its count */

    u->output.free = NULL;
    u->output.allocated = 0;

    return u->create_request(r);
}


static void
ngx_http_async_upload_peer_notify(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_http_async_upload_peer_t *p = data;

    p->notify(pc, p->data, type);
}


#if (NGX_SSL || NGX_COMPAT)

static ngx_int_t
ngx_http_async_upload_peer_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_async_upload_peer_t *p = data;

    return p->set_session(pc, p->data);
}


static void
ngx_http_async_upload_peer_save_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_async_upload_peer_t *p = data;

    p->save_session(pc, p->data);
}

#endif
