
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_facts.h"


/* a rate of 0 */

static const ngx_http_async_upload_guard_loss_t
    ngx_http_async_upload_facts_nothing = { 1, 0, 0 };


const ngx_http_async_upload_guard_loss_t *
ngx_http_async_upload_facts_reference(
    const ngx_http_async_upload_guard_input_t *in)
{
    return ngx_http_async_upload_facts_compared(in)
           ? &in->sync : &ngx_http_async_upload_facts_nothing;
}


int
ngx_http_async_upload_facts_compared(
    const ngx_http_async_upload_guard_input_t *in)
{
    return in->reference && in->sync.finished != 0;
}


int
ngx_http_async_upload_facts_timed(
    const ngx_http_async_upload_guard_conf_t *conf,
    const ngx_http_async_upload_guard_input_t *in)
{
    return in->latency > 0 && in->latency_n >= conf->min_latency;
}
