
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_variable.h"
#include "ngx_http_async_upload_account.h"
#include "ngx_http_async_upload_decide.h"
#include "ngx_http_async_upload_name.h"


#define NGX_HTTP_ASYNC_UPLOAD_VARIABLE_MB  (1024 * 1024)


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_VARIABLE_NAME = 0,
    NGX_HTTP_ASYNC_UPLOAD_VARIABLE_ARM,
    NGX_HTTP_ASYNC_UPLOAD_VARIABLE_BUCKET,
    NGX_HTTP_ASYNC_UPLOAD_VARIABLE_REASON,
    NGX_HTTP_ASYNC_UPLOAD_VARIABLE_SHARE,
    NGX_HTTP_ASYNC_UPLOAD_VARIABLE_FALLBACK
} ngx_http_async_upload_variable_e;


static ngx_http_async_upload_ctx_t *ngx_http_async_upload_variable_current(
    ngx_http_request_t *r, ngx_int_t *rc);
static ngx_http_async_upload_ctx_t *ngx_http_async_upload_variable_upload(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_async_upload_variable_decision(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_async_upload_variable_counted(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_async_upload_variable_execution(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_async_upload_variable_success(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_async_upload_variable_error(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_async_upload_variable_duration(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_async_upload_variable_size(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_async_upload_variable_class(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_uint_t class, ngx_uint_t status);
static ngx_int_t ngx_http_async_upload_variable_fraction(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uint64_t value,
    uint64_t unit, ngx_uint_t decimals);
static void ngx_http_async_upload_variable_set(ngx_http_variable_value_t *v,
    u_char *data, size_t len);


static ngx_http_variable_t  ngx_http_async_upload_variables[] = {

    { ngx_string("async_upload_name"), NULL,
      ngx_http_async_upload_variable_decision,
      NGX_HTTP_ASYNC_UPLOAD_VARIABLE_NAME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_arm"), NULL,
      ngx_http_async_upload_variable_decision,
      NGX_HTTP_ASYNC_UPLOAD_VARIABLE_ARM, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_bucket"), NULL,
      ngx_http_async_upload_variable_decision,
      NGX_HTTP_ASYNC_UPLOAD_VARIABLE_BUCKET, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_reason"), NULL,
      ngx_http_async_upload_variable_decision,
      NGX_HTTP_ASYNC_UPLOAD_VARIABLE_REASON, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_share"), NULL,
      ngx_http_async_upload_variable_decision,
      NGX_HTTP_ASYNC_UPLOAD_VARIABLE_SHARE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_fallback"), NULL,
      ngx_http_async_upload_variable_decision,
      NGX_HTTP_ASYNC_UPLOAD_VARIABLE_FALLBACK, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_counted"), NULL,
      ngx_http_async_upload_variable_counted, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_execution"), NULL,
      ngx_http_async_upload_variable_execution, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_success"), NULL,
      ngx_http_async_upload_variable_success, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_error"), NULL,
      ngx_http_async_upload_variable_error, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_duration_ms"), NULL,
      ngx_http_async_upload_variable_duration, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("async_upload_size_mb"), NULL,
      ngx_http_async_upload_variable_size, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_async_upload_variable_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_async_upload_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/* the decision that is meant; NULL with NGX_OK: no rollout, an empty value */

static ngx_http_async_upload_ctx_t *
ngx_http_async_upload_variable_current(ngx_http_request_t *r, ngx_int_t *rc)
{
    ngx_http_async_upload_ctx_t      *ctx;
    ngx_http_async_upload_rollout_t  *rollout;

    *rc = NGX_OK;

    rollout = ngx_http_async_upload_decide_rollout(r);

    if (rollout == NULL) {
        return ngx_http_async_upload_decide_known(r);
    }

    ctx = ngx_http_async_upload_decide(r, rollout);
    if (ctx == NULL) {
        *rc = NGX_ERROR;
    }

    return ctx;
}


static ngx_http_async_upload_ctx_t *
ngx_http_async_upload_variable_upload(ngx_http_request_t *r)
{
    ngx_http_async_upload_ctx_t  *ctx;

    for (ctx = ngx_http_async_upload_decide_known(r); ctx; ctx = ctx->next) {
        if (ctx->counted) {
            return ctx;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_async_upload_variable_decision(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                       *p;
    ngx_int_t                     rc, bucket;
    ngx_str_t                    *name;
    ngx_http_async_upload_ctx_t  *ctx;

    ctx = ngx_http_async_upload_variable_current(r, &rc);

    if (ctx == NULL) {
        v->not_found = 1;
        return rc;
    }

    switch (data) {

    case NGX_HTTP_ASYNC_UPLOAD_VARIABLE_NAME:
        name = &ctx->rollout->name;
        break;

    case NGX_HTTP_ASYNC_UPLOAD_VARIABLE_ARM:
        name = &ngx_http_async_upload_name_arms[ctx->serving];
        break;

    case NGX_HTTP_ASYNC_UPLOAD_VARIABLE_REASON:
        name = &ngx_http_async_upload_name_reasons[
                   ctx->serving != ctx->arm ? NGX_HTTP_ASYNC_UPLOAD_BY_FALLBACK
                                            : ctx->reason];
        break;

    case NGX_HTTP_ASYNC_UPLOAD_VARIABLE_FALLBACK:

        if (!ctx->fallback) {
            ngx_http_async_upload_variable_set(v, (u_char *) "", 0);
            return NGX_OK;
        }

        return ngx_http_async_upload_variable_class(r, v, ctx->masked_failure,
                                                    ctx->masked_status);

    default: /* the numbers */

        bucket = (data == NGX_HTTP_ASYNC_UPLOAD_VARIABLE_SHARE)
                 ? (ngx_int_t) ctx->share
                 : ngx_http_async_upload_decide_bucket(ctx);

        if (bucket < 0) {
            ngx_http_async_upload_variable_set(v, (u_char *) "", 0);
            return NGX_OK;
        }

        p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_http_async_upload_variable_set(v, p,
                                           ngx_sprintf(p, "%i", bucket) - p);
        return NGX_OK;
    }

    ngx_http_async_upload_variable_set(v, name->data, name->len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_variable_counted(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_async_upload_variable_set(v,
              ngx_http_async_upload_variable_upload(r) ? (u_char *) "1"
                                                       : (u_char *) "0", 1);
    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_variable_execution(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                    *name;
    ngx_http_async_upload_ctx_t  *ctx;

    ctx = ngx_http_async_upload_variable_upload(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ctx->fallback) {
        ngx_http_async_upload_variable_set(v, (u_char *) "sync_fallback",
                                           sizeof("sync_fallback") - 1);
        return NGX_OK;
    }

    name = &ngx_http_async_upload_name_arms[ctx->arm];

    ngx_http_async_upload_variable_set(v, name->data, name->len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_variable_success(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_async_upload_ctx_t  *ctx;

    ctx = ngx_http_async_upload_variable_upload(r);

    ngx_http_async_upload_variable_set(v,
                 (ctx && ctx->result == NGX_HTTP_ASYNC_UPLOAD_SUCCESS)
                 ? (u_char *) "1" : (u_char *) "0", 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_variable_error(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_async_upload_ctx_t  *ctx;

    ctx = ngx_http_async_upload_variable_upload(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ctx->fallback) {
        return ngx_http_async_upload_variable_class(r, v, ctx->masked_failure,
                                                    ctx->masked_status);
    }

    switch (ctx->result) {

    case NGX_HTTP_ASYNC_UPLOAD_SUCCESS:
        ngx_http_async_upload_variable_set(v, (u_char *) "", 0);
        break;

    case NGX_HTTP_ASYNC_UPLOAD_FAILURE:
        return ngx_http_async_upload_variable_class(r, v, ctx->failure,
                                                    ctx->status);

    case NGX_HTTP_ASYNC_UPLOAD_REJECTED:

        if (ctx->status) {
            return ngx_http_async_upload_variable_class(r, v,
                                    NGX_HTTP_ASYNC_UPLOAD_HTTP, ctx->status);
        }

        ngx_http_async_upload_variable_set(v, (u_char *) "rejected",
                                           sizeof("rejected") - 1);
        break;

    case NGX_HTTP_ASYNC_UPLOAD_ABORTED:
        ngx_http_async_upload_variable_set(v, (u_char *) "aborted",
                                           sizeof("aborted") - 1);
        break;

    default:
        ngx_http_async_upload_variable_set(v, (u_char *) "cut",
                                           sizeof("cut") - 1);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_variable_duration(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_async_upload_ctx_t  *ctx;

    ctx = ngx_http_async_upload_variable_upload(r);

    return ngx_http_async_upload_variable_fraction(r, v, ctx ? ctx->latency : 0,
                                                   1000, 3);
}


static ngx_int_t
ngx_http_async_upload_variable_size(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    return ngx_http_async_upload_variable_fraction(r, v,
                                  ngx_http_async_upload_account_size(r->main),
                                  NGX_HTTP_ASYNC_UPLOAD_VARIABLE_MB, 6);
}


static ngx_int_t
ngx_http_async_upload_variable_class(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_uint_t class, ngx_uint_t status)
{
    u_char  *p, *last;

    p = ngx_pnalloc(r->pool, NGX_HTTP_ASYNC_UPLOAD_NAME_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_http_async_upload_name_class(p, class, status);

    ngx_http_async_upload_variable_set(v, p, last - p);

    return NGX_OK;
}


/* "value" in units of "unit", cut after so many decimals */

static ngx_int_t
ngx_http_async_upload_variable_fraction(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uint64_t value, uint64_t unit,
    ngx_uint_t decimals)
{
    u_char      *p, *last;
    uint64_t     rest;
    ngx_uint_t   i;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN + 1 + decimals);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, "%uL.", value / unit);
    rest = value % unit;

    for (i = 0; i < decimals; i++) {
        rest *= 10;
        *last++ = (u_char) ('0' + rest / unit);
        rest %= unit;
    }

    ngx_http_async_upload_variable_set(v, p, last - p);

    return NGX_OK;
}


static void
ngx_http_async_upload_variable_set(ngx_http_variable_value_t *v, u_char *data,
    size_t len)
{
    v->data = data;
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}
