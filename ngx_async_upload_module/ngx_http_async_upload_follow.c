
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_follow.h"
#include "ngx_http_async_upload_change.h"
#include "ngx_http_async_upload_name.h"


/* a file of that age is of a master that decides no more, in ms */
#define NGX_HTTP_ASYNC_UPLOAD_FOLLOW_SILENT  60000


static void ngx_http_async_upload_follow_late(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_state_t *state, ngx_log_t *log);
static ngx_uint_t ngx_http_async_upload_follow_silent(
    ngx_http_async_upload_zone_sh_t *sh);
static void ngx_http_async_upload_follow_word(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_state_t *state, ngx_log_t *log);
static void ngx_http_async_upload_follow_over(
    ngx_http_async_upload_rollout_t *rollout, uint64_t master,
    ngx_log_t *log);
static ngx_uint_t ngx_http_async_upload_follow_alive(uint64_t pid);


ngx_uint_t
ngx_http_async_upload_follow(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log)
{
    uint64_t                          self, master;
    ngx_int_t                         rc;
    ngx_http_async_upload_state_t    *state;
    ngx_http_async_upload_zone_sh_t  *sh;

    if (rollout->state_off) {
        return 0;
    }

    sh = rollout->sh;

    state = ngx_http_async_upload_change_state();

    self = ngx_process == NGX_PROCESS_SINGLE ? ngx_pid : ngx_parent;

    rc = ngx_http_async_upload_state_peek(rollout, &sh->file_inode,
                                          &sh->file_mtime, state, log);

    if (rc == NGX_OK && state->term < sh->term) {

        if (sh->saved_us == 0) {
            ngx_http_async_upload_follow_late(rollout, state, log);
        }

        /* an older one has written once more before it knew: once again */

        sh->saved_word = 0;
    }

    if (rc == NGX_OK && state->term > sh->term && state->master != self) {

        if (sh->follows != state->master) {
            ngx_log_error(NGX_LOG_NOTICE, log, 0,
                          "async_upload \"%V\": nginx of process %uL decides "
                          "from now on", &rollout->name, state->master);

            __atomic_store_n(&sh->follows, state->master, __ATOMIC_RELEASE);
        }

        ngx_http_async_upload_follow_word(rollout, state, log);
    }

    /* it may have come and gone since the last look */

    master = ngx_http_async_upload_zone_load(&sh->follows);

    if (master == 0) {
        return 0;
    }

    if (ngx_http_async_upload_follow_alive(master)
        && !ngx_http_async_upload_follow_silent(sh))
    {
        return 1;
    }

    /* one process takes over; if it is killed meanwhile, another one does */

    if (!__atomic_compare_exchange_n(&sh->follows, &master, ngx_pid, 0,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    {
        return 1;
    }

    ngx_http_async_upload_follow_over(rollout, master, log);

    return 0;
}


/*
 * An older master has lowered the share after this one had read the file and
 * before it wrote it for the first time: then that is how it is.
 */

static void
ngx_http_async_upload_follow_late(ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_state_t *state, ngx_log_t *log)
{
    ngx_http_async_upload_word_t      old, now;
    ngx_http_async_upload_event_sh_t  event;

    if (state->word == rollout->sh->saved_word) {
        return;
    }

    ngx_http_async_upload_zone_word(rollout->sh, &old);
    ngx_http_async_upload_zone_unpack(state->word, &now);

    if (ngx_http_async_upload_zone_share(&now)
        >= ngx_http_async_upload_zone_share(&old)
        || (now.state == NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK
            && now.beneath != NGX_HTTP_ASYNC_UPLOAD_STATE_OFF))
    {
        return;
    }

    ngx_memzero(&event, sizeof(ngx_http_async_upload_event_sh_t));

    event.type = NGX_HTTP_ASYNC_UPLOAD_EVENT_FOLLOW;
    event.actor = NGX_HTTP_ASYNC_UPLOAD_ACTOR_GUARD;

    (void) ngx_slprintf(event.why, event.why + sizeof(event.why) - 1,
                        "process %uL has lowered the share meanwhile",
                        state->master);

    now.epoch = ngx_http_async_upload_change_epoch(ngx_max(old.epoch,
                                                           now.epoch));

    (void) ngx_http_async_upload_change_word(rollout, &old, &now, &event, NULL,
                                             NULL);
}


/*
 * A master that decides writes the file every 20 seconds at least; one whose
 * workers only end what they have, which may take hours, does not.
 */

static ngx_uint_t
ngx_http_async_upload_follow_silent(ngx_http_async_upload_zone_sh_t *sh)
{
    uint64_t  now;

    now = ngx_http_async_upload_change_wall();

    return now > sh->file_mtime / 1000000
           && now - sh->file_mtime / 1000000
              > NGX_HTTP_ASYNC_UPLOAD_FOLLOW_SILENT;
}


static void
ngx_http_async_upload_follow_word(ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_state_t *state, ngx_log_t *log)
{
    uint64_t                          before, word;
    ngx_http_async_upload_word_t      old, now;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;
    word = state->word;
    before = ngx_http_async_upload_zone_load(&sh->word);

    if (before == word) {
        return;
    }

    if (!__atomic_compare_exchange_n(&sh->word, &before, word, 0,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    {
        /* the next tick; the file is to be read again then */
        sh->file_mtime = 0;
        return;
    }

    ngx_http_async_upload_zone_unpack(before, &old);
    ngx_http_async_upload_zone_unpack(word, &now);

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "async_upload \"%V\": %V, %ui -> %V, %ui bp, follows process "
                  "%uL", &rollout->name,
                  &ngx_http_async_upload_name_states[old.state], old.share,
                  &ngx_http_async_upload_name_states[now.state], now.share,
                  state->master);
}


/* the newer one is gone: what it has left is the state of now */

static void
ngx_http_async_upload_follow_over(ngx_http_async_upload_rollout_t *rollout,
    uint64_t master, ngx_log_t *log)
{
    const char                       *why;
    ngx_shmtx_t                      *mutex;
    ngx_http_async_upload_state_t    *state;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;
    state = ngx_http_async_upload_change_state();

    if (ngx_http_async_upload_state_read(rollout, state, &why, log)
        == NGX_OK)
    {
        ngx_http_async_upload_follow_word(rollout, state, log);

        mutex = ngx_http_async_upload_change_mutex(rollout);

        ngx_shmtx_lock(mutex);

        ngx_memcpy(sh->event, state->event, sizeof(sh->event));

        /* of events that had these numbers here, if any */

        ngx_memzero(sh->record, sizeof(sh->record));

        __atomic_store_n(&sh->events, state->events, __ATOMIC_RELEASE);

        sh->said = state->events;
        sh->term = state->term + 1;

        ngx_shmtx_unlock(mutex);

    } else {
        sh->term++;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "async_upload \"%V\": process %uL is gone, this nginx "
                  "decides again", &rollout->name, master);

    /* to be written as this one's */
    sh->saved_word = 0;

    __atomic_store_n(&sh->follows, 0, __ATOMIC_RELEASE);
}


static ngx_uint_t
ngx_http_async_upload_follow_alive(uint64_t pid)
{
    /* with the pid of this process, it was another one's before */

    return pid != (uint64_t) ngx_pid
           && (kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH);
}
