/* fleet_totals.c - see fleet_totals.h. The last STATS of each worker is kept; what is new in the next one is
 * added to the sum. */
#include "actors/scheduler/fleet_totals.h"

#include <stdlib.h>

#include "core/base/error.h"
#include "core/base/grow.h"
#include "core/sched/limits.h"

typedef struct member {
    uint64_t instance, heard_ns;
    tally_t last;
} member_t;

struct fleet_totals {
    tally_t sum, incoming; /* incoming: scratch */
    member_t **member;     /* up to WORKERS_MAX */
    size_t count, cap;
};

fleet_totals_t *fleet_totals_new(void) { return xcalloc(1, sizeof(fleet_totals_t)); }

void fleet_totals_destroy(fleet_totals_t **totals) {
    fleet_totals_t *f = *totals;
    if (!f) return;
    for (size_t i = 0; i < f->count; i++) {
        free(f->member[i]);
    }
    free(f->member);
    free(f);
    *totals = NULL;
}

static void forget_oldest(fleet_totals_t *f) {
    size_t oldest = 0;
    for (size_t i = 1; i < f->count; i++) {
        if (f->member[i]->heard_ns < f->member[oldest]->heard_ns) oldest = i;
    }
    free(f->member[oldest]);
    f->member[oldest] = f->member[--f->count];
}

/* The entry of this worker; a new one when there is none. */
static member_t *find(fleet_totals_t *f, uint64_t instance) {
    for (size_t i = 0; i < f->count; i++) {
        if (f->member[i]->instance == instance) return f->member[i];
    }
    if (f->count == WORKERS_MAX) forget_oldest(f);
    GROW(f->member, f->cap, f->count + 1);
    member_t *m = xcalloc(1, sizeof *m);
    m->instance = instance;
    f->member[f->count++] = m;
    return m;
}

void fleet_totals_take(fleet_totals_t *f, uint64_t instance, const MSG_STATS *stats, uint64_t now) {
    member_t *m = find(f, instance);
    tally_read(&f->incoming, &stats->values, &stats->latency, stats->reasons);
    m->heard_ns = now;
    /* Messages of one connection come in order, but an older one may come late over an earlier connection of
     * the worker: counting its difference would count backwards. */
    if (f->incoming.totals[CLIENT_requests] < m->last.totals[CLIENT_requests] ||
        f->incoming.latency.count < m->last.latency.count)
        return;
    tally_add_difference(&f->sum, &m->last, &f->incoming);
    m->last = f->incoming;
}

const tally_t *fleet_totals_sum_peek(const fleet_totals_t *f) { return &f->sum; }
