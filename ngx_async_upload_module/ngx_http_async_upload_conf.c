
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_conf.h"
#include "ngx_http_async_upload_bucket.h"
#include "ngx_http_async_upload_control.h"
#include "ngx_http_async_upload_env.h"
#include "ngx_http_async_upload_parse.h"
#include "ngx_http_async_upload_peer.h"
#include "ngx_http_async_upload_settle.h"
#include "ngx_http_async_upload_status.h"


static ngx_int_t ngx_http_async_upload_conf_settle(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);
static ngx_int_t ngx_http_async_upload_conf_key(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);
static ngx_int_t ngx_http_async_upload_conf_hash(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);
static ngx_int_t ngx_http_async_upload_conf_async(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);
static ngx_int_t ngx_http_async_upload_conf_mentions(ngx_conf_t *cf,
    ngx_http_async_upload_main_conf_t *mcf);


void *
ngx_http_async_upload_conf_create_main(ngx_conf_t *cf)
{
    ngx_http_async_upload_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_async_upload_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mcf->rollouts, cf->pool, 4,
                       sizeof(ngx_http_async_upload_rollout_t *))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&mcf->statuses, cf->pool, 4,
                       sizeof(ngx_http_async_upload_mention_t))
        != NGX_OK)
    {
        return NULL;
    }

    return mcf;
}


void *
ngx_http_async_upload_conf_create_srv(ngx_conf_t *cf)
{
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = ngx_pcalloc(cf->pool, sizeof(ngx_http_async_upload_rollout_t));
    if (rollout == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     rollout->name = { 0, NULL };
     *     rollout->keys = NULL;
     *     rollout->hash_args = NULL;
     *     rollout->methods = 0;
     *     rollout->replay = NGX_HTTP_ASYNC_UPLOAD_REPLAY_KEYED;
     *     rollout->tries = 0;
     *     rollout->timeout = 0;
     *     rollout->connect_timeout = 0;
     *     rollout->failures = { 0 };
     *     rollout->stages = NULL;
     *     rollout->advance = 0;
     *     rollout->budget = 0;
     *     rollout->dry_run = 0;
     *     rollout->state_off = 0;
     *     rollout->state = { 0, NULL };
     *     rollout->journal = NULL;
     *     rollout->*_source = NGX_HTTP_ASYNC_UPLOAD_FROM_DEFAULT;
     */

    rollout->enabled = NGX_CONF_UNSET;
    rollout->share = NGX_CONF_UNSET_UINT;
    rollout->missing = NGX_CONF_UNSET_UINT;
    rollout->fallback = NGX_CONF_UNSET_UINT;

    ngx_http_async_upload_settle_create(rollout);

    return rollout;
}


void *
ngx_http_async_upload_conf_create_loc(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_async_upload_loc_conf_t));
}


char *
ngx_http_async_upload_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_async_upload_loc_conf_t *prev = parent;
    ngx_http_async_upload_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    /* a content handler goes on in the blocks of its location, nowhere else */

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname) {
        *conf = *prev;
    }

    /* the core gives one to an "if", but none to a "limit_except" */

    if (clcf->lmt_excpt && clcf->handler == NULL) {

        if (conf->status) {
            clcf->handler = ngx_http_async_upload_status_handler;

        } else if (conf->control) {
            clcf->handler = ngx_http_async_upload_control_handler;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_conf_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_http_async_upload_main_conf_t *mcf = conf;

    ngx_uint_t                        i;
    ngx_http_upstream_srv_conf_t    **uscfp;
    ngx_http_upstream_main_conf_t    *umcf;
    ngx_http_async_upload_rollout_t  *rollout, **r;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (uscfp[i]->srv_conf == NULL) {
            continue;
        }

        rollout = ngx_http_conf_upstream_srv_conf(uscfp[i],
                                                  ngx_http_async_upload_module);

        if (rollout->file_name == NULL) {
            continue;
        }

        if (rollout->name.len == 0) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"%V\" without \"async_upload\" in upstream \"%V\" "
                          "in %s:%ui", &rollout->directive, &uscfp[i]->host,
                          rollout->file_name, rollout->line);
            return NGX_CONF_ERROR;
        }

        rollout->sync = uscfp[i];

        if (ngx_http_async_upload_conf_settle(cf, rollout) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_async_upload_conf_async(cf, rollout) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_async_upload_settle_state(cf, rollout, &mcf->rollouts)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        r = ngx_array_push(&mcf->rollouts);
        if (r == NULL) {
            return NGX_CONF_ERROR;
        }

        *r = rollout;

        rollout->sync_init = uscfp[i]->peer.init;
        uscfp[i]->peer.init = ngx_http_async_upload_peer_init;
    }

    if (mcf->rollouts.nelts && ngx_http_async_upload_env_keep(cf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_async_upload_conf_mentions(cf, mcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_async_upload_conf_settle(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_uint_t  status;

    if (ngx_http_async_upload_env_settle(cf, rollout) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_async_upload_settle_rules(cf, rollout) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_conf_init_value(rollout->enabled, 0);
    ngx_conf_init_uint_value(rollout->share, 0);
    ngx_conf_init_uint_value(rollout->missing,
                             NGX_HTTP_ASYNC_UPLOAD_MISSING_SYNC);
    ngx_conf_init_uint_value(rollout->fallback,
                             NGX_HTTP_ASYNC_UPLOAD_FALLBACK_CONNECT);

    if (rollout->tries == 0) {
        rollout->tries = 1;
    }

    if (rollout->methods == 0) {
        rollout->methods = NGX_HTTP_POST|NGX_HTTP_PUT|NGX_HTTP_PATCH;
    }

    if (rollout->failure_source == NGX_HTTP_ASYNC_UPLOAD_FROM_DEFAULT) {
        for (status = 500; status < 600; status++) {
            rollout->failures[(status - 400) / 64]
                |= (uint64_t) 1 << ((status - 400) % 64);
        }
    }

    if (ngx_http_async_upload_conf_key(cf, rollout) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_async_upload_conf_hash(cf, rollout);
}


/* $remote_addr, if nothing else was said */

static ngx_int_t
ngx_http_async_upload_conf_key(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_key_t  *key;

    static ngx_str_t  text = ngx_string("$remote_addr");

    if (rollout->keys) {
        return NGX_OK;
    }

    rollout->keys = ngx_array_create(cf->pool, 1,
                                     sizeof(ngx_http_async_upload_key_t));
    if (rollout->keys == NULL) {
        return NGX_ERROR;
    }

    key = ngx_array_push(rollout->keys);
    if (key == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_async_upload_parse_key(cf, &text, key);
}


/*
 * sha256 with the rollout's name as salt, if nothing else was said; otherwise
 * the shares, wherever they come from, must be such that the hash can give.
 */

static ngx_int_t
ngx_http_async_upload_conf_hash(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_str_t  *salt;

    if (rollout->hash_args) {
        return ngx_http_async_upload_settle_shares(cf, rollout);
    }

    rollout->hash_mode = NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256;
    ngx_str_set(&rollout->hash_name, "sha256");

    rollout->hash_args = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    if (rollout->hash_args == NULL) {
        return NGX_ERROR;
    }

    salt = ngx_array_push(rollout->hash_args);
    if (salt == NULL) {
        return NGX_ERROR;
    }

    *salt = rollout->name;

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_conf_async(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_str_t                        *name;
    ngx_uint_t                        i;
    ngx_http_upstream_srv_conf_t    **uscfp, *us;
    ngx_http_upstream_main_conf_t    *umcf;
    ngx_http_async_upload_rollout_t  *other;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    name = &rollout->async_name;
    us = NULL;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        /* a block, not an address or name that some proxy_pass made known */

        if (uscfp[i]->srv_conf
            && uscfp[i]->host.len == name->len
            && ngx_strncasecmp(uscfp[i]->host.data, name->data, name->len)
               == 0)
        {
            us = uscfp[i];
            break;
        }
    }

    if (us == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "there is no upstream block \"%V\" for \"async_upload\" "
                      "of upstream \"%V\" in %s:%ui", name,
                      &rollout->sync->host, rollout->file_name, rollout->line);
        return NGX_ERROR;
    }

    if (us == rollout->sync) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"async_upload\" of upstream \"%V\" names the block "
                      "itself in %s:%ui", name, rollout->file_name,
                      rollout->line);
        return NGX_ERROR;
    }

    other = ngx_http_conf_upstream_srv_conf(us, ngx_http_async_upload_module);

    if (other->name.len) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"async_upload\" of upstream \"%V\" names \"%V\", which "
                      "is a rollout itself, in %s:%ui", &rollout->sync->host,
                      name, rollout->file_name, rollout->line);
        return NGX_ERROR;
    }

    rollout->async = us;

    return NGX_OK;
}


/* status locations may stand before the upstream block that they name */

static ngx_int_t
ngx_http_async_upload_conf_mentions(ngx_conf_t *cf,
    ngx_http_async_upload_main_conf_t *mcf)
{
    ngx_uint_t                         i, k;
    ngx_http_async_upload_rollout_t  **rollouts;
    ngx_http_async_upload_mention_t   *mention;

    mention = mcf->statuses.elts;
    rollouts = mcf->rollouts.elts;

    for (i = 0; i < mcf->statuses.nelts; i++) {

        for (k = 0; k < mcf->rollouts.nelts; k++) {
            if (rollouts[k]->name.len == mention[i].name.len
                && ngx_strncmp(rollouts[k]->name.data, mention[i].name.data,
                               mention[i].name.len)
                   == 0)
            {
                break;
            }
        }

        if (k == mcf->rollouts.nelts) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "there is no rollout \"%V\" for "
                          "\"async_upload_status\" in %s:%ui",
                          &mention[i].name, mention[i].file_name,
                          mention[i].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
