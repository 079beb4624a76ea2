/* window.h - how much of a dataset may be pending at once: rows, bytes, rows per chunk. Pure.
 *
 * What the user asked for is taken as it is. The rest is chosen. With --enable-scheduling it is what the
 * Python original documents: 1000 rows, chunks of 100. Otherwise there are four times as many rows as the
 * concurrency, and at least 1000, so that workers never wait for the reader; fewer when rows are so large
 * that their bytes would not fit, but never fewer than `concurrency` rows and one chunk, the least window.
 *
 * Half of the bytes are for rows, half for results (core/sched/dispatch.h). With a memory limit they are its
 * share, strictly: then fewer requests may be in flight when rows are large. Without one they are
 * PENDING_BYTES_DEFAULT, or as many as the least window needs, up to PENDING_BYTES_MAX.
 */
#ifndef SDG_PLAN_WINDOW_H
#define SDG_PLAN_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

typedef struct window_wish {
    uint64_t concurrency;  /* requests in flight and rows that run code, at once; >= 1 */
    uint64_t row_bytes;    /* average size of a row; 0: unknown */
    uint64_t max_pending;  /* --max-pending-tasks, 0: not given */
    uint64_t chunk_size;   /* --chunk-size, 0: not given */
    uint64_t memory_bytes; /* share of --memory-limit, 0: no limit */
    bool scheduling;       /* --enable-scheduling */
} window_wish_t;

typedef struct window {
    uint64_t rows, bytes, chunk_rows; /* all >= 1, chunk_rows <= rows */
} window_t;

void window_choose(const window_wish_t *wish, window_t *out);

#endif
