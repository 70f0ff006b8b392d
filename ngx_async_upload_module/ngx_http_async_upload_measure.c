
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_measure.h"


/* digits of counts and times, and of rates: 99.9999% is told from 100% */
#define NGX_HTTP_ASYNC_UPLOAD_MEASURE_COUNT    15
#define NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATE     9

/* digits of latencies and of evidence, for people */
#define NGX_HTTP_ASYNC_UPLOAD_MEASURE_LATENCY  3

#define NGX_HTTP_ASYNC_UPLOAD_MEASURE_TIME                                    \
    (sizeof("1970-01-01T00:00:00.000Z") - 1)


static void ngx_http_async_upload_measure_clock(u_char *p, uint64_t ms);
static void ngx_http_async_upload_measure_word(
    ngx_http_async_upload_json_t *w, const char *key, const char *word);
static void ngx_http_async_upload_measure_value(
    ngx_http_async_upload_json_t *w, const char *key, ngx_uint_t unit,
    double value);
static u_char *ngx_http_async_upload_measure_digits(u_char *p, ngx_uint_t n,
    ngx_uint_t digits);
static void ngx_http_async_upload_measure_tell(ngx_http_async_upload_json_t *w,
    ngx_uint_t unit, double value);


/* in the order of measure_unit_e, guard_reason_e and guard_gate_e */

static const char  *ngx_http_async_upload_measure_units[] = {
    NULL,
    "uploads",
    "signals",
    "complaints",
    "ppm",
    "ratio",
    "ms",
    "evidence"
};


static const u_char  ngx_http_async_upload_measure_rules
    [NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS] = {
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_NONE,         /* none */

    NGX_HTTP_ASYNC_UPLOAD_MEASURE_SIGNALS,      /* critical */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATIO,        /* memory */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_UPLOADS,      /* consecutive */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_MS,           /* no_live_peer */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_UPLOADS,      /* budget */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* literal_stage */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* literal_5min */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* evidence_success */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* evidence_error */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* rejected */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* aborted */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_MS,           /* unattended */

    NGX_HTTP_ASYNC_UPLOAD_MEASURE_NONE,         /* no_way_back */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* literal_success_30min */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATIO,        /* literal_latency */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_COMPLAINTS,   /* complaints */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* rejected_no_reference */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* aborted_no_reference */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* evidence_success_below_.. */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* evidence_error_above_.. */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE,     /* evidence_worse_than_.. */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE,     /* evidence_slower */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE,     /* evidence_missing_uploads */

    NGX_HTTP_ASYNC_UPLOAD_MEASURE_UPLOADS,      /* few_uploads */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* pending_confirmation */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE,     /* slower_than_gate */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_NONE,         /* gate_not_met: the line's */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE,     /* not_proven */

    NGX_HTTP_ASYNC_UPLOAD_MEASURE_UPLOADS,      /* gate */

    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE,     /* evidence_rejected */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE,     /* evidence_aborted */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM           /* few_identities */
};


static const u_char  ngx_http_async_upload_measure_lines
    [NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES] = {
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_MS,           /* soak */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_UPLOADS,      /* uploads */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* success */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* error */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATIO,        /* latency */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* rejected */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,          /* aborted */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE,     /* evidence */
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE      /* proof */
};


ngx_uint_t
ngx_http_async_upload_measure_unit(uint64_t rule)
{
    return rule < NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS
           ? ngx_http_async_upload_measure_rules[rule]
           : NGX_HTTP_ASYNC_UPLOAD_MEASURE_NONE;
}


void
ngx_http_async_upload_measure_rule(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t rule, double value, double limit)
{
    ngx_uint_t  unit;

    if (rule == NGX_HTTP_ASYNC_UPLOAD_GUARD_NONE
        || rule >= NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS)
    {
        ngx_http_async_upload_json_null(w, key);
        return;
    }

    ngx_http_async_upload_measure_word(w, key,
                                     ngx_http_async_upload_guard_names[rule]);

    unit = ngx_http_async_upload_measure_rules[rule];

    if (unit == NGX_HTTP_ASYNC_UPLOAD_MEASURE_NONE) {
        return;
    }

    ngx_http_async_upload_measure_value(w, "value", unit, value);
    ngx_http_async_upload_measure_value(w, "limit", unit, limit);
    ngx_http_async_upload_measure_word(w, "unit",
                                   ngx_http_async_upload_measure_units[unit]);
}


void
ngx_http_async_upload_measure_line(ngx_http_async_upload_json_t *w,
    ngx_uint_t i, const ngx_http_async_upload_guard_line_t *line)
{
    ngx_uint_t  unit;

    unit = ngx_http_async_upload_measure_lines[i];

    ngx_http_async_upload_json_object(w, NULL);
    ngx_http_async_upload_measure_word(w, "rule",
                                       ngx_http_async_upload_guard_lines[i]);
    ngx_http_async_upload_measure_value(w, "need", unit, line->need);

    if (line->known) {
        ngx_http_async_upload_measure_value(w, "have", unit, line->have);

    } else {
        ngx_http_async_upload_json_null(w, "have");
    }

    ngx_http_async_upload_measure_word(w, "unit",
                                   ngx_http_async_upload_measure_units[unit]);
    ngx_http_async_upload_json_bool(w, "open", line->open);
    ngx_http_async_upload_json_end(w);
}


void
ngx_http_async_upload_measure_closed(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_guard_line_t *lines)
{
    ngx_uint_t  i, unit;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES; i++) {

        if (!lines[i].on || lines[i].open) {
            continue;
        }

        unit = ngx_http_async_upload_measure_lines[i];

        ngx_http_async_upload_measure_word(w, "line",
                                        ngx_http_async_upload_guard_lines[i]);

        if (lines[i].known) {
            ngx_http_async_upload_measure_value(w, "value", unit,
                                                lines[i].have);

        } else {
            ngx_http_async_upload_json_null(w, "value");
        }

        ngx_http_async_upload_measure_value(w, "limit", unit, lines[i].need);
        ngx_http_async_upload_measure_word(w, "unit",
                                   ngx_http_async_upload_measure_units[unit]);
        return;
    }
}


void
ngx_http_async_upload_measure_time(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t ms)
{
    u_char  buf[NGX_HTTP_ASYNC_UPLOAD_MEASURE_TIME];

    ngx_http_async_upload_measure_clock(buf, ms);
    ngx_http_async_upload_json_word(w, key, buf, sizeof(buf));
}


void
ngx_http_async_upload_measure_tell_time(ngx_http_async_upload_json_t *w,
    uint64_t ms)
{
    u_char  buf[NGX_HTTP_ASYNC_UPLOAD_MEASURE_TIME];

    ngx_http_async_upload_measure_clock(buf, ms);

    ngx_http_async_upload_json_put(w, buf, 10);
    ngx_http_async_upload_json_text(w, " ");
    ngx_http_async_upload_json_put(w, buf + 11, 8);
    ngx_http_async_upload_json_text(w, "Z");
}


void
ngx_http_async_upload_measure_tell_rule(ngx_http_async_upload_json_t *w,
    uint64_t rule, double value, double limit)
{
    ngx_uint_t  unit;

    unit = ngx_http_async_upload_measure_unit(rule);

    if (unit == NGX_HTTP_ASYNC_UPLOAD_MEASURE_NONE) {
        return;
    }

    ngx_http_async_upload_measure_tell(w, unit, value);

    /* of a rate, the limit is no whole of which the value were a part */

    if (unit == NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM
        || unit == NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATIO)
    {
        ngx_http_async_upload_json_text(w, ", limit ");

    } else {
        ngx_http_async_upload_json_text(w, " of ");
    }

    ngx_http_async_upload_measure_tell(w, unit, limit);
}


void
ngx_http_async_upload_measure_tell_line(ngx_http_async_upload_json_t *w,
    ngx_uint_t i, const ngx_http_async_upload_guard_line_t *line)
{
    ngx_http_async_upload_measure_tell_have(w, i, line);
    ngx_http_async_upload_json_text(w, " of ");
    ngx_http_async_upload_measure_tell_need(w, i, line);
}


void
ngx_http_async_upload_measure_tell_have(ngx_http_async_upload_json_t *w,
    ngx_uint_t i, const ngx_http_async_upload_guard_line_t *line)
{
    if (line->known) {
        ngx_http_async_upload_measure_tell(w,
                    ngx_http_async_upload_measure_lines[i], line->have);

    } else {
        ngx_http_async_upload_json_text(w, "?");
    }
}


void
ngx_http_async_upload_measure_tell_need(ngx_http_async_upload_json_t *w,
    ngx_uint_t i, const ngx_http_async_upload_guard_line_t *line)
{
    ngx_http_async_upload_measure_tell(w,
                    ngx_http_async_upload_measure_lines[i], line->need);
}


static void
ngx_http_async_upload_measure_word(ngx_http_async_upload_json_t *w,
    const char *key, const char *word)
{
    ngx_http_async_upload_json_word(w, key, word, strlen(word));
}


static void
ngx_http_async_upload_measure_value(ngx_http_async_upload_json_t *w,
    const char *key, ngx_uint_t unit, double value)
{
    ngx_http_async_upload_json_double(w, key, value,
                           unit < NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM
                           || unit == NGX_HTTP_ASYNC_UPLOAD_MEASURE_MS
                           ? NGX_HTTP_ASYNC_UPLOAD_MEASURE_COUNT
                           : NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATE);
}


static void
ngx_http_async_upload_measure_tell(ngx_http_async_upload_json_t *w,
    ngx_uint_t unit, double value)
{
    switch (unit) {

    case NGX_HTTP_ASYNC_UPLOAD_MEASURE_MS:
        ngx_http_async_upload_measure_tell_span(w, (uint64_t) value);
        return;

    case NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM:
        ngx_http_async_upload_json_text_double(w, value / 10000,
                                          NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATE);
        ngx_http_async_upload_json_text(w, "%");
        return;

    case NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATIO:
        ngx_http_async_upload_json_text_double(w, value * 100,
                                          NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATE);
        ngx_http_async_upload_json_text(w, "%");
        return;

    case NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE:
        ngx_http_async_upload_json_text_double(w, value,
                                       NGX_HTTP_ASYNC_UPLOAD_MEASURE_LATENCY);
        return;

    default:
        ngx_http_async_upload_json_text_double(w, value,
                                         NGX_HTTP_ASYNC_UPLOAD_MEASURE_COUNT);
    }
}


void
ngx_http_async_upload_measure_tell_share(ngx_http_async_upload_json_t *w,
    ngx_uint_t bp)
{
    ngx_http_async_upload_json_text_double(w, (double) bp / 100, 5);
    ngx_http_async_upload_json_text(w, "%");
}


void
ngx_http_async_upload_measure_tell_rate(ngx_http_async_upload_json_t *w,
    uint64_t part, uint64_t whole)
{
    if (whole == 0) {
        ngx_http_async_upload_json_text(w, "-");
        return;
    }

    ngx_http_async_upload_json_text_ratio(w, part * 100, whole, 2);
    ngx_http_async_upload_json_text(w, "%");
}


void
ngx_http_async_upload_measure_tell_latency(ngx_http_async_upload_json_t *w,
    uint64_t us)
{
    if (us == 0) {
        ngx_http_async_upload_json_text(w, "-");

    } else if (us < 1000) {
        ngx_http_async_upload_json_text_uint(w, us);
        ngx_http_async_upload_json_text(w, " us");

    } else if (us < 1000000) {
        ngx_http_async_upload_json_text_double(w, (double) us / 1000,
                                       NGX_HTTP_ASYNC_UPLOAD_MEASURE_LATENCY);
        ngx_http_async_upload_json_text(w, " ms");

    } else {
        ngx_http_async_upload_json_text_double(w, (double) us / 1000000,
                                       NGX_HTTP_ASYNC_UPLOAD_MEASURE_LATENCY);
        ngx_http_async_upload_json_text(w, " s");
    }
}


void
ngx_http_async_upload_measure_tell_span(ngx_http_async_upload_json_t *w,
    uint64_t ms)
{
    uint64_t     s, more;
    ngx_uint_t   i;

    static const struct {
        uint64_t     seconds;
        uint64_t     more;
        const char  *unit;
        const char  *more_unit;
    } spans[] = {
        { 86400, 3600, "d", "h" },
        { 3600, 60, "h", "m" },
        { 60, 1, "m", "s" }
    };

    s = ms / 1000;

    for (i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {

        if (s < spans[i].seconds) {
            continue;
        }

        ngx_http_async_upload_json_text_uint(w, s / spans[i].seconds);
        ngx_http_async_upload_json_text(w, spans[i].unit);

        more = s % spans[i].seconds / spans[i].more;

        if (more) {
            ngx_http_async_upload_json_text(w, " ");
            ngx_http_async_upload_json_text_uint(w, more);
            ngx_http_async_upload_json_text(w, spans[i].more_unit);
        }

        return;
    }

    ngx_http_async_upload_json_text_uint(w, s);
    ngx_http_async_upload_json_text(w, "s");
}


void
ngx_http_async_upload_measure_tell_plain(ngx_http_async_upload_json_t *w,
    const u_char *s, size_t len)
{
    u_char         esc[4];
    const u_char  *last;

    static const u_char  hex[] = "0123456789ABCDEF";

    for (last = s + len; s < last; s++) {

        if (*s >= ' ' && *s < 0x7f && *s != '"' && *s != '\\') {
            ngx_http_async_upload_json_put(w, s, 1);
            continue;
        }

        esc[0] = '\\';
        esc[1] = 'x';
        esc[2] = hex[*s >> 4];
        esc[3] = hex[*s & 0xf];

        ngx_http_async_upload_json_put(w, esc, sizeof(esc));
    }
}


void
ngx_http_async_upload_measure_markdown(ngx_http_async_upload_json_t *w,
    const u_char *s, size_t len)
{
    u_char      *p, *last;
    uint32_t     c;
    const char  *reference;

    p = (u_char *) s;
    last = p + len;

    while (p < last) {

        s = p;

        if (*p < 0x80) {
            c = *p++;

        } else {
            c = ngx_utf8_decode(&p, last - p);

            if (c > 0x10ffff) {
                p = (u_char *) s + 1;
            }
        }

        /* also surrogates, and what turns the direction of text around */

        if (c < ' ' || (c >= 0x7f && c < 0xa0) || c > 0x10ffff
            || (c >= 0xd800 && c < 0xe000)
            || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e)
            || (c >= 0x2066 && c <= 0x2069))
        {
            ngx_http_async_upload_json_text(w, "\xef\xbf\xbd");
            continue;
        }

        reference = (c == '<') ? "&lt;" : (c == '>') ? "&gt;"
                    : (c == '&') ? "&amp;" : NULL;

        if (reference) {
            ngx_http_async_upload_json_text(w, reference);
            continue;
        }

        if (c < 0x80 && ngx_strchr("\\`*_{}[]()#+!|~$", c) != NULL) {
            ngx_http_async_upload_json_text(w, "\\");
        }

        ngx_http_async_upload_json_put(w, s, p - s);
    }
}


/* by hand, as a page has many of them */

static void
ngx_http_async_upload_measure_clock(u_char *p, uint64_t ms)
{
    ngx_tm_t  tm;

    ngx_gmtime((time_t) (ms / 1000), &tm);

    p = ngx_http_async_upload_measure_digits(p, tm.ngx_tm_year, 4);
    *p++ = '-';
    p = ngx_http_async_upload_measure_digits(p, tm.ngx_tm_mon, 2);
    *p++ = '-';
    p = ngx_http_async_upload_measure_digits(p, tm.ngx_tm_mday, 2);
    *p++ = 'T';
    p = ngx_http_async_upload_measure_digits(p, tm.ngx_tm_hour, 2);
    *p++ = ':';
    p = ngx_http_async_upload_measure_digits(p, tm.ngx_tm_min, 2);
    *p++ = ':';
    p = ngx_http_async_upload_measure_digits(p, tm.ngx_tm_sec, 2);
    *p++ = '.';
    p = ngx_http_async_upload_measure_digits(p, ms % 1000, 3);
    *p = 'Z';
}


static u_char *
ngx_http_async_upload_measure_digits(u_char *p, ngx_uint_t n,
    ngx_uint_t digits)
{
    ngx_uint_t  i;

    for (i = digits; i > 0; i--) {
        p[i - 1] = (u_char) ('0' + n % 10);
        n /= 10;
    }

    return p + digits;
}
