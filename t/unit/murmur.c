
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <string.h>

#include "ngx_http_async_upload_murmur.h"
#include "tap.h"


#define LENGTH  67


static uint32_t
murmur3(const void *data, size_t len, uint32_t seed)
{
    ngx_http_async_upload_murmur_t  m;

    memset(&m, 0, sizeof(m));
    m.hash = seed;

    ngx_http_async_upload_murmur_add(&m, data, len);

    return ngx_http_async_upload_murmur_end(&m);
}


/*
 * The value that SMHasher has for MurmurHash3 x86_32: that of the hashes of
 * {}, {0}, {0, 1} and so on with the seeds 256, 255, 254, as little-endian.
 */

static void
test_verification(void)
{
    uint32_t       hash;
    unsigned       i;
    unsigned char  key[256], hashes[1024];

    for (i = 0; i < 256; i++) {
        key[i] = (unsigned char) i;

        hash = murmur3(key, i, 256 - i);

        hashes[4 * i] = (unsigned char) hash;
        hashes[4 * i + 1] = (unsigned char) (hash >> 8);
        hashes[4 * i + 2] = (unsigned char) (hash >> 16);
        hashes[4 * i + 3] = (unsigned char) (hash >> 24);
    }

    hash = murmur3(hashes, sizeof(hashes), 0);

    tap_ok(hash == 0xb0f57ee3, "MurmurHash3 has SMHasher's verification "
           "value: %08x", hash);
}


static void
test_values(void)
{
    unsigned  i;

    static const struct {
        const char  *key;
        uint32_t     seed;
        uint32_t     hash;
    } values[] = {
        { "", 0, 0 },
        { "", 1, 0x514e28b7 },
        { "", 0xffffffff, 0x81f16f39 },
        { "test", 0, 0xba6bd213 },
        { "Hello, world!", 0, 0xc0363e43 },
        { "The quick brown fox jumps over the lazy dog", 0, 0x2e4ff723 }
    };

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        tap_ok(murmur3(values[i].key, strlen(values[i].key), values[i].seed)
               == values[i].hash,
               "MurmurHash3 of \"%s\" with seed %x is the known one",
               values[i].key, values[i].seed);
    }

    tap_ok(murmur3(NULL, 0, 1) == 0x514e28b7, "nothing may have no address");
}


/* each length at each alignment, cut at each two places */

static void
test_pieces(void)
{
    int                             wrong;
    unsigned                        n, a, i, k;
    uint32_t                        whole;
    unsigned char                   key[LENGTH], copy[LENGTH + 4];
    ngx_http_async_upload_murmur_t  m;

    wrong = 0;

    for (i = 0; i < sizeof(key); i++) {
        key[i] = (unsigned char) tap_random();
    }

    for (n = 0; n <= LENGTH; n++) {
        whole = murmur3(key, n, 7);

        for (a = 1; a < 4; a++) {
            memcpy(copy + a, key, n);
            wrong += (murmur3(copy + a, n, 7) != whole);
        }

        for (i = 0; i <= n; i++) {
            for (k = i; k <= n; k++) {
                memset(&m, 0, sizeof(m));
                m.hash = 7;

                ngx_http_async_upload_murmur_add(&m, key, i);
                ngx_http_async_upload_murmur_add(&m, key + i, k - i);

                wrong += (ngx_http_async_upload_murmur_end(&m)
                          != murmur3(key, k, 7));

                ngx_http_async_upload_murmur_add(&m, key + k, n - k);

                wrong += (ngx_http_async_upload_murmur_end(&m) != whole);
            }
        }
    }

    tap_ok(wrong == 0, "pieces of any lengths give the hash of the whole, "
           "wherever it lies, and more may follow an end");
}


int
main(void)
{
    test_verification();
    test_values();
    test_pieces();

    return tap_done();
}
