/* units.h - what a worker tells the scheduler of the units of one job, and which rows it gives back for want
 * of one: pure.
 *
 * A row that has begun holds a unit while it runs, waits for its turn to, is in Python or waits for the
 * store, and while a call of it is in flight. It holds none while it sleeps, or waits for a retry, a unit or
 * a permit of its endpoint. */
#ifndef SDG_SCHED_UNITS_H
#define SDG_SCHED_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* What PERMITS_HELD says. */
typedef struct units_held {
    uint64_t permit; /* units it knows of; 0 from a worker that drains */
    /* Units in use. A worker that drains is given none any more, so it also counts one for each row that
     * waits and will need it. */
    uint64_t used;
    uint64_t waiting; /* rows it has begun that hold no unit */
} units_held_t;

/* `allowed` units of the job may be in use in this worker, `used` are, and `begun` rows have begun; fewer
 * than `used` while one is being started. */
units_held_t units_held(uint64_t allowed, uint64_t used, uint64_t begun, bool draining);

/* Is `now` worth telling the scheduler after `told`? Yes when units are given back while more are in use than
 * are permitted, because each is another worker's gain. Yes also when `waiting` has changed by more than an
 * eighth of what is allowed, because rows that wait make room for others. */
bool units_are_news(const units_held_t *told, const units_held_t *now, uint64_t allowed);

/* True for a waiting row that nobody will give what it waits for: the job has no unit for this worker, or the
 * worker drains and may make no call to the endpoint that the row wants to call. Such a row goes back to the
 * scheduler, to be run elsewhere. */
static inline bool units_never_come(uint64_t allowed, bool draining, bool endpoint_closed) {
    return allowed == 0 || (draining && endpoint_closed);
}

#endif
