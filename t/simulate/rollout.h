
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * What the module does with uploads, but for nginx: it counts them and has the
 * units look at them, both by the sequential rules and by the literal ones.
 */


#ifndef ROLLOUT_H_INCLUDED
#define ROLLOUT_H_INCLUDED


#include "ngx_http_async_upload_detect.h"
#include "ngx_http_async_upload_guard.h"
#include "ngx_http_async_upload_hist.h"
#include "ngx_http_async_upload_repeat.h"


#define SYNC   NGX_HTTP_ASYNC_UPLOAD_DETECT_SYNC
#define ASYNC  NGX_HTTP_ASYNC_UPLOAD_DETECT_ASYNC

#define MARKS  64


/* totals of async at some time; a window begins at the newest one old enough */

typedef struct {
    uint64_t  span_ms;
    uint64_t  written;
    uint64_t  begin;
    struct {
        uint64_t  ms;
        uint64_t  success;
        uint64_t  failure;
    } mark[MARKS];
} window_t;


typedef struct {
    ngx_http_async_upload_guard_conf_t    conf;
    ngx_http_async_upload_guard_conf_t    plain;
    ngx_http_async_upload_guard_input_t   in;
    ngx_http_async_upload_guard_decision_t  decision;
    ngx_http_async_upload_guard_decision_t  literal;

    ngx_http_async_upload_detect_sh_t     detect;
    ngx_http_async_upload_detect_seen_t   seen;
    ngx_http_async_upload_repeat_sh_t     repeat;

    window_t                              window;       /* rollback's */
    window_t                              review;

    /* failures in a row: those that count, and all */
    uint64_t                              run;
    uint64_t                              run_ms;
    uint64_t                              run_all;

    unsigned                              timed;    /* 1: latencies are */
    unsigned                              looks;
    uint64_t                              slow_ms;  /* since when; 0: not */
    uint64_t                              sum_us[NGX_HTTP_ASYNC_UPLOAD_DETECT_SIZES];
    ngx_http_async_upload_hist_t          latency
                                         [NGX_HTTP_ASYNC_UPLOAD_DETECT_ARMS];
} rollout_t;


/*
 * Starts a stage at "share" basis points, with the defaults of the first one.
 */
void rollout_start(rollout_t *r, unsigned share, unsigned confirm_ms,
    unsigned timed);

/*
 * Counts an upload of the identity "who" that has failed, or was served in "us"
 * microseconds.
 */
void rollout_upload(rollout_t *r, unsigned arm, uint32_t who, unsigned failed,
    unsigned size, double us);

/*
 * Counts uploads of sync that were served, none of them timed.
 */
void rollout_served(rollout_t *r, uint64_t n);

/*
 * The time is "now_ms"; the detectors see what has been counted.
 */
void rollout_tick(rollout_t *r, uint64_t now_ms);

/*
 * Decides, by both rules, as of the last tick.
 */
void rollout_decide(rollout_t *r);


#endif /* ROLLOUT_H_INCLUDED */
