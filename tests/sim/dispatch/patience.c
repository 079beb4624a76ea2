/* patience.c - the judge of how long a worker is believed to be alive: not longer than it may be, and not
 * less.
 *
 * - whatever it claims, a worker that is not heard is given up within WORKER_PATIENCE_MAX_MS
 * - a worker whose connection is gone is given up within RECONNECT_NS, unless it has said HELLO on another
 * - a worker that is heard, or is back in time, is not given up: its leases are still its own */
#include <string.h>

#include "core/sched/limits.h"
#include "tests/sim/dispatch/judge.h"

/* The dispatcher's time passes in ticks of 100 ms. */
#define SLACK (150 * MILLISECOND)

void judge_registered(sim_t *s, worker_t *w, uint64_t patience_ns) {
    registration_t *r = &w->registration;
    if (!r->known) r->patience_ns = patience_ns;
    r->known = true;
    r->cut_ns = 0;
    r->heard_ns = s->now;
}

void judge_heard(sim_t *s, worker_t *w) { w->registration.heard_ns = s->now; }

void judge_cut(sim_t *s, worker_t *w) {
    if (w->registration.cut_ns == 0) w->registration.cut_ns = s->now;
}

void judge_given_up(sim_t *s, worker_t *w, const char *reason) {
    registration_t r = w->registration;
    w->registration = (registration_t){0};
    if (strcmp(reason, "its connection is gone") == 0 && (r.cut_ns == 0 || s->now - r.cut_ns < RECONNECT_NS))
        world_fail(s, "worker %" PRIu64 " is given up, though it may still come back", w->instance);
    if (strncmp(reason, "it was silent", 13) == 0 && s->now - r.heard_ns < r.patience_ns)
        world_fail(s, "worker %" PRIu64 " is given up for its silence before its time", w->instance);
}

void judge_patience(sim_t *s) {
    for (size_t i = 0; i < s->worker_count; i++) {
        const worker_t *w = &s->workers[i];
        const registration_t *r = &w->registration;
        if (!r->known) continue;
        if (s->now - r->heard_ns > WORKER_PATIENCE_MAX_MS * MILLISECOND + SLACK)
            world_fail(s, "worker %" PRIu64 " is silent and still keeps its rows", w->instance);
        if (r->cut_ns && s->now - r->cut_ns > RECONNECT_NS + SLACK)
            world_fail(s, "worker %" PRIu64 " has no connection and still keeps its rows", w->instance);
    }
}
