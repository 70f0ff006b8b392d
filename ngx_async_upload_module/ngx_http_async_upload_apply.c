
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_apply.h"
#include "ngx_http_async_upload_change.h"


static uint64_t ngx_http_async_upload_apply_past(
    ngx_http_async_upload_rollout_t *rollout, u_char *why, ngx_uint_t *type,
    ngx_log_t *log);
static ngx_http_async_upload_rollout_t *ngx_http_async_upload_apply_other(
    ngx_http_async_upload_rollout_t *rollout);
static uint64_t ngx_http_async_upload_apply_file(
    ngx_http_async_upload_rollout_t *rollout, u_char *why, ngx_uint_t *type,
    ngx_log_t *log);
static uint64_t ngx_http_async_upload_apply_first(
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t state);
static void ngx_http_async_upload_apply_conf(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_applied_t *conf);
static uint32_t ngx_http_async_upload_apply_crc(ngx_array_t *strings,
    size_t size);
static void ngx_http_async_upload_apply_change(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_applied_t *conf,
    ngx_http_async_upload_word_t *word, u_char *why);
static ngx_uint_t ngx_http_async_upload_apply_stages(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_word_t *word);
static void ngx_http_async_upload_apply_enabled(
    ngx_http_async_upload_rollout_t *rollout, ngx_uint_t changed,
    ngx_http_async_upload_word_t *word);
static void ngx_http_async_upload_apply_why(u_char *why, const char *what);
static void ngx_http_async_upload_apply_leave(
    ngx_http_async_upload_zone_sh_t *sh, uint64_t before, uint64_t after,
    ngx_uint_t type, u_char *why);


void
ngx_http_async_upload_apply(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log)
{
    u_char                            why[NGX_HTTP_ASYNC_UPLOAD_WHY];
    uint64_t                          before, after, start;
    ngx_uint_t                        type;
    ngx_http_async_upload_word_t      old, now;
    ngx_http_async_upload_zone_sh_t  *sh;
    ngx_http_async_upload_applied_t   conf;

    sh = rollout->sh;
    type = NGX_HTTP_ASYNC_UPLOAD_EVENT_CONFIG;
    start = 0;

    ngx_memzero(why, sizeof(why));

    if (!sh->applied.done) {
        start = ngx_http_async_upload_apply_past(rollout, why, &type, log);

        __atomic_store_n(&sh->word, start, __ATOMIC_RELEASE);
    }

    ngx_http_async_upload_apply_conf(rollout, &conf);

    before = ngx_http_async_upload_zone_load(&sh->word);

    do {
        ngx_http_async_upload_zone_unpack(before, &old);
        now = old;

        ngx_http_async_upload_apply_change(rollout, &conf, &now, NULL);

        after = ngx_http_async_upload_zone_pack(&now);

    } while (!__atomic_compare_exchange_n(&sh->word, &before, after, 0,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));

    now = old;
    ngx_http_async_upload_apply_change(rollout, &conf, &now, why);

    if (sh->applied.done && sh->applied.identity != conf.identity) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "async_upload \"%V\": key or hash has changed, all "
                      "clients are reshuffled", &rollout->name);
    }

    if (before != after || why[0] != '\0') {
        ngx_http_async_upload_apply_leave(sh, before, after, type, why);
    }

    sh->applied = conf;

    __atomic_store_n(&sh->generation, sh->generation + 1, __ATOMIC_RELEASE);

    rollout->generation = sh->generation;
}


/* the state word of a zone that is new: from where there is a past */

static uint64_t
ngx_http_async_upload_apply_past(ngx_http_async_upload_rollout_t *rollout,
    u_char *why, ngx_uint_t *type, ngx_log_t *log)
{
    uint64_t                          word;
    ngx_http_async_upload_state_t    *state;
    ngx_http_async_upload_rollout_t  *other;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    /* the term of a zone is never 0: that of a file that was never written */
    sh->term = 1;

    other = ngx_http_async_upload_apply_other(rollout);

    if (other == NULL) {
        return ngx_http_async_upload_apply_file(rollout, why, type, log);
    }

    /* from now on the workers of the other zone decide and write nothing */

    __atomic_store_n(&other->sh->generation, other->sh->generation + 1,
                     __ATOMIC_SEQ_CST);

    word = ngx_http_async_upload_zone_load(&other->sh->word);

    state = ngx_http_async_upload_change_state();

    ngx_http_async_upload_state_take(other, word, state);
    ngx_http_async_upload_state_fill(sh, state,
                                     ngx_http_async_upload_zone_now());

    sh->term = other->sh->term;
    sh->follows = other->sh->follows;
    sh->generation = other->sh->generation;
    sh->applied = other->sh->applied;

    ngx_http_async_upload_apply_why(why, "size of the zone");

    return word;
}


/* that of the same name and another size, in the cycle that is replaced */

static ngx_http_async_upload_rollout_t *
ngx_http_async_upload_apply_other(ngx_http_async_upload_rollout_t *rollout)
{
    ngx_str_t                        *name;
    ngx_uint_t                        i;
    ngx_cycle_t                      *old;
    ngx_shm_zone_t                   *zone;
    ngx_list_part_t                  *part;
    ngx_http_async_upload_rollout_t  *other;

    old = rollout->cycle->old_cycle;

    if (old == NULL || ngx_is_init_cycle(old)) {
        return NULL;
    }

    name = &rollout->shm_zone->shm.name;
    part = &old->shared_memory.part;
    zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        if (zone[i].tag != &ngx_http_async_upload_module
            || zone[i].shm.name.len != name->len
            || ngx_strncmp(zone[i].shm.name.data, name->data, name->len) != 0)
        {
            continue;
        }

        other = zone[i].data;

        return (other && other->sh && other->sh->applied.done) ? other : NULL;
    }
}


static uint64_t
ngx_http_async_upload_apply_file(ngx_http_async_upload_rollout_t *rollout,
    u_char *why, ngx_uint_t *type, ngx_log_t *log)
{
    const char                       *wrong;
    ngx_http_async_upload_word_t      word;
    ngx_http_async_upload_state_t    *state;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;

    if (rollout->state_off) {
        *type = NGX_HTTP_ASYNC_UPLOAD_EVENT_STARTED;
        ngx_http_async_upload_apply_why(why, "without a state file");

        return ngx_http_async_upload_apply_first(rollout,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK);
    }

    state = ngx_http_async_upload_change_state();
    wrong = NULL;

    switch (ngx_http_async_upload_state_read(rollout, state, &wrong, log)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        *type = NGX_HTTP_ASYNC_UPLOAD_EVENT_STARTED;
        ngx_http_async_upload_apply_why(why, "for the first time");

        return ngx_http_async_upload_apply_first(rollout,
                                         NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING);

    default:
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "async_upload \"%V\": state file \"%V\" is refused: %s; "
                      "the rollout is rolled back to 0%% until it is resumed",
                      &rollout->name, &rollout->state, wrong);

        ngx_http_async_upload_state_set_aside(rollout, log);

        *type = NGX_HTTP_ASYNC_UPLOAD_EVENT_REFUSED;
        ngx_http_async_upload_apply_why(why, wrong);

        return ngx_http_async_upload_apply_first(rollout,
                                     NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK);
    }

    ngx_http_async_upload_state_fill(sh, state,
                                     ngx_http_async_upload_zone_now());

    sh->term = state->term + 1;
    sh->generation = state->generation;
    sh->saved_word = state->word;

    ngx_http_async_upload_zone_unpack(state->word, &word);

    if (word.state == NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK
        && word.beneath != NGX_HTTP_ASYNC_UPLOAD_STATE_OFF)
    {
        /* a drill was not over; nothing of it goes on */

        word.state = word.beneath;
        word.beneath = NGX_HTTP_ASYNC_UPLOAD_STATE_OFF;
    }

    *type = NGX_HTTP_ASYNC_UPLOAD_EVENT_RESTORED;
    ngx_http_async_upload_apply_why(why, "state file");

    return ngx_http_async_upload_zone_pack(&word);
}


/* without a past: as nginx.conf says, "state" beneath if it is off */

static uint64_t
ngx_http_async_upload_apply_first(ngx_http_async_upload_rollout_t *rollout,
    ngx_uint_t state)
{
    ngx_http_async_upload_word_t  word;

    word.state = rollout->enabled ? state : NGX_HTTP_ASYNC_UPLOAD_STATE_OFF;
    word.beneath = rollout->enabled ? NGX_HTTP_ASYNC_UPLOAD_STATE_OFF : state;
    word.share = rollout->share;
    word.stage = rollout->stages ? 1 : 0;
    word.epoch = 1;

    return ngx_http_async_upload_zone_pack(&word);
}


/* what nginx.conf says, in the form in which it is compared later */

static void
ngx_http_async_upload_apply_conf(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_applied_t *conf)
{
    uint32_t                        crc;
    ngx_uint_t                      i;
    ngx_http_async_upload_stage_t  *stage;

    ngx_memzero(conf, sizeof(ngx_http_async_upload_applied_t));

    conf->done = 1;
    conf->enabled = rollout->enabled;
    conf->share = rollout->share;

    ngx_crc32_init(crc);

    if (rollout->stages) {
        stage = rollout->stages->elts;

        conf->stages = rollout->stages->nelts;

        for (i = 0; i < conf->stages; i++) {
            conf->stage[i] = stage[i].share;
        }

        ngx_crc32_update(&crc, (u_char *) stage,
                         conf->stages * sizeof(ngx_http_async_upload_stage_t));
    }

    ngx_crc32_update(&crc, (u_char *) &rollout->rollback,
                     sizeof(ngx_http_async_upload_rollback_t));
    ngx_crc32_update(&crc, (u_char *) &rollout->review,
                     sizeof(ngx_http_async_upload_review_t));
    ngx_crc32_update(&crc, (u_char *) &rollout->statistics,
                     sizeof(ngx_http_async_upload_statistics_t));
    ngx_crc32_final(crc);

    conf->gates = crc;

    conf->async = ngx_crc32_long(rollout->async_name.data,
                                 rollout->async_name.len);

    /* an ngx_str_t comes first in a key, too */

    conf->identity = (uint64_t)
              ngx_http_async_upload_apply_crc(rollout->keys,
                                     sizeof(ngx_http_async_upload_key_t)) << 32
              | (ngx_http_async_upload_apply_crc(rollout->hash_args,
                                                 sizeof(ngx_str_t))
                 ^ rollout->hash_mode);
}


static uint32_t
ngx_http_async_upload_apply_crc(ngx_array_t *strings, size_t size)
{
    u_char      *p;
    uint32_t     crc;
    ngx_str_t   *s;
    ngx_uint_t   i;

    ngx_crc32_init(crc);

    p = strings->elts;

    for (i = 0; i < strings->nelts; i++, p += size) {
        s = (ngx_str_t *) p;

        ngx_crc32_update(&crc, (u_char *) &s->len, sizeof(size_t));
        ngx_crc32_update(&crc, s->data, s->len);
    }

    ngx_crc32_final(crc);

    return crc;
}


/* only what has changed in nginx.conf is the operator speaking */

static void
ngx_http_async_upload_apply_change(ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_applied_t *conf,
    ngx_http_async_upload_word_t *word, u_char *why)
{
    ngx_uint_t                        anew, enabled;
    ngx_http_async_upload_applied_t  *was;

    was = &rollout->sh->applied;

    if (!was->done) {

        /* the word is what nginx.conf says, or a file says nothing of it */

        ngx_http_async_upload_apply_enabled(rollout, 0, word);
        return;
    }

    anew = 0;

    if (conf->stages != was->stages
        || ngx_memcmp(conf->stage, was->stage, sizeof(conf->stage)) != 0)
    {
        anew = ngx_http_async_upload_apply_stages(rollout, word);
        ngx_http_async_upload_apply_why(why, "stages");

    } else if (conf->stages == 0 && conf->share != was->share) {

        anew = 1;
        word->share = conf->share;

        if (word->state == NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW) {
            word->state = NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING;
            word->beneath = NGX_HTTP_ASYNC_UPLOAD_STATE_OFF;
        }

        ngx_http_async_upload_apply_why(why, "share");
    }

    if (conf->gates != was->gates) {
        ngx_http_async_upload_apply_why(why, "rules");
    }

    if (conf->async != was->async) {
        anew = 1;
        ngx_http_async_upload_apply_why(why, "async upstream");
    }

    if (conf->identity != was->identity) {
        anew = 1;
        ngx_http_async_upload_apply_why(why, "key or hash, reshuffled");
    }

    enabled = word->state;

    ngx_http_async_upload_apply_enabled(rollout, conf->enabled != was->enabled,
                                        word);

    if (word->state != enabled) {
        anew = 1;
        ngx_http_async_upload_apply_why(why, "enabled");
    }

    if (anew) {
        word->epoch = ngx_http_async_upload_change_epoch(word->epoch);
    }
}


/* the stage of the same share, or the highest below it, or the first */

static ngx_uint_t
ngx_http_async_upload_apply_stages(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_word_t *word)
{
    ngx_uint_t                      i, n, *state;
    ngx_http_async_upload_stage_t  *stage;

    /* "complete" is only at the last stage */

    state = (word->state == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF) ? &word->beneath
                                                             : &word->state;

    if (rollout->stages == NULL) {
        word->stage = 0;
        word->share = rollout->share;

    } else {
        n = rollout->stages->nelts;
        stage = rollout->stages->elts;

        for (i = n; i > 1; i--) {
            if (stage[i - 1].share <= word->share) {
                break;
            }
        }

        word->stage = i;
        word->share = stage[i - 1].share;

        if (i == n) {
            return 1;
        }
    }

    if (*state == NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE) {
        *state = NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING;
    }

    return 1;
}


/* an "off" of nginx.conf is absolute, that of a default only where it begins */

static void
ngx_http_async_upload_apply_enabled(ngx_http_async_upload_rollout_t *rollout,
    ngx_uint_t changed, ngx_http_async_upload_word_t *word)
{
    ngx_uint_t  beneath;

    if (rollout->enabled) {

        if (changed && word->state == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF) {
            beneath = word->beneath;

            word->state = beneath ? beneath
                                  : NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING;
            word->beneath = NGX_HTTP_ASYNC_UPLOAD_STATE_OFF;
        }

        return;
    }

    if ((changed
         || rollout->enabled_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF)
        && word->state != NGX_HTTP_ASYNC_UPLOAD_STATE_OFF)
    {
        beneath = word->state;

        if (beneath == NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK
            && word->beneath != NGX_HTTP_ASYNC_UPLOAD_STATE_OFF)
        {
            /* in the middle of a drill */
            beneath = word->beneath;
        }

        word->beneath = beneath;
        word->state = NGX_HTTP_ASYNC_UPLOAD_STATE_OFF;
    }
}


static void
ngx_http_async_upload_apply_why(u_char *why, const char *what)
{
    size_t  len;

    if (why == NULL) {
        return;
    }

    len = ngx_strlen(why);

    (void) ngx_slprintf(why + len, why + NGX_HTTP_ASYNC_UPLOAD_WHY - 1,
                        "%s%s%Z", len ? ", " : "", what);
}


/* the event, for a worker to take */

static void
ngx_http_async_upload_apply_leave(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t before, uint64_t after, ngx_uint_t type, u_char *why)
{
    if (sh->taken == sh->configs) {
        sh->configs_old = before;
        sh->configs_type = type;
    }

    sh->configs_now = after;
    ngx_memcpy(sh->configs_why, why, NGX_HTTP_ASYNC_UPLOAD_WHY);

    __atomic_store_n(&sh->configs, sh->configs + 1, __ATOMIC_RELEASE);
}
