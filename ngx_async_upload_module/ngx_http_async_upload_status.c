
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_status.h"
#include "ngx_http_async_upload_render.h"
#include "ngx_http_async_upload_respond.h"


static ngx_int_t ngx_http_async_upload_status_format(ngx_http_request_t *r);
static ngx_int_t ngx_http_async_upload_status_find(ngx_http_request_t *r,
    ngx_http_async_upload_rollout_t **only);
static ngx_int_t ngx_http_async_upload_status_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *error, const char *description);


ngx_int_t
ngx_http_async_upload_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                            rc;
    ngx_uint_t                           i;
    ngx_http_async_upload_counts_t      *counts;
    ngx_http_async_upload_rollout_t    **rollouts, *only;
    ngx_http_async_upload_main_conf_t   *mcf;
    ngx_http_async_upload_respond_t      out;

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

    if (ngx_http_async_upload_respond_start(&out, r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_async_upload_module);
    rollouts = mcf->rollouts.elts;

    ngx_http_async_upload_render_start(&out.w);

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        if (only == NULL || only == rollouts[i]) {
            ngx_http_async_upload_render_rollout(&out.w, rollouts[i],
                                                 counts);
        }
    }

    ngx_http_async_upload_render_end(&out.w);
    ngx_http_async_upload_json_text(&out.w, "\n");

    return ngx_http_async_upload_respond_send(&out, NGX_HTTP_OK);
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
    ngx_str_t  text;

    if (status == NGX_HTTP_NOT_ALLOWED
        && ngx_http_async_upload_respond_header(r, "Allow", "GET, HEAD")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.len = ngx_strlen(description);
    text.data = (u_char *) description;

    return ngx_http_async_upload_respond_error(r, status, error, &text);
}
