
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_PARAM_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_PARAM_H_INCLUDED_


/*
 * The parameters of a command, application/x-www-form-urlencoded, to an order.
 * It knows which command takes which parameter and what a value may be; it
 * knows neither states nor where the text came from.
 */


#include "ngx_http_async_upload_rollout.h"


typedef struct {
    ngx_http_async_upload_order_t    order;     /* but for "who" */
    ngx_str_t                        actor;     /* empty: not given */

    ngx_http_async_upload_answer_t  *answer;    /* if it is refused */
    ngx_pool_t                      *pool;
    ngx_uint_t                       given;     /* bit: index of a parameter */
} ngx_http_async_upload_param_t;


/*
 * Starts the order of a command, one of command_e; nothing is given yet.
 *
 * "answer" is what a refusal goes into.
 */
void ngx_http_async_upload_param_start(ngx_http_async_upload_param_t *param,
    ngx_uint_t command, ngx_http_async_upload_answer_t *answer,
    ngx_pool_t *pool);

/*
 * Adds what a query or a body gives.
 *
 * Memory:  of "pool".
 * Returns: NGX_ERROR, then the answer says what is wrong.
 */
ngx_int_t ngx_http_async_upload_param_add(ngx_http_async_upload_param_t *param,
    ngx_str_t *text);

/*
 * Looks whether all is given that the command needs.
 *
 * Returns: as param_add.
 */
ngx_int_t ngx_http_async_upload_param_end(
    ngx_http_async_upload_param_t *param);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_PARAM_H_INCLUDED_ */
