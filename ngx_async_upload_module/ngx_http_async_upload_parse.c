
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_parse.h"


static ngx_int_t ngx_http_async_upload_parse_fraction(ngx_str_t *word,
    ngx_uint_t percent, size_t decimals, ngx_int_t max);


ngx_int_t
ngx_http_async_upload_parse_share(ngx_str_t *word, ngx_uint_t percent)
{
    return ngx_http_async_upload_parse_fraction(word, percent, 2,
                                            NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX);
}


ngx_int_t
ngx_http_async_upload_parse_ppm(ngx_str_t *word)
{
    return ngx_http_async_upload_parse_fraction(word, 0, 4, 1000000);
}


ngx_int_t
ngx_http_async_upload_parse_percent(ngx_str_t *word)
{
    return ngx_http_async_upload_parse_fraction(word, 0, 0, 10000);
}


/*
 * A number of percent with at most this many decimals, times 10^decimals;
 * with "percent" the sign must be there
 */

static ngx_int_t
ngx_http_async_upload_parse_fraction(ngx_str_t *word, ngx_uint_t percent,
    size_t decimals, ngx_int_t max)
{
    size_t     len;
    ngx_int_t  n;

    len = word->len;

    if (len && word->data[len - 1] == '%') {
        len--;

    } else if (percent) {
        return NGX_ERROR;
    }

    /* "1." is none, and ".5" is more likely a slip than a half */

    if (len == 0 || word->data[0] == '.' || word->data[len - 1] == '.') {
        return NGX_ERROR;
    }

    n = decimals ? ngx_atofp(word->data, len, decimals)
                 : ngx_atoi(word->data, len);

    return (n == NGX_ERROR || n > max) ? NGX_ERROR : n;
}


ngx_int_t
ngx_http_async_upload_parse_flag(ngx_str_t *word)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t  name;
        ngx_int_t  value;
    } flags[] = {
        { ngx_string("true"), 1 }, { ngx_string("false"), 0 },
        { ngx_string("on"), 1 },   { ngx_string("off"), 0 },
        { ngx_string("1"), 1 },    { ngx_string("0"), 0 }
    };

    for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (word->len == flags[i].name.len
            && ngx_strncasecmp(word->data, flags[i].name.data, word->len) == 0)
        {
            return flags[i].value;
        }
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_http_async_upload_parse_key(ngx_conf_t *cf, ngx_str_t *word,
    ngx_http_async_upload_key_t *key)
{
    u_char                             c;
    ngx_str_t                          name;
    ngx_uint_t                         i;
    ngx_http_compile_complex_value_t   ccv;

    key->text = *word;
    key->index = NGX_ERROR;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &key->text;
    ccv.complex_value = &key->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a variable and nothing else is read without the script engine */

    if (word->len < 2 || word->data[0] != '$') {
        return NGX_OK;
    }

    name.data = word->data + 1;
    name.len = word->len - 1;

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'
              || (i && c >= '0' && c <= '9')))
        {
            return NGX_OK;
        }
    }

    key->index = ngx_http_get_variable_index(cf, &name);

    return key->index == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_async_upload_parse_time(ngx_str_t *word)
{
    ngx_int_t  ms;

    ms = ngx_parse_time(word, 0);

    return ms > 0 ? ms : NGX_ERROR;
}
