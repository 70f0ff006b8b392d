
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_journal.h"
#include "ngx_http_async_upload_guard.h"
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

#define NGX_HTTP_ASYNC_UPLOAD_JOURNAL_DIGITS  6


/* the units of what rules see, in the order of guard_reason_e */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_NONE = 0,
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_UPLOADS,
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_SIGNALS,
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_COMPLAINTS,
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_RATIO,
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_MS,
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_EVIDENCE
} ngx_http_async_upload_journal_unit_e;


static void ngx_http_async_upload_journal_time(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t ms);
static void ngx_http_async_upload_journal_word(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t word);
static void ngx_http_async_upload_journal_arms(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event);
static void ngx_http_async_upload_journal_log(
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_event_sh_t *event, ngx_log_t *log);
static void ngx_http_async_upload_journal_what(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_event_sh_t *event);
static ngx_int_t ngx_http_async_upload_journal_write(
    ngx_http_async_upload_rollout_t *rollout, u_char *line, size_t len,
    ngx_log_t *log);
static ngx_uint_t ngx_http_async_upload_journal_is(uint64_t rule);


static const char  *ngx_http_async_upload_journal_units[] = {
    NULL,
    "uploads",
    "signals",
    "complaints",
    "ppm",
    "ratio",
    "ms",
    "evidence"
};


static const u_char  ngx_http_async_upload_journal_rules[] = {
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_NONE,         /* none */

    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_SIGNALS,      /* critical */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_RATIO,        /* memory */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_UPLOADS,      /* consecutive */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_MS,           /* no_live_peer */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_UPLOADS,      /* budget */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* literal_stage */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* literal_5min */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* evidence_success */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* evidence_error */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* rejected */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* aborted */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_MS,           /* unattended */

    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_NONE,         /* no_way_back */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* literal_success_30min */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_RATIO,        /* literal_latency */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_COMPLAINTS,   /* complaints */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* rejected_no_reference */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* aborted_no_reference */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* evidence_success_below_.. */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* evidence_error_above_.. */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_EVIDENCE,     /* evidence_worse_than_.. */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_EVIDENCE,     /* evidence_slower */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_EVIDENCE,     /* evidence_missing_uploads */

    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_UPLOADS,      /* few_uploads */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM,          /* pending_confirmation */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_EVIDENCE,     /* slower_than_gate */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_NONE,         /* gate_not_met: the line's */
    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_EVIDENCE,     /* not_proven */

    NGX_HTTP_ASYNC_UPLOAD_JOURNAL_UPLOADS       /* gate */
};


void
ngx_http_async_upload_journal_render(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    const ngx_http_async_upload_event_sh_t *event, ngx_uint_t figures)
{
    ngx_str_t                     *name;
    ngx_http_async_upload_word_t   word;

    ngx_http_async_upload_zone_unpack(event->now, &word);

    ngx_http_async_upload_json_object(w, NULL);

    ngx_http_async_upload_journal_time(w, "time", event->time_ms);
    ngx_http_async_upload_json_uint(w, "sequence", event->seq);
    ngx_http_async_upload_json_uint(w, "epoch", word.epoch);
    ngx_http_async_upload_json_string(w, "rollout", rollout->name.data,
                                      rollout->name.len);

    name = ngx_http_async_upload_journal_event(event);
    ngx_http_async_upload_json_string(w, "event", name->data, name->len);

    ngx_http_async_upload_json_object(w, "actor");

    name = ngx_http_async_upload_journal_actor(event);
    ngx_http_async_upload_json_string(w, "kind", name->data, name->len);

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

    ngx_http_async_upload_journal_rule(w, event->rule, event->value,
                                       event->limit);

    ngx_http_async_upload_json_bool(w, "dry_run", event->dry_run != 0);

    if (figures) {
        ngx_http_async_upload_journal_arms(w, event);
    }

    ngx_http_async_upload_json_end(w);
}


/* the members of an event, and of a decision of the guard */

void
ngx_http_async_upload_journal_rule(ngx_http_async_upload_json_t *w,
    uint64_t rule, double value, double limit)
{
    const char  *unit;

    if (!ngx_http_async_upload_journal_is(rule)) {
        ngx_http_async_upload_json_null(w, "rule");
        return;
    }

    ngx_http_async_upload_json_literal(w, "rule",
                                     ngx_http_async_upload_guard_names[rule]);

    unit = ngx_http_async_upload_journal_units
                                  [ngx_http_async_upload_journal_rules[rule]];

    if (unit == NULL) {
        return;
    }

    ngx_http_async_upload_json_double(w, "value", value,
                                      NGX_HTTP_ASYNC_UPLOAD_JOURNAL_DIGITS);
    ngx_http_async_upload_json_double(w, "limit", limit,
                                      NGX_HTTP_ASYNC_UPLOAD_JOURNAL_DIGITS);
    ngx_http_async_upload_json_literal(w, "unit", unit);
}


void
ngx_http_async_upload_journal_measure(ngx_http_async_upload_json_t *w,
    uint64_t rule, double value, double limit)
{
    double       scale;
    ngx_uint_t   unit;
    const char  *mark, *between;

    if (!ngx_http_async_upload_journal_is(rule)) {
        return;
    }

    scale = 1;
    mark = "";
    between = " of ";

    unit = ngx_http_async_upload_journal_rules[rule];

    switch (unit) {

    case NGX_HTTP_ASYNC_UPLOAD_JOURNAL_NONE:
        return;

    case NGX_HTTP_ASYNC_UPLOAD_JOURNAL_PPM:
        scale = 10000;
        mark = "%";
        between = ", limit ";
        break;

    case NGX_HTTP_ASYNC_UPLOAD_JOURNAL_RATIO:
        scale = 0.01;
        mark = "%";
        between = ", limit ";
        break;

    case NGX_HTTP_ASYNC_UPLOAD_JOURNAL_MS:
        scale = 1000;
        mark = " s";
        break;

    default:
        break;
    }

    ngx_http_async_upload_json_text_double(w, value / scale,
                                         NGX_HTTP_ASYNC_UPLOAD_JOURNAL_DIGITS);
    ngx_http_async_upload_json_text(w, mark);
    ngx_http_async_upload_json_text(w, between);
    ngx_http_async_upload_json_text_double(w, limit / scale,
                                         NGX_HTTP_ASYNC_UPLOAD_JOURNAL_DIGITS);
    ngx_http_async_upload_json_text(w, mark);
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
    size_t                         size;
    u_char                        *line;
    ngx_int_t                      rc;
    ngx_http_async_upload_json_t   w;

    ngx_http_async_upload_journal_log(rollout, event, log);

    if (rollout->journal == NULL) {
        return NGX_OK;
    }

    size = NGX_HTTP_ASYNC_UPLOAD_JOURNAL_LINE + 6 * rollout->name.len;

    line = ngx_alloc(size, log);
    if (line == NULL) {
        return NGX_ERROR;
    }

    ngx_http_async_upload_json_init(&w, line, size, NULL, NULL);

    /* after a line that could not be written to its end */

    if (rollout->journal_cut) {
        ngx_http_async_upload_json_text(&w, "\n");
    }

    ngx_http_async_upload_journal_render(&w, rollout, event, 1);
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


static void
ngx_http_async_upload_journal_time(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t ms)
{
    u_char     *last, buf[sizeof("1970-01-01T00:00:00.000Z") + 32];
    ngx_tm_t    tm;

    ngx_gmtime((time_t) (ms / 1000), &tm);

    last = ngx_sprintf(buf, "%4d-%02d-%02dT%02d:%02d:%02d.%03uiZ",
                       tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                       tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                       (ngx_uint_t) (ms % 1000));

    ngx_http_async_upload_json_string(w, key, buf, last - buf);
}


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
    ngx_http_async_upload_json_string(w, "state", name->data, name->len);

    if (word.stage) {
        ngx_http_async_upload_json_uint(w, "stage", word.stage);

    } else {
        ngx_http_async_upload_json_null(w, "stage");
    }

    ngx_http_async_upload_json_uint(w, "share_bp",
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
    ngx_str_t                     *name;
    ngx_http_async_upload_word_t   now;

    ngx_http_async_upload_zone_unpack(event->now, &now);

    if (event->dry_run) {
        ngx_http_async_upload_json_text(w, "dry run: ");
    }

    ngx_http_async_upload_journal_what(w, event);

    if (now.stage) {
        ngx_http_async_upload_json_text(w, ", stage ");
        ngx_http_async_upload_json_text_uint(w, now.stage);
    }

    if (ngx_http_async_upload_journal_is(event->rule)) {
        ngx_http_async_upload_json_text(w, ", rule ");
        ngx_http_async_upload_json_text(w,
                              ngx_http_async_upload_guard_names[event->rule]);

        if (ngx_http_async_upload_journal_rules[event->rule]) {
            ngx_http_async_upload_json_text(w, " (");
            ngx_http_async_upload_journal_measure(w, event->rule,
                                                  event->value, event->limit);
            ngx_http_async_upload_json_text(w, ")");
        }
    }

    name = ngx_http_async_upload_journal_actor(event);
    ngx_http_async_upload_json_text(w, ", by ");
    ngx_http_async_upload_json_put(w, name->data, name->len);

    if (event->who[0]) {
        ngx_http_async_upload_json_text(w, " (");
        ngx_http_async_upload_journal_plain(w, event->who);
        ngx_http_async_upload_json_text(w, ")");
    }

    if (event->why[0]) {
        ngx_http_async_upload_json_text(w, ", reason \"");
        ngx_http_async_upload_journal_plain(w, event->why);
        ngx_http_async_upload_json_text(w, "\"");
    }
}


/* what has happened to the share, and what it is called */

static void
ngx_http_async_upload_journal_what(ngx_http_async_upload_json_t *w,
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


void
ngx_http_async_upload_journal_plain(ngx_http_async_upload_json_t *w,
    const u_char *s)
{
    u_char  hex[sizeof("\\xHH")];

    for ( /* void */ ; *s; s++) {

        if (*s >= ' ' && *s < 0x7f && *s != '"' && *s != '\\') {
            ngx_http_async_upload_json_put(w, s, 1);
            continue;
        }

        ngx_sprintf(hex, "\\x%02Xd", (ngx_int_t) *s);
        ngx_http_async_upload_json_put(w, hex, sizeof("\\xHH") - 1);
    }
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


/* a rule of which there is something to say */

static ngx_uint_t
ngx_http_async_upload_journal_is(uint64_t rule)
{
    return rule != NGX_HTTP_ASYNC_UPLOAD_GUARD_NONE
           && rule < NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS;
}
