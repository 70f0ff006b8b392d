
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_tick.h"
#include "ngx_http_async_upload_act.h"
#include "ngx_http_async_upload_change.h"
#include "ngx_http_async_upload_follow.h"
#include "ngx_http_async_upload_sample.h"
#include "ngx_http_async_upload_slot.h"


/* the shortest time between two ticks, in us: each worker tries every second */
#define NGX_HTTP_ASYNC_UPLOAD_TICK_INTERVAL  500000

/* counters that nothing asks for are saved that often, in us */
#define NGX_HTTP_ASYNC_UPLOAD_TICK_SAVE      5000000

/* the file is written that often at least, in us; see follow */
#define NGX_HTTP_ASYNC_UPLOAD_TICK_AGE       20000000

/* a drill whose worker is gone ends by itself, in us */
#define NGX_HTTP_ASYNC_UPLOAD_TICK_DRILL     15000000


static ngx_uint_t ngx_http_async_upload_tick_won(
    ngx_http_async_upload_zone_sh_t *sh, uint64_t now);
static void ngx_http_async_upload_tick_drill(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log);
static uint64_t ngx_http_async_upload_tick_total(
    ngx_http_async_upload_counts_t *counts);


void
ngx_http_async_upload_tick(ngx_http_async_upload_rollout_t *rollout,
    uint64_t memory, ngx_log_t *log)
{
    uint64_t                          total, since;
    ngx_http_async_upload_word_t      word;
    ngx_http_async_upload_look_t     *look;
    ngx_http_async_upload_slot_sh_t  *slot;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;
    slot = rollout->slot;

    if (slot && !slot->shared) {
        ngx_http_async_upload_zone_word(sh, &word);
        ngx_http_async_upload_zone_see(slot, word.epoch);

        __atomic_store_n(&slot->rss, memory, __ATOMIC_RELEASE);
    }

    if (!ngx_http_async_upload_change_current(rollout)
        || !ngx_http_async_upload_tick_won(sh,
                                           ngx_http_async_upload_zone_now()))
    {
        return;
    }

    ngx_http_async_upload_slot_reap(rollout);

    look = ngx_http_async_upload_look_memory();

    if (ngx_http_async_upload_follow(rollout, log)) {
        return;
    }

    ngx_http_async_upload_look_take(rollout, look);

    if (ngx_http_async_upload_sample(rollout, look, log) != NGX_OK) {
        return;
    }

    ngx_http_async_upload_act_gate(rollout, look, log);
    ngx_http_async_upload_act(rollout, look, log);
    ngx_http_async_upload_tick_drill(rollout, look, log);

    (void) ngx_http_async_upload_change_settle(rollout, 0, log);

    total = ngx_http_async_upload_tick_total(&look->counts);

    since = ngx_http_async_upload_zone_clock() - sh->saved_us;

    /* the age of a stage is worth saving, too, and a file that gets old tells
       an older master that nobody decides */

    if (((total != sh->saved_total || sh->said != sh->saved_said
          || sh->save_errno)
         && since >= NGX_HTTP_ASYNC_UPLOAD_TICK_SAVE)
        || since >= NGX_HTTP_ASYNC_UPLOAD_TICK_AGE)
    {
        ngx_http_async_upload_change_save(rollout, total, log);
    }
}


void
ngx_http_async_upload_tick_last(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log)
{
    uint64_t                          total;
    ngx_http_async_upload_look_t     *look;

    look = ngx_http_async_upload_look_memory();

    /* a newer master may have come since the last tick: the file is its own */

    if (!ngx_http_async_upload_change_current(rollout)
        || ngx_http_async_upload_follow(rollout, log))
    {
        return;
    }

    ngx_http_async_upload_look_take(rollout, look);

    (void) ngx_http_async_upload_change_settle(rollout, 0, log);

    total = ngx_http_async_upload_tick_total(&look->counts);

    if (total != rollout->sh->saved_total
        || rollout->sh->said != rollout->sh->saved_said
        || !ngx_http_async_upload_zone_closed(&look->word))
    {
        ngx_http_async_upload_change_save(rollout, total, log);
    }
}


/* there is no leader: whoever comes first in an interval */

static ngx_uint_t
ngx_http_async_upload_tick_won(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t now)
{
    uint64_t  last;

    last = ngx_http_async_upload_zone_load(&sh->tick);

    /* another worker's clock may have been read after that of this one */

    if (last != 0
        && (int64_t) (now - last) < NGX_HTTP_ASYNC_UPLOAD_TICK_INTERVAL)
    {
        return 0;
    }

    return __atomic_compare_exchange_n(&sh->tick, &last, now, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}


/* one that nobody waits for any more: its worker was killed */

static void
ngx_http_async_upload_tick_drill(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log)
{
    uint64_t  us;

    if (look->word.state != NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK
        || look->word.beneath == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF)
    {
        return;
    }

    us = look->now - look->guard.drill_us;

    if (us >= NGX_HTTP_ASYNC_UPLOAD_TICK_DRILL) {
        ngx_http_async_upload_act_undrill(rollout, &look->word, NULL, 0,
                                          us / 1000, log);
    }
}


/* grows with everything that is counted */

static uint64_t
ngx_http_async_upload_tick_total(ngx_http_async_upload_counts_t *counts)
{
    uint64_t                          total;
    ngx_uint_t                        i, k;
    ngx_http_async_upload_cell_sh_t  *cell;

    total = 0;
    cell = &counts->cell[0][0];

    for (i = 0;
         i < NGX_HTTP_ASYNC_UPLOAD_ARMS * NGX_HTTP_ASYNC_UPLOAD_COHORTS;
         i++, cell++)
    {
        total += cell->uploads + cell->success + cell->rejected
                 + cell->aborted + cell->cut + cell->lost;

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_CLASSES; k++) {
            total += cell->failure[k];
        }
    }

    return total;
}
