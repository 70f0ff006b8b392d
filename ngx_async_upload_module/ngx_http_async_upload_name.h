
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_NAME_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_NAME_H_INCLUDED_


/*
 * The words that people write and read for the module's constants: one table
 * each for nginx.conf, variables, status and logs.  Pure; the tables are
 * indexed by the enumerations of ngx_http_async_upload.h.
 */


#include "ngx_http_async_upload.h"


typedef struct {
    ngx_str_t                        name;
    ngx_uint_t                       value;
} ngx_http_async_upload_name_t;


extern ngx_str_t  ngx_http_async_upload_name_arms[];
extern ngx_str_t  ngx_http_async_upload_name_states[];
extern ngx_str_t  ngx_http_async_upload_name_reasons[];
extern ngx_str_t  ngx_http_async_upload_name_sources[];
extern ngx_str_t  ngx_http_async_upload_name_fallbacks[];
extern ngx_str_t  ngx_http_async_upload_name_replays[];
extern ngx_str_t  ngx_http_async_upload_name_advances[];
extern ngx_str_t  ngx_http_async_upload_name_missings[];
extern ngx_str_t  ngx_http_async_upload_name_sizes[];
extern ngx_str_t  ngx_http_async_upload_name_commands[];
extern ngx_str_t  ngx_http_async_upload_name_events[];
extern ngx_str_t  ngx_http_async_upload_name_actors[];

/* the methods that nginx knows, by NGX_HTTP_*; ends with an empty name */
extern ngx_http_async_upload_name_t  ngx_http_async_upload_name_methods[];


#define NGX_HTTP_ASYNC_UPLOAD_NAME_LEN  16


/*
 * Writes the name of a failure class, without a terminating null.
 *
 * "class" is one below HTTP_FIRST; of HTTP, "status" makes the name, as in
 * http_503, or http_other if it is 0.
 *
 * Memory:  "buf" has room for NGX_HTTP_ASYNC_UPLOAD_NAME_LEN bytes.
 * Returns: the end of what was written.
 */
u_char *ngx_http_async_upload_name_class(u_char *buf, ngx_uint_t class,
    ngx_uint_t status);

/*
 * Looks a word up in a table of "n" names.
 *
 * Returns: its index, or NGX_ERROR.
 */
ngx_int_t ngx_http_async_upload_name_find(ngx_str_t *names, ngx_uint_t n,
    ngx_str_t *word);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_NAME_H_INCLUDED_ */
