
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_rollout.h"
#include "ngx_http_async_upload_change.h"
#include "ngx_http_async_upload_live.h"
#include "ngx_http_async_upload_name.h"


static ngx_int_t ngx_http_async_upload_rollout_enable(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_rollout_disable(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_rollout_share(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_rollout_advance(
    ngx_http_async_upload_doing_t *d);
static void ngx_http_async_upload_rollout_forced(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_rollout_gate(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_rollout_pause(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_rollout_resume(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_rollout_rollback(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_rollout_restart(
    ngx_http_async_upload_doing_t *d);


ngx_http_async_upload_doing_pt  ngx_http_async_upload_rollout_table[] = {
    ngx_http_async_upload_rollout_enable,
    ngx_http_async_upload_rollout_disable,
    ngx_http_async_upload_rollout_share,
    ngx_http_async_upload_rollout_advance,
    ngx_http_async_upload_rollout_pause,
    ngx_http_async_upload_rollout_resume,
    ngx_http_async_upload_rollout_rollback,
    ngx_http_async_upload_rollout_restart
};


ngx_int_t
ngx_http_async_upload_rollout_refuse(ngx_http_async_upload_answer_t *answer,
    ngx_uint_t status, const char *error, const char *fmt, ...)
{
    u_char   *last;
    va_list   args;

    va_start(args, fmt);
    last = ngx_vslprintf(answer->description,
                         answer->description + sizeof(answer->description) - 1,
                         fmt, args);
    va_end(args);

    *last = '\0';

    answer->status = status;
    answer->error = error;

    return NGX_ERROR;
}


ngx_int_t
ngx_http_async_upload_rollout_illegal(ngx_http_async_upload_doing_t *d)
{
    return ngx_http_async_upload_rollout_refuse(d->answer, NGX_HTTP_CONFLICT,
                  "conflict", "%V is not possible while the rollout is %V",
                  &ngx_http_async_upload_name_commands[d->order->command],
                  &ngx_http_async_upload_name_states[d->now.state]);
}


void
ngx_http_async_upload_rollout_to(ngx_http_async_upload_word_t *word,
    ngx_uint_t state, ngx_uint_t beneath)
{
    word->state = state;
    word->beneath = beneath;
    word->epoch = ngx_http_async_upload_change_epoch(word->epoch);
}


static ngx_int_t
ngx_http_async_upload_rollout_enable(ngx_http_async_upload_doing_t *d)
{
    ngx_uint_t  beneath;

    if (d->now.state != NGX_HTTP_ASYNC_UPLOAD_STATE_OFF) {
        return NGX_DONE;
    }

    if (!d->rollout->enabled
        && d->rollout->enabled_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF)
    {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "conflict",
                      "nginx.conf says \"async_upload_enabled off\"");
    }

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_ENABLE;

    beneath = d->now.beneath;

    if (beneath == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF) {
        beneath = NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING;
    }

    ngx_http_async_upload_rollout_to(&d->now, beneath,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_OFF);

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_rollout_disable(ngx_http_async_upload_doing_t *d)
{
    ngx_uint_t  beneath;

    if (d->now.state == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF) {
        return NGX_DONE;
    }

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_DISABLE;

    beneath = d->now.state;

    if (beneath == NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK
        && d->now.beneath != NGX_HTTP_ASYNC_UPLOAD_STATE_OFF)
    {
        /* in the middle of a drill */
        beneath = d->now.beneath;
    }

    ngx_http_async_upload_rollout_to(&d->now, NGX_HTTP_ASYNC_UPLOAD_STATE_OFF,
                                     beneath);
    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_rollout_share(ngx_http_async_upload_doing_t *d)
{
    ngx_uint_t  share, state;

    share = d->order->share;
    state = d->now.state;

    if (ngx_http_async_upload_zone_closed(&d->now)
        || state == NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE)
    {
        return ngx_http_async_upload_rollout_illegal(d);
    }

    if (d->look->stages) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "conflict",
                      "the stages of nginx.conf set the share, use advance");
    }

    if (d->rollout->hash_whole && share % 100) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_BAD_REQUEST, "bad_request",
                      "hash \"%V\" tells only whole percents apart",
                      &d->rollout->hash_name);
    }

    if (share == d->now.share && state != NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW) {
        return NGX_DONE;
    }

    if (state == NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW) {
        state = NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING;
    }

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_SHARE;
    d->now.share = share;

    ngx_http_async_upload_rollout_to(&d->now, state,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_OFF);
    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_rollout_advance(ngx_http_async_upload_doing_t *d)
{
    ngx_uint_t  n, stage;

    if (ngx_http_async_upload_zone_closed(&d->now)) {
        return ngx_http_async_upload_rollout_illegal(d);
    }

    n = d->look->stages;

    if (n == 0) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "conflict",
                      "nginx.conf has no stages for this rollout, use share");
    }

    stage = d->order->stage;

    if (stage > n) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_BAD_REQUEST, "bad_request",
                      "there is no stage %ui, the last is %ui", stage, n);
    }

    if (d->now.state == NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE
        || (stage && stage == d->now.stage))
    {
        return NGX_DONE;
    }

    if (stage == 0) {
        stage = d->now.stage + 1;
    }

    if (stage < d->now.stage) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "conflict",
                      "stage %ui is behind stage %ui, roll back and resume "
                      "with stage=%ui", stage, d->now.stage, stage);
    }

    if (!d->order->force) {

        if (stage > d->now.stage + 1) {
            return ngx_http_async_upload_rollout_refuse(d->answer,
                          NGX_HTTP_CONFLICT, "conflict",
                          "stage %ui is not the next after %ui, only force=1 "
                          "leaves stages out", stage, d->now.stage);
        }

        if (!d->look->open) {
            return ngx_http_async_upload_rollout_gate(d);
        }
    }

    ngx_http_async_upload_rollout_next(d->rollout, &d->now, stage, &d->event);

    if (d->order->force && !d->look->open) {
        ngx_http_async_upload_rollout_forced(d);
    }

    return NGX_OK;
}


void
ngx_http_async_upload_rollout_next(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_word_t *now, ngx_uint_t stage,
    ngx_http_async_upload_event_sh_t *event)
{
    ngx_http_async_upload_stage_t  *stages;

    if (stage > rollout->stages->nelts) {

        /* the share stays what it is, and so does the observation */

        event->type = NGX_HTTP_ASYNC_UPLOAD_EVENT_COMPLETE;

        now->state = NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE;
        now->beneath = NGX_HTTP_ASYNC_UPLOAD_STATE_OFF;
        return;
    }

    stages = rollout->stages->elts;

    event->type = NGX_HTTP_ASYNC_UPLOAD_EVENT_ADVANCE;

    now->stage = stage;
    now->share = stages[stage - 1].share;

    ngx_http_async_upload_rollout_to(now, NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_OFF);
}


/* a decision against the gate is told as one, before its reason */

static void
ngx_http_async_upload_rollout_forced(ngx_http_async_upload_doing_t *d)
{
    ngx_str_t  *why;

    why = &d->order->why;

    (void) ngx_slprintf(d->event.why, d->event.why + sizeof(d->event.why) - 1,
                        "forced%s%V%Z", why->len ? ": " : "", why);
}


/* names the lines that are closed */

static ngx_int_t
ngx_http_async_upload_rollout_gate(ngx_http_async_upload_doing_t *d)
{
    u_char                              *p, *last, names[160];
    ngx_uint_t                           i;
    ngx_http_async_upload_guard_line_t  *line;

    line = d->look->gate;
    p = names;
    last = names + sizeof(names) - 1;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES; i++) {
        if (line[i].on && !line[i].open) {
            p = ngx_slprintf(p, last, "%s%s", p == names ? "" : ", ",
                             ngx_http_async_upload_guard_lines[i]);
        }
    }

    *p = '\0';

    return ngx_http_async_upload_rollout_refuse(d->answer, NGX_HTTP_CONFLICT,
                  "gate_closed", "the gate of stage %ui is closed: %s",
                  d->now.stage, names);
}


static ngx_int_t
ngx_http_async_upload_rollout_pause(ngx_http_async_upload_doing_t *d)
{
    switch (d->now.state) {

    case NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING:
        d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_PAUSE;
        d->now.state = NGX_HTTP_ASYNC_UPLOAD_STATE_PAUSED;
        return NGX_OK;

    case NGX_HTTP_ASYNC_UPLOAD_STATE_PAUSED:
        return NGX_DONE;

    default:
        return ngx_http_async_upload_rollout_illegal(d);
    }
}


static ngx_int_t
ngx_http_async_upload_rollout_resume(ngx_http_async_upload_doing_t *d)
{
    ngx_uint_t                      stage;
    ngx_http_async_upload_stage_t  *stages;

    stage = d->order->stage;

    if (stage && stage > d->look->stages) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_BAD_REQUEST, "bad_request",
                      "there is no stage %ui, there are %ui", stage,
                      d->look->stages);
    }

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_RESUME;

    switch (d->now.state) {

    case NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING:
    case NGX_HTTP_ASYNC_UPLOAD_STATE_PAUSED:
    case NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW:

        if (stage && stage != d->now.stage) {
            return ngx_http_async_upload_rollout_refuse(d->answer,
                          NGX_HTTP_CONFLICT, "conflict",
                          "another stage can be named only after a rollback, "
                          "this is stage %ui", d->now.stage);
        }

        if (d->now.state == NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING) {
            return NGX_DONE;
        }

        if (d->now.state == NGX_HTTP_ASYNC_UPLOAD_STATE_PAUSED) {
            d->now.state = NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING;
            return NGX_OK;
        }

        break;

    case NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK:

        if (d->now.beneath != NGX_HTTP_ASYNC_UPLOAD_STATE_OFF) {
            return ngx_http_async_upload_rollout_refuse(d->answer,
                          NGX_HTTP_CONFLICT, "conflict",
                          "a drill is not over yet");
        }

        if (stage) {
            stages = d->rollout->stages->elts;
            d->now.stage = stage;
            d->now.share = stages[stage - 1].share;
        }

        break;

    default:
        return ngx_http_async_upload_rollout_illegal(d);
    }

    ngx_http_async_upload_rollout_to(&d->now,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_OFF);
    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_rollout_rollback(ngx_http_async_upload_doing_t *d)
{
    if (d->now.state == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF) {
        return ngx_http_async_upload_rollout_illegal(d);
    }

    if (d->now.state == NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK
        && d->now.beneath == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF)
    {
        return NGX_DONE;
    }

    if (!d->order->force
        && !ngx_http_async_upload_live_peers(d->rollout->sync))
    {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "no_way_back",
                      "the sync arm has no live server, only force=1 rolls "
                      "back to it");
    }

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_ROLLBACK;

    ngx_http_async_upload_rollout_to(&d->now,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_OFF);
    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_rollout_restart(ngx_http_async_upload_doing_t *d)
{
    if (ngx_http_async_upload_zone_closed(&d->now)
        || d->now.state == NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE)
    {
        return ngx_http_async_upload_rollout_illegal(d);
    }

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_RESTART;

    ngx_http_async_upload_rollout_to(&d->now, d->now.state, d->now.beneath);

    return NGX_OK;
}
