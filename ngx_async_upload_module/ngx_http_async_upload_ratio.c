
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_ratio.h"


/*
 * If the whole parts do not tell, the rests do, which are below 1, or rather
 * their reciprocals: a rest of a / b above one of c / d is the same as d / c
 * above b / a.  There is no product that could overflow.
 */

int
ngx_http_async_upload_ratio_greater(uint64_t a, uint64_t b, uint64_t c,
    uint64_t d)
{
    uint64_t  rest_a, rest_c;

    for ( ;; ) {

        if (a / b != c / d) {
            return a / b > c / d;
        }

        rest_a = a % b;
        rest_c = c % d;

        if (rest_a == 0 || rest_c == 0) {
            return rest_a > rest_c;
        }

        a = d;
        c = b;
        b = rest_c;
        d = rest_a;
    }
}


int
ngx_http_async_upload_ratio_below(uint64_t part, uint64_t whole, uint32_t ppm)
{
    return whole != 0
           && ngx_http_async_upload_ratio_greater(ppm,
                  NGX_HTTP_ASYNC_UPLOAD_RATIO_PPM, part, whole);
}


int
ngx_http_async_upload_ratio_above(uint64_t part, uint64_t whole, uint32_t ppm)
{
    return whole != 0
           && ngx_http_async_upload_ratio_greater(part, whole, ppm,
                  NGX_HTTP_ASYNC_UPLOAD_RATIO_PPM);
}


int
ngx_http_async_upload_ratio_points(uint64_t part, uint64_t whole,
    uint64_t reference_part, uint64_t reference_whole, uint32_t points)
{
    return whole != 0 && reference_whole != 0
           && ngx_http_async_upload_ratio_greater(part, whole,
                  reference_part * NGX_HTTP_ASYNC_UPLOAD_RATIO_PPM
                  + reference_whole * points,
                  reference_whole * NGX_HTTP_ASYNC_UPLOAD_RATIO_PPM);
}


double
ngx_http_async_upload_ratio_ppm(uint64_t part, uint64_t whole)
{
    return (whole != 0)
           ? (double) part * NGX_HTTP_ASYNC_UPLOAD_RATIO_PPM / (double) whole
           : 0;
}
