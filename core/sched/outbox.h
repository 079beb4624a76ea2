/* outbox.h - a worker's finished and returned rows on their way to the scheduler. Pure: rows and times in,
 * frames out.
 *
 *   outbox_add_result, outbox_add_returned -> gathered, per job
 *   outbox_flush, when they are due        -> one batch per job and kind, encoded once by `encode`
 *   outbox_next                            -> frames to send now: new batches in order, then those due again
 *   outbox_acknowledged                    -> gone
 *
 * Gathered rows leave at once when the last flush is a while ago, when many are gathered, or when the worker
 * has nothing else to do (RESULT_GATHER_ROWS, RESULT_GATHER_NS): each batch makes scheduler and client wake
 * up and answer. A batch also closes by itself at RESULT_BATCH_ROWS_MAX rows or RESULT_BATCH_BYTES_MAX bytes.
 * A frame may be lost on the way, so each is kept until acknowledged and handed out again after RESEND_NS,
 * then after twice as long each time, at most RESEND_NS_MAX; the scheduler drops rows it already has.
 *
 * Nothing is lost here but by outbox_forget and outbox_clear. What is held is bounded by the rows the worker
 * holds (its row credit); outbox_bytes is what it takes. */
#ifndef SDG_SCHED_OUTBOX_H
#define SDG_SCHED_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/sched/dispatch.h"

typedef struct outbox outbox_t;

/* Rows of one job that leave together: finished rows, or rows that are given back (then `done` is NULL). All
 * pointers are borrowed for the call. */
typedef struct outbox_batch {
    uint64_t number; /* counts from 1, over all jobs */
    uint64_t job;
    const row_done_t *done;
    const uint64_t *returned; /* indexes */
    size_t count;
} outbox_batch_t;

/* Appends the frame of this batch to `frame`, which is empty. Called once for each batch, inside outbox_add_*
 * and outbox_flush. */
typedef void outbox_encode_t(void *self, const outbox_batch_t *batch, buf_t *frame);

typedef struct outbox_frame {
    uint64_t batch;
    const char *bytes; /* valid until the next call of an outbox function */
    size_t len;
    bool again; /* this frame was handed out before */
} outbox_frame_t;

outbox_t *outbox_new(outbox_encode_t *encode, void *self);
void outbox_destroy(outbox_t **outbox);

/* One finished row; its bytes are copied. json.len + meta.len <= MESSAGE_BYTES_MAX - RESULT_BATCH_BYTES_MAX.
 */
void outbox_add_result(outbox_t *o, uint64_t job, const row_done_t *done);
/* One row given back, to be run by somebody else. */
void outbox_add_returned(outbox_t *o, uint64_t job, uint64_t index);
/* The job is over: what is gathered for it is dropped. Its batches stay until acknowledged. */
void outbox_forget(outbox_t *o, uint64_t job);
/* The scheduler has restarted and knows none of these rows: everything is dropped. Numbers go on. */
void outbox_clear(outbox_t *o);

/* When gathered rows are to leave: 0 at once, UINT64_MAX when there are none. idle: the worker has nothing
 * else to do, so that no other row would come along. */
uint64_t outbox_due(const outbox_t *o, bool idle);
/* Makes batches of what is gathered, if it is due. */
void outbox_flush(outbox_t *o, uint64_t now, bool idle);
/* The next frame to send at `now`, each once; false: none. It counts as sent, whatever becomes of it. */
bool outbox_next(outbox_t *o, uint64_t now, outbox_frame_t *frame);
/* The scheduler has this batch; false: it was acknowledged before, or dropped. */
bool outbox_acknowledged(outbox_t *o, uint64_t batch);

uint64_t outbox_rows(const outbox_t *o);  /* gathered, and in batches not acknowledged */
uint64_t outbox_bytes(const outbox_t *o); /* bytes of gathered results and of frames */

#endif
