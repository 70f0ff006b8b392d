
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_status.h"
#include "ngx_http_async_upload_render.h"


#define NGX_HTTP_ASYNC_UPLOAD_STATUS_CHUNK  4096


/* the response as it grows */

typedef struct {
    ngx_http_request_t              *request;
    ngx_chain_t                     *first;
    ngx_chain_t                     *last;
    off_t                            size;          /* of the full chunks */
} ngx_http_async_upload_status_out_t;


static ngx_int_t ngx_http_async_upload_status_format(ngx_http_request_t *r);
static ngx_int_t ngx_http_async_upload_status_find(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t **only);
static ngx_int_t ngx_http_async_upload_status_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *error, const char *description);
static u_char *ngx_http_async_upload_status_more(void *data, size_t used,
    size_t *size);
static ngx_int_t ngx_http_async_upload_status_start(
    ngx_http_async_upload_status_out_t *out, ngx_http_request_t *r,
    ngx_http_async_upload_json_t *w);
static ngx_int_t ngx_http_async_upload_status_send(
    ngx_http_async_upload_status_out_t *out, ngx_http_async_upload_json_t *w,
    ngx_uint_t status);


ngx_int_t
ngx_http_async_upload_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                            rc;
    ngx_uint_t                           i;
    ngx_http_async_upload_json_t         w;
    ngx_http_async_upload_counts_t      *counts;
    ngx_http_async_upload_rollout_t    **rollouts, *only;
    ngx_http_async_upload_main_conf_t   *mcf;
    ngx_http_async_upload_status_out_t   out;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_async_upload_status_error(r, NGX_HTTP_NOT_ALLOWED,
                                "method_not_allowed",
                                "the status is read with GET or HEAD");
    }

    if (ngx_http_async_upload_status_format(r) != NGX_OK) {
        return ngx_http_async_upload_status_error(r, 406, "not_acceptable",
                                "\"format\" must be json");
    }

    if (ngx_http_async_upload_status_find(r, &only) != NGX_OK) {
        return ngx_http_async_upload_status_error(r, NGX_HTTP_NOT_FOUND,
                                "not_found", "there is no such rollout");
    }

    counts = ngx_palloc(r->pool, sizeof(ngx_http_async_upload_counts_t));
    if (counts == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_async_upload_status_start(&out, r, &w) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_async_upload_module);
    rollouts = mcf->rollouts.elts;

    ngx_http_async_upload_render_start(&w);

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        if (only == NULL || only == rollouts[i]) {
            ngx_http_async_upload_render_rollout(&w, rollouts[i], counts);
        }
    }

    ngx_http_async_upload_render_end(&w);

    return ngx_http_async_upload_status_send(&out, &w, NGX_HTTP_OK);
}


static ngx_int_t
ngx_http_async_upload_status_format(ngx_http_request_t *r)
{
    ngx_str_t  value;

    if (ngx_http_arg(r, (u_char *) "format", sizeof("format") - 1, &value)
        != NGX_OK)
    {
        return NGX_OK;
    }

    if (value.len == sizeof("json") - 1
        && ngx_strncmp(value.data, "json", value.len) == 0)
    {
        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* the one that the location or the request names; NULL: all of them */

static ngx_int_t
ngx_http_async_upload_status_find(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t **only)
{
    u_char                              *src, *dst;
    ngx_str_t                            name, asked;
    ngx_uint_t                           i;
    ngx_http_async_upload_rollout_t    **rollouts;
    ngx_http_async_upload_loc_conf_t    *lcf;
    ngx_http_async_upload_main_conf_t   *mcf;

    *only = NULL;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_async_upload_module);
    name = lcf->rollout;

    if (ngx_http_arg(r, (u_char *) "rollout", sizeof("rollout") - 1, &asked)
        == NGX_OK)
    {
        src = asked.data;

        dst = ngx_pnalloc(r->pool, asked.len + 1);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        asked.data = dst;
        ngx_unescape_uri(&dst, &src, asked.len, 0);
        asked.len = dst - asked.data;

        if (name.len
            && (name.len != asked.len
                || ngx_strncmp(name.data, asked.data, name.len) != 0))
        {
            return NGX_DECLINED;
        }

        name = asked;

    } else if (name.len == 0) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_async_upload_module);
    rollouts = mcf->rollouts.elts;

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        if (rollouts[i]->name.len == name.len
            && ngx_strncmp(rollouts[i]->name.data, name.data, name.len) == 0)
        {
            *only = rollouts[i];
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_async_upload_status_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *error, const char *description)
{
    ngx_table_elt_t                     *allow;
    ngx_http_async_upload_json_t         w;
    ngx_http_async_upload_status_out_t   out;

    if (ngx_http_async_upload_status_start(&out, r, &w) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status == NGX_HTTP_NOT_ALLOWED) {

        allow = ngx_list_push(&r->headers_out.headers);
        if (allow == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        allow->hash = 1;
        ngx_str_set(&allow->key, "Allow");
        ngx_str_set(&allow->value, "GET, HEAD");
#if (nginx_version >= 1023000)
        allow->next = NULL;
#endif
    }

    ngx_http_async_upload_json_object(&w, NULL);
    ngx_http_async_upload_json_literal(&w, "error", error);
    ngx_http_async_upload_json_literal(&w, "description", description);
    ngx_http_async_upload_json_end(&w);

    return ngx_http_async_upload_status_send(&out, &w, status);
}


static ngx_int_t
ngx_http_async_upload_status_start(ngx_http_async_upload_status_out_t *out,
    ngx_http_request_t *r, ngx_http_async_upload_json_t *w)
{
    u_char  *p;
    size_t   size;

    out->request = r;
    out->first = NULL;
    out->last = NULL;
    out->size = 0;

    p = ngx_http_async_upload_status_more(out, 0, &size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_async_upload_json_init(w, p, size,
                                    ngx_http_async_upload_status_more, out);
    return NGX_OK;
}


static u_char *
ngx_http_async_upload_status_more(void *data, size_t used, size_t *size)
{
    ngx_http_async_upload_status_out_t *out = data;

    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (out->last) {
        out->last->buf->last = out->last->buf->pos + used;
        out->size += used;
    }

    cl = ngx_alloc_chain_link(out->request->pool);
    if (cl == NULL) {
        return NULL;
    }

    b = ngx_create_temp_buf(out->request->pool,
                            NGX_HTTP_ASYNC_UPLOAD_STATUS_CHUNK);
    if (b == NULL) {
        return NULL;
    }

    cl->buf = b;
    cl->next = NULL;

    if (out->last) {
        out->last->next = cl;

    } else {
        out->first = cl;
    }

    out->last = cl;
    *size = NGX_HTTP_ASYNC_UPLOAD_STATUS_CHUNK;

    return b->pos;
}


static ngx_int_t
ngx_http_async_upload_status_send(ngx_http_async_upload_status_out_t *out,
    ngx_http_async_upload_json_t *w, ngx_uint_t status)
{
    size_t               used;
    ngx_int_t            rc;
    ngx_table_elt_t     *cache;
    ngx_http_request_t  *r;

    r = out->request;

    ngx_http_async_upload_json_text(w, "\n");

    used = ngx_http_async_upload_json_done(w);

    if (w->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    out->last->buf->last = out->last->buf->pos + used;
    out->last->buf->last_in_chain = 1;
    out->last->buf->last_buf = (r == r->main) ? 1 : 0;

    cache = ngx_list_push(&r->headers_out.headers);
    if (cache == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cache->hash = 1;
    ngx_str_set(&cache->key, "Cache-Control");
    ngx_str_set(&cache->value, "no-store");
#if (nginx_version >= 1023000)
    cache->next = NULL;
#endif

    r->headers_out.status = status;
    r->headers_out.content_length_n = out->size + used;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out->first);
}
