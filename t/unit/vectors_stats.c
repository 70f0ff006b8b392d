
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * The vectors of the unit "stats".
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_stats.h"
#include "mixture.h"
#include "vectors.h"


#define BETS         NGX_HTTP_ASYNC_UPLOAD_STATS_BETS
#define MAX_CHANGES  1000


/* what a row sees after each of its ticks */

typedef void (*tick_pt)(void *data, uint64_t tick, uint64_t bad, double e,
    double rate);


typedef struct {
    double    threshold;
    double    max;
    uint64_t  first;        /* tick with e >= threshold, -1 before */
} watch_t;


typedef struct {
    unsigned                                changes;
    ngx_http_async_upload_stats_verdict_e   last;
    ngx_http_async_upload_stats_rule_t      rule;
    ngx_http_async_upload_stats_rule_sh_t   sh;
    struct {
        uint64_t                               tick;
        ngx_http_async_upload_stats_verdict_e  verdict;
    } change[MAX_CHANGES];
} follow_t;


static const char *const  verdicts[] = {
    "none", "pending", "review", "rollback"
};


/* [repeat, bad, good], one tick a second, also those without events */

static void
run_ticks(const json_t *row, const char *where,
    ngx_http_async_upload_stats_bet_t *bet,
    ngx_http_async_upload_stats_sh_t *sh, tick_pt handler, void *data)
{
    size_t     i, k;
    json_t    *ticks, *run, *number;
    uint64_t   tick, value[3];

    ticks = member(row, where, "ticks_rle", JSON_ARRAY);

    ngx_http_async_upload_stats_init(bet, member_number(row, where, "p0"),
                                     member_number(row, where, "horizon"),
                                     member_number(row, where, "threshold"));
    ngx_http_async_upload_stats_reset(sh);

    tick = 0;

    json_array_foreach (ticks, i, run) {

        for (k = 0; k < 3; k++) {
            number = json_array_get(run, k);

            if (!json_is_integer(number) || json_integer_value(number) < 0
                || json_array_size(run) != 3)
            {
                foreign("%s: ticks are not [repeat, bad, good]", where);
            }

            value[k] = (uint64_t) json_integer_value(number);
        }

        for ( /* void */ ; value[0] != 0; value[0]--, tick++) {
            ngx_http_async_upload_stats_tick(bet, sh, value[1], value[2]);

            handler(data, tick, value[1],
                    ngx_http_async_upload_stats_evidence(sh),
                    ngx_http_async_upload_stats_rate(bet, sh));
        }
    }
}


static void
watch(void *data, uint64_t tick, uint64_t bad, double e, double rate)
{
    watch_t  *w = data;

    (void) bad;
    (void) rate;

    if (e > w->max) {
        w->max = e;
    }

    if (e >= w->threshold && w->first == UINT64_MAX) {
        w->first = tick;
    }
}


int
row_detector(const json_t *row, const char *where)
{
    int                                 passed;
    char                                what[32];
    json_t                             *expect, *held, *first;
    watch_t                             w;
    uint64_t                            ticks;
    unsigned                            i;
    ngx_http_async_upload_stats_sh_t    sh;
    ngx_http_async_upload_stats_bet_t   bet;
    ngx_http_async_upload_stats_rule_t  rule;

    expect = member(row, where, "expect", JSON_OBJECT);
    held = member(expect, where, "S", JSON_ARRAY);
    ticks = member_count(expect, where, "active_ticks");
    first = json_object_get(expect, "first_tick_e_ge_threshold");

    if (json_array_size(held) != BETS
        || !(json_is_null(first) || json_is_integer(first)))
    {
        foreign("%s: no valid expectation", where);
    }

    w.threshold = member_number(row, where, "threshold");
    w.max = 0;

    memset(&rule, 0, sizeof(rule));
    rule.threshold = w.threshold;
    rule.limit = 0.05;
    w.first = UINT64_MAX;

    run_ticks(row, where, &bet, &sh, watch, &w);

    passed = equal(member_number(expect, where, "e"),
                   ngx_http_async_upload_stats_evidence(&sh), where, "e");
    passed &= equal(member_number(expect, where, "e_max"), w.max, where,
                    "e_max");
    passed &= equal(member_number(expect, where, "rate"),
                    ngx_http_async_upload_stats_rate(&bet, &sh), where,
                    "rate");

    for (i = 0; i < BETS; i++) {
        snprintf(what, sizeof(what), "S[%u]", i);
        passed &= equal(json_number_value(json_array_get(held, i)),
                        sh.held[i], where, what);
    }

    if (ticks != sh.ticks) {
        passed = mismatch(where, "active_ticks: expected %llu, got %llu",
                          (unsigned long long) ticks,
                          (unsigned long long) sh.ticks);
    }

    /* UINT64_MAX is -1, as null is here */

    if ((json_int_t) w.first
        != (json_is_null(first) ? -1 : json_integer_value(first)))
    {
        passed = mismatch(where, "first tick over the threshold: got %lld",
                          (long long) w.first);
    }

    return passed && detect_agrees(row, where, &rule);
}


static void
follow(void *data, uint64_t tick, uint64_t bad, double e, double rate)
{
    follow_t                               *f = data;
    ngx_http_async_upload_stats_verdict_e   verdict;

    verdict = ngx_http_async_upload_stats_verdict(&f->rule, &f->sh, e, rate,
                                                  bad, tick * 1000);

    if (verdict == f->last) {
        return;
    }

    f->last = verdict;

    if (f->changes < MAX_CHANGES) {
        f->change[f->changes].tick = tick;
        f->change[f->changes].verdict = verdict;
    }

    f->changes++;
}


int
row_rule(const json_t *row, const char *where)
{
    int                                 passed;
    size_t                              i;
    json_t                             *expect, *list, *change, *name;
    const char                         *final;
    static follow_t                     f;
    ngx_http_async_upload_stats_sh_t    sh;
    ngx_http_async_upload_stats_bet_t   bet;

    expect = member(row, where, "expect", JSON_OBJECT);
    list = member(expect, where, "transitions", JSON_ARRAY);
    final = json_string_value(member(expect, where, "final", JSON_STRING));

    memset(&f, 0, sizeof(follow_t));

    f.rule.threshold = member_number(row, where, "threshold");
    f.rule.limit = member_number(row, where, "limit");
    f.rule.min_fail = member_count(row, where, "min_fail");
    f.rule.confirm_ms = 1000 * member_count(row, where, "confirm");

    run_ticks(row, where, &bet, &sh, follow, &f);

    passed = 1;

    if (json_array_size(list) != f.changes || f.changes > MAX_CHANGES) {
        return mismatch(where, "expected %u transitions, got %u",
                        (unsigned) json_array_size(list), f.changes);
    }

    json_array_foreach (list, i, change) {
        name = json_array_get(change, 1);

        if (!json_is_integer(json_array_get(change, 0))
            || !json_is_string(name))
        {
            foreign("%s: a transition is not [tick, verdict]", where);
        }

        if ((json_int_t) f.change[i].tick
            != json_integer_value(json_array_get(change, 0))
            || strcmp(verdicts[f.change[i].verdict], json_string_value(name)))
        {
            passed = mismatch(where, "transition %u: expected %lld %s, got "
                              "%lld %s", (unsigned) i,
                              (long long) json_integer_value(
                                  json_array_get(change, 0)),
                              json_string_value(name),
                              (long long) f.change[i].tick,
                              verdicts[f.change[i].verdict]);
        }
    }

    if (strcmp(verdicts[f.last], final)) {
        passed = mismatch(where, "final: expected %s, got %s", final,
                          verdicts[f.last]);
    }

    return passed && detect_agrees(row, where, &f.rule);
}


int
row_rate_interval(const json_t *row, const char *where)
{
    int     passed;
    double  low, high;

    ngx_http_async_upload_stats_interval(member_count(row, where, "n"),
                                         member_count(row, where, "f"),
                                         member_number(row, where, "alpha"),
                                         &low, &high);

    passed = equal(member_number(row, where, "lo"), low, where, "lo");
    passed &= equal(member_number(row, where, "hi"), high, where, "hi");

    return passed;
}


int
row_run_prob(const json_t *row, const char *where)
{
    return equal(member_number(row, where, "prob"),
                 ngx_http_async_upload_stats_run(
                     member_number(row, where, "p"),
                     member_count(row, where, "N"),
                     member_count(row, where, "c")),
                 where, "prob");
}


int
row_truncated_beta(const json_t *row, const char *where)
{
    return equal(member_number(row, where, "log_e"),
                 mixture_above(member_number(row, where, "n"),
                               member_number(row, where, "f"),
                               member_number(row, where, "p0"),
                               member_number(row, where, "a"),
                               member_number(row, where, "b")),
                 where, "log_e");
}
