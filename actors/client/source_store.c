/* source_store.c - rows that wait in the context store: only their numbers are here. */
#include <stdlib.h>

#include "actors/client/source_internal.h"

typedef struct source_store {
    source_t source;
    rangeset_t *rows; /* owned */
    const rangeset_t *finished;
    uint64_t next; /* the first that was not asked for yet */
} source_store_t;

static source_got_t store_next(source_t *s, row_in_t *row, err_t *why) {
    source_store_t *stored = (source_store_t *)s;
    uint64_t index;
    (void)why;
    if (!rangeset_next(stored->rows, stored->next, &index)) return SOURCE_END;
    stored->next = index + 1;
    if (rangeset_has(stored->finished, index)) return SOURCE_SKIPPED;
    *row = (row_in_t){.index = index, .raw = slice_of("")};
    return SOURCE_ROW;
}

static void store_destroy(source_t *s) {
    source_store_t *stored = (source_store_t *)s;
    rangeset_destroy(&stored->rows);
    free(stored);
}

source_t *source_store_new(rangeset_t *rows, const rangeset_t *finished) {
    static const source_ops_t ops = {.next = store_next, .destroy = store_destroy};
    source_store_t *stored = xcalloc(1, sizeof *stored);
    *stored = (source_store_t){.source.ops = &ops, .rows = rows, .finished = finished};
    return &stored->source;
}
