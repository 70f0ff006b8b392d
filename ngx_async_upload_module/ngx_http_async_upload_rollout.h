
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#ifndef _NGX_HTTP_ASYNC_UPLOAD_ROLLOUT_H_INCLUDED_
#define _NGX_HTTP_ASYNC_UPLOAD_ROLLOUT_H_INCLUDED_


/*
 * The state machine: what each command makes of a state word, in each state.
 * It knows states, stages and what must not be; it knows nothing of HTTP, nor
 * of how a change becomes true and known.
 */


#include "ngx_http_async_upload_change.h"
#include "ngx_http_async_upload_look.h"
#include "ngx_http_async_upload_zone.h"


/*
 * A command with its parameters; the control checks the syntax, that a
 * parameter belongs to the command and its range as a number.
 */

typedef struct {
    ngx_uint_t                       command;
    ngx_int_t                        stage;         /* from 1; 0: not given */
    ngx_int_t                        share;         /* bp; -1: not given */
    ngx_uint_t                       force;
    ngx_int_t                        if_epoch;      /* -1: not given */
    ngx_int_t                        complaints;    /* -1: not given */
    ngx_int_t                        memory;        /* percent; -1 */
    ngx_int_t                        critical;      /* 1; -1 */
    ngx_str_t                        who;           /* for the journal */
    ngx_str_t                        why;
} ngx_http_async_upload_order_t;


/* what became of it */

typedef struct {
    ngx_uint_t                       status;        /* 200, 400, 409, 500 */
    const char                      *error;         /* NULL: none */
    u_char                           description[256];  /* with a null */
    ngx_uint_t                       changed;       /* 0: a no-op */
    ngx_http_async_upload_word_t     word;          /* as it is now */
    uint64_t                         seq;           /* of its event; 0: none */
} ngx_http_async_upload_answer_t;


/*
 * A command on its way: what it was given, what was seen, and the word and the
 * event that it makes of it.  "more" is called once the word is changed, with
 * this for its data.
 */

typedef struct {
    ngx_http_async_upload_rollout_t    *rollout;
    ngx_http_async_upload_order_t      *order;
    ngx_http_async_upload_answer_t     *answer;
    ngx_http_async_upload_look_t       *look;
    ngx_http_async_upload_word_t        now;
    ngx_http_async_upload_event_sh_t    event;
    ngx_http_async_upload_change_pt     more;
} ngx_http_async_upload_doing_t;


/*
 * Returns: NGX_OK: it changes the word or the guard's part; NGX_DONE: there is
 *          nothing to change; NGX_ERROR: refused, the answer says why.
 */

typedef ngx_int_t (*ngx_http_async_upload_doing_pt)(
    ngx_http_async_upload_doing_t *d);


/* the commands up to RESTART: those that change the word alone */
extern ngx_http_async_upload_doing_pt  ngx_http_async_upload_rollout_table[];


/*
 * Makes the answer a refusal, "error" in one word and "fmt", as for
 * ngx_slprintf, for people.
 *
 * Returns: NGX_ERROR.
 */
ngx_int_t ngx_http_async_upload_rollout_refuse(
    ngx_http_async_upload_answer_t *answer, ngx_uint_t status,
    const char *error, const char *fmt, ...);

/*
 * Refuses a command that is not possible in this state.
 *
 * Returns: NGX_ERROR.
 */
ngx_int_t ngx_http_async_upload_rollout_illegal(
    ngx_http_async_upload_doing_t *d);

/* Makes the word one of another state, with its observation anew. */
void ngx_http_async_upload_rollout_to(ngx_http_async_upload_word_t *word,
    ngx_uint_t state, ngx_uint_t beneath);

/*
 * Makes the word one of the stage "stage", or complete if there is none, and
 * sets the type of the event.
 */
void ngx_http_async_upload_rollout_next(
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_word_t *now, ngx_uint_t stage,
    ngx_http_async_upload_event_sh_t *event);


#endif /* _NGX_HTTP_ASYNC_UPLOAD_ROLLOUT_H_INCLUDED_ */
