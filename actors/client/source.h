/* source.h - where a client's rows come from: the input file, or, in the later passes of batch mode, the
 * context store. One row at a time, in the order of their indexes; rows that are finished are passed over. */
#ifndef SDG_ACTORS_CLIENT_SOURCE_H
#define SDG_ACTORS_CLIENT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/rangeset.h"
#include "core/data/reader.h"
#include "core/sched/dispatch.h"

typedef struct source source_t;

typedef enum source_got {
    SOURCE_ROW,     /* *row is to be submitted; its bytes are valid until the next call */
    SOURCE_BAD,     /* *row has an index and no bytes: it fails, `why` is the reason in words */
    SOURCE_SKIPPED, /* a row that is not to be done; ask again */
    SOURCE_WAITS,   /* a pipe has nothing for now: poll source_fd */
    SOURCE_END,
    SOURCE_FAILED, /* the input cannot be read any further, `why` says where and why */
} source_got_t;

typedef struct source_progress {
    uint64_t rows_read;  /* records looked at, skipped ones included */
    uint64_t bytes_read; /* bytes of the file that those records take */
    /* Bytes that all rows to be looked at take: the size of the file; with rows_max an estimate until the
     * end is reached. 0: not known. */
    uint64_t bytes_total;
    bool whole; /* the input was read to its end, so it has rows_read rows */
} source_progress_t;

typedef struct source_file_options {
    uint64_t first_row;         /* rows below it are passed over */
    uint64_t rows_max;          /* rows from this one on are not read: the end */
    uint64_t row_bytes_max;     /* a larger row is bad: it alone is too much for --memory-limit; 0: none */
    const rangeset_t *finished; /* rows that are done; borrowed, grows while the source is read */
} source_file_options_t;

/* The reader is taken over. */
source_t *source_file_new(reader_t *reader, const source_file_options_t *options);
/* Rows without bytes: a worker gets them from the store by their number. `rows` is taken over, `finished` is
 * borrowed. */
source_t *source_store_new(rangeset_t *rows, const rangeset_t *finished);
void source_destroy(source_t **s); /* NULL is fine */

source_got_t source_next(source_t *s, row_in_t *row, err_t *why);
/* After SOURCE_ROW: bytes of the input that this row took, with what was skipped before it. */
uint64_t source_row_bytes(const source_t *s);
int source_fd(const source_t *s); /* only after SOURCE_WAITS */
/* Of the input file; a source that reads none leaves *p as it is. */
void source_progress(const source_t *s, source_progress_t *p);

#endif
