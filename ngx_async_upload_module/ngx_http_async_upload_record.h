
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * A text of numbers and strings, of which there is one for each content: what
 * is written here, _recall reads, and nothing else.
 *
 * The unit knows lines, numbers, quoting and the checksum.  It must not know
 * what the fields mean, files or nginx.
 *
 *     WHAT VERSION "TITLE"
 *     prefix.name 1 2 3           numbers
 *     prefix.name 0x3ff0000000000000     doubles: their 64 bits
 *     prefix.name "text"          a string
 *     prefix.name 17 5 901 2      of many numbers those that are not 0, each
 *                                 after its index
 *     checksum 3421780262         CRC-32 (IEEE) of all lines before
 *
 * Lines come in the order of the tables, so that none is unknown, missing or
 * there twice.  Numbers are decimal without leading zeros, one space stands
 * before each, a line feed ends each line.  In a string all but the printable
 * characters of ASCII, and quote and backslash, are \xHH.
 *
 * A field that is "optional" has no line where all of it is 0.  A version that
 * adds fields makes them optional and reads what older versions wrote.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_RECORD_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_RECORD_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define NGX_HTTP_ASYNC_UPLOAD_RECORD_CHECKSUM  "checksum"

/* of a double: all ones is an infinity or not a number */

#define NGX_HTTP_ASYNC_UPLOAD_RECORD_EXPONENT  UINT64_C(0x7ff0000000000000)


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_RECORD_NUMBERS = 0,   /* uint64_t [count] */
    NGX_HTTP_ASYNC_UPLOAD_RECORD_SPARSE,        /* the same, most of them 0 */
    NGX_HTTP_ASYNC_UPLOAD_RECORD_DOUBLES,       /* double [count]; finite */
    NGX_HTTP_ASYNC_UPLOAD_RECORD_STRING         /* char [count], with a null */
} ngx_http_async_upload_record_kind_e;


/* one line; tables of them end with a name that is NULL */

typedef struct {
    const char     *name;
    size_t          offset;     /* in the structure */
    unsigned        kind;       /* ..._record_kind_e */
    unsigned        count;
    unsigned        optional;   /* 1: no line if it is 0 or empty */
    uint64_t        max;        /* of each number */
} ngx_http_async_upload_record_field_t;


/* private to the unit */

typedef struct {
    unsigned char  *start;
    unsigned char  *pos;
    unsigned char  *last;
    unsigned        failed;     /* 1: no more room */
} ngx_http_async_upload_record_t;


/*
 * Starts a text in "size" bytes at "buf" with its first line.  "what" is a
 * word of the code, "title" has "len" bytes and is quoted.
 */
void ngx_http_async_upload_record_start(ngx_http_async_upload_record_t *w,
    unsigned char *buf, size_t size, const char *what, uint64_t version,
    const void *title, size_t len);

/*
 * Writes the lines of the structure at "base".  "prefix" and a dot stand
 * before each name; NULL: neither.  Numbers are not held against their
 * maximum; a double that is not finite is written as 0.
 */
void ngx_http_async_upload_record_put(ngx_http_async_upload_record_t *w,
    const char *prefix, const ngx_http_async_upload_record_field_t *fields,
    const void *base);

/*
 * Ends a text with its checksum.
 *
 * Returns: its length in bytes; 0 if there was no room.
 */
size_t ngx_http_async_upload_record_done(ngx_http_async_upload_record_t *w);

/*
 * Tells whether all of a field, at "value", is 0, or the string empty.
 *
 * Returns: 0 or 1.
 */
unsigned ngx_http_async_upload_record_empty(
    const ngx_http_async_upload_record_field_t *field, const void *value);

/*
 * Tells how many bytes a field takes in its structure.
 */
size_t ngx_http_async_upload_record_size(
    const ngx_http_async_upload_record_field_t *field);

/*
 * The CRC-32 of IEEE 802.3, as of zlib and gzip.  It finds every error that
 * lies within 32 bits, so every changed bit.
 */
uint32_t ngx_http_async_upload_record_crc(const unsigned char *data,
    size_t len);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_RECORD_H_INCLUDED_ */
