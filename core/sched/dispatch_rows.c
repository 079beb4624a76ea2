/* dispatch_rows.c - what happens to one row. Every change of state goes through row_detach, which undoes what
 * the old state counted, and one of the functions below, which counts the new one: the counters cannot drift
 * from the lists. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/result_line.h"
#include "core/sched/dispatch_internal.h"
#include "core/sched/limits.h"

enum { ROWS_PER_BLOCK = 256 };

/* ---- the pool */

static void add_block(seat_job_t *job) {
    lease_row_block_t *block = xcalloc(1, sizeof *block + ROWS_PER_BLOCK * sizeof(lease_row_t));
    block->next = job->blocks;
    job->blocks = block;
    for (int i = 0; i < ROWS_PER_BLOCK; i++) {
        block->rows[i].node.next = (ring_node_t *)job->free_rows;
        job->free_rows = &block->rows[i];
    }
}

lease_row_t *dispatch_row_add(seat_job_t *job, uint64_t index) {
    if (!job->free_rows) add_block(job);
    lease_row_t *row = job->free_rows;
    if (!idmap_add(&job->rows, index, row)) return NULL;
    job->free_rows = (lease_row_t *)row->node.next;
    memset(row, 0, sizeof *row);
    row->index = index;
    return row;
}

static void give_back(seat_job_t *job, lease_row_t *row) {
    row->node.next = (ring_node_t *)job->free_rows;
    job->free_rows = row;
}

/* ---- states */

static int kind_of(const lease_row_t *row) { return row->deaths < KINDS ? row->deaths : KIND_CULPRIT; }

static void leave_lease(dispatch_t *d, seat_job_t *job, lease_row_t *row) {
    lease_t *lease = row->lease;
    seat_worker_t *worker = lease->worker;
    worker->held_rows--;
    worker->held_bytes -= row->len;
    worker->held_kind[kind_of(row)]--;
    worker->seat[job->slot]->leased--;
    job->leased--;
    d->stats.rows_leased--;
    row->lease = NULL;
    if (--lease->open == 0) dispatch_lease_close(lease);
}

static void count_bytes(dispatch_t *d, seat_job_t *job, int64_t bytes) {
    job->pending_bytes += (uint64_t)bytes;
    d->stats.bytes_pending += (uint64_t)bytes;
}

static size_t bytes_of(const lease_row_t *row) { return row->len + row->meta_len; }

/* Takes the row out of its list and out of the counters of its state. A new row, in no list yet, is counted
 * nowhere. */
static void row_detach(dispatch_t *d, seat_job_t *job, lease_row_t *row) {
    bool in_queue = row->state == ROW_QUEUED && row->node.next;
    ring_remove(&row->node);
    if (row->state == ROW_LEASED) leave_lease(d, job, row);
    if (in_queue) {
        job->queued--;
        d->stats.rows_queued--;
    }
    if (row->state == ROW_ANSWERED) {
        job->answered_rows--;
        job->answered_bytes -= bytes_of(row);
        d->stats.rows_answered--;
    }
    if (in_queue || row->state != ROW_QUEUED) count_bytes(d, job, -(int64_t)bytes_of(row));
    row->state = ROW_QUEUED;
}

void dispatch_row_enqueue(dispatch_t *d, seat_job_t *job, lease_row_t *row, bool first) {
    row_detach(d, job, row);
    ring_t *queue = &job->queue[kind_of(row)];
    if (first)
        ring_add_first(queue, &row->node);
    else
        ring_add_last(queue, &row->node);
    RING_EACH(&job->unserved, node) dispatch_seat_hungry(RING_OWNER(node, seat_t, hungry));
    job->queued++;
    d->stats.rows_queued++;
    count_bytes(d, job, (int64_t)row->len);
}

void dispatch_row_lease(dispatch_t *d, lease_row_t *row, lease_t *lease, seat_t *seat) {
    row_detach(d, seat->job, row);
    row->state = ROW_LEASED;
    row->lease = lease;
    ring_add_last(&lease->rows, &row->node);
    lease->open++;
    seat->leased++;
    seat->worker->held_rows++;
    seat->worker->held_bytes += row->len;
    seat->worker->held_kind[kind_of(row)]++;
    seat->job->leased++;
    d->stats.rows_leased++;
    count_bytes(d, seat->job, (int64_t)row->len);
}

/* The answer replaces the row's raw bytes. The row waits among the answered until it is sent. */
void dispatch_row_answer(dispatch_t *d, seat_job_t *job, lease_row_t *row, const row_done_t *done,
                         uint64_t author) {
    row_detach(d, job, row);
    free(row->data);
    row->state = ROW_ANSWERED;
    row->status = done->status;
    row->author = author;
    row->data = xmalloc(done->json.len + done->meta.len);
    if (done->json.len) memcpy(row->data, done->json.data, done->json.len);
    if (done->meta.len) memcpy(row->data + done->json.len, done->meta.data, done->meta.len);
    row->len = done->json.len;
    row->meta_len = done->meta.len;
    ring_add_last(&job->answered, &row->node);
    job->answered_rows++;
    job->answered_bytes += bytes_of(row);
    d->stats.rows_answered++;
    count_bytes(d, job, (int64_t)bytes_of(row));
}

void dispatch_row_fail(dispatch_t *d, seat_job_t *job, lease_row_t *row) {
    char why[64];
    buf_t line;
    snprintf(why, sizeof why, "this row was running on %d workers that died", LEASE_ATTEMPTS_MAX);
    buf_init(&line, ERR_TEXT_MAX);
    result_line_fail(&line, row->index, why);
    row_done_t done = {.status = ROW_STATUS_FAILED, .json = {line.data, line.len}};
    dispatch_row_answer(d, job, row, &done, 0);
    buf_free(&line);
    dispatch_notice(d, &(notice_t){.kind = DISPATCH_ROW_FAILED, .job = job->id, .index = row->index});
}

void dispatch_row_release(dispatch_t *d, seat_job_t *job, lease_row_t *row) {
    row_detach(d, job, row);
    free(row->data);
    idmap_remove(&job->rows, row->index);
    give_back(job, row);
    job->released_rows++;
}

/* ---- many */

void dispatch_job_drop_queued(dispatch_t *d, seat_job_t *job) {
    for (int kind = 0; kind < KINDS; kind++) {
        RING_EACH(&job->queue[kind], node) dispatch_row_release(d, job, RING_OWNER(node, lease_row_t, node));
    }
}

void dispatch_job_drop_rows(dispatch_t *d, seat_job_t *job) {
    for (size_t i = 0; job->rows.count > 0; i++) {
        /* A removal moves rows back within the table: look at the same slot until it stays empty. */
        while (job->rows.slots[i % job->rows.cap].value) {
            dispatch_row_release(d, job, job->rows.slots[i % job->rows.cap].value);
        }
    }
    while (!ring_empty(&job->batches)) {
        result_batch_t *batch = RING_OWNER(ring_first(&job->batches), result_batch_t, node);
        ring_remove(&batch->node);
        free(batch);
    }
}
