
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_respond.h"


#define NGX_HTTP_ASYNC_UPLOAD_RESPOND_CHUNK  4096   /* bytes */


static u_char *ngx_http_async_upload_respond_more(void *data, size_t used,
    size_t *size);


ngx_int_t
ngx_http_async_upload_respond_start(ngx_http_async_upload_respond_t *out,
    ngx_http_request_t *r)
{
    u_char  *p;
    size_t   size;

    ngx_str_set(&out->type, "application/json");

    out->request = r;
    out->first = NULL;
    out->last = NULL;
    out->size = 0;

    p = ngx_http_async_upload_respond_more(out, 0, &size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_async_upload_json_init(&out->w, p, size,
                                    ngx_http_async_upload_respond_more, out);
    return NGX_OK;
}


static u_char *
ngx_http_async_upload_respond_more(void *data, size_t used, size_t *size)
{
    ngx_http_async_upload_respond_t *out = data;

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
                            NGX_HTTP_ASYNC_UPLOAD_RESPOND_CHUNK);
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
    *size = NGX_HTTP_ASYNC_UPLOAD_RESPOND_CHUNK;

    return b->pos;
}


ngx_int_t
ngx_http_async_upload_respond_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->value.len = ngx_strlen(value);
    h->value.data = (u_char *) value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


ngx_int_t
ngx_http_async_upload_respond_send(ngx_http_async_upload_respond_t *out,
    ngx_uint_t status)
{
    size_t               used;
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = out->request;

    used = ngx_http_async_upload_json_done(&out->w);

    if (out->w.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    out->last->buf->last = out->last->buf->pos + used;
    out->last->buf->last_in_chain = 1;
    out->last->buf->last_buf = (r == r->main) ? 1 : 0;

    if (ngx_http_async_upload_respond_header(r, "Cache-Control", "no-store")
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = out->size + used;
    r->headers_out.content_type = out->type;
    r->headers_out.content_type_len = out->type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out->first);
}


ngx_int_t
ngx_http_async_upload_respond_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *error, ngx_str_t *description)
{
    ngx_http_async_upload_respond_t  out;

    if (ngx_http_async_upload_respond_start(&out, r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_async_upload_json_object(&out.w, NULL);
    ngx_http_async_upload_json_literal(&out.w, "error", error);
    ngx_http_async_upload_json_string(&out.w, "description", description->data,
                                      description->len);
    ngx_http_async_upload_json_end(&out.w);
    ngx_http_async_upload_json_text(&out.w, "\n");

    return ngx_http_async_upload_respond_send(&out, status);
}
