
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_repeat.h"


/* seconds */
#define NGX_HTTP_ASYNC_UPLOAD_REPEAT_AGAIN   600    /* one failure in that */
#define NGX_HTTP_ASYNC_UPLOAD_REPEAT_SERVES  120    /* since a success */
#define NGX_HTTP_ASYNC_UPLOAD_REPEAT_EXACT   10     /* of that */


static uint64_t ngx_http_async_upload_repeat_word(uint32_t who, uint64_t now);
static uint64_t ngx_http_async_upload_repeat_age(uint64_t word, uint64_t now);
static int ngx_http_async_upload_repeat_serves(
    ngx_http_async_upload_repeat_sh_t *sh, uint32_t who, uint64_t now);


void
ngx_http_async_upload_repeat_succeeded(ngx_http_async_upload_repeat_sh_t *sh,
    uint32_t who, uint64_t now)
{
    unsigned  i, k;
    uint64_t  word, age[2];

    k = 0;

    for (i = 0; i < 2; i++) {
        word = __atomic_load_n(&sh->served[i], __ATOMIC_RELAXED);
        age[i] = ngx_http_async_upload_repeat_age(word, now);

        if (word != 0 && (uint32_t) word == who) {
            k = i;
            break;
        }

        k = (age[i] > age[k]) ? i : k;
    }

    /* two recent ones are enough: any third has one beside itself */

    if (age[k] >= NGX_HTTP_ASYNC_UPLOAD_REPEAT_EXACT) {
        __atomic_store_n(&sh->served[k],
                         ngx_http_async_upload_repeat_word(who, now),
                         __ATOMIC_RELAXED);
    }
}


int
ngx_http_async_upload_repeat_failed(ngx_http_async_upload_repeat_sh_t *sh,
    uint32_t who, uint64_t now)
{
    unsigned   i;
    uint64_t   word, age, oldest, *set, *place;

    if (who == 0) {
        return 1;
    }

    set = sh->failed[(who ^ who >> 16) % NGX_HTTP_ASYNC_UPLOAD_REPEAT_SETS];
    place = &set[0];
    oldest = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_REPEAT_WAYS; i++) {
        word = __atomic_load_n(&set[i], __ATOMIC_RELAXED);
        age = ngx_http_async_upload_repeat_age(word, now);

        if (word != 0 && (uint32_t) word == who) {

            if (age < NGX_HTTP_ASYNC_UPLOAD_REPEAT_AGAIN
                && ngx_http_async_upload_repeat_serves(sh, who, now))
            {
                return 0;
            }

            place = &set[i];
            break;
        }

        if (age > oldest) {
            oldest = age;
            place = &set[i];
        }
    }

    __atomic_store_n(place, ngx_http_async_upload_repeat_word(who, now),
                     __ATOMIC_RELAXED);
    return 1;
}


/* has anybody else succeeded? */

static int
ngx_http_async_upload_repeat_serves(ngx_http_async_upload_repeat_sh_t *sh,
    uint32_t who, uint64_t now)
{
    unsigned  i;
    uint64_t  word;

    for (i = 0; i < 2; i++) {
        word = __atomic_load_n(&sh->served[i], __ATOMIC_RELAXED);

        if (word != 0 && (uint32_t) word != who
            && ngx_http_async_upload_repeat_age(word, now)
               < NGX_HTTP_ASYNC_UPLOAD_REPEAT_SERVES)
        {
            return 1;
        }
    }

    return 0;
}


/* a time of 0 is none */

static uint64_t
ngx_http_async_upload_repeat_word(uint32_t who, uint64_t now)
{
    return (now + 1) << 32 | who;
}


/* a word from the future, of another worker's clock, is new */

static uint64_t
ngx_http_async_upload_repeat_age(uint64_t word, uint64_t now)
{
    uint64_t  then;

    if (word == 0) {
        return UINT64_MAX;
    }

    then = (word >> 32) - 1;

    return (now > then) ? now - then : 0;
}
