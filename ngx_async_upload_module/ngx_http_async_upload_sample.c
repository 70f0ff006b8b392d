
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_sample.h"
#include "ngx_http_async_upload_change.h"


/* so many marks make a window, one more than that is kept */
#define NGX_HTTP_ASYNC_UPLOAD_SAMPLE_MARKS    60

/* the youngest worker whose memory counts, in us */
#define NGX_HTTP_ASYNC_UPLOAD_SAMPLE_OLD      60000000

/* less than that is no growth, in bytes */
#define NGX_HTTP_ASYNC_UPLOAD_SAMPLE_GROWTH   (16 * 1024 * 1024)

/* the rolling baseline is made of parts of six hours, in us */
#define NGX_HTTP_ASYNC_UPLOAD_SAMPLE_PART     (UINT64_C(21600) * 1000000)

/* a baseline of fewer uploads is a poor one */
#define NGX_HTTP_ASYNC_UPLOAD_SAMPLE_ENOUGH   1000

/* uploads async should have had before its share is judged */
#define NGX_HTTP_ASYNC_UPLOAD_SAMPLE_SHARE    100

#define NGX_HTTP_ASYNC_UPLOAD_SAMPLE_FINE     10000000      /* us */
#define NGX_HTTP_ASYNC_UPLOAD_SAMPLE_COARSE   300000000     /* us */


static void ngx_http_async_upload_sample_mark(
    ngx_http_async_upload_window_t *window, ngx_msec_t span,
    ngx_http_async_upload_look_t *look, uint64_t complaints);
static void ngx_http_async_upload_sample_detect(
    ngx_http_async_upload_guard_sh_t *guard,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_sample_slow(
    ngx_http_async_upload_watch_t *watch, ngx_http_async_upload_look_t *look);
static ngx_uint_t ngx_http_async_upload_sample_skewed(
    ngx_http_async_upload_watch_t *watch, ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_sample_memory(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_sample_part(
    ngx_http_async_upload_zone_sh_t *sh, ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_sample_plot(
    ngx_http_async_upload_look_t *look, uint64_t interval,
    ngx_http_async_upload_part_t *last, ngx_http_async_upload_point_t *points,
    uint64_t n, uint64_t *written);
static void ngx_http_async_upload_sample_freeze(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log);
static void ngx_http_async_upload_sample_frozen(
    ngx_http_async_upload_guard_sh_t *guard, void *data);


ngx_int_t
ngx_http_async_upload_sample(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log)
{
    ngx_uint_t                        skewed;
    ngx_shmtx_t                      *mutex;
    ngx_http_async_upload_watch_t    *watch;
    ngx_http_async_upload_parts_t    *parts;
    ngx_http_async_upload_plots_t    *plots;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;
    mutex = ngx_http_async_upload_change_mutex(rollout);

    if (!ngx_shmtx_trylock(mutex)) {
        return NGX_AGAIN;
    }

    ngx_http_async_upload_event_recover_locked(sh);
    ngx_http_async_upload_change_take_locked(rollout);

    ngx_http_async_upload_change_open_locked(sh);

    watch = &sh->guard.watch;

    if (watch->epoch != look->word.epoch) {

        /* nginx.conf has changed the word: the master starts no observation */

        ngx_http_async_upload_change_observe_locked(rollout, look->word.epoch,
                                                    look->now);
    }

    if (look->word.state == NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW
        && watch->review_us == 0)
    {
        watch->review_us = look->now;
    }

    ngx_http_async_upload_sample_mark(&watch->rollback,
                                      rollout->rollback.window, look,
                                      watch->complaints);
    ngx_http_async_upload_sample_mark(&watch->review,
                                      rollout->review.success_for, look,
                                      watch->complaints);

    if (look->conf.sequential) {
        ngx_http_async_upload_sample_detect(&sh->guard, look);
    }

    ngx_http_async_upload_sample_slow(watch, look);
    ngx_http_async_upload_sample_memory(rollout, look);
    ngx_http_async_upload_sample_part(sh, look);

    parts = &sh->parts;
    plots = &sh->plots;

    ngx_http_async_upload_sample_plot(look,
                                      NGX_HTTP_ASYNC_UPLOAD_SAMPLE_FINE,
                                      parts->fine, plots->fine_point,
                                      NGX_HTTP_ASYNC_UPLOAD_FINE,
                                      &plots->fine);
    ngx_http_async_upload_sample_plot(look,
                                      NGX_HTTP_ASYNC_UPLOAD_SAMPLE_COARSE,
                                      parts->coarse, plots->coarse_point,
                                      NGX_HTTP_ASYNC_UPLOAD_COARSE,
                                      &plots->coarse);

    skewed = ngx_http_async_upload_sample_skewed(watch, look);

    ngx_http_async_upload_change_close_locked(sh);

    ngx_shmtx_unlock(mutex);

    if (skewed) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "async_upload \"%V\": async gets %ui bp of the uploads "
                      "at a share of %ui bp: few clients send most of them, "
                      "or the key is not what tells them apart", &rollout->name,
                      skewed, look->word.share);
    }

    if (!look->guard.baseline.frozen
        && ngx_http_async_upload_zone_share(&look->word) != 0)
    {
        ngx_http_async_upload_sample_freeze(rollout, look, log);
    }

    ngx_http_async_upload_look_take(rollout, look);

    return NGX_OK;
}


static void
ngx_http_async_upload_sample_mark(ngx_http_async_upload_window_t *window,
    ngx_msec_t span, ngx_http_async_upload_look_t *look, uint64_t complaints)
{
    uint64_t                               apart;
    ngx_http_async_upload_mark_t          *mark;
    ngx_http_async_upload_evidence_arm_t  *arm;

    apart = (uint64_t) span * 1000 / NGX_HTTP_ASYNC_UPLOAD_SAMPLE_MARKS;

    mark = &window->mark[window->head];

    if (window->n != 0) {

        /* a look may be older than the last mark */

        if (look->now < mark->us || look->now - mark->us < apart) {
            return;
        }

        window->head = (window->head + 1) % NGX_HTTP_ASYNC_UPLOAD_WINDOW;
        mark = &window->mark[window->head];
    }

    arm = &look->counts.evidence.arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC];

    mark->us = look->now;
    mark->success = arm->success;
    mark->failure = arm->failure;
    mark->complaints = complaints;

    if (window->n < NGX_HTTP_ASYNC_UPLOAD_WINDOW) {
        window->n++;
    }
}


/* what the detectors see; a poor baseline is none for them */

static void
ngx_http_async_upload_sample_detect(ngx_http_async_upload_guard_sh_t *guard,
    ngx_http_async_upload_look_t *look)
{
    uint64_t                               n, latency;
    ngx_uint_t                             i, k;
    ngx_http_async_upload_hist_t          *hist;
    ngx_http_async_upload_cell_sh_t       *cell;
    ngx_http_async_upload_detect_arm_t    *arm;
    ngx_http_async_upload_detect_seen_t    seen;
    ngx_http_async_upload_evidence_arm_t  *evidence;

    static const double  q[NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES] = {
        0.75, 0.95
    };

    static ngx_http_async_upload_detect_bets_t  bets;

    ngx_memzero(&seen, sizeof(ngx_http_async_upload_detect_seen_t));

    seen.now_ms = look->now / 1000;
    seen.share = ngx_http_async_upload_zone_share(&look->word);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        arm = &seen.arm[i];
        evidence = &look->counts.evidence.arm[i];

        arm->success = evidence->success;
        arm->failure = evidence->failure;
        arm->repeated = ngx_min(evidence->repeated, evidence->failure);
        arm->rejected = evidence->rejected;
        arm->aborted = evidence->aborted;

        ngx_memcpy(arm->timed, evidence->timed, sizeof(arm->timed));
        ngx_memcpy(arm->slow, evidence->slow, sizeof(arm->slow));
    }

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_SIZES; i++) {
        n = 0;
        latency = 0;

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_FORCED; k++) {
            cell = &look->counts.cell[NGX_HTTP_ASYNC_UPLOAD_SYNC][k];

            n += cell->size[i].uploads - ngx_min(cell->size[i].uploads,
                                                 cell->size[i].failure);
            latency += cell->size[i].latency_us;
        }

        seen.mean_us[i] = n ? latency / n : 0;
    }

    hist = &look->baseline.latency;
    n = ngx_http_async_upload_hist_total(hist);

    if (n >= NGX_HTTP_ASYNC_UPLOAD_SAMPLE_ENOUGH) {
        for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_DETECT_QUANTILES; i++) {
            seen.baseline_us[i] = (uint64_t)
                ngx_http_async_upload_hist_quantile(hist, n,
                               ngx_http_async_upload_detect_rank(q[i], n));
        }
    }

    ngx_http_async_upload_detect_tick(&look->conf, &bets, &guard->detect,
                                      &seen);
}


/* at every tick: one that is not slow begins it anew */

static void
ngx_http_async_upload_sample_slow(ngx_http_async_upload_watch_t *watch,
    ngx_http_async_upload_look_t *look)
{
    if (look->conf.rv_latency > 0
        && look->in.latency_n >= look->conf.min_latency
        && look->in.latency > look->conf.rv_latency)
    {
        if (watch->slow_us == 0) {
            watch->slow_us = look->now;
        }

    } else {
        watch->slow_us = 0;
    }
}


/*
 * The share that is observed, in basis points, once in an observation, if it
 * is less than half or more than twice of what it should be.
 */

static ngx_uint_t
ngx_http_async_upload_sample_skewed(ngx_http_async_upload_watch_t *watch,
    ngx_http_async_upload_look_t *look)
{
    uint64_t                               all, seen, share;
    ngx_http_async_upload_evidence_arm_t  *arm;

    arm = look->counts.evidence.arm;
    share = ngx_http_async_upload_zone_share(&look->word);

    all = arm[NGX_HTTP_ASYNC_UPLOAD_SYNC].bucket
          + arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC].bucket;

    /* enough of both that chance does not make it so */

    if (watch->skewed || share == 0
        || all * share < NGX_HTTP_ASYNC_UPLOAD_SAMPLE_SHARE
                         * NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX)
    {
        return 0;
    }

    seen = arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC].bucket
           * NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX / all;

    if (seen * 2 >= share && seen <= share * 2) {
        return 0;
    }

    watch->skewed = 1;

    return ngx_max(seen, 1);
}


static void
ngx_http_async_upload_sample_memory(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    uint64_t                          most, rss, workers;
    ngx_uint_t                        i;
    ngx_core_conf_t                  *ccf;
    ngx_http_async_upload_slot_sh_t  *slot;
    ngx_http_async_upload_zone_sh_t  *sh;
    ngx_http_async_upload_guard_sh_t *guard;

    sh = rollout->sh;
    guard = &sh->guard;
    most = 0;

    for (i = 0; i < sh->slots_n; i++) {
        slot = &sh->slots[i];

        if (ngx_http_async_upload_zone_load(&slot->pid) == 0
            || slot->generation != sh->generation
            || look->now - slot->started_us < NGX_HTTP_ASYNC_UPLOAD_SAMPLE_OLD)
        {
            continue;
        }

        rss = ngx_http_async_upload_zone_load(&slot->rss);
        most = ngx_max(most, rss);
    }

    guard->memory_now = most;

    if (most == 0) {
        guard->watch.memory_us = 0;
        return;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(rollout->cycle->conf_ctx,
                                           ngx_core_module);
    workers = ngx_max(ccf->worker_processes, 1);

    if (guard->memory == 0 || guard->memory_workers != workers
        || !guard->baseline.frozen)
    {
        guard->memory = most;
        guard->memory_workers = workers;
    }

    if (look->conf.memory > 0
        && most >= look->conf.memory * guard->memory
        && most - guard->memory >= NGX_HTTP_ASYNC_UPLOAD_SAMPLE_GROWTH)
    {
        if (guard->watch.memory_us == 0) {
            guard->watch.memory_us = look->now;
        }

    } else {
        guard->watch.memory_us = 0;
    }
}


static void
ngx_http_async_upload_sample_part(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t                     i;
    ngx_http_async_upload_part_t  *part, *oldest;

    if (sh->guard.baseline.frozen) {
        return;
    }

    part = sh->parts.part;
    oldest = &part[0];

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_PARTS; i++) {

        if (part[i].us
            && look->now - part[i].us < NGX_HTTP_ASYNC_UPLOAD_SAMPLE_PART)
        {
            return;
        }

        if (part[i].us < oldest->us) {
            oldest = &part[i];
        }
    }

    ngx_http_async_upload_look_sync(look, &oldest->success, &oldest->failure,
                                    &oldest->rejected, &oldest->aborted);

    ngx_http_async_upload_hist_copy(&oldest->latency,
                       &look->counts.latency[NGX_HTTP_ASYNC_UPLOAD_SYNC]);

    __atomic_store_n(&oldest->us, look->now, __ATOMIC_RELEASE);
}


/* "last" holds the totals of both arms at the last point */

static void
ngx_http_async_upload_sample_plot(ngx_http_async_upload_look_t *look,
    uint64_t interval, ngx_http_async_upload_part_t *last,
    ngx_http_async_upload_point_t *points, uint64_t n, uint64_t *written)
{
    double                          us[2];
    uint64_t                        total, success, failure;
    ngx_uint_t                      i;
    ngx_http_async_upload_hist_t    hist;
    ngx_http_async_upload_point_t  *point;

    static const double  q[] = { 0.5, 0.95 };

    /* a look may be older than the last point, and have counted less */

    if (last->us
        && (look->now < last->us || look->now - last->us < interval))
    {
        return;
    }

    point = &points[*written % n];

    point->time = ngx_time();
    point->share = ngx_http_async_upload_zone_share(&look->word);
    point->state = look->word.state;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {

        ngx_http_async_upload_look_arm(look, i, &success, &failure);

        ngx_http_async_upload_hist_copy(&hist, &look->counts.latency[i]);
        ngx_http_async_upload_hist_subtract(&hist, &last[i].latency);

        total = ngx_http_async_upload_hist_total(&hist);
        ngx_http_async_upload_hist_quantiles(&hist, total, q, 2, us);

        point->arm[i].success = success - last[i].success;
        point->arm[i].failure = failure - last[i].failure;
        point->arm[i].p50_us = total ? us[0] + 0.5 : 0;
        point->arm[i].p95_us = total ? us[1] + 0.5 : 0;

        last[i].success = success;
        last[i].failure = failure;
        ngx_http_async_upload_hist_copy(&last[i].latency,
                                        &look->counts.latency[i]);
    }

    /* the first one would hold all that was counted before */

    if (last->us) {
        __atomic_store_n(written, *written + 1, __ATOMIC_RELEASE);
    }

    last->us = look->now;
}


/* the share has left 0: what sync was like until now is the baseline */

static void
ngx_http_async_upload_sample_freeze(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_log_t *log)
{
    uint64_t                          uploads;
    ngx_http_async_upload_event_sh_t  event;

    ngx_memzero(&event, sizeof(ngx_http_async_upload_event_sh_t));

    uploads = look->baseline.success + look->baseline.failure;

    event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_BASELINE;
    event.actor = NGX_HTTP_ASYNC_UPLOAD_ACTOR_GUARD;
    event.value = uploads;
    event.limit = NGX_HTTP_ASYNC_UPLOAD_SAMPLE_ENOUGH;

    ngx_http_async_upload_look_figures(look, &event);

    look->baseline.frozen = 1;
    look->baseline.time_ms = ngx_http_async_upload_change_wall();

    if (ngx_http_async_upload_change_word(rollout, &look->word, &look->word,
                                          &event,
                                          ngx_http_async_upload_sample_frozen,
                                          &look->baseline)
        == NGX_OK
        && uploads < NGX_HTTP_ASYNC_UPLOAD_SAMPLE_ENOUGH)
    {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "async_upload \"%V\": the baseline is made of %uL "
                      "uploads only", &rollout->name, uploads);
    }
}


static void
ngx_http_async_upload_sample_frozen(ngx_http_async_upload_guard_sh_t *guard,
    void *data)
{
    ngx_http_async_upload_baseline_t *b = data;

    if (!guard->baseline.frozen) {
        guard->baseline = *b;
    }
}
