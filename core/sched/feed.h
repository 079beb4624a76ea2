/* feed.h - a client's rows on their way to the scheduler. Pure: rows, credit and times in, chunks to send
 * out.
 *
 *   feed_room, feed_takes, feed_add, feed_close    rows are put into a chunk, as many as there is room for
 *   feed_next                                      chunks to send now
 *   feed_end_due                                   after the last row: is ROWS_END to be sent now?
 *   feed_credit, feed_arrived                      what the scheduler says
 *   feed_finished                                  a row has its result
 *   feed_restart                                   the scheduler knows nothing of the job: what is open goes
 * again
 *
 * Chunks are numbered from 0 in the order in which they are sent; the scheduler takes them in that order and
 * says which one it expects next. A chunk is kept until all its rows are finished, so that it can be sent
 * again: when it was lost, and (its rows that are not finished) under a new number after feed_restart.
 *
 * Two things bound what is open: the scheduler's credit (absolute counts of rows and bytes sent; the last row
 * may pass the byte limit) and the client's own window. Memory is that of the open chunks. */
#ifndef SDG_SCHED_FEED_H
#define SDG_SCHED_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sched/dispatch.h"

typedef struct feed feed_t;

typedef struct feed_options {
    /* Most rows that may be open, and most bytes of them; one row may pass the bytes. */
    uint64_t window_rows, window_bytes;
    uint64_t chunk_rows; /* most rows of a chunk; >= 1 */
    size_t chunk_bytes;  /* a chunk with so many bytes is full */
} feed_options_t;

typedef struct feed_chunk {
    uint64_t number;
    const row_in_t *rows; /* those not finished; valid until the next call of a feed function */
    size_t count;
} feed_chunk_t;

feed_t *feed_new(const feed_options_t *options);
void feed_destroy(feed_t **feed);

/* ---- filling */

/* How many rows the next chunk may have; 0: none now. held_rows, held_bytes: what else counts against the
 * client's window (in ordered mode results that wait for their turn). A small rest of credit waits for more,
 * unless little is under way. */
uint64_t feed_room(const feed_t *f, uint64_t held_rows, uint64_t held_bytes);
/* May the chunk that is being filled have one more row, if it is to have at most `rows`? */
bool feed_takes(const feed_t *f, uint64_t rows);
/* The row's bytes are copied. Indexes rise from row to row. input_bytes: how much of the input it took. */
void feed_add(feed_t *f, const row_in_t *row, uint64_t input_bytes);
/* The chunk that is being filled is complete. Does nothing when it is empty. */
void feed_close(feed_t *f);

/* ---- sending */

/* The next chunk to send at `now`, each once; false: none, or credit is missing. It counts as sent, whatever
 * becomes of it. */
bool feed_next(feed_t *f, uint64_t now, feed_chunk_t *chunk);
/* Asked when no more rows will be added. True: say now that there are `chunks` chunks in all. False: it was
 * said, or chunks wait. */
bool feed_end_due(feed_t *f, uint64_t now, uint64_t *chunks);

/* ---- what the scheduler says */

/* Rows and bytes that may be sent in all. Never falls: an older, smaller one does nothing. */
void feed_credit(feed_t *f, uint64_t rows_limit, uint64_t bytes_limit);
/* It expects this chunk next. What should have arrived by now is to be sent again: chunks from this one on
 * that were sent more than CHUNK_RESEND_NS ago, and the end likewise. */
void feed_arrived(feed_t *f, uint64_t next_chunk, uint64_t now);
/* A row of this index was handed out or waits for that, and has no result. */
bool feed_is_open(const feed_t *f, uint64_t index);
/* This row has its result. False: no such row is open. */
bool feed_finished(feed_t *f, uint64_t index);
/* The end was said, and all rows have their result: only then can the job be done. */
bool feed_is_done(const feed_t *f);
/* A new job, or a scheduler that has restarted: numbers and credit begin at 0, the end was not said. */
void feed_restart(feed_t *f);

/* ---- numbers */

/* The rows that were sent and have no result are in [*first, *end). False: there are none. */
bool feed_sent_range(const feed_t *f, uint64_t *first, uint64_t *end);
uint64_t feed_rows(const feed_t *f);        /* open: added, closed and not finished */
uint64_t feed_bytes(const feed_t *f);       /* of the chunks they are in */
uint64_t feed_input_bytes(const feed_t *f); /* of the input that rows without a result took */

#endif
