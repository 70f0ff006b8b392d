
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_ZONE_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_ZONE_H_INCLUDED_


/*
 * The shared memory of a rollout, and the only unit that makes its layout:
 * the state word, one slot of counters per worker process, the settings last
 * applied.  It knows nothing of requests, upstreams or rules.
 *
 * Counting takes no lock.  A slot is claimed by one process under the zone's
 * mutex and from then on written by that process alone with plain 64-bit
 * stores; anyone may read it at any time.  Counters only grow, a slot is
 * never zeroed or moved: its next owner goes on where the last one stopped.
 *
 * Of every cell:  uploads = done + in flight + lost,  where
 *     done = success + sum(failure) + rejected + aborted + cut.
 * In flight is never stored.  "uploads" grows first and the one counter of
 * the result last, with release stores; a reader takes them the other way
 * round, so that what it computes as in flight is never negative.
 */


#include "ngx_http_async_upload.h"
#include "ngx_http_async_upload_hist.h"


#define NGX_HTTP_ASYNC_UPLOAD_SIZES          5
#define NGX_HTTP_ASYNC_UPLOAD_SLOW           4
#define NGX_HTTP_ASYNC_UPLOAD_USERS          64
#define NGX_HTTP_ASYNC_UPLOAD_HTTP_STATUSES                                   \
    (NGX_HTTP_ASYNC_UPLOAD_CLASSES - NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST)


typedef struct {
    uint64_t                         uploads;       /* finished ones */
    uint64_t                         failure;
    uint64_t                         latency_us;    /* sum over finished ones */
} ngx_http_async_upload_size_sh_t;


/*
 * The counters of one arm and cohort.  Read in the order of the fields:
 * results first, "uploads" last.
 */

typedef struct {
    uint64_t                         success;
    uint64_t                         failure[NGX_HTTP_ASYNC_UPLOAD_CLASSES];
    uint64_t                         rejected;
    uint64_t                         aborted;
    uint64_t                         cut;
    uint64_t                         lost;      /* in flight in a dead worker */

    uint64_t                         masked;    /* failures no client saw */
    uint64_t                         felt;      /* failures a client saw */
    uint64_t                         bytes;     /* request bodies, received */

    /* sync's service of uploads that failed at async; of async cells only */
    uint64_t                         fallback_served;
    uint64_t                         fallback_failed;
    uint64_t                         fallback_left;     /* by the client */
    uint64_t                         fallback_latency_us;

    ngx_http_async_upload_size_sh_t  size[NGX_HTTP_ASYNC_UPLOAD_SIZES];

    uint64_t                         uploads;
} ngx_http_async_upload_cell_sh_t;


/* one arm's uploads that began and ended in the same epoch, forced ones not */

typedef struct {
    uint64_t                         success;
    uint64_t                         failure;
    uint64_t                         rejected;
    uint64_t                         aborted;
    uint64_t                         bucket;    /* finished, chosen by bucket */

    /* slower than the reference quantiles, by size class */
    uint64_t                         slow[NGX_HTTP_ASYNC_UPLOAD_SIZES]
                                         [NGX_HTTP_ASYNC_UPLOAD_SLOW];
    uint64_t                         timed[NGX_HTTP_ASYNC_UPLOAD_SIZES];
} ngx_http_async_upload_evidence_arm_t;


/*
 * Evidence of one epoch only: the owner starts it anew with the first upload
 * of another epoch, and a reader takes none but that of the current one.
 */

typedef struct {
    uint64_t                         epoch;
    ngx_http_async_upload_evidence_arm_t  arm[NGX_HTTP_ASYNC_UPLOAD_ARMS];
} ngx_http_async_upload_evidence_t;


/* all that a slot counts; also the sum over all slots */

typedef struct {
    ngx_http_async_upload_cell_sh_t  cell[NGX_HTTP_ASYNC_UPLOAD_ARMS]
                                         [NGX_HTTP_ASYNC_UPLOAD_COHORTS];
    ngx_http_async_upload_evidence_t  evidence;

    /* successes of the bucket and kept cohorts */
    ngx_http_async_upload_hist_t     latency[NGX_HTTP_ASYNC_UPLOAD_ARMS];
} ngx_http_async_upload_counts_t;


typedef struct ngx_http_async_upload_slot_sh_s
    ngx_http_async_upload_slot_sh_t;

struct ngx_http_async_upload_slot_sh_s {
    uint64_t                         pid;           /* 0: free */
    uint64_t                         process_slot;  /* ngx_process_slot */
    uint64_t                         used;          /* ever claimed */
    uint64_t                         shared;        /* the overflow slot */
    uint64_t                         reserved[4];

    ngx_http_async_upload_counts_t   counts;
};


typedef struct ngx_http_async_upload_zone_sh_s
    ngx_http_async_upload_zone_sh_t;

struct ngx_http_async_upload_zone_sh_s {
    uint64_t                         magic;
    uint64_t                         layout;

    /* the state word: state, share, stage, epoch */
    uint64_t                         word;

    /* of the configuration applied last; older workers decide nothing */
    uint64_t                         generation;

    uint64_t                         tick;          /* last, monotonic us */

    /* what nginx.conf said when it was last applied */
    uint64_t                         applied;
    uint64_t                         applied_enabled;
    uint64_t                         applied_share;

    /* the statuses behind the failure classes from HTTP_FIRST on; 0: free */
    uint64_t                         statuses
                                         [NGX_HTTP_ASYNC_UPLOAD_HTTP_STATUSES];

    uint64_t                         slots_n;
    ngx_http_async_upload_slot_sh_t  *slots;
    ngx_http_async_upload_slot_sh_t  overflow;

    /* pids of those who count there; 0: free; the last one: too many to tell */
    uint64_t                         users[NGX_HTTP_ASYNC_UPLOAD_USERS];
};


/* the state word, unpacked; "share" stays what it is while the state is off */

typedef struct {
    ngx_uint_t                       state;         /* ..._state_e */
    ngx_uint_t                       share;         /* basis points */
    ngx_uint_t                       stage;         /* 0: no stages */
    uint64_t                         epoch;         /* 32 bits */
} ngx_http_async_upload_word_t;


typedef struct {
    ngx_uint_t                       slots;
    ngx_uint_t                       used;          /* ever claimed */
    ngx_uint_t                       alive;         /* claimed now */
    ngx_uint_t                       overflow;      /* 1: it has counted */
} ngx_http_async_upload_slots_t;


/*
 * Initialises a rollout's zone, or takes over the one of the old cycle.
 * Never alters live state: what nginx.conf says is applied later.
 *
 * "shm_zone->data" is the rollout, whose "sh" is set.
 *
 * Context: master, while a configuration is loaded or tested.
 * Returns: NGX_ERROR, with one [emerg] line, if the zone is too small for
 *          2 * worker_processes + 8 slots (the line names the size that will
 *          do) or was laid out by another version of the module.
 */
ngx_int_t ngx_http_async_upload_zone_init(ngx_shm_zone_t *shm_zone, void *data);

/*
 * Applies what nginx.conf says and has changed since it was last applied.
 *
 * Context: master, once the new configuration cannot fail any more.
 * Locks:   none: meanwhile the master would not notice, nor unlock it, if a
 *          worker died with the zone mutex.
 * Returns: 1 if the state word changed, with the old and the new word filled
 *          in, else 0.
 */
ngx_uint_t ngx_http_async_upload_zone_apply(
    ngx_http_async_upload_rollout_t *rollout, ngx_http_async_upload_word_t *old,
    ngx_http_async_upload_word_t *now);

/*
 * Sums all slots up.  "counts->evidence" holds the evidence of the epoch
 * "epoch" only.  Any process may call it at any time, without a lock.
 *
 * Memory:  "counts" is overwritten; it has about 17 KB, too much for a stack.
 */
void ngx_http_async_upload_zone_read(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t epoch, ngx_http_async_upload_counts_t *counts,
    ngx_http_async_upload_slots_t *slots);

/*
 * The class of a failure with an HTTP status (400..599), claimed for that
 * status when it is met for the first time.
 *
 * Locks:   none; one compare-and-swap when a status is new to the zone.
 * Returns: NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST + i, or ..._HTTP if 16 other
 *          statuses were there before.
 */
ngx_uint_t ngx_http_async_upload_zone_status_class(
    ngx_http_async_upload_zone_sh_t *sh, ngx_uint_t status);

/*
 * Starts the evidence of "slot" anew if it is of another epoch.
 *
 * Returns: NGX_DECLINED if the evidence cannot be taken: another process is
 *          just starting it anew, in the overflow slot.
 */
ngx_int_t ngx_http_async_upload_zone_evidence(
    ngx_http_async_upload_slot_sh_t *slot, uint64_t epoch);


/* A counter as another process sees it, after all that preceded it there. */
static ngx_inline uint64_t
ngx_http_async_upload_zone_load(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}


/* The parts of a state word. */
static ngx_inline void
ngx_http_async_upload_zone_unpack(uint64_t v,
    ngx_http_async_upload_word_t *word)
{
    word->state = (v >> 60) & 0xf;
    word->stage = (v >> 48) & 0xff;
    word->share = (v >> 32) & 0x3fff;
    word->epoch = v & 0xffffffff;
}


/* The state word, by one atomic load: any worker, any time. */
static ngx_inline void
ngx_http_async_upload_zone_word(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_word_t *word)
{
    ngx_http_async_upload_zone_unpack(
                     ngx_http_async_upload_zone_load(&sh->word), word);
}


/*
 * Adds to a counter of a slot: a plain store, visible after all that was
 * stored before.  Only the overflow slot has several writers.
 */
static ngx_inline void
ngx_http_async_upload_zone_add(ngx_http_async_upload_slot_sh_t *slot,
    uint64_t *counter, uint64_t n)
{
    if (__builtin_expect(slot->shared != 0, 0)) {
        (void) __atomic_fetch_add(counter, n, __ATOMIC_RELEASE);
        return;
    }

#if (__x86_64__)

    /* stores are seen in their order: the compiler must keep it, no more */

    __atomic_signal_fence(__ATOMIC_RELEASE);
    *(volatile uint64_t *) counter += n;

#else

    __atomic_store_n(counter, *counter + n, __ATOMIC_RELEASE);

#endif
}


/* The monotonic clock, in microseconds. */
static ngx_inline uint64_t
ngx_http_async_upload_zone_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ZONE_H_INCLUDED_ */
