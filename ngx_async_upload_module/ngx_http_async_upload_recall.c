
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <string.h>

#include "ngx_http_async_upload_recall.h"


static unsigned ngx_http_async_upload_recall_word(
    ngx_http_async_upload_recall_t *r, const char *word, size_t len);
static unsigned ngx_http_async_upload_recall_name(
    ngx_http_async_upload_recall_t *r, const char *prefix, const char *name);
static uint64_t ngx_http_async_upload_recall_number(
    ngx_http_async_upload_recall_t *r, uint64_t max);
static uint64_t ngx_http_async_upload_recall_double(
    ngx_http_async_upload_recall_t *r);
static int ngx_http_async_upload_recall_char(ngx_http_async_upload_recall_t *r);
static void ngx_http_async_upload_recall_string(
    ngx_http_async_upload_recall_t *r, char *s, size_t size);
static void ngx_http_async_upload_recall_title(
    ngx_http_async_upload_recall_t *r, const unsigned char *title, size_t len);
static void ngx_http_async_upload_recall_sparse(
    ngx_http_async_upload_recall_t *r,
    const ngx_http_async_upload_record_field_t *field, uint64_t *values);
static void ngx_http_async_upload_recall_values(
    ngx_http_async_upload_recall_t *r,
    const ngx_http_async_upload_record_field_t *field, void *value);
static void ngx_http_async_upload_recall_expect(
    ngx_http_async_upload_recall_t *r, unsigned c);
static void ngx_http_async_upload_recall_wrong(
    ngx_http_async_upload_recall_t *r, const char *why);
static int ngx_http_async_upload_recall_digit(unsigned c);


uint64_t
ngx_http_async_upload_recall_open(ngx_http_async_upload_recall_t *r,
    const unsigned char *data, size_t size, const char *what, uint64_t version,
    const void *title, size_t len)
{
    size_t                          lines;
    uint64_t                        found, crc;
    ngx_http_async_upload_recall_t  head, tail;

    r->pos = data;
    r->last = data;
    r->why = NULL;

    if (size == 0) {
        ngx_http_async_upload_recall_wrong(r, "it is empty");
        return 0;
    }

    /* a later version may end in something else than this checksum */

    head.pos = data;
    head.last = data + size;
    head.why = NULL;

    if (!ngx_http_async_upload_recall_word(&head, what, strlen(what))) {
        ngx_http_async_upload_recall_wrong(r, "it is of another kind");
        return 0;
    }

    found = ngx_http_async_upload_recall_number(&head, UINT64_MAX);

    if (head.why == NULL && found > version) {
        ngx_http_async_upload_recall_wrong(r, "it is of a later version");
        return 0;
    }

    /* the last line */

    for (lines = size - 1; lines > 0 && data[lines - 1] != '\n'; lines--) {
        /* void */
    }

    tail.pos = data + lines;
    tail.last = data + size;
    tail.why = NULL;
    crc = 0;

    if (ngx_http_async_upload_recall_word(&tail,
                            NGX_HTTP_ASYNC_UPLOAD_RECORD_CHECKSUM,
                            sizeof(NGX_HTTP_ASYNC_UPLOAD_RECORD_CHECKSUM) - 1))
    {
        crc = ngx_http_async_upload_recall_number(&tail, UINT32_MAX);
        ngx_http_async_upload_recall_expect(&tail, '\n');

    } else {
        ngx_http_async_upload_recall_wrong(&tail, "");
    }

    if (tail.why) {
        ngx_http_async_upload_recall_wrong(r, "its end is missing");
        return 0;
    }

    if (crc != ngx_http_async_upload_record_crc(data, lines)) {
        ngx_http_async_upload_recall_wrong(r, "its checksum is wrong");
        return 0;
    }

    r->pos = head.pos;
    r->last = data + lines;
    r->why = head.why;

    if (found == 0) {
        ngx_http_async_upload_recall_wrong(r, "its version is unknown");
    }

    if (r->why == NULL) {
        ngx_http_async_upload_recall_title(r, title, len);
        ngx_http_async_upload_recall_expect(r, '\n');
    }

    return r->why ? 0 : found;
}


void
ngx_http_async_upload_recall_get(ngx_http_async_upload_recall_t *r,
    const char *prefix, const ngx_http_async_upload_record_field_t *fields,
    void *base)
{
    void                                        *value;
    const ngx_http_async_upload_record_field_t  *field;

    for (field = fields; field->name; field++) {
        value = (char *) base + field->offset;

        memset(value, 0, ngx_http_async_upload_record_size(field));

        if (r->why) {
            continue;
        }

        if (!ngx_http_async_upload_recall_name(r, prefix, field->name)) {

            if (!field->optional) {
                ngx_http_async_upload_recall_wrong(r,
                                     "a line is not the one that is expected");
            }

            continue;
        }

        ngx_http_async_upload_recall_values(r, field, value);
        ngx_http_async_upload_recall_expect(r, '\n');

        if (field->optional
            && ngx_http_async_upload_record_empty(field, value))
        {
            ngx_http_async_upload_recall_wrong(r, "a line says nothing");
        }
    }
}


const char *
ngx_http_async_upload_recall_close(ngx_http_async_upload_recall_t *r)
{
    if (r->pos != r->last) {
        ngx_http_async_upload_recall_wrong(r,
                                     "a line is not the one that is expected");
    }

    return r->why;
}


/* takes the word if it is next */

static unsigned
ngx_http_async_upload_recall_word(ngx_http_async_upload_recall_t *r,
    const char *word, size_t len)
{
    if ((size_t) (r->last - r->pos) < len || memcmp(r->pos, word, len) != 0) {
        return 0;
    }

    r->pos += len;

    return 1;
}


/* takes the name of a line if it is this one */

static unsigned
ngx_http_async_upload_recall_name(ngx_http_async_upload_recall_t *r,
    const char *prefix, const char *name)
{
    const unsigned char  *pos;

    pos = r->pos;

    if ((prefix == NULL
         || (ngx_http_async_upload_recall_word(r, prefix, strlen(prefix))
             && ngx_http_async_upload_recall_word(r, ".", 1)))
        && ngx_http_async_upload_recall_word(r, name, strlen(name))
        && r->pos < r->last
        && (*r->pos == ' ' || *r->pos == '\n'))
    {
        return 1;
    }

    r->pos = pos;

    return 0;
}


static uint64_t
ngx_http_async_upload_recall_number(
    ngx_http_async_upload_recall_t *r, uint64_t max)
{
    unsigned              digit;
    uint64_t              value;
    const unsigned char  *start;

    ngx_http_async_upload_recall_expect(r, ' ');

    value = 0;
    start = r->pos;

    while (r->pos < r->last && *r->pos >= '0' && *r->pos <= '9') {
        digit = *r->pos++ - '0';

        if (value > (UINT64_MAX - digit) / 10) {
            ngx_http_async_upload_recall_wrong(r, "a number is out of range");
            return 0;
        }

        value = value * 10 + digit;
    }

    if (r->pos == start || (*start == '0' && r->pos - start > 1)) {
        ngx_http_async_upload_recall_wrong(r, "a number is missing");
        return 0;
    }

    if (value > max) {
        ngx_http_async_upload_recall_wrong(r, "a number is out of range");
        return 0;
    }

    return value;
}


static uint64_t
ngx_http_async_upload_recall_double(
    ngx_http_async_upload_recall_t *r)
{
    int       digit;
    uint64_t  bits;
    unsigned  i;

    ngx_http_async_upload_recall_expect(r, ' ');
    ngx_http_async_upload_recall_expect(r, '0');
    ngx_http_async_upload_recall_expect(r, 'x');

    bits = 0;

    for (i = 0; i < 16; i++) {
        digit = (r->pos < r->last)
                ? ngx_http_async_upload_recall_digit(*r->pos) : -1;

        if (digit == -1) {
            ngx_http_async_upload_recall_wrong(r, "a number is missing");
            return 0;
        }

        bits = bits << 4 | (unsigned) digit;
        r->pos++;
    }

    if ((bits & NGX_HTTP_ASYNC_UPLOAD_RECORD_EXPONENT)
        == NGX_HTTP_ASYNC_UPLOAD_RECORD_EXPONENT)
    {
        ngx_http_async_upload_recall_wrong(r, "a number is out of range");
        return 0;
    }

    return bits;
}


/* the next character of a string; -1 after its end, or if it is wrong */

static int
ngx_http_async_upload_recall_char(
    ngx_http_async_upload_recall_t *r)
{
    int       high, low;
    unsigned  c;

    if (r->why == NULL && r->pos < r->last) {
        c = *r->pos;

        if (c == '"') {
            r->pos++;
            return -1;
        }

        if (c >= 0x20 && c <= 0x7e && c != '\\') {
            r->pos++;
            return (int) c;
        }

        if (c == '\\' && r->last - r->pos >= 4 && r->pos[1] == 'x') {
            high = ngx_http_async_upload_recall_digit(r->pos[2]);
            low = ngx_http_async_upload_recall_digit(r->pos[3]);

            if (high != -1 && low != -1) {
                c = (unsigned) high << 4 | (unsigned) low;

                if (c != 0
                    && (c < 0x20 || c > 0x7e || c == '"' || c == '\\'))
                {
                    r->pos += 4;
                    return (int) c;
                }
            }
        }
    }

    ngx_http_async_upload_recall_wrong(r, "a string is invalid");

    return -1;
}


static void
ngx_http_async_upload_recall_string(
    ngx_http_async_upload_recall_t *r, char *s, size_t size)
{
    int     c;
    size_t  i;

    ngx_http_async_upload_recall_expect(r, ' ');
    ngx_http_async_upload_recall_expect(r, '"');

    for (i = 0; i < size; i++) {
        c = ngx_http_async_upload_recall_char(r);

        if (c == -1) {
            s[i] = '\0';
            return;
        }

        s[i] = (char) c;
    }

    s[size - 1] = '\0';

    ngx_http_async_upload_recall_wrong(r, "a string is too long");
}


static void
ngx_http_async_upload_recall_title(
    ngx_http_async_upload_recall_t *r, const unsigned char *title, size_t len)
{
    int     c;
    size_t  i;

    ngx_http_async_upload_recall_expect(r, ' ');
    ngx_http_async_upload_recall_expect(r, '"');

    for (i = 0; i < len; i++) {
        if (ngx_http_async_upload_recall_char(r) != title[i]) {
            ngx_http_async_upload_recall_wrong(r, "it is of another name");
            return;
        }
    }

    c = ngx_http_async_upload_recall_char(r);

    if (c != -1) {
        ngx_http_async_upload_recall_wrong(r, "it is of another name");
    }
}


static void
ngx_http_async_upload_recall_sparse(
    ngx_http_async_upload_recall_t *r,
    const ngx_http_async_upload_record_field_t *field, uint64_t *values)
{
    uint64_t  index, value, next;

    next = 0;

    while (r->why == NULL && r->pos < r->last && *r->pos == ' ') {

        index = ngx_http_async_upload_recall_number(r, field->count - 1);
        value = ngx_http_async_upload_recall_number(r, field->max);

        if (r->why) {
            return;
        }

        if (index < next || value == 0) {
            ngx_http_async_upload_recall_wrong(r, "a number is out of range");
            return;
        }

        values[index] = value;
        next = index + 1;
    }
}


static void
ngx_http_async_upload_recall_values(
    ngx_http_async_upload_recall_t *r,
    const ngx_http_async_upload_record_field_t *field, void *value)
{
    uint64_t   bits, *numbers;
    unsigned   i;

    numbers = value;

    switch (field->kind) {

    case NGX_HTTP_ASYNC_UPLOAD_RECORD_STRING:
        ngx_http_async_upload_recall_string(r, value, field->count);
        break;

    case NGX_HTTP_ASYNC_UPLOAD_RECORD_DOUBLES:
        for (i = 0; i < field->count; i++) {
            bits = ngx_http_async_upload_recall_double(r);
            memcpy((double *) value + i, &bits, sizeof(bits));
        }

        break;

    case NGX_HTTP_ASYNC_UPLOAD_RECORD_SPARSE:
        ngx_http_async_upload_recall_sparse(r, field, numbers);
        break;

    default: /* NGX_HTTP_ASYNC_UPLOAD_RECORD_NUMBERS */
        for (i = 0; i < field->count; i++) {
            numbers[i] = ngx_http_async_upload_recall_number(r,
                                                                field->max);
        }
    }
}


static void
ngx_http_async_upload_recall_expect(ngx_http_async_upload_recall_t *r,
    unsigned c)
{
    if (r->pos < r->last && *r->pos == c) {
        r->pos++;
        return;
    }

    ngx_http_async_upload_recall_wrong(r, "a line is not well-formed");
}


/*
 * The first thing that is wrong is the reason; nothing is read any more, so
 * that a caller may look at the end only.
 */

static void
ngx_http_async_upload_recall_wrong(ngx_http_async_upload_recall_t *r,
    const char *why)
{
    if (r->why == NULL) {
        r->why = why;
    }

    r->pos = r->last;
}


static int
ngx_http_async_upload_recall_digit(unsigned c)
{
    if (c >= '0' && c <= '9') {
        return (int) (c - '0');
    }

    if (c >= 'a' && c <= 'f') {
        return (int) (c - 'a' + 10);
    }

    return -1;
}
