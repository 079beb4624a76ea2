/* feed.c - see feed.h.
 *
 * Chunks stand in one ring in the order of their rows. Those the scheduler has not been offered since the
 * last feed_restart are at its end, without a number. */
#include "core/sched/feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/grow.h"
#include "core/base/limits.h"
#include "core/base/ring.h"
#include "core/sched/limits.h"

typedef struct feed_row {
    uint64_t index, line, input_bytes;
    size_t start, len; /* in the chunk's bytes */
    bool finished;
} feed_row_t;

typedef struct chunk {
    ring_node_t node; /* in `chunks`; not while it is being filled */
    bool numbered;
    uint64_t number;  /* when numbered */
    bool due;         /* when numbered: to be sent */
    uint64_t sent_ns; /* when numbered and not due */
    feed_row_t *rows;
    size_t count, cap;
    size_t open; /* rows that are not finished */
    buf_t bytes;
} chunk_t;

struct feed {
    feed_options_t options;
    ring_t chunks;
    chunk_t *filling;       /* NULL: none is begun */
    size_t unnumbered, due; /* chunks of the ring without a number, and those with one that are due */
    uint64_t rows, bytes;   /* open, of the ring */
    uint64_t input_bytes;   /* of open rows, those of the chunk that is being filled included */
    uint64_t next_number;   /* since the last restart, as all below */
    uint64_t rows_sent, bytes_sent;
    uint64_t rows_limit, bytes_limit;
    bool end_said, end_due; /* end_due: it was said and got lost */
    uint64_t end_ns;        /* when it was said last */
    row_in_t *out;          /* rows of the chunk handed out last */
    size_t out_cap;
};

feed_t *feed_new(const feed_options_t *options) {
    feed_t *f = xcalloc(1, sizeof *f);
    f->options = *options;
    ring_init(&f->chunks);
    return f;
}

static void chunk_free(chunk_t *k) {
    ring_remove(&k->node);
    free(k->rows);
    buf_free(&k->bytes);
    free(k);
}

void feed_destroy(feed_t **feed) {
    feed_t *f = *feed;
    if (!f) return;
    RING_EACH(&f->chunks, node) chunk_free(RING_OWNER(node, chunk_t, node));
    if (f->filling) chunk_free(f->filling);
    free(f->out);
    free(f);
    *feed = NULL;
}

/* ---- filling */

/* Rows the scheduler would take now. With nothing open one row may be sent whatever its bytes. */
static uint64_t credit_left(const feed_t *f) {
    if (f->rows_sent >= f->rows_limit) return 0;
    if (f->bytes_sent >= f->bytes_limit && f->rows > 0) return 0;
    return f->rows_limit - f->rows_sent;
}

static uint64_t window_left(const feed_t *f, uint64_t held_rows, uint64_t held_bytes) {
    uint64_t rows = f->rows + held_rows;
    if (rows >= f->options.window_rows) return 0;
    if (f->bytes + held_bytes >= f->options.window_bytes && rows > 0) return 0;
    return f->options.window_rows - rows;
}

uint64_t feed_room(const feed_t *f, uint64_t held_rows, uint64_t held_bytes) {
    uint64_t rows = credit_left(f), window = window_left(f, held_rows, held_bytes);
    uint64_t most = f->options.chunk_rows;
    if (f->unnumbered > 0) return 0;
    if (window < rows) rows = window;
    if (rows >= most) return most;
    return rows >= most / 2 || f->rows < most ? rows : 0;
}

bool feed_takes(const feed_t *f, uint64_t rows) {
    const chunk_t *k = f->filling;
    if (!k || k->count == 0) return rows > 0;
    return k->count < rows && k->bytes.len < f->options.chunk_bytes &&
           f->bytes_sent + k->bytes.len < f->bytes_limit;
}

static chunk_t *chunk_new(const feed_t *f) {
    chunk_t *k = xcalloc(1, sizeof *k);
    buf_init(&k->bytes, f->options.chunk_bytes + DATA_LINE_BYTES_MAX);
    return k;
}

void feed_add(feed_t *f, const row_in_t *row, uint64_t input_bytes) {
    chunk_t *k = f->filling ? f->filling : (f->filling = chunk_new(f));
    assert(k->count == 0 || row->index > k->rows[k->count - 1].index);
    GROW(k->rows, k->cap, k->count + 1);
    k->rows[k->count++] = (feed_row_t){.index = row->index,
                                       .line = row->line,
                                       .input_bytes = input_bytes,
                                       .start = k->bytes.len,
                                       .len = row->raw.len};
    f->input_bytes += input_bytes;
    k->open++;
    buf_add(&k->bytes, row->raw.data, row->raw.len);
    assert(!k->bytes.full); /* a line of the input is at most DATA_LINE_BYTES_MAX */
}

/* The chunk is to be sent: it gets the next number, and its open rows are taken from the credit. */
static void number_chunk(feed_t *f, chunk_t *k) {
    assert(!k->numbered && !k->due);
    k->numbered = k->due = true;
    k->number = f->next_number++;
    f->unnumbered--;
    f->due++;
    for (size_t i = 0; i < k->count; i++) {
        if (k->rows[i].finished) continue;
        f->rows_sent++;
        f->bytes_sent += k->rows[i].len;
    }
}

void feed_close(feed_t *f) {
    chunk_t *k = f->filling;
    if (!k || k->count == 0) return;
    f->filling = NULL;
    ring_add_last(&f->chunks, &k->node);
    f->rows += k->count;
    f->bytes += k->bytes.len;
    if (f->unnumbered++ == 0) number_chunk(f, k); /* feed_room has checked that the credit is there */
}

/* ---- sending */

static void describe_chunk(feed_t *f, const chunk_t *k, feed_chunk_t *chunk) {
    size_t count = 0;
    GROW(f->out, f->out_cap, k->count);
    for (size_t i = 0; i < k->count; i++) {
        const feed_row_t *row = &k->rows[i];
        if (row->finished) continue;
        f->out[count++] =
            (row_in_t){.index = row->index, .line = row->line, .raw = {k->bytes.data + row->start, row->len}};
    }
    *chunk = (feed_chunk_t){.number = k->number, .rows = f->out, .count = count};
}

/* The first chunk of the ring that is due. A chunk without a number gets one here, as soon as the credit
 * is there. */
bool feed_next(feed_t *f, uint64_t now, feed_chunk_t *chunk) {
    if (f->due + f->unnumbered == 0) return false;
    RING_EACH(&f->chunks, node) {
        chunk_t *k = RING_OWNER(node, chunk_t, node);
        if (!k->numbered) {
            if (credit_left(f) < k->open) return false;
            number_chunk(f, k);
        }
        if (!k->due) continue;
        k->due = false;
        f->due--;
        k->sent_ns = now;
        describe_chunk(f, k, chunk);
        return true;
    }
    return false;
}

bool feed_end_due(feed_t *f, uint64_t now, uint64_t *chunks) {
    if (f->unnumbered > 0 || (f->end_said && !f->end_due)) return false;
    f->end_said = true;
    f->end_due = false;
    f->end_ns = now;
    *chunks = f->next_number;
    return true;
}

/* ---- what the scheduler says */

void feed_credit(feed_t *f, uint64_t rows_limit, uint64_t bytes_limit) {
    if (rows_limit > f->rows_limit) f->rows_limit = rows_limit;
    if (bytes_limit > f->bytes_limit) f->bytes_limit = bytes_limit;
}

void feed_arrived(feed_t *f, uint64_t next_chunk, uint64_t now) {
    RING_EACH(&f->chunks, node) {
        chunk_t *k = RING_OWNER(node, chunk_t, node);
        if (!k->numbered || k->due || k->number < next_chunk || now - k->sent_ns <= CHUNK_RESEND_NS) continue;
        k->due = true;
        f->due++;
    }
    if (f->end_said && now - f->end_ns > CHUNK_RESEND_NS) f->end_due = true;
}

/* The row with this index, NULL when the chunk has none. `index` is not above that of the last row. When no
 * index is left out in the chunk, the row stands at its distance from the first; otherwise it is searched. */
static feed_row_t *row_in(const chunk_t *k, uint64_t index) {
    size_t from = 0, to = k->count;
    uint64_t distance = index - k->rows[0].index;
    if (distance < k->count && k->rows[distance].index == index) return &k->rows[distance];
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (k->rows[middle].index < index)
            from = middle + 1;
        else
            to = middle;
    }
    return from < k->count && k->rows[from].index == index ? &k->rows[from] : NULL;
}

/* All rows of this chunk are finished: it leaves the ring and is freed. */
static void release(feed_t *f, chunk_t *k) {
    f->bytes -= k->bytes.len;
    f->due -= k->due;
    f->unnumbered -= !k->numbered;
    chunk_free(k);
}

/* The only chunk that may have the row with this index; NULL: it is above all. */
static chunk_t *chunk_for(const feed_t *f, uint64_t index) {
    RING_EACH(&f->chunks, node) {
        chunk_t *k = RING_OWNER(node, chunk_t, node);
        if (index <= k->rows[k->count - 1].index) return k;
    }
    return NULL;
}

bool feed_is_open(const feed_t *f, uint64_t index) {
    const chunk_t *k = chunk_for(f, index);
    const feed_row_t *row = k ? row_in(k, index) : NULL;
    return row && !row->finished;
}

bool feed_is_done(const feed_t *f) { return f->end_said && f->rows == 0; }

bool feed_finished(feed_t *f, uint64_t index) {
    chunk_t *k = chunk_for(f, index);
    feed_row_t *row = k ? row_in(k, index) : NULL;
    if (!row || row->finished) return false;
    row->finished = true;
    f->rows--;
    f->input_bytes -= row->input_bytes;
    if (--k->open == 0) release(f, k);
    return true;
}

void feed_restart(feed_t *f) {
    f->next_number = f->rows_sent = f->bytes_sent = f->rows_limit = f->bytes_limit = 0;
    f->end_said = f->end_due = false;
    f->due = f->unnumbered = 0;
    RING_EACH(&f->chunks, node) {
        chunk_t *k = RING_OWNER(node, chunk_t, node);
        k->numbered = k->due = false;
        f->unnumbered++;
    }
}

/* ---- numbers */

bool feed_sent_range(const feed_t *f, uint64_t *first, uint64_t *end) {
    *first = UINT64_MAX, *end = 0;
    RING_EACH(&f->chunks, node) {
        const chunk_t *k = RING_OWNER(node, chunk_t, node);
        for (size_t i = 0; k->numbered && i < k->count; i++) {
            if (k->rows[i].finished) continue;
            if (k->rows[i].index < *first) *first = k->rows[i].index;
            if (k->rows[i].index >= *end) *end = k->rows[i].index + 1;
        }
    }
    return *end > 0;
}

uint64_t feed_rows(const feed_t *f) { return f->rows; }

uint64_t feed_bytes(const feed_t *f) { return f->bytes; }

uint64_t feed_input_bytes(const feed_t *f) { return f->input_bytes; }
