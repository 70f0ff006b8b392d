
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_slot.h"
#include "ngx_http_async_upload_zone.h"


static ngx_uint_t ngx_http_async_upload_slot_dead(
    ngx_http_async_upload_slot_sh_t *slot);
static ngx_uint_t ngx_http_async_upload_slot_gone(ngx_pid_t pid);
static void ngx_http_async_upload_slot_join_locked(
    ngx_http_async_upload_zone_sh_t *sh);
static void ngx_http_async_upload_slot_leave_locked(
    ngx_http_async_upload_zone_sh_t *sh, uint64_t pid);
static void ngx_http_async_upload_slot_harvest_locked(
    ngx_http_async_upload_slot_sh_t *slot);


void
ngx_http_async_upload_slot_claim(ngx_http_async_upload_rollout_t *rollout,
    ngx_log_t *log)
{
    ngx_uint_t                        i, first;
    ngx_slab_pool_t                  *shpool;
    ngx_http_async_upload_slot_sh_t  *slot, *found;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;
    shpool = (ngx_slab_pool_t *) rollout->shm_zone->shm.addr;
    found = NULL;
    first = 0;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < sh->slots_n; i++) {
        slot = &sh->slots[i];

        if (slot->pid == (uint64_t) ngx_pid
            && ngx_process == NGX_PROCESS_SINGLE)
        {
            /* after a reload */
            found = slot;
            break;
        }

        if (slot->pid != 0) {

            /* with the pid of this new process: of one that had it before */

            if (slot->pid != (uint64_t) ngx_pid
                && !ngx_http_async_upload_slot_dead(slot))
            {
                continue;
            }

            ngx_http_async_upload_slot_harvest_locked(slot);
        }

        /* the first free one: slots that were never used stay untouched */

        if (found == NULL) {
            found = slot;
        }
    }

    if (found) {
        found->process_slot = ngx_process_slot;
        found->generation = rollout->generation;
        found->started_us = ngx_http_async_upload_zone_now();
        found->rss = 0;
        found->seen = 0;
        found->pid = ngx_pid;
        found->used = 1;

    } else {
        found = &sh->overflow;
        first = !found->used;
        found->used = 1;

        ngx_http_async_upload_slot_join_locked(sh);
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (first) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "no free slot in zone \"%V\", counting in the one that "
                      "such processes share; enlarge the zone",
                      &rollout->name);
    }

    rollout->slot = found;
}


void
ngx_http_async_upload_slot_release(ngx_http_async_upload_rollout_t *rollout)
{
    ngx_slab_pool_t                  *shpool;
    ngx_http_async_upload_slot_sh_t  *slot;

    slot = rollout->slot;
    rollout->slot = NULL;

    if (slot == NULL) {
        return;
    }

    shpool = (ngx_slab_pool_t *) rollout->shm_zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    if (slot->shared) {
        ngx_http_async_upload_slot_leave_locked(rollout->sh, ngx_pid);

    } else {
        ngx_http_async_upload_slot_harvest_locked(slot);
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_http_async_upload_slot_reap(ngx_http_async_upload_rollout_t *rollout)
{
    ngx_uint_t                        i;
    ngx_slab_pool_t                  *shpool;
    ngx_http_async_upload_slot_sh_t  *slot;
    ngx_http_async_upload_zone_sh_t  *sh;

    sh = rollout->sh;
    shpool = (ngx_slab_pool_t *) rollout->shm_zone->shm.addr;

    if (!ngx_shmtx_trylock(&shpool->mutex)) {
        return;
    }

    for (i = 0; i < sh->slots_n; i++) {
        slot = &sh->slots[i];

        if (slot->pid != 0 && ngx_http_async_upload_slot_dead(slot)) {
            ngx_http_async_upload_slot_harvest_locked(slot);
        }
    }

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_USERS - 1; i++) {

        if (sh->users[i] != 0
            && ngx_http_async_upload_slot_gone((ngx_pid_t) sh->users[i]))
        {
            ngx_http_async_upload_slot_leave_locked(sh, sh->users[i]);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


/* this process counts in the overflow slot from now on */

static void
ngx_http_async_upload_slot_join_locked(ngx_http_async_upload_zone_sh_t *sh)
{
    ngx_uint_t  i, free;

    free = NGX_HTTP_ASYNC_UPLOAD_USERS - 1;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_USERS - 1; i++) {

        if (sh->users[i] == (uint64_t) ngx_pid) {
            return;
        }

        if (sh->users[i] == 0 && free == NGX_HTTP_ASYNC_UPLOAD_USERS - 1) {
            free = i;
        }
    }

    /* the last place stays taken: then nobody knows when all have left */

    sh->users[free] = ngx_pid;
}


/* what is in flight in the overflow slot is lost when its last user has left */

static void
ngx_http_async_upload_slot_leave_locked(ngx_http_async_upload_zone_sh_t *sh,
    uint64_t pid)
{
    ngx_uint_t  i, left;

    left = 0;

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_USERS; i++) {

        if (sh->users[i] == pid && i < NGX_HTTP_ASYNC_UPLOAD_USERS - 1) {
            sh->users[i] = 0;
        }

        if (sh->users[i] != 0) {
            left++;
        }
    }

    if (left == 0) {
        ngx_http_async_upload_slot_harvest_locked(&sh->overflow);
    }
}


/*
 * A process slot of nginx belongs to one living child at a time, so that
 * another pid in the slot of this process is a predecessor's, even where the
 * pid itself was given to some other process since.
 */

static ngx_uint_t
ngx_http_async_upload_slot_dead(ngx_http_async_upload_slot_sh_t *slot)
{
    if (slot->pid == (uint64_t) ngx_pid) {
        return 0;
    }

    if (ngx_process == NGX_PROCESS_WORKER
        && slot->process_slot == (uint64_t) ngx_process_slot)
    {
        return 1;
    }

    return ngx_http_async_upload_slot_gone((ngx_pid_t) slot->pid);
}


static ngx_uint_t
ngx_http_async_upload_slot_gone(ngx_pid_t pid)
{
    return kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


/* the owner is gone or leaves: what is still in flight will never be done */

static void
ngx_http_async_upload_slot_harvest_locked(ngx_http_async_upload_slot_sh_t *slot)
{
    uint64_t                          done;
    ngx_uint_t                        i, k;
    ngx_http_async_upload_cell_sh_t  *cell;

    cell = &slot->counts.cell[0][0];

    for (i = 0;
         i < NGX_HTTP_ASYNC_UPLOAD_ARMS * NGX_HTTP_ASYNC_UPLOAD_COHORTS;
         i++, cell++)
    {
        done = cell->success + cell->rejected + cell->aborted + cell->cut;

        for (k = 0; k < NGX_HTTP_ASYNC_UPLOAD_CLASSES; k++) {
            done += cell->failure[k];
        }

        if (cell->lost != cell->uploads - done) {
            __atomic_store_n(&cell->lost, cell->uploads - done,
                             __ATOMIC_RELEASE);
        }
    }

    __atomic_store_n(&slot->pid, 0, __ATOMIC_RELEASE);
}
