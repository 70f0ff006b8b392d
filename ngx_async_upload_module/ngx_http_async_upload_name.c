
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_name.h"


ngx_str_t  ngx_http_async_upload_name_arms[] = {
    ngx_string("sync"),
    ngx_string("async")
};


ngx_str_t  ngx_http_async_upload_name_states[] = {
    ngx_string("off"),
    ngx_string("running"),
    ngx_string("paused"),
    ngx_string("review"),
    ngx_string("rolled_back"),
    ngx_string("complete")
};


ngx_str_t  ngx_http_async_upload_name_reasons[] = {
    ngx_string("bucket"),
    ngx_string("missing_key"),
    ngx_string("off"),
    ngx_string("rolled_back"),
    ngx_string("not_upload"),
    ngx_string("fallback")
};


ngx_str_t  ngx_http_async_upload_name_sources[] = {
    ngx_string("default"),
    ngx_string("environment"),
    ngx_string("nginx.conf")
};


ngx_str_t  ngx_http_async_upload_name_fallbacks[] = {
    ngx_string("off"),
    ngx_string("connect"),
    ngx_string("failure")
};


ngx_str_t  ngx_http_async_upload_name_replays[] = {
    ngx_string("keyed"),
    ngx_string("always")
};


ngx_str_t  ngx_http_async_upload_name_advances[] = {
    ngx_string("manual"),
    ngx_string("auto")
};


ngx_str_t  ngx_http_async_upload_name_missings[] = {
    ngx_string("sync"),
    ngx_string("random")
};


ngx_str_t  ngx_http_async_upload_name_sizes[] = {
    ngx_string("below_64k"),
    ngx_string("below_1m"),
    ngx_string("below_16m"),
    ngx_string("below_256m"),
    ngx_string("larger")
};


ngx_str_t  ngx_http_async_upload_name_events[] = {
    ngx_string("none"),
    ngx_string("started"),
    ngx_string("restored"),
    ngx_string("refused"),
    ngx_string("config"),
    ngx_string("enable"),
    ngx_string("disable"),
    ngx_string("share"),
    ngx_string("advance"),
    ngx_string("complete"),
    ngx_string("pause"),
    ngx_string("resume"),
    ngx_string("review"),
    ngx_string("rollback"),
    ngx_string("restart"),
    ngx_string("drill"),
    ngx_string("baseline"),
    ngx_string("forget"),
    ngx_string("signal"),
    ngx_string("gate"),
    ngx_string("follow")
};


ngx_str_t  ngx_http_async_upload_name_actors[] = {
    ngx_string("config"),
    ngx_string("control"),
    ngx_string("guard")
};


ngx_str_t  ngx_http_async_upload_name_commands[] = {
    ngx_string("enable"),
    ngx_string("disable"),
    ngx_string("share"),
    ngx_string("advance"),
    ngx_string("pause"),
    ngx_string("resume"),
    ngx_string("rollback"),
    ngx_string("restart"),
    ngx_string("drill"),
    ngx_string("baseline"),
    ngx_string("forget"),
    ngx_string("signal")
};


ngx_http_async_upload_name_t  ngx_http_async_upload_name_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_string("MKCOL"), NGX_HTTP_MKCOL },
    { ngx_string("COPY"), NGX_HTTP_COPY },
    { ngx_string("MOVE"), NGX_HTTP_MOVE },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_string("PROPFIND"), NGX_HTTP_PROPFIND },
    { ngx_string("PROPPATCH"), NGX_HTTP_PROPPATCH },
    { ngx_string("LOCK"), NGX_HTTP_LOCK },
    { ngx_string("UNLOCK"), NGX_HTTP_UNLOCK },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_null_string, 0 }
};


static ngx_str_t  ngx_http_async_upload_name_classes[] = {
    ngx_string("connect"),
    ngx_string("timeout"),
    ngx_string("reset"),
    ngx_string("invalid"),
    ngx_string("no_live_peer"),
    ngx_string("hung"),
    ngx_string("outcome")
};


u_char *
ngx_http_async_upload_name_class(u_char *buf, ngx_uint_t class,
    ngx_uint_t status)
{
    if (class < NGX_HTTP_ASYNC_UPLOAD_HTTP) {
        return ngx_cpymem(buf, ngx_http_async_upload_name_classes[class].data,
                          ngx_http_async_upload_name_classes[class].len);
    }

    if (status == 0) {
        return ngx_cpymem(buf, "http_other", sizeof("http_other") - 1);
    }

    return ngx_sprintf(buf, "http_%ui", status);
}


ngx_int_t
ngx_http_async_upload_name_find(ngx_str_t *names, ngx_uint_t n, ngx_str_t *word)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (names[i].len == word->len
            && ngx_strncmp(names[i].data, word->data, word->len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}
