
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_live.h"

#include <dlfcn.h>


static ngx_uint_t ngx_http_async_upload_live_known(
    ngx_http_upstream_srv_conf_t *us);


ngx_uint_t
ngx_http_async_upload_live_peers(ngx_http_upstream_srv_conf_t *us)
{
    ngx_uint_t                     found;
    ngx_http_upstream_rr_peer_t   *peer;
    ngx_http_upstream_rr_peers_t  *peers, *list;

    if (us->peer.data == NULL || !ngx_http_async_upload_live_known(us)) {
        return 1;
    }

    peers = us->peer.data;
    found = 0;

    ngx_http_upstream_rr_peers_rlock(peers);

    /* the backup ones follow */

    for (list = peers; list && !found; list = list->next) {

        for (peer = list->peer; peer; peer = peer->next) {

            if (peer->down) {
                continue;
            }

            /* the only one is never set aside */

            if (!(peers->single && list == peers)
                && peer->max_fails
                && peer->fails >= peer->max_fails
                && ngx_time() - peer->checked <= peer->fail_timeout)
            {
                continue;
            }

            found = 1;
            break;
        }
    }

    ngx_http_upstream_rr_peers_unlock(peers);

    return found;
}


/*
 * Whether the block's data are the peers of nginx' round robin, as with all of
 * its own balancers; others may have put anything there.  A "zone" takes them
 * for that, too; otherwise the balancer must be in the same binary as nginx'.
 */

static ngx_uint_t
ngx_http_async_upload_live_known(ngx_http_upstream_srv_conf_t *us)
{
    Dl_info  own, core;

    if (us->shm_zone) {
        return 1;
    }

    if (us->peer.init_upstream == NULL) {
        return 1;
    }

    return dladdr((void *) (uintptr_t) us->peer.init_upstream, &own) != 0
           && dladdr((void *) (uintptr_t) ngx_http_upstream_init_round_robin,
                     &core) != 0
           && own.dli_fbase == core.dli_fbase;
}


uint64_t
ngx_http_async_upload_live_memory(void)
{
    int            fd;
    char           buf[128], *p, *end;
    ssize_t        n;
    unsigned long  resident, shared;

    fd = open("/proc/self/statm", O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return 0;
    }

    n = read(fd, buf, sizeof(buf) - 1);

    (void) close(fd);

    if (n <= 0) {
        return 0;
    }

    buf[n] = '\0';

    /* pages: size resident shared .. */

    p = strchr(buf, ' ');
    if (p == NULL) {
        return 0;
    }

    resident = strtoul(p, &end, 10);
    shared = strtoul(end, NULL, 10);

    return resident > shared ? (uint64_t) (resident - shared) * ngx_pagesize
                             : 0;
}
