/* row_io.h - a row on its way: as it is read, and as it is finished. Plain structs, for the messages (proto)
 * as well as for what decides about rows (core/sched). */
#ifndef SDG_BASE_ROW_IO_H
#define SDG_BASE_ROW_IO_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that somebody else owns. */
typedef struct slice {
    const char *data;
    size_t len;
} slice_t;
static inline slice_t slice_of(const char *text) {
    return (slice_t){text, text ? __builtin_strlen(text) : 0};
}

typedef struct row_in {
    uint64_t index, line; /* its number in the dataset, from 0; its line in the input file, 0: unknown */
    slice_t raw;          /* the record as JSON text */
} row_in_t;

/* How a row was finished. */
enum {
    ROW_STATUS_OK = 0,
    ROW_STATUS_FAILED = 1,
    ROW_STATUS_PARKED = 2 /* batch mode: the row has stopped before a block and is in the store */
};

typedef struct row_done {
    uint64_t index;
    uint32_t status; /* ROW_STATUS_* */
    slice_t json;    /* the result line, without newline */
    slice_t meta;    /* what it cost: proto/parts/usage.h */
} row_done_t;

#endif
