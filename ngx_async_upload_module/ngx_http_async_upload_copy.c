
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_copy.h"
#include "ngx_http_async_upload_attempt.h"


#define NGX_HTTP_ASYNC_UPLOAD_COPY_HASH     64

/* a location's upstream configurations are few; more means they are made
   for each request by some other module */
#define NGX_HTTP_ASYNC_UPLOAD_COPY_MOST     4096

#define NGX_HTTP_ASYNC_UPLOAD_COPY_CONNECT  3000    /* ms, at most */


/* a location's upstream configuration, as it is and as async runs under it */

typedef struct ngx_http_async_upload_conf_s  ngx_http_async_upload_conf_t;

struct ngx_http_async_upload_conf_s {
    ngx_http_upstream_conf_t        *conf;
    ngx_http_upstream_conf_t        *copies[2];     /* by replay allowed */
    ngx_http_async_upload_conf_t    *next;
};


/* of one rollout in one process, keyed by the address of the original */

typedef struct ngx_http_async_upload_confs_s {
    ngx_uint_t                       n;
    ngx_http_async_upload_conf_t    *buckets[NGX_HTTP_ASYNC_UPLOAD_COPY_HASH];
} ngx_http_async_upload_confs_t;


static ngx_http_upstream_conf_t *ngx_http_async_upload_copy_make(
    ngx_http_async_upload_rollout_t *rollout, ngx_http_upstream_conf_t *conf,
    ngx_uint_t replay);


ngx_http_upstream_conf_t *
ngx_http_async_upload_copy_conf(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_upstream_conf_t *conf, ngx_uint_t replay)
{
    ngx_pool_t                      *pool;
    ngx_http_async_upload_conf_t   **bucket, *item;
    ngx_http_async_upload_confs_t   *confs;

    pool = rollout->cycle->pool;

    if (rollout->confs == NULL) {
        rollout->confs = ngx_pcalloc(pool,
                                     sizeof(ngx_http_async_upload_confs_t));
        if (rollout->confs == NULL) {
            return conf;
        }
    }

    confs = rollout->confs;
    bucket = &confs->buckets[((uintptr_t) conf / NGX_ALIGNMENT / 8)
                             % NGX_HTTP_ASYNC_UPLOAD_COPY_HASH];

    for (item = *bucket; item; item = item->next) {
        if (item->conf == conf) {
            break;
        }
    }

    if (item == NULL) {

        if (confs->n == NGX_HTTP_ASYNC_UPLOAD_COPY_MOST) {
            return conf;
        }

        item = ngx_pcalloc(pool, sizeof(ngx_http_async_upload_conf_t));
        if (item == NULL) {
            return conf;
        }

        item->conf = conf;
        item->next = *bucket;
        *bucket = item;
        confs->n++;

        if (confs->n == NGX_HTTP_ASYNC_UPLOAD_COPY_MOST) {
            ngx_log_error(NGX_LOG_WARN, rollout->cycle->log, 0,
                          "async_upload \"%V\": more than %d upstream "
                          "configurations, the others have no fallback",
                          &rollout->name, NGX_HTTP_ASYNC_UPLOAD_COPY_MOST);
        }
    }

    if (item->copies[replay] == NULL) {
        item->copies[replay] = ngx_http_async_upload_copy_make(rollout, conf,
                                                               replay);
    }

    return item->copies[replay] ? item->copies[replay] : conf;
}


static ngx_http_upstream_conf_t *
ngx_http_async_upload_copy_make(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_upstream_conf_t *conf, ngx_uint_t replay)
{
    ngx_uint_t                 i;
    ngx_http_upstream_conf_t  *copy;

    static ngx_http_upstream_next_t  statuses[] = {
        { 500, NGX_HTTP_UPSTREAM_FT_HTTP_500 },
        { 502, NGX_HTTP_UPSTREAM_FT_HTTP_502 },
        { 503, NGX_HTTP_UPSTREAM_FT_HTTP_503 },
        { 504, NGX_HTTP_UPSTREAM_FT_HTTP_504 }
    };

    copy = ngx_palloc(rollout->cycle->pool, sizeof(ngx_http_upstream_conf_t));
    if (copy == NULL) {
        return NULL;
    }

    *copy = *conf;

    /* without replay this unit stops what was sent, POST or not */

    copy->next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR
                          | NGX_HTTP_UPSTREAM_FT_TIMEOUT;

    if (replay) {
        copy->next_upstream |= NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
                               | NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;

        /* of the answers that the core can give up those that are failures */

        for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
            if (ngx_http_async_upload_attempt_fails(rollout,
                                                    statuses[i].status))
            {
                copy->next_upstream |= statuses[i].mask;
            }
        }
    }

    copy->connect_timeout = rollout->connect_timeout
                            ? rollout->connect_timeout
                            : ngx_min(conf->connect_timeout,
                                      NGX_HTTP_ASYNC_UPLOAD_COPY_CONNECT);

    if (rollout->timeout) {
        copy->send_timeout = rollout->timeout;
        copy->read_timeout = rollout->timeout;
    }

    return copy;
}
