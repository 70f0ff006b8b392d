
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_H_INCLUDED_


/*
 * What every unit of the module shares: constants, the rollout as it is
 * configured and the record of one request.  No function lives here.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_ASYNC_UPLOAD_VERSION     "0.1.0"

/* shares are basis points everywhere: 10000 is 100% */
#define NGX_HTTP_ASYNC_UPLOAD_SHARE_MAX   10000

/* attempts at the async arm, at most */
#define NGX_HTTP_ASYNC_UPLOAD_TRIES       100

/* stages of a rollout, at most */
#define NGX_HTTP_ASYNC_UPLOAD_STAGES      32

/* the shared zone's memory name: no "zone" directive can collide with it */
#define NGX_HTTP_ASYNC_UPLOAD_ZONE_PREFIX "async_upload:"


typedef struct ngx_http_async_upload_rollout_s
    ngx_http_async_upload_rollout_t;
typedef struct ngx_http_async_upload_ctx_s  ngx_http_async_upload_ctx_t;


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_SYNC = 0,
    NGX_HTTP_ASYNC_UPLOAD_ASYNC,
    NGX_HTTP_ASYNC_UPLOAD_ARMS
} ngx_http_async_upload_arm_e;


/* who chose the arm of an upload */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_BUCKET = 0,   /* its bucket or the missing key rule */
    NGX_HTTP_ASYNC_UPLOAD_KEPT,         /* learned or cookie */
    NGX_HTTP_ASYNC_UPLOAD_FORCED,
    NGX_HTTP_ASYNC_UPLOAD_COHORTS
} ngx_http_async_upload_cohort_e;


/* the values of $async_upload_reason, in the order of the names in _variable */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_BY_BUCKET = 0,
    NGX_HTTP_ASYNC_UPLOAD_BY_MISSING_KEY,
    NGX_HTTP_ASYNC_UPLOAD_BY_OFF,
    NGX_HTTP_ASYNC_UPLOAD_BY_ROLLED_BACK,
    NGX_HTTP_ASYNC_UPLOAD_BY_METHOD,
    NGX_HTTP_ASYNC_UPLOAD_BY_FALLBACK,
    NGX_HTTP_ASYNC_UPLOAD_REASONS
} ngx_http_async_upload_reason_e;


/*
 * Classes of failure.  From HTTP_FIRST on, a class stands for one status of
 * the upstream; which one is settled at run time in the zone's table, HTTP
 * takes those for which the table had no room.
 */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_CONNECT = 0,  /* nothing was sent: refused, TLS, .. */
    NGX_HTTP_ASYNC_UPLOAD_TIMEOUT,      /* sent, no answer or no rest in time */
    NGX_HTTP_ASYNC_UPLOAD_RESET,        /* sent, connection lost or cut short */
    NGX_HTTP_ASYNC_UPLOAD_INVALID,      /* sent, the answer was not a header */
    NGX_HTTP_ASYNC_UPLOAD_NO_LIVE_PEER,
    NGX_HTTP_ASYNC_UPLOAD_HUNG,
    NGX_HTTP_ASYNC_UPLOAD_OUTCOME,
    NGX_HTTP_ASYNC_UPLOAD_HTTP,
    NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST,
    NGX_HTTP_ASYNC_UPLOAD_CLASSES = NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST + 16
} ngx_http_async_upload_class_e;


/* how an upload, or one attempt of it, ended */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_OPEN = 0,     /* not ended yet */
    NGX_HTTP_ASYNC_UPLOAD_SUCCESS,
    NGX_HTTP_ASYNC_UPLOAD_FAILURE,
    NGX_HTTP_ASYNC_UPLOAD_REJECTED,     /* 4xx: the client's doing */
    NGX_HTTP_ASYNC_UPLOAD_ABORTED,      /* the client left */
    NGX_HTTP_ASYNC_UPLOAD_CUT           /* nginx itself ended it */
} ngx_http_async_upload_result_e;


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_FALLBACK_OFF = 0,
    NGX_HTTP_ASYNC_UPLOAD_FALLBACK_CONNECT,
    NGX_HTTP_ASYNC_UPLOAD_FALLBACK_FAILURE
} ngx_http_async_upload_fallback_e;


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_REPLAY_KEYED = 0,
    NGX_HTTP_ASYNC_UPLOAD_REPLAY_ALWAYS
} ngx_http_async_upload_replay_e;


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_MISSING_SYNC = 0,
    NGX_HTTP_ASYNC_UPLOAD_MISSING_RANDOM
} ngx_http_async_upload_missing_e;


/* where a setting came from */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_FROM_DEFAULT = 0,
    NGX_HTTP_ASYNC_UPLOAD_FROM_ENVIRONMENT,
    NGX_HTTP_ASYNC_UPLOAD_FROM_CONF
} ngx_http_async_upload_source_e;


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_STATE_OFF = 0,
    NGX_HTTP_ASYNC_UPLOAD_STATE_RUNNING,
    NGX_HTTP_ASYNC_UPLOAD_STATE_PAUSED,
    NGX_HTTP_ASYNC_UPLOAD_STATE_REVIEW,
    NGX_HTTP_ASYNC_UPLOAD_STATE_ROLLED_BACK,
    NGX_HTTP_ASYNC_UPLOAD_STATE_COMPLETE
} ngx_http_async_upload_state_e;


/* what an event in the ring and in the journal is about */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_EVENT_NONE = 0,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_STARTED,    /* for the first time */
    NGX_HTTP_ASYNC_UPLOAD_EVENT_RESTORED,   /* from the state file */
    NGX_HTTP_ASYNC_UPLOAD_EVENT_REFUSED,    /* its state file: 0% */
    NGX_HTTP_ASYNC_UPLOAD_EVENT_CONFIG,     /* nginx.conf has changed */
    NGX_HTTP_ASYNC_UPLOAD_EVENT_ENABLE,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_DISABLE,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_SHARE,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_ADVANCE,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_COMPLETE,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_PAUSE,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_RESUME,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_REVIEW,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_ROLLBACK,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_RESTART,    /* of the observation */
    NGX_HTTP_ASYNC_UPLOAD_EVENT_DRILL,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_BASELINE,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_FORGET,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_SIGNAL,
    NGX_HTTP_ASYNC_UPLOAD_EVENT_GATE,       /* opened or closed */
    NGX_HTTP_ASYNC_UPLOAD_EVENT_FOLLOW,     /* what a newer master decides */
    NGX_HTTP_ASYNC_UPLOAD_EVENTS
} ngx_http_async_upload_event_e;


/* of async_upload_control */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_ENABLE = 0,
    NGX_HTTP_ASYNC_UPLOAD_DISABLE,
    NGX_HTTP_ASYNC_UPLOAD_SHARE,
    NGX_HTTP_ASYNC_UPLOAD_ADVANCE,
    NGX_HTTP_ASYNC_UPLOAD_PAUSE,
    NGX_HTTP_ASYNC_UPLOAD_RESUME,
    NGX_HTTP_ASYNC_UPLOAD_ROLLBACK,
    NGX_HTTP_ASYNC_UPLOAD_RESTART,
    NGX_HTTP_ASYNC_UPLOAD_DRILL,
    NGX_HTTP_ASYNC_UPLOAD_BASELINE,
    NGX_HTTP_ASYNC_UPLOAD_FORGET,
    NGX_HTTP_ASYNC_UPLOAD_SIGNAL,
    NGX_HTTP_ASYNC_UPLOAD_COMMANDS
} ngx_http_async_upload_command_e;


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_ACTOR_CONFIG = 0,
    NGX_HTTP_ASYNC_UPLOAD_ACTOR_CONTROL,
    NGX_HTTP_ASYNC_UPLOAD_ACTOR_GUARD,
    NGX_HTTP_ASYNC_UPLOAD_ACTORS
} ngx_http_async_upload_actor_e;


/*
 * One async_upload_stage.  "ppm" are parts of a million; what a directive
 * does not say is settled in init_main_conf.
 */

typedef struct {
    ngx_uint_t                          share;          /* basis points */
    ngx_uint_t                          min_uploads;
    ngx_uint_t                          success;        /* ppm, at least */
    ngx_uint_t                          error;          /* ppm, at most */
    ngx_uint_t                          latency;        /* percent; 0: off */
    ngx_msec_t                          soak;           /* ms */
} ngx_http_async_upload_stage_t;


/* async_upload_rollback; with "off" nothing rolls back by itself */

typedef struct {
    ngx_flag_t                          on;
    ngx_uint_t                          success;        /* ppm, less is bad */
    ngx_uint_t                          error;          /* ppm, more is bad */
    ngx_uint_t                          run;            /* in a row; 0: off */
    ngx_uint_t                          memory;         /* percent; 0: off */
    ngx_uint_t                          min_uploads;
    ngx_msec_t                          window;         /* ms */
} ngx_http_async_upload_rollback_t;


typedef struct {
    ngx_flag_t                          on;
    ngx_uint_t                          success;        /* ppm, less is bad */
    ngx_msec_t                          success_for;    /* ms */
    ngx_uint_t                          latency;        /* percent; 0: off */
    ngx_msec_t                          latency_for;    /* ms */
    ngx_uint_t                          complaints;     /* 0: off */
    ngx_msec_t                          unattended;     /* ms; 0: off */
} ngx_http_async_upload_review_t;


typedef struct {
    ngx_flag_t                          sequential;
    ngx_uint_t                          evidence;       /* above 1 */
    ngx_msec_t                          confirm;        /* ms */
    ngx_uint_t                          min_failures;
    ngx_uint_t                          proof;          /* ppm; 0: off */
    ngx_msec_t                          horizon;        /* ms */
} ngx_http_async_upload_statistics_t;


/* a line "name:token" of async_upload_control's file */

typedef struct {
    ngx_str_t                           name;
    ngx_str_t                           token;
} ngx_http_async_upload_token_t;


/* what the detectors say, as JSON, for as long as they say it */

typedef struct {
    uint64_t                            sequence;
    uint64_t                            epoch;
    size_t                              len;        /* 0: too long to keep */
    u_char                             *text;
} ngx_http_async_upload_explained_t;


/* one string of async_upload_key */

typedef struct {
    ngx_str_t                           text;
    ngx_int_t                           index;  /* of "$name", or NGX_ERROR */
    ngx_http_complex_value_t            value;  /* of any other string */
} ngx_http_async_upload_key_t;


/*
 * One rollout: the server configuration of its upstream block.  Settled in
 * init_main_conf and read-only from then on, but for the last part.
 */

struct ngx_http_async_upload_rollout_s {
    ngx_cycle_t                        *cycle;
    ngx_str_t                           name;
    ngx_str_t                           async_name;
    ngx_http_upstream_srv_conf_t       *sync;
    ngx_http_upstream_srv_conf_t       *async;

    /* the block's own peer.init, with every balancer and keepalive in it */
    ngx_http_upstream_init_peer_pt      sync_init;

    ngx_shm_zone_t                     *shm_zone;

    ngx_flag_t                          enabled;
    ngx_uint_t                          share;              /* basis points */
    ngx_array_t                        *keys;
                                         /* ngx_http_async_upload_key_t */
    ngx_uint_t                          missing;
    ngx_uint_t                          hash_mode;
    ngx_str_t                           hash_name;
    ngx_uint_t                          hash_whole; /* 1: whole percents only */
    ngx_array_t                        *hash_args;          /* ngx_str_t */
    ngx_uint_t                          methods;            /* NGX_HTTP_.. */
    ngx_uint_t                          fallback;
    ngx_uint_t                          replay;
    ngx_uint_t                          tries;          /* async attempts */
    ngx_msec_t                          timeout;            /* 0: location's */
    ngx_msec_t                          connect_timeout;    /* 0: default */

    /* bit s - 400: an answer with status s is a failure */
    uint64_t                            failures[4];

    ngx_array_t                        *stages;     /* NULL: a fixed share */
                                         /* ngx_http_async_upload_stage_t */
    ngx_flag_t                          advance;    /* 1: by itself */
    ngx_http_async_upload_rollback_t    rollback;
    ngx_http_async_upload_review_t      review;
    ngx_http_async_upload_statistics_t  statistics;
    ngx_uint_t                          budget;     /* failures; 0: off */
    ngx_flag_t                          dry_run;

    ngx_flag_t                          state_off;  /* 1: no state file */
    ngx_str_t                           state;      /* path, ends in a null */
    ngx_open_file_t                    *journal;    /* NULL: off */

    ngx_http_async_upload_source_e      enabled_source;
    ngx_http_async_upload_source_e      share_source;
    ngx_http_async_upload_source_e      key_source;
    ngx_http_async_upload_source_e      missing_source;
    ngx_http_async_upload_source_e      hash_source;
    ngx_http_async_upload_source_e      methods_source;
    ngx_http_async_upload_source_e      fallback_source;
    ngx_http_async_upload_source_e      tries_source;
    ngx_http_async_upload_source_e      timeout_source;
    ngx_http_async_upload_source_e      failure_source;
    ngx_http_async_upload_source_e      stages_source;
    ngx_http_async_upload_source_e      advance_source;
    ngx_http_async_upload_source_e      rollback_source;
    ngx_http_async_upload_source_e      review_source;
    ngx_http_async_upload_source_e      statistics_source;
    ngx_http_async_upload_source_e      budget_source;
    ngx_http_async_upload_source_e      dry_run_source;
    ngx_http_async_upload_source_e      state_source;
    ngx_http_async_upload_source_e      journal_source;

    /* the first async_upload_* directive of the block, for error messages */
    u_char                             *file_name;
    ngx_uint_t                          line;
    ngx_str_t                           directive;

    /* of the process: set by the master before the fork or by the worker */
    struct ngx_http_async_upload_zone_sh_s  *sh;
    struct ngx_http_async_upload_slot_sh_s  *slot;
    uint64_t                            generation; /* the zone's, at apply */
    ngx_str_t                           settings;   /* of the status, JSON */
    ngx_http_async_upload_explained_t  *explained;

    /* whose success was noted last, in which second; 1: and another one's */
    time_t                              served_at;
    uint32_t                            served_who;
    uint32_t                            served_both;
    struct ngx_http_async_upload_hash_s     *hash;
    struct ngx_http_async_upload_confs_s    *confs;
    unsigned                            hash_failed:1;
    unsigned                            journal_failed:1;   /* last line */
    unsigned                            journal_cut:1;
    unsigned                            state_swept:1;
};


/* a rollout named by a location, looked up once all of them are known */

typedef struct {
    ngx_str_t                           name;
    u_char                             *file_name;
    ngx_uint_t                          line;
} ngx_http_async_upload_mention_t;


typedef struct {
    ngx_array_t                         rollouts;
                                     /* ngx_http_async_upload_rollout_t * */
    ngx_array_t                         statuses;
                                     /* ngx_http_async_upload_mention_t */
} ngx_http_async_upload_main_conf_t;


typedef struct {
    ngx_flag_t                          status;
    ngx_str_t                           rollout;    /* empty: all of them */

    ngx_flag_t                          control;
    ngx_str_t                           prefix;     /* of the location */
    ngx_array_t                        *tokens;     /* NULL: local peers only */
                                         /* ngx_http_async_upload_token_t */
} ngx_http_async_upload_loc_conf_t;


/*
 * What the module knows of one request at one rollout: the decision, made
 * once, and what became of the upload.  Times are microseconds of the
 * monotonic clock.
 */

struct ngx_http_async_upload_ctx_s {
    ngx_http_request_t                 *request;
    ngx_http_async_upload_rollout_t    *rollout;
    ngx_http_async_upload_ctx_t        *next;   /* at another rollout */

    /* the decision */
    ngx_uint_t                          arm;
    ngx_uint_t                          serving;    /* arm of now */
    ngx_uint_t                          cohort;
    ngx_uint_t                          reason;
    ngx_uint_t                          share;      /* basis points */
    ngx_int_t                           bucket;     /* -1: none was needed */
    uint32_t                            identity;   /* hash; 0: of nobody */
    uint64_t                            epoch;

    /* the upload */
    ngx_http_upstream_t                *upstream;
    void                              (*finalize)(ngx_http_request_t *r,
                                                  ngx_int_t rc);
    struct ngx_http_async_upload_slot_sh_s  *slot;
    void                              (*done)(
                                          ngx_http_async_upload_ctx_t *ctx);
    ngx_uint_t                          states;     /* index of the first */
    uint64_t                            started;    /* attempt of now */
    uint64_t                            latency;    /* of the last attempt */
    ngx_uint_t                          result;     /* ..._result_e */
    ngx_uint_t                          failure;    /* ..._class_e */
    ngx_uint_t                          status;     /* upstream's, 0: none */

    /* the masked failure of the async arm, where result is sync's answer */
    ngx_uint_t                          masked_failure;
    ngx_uint_t                          masked_status;

    unsigned                            upload:1;
    unsigned                            counted:1;
    unsigned                            committed:1;
    unsigned                            fallback:1; /* sync took it over */
    unsigned                            whole:1;    /* all of it was sent */
    unsigned                            repeated:1; /* a failure, no evidence */
};


extern ngx_module_t  ngx_http_async_upload_module;


#endif /* _NGX_HTTP_ASYNC_UPLOAD_H_INCLUDED_ */
