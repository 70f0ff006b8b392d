
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_zone.h"

#if (NGX_HTTP_ASYNC_UPLOAD_TEST_CLOCK)
#include <sys/mman.h>
#endif


#define NGX_HTTP_ASYNC_UPLOAD_ZONE_MAGIC   0x6175706c6f616431

/* raise it with every change of a structure that lies in the zone */
#define NGX_HTTP_ASYNC_UPLOAD_ZONE_LAYOUT  3

/* of the pages left by the header slots get 1 / 2, or more if they need it */
#define NGX_HTTP_ASYNC_UPLOAD_ZONE_PART    2

/* every process of the largest nginx has its slot then */
#define NGX_HTTP_ASYNC_UPLOAD_ZONE_SLOTS   NGX_MAX_PROCESSES

/* no epoch: the evidence is just being started anew */
#define NGX_HTTP_ASYNC_UPLOAD_ZONE_BUSY    UINT64_MAX


/* an array of -1 elements otherwise: a slot must not outgrow its promise */
typedef char  ngx_http_async_upload_zone_fits
    [sizeof(ngx_http_async_upload_slot_sh_t) <= 18 * 1024 ? 1 : -1];


static ngx_int_t ngx_http_async_upload_zone_attach(ngx_shm_zone_t *shm_zone,
    ngx_http_async_upload_zone_sh_t *sh, ngx_uint_t least);
static ngx_int_t ngx_http_async_upload_zone_create(ngx_shm_zone_t *shm_zone,
    ngx_uint_t least);
static ngx_uint_t ngx_http_async_upload_zone_room(ngx_uint_t pages,
    ngx_uint_t least);
static void ngx_http_async_upload_zone_small(ngx_shm_zone_t *shm_zone,
    ngx_uint_t least);
static ngx_http_async_upload_slot_sh_t *ngx_http_async_upload_zone_slot(
    ngx_http_async_upload_zone_sh_t *sh, ngx_uint_t i);
static void ngx_http_async_upload_zone_sum(uint64_t *sum, const uint64_t *from,
    size_t size);
static void ngx_http_async_upload_zone_sum_evidence(
    ngx_http_async_upload_evidence_t *sum,
    const ngx_http_async_upload_evidence_t *from, uint64_t epoch);


ngx_int_t
ngx_http_async_upload_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_uint_t                        least;
    ngx_core_conf_t                  *ccf;
    ngx_slab_pool_t                  *shpool;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    ccf = (ngx_core_conf_t *) ngx_get_conf(rollout->cycle->conf_ctx,
                                           ngx_core_module);

    /* twice the workers: those of the old configuration drain meanwhile */
    least = ngx_min(2 * ngx_max(ccf->worker_processes, 1) + 8,
                    NGX_HTTP_ASYNC_UPLOAD_ZONE_SLOTS);

    if (data || shm_zone->shm.exists) {
        if (ngx_http_async_upload_zone_attach(shm_zone, shpool->data, least)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (ngx_http_async_upload_zone_create(shm_zone, least) != NGX_OK) {
        return NGX_ERROR;
    }

    rollout->sh = shpool->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_zone_attach(ngx_shm_zone_t *shm_zone,
    ngx_http_async_upload_zone_sh_t *sh, ngx_uint_t least)
{
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = shm_zone->data;

    if (sh == NULL
        || sh->magic != NGX_HTTP_ASYNC_UPLOAD_ZONE_MAGIC
        || sh->layout != NGX_HTTP_ASYNC_UPLOAD_ZONE_LAYOUT)
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "zone \"%V\" was laid out by another version of the "
                      "module, restart or upgrade nginx instead of reloading",
                      &rollout->name);
        return NGX_ERROR;
    }

    if (sh->slots_n < least) {
        ngx_http_async_upload_zone_small(shm_zone, least);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_zone_create(ngx_shm_zone_t *shm_zone, ngx_uint_t least)
{
    ngx_uint_t                        n;
    ngx_slab_pool_t                  *shpool;
    ngx_http_async_upload_zone_sh_t  *sh;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    shpool->log_ctx = (u_char *) " in an async_upload zone";
    shpool->log_nomem = 0;

    n = ngx_http_async_upload_zone_room(shpool->pfree, least);

    if (n < least) {
        ngx_http_async_upload_zone_small(shm_zone, least);
        return NGX_ERROR;
    }

    sh = ngx_slab_calloc(shpool, sizeof(ngx_http_async_upload_zone_sh_t));
    if (sh == NULL) {
        ngx_http_async_upload_zone_small(shm_zone, least);
        return NGX_ERROR;
    }

    sh->slots = ngx_slab_calloc(shpool,
                                n * sizeof(ngx_http_async_upload_slot_sh_t));
    if (sh->slots == NULL) {
        ngx_http_async_upload_zone_small(shm_zone, least);
        return NGX_ERROR;
    }

    sh->slots_n = n;
    sh->overflow.shared = 1;
    sh->layout = NGX_HTTP_ASYNC_UPLOAD_ZONE_LAYOUT;
    sh->magic = NGX_HTTP_ASYNC_UPLOAD_ZONE_MAGIC;

    shpool->data = sh;

    return NGX_OK;
}


/* how many slots fit into so many free pages, 0 if not even the header does */

static ngx_uint_t
ngx_http_async_upload_zone_room(ngx_uint_t pages, ngx_uint_t least)
{
    size_t      size;
    ngx_uint_t  header, n;

    header = (sizeof(ngx_http_async_upload_zone_sh_t) + ngx_pagesize - 1)
             / ngx_pagesize;

    if (pages <= header) {
        return 0;
    }

    size = (pages - header) * ngx_pagesize;
    n = size / sizeof(ngx_http_async_upload_slot_sh_t);

    n = ngx_max(n / NGX_HTTP_ASYNC_UPLOAD_ZONE_PART, ngx_min(n, least));

    return ngx_min(n, NGX_HTTP_ASYNC_UPLOAD_ZONE_SLOTS);
}


static void
ngx_http_async_upload_zone_small(ngx_shm_zone_t *shm_zone, ngx_uint_t least)
{
    size_t                            size;
    ngx_uint_t                        pages;
    ngx_core_conf_t                  *ccf;
    ngx_http_async_upload_rollout_t  *rollout;

    rollout = shm_zone->data;

    ccf = (ngx_core_conf_t *) ngx_get_conf(rollout->cycle->conf_ctx,
                                           ngx_core_module);

    for (pages = 1;
         ngx_http_async_upload_zone_room(pages, least) < least;
         pages++)
    {
        /* void */
    }

    /* the slab pool's own: its header, a descriptor a page, the alignment */

    size = pages * (ngx_pagesize + sizeof(ngx_slab_page_t))
           + sizeof(ngx_slab_pool_t)
           + (ngx_pagesize_shift + 1) * (sizeof(ngx_slab_page_t)
                                         + sizeof(ngx_slab_stat_t))
           + 2 * ngx_pagesize;

    ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                  "zone \"%V\" is too small: %uzk, with worker_processes %i "
                  "at least %uzk is needed in %s:%ui",
                  &rollout->name, shm_zone->shm.size / 1024,
                  ccf->worker_processes, (size + 1023) / 1024,
                  rollout->file_name, rollout->line);
}


void
ngx_http_async_upload_zone_read(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t epoch, ngx_http_async_upload_counts_t *counts,
    ngx_http_async_upload_slots_t *slots)
{
    ngx_uint_t                        i, k;
    ngx_http_async_upload_slot_sh_t  *slot;

    ngx_memzero(counts->cell, sizeof(counts->cell));
    ngx_memzero(counts->evidence.arm, sizeof(counts->evidence.arm));

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_ARMS; k++) {
        ngx_http_async_upload_hist_clear(&counts->latency[k]);
    }

    slots->slots = sh->slots_n;
    slots->used = 0;
    slots->alive = 0;
    slots->overflow = sh->overflow.used ? 1 : 0;

    counts->evidence.epoch = epoch;

    for (i = 0; i <= sh->slots_n + 1; i++) {
        slot = ngx_http_async_upload_zone_slot(sh, i);

        if (slot == NULL) {
            continue;
        }

        if (i < sh->slots_n) {
            slots->used++;

            if (ngx_http_async_upload_zone_load(&slot->pid)) {
                slots->alive++;
            }
        }

        ngx_http_async_upload_zone_sum((uint64_t *) counts->cell,
                                       (uint64_t *) slot->counts.cell,
                                       sizeof(counts->cell));

        ngx_http_async_upload_zone_sum_evidence(&counts->evidence,
                                                &slot->counts.evidence, epoch);

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_ARMS; k++) {
            ngx_http_async_upload_hist_merge(&counts->latency[k],
                                             &slot->counts.latency[k]);
        }
    }
}


void
ngx_http_async_upload_zone_latency(ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_hist_t *latency)
{
    ngx_uint_t                        i, k;
    ngx_http_async_upload_slot_sh_t  *slot;

    for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_ARMS; k++) {
        ngx_http_async_upload_hist_clear(&latency[k]);
    }

    for (i = 0; i <= sh->slots_n + 1; i++) {
        slot = ngx_http_async_upload_zone_slot(sh, i);

        if (slot == NULL) {
            continue;
        }

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_ARMS; k++) {
            ngx_http_async_upload_hist_merge(&latency[k],
                                             &slot->counts.latency[k]);
        }
    }
}


uint64_t
ngx_http_async_upload_zone_failures(ngx_http_async_upload_zone_sh_t *sh)
{
    uint64_t                          n, *failure;
    ngx_uint_t                        i, k, class;
    ngx_http_async_upload_cell_sh_t  *cell;
    ngx_http_async_upload_slot_sh_t  *slot;

    n = 0;

    for (i = 0; i <= sh->slots_n + 1; i++) {
        slot = ngx_http_async_upload_zone_slot(sh, i);

        if (slot == NULL) {
            continue;
        }

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_FORCED; k++) {
            failure = slot->counts.cell[NGX_HTTP_ASYNC_UPLOAD_ASYNC][k].failure;

            for (class = 0; class < NGX_HTTP_ASYNC_UPLOAD_CLASSES; class++) {
                n += ngx_http_async_upload_zone_load(&failure[class]);
            }

            /* counted before the failure that it is about */

            cell = &slot->counts.cell[NGX_HTTP_ASYNC_UPLOAD_ASYNC][k];
            n -= ngx_min(n, cell->repeated);
        }
    }

    return n;
}


/*
 * Those of processes, then the one that they share, then the past; NULL if it
 * was never used.
 */

static ngx_http_async_upload_slot_sh_t *
ngx_http_async_upload_zone_slot(ngx_http_async_upload_zone_sh_t *sh,
    ngx_uint_t i)
{
    ngx_http_async_upload_slot_sh_t  *slot;

    slot = (i < sh->slots_n) ? &sh->slots[i]
           : (i == sh->slots_n) ? &sh->overflow : &sh->base;

    return ngx_http_async_upload_zone_load(&slot->used) ? slot : NULL;
}


/* in ascending order: within a cell the results come before "uploads" */

static void
ngx_http_async_upload_zone_sum(uint64_t *sum, const uint64_t *from, size_t size)
{
    ngx_uint_t  i;

    for (i = 0; i < size / sizeof(uint64_t); i++) {
        sum[i] += ngx_http_async_upload_zone_load(&from[i]);
    }
}


static void
ngx_http_async_upload_zone_sum_evidence(ngx_http_async_upload_evidence_t *sum,
    const ngx_http_async_upload_evidence_t *from, uint64_t epoch)
{
    ngx_http_async_upload_evidence_t  copy;

    if (epoch == 0 || ngx_http_async_upload_zone_load(&from->epoch) != epoch) {
        return;
    }

    ngx_memzero(&copy, sizeof(ngx_http_async_upload_evidence_t));

    ngx_http_async_upload_zone_sum((uint64_t *) copy.arm,
                                   (uint64_t *) from->arm, sizeof(copy.arm));

    /* the owner may have started it anew meanwhile */

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    if (ngx_http_async_upload_zone_load(&from->epoch) != epoch) {
        return;
    }

    ngx_http_async_upload_zone_sum((uint64_t *) sum->arm,
                                   (uint64_t *) copy.arm, sizeof(copy.arm));
}


ngx_int_t
ngx_http_async_upload_zone_evidence(ngx_http_async_upload_slot_sh_t *slot,
    uint64_t epoch)
{
    uint64_t                           last, *p;
    ngx_uint_t                         i;
    ngx_http_async_upload_evidence_t  *evidence;

    evidence = &slot->counts.evidence;
    last = ngx_http_async_upload_zone_load(&evidence->epoch);

    if (last == epoch) {
        return NGX_OK;
    }

    if (slot->shared) {
        if (last == NGX_HTTP_ASYNC_UPLOAD_ZONE_BUSY
            || !__atomic_compare_exchange_n(&evidence->epoch, &last,
                                            NGX_HTTP_ASYNC_UPLOAD_ZONE_BUSY, 0,
                                            __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        {
            return NGX_DECLINED;
        }

    } else {
        __atomic_store_n(&evidence->epoch, NGX_HTTP_ASYNC_UPLOAD_ZONE_BUSY,
                         __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
    }

    p = (uint64_t *) evidence->arm;

    for (i = 0; i < sizeof(evidence->arm) / (sizeof(uint64_t)); i++) {
        __atomic_store_n(&p[i], 0, __ATOMIC_RELAXED);
    }

    __atomic_store_n(&evidence->epoch, epoch, __ATOMIC_RELEASE);

    return NGX_OK;
}


ngx_uint_t
ngx_http_async_upload_zone_status_class(ngx_http_async_upload_zone_sh_t *sh,
    ngx_uint_t status)
{
    uint64_t    known;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_HTTP_STATUSES; i++) {

        known = ngx_http_async_upload_zone_load(&sh->statuses[i]);

        if (known == 0
            && __atomic_compare_exchange_n(&sh->statuses[i], &known, status, 0,
                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        {
            known = status;
        }

        if (known == status) {
            return NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST + i;
        }
    }

    return NGX_HTTP_ASYNC_UPLOAD_HTTP;
}


#if (NGX_HTTP_ASYNC_UPLOAD_TEST_CLOCK)

uint64_t
ngx_http_async_upload_zone_offset(void)
{
    int          fd;
    void        *p;
    const char  *name;

    static volatile uint64_t  *offset;

    if (offset == NULL) {

        name = getenv("ASYNC_UPLOAD_TEST_CLOCK");

        if (name == NULL) {
            return 0;
        }

        fd = open(name, O_RDONLY);

        if (fd == -1) {
            return 0;
        }

        p = mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);

        (void) close(fd);

        if (p == MAP_FAILED) {
            return 0;
        }

        offset = p;
    }

    return *offset;
}

#endif
