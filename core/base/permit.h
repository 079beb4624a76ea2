/* permit.h - so many things at a time: `allowed` is how many there may be, `used` how many there are.
 *
 * A permit counts the units of a job (requests in flight and rows that run code) or the calls of an endpoint.
 * Whoever takes a unit gives it back, once. `allowed` may be set at any time. When it is set below `used`,
 * the units in use stay in use, and none is free until enough of them were given back. */
#ifndef SDG_BASE_PERMIT_H
#define SDG_BASE_PERMIT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct permit {
    uint32_t allowed, used;
} permit_t; /* all zero: nothing is allowed */

/* How many units may be taken now. */
static inline uint32_t permit_free(const permit_t *permit) {
    return permit->allowed > permit->used ? permit->allowed - permit->used : 0;
}

/* Takes a unit; false, and nothing changes, when none is free. */
static inline bool permit_take(permit_t *permit) {
    if (permit_free(permit) == 0) return false;
    permit->used++;
    return true;
}

static inline void permit_give(permit_t *permit) {
    assert(permit->used > 0); /* 0: a unit was given back twice */
    permit->used--;
}

#endif
