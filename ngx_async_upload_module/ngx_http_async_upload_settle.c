
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_settle.h"


/* for "10000%" or "99.9999%" and a null */
#define NGX_HTTP_ASYNC_UPLOAD_SETTLE_PERCENT  16

/* the stages that have defaults of their own; later ones are as the last */
#define NGX_HTTP_ASYNC_UPLOAD_SETTLE_STAGES   4


static void ngx_http_async_upload_settle_stages(
    ngx_http_async_upload_rollout_t *rollout);
static ngx_int_t ngx_http_async_upload_settle_limits(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);
static ngx_int_t ngx_http_async_upload_settle_gates(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);
static ngx_int_t ngx_http_async_upload_settle_gate(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t stage,
    const char *name, ngx_uint_t gate, ngx_uint_t least, const char *rule,
    ngx_uint_t limit);
static ngx_int_t ngx_http_async_upload_settle_share(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t share,
    ngx_uint_t stage);
static ngx_int_t ngx_http_async_upload_settle_path(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout);
static ngx_int_t ngx_http_async_upload_settle_bodies(ngx_conf_t *cf,
    ngx_str_t *bodies);
static u_char *ngx_http_async_upload_settle_percent(u_char *buf,
    ngx_uint_t ppm);


static ngx_http_async_upload_stage_t  ngx_http_async_upload_settle_defaults
    [NGX_HTTP_ASYNC_UPLOAD_SETTLE_STAGES] =
{
    { 0,  100, 995000,  5000, 110, 0 },
    { 0,  500, 990000, 10000, 110, 0 },
    { 0, 2000, 985000, 15000, 110, 0 },
    { 0, 5000, 980000, 20000, 110, 0 }
};


void
ngx_http_async_upload_settle_create(ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_review_t      *review;
    ngx_http_async_upload_rollback_t    *rollback;
    ngx_http_async_upload_statistics_t  *statistics;

    rollback = &rollout->rollback;

    rollback->on = 1;
    rollback->success = 950000;
    rollback->error = 50000;
    rollback->run = 5;
    rollback->memory = 120;
    rollback->min_uploads = 100;
    rollback->window = 5 * 60 * 1000;

    review = &rollout->review;

    review->on = 1;
    review->success = 970000;
    review->success_for = 30 * 60 * 1000;
    review->latency = 120;
    review->latency_for = 10 * 60 * 1000;
    review->complaints = 0;
    review->unattended = 0;

    statistics = &rollout->statistics;

    statistics->sequential = 1;
    statistics->evidence = 1000;
    statistics->confirm = 5000;
    statistics->min_failures = 3;
    statistics->proof = 30000;
    statistics->horizon = 86400 * 1000;
}


ngx_int_t
ngx_http_async_upload_settle_rules(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_http_async_upload_stage_t  *stage;

    if (rollout->stages == NULL) {

        if (rollout->advance) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"async_upload_advance auto\" without "
                          "\"async_upload_stage\" in upstream \"%V\" in %s:%ui",
                          &rollout->sync->host, rollout->file_name,
                          rollout->line);
            return NGX_ERROR;
        }

        return ngx_http_async_upload_settle_limits(cf, rollout);
    }

    if (rollout->share_source == NGX_HTTP_ASYNC_UPLOAD_FROM_ENVIRONMENT) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "the environment variable \"ASYNC_UPLOAD_ROLLOUT\" is "
                      "ignored, as upstream \"%V\" has \"async_upload_stage\" "
                      "in %s:%ui", &rollout->sync->host, rollout->file_name,
                      rollout->line);
    }

    ngx_http_async_upload_settle_stages(rollout);

    stage = rollout->stages->elts;

    rollout->share = stage[0].share;
    rollout->share_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    if (ngx_http_async_upload_settle_limits(cf, rollout) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_async_upload_settle_gates(cf, rollout);
}


static void
ngx_http_async_upload_settle_stages(ngx_http_async_upload_rollout_t *rollout)
{
    ngx_uint_t                      i, k;
    ngx_http_async_upload_stage_t  *stage, *defaults;

    stage = rollout->stages->elts;

    for (i = 0; i < rollout->stages->nelts; i++) {

        k = ngx_min(i, NGX_HTTP_ASYNC_UPLOAD_SETTLE_STAGES - 1);
        defaults = &ngx_http_async_upload_settle_defaults[k];

        ngx_conf_init_uint_value(stage[i].min_uploads, defaults->min_uploads);
        ngx_conf_init_uint_value(stage[i].success, defaults->success);
        ngx_conf_init_uint_value(stage[i].error, defaults->error);
        ngx_conf_init_uint_value(stage[i].latency, defaults->latency);
        ngx_conf_init_msec_value(stage[i].soak,
                                 rollout->advance ? 24 * 60 * 60 * 1000 : 0);
    }
}


/* the rules that hold in every stage */

static ngx_int_t
ngx_http_async_upload_settle_limits(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    u_char       first[NGX_HTTP_ASYNC_UPLOAD_SETTLE_PERCENT];
    u_char       second[NGX_HTTP_ASYNC_UPLOAD_SETTLE_PERCENT];
    ngx_uint_t   review, rollback;

    if (!rollout->rollback.on) {

        if (rollout->budget) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"async_upload_budget\" beside "
                          "\"async_upload_rollback off\" in upstream \"%V\" "
                          "in %s:%ui", &rollout->sync->host,
                          rollout->file_name, rollout->line);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    review = rollout->review.success;
    rollback = rollout->rollback.success;

    if (rollout->review.on && review && review <= rollback) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "success=%s of \"async_upload_review\" is not above "
                      "success=%s of \"async_upload_rollback\" in upstream "
                      "\"%V\" in %s:%ui",
                      ngx_http_async_upload_settle_percent(first, review),
                      ngx_http_async_upload_settle_percent(second, rollback),
                      &rollout->sync->host, rollout->file_name, rollout->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* a gate must not let through what the other rules stop */

static ngx_int_t
ngx_http_async_upload_settle_gates(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_uint_t                         i;
    ngx_http_async_upload_stage_t     *stage;
    ngx_http_async_upload_review_t    *review;
    ngx_http_async_upload_rollback_t  *rollback;

    stage = rollout->stages->elts;
    rollback = &rollout->rollback;
    review = &rollout->review;

    for (i = 0; i < rollout->stages->nelts; i++) {

        if (rollback->on) {

            if (ngx_http_async_upload_settle_gate(cf, rollout, i + 1,
                                          "success", stage[i].success, 1,
                                          "rollback", rollback->success)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            if (ngx_http_async_upload_settle_gate(cf, rollout, i + 1,
                                          "error", stage[i].error, 0,
                                          "rollback", rollback->error)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        if (!review->on) {
            continue;
        }

        if (ngx_http_async_upload_settle_gate(cf, rollout, i + 1,
                                      "success", stage[i].success, 1,
                                      "review", review->success)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (review->latency
            && ngx_http_async_upload_settle_gate(cf, rollout, i + 1,
                                         "latency", stage[i].latency * 10000, 0,
                                         "review", review->latency * 10000)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* ppm; with "least" the gate is a lower bound, otherwise an upper one */

static ngx_int_t
ngx_http_async_upload_settle_gate(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t stage,
    const char *name, ngx_uint_t gate, ngx_uint_t least, const char *rule,
    ngx_uint_t limit)
{
    u_char  first[NGX_HTTP_ASYNC_UPLOAD_SETTLE_PERCENT];
    u_char  second[NGX_HTTP_ASYNC_UPLOAD_SETTLE_PERCENT];

    if (least ? gate >= limit : gate <= limit) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "%s=%s of stage %ui is %s %s=%s of \"async_upload_%s\" in "
                  "upstream \"%V\" in %s:%ui",
                  name, ngx_http_async_upload_settle_percent(first, gate),
                  stage, least ? "below" : "above",
                  name, ngx_http_async_upload_settle_percent(second, limit),
                  rule, &rollout->sync->host, rollout->file_name,
                  rollout->line);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_async_upload_settle_shares(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    ngx_uint_t                      i;
    ngx_http_async_upload_stage_t  *stage;

    if (!rollout->hash_whole) {
        return NGX_OK;
    }

    if (rollout->stages == NULL) {
        return ngx_http_async_upload_settle_share(cf, rollout, rollout->share,
                                                  0);
    }

    stage = rollout->stages->elts;

    for (i = 0; i < rollout->stages->nelts; i++) {
        if (ngx_http_async_upload_settle_share(cf, rollout, stage[i].share,
                                               i + 1)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* "stage" 0: the share of no stage */

static ngx_int_t
ngx_http_async_upload_settle_share(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t share,
    ngx_uint_t stage)
{
    u_char   of[sizeof(" of stage 32")];
    char    *whose;

    if (share % 100 == 0) {
        return NGX_OK;
    }

    if (stage) {
        *ngx_sprintf(of, " of stage %ui", stage) = '\0';
        whose = (char *) of;

    } else if (rollout->share_source
               == NGX_HTTP_ASYNC_UPLOAD_FROM_ENVIRONMENT)
    {
        whose = " of the environment variable \"ASYNC_UPLOAD_ROLLOUT\"";

    } else {
        whose = "";
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "share %ui.%02ui%%%s cannot be told apart by hash "
                  "\"%V\", it must be a whole percent in %s:%ui",
                  share / 100, share % 100, whose, &rollout->hash_name,
                  rollout->file_name, rollout->line);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_async_upload_settle_state(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout, ngx_array_t *others)
{
    ngx_uint_t                         i;
    ngx_http_async_upload_rollout_t  **other;

    if (rollout->state_off) {
        return NGX_OK;
    }

    if (rollout->state.len == 0
        && ngx_http_async_upload_settle_path(cf, rollout) != NGX_OK)
    {
        return NGX_ERROR;
    }

    other = others->elts;

    for (i = 0; i < others->nelts; i++) {

        if (other[i]->state_off
            || other[i]->state.len != rollout->state.len
            || ngx_strcmp(other[i]->state.data, rollout->state.data) != 0)
        {
            continue;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "state file \"%V\" of rollout \"%V\" is that of rollout "
                      "\"%V\" in %s:%ui", &rollout->state, &rollout->name,
                      &other[i]->name, rollout->file_name, rollout->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* NAME.state in the directory "async_upload" beside the bodies of clients */

static ngx_int_t
ngx_http_async_upload_settle_path(ngx_conf_t *cf,
    ngx_http_async_upload_rollout_t *rollout)
{
    u_char      *p;
    ngx_str_t    bodies, *state;
    ngx_path_t  *path;

    static u_char  dir[] = "async_upload";

    if (ngx_http_async_upload_settle_bodies(cf, &bodies) != NGX_OK) {
        return NGX_ERROR;
    }

    do {
        bodies.len--;
    } while (bodies.len && bodies.data[bodies.len - 1] != '/');

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NGX_ERROR;
    }

    path->name.len = bodies.len + sizeof(dir) - 1;

    path->name.data = ngx_pnalloc(cf->pool, path->name.len + 1);
    if (path->name.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(path->name.data, bodies.data, bodies.len);
    ngx_memcpy(p, dir, sizeof(dir));

    if (ngx_add_path(cf, &path) != NGX_OK) {
        return NGX_ERROR;
    }

    state = &rollout->state;

    state->data = ngx_pnalloc(cf->pool, path->name.len + rollout->name.len
                                        + sizeof("/.state"));
    if (state->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(state->data, "%V/%V.state", &path->name, &rollout->name);
    *p = '\0';

    state->len = p - state->data;

    return NGX_OK;
}


/*
 * The client_body_temp_path of "http", or its default.  The core has given that
 * to servers before this module's turn; it may not be that of the nginx which
 * this module was configured with.
 */

static ngx_int_t
ngx_http_async_upload_settle_bodies(ngx_conf_t *cf, ngx_str_t *bodies)
{
    ngx_uint_t                  i;
    ngx_path_t                 *path;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_srv_conf_t  **cscfp;
    ngx_http_core_main_conf_t  *cmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->client_body_temp_path) {
        *bodies = clcf->client_body_temp_path->name;
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscfp = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        clcf = cscfp[i]->ctx->loc_conf[ngx_http_core_module.ctx_index];
        path = clcf->client_body_temp_path;

        /* no directive, no file that it stands in */

        if (path && path->conf_file == NULL) {
            *bodies = path->name;
            return NGX_OK;
        }
    }

    ngx_str_set(bodies, NGX_HTTP_CLIENT_TEMP_PATH);

    return ngx_conf_full_name(cf->cycle, bodies, 0);
}


/* without zeros that say nothing: "99.5%" */

static u_char *
ngx_http_async_upload_settle_percent(u_char *buf, ngx_uint_t ppm)
{
    u_char  *p;

    p = ngx_sprintf(buf, "%ui", ppm / 10000);

    if (ppm % 10000) {
        p = ngx_sprintf(p, ".%04ui", ppm % 10000);

        while (p[-1] == '0') {
            p--;
        }
    }

    *p++ = '%';
    *p = '\0';

    return buf;
}
