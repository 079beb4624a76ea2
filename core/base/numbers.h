/* numbers.h - a growing list of 64-bit numbers: row indexes, tags. An all-zero numbers_t is an empty list. */
#ifndef SDG_BASE_NUMBERS_H
#define SDG_BASE_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/grow.h"

typedef struct numbers {
    uint64_t *items; /* owned */
    size_t count, cap;
} numbers_t;

static inline void numbers_add(numbers_t *list, uint64_t n) {
    GROW(list->items, list->cap, list->count + 1);
    list->items[list->count++] = n;
}

/* Makes the list empty and releases its memory. */
static inline void numbers_free(numbers_t *list) {
    free(list->items);
    *list = (numbers_t){0};
}

#endif
