
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * The Test Anything Protocol for one source file, and a fixed random source,
 * so that a failure can be repeated.
 */


#ifndef TAP_H_INCLUDED
#define TAP_H_INCLUDED


#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>


static unsigned  tap_tests;
static unsigned  tap_failures;
static uint64_t  tap_seed = 20251124;


/*
 * Reports one behaviour: "passed", and its title as of printf().
 */
static inline int __attribute__((format(printf, 2, 3)))
tap_ok(int passed, const char *fmt, ...)
{
    va_list  args;

    printf("%sok %u - ", passed ? "" : "not ", ++tap_tests);

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    printf("\n");
    fflush(stdout);

    if (!passed) {
        tap_failures++;
    }

    return passed;
}


/*
 * Explains the test that follows or failed.
 */
static inline void __attribute__((format(printf, 1, 2)))
tap_note(const char *fmt, ...)
{
    va_list  args;

    printf("# ");

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    printf("\n");
}


/*
 * Prints the plan; the result is main's.
 */
static inline int
tap_done(void)
{
    printf("1..%u\n", tap_tests);

    return tap_failures != 0;
}


/*
 * Returns 64 random bits (splitmix64: every seed gives a full period).
 */
static inline uint64_t
tap_random(void)
{
    uint64_t  z;

    tap_seed += UINT64_C(0x9e3779b97f4a7c15);

    z = tap_seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);

    return z ^ (z >> 31);
}


/*
 * Returns a random integer below "n", which is not 0.
 */
static inline uint64_t
tap_below(uint64_t n)
{
    return tap_random() % n;
}


#endif /* TAP_H_INCLUDED */
