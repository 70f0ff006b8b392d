
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_env.h"
#include "ngx_http_async_upload_parse.h"


/*
 * A variable: how its value is read and, as offsets in the rollout, the field
 * (of the size of ngx_uint_t) and the source that it sets.
 */

typedef struct {
    ngx_str_t     name;
    ngx_int_t   (*parse)(ngx_str_t *value);
    size_t        field;
    size_t        source;
    const char   *allowed;
} ngx_http_async_upload_env_t;


static ngx_int_t ngx_http_async_upload_env_share(ngx_str_t *value);
static ngx_int_t ngx_http_async_upload_env_fallback(ngx_str_t *value);
static ngx_int_t ngx_http_async_upload_env_retries(ngx_str_t *value);
static ngx_uint_t ngx_http_async_upload_env_get(const char *name,
    ngx_str_t *value);


static ngx_http_async_upload_env_t  ngx_http_async_upload_env_table[] = {

    { ngx_string("ASYNC_UPLOAD_ENABLED"),
      ngx_http_async_upload_parse_flag,
      offsetof(ngx_http_async_upload_rollout_t, enabled),
      offsetof(ngx_http_async_upload_rollout_t, enabled_source),
      "true, false, on, off, 1 or 0" },

    { ngx_string("ASYNC_UPLOAD_ROLLOUT"),
      ngx_http_async_upload_env_share,
      offsetof(ngx_http_async_upload_rollout_t, share),
      offsetof(ngx_http_async_upload_rollout_t, share_source),
      "from 0 to 100 percent in steps of 0.01" },

    { ngx_string("ASYNC_UPLOAD_FALLBACK"),
      ngx_http_async_upload_env_fallback,
      offsetof(ngx_http_async_upload_rollout_t, fallback),
      offsetof(ngx_http_async_upload_rollout_t, fallback_source),
      "true, false, on, off, 1 or 0" },

    { ngx_string("ASYNC_UPLOAD_MAX_RETRIES"),
      ngx_http_async_upload_env_retries,
      offsetof(ngx_http_async_upload_rollout_t, tries),
      offsetof(ngx_http_async_upload_rollout_t, tries_source),
      "from 0 to 99" },

    { ngx_string("ASYNC_UPLOAD_TIMEOUT"),
      ngx_http_async_upload_parse_time,
      offsetof(ngx_http_async_upload_rollout_t, timeout),
      offsetof(ngx_http_async_upload_rollout_t, timeout_source),
      "a time of more than 0, in seconds or as in 500ms" }
};

#define NGX_HTTP_ASYNC_UPLOAD_ENV_N                                           \
    (sizeof(ngx_http_async_upload_env_table)                                  \
     / sizeof(ngx_http_async_upload_env_table[0]))


ngx_int_t
ngx_http_async_upload_env_keep(ngx_conf_t *cf)
{
    ngx_str_t        *var, *name;
    ngx_uint_t        i, k;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ENV_N; i++) {

        name = &ngx_http_async_upload_env_table[i].name;
        var = ccf->env.elts;

        for (k = 0; k < ccf->env.nelts; k++) {
            if (var[k].len >= name->len
                && ngx_strncmp(var[k].data, name->data, name->len) == 0
                && (var[k].len == name->len || var[k].data[name->len] == '='))
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

        *var = *name;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_async_upload_env_settle(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_int_t                        n;
    ngx_str_t                        value;
    ngx_uint_t                       i;
    ngx_http_async_upload_env_t     *env;
    ngx_http_async_upload_source_e  *source;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ENV_N; i++) {

        env = &ngx_http_async_upload_env_table[i];

        if (!ngx_http_async_upload_env_get((char *) env->name.data, &value)) {
            continue;
        }

        n = env->parse(&value);

        if (n == NGX_ERROR) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "invalid value \"%V\" of the environment variable "
                          "\"%V\", it must be %s", &value, &env->name,
                          env->allowed);
            return NGX_ERROR;
        }

        source = (ngx_http_async_upload_source_e *)
                     ((u_char *) rollout + env->source);

        if (*source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
            continue;
        }

        *(ngx_uint_t *) ((u_char *) rollout + env->field) = n;
        *source = NGX_HTTP_ASYNC_UPLOAD_FROM_ENVIRONMENT;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_env_share(ngx_str_t *value)
{
    return ngx_http_async_upload_parse_share(value, 0);
}


/* with fallback everything that can be masked is, without nothing */

static ngx_int_t
ngx_http_async_upload_env_fallback(ngx_str_t *value)
{
    switch (ngx_http_async_upload_parse_flag(value)) {

    case 1:
        return NGX_HTTP_ASYNC_UPLOAD_FALLBACK_FAILURE;

    case 0:
        return NGX_HTTP_ASYNC_UPLOAD_FALLBACK_OFF;

    default:
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_async_upload_env_retries(ngx_str_t *value)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data, value->len);

    return (n == NGX_ERROR || n >= NGX_HTTP_ASYNC_UPLOAD_TRIES) ? NGX_ERROR
                                                                : n + 1;
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
