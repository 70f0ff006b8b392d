
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>

#include "ngx_http_async_upload_bucket.h"
#include "tap.h"


#define SHARES    (NGX_HTTP_ASYNC_UPLOAD_BUCKETS + 1)
#define FILES     400
#define KEYS      10000
#define MURMUR_M  UINT32_C(0x5bd1e995)


static ngx_http_async_upload_arg_t
arg(const char *s)
{
    ngx_http_async_upload_arg_t  a;

    a.data = (const unsigned char *) s;
    a.len = strlen(s);

    return a;
}


static void
start(ngx_http_async_upload_hash_t *h, ngx_http_async_upload_hash_e mode,
    const char *salt)
{
    ngx_http_async_upload_arg_t  a;

    a = arg(salt ? salt : "");

    if (ngx_http_async_upload_bucket_init(h, mode, &a, salt ? 1 : 0) != 0) {
        printf("Bail out! cannot start a hash\n");
        exit(1);
    }
}


static int
find(ngx_http_async_upload_hash_t *h, const char *key)
{
    return ngx_http_async_upload_bucket_find(h, (const unsigned char *) key,
                                             strlen(key));
}


static void
test_modes(void)
{
    int          mode, n;
    char         list[256], *name, *rest;
    unsigned     args, whole;

    args = 77;
    whole = 77;

    mode = ngx_http_async_upload_bucket_mode("sha256", 6, &args, &whole);
    tap_ok(mode == NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256 && args == 1
           && whole == 0, "sha256 takes a salt and any share");

    mode = ngx_http_async_upload_bucket_mode("split_clients", 13, &args,
                                             &whole);
    tap_ok(mode == NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS && args == 0
           && whole == 0, "split_clients takes no argument and any share");

    args = 77;
    whole = 77;

    tap_ok(ngx_http_async_upload_bucket_mode("sha25", 5, &args, &whole) == -1
           && ngx_http_async_upload_bucket_mode("sha2567", 7, &args, &whole)
              == -1
           && ngx_http_async_upload_bucket_mode("SHA256", 6, &args, &whole)
              == -1
           && ngx_http_async_upload_bucket_mode("", 0, &args, &whole) == -1,
           "a name is matched as a whole and with its case");

    tap_ok(args == 77 && whole == 77, "an unknown name sets nothing");

    strcpy(list, ngx_http_async_upload_bucket_modes());

    n = 0;

    for (name = strtok_r(list, ", ", &rest);
         name != NULL;
         name = strtok_r(NULL, ", ", &rest))
    {
        mode = ngx_http_async_upload_bucket_mode(name, strlen(name), &args,
                                                 &whole);
        tap_ok(mode == n, "the list names mode %d: %s", n, name);
        n++;
    }

    tap_ok(n == NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS + 1,
           "the list names every mode");
}


static void
test_init(void)
{
    int                           rc;
    ngx_http_async_upload_arg_t   args[2];
    ngx_http_async_upload_hash_t  h;

    args[0] = arg("a");
    args[1] = arg("b");

    tap_ok(ngx_http_async_upload_bucket_init(&h,
               NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, args, 0) == -1
           && ngx_http_async_upload_bucket_init(&h,
               NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, args, 2) == -1
           && ngx_http_async_upload_bucket_init(&h,
               NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS, args, 1) == -1,
           "a wrong number of arguments is refused");

    /* no provider has this property, so that the fetch fails */

    EVP_set_default_properties(NULL, "provider=none");

    rc = ngx_http_async_upload_bucket_init(&h,
             NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, args, 1);

    EVP_set_default_properties(NULL, "");

    tap_ok(rc == -1, "a digest that no provider has is refused");
    tap_ok(ERR_peek_error() == 0, "a failed init leaves no error in OpenSSL");
    tap_ok(find(&h, "key") == -1, "without a digest a bucket is -1, not 0");
    tap_ok(ERR_peek_error() == 0, "a failed find leaves no error in OpenSSL");

    start(&h, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "salt");
    tap_ok(find(&h, "key") >= 0, "an object can be started again");
    tap_ok(ngx_http_async_upload_bucket_find(&h, NULL, 0) == find(&h, ""),
           "an empty key may have no address");

    ngx_http_async_upload_bucket_cleanup(&h);
    ngx_http_async_upload_bucket_cleanup(&h);
    tap_ok(find(&h, "key") == -1, "after two cleanups a bucket is -1");

    memset(&h, 0, sizeof(h));
    ngx_http_async_upload_bucket_cleanup(&h);
    tap_ok(1, "zeroes can be cleaned up");
}


/*
 * What README promises: the bucket can be told with sha256sum.  The files
 * hold the salt, a dot and keys of all lengths up to FILES - 1 bytes.
 */

static void
test_sha256(const char *salt)
{
    int                           i, j, rc, wrong, lines;
    char                          dir[] = "/tmp/bucket_XXXXXX";
    char                          path[64], command[128], line[256];
    FILE                         *f;
    unsigned                      hash;
    unsigned char                 keys[FILES][FILES];
    ngx_http_async_upload_hash_t  h;

    if (mkdtemp(dir) == NULL) {
        tap_ok(0, "a directory for sha256sum");
        return;
    }

    for (i = 0; i < FILES; i++) {

        for (j = 0; j < i; j++) {
            keys[i][j] = (unsigned char) tap_random();
        }

        snprintf(path, sizeof(path), "%s/%03d", dir, i);

        f = fopen(path, "w");
        fprintf(f, "%s.", salt);
        fwrite(keys[i], 1, (size_t) i, f);
        fclose(f);
    }

    start(&h, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, salt);

    snprintf(command, sizeof(command), "cd %s && sha256sum *", dir);

    f = popen(command, "r");
    lines = 0;
    wrong = 0;

    while (fgets(line, sizeof(line), f) != NULL && lines < FILES) {

        if (sscanf(line, "%8x", &hash) != 1) {
            break;
        }

        rc = ngx_http_async_upload_bucket_find(&h, keys[lines],
                                               (size_t) lines);

        /* below 2^53, so that the only rounding is floor() */

        if (rc != (int) floor((double) hash * 10000 / 4294967296.0)) {
            tap_note("key of %d bytes: %d, sha256sum %08x", lines, rc, hash);
            wrong++;
        }

        lines++;
    }

    pclose(f);

    ngx_http_async_upload_bucket_cleanup(&h);

    snprintf(command, sizeof(command), "rm -r %s", dir);
    rc = system(command);

    tap_ok(lines == FILES && wrong == 0 && rc == 0,
           "sha256 agrees with sha256sum on keys of 0 to %d bytes, salt of "
           "%u bytes", FILES - 1, (unsigned) strlen(salt));
}


/*
 * A key of four bytes with a given MurmurHash2: each step of the hash can be
 * undone.
 */

static uint32_t
murmur_inverse(void)
{
    uint32_t  i, x;

    /* Newton's iteration doubles the right bits of the inverse each time */

    for (x = MURMUR_M, i = 0; i < 5; i++) {
        x *= 2 - MURMUR_M * x;
    }

    return x;
}


static uint32_t
unshift(uint32_t v, unsigned n)
{
    unsigned  i;
    uint32_t  x;

    for (x = v, i = 0; i < 32 / n; i++) {
        x = v ^ (x >> n);
    }

    return x;
}


static void
key_of_hash(uint32_t hash, unsigned char *key)
{
    uint32_t  h, k, inverse;

    inverse = murmur_inverse();

    h = unshift(hash, 15);
    h = unshift(h * inverse, 13);

    k = h ^ (UINT32_C(4) * MURMUR_M);
    k = unshift(k * inverse, 24) * inverse;

    key[0] = (unsigned char) k;
    key[1] = (unsigned char) (k >> 8);
    key[2] = (unsigned char) (k >> 16);
    key[3] = (unsigned char) (k >> 24);
}


/*
 * The slices of split_clients: a client is in the first one if its hash is
 * below the threshold.  Tried with the hashes around every threshold and
 * with random ones, each against every share.
 */

static void
test_split_clients(void)
{
    int                            bucket, wrong, everybody, nobody;
    uint32_t                       hash;
    unsigned                       i, s;
    unsigned char                  key[4];
    static uint64_t                threshold[SHARES];
    ngx_http_async_upload_hash_t   h;

    start(&h, NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS, NULL);

    for (s = 0; s < SHARES; s++) {
        threshold[s] = (uint64_t) s * 0xffffffff / 10000;
    }

    wrong = 0;
    everybody = 1;
    nobody = 1;

    for (i = 0; i < 4 * SHARES; i++) {

        if (i < 3 * SHARES) {
            hash = (uint32_t) (threshold[i / 3] + i % 3 - 1);

        } else {
            hash = (uint32_t) tap_random();
        }

        key_of_hash(hash, key);

        bucket = ngx_http_async_upload_bucket_find(&h, key, 4);

        for (s = 0; s < SHARES - 1; s++) {

            if (ngx_http_async_upload_bucket_taken(bucket, s)
                != (hash < threshold[s]))
            {
                if (wrong++ < 5) {
                    tap_note("hash %08x, share %u: bucket %d", hash, s,
                             bucket);
                }
            }
        }

        everybody &= ngx_http_async_upload_bucket_taken(bucket, 10000);
        nobody &= !ngx_http_async_upload_bucket_taken(bucket, 0);
    }

    tap_ok(wrong == 0, "split_clients agrees with nginx' thresholds at every "
           "share");
    tap_ok(everybody, "split_clients: 10000 takes also the last hash");
    tap_ok(nobody, "split_clients: 0 takes nobody");

    key_of_hash(0xffffffff, key);
    bucket = ngx_http_async_upload_bucket_find(&h, key, 4);
    tap_ok(bucket == 9999, "split_clients: the last hash is in the last "
           "bucket");

    key_of_hash(0, key);
    bucket = ngx_http_async_upload_bucket_find(&h, key, 4);
    tap_ok(bucket == 0, "split_clients: the first hash is in the first "
           "bucket");

    ngx_http_async_upload_bucket_cleanup(&h);
}


static void
test_taken(void)
{
    int       good;
    unsigned  s;

    good = 1;

    for (s = 0; s < SHARES; s++) {
        good &= !ngx_http_async_upload_bucket_taken(-1, s);
        good &= (s == 0 || ngx_http_async_upload_bucket_taken((int) s - 1, s));
        good &= !ngx_http_async_upload_bucket_taken((int) s, s);
    }

    tap_ok(good, "a bucket is taken from the next share on, a failed one "
           "never");
}


static void
test_population(const char *name, ngx_http_async_upload_hash_e mode,
    const char *salt)
{
    int                           wrong, n;
    char                          key[32];
    double                        p, sigma;
    unsigned                      i, j, s, was, is;
    static int                    buckets[KEYS];
    static const unsigned         shares[] = { 100, 1000, 5000 };
    ngx_http_async_upload_hash_t  h;

    start(&h, mode, salt);

    wrong = 0;

    for (i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "192.0.%u.%u", i / 100, i % 100);
        buckets[i] = find(&h, key);

        if (buckets[i] < 0 || buckets[i] > 9999) {
            wrong++;
        }
    }

    tap_ok(wrong == 0, "%s: every bucket is within 0..9999", name);

    for (i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "192.0.%u.%u", i / 100, i % 100);

        if (buckets[i] != find(&h, key)) {
            wrong++;
        }
    }

    tap_ok(wrong == 0, "%s: a key keeps its bucket", name);

    for (j = 0; j < 3; j++) {
        n = 0;

        for (i = 0; i < KEYS; i++) {
            n += ngx_http_async_upload_bucket_taken(buckets[i], shares[j]);
        }

        p = shares[j] / 10000.0;
        sigma = sqrt(KEYS * p * (1 - p));

        tap_ok(fabs(n - KEYS * p) < 4 * sigma,
               "%s: %u of %u keys are within 4 sigma of %g%%", name,
               (unsigned) n, KEYS, p * 100);
    }

    for (i = 0; i < KEYS; i++) {
        was = 0;

        for (s = 0; s < SHARES; s++) {
            is = (unsigned) ngx_http_async_upload_bucket_taken(buckets[i], s);

            if (is < was || (s == 0 && is) || (s == 10000 && !is)) {
                wrong++;
            }

            was = is;
        }
    }

    tap_ok(wrong == 0, "%s: raising the share only adds keys, from none to "
           "all", name);

    ngx_http_async_upload_bucket_cleanup(&h);
}


static void
test_salts(void)
{
    int                           n, same;
    char                          key[32];
    unsigned                      i;
    ngx_http_async_upload_hash_t  a, b, c;

    start(&a, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "a");
    start(&b, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "b");
    start(&c, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "a");

    n = 0;
    same = 0;

    for (i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "user-%u", i);

        n += (find(&a, key) < 5000 && find(&b, key) < 5000);
        same += (find(&a, key) == find(&c, key));
    }

    tap_ok(same == KEYS, "objects of one salt agree while they alternate");
    tap_ok(fabs(n - KEYS * 0.25) < 4 * sqrt(KEYS * 0.25 * 0.75),
           "halves by two salts share a quarter of the keys: %d", n);

    ngx_http_async_upload_bucket_cleanup(&a);
    ngx_http_async_upload_bucket_cleanup(&b);
    ngx_http_async_upload_bucket_cleanup(&c);
}


static void
test_fork(void)
{
    int                           bucket, status;
    pid_t                         pid;
    ngx_http_async_upload_hash_t  h, child;

    start(&h, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "salt");

    bucket = find(&h, "key");

    pid = fork();

    if (pid == 0) {
        start(&child, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "salt");
        status = (find(&child, "key") == bucket);
        ngx_http_async_upload_bucket_cleanup(&child);
        ngx_http_async_upload_bucket_cleanup(&h);
        _exit(status);
    }

    waitpid(pid, &status, 0);

    tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 1,
           "another process finds the same bucket");

    ngx_http_async_upload_bucket_cleanup(&h);
}


int
main(void)
{
    char  salt[201];

    memset(salt, 's', 200);
    salt[200] = '\0';

    test_modes();
    test_init();
    test_sha256("uploads");
    test_sha256("");
    test_sha256(salt);
    test_split_clients();
    test_taken();
    test_population("sha256", NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "uploads");
    test_population("split_clients", NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS,
                    NULL);
    test_salts();
    test_fork();

    return tap_done();
}
