
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_render.h"
#include "ngx_http_async_upload_verdict.h"
#include "ngx_http_async_upload_history.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_progress.h"
#include "ngx_http_async_upload_setting.h"
#include "ngx_http_async_upload_total.h"


#define NGX_HTTP_ASYNC_UPLOAD_RENDER_DECIMALS   6
#define NGX_HTTP_ASYNC_UPLOAD_RENDER_QUANTILES  4


static void ngx_http_async_upload_render_clients(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_counts_t *counts);
static void ngx_http_async_upload_render_cell(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_zone_sh_t *sh, ngx_http_async_upload_cell_sh_t *cell,
    ngx_http_async_upload_hist_t *latency);
static void ngx_http_async_upload_render_classes(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_zone_sh_t *sh,
    ngx_http_async_upload_cell_sh_t *cell);
static void ngx_http_async_upload_render_latency(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_hist_t *latency);
static void ngx_http_async_upload_render_fallback(
    ngx_http_async_upload_json_t *w, ngx_http_async_upload_counts_t *counts);
static void ngx_http_async_upload_render_slots(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_slots_t *slots);


void
ngx_http_async_upload_render_start(ngx_http_async_upload_json_t *w)
{
    ngx_http_async_upload_json_object(w, NULL);
    ngx_http_async_upload_json_literal(w, "version",
                                       NGX_HTTP_ASYNC_UPLOAD_VERSION);
    ngx_http_async_upload_json_literal(w, "nginx", NGINX_VERSION);
    ngx_http_async_upload_json_string(w, "generated",
                                      ngx_cached_http_log_iso8601.data,
                                      ngx_cached_http_log_iso8601.len);
    ngx_http_async_upload_json_object(w, "rollouts");
}


void
ngx_http_async_upload_render_end(ngx_http_async_upload_json_t *w)
{
    ngx_http_async_upload_json_end(w);
    ngx_http_async_upload_json_end(w);
}


void
ngx_http_async_upload_render_rollout(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_rollout_t *rollout,
    ngx_http_async_upload_look_t *look,
    const ngx_http_async_upload_plots_t *plots)
{
    ngx_uint_t                       arm;
    ngx_http_async_upload_cell_sh_t  cell;
    ngx_http_async_upload_counts_t  *counts;

    counts = &look->counts;

    ngx_http_async_upload_json_name(w, rollout->name.data, rollout->name.len);
    ngx_http_async_upload_json_object(w, NULL);

    ngx_http_async_upload_progress_state(w, rollout, look);

    ngx_http_async_upload_setting_render(w, rollout);
    ngx_http_async_upload_render_clients(w, counts);

    ngx_http_async_upload_json_object(w, "arms");

    for (arm = 0; arm < NGX_HTTP_ASYNC_UPLOAD_ARMS; arm++) {

        ngx_http_async_upload_total_arm(counts, arm, &cell);

        ngx_http_async_upload_json_name(w,
                            ngx_http_async_upload_name_arms[arm].data,
                            ngx_http_async_upload_name_arms[arm].len);
        ngx_http_async_upload_render_cell(w, rollout->sh, &cell,
                                          &counts->latency[arm]);
    }

    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_json_object(w, "forced");

    for (arm = 0; arm < NGX_HTTP_ASYNC_UPLOAD_ARMS; arm++) {

        ngx_http_async_upload_json_name(w,
                            ngx_http_async_upload_name_arms[arm].data,
                            ngx_http_async_upload_name_arms[arm].len);
        ngx_http_async_upload_render_cell(w, rollout->sh,
                         &counts->cell[arm][NGX_HTTP_ASYNC_UPLOAD_FORCED],
                         NULL);
    }

    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_render_fallback(w, counts);
    ngx_http_async_upload_progress_figures(w, rollout, look);
    ngx_http_async_upload_verdict_render(w, rollout, look);
    ngx_http_async_upload_render_slots(w, &look->slots);
    ngx_http_async_upload_history_events(w, rollout, plots != NULL);

    if (plots) {
        ngx_http_async_upload_history_points(w, plots);
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_render_clients(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_counts_t *counts)
{
    ngx_http_async_upload_total_clients_t  clients;

    ngx_http_async_upload_total_clients(counts, &clients);

    ngx_http_async_upload_json_object(w, "clients");
    ngx_http_async_upload_json_uint(w, "uploads", clients.uploads);
    ngx_http_async_upload_json_uint(w, "failed", clients.failed);
    ngx_http_async_upload_json_ratio(w, "failed_rate", clients.failed,
                                     clients.uploads,
                                     NGX_HTTP_ASYNC_UPLOAD_RENDER_DECIMALS);
    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_render_cell(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_zone_sh_t *sh, ngx_http_async_upload_cell_sh_t *cell,
    ngx_http_async_upload_hist_t *latency)
{
    uint64_t                          failure, done;
    ngx_uint_t                        i;
    ngx_http_async_upload_size_sh_t  *size;

    failure = ngx_http_async_upload_total_failures(cell);
    done = cell->success + failure + cell->rejected + cell->aborted + cell->cut;

    ngx_http_async_upload_json_object(w, NULL);

    ngx_http_async_upload_json_uint(w, "uploads", cell->uploads);
    ngx_http_async_upload_json_uint(w, "success", cell->success);
    ngx_http_async_upload_json_uint(w, "failure", failure);
    ngx_http_async_upload_render_classes(w, sh, cell);
    ngx_http_async_upload_json_uint(w, "rejected", cell->rejected);
    ngx_http_async_upload_json_uint(w, "aborted", cell->aborted);
    ngx_http_async_upload_json_uint(w, "cut", cell->cut);
    ngx_http_async_upload_json_uint(w, "masked", cell->masked);
    ngx_http_async_upload_json_uint(w, "lost", cell->lost);
    ngx_http_async_upload_json_uint(w, "in_flight",
                                    cell->uploads - done - cell->lost);
    ngx_http_async_upload_json_uint(w, "bytes", cell->bytes);
    ngx_http_async_upload_json_ratio(w, "success_rate", cell->success,
                                     cell->success + failure,
                                     NGX_HTTP_ASYNC_UPLOAD_RENDER_DECIMALS);
    ngx_http_async_upload_json_ratio(w, "error_rate", failure,
                                     cell->success + failure,
                                     NGX_HTTP_ASYNC_UPLOAD_RENDER_DECIMALS);

    if (latency) {
        ngx_http_async_upload_render_latency(w, latency);
    }

    ngx_http_async_upload_json_object(w, "sizes");

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_SIZES; i++) {
        size = &cell->size[i];

        ngx_http_async_upload_json_key(w,
                           (char *) ngx_http_async_upload_name_sizes[i].data,
                           ngx_http_async_upload_name_sizes[i].len);
        ngx_http_async_upload_json_open(w, 0);
        ngx_http_async_upload_json_uint(w, "uploads", size->uploads);
        ngx_http_async_upload_json_uint(w, "failure", size->failure);
        ngx_http_async_upload_json_uint(w, "latency_sum_us", size->latency_us);
        ngx_http_async_upload_json_end(w);
    }

    ngx_http_async_upload_json_end(w);

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_render_classes(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_zone_sh_t *sh, ngx_http_async_upload_cell_sh_t *cell)
{
    u_char      *last, name[NGX_HTTP_ASYNC_UPLOAD_NAME_LEN];
    ngx_uint_t   i, class, status;

    ngx_http_async_upload_json_object(w, "by_class");

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_CLASSES; i++) {

        class = ngx_min(i, NGX_HTTP_ASYNC_UPLOAD_HTTP);
        status = 0;

        /* classes of connections always, of statuses those that were met */

        if (i >= NGX_HTTP_ASYNC_UPLOAD_HTTP) {

            if (cell->failure[i] == 0) {
                continue;
            }

            if (i >= NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST) {
                status = ngx_http_async_upload_zone_load(
                         &sh->statuses[i - NGX_HTTP_ASYNC_UPLOAD_HTTP_FIRST]);
            }
        }

        last = ngx_http_async_upload_name_class(name, class, status);

        ngx_http_async_upload_json_key(w, (char *) name, last - name);
        ngx_http_async_upload_json_put_uint(w, cell->failure[i]);
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_render_latency(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_hist_t *latency)
{
    double       us[NGX_HTTP_ASYNC_UPLOAD_RENDER_QUANTILES];
    uint64_t     total;
    ngx_uint_t   i;

    static const char *names[] = { "p50", "p90", "p95", "p99" };

    static const double q[NGX_HTTP_ASYNC_UPLOAD_RENDER_QUANTILES] = {
        0.5, 0.9, 0.95, 0.99
    };

    total = ngx_http_async_upload_hist_total(latency);

    ngx_http_async_upload_hist_quantiles(latency, total, q,
                                     NGX_HTTP_ASYNC_UPLOAD_RENDER_QUANTILES,
                                     us);

    ngx_http_async_upload_json_object(w, "latency_us");
    ngx_http_async_upload_json_ratio(w, "mean", latency->sum_us, total, 1);

    for (i = 0; i < NGX_HTTP_ASYNC_UPLOAD_RENDER_QUANTILES; i++) {

        if (total == 0) {
            ngx_http_async_upload_json_null(w, names[i]);
            continue;
        }

        /* the middle of a bucket may lie above all that is in it */

        ngx_http_async_upload_json_uint(w, names[i],
                                        ngx_min((uint64_t) (us[i] + 0.5),
                                                latency->max_us));
    }

    if (total) {
        ngx_http_async_upload_json_uint(w, "max", latency->max_us);

    } else {
        ngx_http_async_upload_json_null(w, "max");
    }

    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_render_fallback(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_counts_t *counts)
{
    ngx_http_async_upload_total_fallback_t  fallback;

    ngx_http_async_upload_total_fallback(counts, &fallback);

    ngx_http_async_upload_json_object(w, "fallback");
    ngx_http_async_upload_json_uint(w, "served", fallback.served);
    ngx_http_async_upload_json_uint(w, "failed", fallback.failed);
    ngx_http_async_upload_json_uint(w, "left", fallback.left);
    ngx_http_async_upload_json_uint(w, "latency_sum_us", fallback.latency_us);
    ngx_http_async_upload_json_end(w);
}


static void
ngx_http_async_upload_render_slots(ngx_http_async_upload_json_t *w,
    ngx_http_async_upload_slots_t *slots)
{
    ngx_http_async_upload_json_object(w, "slots");
    ngx_http_async_upload_json_uint(w, "total", slots->slots);
    ngx_http_async_upload_json_uint(w, "used", slots->used);
    ngx_http_async_upload_json_uint(w, "alive", slots->alive);
    ngx_http_async_upload_json_bool(w, "overflow", slots->overflow);
    ngx_http_async_upload_json_end(w);
}
