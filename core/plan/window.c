/* window.c - see window.h. */
#include "core/plan/window.h"

#include <assert.h>
#include <stddef.h>

#include "core/plan/limits.h"

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Large rows make chunks of fewer rows, because a chunk closes at CHUNK_BYTES_MAX. */
static uint64_t chunk_rows(const window_wish_t *wish) {
    if (wish->chunk_size) return smaller(wish->chunk_size, CHUNK_ROWS_MAX);
    if (wish->scheduling || wish->row_bytes == 0) return CHUNK_ROWS_DEFAULT;
    return larger(1, smaller(CHUNK_ROWS_DEFAULT, CHUNK_BYTES_MAX / wish->row_bytes));
}

/* Bytes for so many rows and as many bytes of results; at most PENDING_BYTES_MAX. */
static uint64_t bytes_for(const window_wish_t *wish, uint64_t rows) {
    bool huge = wish->row_bytes > PENDING_BYTES_MAX / 2 / rows;
    return huge ? PENDING_BYTES_MAX : 2 * rows * wish->row_bytes;
}

static uint64_t window_bytes(const window_wish_t *wish, uint64_t least_rows) {
    if (wish->memory_bytes) return wish->memory_bytes;
    return larger(PENDING_BYTES_DEFAULT, bytes_for(wish, least_rows));
}

static uint64_t window_rows(const window_wish_t *wish, uint64_t bytes, uint64_t least_rows) {
    if (wish->max_pending) return wish->max_pending;
    if (wish->scheduling) return PENDING_ROWS_DEFAULT;
    uint64_t rows = larger(PENDING_ROWS_DEFAULT, 4 * smaller(wish->concurrency, UINT64_MAX / 4));
    if (wish->row_bytes) rows = smaller(rows, bytes / 2 / wish->row_bytes);
    return larger(rows, least_rows);
}

void window_choose(const window_wish_t *wish, window_t *out) {
    assert(wish->concurrency >= 1);
    uint64_t chunk = chunk_rows(wish), least = smaller(wish->concurrency, UINT64_MAX / 8) + chunk;
    if (wish->max_pending) least = smaller(least, wish->max_pending);
    out->bytes = window_bytes(wish, least);
    out->rows = window_rows(wish, out->bytes, least);
    out->chunk_rows = smaller(chunk, out->rows);
}
