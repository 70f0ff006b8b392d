
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_command.h"
#include "ngx_http_async_upload_act.h"
#include "ngx_http_async_upload_follow.h"
#include "ngx_http_async_upload_live.h"


/* how often a command is tried against others that change the word */
#define NGX_HTTP_ASYNC_UPLOAD_COMMAND_TRIES  100

/* how long a command waits until its change is in file and journal, in ms */
#define NGX_HTTP_ASYNC_UPLOAD_COMMAND_WAIT   1000

/* a drill that takes longer has failed, in us */
#define NGX_HTTP_ASYNC_UPLOAD_COMMAND_DRILL  10000000


static ngx_int_t ngx_http_async_upload_command_try(
    ngx_http_async_upload_doing_t *d, ngx_log_t *log);
static ngx_int_t ngx_http_async_upload_command_do(
    ngx_http_async_upload_doing_t *d);
static ngx_int_t ngx_http_async_upload_command_drill(
    ngx_http_async_upload_doing_t *d);
static void ngx_http_async_upload_command_drilling(
    ngx_http_async_upload_guard_sh_t *guard, void *data);
static ngx_int_t ngx_http_async_upload_command_baseline(
    ngx_http_async_upload_doing_t *d);
static void ngx_http_async_upload_command_record(
    ngx_http_async_upload_guard_sh_t *guard, void *data);
static ngx_int_t ngx_http_async_upload_command_signal(
    ngx_http_async_upload_doing_t *d);
static void ngx_http_async_upload_command_signalled(
    ngx_http_async_upload_guard_sh_t *guard, void *data);
static ngx_uint_t ngx_http_async_upload_command_routed(
    ngx_http_async_upload_zone_sh_t *sh, uint64_t epoch,
    ngx_uint_t *workers);


void
ngx_http_async_upload_command(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_order_t *order,
    ngx_http_async_upload_answer_t *answer, ngx_log_t *log)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i;
    ngx_http_async_upload_doing_t    d;

    ngx_memzero(answer, sizeof(ngx_http_async_upload_answer_t));

    d.rollout = rollout;
    d.order = order;
    d.answer = answer;
    d.look = ngx_http_async_upload_look_memory();

    rc = NGX_AGAIN;

    for (i = 0; rc == NGX_AGAIN && i < NGX_HTTP_ASYNC_UPLOAD_COMMAND_TRIES;
         i++)
    {
        rc = ngx_http_async_upload_command_try(&d, log);
    }

    if (rc == NGX_AGAIN) {
        (void) ngx_http_async_upload_rollout_refuse(answer, NGX_HTTP_CONFLICT,
                                    "conflict", "other commands are faster");
    }

    if (answer->error == NULL) {
        answer->status = NGX_HTTP_OK;
    }

    if (rc == NGX_OK
        && ngx_http_async_upload_change_settle(rollout,
                                   NGX_HTTP_ASYNC_UPLOAD_COMMAND_WAIT, log)
           == NGX_AGAIN)
    {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "async_upload \"%V\": another process does not finish "
                      "writing state file and journal", &rollout->name);
    }

    /* what was signalled may be reason enough */

    if (rc == NGX_OK && order->command == NGX_HTTP_ASYNC_UPLOAD_SIGNAL) {
        ngx_http_async_upload_look_take(rollout, d.look);
        ngx_http_async_upload_act(rollout, d.look, log);
    }

    ngx_http_async_upload_zone_word(rollout->sh, &answer->word);
}


/* NGX_AGAIN: somebody else has changed the word meanwhile */

static ngx_int_t
ngx_http_async_upload_command_try(ngx_http_async_upload_doing_t *d,
    ngx_log_t *log)
{
    size_t                            len;
    ngx_int_t                         rc;
    ngx_err_t                         err;
    ngx_http_async_upload_look_t     *look;
    ngx_http_async_upload_order_t    *order;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = d->rollout;
    order = d->order;
    look = d->look;

    if (!ngx_http_async_upload_change_current(rollout)) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_SERVICE_UNAVAILABLE, "superseded",
                      "this worker belongs to a configuration that was "
                      "replaced, try again");
    }

    if (ngx_http_async_upload_follow(rollout, log)) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "conflict",
                      "another nginx, of process %uL, decides",
                      rollout->sh->follows);
    }

    ngx_http_async_upload_look_take(rollout, look);

    if (order->if_epoch != -1
        && (uint64_t) order->if_epoch != look->word.epoch)
    {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "epoch_moved",
                      "the epoch is %uL by now", look->word.epoch);
    }

    ngx_memzero(&d->event, sizeof(ngx_http_async_upload_event_sh_t));

    d->now = look->word;
    d->more = NULL;
    d->event.actor = NGX_HTTP_ASYNC_UPLOAD_ACTOR_CONTROL;

    len = ngx_min(order->who.len, NGX_HTTP_ASYNC_UPLOAD_WHO - 1);
    ngx_memcpy(d->event.who, order->who.data, len);

    len = ngx_min(order->why.len, NGX_HTTP_ASYNC_UPLOAD_WHY - 1);
    ngx_memcpy(d->event.why, order->why.data, len);

    ngx_http_async_upload_look_figures(look, &d->event);

    rc = ngx_http_async_upload_command_do(d);

    if (rc != NGX_OK) {
        return rc;
    }

    /* a higher share must be in the file before anybody is routed by it */

    if (ngx_http_async_upload_zone_share(&d->now)
        > ngx_http_async_upload_zone_share(&look->word))
    {
        err = ngx_http_async_upload_change_plan(rollout, &look->word, &d->now,
                                                log);
        if (err == NGX_EAGAIN) {
            return NGX_AGAIN;
        }

        if (err) {
            return ngx_http_async_upload_rollout_refuse(d->answer,
                          NGX_HTTP_CONFLICT, "not_saved",
                          "the state file cannot be written, error %d, and "
                          "the share is not raised without it", (int) err);
        }
    }

    if (ngx_http_async_upload_change_word(rollout, &look->word, &d->now,
                                          &d->event, d->more, d)
        != NGX_OK)
    {
        /* the file may be of a plan that has come to nothing */

        (void) ngx_http_async_upload_change_settle(rollout, 0, log);

        return NGX_AGAIN;
    }

    d->answer->changed = 1;
    d->answer->seq = d->event.seq;

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_command_do(ngx_http_async_upload_doing_t *d)
{
    switch (d->order->command) {

    case NGX_HTTP_ASYNC_UPLOAD_DRILL:
        return ngx_http_async_upload_command_drill(d);

    case NGX_HTTP_ASYNC_UPLOAD_BASELINE:
        return ngx_http_async_upload_command_baseline(d);

    case NGX_HTTP_ASYNC_UPLOAD_FORGET:

        /* the module remembers no upload's arm beyond its request */
        return NGX_DONE;

    case NGX_HTTP_ASYNC_UPLOAD_SIGNAL:
        return ngx_http_async_upload_command_signal(d);

    default:
        return ngx_http_async_upload_rollout_table[d->order->command](d);
    }
}


static ngx_int_t
ngx_http_async_upload_command_drill(ngx_http_async_upload_doing_t *d)
{
    if (d->now.state != NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING
        && d->now.state != NGX_HTTP_ASYNC_UPLOAD_STATE_PAUSED)
    {
        return ngx_http_async_upload_rollout_illegal(d);
    }

    if (!ngx_http_async_upload_live_peers(d->rollout->sync)) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "no_way_back",
                      "the sync arm has no live server");
    }

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_DRILL;
    d->more = ngx_http_async_upload_command_drilling;

    ngx_http_async_upload_rollout_to(&d->now,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK,
                                     d->now.state);
    return NGX_OK;
}


static void
ngx_http_async_upload_command_drilling(ngx_http_async_upload_guard_sh_t *guard,
    void *data)
{
    guard->drill_us = ngx_http_async_upload_zone_now();
}


ngx_int_t
ngx_http_async_upload_command_drilled(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_order_t *order,
    ngx_http_async_upload_answer_t *answer, ngx_msec_t *took,
    ngx_uint_t *workers, ngx_log_t *log)
{
    uint64_t                          us;
    ngx_uint_t                        late;
    ngx_http_async_upload_word_t      word;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    ngx_http_async_upload_zone_word(sh, &word);

    if (word.state != NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK
        || word.beneath == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF
        || word.epoch != answer->word.epoch)
    {
        answer->word = word;
        (void) ngx_http_async_upload_rollout_refuse(answer, NGX_HTTP_CONFLICT,
                                       "conflict",
                                       "something else has ended the drill");
        return NGX_ERROR;
    }

    /* the decisions of this process are made here and now */

    if (rollout->slot && !rollout->slot->shared) {
        ngx_http_async_upload_zone_see(rollout->slot, word.epoch);
    }

    us = ngx_http_async_upload_zone_now()
         - ngx_http_async_upload_zone_load(&sh->guard.drill_us);

    *took = us / 1000;

    late = 0;

    if (!ngx_http_async_upload_command_routed(sh, word.epoch, workers)) {

        if (us < NGX_HTTP_ASYNC_UPLOAD_COMMAND_DRILL) {
            return NGX_AGAIN;
        }

        late = 1;
    }

    ngx_http_async_upload_act_undrill(rollout, &word, order,
                                      late ? 0 : *workers, *took, log);

    ngx_http_async_upload_zone_word(sh, &answer->word);

    if (late) {
        (void) ngx_http_async_upload_rollout_refuse(answer, NGX_HTTP_CONFLICT,
                      "drill_failed",
                      "not every worker was seen routing to sync within "
                      "%M ms", *took);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* those of the newest generation; others serve what they have and no more */

static ngx_uint_t
ngx_http_async_upload_command_routed(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t epoch, ngx_uint_t *workers)
{
    uint64_t                          generation;
    ngx_uint_t                        i;
    ngx_http_async_upload_slot_sh_t  *slot;

    *workers = 0;
    generation = ngx_http_async_upload_zone_load(&sh->generation);

    for (i = 0; i < sh->slots_n; i++) {
        slot = &sh->slots[i];

        if (ngx_http_async_upload_zone_load(&slot->pid) == 0
            || slot->generation != generation)
        {
            continue;
        }

        if (ngx_http_async_upload_zone_load(&slot->seen) != epoch) {
            return 0;
        }

        (*workers)++;
    }

    return 1;
}


static ngx_int_t
ngx_http_async_upload_command_baseline(ngx_http_async_upload_doing_t *d)
{
    ngx_http_async_upload_baseline_t  *b;

    b = &d->look->baseline;

    ngx_http_async_upload_look_rolling(d->rollout, d->look, b);

    if (b->success + b->failure == 0) {
        return ngx_http_async_upload_rollout_refuse(d->answer,
                      NGX_HTTP_CONFLICT, "conflict",
                      "sync has served no upload in the last hours, there is "
                      "nothing to record");
    }

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_BASELINE;
    d->event.value = b->success + b->failure;
    d->more = ngx_http_async_upload_command_record;

    return NGX_OK;
}


static void
ngx_http_async_upload_command_record(ngx_http_async_upload_guard_sh_t *guard,
    void *data)
{
    ngx_http_async_upload_doing_t *d = data;

    guard->baseline = d->look->baseline;
    guard->baseline.frozen = 1;
    guard->baseline.time_ms = d->event.time_ms;

    if (guard->memory_now) {
        guard->memory = guard->memory_now;
    }
}


static ngx_int_t
ngx_http_async_upload_command_signal(ngx_http_async_upload_doing_t *d)
{
    u_char                         *p, *last;
    ngx_str_t                      *why;
    ngx_http_async_upload_order_t  *order;

    order = d->order;
    why = &order->why;

    d->event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_SIGNAL;
    d->more = ngx_http_async_upload_command_signalled;

    p = d->event.why;
    last = p + NGX_HTTP_ASYNC_UPLOAD_WHY - 1;

    if (order->critical != -1) {
        p = ngx_slprintf(p, last, "critical=%i ", order->critical);
    }

    if (order->complaints != -1) {
        p = ngx_slprintf(p, last, "complaints=%i ", order->complaints);
    }

    if (order->memory != -1) {
        p = ngx_slprintf(p, last, "memory=%i ", order->memory);
    }

    p = why->len ? ngx_slprintf(p, last, "%V", why) : p - 1;

    *p = '\0';

    return NGX_OK;
}


static void
ngx_http_async_upload_command_signalled(
    ngx_http_async_upload_guard_sh_t *guard, void *data)
{
    ngx_http_async_upload_doing_t *d = data;

    if (d->order->critical != -1) {
        guard->watch.critical += d->order->critical;
    }

    if (d->order->complaints != -1) {
        guard->watch.complaints += d->order->complaints;
    }

    if (d->order->memory != -1) {
        guard->watch.service_memory = d->order->memory;
    }
}
