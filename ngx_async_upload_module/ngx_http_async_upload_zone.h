
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
#include "ngx_http_async_upload_detect.h"
#include "ngx_http_async_upload_guard.h"
#include "ngx_http_async_upload_hist.h"
#include "ngx_http_async_upload_repeat.h"


#define NGX_HTTP_ASYNC_UPLOAD_SIZES          5
#define NGX_HTTP_ASYNC_UPLOAD_SLOW           4
#define NGX_HTTP_ASYNC_UPLOAD_USERS          64
#define NGX_HTTP_ASYNC_UPLOAD_RING           64     /* events */
#define NGX_HTTP_ASYNC_UPLOAD_RECORDS        8      /* of decisions */
#define NGX_HTTP_ASYNC_UPLOAD_WINDOW         64     /* marks of a window */
#define NGX_HTTP_ASYNC_UPLOAD_PARTS          4      /* of a rolling baseline */
#define NGX_HTTP_ASYNC_UPLOAD_FINE           360    /* history: 10 s each */
#define NGX_HTTP_ASYNC_UPLOAD_COARSE         576    /* history: 5 min each */
#define NGX_HTTP_ASYNC_UPLOAD_WHO            96     /* bytes, with a null */
#define NGX_HTTP_ASYNC_UPLOAD_WHY            192    /* bytes, with a null */
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
    uint64_t                         repeated;  /* failures, no evidence */
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
    uint64_t                         repeated;  /* of them, no evidence */
    uint64_t                         rejected;
    uint64_t                         aborted;   /* after all of it was sent */
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
    uint64_t                         generation;    /* of its owner */
    uint64_t                         started_us;    /* its owner */
    uint64_t                         rss;           /* bytes; 0: not known */
    uint64_t                         seen;          /* epoch it routes by */

    ngx_http_async_upload_counts_t   counts;
};


/* an arm's evidence of one epoch, as figures of a decision */

typedef struct {
    uint64_t                         success;
    uint64_t                         failure;
    uint64_t                         rejected;
    uint64_t                         aborted;
    uint64_t                         p95_us;        /* 0: not known */
} ngx_http_async_upload_figures_t;


/*
 * An event.  "seq" is 1 for the first one of a rollout and has no gaps; times
 * are milliseconds since 1970.  "value" and "limit" are what the rule saw and
 * what it allows, in the rule's own unit.
 */

typedef struct {
    uint64_t                         seq;
    uint64_t                         time_ms;
    uint64_t                         type;          /* ..._event_e */
    uint64_t                         actor;         /* ..._actor_e */
    uint64_t                         rule;          /* ..._guard_reason_e */
    uint64_t                         dry_run;       /* 1: not carried out */
    uint64_t                         old;           /* state words */
    uint64_t                         now;
    double                           value;
    double                           limit;
    ngx_http_async_upload_figures_t  arm[NGX_HTTP_ASYNC_UPLOAD_ARMS];
    u_char                           who[NGX_HTTP_ASYNC_UPLOAD_WHO];
    u_char                           why[NGX_HTTP_ASYNC_UPLOAD_WHY];
} ngx_http_async_upload_event_sh_t;


/*
 * What the guard has decided by, of the event "seq"; kept for the journal
 * until the line is written.
 */

typedef struct {
    uint64_t                         seq;           /* 0: none; written last */
    ngx_http_async_upload_guard_conf_t      conf;
    ngx_http_async_upload_guard_input_t     in;
    ngx_http_async_upload_guard_decision_t  decision;
} ngx_http_async_upload_record_sh_t;


/* totals of async's evidence at some time of the epoch */

typedef struct {
    uint64_t                         us;            /* monotonic */
    uint64_t                         success;
    uint64_t                         failure;
    uint64_t                         complaints;
} ngx_http_async_upload_mark_t;


/* marks, the newest at "head", "n" of them; a window ends now */

typedef struct {
    uint64_t                         head;
    uint64_t                         n;
    ngx_http_async_upload_mark_t     mark[NGX_HTTP_ASYNC_UPLOAD_WINDOW];
} ngx_http_async_upload_window_t;


/* what one observation has seen: all that starts anew with an epoch */

typedef struct {
    uint64_t                         epoch;
    uint64_t                         since_us;      /* monotonic */
    uint64_t                         since_ms;      /* since 1970 */

    /* the cells' histograms when it began */
    ngx_http_async_upload_hist_t     latency[NGX_HTTP_ASYNC_UPLOAD_ARMS];

    ngx_http_async_upload_window_t   rollback;
    ngx_http_async_upload_window_t   review;

    /* since when, monotonic us, without a break; 0: not now */
    uint64_t                         slow_us;       /* latency over review's */
    uint64_t                         memory_us;     /* memory over rollback's */
    uint64_t                         review_us;     /* a person is waited for */

    /* by signals */
    uint64_t                         critical;
    uint64_t                         complaints;
    uint64_t                         service_memory;    /* percent; 0: none */

    uint64_t                         gate;          /* 1: open at last look */
    uint64_t                         skewed;        /* 1: said of the share */
    uint64_t                         dry;           /* rule said in dry run */
} ngx_http_async_upload_watch_t;


/* sync as it was: what async is measured against when sync has no traffic */

typedef struct {
    uint64_t                         frozen;        /* 0: rolling */
    uint64_t                         time_ms;       /* recorded, since 1970 */
    uint64_t                         span_ms;       /* the time it covers */
    uint64_t                         success;
    uint64_t                         failure;
    uint64_t                         rejected;
    uint64_t                         aborted;
    ngx_http_async_upload_hist_t     latency;
} ngx_http_async_upload_baseline_t;


/* sync's totals at some time, of which the rolling baseline is made */

typedef struct {
    uint64_t                         us;            /* monotonic; 0: unused */
    uint64_t                         success;
    uint64_t                         failure;
    uint64_t                         rejected;
    uint64_t                         aborted;
    ngx_http_async_upload_hist_t     latency;
} ngx_http_async_upload_part_t;


/* one point of the plots: what has happened since the one before */

typedef struct {
    uint32_t                         time;          /* seconds since 1970 */
    uint16_t                         share;         /* basis points */
    uint16_t                         state;         /* ..._state_e */

    struct {
        uint32_t                     success;
        uint32_t                     failure;
        uint32_t                     p50_us;
        uint32_t                     p95_us;
    } arm[NGX_HTTP_ASYNC_UPLOAD_ARMS];
} ngx_http_async_upload_point_t;


/* what nginx.conf said when it was last applied */

typedef struct {
    uint64_t                         done;          /* 0: never */
    uint64_t                         enabled;
    uint64_t                         share;
    uint64_t                         stages;
    uint64_t                         stage[NGX_HTTP_ASYNC_UPLOAD_STAGES];
    uint64_t                         gates;         /* fingerprints */
    uint64_t                         async;
    uint64_t                         identity;      /* key and hash */
} ngx_http_async_upload_applied_t;


/*
 * What the tick works on and publishes.  Written under the zone mutex by
 * workers alone; "sequence" is odd meanwhile, and a reader takes a copy
 * between two equal even ones.
 */

typedef struct {
    uint64_t                         sequence;

    ngx_http_async_upload_watch_t    watch;
    ngx_http_async_upload_baseline_t  baseline;
    ngx_http_async_upload_detect_sh_t  detect;

    /* memory of workers: the baseline, of this many of them; 0: none yet */
    uint64_t                         memory;        /* bytes */
    uint64_t                         memory_workers;
    uint64_t                         memory_now;    /* bytes; 0: not known */

    /* async's failures, all of the zone, when the budget began */
    uint64_t                         budget;

    /* the last drill that came to its end */
    uint64_t                         drill_ms;      /* since 1970; 0: none */
    uint64_t                         drill_took;    /* ms */
    uint64_t                         drill_workers;
    uint64_t                         drill_us;      /* its start; 0: none */
} ngx_http_async_upload_guard_sh_t;


/* the plots, likewise under "sequence" of the guard's part */

typedef struct {
    uint64_t                         fine;          /* points ever written */
    uint64_t                         coarse;
    ngx_http_async_upload_point_t    fine_point[NGX_HTTP_ASYNC_UPLOAD_FINE];
    ngx_http_async_upload_point_t    coarse_point[NGX_HTTP_ASYNC_UPLOAD_COARSE];
} ngx_http_async_upload_plots_t;


/* what the tick alone needs: totals at the last points and for the baseline */

typedef struct {
    ngx_http_async_upload_part_t     part[NGX_HTTP_ASYNC_UPLOAD_PARTS];
    ngx_http_async_upload_part_t     fine[NGX_HTTP_ASYNC_UPLOAD_ARMS];
    ngx_http_async_upload_part_t     coarse[NGX_HTTP_ASYNC_UPLOAD_ARMS];
} ngx_http_async_upload_parts_t;


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

    /*
     * failures of async in a row, and uploads that found no server of it:
     * epoch << 32 | number, with the time of the first, monotonic us
     */
    uint64_t                         run;
    uint64_t                         run_us;
    uint64_t                         run_last_us;   /* of the last one */
    uint64_t                         turned;
    uint64_t                         turned_us;

    /* who has failed and who was served, for failures that are evidence */
    ngx_http_async_upload_repeat_sh_t  repeat;

    /* written by the master alone; the event is taken over by a worker */
    ngx_http_async_upload_applied_t  applied;
    uint64_t                         configs;       /* changes applied */
    uint64_t                         configs_old;   /* state words */
    uint64_t                         configs_now;
    uint64_t                         configs_type;  /* ..._event_e */
    u_char                           configs_why[NGX_HTTP_ASYNC_UPLOAD_WHY];

    /* which of two masters decides: the one of the higher term */
    uint64_t                         term;
    uint64_t                         follows;       /* master's pid; 0: none */

    /*
     * The ring: "events" were published, "said" of them are in journal and
     * log.  Written under the zone mutex; "writer" is who writes file and
     * journal: pid << 32 | seconds, 0: nobody.
     */
    uint64_t                         events;
    uint64_t                         said;
    uint64_t                         taken;         /* of "configs" */
    uint64_t                         writer;
    ngx_http_async_upload_event_sh_t  event[NGX_HTTP_ASYNC_UPLOAD_RING];
    ngx_http_async_upload_record_sh_t  record[NGX_HTTP_ASYNC_UPLOAD_RECORDS];

    /* the state file */
    uint64_t                         saved_us;      /* monotonic; 0: never */
    uint64_t                         saved_word;    /* in the file */
    uint64_t                         saved_events;  /* in the file */
    uint64_t                         saved_said;    /* of "said" */
    uint64_t                         saved_total;   /* uploads begun + done */
    uint64_t                         save_errno;    /* 0: the last was good */
    uint64_t                         file_inode;    /* as last followed */
    uint64_t                         file_mtime;

    ngx_http_async_upload_guard_sh_t  guard;
    ngx_http_async_upload_plots_t    plots;
    ngx_http_async_upload_parts_t    parts;

    /* what earlier zones have counted: of the state file or another size */
    ngx_http_async_upload_slot_sh_t  base;

    /* the statuses behind the failure classes from HTTP_FIRST on; 0: free */
    uint64_t                         statuses
                                         [NGX_HTTP_ASYNC_UPLOAD_HTTP_STATUSES];

    uint64_t                         slots_n;
    ngx_http_async_upload_slot_sh_t  *slots;
    ngx_http_async_upload_slot_sh_t  overflow;

    /* pids of those who count there; 0: free; the last one: too many to tell */
    uint64_t                         users[NGX_HTTP_ASYNC_UPLOAD_USERS];
};


/*
 * The state word, unpacked.  "share" stays what it is while the rollout is off
 * or rolled back: it is what it returns to.  "beneath" is, when off, the state
 * that enable returns to; in review, the state it left; when rolled back, OFF,
 * or for the time of a drill the state that it returns to.  Otherwise OFF.
 */

typedef struct {
    ngx_uint_t                       state;         /* ..._state_e */
    ngx_uint_t                       beneath;       /* ..._state_e */
    ngx_uint_t                       share;         /* basis points */
    ngx_uint_t                       stage;         /* from 1; 0: no stages */
    uint64_t                         epoch;         /* 32 bits, not 0 */
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
 * Sums all slots up.  "counts->evidence" holds the evidence of the epoch
 * "epoch" only.  Any process may call it at any time, without a lock.
 *
 * Memory:  "counts" is overwritten; it has about 17 KB, too much for a stack.
 */
void ngx_http_async_upload_zone_read(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t epoch, ngx_http_async_upload_counts_t *counts,
    ngx_http_async_upload_slots_t *slots);

/*
 * Sums up the latencies of all slots, "latency" of each arm; without a lock.
 */
void ngx_http_async_upload_zone_latency(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_hist_t *latency);

/*
 * The failures of async that count, of bucket and kept uploads, in all slots.
 */
uint64_t ngx_http_async_upload_zone_failures(
    ngx_http_async_upload_zone_sh_t *sh);

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
    word->beneath = (v >> 56) & 0xf;
    word->stage = (v >> 48) & 0xff;
    word->share = (v >> 32) & 0x3fff;
    word->epoch = v & 0xffffffff;
}


/* A state word of its parts. */
static ngx_inline uint64_t
ngx_http_async_upload_zone_pack(const ngx_http_async_upload_word_t *word)
{
    return (uint64_t) word->state << 60
           | (uint64_t) word->beneath << 56
           | (uint64_t) word->stage << 48
           | (uint64_t) word->share << 32
           | word->epoch;
}


/* Whether the state sends nobody to async, whatever the share. */
static ngx_inline ngx_uint_t
ngx_http_async_upload_zone_closed(const ngx_http_async_upload_word_t *word)
{
    return word->state == NGX_HTTP_ASYNC_UPLOAD_STATE_OFF
           || word->state == NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK;
}


/* The share that is routed by. */
static ngx_inline ngx_uint_t
ngx_http_async_upload_zone_share(const ngx_http_async_upload_word_t *word)
{
    return ngx_http_async_upload_zone_closed(word) ? 0 : word->share;
}


/* The state word, by one atomic load: any worker, any time. */
static ngx_inline void
ngx_http_async_upload_zone_word(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_word_t *word)
{
    ngx_http_async_upload_zone_unpack(
                     ngx_http_async_upload_zone_load(&sh->word), word);
}


/* The owner of a slot routes by this epoch from now on, and says so. */
static ngx_inline void
ngx_http_async_upload_zone_see(ngx_http_async_upload_slot_sh_t *slot,
    uint64_t epoch)
{
    __atomic_store_n(&slot->seen, epoch, __ATOMIC_RELEASE);
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


#if (NGX_HTTP_ASYNC_UPLOAD_TEST_CLOCK)

/*
 * Tests set it: microseconds to be added to the time of the guard, read from
 * the file that the environment's ASYNC_UPLOAD_TEST_CLOCK names.
 */
uint64_t ngx_http_async_upload_zone_offset(void);

#endif


/* The monotonic clock, in microseconds. */
static ngx_inline uint64_t
ngx_http_async_upload_zone_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


/*
 * The clock that the guard goes by: ticks, stages, windows; in microseconds.
 * Latencies are measured with zone_clock.
 */
static ngx_inline uint64_t
ngx_http_async_upload_zone_now(void)
{
#if (NGX_HTTP_ASYNC_UPLOAD_TEST_CLOCK)
    return ngx_http_async_upload_zone_clock()
           + ngx_http_async_upload_zone_offset();
#else
    return ngx_http_async_upload_zone_clock();
#endif
}


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ZONE_H_INCLUDED_ */
