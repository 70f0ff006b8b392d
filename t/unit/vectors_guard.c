
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * The vectors of the unit "guard".
 */


#include <stddef.h>
#include <string.h>

#include "ngx_http_async_upload_guard.h"
#include "vectors.h"


typedef ngx_http_async_upload_guard_conf_t   conf_t;
typedef ngx_http_async_upload_guard_input_t  input_t;

typedef enum { COUNT, WORD, REAL, SECONDS, VERDICT, UNUSED } type_e;


/* a member of a row, and where it goes to */

typedef struct {
    const char  *name;
    type_e       type;
    size_t       offset;
} field_t;


static const field_t  conf_fields[] = {
    { "sequential", WORD, offsetof(conf_t, sequential) },
    { "min_uploads", COUNT, offsetof(conf_t, min_uploads) },
    { "min_uploads", COUNT, offsetof(conf_t, rb_min_uploads) },
    { "min_fail", UNUSED, 0 },      /* of the detectors' rule */
    { "gate_success_ppm", WORD, offsetof(conf_t, gate_success) },
    { "gate_error_ppm", WORD, offsetof(conf_t, gate_error) },
    { "gate_latency", REAL, offsetof(conf_t, gate_latency) },
    { "rb_success_ppm", WORD, offsetof(conf_t, rb_success) },
    { "rb_error_ppm", WORD, offsetof(conf_t, rb_error) },
    { "rb_memory", REAL, offsetof(conf_t, memory) },
    { "rv_success_ppm", WORD, offsetof(conf_t, rv_success) },
    { "rv_seconds", SECONDS, offsetof(conf_t, rv_success_ms) },
    { "rv_latency", REAL, offsetof(conf_t, rv_latency) },
    { "rv_lat_seconds", SECONDS, offsetof(conf_t, rv_latency_ms) },
    { "evidence", REAL, offsetof(conf_t, evidence) },
    { "run", COUNT, offsetof(conf_t, run) },
    { "confirm", SECONDS, offsetof(conf_t, confirm_ms) },
    { "min_stage_seconds", SECONDS, offsetof(conf_t, soak_ms) },
    { "proof", REAL, offsetof(conf_t, proof) },
    { NULL, UNUSED, 0 }
};


static const field_t  input_fields[] = {
    { "stage_seconds", SECONDS, offsetof(input_t, stage_ms) },
    { "n", COUNT, offsetof(input_t, stage.uploads) },
    { "n", COUNT, offsetof(input_t, async.finished) },
    { "ok", COUNT, offsetof(input_t, stage.success) },
    { "err", COUNT, offsetof(input_t, stage.failure) },
    { "w5_n", COUNT, offsetof(input_t, window.uploads) },
    { "w5_ok", COUNT, offsetof(input_t, window.success) },
    { "w5_err", COUNT, offsetof(input_t, window.failure) },
    { "w30_n", COUNT, offsetof(input_t, review.uploads) },
    { "w30_ok", COUNT, offsetof(input_t, review.success) },
    { "critical", COUNT, offsetof(input_t, critical) },
    { "mem_ratio", REAL, offsetof(input_t, memory) },
    { "run", COUNT, offsetof(input_t, run) },
    { "run_span", SECONDS, offsetof(input_t, run_ms) },
    { "v_fail", VERDICT, offsetof(input_t, success_verdict) },
    { "v_err", VERDICT, offsetof(input_t, error_verdict) },
    { "e_vs", REAL, offsetof(input_t, worse) },
    { "e_lat", REAL, offsetof(input_t, slower) },
    { "e_missing", REAL, offsetof(input_t, missing) },
    { "e_gate_lat", REAL, offsetof(input_t, gate_slower) },
    { "e_proof", REAL, offsetof(input_t, proof) },
    { "lat_ratio", REAL, offsetof(input_t, latency) },
    { "lat_n", COUNT, offsetof(input_t, latency_n) },
    { "lat_over_seconds", SECONDS, offsetof(input_t, slow_ms) },
    { NULL, UNUSED, 0 }
};


static ngx_http_async_upload_stats_verdict_e
read_verdict(const json_t *row, const char *where, const char *name)
{
    unsigned     i;
    const char  *text;

    static const char *const  names[] = {
        "none", "pending", "review", "rollback"
    };

    text = json_string_value(member(row, where, name, JSON_STRING));

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            return (ngx_http_async_upload_stats_verdict_e) i;
        }
    }

    foreign("%s: invalid verdict \"%s\"", where, text);
}


/* sets all of the fields, each from "row" or else from "defaults" */

static void
read_fields(void *to, const field_t *fields, const json_t *row,
    const json_t *defaults, const char *where)
{
    char                                   *place;
    json_t                                 *value;
    const char                             *name;
    const json_t                           *from;
    const field_t                          *f;
    ngx_http_async_upload_stats_verdict_e   verdict;

    json_object_foreach ((json_t *) row, name, value) {
        for (f = fields; f->name && strcmp(f->name, name) != 0; f++) {
            /* void */
        }

        if (f->name == NULL) {
            foreign("%s: unknown \"%s\"", where, name);
        }
    }

    for (f = fields; f->name; f++) {
        from = json_object_get(row, f->name) ? row : defaults;
        place = (char *) to + f->offset;

        switch (f->type) {

        case COUNT:
            *(uint64_t *) (void *) place = member_count(from, where, f->name);
            break;

        case SECONDS:
            *(uint64_t *) (void *) place = 1000 * member_count(from, where,
                                                               f->name);
            break;

        case WORD:
            *(uint32_t *) (void *) place = (uint32_t) member_count(from, where,
                                                                   f->name);
            break;

        case REAL:
            *(double *) (void *) place = member_number(from, where, f->name);
            break;

        case VERDICT:
            verdict = read_verdict(from, where, f->name);
            memcpy(place, &verdict, sizeof(verdict));
            break;

        case UNUSED:
            break;
        }
    }
}


/* ours wait, theirs hold, and they shout */

static const char *
verdict_name(ngx_http_async_upload_guard_verdict_e verdict)
{
    static const char *const  names[] = {
        "HOLD", "ADVANCE", "REVIEW", "ROLLBACK"
    };

    return names[verdict];
}


int
row_decide(const json_t *row, const char *where)
{
    const char                              *verdict, *reason;
    conf_t                                   conf;
    input_t                                  in;
    ngx_http_async_upload_guard_decision_t   decision;

    memset(&conf, 0, sizeof(conf_t));
    memset(&in, 0, sizeof(input_t));

    verdict = json_string_value(member(row, where, "decision", JSON_STRING));
    reason = json_string_value(member(row, where, "reason", JSON_STRING));

    read_fields(&conf, conf_fields, member(row, where, "cfg", JSON_OBJECT),
                defaults("decide_defaults"), where);
    read_fields(&in, input_fields, member(row, where, "input", JSON_OBJECT),
                NULL, where);

    /* what the vectors do not say: all rules are on, nothing else is wrong */

    conf.gates = 1;
    conf.rollback = 1;
    conf.review = 1;
    conf.min_latency = 100;
    conf.min_turned = 3;

    ngx_http_async_upload_guard_decide(&conf, &in, &decision);

    if (strcmp(verdict_name(decision.verdict), verdict) == 0
        && strcmp(ngx_http_async_upload_guard_names[decision.reason], reason)
           == 0)
    {
        return 1;
    }

    return mismatch(where, "expected %s %s, got %s %s", verdict, reason,
                    verdict_name(decision.verdict),
                    ngx_http_async_upload_guard_names[decision.reason]);
}
