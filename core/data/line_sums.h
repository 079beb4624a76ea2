/* line_sums.h - checksums of the lines of an output, in blocks, so that text which was changed is noticed
 * even if it still reads as a result.
 *
 * A block is LINE_BLOCK_LINES lines that were written one after the other. It is known by the row of its
 * first line, not by its place, so lines that somebody takes out, adds or sorts do not shift the blocks
 * behind them. Blank lines belong to no block. Lines behind the last block (written shortly before a crash)
 * have no checksum.
 */
#ifndef SDG_DATA_LINE_SUMS_H
#define SDG_DATA_LINE_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct line_block {
    uint64_t first; /* row of its first line */
    uint64_t lines;
    uint64_t rows; /* the row numbers of its lines, added up modulo 2^64 */
    uint64_t sum;  /* of the bytes of its lines, in their order */
} line_block_t;

typedef struct line_blocks {
    line_block_t *items; /* owned */
    size_t count, cap;
} line_blocks_t;
void line_blocks_add(line_blocks_t *blocks, const line_block_t *block);
void line_blocks_free(line_blocks_t *blocks);

/* ---- lines that are written */

/* All zero: no line yet. */
typedef struct line_sums {
    line_block_t open;    /* lines == 0: none */
    line_blocks_t closed; /* not yet taken */
    bool changed;         /* since they were taken */
} line_sums_t;
void line_sums_add(line_sums_t *sums, uint64_t row, const char *line, size_t len);
/* Appends the blocks that were closed since the last call, and the open one as it is now, if it has changed.
 * The same block is given again when it has grown. */
void line_sums_take(line_sums_t *sums, line_blocks_t *out);
void line_sums_free(line_sums_t *sums);

/* ---- lines that are read again */

/* Lines of the file, counted from 1, that are no longer what the checksum of their block says. */
typedef struct changed_lines {
    uint64_t from, to; /* both included */
    uint64_t shift;    /* what its row numbers have grown by in all, modulo 2^64; 0 when lines are missing */
} changed_lines_t;

/* What is known of a line. */
typedef enum line_trust {
    LINE_CHANGED, /* its block has changed: it may be this line */
    LINE_UNKNOWN, /* it belongs to no block */
    LINE_INTACT,
} line_trust_t;

typedef struct line_check line_check_t;
/* Of several blocks that begin with the same row the longest counts. Nothing is taken over. */
line_check_t *line_check_new(const line_blocks_t *known);
void line_check_destroy(line_check_t **check);
/* The next line that is not blank. row UINT64_MAX: it is no result line. */
void line_check_add(line_check_t *check, uint64_t number, uint64_t row, const char *line, size_t len);
/* To be called behind the last line, before what follows. */
void line_check_end(line_check_t *check);
/* Lines that were written and are gone. */
uint64_t line_check_missing(const line_check_t *check);
/* In the order of the file. Borrowed. */
const changed_lines_t *line_check_changed(const line_check_t *check, size_t *count);
line_trust_t line_check_trust(const line_check_t *check, uint64_t number);

#endif
