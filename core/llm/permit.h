/* permit.h - so many things at a time: `allowed` is the number, `used` how many there are.
 *
 * Used for the units of a job (requests in flight and rows that run code) and for the calls of an endpoint.
 * One that is taken is given back by whoever holds it, once. `allowed` may be set at any time; when it is set
 * below `used`, nothing is taken back: those in use go on, and none is free until enough were given back. */
#ifndef SDG_LLM_PERMIT_H
#define SDG_LLM_PERMIT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct permit {
    uint32_t allowed, used;
} permit_t; /* all zero: nothing is allowed */

/* How many may be taken now. */
static inline uint32_t permit_free(const permit_t *permit) {
    return permit->allowed > permit->used ? permit->allowed - permit->used : 0;
}

/* Takes one; false, and nothing changes, when none is free. */
static inline bool permit_take(permit_t *permit) {
    if (permit_free(permit) == 0) return false;
    permit->used++;
    return true;
}

static inline void permit_give(permit_t *permit) {
    assert(permit->used > 0); /* else one was given back twice */
    permit->used--;
}

#endif
