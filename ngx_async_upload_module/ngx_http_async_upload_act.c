
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_act.h"
#include "ngx_http_async_upload_follow.h"
#include "ngx_http_async_upload_live.h"
#include "ngx_http_async_upload_verdict.h"


/* an event of the guard, and the look that it was decided by */

typedef struct {
    ngx_http_async_upload_rollout_t   *rollout;
    ngx_http_async_upload_look_t      *look;
    ngx_http_async_upload_event_sh_t  *event;
} ngx_http_async_upload_act_done_t;


static ngx_int_t ngx_http_async_upload_act_do(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_http_async_upload_word_t *now,
    ngx_http_async_upload_event_sh_t *event);
static ngx_int_t ngx_http_async_upload_act_back(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_word_t *now,
    ngx_http_async_upload_event_sh_t *event);
static ngx_int_t ngx_http_async_upload_act_review(
    ngx_http_async_upload_word_t *now,
    ngx_http_async_upload_event_sh_t *event);
static void ngx_http_async_upload_act_event(
    ngx_http_async_upload_look_t *look,
    ngx_http_async_upload_event_sh_t *event, ngx_uint_t actor);
static void ngx_http_async_upload_act_say(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look,
    ngx_http_async_upload_event_sh_t *event, ngx_log_t *log);
static void ngx_http_async_upload_act_done(
    ngx_http_async_upload_guard_sh_t *guard, void *data);
static void ngx_http_async_upload_act_drilled(
    ngx_http_async_upload_guard_sh_t *guard, void *data);


void
ngx_http_async_upload_act(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log)
{
    ngx_err_t                         err;
    ngx_http_async_upload_word_t      now;
    ngx_http_async_upload_act_done_t  done;
    ngx_http_async_upload_event_sh_t  event;

    if (!ngx_http_async_upload_change_current(rollout)
        || ngx_http_async_upload_zone_closed(&look->word))
    {
        return;
    }

    now = look->word;

    ngx_http_async_upload_act_event(look, &event,
                                    NGX_HTTP_ASYNC_UPLOAD_ACTOR_GUARD);

    if (ngx_http_async_upload_act_do(rollout, look, &now, &event) != NGX_OK) {
        return;
    }

    /* a newer master may have come since the last tick */

    if (ngx_http_async_upload_follow(rollout, log)) {
        return;
    }

    if (rollout->dry_run) {

        /* once for each reason and observation */

        if (look->guard.watch.dry != event.rule) {
            event.dry_run = 1;
            ngx_http_async_upload_act_say(rollout, look, &event, log);
        }

        return;
    }

    /* a higher share must be in the file before anybody is routed by it */

    if (ngx_http_async_upload_zone_share(&now)
        > ngx_http_async_upload_zone_share(&look->word))
    {
        err = ngx_http_async_upload_change_plan(rollout, &look->word, &now,
                                                log);
        if (err) {
            return;
        }
    }

    done.rollout = rollout;
    done.look = look;
    done.event = &event;

    (void) ngx_http_async_upload_change_word(rollout, &look->word, &now,
                                             &event,
                                             ngx_http_async_upload_act_done,
                                             &done);

    /* who is at it now goes on until nothing is left, as does the tick */

    (void) ngx_http_async_upload_change_settle(rollout, 0, log);
}


/* what the guard's decision makes of the word: NGX_DECLINED if nothing */

static ngx_int_t
ngx_http_async_upload_act_do(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_http_async_upload_word_t *now,
    ngx_http_async_upload_event_sh_t *event)
{
    switch (look->decision.verdict) {

    case NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK:
        return ngx_http_async_upload_act_back(rollout, now, event);

    case NGX_HTTP_ASYNC_UPLOAD_GUARD_REVIEW:
        return ngx_http_async_upload_act_review(now, event);

    case NGX_HTTP_ASYNC_UPLOAD_GUARD_ADVANCE:

        if (!rollout->advance
            || now->state != NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING)
        {
            return NGX_DECLINED;
        }

        ngx_http_async_upload_rollout_next(rollout, now, now->stage + 1,
                                           event);
        return NGX_OK;

    default:
        return NGX_DECLINED;
    }
}


static ngx_int_t
ngx_http_async_upload_act_back(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_word_t *now, ngx_http_async_upload_event_sh_t *event)
{
    /* where sync may be gone already a person has to look */

    if (now->state == NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE
        || now->beneath == NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE)
    {
        return ngx_http_async_upload_act_review(now, event);
    }

    if (!ngx_http_async_upload_live_peers(rollout->sync)) {
        event->rule = NGX_HTTP_ASYNC_UPLOAD_GUARD_NO_WAY_BACK;
        return ngx_http_async_upload_act_review(now, event);
    }

    event->type = NGX_HTTP_ASYNC_UPLOAD_EVENT_ROLLBACK;

    ngx_http_async_upload_rollout_to(now,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_OFF);
    return NGX_OK;
}


/* the observation goes on: what is seen may still be reason to roll back */

static ngx_int_t
ngx_http_async_upload_act_review(ngx_http_async_upload_word_t *now,
    ngx_http_async_upload_event_sh_t *event)
{
    if (now->state == NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW) {
        return NGX_DECLINED;
    }

    event->type = NGX_HTTP_ASYNC_UPLOAD_EVENT_REVIEW;

    now->beneath = now->state;
    now->state = NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW;

    return NGX_OK;
}


static void
ngx_http_async_upload_act_event(ngx_http_async_upload_look_t *look,
    ngx_http_async_upload_event_sh_t *event, ngx_uint_t actor)
{
    ngx_memzero(event, sizeof(ngx_http_async_upload_event_sh_t));

    event->actor = actor;
    event->rule = look->decision.reason;
    event->value = look->decision.value;
    event->limit = look->decision.limit;

    ngx_http_async_upload_look_figures(look, event);

    /* why, in words, with room for the null */

    (void) ngx_http_async_upload_verdict_line(look, event->why,
                                     event->why + sizeof(event->why) - 1);
}


/* an event that leaves the word as it is, and is remembered as said */

static void
ngx_http_async_upload_act_say(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look,
    ngx_http_async_upload_event_sh_t *event, ngx_log_t *log)
{
    ngx_http_async_upload_act_done_t  done;

    done.rollout = rollout;
    done.look = look;
    done.event = event;

    if (ngx_http_async_upload_change_word(rollout, &look->word, &look->word,
                                          event,
                                          ngx_http_async_upload_act_done,
                                          &done)
        == NGX_OK)
    {
        (void) ngx_http_async_upload_change_settle(rollout, 0, log);
    }
}


/* what the decision was made of is kept, and that it was said */

static void
ngx_http_async_upload_act_done(ngx_http_async_upload_guard_sh_t *guard,
    void *data)
{
    ngx_http_async_upload_act_done_t *done = data;

    ngx_http_async_upload_look_t      *look;
    ngx_http_async_upload_event_sh_t  *event;

    look = done->look;
    event = done->event;

    if (event->type == NGX_HTTP_ASYNC_UPLOAD_EVENT_GATE) {
        guard->watch.gate = look->open;
        return;
    }

    if (event->dry_run) {
        guard->watch.dry = event->rule;
    }

    ngx_http_async_upload_event_record_locked(done->rollout->sh, event->seq,
                                              &look->conf, &look->in,
                                              &look->decision);
}


void
ngx_http_async_upload_act_gate(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log)
{
    ngx_http_async_upload_event_sh_t  event;

    if (!look->conf.gates || look->open == look->guard.watch.gate) {
        return;
    }

    ngx_http_async_upload_act_event(look, &event,
                                    NGX_HTTP_ASYNC_UPLOAD_ACTOR_GUARD);

    event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_GATE;

    (void) ngx_slprintf(event.why, event.why + sizeof(event.why) - 1, "%s%Z",
                        look->open ? "opened" : "closed");

    ngx_http_async_upload_act_say(rollout, look, &event, log);
}


void
ngx_http_async_upload_act_undrill(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_word_t *word, ngx_http_async_upload_order_t *order,
    ngx_uint_t workers, ngx_msec_t took, ngx_log_t *log)
{
    ngx_http_async_upload_word_t      now;
    ngx_http_async_upload_event_sh_t  event;

    ngx_memzero(&event, sizeof(ngx_http_async_upload_event_sh_t));

    event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_DRILL;
    event.actor = order ? NGX_HTTP_ASYNC_UPLOAD_ACTOR_CONTROL
                        : NGX_HTTP_ASYNC_UPLOAD_ACTOR_GUARD;
    event.value = took;
    event.limit = workers;

    if (order) {
        ngx_memcpy(event.who, order->who.data,
                   ngx_min(order->who.len, NGX_HTTP_ASYNC_UPLOAD_WHO - 1));
    }

    if (workers) {
        (void) ngx_slprintf(event.why, event.why + sizeof(event.why) - 1,
                            "%ui workers routed to sync after %M ms", workers,
                            took);
    } else {
        (void) ngx_slprintf(event.why, event.why + sizeof(event.why) - 1,
                            "failed: not every worker was seen routing to "
                            "sync within %M ms", took);
    }

    now = *word;

    ngx_http_async_upload_rollout_to(&now, word->beneath,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_OFF);

    if (ngx_http_async_upload_change_word(rollout, word, &now, &event,
                                          ngx_http_async_upload_act_drilled,
                                          &event)
        == NGX_OK)
    {
        (void) ngx_http_async_upload_change_settle(rollout, 1000, log);
    }
}


static void
ngx_http_async_upload_act_drilled(ngx_http_async_upload_guard_sh_t *guard,
    void *data)
{
    ngx_http_async_upload_event_sh_t *event = data;

    guard->drill_us = 0;

    if (event->limit > 0) {
        guard->drill_ms = event->time_ms;
        guard->drill_took = event->value;
        guard->drill_workers = event->limit;
    }
}


void
ngx_http_async_upload_act_failed(ngx_http_async_upload_rollout_t *rollout,
    uint64_t epoch, ngx_uint_t turned, ngx_log_t *log)
{
    uint64_t                         *row, *since, before, after, now;
    ngx_http_async_upload_look_t     *look;
    ngx_http_async_upload_word_t      word;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    ngx_http_async_upload_zone_word(sh, &word);

    if (word.epoch != epoch) {

        /* of an observation that has ended: no part of a row in this one */
        return;
    }

    row = turned ? &sh->turned : &sh->run;
    since = turned ? &sh->turned_us : &sh->run_us;

    now = ngx_http_async_upload_zone_now();
    before = ngx_http_async_upload_zone_load(row);

    do {
        if (before >> 32 == epoch && before != 0) {
            after = before + 1;

        } else {
            after = epoch << 32 | 1;

            __atomic_store_n(since, now, __ATOMIC_RELEASE);
        }

        if (!turned) {
            __atomic_store_n(&sh->run_last_us, now, __ATOMIC_RELEASE);
        }

    } while (!__atomic_compare_exchange_n(row, &before, after, 0,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));

    /* one too many acts at once, the tick does it if that was not possible */

    if (turned || !rollout->rollback.on || rollout->statistics.sequential
        || rollout->rollback.run == 0
        || (after & 0xffffffff) != rollout->rollback.run)
    {
        return;
    }

    look = ngx_http_async_upload_look_memory();

    ngx_http_async_upload_look_take(rollout, look);
    ngx_http_async_upload_act(rollout, look, log);
}
