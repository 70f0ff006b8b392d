
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "reader.h"


/* a number that was written with fewer digits than it has */

#define RELATIVE  1e-13


typedef ngx_http_async_upload_dossier_field_t  field_t;


static char  reason[256];


static const char * __attribute__((format(printf, 1, 2)))
because(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);

    return reason;
}


static const char *
read_field(const field_t *field, const char *where, const json_t *value,
    void *to)
{
    void                                   *place;
    uint64_t                                count;
    ngx_http_async_upload_stats_verdict_e   verdict;

    place = (char *) to + field->offset;

    if (field->type == NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL) {
        if (!json_is_number(value)) {
            return because("\"%s\" of %s is no number", field->name, where);
        }

        *(double *) place = json_number_value(value);

        return NULL;
    }

    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return because("\"%s\" of %s is no count", field->name, where);
    }

    count = (uint64_t) json_integer_value(value);

    if (field->type == NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT) {
        *(uint64_t *) place = count;

    } else if (field->type == NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD
               && count <= UINT32_MAX)
    {
        *(uint32_t *) place = (uint32_t) count;

    } else if (field->type == NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERDICT
               && count <= NGX_HTTP_ASYNC_UPLOAD_STATS_ROLLBACK)
    {
        verdict = (ngx_http_async_upload_stats_verdict_e) count;
        memcpy(place, &verdict, sizeof(verdict));

    } else {
        return because("\"%s\" of %s is too large", field->name, where);
    }

    return NULL;
}


static const char *
read_fields(const field_t *fields, const char *where, const json_t *from,
    void *to)
{
    json_t         *value;
    const char     *name, *error;
    const field_t  *f;

    if (!json_is_object(from)) {
        return because("there are no %s", where);
    }

    json_object_foreach ((json_t *) (uintptr_t) from, name, value) {
        for (f = fields; f->name && strcmp(f->name, name) != 0; f++) {
            /* void */
        }

        if (f->name == NULL) {
            return because("unknown \"%s\" of %s", name, where);
        }

        error = read_field(f, where, value, to);

        if (error) {
            return error;
        }
    }

    return NULL;
}


/* the place of "text" among "n" names, n if it is none of them */

static unsigned
place_of(const json_t *text, const char *const *names, unsigned n)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        if (json_is_string(text)
            && strcmp(json_string_value(text), names[i]) == 0)
        {
            break;
        }
    }

    return i;
}


const char *
read_dossier(const json_t *from, dossier_t *d)
{
    unsigned     verdict, rule;
    const char  *error;

    memset(d, 0, sizeof(dossier_t));

    if (json_integer_value(json_object_get(from, "version"))
        != NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERSION)
    {
        return because("it is of another version");
    }

    verdict = place_of(json_object_get(from, "verdict"),
                       ngx_http_async_upload_guard_verdicts,
                       NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK + 1);

    rule = place_of(json_object_get(from, "reason"),
                    ngx_http_async_upload_guard_names,
                    NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS);

    if (verdict > NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK
        || rule >= NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS)
    {
        return because("its verdict or reason is unknown");
    }

    d->decision.verdict = (ngx_http_async_upload_guard_verdict_e) verdict;
    d->decision.reason = (ngx_http_async_upload_guard_reason_e) rule;
    d->decision.value = json_number_value(json_object_get(from, "value"));
    d->decision.limit = json_number_value(json_object_get(from, "limit"));

    error = read_fields(ngx_http_async_upload_dossier_rules, "rules",
                        json_object_get(from, "rules"), &d->conf);
    if (error) {
        return error;
    }

    return read_fields(ngx_http_async_upload_dossier_seen, "seen",
                       json_object_get(from, "seen"), &d->in);
}


static int
equal(double a, double b)
{
    return fabs(a - b) <= RELATIVE * fmax(fabs(a), fabs(b));
}


int
decide_again(const dossier_t *d, ngx_http_async_upload_guard_decision_t *again)
{
    ngx_http_async_upload_guard_decide(&d->conf, &d->in, again);

    return again->verdict == d->decision.verdict
           && again->reason == d->decision.reason
           && equal(again->value, d->decision.value)
           && equal(again->limit, d->decision.limit);
}
