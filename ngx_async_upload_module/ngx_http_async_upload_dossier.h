
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


/*
 * All that a decision was made of, as JSON: the rules, what was seen, and what
 * was decided.  Whoever reads it can decide again.
 *
 * The unit knows the names of what is decided by.  It must not know where a
 * dossier is kept, what a journal is, or nginx.
 *
 *   {"version": 1, "verdict": "rollback", "reason": "consecutive",
 *    "value": 5, "limit": 5, "rules": {"run": 5, ..}, "seen": {"run": 5, ..}}
 *
 * What is 0 is left out, and what is left out is 0.  Names are never used anew
 * for something else; a field that older dossiers lack has to mean, at 0, what
 * was decided by then.
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_DOSSIER_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_DOSSIER_H_INCLUDED_


#include <stddef.h>
#include "ngx_http_async_upload_guard.h"
#include "ngx_http_async_upload_json.h"


#define NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERSION  1

/* the most bytes that one takes, without its key */

#define NGX_HTTP_ASYNC_UPLOAD_DOSSIER_SIZE     4096

/* significant digits of a number that is no integer */

#define NGX_HTTP_ASYNC_UPLOAD_DOSSIER_DIGITS   15


typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_DOSSIER_COUNT = 0,    /* uint64_t */
    NGX_HTTP_ASYNC_UPLOAD_DOSSIER_WORD,         /* uint32_t */
    NGX_HTTP_ASYNC_UPLOAD_DOSSIER_REAL,         /* double */
    NGX_HTTP_ASYNC_UPLOAD_DOSSIER_VERDICT       /* ..._stats_verdict_e */
} ngx_http_async_upload_dossier_type_e;


/* a number of the rules, or of what was seen; by these a reader finds it */

typedef struct {
    const char  *name;                          /* NULL: there are no more */
    unsigned     type;                          /* ..._dossier_type_e */
    size_t       offset;
} ngx_http_async_upload_dossier_field_t;


/* of guard_conf_t and of guard_input_t */
extern const ngx_http_async_upload_dossier_field_t
    ngx_http_async_upload_dossier_rules[];
extern const ngx_http_async_upload_dossier_field_t
    ngx_http_async_upload_dossier_seen[];


/*
 * Writes a dossier as an object, with at most DOSSIER_SIZE bytes and its key.
 *
 * What is no finite number is written as null; nobody can decide by it again.
 *
 * Context: any process.
 */
void ngx_http_async_upload_dossier_write(ngx_http_async_upload_json_t *w,
    const char *key, const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    const ngx_http_async_upload_guard_decision_t *decision);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_DOSSIER_H_INCLUDED_ */
