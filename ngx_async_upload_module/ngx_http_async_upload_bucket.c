
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <string.h>

#include <openssl/err.h>

#include "ngx_http_async_upload_bucket.h"


#define NGX_HTTP_ASYNC_UPLOAD_BUCKET_MURMUR  UINT32_C(0x5bd1e995)


typedef struct {
    const char  *name;
    size_t       len;
    unsigned     args;
    unsigned     whole_percent;
    const char  *digest;  /* OpenSSL's name, NULL if the mode has none */
} ngx_http_async_upload_bucket_mode_t;


static int ngx_http_async_upload_bucket_digest(ngx_http_async_upload_hash_t *h,
    const unsigned char *key, size_t len, unsigned char *digest);
static uint32_t ngx_http_async_upload_bucket_murmur2(const unsigned char *data,
    size_t len);


/* indexed by ngx_http_async_upload_hash_e */

static const ngx_http_async_upload_bucket_mode_t
    ngx_http_async_upload_bucket_table[] =
{
    { "sha256", 6, 1, 0, "SHA256" },
    { "split_clients", 13, 0, 0, NULL }
};

#define NGX_HTTP_ASYNC_UPLOAD_BUCKET_MODES                                    \
    (sizeof(ngx_http_async_upload_bucket_table)                               \
     / sizeof(ngx_http_async_upload_bucket_table[0]))


int
ngx_http_async_upload_bucket_mode(const char *name, size_t len, unsigned *args,
    unsigned *whole_percent)
{
    unsigned                                    i;
    const ngx_http_async_upload_bucket_mode_t  *mode;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_BUCKET_MODES; i++) {
        mode = &ngx_http_async_upload_bucket_table[i];

        if (mode->len == len && memcmp(mode->name, name, len) == 0) {
            *args = mode->args;
            *whole_percent = mode->whole_percent;

            return (int) i;
        }
    }

    return -1;
}


const char *
ngx_http_async_upload_bucket_modes(void)
{
    return "sha256, split_clients";
}


int
ngx_http_async_upload_bucket_init(ngx_http_async_upload_hash_t *h,
    ngx_http_async_upload_hash_e mode, const ngx_http_async_upload_arg_t *args,
    unsigned n)
{
    int                                         rc;
    EVP_MD                                     *md;
    unsigned                                    i;
    const ngx_http_async_upload_bucket_mode_t  *m;

    memset(h, 0, sizeof(ngx_http_async_upload_hash_t));

    m = &ngx_http_async_upload_bucket_table[mode];

    if (n != m->args) {
        return -1;
    }

    h->mode = mode;

    if (m->digest == NULL) {
        return 0;
    }

    md = EVP_MD_fetch(NULL, m->digest, NULL);
    if (md == NULL) {
        ERR_clear_error();
        return -1;
    }

    h->base = EVP_MD_CTX_new();
    h->ctx = EVP_MD_CTX_new();

    rc = (h->base != NULL && h->ctx != NULL
          && EVP_DigestInit_ex2(h->base, md, NULL));

    for (i = 0; rc && i < n; i++) {
        rc = (EVP_DigestUpdate(h->base, args[i].data, args[i].len)
              && EVP_DigestUpdate(h->base, ".", 1));
    }

    /* the context holds a reference of its own */

    EVP_MD_free(md);

    if (!rc) {
        ERR_clear_error();
        ngx_http_async_upload_bucket_cleanup(h);
        return -1;
    }

    return 0;
}


void
ngx_http_async_upload_bucket_cleanup(ngx_http_async_upload_hash_t *h)
{
    EVP_MD_CTX_free(h->base);
    EVP_MD_CTX_free(h->ctx);

    h->base = NULL;
    h->ctx = NULL;
}


int
ngx_http_async_upload_bucket_find(ngx_http_async_upload_hash_t *h,
    const unsigned char *key, size_t len)
{
    uint64_t       hash, bucket;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    switch (h->mode) {

    case NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256:

        if (ngx_http_async_upload_bucket_digest(h, key, len, digest) != 0) {
            return -1;
        }

        hash = (uint32_t) digest[0] << 24 | (uint32_t) digest[1] << 16
               | (uint32_t) digest[2] << 8 | (uint32_t) digest[3];

        return (int) (hash * NGX_HTTP_ASYNC_UPLOAD_BUCKETS >> 32);

    case NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS:

        hash = ngx_http_async_upload_bucket_murmur2(key, len);

        /*
         * The largest b with floor(b * 0xffffffff / 10000) <= hash, that is
         * b * 0xffffffff < (hash + 1) * 10000.  The last hash is past the
         * threshold of 10000, which takes everybody here.
         */

        bucket = ((hash + 1) * NGX_HTTP_ASYNC_UPLOAD_BUCKETS - 1) / 0xffffffff;

        if (bucket > NGX_HTTP_ASYNC_UPLOAD_BUCKETS - 1) {
            bucket = NGX_HTTP_ASYNC_UPLOAD_BUCKETS - 1;
        }

        return (int) bucket;
    }

    return -1;
}


static int
ngx_http_async_upload_bucket_digest(ngx_http_async_upload_hash_t *h,
    const unsigned char *key, size_t len, unsigned char *digest)
{
    /*
     * A copy costs less than a new start followed by the prefix, and spares
     * the prefix' blocks if it is long.
     */

    if (EVP_MD_CTX_copy_ex(h->ctx, h->base)
        && EVP_DigestUpdate(h->ctx, key, len)
        && EVP_DigestFinal_ex(h->ctx, digest, NULL))
    {
        return 0;
    }

    /* what is left in OpenSSL's queue would be taken for an error of TLS */

    ERR_clear_error();

    return -1;
}


static uint32_t
ngx_http_async_upload_bucket_murmur2(const unsigned char *data, size_t len)
{
    uint32_t  h, k;

    h = (uint32_t) len;

    while (len >= 4) {
        k = (uint32_t) data[0] | (uint32_t) data[1] << 8
            | (uint32_t) data[2] << 16 | (uint32_t) data[3] << 24;

        k *= NGX_HTTP_ASYNC_UPLOAD_BUCKET_MURMUR;
        k ^= k >> 24;
        k *= NGX_HTTP_ASYNC_UPLOAD_BUCKET_MURMUR;

        h *= NGX_HTTP_ASYNC_UPLOAD_BUCKET_MURMUR;
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
        h *= NGX_HTTP_ASYNC_UPLOAD_BUCKET_MURMUR;
    }

    h ^= h >> 13;
    h *= NGX_HTTP_ASYNC_UPLOAD_BUCKET_MURMUR;
    h ^= h >> 15;

    return h;
}
