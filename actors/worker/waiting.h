/* waiting.h - rows leased to a worker that have not started: raw bytes, in the order they came. The rows of
 * one lease share one block of memory, which goes with the last of them. */
#ifndef SDG_ACTORS_WORKER_WAITING_H
#define SDG_ACTORS_WORKER_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

typedef struct waiting_row {
    struct waiting_row *next;
    struct waiting_lease *lease; /* owned together with its other rows */
    uint64_t index, line;
    size_t len;
    bool again; /* a worker held it before: calls of it may have been recorded */
    char raw[];
} waiting_row_t;

/* A list with a tail and no ring: rows leave at the front alone, and each would keep a second link. */
typedef struct waiting {
    waiting_row_t *first, **last; /* NULL and unset while there are none */
    uint64_t count, bytes;        /* bytes: of their records */
} waiting_t;                      /* all zero: none */

void waiting_add(waiting_t *waiting, const row_in_list_t *rows, bool again); /* copies the records */
waiting_row_t *waiting_take(waiting_t *waiting); /* the first, the caller's now; NULL: none */
void waiting_row_free(waiting_row_t *row);
void waiting_drop(waiting_t *waiting);

#endif
