
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * A simulator of rollouts: uploads at random, and the module's own units that
 * look at them.
 */


#ifndef SIMULATE_H_INCLUDED
#define SIMULATE_H_INCLUDED


#include <stdint.h>


/* a random source that is the same everywhere; see random.c */

typedef struct {
    uint64_t  state[4];
} random_t;


/* what is expected of a scenario, and what is told of it */

typedef enum { NOTHING = 0, ROLLBACK, REVIEW, SHUT } goal_e;


/*
 * A scenario.  Both arms are alike until "from" uploads of async, then what is
 * said here happens.
 */

typedef struct {
    const char  *name;
    const char  *title;
    goal_e       goal;          /* a run ends when it is reached */
    double       rate;          /* uploads of async a second */
    unsigned     share;         /* basis points */
    double       base;          /* failures of both arms, 0..1 */
    unsigned     from;
    unsigned     uploads;       /* of async at most, from then on */
    double       failing;       /* failures of async; 0: as ever */
    double       common;        /* failures of sync; 0: as ever */
    unsigned     confirm_ms;

    /* who uploads: 0: everybody once */
    unsigned     clients;
    double       broken;        /* part of all uploads of a broken client */
    double       address;       /* part of all uploads of one address */

    /* lognormal latencies; 0: none are measured */
    double       sigma;
    double       slower;        /* async takes so many times as long */
    double       both;          /* both arms do */
    unsigned     sizes;         /* 1: uploads become larger; 2: async's do */
    unsigned     baseline;      /* 1: no control, but a recorded baseline */
} scenario_t;


/* uploads of async after "from", 0: it has not happened */

typedef struct {
    uint32_t  rollback;
    uint32_t  review;
    uint32_t  shut;             /* the gate, by latency */
    uint32_t  plain_rollback;   /* of the literal rules, by themselves */
    uint32_t  plain_review;
    uint32_t  reason;           /* of the sequential rules' last decision */
} outcome_t;


extern const scenario_t  scenarios[];
extern const unsigned    scenarios_n;


void random_seed(random_t *r, uint64_t seed, uint64_t scenario, uint64_t run);
uint64_t random_bits(random_t *r);

/* 0..1, both excluded */
double random_uniform(random_t *r);

/* an exponential variate of mean 1 */
double random_wait(random_t *r);

/*
 * The number of trials, each a success with "p", before the first success;
 * at most 2^32 - 1.
 */
uint64_t random_before(random_t *r, double p);

/* exp of a normal variate, of 65536 equally likely ones */
double random_lognormal(random_t *r, double sigma);

/* the normal distribution's */
double random_quantile(double q);

/*
 * Prepares the variates; to be called once, before any process is forked.
 */
void random_init(void);

/*
 * Runs a scenario once.
 */
void run_scenario(const scenario_t *s, random_t *r, outcome_t *outcome);


#endif /* SIMULATE_H_INCLUDED */
