/* wait_clock.c - see wait_clock.h. */
#include "core/sched/wait_clock.h"

void wait_clock_start(wait_clock_t *clock, uint64_t now) {
    clock->runs = true;
    clock->since_ns = now;
    clock->allowed_ns = 0;
    clock->worked_ns = 0;
    clock->worked_until_ns = now;
}

uint64_t wait_clock_work(const wait_clock_t *clock, uint64_t now, uint64_t flight_ns) {
    uint64_t new_ns = now > clock->worked_until_ns ? now - clock->worked_until_ns : 0;
    return clock->worked_ns + (flight_ns < new_ns ? flight_ns : new_ns);
}

void wait_clock_worked(wait_clock_t *clock, uint64_t now, uint64_t flight_ns) {
    clock->worked_ns = wait_clock_work(clock, now, flight_ns);
    if (flight_ns > 0 && now > clock->worked_until_ns) clock->worked_until_ns = now;
}

uint64_t wait_clock_moves(wait_clock_t *clock, uint64_t now, uint64_t work_ns) {
    if (!clock->runs) return 0;
    uint64_t age = now > clock->since_ns ? now - clock->since_ns : 0;
    uint64_t waited = age > work_ns ? age - work_ns : 0;
    uint64_t more = waited > clock->allowed_ns ? waited - clock->allowed_ns : 0;
    clock->allowed_ns += more;
    return more;
}

uint64_t wait_clock_stop(wait_clock_t *clock, uint64_t now, uint64_t work_ns) {
    uint64_t more = wait_clock_moves(clock, now, work_ns);
    if (clock->runs) clock->owed_ns += clock->allowed_ns;
    clock->runs = false;
    return more;
}

uint64_t wait_clock_pay(wait_clock_t *clock) {
    uint64_t owed = clock->owed_ns;
    clock->owed_ns = 0;
    return owed;
}
