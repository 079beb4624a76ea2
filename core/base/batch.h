/* batch.h - records of one message whose texts follow each other in one buffer.
 *
 * The buffer moves while it grows, so a record that is added keeps only the length of its text; BATCH_POINT
 * gives every record its place once all texts are in:
 *
 *     BATCH(context_item_t) puts = {0};            context_item_t has a `bytes` of { data, len }
 *     buf_init(&puts.text, MESSAGE_BYTES_MAX);
 *     size_t before = puts.text.len;
 *     row_save(row, &puts.text);
 *     BATCH_ADD(&puts, (context_item_t){.row = 7, .bytes.len = puts.text.len - before});
 *     BATCH_POINT(&puts, bytes);                   until the next text is added
 *     send(puts.items, puts.count);
 *     BATCH_RESET(&puts, 1 << 20);
 */
#ifndef SDG_BASE_BATCH_H
#define SDG_BASE_BATCH_H

#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/grow.h"

#define BATCH(type)                                    \
    struct {                                           \
        type *items; /* owned */                       \
        size_t count, cap;                             \
        buf_t text; /* of the items, in their order */ \
    }

/* Adds a record, given as an expression; its text is in the buffer already, or has no length. */
#define BATCH_ADD(batch, ...)                                   \
    do {                                                        \
        GROW((batch)->items, (batch)->cap, (batch)->count + 1); \
        (batch)->items[(batch)->count++] = (__VA_ARGS__);       \
    } while (0)

/* Points `field` of each record at its text: the texts lie in the order of the records, so lengths
 * suffice. */
#define BATCH_POINT(batch, field)                                             \
    do {                                                                      \
        const char *batch_at_ = (batch)->text.data ? (batch)->text.data : ""; \
        for (size_t i_ = 0; i_ < (batch)->count; i_++) {                      \
            (batch)->items[i_].field.data = batch_at_;                        \
            batch_at_ += (batch)->items[i_].field.len;                        \
        }                                                                     \
    } while (0)

/* Makes the batch empty; a text buffer that has become larger than `kept` bytes gives its memory back. */
#define BATCH_RESET(batch, kept)                                  \
    do {                                                          \
        (batch)->count = 0;                                       \
        buf_reset(&(batch)->text);                                \
        if ((batch)->text.cap > (kept)) buf_free(&(batch)->text); \
    } while (0)

#define BATCH_FREE(batch)         \
    do {                          \
        free((batch)->items);     \
        (batch)->items = NULL;    \
        (batch)->count = 0;       \
        (batch)->cap = 0;         \
        buf_free(&(batch)->text); \
    } while (0)

#endif
