
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ngx_http_async_upload_json.h"
#include "tap.h"


#define OUTPUT  65536
#define CANARY  0xa5
#define PAD     16


typedef ngx_http_async_upload_json_t  json_w;

#define w_init     ngx_http_async_upload_json_init
#define w_done     ngx_http_async_upload_json_done
#define w_object   ngx_http_async_upload_json_object
#define w_array    ngx_http_async_upload_json_array
#define w_end      ngx_http_async_upload_json_end
#define w_name     ngx_http_async_upload_json_name
#define w_string   ngx_http_async_upload_json_string
#define w_literal  ngx_http_async_upload_json_literal
#define w_uint     ngx_http_async_upload_json_uint
#define w_int      ngx_http_async_upload_json_int
#define w_bool     ngx_http_async_upload_json_bool
#define w_null     ngx_http_async_upload_json_null
#define w_ratio    ngx_http_async_upload_json_ratio
#define w_double   ngx_http_async_upload_json_double
#define w_text     ngx_http_async_upload_json_text
#define w_label    ngx_http_async_upload_json_text_label


/* where the chunks of a writer are collected */

typedef struct {
    unsigned char   output[OUTPUT];
    size_t          len;
    size_t          size;        /* of each chunk */
    unsigned        left;        /* chunks that are still handed out */
    unsigned        overruns;
    unsigned char  *chunk;
} sink_t;


typedef void (*render_pt)(json_w *w, uint64_t seed);


static unsigned char  scratch[OUTPUT];


static unsigned char *
sink_chunk(sink_t *s)
{
    s->chunk = malloc(s->size + PAD);

    if (s->chunk == NULL) {
        abort();
    }

    memset(s->chunk + s->size, CANARY, PAD);

    return s->chunk;
}


static void
sink_take(sink_t *s, size_t used)
{
    size_t  i;

    for (i = 0; i < PAD; i++) {
        s->overruns += (s->chunk[s->size + i] != CANARY);
    }

    if (used > s->size || s->len + used > OUTPUT) {
        s->overruns++;
        used = 0;
    }

    memcpy(s->output + s->len, s->chunk, used);
    s->len += used;

    free(s->chunk);
    s->chunk = NULL;
}


static unsigned char *
sink_more(void *data, size_t used, size_t *size)
{
    sink_t  *s;

    s = data;

    if (used != s->size) {
        s->overruns++;
    }

    if (s->left == 0) {
        return NULL;
    }

    s->left--;

    sink_take(s, used);

    *size = s->size;

    return sink_chunk(s);
}


/* renders through "chunks" chunks of "size" bytes; returns "failed" */

static unsigned
render(sink_t *s, size_t size, unsigned chunks, render_pt handler,
    uint64_t seed)
{
    json_w  w;

    s->len = 0;
    s->size = size;
    s->left = chunks - 1;
    s->overruns = 0;

    w_init(&w, sink_chunk(s), size, sink_more, s);

    handler(&w, seed);

    sink_take(s, w_done(&w));

    return w.failed;
}


/*
 * Well-formed UTF-8 told from nothing but its definition: all code points are
 * encoded, and each proper prefix is noted.
 */

static unsigned char  prefix1[1 << 8], prefix2[1 << 16], prefix3[1 << 24];
static unsigned char  whole1[1 << 8], whole2[1 << 16], whole3[1 << 24];


static void
utf8_init(void)
{
    uint32_t  c, a, b, d;

    for (c = 0; c < 0x110000; c++) {

        if (c >= 0xd800 && c < 0xe000) {
            continue;
        }

        if (c < 0x80) {
            whole1[c] = 1;

        } else if (c < 0x800) {
            a = 0xc0 | c >> 6;
            prefix1[a] = 1;
            whole2[a << 8 | 0x80 | (c & 63)] = 1;

        } else if (c < 0x10000) {
            a = 0xe0 | c >> 12;
            b = a << 8 | 0x80 | (c >> 6 & 63);
            prefix1[a] = 1;
            prefix2[b] = 1;
            whole3[b << 8 | 0x80 | (c & 63)] = 1;

        } else {
            a = 0xf0 | c >> 18;
            b = a << 8 | 0x80 | (c >> 12 & 63);
            d = b << 8 | 0x80 | (c >> 6 & 63);
            prefix1[a] = 1;
            prefix2[b] = 1;
            prefix3[d] = 1;
        }
    }
}


/* replaces ill-formed sequences, one U+FFFD for each maximal part */

static size_t
utf8_clean(unsigned char *out, const unsigned char *s, size_t len)
{
    size_t    i, n, good, part;
    uint32_t  v;

    n = 0;

    for (i = 0; i < len; /* void */ ) {

        good = 0;
        part = 1;
        v = s[i];

        if (whole1[v]) {
            good = 1;

        } else if (prefix1[v] && i + 1 < len) {
            v = v << 8 | s[i + 1];

            if (whole2[v]) {
                good = 2;

            } else if (prefix2[v]) {
                part = 2;

                if (i + 2 < len) {
                    v = v << 8 | s[i + 2];

                    if (whole3[v]) {
                        good = 3;

                    } else if (prefix3[v]) {
                        part = 3;

                        if (i + 3 < len && (s[i + 3] & 0xc0) == 0x80) {
                            good = 4;
                        }
                    }
                }
            }
        }

        if (good) {
            memcpy(out + n, s + i, good);
            n += good;
            i += good;

        } else {
            memcpy(out + n, "\xef\xbf\xbd", 3);
            n += 3;
            i += part;
        }
    }

    return n;
}


/* any bytes, with all that is special more often than chance would have it */

static size_t
random_bytes(unsigned char *s, size_t max)
{
    size_t  i, n;

    static const char  special[] = "\0\n\r\t\"\\<>&\x7f\x1f u{}[],:"
                                   "\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xa0\xf0"
                                   "\x90\xf4\x8f\xf5\xff\xc0\xaf";

    n = tap_below(max + 1);

    for (i = 0; i < n; i++) {

        if (tap_below(2)) {
            s[i] = (unsigned char) tap_random();

        } else {
            s[i] = (unsigned char) special[tap_below(sizeof(special) - 1)];
        }
    }

    return n;
}


static int
output_is(sink_t *s, const char *expected)
{
    if (s->len == strlen(expected)
        && memcmp(s->output, expected, s->len) == 0)
    {
        return 1;
    }

    tap_note("got %.*s", (int) s->len, (char *) s->output);
    tap_note("not %s", expected);

    return 0;
}


static void
render_sample(json_w *w, uint64_t seed)
{
    (void) seed;

    w_object(w, NULL);
    w_literal(w, "state", "running");
    w_uint(w, "share_bp", 10000);
    w_int(w, "delta", -5);
    w_bool(w, "on", 1);
    w_bool(w, "off", 0);
    w_null(w, "none");
    w_ratio(w, "rate", 1, 3, 4);
    w_double(w, "e", 0.25, 6);
    w_array(w, "events");
    w_uint(w, NULL, 1);
    w_object(w, NULL);
    w_end(w);
    w_array(w, NULL);
    w_end(w);
    w_string(w, NULL, (const unsigned char *) "a\"b", 3);
    w_end(w);
    w_name(w, (const unsigned char *) "x\ny", 3);
    w_object(w, NULL);
    w_name(w, (const unsigned char *) "", 0);
    w_uint(w, NULL, 7);
    w_end(w);
    w_end(w);
}


static void
test_sample(void)
{
    static sink_t  s;

    tap_ok(!render(&s, 1024, 1, render_sample, 0)
           && output_is(&s, "{\"state\":\"running\",\"share_bp\":10000,"
                        "\"delta\":-5,\"on\":true,\"off\":false,"
                        "\"none\":null,\"rate\":0.3333,\"e\":0.25,"
                        "\"events\":[1,{},[],\"a\\\"b\"],"
                        "\"x\\u000ay\":{\"\":7}}"),
           "members, elements and nesting are written as they should");
}


/*
 * A random document is written and built with jansson at the same time.
 */

static json_t  *built;
static unsigned members;


static json_t *
random_value(json_w *w, const char *key, unsigned depth)
{
    char            name[16];
    size_t          n, c;
    int64_t         i;
    json_t         *value, *child;
    unsigned        count, k;
    unsigned char   bytes[64], clean[256];

    switch (tap_below(depth < 6 ? 8 : 6)) {

    case 0:
        n = random_bytes(bytes, 40);
        w_string(w, key, bytes, n);
        n = utf8_clean(clean, bytes, n);
        return json_stringn((char *) clean, n);

    case 1:

        /* jansson's integers are signed */

        i = (int64_t) (tap_random() >> (1 + tap_below(63)));
        w_uint(w, key, (uint64_t) i);
        return json_integer(i);

    case 2:
        i = (int64_t) tap_random() >> tap_below(64);
        w_int(w, key, i);
        return json_integer(i);

    case 3:
        w_bool(w, key, tap_seed & 1);
        return json_boolean(tap_seed & 1);

    case 4:
        w_null(w, key);
        return json_null();

    case 5:

        /* sixteenths of small numbers have few digits in both notations */

        i = (int64_t) tap_below(1000000) * 2 + 1;
        w_double(w, key, (double) i / 16, 15);
        return json_real((double) i / 16);

    case 6:
        count = (unsigned) tap_below(6);
        value = json_array();
        w_array(w, key);

        for (k = 0; k < count; k++) {
            json_array_append_new(value, random_value(w, NULL, depth + 1));
        }

        w_end(w);
        return value;

    default:
        count = (unsigned) tap_below(6);
        value = json_object();
        w_object(w, key);

        for (k = 0; k < count; k++) {

            /* the counter makes a name differ from its siblings' */

            if (tap_below(2)) {
                /* jansson's names hold no NUL */

                n = random_bytes(bytes, 20);

                for (c = 0; c < n; c++) {
                    bytes[c] |= (bytes[c] == '\0');
                }

                n += (size_t) sprintf((char *) bytes + n, "%u", members++);
                w_name(w, bytes, n);

                n = utf8_clean(clean, bytes, n);
                clean[n] = '\0';

                child = random_value(w, NULL, depth + 1);
                json_object_set_new(value, (char *) clean, child);

            } else {
                sprintf(name, "k%u", members++);
                child = random_value(w, name, depth + 1);
                json_object_set_new(value, name, child);
            }
        }

        w_end(w);
        return value;
    }
}


static void
render_random(json_w *w, uint64_t seed)
{
    unsigned  i;

    tap_seed = seed;
    members = 0;

    json_decref(built);
    built = json_array();

    w_array(w, NULL);

    for (i = 0; i < 20; i++) {
        json_array_append_new(built, random_value(w, NULL, 0));
    }

    w_end(w);
}


/* nothing in the output could end a script element or break a line */

static int
output_is_embeddable(sink_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {
        if (s->output[i] < 0x20 || strchr("<>&", s->output[i]) != NULL) {
            return 0;
        }
    }

    return 1;
}


static void
test_random(void)
{
    size_t                 size;
    json_t                *parsed;
    uint64_t               seed;
    unsigned               wrong, unsafe, split, failed;
    json_error_t           error;
    static sink_t          whole, s;

    wrong = 0;
    unsafe = 0;
    split = 0;
    failed = 0;

    for (seed = 1; seed <= 200; seed++) {

        failed += render(&whole, OUTPUT - PAD, 1, render_random, seed);

        unsafe += !output_is_embeddable(&whole);

        parsed = json_loadb((char *) whole.output, whole.len,
                            JSON_ALLOW_NUL|JSON_REJECT_DUPLICATES, &error);

        if (parsed == NULL || !json_equal(parsed, built)) {
            wrong++;
            tap_note("seed %" PRIu64 ": %s", seed,
                     parsed ? "differs" : error.text);
        }

        json_decref(parsed);

        for (size = 64; size < 400; size += (seed <= 5) ? 1 : 37) {

            failed += render(&s, size, 10000, render_random, seed);

            split += (s.overruns != 0 || s.len != whole.len
                      || memcmp(s.output, whole.output, s.len) != 0);
        }
    }

    json_decref(built);
    built = NULL;

    tap_ok(failed == 0, "random documents are written without a failure");
    tap_ok(wrong == 0, "a parser reads back what was written");
    tap_ok(unsafe == 0, "no document holds a raw control character, <, > or "
           "&");
    tap_ok(split == 0, "chunks of any size from 64 bytes give the same bytes");
}


static void
render_escapes(json_w *w, uint64_t seed)
{
    unsigned       i;
    unsigned char  bytes[128];

    /* the seed shifts all escapes against the chunks */

    for (i = 0; i < 128; i++) {
        bytes[i] = (i % 3 == 0) ? '\n' : (i % 3 == 1) ? '"' : 0xff;
    }

    memset(scratch, 'x', 64);

    w_array(w, NULL);
    w_string(w, NULL, scratch, seed);
    w_string(w, NULL, bytes, 128);
    w_end(w);
}


static void
test_escapes(void)
{
    unsigned               c, split, wrong;
    unsigned char          byte;
    uint64_t               seed;
    char                   expected[16];
    json_w                 w;
    static sink_t          whole, s;

    split = 0;

    for (seed = 0; seed < 64; seed++) {
        render(&whole, 8192, 1, render_escapes, seed);

        split += render(&s, 64, 1000, render_escapes, seed);
        split += (s.len != whole.len
                  || memcmp(s.output, whole.output, s.len) != 0);
    }

    tap_ok(split == 0, "a chunk may end at any byte of an escape");

    wrong = 0;

    for (c = 0; c < 0x80; c++) {
        byte = (unsigned char) c;

        w_init(&w, scratch, 64, NULL, NULL);
        w_string(&w, NULL, &byte, 1);
        scratch[w_done(&w)] = '\0';

        if (c == '"' || c == '\\') {
            sprintf(expected, "\"\\%c\"", c);

        } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
            sprintf(expected, "\"\\u%04x\"", c);

        } else {
            sprintf(expected, "\"%c\"", c);
        }

        wrong += (strcmp((char *) scratch, expected) != 0);
    }

    tap_ok(wrong == 0, "each ASCII character is escaped if it has to be");
}


static int
string_is(const char *s, size_t len, const char *expected)
{
    json_w  w;
    size_t  n;

    w_init(&w, scratch, 256, NULL, NULL);
    w_string(&w, NULL, (const unsigned char *) s, len);
    n = w_done(&w);

    return n == strlen(expected) + 2
           && memcmp(scratch + 1, expected, n - 2) == 0;
}


#define R  "\xef\xbf\xbd"

static void
test_utf8(void)
{
    size_t         n, m;
    unsigned       i, wrong;
    json_w         w;
    unsigned char  bytes[16], clean[64];

    /* Unicode 15, section 3.9, tables 3-8 to 3-11 */

    tap_ok(string_is("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", 9,
                     R R R R R R R R "A"),
           "UTF-8: overlong forms become one U+FFFD a byte");
    tap_ok(string_is("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", 9,
                     R R R R R R R R "A"),
           "UTF-8: surrogates become one U+FFFD a byte");
    tap_ok(string_is("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", 9,
                     R R R R R "A" R R "B"),
           "UTF-8: what is past U+10FFFF becomes one U+FFFD a byte");
    tap_ok(string_is("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 9,
                     R R R R "A"),
           "UTF-8: a truncated sequence becomes one U+FFFD");
    tap_ok(string_is("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64",
                     13, "a" R R R "b" R "c" R R "d"),
           "UTF-8: mixed damage as in the standard's example");
    tap_ok(string_is("\xf0\x9f\x98", 3, R),
           "UTF-8: a sequence cut by the end becomes one U+FFFD");

    wrong = 0;

    for (i = 0; i < 300000; i++) {
        n = random_bytes(bytes, 8);

        /* what is ASCII is tested above */

        for (m = 0; m < n; m++) {
            if (bytes[m] < 0x80) {
                bytes[m] = 'A';
            }
        }

        m = utf8_clean(clean, bytes, n);

        w_init(&w, scratch, 256, NULL, NULL);
        w_string(&w, NULL, bytes, n);
        n = w_done(&w);

        wrong += (n != m + 2 || memcmp(scratch + 1, clean, m) != 0);
    }

    tap_ok(wrong == 0, "UTF-8: random bytes are cleaned as the definition of "
           "UTF-8 says");
}


static const char *
number(int kind, uint64_t v, uint64_t den, double d, unsigned digits)
{
    json_w  w;

    w_init(&w, scratch, 256, NULL, NULL);

    switch (kind) {

    case 'u':
        w_uint(&w, NULL, v);
        break;

    case 'i':
        w_int(&w, NULL, (int64_t) v);
        break;

    case 'r':
        w_ratio(&w, NULL, v, den, digits);
        break;

    case 'R':
        ngx_http_async_upload_json_text_ratio(&w, v, den, digits);
        break;

    case 'D':
        ngx_http_async_upload_json_text_double(&w, d, digits);
        break;

    default:
        w_double(&w, NULL, d, digits);
    }

    scratch[w_done(&w)] = '\0';

    return w.failed ? "failed" : (char *) scratch;
}


static int
is(const char *got, const char *expected)
{
    if (strcmp(got, expected) == 0) {
        return 1;
    }

    tap_note("got %s, not %s", got, expected);

    return 0;
}


#define ratio_is(num, den, decimals, expected)                                \
    is(number('r', num, den, 0, decimals), expected)

#define double_is(value, significant, expected)                               \
    is(number('d', 0, 0, value, significant), expected)


static void
test_integers(void)
{
    char      expected[32];
    unsigned  i, wrong;
    uint64_t  v, power;

    wrong = 0;

    for (i = 0; i < 100000; i++) {
        v = tap_random() >> tap_below(64);

        sprintf(expected, "%" PRIu64, v);
        wrong += !is(number('u', v, 0, 0, 0), expected);

        sprintf(expected, "%" PRId64, (int64_t) v);
        wrong += !is(number('i', v, 0, 0, 0), expected);

        sprintf(expected, "%" PRId64, -(int64_t) (v >> 1));
        wrong += !is(number('i', 0 - (v >> 1), 0, 0, 0), expected);
    }

    for (power = 1, i = 0; i < 20; i++, power *= 10) {
        sprintf(expected, "%" PRIu64, power);
        wrong += !is(number('u', power, 0, 0, 0), expected);

        sprintf(expected, "%" PRIu64, power - 1);
        wrong += !is(number('u', power - 1, 0, 0, 0), expected);
    }

    tap_ok(wrong == 0, "integers are those of the C library");

    tap_ok(is(number('u', UINT64_MAX, 0, 0, 0), "18446744073709551615")
           && is(number('i', (uint64_t) INT64_MIN, 0, 0, 0),
                 "-9223372036854775808")
           && is(number('i', INT64_MAX, 0, 0, 0), "9223372036854775807"),
           "the limits of 64 bits are written");
}


static void
test_ratios(void)
{
    char               expected[64];
    uint64_t           num, den;
    unsigned           i, k, decimals, wrong;
    unsigned __int128  scale, v;

    tap_ok(ratio_is(0, 0, 4, "null") && ratio_is(5, 0, 4, "null"),
           "a ratio to 0 is null");
    tap_ok(is(number('R', 5, 0, 0, 4), "NaN")
           && is(number('R', 1234567, 1000000, 0, 6), "1.234567"),
           "in text a ratio to 0 is NaN");
    tap_ok(ratio_is(1, 2, 0, "1") && ratio_is(49, 100, 0, "0")
           && ratio_is(1, 8, 2, "0.13") && ratio_is(1249, 10000, 2, "0.12")
           && ratio_is(99995, 100000, 4, "1.0000")
           && ratio_is(99994, 100000, 4, "0.9999"),
           "ratios are rounded half up, also into the next whole number");
    tap_ok(ratio_is(0, 7, 3, "0.000") && ratio_is(7, 7, 3, "1.000")
           && ratio_is(1, 100, 3, "0.010"), "zeros stand on both ends");
    tap_ok(ratio_is(UINT64_MAX, 1, 2, "18446744073709551615.00")
           && ratio_is(UINT64_MAX, UINT64_MAX, 18, "1.000000000000000000")
           && ratio_is(UINT64_MAX / 2, UINT64_MAX, 6, "0.500000")
           && ratio_is(1, UINT64_MAX, 18, "0.000000000000000000"),
           "the limits of 64 bits do not overflow");

    wrong = 0;

    for (i = 0; i < 200000; i++) {
        decimals = (unsigned) tap_below(10);
        num = tap_random() >> tap_below(64);
        den = 1 + (tap_random() >> (4 + tap_below(60)));

        for (scale = 1, k = 0; k < decimals; k++) {
            scale *= 10;
        }

        v = (scale * num * 2 + den) / ((unsigned __int128) den * 2);

        sprintf(expected, "%" PRIu64, (uint64_t) (v / scale));

        if (decimals) {
            sprintf(expected + strlen(expected), ".%0*" PRIu64,
                    (int) decimals, (uint64_t) (v % scale));
        }

        wrong += !ratio_is(num, den, decimals, expected);
    }

    tap_ok(wrong == 0, "random ratios are those of 128-bit arithmetic");
}


static void
test_doubles(void)
{
    int       exp;
    char      text[64], libc[64];
    double    v, got, error, bound;
    unsigned  i, n, wrong, far;
    uint64_t  bits;

    tap_ok(double_is(0, 6, "0") && double_is(-0.0, 6, "0")
           && double_is(1, 6, "1") && double_is(-1.5, 6, "-1.5")
           && double_is(0.1, 15, "0.1") && double_is(0.05, 6, "0.05")
           && double_is(1e3, 6, "1000") && double_is(2.0 / 3, 3, "0.667"),
           "doubles have no digit too many");
    tap_ok(double_is(123456, 3, "123000") && double_is(999999, 5, "1000000")
           && double_is(0.999996, 5, "1") && double_is(9.5, 1, "10"),
           "doubles are rounded to the digits asked for");
    tap_ok(double_is(0.00001, 6, "0.00001") && double_is(1e-6, 6, "1e-6")
           && double_is(1.25e-7, 6, "1.25e-7")
           && double_is(1e20, 6, "100000000000000000000")
           && double_is(1e21, 6, "1e21") && double_is(-2.5e300, 6, "-2.5e300"),
           "doubles have an exponent below 1e-5 and from 1e21 on");
    tap_ok(double_is(DBL_MAX, 6, "1.79769e308")
           && double_is(DBL_MIN, 6, "2.22507e-308")
           && double_is(5e-324, 3, "4.94e-324"),
           "the limits of a double are written");
    tap_ok(double_is(1.25, 0, "1") && double_is(0.1, 99, "0.1"),
           "digits outside 1..15 are clamped");
    tap_ok(double_is(NAN, 6, "null") && double_is(INFINITY, 6, "null")
           && double_is(-INFINITY, 6, "null"),
           "what is not finite is null");
    tap_ok(is(number('D', 0, 0, NAN, 6), "NaN")
           && is(number('D', 0, 0, INFINITY, 6), "+Inf")
           && is(number('D', 0, 0, -INFINITY, 6), "-Inf")
           && is(number('D', 0, 0, 0.5, 6), "0.5"),
           "in text it is NaN, +Inf or -Inf");

    wrong = 0;

    for (i = 0; i < 100000; i++) {

        /* 1 to 15 digits with a factor of 10^-21 to 10^5 */

        sprintf(text, "%" PRIu64 "e%d",
                1 + tap_random() % UINT64_C(999999999999999)
                    / (uint64_t) pow(10, (double) tap_below(15)),
                (int) tap_below(27) - 21);

        v = strtod(text, NULL);

        if (v < 1e-7 || v >= 1e21) {
            continue;
        }

        wrong += (strtod(number('d', 0, 0, v, 15), NULL) != v);
    }

    tap_ok(wrong == 0, "decimals of up to 15 digits come back as they were");

    wrong = 0;
    far = 0;

    for (i = 0; i < 200000; i++) {
        n = 1 + (unsigned) tap_below(15);

        if (i % 2) {
            v = ldexp((double) (1 + tap_below(UINT64_C(1) << 53)),
                      -53 - (int) tap_below(20));

        } else {
            bits = tap_random();
            memcpy(&v, &bits, sizeof(v));
        }

        if (!isfinite(v) || v == 0) {
            continue;
        }

        number('d', 0, 0, v, n);
        got = strtod((char *) scratch, NULL);

        /* half a unit of the last digit, and what the header allows */

        exp = (int) floor(log10(fabs(v)));
        bound = (0.5 + 0.07) * pow(10, exp + 1 - (int) n)
                + 2.2e-15 * fabs(v) + 5e-324;
        error = fabs(got - v);

        /* DBL_MAX rounded up does not come back */

        far += (isfinite(got) && error > bound);

        /* with few digits a tie is too rare to matter */

        if (n <= 9) {
            sprintf(libc, "%.*e", (int) n - 1, v);
            wrong += (isfinite(got) && got != strtod(libc, NULL));
        }
    }

    tap_ok(far == 0, "doubles are rounded to the nearest");
    tap_ok(wrong == 0, "up to 9 digits are those of the C library");
}


static void
render_deep(json_w *w, uint64_t depth)
{
    uint64_t  i;

    for (i = 0; i < depth; i++) {
        if (i % 2) {
            w_array(w, "k");

        } else {
            w_object(w, NULL);
        }
    }

    for (i = 0; i < depth; i++) {
        w_end(w);
    }
}


/* each case is one misuse, the last is none */

static void
render_misuse(json_w *w, uint64_t n)
{
    switch (n) {

    case 0:
        w_end(w);
        return;

    case 1:
        w_object(w, NULL);
        return;

    case 2:
        w_object(w, NULL);
        w_uint(w, NULL, 1);
        break;

    case 3:
        w_array(w, NULL);
        w_uint(w, "key", 1);
        break;

    case 4:
        w_uint(w, NULL, 1);
        w_uint(w, NULL, 2);
        return;

    case 5:
        w_uint(w, "key", 1);
        return;

    case 6:
        w_object(w, NULL);
        w_name(w, (const unsigned char *) "a", 1);
        break;

    case 7:
        w_object(w, NULL);
        w_name(w, (const unsigned char *) "a", 1);
        w_uint(w, "key", 1);
        break;

    case 8:
        w_object(w, NULL);
        w_name(w, (const unsigned char *) "a", 1);
        w_name(w, (const unsigned char *) "b", 1);
        w_null(w, NULL);
        break;

    case 9:
        w_array(w, NULL);
        w_name(w, (const unsigned char *) "a", 1);
        w_null(w, NULL);
        break;

    case 10:
        w_object(w, NULL);
        w_end(w);
        w_end(w);
        return;

    default:
        w_object(w, NULL);
        w_name(w, (const unsigned char *) "a", 1);
        w_array(w, NULL);
        w_null(w, NULL);
        w_end(w);
    }

    w_end(w);
}


static void
test_limits(void)
{
    json_w         w;
    uint64_t       n;
    static sink_t  s;

    static const char  *title[] = {
        "an end without a start", "an object that is not ended",
        "a member without a name", "an element with a name",
        "two values at the top", "a value at the top with a name",
        "a name without a value", "a name and a key", "a name after a name",
        "a name in an array", "one end too many"
    };

    tap_ok(!render(&s, 1024, 1, render_deep, 32), "32 levels can be nested");

    json_t *parsed = json_loadb((char *) s.output, s.len, 0, NULL);
    tap_ok(parsed != NULL, "and are read back");
    json_decref(parsed);

    tap_ok(render(&s, 1024, 1, render_deep, 33), "33 levels fail");
    tap_ok(render(&s, 1024, 1, render_deep, 100), "100 levels fail");

    for (n = 0; n < sizeof(title) / sizeof(title[0]); n++) {
        tap_ok(render(&s, 1024, 1, render_misuse, n), "%s fails", title[n]);
    }

    tap_ok(!render(&s, 1024, 1, render_misuse, n), "correct use does not");

    w_init(&w, scratch, 1024, NULL, NULL);
    w_array(&w, NULL);
    w_uint(&w, "key", 1);
    n = w_done(&w);
    w_uint(&w, NULL, 1);
    w_string(&w, NULL, (const unsigned char *) "a\n", 2);
    w_text(&w, "x");
    w_end(&w);
    tap_ok(w_done(&w) == n, "nothing is written after an error");
}


static void
test_room(void)
{
    json_w         w;
    size_t         size;
    unsigned       chunks, wrong, needed, failed;
    static sink_t  whole, s;

    render(&whole, OUTPUT - PAD, 1, render_random, 3);

    wrong = 0;
    needed = 0;

    for (size = 64; size < 200; size++) {
        for (chunks = 1; /* void */ ; chunks++) {

            failed = render(&s, size, chunks, render_random, 3);

            wrong += (s.overruns != 0
                      || memcmp(s.output, whole.output, s.len) != 0);

            if (!failed) {
                break;
            }

            wrong += (s.len != size * chunks);
        }

        needed = (unsigned) ((whole.len + size - 1) / size);
        wrong += (chunks != needed || s.len != whole.len);
    }

    json_decref(built);
    built = NULL;

    tap_ok(wrong == 0, "without room all that fits is written, and no more");

    w_init(&w, scratch, 5, NULL, NULL);
    w_string(&w, NULL, (const unsigned char *) "abc", 3);
    tap_ok(w_done(&w) == 5 && !w.failed, "a value that just fits does not "
           "fail");

    w_init(&w, scratch, 4, NULL, NULL);
    w_string(&w, NULL, (const unsigned char *) "abc", 3);
    tap_ok(w_done(&w) == 4 && w.failed, "a byte less fails");

    w_text(&w, "x");
    tap_ok(w_done(&w) == 4 && w.failed, "nothing is written after that");

    memset(&s, 0, sizeof(s));
    s.size = 0;
    s.left = 0;
    w_init(&w, NULL, 0, sink_more, &s);
    w_null(&w, NULL);
    tap_ok(w_done(&w) == 0 && w.failed, "a writer may have no room at all");

    s.size = 0;
    s.left = 10;
    s.chunk = malloc(PAD);
    memset(s.chunk, CANARY, PAD);
    w_init(&w, s.chunk, 0, sink_more, &s);
    w_null(&w, NULL);
    tap_ok(w.failed && s.left == 9, "a chunk of less than 64 bytes is "
           "refused");
    free(s.chunk);
}


/* reads a label's value as Prometheus does; -1 if it is malformed */

static int
unlabel(unsigned char *out, const unsigned char *s, size_t len)
{
    int     n;
    size_t  i;

    n = 0;

    for (i = 0; i < len; i++) {

        if (s[i] == '"' || s[i] == '\n' || s[i] == '\0') {
            return -1;
        }

        if (s[i] != '\\') {
            out[n++] = s[i];
            continue;
        }

        if (++i == len || strchr("\\\"n", s[i]) == NULL) {
            return -1;
        }

        out[n++] = (s[i] == 'n') ? '\n' : s[i];
    }

    return n;
}


static void
render_text(json_w *w, uint64_t seed)
{
    (void) seed;

    w_text(w, "async_upload_requests_total{zone=\"");
    w_label(w, (const unsigned char *) "a\"b\\c\nd<\xff", 9);
    w_text(w, "\"} ");
    ngx_http_async_upload_json_text_uint(w, 42);
    w_text(w, "\n");
}


static void
test_text(void)
{
    int              m;
    size_t           n, k, i;
    json_w           w;
    unsigned         wrong, round;
    unsigned char    bytes[64], clean[256], read[256];
    static sink_t    s;

    tap_ok(!render(&s, 1024, 1, render_text, 0)
           && output_is(&s, "async_upload_requests_total{zone="
                        "\"a\\\"b\\\\c\\nd<" R "\"} 42\n"),
           "a sample is written in Prometheus' format");

    w_init(&w, scratch, 512, NULL, NULL);
    w_label(&w, NULL, 0);
    w_string(&w, NULL, NULL, 0);
    tap_ok(w_done(&w) == 2 && !w.failed, "an empty string may have no "
           "address");

    wrong = 0;

    for (round = 0; round < 100000; round++) {
        n = random_bytes(bytes, 40);

        w_init(&w, scratch, 512, NULL, NULL);
        w_label(&w, bytes, n);
        m = unlabel(read, scratch, w_done(&w));

        n = utf8_clean(clean, bytes, n);

        /* NUL is replaced, too */

        for (i = 0; i < n; i++) {
            if (clean[i] == '\0') {
                memmove(clean + i + 3, clean + i + 1, n - i - 1);
                memcpy(clean + i, R, 3);
                n += 2;
            }
        }

        k = (size_t) m;
        wrong += (w.failed || m < 0 || k != n || memcmp(read, clean, n) != 0);
    }

    tap_ok(wrong == 0, "any bytes in a label are read back");
}


int
main(void)
{
    utf8_init();

    test_sample();
    test_random();
    test_escapes();
    test_utf8();
    test_integers();
    test_ratios();
    test_doubles();
    test_limits();
    test_room();
    test_text();

    return tap_done();
}
