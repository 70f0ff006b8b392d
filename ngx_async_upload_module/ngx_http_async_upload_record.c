
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <string.h>

#include "ngx_http_async_upload_record.h"


static void ngx_http_async_upload_record_write(
    ngx_http_async_upload_record_t *w, const void *data, size_t len);
static void ngx_http_async_upload_record_byte(ngx_http_async_upload_record_t *w,
    unsigned c);
static void ngx_http_async_upload_record_number(
    ngx_http_async_upload_record_t *w, uint64_t value);
static void ngx_http_async_upload_record_double(
    ngx_http_async_upload_record_t *w, uint64_t bits);
static void ngx_http_async_upload_record_string(
    ngx_http_async_upload_record_t *w, const char *s, size_t len);
static void ngx_http_async_upload_record_values(
    ngx_http_async_upload_record_t *w,
    const ngx_http_async_upload_record_field_t *field, const void *value);


static const char  ngx_http_async_upload_record_hex[] = "0123456789abcdef";

/* remainders of the 16 values of half a byte */

static const uint32_t  ngx_http_async_upload_record_crc_table[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
    0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c
};


void
ngx_http_async_upload_record_start(ngx_http_async_upload_record_t *w,
    unsigned char *buf, size_t size, const char *what, uint64_t version,
    const void *title, size_t len)
{
    w->start = buf;
    w->pos = buf;
    w->last = buf + size;
    w->failed = 0;

    ngx_http_async_upload_record_write(w, what, strlen(what));
    ngx_http_async_upload_record_number(w, version);
    ngx_http_async_upload_record_string(w, title, len);
    ngx_http_async_upload_record_byte(w, '\n');
}


void
ngx_http_async_upload_record_put(ngx_http_async_upload_record_t *w,
    const char *prefix, const ngx_http_async_upload_record_field_t *fields,
    const void *base)
{
    const void                                  *value;
    const ngx_http_async_upload_record_field_t  *field;

    for (field = fields; field->name; field++) {
        value = (const char *) base + field->offset;

        if (field->optional
            && ngx_http_async_upload_record_empty(field, value))
        {
            continue;
        }

        if (prefix) {
            ngx_http_async_upload_record_write(w, prefix, strlen(prefix));
            ngx_http_async_upload_record_byte(w, '.');
        }

        ngx_http_async_upload_record_write(w, field->name,
                                           strlen(field->name));
        ngx_http_async_upload_record_values(w, field, value);
        ngx_http_async_upload_record_byte(w, '\n');
    }
}


size_t
ngx_http_async_upload_record_done(ngx_http_async_upload_record_t *w)
{
    uint32_t  crc;

    crc = ngx_http_async_upload_record_crc(w->start, w->pos - w->start);

    ngx_http_async_upload_record_write(w,
                            NGX_HTTP_ASYNC_UPLOAD_RECORD_CHECKSUM,
                            sizeof(NGX_HTTP_ASYNC_UPLOAD_RECORD_CHECKSUM) - 1);
    ngx_http_async_upload_record_number(w, crc);
    ngx_http_async_upload_record_byte(w, '\n');

    return w->failed ? 0 : (size_t) (w->pos - w->start);
}


uint32_t
ngx_http_async_upload_record_crc(const unsigned char *data, size_t len)
{
    size_t    i;
    uint32_t  crc;

    crc = 0xffffffff;

    for (i = 0; i < len; i++) {
        crc ^= data[i];
        crc = ngx_http_async_upload_record_crc_table[crc & 15] ^ (crc >> 4);
        crc = ngx_http_async_upload_record_crc_table[crc & 15] ^ (crc >> 4);
    }

    return crc ^ 0xffffffff;
}


static void
ngx_http_async_upload_record_write(ngx_http_async_upload_record_t *w,
    const void *data, size_t len)
{
    if (w->failed || (size_t) (w->last - w->pos) < len) {
        w->failed = 1;
        return;
    }

    memcpy(w->pos, data, len);
    w->pos += len;
}


static void
ngx_http_async_upload_record_byte(ngx_http_async_upload_record_t *w,
    unsigned c)
{
    unsigned char  byte;

    byte = (unsigned char) c;

    ngx_http_async_upload_record_write(w, &byte, 1);
}


static void
ngx_http_async_upload_record_number(ngx_http_async_upload_record_t *w,
    uint64_t value)
{
    char    *p;
    char     buf[sizeof(" 18446744073709551615")];
    size_t   len;

    p = buf + sizeof(buf);

    do {
        *--p = (char) ('0' + value % 10);
        value /= 10;
    } while (value);

    *--p = ' ';
    len = buf + sizeof(buf) - p;

    ngx_http_async_upload_record_write(w, p, len);
}


static void
ngx_http_async_upload_record_double(ngx_http_async_upload_record_t *w,
    uint64_t bits)
{
    int  shift;

    if ((bits & NGX_HTTP_ASYNC_UPLOAD_RECORD_EXPONENT)
        == NGX_HTTP_ASYNC_UPLOAD_RECORD_EXPONENT)
    {
        bits = 0;
    }

    ngx_http_async_upload_record_write(w, " 0x", 3);

    for (shift = 60; shift >= 0; shift -= 4) {
        ngx_http_async_upload_record_byte(w,
                         ngx_http_async_upload_record_hex[bits >> shift & 15]);
    }
}


static void
ngx_http_async_upload_record_string(ngx_http_async_upload_record_t *w,
    const char *s, size_t len)
{
    size_t    i;
    unsigned  c;

    ngx_http_async_upload_record_write(w, " \"", 2);

    for (i = 0; i < len; i++) {
        c = (unsigned char) s[i];

        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            ngx_http_async_upload_record_write(w, "\\x", 2);
            ngx_http_async_upload_record_byte(w,
                                 ngx_http_async_upload_record_hex[c >> 4]);
            c = ngx_http_async_upload_record_hex[c & 15];
        }

        ngx_http_async_upload_record_byte(w, c);
    }

    ngx_http_async_upload_record_byte(w, '"');
}


unsigned
ngx_http_async_upload_record_empty(
    const ngx_http_async_upload_record_field_t *field, const void *value)
{
    size_t                i, size;
    const unsigned char  *p;

    p = value;

    if (field->kind == NGX_HTTP_ASYNC_UPLOAD_RECORD_STRING) {
        return p[0] == '\0';
    }

    size = ngx_http_async_upload_record_size(field);

    for (i = 0; i < size; i++) {
        if (p[i]) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_async_upload_record_values(ngx_http_async_upload_record_t *w,
    const ngx_http_async_upload_record_field_t *field, const void *value)
{
    size_t           len;
    uint64_t         bits;
    unsigned         i;
    const char      *s, *end;
    const uint64_t  *numbers;

    numbers = value;

    switch (field->kind) {

    case NGX_HTTP_ASYNC_UPLOAD_RECORD_STRING:
        s = value;
        end = memchr(s, '\0', field->count);
        len = end ? (size_t) (end - s) : field->count - 1;

        ngx_http_async_upload_record_string(w, s, len);
        break;

    case NGX_HTTP_ASYNC_UPLOAD_RECORD_DOUBLES:
        for (i = 0; i < field->count; i++) {
            memcpy(&bits, (const double *) value + i, sizeof(bits));
            ngx_http_async_upload_record_double(w, bits);
        }

        break;

    case NGX_HTTP_ASYNC_UPLOAD_RECORD_SPARSE:
        for (i = 0; i < field->count; i++) {
            if (numbers[i]) {
                ngx_http_async_upload_record_number(w, i);
                ngx_http_async_upload_record_number(w, numbers[i]);
            }
        }

        break;

    default: /* NGX_HTTP_ASYNC_UPLOAD_RECORD_NUMBERS */
        for (i = 0; i < field->count; i++) {
            ngx_http_async_upload_record_number(w, numbers[i]);
        }
    }
}


size_t
ngx_http_async_upload_record_size(
    const ngx_http_async_upload_record_field_t *field)
{
    return field->count * (field->kind == NGX_HTTP_ASYNC_UPLOAD_RECORD_STRING
                           ? 1 : sizeof(uint64_t));
}
