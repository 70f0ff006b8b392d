
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload.h"
#include "ngx_http_async_upload_account.h"
#include "ngx_http_async_upload_apply.h"
#include "ngx_http_async_upload_conf.h"
#include "ngx_http_async_upload_decide.h"
#include "ngx_http_async_upload_fallback.h"
#include "ngx_http_async_upload_live.h"
#include "ngx_http_async_upload_rules.h"
#include "ngx_http_async_upload_setter.h"
#include "ngx_http_async_upload_slot.h"
#include "ngx_http_async_upload_tick.h"
#include "ngx_http_async_upload_token.h"
#include "ngx_http_async_upload_variable.h"


#if (NGX_HTTP_ASYNC_UPLOAD_TEST_CLOCK)
#define NGX_HTTP_ASYNC_UPLOAD_MODULE_TICK  50       /* ms, for leaps of time */
#else
#define NGX_HTTP_ASYNC_UPLOAD_MODULE_TICK  1000     /* ms */
#endif


static ngx_int_t ngx_http_async_upload_module_postconfiguration(
    ngx_conf_t *cf);
static ngx_int_t ngx_http_async_upload_module_log(ngx_http_request_t *r);
static ngx_int_t ngx_http_async_upload_module_init(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_async_upload_module_init_process(
    ngx_cycle_t *cycle);
static void ngx_http_async_upload_module_exit_process(ngx_cycle_t *cycle);
static void ngx_http_async_upload_module_timer(ngx_event_t *ev);


static ngx_command_t  ngx_http_async_upload_module_commands[] = {

    { ngx_string("async_upload"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_setter_rollout,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_enabled"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_async_upload_setter_enabled,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_rollout"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_async_upload_setter_share,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_key"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_setter_key,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_missing"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_async_upload_setter_missing,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_hash"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_setter_hash,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_methods"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_setter_methods,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_fallback"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE12,
      ngx_http_async_upload_fallback_mode,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_tries"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_async_upload_fallback_tries,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_timeout"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE12,
      ngx_http_async_upload_fallback_timeout,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_failure"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_fallback_failure,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_stage"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_rules_stage,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_advance"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_async_upload_rules_advance,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_rollback"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_rules_rollback,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_review"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_rules_review,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_statistics"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_async_upload_rules_statistics,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_budget"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_async_upload_rules_budget,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_dry_run"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_async_upload_rules_dry_run,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_log"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_async_upload_rules_log,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_async_upload_setter_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("async_upload_control"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_async_upload_token_control,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_async_upload_module_ctx = {
    ngx_http_async_upload_variable_add,     /* preconfiguration */
    ngx_http_async_upload_module_postconfiguration,
                                            /* postconfiguration */

    ngx_http_async_upload_conf_create_main, /* create main configuration */
    ngx_http_async_upload_conf_init_main,   /* init main configuration */

    ngx_http_async_upload_conf_create_srv,  /* create server configuration */
    NULL,                                   /* merge server configuration */

    ngx_http_async_upload_conf_create_loc,  /* create location configuration */
    ngx_http_async_upload_conf_merge_loc    /* merge location configuration */
};


ngx_module_t  ngx_http_async_upload_module = {
    NGX_MODULE_V1,
    &ngx_http_async_upload_module_ctx,      /* module context */
    ngx_http_async_upload_module_commands,  /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL,                                   /* init master */
    ngx_http_async_upload_module_init,      /* init module */
    ngx_http_async_upload_module_init_process,
                                            /* init process */
    NULL,                                   /* init thread */
    NULL,                                   /* exit thread */
    ngx_http_async_upload_module_exit_process,
                                            /* exit process */
    NULL,                                   /* exit master */
    NGX_MODULE_V1_PADDING
};


/* one timer a process, of whichever configuration is in force */

static ngx_event_t       ngx_http_async_upload_module_event;

/* the core takes what an event's data points to for a connection */

static ngx_connection_t  ngx_http_async_upload_module_dumb;


static ngx_int_t
ngx_http_async_upload_module_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_handler_pt                *h;
    ngx_http_core_main_conf_t          *cmcf;
    ngx_http_async_upload_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_async_upload_module);

    if (mcf->rollouts.nelts == 0) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_async_upload_module_log;

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_module_log(ngx_http_request_t *r)
{
    ngx_http_async_upload_ctx_t  *ctx;

    for (ctx = ngx_http_async_upload_decide_known(r); ctx; ctx = ctx->next) {
        ngx_http_async_upload_account_commit(ctx);
    }

    return NGX_OK;
}


/*
 * The last step of loading a configuration that can fail; what it says is
 * applied to the zones here, so that a failed reload changes nothing.
 */

static ngx_int_t
ngx_http_async_upload_module_init(ngx_cycle_t *cycle)
{
    ngx_uint_t                           i;
    ngx_http_async_upload_rollout_t    **rollouts;
    ngx_http_async_upload_main_conf_t   *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_async_upload_module);

    if (mcf == NULL || ngx_test_config) {
        return NGX_OK;
    }

    rollouts = mcf->rollouts.elts;

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        ngx_http_async_upload_apply(rollouts[i], cycle->log);
    }

    /* a single process reloads without a new process */

    if (ngx_process == NGX_PROCESS_SINGLE
        && !ngx_is_init_cycle(cycle->old_cycle))
    {
        return ngx_http_async_upload_module_init_process(cycle);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_module_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                           i;
    ngx_event_t                         *ev;
    ngx_http_async_upload_rollout_t    **rollouts;
    ngx_http_async_upload_main_conf_t   *mcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_async_upload_module);

    if (mcf == NULL || mcf->rollouts.nelts == 0) {

        /* a single process may have had some in its last configuration */

        if (ngx_http_async_upload_module_event.timer_set) {
            ngx_del_timer(&ngx_http_async_upload_module_event);
        }

        return NGX_OK;
    }

    rollouts = mcf->rollouts.elts;

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        ngx_http_async_upload_slot_claim(rollouts[i], cycle->log);

        /* without the hash the rollout stands still, the site does not */

        (void) ngx_http_async_upload_decide_init(rollouts[i], cycle->log);
    }

    ngx_http_async_upload_module_dumb.fd = (ngx_socket_t) -1;

    ev = &ngx_http_async_upload_module_event;

    ev->handler = ngx_http_async_upload_module_timer;
    ev->log = cycle->log;
    ev->data = &ngx_http_async_upload_module_dumb;
    ev->cancelable = 1;

    /* what a new configuration has changed is settled at once */

    if (!ev->timer_set) {
        ngx_add_timer(ev, 1);
    }

    return NGX_OK;
}


static void
ngx_http_async_upload_module_timer(ngx_event_t *ev)
{
    uint64_t                             memory;
    ngx_uint_t                           i;
    ngx_http_async_upload_rollout_t    **rollouts;
    ngx_http_async_upload_main_conf_t   *mcf;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_async_upload_module);

    if (mcf) {
        memory = ngx_http_async_upload_live_memory();
        rollouts = mcf->rollouts.elts;

        for (i = 0; i < mcf->rollouts.nelts; i++) {
            ngx_http_async_upload_tick(rollouts[i], memory, ngx_cycle->log);
        }
    }

    ngx_add_timer(ev, NGX_HTTP_ASYNC_UPLOAD_MODULE_TICK);
}


static void
ngx_http_async_upload_module_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                           i;
    ngx_http_async_upload_rollout_t    **rollouts;
    ngx_http_async_upload_main_conf_t   *mcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_async_upload_module);

    if (mcf == NULL) {
        return;
    }

    rollouts = mcf->rollouts.elts;

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        ngx_http_async_upload_slot_release(rollouts[i]);
        ngx_http_async_upload_tick_last(rollouts[i], cycle->log);
    }
}
