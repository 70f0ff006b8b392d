
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_murmur.h"


#define NGX_HTTP_ASYNC_UPLOAD_MURMUR_TWO  UINT32_C(0x5bd1e995)


static uint32_t ngx_http_async_upload_murmur_mix(uint32_t k);


uint32_t
ngx_http_async_upload_murmur_two(const unsigned char *data, size_t len)
{
    uint32_t  h, k;

    h = (uint32_t) len;

    while (len >= 4) {
        k = (uint32_t) data[0] | (uint32_t) data[1] << 8
            | (uint32_t) data[2] << 16 | (uint32_t) data[3] << 24;

        k *= NGX_HTTP_ASYNC_UPLOAD_MURMUR_TWO;
        k ^= k >> 24;
        k *= NGX_HTTP_ASYNC_UPLOAD_MURMUR_TWO;

        h *= NGX_HTTP_ASYNC_UPLOAD_MURMUR_TWO;
        h ^= k;

        data += 4;
        len -= 4;
    }

    switch (len) {

    case 3:
        h ^= (uint32_t) data[2] << 16;
        /* fall through */

    case 2:
        h ^= (uint32_t) data[1] << 8;
        /* fall through */

    case 1:
        h ^= data[0];
        h *= NGX_HTTP_ASYNC_UPLOAD_MURMUR_TWO;
    }

    h ^= h >> 13;
    h *= NGX_HTTP_ASYNC_UPLOAD_MURMUR_TWO;
    h ^= h >> 15;

    return h;
}


void
ngx_http_async_upload_murmur_add(ngx_http_async_upload_murmur_t *m,
    const unsigned char *data, size_t len)
{
    uint32_t  k;

    while (len) {

        if (m->len % 4 == 0 && len >= 4) {
            k = (uint32_t) data[0] | (uint32_t) data[1] << 8
                | (uint32_t) data[2] << 16 | (uint32_t) data[3] << 24;

            m->len += 4;
            data += 4;
            len -= 4;

        } else {
            m->tail |= (uint32_t) data[0] << m->len % 4 * 8;

            m->len++;
            data++;
            len--;

            if (m->len % 4) {
                continue;
            }

            k = m->tail;
            m->tail = 0;
        }

        m->hash ^= ngx_http_async_upload_murmur_mix(k);
        m->hash = m->hash << 13 | m->hash >> 19;
        m->hash = m->hash * 5 + UINT32_C(0xe6546b64);
    }
}


uint32_t
ngx_http_async_upload_murmur_end(const ngx_http_async_upload_murmur_t *m)
{
    uint32_t  h;

    /* a tail of nothing is mixed to 0 */

    h = m->hash ^ ngx_http_async_upload_murmur_mix(m->tail) ^ m->len;

    h ^= h >> 16;
    h *= UINT32_C(0x85ebca6b);
    h ^= h >> 13;
    h *= UINT32_C(0xc2b2ae35);
    h ^= h >> 16;

    return h;
}


static uint32_t
ngx_http_async_upload_murmur_mix(uint32_t k)
{
    k *= UINT32_C(0xcc9e2d51);
    k = k << 15 | k >> 17;

    return k * UINT32_C(0x1b873593);
}
