
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_event.h"


static ngx_http_async_upload_event_sh_t *ngx_http_async_upload_event_place(
    ngx_http_async_upload_zone_sh_t *sh, uint64_t seq);


void
ngx_http_async_upload_event_prepare_locked(ngx_http_async_upload_zone_sh_t *sh,
    const ngx_http_async_upload_event_sh_t *event)
{
    uint64_t                          seq;
    ngx_http_async_upload_event_sh_t  e, *place;

    seq = sh->events + 1;
    place = ngx_http_async_upload_event_place(sh, seq);

    e = *event;
    e.seq = 0;

    /* a reader that copies meanwhile must find that this is no event */

    __atomic_store_n(&place->seq, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    ngx_memcpy(place, &e, sizeof(ngx_http_async_upload_event_sh_t));

    /*
     * Only what goes with a change that may still happen is to be recovered:
     * not what another process has done meanwhile, perhaps to the same word.
     */

    if (e.old != e.now && e.old == ngx_http_async_upload_zone_load(&sh->word)) {
        __atomic_store_n(&place->seq, seq, __ATOMIC_RELEASE);
    }
}


void
ngx_http_async_upload_event_publish_locked(ngx_http_async_upload_zone_sh_t *sh)
{
    uint64_t                           seq;
    ngx_http_async_upload_event_sh_t  *place;

    seq = sh->events + 1;
    place = ngx_http_async_upload_event_place(sh, seq);

    __atomic_store_n(&place->seq, seq, __ATOMIC_RELEASE);
    __atomic_store_n(&sh->events, seq, __ATOMIC_RELEASE);
}


void
ngx_http_async_upload_event_recover_locked(ngx_http_async_upload_zone_sh_t *sh)
{
    uint64_t                           seq;
    ngx_http_async_upload_event_sh_t  *place;

    seq = sh->events + 1;
    place = ngx_http_async_upload_event_place(sh, seq);

    if (ngx_http_async_upload_zone_load(&place->seq) == seq
        && place->old != place->now
        && place->now == ngx_http_async_upload_zone_load(&sh->word))
    {
        ngx_http_async_upload_event_publish_locked(sh);
    }
}


ngx_int_t
ngx_http_async_upload_event_read(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t seq, ngx_http_async_upload_event_sh_t *event)
{
    ngx_http_async_upload_event_sh_t  *place;

    if (seq == 0 || seq > ngx_http_async_upload_zone_load(&sh->events)) {
        return NGX_DECLINED;
    }

    place = ngx_http_async_upload_event_place(sh, seq);

    if (ngx_http_async_upload_zone_load(&place->seq) != seq) {
        return NGX_DECLINED;
    }

    ngx_memcpy(event, place, sizeof(ngx_http_async_upload_event_sh_t));

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    if (__atomic_load_n(&place->seq, __ATOMIC_RELAXED) != seq) {
        return NGX_DECLINED;
    }

    event->who[NGX_HTTP_ASYNC_UPLOAD_WHO - 1] = '\0';
    event->why[NGX_HTTP_ASYNC_UPLOAD_WHY - 1] = '\0';

    return NGX_OK;
}


static ngx_http_async_upload_event_sh_t *
ngx_http_async_upload_event_place(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t seq)
{
    return &sh->event[seq % NGX_HTTP_ASYNC_UPLOAD_RING];
}


void
ngx_http_async_upload_event_record_locked(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t seq, const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in,
    const ngx_http_async_upload_guard_decision_t *decision)
{
    ngx_http_async_upload_record_sh_t  *record;

    record = &sh->record[seq % NGX_HTTP_ASYNC_UPLOAD_RECORDS];

    __atomic_store_n(&record->seq, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    record->conf = *conf;
    record->in = *in;
    record->decision = *decision;

    __atomic_store_n(&record->seq, seq, __ATOMIC_RELEASE);
}


ngx_int_t
ngx_http_async_upload_event_recall(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t seq, ngx_http_async_upload_record_sh_t *record)
{
    ngx_http_async_upload_record_sh_t  *kept;

    kept = &sh->record[seq % NGX_HTTP_ASYNC_UPLOAD_RECORDS];

    if (ngx_http_async_upload_zone_load(&kept->seq) != seq) {
        return NGX_DECLINED;
    }

    *record = *kept;

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    return (ngx_http_async_upload_zone_load(&kept->seq) == seq) ? NGX_OK
                                                                : NGX_DECLINED;
}
