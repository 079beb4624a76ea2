/* window.h - how much of a dataset may be pending at once when nobody said so: rows, bytes, rows per chunk.
 * Pure.
 *
 * What is asked for is taken as it is. With --enable-scheduling, what is not asked for is what the Python
 * original documents: 1000 rows, chunks of 100. Otherwise four times what runs at once, at least 1000 rows,
 * so that workers never wait for the reader; fewer when rows are so large that their bytes would not fit, but
 * never less than what keeps `concurrency` rows busy plus one chunk.
 *
 * Half of the bytes are for rows, half for results (dispatch.h). They are the memory share when there is one,
 * strictly: then a job of large rows may have fewer in flight. Without one they are PENDING_BYTES_DEFAULT,
 * and grow up to PENDING_BYTES_MAX when the rows of that least window are larger.
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
