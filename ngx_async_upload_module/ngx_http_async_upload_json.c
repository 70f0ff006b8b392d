
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>

#include "ngx_http_async_upload_json.h"


#define NGX_HTTP_ASYNC_UPLOAD_JSON_DECIMALS     18
#define NGX_HTTP_ASYNC_UPLOAD_JSON_SIGNIFICANT  15

/* exponents of ten that are written with zeros instead of an exponent */

#define NGX_HTTP_ASYNC_UPLOAD_JSON_EXP_MIN      -5
#define NGX_HTTP_ASYNC_UPLOAD_JSON_EXP_MAX      20


static void ngx_http_async_upload_json_fail(ngx_http_async_upload_json_t *w);
static void __attribute__((noinline)) ngx_http_async_upload_json_refill(
    ngx_http_async_upload_json_t *w, const unsigned char *p, size_t len);
static void ngx_http_async_upload_json_member(ngx_http_async_upload_json_t *w,
    unsigned named);
static void ngx_http_async_upload_json_escape(ngx_http_async_upload_json_t *w,
    const unsigned char *s, size_t len, unsigned label);
static size_t ngx_http_async_upload_json_utf8(const unsigned char *s,
    size_t len, unsigned *valid);
static unsigned char *ngx_http_async_upload_json_digits(unsigned char *end,
    uint64_t value);
static int ngx_http_async_upload_json_decimal(double value, int significant,
    uint64_t *decimal);


/* what must be escaped: bit 0 in a JSON string, bit 1 in a label */

static const unsigned char  ngx_http_async_upload_json_class[128] = {

    3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1,  /* NUL, line feed */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,  /* " & */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0,  /* < > */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0,  /* backslash */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

static const char  ngx_http_async_upload_json_pairs[] =
    "00010203040506070809101112131415161718192021222324"
    "25262728293031323334353637383940414243444546474849"
    "50515253545556575859606162636465666768697071727374"
    "75767778798081828384858687888990919293949596979899";

/* all of them are exact in a double */

static const double  ngx_http_async_upload_json_pow10[] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};


void
ngx_http_async_upload_json_init(ngx_http_async_upload_json_t *w,
    unsigned char *buf, size_t size, ngx_http_async_upload_json_more_pt more,
    void *data)
{
    w->pos = buf;
    w->last = (size != 0) ? buf + size : buf;
    w->start = buf;
    w->more = more;
    w->data = data;
    w->arrays = 1;
    w->filled = 0;
    w->depth = 0;
    w->named = 0;
    w->failed = 0;
}


size_t
ngx_http_async_upload_json_done(ngx_http_async_upload_json_t *w)
{
    if (w->depth != 0) {
        ngx_http_async_upload_json_fail(w);
    }

    return (size_t) (w->pos - w->start);
}


static void
ngx_http_async_upload_json_fail(ngx_http_async_upload_json_t *w)
{
    /* with no room left every further write ends in refill, which refuses */

    w->failed = 1;
    w->last = w->pos;
}


void
ngx_http_async_upload_json_put(ngx_http_async_upload_json_t *w,
    const void *data, size_t len)
{
    if (len > (size_t) (w->last - w->pos)) {
        ngx_http_async_upload_json_refill(w, data, len);
        return;
    }

    if (len != 0) {
        memcpy(w->pos, data, len);
        w->pos += len;
    }
}


static void __attribute__((noinline))
ngx_http_async_upload_json_refill(ngx_http_async_upload_json_t *w,
    const unsigned char *p, size_t len)
{
    size_t          n, size;
    unsigned char  *chunk;

    for ( ;; ) {

        n = (size_t) (w->last - w->pos);

        if (n > len) {
            n = len;
        }

        if (n != 0) {
            memcpy(w->pos, p, n);
            w->pos += n;
            p += n;
            len -= n;
        }

        if (len == 0 || w->failed) {
            return;
        }

        size = 0;
        chunk = NULL;

        if (w->more != NULL) {
            chunk = w->more(w->data, (size_t) (w->pos - w->start), &size);
        }

        if (chunk == NULL || size < NGX_HTTP_ASYNC_UPLOAD_JSON_MIN_CHUNK) {
            ngx_http_async_upload_json_fail(w);
            return;
        }

        w->start = chunk;
        w->pos = chunk;
        w->last = chunk + size;
    }
}


/*
 * Writes the comma before a name ("named") or a value, and refuses a name
 * where none belongs and a value where a name is missing.
 */

static void
ngx_http_async_upload_json_member(ngx_http_async_upload_json_t *w,
    unsigned named)
{
    uint64_t  bit;

    if (w->named) {

        /* the value of json_name() */

        w->named = 0;

        if (named) {
            ngx_http_async_upload_json_fail(w);
        }

        return;
    }

    bit = UINT64_C(1) << w->depth;

    if (((w->arrays & bit) != 0) == named) {
        ngx_http_async_upload_json_fail(w);
        return;
    }

    if (!(w->filled & bit)) {
        w->filled |= bit;
        return;
    }

    if (w->depth == 0) {
        ngx_http_async_upload_json_fail(w);
        return;
    }

    ngx_http_async_upload_json_put(w, ",", 1);
}


void
ngx_http_async_upload_json_key(ngx_http_async_upload_json_t *w,
    const char *key, size_t len)
{
    uint64_t        bit;
    unsigned char  *p;

    bit = UINT64_C(1) << w->depth;

    if (key == NULL || w->named || (w->arrays & bit)
        || (size_t) (w->last - w->pos) < len + 4)
    {
        ngx_http_async_upload_json_member(w, key != NULL);

        if (key != NULL) {
            ngx_http_async_upload_json_put(w, "\"", 1);
            ngx_http_async_upload_json_put(w, key, len);
            ngx_http_async_upload_json_put(w, "\":", 2);
        }

        return;
    }

    /* the same at once, as most members are in an object and have room */

    p = w->pos;

    if (w->filled & bit) {
        *p++ = ',';
    }

    w->filled |= bit;

    *p++ = '"';
    memcpy(p, key, len);
    p += len;
    *p++ = '"';
    *p++ = ':';

    w->pos = p;
}


void
ngx_http_async_upload_json_name(ngx_http_async_upload_json_t *w,
    const unsigned char *key, size_t len)
{
    ngx_http_async_upload_json_member(w, 1);
    ngx_http_async_upload_json_put_string(w, key, len);
    ngx_http_async_upload_json_put(w, ":", 1);

    w->named = 1;
}


void
ngx_http_async_upload_json_open(ngx_http_async_upload_json_t *w,
    unsigned array)
{
    uint64_t  bit;

    if (w->depth == NGX_HTTP_ASYNC_UPLOAD_JSON_DEPTH) {
        ngx_http_async_upload_json_fail(w);
        return;
    }

    w->depth++;

    bit = UINT64_C(1) << w->depth;
    w->filled &= ~bit;
    w->arrays = array ? w->arrays | bit : w->arrays & ~bit;

    ngx_http_async_upload_json_put(w, array ? "[" : "{", 1);
}


void
ngx_http_async_upload_json_end(ngx_http_async_upload_json_t *w)
{
    if (w->depth == 0 || w->named) {
        ngx_http_async_upload_json_fail(w);
        return;
    }

    ngx_http_async_upload_json_put(w, (w->arrays >> w->depth & 1) ? "]" : "}",
                                   1);
    w->depth--;
}


void
ngx_http_async_upload_json_put_string(ngx_http_async_upload_json_t *w,
    const unsigned char *s, size_t len)
{
    ngx_http_async_upload_json_put(w, "\"", 1);
    ngx_http_async_upload_json_escape(w, s, len, 0);
    ngx_http_async_upload_json_put(w, "\"", 1);
}


void
ngx_http_async_upload_json_text_label(ngx_http_async_upload_json_t *w,
    const unsigned char *s, size_t len)
{
    ngx_http_async_upload_json_escape(w, s, len, 1);
}


static void
ngx_http_async_upload_json_escape(ngx_http_async_upload_json_t *w,
    const unsigned char *s, size_t len, unsigned label)
{
    size_t                n;
    unsigned              mask, valid;
    unsigned char         esc[6];
    const unsigned char  *plain, *end;

    static const unsigned char  hex[] = "0123456789abcdef";

    /* an empty string may have no address */

    if (len == 0) {
        return;
    }

    mask = label ? 2 : 1;
    plain = s;
    end = s + len;

    while (s < end) {

        n = 1;

        if (*s < 0x80) {

            if (!(ngx_http_async_upload_json_class[*s] & mask)) {
                s++;
                continue;
            }

        } else {
            n = ngx_http_async_upload_json_utf8(s, (size_t) (end - s), &valid);

            if (valid) {
                s += n;
                continue;
            }
        }

        ngx_http_async_upload_json_put(w, plain, (size_t) (s - plain));

        if (*s >= 0x80 || (label && *s == '\0')) {
            ngx_http_async_upload_json_put(w, "\xef\xbf\xbd", 3);

        } else if (label && *s == '\n') {
            ngx_http_async_upload_json_put(w, "\\n", 2);

        } else if (*s == '"' || *s == '\\') {
            ngx_http_async_upload_json_put(w, "\\", 1);
            ngx_http_async_upload_json_put(w, s, 1);

        } else {
            memcpy(esc, "\\u00", 4);
            esc[4] = hex[*s >> 4];
            esc[5] = hex[*s & 15];
            ngx_http_async_upload_json_put(w, esc, 6);
        }

        s += n;
        plain = s;
    }

    ngx_http_async_upload_json_put(w, plain, (size_t) (s - plain));
}


/*
 * Measures the sequence that starts with a byte of 0x80 or more: all of a
 * well-formed one ("*valid" is 1), or the maximal part of an ill-formed one,
 * which is at least one byte.  Overlong forms, surrogates and what is past
 * U+10FFFF are told by the second byte.
 */

static size_t
ngx_http_async_upload_json_utf8(const unsigned char *s, size_t len,
    unsigned *valid)
{
    size_t         n, need;
    unsigned char  low, high;

    *valid = 0;

    low = 0x80;
    high = 0xbf;

    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        need = 2;

    } else if ((s[0] & 0xf0) == 0xe0) {
        need = 3;

        if (s[0] == 0xe0) {
            low = 0xa0;

        } else if (s[0] == 0xed) {
            high = 0x9f;
        }

    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        need = 4;

        if (s[0] == 0xf0) {
            low = 0x90;

        } else if (s[0] == 0xf4) {
            high = 0x8f;
        }

    } else {
        return 1;
    }

    for (n = 1; n < need; n++) {

        if (n == len || s[n] < low || s[n] > high) {
            return n;
        }

        low = 0x80;
        high = 0xbf;
    }

    *valid = 1;

    return need;
}


/* writes the digits before "end", at most 20, and returns the first */

static unsigned char *
ngx_http_async_upload_json_digits(unsigned char *end, uint64_t value)
{
    const char  *pair;

    while (value >= 100) {
        pair = &ngx_http_async_upload_json_pairs[value % 100 * 2];
        value /= 100;

        *--end = (unsigned char) pair[1];
        *--end = (unsigned char) pair[0];
    }

    pair = &ngx_http_async_upload_json_pairs[value * 2];

    *--end = (unsigned char) pair[1];

    if (value >= 10) {
        *--end = (unsigned char) pair[0];
    }

    return end;
}


void
ngx_http_async_upload_json_put_uint(ngx_http_async_upload_json_t *w,
    uint64_t value)
{
    unsigned char  buf[20], *p;

    if (value < 10 && w->pos < w->last) {
        *w->pos++ = (unsigned char) ('0' + value);
        return;
    }

    p = ngx_http_async_upload_json_digits(buf + sizeof(buf), value);

    ngx_http_async_upload_json_put(w, p, (size_t) (buf + sizeof(buf) - p));
}


void
ngx_http_async_upload_json_put_int(ngx_http_async_upload_json_t *w,
    int64_t value)
{
    if (value >= 0) {
        ngx_http_async_upload_json_put_uint(w, (uint64_t) value);
        return;
    }

    ngx_http_async_upload_json_put(w, "-", 1);

    /* the least value has no positive counterpart in 64 bits */

    ngx_http_async_upload_json_put_uint(w, 0 - (uint64_t) value);
}


void
ngx_http_async_upload_json_put_ratio(ngx_http_async_upload_json_t *w,
    uint64_t num, uint64_t den, unsigned decimals, const char *none)
{
    uint64_t       whole, rest, part;
    unsigned       i;
    unsigned char  buf[40], *p, *end;

    if (den == 0) {
        ngx_http_async_upload_json_text(w, none);
        return;
    }

    if (decimals > NGX_HTTP_ASYNC_UPLOAD_JSON_DECIMALS) {
        decimals = NGX_HTTP_ASYNC_UPLOAD_JSON_DECIMALS;
    }

    /* so that ten times a remainder does not overflow */

    while (den > UINT64_MAX / 10) {
        num >>= 1;
        den >>= 1;
    }

    whole = num / den;
    rest = num % den;
    part = 0;

    for (i = 0; i < decimals; i++) {
        rest *= 10;
        part = part * 10 + rest / den;
        rest %= den;
    }

    if (rest >= den - rest) {
        part++;
    }

    end = buf + sizeof(buf);
    p = end;

    for (i = 0; i < decimals; i++) {
        *--p = (unsigned char) ('0' + part % 10);
        part /= 10;
    }

    /* a carry out of the decimals is left in part */

    whole += part;

    if (decimals != 0) {
        *--p = '.';
    }

    p = ngx_http_async_upload_json_digits(p, whole);

    ngx_http_async_upload_json_put(w, p, (size_t) (end - p));
}


int
ngx_http_async_upload_json_put_double(ngx_http_async_upload_json_t *w,
    double value, unsigned significant)
{
    int            i, n, exp, point;
    uint64_t       decimal;
    unsigned char  digits[20], out[48], *d, *p;

    if (!isfinite(value)) {
        return 0;
    }

    if (significant - 1 >= NGX_HTTP_ASYNC_UPLOAD_JSON_SIGNIFICANT) {
        significant = significant ? NGX_HTTP_ASYNC_UPLOAD_JSON_SIGNIFICANT : 1;
    }

    if (value == 0) {
        ngx_http_async_upload_json_put(w, "0", 1);
        return 1;
    }

    n = (int) significant;
    p = out;

    if (value < 0) {
        *p++ = '-';
    }

    exp = ngx_http_async_upload_json_decimal(fabs(value), n, &decimal);
    d = ngx_http_async_upload_json_digits(digits + sizeof(digits), decimal);

    while (n > 1 && d[n - 1] == '0') {
        n--;
    }

    /* "point" is how many digits stand before it, zero and less: none */

    point = exp + 1;

    if (exp < NGX_HTTP_ASYNC_UPLOAD_JSON_EXP_MIN
        || exp > NGX_HTTP_ASYNC_UPLOAD_JSON_EXP_MAX)
    {
        point = 1;
    }

    if (point <= 0) {
        *p++ = '0';
        *p++ = '.';

        for (i = point; i < 0; i++) {
            *p++ = '0';
        }
    }

    for (i = 0; i < n || i < point; i++) {

        if (i != 0 && i == point) {
            *p++ = '.';
        }

        *p++ = (i < n) ? d[i] : '0';
    }

    ngx_http_async_upload_json_put(w, out, (size_t) (p - out));

    if (point != exp + 1) {
        ngx_http_async_upload_json_put(w, "e", 1);
        ngx_http_async_upload_json_put_int(w, exp);
    }

    return 1;
}


/*
 * Rounds a positive number to an integer of "significant" digits and returns
 * the exponent of ten of the first of them.
 */

static int
ngx_http_async_upload_json_decimal(double value, int significant,
    uint64_t *decimal)
{
    int            exp, scale;
    const double  *pow10;

    pow10 = ngx_http_async_upload_json_pow10;
    scale = 0;

    while (value >= 1e21) {
        value /= 1e20;
        scale += 20;
    }

    while (value < 1e-7) {
        value *= 1e20;
        scale -= 20;
    }

    exp = 0;

    while (value >= pow10[exp + 1]) {
        exp++;
    }

    while (exp <= 0 && value * pow10[-exp] < 1) {
        exp--;
    }

    /*
     * From here on there is one rounding before that to an integer, as the
     * powers are exact; 10^15 is far from where doubles skip integers.
     */

    if (exp >= significant) {
        value /= pow10[exp - significant + 1];

    } else {
        value *= pow10[significant - 1 - exp];
    }

    *decimal = (uint64_t) (value + 0.5);

    if (*decimal >= (uint64_t) pow10[significant]) {
        *decimal /= 10;
        exp++;
    }

    return exp + scale;
}
