
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/sha.h>

#include "ngx_http_async_upload_bucket.h"
#include "tap.h"


#define SHARES    (NGX_HTTP_ASYNC_UPLOAD_BUCKETS + 1)
#define FILES     400
#define KEYS      10000
#define MURMUR_M  UINT32_C(0x5bd1e995)
#define LONG      100000
#define MODES     (sizeof(modes) / sizeof(modes[0]))


/* as in README, in the order of ngx_http_async_upload_hash_e */

typedef struct {
    const char  *name;
    unsigned     nargs;
    unsigned     whole;     /* whole percents only */
    const char  *args[2];   /* of the tests */
    const char  *tool;      /* prints the digest, NULL if there is none */
} test_mode_t;


static const test_mode_t  modes[] = {
    { "sha256", 1, 0, { "uploads", NULL }, "sha256sum" },
    { "split_clients", 0, 0, { NULL, NULL }, NULL },
    { "md5", 0, 1, { NULL, NULL }, "md5sum" },
    { "unleash", 1, 1, { "group", NULL }, NULL },
    { "growthbook", 1, 0, { "seed", NULL }, NULL },
    { "launchdarkly", 2, 0, { "flag", "salt" }, "sha1sum" },
    { "statsig", 2, 0, { "spec", "rule" }, "sha256sum" },
    { "flagd", 1, 0, { "flag", NULL }, NULL },
    { "optimizely", 1, 0, { "experiment", NULL }, NULL }
};


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
    const char *first, const char *second)
{
    ngx_http_async_upload_arg_t  a[2];

    a[0] = arg(first ? first : "");
    a[1] = arg(second ? second : "");

    if (ngx_http_async_upload_bucket_init(h, mode, a,
                                          modes[mode].nargs) != 0)
    {
        printf("Bail out! cannot start a hash\n");
        exit(1);
    }
}


static void
start_mode(ngx_http_async_upload_hash_t *h, ngx_http_async_upload_hash_e mode)
{
    start(h, mode, modes[mode].args[0], modes[mode].args[1]);
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
    unsigned     i, args, whole;

    for (i = 0; i < MODES; i++) {
        args = 77;
        whole = 77;

        mode = ngx_http_async_upload_bucket_mode(modes[i].name,
                                                 strlen(modes[i].name), &args,
                                                 &whole);

        tap_ok(mode == (int) i && args == modes[i].nargs
               && whole == modes[i].whole, "%s has %u arguments and takes %s",
               modes[i].name, modes[i].nargs,
               modes[i].whole ? "whole percents" : "any share");
    }

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

    tap_ok(n == (int) MODES
           && MODES == NGX_HTTP_ASYNC_UPLOAD_HASH_OPTIMIZELY + 1,
           "the list names every mode");
}


static void
test_init(void)
{
    int                           rc;
    unsigned                      i, n;
    ngx_http_async_upload_arg_t   args[4];
    ngx_http_async_upload_hash_t  h;

    for (i = 0; i < 4; i++) {
        args[i] = arg("a");
    }

    for (i = 0; i < MODES; i++) {
        rc = 0;

        for (n = 0; n <= 4; n++) {
            if (n != modes[i].nargs) {
                rc += (ngx_http_async_upload_bucket_init(&h,
                           (ngx_http_async_upload_hash_e) i, args, n) != -1);
            }
        }

        tap_ok(rc == 0, "%s: a wrong number of arguments is refused",
               modes[i].name);
    }

    for (i = 0; i < MODES; i++) {

        if (modes[i].tool == NULL) {
            continue;
        }

        /* no provider has this property, so that the fetch fails */

        EVP_set_default_properties(NULL, "provider=none");

        rc = ngx_http_async_upload_bucket_init(&h,
                 (ngx_http_async_upload_hash_e) i, args, modes[i].nargs);

        EVP_set_default_properties(NULL, "");

        tap_ok(rc == -1 && ERR_peek_error() == 0,
               "%s: a digest that no provider has is refused and leaves no "
               "error in OpenSSL", modes[i].name);
        tap_ok(find(&h, "key") == -1 && ERR_peek_error() == 0,
               "%s: without a digest a bucket is -1, not 0", modes[i].name);
    }

    start(&h, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "salt", NULL);
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
 * The bucket of a digest in hexadecimal, by the words of README: of a whole
 * number, digit by digit; in single precision, by comparing with thresholds.
 */

static int
bucket_of_hex(ngx_http_async_upload_hash_e mode, const char *hex)
{
    int       n;
    char      digits[17];
    float     fraction;
    unsigned  hash;

    switch (mode) {

    case NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256:
        sscanf(hex, "%8x", &hash);

        /* below 2^53, so that the only rounding is floor() */

        return (int) floor((double) hash * 10000 / 4294967296.0);

    case NGX_HTTP_ASYNC_UPLOAD_HASH_MD5:
        for (n = 0, hash = 0; n < 32; n++) {
            sscanf(hex + n, "%1s", digits);
            hash = (hash * 16 + (unsigned) strtoul(digits, NULL, 16)) % 100;
        }

        return (int) hash * 100;

    case NGX_HTTP_ASYNC_UPLOAD_HASH_STATSIG:
        memcpy(digits, hex, 16);
        digits[16] = '\0';

        return (int) (strtoull(digits, NULL, 16) % 10000);

    case NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY:
        memcpy(digits, hex, 15);
        digits[15] = '\0';

        fraction = (float) strtoull(digits, NULL, 16)
                   / (float) 0xfffffffffffffff;

        for (n = 0; n < 9999; n++) {
            if (fraction < (float) (n + 1) * 10 / 100000.0f) {
                break;
            }
        }

        return n;

    default:
        return -1;
    }
}


/*
 * What README promises: the bucket can be told with a tool of coreutils.  The
 * files hold the arguments, each with a dot, and keys of all lengths up to
 * FILES - 1 bytes.
 */

static void
test_tool(ngx_http_async_upload_hash_e mode, const char *first,
    const char *second)
{
    int                           i, j, rc, wrong, lines, expected;
    char                          dir[] = "/tmp/bucket_XXXXXX";
    char                          path[64], command[128], line[256];
    FILE                         *f;
    const char                   *tool;
    unsigned char                 keys[FILES][FILES];
    ngx_http_async_upload_hash_t  h;

    tool = modes[mode].tool;

    if (mkdtemp(dir) == NULL) {
        tap_ok(0, "a directory for %s", tool);
        return;
    }

    for (i = 0; i < FILES; i++) {

        for (j = 0; j < i; j++) {
            keys[i][j] = (unsigned char) tap_random();
        }

        snprintf(path, sizeof(path), "%s/%03d", dir, i);

        f = fopen(path, "w");

        if (first) {
            fprintf(f, "%s.", first);
        }

        if (second) {
            fprintf(f, "%s.", second);
        }

        fwrite(keys[i], 1, (size_t) i, f);
        fclose(f);
    }

    start(&h, mode, first, second);

    snprintf(command, sizeof(command), "cd %s && %s *", dir, tool);

    f = popen(command, "r");
    lines = 0;
    wrong = 0;

    while (fgets(line, sizeof(line), f) != NULL && lines < FILES) {

        if (strspn(line, "0123456789abcdef") < 32) {
            break;
        }

        expected = bucket_of_hex(mode, line);

        rc = ngx_http_async_upload_bucket_find(&h, keys[lines],
                                               (size_t) lines);

        if (rc != expected) {
            tap_note("key of %d bytes: %d, by %s %d", lines, rc, tool,
                     expected);
            wrong++;
        }

        lines++;
    }

    pclose(f);

    ngx_http_async_upload_bucket_cleanup(&h);

    snprintf(command, sizeof(command), "rm -r %s", dir);
    rc = system(command);

    tap_ok(lines == FILES && wrong == 0 && rc == 0,
           "%s agrees with %s on keys of 0 to %d bytes, arguments of %u and "
           "%u bytes", modes[mode].name, tool, FILES - 1,
           (unsigned) strlen(first ? first : ""),
           (unsigned) strlen(second ? second : ""));
}


/*
 * In single precision one of some 3,000 hashes meets a threshold that has
 * been rounded down, and one of 2^25 is the whole; this key's is one.
 */

static void
test_launchdarkly(void)
{
    int                           bucket, wrong, met;
    char                          text[64];
    float                         fraction, low, high;
    unsigned                      i, k;
    uint64_t                      hash;
    unsigned char                 digest[SHA_DIGEST_LENGTH];
    ngx_http_async_upload_hash_t  h;

    start_mode(&h, NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY);

    wrong = 0;
    met = 0;

    for (i = 0; i < 10 * KEYS; i++) {
        snprintf(text, sizeof(text), "flag.salt.%u", i);

        SHA1((unsigned char *) text, strlen(text), digest);

        for (k = 0, hash = 0; k < 8; k++) {
            hash = hash << 8 | digest[k];
        }

        fraction = (float) (hash >> 4) / (float) 0xfffffffffffffff;

        bucket = find(&h, text + strlen("flag.salt."));

        low = (float) (bucket * 10) / 100000.0f;
        high = (float) ((bucket + 1) * 10) / 100000.0f;

        wrong += !(fraction >= low && fraction < high);
        met += (fraction == low && (double) low < bucket / 10000.0);
    }

    tap_ok(wrong == 0, "launchdarkly compares as in single precision");
    tap_ok(met > 0, "launchdarkly: %d of the hashes meet a threshold that is "
           "rounded down", met);

    tap_ok(find(&h, "6891598") == 9999, "launchdarkly: a hash that is rounded "
           "to the whole is in the last bucket");

    ngx_http_async_upload_bucket_cleanup(&h);
}


static uint32_t
fnv(const char *s)
{
    uint64_t  h;

    for (h = 2166136261; *s; s++) {
        h = ((h ^ (unsigned char) *s) * 16777619) % 4294967296;
    }

    return (uint32_t) h;
}


static void
test_growthbook(void)
{
    int                           wrong;
    char                          key[32], digits[32];
    unsigned                      i;
    ngx_http_async_upload_hash_t  h;

    /* of the algorithm's authors */

    tap_ok(fnv("") == 0x811c9dc5 && fnv("a") == 0xe40c292c
           && fnv("foobar") == 0xbf9cf968, "the test knows FNV-1a");

    start(&h, NGX_HTTP_ASYNC_UPLOAD_HASH_GROWTHBOOK, "", NULL);

    wrong = (find(&h, "") != (int) (fnv("2166136261") % 10000));
    wrong += (find(&h, "foobar") != (int) (fnv("3214735720") % 10000));

    for (i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "user-%u", i);
        snprintf(digits, sizeof(digits), "%u", (unsigned) fnv(key));

        wrong += (find(&h, key) != (int) (fnv(digits) % 10000));
    }

    tap_ok(wrong == 0, "growthbook hashes the hash in decimal digits");

    ngx_http_async_upload_bucket_cleanup(&h);
}


/* arguments and key may hold the separator: what counts is the whole */

static void
test_separators(void)
{
    unsigned                      i;
    ngx_http_async_upload_hash_t  a, b;

    static const struct {
        ngx_http_async_upload_hash_e  mode;
        const char                   *a[3];     /* two arguments, the key */
        const char                   *b[3];
        const char                   *sign;
    } same[] = {
        { NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256,
          { "a.b", NULL, "c" }, { "a", NULL, "b.c" }, "a.b.c" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256,
          { "", NULL, ".c" }, { ".", NULL, "c" }, "..c" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY,
          { "a.b", "c", "d" }, { "a", "b.c", "d" }, "a.b.c.d" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY,
          { "a", "b.c", "d" }, { "a", "b", "c.d" }, "a.b.c.d" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_STATSIG,
          { "a.b", "c", "d" }, { "a", "b.c", "d" }, "a.b.c.d" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_STATSIG,
          { "", "", "c.d" }, { "", ".c", "d" }, "..c.d" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_UNLEASH,
          { "a:b", NULL, "c" }, { "a", NULL, "b:c" }, "a:b:c" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_UNLEASH,
          { "", NULL, ":" }, { ":", NULL, "" }, "::" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_FLAGD,
          { "flag", NULL, "key-of-it" }, { "flagkey-o", NULL, "f-it" },
          "flagkey-of-it" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_FLAGD,
          { "", NULL, "key" }, { "key", NULL, "" }, "key" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_GROWTHBOOK,
          { "seed", NULL, "key" }, { "se", NULL, "edkey" }, "seedkey" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_OPTIMIZELY,
          { "iment", NULL, "keyexper" }, { "experiment", NULL, "key" },
          "keyexperiment" },
        { NGX_HTTP_ASYNC_UPLOAD_HASH_OPTIMIZELY,
          { "", NULL, "key" }, { "key", NULL, "" }, "key" },
    };

    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        start(&a, same[i].mode, same[i].a[0], same[i].a[1]);
        start(&b, same[i].mode, same[i].b[0], same[i].b[1]);

        tap_ok(find(&a, same[i].a[2]) == find(&b, same[i].b[2])
               && find(&a, same[i].a[2]) != find(&b, "other"),
               "%s: \"%s\" is one, wherever its arguments end",
               modes[same[i].mode].name, same[i].sign);

        ngx_http_async_upload_bucket_cleanup(&a);
        ngx_http_async_upload_bucket_cleanup(&b);
    }
}


/*
 * Keys of any bytes and lengths, at any address; what lies behind them does
 * not matter.
 */

static void
test_keys(ngx_http_async_upload_hash_e mode)
{
    int                            bucket, wrong, changed;
    size_t                         i, n;
    ngx_http_async_upload_hash_t   h;
    static unsigned char           key[LONG + 8], copy[LONG + 8];

    static const size_t  lengths[] = { 0, 1, 2, 3, 4, 5, 7, 8, 15, 31, 55, 56,
                                       63, 64, 65, 200, 4096, LONG };

    start_mode(&h, mode);

    wrong = 0;
    changed = 0;

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        n = lengths[i];

        for (size_t k = 0; k < sizeof(key); k++) {
            key[k] = (unsigned char) tap_random();
            copy[k] = (unsigned char) tap_random();
        }

        bucket = ngx_http_async_upload_bucket_find(&h, key, n);
        wrong += (bucket < 0 || bucket > 9999);
        wrong += (modes[mode].whole && bucket % 100 != 0);

        for (size_t k = 0; k < 8; k++) {
            memcpy(copy + k, key, n);
            wrong += (ngx_http_async_upload_bucket_find(&h, copy + k, n)
                      != bucket);
        }

        /* the last of the bytes counts, and each bit of it */

        for (int k = 0; n && k < 8; k++) {
            key[n - 1] ^= (unsigned char) (1 << k);
            changed += (ngx_http_async_upload_bucket_find(&h, key, n)
                        != bucket);
            key[n - 1] ^= (unsigned char) (1 << k);
        }
    }

    tap_ok(wrong == 0, "%s: keys of any bytes, 0 to %u of them, at any "
           "address", modes[mode].name, LONG);

    /* of 136, with 100 buckets, two may stay where they are by chance */

    tap_ok(changed > 136 - 10, "%s: a bit of the last byte is another key: "
           "%d of 136", modes[mode].name, changed);

    tap_ok(ngx_http_async_upload_bucket_find(&h, NULL, 0) == find(&h, ""),
           "%s: an empty key may have no address", modes[mode].name);

    tap_ok(find(&h, "\xc3\xbc") != find(&h, "\xfc")
           && find(&h, "\xe7\x94\xa8") != find(&h, "\x67\x14\x28"),
           "%s: keys beyond ASCII are taken by their bytes", modes[mode].name);

    ngx_http_async_upload_bucket_cleanup(&h);
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

    start_mode(&h, NGX_HTTP_ASYNC_UPLOAD_HASH_SPLIT_CLIENTS);

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

            if (ngx_http_async_upload_bucket_taken(h.mode, bucket, s)
                != (hash < threshold[s]))
            {
                if (wrong++ < 5) {
                    tap_note("hash %08x, share %u: bucket %d", hash, s,
                             bucket);
                }
            }
        }

        everybody &= ngx_http_async_upload_bucket_taken(h.mode, bucket,
                                                        10000);
        nobody &= !ngx_http_async_upload_bucket_taken(h.mode, bucket, 0);
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
test_taken(ngx_http_async_upload_hash_e mode)
{
    int       good;
    unsigned  s, b, past;

    /* growthbook's coverage is inclusive, but for 0 */

    past = (mode == NGX_HTTP_ASYNC_UPLOAD_HASH_GROWTHBOOK);

    good = 1;

    for (s = 0; s < SHARES; s++) {
        good &= !ngx_http_async_upload_bucket_taken(mode, -1, s);

        for (b = (s < 3 ? 0 : s - 3); b < s + 3 && b < 10000; b++) {
            good &= (ngx_http_async_upload_bucket_taken(mode, (int) b, s)
                     == (s != 0 && b < s + past));
        }
    }

    tap_ok(good, "%s: a bucket is taken from the %s share on, a failed one "
           "never", modes[mode].name, past ? "same" : "next");
}


static void
test_population(ngx_http_async_upload_hash_e mode)
{
    int                           wrong, n;
    char                          key[32];
    double                        p, sigma;
    unsigned                      i, j, s, was, is;
    const char                   *name;
    static int                    buckets[KEYS];
    static const unsigned         shares[] = { 100, 1000, 5000, 9900 };
    ngx_http_async_upload_hash_t  h;

    name = modes[mode].name;

    start_mode(&h, mode);

    wrong = 0;

    for (i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "192.0.%u.%u", i / 100, i % 100);
        buckets[i] = find(&h, key);

        if (buckets[i] < 0 || buckets[i] > 9999
            || (modes[mode].whole && buckets[i] % 100 != 0))
        {
            wrong++;
        }
    }

    tap_ok(wrong == 0, "%s: every bucket is within 0..9999%s", name,
           modes[mode].whole ? ", of a whole percent" : "");

    for (i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "192.0.%u.%u", i / 100, i % 100);

        if (buckets[i] != find(&h, key)) {
            wrong++;
        }
    }

    tap_ok(wrong == 0, "%s: a key keeps its bucket", name);

    for (j = 0; j < sizeof(shares) / sizeof(shares[0]); j++) {
        n = 0;

        for (i = 0; i < KEYS; i++) {
            n += ngx_http_async_upload_bucket_taken(mode, buckets[i],
                                                    shares[j]);
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
            is = (unsigned) ngx_http_async_upload_bucket_taken(mode,
                                                               buckets[i], s);

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

    start(&a, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "a", NULL);
    start(&b, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "b", NULL);
    start(&c, NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "a", NULL);

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
test_fork(ngx_http_async_upload_hash_e mode)
{
    int                           bucket, status;
    pid_t                         pid;
    ngx_http_async_upload_hash_t  h, child;

    start_mode(&h, mode);

    bucket = find(&h, "key");

    pid = fork();

    if (pid == 0) {
        start_mode(&child, mode);
        status = (find(&child, "key") == bucket);
        ngx_http_async_upload_bucket_cleanup(&child);
        ngx_http_async_upload_bucket_cleanup(&h);
        _exit(status);
    }

    waitpid(pid, &status, 0);

    tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 1,
           "%s: another process finds the same bucket", modes[mode].name);

    ngx_http_async_upload_bucket_cleanup(&h);
}


int
main(void)
{
    char      salt[201];
    unsigned  i;

    memset(salt, 's', 200);
    salt[200] = '\0';

    test_modes();
    test_init();

    test_tool(NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "uploads", NULL);
    test_tool(NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, "", NULL);
    test_tool(NGX_HTTP_ASYNC_UPLOAD_HASH_SHA256, salt, NULL);
    test_tool(NGX_HTTP_ASYNC_UPLOAD_HASH_MD5, NULL, NULL);
    test_tool(NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY, "flag", "salt");
    test_tool(NGX_HTTP_ASYNC_UPLOAD_HASH_LAUNCHDARKLY, "", salt);
    test_tool(NGX_HTTP_ASYNC_UPLOAD_HASH_STATSIG, "spec", "rule");
    test_tool(NGX_HTTP_ASYNC_UPLOAD_HASH_STATSIG, salt, "");

    test_split_clients();
    test_launchdarkly();
    test_growthbook();
    test_separators();
    test_salts();

    for (i = 0; i < MODES; i++) {
        test_taken((ngx_http_async_upload_hash_e) i);
        test_keys((ngx_http_async_upload_hash_e) i);
        test_population((ngx_http_async_upload_hash_e) i);
        test_fork((ngx_http_async_upload_hash_e) i);
    }

    return tap_done();
}
