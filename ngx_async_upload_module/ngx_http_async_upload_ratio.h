
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Rates of counts, compared exactly.  A rate is "part" of "whole"; limits and
 * points are parts of a million (ppm).
 *
 * The unit knows integers.  It must not know what is counted, what a limit is
 * good for, or nginx.
 *
 * 0 of 0 is no rate: it is neither below nor above anything.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_RATIO_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_RATIO_H_INCLUDED_


#include <stdint.h>


#define NGX_HTTP_ASYNC_UPLOAD_RATIO_PPM  1000000


/*
 * Tells whether a / b > c / d, exactly, for all values of 64 bits; b and d are
 * not 0.
 *
 * Context: any process; fewer than 100 steps, usually one or two.
 * Returns: 1 or 0.
 * Source:  Euclid's algorithm, on both fractions at once.
 */
int ngx_http_async_upload_ratio_greater(uint64_t a, uint64_t b, uint64_t c,
    uint64_t d);

/*
 * Tells whether a rate is below "ppm": 949 of 1000 is below 950000, 950 is
 * not.
 *
 * Returns: 1 or 0.
 */
int ngx_http_async_upload_ratio_below(uint64_t part, uint64_t whole,
    uint32_t ppm);

/*
 * Tells whether a rate is above "ppm": 951 of 1000 is above 950000, 950 is
 * not.
 *
 * Returns: 1 or 0.
 */
int ngx_http_async_upload_ratio_above(uint64_t part, uint64_t whole,
    uint32_t ppm);

/*
 * Tells whether a rate is more than "points" above a reference's: with 50000,
 * 71 of 1000 is above 2 of 100, 70 of 1000 is not.
 *
 * Exact for references of less than 2^43 and up to 1000000 points; larger ones
 * may overflow.
 *
 * Returns: 1 or 0; 0 if there is no rate or no reference.
 */
int ngx_http_async_upload_ratio_points(uint64_t part, uint64_t whole,
    uint64_t reference_part, uint64_t reference_whole, uint32_t points);

/*
 * Gives a rate in ppm, for people to read.
 *
 * Returns: 0..1000000, with a fraction; 0 for 0 of 0.
 */
double ngx_http_async_upload_ratio_ppm(uint64_t part, uint64_t whole);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_RATIO_H_INCLUDED_ */
