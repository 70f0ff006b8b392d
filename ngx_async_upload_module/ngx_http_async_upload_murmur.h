
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Appleby's MurmurHash2 and MurmurHash3 of 32 bits: equal on every machine,
 * whatever its byte order.
 *
 * The unit knows bytes.  It must not know keys, buckets or modes.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_MURMUR_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_MURMUR_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* a MurmurHash3 of what came so far; one begins with its seed and zeroes */

typedef struct {
    uint32_t  hash;  /* the seed */
    uint32_t  tail;  /* the last len % 4 bytes, the first of them lowest */
    uint32_t  len;   /* bytes, modulo 2^32 */
} ngx_http_async_upload_murmur_t;


/*
 * MurmurHash2 of "len" bytes with seed 0.
 *
 * Context: any process.
 * Returns: the hash; cannot fail.
 * Source:  nginx src/core/ngx_murmurhash.c:ngx_murmur_hash2.
 */
uint32_t ngx_http_async_upload_murmur_two(const unsigned char *data,
    size_t len);

/*
 * Takes "len" bytes more.  Pieces of any lengths, also none, give the hash of
 * them all in one; a piece of none may have no address.
 *
 * Context: any process; one caller at a time for one "m".
 * Source:  MurmurHash3 x86_32, SMHasher.
 */
void ngx_http_async_upload_murmur_add(ngx_http_async_upload_murmur_t *m,
    const unsigned char *data, size_t len);

/*
 * The MurmurHash3 of all that came; more may follow.
 *
 * Returns: the hash; cannot fail.
 */
uint32_t ngx_http_async_upload_murmur_end(
    const ngx_http_async_upload_murmur_t *m);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_MURMUR_H_INCLUDED_ */
