
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_change.h"
#include "ngx_http_async_upload_journal.h"


/* a process that has been at it for longer is taken for stuck, in seconds */
#define NGX_HTTP_ASYNC_UPLOAD_CHANGE_STUCK  60

/* how long a planned share waits for another process, in ms */
#define NGX_HTTP_ASYNC_UPLOAD_CHANGE_WAIT   1000


static ngx_uint_t ngx_http_async_upload_change_begins(
    const ngx_http_async_upload_word_t *old,
    const ngx_http_async_upload_word_t *now, ngx_uint_t type);
static ngx_int_t ngx_http_async_upload_change_write(
    ngx_http_async_upload_rollout_t *rollout, ngx_msec_t wait);
static void ngx_http_async_upload_change_done(
    ngx_http_async_upload_zone_sh_t *sh);
static ngx_err_t ngx_http_async_upload_change_file(
    ngx_http_async_upload_rollout_t *rollout, uint64_t word,
    ngx_uint_t durable, ngx_log_t *log);
static void ngx_http_async_upload_change_say(
    ngx_http_async_upload_rollout_t *rollout, uint64_t events,
    ngx_log_t *log);


ngx_int_t
ngx_http_async_upload_change_word(ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_word_t *old,
    const ngx_http_async_upload_word_t *now,
    ngx_http_async_upload_event_sh_t *event,
    ngx_http_async_upload_change_pt more, void *data)
{
    uint64_t                          before, after, us;
    ngx_shmtx_t                      *mutex;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;
    mutex = ngx_http_async_upload_change_mutex(rollout);

    before = ngx_http_async_upload_zone_pack(old);
    after = ngx_http_async_upload_zone_pack(now);

    event->old = before;
    event->now = after;
    event->time_ms = ngx_http_async_upload_change_wall();

    ngx_shmtx_lock(mutex);

    ngx_http_async_upload_event_recover_locked(sh);
    ngx_http_async_upload_change_take_locked(rollout);

    event->seq = sh->events + 1;

    ngx_http_async_upload_event_prepare_locked(sh, event);

    /* the master changes the word without the mutex */

    if (!__atomic_compare_exchange_n(&sh->word, &before, after, 0,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    {
        ngx_shmtx_unlock(mutex);

        /* what this process has planned will not be: others may write */

        ngx_http_async_upload_change_done(sh);

        return NGX_DECLINED;
    }

    us = ngx_http_async_upload_zone_now();

    ngx_http_async_upload_change_open_locked(sh);

    if (now->epoch != sh->guard.watch.epoch) {
        ngx_http_async_upload_change_observe_locked(rollout, now->epoch, us);
    }

    if (now->epoch != old->epoch) {
        if (ngx_http_async_upload_change_begins(old, now, event->type)) {
            sh->guard.budget = ngx_http_async_upload_zone_failures(sh);
        }
    }

    if (now->state != NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW) {
        sh->guard.watch.review_us = 0;

    } else if (sh->guard.watch.review_us == 0) {
        sh->guard.watch.review_us = us;
    }

    if (more) {
        more(&sh->guard, data);
    }

    ngx_http_async_upload_change_close_locked(sh);

    ngx_http_async_upload_event_publish_locked(sh);

    ngx_shmtx_unlock(mutex);

    return NGX_OK;
}


/* whether failures of before must not count for the budget any more */

static ngx_uint_t
ngx_http_async_upload_change_begins(const ngx_http_async_upload_word_t *old,
    const ngx_http_async_upload_word_t *now, ngx_uint_t type)
{
    switch (type) {

    case NGX_HTTP_ASYNC_UPLOAD_EVENT_DRILL:
        return 0;

    case NGX_HTTP_ASYNC_UPLOAD_EVENT_RESTART:
    case NGX_HTTP_ASYNC_UPLOAD_EVENT_RESUME:
        return 1;

    default:
        return ngx_http_async_upload_zone_closed(old)
               && !ngx_http_async_upload_zone_closed(now);
    }
}


void
ngx_http_async_upload_change_observe_locked(
    ngx_http_async_upload_rollout_t *rollout, uint64_t epoch, uint64_t now)
{
    ngx_http_async_upload_watch_t    *watch;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;
    watch = &sh->guard.watch;

    ngx_memzero(watch, sizeof(ngx_http_async_upload_watch_t));
    ngx_http_async_upload_detect_restart(&sh->guard.detect);

    ngx_http_async_upload_zone_latency(sh, watch->latency);

    watch->since_us = now;
    watch->since_ms = ngx_http_async_upload_change_wall();
    watch->epoch = epoch;
}


void
ngx_http_async_upload_change_open_locked(ngx_http_async_upload_zone_sh_t *sh)
{
    /* odd already: its writer was killed */

    __atomic_store_n(&sh->guard.sequence, sh->guard.sequence | 1,
                     __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}


void
ngx_http_async_upload_change_close_locked(ngx_http_async_upload_zone_sh_t *sh)
{
    __atomic_store_n(&sh->guard.sequence, sh->guard.sequence + 1,
                     __ATOMIC_RELEASE);
}


void
ngx_http_async_upload_change_take_locked(
    ngx_http_async_upload_rollout_t *rollout)
{
    uint64_t                          configs;
    ngx_http_async_upload_word_t      old, now;
    ngx_http_async_upload_zone_sh_t  *sh;
    ngx_http_async_upload_event_sh_t  event;

    sh = rollout->sh;
    configs = ngx_http_async_upload_zone_load(&sh->configs);

    if (configs == sh->taken) {
        return;
    }

    ngx_memzero(&event, sizeof(ngx_http_async_upload_event_sh_t));

    event.time_ms = ngx_http_async_upload_change_wall();
    event.type = sh->configs_type;
    event.actor = NGX_HTTP_ASYNC_UPLOAD_ACTOR_CONFIG;
    event.old = sh->configs_old;
    event.now = sh->configs_now;
    ngx_memcpy(event.why, sh->configs_why, NGX_HTTP_ASYNC_UPLOAD_WHY - 1);

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    if (ngx_http_async_upload_zone_load(&sh->configs) != configs) {

        /* the master is just writing another one: the next tick */
        return;
    }

    event.seq = sh->events + 1;

    ngx_http_async_upload_event_prepare_locked(sh, &event);
    ngx_http_async_upload_event_publish_locked(sh);

    /* nginx.conf has begun it: failures of before count no more */

    ngx_http_async_upload_zone_unpack(event.old, &old);
    ngx_http_async_upload_zone_unpack(event.now, &now);

    if (ngx_http_async_upload_change_begins(&old, &now, event.type)
        && event.type != NGX_HTTP_ASYNC_UPLOAD_EVENT_RESTORED)
    {
        ngx_http_async_upload_change_open_locked(sh);
        sh->guard.budget = ngx_http_async_upload_zone_failures(sh);
        ngx_http_async_upload_change_close_locked(sh);
    }

    __atomic_store_n(&sh->taken, configs, __ATOMIC_RELEASE);
}


ngx_err_t
ngx_http_async_upload_change_plan(ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_word_t *old,
    const ngx_http_async_upload_word_t *word, ngx_log_t *log)
{
    ngx_err_t                         err;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    if (rollout->state_off) {
        return 0;
    }

    if (ngx_http_async_upload_change_write(rollout,
                                           NGX_HTTP_ASYNC_UPLOAD_CHANGE_WAIT)
        != NGX_OK)
    {
        return NGX_EBUSY;
    }

    /*
     * Whoever changes the word from now on writes the file once this is done;
     * who has done so before may have announced it.
     */

    if (ngx_http_async_upload_zone_load(&sh->word)
        != ngx_http_async_upload_zone_pack(old))
    {
        ngx_http_async_upload_change_done(sh);

        /* whoever has changed it may have found the file in use */

        (void) ngx_http_async_upload_change_settle(rollout, 0, log);

        return NGX_EAGAIN;
    }

    err = ngx_http_async_upload_change_file(rollout,
                               ngx_http_async_upload_zone_pack(word), 1, log);

    /* otherwise nobody else writes the word of now over it until it is true */

    if (err) {
        ngx_http_async_upload_change_done(sh);
    }

    return err;
}


ngx_int_t
ngx_http_async_upload_change_settle(ngx_http_async_upload_rollout_t *rollout,
    ngx_msec_t wait, ngx_log_t *log)
{
    uint64_t                          word, events;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    if (sh->follows) {
        ngx_http_async_upload_change_done(sh);
        return NGX_OK;
    }

    for ( ;; ) {

        events = ngx_http_async_upload_zone_load(&sh->events);
        word = ngx_http_async_upload_zone_load(&sh->word);

        if (ngx_http_async_upload_zone_load(&sh->said) == events
            && (rollout->state_off || sh->save_errno
                || (sh->saved_word == word && sh->saved_events == events)))
        {
            ngx_http_async_upload_change_done(sh);
            return NGX_OK;
        }

        if (ngx_http_async_upload_change_write(rollout, wait) != NGX_OK) {
            return NGX_AGAIN;
        }

        /*
         * What has been announced meanwhile must not be written over, and no
         * event be said before the word that it goes with is in the file.
         */

        events = ngx_http_async_upload_zone_load(&sh->events);
        word = ngx_http_async_upload_zone_load(&sh->word);

        if (!rollout->state_off
            && (sh->saved_word != word || sh->saved_events != events))
        {
            (void) ngx_http_async_upload_change_file(rollout, word, 1, log);
        }

        ngx_http_async_upload_change_say(rollout, events, log);
        ngx_http_async_upload_change_done(sh);
    }
}


void
ngx_http_async_upload_change_save(ngx_http_async_upload_rollout_t *rollout,
    uint64_t total, ngx_log_t *log)
{
    ngx_uint_t                        durable;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    if (rollout->state_off || sh->follows
        || ngx_http_async_upload_change_write(rollout, 0) != NGX_OK)
    {
        return;
    }

    /* what could not be saved when it happened */

    durable = (sh->save_errno != 0);

    if (ngx_http_async_upload_change_file(rollout,
                              ngx_http_async_upload_zone_load(&sh->word),
                              durable, log)
        == 0)
    {
        sh->saved_total = total;
    }

    ngx_http_async_upload_change_done(sh);

    /* what was changed meanwhile could not be written by whoever did it */

    (void) ngx_http_async_upload_change_settle(rollout, 0, log);
}


/*
 * One process at a time writes file and journal.  It may be killed meanwhile,
 * or hang for ever in a file system: then another one takes over.
 */

static ngx_int_t
ngx_http_async_upload_change_write(ngx_http_async_upload_rollout_t *rollout,
    ngx_msec_t wait)
{
    uint64_t                          writer, self, now;
    ngx_pid_t                         pid;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    for ( ;; ) {

        writer = ngx_http_async_upload_zone_load(&sh->writer);
        pid = (ngx_pid_t) (writer >> 32);

        /* no earlier than that of the writer, or it would be taken for stuck */

        now = ngx_http_async_upload_zone_clock() / 1000000;
        self = (uint64_t) ngx_pid << 32 | (now & 0xffffffff);

        if (writer == 0 || pid == ngx_pid
            || (kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH)
            || ((now - writer) & 0xffffffff)
               > NGX_HTTP_ASYNC_UPLOAD_CHANGE_STUCK)
        {
            if (__atomic_compare_exchange_n(&sh->writer, &writer, self, 0,
                                            __ATOMIC_ACQ_REL,
                                            __ATOMIC_ACQUIRE))
            {
                return NGX_OK;
            }

            continue;
        }

        if (wait == 0) {
            return NGX_AGAIN;
        }

        ngx_msleep(1);
        wait--;
    }
}


static void
ngx_http_async_upload_change_done(ngx_http_async_upload_zone_sh_t *sh)
{
    uint64_t  writer;

    writer = ngx_http_async_upload_zone_load(&sh->writer);

    if ((ngx_pid_t) (writer >> 32) == ngx_pid) {
        (void) __atomic_compare_exchange_n(&sh->writer, &writer, 0, 0,
                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
}


ngx_http_async_upload_state_t *
ngx_http_async_upload_change_state(void)
{
    static ngx_http_async_upload_state_t  state;

    return &state;
}


static ngx_err_t
ngx_http_async_upload_change_file(ngx_http_async_upload_rollout_t *rollout,
    uint64_t word, ngx_uint_t durable, ngx_log_t *log)
{
    uint64_t                          events, said, saved;
    ngx_err_t                         err;
    ngx_http_async_upload_state_t    *state;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    state = ngx_http_async_upload_change_state();

    said = ngx_http_async_upload_zone_load(&sh->said);
    events = ngx_http_async_upload_zone_load(&sh->events);

    ngx_http_async_upload_state_take(rollout, word, state);

    /* if this process is killed, nobody knows what is in the file */

    saved = sh->saved_word;
    __atomic_store_n(&sh->saved_word, 0, __ATOMIC_RELEASE);

    err = ngx_http_async_upload_state_write(rollout, state, durable, log);

    if (err) {
        if (sh->save_errno != (uint64_t) err) {
            ngx_log_error(NGX_LOG_ALERT, log, err,
                          "async_upload \"%V\": its state cannot be saved in "
                          "\"%V\"", &rollout->name, &rollout->state);
        }

        sh->saved_word = saved;
        sh->save_errno = err;
        return err;
    }

    if (sh->save_errno) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "async_upload \"%V\": its state is saved again",
                      &rollout->name);
    }

    sh->save_errno = 0;
    sh->saved_word = word;
    sh->saved_events = events;
    sh->saved_said = said;
    sh->saved_us = ngx_http_async_upload_zone_clock();

    return 0;
}


/* what is said twice, because its writer was killed, has the same number */

static void
ngx_http_async_upload_change_say(ngx_http_async_upload_rollout_t *rollout,
    uint64_t events, ngx_log_t *log)
{
    uint64_t                          seq;
    ngx_http_async_upload_zone_sh_t  *sh;
    ngx_http_async_upload_event_sh_t  event;

    sh = rollout->sh;

    for (seq = sh->said + 1; seq <= events; seq++) {

        if (ngx_http_async_upload_event_read(sh, seq, &event) == NGX_OK) {
            (void) ngx_http_async_upload_journal_say(rollout, &event, log);
        }

        __atomic_store_n(&sh->said, seq, __ATOMIC_RELEASE);
    }
}
