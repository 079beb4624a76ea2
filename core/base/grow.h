/* grow.h - growing arrays: GROW(rows, row_cap, row_count + 1) makes room for one more row.
 *
 * The array is a pointer from xmalloc (NULL while the capacity is 0), the capacity an unsigned integer
 * variable beside it. Growth doubles, so that n additions copy at most 2n elements; new elements are not
 * initialised. Pointers into the array are void after each GROW. An array that needs more elements than its
 * capacity can count is a bug (assert); exhausted memory ends the process (error.h). */
#ifndef SDG_BASE_GROW_H
#define SDG_BASE_GROW_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

enum { GROW_FIRST = 4 }; /* the smallest capacity: many arrays never hold more than a few elements */

/* The next capacity above `cap` that holds `need` elements. */
static inline size_t grow_cap(size_t cap, size_t need) {
    size_t larger = cap < GROW_FIRST / 2 ? GROW_FIRST : cap * 2;
    return larger < need ? need : larger;
}

/* Makes room for at least `need` elements. `array` and `cap` are evaluated several times, and assigned. */
#define GROW(array, cap, need)                                           \
    do {                                                                 \
        if ((need) > (cap)) {                                            \
            size_t grow_larger_ = grow_cap((cap), (need));               \
            assert(grow_larger_ <= SIZE_MAX / 2 / sizeof *(array));      \
            (cap) = (__typeof__(cap))grow_larger_;                       \
            assert((cap) == grow_larger_);                               \
            (array) = xrealloc((array), grow_larger_ * sizeof *(array)); \
        }                                                                \
    } while (0)

/* Makes room for one element behind the `count` there are, for lists without a capacity: those that are made
 * once, when something is loaded, and stay short. */
#define GROW_BY_ONE(array, count) ((array) = xrealloc((array), ((size_t)(count) + 1) * sizeof *(array)))

#endif
