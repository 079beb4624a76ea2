/* dispatch_results.c - answers from workers, and their way to the client's disk.
 *
 * A row may be answered more than once (a worker taken for dead comes back): the first answer counts, whoever
 * sent it and whatever state the row is in. Answers are sent in batches, in the order they came, as far as
 * the client's credit goes, and again until acknowledged.
 */
#include <stdlib.h>

#include "core/base/limits.h"
#include "core/sched/dispatch_internal.h"
#include "core/sched/limits.h"

/* ---- from workers */

/* Counts finished rows into the smoothed rate of this seat. */
static void count_finished(seat_t *seat, uint64_t rows, uint64_t now) {
    uint64_t passed = now > seat->rate_ns ? now - seat->rate_ns : 0;
    seat->rate_rows += rows;
    if (passed < RATE_STEP_NS) return;
    double rate = (double)seat->rate_rows * (double)SECOND / (double)passed;
    seat->rate += (rate - seat->rate) * (double)passed / (double)(passed + RATE_SMOOTH_NS);
    seat->rate_ns = now;
    seat->rate_rows = 0;
}

/* Takes the answers of rows that are still open. Returns how many of those rows this worker held. */
static uint64_t take_answers(dispatch_t *d, seat_job_t *job, const seat_worker_t *worker, uint64_t author,
                             const row_done_t *rows, size_t count) {
    uint64_t held = 0;
    for (size_t i = 0; i < count; i++) {
        lease_row_t *row = idmap_get(&job->rows, rows[i].index);
        if (!row || row->state == ROW_ANSWERED) {
            d->stats.duplicates_dropped++;
            continue;
        }
        if (row->state == ROW_LEASED && row->lease->worker == worker) {
            dispatch_lease_arrived(row->lease);
            held++;
        }
        seat_worker_t *holder = row->state == ROW_LEASED ? row->lease->worker : NULL;
        dispatch_row_answer(d, job, row, &rows[i], author);
        if (holder && holder != worker) dispatch_worker_wake(d, holder);
    }
    return held;
}

/* Answers of a job that is over are dropped, and the worker is told once more to forget the job. */
void dispatch_row_results(dispatch_t *d, uint64_t worker_id, uint64_t job_id, const row_done_t *rows,
                          size_t count, uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, worker_id);
    seat_job_t *job = dispatch_job_find(d, job_id);
    dispatch_worker_beat(d, worker_id, now);
    if (!job || job->state == JOB_OVER) { /* the worker has not heard that the job is over */
        d->stats.duplicates_dropped += count;
        if (worker) dispatch_job_unknown(d, worker, job_id);
        return;
    }
    /* A worker that is not known any more was not a thread of this process: those stay until the end. */
    uint64_t author = worker && !worker->remote ? 0 : worker_id;
    uint64_t held = take_answers(d, job, worker, author, rows, count);
    if (worker && held > 0) {
        count_finished(worker->seat[job->slot], held, now);
        dispatch_worker_wake(d, worker);
    }
    dispatch_touch(d, job);
}

/* ---- to the client */

/* The action that sends this batch: all its rows, also when it is sent again. */
static void describe_batch(dispatch_t *d, const seat_job_t *job, const result_batch_t *batch,
                           dispatch_action_t *action) {
    size_t count = 0;
    uint64_t author = RING_OWNER(ring_first(&batch->rows), lease_row_t, node)->author;
    RING_EACH(&batch->rows, node) {
        const lease_row_t *row = RING_OWNER(node, lease_row_t, node);
        d->batch_rows[count++] = (row_done_t){.index = row->index,
                                              .status = row->status,
                                              .json = {row->data, row->len},
                                              .meta = {row->data + row->len, row->meta_len}};
    }
    *action = (dispatch_action_t){.kind = DISPATCH_RESULTS,
                                  .peer = job->peer,
                                  .worker = author,
                                  .job = job->id,
                                  .batch = batch->number,
                                  .done = d->batch_rows,
                                  .done_count = count};
}

/* May this row be sent too, after `rows` and `bytes` of the same batch? */
static bool credit_allows(const seat_job_t *job, const lease_row_t *row, uint64_t rows, uint64_t bytes) {
    if (job->sent_rows >= job->result_rows_limit || rows == RESULT_BATCH_ROWS_MAX) return false;
    if (rows > 0 && bytes + row->len > RESULT_BATCH_BYTES_MAX) return false;
    if (job->sent_bytes + row->len <= job->result_bytes_limit) return true;
    return rows == 0 && ring_empty(&job->batches); /* a result larger than the whole window is sent alone */
}

static result_batch_t *batch_new(seat_job_t *job, uint64_t now) {
    result_batch_t *batch = xcalloc(1, sizeof *batch);
    ring_init(&batch->rows);
    batch->number = ++job->batches_sent;
    batch->wait_ns = RESEND_NS;
    batch->resend_ns = now + RESEND_NS;
    return batch;
}

/* A new batch of answered rows, in the order they came, as far as the client's credit goes. They are of one
 * worker: the client is told of which. */
static bool batch_next(dispatch_t *d, seat_job_t *job, uint64_t now, dispatch_action_t *action) {
    result_batch_t *batch = NULL;
    uint64_t rows = 0, bytes = 0, author = 0;
    for (ring_node_t *node; (node = ring_first(&job->answered)); rows++) {
        lease_row_t *row = RING_OWNER(node, lease_row_t, node);
        if (!credit_allows(job, row, rows, bytes) || (batch && row->author != author)) break;
        if (!batch) batch = batch_new(job, now);
        author = row->author;
        ring_remove(node);
        ring_add_last(&batch->rows, node);
        bytes += row->len;
        job->sent_rows++;
        job->sent_bytes += row->len;
    }
    if (!batch) return false;
    ring_add_last(&job->batches, &batch->node);
    describe_batch(d, job, batch, action);
    return true;
}

static result_batch_t *batch_due(seat_job_t *job, uint64_t now) {
    RING_EACH(&job->batches, node) {
        result_batch_t *batch = RING_OWNER(node, result_batch_t, node);
        if (batch->resend_ns <= now) return batch;
    }
    return NULL;
}

bool dispatch_results_due(seat_job_t *job, uint64_t now) { return batch_due(job, now); }

/* Sends the first batch again that is due. A client takes batches in order and drops one that comes too
 * early, so those behind it follow: else each would wait for its own turn, and meanwhile new ones would be
 * dropped. */
static bool batch_again(dispatch_t *d, seat_job_t *job, uint64_t now, dispatch_action_t *action) {
    result_batch_t *batch = job->resend ? batch_due(job, now) : NULL;
    job->resend = batch;
    if (!batch) return false;
    for (ring_node_t *node = batch->node.next; node != &job->batches.head; node = node->next) {
        RING_OWNER(node, result_batch_t, node)->resend_ns = now;
    }
    batch->wait_ns = smaller(batch->wait_ns * 2, RESEND_NS_MAX);
    batch->resend_ns = now + batch->wait_ns;
    describe_batch(d, job, batch, action);
    return true;
}

bool dispatch_results_next(dispatch_t *d, seat_job_t *job, uint64_t now, dispatch_action_t *action) {
    return batch_again(d, job, now, action) || batch_next(d, job, now, action);
}

void dispatch_results_again(seat_job_t *job, uint64_t now) {
    RING_EACH(&job->batches, node) {
        result_batch_t *batch = RING_OWNER(node, result_batch_t, node);
        batch->resend_ns = now;
        batch->wait_ns = RESEND_NS;
    }
    job->resend = true;
}

/* ---- from the client */

int dispatch_result_credit(dispatch_t *d, uint64_t id, uint64_t rows_limit, uint64_t bytes_limit,
                           uint64_t now) {
    seat_job_t *job = dispatch_job_find(d, id);
    (void)now;
    if (!job) return SDG_ENOTFOUND;
    /* Limits only grow: a smaller one is an older message. */
    if (rows_limit > job->result_rows_limit) job->result_rows_limit = rows_limit;
    if (bytes_limit > job->result_bytes_limit) job->result_bytes_limit = bytes_limit;
    dispatch_touch(d, job);
    return SDG_OK;
}

static void batch_done(dispatch_t *d, seat_job_t *job, result_batch_t *batch) {
    RING_EACH(&batch->rows, node) {
        lease_row_t *row = RING_OWNER(node, lease_row_t, node);
        if (row->status == ROW_STATUS_FAILED)
            job->rows_failed++;
        else
            job->rows_ok++;
        dispatch_row_release(d, job, row);
    }
    ring_remove(&batch->node);
    free(batch);
}

int dispatch_results_ack(dispatch_t *d, uint64_t id, uint64_t number, uint64_t now) {
    seat_job_t *job = dispatch_job_find(d, id);
    (void)now;
    if (!job) return SDG_ENOTFOUND;
    for (ring_node_t *node; (node = ring_first(&job->batches));) {
        result_batch_t *batch = RING_OWNER(node, result_batch_t, node);
        if (batch->number > number) break;
        batch_done(d, job, batch);
    }
    dispatch_touch(d, job);
    return SDG_OK;
}
