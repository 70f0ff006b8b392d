
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_drill.h"
#include "ngx_http_async_upload_command.h"


#define NGX_HTTP_ASYNC_UPLOAD_DRILL_LOOK  10        /* ms between two looks */


struct ngx_http_async_upload_drill_s {
    ngx_event_t                         event;      /* the first */
    ngx_http_async_upload_rollout_t    *rollout;
    ngx_http_async_upload_order_t       order;
    ngx_http_async_upload_drill_end_t   end;
    ngx_http_async_upload_drill_pt      handler;    /* NULL: nobody waits */
    void                               *data;
    u_char                              who[NGX_HTTP_ASYNC_UPLOAD_WHO];
    u_char                              why[NGX_HTTP_ASYNC_UPLOAD_WHY];
};


static void ngx_http_async_upload_drill_copy(ngx_str_t *text, u_char *buf,
    size_t size);
static void ngx_http_async_upload_drill_look(ngx_event_t *ev);


/* the core takes what an event's data points to for a connection */

static ngx_connection_t  ngx_http_async_upload_drill_dumb;


ngx_http_async_upload_drill_t *
ngx_http_async_upload_drill_wait(ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_order_t *order,
    ngx_http_async_upload_answer_t *answer,
    ngx_http_async_upload_drill_pt handler, void *data, ngx_log_t *log)
{
    ngx_http_async_upload_drill_t  *drill;

    drill = ngx_calloc(sizeof(ngx_http_async_upload_drill_t), log);
    if (drill == NULL) {
        return NULL;
    }

    drill->rollout = rollout;
    drill->order = *order;
    drill->end.answer = *answer;
    drill->handler = handler;
    drill->data = data;

    ngx_http_async_upload_drill_copy(&drill->order.who, drill->who,
                                     sizeof(drill->who));
    ngx_http_async_upload_drill_copy(&drill->order.why, drill->why,
                                     sizeof(drill->why));

    ngx_http_async_upload_drill_dumb.fd = (ngx_socket_t) -1;

    drill->event.handler = ngx_http_async_upload_drill_look;
    drill->event.data = &ngx_http_async_upload_drill_dumb;
    drill->event.log = ngx_cycle->log;

    ngx_add_timer(&drill->event, NGX_HTTP_ASYNC_UPLOAD_DRILL_LOOK);

    return drill;
}


static void
ngx_http_async_upload_drill_copy(ngx_str_t *text, u_char *buf, size_t size)
{
    text->len = ngx_min(text->len, size - 1);

    ngx_memcpy(buf, text->data, text->len);
    text->data = buf;
}


static void
ngx_http_async_upload_drill_look(ngx_event_t *ev)
{
    ngx_http_async_upload_drill_t      *drill;
    ngx_http_async_upload_drill_end_t  *end;

    drill = (ngx_http_async_upload_drill_t *) ev;
    end = &drill->end;

    end->rc = ngx_http_async_upload_command_drilled(drill->rollout,
                                         &drill->order, &end->answer,
                                         &end->took, &end->workers, ev->log);

    if (end->rc == NGX_AGAIN) {

        if (!ngx_exiting && !ngx_quit && !ngx_terminate) {
            ngx_add_timer(ev, NGX_HTTP_ASYNC_UPLOAD_DRILL_LOOK);
            return;
        }

        end->rc = ngx_http_async_upload_rollout_refuse(&end->answer,
                      NGX_HTTP_SERVICE_UNAVAILABLE, "interrupted",
                      "this worker ends, and the drill by itself");
    }

    if (drill->handler) {
        drill->handler(drill->data, end);
    }

    ngx_free(drill);
}


void
ngx_http_async_upload_drill_leave(ngx_http_async_upload_drill_t *drill)
{
    drill->handler = NULL;
}
