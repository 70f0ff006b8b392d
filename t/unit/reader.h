
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * Reads a dossier, and decides by it again.
 */


#ifndef READER_H_INCLUDED
#define READER_H_INCLUDED


#include <jansson.h>

#include "ngx_http_async_upload_dossier.h"


typedef struct {
    ngx_http_async_upload_guard_conf_t      conf;
    ngx_http_async_upload_guard_input_t     in;
    ngx_http_async_upload_guard_decision_t  decision;   /* as it was made */
} dossier_t;


/*
 * Reads a dossier.
 *
 * Returns: NULL, or why it cannot be decided by again: a text that lasts until
 *          the next call.
 */
const char *read_dossier(const json_t *from, dossier_t *dossier);

/*
 * Decides again.
 *
 * Returns: 1 if the same is decided, for the same reason and figures.
 */
int decide_again(const dossier_t *dossier,
    ngx_http_async_upload_guard_decision_t *decision);


#endif /* READER_H_INCLUDED */
