
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Maps a key to one of 10,000 buckets, and nothing else.
 *
 * The unit knows the hash modes and their arguments.  It must not know
 * requests, variables, shares in force, shared memory or nginx.
 *
 * Every mode is a frozen contract: the bucket of a given mode, arguments and
 * key never changes between versions, machines or processes, since a client
 * that changes its bucket may change its arm in the middle of a rollout.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_BUCKET_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_BUCKET_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "ngx_http_async_upload_murmur.h"


/* one bucket is one basis point of the key space */

#define NGX_HTTP_ASYNC_UPLOAD_BUCKETS  10000


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256 = 0,
    NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS,
    NGX_HTTP_ASYNC_UPLOAD_HASH_MD5,
    NGX_HTTP_ASYNC_UPLOAD_HASH_UNLEASH,
    NGX_HTTP_ASYNC_UPLOAD_HASH_GROWTHBOOK,
    NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY,
    NGX_HTTP_ASYNC_UPLOAD_HASH_STATSIG,
    NGX_HTTP_ASYNC_UPLOAD_HASH_FLAGD,
    NGX_HTTP_ASYNC_UPLOAD_HASH_OPTIMIZELY
} ngx_http_async_upload_hash_e;


typedef struct {
    const unsigned char           *data;
    size_t                         len;   /* bytes */
} ngx_http_async_upload_arg_t;


/*
 * Private to the unit but for "identity"; all zeroes is a valid object for
 * cleanup.
 */

typedef struct ngx_http_async_upload_hash_s {
    ngx_http_async_upload_hash_e    mode;

    /* what precedes a key has been taken already, and what follows it */

    EVP_MD_CTX                     *base;
    EVP_MD_CTX                     *ctx;
    ngx_http_async_upload_murmur_t  prefix;  /* of FNV-1a the hash alone */
    ngx_http_async_upload_arg_t     suffix;

    /* 32 bits of the hash of the key that a bucket was found for last */
    uint32_t                        identity;
} ngx_http_async_upload_hash_t;


/*
 * Looks a hash mode up by its name, "len" bytes, case-sensitive.
 *
 * "*args" is set to the number of arguments the mode needs, exactly;
 * "*whole_percent" to 1 if the mode can only tell whole percents apart (the
 * share must then be a multiple of 100 basis points), else to 0.  Both are
 * left alone if the name is unknown.
 *
 * Context: master, configuration.
 * Returns: the mode, an ngx_http_async_upload_hash_e; -1 if unknown.
 */
int ngx_http_async_upload_bucket_mode(const char *name, size_t len,
    unsigned *args, unsigned *whole_percent);

/*
 * Names all modes for an error message, as in "sha256, split_clients".
 *
 * Returns: a constant string; cannot fail.
 */
const char *ngx_http_async_upload_bucket_modes(void);

/*
 * Prepares "h" for a mode with its "n" arguments.
 *
 * Fetches the digest, creates its contexts and digests the arguments here,
 * once, so that find does none of that.  Arguments may be empty and hold any
 * bytes, also those that separate them.  The object belongs to the process
 * that called init and to one thread of it: to be called in each worker, not
 * inherited from the master.
 *
 * Context: worker, start of the process.
 * Memory:  two contexts or none, freed by cleanup; the strings of "args" are
 *          the caller's and must live as long as "h".
 * Returns: 0; -1 if out of memory, the digest is not available (a FIPS or
 *          stripped provider) or "n" is wrong, "h" then needs no cleanup.
 */
int ngx_http_async_upload_bucket_init(ngx_http_async_upload_hash_t *h,
    ngx_http_async_upload_hash_e mode, const ngx_http_async_upload_arg_t *args,
    unsigned n);

/*
 * Frees what init took.  Harmless on an object of zeroes and when repeated.
 *
 * Context: worker, end of the process.
 */
void ngx_http_async_upload_bucket_cleanup(ngx_http_async_upload_hash_t *h);

/*
 * Finds the bucket of a key of "len" bytes, any bytes, also none.
 *
 * Context: worker, request path; not reentrant for one "h".
 * Locks:   none.
 * Memory:  none of its own; OpenSSL takes and frees a digest's state.
 * Returns: the bucket, 0..9999; -1 if the digest failed, which the caller
 *          must treat as "not in the rollout", never as bucket 0.
 * Source:  sha256, statsig: SHA-256, launchdarkly: SHA-1, FIPS 180-4; md5:
 *          RFC 1321; split_clients: MurmurHash2, thresholds as in nginx
 *          src/http/modules/ngx_http_split_clients_module.c; unleash, flagd,
 *          optimizely: MurmurHash3 x86_32; growthbook: FNV-1a, RFC 9923.
 */
int ngx_http_async_upload_bucket_find(ngx_http_async_upload_hash_t *h,
    const unsigned char *key, size_t len);

/*
 * Tells whether a bucket of a mode is in the rollout at a share of 0..10000
 * basis points.  The slice is anchored at 0: a larger share only adds buckets,
 * 0 takes none, 10000 takes all; a failed bucket (-1) is taken by no share.
 *
 * The buckets below the share are taken; with growthbook, whose coverage is
 * inclusive, the bucket that equals it is, too.
 *
 * Returns: 1 if taken, else 0.
 */
static inline int
ngx_http_async_upload_bucket_taken(ngx_http_async_upload_hash_e mode,
    int bucket, unsigned share_bp)
{
    if (mode == NGX_HTTP_ASYNC_UPLOAD_HASH_GROWTHBOOK && share_bp != 0) {
        share_bp++;
    }

    return (unsigned) bucket < share_bp;
}


#endif /* _NGX_HTTP_ASYNC_UPLOAD_BUCKET_H_INCLUDED_ */
