
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_http_async_upload_recall.h"
#include "ngx_http_async_upload_record.h"
#include "tap.h"


#define SIZE    65536
#define CANARY  0xa5
#define EVENTS  3
#define WHAT    "what"
#define TITLE   "up \"loads\"\xc3\xa9"

#define NUMBERS  NGX_HTTP_ASYNC_UPLOAD_RECORD_NUMBERS
#define SPARSE   NGX_HTTP_ASYNC_UPLOAD_RECORD_SPARSE
#define DOUBLES  NGX_HTTP_ASYNC_UPLOAD_RECORD_DOUBLES
#define STRING   NGX_HTTP_ASYNC_UPLOAD_RECORD_STRING

#define FIELD(type, name, kind, count, optional, max)                         \
    { #name, offsetof(type, name), kind, count, optional, max }


typedef ngx_http_async_upload_record_field_t  field_t;

/* as much of everything as a state file has */

typedef struct {
    uint64_t  state;
    uint64_t  share;
    uint64_t  events;
    uint64_t  pair[2];
    uint64_t  later;
} head_t;

typedef struct {
    uint64_t  success;
    uint64_t  timeout;
    uint64_t  bytes;
    uint64_t  sizes[5];
    uint64_t  counts[896];
} cell_t;

typedef struct {
    uint64_t  seq;
    double    value[2];
    char      who[8];
    char      why[40];
} event_t;

typedef struct {
    head_t   head;
    cell_t   cell[2];
    event_t  event[EVENTS];
} content_t;


static const field_t  head_fields[] = {
    FIELD(head_t, state, NUMBERS, 1, 0, 5),
    FIELD(head_t, share, NUMBERS, 1, 0, 10000),
    FIELD(head_t, events, NUMBERS, 1, 0, EVENTS),
    FIELD(head_t, pair, NUMBERS, 2, 0, UINT64_MAX),
    FIELD(head_t, later, NUMBERS, 1, 1, UINT64_MAX),
    { NULL, 0, 0, 0, 0, 0 }
};

static const field_t  cell_fields[] = {
    FIELD(cell_t, success, NUMBERS, 1, 0, UINT64_C(1) << 56),
    FIELD(cell_t, timeout, NUMBERS, 1, 1, UINT64_C(1) << 56),
    FIELD(cell_t, bytes, NUMBERS, 1, 0, UINT64_MAX),
    FIELD(cell_t, sizes, NUMBERS, 5, 0, UINT64_MAX),
    FIELD(cell_t, counts, SPARSE, 896, 0, UINT64_MAX),
    { NULL, 0, 0, 0, 0, 0 }
};

static const field_t  event_fields[] = {
    FIELD(event_t, seq, NUMBERS, 1, 0, UINT64_MAX),
    FIELD(event_t, value, DOUBLES, 2, 0, 0),
    FIELD(event_t, who, STRING, 8, 1, 0),
    FIELD(event_t, why, STRING, 40, 0, 0),
    { NULL, 0, 0, 0, 0, 0 }
};

static const char  *prefixes[] = { "sync.bucket", "async.bucket" };


static content_t      content, back;
static unsigned char  text[SIZE], other[SIZE], again[SIZE];


/* numbers of all lengths, small ones more often */

static uint64_t
number(uint64_t max)
{
    uint64_t  n;

    n = tap_random() >> tap_below(64);

    return max == UINT64_MAX ? n : n % (max + 1);
}


static void
fill_string(char *s, size_t size)
{
    size_t  i, n;

    memset(s, 0, size);

    n = tap_below(size);

    for (i = 0; i < n; i++) {
        s[i] = (char) (tap_below(4) ? 0x20 + tap_below(0x5f)
                                    : 1 + tap_below(255));
    }
}


static double
number_double(void)
{
    double    d;
    uint64_t  bits;

    do {
        bits = tap_random();
        memcpy(&d, &bits, sizeof(d));
    } while (!isfinite(d));

    return tap_below(3) ? d : 0.25 * (double) tap_below(1000);
}


static void
fill(content_t *c)
{
    unsigned  i, k;

    memset(c, 0, sizeof(content_t));

    c->head.state = number(5);
    c->head.share = number(10000);
    c->head.events = tap_below(EVENTS + 1);
    c->head.pair[0] = number(UINT64_MAX);
    c->head.pair[1] = number(UINT64_MAX);
    c->head.later = tap_below(2) * number(UINT64_MAX);

    for (i = 0; i < 2; i++) {
        c->cell[i].success = number(UINT64_C(1) << 56);
        c->cell[i].timeout = tap_below(2) * number(UINT64_C(1) << 56);
        c->cell[i].bytes = number(UINT64_MAX);

        for (k = 0; k < 5; k++) {
            c->cell[i].sizes[k] = number(UINT64_MAX);
        }

        for (k = (unsigned) tap_below(40); k > 0; k--) {
            c->cell[i].counts[tap_below(896)] = number(UINT64_MAX);
        }
    }

    for (i = 0; i < c->head.events; i++) {
        c->event[i].seq = number(UINT64_MAX);
        c->event[i].value[0] = number_double();
        c->event[i].value[1] = number_double();
        fill_string(c->event[i].who, sizeof(c->event[i].who));
        fill_string(c->event[i].why, sizeof(c->event[i].why));
    }
}


static size_t
encode(const content_t *c, unsigned char *buf, size_t size)
{
    unsigned                        i;
    ngx_http_async_upload_record_t  w;

    ngx_http_async_upload_record_start(&w, buf, size, WHAT, 1, TITLE,
                                       sizeof(TITLE) - 1);
    ngx_http_async_upload_record_put(&w, NULL, head_fields, &c->head);

    for (i = 0; i < 2; i++) {
        ngx_http_async_upload_record_put(&w, prefixes[i], cell_fields,
                                         &c->cell[i]);
    }

    for (i = 0; i < c->head.events; i++) {
        ngx_http_async_upload_record_put(&w, "event", event_fields,
                                         &c->event[i]);
    }

    return ngx_http_async_upload_record_done(&w);
}


/* from memory of exactly that size, so that a sanitizer sees its end */

static const char *
decode(content_t *c, const unsigned char *data, size_t len)
{
    unsigned                         i;
    const char                      *why;
    unsigned char                   *copy;
    ngx_http_async_upload_recall_t   r;

    copy = malloc(len ? len : 1);

    if (copy == NULL) {
        abort();
    }

    memcpy(copy, data, len);
    memset(c, 0, sizeof(content_t));

    (void) ngx_http_async_upload_recall_open(&r, copy, len, WHAT, 1, TITLE,
                                             sizeof(TITLE) - 1);
    ngx_http_async_upload_recall_get(&r, NULL, head_fields, &c->head);

    for (i = 0; i < 2; i++) {
        ngx_http_async_upload_recall_get(&r, prefixes[i], cell_fields,
                                         &c->cell[i]);
    }

    for (i = 0; i < c->head.events; i++) {
        ngx_http_async_upload_recall_get(&r, "event", event_fields,
                                         &c->event[i]);
    }

    why = ngx_http_async_upload_recall_close(&r);

    free(copy);

    return why;
}


/* gives changed lines their checksum; the last line is replaced */

static size_t
seal(unsigned char *data, size_t len)
{
    size_t  lines;

    if (len == 0) {
        return 0;
    }

    for (lines = len - 1; lines > 0 && data[lines - 1] != '\n'; lines--) {
        /* void */
    }

    return lines + (size_t) sprintf((char *) data + lines, "checksum %u\n",
                                    ngx_http_async_upload_record_crc(data,
                                                                     lines));
}


/* a realistic text in "text" */

static size_t
realistic(void)
{
    unsigned  i;

    do {
        fill(&content);
    } while (content.head.events != EVENTS);

    for (i = 0; i < EVENTS; i++) {
        strcpy(content.event[i].who, "a=1\xe2\x82\xac");
    }

    return encode(&content, text, SIZE);
}


/*
 * What is accepted must be the very text that is written for its content, and
 * must keep what the tables say.
 */

static int
sound(const unsigned char *data, size_t len)
{
    size_t  n;

    if (decode(&back, data, len) != NULL) {
        return 1;
    }

    n = encode(&back, again, SIZE);

    return n == len && memcmp(again, data, len) == 0
           && back.head.state <= 5 && back.head.share <= 10000
           && back.head.events <= EVENTS
           && back.cell[0].success <= UINT64_C(1) << 56
           && back.cell[1].success <= UINT64_C(1) << 56
           && isfinite(back.event[0].value[0])
           && memchr(back.event[0].why, '\0', sizeof(back.event[0].why));
}


static void
test_contract(void)
{
    int         same;
    size_t      len;
    content_t   c;

    static const char  expected[] =
        "what 1 \"up \\x22loads\\x22\\xc3\\xa9\"\n"
        "state 3\n"
        "share 2500\n"
        "events 1\n"
        "pair 0 18446744073709551615\n"
        "sync.bucket.success 7\n"
        "sync.bucket.bytes 0\n"
        "sync.bucket.sizes 1 2 3 4 5\n"
        "sync.bucket.counts 0 4 895 3\n"
        "async.bucket.success 0\n"
        "async.bucket.timeout 9\n"
        "async.bucket.bytes 0\n"
        "async.bucket.sizes 0 0 0 0 0\n"
        "async.bucket.counts\n"
        "event.seq 12\n"
        "event.value 0x3ff8000000000000 0x8000000000000000\n"
        "event.why \"5\\x5c6 \\x09 ok\"\n"
        "checksum 1330253524\n";

    memset(&c, 0, sizeof(c));

    c.head.state = 3;
    c.head.share = 2500;
    c.head.events = 1;
    c.head.pair[1] = UINT64_MAX;
    c.cell[0].success = 7;
    c.cell[0].sizes[0] = 1;
    c.cell[0].sizes[1] = 2;
    c.cell[0].sizes[2] = 3;
    c.cell[0].sizes[3] = 4;
    c.cell[0].sizes[4] = 5;
    c.cell[0].counts[0] = 4;
    c.cell[0].counts[895] = 3;
    c.cell[1].timeout = 9;
    c.event[0].seq = 12;
    c.event[0].value[0] = 1.5;
    c.event[0].value[1] = -0.0;
    strcpy(c.event[0].why, "5\\6 \t ok");

    len = encode(&c, text, SIZE);
    same = len == sizeof(expected) - 1 && memcmp(text, expected, len) == 0;

    if (!tap_ok(same, "a text is what its format says")) {
        tap_note("%.*s", (int) len, text);
    }

    tap_ok(decode(&back, text, len) == NULL
           && memcmp(&back, &c, sizeof(c)) == 0,
           "a text says what was written");

    tap_ok(ngx_http_async_upload_record_crc(
                                 (const unsigned char *) "123456789", 9)
           == 0xcbf43926
           && ngx_http_async_upload_record_crc(NULL, 0) == 0,
           "the checksum is CRC-32");
}


static void
test_round(void)
{
    size_t    len;
    unsigned  i, bad;

    bad = 0;

    for (i = 0; i < 3000; i++) {
        fill(&content);
        len = encode(&content, text, SIZE);

        if (len == 0 || decode(&back, text, len) != NULL
            || memcmp(&back, &content, sizeof(content)) != 0)
        {
            bad++;
        }
    }

    tap_ok(bad == 0, "3000 random contents are read as they were written");
}


static void
test_room(void)
{
    size_t    i, k, len;
    unsigned  bad;

    len = realistic();
    bad = 0;

    for (i = 0; i <= len; i++) {
        memset(other, CANARY, len + 16);

        if (encode(&content, other, i) != (i == len ? len : 0)) {
            bad++;
        }

        for (k = i; k < len + 16; k++) {
            bad += (other[k] != CANARY);
        }
    }

    tap_ok(bad == 0, "a buffer of any size is enough or says it is not");
}


static void
test_damage(void)
{
    size_t    i, len;
    unsigned  bit, bad;

    len = realistic();

    tap_note("%u bytes", (unsigned) len);

    bad = 0;

    for (i = 0; i < len; i++) {
        bad += (decode(&back, text, i) == NULL);
    }

    tap_ok(bad == 0, "a text that ends too early is refused, at each byte");

    bad = 0;

    for (i = 0; i < len * 8; i++) {
        text[i / 8] ^= 1 << i % 8;
        bad += (decode(&back, text, len) == NULL);
        text[i / 8] ^= 1 << i % 8;
    }

    tap_ok(bad == 0, "a text with one wrong bit is refused, for each bit");

    bad = 0;

    for (i = 0; i < len - 32; i++) {
        memcpy(other, text, len);

        bit = (unsigned) tap_below(8);
        other[i] ^= 1 << bit;
        other[i + 1 + tap_below(3)] ^= (unsigned char) tap_random();

        bad += (decode(&back, other, len) == NULL);
    }

    tap_ok(bad == 0, "a text with several wrong bits is refused");

    for (i = 0; i < 256; i++) {
        text[len] = (unsigned char) i;
        bad += (decode(&back, text, len + 1) == NULL);
    }

    memcpy(text + len, text, len);
    bad += (decode(&back, text, 2 * len) == NULL);

    tap_ok(bad == 0, "a text with something behind it is refused");

    memset(other, 0, SIZE);

    tap_ok(decode(&back, other, 4096) != NULL
           && decode(&back, other, 1) != NULL,
           "zeroes are refused");
}


/* the reader proper: whatever changes, the checksum is right */

static void
test_mutations(void)
{
    size_t    i, k, n, len, line, next, end;
    unsigned  bad, read;

    len = realistic();
    bad = 0;

    for (i = 0; i < len * 8; i++) {
        memcpy(other, text, len);
        other[i / 8] ^= 1 << i % 8;
        n = seal(other, len);
        bad += !sound(other, n);
    }

    tap_ok(bad == 0, "one wrong bit under a right checksum is refused or"
                     " another content");

    bad = 0;
    read = 0;

    for (i = 0; i < 60000; i++) {

        if (i % 500 == 0) {
            len = realistic();
        }

        memcpy(other, text, len);
        n = len;

        for (k = 1 + tap_below(3); k > 0; k--) {
            line = tap_below(n - 16);

            switch (tap_below(6)) {

            case 0:
                other[line] = (unsigned char) tap_random();
                break;

            case 1:
                other[line] = (unsigned char) "0123456789 .\"\\xf\n\0a"
                                                             [tap_below(19)];
                break;

            case 2:
                end = line + 1 + tap_below(12);
                memmove(other + line, other + end, n - end);
                n -= end - line;
                break;

            case 3:
                memmove(other + line + 1, other + line, n - line);
                other[line] = (unsigned char) "0123456789 \n\""[tap_below(13)];
                n++;
                break;

            default:

                /* a line twice, or none of it */

                while (line > 0 && other[line - 1] != '\n') {
                    line--;
                }

                next = line;

                while (other[next++] != '\n') {
                    /* void */
                }

                if (tap_below(2) && n + next - line < SIZE) {
                    memmove(other + next, other + line, n - line);
                    n += next - line;

                } else if (next < n) {
                    memmove(other + line, other + next, n - next);
                    n -= next - line;
                }
            }

            if (n < 64) {
                break;
            }
        }

        n = seal(other, n);
        bad += !sound(other, n);
        read += (decode(&back, other, n) == NULL);
    }

    tap_note("%u of 60000 were read", read);
    tap_ok(bad == 0 && read > 1000,
           "any change under a right checksum is refused or another content");
}


/* the text with line "name" replaced by "line", NULL: without it */

static const char *
replaced(const char *name, const char *line)
{
    char    *p, *end, *out;
    size_t   len;

    len = encode(&content, text, SIZE);
    text[len] = '\0';

    p = strstr((char *) text, name);

    if (p == NULL) {
        return "there is no such line";
    }

    end = strchr(p, '\n') + 1;
    out = (char *) other;

    out += sprintf(out, "%.*s", (int) (p - (char *) text), (char *) text);
    out += sprintf(out, "%s%s", line ? line : "", line ? "\n" : "");
    out += sprintf(out, "%s", end);

    return decode(&back, other, seal(other, (size_t) (out - (char *) other)));
}


static void
test_lines(void)
{
    size_t       i;
    const char  *why;

    static const struct {
        const char  *name;
        const char  *line;
        const char  *why;
    } tests[] = {

        { "share", "share 10000", NULL },
        { "share", "share 10001", "a number is out of range" },
        { "share", "share 18446744073709551616", "a number is out of range" },
        { "share", "share 99999999999999999999", "a number is out of range" },
        { "share", "share 184467440737095516150", "a number is out of range" },
        { "share", "share -1", "a number is missing" },
        { "share", "share +1", "a number is missing" },
        { "share", "share 01", "a number is missing" },
        { "share", "share 00", "a number is missing" },
        { "share", "share ", "a number is missing" },
        { "share", "share", "a line is not well-formed" },
        { "share", "share  1", "a number is missing" },
        { "share", "share\t1", "a line is not the one that is expected" },
        { "share", "share 1 ", "a line is not well-formed" },
        { "share", "share 1 2", "a line is not well-formed" },
        { "share", "share 1.5", "a line is not well-formed" },
        { "share", "share 0x10", "a line is not well-formed" },
        { "share", "share 1e3", "a line is not well-formed" },
        { "share", "share \"1\"", "a number is missing" },
        { "share", " share 1", "a line is not the one that is expected" },

        /* unknown, missing, double, out of order */

        { "share", NULL, "a line is not the one that is expected" },
        { "share", "Share 1", "a line is not the one that is expected" },
        { "share", "shares 1", "a line is not the one that is expected" },
        { "share", "shar 1", "a line is not the one that is expected" },
        { "share", "share 1\nshare 1",
          "a line is not the one that is expected" },
        { "share", "share 1\nnew 1", "a line is not the one that is expected" },
        { "share", "events 0\nshare 1",
          "a line is not the one that is expected" },
        { "share", "share 1\n", "a line is not the one that is expected" },
        { "event.why", NULL, "a line is not the one that is expected" },
        { "event.why", "event.why \"\"\nnew 1",
          "a line is not the one that is expected" },
        { "sync.bucket.bytes", "async.bucket.bytes 1",
          "a line is not the one that is expected" },
        { "sync.bucket.bytes", "bytes 1",
          "a line is not the one that is expected" },
        { "sync.bucket.bytes", "sync.bucketbytes 1",
          "a line is not the one that is expected" },

        /* what is optional */

        { "sync.bucket.timeout", "sync.bucket.timeout 1", NULL },
        { "sync.bucket.timeout", NULL, NULL },
        { "sync.bucket.timeout", "sync.bucket.timeout 0",
          "a line says nothing" },
        { "sync.bucket.timeout",
          "sync.bucket.timeout 1\nsync.bucket.timeout 1",
          "a line is not the one that is expected" },
        { "event.who", NULL, NULL },
        { "event.who", "event.who \"\"", "a line says nothing" },

        /* several numbers */

        { "pair", "pair 18446744073709551615 0", NULL },
        { "pair", "pair 1", "a line is not well-formed" },
        { "pair", "pair 1 2 3", "a line is not well-formed" },

        /* sparse ones */

        { "sync.bucket.counts", "sync.bucket.counts", NULL },
        { "sync.bucket.counts", "sync.bucket.counts 0 1 1 1 895 1", NULL },
        { "sync.bucket.counts", "sync.bucket.counts 896 1",
          "a number is out of range" },
        { "sync.bucket.counts", "sync.bucket.counts 5 1 5 1",
          "a number is out of range" },
        { "sync.bucket.counts", "sync.bucket.counts 5 1 4 1",
          "a number is out of range" },
        { "sync.bucket.counts", "sync.bucket.counts 5 0",
          "a number is out of range" },
        { "sync.bucket.counts", "sync.bucket.counts 5",
          "a line is not well-formed" },
        { "sync.bucket.counts", "sync.bucket.counts ", "a number is missing" },

        /* doubles */

        { "event.value", "event.value 0x7fefffffffffffff 0x0000000000000001",
          NULL },
        { "event.value", "event.value 0xffefffffffffffff 0x8000000000000001",
          NULL },
        { "event.value", "event.value 0x7ff0000000000000 0x0000000000000000",
          "a number is out of range" },
        { "event.value", "event.value 0x0000000000000000 0xfff8000000000001",
          "a number is out of range" },
        { "event.value", "event.value 0x3FF0000000000000 0x0000000000000000",
          "a number is missing" },
        { "event.value", "event.value 0x3ff000000000000 0x0000000000000000",
          "a number is missing" },
        { "event.value", "event.value 0x03ff0000000000000 0x0000000000000000",
          "a line is not well-formed" },
        { "event.value", "event.value 1 1", "a line is not well-formed" },
        { "event.value", "event.value 0x0000000000000000",
          "a line is not well-formed" },

        /* strings */

        { "event.who", "event.who \"1234567\"", NULL },
        { "event.who", "event.who \"12345678\"", "a string is too long" },
        { "event.who", "event.who \"\\x01\\xff\\x22\\x5c\\x7f~ \"", NULL },
        { "event.who", "event.who \"\\x00\"", "a string is invalid" },
        { "event.who", "event.who \"\\x41\"", "a string is invalid" },
        { "event.who", "event.who \"\\x0A\"", "a string is invalid" },
        { "event.who", "event.who \"\\n\"", "a string is invalid" },
        { "event.who", "event.who \"\\\"\"", "a string is invalid" },
        { "event.who", "event.who \"\\x0\"", "a string is invalid" },
        { "event.who", "event.who \"\xc3\"", "a string is invalid" },
        { "event.who", "event.who \"\t\"", "a string is invalid" },
        { "event.who", "event.who \"abc", "a string is invalid" },
        { "event.who", "event.who abc", "a line is not well-formed" },
        { "event.who", "event.who \"a\" ", "a line is not well-formed" },
        { "event.who", "event.who \"a\"\"b\"", "a line is not well-formed" },
        { "event.who", "event.who 5", "a line is not well-formed" },

        /* the first line */

        { "what", "what 1 \"up \\x22loads\\x22\\xc3\\xa9\"", NULL },
        { "what", "what 2 \"\"", "it is of a later version" },
        { "what", "what 18446744073709551615 \"\"",
          "it is of a later version" },
        { "what", "what 0 \"up \\x22loads\\x22\\xc3\\xa9\"",
          "its version is unknown" },
        { "what", "what 1 \"up\"", "it is of another name" },
        { "what", "what 1 \"up \\x22loads\\x22\\xc3\\xa9s\"",
          "it is of another name" },
        { "what", "what 1 \"\"", "it is of another name" },
        { "what", "what 1", "a line is not well-formed" },
        { "what", "whatever 1 \"\"", "a line is not well-formed" },
        { "what", "wha 1 \"\"", "it is of another kind" },
        { "what", "what one \"\"", "a number is missing" },
        { "what", NULL, "it is of another kind" },
    };

    (void) realistic();

    content.cell[0].timeout = 1;

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        why = replaced(tests[i].name, tests[i].line);

        if (tests[i].why == NULL ? why == NULL
                                 : why != NULL && !strcmp(why, tests[i].why))
        {
            continue;
        }

        tap_ok(0, "\"%s\" for the line of \"%s\": %s, not %s",
               tests[i].line ? tests[i].line : "", tests[i].name,
               why ? why : "read", tests[i].why ? tests[i].why : "read");
    }

    tap_ok(i > 0, "%u lines are read or refused as they should be",
           (unsigned) i);
}


/* what an older version wrote: without the fields that came later */

static void
test_versions(void)
{
    size_t                           len;
    head_t                           head;
    uint64_t                         version;
    ngx_http_async_upload_record_t   w;
    ngx_http_async_upload_recall_t   r;

    memset(&head, 0, sizeof(head));
    head.state = 1;

    ngx_http_async_upload_record_start(&w, text, SIZE, WHAT, 1, TITLE,
                                       sizeof(TITLE) - 1);
    ngx_http_async_upload_record_put(&w, NULL, head_fields, &head);
    len = ngx_http_async_upload_record_done(&w);

    memset(&head, CANARY, sizeof(head));

    version = ngx_http_async_upload_recall_open(&r, text, len, WHAT, 2, TITLE,
                                                sizeof(TITLE) - 1);
    ngx_http_async_upload_recall_get(&r, NULL, head_fields, &head);

    tap_ok(ngx_http_async_upload_recall_close(&r) == NULL
           && version == 1 && head.state == 1 && head.later == 0,
           "an older version is read, and told");

    version = ngx_http_async_upload_recall_open(&r, text, len - 1, WHAT, 2,
                                                TITLE, sizeof(TITLE) - 1);
    memset(&head, CANARY, sizeof(head));
    ngx_http_async_upload_recall_get(&r, NULL, head_fields, &head);

    tap_ok(version == 0 && head.state == 0 && head.pair[1] == 0
           && head.later == 0
           && !strcmp(ngx_http_async_upload_recall_close(&r),
                      "its end is missing"),
           "where nothing can be read, everything is 0");

    (void) ngx_http_async_upload_recall_open(&r, text, 0, WHAT, 2, TITLE,
                                             sizeof(TITLE) - 1);

    tap_ok(!strcmp(ngx_http_async_upload_recall_close(&r), "it is empty"),
           "an empty text is called so");

    text[len - 3] ^= 1;
    (void) ngx_http_async_upload_recall_open(&r, text, len, WHAT, 2, TITLE,
                                             sizeof(TITLE) - 1);

    tap_ok(!strcmp(ngx_http_async_upload_recall_close(&r),
                   "its checksum is wrong"),
           "a wrong checksum is called so");
}


static void
test_values(void)
{
    size_t   len;
    event_t  event;

    memset(&content, 0, sizeof(content));
    content.head.events = 1;
    content.event[0].value[0] = NAN;
    content.event[0].value[1] = -INFINITY;

    memset(content.event[0].who, 'x', sizeof(content.event[0].who));

    len = encode(&content, text, SIZE);

    memset(&event, 0, sizeof(event));
    strcpy(event.who, "xxxxxxx");

    tap_ok(decode(&back, text, len) == NULL
           && memcmp(&back.event[0], &event, sizeof(event)) == 0,
           "what is no number is 0, a string without an end is cut");
}


int
main(void)
{
    test_contract();
    test_round();
    test_room();
    test_damage();
    test_lines();
    test_versions();
    test_values();
    test_mutations();

    return tap_done();
}
