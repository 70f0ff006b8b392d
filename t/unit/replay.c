
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * replay JOURNAL: decides again by the dossiers of a journal, and says of each
 * whether the same is decided.
 *
 * Exits with 0 if everywhere, with 1 if not, and with 2 if there is none that
 * can be decided by.
 */


#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"


typedef struct {
    unsigned  line;
    unsigned  same;
    unsigned  differ;
    unsigned  unknown;      /* cannot be decided by */
    unsigned  without;      /* events that were no decision by rules */
    unsigned  broken;       /* no JSON: cut short */
} total_t;


static const char *
text_of(const json_t *event, const char *name)
{
    const char  *text;

    text = json_string_value(json_object_get(event, name));

    return text ? text : "-";
}


static void
print_decision(const ngx_http_async_upload_guard_decision_t *d)
{
    printf("%s, %s (%.15g, limit %.15g)",
           ngx_http_async_upload_guard_verdicts[d->verdict],
           ngx_http_async_upload_guard_names[d->reason], d->value, d->limit);
}


static void
replay(const json_t *event, const json_t *from, total_t *total)
{
    const char                              *error;
    dossier_t                                d;
    ngx_http_async_upload_guard_decision_t   again;

    printf("%u: %s %s %s, ", total->line, text_of(event, "time"),
           text_of(event, "rollout"), text_of(event, "event"));

    error = read_dossier(from, &d);

    if (error) {
        printf("cannot be decided again: %s\n", error);
        total->unknown++;
        return;
    }

    print_decision(&d.decision);

    if (decide_again(&d, &again)) {
        printf(": the same\n");
        total->same++;
        return;
    }

    printf(": now ");
    print_decision(&again);
    printf("\n");
    total->differ++;
}


static void
read_line(const char *line, size_t len, total_t *total)
{
    json_t  *event, *from;

    total->line++;

    while (len != 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) {
        len--;
    }

    if (len == 0) {
        return;
    }

    event = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(event)) {
        printf("%u: no event, or cut short\n", total->line);
        total->broken++;

    } else {
        from = json_object_get(event, "record");

        if (from) {
            replay(event, from, total);

        } else {
            total->without++;
        }
    }

    json_decref(event);
}


int
main(int argc, char **argv)
{
    FILE     *file;
    char     *line;
    size_t    size;
    ssize_t   len;
    total_t   total;

    if (argc != 2) {
        fprintf(stderr, "replay: one journal is needed\n");
        return 2;
    }

    file = fopen(argv[1], "r");

    if (file == NULL) {
        fprintf(stderr, "replay: %s: %s\n", argv[1], strerror(errno));
        return 2;
    }

    memset(&total, 0, sizeof(total_t));

    line = NULL;
    size = 0;

    for ( ;; ) {
        errno = 0;
        len = getline(&line, &size, file);

        if (len == -1) {
            break;
        }

        read_line(line, (size_t) len, &total);
    }

    if (ferror(file)) {
        fprintf(stderr, "replay: %s: %s\n", argv[1], strerror(errno));
        return 2;
    }

    free(line);
    fclose(file);

    printf("%u decided the same, %u differently, %u cannot be decided again; "
           "%u other events, %u lines that are none\n", total.same,
           total.differ, total.unknown, total.without, total.broken);

    if (total.same + total.differ == 0) {
        fprintf(stderr, "replay: %s: there is nothing to decide again\n",
                argv[1]);
        return 2;
    }

    return total.differ != 0 || total.unknown != 0;
}
