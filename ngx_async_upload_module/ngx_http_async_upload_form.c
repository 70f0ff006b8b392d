
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_form.h"


static ngx_uint_t ngx_http_async_upload_form_is_form(ngx_http_request_t *r);
static ngx_int_t ngx_http_async_upload_form_take(
    ngx_http_async_upload_form_t *form);
static ngx_int_t ngx_http_async_upload_form_unread(
    ngx_http_async_upload_form_t *form, ngx_int_t rc);
static ngx_int_t ngx_http_async_upload_form_too_large(
    ngx_http_async_upload_form_t *form);
static ngx_int_t ngx_http_async_upload_form_no_type(
    ngx_http_async_upload_form_t *form);


ngx_int_t
ngx_http_async_upload_form_announced(ngx_http_async_upload_form_t *form)
{
    off_t  length;

    length = form->request->headers_in.content_length_n;

    if (length > NGX_HTTP_ASYNC_UPLOAD_FORM_MAX) {
        return ngx_http_async_upload_form_too_large(form);
    }

    if (length > 0 && !ngx_http_async_upload_form_is_form(form->request)) {
        return ngx_http_async_upload_form_no_type(form);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_async_upload_form_is_form(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t   type;

    static ngx_str_t  form = ngx_string("application/x-www-form-urlencoded");

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = r->headers_in.content_type->value;

    last = type.data + type.len;

    p = ngx_strlchr(type.data, last, ';');
    if (p) {
        last = p;
    }

    while (last > type.data && last[-1] == ' ') {
        last--;
    }

    return (size_t) (last - type.data) == form.len
           && ngx_strncasecmp(type.data, form.data, form.len) == 0;
}


ngx_int_t
ngx_http_async_upload_form_start(ngx_http_async_upload_form_t *form,
    ngx_http_client_body_handler_pt handler)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = form->request;

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, handler);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE
           ? ngx_http_async_upload_form_unread(form, rc) : NGX_OK;
}


ngx_int_t
ngx_http_async_upload_form_read(ngx_http_async_upload_form_t *form,
    ngx_http_client_body_handler_pt handler)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = form->request;

    for ( ;; ) {

        rc = ngx_http_async_upload_form_take(form);

        if (rc != NGX_OK) {
            return rc;
        }

        if (!r->reading_body) {
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            return ngx_http_async_upload_form_unread(form, rc);
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            r->read_event_handler = handler;
            r->write_event_handler = ngx_http_request_empty_handler;

            return NGX_AGAIN;
        }
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (form->text.len && !ngx_http_async_upload_form_is_form(r)) {
        return ngx_http_async_upload_form_no_type(form);
    }

    return NGX_OK;
}


/* takes over what has come */

static ngx_int_t
ngx_http_async_upload_form_take(ngx_http_async_upload_form_t *form)
{
    off_t                size;
    u_char              *p;
    ngx_buf_t           *b;
    ngx_chain_t         *cl, *next;
    ngx_http_request_t  *r;

    r = form->request;

    /* another module has had it discarded before */

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;
    r->request_body->bufs = NULL;

    for ( /* void */ ; cl; cl = next) {
        b = cl->buf;
        next = cl->next;

        ngx_free_chain(r->pool, cl);

        size = ngx_buf_size(b);

        if (size <= 0) {
            continue;
        }

        if (size > (off_t) (NGX_HTTP_ASYNC_UPLOAD_FORM_MAX - form->text.len)) {
            return ngx_http_async_upload_form_unread(form,
                                          NGX_HTTP_REQUEST_ENTITY_TOO_LARGE);
        }

        if (form->text.data == NULL) {
            form->text.data = ngx_pnalloc(r->pool,
                                          NGX_HTTP_ASYNC_UPLOAD_FORM_MAX);
            if (form->text.data == NULL) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }

        p = form->text.data + form->text.len;

        if (ngx_buf_in_memory(b)) {
            ngx_memcpy(p, b->pos, size);
            b->pos = b->last;

        } else if (ngx_read_file(b->file, p, size, b->file_pos) != size) {

            /* another module has had it read before, into a file */

            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        form->text.len += size;
    }

    return NGX_OK;
}


/*
 * The body could not be read, or is not wanted to its end: nothing else can
 * come on the connection.
 */

static ngx_int_t
ngx_http_async_upload_form_unread(ngx_http_async_upload_form_t *form,
    ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = form->request;

    r->keepalive = 0;
    r->lingering_close = 1;

    if (r->connection->error) {
        return rc;
    }

    switch (rc) {

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return ngx_http_async_upload_form_too_large(form);

    case NGX_HTTP_BAD_REQUEST:
        return ngx_http_async_upload_rollout_refuse(form->answer, rc,
                      "bad_request", "the body cannot be read");
    }

    return rc;
}


static ngx_int_t
ngx_http_async_upload_form_too_large(ngx_http_async_upload_form_t *form)
{
    return ngx_http_async_upload_rollout_refuse(form->answer,
                  NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "too_large",
                  "a body has at most %d bytes",
                  NGX_HTTP_ASYNC_UPLOAD_FORM_MAX);
}


static ngx_int_t
ngx_http_async_upload_form_no_type(ngx_http_async_upload_form_t *form)
{
    return ngx_http_async_upload_rollout_refuse(form->answer,
                  NGX_HTTP_UNSUPPORTED_MEDIA_TYPE, "unsupported_type",
                  "a body must be application/x-www-form-urlencoded");
}
