
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <string.h>

#include <openssl/err.h>

#include "ngx_http_async_upload_bucket.h"


#define NGX_HTTP_ASYNC_UPLOAD_BUCKET_FNV  UINT32_C(0x811c9dc5)


typedef struct {
    const char  *name;
    size_t       len;
    unsigned     args;
    unsigned     whole_percent;
    const char  *digest;  /* OpenSSL's name, NULL if the mode has none */
} ngx_http_async_upload_bucket_mode_t;


static int ngx_http_async_upload_bucket_init_digest(
    ngx_http_async_upload_hash_t *h, const char *name,
    const ngx_http_async_upload_arg_t *args, unsigned n);
static int ngx_http_async_upload_bucket_digest(ngx_http_async_upload_hash_t *h,
    const unsigned char *key, size_t len, unsigned char *digest);
static int ngx_http_async_upload_bucket_of_digest(
    ngx_http_async_upload_hash_e mode, const unsigned char *digest);
static int ngx_http_async_upload_bucket_of_fraction(uint64_t hash);
static uint64_t ngx_http_async_upload_bucket_uint64(const unsigned char *data);
static uint32_t ngx_http_async_upload_bucket_fnv(uint32_t hash,
    const unsigned char *data, size_t len);
static uint32_t ngx_http_async_upload_bucket_fnv_decimal(uint32_t n);


/* indexed by ngx_http_async_upload_hash_e */

static const ngx_http_async_upload_bucket_mode_t
    ngx_http_async_upload_bucket_table[] =
{
    { "sha256", 6, 1, 0, "SHA256" },
    { "split_clients", 13, 0, 0, NULL },
    { "md5", 3, 0, 1, "MD5" },
    { "unleash", 7, 1, 1, NULL },
    { "growthbook", 10, 1, 0, NULL },
    { "launchdarkly", 12, 2, 0, "SHA1" },
    { "statsig", 7, 2, 0, "SHA256" },
    { "flagd", 5, 1, 0, NULL },
    { "optimizely", 10, 1, 0, NULL }
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
    return "sha256, split_clients, md5, unleash, growthbook, launchdarkly, "
           "statsig, flagd, optimizely";
}


int
ngx_http_async_upload_bucket_init(ngx_http_async_upload_hash_t *h,
    ngx_http_async_upload_hash_e mode, const ngx_http_async_upload_arg_t *args,
    unsigned n)
{
    const ngx_http_async_upload_bucket_mode_t  *m;

    memset(h, 0, sizeof(ngx_http_async_upload_hash_t));

    m = &ngx_http_async_upload_bucket_table[mode];

    if (n != m->args) {
        return -1;
    }

    h->mode = mode;

    switch (mode) {

    case NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS:
        return 0;

    case NGX_HTTP_ASYNC_UPLOAD_HASH_UNLEASH:
        ngx_http_async_upload_murmur_add(&h->prefix, args[0].data,
                                         args[0].len);
        ngx_http_async_upload_murmur_add(&h->prefix,
                                         (const unsigned char *) ":", 1);
        return 0;

    case NGX_HTTP_ASYNC_UPLOAD_HASH_FLAGD:
        ngx_http_async_upload_murmur_add(&h->prefix, args[0].data,
                                         args[0].len);
        return 0;

    case NGX_HTTP_ASYNC_UPLOAD_HASH_OPTIMIZELY:
        h->prefix.hash = 1;  /* the seed, 0 above */
        h->suffix = args[0];
        return 0;

    case NGX_HTTP_ASYNC_UPLOAD_HASH_GROWTHBOOK:
        h->prefix.hash = ngx_http_async_upload_bucket_fnv(
                             NGX_HTTP_ASYNC_UPLOAD_BUCKET_FNV, args[0].data,
                             args[0].len);
        return 0;

    default:
        return ngx_http_async_upload_bucket_init_digest(h, m->digest, args, n);
    }
}


/* each of the arguments is followed by a dot */

static int
ngx_http_async_upload_bucket_init_digest(ngx_http_async_upload_hash_t *h,
    const char *name, const ngx_http_async_upload_arg_t *args, unsigned n)
{
    int        rc;
    EVP_MD    *md;
    unsigned   i;

    md = EVP_MD_fetch(NULL, name, NULL);
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
    uint64_t                        hash, bucket;
    unsigned char                   digest[EVP_MAX_MD_SIZE];
    ngx_http_async_upload_murmur_t  murmur;

    switch (h->mode) {

    case NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256:
    case NGX_HTTP_ASYNC_UPLOAD_HASH_MD5:
    case NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY:
    case NGX_HTTP_ASYNC_UPLOAD_HASH_STATSIG:

        if (ngx_http_async_upload_bucket_digest(h, key, len, digest) != 0) {
            return -1;
        }

        memcpy(&h->identity, digest, sizeof(uint32_t));

        return ngx_http_async_upload_bucket_of_digest(h->mode, digest);

    case NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS:

        hash = ngx_http_async_upload_murmur_two(key, len);
        h->identity = (uint32_t) hash;

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

    case NGX_HTTP_ASYNC_UPLOAD_HASH_UNLEASH:
    case NGX_HTTP_ASYNC_UPLOAD_HASH_FLAGD:
    case NGX_HTTP_ASYNC_UPLOAD_HASH_OPTIMIZELY:

        murmur = h->prefix;

        ngx_http_async_upload_murmur_add(&murmur, key, len);
        ngx_http_async_upload_murmur_add(&murmur, h->suffix.data,
                                         h->suffix.len);

        hash = ngx_http_async_upload_murmur_end(&murmur);
        h->identity = (uint32_t) hash;

        /* Unleash counts from 1 and includes the percentage */

        return (int) (h->mode == NGX_HTTP_ASYNC_UPLOAD_HASH_UNLEASH
                      ? hash % 100 * 100
                      : hash * NGX_HTTP_ASYNC_UPLOAD_BUCKETS >> 32);

    case NGX_HTTP_ASYNC_UPLOAD_HASH_GROWTHBOOK:

        hash = ngx_http_async_upload_bucket_fnv_decimal(
                   ngx_http_async_upload_bucket_fnv(h->prefix.hash, key, len));
        h->identity = (uint32_t) hash;

        return (int) (hash % NGX_HTTP_ASYNC_UPLOAD_BUCKETS);
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


static int
ngx_http_async_upload_bucket_of_digest(ngx_http_async_upload_hash_e mode,
    const unsigned char *digest)
{
    uint64_t  hash;

    hash = ngx_http_async_upload_bucket_uint64(digest);

    switch (mode) {

    case NGX_HTTP_ASYNC_UPLOAD_HASH_MD5:

        /* all 128 bits of it; 2^64 is 16 modulo 100 */

        hash = hash % 100 * 16
               + ngx_http_async_upload_bucket_uint64(digest + 8) % 100;

        return (int) (hash % 100 * 100);

    case NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY:
        return ngx_http_async_upload_bucket_of_fraction(hash >> 4);

    case NGX_HTTP_ASYNC_UPLOAD_HASH_STATSIG:
        return (int) (hash % NGX_HTTP_ASYNC_UPLOAD_BUCKETS);

    default:  /* sha256 */
        return (int) ((hash >> 32) * NGX_HTTP_ASYNC_UPLOAD_BUCKETS >> 32);
    }
}


/*
 * A hash of 60 bits as a fraction of all of them in single precision, which
 * is compared with thresholds in single precision, too.
 */

static int
ngx_http_async_upload_bucket_of_fraction(uint64_t hash)
{
    int    bucket;
    float  fraction;

    fraction = (float) (int64_t) hash / (float) (INT64_C(1) << 60);

    /* exact, with 24 bits times 14 */

    bucket = (int) ((double) fraction * NGX_HTTP_ASYNC_UPLOAD_BUCKETS);

    /* a threshold that is rounded down may meet the fraction */

    if (fraction >= (float) (bucket + 1)
                    / (float) NGX_HTTP_ASYNC_UPLOAD_BUCKETS)
    {
        bucket++;
    }

    /* the last hashes round to 1 */

    if (bucket > NGX_HTTP_ASYNC_UPLOAD_BUCKETS - 1) {
        bucket = NGX_HTTP_ASYNC_UPLOAD_BUCKETS - 1;
    }

    return bucket;
}


static uint64_t
ngx_http_async_upload_bucket_uint64(const unsigned char *data)
{
    return (uint64_t) data[0] << 56 | (uint64_t) data[1] << 48
           | (uint64_t) data[2] << 40 | (uint64_t) data[3] << 32
           | (uint64_t) data[4] << 24 | (uint64_t) data[5] << 16
           | (uint64_t) data[6] << 8 | (uint64_t) data[7];
}


static uint32_t
ngx_http_async_upload_bucket_fnv(uint32_t hash, const unsigned char *data,
    size_t len)
{
    while (len--) {
        hash = (hash ^ *data++) * UINT32_C(0x01000193);
    }

    return hash;
}


/* of a number in decimal digits */

static uint32_t
ngx_http_async_upload_bucket_fnv_decimal(uint32_t n)
{
    unsigned char  digits[10], *p;

    p = digits + sizeof(digits);

    do {
        *--p = (unsigned char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return ngx_http_async_upload_bucket_fnv(NGX_HTTP_ASYNC_UPLOAD_BUCKET_FNV, p,
                                            (size_t) (digits + sizeof(digits)
                                                      - p));
}
