
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_look.h"


/* a copy that no writer has touched is got at the first try, nearly always */
#define NGX_HTTP_ASYNC_UPLOAD_LOOK_TRIES  100

/* successes that a p95 must be made of */
#define NGX_HTTP_ASYNC_UPLOAD_LOOK_P95    100

/* memory must have been too large for that long */
#define NGX_HTTP_ASYNC_UPLOAD_LOOK_MEMORY 60000         /* ms */

#define NGX_HTTP_ASYNC_UPLOAD_LOOK_TURNED 3

/* evidence that errors are rare enough, at which the gate opens */
#define NGX_HTTP_ASYNC_UPLOAD_LOOK_PROOF  20

/* what is healthy where no stage says so: as the first stage by default */
#define NGX_HTTP_ASYNC_UPLOAD_LOOK_GATE   995000
#define NGX_HTTP_ASYNC_UPLOAD_LOOK_ERROR  5000
#define NGX_HTTP_ASYNC_UPLOAD_LOOK_SLOWER 1.1


static void ngx_http_async_upload_look_guard(
    ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_guard_sh_t *guard);
static ngx_uint_t ngx_http_async_upload_look_same(
    ngx_http_async_upload_zone_sh_t *sh, uint64_t before);
static void ngx_http_async_upload_look_conf(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_look_rates(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look);
static const ngx_http_async_upload_mark_t *ngx_http_async_upload_look_mark(
    const ngx_http_async_upload_window_t *window, uint64_t now, uint64_t us);
static void ngx_http_async_upload_look_rate(
    ngx_http_async_upload_look_t *look,
    const ngx_http_async_upload_mark_t *mark,
    ngx_http_async_upload_guard_rate_t *rate);
static void ngx_http_async_upload_look_latency(
    ngx_http_async_upload_look_t *look);
static void ngx_http_async_upload_look_losses(
    ngx_http_async_upload_look_t *look);


ngx_http_async_upload_look_t *
ngx_http_async_upload_look_memory(void)
{
    static ngx_http_async_upload_look_t  look;

    return &look;
}


void
ngx_http_async_upload_look_take(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_uint_t                        i;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    ngx_http_async_upload_look_guard(sh, &look->guard);

    look->now = ngx_http_async_upload_zone_now();

    ngx_http_async_upload_zone_word(sh, &look->word);
    ngx_http_async_upload_zone_read(sh, look->word.epoch, &look->counts,
                                    &look->slots);

    look->stages = rollout->stages ? rollout->stages->nelts : 0;
    look->stage = ngx_min(look->word.stage, look->stages);

    if (look->guard.watch.epoch != look->word.epoch) {

        /* the observation of this epoch has not been begun by a tick yet */

        look->guard.watch.epoch = look->word.epoch;
        look->guard.watch.since_us = look->now;
        look->guard.watch.since_ms = 0;
        look->guard.watch.rollback.n = 0;
        look->guard.watch.review.n = 0;
        look->guard.watch.slow_us = 0;
        look->guard.watch.memory_us = 0;
        look->guard.watch.review_us = 0;
        look->guard.watch.critical = 0;
        look->guard.watch.complaints = 0;
        look->guard.watch.service_memory = 0;
        look->guard.watch.gate = 0;
        look->guard.watch.dry = 0;

        ngx_http_async_upload_detect_restart(&look->guard.detect);

        for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
            ngx_http_async_upload_hist_copy(&look->guard.watch.latency[i],
                                            &look->counts.latency[i]);
        }
    }

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        ngx_http_async_upload_hist_copy(&look->latency[i],
                                        &look->counts.latency[i]);
        ngx_http_async_upload_hist_subtract(&look->latency[i],
                                            &look->guard.watch.latency[i]);
    }

    ngx_memzero(&look->in, sizeof(ngx_http_async_upload_guard_input_t));

    ngx_http_async_upload_look_conf(rollout, look);

    if (look->guard.baseline.frozen) {
        ngx_memcpy(&look->baseline, &look->guard.baseline,
                   offsetof(ngx_http_async_upload_baseline_t, latency));
        ngx_http_async_upload_hist_copy(&look->baseline.latency,
                                        &look->guard.baseline.latency);

    } else {
        ngx_http_async_upload_look_rolling(rollout, look, &look->baseline);
    }

    ngx_http_async_upload_look_rates(rollout, look);
    ngx_http_async_upload_look_latency(look);
    ngx_http_async_upload_look_losses(look);

    if (look->conf.sequential) {
        ngx_http_async_upload_detect_fill(&look->conf, &look->guard.detect,
                                          &look->in);
    }

    ngx_http_async_upload_look_again(look);
}


void
ngx_http_async_upload_look_again(ngx_http_async_upload_look_t *look)
{
    look->open = ngx_http_async_upload_gate_open(&look->conf, &look->in,
                                                 look->gate);

    ngx_http_async_upload_guard_decide(&look->conf, &look->in,
                                       &look->decision);
}


void
ngx_http_async_upload_look_plots(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_plots_t *plots)
{
    uint64_t    before;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_LOOK_TRIES; i++) {
        before = ngx_http_async_upload_zone_load(&sh->guard.sequence);

        ngx_memcpy(plots, &sh->plots, sizeof(ngx_http_async_upload_plots_t));

        if (ngx_http_async_upload_look_same(sh, before)) {
            return;
        }
    }
}


/*
 * What the tick publishes, without its lock: all but the histograms as it is,
 * of those what they hold.
 */

static void
ngx_http_async_upload_look_guard(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_guard_sh_t *guard)
{
    size_t                                   marks, rest;
    uint64_t                                 before;
    ngx_uint_t                               i, k;
    const ngx_http_async_upload_guard_sh_t  *from;

    from = &sh->guard;

    marks = offsetof(ngx_http_async_upload_guard_sh_t, baseline.latency)
            - offsetof(ngx_http_async_upload_guard_sh_t, watch.rollback);
    rest = sizeof(ngx_http_async_upload_guard_sh_t)
           - offsetof(ngx_http_async_upload_guard_sh_t, detect);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_LOOK_TRIES; i++) {

        before = ngx_http_async_upload_zone_load(&from->sequence);

        ngx_memcpy(guard, from, offsetof(ngx_http_async_upload_guard_sh_t,
                                         watch.latency));

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_ARMS; k++) {
            ngx_http_async_upload_hist_copy(&guard->watch.latency[k],
                                            &from->watch.latency[k]);
        }

        ngx_memcpy(&guard->watch.rollback, &from->watch.rollback, marks);

        ngx_http_async_upload_hist_copy(&guard->baseline.latency,
                                        &from->baseline.latency);

        ngx_memcpy(&guard->detect, &from->detect, rest);

        if (ngx_http_async_upload_look_same(sh, before)) {
            return;
        }
    }
}


/*
 * Whether nobody has written since.  A writer that was killed leaves the
 * sequence odd until the next tick: then a copy may be of two ticks.
 */

static ngx_uint_t
ngx_http_async_upload_look_same(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t before)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    if (!(before & 1)
        && ngx_http_async_upload_zone_load(&sh->guard.sequence) == before)
    {
        return 1;
    }

    ngx_cpu_pause();

    return 0;
}


/* the rules that are in force at this state and stage */

static void
ngx_http_async_upload_look_conf(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    ngx_http_async_upload_stage_t       *stage;
    ngx_http_async_upload_guard_conf_t  *conf;

    conf = &look->conf;

    ngx_memzero(conf, sizeof(ngx_http_async_upload_guard_conf_t));

    conf->sequential = rollout->statistics.sequential;
    conf->evidence = rollout->statistics.evidence;
    conf->confirm_ms = rollout->statistics.confirm;
    conf->horizon = (double) rollout->statistics.horizon / 1000;
    conf->min_failures = rollout->statistics.min_failures;
    conf->proof_error = rollout->statistics.proof;
    conf->proof = conf->proof_error ? NGX_HTTP_ASYNC_UPLOAD_LOOK_PROOF : 0;
    conf->min_turned = NGX_HTTP_ASYNC_UPLOAD_LOOK_TURNED;
    conf->min_latency = NGX_HTTP_ASYNC_UPLOAD_LOOK_P95;

    conf->gate_success = NGX_HTTP_ASYNC_UPLOAD_LOOK_GATE;
    conf->gate_error = NGX_HTTP_ASYNC_UPLOAD_LOOK_ERROR;
    conf->gate_latency = NGX_HTTP_ASYNC_UPLOAD_LOOK_SLOWER;

    if (look->stage) {
        stage = rollout->stages->elts;
        stage += look->stage - 1;

        conf->gates = (look->word.state == NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING
                       || look->word.state
                          == NGX_HTTP_ASYNC_UPLOAD_STATE_PAUSED
                       || look->word.state
                          == NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW);
        conf->min_uploads = stage->min_uploads;
        conf->gate_success = stage->success;
        conf->gate_error = stage->error;
        conf->gate_latency = (double) stage->latency / 100;
        conf->soak_ms = stage->soak;
        conf->min_latency = ngx_min(conf->min_latency, stage->min_uploads);
    }

    conf->rollback = rollout->rollback.on;
    conf->rb_success = rollout->rollback.success;
    conf->rb_error = rollout->rollback.error;
    conf->rb_min_uploads = rollout->rollback.min_uploads;
    conf->run = rollout->rollback.run;
    conf->memory = (double) rollout->rollback.memory / 100;
    conf->budget = rollout->budget;

    conf->review = rollout->review.on;
    conf->rv_success = rollout->review.success;
    conf->rv_success_ms = rollout->review.success_for;
    conf->rv_latency = (double) rollout->review.latency / 100;
    conf->rv_latency_ms = rollout->review.latency_for;
    conf->complaints = rollout->review.complaints;
    conf->unattended_ms = rollout->review.unattended;
}


static void
ngx_http_async_upload_look_rates(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look)
{
    uint64_t                               success, failures, run;
    ngx_uint_t                             i;
    ngx_http_async_upload_watch_t         *watch;
    ngx_http_async_upload_cell_sh_t       *cell;
    ngx_http_async_upload_zone_sh_t       *sh;
    const ngx_http_async_upload_mark_t    *mark;
    ngx_http_async_upload_guard_input_t   *in;

    sh = rollout->sh;
    in = &look->in;
    watch = &look->guard.watch;

    in->stage_ms = (look->now - watch->since_us) / 1000;

    if (look->conf.soak_ms > in->stage_ms) {
        look->soak_left_ms = look->conf.soak_ms - in->stage_ms;

    } else {
        look->soak_left_ms = 0;
    }

    ngx_http_async_upload_look_rate(look, NULL, &in->stage);

    mark = ngx_http_async_upload_look_mark(&watch->rollback, look->now,
                                  (uint64_t) rollout->rollback.window * 1000);
    ngx_http_async_upload_look_rate(look, mark, &in->window);

    mark = ngx_http_async_upload_look_mark(&watch->review, look->now,
                             (uint64_t) rollout->review.success_for * 1000);
    ngx_http_async_upload_look_rate(look, mark, &in->review);

    in->complaints = watch->complaints - (mark ? mark->complaints : 0);
    in->critical = watch->critical;

    run = ngx_http_async_upload_zone_load(&sh->run);

    if (run && run >> 32 == look->word.epoch) {
        in->run = run & 0xffffffff;
        in->run_ms = (ngx_http_async_upload_zone_load(&sh->run_last_us)
                      - sh->run_us) / 1000;
    }

    run = ngx_http_async_upload_zone_load(&sh->turned);

    if (run && run >> 32 == look->word.epoch) {
        in->turned = run & 0xffffffff;
        in->turned_ms = (look->now - sh->turned_us) / 1000;
    }

    ngx_http_async_upload_look_arm(look, NGX_HTTP_ASYNC_UPLOAD_ASYNC, &success,
                                   &failures);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_FORCED; i++) {
        cell = &look->counts.cell[NGX_HTTP_ASYNC_UPLOAD_ASYNC][i];
        failures -= ngx_min(failures, cell->repeated);
    }

    in->failures = failures > look->guard.budget
                   ? failures - look->guard.budget : 0;

    if (look->word.state == NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW
        && watch->review_us)
    {
        in->review_ms = (look->now - watch->review_us) / 1000;
    }

    /* workers' memory when it has lasted, the service's as it was told */

    look->memory = 0;

    if (look->guard.memory && look->guard.memory_now) {
        look->memory = (double) look->guard.memory_now / look->guard.memory;

        if (watch->memory_us
            && look->now - watch->memory_us
               >= NGX_HTTP_ASYNC_UPLOAD_LOOK_MEMORY * 1000)
        {
            in->memory = look->memory;
        }
    }

    in->memory = ngx_max(in->memory, (double) watch->service_memory / 100);
}


/*
 * The newest mark that is at least "us" old; NULL if none is, then the window
 * is the whole observation.
 */

static const ngx_http_async_upload_mark_t *
ngx_http_async_upload_look_mark(const ngx_http_async_upload_window_t *window,
    uint64_t now, uint64_t us)
{
    uint64_t                             i;
    const ngx_http_async_upload_mark_t  *mark;

    for (i = 0; i < ngx_min(window->n, NGX_HTTP_ASYNC_UPLOAD_WINDOW); i++) {

        mark = &window->mark[(window->head + NGX_HTTP_ASYNC_UPLOAD_WINDOW - i)
                             % NGX_HTTP_ASYNC_UPLOAD_WINDOW];

        if (now - mark->us >= us) {
            return mark;
        }
    }

    return NULL;
}


static void
ngx_http_async_upload_look_rate(ngx_http_async_upload_look_t *look,
    const ngx_http_async_upload_mark_t *mark,
    ngx_http_async_upload_guard_rate_t *rate)
{
    ngx_http_async_upload_evidence_arm_t  *arm;

    arm = &look->counts.evidence.arm[NGX_HTTP_ASYNC_UPLOAD_ASYNC];

    rate->success = arm->success;
    rate->failure = arm->failure;

    if (mark) {

        /* a look may be older than the last mark */

        rate->success -= ngx_min(rate->success, mark->success);
        rate->failure -= ngx_min(rate->failure, mark->failure);
    }

    rate->uploads = rate->success + rate->failure;
}


void
ngx_http_async_upload_look_rolling(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look, ngx_http_async_upload_baseline_t *b)
{
    uint64_t                       us;
    ngx_uint_t                     i;
    ngx_http_async_upload_part_t  *part, *oldest;

    ngx_http_async_upload_look_sync(look, &b->success, &b->failure,
                                    &b->rejected, &b->aborted);

    b->frozen = 0;
    b->time_ms = 0;
    b->span_ms = 0;
    ngx_http_async_upload_hist_copy(&b->latency,
                       &look->counts.latency[NGX_HTTP_ASYNC_UPLOAD_SYNC]);

    part = rollout->sh->parts.part;
    oldest = NULL;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_PARTS; i++) {
        us = ngx_http_async_upload_zone_load(&part[i].us);

        if (us && (oldest == NULL || us < oldest->us)) {
            oldest = &part[i];
        }
    }

    if (oldest == NULL) {
        return;
    }

    b->success -= ngx_min(b->success, oldest->success);
    b->failure -= ngx_min(b->failure, oldest->failure);
    b->rejected -= ngx_min(b->rejected, oldest->rejected);
    b->aborted -= ngx_min(b->aborted, oldest->aborted);
    b->span_ms = (look->now - oldest->us) / 1000;

    ngx_http_async_upload_hist_subtract(&b->latency, &oldest->latency);
}


void
ngx_http_async_upload_look_sync(ngx_http_async_upload_look_t *look,
    uint64_t *success, uint64_t *failure, uint64_t *rejected,
    uint64_t *aborted)
{
    ngx_uint_t                        i;
    ngx_http_async_upload_cell_sh_t  *cell;

    ngx_http_async_upload_look_arm(look, NGX_HTTP_ASYNC_UPLOAD_SYNC, success,
                                   failure);
    *rejected = 0;
    *aborted = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_FORCED; i++) {
        cell = &look->counts.cell[NGX_HTTP_ASYNC_UPLOAD_SYNC][i];

        *rejected += cell->rejected;
        *aborted += cell->aborted;
    }
}


/* what was forced decides nothing */

void
ngx_http_async_upload_look_arm(ngx_http_async_upload_look_t *look,
    ngx_uint_t arm, uint64_t *success, uint64_t *failure)
{
    ngx_uint_t                        i, k;
    ngx_http_async_upload_cell_sh_t  *cell;

    *success = 0;
    *failure = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_FORCED; i++) {
        cell = &look->counts.cell[arm][i];

        *success += cell->success;

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_CLASSES; k++) {
            *failure += cell->failure[k];
        }
    }
}


static void
ngx_http_async_upload_look_latency(ngx_http_async_upload_look_t *look)
{
    double                         p95[NGX_HTTP_ASYNC_UPLOAD_ARMS];
    uint64_t                       n[NGX_HTTP_ASYNC_UPLOAD_ARMS], base;
    ngx_uint_t                     i;
    ngx_http_async_upload_hist_t  *h;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        h = &look->latency[i];
        n[i] = ngx_http_async_upload_hist_total(h);
        p95[i] = ngx_http_async_upload_hist_quantile(h, n[i], 0.95);
        look->p95[i] = (uint64_t) (p95[i] + 0.5);
    }

    h = &look->baseline.latency;
    base = ngx_http_async_upload_hist_total(h);

    if (n[NGX_HTTP_ASYNC_UPLOAD_SYNC] >= NGX_HTTP_ASYNC_UPLOAD_LOOK_P95) {
        look->reference = NGX_HTTP_ASYNC_UPLOAD_LOOK_SYNC;
        look->reference_p95 = look->p95[NGX_HTTP_ASYNC_UPLOAD_SYNC];

    } else if (base >= NGX_HTTP_ASYNC_UPLOAD_LOOK_P95) {
        look->reference = NGX_HTTP_ASYNC_UPLOAD_LOOK_BASELINE;
        look->reference_p95 = (uint64_t)
                (ngx_http_async_upload_hist_quantile(h, base, 0.95) + 0.5);

    } else {
        look->reference = NGX_HTTP_ASYNC_UPLOAD_LOOK_NOTHING;
        look->reference_p95 = 0;
    }

    if (look->reference_p95 == 0) {
        return;
    }

    look->in.latency_n = n[NGX_HTTP_ASYNC_UPLOAD_ASYNC];
    look->in.latency = (double) look->p95[NGX_HTTP_ASYNC_UPLOAD_ASYNC]
                       / look->reference_p95;

    if (look->guard.watch.slow_us) {
        look->in.slow_ms = (look->now - look->guard.watch.slow_us) / 1000;
    }
}


/* what is no failure, but is not served either, beside that of sync */

static void
ngx_http_async_upload_look_losses(ngx_http_async_upload_look_t *look)
{
    uint64_t                               finished;
    ngx_uint_t                             i;
    ngx_http_async_upload_baseline_t      *b;
    ngx_http_async_upload_guard_loss_t    *loss;
    ngx_http_async_upload_evidence_arm_t  *arm;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        arm = &look->counts.evidence.arm[i];
        loss = (i == NGX_HTTP_ASYNC_UPLOAD_ASYNC) ? &look->in.async
                                                  : &look->in.sync;

        loss->rejected = arm->rejected;
        loss->aborted = arm->aborted;
        loss->finished = arm->success + arm->failure + arm->rejected
                         + arm->aborted;
    }

    look->in.reference = 1;

    if (look->in.sync.finished >= NGX_HTTP_ASYNC_UPLOAD_LOOK_P95) {
        return;
    }

    b = &look->baseline;
    finished = b->success + b->failure + b->rejected + b->aborted;

    if (finished >= NGX_HTTP_ASYNC_UPLOAD_LOOK_P95) {
        look->in.sync.finished = finished;
        look->in.sync.rejected = b->rejected;
        look->in.sync.aborted = b->aborted;
        return;
    }

    look->in.reference = 0;
}


void
ngx_http_async_upload_look_figures(ngx_http_async_upload_look_t *look,
    ngx_http_async_upload_event_sh_t *event)
{
    ngx_uint_t                             i;
    ngx_http_async_upload_evidence_arm_t  *arm;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        arm = &look->counts.evidence.arm[i];

        event->arm[i].success = arm->success;
        event->arm[i].failure = arm->failure;
        event->arm[i].rejected = arm->rejected;
        event->arm[i].aborted = arm->aborted;
        event->arm[i].p95_us = look->p95[i];
    }
}
