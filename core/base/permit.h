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
    uint32_t lent; /* given up for now by those who need one again before they can go on */
} permit_t;        /* all zero: nothing is allowed */

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

/* How many units something new may be begun with: what is lent belongs to what has begun, or everything that
 * waits would begin at once. */
static inline uint32_t permit_free_for_new(const permit_t *permit) {
    uint32_t free = permit_free(permit);
    return free > permit->lent ? free - permit->lent : 0;
}

/* Gives a unit up for a while. Each is followed by a permit_take_back that succeeds, or by permit_forgo. */
static inline void permit_lend(permit_t *permit) {
    permit_give(permit);
    permit->lent++;
}

static inline bool permit_take_back(permit_t *permit) {
    if (!permit_take(permit)) return false;
    permit->lent--;
    return true;
}

static inline void permit_forgo(permit_t *permit) { permit->lent--; }

#endif
