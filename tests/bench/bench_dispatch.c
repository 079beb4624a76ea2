/* bench_dispatch.c - rows per second through the pure dispatcher: chunks of 100 rows in, leases to two workers, results echoed, acknowledged.
 * Usage: bench_dispatch [rows] [row bytes] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/sched/dispatch.h"

enum { CHUNK = 100, JOB = 1, CLIENT = 100 };

typedef struct bench {
    dispatch_t *d;
    uint64_t rows, row_bytes, sent, chunk, limit, delivered;
    char *raw;
    bool done;
} bench_t;

/* As many chunks as the credit allows. */
static void send_chunks(bench_t *b, uint64_t now) {
    dispatch_row_t rows[CHUNK];
    while (b->sent < b->rows && b->sent + CHUNK <= b->limit) {
        for (int i = 0; i < CHUNK; i++) {
            rows[i] = (dispatch_row_t){.index = b->sent++, .raw = b->raw, .len = b->row_bytes};
        }
        dispatch_rows(b->d, JOB, b->chunk++, rows, CHUNK, now);
    }
    if (b->sent >= b->rows) dispatch_rows_end(b->d, JOB, b->chunk, now);
}

static void echo(bench_t *b, const dispatch_action_t *a, uint64_t now) {
    dispatch_done_t done[LEASE_ROWS_MAX];
    for (size_t i = 0; i < a->row_count; i++) {
        done[i] = (dispatch_done_t){.index = a->rows[i].index, .json = b->raw, .json_len = b->row_bytes, .meta = "meta", .meta_len = 4};
    }
    dispatch_row_results(b->d, a->worker, JOB, done, a->row_count, now);
}

static void handle(bench_t *b, const dispatch_action_t *a, uint64_t now) {
    switch (a->kind) {
    case DISPATCH_INGEST_CREDIT:
        b->limit = a->rows_limit;
        send_chunks(b, now);
        break;
    case DISPATCH_LEASE:
        echo(b, a, now);
        break;
    case DISPATCH_RESULTS:
        b->delivered += a->done_count;
        dispatch_results_ack(b->d, JOB, a->batch, now);
        break;
    case DISPATCH_JOB_DONE:
        b->done = true;
        break;
    default:
        break;
    }
}

int main(int argc, char **argv) {
    bench_t b = {.d = dispatch_new(), .rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000,
                 .row_bytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 200};
    b.rows -= b.rows % CHUNK;
    b.raw = xcalloc(1, b.row_bytes + 1);
    uint64_t start = clock_now_ns(), now = start;
    dispatch_job_t job = {.job = JOB, .window_rows = 2000, .window_bytes = UINT64_C(64) << 20, .concurrency = 256};
    dispatch_job_open(b.d, CLIENT, &job, now, NULL);
    dispatch_result_credit(b.d, JOB, UINT64_MAX / 2, UINT64_MAX / 2, now);
    for (uint64_t id = 1; id <= 2; id++) {
        dispatch_worker_hello(b.d, id, id, now, NULL);
        dispatch_worker_credit(b.d, id, WORKER_ROWS_MAX, WORKER_BYTES_MAX, now);
    }
    uint64_t actions = 0;
    for (dispatch_action_t a; !b.done && dispatch_next(b.d, now, &a); actions++) {
        handle(&b, &a, now);
        if (actions % 16 == 0) now = clock_now_ns();
    }
    double seconds = (double)(clock_now_ns() - start) / (double)SECOND;
    dispatch_stats_t stats;
    dispatch_stats(b.d, &stats);
    printf("%" PRIu64 " rows delivered in %.2f s: %.0f rows/s, %.1f rows per lease\n", b.delivered, seconds, (double)b.delivered / seconds,
           (double)b.delivered / (double)stats.leases_sent);
    dispatch_destroy(&b.d);
    free(b.raw);
    return b.delivered == b.rows ? 0 : 1;
}
