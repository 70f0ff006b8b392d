
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_PARSE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_PARSE_H_INCLUDED_


/*
 * Words of nginx.conf and of the environment to values.  No configuration is
 * changed and no message made; whoever asks knows what to say of a bad word.
 */


#include "ngx_http_async_upload.h"


/*
 * A share such as 1%, 0.25% or 100%, in steps of 0.01%.
 *
 * "percent" is 1 if the sign must be there, 0 if it may be.
 *
 * Returns: 0..10000 basis points, or NGX_ERROR.
 */
ngx_int_t ngx_http_async_upload_parse_share(ngx_str_t *word,
    ngx_uint_t percent);

/*
 * A rate of 0 to 100 percent such as 99.5% or 0.5, in steps of 0.0001%.
 *
 * Returns: 0..1000000 parts of a million, or NGX_ERROR.
 */
ngx_int_t ngx_http_async_upload_parse_ppm(ngx_str_t *word);

/*
 * A whole number of percent such as 120% or 120.
 *
 * Returns: 0..10000 percent, or NGX_ERROR.
 */
ngx_int_t ngx_http_async_upload_parse_percent(ngx_str_t *word);

/*
 * One of true, false, on, off, 1, 0.
 *
 * Returns: 1, 0 or NGX_ERROR.
 */
ngx_int_t ngx_http_async_upload_parse_flag(ngx_str_t *word);

/*
 * A string of async_upload_key with its variables.
 *
 * Memory:  the configuration's pool.
 * Returns: NGX_ERROR if out of memory or, with the core's [emerg] line, if it
 *          is no valid string.
 */
ngx_int_t ngx_http_async_upload_parse_key(ngx_conf_t *cf, ngx_str_t *word,
    ngx_http_async_upload_key_t *key);

/*
 * A time as nginx writes it, such as 500ms or 1m; without a unit, seconds.
 *
 * Returns: milliseconds, more than 0, or NGX_ERROR.
 */
ngx_int_t ngx_http_async_upload_parse_time(ngx_str_t *word);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_PARSE_H_INCLUDED_ */
