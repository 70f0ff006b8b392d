
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "simulate.h"


/*
 * Without "confirm" the failures of an arm count as if each had a second of its
 * own, so that what is told in uploads does not depend on how many there are in
 * a second.
 */

const scenario_t  scenarios[] = {

    { .name = "healthy_02", .title = "healthy, 0.2% fail, 1/s",
      .goal = NOTHING, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 100000, .confirm_ms = 5000 },

    { .name = "healthy_02_slow", .title = "healthy, 0.2% fail, 0.1/s",
      .goal = NOTHING, .rate = 0.1, .share = 1000, .base = 0.002,
      .uploads = 100000, .confirm_ms = 5000 },

    { .name = "healthy_05", .title = "healthy, 0.5% fail, 1/s",
      .goal = NOTHING, .rate = 1, .share = 1000, .base = 0.005,
      .uploads = 100000, .confirm_ms = 5000 },

    { .name = "healthy_05_slow", .title = "healthy, 0.5% fail, 0.1/s",
      .goal = NOTHING, .rate = 0.1, .share = 1000, .base = 0.005,
      .uploads = 100000, .confirm_ms = 5000 },

    { .name = "outage", .title = "outage at the start",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 20000, .failing = 1 },

    { .name = "outage_late", .title = "outage after 20,000",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .from = 20000, .uploads = 20000, .failing = 1 },

    { .name = "ten", .title = "10% fail from the start",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 20000, .failing = 0.1 },

    { .name = "ten_late", .title = "10% fail after 20,000",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .from = 20000, .uploads = 20000, .failing = 0.1 },

    { .name = "six", .title = "6% fail from the start",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 20000, .failing = 0.06 },

    { .name = "six_late", .title = "6% fail after 20,000",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .from = 20000, .uploads = 20000, .failing = 0.06 },

    { .name = "outage_confirm", .title = "outage, 1/s, confirm 5s",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 20000, .failing = 1, .confirm_ms = 5000 },

    { .name = "ten_confirm", .title = "10% fail, 1/s, confirm 5s",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 20000, .failing = 0.1, .confirm_ms = 5000 },

    { .name = "worse_1", .title = "1% fail, control 0.2%, share 1%",
      .goal = REVIEW, .rate = 1, .share = 100, .base = 0.002,
      .uploads = 30000, .failing = 0.01, .confirm_ms = 5000 },

    { .name = "worse_10", .title = "1% fail, control 0.2%, share 10%",
      .goal = REVIEW, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 30000, .failing = 0.01, .confirm_ms = 5000 },

    { .name = "worse_50", .title = "1% fail, control 0.2%, share 50%",
      .goal = REVIEW, .rate = 1, .share = 5000, .base = 0.002,
      .uploads = 30000, .failing = 0.01, .confirm_ms = 5000 },

    { .name = "common", .title = "10% fail in both arms",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 20000, .failing = 0.1, .common = 0.1 },

    { .name = "slower_20", .title = "latency +20%",
      .goal = SHUT, .rate = 10, .share = 1000, .base = 0.002,
      .from = 1000, .uploads = 20000, .sigma = 0.5, .slower = 1.2,
      .confirm_ms = 5000 },

    { .name = "slower_50", .title = "latency +50%",
      .goal = REVIEW, .rate = 10, .share = 1000, .base = 0.002,
      .from = 1000, .uploads = 20000, .sigma = 0.5, .slower = 1.5,
      .confirm_ms = 5000 },

    { .name = "baseline_50", .title = "latency +50%, share 100%",
      .goal = REVIEW, .rate = 10, .share = 10000, .base = 0.002,
      .from = 1000, .uploads = 20000, .sigma = 0.5, .slower = 1.5,
      .baseline = 1, .confirm_ms = 5000 },

    { .name = "equal", .title = "equal latency",
      .goal = NOTHING, .rate = 10, .share = 1000, .base = 0.002,
      .uploads = 20000, .sigma = 0.5, .confirm_ms = 5000 },

    { .name = "both_slower", .title = "both arms +50%",
      .goal = NOTHING, .rate = 10, .share = 1000, .base = 0.002,
      .from = 10000, .uploads = 10000, .sigma = 0.5, .both = 1.5,
      .confirm_ms = 5000 },

    { .name = "sizes", .title = "larger uploads in both arms",
      .goal = NOTHING, .rate = 10, .share = 1000, .base = 0.002,
      .from = 10000, .uploads = 10000, .sigma = 0.5, .sizes = 1,
      .confirm_ms = 5000 },

    { .name = "sizes_async", .title = "larger uploads at async alone",
      .goal = NOTHING, .rate = 10, .share = 1000, .base = 0.002,
      .from = 10000, .uploads = 10000, .sigma = 0.5, .sizes = 2,
      .confirm_ms = 5000 },

    { .name = "broken", .title = "1 of 50 clients is broken, 10%",
      .goal = NOTHING, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 20000, .clients = 49, .broken = 0.1, .confirm_ms = 5000 },

    { .name = "alone", .title = "a broken client alone",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .uploads = 20000, .broken = 1 },

    { .name = "address", .title = "outage, one address, after 20,000",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .from = 20000, .uploads = 20000, .failing = 1, .address = 1 },

    { .name = "address_most", .title = "outage, 90% of one address",
      .goal = ROLLBACK, .rate = 1, .share = 1000, .base = 0.002,
      .from = 20000, .uploads = 20000, .failing = 1, .clients = 100,
      .address = 0.9 }
};


const unsigned  scenarios_n = sizeof(scenarios) / sizeof(scenarios[0]);
