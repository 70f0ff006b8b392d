
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Runs a file of vectors through the units:
 *
 *     vectors FILE
 *
 * Files of buckets (an array of rows) and of statistics (an object with an
 * array of rows for each function) are told apart by their content.  Rows of
 * modes and functions that the module does not have yet are counted apart, and
 * so are those that check the tests' own mathematics.
 *
 * Exit status: 0 if all rows passed that could be run, 1 on a mismatch, 2 if
 * the file cannot be read or is not one of vectors.
 */


#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ngx_http_async_upload_bucket.h"
#include "ngx_http_async_upload_hist.h"
#include "vectors.h"


#define MAX_ARGS   4
#define MAX_COUNT  64    /* modes or functions of a file */


typedef struct {
    char      name[64];
    unsigned  rows;
    unsigned  passed;
    int       built;
    int       own;       /* checks the tests, not the module */
} section_t;


typedef int (*row_pt)(const json_t *row, const char *where);


static const char  *file;
static json_t      *root;
static section_t    sections[MAX_COUNT];
static unsigned     nsections;


void
foreign(const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "vectors: %s: ", file);

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fprintf(stderr, "\n");

    exit(2);
}


int
mismatch(const char *where, const char *fmt, ...)
{
    va_list  args;

    printf("mismatch: %s: ", where);

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    printf("\n");

    return 0;
}


static section_t *
section(const char *name, int built)
{
    unsigned  i;

    for (i = 0; i < nsections; i++) {
        if (strcmp(sections[i].name, name) == 0) {
            return &sections[i];
        }
    }

    if (i == MAX_COUNT || strlen(name) >= sizeof(sections[i].name)) {
        foreign("not a file of vectors: too many or too long names");
    }

    strcpy(sections[i].name, name);
    sections[i].built = built;
    nsections++;

    return &sections[i];
}


json_t *
member(const json_t *row, const char *where, const char *name, json_type type)
{
    json_t  *value;

    value = json_object_get(row, name);

    if (value == NULL || json_typeof(value) != type) {
        foreign("%s: no valid \"%s\"", where, name);
    }

    return value;
}


double
member_number(const json_t *row, const char *where, const char *name)
{
    json_t  *value;

    value = json_object_get(row, name);

    if (!json_is_number(value)) {
        foreign("%s: no valid \"%s\"", where, name);
    }

    return json_number_value(value);
}


uint64_t
member_count(const json_t *row, const char *where, const char *name)
{
    json_int_t  value;

    value = json_integer_value(member(row, where, name, JSON_INTEGER));

    if (value < 0) {
        foreign("%s: no valid \"%s\"", where, name);
    }

    return (uint64_t) value;
}


json_t *
defaults(const char *name)
{
    return member(root, "the file", name, JSON_OBJECT);
}


int
equal(double expected, double got, const char *where, const char *what)
{
    if (fabs(got - expected) <= RELATIVE * fabs(expected) + ABSOLUTE) {
        return 1;
    }

    return mismatch(where, "%s: expected %.17g, got %.17g", what, expected,
                    got);
}


static unsigned
member_index(const json_t *value, const char *where, unsigned limit)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0
        || json_integer_value(value) >= (json_int_t) limit)
    {
        foreign("%s: an integer below %u is expected", where, limit);
    }

    return (unsigned) json_integer_value(value);
}


static int
row_bucket(const json_t *row, const char *where, int mode, unsigned nargs)
{
    int                            bucket, expected, passed;
    char                          *end;
    size_t                         i, n;
    json_t                        *key, *args, *shares, *value;
    const char                    *name;
    unsigned long                  share;
    ngx_http_async_upload_arg_t    arg[MAX_ARGS];
    ngx_http_async_upload_hash_t   h;

    key = member(row, where, "key", JSON_STRING);
    args = member(row, where, "args", JSON_ARRAY);
    shares = member(row, where, "async_at_share_bp", JSON_OBJECT);

    expected = (int) member_index(json_object_get(row, "bucket"), where,
                                  NGX_HTTP_ASYNC_UPLOAD_BUCKETS);

    n = json_array_size(args);

    if (n != nargs || n > MAX_ARGS) {
        return mismatch(where, "%u arguments, the mode needs %u",
                        (unsigned) n, nargs);
    }

    for (i = 0; i < n; i++) {
        value = json_array_get(args, i);

        if (!json_is_string(value)) {
            foreign("%s: an argument is not a string", where);
        }

        arg[i].data = (const unsigned char *) json_string_value(value);
        arg[i].len = json_string_length(value);
    }

    if (ngx_http_async_upload_bucket_init(&h,
            (ngx_http_async_upload_hash_e) mode, arg, nargs) != 0)
    {
        return mismatch(where, "the mode cannot be started");
    }

    bucket = ngx_http_async_upload_bucket_find(&h,
                 (const unsigned char *) json_string_value(key),
                 json_string_length(key));

    ngx_http_async_upload_bucket_cleanup(&h);

    passed = 1;

    if (bucket != expected) {
        passed = mismatch(where, "bucket: expected %d, got %d", expected,
                          bucket);
    }

    if (json_object_size(shares) == 0) {
        foreign("%s: no shares", where);
    }

    json_object_foreach (shares, name, value) {
        share = strtoul(name, &end, 10);

        if (end == name || *end != '\0'
            || share > NGX_HTTP_ASYNC_UPLOAD_BUCKETS
            || !json_is_boolean(value))
        {
            foreign("%s: invalid share \"%s\"", where, name);
        }

        if (ngx_http_async_upload_bucket_taken(
                (ngx_http_async_upload_hash_e) mode, bucket, (unsigned) share)
            != json_is_true(value))
        {
            passed = mismatch(where, "at share %lu: expected %s, got %s",
                              share, json_is_true(value) ? "async" : "sync",
                              json_is_true(value) ? "sync" : "async");
        }
    }

    return passed;
}


static int
row_hist_index(const json_t *row, const char *where)
{
    json_int_t  us, index, low, width;
    unsigned    i;

    us = json_integer_value(member(row, where, "us", JSON_INTEGER));
    index = json_integer_value(member(row, where, "index", JSON_INTEGER));
    low = json_integer_value(member(row, where, "lo", JSON_INTEGER));
    width = json_integer_value(member(row, where, "width", JSON_INTEGER));

    i = ngx_http_async_upload_hist_index((uint64_t) us);

    if ((json_int_t) i == index
        && (json_int_t) ngx_http_async_upload_hist_low(i) == low
        && (json_int_t) ngx_http_async_upload_hist_width(i) == width)
    {
        return 1;
    }

    return mismatch(where, "expected index %lld, low %lld, width %lld, got %u, "
                    "%llu, %llu", (long long) index, (long long) low,
                    (long long) width, i,
                    (unsigned long long) ngx_http_async_upload_hist_low(i),
                    (unsigned long long) ngx_http_async_upload_hist_width(i));
}


static void
read_counts(ngx_http_async_upload_hist_t *h, const json_t *counts,
    const char *where)
{
    size_t     i;
    json_t    *pair, *count;
    unsigned   index;

    memset(h, 0, sizeof(ngx_http_async_upload_hist_t));

    json_array_foreach (counts, i, pair) {

        if (json_array_size(pair) != 2) {
            foreign("%s: a count is not [index, count]", where);
        }

        index = member_index(json_array_get(pair, 0), where,
                             NGX_HTTP_ASYNC_UPLOAD_HIST_BUCKETS);
        count = json_array_get(pair, 1);

        if (!json_is_integer(count) || json_integer_value(count) < 0) {
            foreign("%s: invalid count", where);
        }

        h->count[index] += (uint64_t) json_integer_value(count);
        h->octaves |= UINT64_C(1) << (index / 32);
    }
}


static int
check_quantiles(const ngx_http_async_upload_hist_t *h, const json_t *expect,
    const char *where, const char *what)
{
    int          passed;
    char        *end, label[64];
    double       q;
    json_t      *value;
    uint64_t     total;
    const char  *name;

    passed = 1;
    total = ngx_http_async_upload_hist_total(h);

    if (json_object_size(expect) == 0) {
        foreign("%s: no quantiles", where);
    }

    json_object_foreach ((json_t *) expect, name, value) {
        q = strtod(name, &end);

        if (end == name || *end != '\0' || !json_is_number(value)) {
            foreign("%s: invalid quantile \"%s\"", where, name);
        }

        snprintf(label, sizeof(label), "%s %s", what, name);

        passed &= equal(json_number_value(value),
                        ngx_http_async_upload_hist_quantile(h, total, q),
                        where, label);
    }

    return passed;
}


static int
row_hist_quantile(const json_t *row, const char *where)
{
    int                                  passed;
    static ngx_http_async_upload_hist_t  counts, older, window;

    read_counts(&counts, member(row, where, "counts", JSON_ARRAY), where);
    read_counts(&older, member(row, where, "older_snapshot", JSON_ARRAY),
                where);

    passed = check_quantiles(&counts,
                             member(row, where, "expect_total", JSON_OBJECT),
                             where, "total");

    /* as the module takes a window: from a private copy */

    memset(&window, 0, sizeof(window));
    ngx_http_async_upload_hist_merge(&window, &counts);
    ngx_http_async_upload_hist_subtract(&window, &older);

    return check_quantiles(&window,
                           member(row, where, "expect_delta", JSON_OBJECT),
                           where, "delta")
           && passed;
}


static void
run_buckets(const json_t *rows)
{
    int         mode;
    char        where[512];
    size_t      i;
    json_t     *row, *hash;
    unsigned    args, whole;
    section_t  *s;

    json_array_foreach (rows, i, row) {
        hash = json_object_get(row, "hash");

        if (!json_is_string(hash)) {
            foreign("row %u: no valid \"hash\"", (unsigned) i);
        }

        mode = ngx_http_async_upload_bucket_mode(json_string_value(hash),
                                                 json_string_length(hash),
                                                 &args, &whole);

        s = section(json_string_value(hash), mode != -1);
        s->rows++;

        if (mode == -1) {
            continue;
        }

        snprintf(where, sizeof(where), "row %u, %s, key \"%.64s\"",
                 (unsigned) i, s->name,
                 json_is_string(json_object_get(row, "key"))
                 ? json_string_value(json_object_get(row, "key")) : "");

        s->passed += (unsigned) row_bucket(row, where, mode, args);
    }
}


static void
run_statistics(json_t *functions)
{
    char         where[512];
    size_t       i, n;
    json_t      *rows, *row, *value;
    unsigned     k;
    section_t   *s;
    const char  *name, *key;

    static const struct {
        const char  *name;
        row_pt       handler;
        int          own;
    } handlers[] = {
        { "hist_index", row_hist_index, 0 },
        { "hist_quantile", row_hist_quantile, 0 },
        { "detector", row_detector, 0 },
        { "rule", row_rule, 0 },
        { "rate_interval", row_rate_interval, 0 },
        { "run_prob", row_run_prob, 0 },
        { "decide", row_decide, 0 },
        { "truncated_beta_optional", row_truncated_beta, 1 },
        { "published_checks", row_published, 1 }
    };

    n = sizeof(handlers) / sizeof(handlers[0]);

    json_object_foreach (functions, name, rows) {

        /* what explains the rows and what they have in common */

        if (strcmp(name, "meta") == 0 || strstr(name, "_defaults") != NULL) {
            continue;
        }

        for (k = 0; k < n; k++) {
            if (strcmp(handlers[k].name, name) == 0) {
                break;
            }
        }

        s = section(name, k < n);

        if (k == n) {
            s->rows = (unsigned) (json_is_array(rows) ? json_array_size(rows)
                                                     : json_object_size(rows));
            continue;
        }

        s->own = handlers[k].own;

        json_array_foreach (rows, i, row) {
            snprintf(where, sizeof(where), "%s, row %u", name, (unsigned) i);

            s->rows++;
            s->passed += (unsigned) handlers[k].handler(row, where);
        }

        json_object_foreach (rows, key, value) {
            snprintf(where, sizeof(where), "%s, %.64s", name, key);

            row = json_pack("{s:s, s:O}", "name", key, "value", value);

            s->rows++;
            s->passed += (unsigned) handlers[k].handler(row, where);

            json_decref(row);
        }
    }
}


static int
report(const char *kind)
{
    int          failed;
    unsigned     i, later;
    const char  *comma, *own;

    failed = 0;
    later = 0;

    for (i = 0; i < nsections; i++) {

        if (!sections[i].built) {
            later += sections[i].rows;
            continue;
        }

        own = sections[i].own ? ", by the tests' own mathematics" : "";

        if (sections[i].passed == sections[i].rows) {
            printf("%s: %u rows passed%s\n", sections[i].name,
                   sections[i].rows, own);

        } else {
            printf("%s: %u of %u rows passed%s\n", sections[i].name,
                   sections[i].passed, sections[i].rows, own);
            failed = 1;
        }
    }

    if (later == 0) {
        return failed;
    }

    printf("%u rows of %s not built yet:", later, kind);

    for (comma = "", i = 0; i < nsections; i++) {
        if (!sections[i].built) {
            printf("%s %s %u", comma, sections[i].name, sections[i].rows);
            comma = ",";
        }
    }

    printf("\n");

    return failed;
}


int
main(int argc, char **argv)
{
    int           failed;
    json_error_t  error;

    if (argc != 2) {
        fprintf(stderr, "usage: vectors FILE\n");
        return 2;
    }

    file = argv[1];

    root = json_load_file(file, JSON_ALLOW_NUL|JSON_REJECT_DUPLICATES, &error);

    if (root == NULL) {
        foreign("%s, line %d", error.text, error.line);
    }

    if (json_is_object(json_array_get(root, 0))) {
        run_buckets(root);
        failed = report("modes");

    } else if (json_is_array(json_object_get(root, "hist_index"))
               || json_is_array(json_object_get(root, "detector")))
    {
        run_statistics(root);
        failed = report("functions");

    } else {
        foreign("not a file of vectors: neither rows of buckets nor "
                "statistics");
    }

    json_decref(root);

    return failed;
}
