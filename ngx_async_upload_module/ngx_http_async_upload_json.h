
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * A bounded writer for JSON (RFC 8259) and for Prometheus' text format.
 *
 * The unit knows syntax: escaping, commas, nesting, digits.  It must not know
 * what is written, where the chunks come from or go to, or nginx.
 *
 * Output goes into a chunk; when that is full the writer asks its owner for
 * another and goes on in the middle of a word if need be, so nothing is
 * rendered twice and nothing is written past an end.  After an error nothing
 * more is written and "failed" stays set; the caller tests it once, at the
 * end.  Errors are: no more room, nesting deeper than 32, and a call that
 * would break the syntax (a member without a name, an end without a start).
 *
 * "key" is the name of the member in an object, a C string that is copied as
 * it is: a constant of the code.  It is NULL in an array, at the top, and
 * after ngx_http_async_upload_json_name().  Values are always escaped.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_JSON_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_JSON_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <string.h>


#define NGX_HTTP_ASYNC_UPLOAD_JSON_DEPTH      32
#define NGX_HTTP_ASYNC_UPLOAD_JSON_MIN_CHUNK  64    /* bytes */


/*
 * Hands out the next chunk.  "used" bytes of the previous one are final, it
 * is full; "*size" is to be set to the bytes of the new one, 64 or more.
 *
 * Returns: the new chunk; NULL if there is no more room, which ends the
 *          output.
 */
typedef unsigned char *(*ngx_http_async_upload_json_more_pt)(void *data,
    size_t used, size_t *size);


/* "failed" may be read at any time, the rest is private to the unit */

typedef struct {
    unsigned char                       *pos;
    unsigned char                       *last;
    unsigned char                       *start;    /* of the chunk */
    ngx_http_async_upload_json_more_pt   more;
    void                                *data;
    uint64_t                             arrays;   /* bit: depth is no object */
    uint64_t                             filled;   /* bit: depth has a member */
    unsigned                             depth;    /* 0: at the top */
    unsigned                             named;    /* 1: the name is written */
    unsigned                             failed;
} ngx_http_async_upload_json_t;


/*
 * Starts a writer on a first chunk of "size" bytes; 0 is possible, "buf" may
 * then be NULL.
 *
 * "more" is called with "data" when the chunk is full; it may be NULL, then
 * the first chunk is all there is.
 */
void ngx_http_async_upload_json_init(ngx_http_async_upload_json_t *w,
    unsigned char *buf, size_t size, ngx_http_async_upload_json_more_pt more,
    void *data);

/*
 * Ends the output.  A value that is still open sets "failed".
 *
 * Returns: the bytes used of the last chunk.
 */
size_t ngx_http_async_upload_json_done(ngx_http_async_upload_json_t *w);

/*
 * Writes the comma before and the "len" bytes of the name of a member, as
 * they are; "key" NULL: the comma alone.  The part that the inline functions
 * below share; strlen() of a constant costs nothing there.
 */
void ngx_http_async_upload_json_key(ngx_http_async_upload_json_t *w,
    const char *key, size_t len);

/*
 * Writes "len" bytes as they are.  Not JSON by itself: what is written
 * between two values of the JSON is the caller's business.
 */
void ngx_http_async_upload_json_put(ngx_http_async_upload_json_t *w,
    const void *data, size_t len);

/*
 * Opens "[" (if "array" is not 0) or "{", without a key.
 */
void ngx_http_async_upload_json_open(ngx_http_async_upload_json_t *w,
    unsigned array);

/*
 * Closes the innermost object or array.
 */
void ngx_http_async_upload_json_end(ngx_http_async_upload_json_t *w);

/*
 * Writes the name of a member that is known only at run time, "len" bytes,
 * escaped; the next value belongs to it and has no key.
 */
void ngx_http_async_upload_json_name(ngx_http_async_upload_json_t *w,
    const unsigned char *key, size_t len);

/*
 * Writes a quoted and escaped string without a key; see json_string.
 */
void ngx_http_async_upload_json_put_string(ngx_http_async_upload_json_t *w,
    const unsigned char *s, size_t len);

/*
 * Writes an integer in decimal.
 */
void ngx_http_async_upload_json_put_uint(ngx_http_async_upload_json_t *w,
    uint64_t value);

/*
 * Writes a signed integer in decimal.
 */
void ngx_http_async_upload_json_put_int(ngx_http_async_upload_json_t *w,
    int64_t value);

/*
 * Writes num / den, or "none" if "den" is 0; see json_ratio.
 */
void ngx_http_async_upload_json_put_ratio(ngx_http_async_upload_json_t *w,
    uint64_t num, uint64_t den, unsigned decimals, const char *none);

/*
 * Writes a finite number with up to "significant" digits; see json_double.
 *
 * Returns: 1; 0 if "value" is not finite, then nothing is written.
 */
int ngx_http_async_upload_json_put_double(ngx_http_async_upload_json_t *w,
    double value, unsigned significant);


/*
 * Opens an object.
 */
static inline void
ngx_http_async_upload_json_object(ngx_http_async_upload_json_t *w,
    const char *key)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_open(w, 0);
}

/*
 * Opens an array.
 */
static inline void
ngx_http_async_upload_json_array(ngx_http_async_upload_json_t *w,
    const char *key)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_open(w, 1);
}

/*
 * Writes any "len" bytes as a string.
 *
 * The output is always valid UTF-8: each ill-formed sequence becomes U+FFFD,
 * one for each maximal part.  Control characters and <, > and & become \u00xx,
 * so that the JSON may stand in a script element of a page.
 *
 * Source:  Unicode 15, section 3.9, tables 3-7 and 3-8.
 */
static inline void
ngx_http_async_upload_json_string(ngx_http_async_upload_json_t *w,
    const char *key, const unsigned char *s, size_t len)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_put_string(w, s, len);
}

/*
 * Writes a C string as a string; escaped like any other.
 */
static inline void
ngx_http_async_upload_json_literal(ngx_http_async_upload_json_t *w,
    const char *key, const char *s)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_put_string(w, (const unsigned char *) s,
                                          strlen(s));
}

/*
 * Writes a word of the code as a string, as it is: "len" bytes, of which none
 * is to be escaped.
 */
static inline void
ngx_http_async_upload_json_word(ngx_http_async_upload_json_t *w,
    const char *key, const void *s, size_t len)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_put(w, "\"", 1);
    ngx_http_async_upload_json_put(w, s, len);
    ngx_http_async_upload_json_put(w, "\"", 1);
}

/*
 * Writes an unsigned integer.
 */
static inline void
ngx_http_async_upload_json_uint(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t value)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_put_uint(w, value);
}

/*
 * Writes a signed integer.
 */
static inline void
ngx_http_async_upload_json_int(ngx_http_async_upload_json_t *w,
    const char *key, int64_t value)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_put_int(w, value);
}

/*
 * Writes true (if "value" is not 0) or false.
 */
static inline void
ngx_http_async_upload_json_bool(ngx_http_async_upload_json_t *w,
    const char *key, int value)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_put(w, value ? "true" : "false", value ? 4 : 5);
}

/*
 * Writes null.
 */
static inline void
ngx_http_async_upload_json_null(ngx_http_async_upload_json_t *w,
    const char *key)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_put(w, "null", 4);
}

/*
 * Writes num / den with "decimals" digits, 0..18, after the point, rounded
 * half up; null if "den" is 0.  Without floating point and exact; only with
 * a "den" above 1.8e18 an error of 2e-18 is possible.
 */
static inline void
ngx_http_async_upload_json_ratio(ngx_http_async_upload_json_t *w,
    const char *key, uint64_t num, uint64_t den, unsigned decimals)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);
    ngx_http_async_upload_json_put_ratio(w, num, den, decimals, "null");
}

/*
 * Writes a number with up to "significant" digits, 1..15, without trailing
 * zeros and with a point in any locale; null if it is not finite.
 *
 * Between 1e-7 and 1e21 the last digit is off only if the value is within
 * 0.07 of its unit of a tie; elsewhere a relative error of 2e-15 is added.
 */
static inline void
ngx_http_async_upload_json_double(ngx_http_async_upload_json_t *w,
    const char *key, double value, unsigned significant)
{
    ngx_http_async_upload_json_key(w, key, key ? strlen(key) : 0);

    if (!ngx_http_async_upload_json_put_double(w, value, significant)) {
        ngx_http_async_upload_json_put(w, "null", 4);
    }
}


/*
 * Prometheus text exposition 0.0.4: constants, numbers and label values are
 * written one after another; names, braces and quotes are the caller's.
 */


/*
 * Writes a C string as it is.
 */
static inline void
ngx_http_async_upload_json_text(ngx_http_async_upload_json_t *w,
    const char *s)
{
    ngx_http_async_upload_json_put(w, s, strlen(s));
}

/*
 * Writes an unsigned integer.
 */
static inline void
ngx_http_async_upload_json_text_uint(ngx_http_async_upload_json_t *w,
    uint64_t value)
{
    ngx_http_async_upload_json_put_uint(w, value);
}

/*
 * Writes num / den as json_ratio does; NaN if "den" is 0.  Microseconds in
 * seconds are a ratio with den 1000000 and 6 decimals.
 */
static inline void
ngx_http_async_upload_json_text_ratio(ngx_http_async_upload_json_t *w,
    uint64_t num, uint64_t den, unsigned decimals)
{
    ngx_http_async_upload_json_put_ratio(w, num, den, decimals, "NaN");
}

/*
 * Writes a number as json_double does; NaN, +Inf or -Inf if it is not finite.
 */
static inline void
ngx_http_async_upload_json_text_double(ngx_http_async_upload_json_t *w,
    double value, unsigned significant)
{
    if (ngx_http_async_upload_json_put_double(w, value, significant)) {
        return;
    }

    /* only NaN is neither */

    ngx_http_async_upload_json_put(w, value > 0 ? "+Inf"
                                      : value < 0 ? "-Inf" : "NaN",
                                   value > 0 || value < 0 ? 4 : 3);
}

/*
 * Writes "len" bytes of a label's value, without the quotes around it:
 * backslash, quote and line feed are escaped, NUL and each ill-formed UTF-8
 * sequence become U+FFFD.
 */
void ngx_http_async_upload_json_text_label(ngx_http_async_upload_json_t *w,
    const unsigned char *s, size_t len);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_JSON_H_INCLUDED_ */
