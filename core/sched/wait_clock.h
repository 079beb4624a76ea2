/* wait_clock.h - how long a row does nothing but wait for its turn: for a permit, a unit, a retry, or until
 * an endpoint opens. That time does not count for the row's wall time, so that a busy server fails nobody.
 * Pure.
 *
 * A row that asks for something starts the clock. Of the time since then, the part in which its request was
 * in flight (or its code ran) is work, the rest is waiting. The row learns of the waiting when it runs again
 * (owed); until then its alarm, which is the end of its wall time, moves by what it has waited. */
#ifndef SDG_SCHED_WAIT_CLOCK_H
#define SDG_SCHED_WAIT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wait_clock {
    bool runs;
    uint64_t since_ns;                   /* while it runs: when it was started */
    uint64_t allowed_ns;                 /* while it runs: waiting by which the alarm has moved already */
    uint64_t owed_ns;                    /* waiting that the row has not been told */
    uint64_t worked_ns, worked_until_ns; /* wait_clock_worked */
} wait_clock_t;                          /* all zero: it stands */

void wait_clock_start(wait_clock_t *clock, uint64_t now);
/* Where several requests are in flight at a time, the time in which at least one was is work. Notes one that
 * ends now and was in flight for `flight_ns`, its last stretch at the end. */
void wait_clock_worked(wait_clock_t *clock, uint64_t now, uint64_t flight_ns);
/* The work since the start, with a request that has been in flight for `flight_ns` until now (0: none). */
uint64_t wait_clock_work(const wait_clock_t *clock, uint64_t now, uint64_t flight_ns);
/* By how much the alarm moves: by what has been waited since it moved last. `work_ns`: of the time since the
 * start; 0 when the clock stands. */
uint64_t wait_clock_moves(wait_clock_t *clock, uint64_t now, uint64_t work_ns);
/* What was waited is owed to the row from now on. Returns by how much the alarm moves. A clock that stands
 * goes on doing so. */
uint64_t wait_clock_stop(wait_clock_t *clock, uint64_t now, uint64_t work_ns);
/* What the row is to be told; nothing is owed any more. */
uint64_t wait_clock_pay(wait_clock_t *clock);

#endif
