/* dispatch_leases.c - who gets which rows, and what happens to rows that come back.
 *
 * A worker holds its share (rows running at once) and a little ahead of it, which grows with how fast it
 * finishes. A lease is numbered per worker without gaps, the worker says up to which number all have arrived,
 * and what has not is sent again: the worker drops what it has seen. Rows that held a dying worker are tried
 * before fresh ones: with one death a few at a time, with two alone, one per worker, so at the third death it
 * is known who was it.
 *
 * Jobs compete for the credit of a worker, so turns are taken there: the ring of a worker's seats is walked
 * round and round, a turn is so many rows (deficit round robin with rows for bytes), and who is at its turn
 * keeps it while credit comes in small pieces. Who wants nothing when its turn comes saves nothing up. */
#include <assert.h>
#include <stdlib.h>

#include "core/sched/dispatch_internal.h"

#include "core/sched/limits.h"

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* ---- how many */

/* Rows a worker should hold beyond its share, to have work while results and leases travel. */
static uint64_t rows_ahead(const seat_t *seat) {
    double wanted = seat->rate * (double)LEASE_AHEAD_NS / (double)SECOND;
    uint64_t floor = larger(2, seat->share / 8);
    return smaller(larger(wanted < LEASE_ROWS_MAX ? (uint64_t)wanted : LEASE_ROWS_MAX, floor),
                   larger(LEASE_ROWS_MAX, floor));
}

/* Rows of this job the worker should get now, were its credit without end. */
static uint64_t seat_wish(const seat_t *seat) {
    uint64_t ahead = rows_ahead(seat);
    if (seat->share == 0 || seat->rests || seat->leased > seat->share + ahead / 2) return 0;
    return seat->share + ahead - seat->leased;
}

static uint64_t credit_left(const seat_worker_t *w) {
    return w->credit_rows > w->held_rows ? w->credit_rows - w->held_rows : 0;
}

static uint64_t class_room(const seat_t *seat, int class) {
    const seat_job_t *job = seat->job;
    uint64_t held = seat->worker->held_class[class], most = UINT64_MAX;
    if (class == CLASS_CULPRIT) most = 1;
    if (class == CLASS_SUSPECT) most = larger(1, seat->share / 4);
    if (class != CLASS_FRESH) return most > held ? most - held : 0;
    if (job->able < 2) return most;
    return job->queued / (2 * job->able) + 1; /* a short queue is for everybody */
}

static bool bytes_fit(const seat_worker_t *w, const lease_t *lease, uint64_t lease_bytes,
                      const lease_row_t *row) {
    if (w->held_rows == 0)
        return true; /* a row larger than its credit goes to a worker that holds nothing else */
    if (lease->open && lease_bytes + row->len > LEASE_BYTES_MAX) return false;
    return w->held_bytes + row->len <= w->credit_bytes;
}

/* ---- leasing */

static lease_t *lease_new(seat_t *seat, uint64_t now) {
    lease_t *lease = xcalloc(1, sizeof *lease);
    lease->number = seat->worker->era << LEASE_ERA_SHIFT | seat->worker->leases_sent;
    lease->job = seat->job;
    lease->worker = seat->worker;
    lease->wait_ns = RESEND_NS;
    lease->resend_ns = now + RESEND_NS;
    ring_init(&lease->rows);
    ring_add_last(&seat->worker->leases, &lease->node);
    return lease;
}

void dispatch_lease_close(lease_t *lease) {
    assert(lease->open == 0 && ring_empty(&lease->rows));
    ring_remove(&lease->node);
    free(lease);
}

void dispatch_lease_arrived(lease_t *lease) { lease->arrived = true; }

static void describe(dispatch_t *d, const lease_t *lease, dispatch_action_t *action) {
    size_t count = 0;
    uint64_t attempt = 0;
    for (const ring_node_t *node = lease->rows.head.next; node != &lease->rows.head; node = node->next) {
        const lease_row_t *row = RING_OWNER(node, lease_row_t, node);
        d->lease_rows[count++] =
            (dispatch_row_t){.index = row->index, .line = row->line, .raw = row->data, .len = row->len};
        attempt = row->deaths;
    }
    *action = (dispatch_action_t){.kind = DISPATCH_LEASE,
                                  .peer = lease->worker->peer,
                                  .worker = lease->worker->id,
                                  .job = lease->job->id,
                                  .lease = lease->number,
                                  .attempt = attempt,
                                  .rows = d->lease_rows,
                                  .row_count = count};
}

/* NULL: the first of them has too many bytes for what the worker holds. */
static lease_t *lease_rows(dispatch_t *d, seat_t *seat, int class, uint64_t most, uint64_t now) {
    ring_t *queue = &seat->job->queue[class];
    lease_t *lease = lease_new(seat, now);
    uint64_t bytes = 0;
    while (lease->open < most && !ring_empty(queue)) {
        lease_row_t *row = RING_OWNER(ring_first(queue), lease_row_t, node);
        if (!bytes_fit(seat->worker, lease, bytes, row)) break;
        bytes += row->len;
        dispatch_row_lease(d, row, lease, seat);
    }
    if (lease->open > 0) return lease;
    dispatch_lease_close(lease);
    return NULL;
}

/* The most suspicious rows this seat may take; CLASSES: none of those queued. */
static int class_for(const seat_t *seat) {
    int class = CLASS_CULPRIT;
    while (class >= CLASS_FRESH && (ring_empty(&seat->job->queue[class]) || class_room(seat, class) == 0)) {
        class --;
    }
    return class < CLASS_FRESH ? CLASSES : class;
}

/* ---- whose turn */

static bool may_lease(const seat_job_t *job) {
    return job->state == JOB_RUNNING && job->queued > 0 &&
           job->answered_bytes <= dispatch_job_results_bytes(job);
}

static bool wants_rows(const seat_t *seat) {
    return !seat->parked && may_lease(seat->job) && seat_wish(seat) > 0;
}

static seat_t *first_seat(seat_worker_t *w) { return RING_OWNER(ring_first(&w->seats), seat_t, of_worker); }

/* The first seat that wants rows, after those that have had their turn or want none. NULL: nobody does. */
static seat_t *whose_turn(seat_worker_t *w) {
    if (first_seat(w)->turn_rows == 0) dispatch_seat_pass_turn(first_seat(w));
    for (const ring_node_t *last = ring_last(&w->seats), *node = NULL; node != last;) {
        seat_t *seat = first_seat(w);
        if (wants_rows(seat)) return seat;
        node = &seat->of_worker;
        dispatch_seat_pass_turn(seat);
    }
    return NULL;
}

/* Does another job want rows of this worker? */
static bool has_rival(const seat_t *seat) {
    const ring_t *seats = &seat->worker->seats;
    for (const ring_node_t *node = seats->head.next; node != &seats->head; node = node->next) {
        const seat_t *other = RING_OWNER(node, seat_t, of_worker);
        if (other != seat && wants_rows(other)) return true;
    }
    return false;
}

static void park(seat_t *seat) {
    seat->parked = true;
    ring_remove(&seat->hungry);
    ring_add_last(&seat->job->waiting, &seat->hungry);
}

/* One lease for the seat whose turn it is. A seat alone takes what it wants; with rivals no more than its
 * turn. NULL: see lease_at. */
static lease_t *lease_for(dispatch_t *d, seat_t *seat, int class, uint64_t now) {
    uint64_t most = smaller(smaller(seat_wish(seat), credit_left(seat->worker)),
                            smaller(class_room(seat, class), LEASE_ROWS_MAX));
    if (has_rival(seat)) most = smaller(most, seat->turn_rows);
    lease_t *lease = lease_rows(d, seat, class, most, now);
    if (!lease) return NULL;
    seat->turn_rows -= smaller(seat->turn_rows, lease->open);
    dispatch_seat_hungry(seat); /* perhaps more, but after the others */
    ring_add_last(&d->ready, &seat->job->ready);
    if (seat->rate_ns == 0) seat->rate_ns = now;
    return lease;
}

/* One lease for this worker, of the job whose turn it is. NULL: no queued row is for anybody here, or the row
 * whose turn it is waits until the worker holds fewer bytes: then nobody passes it, or small rows would keep
 * a large one out for ever. */
static lease_t *lease_at(dispatch_t *d, seat_worker_t *w, uint64_t now) {
    for (seat_t *seat; (seat = whose_turn(w)); park(seat)) {
        int class = class_for(seat);
        if (class != CLASSES) return lease_for(d, seat, class, now);
    }
    return NULL;
}

/* The next lease at a worker that may want rows of this job. Seats that can have none now leave the ring of
 * the hungry until something changes for them. */
static lease_t *lease_of_job(dispatch_t *d, seat_job_t *job, uint64_t now) {
    while (may_lease(job) && !ring_empty(&job->hungry)) {
        seat_t *seat = RING_OWNER(ring_first(&job->hungry), seat_t, hungry);
        bool room = seat_wish(seat) > 0 && credit_left(seat->worker) > 0;
        lease_t *lease = room ? lease_at(d, seat->worker, now) : NULL;
        if (lease) return lease;
        if (!seat->parked) ring_remove(&seat->hungry);
    }
    return NULL;
}

bool dispatch_lease_next(dispatch_t *d, uint64_t now, dispatch_action_t *action) {
    for (ring_node_t *node; (node = ring_first(&d->ready));) {
        lease_t *lease = lease_of_job(d, RING_OWNER(node, seat_job_t, ready), now);
        ring_remove(node);
        if (!lease) continue;
        ring_add_last(&d->ready, node);
        lease->worker->leases_sent++;
        d->stats.leases_sent++;
        describe(d, lease, action);
        return true;
    }
    return false;
}

/* ---- again */

static bool hole_next(seat_worker_t *w, dispatch_action_t *action) {
    if (w->hole_count == 0) return false;
    *action = (dispatch_action_t){.kind = DISPATCH_LEASES_VOID,
                                  .peer = w->peer,
                                  .worker = w->id,
                                  .lease = w->hole,
                                  .lease_count = w->hole_count};
    w->hole_count = 0;
    return true;
}

static lease_t *lease_due(seat_worker_t *w, uint64_t now) {
    RING_EACH(&w->leases, node) {
        lease_t *lease = RING_OWNER(node, lease_t, node);
        if (!lease->arrived && lease->resend_ns <= now) return lease;
    }
    return NULL;
}

bool dispatch_lease_again(dispatch_t *d, uint64_t now, dispatch_action_t *action) {
    for (ring_node_t *node; (node = ring_first(&d->resend));) {
        seat_worker_t *w = RING_OWNER(node, seat_worker_t, resend);
        if (hole_next(w, action)) return true;
        lease_t *lease = lease_due(w, now);
        if (lease) {
            lease->wait_ns = smaller(lease->wait_ns * 2, RESEND_NS_MAX);
            lease->resend_ns = now + lease->wait_ns;
            d->stats.leases_resent++;
            describe(d, lease, action);
            return true;
        }
        ring_remove(node);
    }
    return false;
}

void dispatch_worker_leases(dispatch_t *d, uint64_t id, uint64_t first_missing, uint64_t now) {
    seat_worker_t *w = dispatch_worker_find(d, id);
    if (!w) return;
    dispatch_worker_beat(d, id, now);
    if (first_missing >> LEASE_ERA_SHIFT != w->era)
        first_missing = w->era << LEASE_ERA_SHIFT; /* it has not heard of this registration */
    uint64_t next =
        w->era << LEASE_ERA_SHIFT | w->leases_sent; /* the first not yet arrived that has open rows */
    RING_EACH(&w->leases, node) {
        lease_t *lease = RING_OWNER(node, lease_t, node);
        if (lease->number < first_missing) dispatch_lease_arrived(lease);
        if (lease->arrived) continue;
        if (lease->number < next) next = lease->number;
        /* The worker hears us and misses this one: no need to wait longer each time. */
        if (lease->number == first_missing && now >= lease->resend_ns - lease->wait_ns + RESEND_NS)
            lease->resend_ns = now;
    }
    ring_add_last(&d->resend, &w->resend);
    if (first_missing >= next) return;
    w->hole = first_missing; /* the rows of those before it were answered by others meanwhile, or they have
                                arrived */
    w->hole_count = next - first_missing;
}

/* ---- back */

/* A row without an answer comes back from a worker. */
static void row_back(dispatch_t *d, seat_job_t *job, lease_row_t *row, bool crashed) {
    bool stopping = job->state != JOB_RUNNING;
    if (stopping) {
        dispatch_row_release(d, job, row);
        return;
    }
    dispatch_row_enqueue(d, job, row, !crashed); /* out of the lease as what it was */
    d->stats.rows_requeued++;
    if (!crashed) return;
    row->deaths++;
    if (row->deaths >= LEASE_ATTEMPTS_MAX)
        dispatch_row_fail(d, job, row);
    else
        dispatch_row_enqueue(d, job, row, true);
}

uint64_t dispatch_leases_void(dispatch_t *d, seat_worker_t *worker, const seat_job_t *only, bool crashed) {
    uint64_t rows = 0;
    for (ring_node_t *node = worker->leases.head.prev, *before; node != &worker->leases.head; node = before) {
        lease_t *lease = RING_OWNER(node, lease_t, node);
        seat_job_t *job = lease->job;
        before = node->prev;
        if (only && job != only) continue;
        if (crashed) d->stats.leases_lost++;
        /* From the last row on, so that rows put back in front keep their order. The last one takes the lease
         * with it. */
        for (size_t open = lease->open; open > 0; open--) {
            row_back(d, job, RING_OWNER(ring_last(&lease->rows), lease_row_t, node), crashed);
            rows++;
        }
        dispatch_touch(d, job);
    }
    return rows;
}

void dispatch_lease_return(dispatch_t *d, uint64_t worker, uint64_t job_id, const uint64_t *indexes,
                           size_t count, uint64_t now) {
    seat_worker_t *w = dispatch_worker_find(d, worker);
    seat_job_t *job = dispatch_job_find(d, job_id);
    dispatch_worker_beat(d, worker, now);
    if (!w || !job) return;
    for (size_t i = count; i > 0; i--) {
        lease_row_t *row = idmap_get(&job->rows, indexes[i - 1]);
        if (!row || row->state != ROW_LEASED || row->lease->worker != w) continue;
        dispatch_lease_arrived(row->lease);
        row_back(d, job, row, false);
    }
    /* It may be draining while its word of that is still on the way: the same rows would go back and forth
     * until it arrives. */
    if (w->seat[job->slot]) w->seat[job->slot]->rests = true;
    dispatch_worker_wake(d, w);
    dispatch_touch(d, job);
}
