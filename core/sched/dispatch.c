/* dispatch.c - what comes next, and time.
 *
 * An event changes state and marks what it touched; nothing is sent from within an event. dispatch_next walks
 * the marks in a fixed order: notices (a job to drop, a line for the log), permits, leases (again, then new),
 * then what clients are told. Permits come before leases, so a worker knows a job's share when its first rows
 * arrive.
 */
#include "core/sched/dispatch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/grow.h"
#include "core/sched/dispatch_internal.h"
#include "core/sched/limits.h"

dispatch_t *dispatch_new(void) {
    dispatch_t *d = xcalloc(1, sizeof *d);
    ring_init(&d->due);
    ring_init(&d->ready);
    ring_init(&d->permits);
    ring_init(&d->resend);
    ring_init(&d->endpoints);
    ring_init(&d->line_permits);
    return d;
}

/* Frees everything, jobs first: their seats and leases point to workers. */
void dispatch_destroy(dispatch_t **dispatch) {
    dispatch_t *d = *dispatch;
    if (!d) return;
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        if (d->jobs[i]) dispatch_job_destroy(d, d->jobs[i]);
    }
    while (d->worker_count > 0) {
        dispatch_worker_destroy(d, d->workers[d->worker_count - 1]);
    }
    idmap_free(&d->job_by_id);
    idmap_free(&d->worker_by_id);
    idmap_free(&d->endpoint_by_id);
    free(d->workers);
    free(d->notices);
    free(d);
    *dispatch = NULL;
}

/* ---- marks */

void dispatch_touch(dispatch_t *d, seat_job_t *job) {
    ring_add_last(&d->due, &job->due);
    ring_add_last(&d->ready, &job->ready);
}

void dispatch_notice(dispatch_t *d, const notice_t *notice) {
    GROW(d->notices, d->notice_cap, d->notice_count + 1);
    d->notices[d->notice_count++] = *notice;
}

static bool notice_next(dispatch_t *d, dispatch_action_t *action) {
    if (d->notice_at == d->notice_count) return false;
    const notice_t *n = &d->notices[d->notice_at++];
    if (n->silent_s) snprintf(d->reason, sizeof d->reason, "it was silent for %" PRIu64 " s", n->silent_s);
    *action = (dispatch_action_t){.kind = n->kind,
                                  .peer = n->peer,
                                  .worker = n->worker,
                                  .job = n->job,
                                  .index = n->index,
                                  .row_count = n->count,
                                  .mode = n->mode,
                                  .crashed = n->crashed,
                                  .reason = n->silent_s ? d->reason : n->reason};
    if (d->notice_at == d->notice_count) d->notice_at = d->notice_count = 0;
    return true;
}

static bool client_next(dispatch_t *d, uint64_t now, dispatch_action_t *action) {
    for (ring_node_t *node; (node = ring_first(&d->due));) {
        if (dispatch_job_next(d, RING_OWNER(node, seat_job_t, due), now, action)) return true;
        ring_remove(node);
    }
    return false;
}

bool dispatch_next(dispatch_t *d, uint64_t now, dispatch_action_t *action) {
    if (notice_next(d, action)) return true;
    if (dispatch_permits_next(d, action)) return true;
    if (dispatch_lease_again(d, now, action)) return true;
    if (dispatch_lease_next(d, now, action)) return true;
    return client_next(d, now, action);
}

/* ---- time */

/* When this process itself stood still (a stopped machine, a swap storm), no worker is blamed for the
 * silence: the pause is added to the time each was heard last. */
static void forgive_own_pause(dispatch_t *d, uint64_t now) {
    uint64_t pause = d->tick_ns && now > d->tick_ns ? now - d->tick_ns : 0;
    d->tick_ns = now;
    if (pause < 2 * BEAT_NS) return;
    for (size_t i = 0; i < d->worker_count; i++) {
        seat_worker_t *worker = d->workers[i];
        worker->heard_ns = smaller(worker->heard_ns + pause, now);
        if (worker->cut_ns) worker->cut_ns = smaller(worker->cut_ns + pause, now);
    }
}

void dispatch_tick(dispatch_t *d, uint64_t now) {
    forgive_own_pause(d, now);
    dispatch_lines_tick(d, now);
    for (size_t i = d->worker_count; i > 0; i--) {
        dispatch_worker_tick(d, d->workers[i - 1], now);
    }
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        if (d->jobs[i]) dispatch_job_tick(d, d->jobs[i], now);
    }
}

/* ---- numbers */

void dispatch_stats(const dispatch_t *d, dispatch_stats_t *stats) {
    *stats = d->stats;
    for (size_t i = 0; i < d->worker_count; i++) {
        stats->row_credit += d->workers[i]->credit_rows;
    }
}

/* What the monitor and STATUS show of a job, copied out of its counters. */
bool dispatch_job_stats(const dispatch_t *d, uint64_t id, dispatch_job_stats_t *stats) {
    const seat_job_t *job = dispatch_job_find(d, id);
    *stats = (dispatch_job_stats_t){0};
    if (!job) return false;
    *stats = (dispatch_job_stats_t){.client = job->peer,
                                    .rows_received = job->received_rows,
                                    .rows_queued = job->queued,
                                    .rows_leased = job->leased,
                                    .rows_answered = job->answered_rows,
                                    .rows_ok = job->rows_ok,
                                    .rows_failed = job->rows_failed,
                                    .bytes_pending = job->pending_bytes,
                                    .workers = job->able,
                                    .concurrency = job->asked.concurrency,
                                    .window_rows = job->asked.window_rows,
                                    .window_bytes = job->asked.window_bytes,
                                    .ingest_rows_limit = job->told_rows,
                                    .result_rows_limit = job->result_rows_limit,
                                    .none_come = !dispatch_job_takes_rows(job),
                                    .over = job->state == JOB_OVER,
                                    .stopping = job->state == JOB_STOPPING};
    return true;
}

static uint64_t ring_length(const ring_t *ring) {
    uint64_t n = 0;
    RING_EACH(ring, node) n++;
    return n;
}

static void check_worker(const seat_worker_t *w) {
    uint64_t rows = 0, seats = 0;
    RING_EACH(&w->leases, node) {
        const lease_t *lease = RING_OWNER(node, lease_t, node);
        assert(lease->open > 0 && lease->open == ring_length(&lease->rows));
        rows += lease->open;
    }
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        if (w->seat[i]) seats += w->seat[i]->leased;
    }
    assert(w->held_rows == rows && w->held_rows == seats);
    assert(w->held_rows == w->held_kind[0] + w->held_kind[1] + w->held_kind[2]);
}

static void check_job(const seat_job_t *job) {
    uint64_t queued = 0, batched = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        queued += ring_length(&job->queue[kind]);
    }
    RING_EACH(&job->batches, node) batched += ring_length(&RING_OWNER(node, result_batch_t, node)->rows);
    assert(job->queued == queued && job->answered_rows == batched + ring_length(&job->answered));
    assert(dispatch_job_pending(job) == job->queued + job->leased + job->answered_rows);
    assert(job->answered_bytes <= job->pending_bytes);
    assert(dispatch_job_pending(job) == job->rows.count &&
           dispatch_job_pending(job) <= job->asked.window_rows);
}

void dispatch_check(const dispatch_t *d) {
    uint64_t held = 0, leased = 0;
    for (size_t i = 0; i < d->worker_count; i++) {
        check_worker(d->workers[i]);
        held += d->workers[i]->held_rows;
    }
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        if (!d->jobs[i]) continue;
        check_job(d->jobs[i]);
        leased += d->jobs[i]->leased;
    }
    assert(held == leased && held == d->stats.rows_leased);
}
