
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * What the sources of "vectors" have in common.
 */


#ifndef VECTORS_H_INCLUDED
#define VECTORS_H_INCLUDED


#include <stdint.h>

#include <jansson.h>

#include "ngx_http_async_upload_stats.h"


#define RELATIVE  1e-9
#define ABSOLUTE  1e-12


/*
 * Ends the program: the file is none of vectors.
 */
void foreign(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/*
 * Reports a row that is wrong.
 *
 * Returns: 0, for the row's handler to return.
 */
int mismatch(const char *where, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Returns a member of a row, which must be there and be of the type.
 */
json_t *member(const json_t *row, const char *where, const char *name,
    json_type type);

/*
 * Returns a member of a row that must be there and be a number.
 */
double member_number(const json_t *row, const char *where, const char *name);

/*
 * Returns a member of a row that must be there and be an integer of 0 or more.
 */
uint64_t member_count(const json_t *row, const char *where, const char *name);

/*
 * Returns an object of the file that has what the rows do not say.
 */
json_t *defaults(const char *name);

/*
 * Compares within RELATIVE and ABSOLUTE, and reports a difference in "what".
 *
 * Returns: 1 if both are equal, 0 if not.
 */
int equal(double expected, double got, const char *where, const char *what);


/*
 * The rows of the statistics, each 1 if it passed, 0 if not.
 */
int row_detector(const json_t *row, const char *where);
int row_rule(const json_t *row, const char *where);
int row_rate_interval(const json_t *row, const char *where);
int row_run_prob(const json_t *row, const char *where);
int row_decide(const json_t *row, const char *where);

/*
 * The events of a row of the statistics, through the detectors of a rollout.
 *
 * Returns: 1 if these come to the same as the statistics, 0 if not.
 */
int detect_agrees(const json_t *row, const char *where,
    const ngx_http_async_upload_stats_rule_t *rule);

/*
 * Those that the module has no function for: they check mixture.h, by which
 * the module is checked.
 */
int row_truncated_beta(const json_t *row, const char *where);
int row_published(const json_t *row, const char *where);


#endif /* VECTORS_H_INCLUDED */
