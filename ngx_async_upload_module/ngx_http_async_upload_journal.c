
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_journal.h"
#include "ngx_http_async_upload_dossier.h"
#include "ngx_http_async_upload_event.h"
#include "ngx_http_async_upload_measure.h"
#include "ngx_http_async_upload_name.h"


/*
 * A journal line but for the rollout's name: who and why, of which each byte
 * may take six, and less than 1200 bytes of all else.
 */

#define NGX_HTTP_ASYNC_UPLOAD_JOURNAL_LINE                                    \
    (6 * (NGX_HTTP_ASYNC_UPLOAD_WHO + NGX_HTTP_ASYNC_UPLOAD_WHY) + 1200)

/* the same of a line in the log, of which nginx cuts off what is over 2048 */

#define NGX_HTTP_ASYNC_UPLOAD_JOURNAL_TEXT                                    \
    (4 * (NGX_HTTP_ASYNC_UPLOAD_WHO + NGX_HTTP_ASYNC_UPLOAD_WHY) + 400)


static void ngx_http_async_upload_journal_word(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t word);
static void ngx_http_async_upload_journal_arms(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event);
static void ngx_http_async_upload_journal_log(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_event_sh_t *event, ngx_log_t *log);
static void ngx_http_async_upload_journal_shares(
    ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event);
static ngx_int_t ngx_http_async_upload_journal_write(
    ngx_http_async_upload_rollout_t *rollout, u_char *line, size_t len,
    ngx_log_t *log);


void
ngx_http_async_upload_journal_render(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_event_sh_t *event, ngx_uint_t figures,
    const ngx_http_async_upload_record_sh_t *record)
{
    ngx_str_t                     *name;
    ngx_http_async_upload_word_t   word;

    ngx_http_async_upload_zone_unpack(event->now, &word);

    ngx_http_async_upload_json_object(w, NULL);

    ngx_http_async_upload_measure_time(w, "time", event->time_ms);
    ngx_http_async_upload_json_uint(w, "sequence", event->seq);
    ngx_http_async_upload_json_uint(w, "epoch", word.epoch);
    ngx_http_async_upload_json_string(w, "rollout", rollout->name.data,
                                      rollout->name.len);

    name = ngx_http_async_upload_journal_event(event);
    ngx_http_async_upload_json_word(w, "event", name->data, name->len);

    ngx_http_async_upload_json_object(w, "actor");

    name = ngx_http_async_upload_journal_actor(event);
    ngx_http_async_upload_json_word(w, "kind", name->data, name->len);

    if (event->who[0]) {
        ngx_http_async_upload_json_literal(w, "who", (char *) event->who);
    }

    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_journal_word(w, "from", event->old);
    ngx_http_async_upload_journal_word(w, "to", event->now);

    if (event->why[0]) {
        ngx_http_async_upload_json_literal(w, "reason", (char *) event->why);

    } else {
        ngx_http_async_upload_json_null(w, "reason");
    }

    ngx_http_async_upload_measure_rule(w, "rule", event->rule, event->value,
                                       event->limit);

    ngx_http_async_upload_json_bool(w, "dry_run", event->dry_run != 0);

    if (figures) {
        ngx_http_async_upload_journal_arms(w, event);
    }

    if (record) {
        ngx_http_async_upload_dossier_write(w, "record", &record->conf,
                                            &record->in, &record->decision);
    }

    ngx_http_async_upload_json_end(w);
}


ngx_str_t *
ngx_http_async_upload_journal_event(
    const ngx_http_async_upload_event_sh_t *event)
{
    return &ngx_http_async_upload_name_events[
                event->type < NGX_HTTP_ASYNC_UPLOAD_EVENTS ? event->type : 0];
}


ngx_str_t *
ngx_http_async_upload_journal_actor(
    const ngx_http_async_upload_event_sh_t *event)
{
    return &ngx_http_async_upload_name_actors[
              event->actor < NGX_HTTP_ASYNC_UPLOAD_ACTORS ? event->actor : 0];
}


ngx_int_t
ngx_http_async_upload_journal_say(ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_event_sh_t *event, ngx_log_t *log)
{
    size_t                              size;
    u_char                             *line;
    ngx_int_t                           rc;
    ngx_uint_t                          decided;
    ngx_http_async_upload_json_t        w;
    ngx_http_async_upload_record_sh_t   record;

    ngx_http_async_upload_journal_log(rollout, event, log);

    if (rollout->journal == NULL) {
        return NGX_OK;
    }

    size = NGX_HTTP_ASYNC_UPLOAD_JOURNAL_LINE + 6 * rollout->name.len
           + NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SIZE;

    line = ngx_alloc(size, log);
    if (line == NULL) {
        return NGX_ERROR;
    }

    ngx_http_async_upload_json_init(&w, line, size, NULL, NULL);

    /* after a line that could not be written to its end */

    if (rollout->journal_cut) {
        ngx_http_async_upload_json_text(&w, "\n");
    }

    decided = (ngx_http_async_upload_event_recall(rollout->sh, event->seq,
                                                  &record)
               == NGX_OK);

    ngx_http_async_upload_journal_render(&w, rollout, event, 1,
                                         decided ? &record : NULL);
    ngx_http_async_upload_json_text(&w, "\n");

    size = ngx_http_async_upload_json_done(&w);

    if (w.failed) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "async_upload \"%V\": an event is too long for its line",
                      &rollout->name);
        rc = NGX_ERROR;

    } else {
        rc = ngx_http_async_upload_journal_write(rollout, line, size, log);
    }

    ngx_free(line);

    return rc;
}


/* piece by piece, as a page has many of them */

static void
ngx_http_async_upload_journal_word(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t v)
{
    ngx_str_t                     *name;
    ngx_http_async_upload_word_t   word;

    ngx_http_async_upload_zone_unpack(v, &word);

    name = &ngx_http_async_upload_name_states[
                ngx_min(word.state, NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE)];

    ngx_http_async_upload_json_object(w, key);
    ngx_http_async_upload_json_text(w, "\"state\":\"");
    ngx_http_async_upload_json_put(w, name->data, name->len);

    if (word.stage) {
        ngx_http_async_upload_json_text(w, "\",\"stage\":");
        ngx_http_async_upload_json_put_uint(w, word.stage);
        ngx_http_async_upload_json_text(w, ",\"share_bp\":");

    } else {
        ngx_http_async_upload_json_text(w,
                                  "\",\"stage\":null,\"share_bp\":");
    }

    ngx_http_async_upload_json_put_uint(w,
                                    ngx_http_async_upload_zone_share(&word));
    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_journal_arms(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event)
{
    ngx_uint_t                              i;
    const ngx_http_async_upload_figures_t  *arm;

    ngx_http_async_upload_json_object(w, "arms");

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_ARMS; i++) {
        arm = &event->arm[i];

        ngx_http_async_upload_json_name(w,
                                      ngx_http_async_upload_name_arms[i].data,
                                      ngx_http_async_upload_name_arms[i].len);
        ngx_http_async_upload_json_object(w, NULL);
        ngx_http_async_upload_json_uint(w, "success", arm->success);
        ngx_http_async_upload_json_uint(w, "failure", arm->failure);
        ngx_http_async_upload_json_uint(w, "rejected", arm->rejected);
        ngx_http_async_upload_json_uint(w, "aborted", arm->aborted);

        if (arm->p95_us) {
            ngx_http_async_upload_json_uint(w, "p95_us", arm->p95_us);

        } else {
            ngx_http_async_upload_json_null(w, "p95_us");
        }

        ngx_http_async_upload_json_end(w);
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_journal_log(ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_event_sh_t *event, ngx_log_t *log)
{
    size_t                         len;
    u_char                         text[NGX_HTTP_ASYNC_UPLOAD_JOURNAL_TEXT];
    ngx_uint_t                     level;
    ngx_http_async_upload_json_t   w;

    switch (event->type) {

    case NGX_HTTP_ASYNC_UPLOAD_EVENT_ROLLBACK:
        level = event->dry_run ? NGX_LOG_WARN : NGX_LOG_ERR;
        break;

    case NGX_HTTP_ASYNC_UPLOAD_EVENT_REVIEW:
    case NGX_HTTP_ASYNC_UPLOAD_EVENT_REFUSED:
        level = NGX_LOG_WARN;
        break;

    default:
        level = NGX_LOG_NOTICE;
    }

    if (log->log_level < level) {
        return;
    }

    ngx_http_async_upload_json_init(&w, text, sizeof(text), NULL, NULL);
    ngx_http_async_upload_journal_tell(&w, event);
    len = ngx_http_async_upload_json_done(&w);

    ngx_log_error(level, log, 0, "async_upload \"%V\": %*s",
                  &rollout->name, len, text);
}


void
ngx_http_async_upload_journal_tell(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event)
{
    ngx_http_async_upload_journal_what(w, event);

    if (event->who[0]) {
        ngx_http_async_upload_json_text(w, " (");
        ngx_http_async_upload_measure_tell_plain(w, event->who,
                                                 ngx_strlen(event->who));
        ngx_http_async_upload_json_text(w, ")");
    }

    if (event->why[0]) {
        ngx_http_async_upload_json_text(w, ", reason \"");
        ngx_http_async_upload_measure_tell_plain(w, event->why,
                                                 ngx_strlen(event->why));
        ngx_http_async_upload_json_text(w, "\"");
    }
}


void
ngx_http_async_upload_journal_what(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event)
{
    ngx_str_t                     *name;
    ngx_http_async_upload_word_t   now;

    if (event->dry_run) {
        ngx_http_async_upload_json_text(w, "dry run: ");
    }

    ngx_http_async_upload_journal_shares(w, event);
    ngx_http_async_upload_zone_unpack(event->now, &now);

    if (now.stage) {
        ngx_http_async_upload_json_text(w, ", stage ");
        ngx_http_async_upload_json_text_uint(w, now.stage);
    }

    if (event->rule != NGX_HTTP_ASYNC_UPLOAD_GUARD_NONE
        && event->rule < NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS)
    {
        ngx_http_async_upload_json_text(w, ", rule ");
        ngx_http_async_upload_json_text(w,
                              ngx_http_async_upload_guard_names[event->rule]);

        if (ngx_http_async_upload_measure_unit(event->rule)) {
            ngx_http_async_upload_json_text(w, " (");
            ngx_http_async_upload_measure_tell_rule(w, event->rule,
                                                    event->value,
                                                    event->limit);
            ngx_http_async_upload_json_text(w, ")");
        }
    }

    name = ngx_http_async_upload_journal_actor(event);
    ngx_http_async_upload_json_text(w, ", by ");
    ngx_http_async_upload_json_put(w, name->data, name->len);
}


/* what has happened to the share, and what it is called */

static void
ngx_http_async_upload_journal_shares(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event)
{
    ngx_str_t                     *name;
    ngx_uint_t                     from, to;
    ngx_http_async_upload_word_t   old, now;

    ngx_http_async_upload_zone_unpack(event->old, &old);
    ngx_http_async_upload_zone_unpack(event->now, &now);

    from = ngx_http_async_upload_zone_share(&old);
    to = ngx_http_async_upload_zone_share(&now);

    switch (event->type) {

    case NGX_HTTP_ASYNC_UPLOAD_EVENT_ROLLBACK:
        ngx_http_async_upload_json_text(w, "ROLLBACK ");
        break;

    case NGX_HTTP_ASYNC_UPLOAD_EVENT_REVIEW:
        ngx_http_async_upload_json_text(w, "REVIEW ");
        break;

    case NGX_HTTP_ASYNC_UPLOAD_EVENT_SHARE:
    case NGX_HTTP_ASYNC_UPLOAD_EVENT_ADVANCE:
        if (from != to) {
            break;
        }

        /* fall through */

    default:
        name = ngx_http_async_upload_journal_event(event);
        ngx_http_async_upload_json_put(w, name->data, name->len);
        ngx_http_async_upload_json_text(w, " ");
    }

    if (from == to) {
        ngx_http_async_upload_json_text(w, "at ");

    } else {
        ngx_http_async_upload_json_text_uint(w, from);
        ngx_http_async_upload_json_text(w, " -> ");
    }

    ngx_http_async_upload_json_text_uint(w, to);
    ngx_http_async_upload_json_text(w, " bp");
}


static ngx_int_t
ngx_http_async_upload_journal_write(ngx_http_async_upload_rollout_t *rollout,
    u_char *line, size_t len, ngx_log_t *log)
{
    ssize_t    n;
    ngx_err_t  err;

    n = ngx_write_fd(rollout->journal->fd, line, len);

    if (n == (ssize_t) len) {
        rollout->journal_failed = 0;
        rollout->journal_cut = 0;
        return NGX_OK;
    }

    err = (n == -1) ? ngx_errno : 0;

    if (n > 0) {
        rollout->journal_cut = 1;
    }

    if (!rollout->journal_failed) {
        ngx_log_error(NGX_LOG_ALERT, log, err,
                      "async_upload \"%V\": journal \"%V\" was not written",
                      &rollout->name, &rollout->journal->name);
    }

    rollout->journal_failed = 1;

    return NGX_ERROR;
}
