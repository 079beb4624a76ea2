/* bench_dispatch.c - rows per second through the pure dispatcher: chunks of 100 rows in, leases to two
 * workers, results echoed, acknowledged. With several jobs the workers' credit is what they compete for.
 * Usage: bench_dispatch [rows] [row bytes] [jobs] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actors/worker/limits.h"
#include "core/base/clock.h"
#include "core/sched/dispatch.h"
#include "core/sched/limits.h"

enum { CHUNK = 100, CLIENT = 100, WORKERS = 2, SCARCE_ROWS = 1000 };

typedef struct bench_job {
    uint64_t sent, chunk, limit;
} bench_job_t;

typedef struct bench {
    dispatch_t *d;
    uint64_t rows, row_bytes, jobs, delivered, done; /* rows: of one job */
    bench_job_t job[JOBS_MAX + 1];                   /* by id, from 1 */
    char *raw;
} bench_t;

static uint64_t number(int argc, char **argv, int at, uint64_t otherwise) {
    return argc > at ? strtoull(argv[at], NULL, 10) : otherwise;
}

/* Sends as many chunks as the credit allows. */
static void send_chunks(bench_t *b, uint64_t id, uint64_t now) {
    bench_job_t *job = &b->job[id];
    row_in_t rows[CHUNK];
    while (job->sent < b->rows && job->sent + CHUNK <= job->limit) {
        for (int i = 0; i < CHUNK; i++) {
            rows[i] = (row_in_t){.index = job->sent++, .raw = {b->raw, b->row_bytes}};
        }
        dispatch_rows(b->d, id, job->chunk++, rows, CHUNK, now);
    }
    if (job->sent >= b->rows) dispatch_rows_end(b->d, id, job->chunk, now);
}

static void echo(bench_t *b, const dispatch_action_t *a, uint64_t now) {
    row_done_t done[LEASE_ROWS_MAX];
    for (size_t i = 0; i < a->row_count; i++) {
        done[i] =
            (row_done_t){.index = a->rows[i].index, .json = {b->raw, b->row_bytes}, .meta = {"meta", 4}};
    }
    dispatch_row_results(b->d, a->worker, a->job, done, a->row_count, now);
}

static void handle(bench_t *b, const dispatch_action_t *a, uint64_t now) {
    switch (a->kind) {
    case DISPATCH_INGEST_CREDIT:
        b->job[a->job].limit = a->rows_limit;
        send_chunks(b, a->job, now);
        break;
    case DISPATCH_LEASE: echo(b, a, now); break;
    case DISPATCH_RESULTS:
        b->delivered += a->done_count;
        dispatch_results_ack(b->d, a->job, a->batch, now);
        break;
    case DISPATCH_JOB_DONE: b->done++; break;
    default: break;
    }
}

static void open_jobs(bench_t *b, uint64_t now) {
    for (uint64_t id = 1; id <= b->jobs; id++) {
        dispatch_job_t job = {
            .job = id, .window_rows = 2000, .window_bytes = UINT64_C(64) << 20, .concurrency = 256};
        dispatch_job_open(b->d, CLIENT + id, &job, now, NULL);
        dispatch_result_credit(b->d, id, UINT64_MAX / 2, UINT64_MAX / 2, now);
    }
    for (uint64_t id = 1; id <= WORKERS; id++) {
        dispatch_worker_t worker = {.worker = id};
        dispatch_worker_hello(b->d, id, &worker, now, NULL);
        dispatch_worker_credit(b->d, id, b->jobs > 1 ? SCARCE_ROWS : WORKER_ROWS_MAX, WORKER_BYTES_MAX, now);
    }
}

int main(int argc, char **argv) {
    bench_t b = {
        .d = dispatch_new(), .row_bytes = number(argc, argv, 2, 200), .jobs = number(argc, argv, 3, 1)};
    if (b.jobs < 1 || b.jobs > JOBS_MAX)
        return fprintf(stderr, "bench_dispatch: 1 to %d jobs\n", JOBS_MAX), 2;
    b.rows = number(argc, argv, 1, 2000000) / b.jobs / CHUNK * CHUNK;
    b.raw = xcalloc(1, b.row_bytes + 1);
    uint64_t start = clock_now_ns(), now = start, actions = 0;
    clock_t cpu = clock();
    open_jobs(&b, now);
    for (dispatch_action_t a; b.done < b.jobs && dispatch_next(b.d, now, &a); actions++) {
        handle(&b, &a, now);
        if (actions % 16 == 0) now = clock_now_ns();
    }
    double seconds = (double)(clock_now_ns() - start) / (double)SECOND,
           cpu_s = (double)(clock() - cpu) / CLOCKS_PER_SEC;
    dispatch_stats_t stats;
    dispatch_stats(b.d, &stats);
    printf("%" PRIu64 " rows of %" PRIu64
           " jobs delivered in %.2f s: %.0f rows/s, %.0f rows/s of CPU time, %.1f rows per lease\n",
           b.delivered, b.jobs, seconds, (double)b.delivered / seconds, (double)b.delivered / cpu_s,
           (double)b.delivered / (double)stats.leases_sent);
    dispatch_destroy(&b.d);
    free(b.raw);
    return b.delivered == b.rows * b.jobs ? 0 : 1;
}
