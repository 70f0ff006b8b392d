
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include <math.h>
#include <string.h>

#include "ngx_http_async_upload_guard.h"
#include "tap.h"


#define ROUNDS     100000
#define MINUTE     60000
#define HUGE_RATE  (UINT64_C(1) << 43)

/* the module's names are long */

#define G(name)    NGX_HTTP_ASYNC_UPLOAD_GUARD_##name
#define LINE(name) NGX_HTTP_ASYNC_UPLOAD_GUARD_GATE_##name
#define S(name)    NGX_HTTP_ASYNC_UPLOAD_STATS_##name

#define REASONS    NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS
#define LINES      NGX_HTTP_ASYNC_UPLOAD_GUARD_GATES


typedef ngx_http_async_upload_guard_conf_t      conf_t;
typedef ngx_http_async_upload_guard_input_t     input_t;
typedef ngx_http_async_upload_guard_decision_t  decision_t;
typedef ngx_http_async_upload_guard_line_t      line_t;
typedef ngx_http_async_upload_guard_reason_e    reason_e;
typedef ngx_http_async_upload_guard_verdict_e   verdict_e;


/* what a test changes, and puts back by healthy() */

static conf_t   conf;
static input_t  in;


static const char *const  reason_names[REASONS] = {
    [G(NONE)] = "none",
    [G(CRITICAL)] = "critical",
    [G(MEMORY)] = "memory",
    [G(RUN)] = "consecutive",
    [G(NO_LIVE_PEER)] = "no_live_peer",
    [G(BUDGET)] = "budget",
    [G(STAGE)] = "literal_stage",
    [G(WINDOW)] = "literal_5min",
    [G(EVIDENCE_SUCCESS)] = "evidence_success",
    [G(EVIDENCE_ERROR)] = "evidence_error",
    [G(REJECTED)] = "rejected",
    [G(ABORTED)] = "aborted",
    [G(UNATTENDED)] = "unattended",
    [G(NO_WAY_BACK)] = "no_way_back",
    [G(SUCCESS)] = "literal_success_30min",
    [G(LATENCY)] = "literal_latency",
    [G(COMPLAINTS)] = "complaints",
    [G(REJECTED_BLIND)] = "rejected_no_reference",
    [G(ABORTED_BLIND)] = "aborted_no_reference",
    [G(BELOW_SUCCESS)] = "evidence_success_below_gate",
    [G(ABOVE_ERROR)] = "evidence_error_above_gate",
    [G(WORSE)] = "evidence_worse_than_control",
    [G(SLOWER)] = "evidence_slower",
    [G(MISSING)] = "evidence_missing_uploads",
    [G(FEW)] = "few_uploads",
    [G(PENDING)] = "pending_confirmation",
    [G(SLOWER_THAN_GATE)] = "slower_than_gate",
    [G(NOT_MET)] = "gate_not_met",
    [G(NOT_PROVEN)] = "not_proven",
    [G(GATE)] = "gate",
    [G(EVIDENCE_REJECTED)] = "evidence_rejected",
    [G(EVIDENCE_ABORTED)] = "evidence_aborted",
    [G(FEW_IDENTITIES)] = "few_identities"
};


static const char *const  line_names[LINES] = {
    [LINE(SOAK)] = "soak",
    [LINE(UPLOADS)] = "uploads",
    [LINE(SUCCESS)] = "success",
    [LINE(ERROR)] = "error",
    [LINE(LATENCY)] = "latency",
    [LINE(REJECTED)] = "rejected",
    [LINE(ABORTED)] = "aborted",
    [LINE(EVIDENCE)] = "evidence",
    [LINE(PROOF)] = "proof"
};


static verdict_e
verdict_of(reason_e reason)
{
    switch (reason) {

    case G(GATE):
        return G(ADVANCE);

    case G(NONE):
    case G(FEW):
    case G(PENDING):
    case G(SLOWER_THAN_GATE):
    case G(NOT_MET):
    case G(NOT_PROVEN):
        return G(WAIT);

    default:
        return (reason <= G(UNATTENDED)) ? G(ROLLBACK) : G(REVIEW);
    }
}


static void
set_rate(ngx_http_async_upload_guard_rate_t *rate, uint64_t uploads,
    uint64_t failure)
{
    rate->uploads = uploads;
    rate->success = uploads - failure;
    rate->failure = failure;
}


/*
 * The defaults of the directives in the first stage, an hour old, with all
 * rules on, and an async arm without a fault that is compared with sync.
 */

static void
healthy(int sequential)
{
    memset(&conf, 0, sizeof(conf_t));
    memset(&in, 0, sizeof(input_t));

    conf.sequential = sequential;
    conf.gates = 1;
    conf.min_uploads = 100;
    conf.gate_success = 995000;
    conf.gate_error = 5000;
    conf.gate_latency = 1.1;
    conf.soak_ms = 60 * MINUTE;

    conf.rollback = 1;
    conf.rb_success = 950000;
    conf.rb_error = 50000;
    conf.rb_min_uploads = 100;
    conf.run = 5;
    conf.memory = 1.2;
    conf.budget = 1000;

    conf.review = 1;
    conf.rv_success = 970000;
    conf.rv_success_ms = 30 * MINUTE;
    conf.rv_latency = 1.2;
    conf.rv_latency_ms = 10 * MINUTE;
    conf.complaints = 3;
    conf.unattended_ms = 30 * MINUTE;

    conf.min_latency = 100;
    conf.min_turned = 3;
    conf.confirm_ms = 5000;
    conf.evidence = 1000;
    conf.proof = 20;

    in.stage_ms = 60 * MINUTE;
    set_rate(&in.stage, 1000, 0);
    set_rate(&in.window, 500, 0);
    set_rate(&in.review, 800, 0);
    in.memory = 1;
    in.latency = 1;
    in.latency_n = 1000;
    in.reference = 1;
    in.async.finished = 1020;
    in.async.rejected = 20;
    in.sync.finished = 1020;
    in.sync.rejected = 20;
    in.proof = 20;
}


/* is this decided, for these figures? */

static int
decides(reason_e reason, double value, double limit)
{
    decision_t  d;

    memset(&d, 0xff, sizeof(decision_t));

    ngx_http_async_upload_guard_decide(&conf, &in, &d);

    if (d.reason == reason && d.verdict == verdict_of(reason)
        && fabs(d.value - value) <= 1e-9 * fabs(value)
        && fabs(d.limit - limit) <= 1e-9 * fabs(limit))
    {
        return 1;
    }

    tap_note("expected %s %g %g, got %s %s %g %g", reason_names[reason], value,
             limit, ngx_http_async_upload_guard_verdicts[d.verdict],
             ngx_http_async_upload_guard_names[d.reason], d.value, d.limit);

    return 0;
}


static decision_t
decision(void)
{
    decision_t  d;

    ngx_http_async_upload_guard_decide(&conf, &in, &d);

    return d;
}


static int
advances(void)
{
    return decision().verdict == G(ADVANCE);
}


/*
 * Breaks one thing each.  Some rules are of one kind of statistics, some need
 * a reference or its absence, some a gate.
 */

#define PLAIN       1
#define SEQUENTIAL  2
#define COMPARED    4
#define BLIND       8


static void
break_critical(void)
{
    in.critical = 1;
}


static void
break_memory(void)
{
    in.memory = 1.2;
}


static void
break_run(void)
{
    in.run = 5;
    in.run_ms = 5000;
}


static void
break_turned(void)
{
    in.turned = 3;
    in.turned_ms = 5000;
}


static void
break_budget(void)
{
    in.failures = 1000;
}


static void
break_stage(void)
{
    set_rate(&in.stage, 1000, 51);
}


static void
break_window(void)
{
    set_rate(&in.window, 1000, 51);
}


static void
break_evidence_success(void)
{
    in.success_verdict = S(ROLLBACK);
}


static void
break_evidence_error(void)
{
    in.error_verdict = S(ROLLBACK);
}


static void
break_rejected(void)
{
    in.async.rejected = 72;
}


static void
break_aborted(void)
{
    in.async.aborted = 52;
}


static void
break_unattended(void)
{
    in.review_ms = 30 * MINUTE;
}


static void
break_success(void)
{
    set_rate(&in.review, 1000, 31);
}


static void
break_latency(void)
{
    in.latency = 1.21;
    in.slow_ms = 10 * MINUTE;
}


static void
break_complaints(void)
{
    in.complaints = 3;
}


static void
break_below_success(void)
{
    if (in.success_verdict == S(NONE)) {
        in.success_verdict = S(REVIEW);
    }
}


static void
break_above_error(void)
{
    if (in.error_verdict == S(NONE)) {
        in.error_verdict = S(REVIEW);
    }
}


static void
break_worse(void)
{
    in.worse = 1000;
}


static void
break_slower(void)
{
    in.slower = 1000;
}


static void
break_missing(void)
{
    in.missing = 1000;
}


static void
break_evidence_rejected(void)
{
    in.rejected = 1000;
}


static void
break_evidence_aborted(void)
{
    in.aborted = 1000;
}


/* most of the failures are of one identity, unless none of them counts */

static void
break_few_identities(void)
{
    if (in.stage.failure == 0) {
        set_rate(&in.stage, 1000, 51);
        in.repeated = 50;
    }
}


static void
break_uploads(void)
{
    conf.min_uploads = 1001;
}


static void
break_pending(void)
{
    if (in.success_verdict == S(NONE)) {
        in.success_verdict = S(PENDING);
    }
}


static void
break_gate_slower(void)
{
    in.gate_slower = 1000;
}


static void
break_soak(void)
{
    conf.soak_ms = 60 * MINUTE + 1;
}


static void
break_proof(void)
{
    in.proof = 19.9;
}


static void
break_nothing(void)
{
    /* void */
}


static const struct {
    reason_e   reason;
    void     (*handler)(void);
    unsigned   needs;
    double     value;
    double     limit;
} faults[] = {
    { G(CRITICAL), break_critical, 0, 1, 1 },
    { G(MEMORY), break_memory, 0, 1.2, 1.2 },
    { G(RUN), break_run, 0, 5, 5 },
    { G(NO_LIVE_PEER), break_turned, 0, 5000, 5000 },
    { G(BUDGET), break_budget, 0, 1000, 1000 },
    { G(STAGE), break_stage, 0, 949000, 950000 },
    { G(WINDOW), break_window, PLAIN, 949000, 950000 },
    { G(EVIDENCE_SUCCESS), break_evidence_success, SEQUENTIAL,
      1000000, 950000 },
    { G(EVIDENCE_ERROR), break_evidence_error, SEQUENTIAL, 0, 50000 },
    { G(REJECTED), break_rejected, COMPARED,
      72e6 / 1020, 20e6 / 1020 + 50000 },
    { G(ABORTED), break_aborted, COMPARED, 52e6 / 1020, 50000 },
    { G(UNATTENDED), break_unattended, 0, 30 * MINUTE, 30 * MINUTE },
    { G(SUCCESS), break_success, 0, 969000, 970000 },
    { G(LATENCY), break_latency, 0, 1.21, 1.2 },
    { G(COMPLAINTS), break_complaints, 0, 3, 3 },
    { G(REJECTED_BLIND), break_rejected, BLIND, 72e6 / 1020, 50000 },
    { G(ABORTED_BLIND), break_aborted, BLIND, 52e6 / 1020, 50000 },
    { G(BELOW_SUCCESS), break_below_success, SEQUENTIAL, 1000000, 995000 },
    { G(ABOVE_ERROR), break_above_error, SEQUENTIAL, 0, 5000 },
    { G(WORSE), break_worse, SEQUENTIAL, 1000, 1000 },
    { G(SLOWER), break_slower, SEQUENTIAL, 1000, 1000 },
    { G(MISSING), break_missing, SEQUENTIAL, 1000, 1000 },
    { G(EVIDENCE_REJECTED), break_evidence_rejected, SEQUENTIAL, 1000, 1000 },
    { G(EVIDENCE_ABORTED), break_evidence_aborted, SEQUENTIAL, 1000, 1000 },
    { G(FEW_IDENTITIES), break_few_identities, SEQUENTIAL, 949000, 950000 },
    { G(FEW), break_uploads, 0, 1000, 1001 },
    { G(PENDING), break_pending, SEQUENTIAL, 1000000, 950000 },
    { G(SLOWER_THAN_GATE), break_gate_slower, SEQUENTIAL, 1000, 1000 },
    { G(NOT_MET), break_soak, 0, 60 * MINUTE, 60 * MINUTE + 1 },
    { G(NOT_PROVEN), break_proof, SEQUENTIAL, 19.9, 20 },
    { G(GATE), break_nothing, 0, 1000, 100 }
};

#define FAULTS  (sizeof(faults) / sizeof(faults[0]))


/*
 * Makes what the faults need; 0 if they exclude each other.
 */

static int
healthy_for(unsigned needs)
{
    if ((needs & PLAIN && needs & SEQUENTIAL)
        || (needs & COMPARED && needs & BLIND))
    {
        return 0;
    }

    healthy(needs & SEQUENTIAL);

    if (needs & BLIND) {
        in.reference = 0;

        /* nothing is allowed for */

        in.async.rejected = 0;
    }

    return 1;
}


static void
test_names(void)
{
    int       good;
    unsigned  i;

    good = 1;

    for (i = 0; i < REASONS; i++) {
        good &= !strcmp(ngx_http_async_upload_guard_names[i], reason_names[i]);
    }

    tap_ok(good, "the reasons have their names");

    tap_ok(G(NONE) == 0 && G(UNATTENDED) == 12 && G(NO_WAY_BACK) == 13
           && G(MISSING) == 23 && G(FEW) == 24 && G(GATE) == 29
           && G(EVIDENCE_REJECTED) == 30 && G(FEW_IDENTITIES) == 32,
           "and their numbers, which are kept in files");

    good = 1;

    for (i = 0; i < LINES; i++) {
        good &= !strcmp(ngx_http_async_upload_guard_lines[i], line_names[i]);
    }

    tap_ok(good, "the lines of the gate have their names");

    tap_ok(!strcmp(ngx_http_async_upload_guard_verdicts[G(WAIT)], "wait")
           && !strcmp(ngx_http_async_upload_guard_verdicts[G(ADVANCE)],
                      "advance")
           && !strcmp(ngx_http_async_upload_guard_verdicts[G(REVIEW)],
                      "review")
           && !strcmp(ngx_http_async_upload_guard_verdicts[G(ROLLBACK)],
                      "rollback"),
           "the verdicts have their names");
}


/* each of the faults alone, then every two of them */

static void
test_order(void)
{
    int       good;
    unsigned  i, k, n, needs, pairs;

    for (i = 0; i < FAULTS; i++) {
        healthy_for(faults[i].needs);
        faults[i].handler();

        good = decides(faults[i].reason, faults[i].value, faults[i].limit);

        /* what is of both kinds of statistics is the same in both */

        if (!(faults[i].needs & (PLAIN|SEQUENTIAL))) {
            healthy_for(faults[i].needs|SEQUENTIAL);
            faults[i].handler();
            good &= decides(faults[i].reason, faults[i].value,
                            faults[i].limit);
        }

        tap_ok(good, "%s, alone: %s, with its figures",
               reason_names[faults[i].reason],
               ngx_http_async_upload_guard_verdicts
                   [verdict_of(faults[i].reason)]);
    }

    good = 1;
    pairs = 0;

    for (i = 0; i < FAULTS; i++) {
        for (k = i + 1; k < FAULTS; k++) {

            if (!healthy_for(faults[i].needs|faults[k].needs)) {
                continue;
            }

            /* the graver verdict of a detector stays */

            faults[i].handler();
            faults[k].handler();
            pairs++;

            if (decision().reason != faults[i].reason) {
                tap_note("%s and %s: %s", reason_names[faults[i].reason],
                         reason_names[faults[k].reason],
                         reason_names[decision().reason]);
                good = 0;
            }
        }
    }

    tap_ok(good && pairs > 300, "of any two reasons the first one decides");

    good = 1;

    for (k = 0; k < 4; k++) {
        for (i = 0; i < FAULTS; i++) {
            needs = (k & 1 ? PLAIN : SEQUENTIAL) | (k & 2 ? COMPARED : BLIND);
            healthy_for(needs);

            for (n = i; n < FAULTS; n++) {
                if ((faults[n].needs & ~needs) == 0) {
                    faults[n].handler();
                }
            }

            if ((faults[i].needs & ~needs) == 0) {
                good &= (decision().reason == faults[i].reason);
            }
        }
    }

    tap_ok(good, "so it does if all that come later are there, too");
}


static void
test_off(void)
{
    int         good, none;
    unsigned    i;
    decision_t  d;

    good = 1;
    none = 1;

    for (i = 0; i < FAULTS; i++) {

        healthy_for(faults[i].needs);
        conf.rollback = 0;
        faults[i].handler();
        d = decision();

        switch (faults[i].reason) {

        case G(EVIDENCE_SUCCESS):
            good &= (d.reason == G(BELOW_SUCCESS));
            break;

        case G(EVIDENCE_ERROR):
            good &= (d.reason == G(ABOVE_ERROR));
            break;

        /* the gate has its own limits */

        case G(STAGE):
        case G(REJECTED):
        case G(ABORTED):
        case G(FEW_IDENTITIES):
            good &= (d.reason == G(NOT_MET));
            break;

        case G(MEMORY):
        case G(RUN):
        case G(NO_LIVE_PEER):
        case G(WINDOW):
            good &= (d.reason == G(GATE));
            break;

        default:
            good &= (d.reason == faults[i].reason);
        }

        conf.review = 0;
        d = decision();

        switch (faults[i].reason) {

        case G(CRITICAL):
        case G(BUDGET):
        case G(UNATTENDED):
            none &= (d.verdict == G(ROLLBACK));
            break;

        default:
            none &= (d.verdict == G(WAIT) || d.verdict == G(ADVANCE));
        }
    }

    tap_ok(good, "without rollback none of its rules rolls back");
    tap_ok(none, "without rollback and review a rollout waits or advances, but "
           "for a critical error, a budget spent, and nobody who came");

    good = 1;

    for (i = 0; i < FAULTS; i++) {

        healthy_for(faults[i].needs);
        conf.review = 0;
        faults[i].handler();
        d = decision();

        switch (faults[i].reason) {

        /* what is slow for review is slow for the gate */

        case G(LATENCY):
        case G(REJECTED_BLIND):
        case G(ABORTED_BLIND):
        case G(BELOW_SUCCESS):
        case G(ABOVE_ERROR):
        case G(WORSE):
        case G(SLOWER):
        case G(MISSING):
        case G(EVIDENCE_REJECTED):
        case G(EVIDENCE_ABORTED):
        case G(FEW_IDENTITIES):
            good &= (d.reason == G(NOT_MET));
            break;

        case G(SUCCESS):
        case G(COMPLAINTS):
            good &= (d.reason == G(GATE));
            break;

        default:
            good &= (d.reason == faults[i].reason);
        }
    }

    tap_ok(good, "without review nothing is reviewed, nor does what was proven "
           "against async advance");

    healthy(0);
    conf.run = 0;
    conf.memory = 0;
    conf.budget = 0;
    conf.min_turned = 0;
    in.run = 1000000;
    in.run_ms = 60 * MINUTE;
    in.memory = 1000;
    in.failures = 1000000;
    in.turned = 1000000;
    in.turned_ms = 60 * MINUTE;

    good = advances();

    conf.complaints = 0;
    conf.unattended_ms = 0;
    conf.rv_latency = 0;
    conf.gate_latency = 0;
    in.complaints = 1000000;
    in.review_ms = 60 * MINUTE;
    in.latency = 1000;
    in.slow_ms = 60 * MINUTE;

    tap_ok(good && advances(), "a rule whose limit is 0 is off");

    healthy(1);
    conf.proof = 0;
    in.proof = 0;
    tap_ok(advances(), "without a proof that is asked for none is needed");

    good = 1;

    for (i = 0; i < FAULTS; i++) {
        healthy_for(faults[i].needs);
        conf.gates = 0;
        faults[i].handler();

        if (verdict_of(faults[i].reason) <= G(ADVANCE)) {
            good &= decides(G(NONE), 0, 0);

        } else {
            good &= decides(faults[i].reason, faults[i].value,
                            faults[i].limit);
        }
    }

    tap_ok(good, "a fixed share never advances, all other rules are in force");
}


/* the literal rules by closed formulas */

static void
test_literal(void)
{
    int       rolled, few, window, opened, reviewed, either;
    uint64_t  n, f, least;

    rolled = 1;
    few = 1;
    window = 1;
    opened = 1;
    reviewed = 1;
    either = 1;

    for (n = 0; n <= 1200; n++) {
        for (f = 0; f <= n; f++) {

            healthy(n & 1);
            set_rate(&in.stage, n, f);

            /* f / n > 5% */

            if (n < 100) {
                few &= (decision().reason == G(FEW));

            } else if (f * 20 > n) {
                rolled &= decides(G(STAGE), (double) (n - f) * 1e6 / (double) n,
                                  950000);

            /* f / n <= 0.5% */

            } else if (f * 200 <= n) {
                opened &= decides(G(GATE), (double) n, 100);

            } else {
                rolled &= (decision().reason == G(NOT_MET));
            }

            if (f > 100) {
                continue;
            }

            healthy(0);
            set_rate(&in.window, n, f);

            window &= (decision().reason
                       == (n >= 100 && f * 20 > n ? G(WINDOW) : G(GATE)));

            healthy(n & 1);
            set_rate(&in.review, n, f);

            /* f / n > 3% */

            reviewed &= (decision().reason
                         == (n >= 100 && f * 100 > 3 * n ? G(SUCCESS)
                                                         : G(GATE)));
        }
    }

    tap_ok(rolled, "95.0%% of success does not roll back, one failure more "
           "does");
    tap_ok(few, "99 uploads never open a gate of 100, nor roll back");
    tap_ok(opened, "100 uploads without a failure open it, 200 with one do");
    tap_ok(window, "plain: 95.0%% in the window do not roll back, one failure "
           "more does");
    tap_ok(reviewed, "97.0%% in review's window is not reviewed, one failure "
           "more is");

    healthy(1);
    set_rate(&in.window, 1000, 1000);
    tap_ok(advances(), "sequential: the window does not roll back");

    /* success and error have limits of their own */

    for (n = 100; n < 400; n++) {
        healthy(0);
        set_rate(&in.stage, n, 0);

        conf.rb_success = 0;
        in.stage.success = n / 2;
        least = n / 20;
        in.stage.failure = least;
        either &= (decision().reason != G(STAGE));
        in.stage.failure = least + 1;
        either &= decides(G(STAGE), (double) (least + 1) * 1e6 / (double) n,
                          50000);

        healthy(0);
        set_rate(&in.stage, n, 0);
        conf.rb_error = 1000000;
        in.stage.success = n - least;
        either &= (decision().reason != G(STAGE));
        in.stage.success = n - least - 1;
        either &= decides(G(STAGE),
                          (double) (n - least - 1) * 1e6 / (double) n, 950000);
    }

    tap_ok(either, "too little success or too many errors are enough");

    healthy(0);
    conf.rb_min_uploads = 1001;
    break_stage();
    break_window();
    tap_ok(decision().reason == G(NOT_MET),
           "rollback's min_uploads is its own");

    healthy(0);
    conf.rb_min_uploads = 0;
    conf.min_uploads = 0;
    memset(&in.stage, 0, sizeof(in.stage));
    memset(&in.window, 0, sizeof(in.window));
    memset(&in.review, 0, sizeof(in.review));
    memset(&in.async, 0, sizeof(in.async));
    tap_ok(decides(G(NOT_MET), 0, 995000),
           "0 of 0 neither rolls back nor opens a gate");

    /* 2^43 uploads: a product with a million has 63 bits */

    healthy(0);
    set_rate(&in.stage, HUGE_RATE, HUGE_RATE / 20);
    rolled = (decision().reason == G(NOT_MET));
    set_rate(&in.stage, HUGE_RATE, HUGE_RATE / 20 + 1);
    rolled &= (decision().reason == G(STAGE));
    set_rate(&in.stage, HUGE_RATE, HUGE_RATE / 200);
    rolled &= (decision().reason == G(GATE));
    set_rate(&in.stage, HUGE_RATE, HUGE_RATE / 200 + 1);
    rolled &= (decision().reason == G(NOT_MET));
    set_rate(&in.stage, UINT64_MAX, UINT64_MAX / 20 + 1);
    rolled &= (decision().reason == G(STAGE));
    set_rate(&in.stage, UINT64_MAX, UINT64_MAX / 20);
    rolled &= (decision().reason == G(NOT_MET));
    tap_ok(rolled, "the limits are exact for any number of uploads");
}


/* each of the other limits, and just before it */

static void
test_limits(void)
{
    int  good;

    healthy(0);
    in.memory = 119 / 100.0;
    good = advances();
    in.memory = 120 / 100.0;
    good &= decides(G(MEMORY), 1.2, 1.2);
    in.memory = 0;
    good &= advances();
    in.memory = NAN;
    good &= advances();
    tap_ok(good, "memory rolls back from 120%% on, if it is known");

    healthy(0);
    in.run = 4;
    in.run_ms = 60 * MINUTE;
    good = advances();
    in.run = 5;
    in.run_ms = 0;
    good &= decides(G(RUN), 5, 5);
    in.run = 7;
    good &= decides(G(RUN), 7, 5);
    tap_ok(good, "plain: five failures in a row roll back at once");

    healthy(1);
    in.run = 4;
    in.run_ms = 60 * MINUTE;
    good = advances();
    in.run = 5;
    in.run_ms = 4999;
    good &= advances();
    in.run_ms = 5000;
    good &= decides(G(RUN), 5, 5);
    tap_ok(good, "sequential: five failures in a row must have lasted");

    healthy(0);
    in.turned = 2;
    in.turned_ms = 60 * MINUTE;
    good = advances();
    in.turned = 3;
    in.turned_ms = 4999;
    good &= advances();
    in.turned_ms = 5000;
    good &= decides(G(NO_LIVE_PEER), 5000, 5000);
    healthy(1);
    in.turned = 1000;
    in.turned_ms = 2000;
    good &= advances();
    in.turned_ms = 6000;
    good &= decides(G(NO_LIVE_PEER), 6000, 5000);
    tap_ok(good, "no live peer rolls back after 5 s and three uploads, a "
           "restart of 2 s does not");

    healthy(0);
    in.failures = 999;
    good = advances();
    in.failures = 1001;
    good &= decides(G(BUDGET), 1001, 1000);
    tap_ok(good, "a budget of 1000 failures is spent with the 1000th");

    healthy(0);
    in.review_ms = 30 * MINUTE - 1;
    good = advances();
    in.review_ms = 31 * MINUTE;
    good &= decides(G(UNATTENDED), 31 * MINUTE, 30 * MINUTE);
    tap_ok(good, "a review rolls back when nobody came for that long");

    healthy(0);
    break_success();
    in.stage_ms = conf.soak_ms = 30 * MINUTE - 1;
    good = advances();
    in.stage_ms = conf.soak_ms = 30 * MINUTE;
    good &= decides(G(SUCCESS), 969000, 970000);
    tap_ok(good, "success is not reviewed before the stage is that old");

    healthy(0);
    break_latency();
    conf.gate_latency = 0;
    in.slow_ms = 10 * MINUTE - 1;
    good = advances();
    in.slow_ms = 10 * MINUTE;
    good &= decides(G(LATENCY), 1.21, 1.2);
    in.latency_n = 99;
    good &= advances();
    in.latency_n = 100;
    good &= decides(G(LATENCY), 1.21, 1.2);
    in.latency = 120 / 100.0;
    good &= advances();
    in.latency = INFINITY;
    good &= (decision().reason == G(LATENCY));
    in.latency = NAN;
    good &= advances();
    tap_ok(good, "latency is reviewed if above 120%% for 10 minutes, of 100 "
           "successes");

    healthy(0);
    in.complaints = 2;
    good = advances();
    in.complaints = 4;
    good &= decides(G(COMPLAINTS), 4, 3);
    tap_ok(good, "complaints are reviewed from the third on");
}


static void
test_losses(void)
{
    int        good, gate, blind, few;
    uint64_t   n, lost, sync, limit;
    uint64_t  *of_async, *of_sync;
    unsigned   k;
    reason_e   bad, bad_blind;

    good = 1;
    gate = 1;
    blind = 1;
    few = 1;

    for (k = 0; k < 2; k++) {
        of_async = k ? &in.async.aborted : &in.async.rejected;
        of_sync = k ? &in.sync.aborted : &in.sync.rejected;
        bad = k ? G(ABORTED) : G(REJECTED);
        bad_blind = k ? G(ABORTED_BLIND) : G(REJECTED_BLIND);

        for (n = 100; n < 1000; n++) {
            for (sync = 0; sync <= 40; sync += 8) {

                healthy(n & 1);
                memset(&in.async, 0, sizeof(in.async));
                memset(&in.sync, 0, sizeof(in.sync));

                in.async.finished = n;
                in.sync.finished = 400;
                *of_sync = sync;

                /* lost / n - sync / 400 <= 1 / 20 */

                limit = n * (sync + 20) / 400;

                *of_async = limit;
                good &= (decision().verdict <= G(ADVANCE));
                *of_async = limit + 1;
                good &= decides(bad, (double) (limit + 1) * 1e6 / (double) n,
                                (double) sync * 1e6 / 400 + 50000);

                /* <= 1 / 200 */

                limit = n * (sync + 2) / 400;

                *of_async = limit;
                gate &= advances();
                *of_async = limit + 1;
                gate &= (decision().verdict
                         == ((limit + 1) * 400 > n * (sync + 20) ? G(ROLLBACK)
                                                                 : G(WAIT)));
            }

            /* lost / n <= 1 / 20; a reference of nothing is none */

            healthy(n & 1);
            memset(&in.async, 0, sizeof(in.async));
            memset(&in.sync, 0, sizeof(in.sync));
            in.reference = n >> 1 & 1;
            in.async.finished = n;

            for (lost = 0; lost <= n / 10; lost++) {
                *of_async = lost;

                if (lost * 20 > n) {
                    blind &= decides(bad_blind,
                                     (double) lost * 1e6 / (double) n, 50000);

                } else {
                    blind &= (decision().reason
                              == (lost * 200 > n ? G(NOT_MET) : G(GATE)));
                }
            }
        }

        for (n = 0; n < 100; n++) {
            healthy(0);
            memset(&in.async, 0, sizeof(in.async));
            in.async.finished = n;
            *of_async = n;

            few &= (decision().reason == G(NOT_MET));
            in.reference = 0;
            few &= (decision().reason == G(NOT_MET));
        }
    }

    tap_ok(good, "5 points more rejected or aborted than at sync do not roll "
           "back, one upload more does");
    tap_ok(gate, "0.5 points more open the gate, one upload more shuts it");
    tap_ok(blind, "without a reference more than 5%% are reviewed, more than "
           "0.5%% shut the gate");
    tap_ok(few, "fewer than 100 finished uploads only shut it");

    healthy(0);
    conf.min_uploads = 10;
    conf.rb_min_uploads = 1021;
    break_rejected();
    few = (decision().reason == G(NOT_MET));
    conf.rb_min_uploads = 1020;
    few &= (decision().reason == G(REJECTED));
    tap_ok(few, "the min_uploads of that are rollback's");

    healthy(0);
    memset(&in.async, 0, sizeof(in.async));
    memset(&in.sync, 0, sizeof(in.sync));
    in.async.finished = HUGE_RATE - 1;
    in.sync.finished = HUGE_RATE - 1;
    in.sync.rejected = HUGE_RATE / 2;
    in.async.rejected = HUGE_RATE / 2 + HUGE_RATE / 200 - 1;
    gate = advances();
    in.async.rejected = HUGE_RATE / 2 + HUGE_RATE / 200 + 1;
    gate &= (decision().reason == G(NOT_MET));
    in.async.rejected = HUGE_RATE / 2 + HUGE_RATE / 20 - 1;
    gate &= (decision().reason == G(NOT_MET));
    in.async.rejected = HUGE_RATE / 2 + HUGE_RATE / 20 + 1;
    gate &= (decision().reason == G(REJECTED));
    tap_ok(gate, "also for thousands of billions of uploads");
}


/* builds of async that hide their outage from the rates */

static void
test_hidden(void)
{
    int       good, advanced;
    uint64_t  n;
    unsigned  k;

    good = 1;
    advanced = 0;

    for (k = 0; k < 2; k++) {
        for (n = 0; n <= 1000; n++) {

            /* 403 to everything */

            healthy(k);
            set_rate(&in.stage, 0, 0);
            set_rate(&in.window, 0, 0);
            set_rate(&in.review, 0, 0);
            in.latency = 0;
            in.latency_n = 0;
            in.async.finished = n;
            in.async.rejected = n;

            advanced |= advances();
            good &= (decision().reason == (n < 100 ? G(FEW) : G(REJECTED)));

            in.reference = 0;

            advanced |= advances();
            good &= (decision().reason
                     == (n < 100 ? G(FEW) : G(REJECTED_BLIND)));

            /* 401 to 40% */

            healthy(k);
            set_rate(&in.stage, n - n * 2 / 5, 0);
            in.async.finished = n;
            in.async.rejected = n * 2 / 5;

            advanced |= advances();
            good &= (n < 100 || decision().reason == G(REJECTED));

            in.reference = 0;

            advanced |= advances();
            good &= (n < 100 || decision().reason == G(REJECTED_BLIND));

            /* nothing at all, to clients that leave after 5 s */

            healthy(k);
            set_rate(&in.stage, 0, 0);
            in.async.finished = n;
            in.async.rejected = 0;
            in.async.aborted = n;

            advanced |= advances();
            good &= (decision().reason == (n < 100 ? G(FEW) : G(ABORTED)));

            in.reference = 0;

            advanced |= advances();
            good &= (decision().reason
                     == (n < 100 ? G(FEW) : G(ABORTED_BLIND)));
        }
    }

    tap_ok(good, "who answers 403 to all, 401 to 40%%, or nothing, is rolled "
           "back or reviewed");
    tap_ok(!advanced, "and never advances");
}


static void
test_plain(void)
{
    int         good;
    unsigned    i;
    decision_t  d;

    static const double  odd[] = { 0, 19, 20, 1000, 1e9, INFINITY, NAN };

    good = 1;

    for (i = 0; i < ROUNDS; i++) {
        healthy(0);
        faults[tap_below(FAULTS)].handler();
        conf.gates = (uint32_t) tap_below(2);
        d = decision();

        in.success_verdict = (unsigned) tap_below(4);
        in.error_verdict = (unsigned) tap_below(4);
        in.worse = odd[tap_below(7)];
        in.slower = odd[tap_below(7)];
        in.missing = odd[tap_below(7)];
        in.rejected = odd[tap_below(7)];
        in.aborted = odd[tap_below(7)];
        in.repeated = tap_below(2000);
        in.two_arm = (uint32_t) tap_below(2);
        in.both = (uint32_t) tap_below(2);
        in.gate_slower = odd[tap_below(7)];
        in.proof = odd[tap_below(7)];
        conf.evidence = odd[tap_below(7)];
        conf.proof = odd[tap_below(7)];

        good &= decides(d.reason, d.value, d.limit);
    }

    tap_ok(good, "plain: no detector has a say");
}


static void
test_detectors(void)
{
    int       good;
    unsigned  i;

    static double *const  evidence[] = {
        &in.gate_slower, &in.worse, &in.slower, &in.missing, &in.rejected,
        &in.aborted
    };

    healthy(1);
    set_rate(&in.stage, 1000, 4);
    in.error_verdict = S(PENDING);
    good = decides(G(PENDING), 4000, 50000);
    in.error_verdict = S(REVIEW);
    good &= decides(G(ABOVE_ERROR), 4000, 5000);
    in.error_verdict = S(ROLLBACK);
    good &= decides(G(EVIDENCE_ERROR), 4000, 50000);

    in.error_verdict = S(NONE);
    in.success_verdict = S(PENDING);
    good &= decides(G(PENDING), 996000, 950000);
    in.success_verdict = S(REVIEW);
    good &= decides(G(BELOW_SUCCESS), 996000, 995000);
    in.success_verdict = S(ROLLBACK);
    good &= decides(G(EVIDENCE_SUCCESS), 996000, 950000);
    tap_ok(good, "a detector's verdict comes with the rate and its limit");

    good = 1;
    healthy(1);
    in.worse = 999.9;
    good &= advances();
    in.slower = 999.9;
    good &= advances();
    in.missing = 999.9;
    good &= advances();
    in.gate_slower = 999.9;
    good &= advances();
    in.rejected = 999.9;
    good &= advances();
    in.aborted = 999.9;
    good &= advances();
    tap_ok(good, "evidence of 999.9 is not 1000");

    healthy(1);
    in.aborted = 1100;
    good = decides(G(EVIDENCE_ABORTED), 1100, 1000);
    in.rejected = 1200;
    good &= decides(G(EVIDENCE_REJECTED), 1200, 1000);
    in.missing = 1500;
    good &= decides(G(MISSING), 1500, 1000);
    in.slower = 2000;
    good &= decides(G(SLOWER), 2000, 1000);
    in.worse = 3000;
    good &= decides(G(WORSE), 3000, 1000);
    tap_ok(good, "evidence is told");

    healthy(1);
    in.proof = NAN;
    good = (decision().reason == G(NOT_PROVEN));

    for (i = 0; i < sizeof(evidence) / sizeof(evidence[0]); i++) {
        healthy(1);
        *evidence[i] = NAN;
        good &= (decision().reason == G(NOT_MET));
    }

    tap_ok(good, "what is no number proves nothing and opens nothing");
}


/* failures that one identity has repeated */

static void
test_repeated(void)
{
    int         good;
    unsigned    i, n, failures, repeated;
    decision_t  d, e;

    healthy(1);
    set_rate(&in.stage, 1000, 200);
    in.repeated = 158;
    good = decides(G(FEW_IDENTITIES), 800000, 950000);
    in.repeated = 157;
    good &= decides(G(STAGE), 800e6 / 843, 950000);
    tap_ok(good, "what one identity has repeated does not roll back, it is "
           "reviewed");

    healthy(1);
    set_rate(&in.stage, 1000, 50);
    in.repeated = 50;
    d = decision();
    tap_ok(d.verdict == G(WAIT), "unless it breaks no limit");

    healthy(1);
    set_rate(&in.stage, 1000, 51);
    in.repeated = 51;
    conf.rollback = 0;
    d = decision();
    conf.sequential = 0;
    conf.rollback = 1;
    tap_ok(d.verdict == G(WAIT) && decision().reason == G(STAGE),
           "or there are no limits; plain: every failure counts");

    /* the net goes by what is left */

    good = 1;

    for (i = 0; i < ROUNDS; i++) {
        n = (unsigned) tap_below(400) + 1;
        failures = (unsigned) tap_below(n / 4 + 1);
        repeated = (unsigned) tap_below(failures + 1);

        healthy(1);
        conf.gates = 0;
        set_rate(&in.stage, n, failures);
        in.repeated = repeated;
        d = decision();

        set_rate(&in.stage, n - repeated, failures - repeated);
        in.repeated = 0;
        e = decision();

        good &= ((d.reason == G(STAGE)) == (e.reason == G(STAGE))
                 && d.verdict >= e.verdict);
    }

    tap_ok(good, "the limits are those of the rate without it");

    healthy(1);
    set_rate(&in.stage, 1000, 51);
    in.repeated = UINT64_MAX;
    tap_ok(decision().reason == G(FEW_IDENTITIES),
           "more cannot be repeated than have failed");
}


/* what async rejects and what is aborted there, beside a control */

static void
test_two_arm(void)
{
    int       good;
    unsigned  k;

    good = 1;

    for (k = 0; k < 2; k++) {
        healthy(1);
        in.two_arm = 1;
        in.async.rejected = k ? 20 : 72;
        in.async.aborted = k ? 52 : 0;
        good &= (decision().reason == G(NOT_MET));

        *(k ? &in.aborted : &in.rejected) = 999;
        good &= (decision().reason == G(NOT_MET));

        *(k ? &in.aborted : &in.rejected) = 1000;
        good &= (decision().reason == (k ? G(ABORTED) : G(REJECTED)));

        /* 5 points, and no more */

        in.async.rejected = k ? 20 : 71;
        in.async.aborted = k ? 51 : 0;
        good &= (decision().reason == (k ? G(EVIDENCE_ABORTED)
                                         : G(EVIDENCE_REJECTED)));

        /* of one kind there may be evidence, of the other points */

        in.async.rejected = k ? 72 : 20;
        in.async.aborted = k ? 0 : 52;
        good &= (decision().reason == (k ? G(EVIDENCE_ABORTED)
                                         : G(EVIDENCE_REJECTED)));

        conf.sequential = 0;
        good &= (decision().reason == (k ? G(REJECTED) : G(ABORTED)));
    }

    tap_ok(good, "beside a control 5 points more roll back with evidence, "
           "evidence alone is reviewed");
}


/* is the line open, and are these its figures? */

static int
line_is(unsigned i, int open, double need, double have)
{
    int         all, gate;
    line_t      lines[LINES];
    unsigned    k;
    decision_t  d;

    memset(lines, 0xff, sizeof(lines));

    gate = ngx_http_async_upload_gate_open(&conf, &in, lines);
    all = 1;

    for (k = 0; k < LINES; k++) {

        /* all lines are filled in, and all others are open */

        if (lines[k].on > 1 || lines[k].known > 1 || lines[k].open > 1
            || (k != i && lines[k].on && !lines[k].open))
        {
            tap_note("line %s is closed", line_names[k]);
            return 0;
        }

        all &= !lines[k].on || lines[k].open;
    }

    d = decision();

    if (lines[i].on && lines[i].known && lines[i].open == (unsigned) open
        && lines[i].need == need
        && fabs(lines[i].have - have) <= 1e-9 * fabs(have)
        && gate == all && gate == open
        && d.verdict == (open ? G(ADVANCE) : G(WAIT)))
    {
        return 1;
    }

    tap_note("line %s: expected open %d, need %g, have %g, got on %u, known "
             "%u, open %u, need %g, have %g", line_names[i], open, need, have,
             lines[i].on, lines[i].known, lines[i].open, lines[i].need,
             lines[i].have);

    return 0;
}


/* of this line the figure is not known: it is closed */

static int
line_unknown(unsigned i)
{
    line_t  lines[LINES];

    return !ngx_http_async_upload_gate_open(&conf, &in, lines)
           && lines[i].on && !lines[i].known && !lines[i].open
           && lines[i].have == 0 && !advances();
}


static int
line_off(unsigned i)
{
    line_t  lines[LINES];

    return ngx_http_async_upload_gate_open(&conf, &in, lines)
           && !lines[i].on && !lines[i].open && !lines[i].known
           && lines[i].need == 0 && lines[i].have == 0;
}


static void
test_gate(void)
{
    int       good;
    line_t    lines[LINES];
    unsigned  i, k;

    healthy(0);
    good = line_is(LINE(SOAK), 1, 60 * MINUTE, 60 * MINUTE);
    in.stage_ms--;
    good &= line_is(LINE(SOAK), 0, 60 * MINUTE, 60 * MINUTE - 1);
    good &= decides(G(NOT_MET), 60 * MINUTE - 1, 60 * MINUTE);
    conf.soak_ms = 0;
    good &= line_off(LINE(SOAK));
    tap_ok(good, "the gate opens once the soak is over");

    healthy(0);
    conf.gate_success = 0;
    conf.gate_error = 1000000;
    conf.rb_min_uploads = 400;
    set_rate(&in.stage, 99, 19);
    good = line_is(LINE(UPLOADS), 0, 100, 99);
    good &= decides(G(FEW), 99, 100);
    set_rate(&in.stage, 100, 20);
    good &= line_is(LINE(UPLOADS), 1, 100, 100);
    good &= decides(G(GATE), 100, 100);
    conf.rb_min_uploads = 50;
    set_rate(&in.stage, 99, 0);
    good &= line_is(LINE(UPLOADS), 0, 100, 99);
    tap_ok(good, "the gate opens with enough uploads, failed ones too");

    healthy(0);
    conf.gate_error = 1000000;
    set_rate(&in.stage, 200, 1);
    good = line_is(LINE(SUCCESS), 1, 995000, 995000);
    set_rate(&in.stage, 199, 1);
    good &= line_is(LINE(SUCCESS), 0, 995000, 198e6 / 199);
    good &= decides(G(NOT_MET), 198e6 / 199, 995000);
    conf.rollback = 0;
    set_rate(&in.stage, 100, 100);
    good &= line_is(LINE(SUCCESS), 0, 995000, 0);
    conf.min_uploads = 0;
    set_rate(&in.stage, 0, 0);
    good &= line_unknown(LINE(SUCCESS));
    tap_ok(good, "the gate opens at its rate of success, not below");

    healthy(0);
    conf.gate_success = 0;
    set_rate(&in.stage, 200, 1);
    good = line_is(LINE(ERROR), 1, 5000, 5000);
    set_rate(&in.stage, 199, 1);
    good &= line_is(LINE(ERROR), 0, 5000, 1e6 / 199);
    good &= decides(G(NOT_MET), 1e6 / 199, 5000);
    conf.rollback = 0;
    set_rate(&in.stage, 100, 100);
    good &= line_is(LINE(ERROR), 0, 5000, 1000000);
    conf.min_uploads = 0;
    set_rate(&in.stage, 0, 0);
    good &= line_unknown(LINE(ERROR));
    tap_ok(good, "the gate opens at its rate of errors, not above");

    healthy(0);
    in.latency = 110 / 100.0;
    in.latency_n = 100;
    good = line_is(LINE(LATENCY), 1, 1.1, 1.1);
    in.latency = 111 / 100.0;
    good &= line_is(LINE(LATENCY), 0, 1.1, 1.11);
    good &= decides(G(NOT_MET), 1.11, 1.1);
    in.latency = 1;
    in.latency_n = 99;
    good &= line_unknown(LINE(LATENCY));
    good &= decides(G(NOT_MET), 0, 1.1);
    conf.min_latency = 0;
    in.latency = 0;
    in.latency_n = 0;
    good &= line_unknown(LINE(LATENCY));
    in.latency = NAN;
    good &= line_unknown(LINE(LATENCY));
    conf.gate_latency = 0;
    good &= line_off(LINE(LATENCY));
    tap_ok(good, "the gate opens at 110%% of latency, if that is known");

    healthy(0);
    in.async.finished = 1000;
    in.sync.finished = 500;
    in.async.rejected = 25;
    in.sync.rejected = 10;
    good = line_is(LINE(REJECTED), 1, 5000, 5000);
    in.async.rejected = 26;
    good &= line_is(LINE(REJECTED), 0, 5000, 6000);
    good &= decides(G(NOT_MET), 6000, 5000);
    in.async.rejected = 0;
    good &= line_is(LINE(REJECTED), 1, 5000, -20000);
    in.reference = 0;
    in.async.rejected = 5;
    good &= line_is(LINE(REJECTED), 1, 5000, 5000);
    in.async.rejected = 6;
    good &= line_is(LINE(REJECTED), 0, 5000, 6000);
    in.async.finished = 0;
    in.async.rejected = 0;
    good &= line_unknown(LINE(REJECTED));
    tap_ok(good, "the gate tells how many points more are rejected");

    healthy(0);
    in.async.finished = 1000;
    in.sync.finished = 500;
    in.async.rejected = 0;
    in.sync.rejected = 0;
    in.async.aborted = 25;
    in.sync.aborted = 10;
    good = line_is(LINE(ABORTED), 1, 5000, 5000);
    in.async.aborted = 26;
    good &= line_is(LINE(ABORTED), 0, 5000, 6000);
    good &= decides(G(NOT_MET), 6000, 5000);
    in.reference = 0;
    in.async.aborted = 5;
    good &= line_is(LINE(ABORTED), 1, 5000, 5000);
    in.async.finished = 0;
    in.async.aborted = 0;
    good &= line_unknown(LINE(ABORTED));
    tap_ok(good, "the gate tells how many points more are aborted");

    healthy(1);
    conf.review = 0;
    conf.rollback = 0;
    in.worse = 1;
    in.slower = 2;
    in.missing = 3;
    in.gate_slower = 999;
    good = line_is(LINE(EVIDENCE), 1, 1000, 999);
    in.missing = 1000;
    good &= line_is(LINE(EVIDENCE), 0, 1000, 1000);
    in.slower = 1001;
    good &= line_is(LINE(EVIDENCE), 0, 1000, 1001);
    in.worse = 1002;
    good &= line_is(LINE(EVIDENCE), 0, 1000, 1002);
    in.gate_slower = 1003;
    good &= line_is(LINE(EVIDENCE), 0, 1000, 1003);

    for (i = S(PENDING); i <= S(ROLLBACK); i++) {
        healthy(1);
        conf.review = 0;
        conf.rollback = 0;
        in.success_verdict = i;
        good &= line_is(LINE(EVIDENCE), 0, 1000, 1000);
        in.worse = 5000;
        good &= line_is(LINE(EVIDENCE), 0, 1000, 5000);
        in.worse = 0;
        in.success_verdict = S(NONE);
        in.error_verdict = i;
        good &= line_is(LINE(EVIDENCE), 0, 1000, 1000);
    }

    healthy(0);
    in.gate_slower = 1000;
    good &= line_off(LINE(EVIDENCE));
    tap_ok(good, "sequential: evidence shuts the gate, also where there is no "
           "review");

    healthy(1);
    good = line_is(LINE(PROOF), 1, 20, 20);
    in.proof = 19.5;
    good &= line_is(LINE(PROOF), 0, 20, 19.5);
    conf.proof = 0;
    good &= line_off(LINE(PROOF));
    healthy(0);
    in.proof = 0;
    good &= line_off(LINE(PROOF));
    tap_ok(good, "sequential: the gate asks for a proof");

    good = 1;

    for (i = 0; i < FAULTS; i++) {
        healthy_for(faults[i].needs);
        faults[i].handler();
        conf.gates = 0;
        memset(lines, 0xff, sizeof(lines));
        good &= !ngx_http_async_upload_gate_open(&conf, &in, lines);

        for (k = 0; k < LINES; k++) {
            good &= !lines[k].on && !lines[k].open;
        }
    }

    tap_ok(good, "where there is no gate it has no lines and is not open");
}


/* an upload that fails instead of succeeding makes nothing better */

static void
test_monotone(void)
{
    int         good, graver;
    uint64_t    n, f;
    unsigned    i;
    verdict_e   last;
    decision_t  d;
    line_t      lines[LINES];

    /* ADVANCE, WAIT, REVIEW, ROLLBACK */

    static const unsigned  gravity[] = { 1, 0, 2, 3 };

    graver = 1;
    good = 1;

    for (i = 0; i < ROUNDS / 100; i++) {
        healthy((int) tap_below(2));
        n = 1 + tap_below(2000);
        last = G(ADVANCE);

        conf.rb_success = (uint32_t) tap_below(1000001);
        conf.rb_error = (uint32_t) tap_below(1000001);
        conf.rv_success = (uint32_t) tap_below(1000001);
        conf.gate_success = (uint32_t) tap_below(1000001);
        conf.gate_error = (uint32_t) tap_below(1000001);
        conf.rb_min_uploads = tap_below(500);
        conf.min_uploads = tap_below(500);

        for (f = 0; f <= n; f += 1 + tap_below(10)) {
            set_rate(&in.stage, n, f);
            set_rate(&in.window, n, f);
            set_rate(&in.review, n, f);

            d = decision();
            graver &= (gravity[d.verdict] >= gravity[last]);
            last = d.verdict;

            /* who advances has an open gate */

            good &= (d.verdict != G(ADVANCE)
                     || ngx_http_async_upload_gate_open(&conf, &in, lines));
            good &= (d.verdict != G(WAIT)
                     || !ngx_http_async_upload_gate_open(&conf, &in, lines));
        }
    }

    tap_ok(graver, "one failure more never leads to a milder decision");
    tap_ok(good, "an open gate advances, unless something worse is decided");
}


int
main(void)
{
    test_names();
    test_order();
    test_off();
    test_literal();
    test_limits();
    test_losses();
    test_hidden();
    test_plain();
    test_detectors();
    test_repeated();
    test_two_arm();
    test_gate();
    test_monotone();

    return tap_done();
}
