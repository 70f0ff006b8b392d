
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_state.h"
#include "ngx_http_async_upload_event.h"
#include "ngx_http_async_upload_file.h"


/* of a file; what is written has less than 300 KB */
#define NGX_HTTP_ASYNC_UPLOAD_STATE_MAX    (1024 * 1024)

/* how often the guard's part is copied until it is of one moment */
#define NGX_HTTP_ASYNC_UPLOAD_STATE_TRIES  1000


static uint64_t ngx_http_async_upload_state_complaints(
    const ngx_http_async_upload_watch_t *watch);
static const ngx_http_async_upload_guard_sh_t *
    ngx_http_async_upload_state_guard(ngx_http_async_upload_zone_sh_t *sh);
static void ngx_http_async_upload_state_events(
    ngx_http_async_upload_zone_sh_t *sh, ngx_http_async_upload_state_t *state);
static uint64_t ngx_http_async_upload_state_epoch(uint64_t word);
static ngx_int_t ngx_http_async_upload_state_load(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_state_t *state, ngx_http_async_upload_file_t *file,
    ngx_log_t *log);


void
ngx_http_async_upload_state_take(ngx_http_async_upload_rollout_t *rollout,
    uint64_t word, ngx_http_async_upload_state_t *state)
{
    uint64_t                                 now, epoch, failures;
    ngx_uint_t                               i;
    struct timespec                          ts;
    ngx_http_async_upload_slots_t            slots;
    ngx_http_async_upload_zone_sh_t         *sh;
    const ngx_http_async_upload_guard_sh_t  *guard;

    sh = rollout->sh;
    epoch = ngx_http_async_upload_state_epoch(word);

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    ngx_memzero(state, sizeof(ngx_http_async_upload_state_t));

    state->word = word;
    state->term = sh->term;
    state->master = (ngx_process == NGX_PROCESS_WORKER) ? ngx_parent : ngx_pid;
    state->generation = ngx_http_async_upload_zone_load(&sh->generation);
    state->saved_ms = (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    state->applied = sh->applied;

    /* what the guard knows, then time and counts, which are no less */

    guard = ngx_http_async_upload_state_guard(sh);
    now = ngx_http_async_upload_zone_now();

    ngx_http_async_upload_zone_read(sh, epoch, &state->counts, &slots);

    failures = ngx_http_async_upload_saved_failures(&state->counts);

    state->failures = (failures > guard->budget) ? failures - guard->budget : 0;
    /* only what histograms hold is saved, and the rest is 0 by now */

    ngx_memcpy(&state->baseline, &guard->baseline,
               offsetof(ngx_http_async_upload_baseline_t, latency));
    ngx_http_async_upload_hist_copy(&state->baseline.latency,
                                    &guard->baseline.latency);

    state->drill_ms = guard->drill_ms;
    state->drill_took = guard->drill_took;
    state->drill_workers = guard->drill_workers;

    if (guard->watch.epoch == epoch) {
        state->age_ms = (now - guard->watch.since_us) / 1000;
        state->critical = guard->watch.critical;
        state->complaints = ngx_http_async_upload_state_complaints(
                                                              &guard->watch);
        state->service_memory = guard->watch.service_memory;

        if (guard->watch.review_us) {
            state->review_ms = (now - guard->watch.review_us) / 1000;
        }

    }

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {

        /* or an observation that begins with this word */

        ngx_http_async_upload_hist_copy(&state->since[i],
                                        (guard->watch.epoch == epoch)
                                        ? &guard->watch.latency[i]
                                        : &state->counts.latency[i]);
    }

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_HTTP_STATUSES; i++) {
        state->statuses[i] = ngx_http_async_upload_zone_load(&sh->statuses[i]);
    }

    ngx_http_async_upload_state_events(sh, state);
}


/* of those that are in the window, which a ring that is full reaches beyond */

static uint64_t
ngx_http_async_upload_state_complaints(
    const ngx_http_async_upload_watch_t *watch)
{
    const ngx_http_async_upload_mark_t    *mark;
    const ngx_http_async_upload_window_t  *window;

    window = &watch->review;

    if (window->n < NGX_HTTP_ASYNC_UPLOAD_WINDOW) {
        return watch->complaints;
    }

    mark = &window->mark[(window->head + 1) % NGX_HTTP_ASYNC_UPLOAD_WINDOW];

    return watch->complaints - mark->complaints;
}


/*
 * A copy of the guard's part.  A writer that was killed leaves it open until
 * the next one comes, so that it must do as it is after some time.
 */

static const ngx_http_async_upload_guard_sh_t *
ngx_http_async_upload_state_guard(ngx_http_async_upload_zone_sh_t *sh)
{
    uint64_t    sequence;
    ngx_uint_t  i;

    static ngx_http_async_upload_guard_sh_t  guard;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_STATE_TRIES; i++) {
        sequence = ngx_http_async_upload_zone_load(&sh->guard.sequence);

        ngx_memcpy(&guard, &sh->guard,
                   sizeof(ngx_http_async_upload_guard_sh_t));

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

        if ((sequence & 1) == 0
            && sequence == __atomic_load_n(&sh->guard.sequence,
                                           __ATOMIC_RELAXED))
        {
            break;
        }

        ngx_sched_yield();
    }

    return &guard;
}


static void
ngx_http_async_upload_state_events(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_state_t *state)
{
    uint64_t                           seq;
    ngx_http_async_upload_event_sh_t  *event;

    state->said = ngx_http_async_upload_zone_load(&sh->said);
    state->events = ngx_http_async_upload_zone_load(&sh->events);

    seq = (state->events > NGX_HTTP_ASYNC_UPLOAD_RING)
          ? state->events - NGX_HTTP_ASYNC_UPLOAD_RING + 1 : 1;

    for ( /* void */ ; seq <= state->events; seq++) {

        event = &state->event[seq % NGX_HTTP_ASYNC_UPLOAD_RING];

        if (ngx_http_async_upload_event_read(sh, seq, event) != NGX_OK) {
            event->seq = 0;
        }
    }
}


static uint64_t
ngx_http_async_upload_state_epoch(uint64_t word)
{
    ngx_http_async_upload_word_t  w;

    ngx_http_async_upload_zone_unpack(word, &w);

    return w.epoch;
}


void
ngx_http_async_upload_state_fill(ngx_http_async_upload_zone_sh_t *sh,
    const ngx_http_async_upload_state_t *state, uint64_t now)
{
    ngx_uint_t                         i, k;
    ngx_http_async_upload_slot_sh_t   *base;
    ngx_http_async_upload_watch_t     *watch;
    ngx_http_async_upload_cell_sh_t   *cell;
    ngx_http_async_upload_guard_sh_t  *guard;

    base = &sh->base;
    base->counts = state->counts;
    base->counts.evidence.epoch = ngx_http_async_upload_state_epoch(
                                                               state->word);
    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_COHORTS; k++) {
            cell = &base->counts.cell[i][k];
            cell->lost = cell->uploads - ngx_http_async_upload_saved_done(cell);
        }
    }

    base->used = 1;

    ngx_memcpy(sh->statuses, state->statuses, sizeof(sh->statuses));

    sh->applied = state->applied;

    guard = &sh->guard;
    guard->baseline = state->baseline;
    guard->drill_ms = state->drill_ms;
    guard->drill_took = state->drill_took;
    guard->drill_workers = state->drill_workers;
    guard->budget = ngx_http_async_upload_saved_failures(&state->counts)
                    - state->failures;

    watch = &guard->watch;

    ngx_memzero(watch, sizeof(ngx_http_async_upload_watch_t));
    ngx_memcpy(watch->latency, state->since, sizeof(watch->latency));

    /*
     * Just after the machine was started, "now" is less than the age: then
     * this wraps, and so does the difference that is taken from it.
     */

    watch->epoch = ngx_http_async_upload_state_epoch(state->word);
    watch->since_us = now - state->age_ms * 1000;
    watch->since_ms = (state->saved_ms > state->age_ms)
                      ? state->saved_ms - state->age_ms : 0;
    watch->critical = state->critical;
    watch->complaints = state->complaints;
    watch->service_memory = state->service_memory;

    if (state->review_ms) {
        watch->review_us = now - state->review_ms * 1000;

        if (watch->review_us == 0) {
            watch->review_us = 1;
        }
    }

    ngx_memcpy(sh->event, state->event, sizeof(sh->event));

    sh->events = state->events;
    sh->said = ngx_min(state->said, state->events);
}


ngx_err_t
ngx_http_async_upload_state_write(ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_state_t *state, ngx_uint_t durable,
    ngx_log_t *log)
{
    u_char     *buf;
    size_t      size;
    ngx_err_t   err;

    if (!rollout->state_swept) {
        ngx_http_async_upload_file_sweep(rollout->state.data, log);
        rollout->state_swept = 1;
    }

    buf = ngx_alloc(NGX_HTTP_ASYNC_UPLOAD_STATE_MAX, log);
    if (buf == NULL) {
        return NGX_ENOMEM;
    }

    size = ngx_http_async_upload_saved_encode(state, &rollout->name, buf,
                                              NGX_HTTP_ASYNC_UPLOAD_STATE_MAX);

    err = size ? ngx_http_async_upload_file_write(rollout->state.data, buf,
                                                  size, durable, log)
               : EFBIG;

    ngx_free(buf);

    return err;
}


ngx_int_t
ngx_http_async_upload_state_read(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_state_t *state, const char **why, ngx_log_t *log)
{
    ngx_int_t                     rc;
    ngx_http_async_upload_file_t  file;

    ngx_memzero(&file, sizeof(ngx_http_async_upload_file_t));

    rc = ngx_http_async_upload_state_load(rollout, state, &file, log);

    *why = file.why;

    return rc;
}


ngx_int_t
ngx_http_async_upload_state_peek(ngx_http_async_upload_rollout_t *rollout,
    uint64_t *inode, uint64_t *mtime, ngx_http_async_upload_state_t *state,
    ngx_log_t *log)
{
    ngx_int_t                     rc;
    ngx_http_async_upload_file_t  file;

    ngx_memzero(&file, sizeof(ngx_http_async_upload_file_t));

    file.inode = *inode;
    file.mtime = *mtime;

    rc = ngx_http_async_upload_state_load(rollout, state, &file, log);

    *inode = file.inode;
    *mtime = file.mtime;

    return (rc == NGX_DONE) ? NGX_DECLINED : rc;
}


static ngx_int_t
ngx_http_async_upload_state_load(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_state_t *state, ngx_http_async_upload_file_t *file,
    ngx_log_t *log)
{
    ngx_int_t         rc;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(rollout->cycle->conf_ctx,
                                           ngx_core_module);

    rc = ngx_http_async_upload_file_read(rollout->state.data,
                                         NGX_HTTP_ASYNC_UPLOAD_STATE_MAX,
                                         ccf->user, file, log);
    if (rc != NGX_OK) {
        return rc;
    }

    file->why = ngx_http_async_upload_saved_decode(state, &rollout->name,
                                                   file->data, file->size);

    ngx_free(file->data);
    file->data = NULL;

    return file->why ? NGX_ERROR : NGX_OK;
}


void
ngx_http_async_upload_state_set_aside(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log)
{
    ngx_http_async_upload_file_set_aside(rollout->state.data, log);
}
