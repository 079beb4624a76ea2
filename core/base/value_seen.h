/* value_seen.h - which values a walk has met already: strings, lists and objects, by their place in memory.
 *
 * A walk over values that share their parts (one text in two columns, a list that holds another one twice)
 * does each part once with this. Only values with more than one reference need to be looked up. Nothing may
 * be released while a walk goes on: its place could be used again.
 */
#ifndef SDG_BASE_VALUE_SEEN_H
#define SDG_BASE_VALUE_SEEN_H

#include "core/base/value.h"

#include <stddef.h>
#include <stdint.h>

enum { VALUE_SEEN_FIRST = 32, VALUE_UNSEEN = UINT32_MAX };

typedef struct value_place {
    const void *place; /* NULL: a free slot */
    uint32_t number;
} value_place_t;

/* Not to be copied: it may point into itself. */
typedef struct value_seen {
    value_place_t *slots; /* open addressing; `first` until that is half full */
    uint32_t count, mask;
    value_place_t first[VALUE_SEEN_FIRST];
} value_seen_t;

void value_seen_init(value_seen_t *seen);
void value_seen_free(value_seen_t *seen);
/* The number v was added with, or VALUE_UNSEEN. v is a string, list or object. */
uint32_t value_seen_find(const value_seen_t *seen, value_t v);
/* Adds v, which is not there yet; number is not VALUE_UNSEEN. */
void value_seen_add(value_seen_t *seen, value_t v, uint32_t number);
/* Adds any value, unless it is a scalar or there already. */
void value_seen_know(value_seen_t *seen, value_t v, uint32_t number);

/* About the heap that v holds beyond what this walk has met. It takes some 10 ns for each string, list and
 * object, and no C stack for their depth. */
size_t value_seen_bytes(value_seen_t *seen, value_t v);

#endif
