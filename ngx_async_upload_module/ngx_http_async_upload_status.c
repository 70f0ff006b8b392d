
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_status.h"
#include "ngx_http_async_upload_look.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_progress.h"
#include "ngx_http_async_upload_render.h"
#include "ngx_http_async_upload_report.h"
#include "ngx_http_async_upload_respond.h"
#include "ngx_http_async_upload_text.h"


#define NGX_HTTP_ASYNC_UPLOAD_STATUS_SINCE  86400       /* s */


/* in the order of their names */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_STATUS_JSON = 0,
    NGX_HTTP_ASYNC_UPLOAD_STATUS_TEXT,
    NGX_HTTP_ASYNC_UPLOAD_STATUS_REPORT,
    NGX_HTTP_ASYNC_UPLOAD_STATUS_FORMATS
} ngx_http_async_upload_status_format_e;


/* what a request asks for */

typedef struct {
    ngx_uint_t                       format;    /* ..._status_format_e */
    ngx_uint_t                       fail;      /* ..._PROGRESS_ bits */
    ngx_uint_t                       history;
    time_t                           since;     /* s, of the report */
    ngx_http_async_upload_rollout_t  *only;     /* NULL: all of them */
} ngx_http_async_upload_status_ask_t;


static ngx_int_t ngx_http_async_upload_status_ask(ngx_http_request_t *r,
    ngx_http_async_upload_status_ask_t *ask);
static ngx_int_t ngx_http_async_upload_status_arg(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_http_async_upload_status_format(ngx_http_request_t *r,
    ngx_http_async_upload_status_ask_t *ask);
static ngx_uint_t ngx_http_async_upload_status_accept(ngx_http_request_t *r);
static ngx_int_t ngx_http_async_upload_status_find(ngx_http_request_t *r,
    ngx_http_async_upload_status_ask_t *ask);
static ngx_int_t ngx_http_async_upload_status_fail(ngx_http_request_t *r,
    ngx_http_async_upload_status_ask_t *ask);
static ngx_int_t ngx_http_async_upload_status_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *error, const char *description);
static ngx_int_t ngx_http_async_upload_status_invalid(ngx_http_request_t *r,
    ngx_str_t *value, const char *name, const char *allowed);
static ngx_uint_t ngx_http_async_upload_status_write(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_status_ask_t *ask,
    ngx_http_async_upload_main_conf_t *mcf,
    ngx_http_async_upload_look_t *look, ngx_http_async_upload_plots_t *plots);


static ngx_str_t  ngx_http_async_upload_status_formats[] = {
    ngx_string("json"),
    ngx_string("text"),
    ngx_string("report")
};


static ngx_str_t  ngx_http_async_upload_status_types[] = {
    ngx_string("application/json"),
    ngx_string("text/plain"),
    ngx_string("text/markdown; charset=utf-8")
};


static ngx_http_async_upload_name_t  ngx_http_async_upload_status_fails[] = {
    { ngx_string("rolled_back"), NGX_HTTP_ASYNC_UPLOAD_PROGRESS_ROLLED_BACK },
    { ngx_string("review"), NGX_HTTP_ASYNC_UPLOAD_PROGRESS_REVIEW },
    { ngx_string("blind"), NGX_HTTP_ASYNC_UPLOAD_PROGRESS_BLIND },
    { ngx_string("off"), NGX_HTTP_ASYNC_UPLOAD_PROGRESS_OFF },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_async_upload_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                            rc;
    ngx_uint_t                           failed;
    ngx_http_async_upload_look_t        *look;
    ngx_http_async_upload_plots_t       *plots;
    ngx_http_async_upload_respond_t      out;
    ngx_http_async_upload_main_conf_t   *mcf;
    ngx_http_async_upload_status_ask_t   ask;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_async_upload_status_ask(r, &ask);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    look = ngx_http_async_upload_look_memory();
    plots = NULL;

    if (ask.history && ask.format == NGX_HTTP_ASYNC_UPLOAD_STATUS_JSON) {

        plots = ngx_palloc(r->pool, sizeof(ngx_http_async_upload_plots_t));
        if (plots == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ngx_http_async_upload_respond_start(&out, r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    out.type = ngx_http_async_upload_status_types[ask.format];

    mcf = ngx_http_get_module_main_conf(r, ngx_http_async_upload_module);

    failed = ngx_http_async_upload_status_write(&out.w, &ask, mcf, look, plots);

    return ngx_http_async_upload_respond_send(&out,
                         failed ? NGX_HTTP_SERVICE_UNAVAILABLE : NGX_HTTP_OK);
}


/* returns 1 if what the request wants to fail for is so */

static ngx_uint_t
ngx_http_async_upload_status_write(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_status_ask_t *ask,
    ngx_http_async_upload_main_conf_t *mcf,
    ngx_http_async_upload_look_t *look, ngx_http_async_upload_plots_t *plots)
{
    ngx_uint_t                         i, alarm, n;
    ngx_http_async_upload_rollout_t  **rollouts;

    rollouts = mcf->rollouts.elts;
    alarm = 0;
    n = 0;

    if (ask->format == NGX_HTTP_ASYNC_UPLOAD_STATUS_JSON) {
        ngx_http_async_upload_render_start(w);

    } else if (ask->format == NGX_HTTP_ASYNC_UPLOAD_STATUS_REPORT) {
        ngx_http_async_upload_report_start(w, ask->since);
    }

    for (i = 0; i < mcf->rollouts.nelts; i++) {

        if (ask->only && ask->only != rollouts[i]) {
            continue;
        }

        ngx_http_async_upload_look_take(rollouts[i], look);

        alarm |= ngx_http_async_upload_progress_alarm(rollouts[i], look);

        switch (ask->format) {

        case NGX_HTTP_ASYNC_UPLOAD_STATUS_TEXT:
            if (n++) {
                ngx_http_async_upload_json_text(w, "\n");
            }

            ngx_http_async_upload_text_rollout(w, rollouts[i], look);
            break;

        case NGX_HTTP_ASYNC_UPLOAD_STATUS_REPORT:
            ngx_http_async_upload_report_rollout(w, rollouts[i], look,
                                                 ask->since);
            break;

        default:
            if (plots) {
                ngx_http_async_upload_look_plots(rollouts[i]->sh, plots);
            }

            ngx_http_async_upload_render_rollout(w, rollouts[i], look, plots);
        }
    }

    if (ask->format == NGX_HTTP_ASYNC_UPLOAD_STATUS_JSON) {
        ngx_http_async_upload_render_end(w);
        ngx_http_async_upload_json_text(w, "\n");
    }

    return (alarm & ask->fail) != 0;
}


/* returns NGX_DECLINED if there is something to be told, else what was sent */

static ngx_int_t
ngx_http_async_upload_status_ask(ngx_http_request_t *r,
    ngx_http_async_upload_status_ask_t *ask)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_async_upload_status_error(r, NGX_HTTP_NOT_ALLOWED,
                                "method_not_allowed",
                                "the status is read with GET or HEAD");
    }

    ngx_memzero(ask, sizeof(ngx_http_async_upload_status_ask_t));

    if (ngx_http_async_upload_status_format(r, ask) != NGX_OK) {
        return ngx_http_async_upload_status_error(r, 406, "not_acceptable",
                                "\"format\" must be json, text or report");
    }

    if (ngx_http_async_upload_status_find(r, ask) != NGX_OK) {
        return ngx_http_async_upload_status_error(r, NGX_HTTP_NOT_FOUND,
                                "not_found", "there is no such rollout");
    }

    rc = ngx_http_async_upload_status_fail(r, ask);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_async_upload_status_arg(r, "history", &value) == NGX_OK) {

        if (value.len != 1 || (value.data[0] != '0' && value.data[0] != '1')) {
            return ngx_http_async_upload_status_invalid(r, &value, "history",
                                                        "0 or 1");
        }

        ask->history = (value.data[0] == '1');
    }

    ask->since = NGX_HTTP_ASYNC_UPLOAD_STATUS_SINCE;

    if (ngx_http_async_upload_status_arg(r, "since", &value) == NGX_OK) {

        ask->since = ngx_parse_time(&value, 1);

        if (ask->since == (time_t) NGX_ERROR) {
            return ngx_http_async_upload_status_invalid(r, &value, "since",
                                        "a time such as 30m, 24h or 7d");
        }
    }

    return NGX_DECLINED;
}


/* an argument without its escapes; NGX_DECLINED: it is not there */

static ngx_int_t
ngx_http_async_upload_status_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    u_char  *src, *dst;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), value) != NGX_OK) {
        return NGX_DECLINED;
    }

    src = value->data;

    dst = ngx_pnalloc(r->pool, value->len + 1);
    if (dst == NULL) {
        return NGX_DECLINED;
    }

    value->data = dst;
    ngx_unescape_uri(&dst, &src, value->len, 0);
    value->len = dst - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_status_format(ngx_http_request_t *r,
    ngx_http_async_upload_status_ask_t *ask)
{
    ngx_int_t  i;
    ngx_str_t  value;

    if (ngx_http_async_upload_status_arg(r, "format", &value) != NGX_OK) {
        ask->format = ngx_http_async_upload_status_accept(r);
        return NGX_OK;
    }

    i = ngx_http_async_upload_name_find(ngx_http_async_upload_status_formats,
                                        NGX_HTTP_ASYNC_UPLOAD_STATUS_FORMATS,
                                        &value);

    if (i == NGX_ERROR) {
        return NGX_DECLINED;
    }

    ask->format = i;

    return NGX_OK;
}


/*
 * Who wants text or the report first gets it.  Whoever asks for anything else,
 * or says nothing, is a program, or a browser that shows JSON.
 */

static ngx_uint_t
ngx_http_async_upload_status_accept(ngx_http_request_t *r)
{
    u_char           *p, *last;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                return NGX_HTTP_ASYNC_UPLOAD_STATUS_JSON;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == sizeof("Accept") - 1
            && ngx_strncmp(header[i].lowcase_key, "accept", header[i].key.len)
               == 0)
        {
            break;
        }
    }

    p = header[i].value.data;
    last = p + header[i].value.len;

    while (p < last && *p == ' ') {
        p++;
    }

    for (i = 0; p + i < last && ngx_strchr(" ,;", p[i]) == NULL; i++) {
        /* void */
    }

    if (i == sizeof("text/plain") - 1
        && ngx_strncasecmp(p, (u_char *) "text/plain", i) == 0)
    {
        return NGX_HTTP_ASYNC_UPLOAD_STATUS_TEXT;
    }

    if (i == sizeof("text/markdown") - 1
        && ngx_strncasecmp(p, (u_char *) "text/markdown", i) == 0)
    {
        return NGX_HTTP_ASYNC_UPLOAD_STATUS_REPORT;
    }

    return NGX_HTTP_ASYNC_UPLOAD_STATUS_JSON;
}


/* the one that the location or the request names; NULL: all of them */

static ngx_int_t
ngx_http_async_upload_status_find(ngx_http_request_t *r,
    ngx_http_async_upload_status_ask_t *ask)
{
    ngx_str_t                            name, asked;
    ngx_uint_t                           i;
    ngx_http_async_upload_rollout_t    **rollouts;
    ngx_http_async_upload_loc_conf_t    *lcf;
    ngx_http_async_upload_main_conf_t   *mcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_async_upload_module);
    name = lcf->rollout;

    if (ngx_http_async_upload_status_arg(r, "rollout", &asked) == NGX_OK) {

        if (name.len
            && (name.len != asked.len
                || ngx_strncmp(name.data, asked.data, name.len) != 0))
        {
            return NGX_DECLINED;
        }

        name = asked;

    } else if (name.len == 0) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_async_upload_module);
    rollouts = mcf->rollouts.elts;

    for (i = 0; i < mcf->rollouts.nelts; i++) {
        if (rollouts[i]->name.len == name.len
            && ngx_strncmp(rollouts[i]->name.data, name.data, name.len) == 0)
        {
            ask->only = rollouts[i];
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* words with commas between them; returns as status_ask */

static ngx_int_t
ngx_http_async_upload_status_fail(ngx_http_request_t *r,
    ngx_http_async_upload_status_ask_t *ask)
{
    u_char                        *p, *last;
    ngx_str_t                      value, word;
    ngx_http_async_upload_name_t  *fail;

    if (ngx_http_async_upload_status_arg(r, "fail", &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    p = value.data;
    last = p + value.len;

    for ( ;; ) {

        word.data = p;

        while (p < last && *p != ',') {
            p++;
        }

        word.len = p - word.data;

        for (fail = ngx_http_async_upload_status_fails; fail->name.len; fail++)
        {
            if (fail->name.len == word.len
                && ngx_strncmp(fail->name.data, word.data, word.len) == 0)
            {
                break;
            }
        }

        if (fail->name.len == 0) {
            return ngx_http_async_upload_status_invalid(r, &word, "fail",
                                "of rolled_back, review, blind and off");
        }

        ask->fail |= fail->value;

        if (p == last) {
            return NGX_DECLINED;
        }

        p++;
    }
}


static ngx_int_t
ngx_http_async_upload_status_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *error, const char *description)
{
    ngx_str_t  text;

    if (status == NGX_HTTP_NOT_ALLOWED
        && ngx_http_async_upload_respond_header(r, "Allow", "GET, HEAD")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.len = ngx_strlen(description);
    text.data = (u_char *) description;

    return ngx_http_async_upload_respond_error(r, status, error, &text);
}


static ngx_int_t
ngx_http_async_upload_status_invalid(ngx_http_request_t *r, ngx_str_t *value,
    const char *name, const char *allowed)
{
    ngx_str_t  text;

    text.len = sizeof("invalid \"\" in \"\", it must be ") - 1 + value->len
               + ngx_strlen(name) + ngx_strlen(allowed);

    text.data = ngx_pnalloc(r->pool, text.len);
    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_sprintf(text.data, "invalid \"%V\" in \"%s\", it must be %s", value,
                name, allowed);

    return ngx_http_async_upload_respond_error(r, NGX_HTTP_BAD_REQUEST,
                                               "bad_request", &text);
}
