/* waiting.c - see waiting.h. */
#include "actors/worker/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"

typedef struct waiting_lease {
    size_t rows_left;
} waiting_lease_t;

/* Bytes a row takes in its lease's memory; a multiple of its alignment. */
static size_t waiting_size(size_t len) {
    size_t align = _Alignof(waiting_row_t);
    return (sizeof(waiting_row_t) + len + align - 1) / align * align;
}

void waiting_add(waiting_t *waiting, const row_in_list_t *rows, bool again) {
    size_t size = sizeof(waiting_lease_t);
    for (size_t i = 0; i < rows->count; i++) {
        size += waiting_size(rows->items[i].raw.len);
    }
    if (rows->count == 0) return;
    waiting_lease_t *lease = xmalloc(size);
    char *at = (char *)(lease + 1);
    lease->rows_left = rows->count;
    for (size_t i = 0; i < rows->count; i++) {
        const row_in_t *in = &rows->items[i];
        waiting_row_t *row = (waiting_row_t *)at;
        *row = (waiting_row_t){
            .lease = lease, .index = in->index, .line = in->line, .len = in->raw.len, .again = again};
        if (in->raw.len) memcpy(row->raw, in->raw.data, in->raw.len);
        *(waiting->first ? waiting->last : &waiting->first) = row;
        waiting->last = &row->next;
        waiting->count++;
        waiting->bytes += in->raw.len;
        at += waiting_size(in->raw.len);
    }
}

waiting_row_t *waiting_take(waiting_t *waiting) {
    waiting_row_t *row = waiting->first;
    if (!row) return NULL;
    waiting->first = row->next;
    waiting->count--;
    waiting->bytes -= row->len;
    return row;
}

void waiting_row_free(waiting_row_t *row) {
    if (--row->lease->rows_left == 0) free(row->lease);
}

void waiting_drop(waiting_t *waiting) {
    for (waiting_row_t *row; (row = waiting_take(waiting));) {
        waiting_row_free(row);
    }
}
