
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_control.h"
#include "ngx_http_async_upload_access.h"
#include "ngx_http_async_upload_command.h"
#include "ngx_http_async_upload_drill.h"
#include "ngx_http_async_upload_form.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_param.h"
#include "ngx_http_async_upload_respond.h"


/*
 * A command on its way, in the request's pool.  Whatever refuses it puts that
 * into the answer, which is sent at one place.
 */

typedef struct {
    ngx_http_request_t               *request;
    ngx_http_async_upload_rollout_t  *rollout;
    ngx_uint_t                        command;      /* ..._command_e */
    ngx_str_t                         token;        /* its name, or empty */
    ngx_http_async_upload_form_t      form;
    ngx_http_async_upload_param_t     param;
    ngx_http_async_upload_answer_t    answer;
    ngx_http_async_upload_drill_t    *drill;        /* that is waited for */
    u_char                            who[NGX_HTTP_ASYNC_UPLOAD_WHO];
} ngx_http_async_upload_control_t;


static ngx_int_t ngx_http_async_upload_control_allowed(
    ngx_http_async_upload_control_t *ctl);
static ngx_int_t ngx_http_async_upload_control_find(
    ngx_http_async_upload_control_t *ctl);
static ngx_http_async_upload_rollout_t *ngx_http_async_upload_control_rollout(
    ngx_http_request_t *r, ngx_str_t *name);
static ngx_http_async_upload_control_t *ngx_http_async_upload_control_create(
    ngx_http_request_t *r);
static ngx_http_async_upload_control_t *ngx_http_async_upload_control_get(
    ngx_http_request_t *r);
static void ngx_http_async_upload_control_cleanup(void *data);
static void ngx_http_async_upload_control_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_async_upload_control_run(
    ngx_http_async_upload_control_t *ctl);
static ngx_int_t ngx_http_async_upload_control_wait(
    ngx_http_async_upload_control_t *ctl);
static void ngx_http_async_upload_control_drilled(void *data,
    ngx_http_async_upload_drill_end_t *end);
static ngx_int_t ngx_http_async_upload_control_send(
    ngx_http_async_upload_control_t *ctl,
    ngx_http_async_upload_drill_end_t *end);
static ngx_int_t ngx_http_async_upload_control_refuse(
    ngx_http_async_upload_control_t *ctl);
static void ngx_http_async_upload_control_render(
    ngx_http_async_upload_control_t *ctl, ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_drill_end_t *end);


ngx_int_t
ngx_http_async_upload_control_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_async_upload_control_t  *ctl;

    /* what a page includes, or a mirror repeats, is nobody's command */

    if (r != r->main) {
        return NGX_HTTP_FORBIDDEN;
    }

    ctl = ngx_http_async_upload_control_create(r);
    if (ctl == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_async_upload_control_allowed(ctl) != NGX_OK
        || ngx_http_async_upload_control_find(ctl) != NGX_OK
        || ngx_http_async_upload_form_announced(&ctl->form) != NGX_OK)
    {
        return ngx_http_async_upload_control_send(ctl, NULL);
    }

    ngx_http_async_upload_param_start(&ctl->param, ctl->command, &ctl->answer,
                                      r->pool);

    if (ngx_http_async_upload_param_add(&ctl->param, &r->args) != NGX_OK) {
        return ngx_http_async_upload_control_send(ctl, NULL);
    }

    rc = ngx_http_async_upload_form_start(&ctl->form,
                                          ngx_http_async_upload_control_body);

    if (rc == NGX_ERROR) {
        return ngx_http_async_upload_control_send(ctl, NULL);
    }

    return rc == NGX_OK ? NGX_DONE : rc;
}


static ngx_int_t
ngx_http_async_upload_control_allowed(ngx_http_async_upload_control_t *ctl)
{
    ngx_http_request_t                *r;
    ngx_http_async_upload_loc_conf_t  *lcf;

    r = ctl->request;

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_async_upload_rollout_refuse(&ctl->answer,
                      NGX_HTTP_NOT_ALLOWED, "method_not_allowed",
                      "a command is given with POST");
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_async_upload_module);

    if (ngx_http_async_upload_access_check(r, lcf->tokens, &ctl->answer,
                                           &ctl->token)
        == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "async_upload: a command was refused: %s",
                  ctl->answer.description);

    return NGX_ERROR;
}


/* LOCATION/ROLLOUT/COMMAND and nothing else */

static ngx_int_t
ngx_http_async_upload_control_find(ngx_http_async_upload_control_t *ctl)
{
    u_char                            *p, *last;
    ngx_int_t                          command;
    ngx_str_t                          prefix, name, word;
    ngx_http_request_t                *r;
    ngx_http_async_upload_loc_conf_t  *lcf;

    r = ctl->request;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_async_upload_module);
    prefix = lcf->prefix;

    if (prefix.len && prefix.data[prefix.len - 1] == '/') {
        prefix.len--;
    }

    ngx_str_null(&name);
    ngx_str_null(&word);

    last = r->uri.data + r->uri.len;

    if (r->uri.len > prefix.len && r->uri.data[prefix.len] == '/'
        && ngx_strncmp(r->uri.data, prefix.data, prefix.len) == 0)
    {
        name.data = r->uri.data + prefix.len + 1;

        p = ngx_strlchr(name.data, last, '/');

        if (p) {
            name.len = p - name.data;

            word.data = p + 1;
            word.len = last - word.data;
        }
    }

    if (word.data == NULL) {
        return ngx_http_async_upload_rollout_refuse(&ctl->answer,
                      NGX_HTTP_NOT_FOUND, "not_found",
                      "a command is at %V/ROLLOUT/COMMAND", &prefix);
    }

    ctl->rollout = ngx_http_async_upload_control_rollout(r, &name);

    if (ctl->rollout == NULL) {
        return ngx_http_async_upload_rollout_refuse(&ctl->answer,
                      NGX_HTTP_NOT_FOUND, "not_found",
                      "there is no such rollout");
    }

    command = ngx_http_async_upload_name_find(
                                          ngx_http_async_upload_name_commands,
                                          NGX_HTTP_ASYNC_UPLOAD_COMMANDS,
                                          &word);

    if (command == NGX_ERROR) {
        return ngx_http_async_upload_rollout_refuse(&ctl->answer,
                      NGX_HTTP_NOT_FOUND, "not_found",
                      "there is no such command");
    }

    ctl->command = command;

    return NGX_OK;
}


static ngx_http_async_upload_rollout_t *
ngx_http_async_upload_control_rollout(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t                           i;
    ngx_http_async_upload_rollout_t    **rollouts;
    ngx_http_async_upload_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_async_upload_module);
    rollouts = mcf->rollouts.elts;

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        if (rollouts[i]->name.len == name->len
            && ngx_strncmp(rollouts[i]->name.data, name->data, name->len) == 0)
        {
            return rollouts[i];
        }
    }

    return NULL;
}


/*
 * The module's context of a request is that of its uploads; a cleanup, too,
 * can be found from the request, and tells when that is gone.
 */

static ngx_http_async_upload_control_t *
ngx_http_async_upload_control_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t               *cln;
    ngx_http_async_upload_control_t  *ctl;

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_async_upload_control_t));
    if (cln == NULL) {
        return NULL;
    }

    ctl = cln->data;
    ngx_memzero(ctl, sizeof(ngx_http_async_upload_control_t));

    ctl->request = r;
    ctl->form.request = r;
    ctl->form.answer = &ctl->answer;

    cln->handler = ngx_http_async_upload_control_cleanup;

    return ctl;
}


static ngx_http_async_upload_control_t *
ngx_http_async_upload_control_get(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_async_upload_control_cleanup) {
            break;
        }
    }

    return cln->data;
}


static void
ngx_http_async_upload_control_cleanup(void *data)
{
    ngx_http_async_upload_control_t *ctl = data;

    if (ctl->drill) {
        ngx_http_async_upload_drill_leave(ctl->drill);
    }
}


/* called as long as the body comes, or once if there is none */

static void
ngx_http_async_upload_control_body(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_async_upload_control_t  *ctl;

    ctl = ngx_http_async_upload_control_get(r);

    rc = ngx_http_async_upload_form_read(&ctl->form,
                                         ngx_http_async_upload_control_body);

    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_async_upload_control_run(ctl);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    if (rc == NGX_OK || rc == NGX_ERROR) {
        rc = ngx_http_async_upload_control_send(ctl, NULL);
    }

    ngx_http_finalize_request(r, rc);
}


/* NGX_AGAIN: a drill has begun, and is waited for; else there is an answer */

static ngx_int_t
ngx_http_async_upload_control_run(ngx_http_async_upload_control_t *ctl)
{
    ngx_http_request_t             *r;
    ngx_http_async_upload_order_t  *order;

    if (ngx_http_async_upload_param_add(&ctl->param, &ctl->form.text) != NGX_OK
        || ngx_http_async_upload_param_end(&ctl->param) != NGX_OK)
    {
        return NGX_ERROR;
    }

    r = ctl->request;
    order = &ctl->param.order;

    order->who.data = ctl->who;
    order->who.len = ngx_http_async_upload_access_who(r, &ctl->token,
                                                      &ctl->param.actor,
                                                      ctl->who);

    ngx_http_async_upload_command(ctl->rollout, order, &ctl->answer,
                                  r->connection->log);

    if (order->command == NGX_HTTP_ASYNC_UPLOAD_DRILL && ctl->answer.changed) {
        return ngx_http_async_upload_control_wait(ctl);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_control_wait(ngx_http_async_upload_control_t *ctl)
{
    ngx_http_request_t  *r;

    r = ctl->request;

    ctl->drill = ngx_http_async_upload_drill_wait(ctl->rollout,
                                         &ctl->param.order, &ctl->answer,
                                         ngx_http_async_upload_control_drilled,
                                         ctl, r->connection->log);

    if (ctl->drill == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the client may leave meanwhile */

    r->read_event_handler = ngx_http_test_reading;

    return ngx_handle_read_event(r->connection->read, 0) == NGX_OK
           ? NGX_AGAIN : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static void
ngx_http_async_upload_control_drilled(void *data,
    ngx_http_async_upload_drill_end_t *end)
{
    ngx_http_async_upload_control_t *ctl = data;

    ngx_connection_t  *c;

    ctl->drill = NULL;
    ctl->answer = end->answer;

    c = ctl->request->connection;

    ngx_http_finalize_request(ctl->request,
                              ngx_http_async_upload_control_send(ctl, end));

    ngx_http_run_posted_requests(c);
}


/* sends what there is; "end" is a drill's, or NULL */

static ngx_int_t
ngx_http_async_upload_control_send(ngx_http_async_upload_control_t *ctl,
    ngx_http_async_upload_drill_end_t *end)
{
    ngx_http_async_upload_respond_t  out;

    if (ctl->answer.error) {
        return ngx_http_async_upload_control_refuse(ctl);
    }

    if (ngx_http_async_upload_respond_start(&out, ctl->request) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_async_upload_control_render(ctl, &out.w, end);

    return ngx_http_async_upload_respond_send(&out, NGX_HTTP_OK);
}


static ngx_int_t
ngx_http_async_upload_control_refuse(ngx_http_async_upload_control_t *ctl)
{
    ngx_int_t                        rc;
    ngx_str_t                        text;
    ngx_http_request_t              *r;
    ngx_http_async_upload_answer_t  *answer;

    r = ctl->request;
    answer = &ctl->answer;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (answer->status == NGX_HTTP_NOT_ALLOWED) {
        rc = ngx_http_async_upload_respond_header(r, "Allow", "POST");
    }

    if (answer->status == NGX_HTTP_UNAUTHORIZED) {
        rc = ngx_http_async_upload_respond_header(r, "WWW-Authenticate",
                                                  "Bearer");
    }

    if (answer->status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        rc = ngx_http_async_upload_respond_header(r, "Retry-After", "1");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = answer->description;
    text.len = ngx_strlen(answer->description);

    return ngx_http_async_upload_respond_error(r, answer->status,
                                               answer->error, &text);
}


static void
ngx_http_async_upload_control_render(ngx_http_async_upload_control_t *ctl,
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_drill_end_t *end)
{
    ngx_str_t                       *state, *command, *name;
    ngx_http_async_upload_word_t    *word;
    ngx_http_async_upload_answer_t  *answer;

    answer = &ctl->answer;
    word = &answer->word;

    name = &ctl->rollout->name;
    command = &ngx_http_async_upload_name_commands[ctl->command];
    state = &ngx_http_async_upload_name_states[word->state];

    ngx_http_async_upload_json_object(w, NULL);

    ngx_http_async_upload_json_string(w, "rollout", name->data, name->len);
    ngx_http_async_upload_json_string(w, "command", command->data,
                                      command->len);
    ngx_http_async_upload_json_bool(w, "changed", answer->changed);
    ngx_http_async_upload_json_string(w, "state", state->data, state->len);

    if (word->stage) {
        ngx_http_async_upload_json_uint(w, "stage", word->stage);

    } else {
        ngx_http_async_upload_json_null(w, "stage");
    }

    ngx_http_async_upload_json_uint(w, "share_bp",
                                    ngx_http_async_upload_zone_share(word));
    ngx_http_async_upload_json_uint(w, "share_kept_bp", word->share);
    ngx_http_async_upload_json_uint(w, "epoch", word->epoch);

    if (answer->seq) {
        ngx_http_async_upload_json_uint(w, "sequence", answer->seq);

    } else {
        ngx_http_async_upload_json_null(w, "sequence");
    }

    if (end) {
        ngx_http_async_upload_json_object(w, "drill");
        ngx_http_async_upload_json_uint(w, "took_ms", end->took);
        ngx_http_async_upload_json_uint(w, "workers", end->workers);
        ngx_http_async_upload_json_end(w);
    }

    ngx_http_async_upload_json_end(w);
    ngx_http_async_upload_json_text(w, "\n");
}
