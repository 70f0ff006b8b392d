
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * simulate [--runs=N] [--seed=N] [--scenario=NAME,..] [--jobs=N] [--values]
 *          [--source=TEXT]
 *
 * Runs scenarios and prints a table; with --values what each run came to, for a
 * test to judge.  The results depend on runs, seed and scenario alone, not on
 * how many processes share the work.
 */


#define _GNU_SOURCE

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ngx_http_async_upload_guard.h"
#include "simulate.h"


#define RUNS      1000
#define MOST      1000000
#define SEED      20251124
#define JOBS      64
#define SCENARIOS 64
#define CELL      48


typedef struct {
    unsigned     runs;
    unsigned     jobs;
    unsigned     values;
    uint64_t     seed;
    const char  *source;
    unsigned     chosen[SCENARIOS];
    unsigned     n;
} options_t;


/* the columns, each an outcome */

static const struct {
    const char  *name;
    const char  *title;
    size_t       offset;
} columns[] = {
    { "rollback", "rolled back", offsetof(outcome_t, rollback) },
    { "review", "reviewed", offsetof(outcome_t, review) },
    { "shut", "gate shut", offsetof(outcome_t, shut) },
    { "plain_rollback", "plain: rolled back",
      offsetof(outcome_t, plain_rollback) },
    { "plain_review", "plain: reviewed", offsetof(outcome_t, plain_review) }
};

#define COLUMNS  (sizeof(columns) / sizeof(columns[0]))


static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "simulate: ");

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fprintf(stderr, "\n");

    exit(2);
}


static uint64_t
number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char                *end;
    unsigned long long   n;

    n = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || n < least || n > most) {
        die("invalid value \"%s\" of %s", text, option);
    }

    return n;
}


static void
choose(options_t *o, char *names)
{
    char      *name, *rest;
    unsigned   i;

    for (name = strtok_r(names, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest))
    {
        for (i = 0; i < scenarios_n; i++) {
            if (strcmp(scenarios[i].name, name) == 0) {
                break;
            }
        }

        if (i == scenarios_n) {
            die("no scenario \"%s\"", name);
        }

        if (o->n == SCENARIOS) {
            die("too many scenarios");
        }

        o->chosen[o->n++] = i;
    }
}


static void
parse(options_t *o, int argc, char **argv)
{
    int    i;
    char  *value;
    long   cpus;

    memset(o, 0, sizeof(options_t));

    cpus = sysconf(_SC_NPROCESSORS_ONLN);

    o->runs = RUNS;
    o->seed = SEED;
    o->jobs = (cpus < 1) ? 1 : (cpus > JOBS) ? JOBS : (unsigned) cpus;

    for (i = 1; i < argc; i++) {
        value = strchr(argv[i], '=');
        value = value ? value + 1 : argv[i] + strlen(argv[i]);

        if (strncmp(argv[i], "--runs=", 7) == 0) {
            o->runs = (unsigned) number("--runs", value, 1, MOST);

        } else if (strncmp(argv[i], "--seed=", 7) == 0) {
            o->seed = number("--seed", value, 0, UINT64_MAX);

        } else if (strncmp(argv[i], "--jobs=", 7) == 0) {
            o->jobs = (unsigned) number("--jobs", value, 1, JOBS);

        } else if (strncmp(argv[i], "--scenario=", 11) == 0) {
            choose(o, value);

        } else if (strncmp(argv[i], "--source=", 9) == 0) {
            o->source = value;

        } else if (strcmp(argv[i], "--values") == 0) {
            o->values = 1;

        } else {
            die("invalid argument \"%s\"", argv[i]);
        }
    }

    if (o->n == 0) {
        for ( /* void */ ; o->n < scenarios_n; o->n++) {
            o->chosen[o->n] = o->n;
        }
    }
}


/* every job has its part of the runs of each scenario */

static void
work(const options_t *o, unsigned job, outcome_t *outcomes)
{
    random_t  rnd;
    unsigned  i, run;

    for (i = 0; i < o->n; i++) {
        for (run = job; run < o->runs; run += o->jobs) {
            random_seed(&rnd, o->seed, o->chosen[i], run);
            run_scenario(&scenarios[o->chosen[i]], &rnd,
                         &outcomes[(size_t) i * o->runs + run]);
        }
    }
}


static void
work_all(const options_t *o, outcome_t *outcomes)
{
    int       status;
    pid_t     pids[JOBS];
    unsigned  i;

    fflush(stdout);

    for (i = 0; i < o->jobs; i++) {
        pids[i] = fork();

        if (pids[i] == -1) {
            die("fork() failed");
        }

        if (pids[i] == 0) {
            work(o, i, outcomes);
            _exit(0);
        }
    }

    for (i = 0; i < o->jobs; i++) {
        if (waitpid(pids[i], &status, 0) != pids[i]) {
            die("waitpid() failed");
        }

        if (WIFSIGNALED(status)) {
            die("a process was ended by signal %d", WTERMSIG(status));
        }
    }
}


static int
order(const void *a, const void *b)
{
    uint32_t  x, y;

    x = *(const uint32_t *) a;
    y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}


/*
 * What has happened in one column of a scenario's runs, in ascending order;
 * what has not comes last, as UINT32_MAX.
 */

static unsigned
collect(const options_t *o, const outcome_t *outcomes, unsigned column,
    uint32_t *values)
{
    uint32_t  value;
    unsigned  i, n;

    n = 0;

    for (i = 0; i < o->runs; i++) {
        value = *(const uint32_t *) (const void *)
                ((const char *) &outcomes[i] + columns[column].offset);

        n += (value != 0);
        values[i] = value ? value : UINT32_MAX;
    }

    qsort(values, o->runs, sizeof(uint32_t), order);

    return n;
}


static void
cell(const options_t *o, const uint32_t *values, unsigned n, char *text)
{
    int       len;
    uint32_t  median, most;

    if (n == 0) {
        snprintf(text, CELL, "0");
        return;
    }

    if (n == o->runs) {
        len = snprintf(text, CELL, "all");

    } else {
        len = snprintf(text, CELL, "%.4g", (double) n / o->runs);
    }

    /* of all runs: the median is known if it happened in half of them */

    median = values[(o->runs - 1) / 2];
    most = values[(o->runs * 9 + 9) / 10 - 1];

    if (median == UINT32_MAX) {
        return;
    }

    if (most == UINT32_MAX) {
        snprintf(text + len, CELL - (size_t) len, "  %u / -", median);

    } else {
        snprintf(text + len, CELL - (size_t) len, "  %u / %u", median, most);
    }
}


/* for what reason the most of them were decided on */

static const char *
reason(const options_t *o, const outcome_t *outcomes)
{
    unsigned  i, most, seen[NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS];

    memset(seen, 0, sizeof(seen));

    for (i = 0; i < o->runs; i++) {
        seen[outcomes[i].reason]++;
    }

    seen[NGX_HTTP_ASYNC_UPLOAD_GUARD_NONE] = 0;
    most = NGX_HTTP_ASYNC_UPLOAD_GUARD_NONE;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_GUARD_REASONS; i++) {
        most = (seen[i] > seen[most]) ? i : most;
    }

    return seen[most] ? ngx_http_async_upload_guard_names[most] : "";
}


static void
print_table(const options_t *o, const outcome_t *outcomes, uint32_t *values)
{
    char              text[CELL];
    unsigned          i, k, n;
    const outcome_t  *from;

    printf("%-34s", "");

    for (k = 0; k < COLUMNS; k++) {
        printf("  %-18s", columns[k].title);
    }

    printf("  mostly by\n");

    for (i = 0; i < o->n; i++) {
        from = &outcomes[(size_t) i * o->runs];

        printf("%-34s", scenarios[o->chosen[i]].title);

        for (k = 0; k < COLUMNS; k++) {
            n = collect(o, from, k, values);
            cell(o, values, n, text);
            printf("  %-18s", text);
        }

        printf("  %s\n", reason(o, from));
    }
}


static void
print_values(const options_t *o, const outcome_t *outcomes, uint32_t *values)
{
    unsigned          i, k, n, run;
    const outcome_t  *from;

    for (i = 0; i < o->n; i++) {
        from = &outcomes[(size_t) i * o->runs];

        for (k = 0; k < COLUMNS; k++) {
            n = collect(o, from, k, values);

            printf("%s %s %u", scenarios[o->chosen[i]].name, columns[k].name,
                   o->runs);

            for (run = 0; run < n; run++) {
                printf(" %u", values[run]);
            }

            printf("\n");
        }

        printf("%s reason %u", scenarios[o->chosen[i]].name, o->runs);

        for (run = 0; run < o->runs; run++) {
            printf(" %s", ngx_http_async_upload_guard_names[from[run].reason]);
        }

        printf("\n");
    }
}


int
main(int argc, char **argv)
{
    size_t      size;
    uint32_t   *values;
    options_t   o;
    outcome_t  *outcomes;

    parse(&o, argc, argv);

    size = (size_t) o.n * o.runs * sizeof(outcome_t);

    outcomes = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
                    -1, 0);
    values = malloc(o.runs * sizeof(uint32_t));

    if (outcomes == MAP_FAILED || values == NULL) {
        die("out of memory");
    }

    random_init();
    work_all(&o, outcomes);

    if (o.values) {
        print_values(&o, outcomes, values);

    } else {
        printf("%u runs each, seed %llu%s%s\n", o.runs,
               (unsigned long long) o.seed, o.source ? ", " : "",
               o.source ? o.source : "");
        printf("part of the runs, median / p90 of async's uploads until "
               "then\n\n");

        print_table(&o, outcomes, values);
    }

    free(values);

    return 0;
}
