
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_MEASURE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_MEASURE_H_INCLUDED_


/*
 * Figures in their units, for programs and for people: what rules and the
 * lines of a gate see, times, latencies, rates.  It knows which unit a rule
 * has; it knows nothing of where figures come from, nor of a page's layout.
 *
 * "tell" functions write text for people, of ASCII alone; the others write
 * members of JSON.
 */


#include "ngx_http_async_upload.h"
#include "ngx_http_async_upload_json.h"
#include "ngx_http_async_upload_guard.h"


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_NONE = 0,
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_UPLOADS,
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_SIGNALS,
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_COMPLAINTS,
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_PPM,
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_RATIO,
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_MS,
    NGX_HTTP_ASYNC_UPLOAD_MEASURE_EVIDENCE
} ngx_http_async_upload_measure_unit_e;


/*
 * The unit of what a rule (..._guard_reason_e) sees; NONE also for what is no
 * rule.
 */
ngx_uint_t ngx_http_async_upload_measure_unit(uint64_t rule);

/*
 * Writes a rule's name as "key", null for none, and its members value, limit
 * and unit if it has figures.
 */
void ngx_http_async_upload_measure_rule(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t rule, double value, double limit);

/*
 * Writes a line of the gate (..._guard_gate_e) as an object: rule, need, have,
 * unit and open; have is null if it is not known.
 */
void ngx_http_async_upload_measure_line(ngx_http_async_upload_json_t *w,
    ngx_uint_t i, const ngx_http_async_upload_guard_line_t *line);

/*
 * Writes the members line, value, limit and unit of the first line of a gate
 * that is closed; nothing if there is none.
 */
void ngx_http_async_upload_measure_closed(ngx_http_async_upload_json_t *w,
    const ngx_http_async_upload_guard_line_t *lines);

/*
 * Writes milliseconds since 1970 as a time of ISO 8601, UTC.
 */
void ngx_http_async_upload_measure_time(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t ms);

/* The same time as text: "2026-11-25 02:30:53Z". */
void ngx_http_async_upload_measure_tell_time(ngx_http_async_upload_json_t *w,
    uint64_t ms);

/*
 * Writes what a rule sees and allows: "5 of 5", "94.2%, limit 95%"; nothing if
 * the rule has no figures.
 */
void ngx_http_async_upload_measure_tell_rule(ngx_http_async_upload_json_t *w,
    uint64_t rule, double value, double limit);

/*
 * Writes what a line of a gate has and needs: "412 of 500", "98.7% of 99%";
 * "? of 110%" if it is not known what it has.
 */
void ngx_http_async_upload_measure_tell_line(ngx_http_async_upload_json_t *w,
    ngx_uint_t i, const ngx_http_async_upload_guard_line_t *line);

/* What it has, alone. */
void ngx_http_async_upload_measure_tell_have(ngx_http_async_upload_json_t *w,
    ngx_uint_t i, const ngx_http_async_upload_guard_line_t *line);

/* What it needs, alone. */
void ngx_http_async_upload_measure_tell_need(ngx_http_async_upload_json_t *w,
    ngx_uint_t i, const ngx_http_async_upload_guard_line_t *line);

/* Basis points as a percentage, "2.5%". */
void ngx_http_async_upload_measure_tell_share(ngx_http_async_upload_json_t *w,
    ngx_uint_t bp);

/* A rate as a percentage with two decimals, "-" for 0 of 0. */
void ngx_http_async_upload_measure_tell_rate(ngx_http_async_upload_json_t *w,
    uint64_t part, uint64_t whole);

/* Microseconds as "812 us", "12.3 ms" or "4.27 s", "-" for 0. */
void ngx_http_async_upload_measure_tell_latency(
    ngx_http_async_upload_json_t *w, uint64_t us);

/* Milliseconds as "45s", "12m 5s", "3h 12m" or "2d 5h". */
void ngx_http_async_upload_measure_tell_span(ngx_http_async_upload_json_t *w,
    uint64_t ms);

/*
 * Writes what came from outside: what is not printable ASCII, quotes and
 * backslashes as \xHH.
 */
void ngx_http_async_upload_measure_tell_plain(ngx_http_async_upload_json_t *w,
    const u_char *s, size_t len);

/*
 * Writes the same for Markdown: nothing of it is markup, ends a cell or a line.
 * What Markdown knows has a backslash, what HTML knows is a reference; what is
 * not UTF-8, not printable or turns the direction of text is U+FFFD.
 */
void ngx_http_async_upload_measure_markdown(ngx_http_async_upload_json_t *w,
    const u_char *s, size_t len);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_MEASURE_H_INCLUDED_ */
