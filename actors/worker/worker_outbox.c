/* worker_outbox.c - the worker's side of core/sched/outbox.h: batches become ROW_RESULTS and LEASE_RETURN,
 * frames go to the scheduler.
 *
 * While the scheduler is silent frames stay here: WELCOME lets them go, and none of them has backed off in
 * vain. */
#include "actors/worker/worker_internal.h"
#include "actors/worker/worker_rows.h"

#include "actors/worker/limits.h"

/* A batch of finished rows as one frame of ROW_RESULTS. */
static void encode_results(const worker_t *w, const outbox_batch_t *batch, buf_t *frame) {
    message_t m = {.type = MESSAGE_ROW_RESULTS,
                   .epoch = w->greeting.epoch,
                   .ROW_RESULTS = {.batch = batch->number,
                                   .job = batch->job,
                                   .rows = {(row_done_t *)batch->done, batch->count}}};
    message_encode(&m, frame);
}

static void encode_returned(const worker_t *w, const outbox_batch_t *batch, buf_t *frame) {
    message_t m = {.type = MESSAGE_LEASE_RETURN,
                   .epoch = w->greeting.epoch,
                   .LEASE_RETURN = {.batch = batch->number,
                                    .job = batch->job,
                                    .rows = {(uint64_t *)batch->returned, batch->count}}};
    message_encode(&m, frame);
}

/* A frame keeps the epoch it was made under: in a new epoch the outbox is cleared. */
void worker_encode_batch(void *self, const outbox_batch_t *batch, buf_t *frame) {
    if (batch->done)
        encode_results(self, batch, frame);
    else
        encode_returned(self, batch, frame);
}

static void add_done(worker_t *w, worker_job_t *job, uint32_t status, const row_result_t *result,
                     uint64_t index) {
    w->rows_since++;
    buf_reset(&w->scratch);
    usage_encode(result->reason, result->usage, &w->scratch);
    row_done_t done = {.index = index,
                       .status = status,
                       .json = {result->json, result->len},
                       .meta = {w->scratch.data, w->scratch.len}};
    outbox_add_result(w->outbox, job->id, &done);
}

void worker_add_result(worker_t *w, worker_job_t *job, const row_result_t *result, uint64_t index) {
    if (w->args.report_rss) tally_row(&w->tally, result->failed, result->reason, result->usage);
    add_done(w, job, result->failed ? ROW_STATUS_FAILED : ROW_STATUS_OK, result, index);
}

void worker_add_parked(worker_t *w, worker_job_t *job, const row_usage_t *usage, uint64_t index) {
    row_result_t nothing = {.json = "", .usage = usage};
    if (w->args.report_rss) tally_usage(&w->tally, usage);
    add_done(w, job, ROW_STATUS_PARKED, &nothing, index);
}

/* Nothing runs or waits that could give another result soon; or the worker is about to leave. */
static bool is_idle(const worker_t *w) {
    return w->draining || worker_rows_open(w) == outbox_rows(w->outbox);
}

uint64_t worker_flush_due(const worker_t *w) { return outbox_due(w->outbox, is_idle(w)); }

void worker_flush(worker_t *w, uint64_t now) {
    outbox_frame_t frame;
    outbox_flush(w->outbox, now, is_idle(w));
    while (w->greeting.welcome && outbox_next(w->outbox, now, &frame)) {
        link_send_bytes(w->scheduler, 0, frame.bytes, frame.len);
    }
}
