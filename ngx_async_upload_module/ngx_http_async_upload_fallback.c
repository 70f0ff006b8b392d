
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_fallback.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_parse.h"
#include "ngx_http_async_upload_setter.h"


char *
ngx_http_async_upload_fallback_mode(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_int_t   mode, replay;
    ngx_str_t  *value, word;

    if (rollout->fallback != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    replay = NGX_HTTP_ASYNC_UPLOAD_REPLAY_KEYED;

    mode = ngx_http_async_upload_name_find(ngx_http_async_upload_name_fallbacks,
                                           3, &value[1]);
    if (mode == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", it must be off, connect or "
                           "failure", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "replay=", 7) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        word.data = value[2].data + 7;
        word.len = value[2].len - 7;

        replay = ngx_http_async_upload_name_find(
                              ngx_http_async_upload_name_replays, 2, &word);

        if (replay == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", it must be "
                               "replay=keyed or replay=always", &value[2]);
            return NGX_CONF_ERROR;
        }

        if (mode != NGX_HTTP_ASYNC_UPLOAD_FALLBACK_FAILURE) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" without \"failure\"", &value[2]);
            return NGX_CONF_ERROR;
        }
    }

    rollout->fallback = mode;
    rollout->replay = replay;
    rollout->fallback_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_fallback_tries(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (rollout->tries) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n < 1 || n > NGX_HTTP_ASYNC_UPLOAD_TRIES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number \"%V\", it must be from 1 to %d",
                           &value[1], NGX_HTTP_ASYNC_UPLOAD_TRIES);
        return NGX_CONF_ERROR;
    }

    rollout->tries = n;
    rollout->tries_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_fallback_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_int_t    n;
    ngx_str_t   *value, word;
    ngx_uint_t   i;
    ngx_msec_t   timeout, connect, *field;

    if (rollout->timeout_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
        return "is duplicate";
    }

    value = cf->args->elts;
    timeout = 0;
    connect = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        word = value[i];
        field = &timeout;

        if (ngx_strncmp(word.data, "connect=", 8) == 0) {
            word.data += 8;
            word.len -= 8;
            field = &connect;
        }

        n = ngx_http_async_upload_parse_time(&word);

        if (n == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid time \"%V\", it must be more than 0, "
                               "as in 30s or connect=500ms", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (*field) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        *field = n;
    }

    rollout->timeout = timeout;
    rollout->connect_timeout = connect;
    rollout->timeout_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_fallback_failure(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    u_char      *p, *last;
    uint64_t     bit, failures[4];
    ngx_int_t    from, to;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (rollout->failure_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
        return "is duplicate";
    }

    value = cf->args->elts;
    ngx_memzero(failures, sizeof(failures));

    for (i = 1; i < cf->args->nelts; i++) {

        last = value[i].data + value[i].len;
        p = ngx_strlchr(value[i].data, last, '-');

        if (p) {
            from = ngx_atoi(value[i].data, p - value[i].data);
            to = ngx_atoi(p + 1, last - (p + 1));

        } else {
            from = ngx_atoi(value[i].data, value[i].len);
            to = from;
        }

        if (from < 400 || to > 599 || from > to) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid status \"%V\", it must be from 400 to "
                               "599, as in 503 or 500-599", &value[i]);
            return NGX_CONF_ERROR;
        }

        for ( /* void */ ; from <= to; from++) {
            bit = (uint64_t) 1 << ((from - 400) % 64);

            if (failures[(from - 400) / 64] & bit) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate status %i in \"%V\"",
                                   from, &value[i]);
                return NGX_CONF_ERROR;
            }

            failures[(from - 400) / 64] |= bit;
        }
    }

    ngx_memcpy(rollout->failures, failures, sizeof(failures));
    rollout->failure_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}
