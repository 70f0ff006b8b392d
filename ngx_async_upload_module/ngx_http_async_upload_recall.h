
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Reads the text that _record writes, and refuses any other.
 *
 * The unit knows lines, numbers, quoting and the checksum.  It must not know
 * what the fields mean, where the text comes from, or nginx.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_RECALL_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_RECALL_H_INCLUDED_


#include "ngx_http_async_upload_record.h"


/* "why" may be read at any time, the rest is private to the unit */

typedef struct {
    const unsigned char  *pos;
    const unsigned char  *last;     /* of the lines before the checksum */
    const char           *why;      /* NULL: nothing is wrong so far */
} ngx_http_async_upload_recall_t;


/*
 * Starts to read "size" bytes: looks at the checksum and at the first line,
 * which must be of a "what", of no later version than "version", and with a
 * "title" of "len" bytes.
 *
 * Context: any process.
 * Returns: the version, 1 or more; 0 if something is wrong.
 */
uint64_t ngx_http_async_upload_recall_open(ngx_http_async_upload_recall_t *r,
    const unsigned char *data, size_t size, const char *what, uint64_t version,
    const void *title, size_t len);

/*
 * Reads the lines of a structure into "base".  Every field is set: to 0 if
 * its line is not there, or after something was wrong.
 *
 * Memory:  no more than the size of each field is stored; strings end with a
 *          null.
 */
void ngx_http_async_upload_recall_get(ngx_http_async_upload_recall_t *r,
    const char *prefix, const ngx_http_async_upload_record_field_t *fields,
    void *base);

/*
 * Ends the reading, which must have come to the checksum.
 *
 * Returns: NULL, or in a few words what was wrong first.
 */
const char *ngx_http_async_upload_recall_close(
    ngx_http_async_upload_recall_t *r);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_RECALL_H_INCLUDED_ */
