
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <string.h>

#include "ngx_http_async_upload_repeat.h"
#include "tap.h"


#define PEOPLE  200
#define ROUNDS  200
#define STEPS   2000

#define failed     ngx_http_async_upload_repeat_failed
#define succeeded  ngx_http_async_upload_repeat_succeeded


typedef ngx_http_async_upload_repeat_sh_t  sh_t;

static sh_t  sh;


/* one broken client among good ones, and alone */

static void
test_one(void)
{
    unsigned  i, counted;

    memset(&sh, 0, sizeof(sh_t));

    counted = 0;

    for (i = 0; i < 1000; i++) {
        succeeded(&sh, 2, 3 * i);
        succeeded(&sh, 3, 3 * i);
        counted += (unsigned) failed(&sh, 1, 3 * i);
    }

    tap_ok(counted == 5, "who fails for 50 minutes among good ones is counted "
           "5 times");

    memset(&sh, 0, sizeof(sh_t));

    counted = 0;

    for (i = 0; i < 200; i++) {
        counted += (unsigned) failed(&sh, 1, i);
    }

    tap_ok(counted == 200, "who fails alone is counted each time");

    memset(&sh, 0, sizeof(sh_t));

    counted = 0;

    for (i = 0; i < 200; i++) {
        succeeded(&sh, 1, i);
        counted += (unsigned) failed(&sh, 1, i);
    }

    tap_ok(counted == 200, "also if it succeeds in between: that says nothing "
           "of others");

    memset(&sh, 0, sizeof(sh_t));
    succeeded(&sh, 2, 0);

    counted = 0;

    for (i = 0; i < 200; i++) {
        counted += (unsigned) failed(&sh, 1, i);
    }

    tap_ok(counted == 1 + 80, "two minutes after the last success of another "
           "one each time again");

    memset(&sh, 0, sizeof(sh_t));

    counted = 0;

    for (i = 0; i < 100; i++) {
        succeeded(&sh, 2, i);
        counted += (unsigned) failed(&sh, 0, i);
    }

    tap_ok(counted == 100, "a failure of nobody counts");

    counted = 0;

    for (i = 0; i < 100; i++) {
        succeeded(&sh, 0, 1000 + i);
        counted += (unsigned) failed(&sh, 5, 1000 + i);
    }

    tap_ok(counted == 1, "a success of nobody is another's");

    memset(&sh, 0, sizeof(sh_t));
    succeeded(&sh, 2, 50);

    tap_ok(failed(&sh, 1, 0) && !failed(&sh, 1, 0) && !failed(&sh, 1, 40),
           "time that goes back makes nothing old");
}


/* random people and times, beside one who remembers everything */

static void
test_model(void)
{
    int       exact, once, got;
    uint64_t  now, other, last[PEOPLE], served[PEOPLE];
    unsigned  i, k, who, people, round, pause;

    exact = 1;
    once = 1;

    for (round = 0; round < ROUNDS; round++) {
        memset(&sh, 0, sizeof(sh_t));
        memset(last, 0, sizeof(last));
        memset(served, 0, sizeof(served));

        people = (unsigned) tap_below(8) + 1;
        pause = (unsigned) tap_below(100) + 1;
        now = 10000;

        for (i = 0; i < STEPS; i++) {
            now += tap_below(pause);
            who = (unsigned) tap_below(people);

            if (tap_below(10) < round % 10) {
                succeeded(&sh, who + 1, now);
                served[who] = now;
                continue;
            }

            other = 0;

            for (k = 0; k < people; k++) {
                if (k != who && served[k] > other) {
                    other = served[k];
                }
            }

            got = failed(&sh, who + 1, now);

            if (last[who] == 0 || now - last[who] >= 600
                || other == 0 || now - other >= 120)
            {
                exact &= (got == 1);

            } else if (now - other < 110) {
                once &= (got == 0);
            }

            if (got) {
                last[who] = now;
            }
        }
    }

    tap_ok(exact, "a failure counts after ten minutes, and if nobody else has "
           "succeeded in the last two");
    tap_ok(once, "otherwise it does not");
}


/* an outage of many */

static void
test_many(void)
{
    unsigned  i, k, counted;

    memset(&sh, 0, sizeof(sh_t));

    counted = 0;

    for (k = 0; k < 3; k++) {
        for (i = 0; i < PEOPLE; i++) {
            succeeded(&sh, 1, 100);
            counted += (unsigned) failed(&sh, 2654435761U * (i + 2), 100);
        }
    }

    tap_ok(counted >= PEOPLE && counted < PEOPLE + PEOPLE / 4,
           "of %u who fail three times at once %u failures count", PEOPLE,
           counted);

    for (i = 0; i < 100000; i++) {
        (void) failed(&sh, (uint32_t) tap_random(), i / 100);
    }

    counted = 0;

    for (i = 0; i < 100; i++) {
        counted += (unsigned) failed(&sh, 77, 1000);
        succeeded(&sh, 1, 1000);
    }

    tap_ok(counted == 1, "a full table remembers the last ones");
}


int
main(void)
{
    test_one();
    test_model();
    test_many();

    return tap_done();
}
