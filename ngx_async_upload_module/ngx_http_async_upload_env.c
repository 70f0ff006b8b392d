
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_env.h"
#include "ngx_http_async_upload_parse.h"


static ngx_uint_t ngx_http_async_upload_env_get(const char *name,
    ngx_str_t *value);


static const char  *ngx_http_async_upload_env_names[] = {
    "ASYNC_UPLOAD_ENABLED",
    "ASYNC_UPLOAD_ROLLOUT"
};


ngx_int_t
ngx_http_async_upload_env_keep(ngx_conf_t *cf)
{
    size_t            len;
    ngx_str_t        *var;
    ngx_uint_t        i, k;
    const char       *name;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    for (i = 0;
         i < sizeof(ngx_http_async_upload_env_names) / sizeof(char *);
         i++)
    {
        name = ngx_http_async_upload_env_names[i];
        len = ngx_strlen(name);

        var = ccf->env.elts;

        for (k = 0; k < ccf->env.nelts; k++) {
            if (var[k].len >= len
                && ngx_strncmp(var[k].data, name, len) == 0
                && (var[k].len == len || var[k].data[len] == '='))
            {
                break;
            }
        }

        if (k < ccf->env.nelts) {
            continue;
        }

        var = ngx_array_push(&ccf->env);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->data = (u_char *) name;
        var->len = len;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_async_upload_env_settle(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_http_async_upload_env_get("ASYNC_UPLOAD_ENABLED", &value)) {

        n = ngx_http_async_upload_parse_flag(&value);

        if (n == NGX_ERROR) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "invalid value \"%V\" of the environment variable "
                          "\"ASYNC_UPLOAD_ENABLED\", it must be "
                          "true, false, on, off, 1 or 0", &value);
            return NGX_ERROR;
        }

        if (rollout->enabled == NGX_CONF_UNSET) {
            rollout->enabled = n;
            rollout->enabled_source = NGX_HTTP_ASYNC_UPLOAD_FROM_ENVIRONMENT;
        }
    }

    if (ngx_http_async_upload_env_get("ASYNC_UPLOAD_ROLLOUT", &value)) {

        n = ngx_http_async_upload_parse_share(&value, 0);

        if (n == NGX_ERROR) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "invalid value \"%V\" of the environment variable "
                          "\"ASYNC_UPLOAD_ROLLOUT\", it must be from 0 to 100 "
                          "percent in steps of 0.01", &value);
            return NGX_ERROR;
        }

        if (rollout->share == NGX_CONF_UNSET_UINT) {
            rollout->share = n;
            rollout->share_source = NGX_HTTP_ASYNC_UPLOAD_FROM_ENVIRONMENT;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_async_upload_env_get(const char *name, ngx_str_t *value)
{
    value->data = (u_char *) getenv(name);

    if (value->data == NULL) {
        return 0;
    }

    value->len = ngx_strlen(value->data);

    return value->len ? 1 : 0;
}
