
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * dossier [write N]: tests, or writes a journal of N decisions at random for
 * another test.
 */


#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"
#include "tap.h"


#define COUNT    NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT
#define WORD     NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD
#define REAL     NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL
#define VERDICT  NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERDICT
#define SIZE     NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SIZE
#define REASONS  NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS

#define ROUNDS   20000


typedef ngx_http_async_upload_guard_conf_t      conf_t;
typedef ngx_http_async_upload_guard_input_t     input_t;
typedef ngx_http_async_upload_guard_decision_t  decision_t;
typedef ngx_http_async_upload_dossier_field_t   field_t;
typedef ngx_http_async_upload_json_t            json_writer_t;


#define rules_of  ngx_http_async_upload_dossier_rules
#define seen_of   ngx_http_async_upload_dossier_seen


static conf_t      conf;
static input_t     in;
static decision_t  decision;


/* numbers at random, many of which meet a limit */

static uint64_t
some_count(void)
{
    static const uint64_t  odd[] = {
        0, 1, 3, 5, 99, 100, 101, 5000, 50000, 995000, 1000000, 1800000,
        UINT32_MAX, UINT64_C(100000000000)
    };

    return tap_below(3) ? odd[tap_below(sizeof(odd) / sizeof(odd[0]))]
                        : tap_below(10000);
}


static double
some_real(void)
{
    static const double  odd[] = {
        0, 1, 1.1, 1.2, 1.21, 20, 1000, 1e9, 0.041, 1 / 3.0, 2.0 / 3, 1e-300,
        1e300
    };

    return tap_below(2) ? odd[tap_below(sizeof(odd) / sizeof(odd[0]))]
                        : exp((double) tap_below(4000) / 100 - 20);
}


/* one field of so many is not 0 */

static void
randomize(const field_t *field, void *to, unsigned few)
{
    void                                   *place;
    ngx_http_async_upload_stats_verdict_e   verdict;

    for ( /* void */ ; field->name; field++) {
        place = (char *) to + field->offset;

        switch (field->type) {

        case COUNT:
            *(uint64_t *) place = tap_below(few) ? 0 : some_count();
            break;

        case WORD:
            *(uint32_t *) place = tap_below(2)
                                  ? (uint32_t) tap_below(2)
                                  : (uint32_t) (some_count() & UINT32_MAX);
            break;

        case VERDICT:
            verdict = tap_below(few) ? NGX_HTTP_ASYNC_UPLOAD_STATS_NONE
                      : (ngx_http_async_upload_stats_verdict_e) tap_below(4);
            memcpy(place, &verdict, sizeof(verdict));
            break;

        default:
            *(double *) place = tap_below(few) ? 0 : some_real();
        }
    }
}


static void
decide(void)
{
    memset(&decision, 0, sizeof(decision_t));
    ngx_http_async_upload_guard_decide(&conf, &in, &decision);
}


static void
something(void)
{
    memset(&conf, 0, sizeof(conf_t));
    memset(&in, 0, sizeof(input_t));

    randomize(rules_of, &conf, 2);
    randomize(seen_of, &in, (unsigned) tap_below(30) + 1);

    if (tap_below(2)) {
        conf.sequential = 1;
        conf.evidence = 1000;
        conf.review = 1;
        in.stage.uploads = in.stage.success + in.stage.failure;
    }

    decide();
}


static size_t
write_dossier(char *text, size_t size)
{
    json_writer_t  w;
    size_t         len;

    ngx_http_async_upload_json_init(&w, (unsigned char *) text, size, NULL,
                                    NULL);
    ngx_http_async_upload_dossier_write(&w, NULL, &conf, &in, &decision);

    len = ngx_http_async_upload_json_done(&w);

    return w.failed ? 0 : len;
}


/* are both the same, but for digits that were not written? */

static int
same(const field_t *field, const void *a, const void *b)
{
    double       x, y;
    const void  *p, *q;

    for ( /* void */ ; field->name; field++) {
        p = (const char *) a + field->offset;
        q = (const char *) b + field->offset;

        if (field->type == REAL) {
            x = *(const double *) p;
            y = *(const double *) q;

            if (!(fabs(x - y) <= 1e-14 * fabs(x))) {
                tap_note("%s: %.17g and %.17g", field->name, x, y);
                return 0;
            }

        } else if (memcmp(p, q, field->type == COUNT ? sizeof(uint64_t)
                                : field->type == WORD ? sizeof(uint32_t)
                                : sizeof(ngx_http_async_upload_stats_verdict_e))
                   != 0)
        {
            tap_note("%s differs", field->name);
            return 0;
        }
    }

    return 1;
}


static void
test_round(void)
{
    int          read, kept, again, reasons[REASONS];
    char         text[SIZE];
    size_t       len, most;
    json_t      *json;
    unsigned     i, n;
    dossier_t    d;
    const char  *error;
    decision_t   now;

    read = 1;
    kept = 1;
    again = 1;
    most = 0;
    memset(reasons, 0, sizeof(reasons));

    for (i = 0; i < ROUNDS; i++) {
        something();
        reasons[decision.reason]++;

        len = write_dossier(text, sizeof(text));
        most = (len > most) ? len : most;

        json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        error = json ? read_dossier(json, &d) : "no JSON";

        if (error) {
            tap_note("%s: %.*s", error, (int) len, text);
            read = 0;
            break;
        }

        json_decref(json);

        kept &= same(rules_of, &conf, &d.conf) && same(seen_of, &in, &d.in);
        again &= decide_again(&d, &now)
                 && d.decision.verdict == decision.verdict
                 && d.decision.reason == decision.reason;
    }

    n = 0;

    for (i = 0; i < REASONS; i++) {
        n += (reasons[i] != 0);
    }

    tap_ok(read, "what is written can be read, in up to %u bytes",
           (unsigned) most);
    tap_ok(kept, "nothing of the rules and of what was seen is lost");
    tap_ok(again && n >= 25, "the same is decided again, for %u reasons", n);
}


/* a field that is forgotten would be 0 for ever */

static void
test_complete(void)
{
    size_t          size, pad;
    unsigned        k;
    const field_t  *field, *last;

    for (k = 0; k < 2; k++) {
        size = 0;
        last = NULL;

        for (field = k ? seen_of : rules_of; field->name; field++) {
            pad = (field->type == COUNT || field->type == REAL) ? 8 : 4;
            size = (size + pad - 1) / pad * pad;

            if (size != field->offset) {
                tap_note("between %s and %s", last ? last->name : "the start",
                         field->name);
                break;
            }

            size += pad;
            last = field;
        }

        tap_ok(field->name == NULL
               && (size + 7) / 8 * 8 == (k ? sizeof(input_t) : sizeof(conf_t)),
               "%s has all there is", k ? "what was seen" : "what are rules");
    }
}


static void
test_size(void)
{
    char            text[SIZE + 1];
    size_t          len;
    unsigned        k;
    const field_t  *field;
    void           *place;

    for (k = 0; k < 2; k++) {
        for (field = k ? seen_of : rules_of; field->name; field++) {
            place = (k ? (char *) &in : (char *) &conf) + field->offset;

            if (field->type == COUNT) {
                *(uint64_t *) place = UINT64_MAX;

            } else if (field->type == WORD) {
                *(uint32_t *) place = UINT32_MAX;

            } else if (field->type == REAL) {
                *(double *) place = -1.23456789012345e-300;
            }
        }
    }

    decision.reason = NGX_HTTP_ASYNC_UPLOAD_GUARD_BELOW_SUCCESS;
    decision.verdict = NGX_HTTP_ASYNC_UPLOAD_GUARD_ROLLBACK;
    decision.value = -1.23456789012345e-300;
    decision.limit = -1.23456789012345e-300;

    len = write_dossier(text, sizeof(text));

    tap_ok(len != 0 && len < SIZE, "the largest one has %u bytes",
           (unsigned) len);

    memset(&conf, 0, sizeof(conf_t));
    memset(&in, 0, sizeof(input_t));
    decide();

    len = write_dossier(text, sizeof(text));
    text[len] = '\0';

    tap_ok(strcmp(text, "{\"version\":1,\"verdict\":\"wait\","
                        "\"reason\":\"none\",\"rules\":{},\"seen\":{}}") == 0,
           "what is 0 is not written");
}


static void
test_foreign(void)
{
    int                 good;
    json_t             *json;
    unsigned            i;
    dossier_t           d;
    const char         *error;

    static const struct {
        const char     *text;
        const char     *error;
    } table[] = {
        { "[]", "it is of another version" },
        { "{\"version\":2}", "it is of another version" },
        { "{\"version\":1,\"verdict\":\"maybe\",\"reason\":\"none\"}",
          "its verdict or reason is unknown" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"luck\"}",
          "its verdict or reason is unknown" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"none\"}",
          "there are no rules" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"none\","
          "\"rules\":{}}", "there are no seen" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"none\","
          "\"rules\":{\"luck\":1},\"seen\":{}}", "unknown \"luck\" of rules" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"none\","
          "\"rules\":{},\"seen\":{\"run\":-1}}", "\"run\" of seen is no count" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"none\","
          "\"rules\":{},\"seen\":{\"run\":1.5}}",
          "\"run\" of seen is no count" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"none\","
          "\"rules\":{},\"seen\":{\"worse\":null}}",
          "\"worse\" of seen is no number" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"none\","
          "\"rules\":{\"gates\":4294967296},\"seen\":{}}",
          "\"gates\" of rules is too large" },
        { "{\"version\":1,\"verdict\":\"wait\",\"reason\":\"none\","
          "\"rules\":{},\"seen\":{\"error_verdict\":4}}",
          "\"error_verdict\" of seen is too large" }
    };

    good = 1;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        json = json_loads(table[i].text, 0, NULL);
        error = read_dossier(json, &d);

        if (error == NULL || strcmp(error, table[i].error) != 0) {
            tap_note("%s: %s", table[i].text, error ? error : "-");
            good = 0;
        }

        json_decref(json);
    }

    tap_ok(good, "what cannot be decided by again is told");
}


/* a journal, with an event that was no decision after each third one */

static int
write_journal(unsigned n)
{
    char      text[SIZE];
    size_t    len;
    unsigned  i;

    for (i = 0; i < n; i++) {
        something();

        len = write_dossier(text, sizeof(text));

        printf("{\"time\":\"2026-11-25T00:00:%02u.000Z\",\"sequence\":%u,"
               "\"rollout\":\"uploads\",\"event\":\"%s\",\"record\":%.*s}\n",
               i % 60, i + 1,
               ngx_http_async_upload_guard_verdicts[decision.verdict],
               (int) len, text);

        if (i % 3 == 2) {
            printf("{\"time\":\"2026-11-25T00:00:%02u.000Z\","
                   "\"rollout\":\"uploads\",\"event\":\"pause\"}\n", i % 60);
        }
    }

    return 0;
}


int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "write") == 0) {
        return write_journal((unsigned) atoi(argv[2]));
    }

    test_round();
    test_complete();
    test_size();
    test_foreign();

    return tap_done();
}
