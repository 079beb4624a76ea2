/* outbox.c - see outbox.h.
 *
 * A lot is what is gathered of one job. A parcel is a batch with its frame; it is in the ring `fresh` until
 * it is handed out for the first time, then in `sent`, in the order of the last handing out. */
#include "core/sched/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/grow.h"
#include "core/base/limits.h"
#include "core/base/numbers.h"
#include "core/base/ring.h"
#include "core/sched/limits.h"

typedef struct lot {
    ring_node_t node; /* in `lots` */
    uint64_t job;
    row_done_t *done; /* lengths only: their bytes follow each other in `bytes`, which may move */
    size_t done_count, done_cap;
    buf_t bytes;
    numbers_t returned;
} lot_t;

typedef struct parcel {
    ring_node_t node;
    uint64_t number;
    size_t rows;
    uint64_t due_ns;  /* when to hand it out again */
    uint64_t wait_ns; /* how long that is after the last time */
    size_t len;
    char bytes[];
} parcel_t;

struct outbox {
    outbox_encode_t *encode;
    void *encoder;
    ring_t lots; /* the newest first */
    ring_t fresh, sent;
    uint64_t number;     /* of the last batch */
    uint64_t flushed_ns; /* when gathered rows last left */
    uint64_t again_ns;   /* nothing of `sent` is due before */
    uint64_t gathered_rows, gathered_bytes;
    uint64_t parcel_rows, parcel_bytes;
    buf_t frame; /* for encoding */
};

outbox_t *outbox_new(outbox_encode_t *encode, void *self) {
    outbox_t *o = xcalloc(1, sizeof *o);
    o->encode = encode;
    o->encoder = self;
    o->again_ns = UINT64_MAX;
    ring_init(&o->lots);
    ring_init(&o->fresh);
    ring_init(&o->sent);
    buf_init(&o->frame, MESSAGE_BYTES_MAX);
    return o;
}

void outbox_destroy(outbox_t **outbox) {
    if (!*outbox) return;
    outbox_clear(*outbox);
    buf_free(&(*outbox)->frame);
    free(*outbox);
    *outbox = NULL;
}

/* Empties the buffer. One that has grown above RESULT_BYTES_KEPT (a result may be hundreds of MiB) is freed.
 */
static void reset_buf(buf_t *b) {
    buf_reset(b);
    if (b->cap > RESULT_BYTES_KEPT) buf_free(b);
}

/* ---- lots */

/* NULL: nothing was gathered of this job so far. */
static lot_t *find_lot(const outbox_t *o, uint64_t job) {
    RING_EACH(&o->lots, node) {
        lot_t *lot = RING_OWNER(node, lot_t, node);
        if (lot->job == job) return lot;
    }
    return NULL;
}

static lot_t *lot_of(outbox_t *o, uint64_t job) {
    lot_t *lot = find_lot(o, job);
    if (lot) return lot;
    lot = xcalloc(1, sizeof *lot);
    lot->job = job;
    buf_init(&lot->bytes, MESSAGE_BYTES_MAX);
    ring_add_first(&o->lots, &lot->node);
    return lot;
}

static void lot_free(outbox_t *o, lot_t *lot) {
    ring_remove(&lot->node);
    o->gathered_rows -= lot->done_count + lot->returned.count;
    o->gathered_bytes -= lot->bytes.len;
    free(lot->done);
    buf_free(&lot->bytes);
    numbers_free(&lot->returned);
    free(lot);
}

/* Points each result at its bytes: they do not move any more. */
static void point_results(lot_t *lot) {
    const char *at = lot->bytes.data;
    for (size_t i = 0; i < lot->done_count; i++) {
        row_done_t *done = &lot->done[i];
        done->json.data = at;
        done->meta.data = at + done->json.len;
        at += done->json.len + done->meta.len;
    }
}

/* ---- parcels */

static void parcel_free(outbox_t *o, parcel_t *p) {
    ring_remove(&p->node);
    o->parcel_rows -= p->rows;
    o->parcel_bytes -= p->len;
    free(p);
}

/* Makes a parcel of a batch: encodes it, keeps the frame, and moves its rows from gathered to parcels. */
static void pack(outbox_t *o, outbox_batch_t batch) {
    batch.number = ++o->number;
    o->encode(o->encoder, &batch, &o->frame);
    assert(!o->frame.full);
    parcel_t *p = xmalloc(sizeof *p + o->frame.len);
    *p = (parcel_t){.number = batch.number, .rows = batch.count, .len = o->frame.len};
    if (p->len) memcpy(p->bytes, o->frame.data, p->len);
    reset_buf(&o->frame);
    ring_add_last(&o->fresh, &p->node);
    o->gathered_rows -= batch.count;
    o->parcel_rows += batch.count;
    o->parcel_bytes += p->len;
}

static void pack_results(outbox_t *o, lot_t *lot) {
    if (lot->done_count == 0) return;
    point_results(lot);
    o->gathered_bytes -= lot->bytes.len;
    pack(o, (outbox_batch_t){.job = lot->job, .done = lot->done, .count = lot->done_count});
    lot->done_count = 0;
    reset_buf(&lot->bytes);
}

static void pack_returned(outbox_t *o, lot_t *lot) {
    if (lot->returned.count == 0) return;
    pack(o, (outbox_batch_t){.job = lot->job, .returned = lot->returned.items, .count = lot->returned.count});
    lot->returned.count = 0;
}

/* ---- gathering */

/* Gathers the result. A batch that is full with it is packed at once. */
void outbox_add_result(outbox_t *o, uint64_t job, const row_done_t *done) {
    lot_t *lot = lot_of(o, job);
    GROW(lot->done, lot->done_cap, lot->done_count + 1);
    buf_add(&lot->bytes, done->json.data, done->json.len);
    buf_add(&lot->bytes, done->meta.data, done->meta.len);
    assert(!lot->bytes.full); /* a batch above its limit has left */
    lot->done[lot->done_count++] = *done;
    o->gathered_rows++;
    o->gathered_bytes += done->json.len + done->meta.len;
    if (lot->done_count >= RESULT_BATCH_ROWS_MAX || lot->bytes.len >= RESULT_BATCH_BYTES_MAX)
        pack_results(o, lot);
}

void outbox_add_returned(outbox_t *o, uint64_t job, uint64_t index) {
    numbers_add(&lot_of(o, job)->returned, index);
    o->gathered_rows++;
}

void outbox_forget(outbox_t *o, uint64_t job) {
    lot_t *lot = find_lot(o, job);
    if (lot) lot_free(o, lot);
}

void outbox_clear(outbox_t *o) {
    RING_EACH(&o->lots, node) lot_free(o, RING_OWNER(node, lot_t, node));
    RING_EACH(&o->fresh, node) parcel_free(o, RING_OWNER(node, parcel_t, node));
    RING_EACH(&o->sent, node) parcel_free(o, RING_OWNER(node, parcel_t, node));
    o->again_ns = UINT64_MAX;
}

uint64_t outbox_due(const outbox_t *o, bool idle) {
    if (o->gathered_rows == 0) return UINT64_MAX;
    return idle || o->gathered_rows >= RESULT_GATHER_ROWS ? 0 : o->flushed_ns + RESULT_GATHER_NS;
}

void outbox_flush(outbox_t *o, uint64_t now, bool idle) {
    if (now < outbox_due(o, idle)) return;
    o->flushed_ns = now;
    RING_EACH(&o->lots, node) {
        lot_t *lot = RING_OWNER(node, lot_t, node);
        pack_results(o, lot);
        pack_returned(o, lot);
    }
}

/* ---- sending */

/* The frame of this parcel is to be sent now. The parcel becomes the last of `sent`, due again after its
 * wait. */
static void hand_out(outbox_t *o, parcel_t *p, uint64_t now, outbox_frame_t *frame) {
    bool again = p->wait_ns > 0;
    p->wait_ns = again ? p->wait_ns * 2 : RESEND_NS;
    if (p->wait_ns > RESEND_NS_MAX) p->wait_ns = RESEND_NS_MAX;
    p->due_ns = now + p->wait_ns;
    if (p->due_ns < o->again_ns) o->again_ns = p->due_ns;
    ring_remove(&p->node);
    ring_add_last(&o->sent, &p->node);
    *frame = (outbox_frame_t){.batch = p->number, .bytes = p->bytes, .len = p->len, .again = again};
}

/* New parcels first, then those of `sent` that are due. again_ns spares the walk over `sent` while none
 * can be due. */
bool outbox_next(outbox_t *o, uint64_t now, outbox_frame_t *frame) {
    uint64_t earliest = UINT64_MAX;
    if (!ring_empty(&o->fresh)) {
        hand_out(o, RING_OWNER(ring_first(&o->fresh), parcel_t, node), now, frame);
        return true;
    }
    if (now < o->again_ns) return false;
    RING_EACH(&o->sent, node) {
        parcel_t *p = RING_OWNER(node, parcel_t, node);
        if (p->due_ns <= now) {
            hand_out(o, p, now, frame);
            return true;
        }
        if (p->due_ns < earliest) earliest = p->due_ns;
    }
    o->again_ns = earliest;
    return false;
}

bool outbox_acknowledged(outbox_t *o, uint64_t batch) {
    RING_EACH(&o->sent, node) {
        parcel_t *p = RING_OWNER(node, parcel_t, node);
        if (p->number != batch) continue;
        parcel_free(o, p);
        return true;
    }
    return false;
}

uint64_t outbox_rows(const outbox_t *o) { return o->gathered_rows + o->parcel_rows; }

uint64_t outbox_bytes(const outbox_t *o) { return o->gathered_bytes + o->parcel_bytes; }
