/* worker_memory.c - what a worker accounts for, and whether there is room for more.
 *
 * Counted are the bytes that grow with the data: raw rows that wait, row machines and requests of rows that
 * have started, answers that wait for their context, contexts on their way to the store, results until they
 * are acknowledged. A limit is kept by not beginning: a row is started, and a context fetched back, only when
 * what it is expected to take has room. What is expected is learned from the rows before (the largest of
 * late). What has begun may grow: that is the slack, and why the worker's share is only half of
 * --memory-limit.
 */
#include "actors/worker/worker_memory.h"

#include <assert.h>
#include <stdlib.h>

#include "actors/worker/limits.h"
#include "actors/worker/worker_asks.h"
#include "actors/worker/worker_contexts.h"
#include "actors/worker/worker_journal.h"

struct footprint {
    uint64_t bytes;     /* of all slots */
    uint32_t rows_here; /* in memory, or on their way there */
};

footprint_t *footprint_new(void) { return xcalloc(1, sizeof(footprint_t)); }

void footprint_destroy(footprint_t **footprint) {
    free(*footprint);
    *footprint = NULL;
}

uint64_t worker_bytes_held(const worker_t *w) {
    uint64_t bytes = w->footprint->bytes + outbox_bytes(w->outbox);
    for (const worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        bytes += job->waiting.bytes;
    }
    return bytes;
}

void worker_account_here(worker_t *w, int rows) {
    w->footprint->rows_here += (uint32_t)rows;
    assert(w->footprint->rows_here != UINT32_MAX);
}

static size_t measure(const slot_t *slot) {
    const llm_answer_t *answer = slot->call.answer;
    size_t bytes = slot->bytes.request + worker_asks_bytes(slot) + worker_context_bytes(slot) +
                   worker_journal_bytes(slot);
    if (answer) bytes += value_bytes(answer->text) + value_bytes(answer->reasoning);
    return slot->row ? bytes + row_bytes(slot->row) : bytes;
}

/* Measuring walks over the row's values, so it is done only where there is a limit to keep. */
void worker_account(worker_t *w, slot_t *slot) {
    if (!slot->job->options.memory_bytes) return;
    size_t bytes = measure(slot);
    w->footprint->bytes += bytes - slot->bytes.held;
    slot->bytes.held = bytes;
    if (bytes > slot->bytes.held_most) slot->bytes.held_most = bytes;
}

/* The expectation follows the largest rows at once and forgets them slowly. */
void worker_account_gone(worker_t *w, slot_t *slot) {
    worker_job_t *job = slot->job;
    if (slot->bytes.held_most > job->row_bytes)
        job->row_bytes = slot->bytes.held_most;
    else
        job->row_bytes -= (job->row_bytes - slot->bytes.held_most) / 16;
    w->footprint->bytes -= slot->bytes.held;
    slot->bytes.held = slot->bytes.held_most = 0;
}

uint64_t worker_room_for_new(const worker_job_t *job, size_t raw_bytes) {
    uint64_t by_size = (uint64_t)raw_bytes * MEMORY_ROW_FACTOR;
    return by_size > job->row_bytes ? by_size : job->row_bytes;
}

/* A row between passes is of unknown size until some of its kind were seen: a few at a time then. */
uint64_t worker_room_to_fetch(const worker_job_t *job, size_t saved_bytes) {
    if (saved_bytes) return saved_bytes;
    return job->row_bytes ? job->row_bytes : job->options.memory_bytes / MEMORY_UNKNOWN_PARTS;
}

bool worker_has_room(const worker_t *w, const worker_job_t *job, uint64_t bytes) {
    uint64_t limit = job->options.memory_bytes;
    return limit == 0 || w->footprint->rows_here == 0 || worker_bytes_held(w) + bytes <= limit;
}

bool worker_is_crowded(const worker_t *w, const worker_job_t *job) {
    uint64_t limit = job->options.memory_bytes;
    return limit && worker_bytes_held(w) > limit / 2;
}
