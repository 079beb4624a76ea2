/* dispatch_leases.c - who gets which rows, and what happens to rows that come back.
 *
 * A worker holds its share (in units, one row each), the rows it has begun that wait without a unit,
 * and a little ahead, which grows with how fast it finishes. A lease is numbered per worker without gaps, the
 * worker says up to which number all have arrived, and what has not is sent again: the worker drops what it
 * has seen. Rows that a worker held when it died are tried before fresh ones: after one death a few at a
 * time, after two deaths alone, one per worker, so that a third death tells which row it was.
 *
 * Jobs compete for the credit of a worker, so they take turns there: the ring of a worker's seats is walked
 * round and round, and a turn is a number of rows (deficit round robin, counted in rows). A job keeps its
 * turn while credit comes in small pieces. A job that wants no rows when its turn comes loses the turn; it
 * does not accumulate credit. */
#include <assert.h>
#include <stdlib.h>

#include "core/sched/dispatch_internal.h"
#include "core/sched/limits.h"

/* ---- how many */

/* Rows a worker should hold beyond its share, to have work while results and leases travel. */
static uint64_t rows_ahead(const seat_t *seat) {
    double wanted = seat->rate * (double)LEASE_AHEAD_NS / (double)SECOND;
    uint64_t floor = larger(2, seat->share.granted / 8);
    return smaller(larger(wanted < LEASE_ROWS_MAX ? (uint64_t)wanted : LEASE_ROWS_MAX, floor),
                   larger(LEASE_ROWS_MAX, floor));
}

/* Rows of this job the worker should get now, were its credit without end. Rows that it has begun and that
 * wait (for a retry, a permit, a closed endpoint) do not keep others from starting. */
static uint64_t seat_wish(const seat_t *seat) {
    uint64_t ahead = rows_ahead(seat), share = seat->share.granted;
    uint64_t at_work = seat->leased - smaller(seat->waiting, seat->leased);
    if (share == 0 || seat->rests || at_work > share + ahead / 2) return 0;
    return share + ahead - at_work;
}

static uint64_t credit_left(const seat_worker_t *w) {
    if (w->cut_ns) return 0; /* nothing arrives there */
    return w->credit_rows > w->held_rows ? w->credit_rows - w->held_rows : 0;
}

static uint64_t kind_room(const seat_t *seat, int kind) {
    const seat_job_t *job = seat->job;
    uint64_t held = seat->worker->held_kind[kind], most = UINT64_MAX;
    if (kind == KIND_CULPRIT) most = 1;
    if (kind == KIND_SUSPECT) most = larger(1, seat->share.granted / 4);
    if (kind != KIND_FRESH) return most > held ? most - held : 0;
    if (job->able < 2) return most;
    return job->queued / (2 * job->able) + 1; /* a short queue is split so that all workers get some */
}

static bool bytes_fit(const seat_worker_t *w, const lease_t *lease, uint64_t lease_bytes,
                      const lease_row_t *row) {
    /* A row larger than the worker's credit goes to a worker that holds nothing else. */
    if (w->held_rows == 0) return true;
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

/* The action that sends this lease: its open rows, as they are now. */
static void describe_lease(dispatch_t *d, const lease_t *lease, dispatch_action_t *action) {
    size_t count = 0;
    uint64_t attempt = 0;
    bool again = false;
    RING_EACH(&lease->rows, node) {
        const lease_row_t *row = RING_OWNER(node, lease_row_t, node);
        d->lease_rows[count++] =
            (row_in_t){.index = row->index, .line = row->line, .raw = {row->data, row->len}};
        attempt = row->deaths;
        again = again || row->came_back;
    }
    *action = (dispatch_action_t){.kind = DISPATCH_LEASE,
                                  .peer = lease->worker->peer,
                                  .worker = lease->worker->id,
                                  .job = lease->job->id,
                                  .lease = lease->number,
                                  .attempt = attempt,
                                  .again = again,
                                  .rows = d->lease_rows,
                                  .row_count = count};
}

/* A new lease with up to `most` queued rows of this kind. NULL: the first of them has too many bytes beside
 * what the worker holds. */
static lease_t *lease_rows(dispatch_t *d, seat_t *seat, int kind, uint64_t most, uint64_t now) {
    ring_t *queue = &seat->job->queue[kind];
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

/* The kind of the most suspicious rows this seat may take; KINDS: it may take none of those queued. */
static int kind_for(const seat_t *seat) {
    int kind = KIND_CULPRIT;
    while (kind >= KIND_FRESH && (ring_empty(&seat->job->queue[kind]) || kind_room(seat, kind) == 0)) {
        kind--;
    }
    return kind < KIND_FRESH ? KINDS : kind;
}

/* ---- whose turn */

static bool may_lease(const seat_job_t *job) {
    return job->state == JOB_RUNNING && job->queued > 0 &&
           job->answered_bytes <= dispatch_job_results_bytes(job);
}

static bool wants_rows(const seat_t *seat) {
    return !seat->unserved && may_lease(seat->job) && seat_wish(seat) > 0;
}

static seat_t *first_seat(seat_worker_t *w) { return RING_OWNER(ring_first(&w->seats), seat_t, of_worker); }

/* The seat of this worker whose turn it is: the first that wants rows. Seats before it, which have had their
 * turn or want none, go to the end of the ring. NULL: no seat wants rows. */
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
    RING_EACH(&seat->worker->seats, node) {
        const seat_t *other = RING_OWNER(node, seat_t, of_worker);
        if (other != seat && wants_rows(other)) return true;
    }
    return false;
}

/* No queued row is for this seat: it is looked at again when rows are queued. */
static void seat_unserved(seat_t *seat) {
    seat->unserved = true;
    ring_remove(&seat->hungry);
    ring_add_last(&seat->job->unserved, &seat->hungry);
}

/* One lease for the seat whose turn it is. A seat without rivals takes what it wants, a seat with rivals no
 * more than its turn. NULL: its first row has to wait until the worker holds fewer bytes. */
static lease_t *lease_for(dispatch_t *d, seat_t *seat, int kind, uint64_t now) {
    uint64_t most = smaller(smaller(seat_wish(seat), credit_left(seat->worker)),
                            smaller(kind_room(seat, kind), LEASE_ROWS_MAX));
    if (has_rival(seat)) most = smaller(most, seat->turn_rows);
    lease_t *lease = lease_rows(d, seat, kind, most, now);
    if (!lease) return NULL;
    seat->turn_rows -= smaller(seat->turn_rows, lease->open);
    dispatch_seat_hungry(seat); /* perhaps more, but after the others */
    ring_add_last(&d->ready, &seat->job->ready);
    if (seat->rate_ns == 0) seat->rate_ns = now;
    return lease;
}

/* One lease for this worker, of the job whose turn it is. NULL: no queued row is for any seat here, or the
 * next row has to wait until the worker holds fewer bytes. No other row may pass it, or small rows would keep
 * a large one out for ever. */
static lease_t *lease_at(dispatch_t *d, seat_worker_t *w, uint64_t now) {
    for (seat_t *seat; (seat = whose_turn(w)); seat_unserved(seat)) {
        int kind = kind_for(seat);
        if (kind != KINDS) return lease_for(d, seat, kind, now);
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
        if (!seat->unserved) ring_remove(&seat->hungry);
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
        describe_lease(d, lease, action);
        return true;
    }
    return false;
}

/* ---- again */

static bool leases_void_next(seat_worker_t *w, dispatch_action_t *action) {
    if (w->void_count == 0) return false;
    *action = (dispatch_action_t){.kind = DISPATCH_LEASES_VOID,
                                  .peer = w->peer,
                                  .worker = w->id,
                                  .lease = w->void_from,
                                  .lease_count = w->void_count};
    w->void_count = 0;
    return true;
}

static lease_t *lease_due(seat_worker_t *w, uint64_t now) {
    RING_EACH(&w->leases, node) {
        lease_t *lease = RING_OWNER(node, lease_t, node);
        if (!lease->arrived && lease->resend_ns <= now) return lease;
    }
    return NULL;
}

/* The next thing to say again to a worker: which leases it need not wait for, or a lease that has not
 * arrived. */
bool dispatch_lease_again(dispatch_t *d, uint64_t now, dispatch_action_t *action) {
    for (ring_node_t *node; (node = ring_first(&d->resend));) {
        seat_worker_t *w = RING_OWNER(node, seat_worker_t, resend);
        if (leases_void_next(w, action)) return true;
        lease_t *lease = lease_due(w, now);
        if (lease) {
            lease->wait_ns = smaller(lease->wait_ns * 2, RESEND_NS_MAX);
            lease->resend_ns = now + lease->wait_ns;
            d->stats.leases_resent++;
            describe_lease(d, lease, action);
            return true;
        }
        ring_remove(node);
    }
    return false;
}

/* Marks leases as arrived, and finds the ones the worker waits for in vain because none of their rows is
 * open any more. */
void dispatch_worker_leases(dispatch_t *d, uint64_t id, uint64_t first_missing, uint64_t now) {
    seat_worker_t *w = dispatch_worker_find(d, id);
    if (!w) return;
    dispatch_worker_beat(d, id, now);
    /* A worker that has not heard of its new registration misses all leases of it. */
    if (first_missing >> LEASE_ERA_SHIFT != w->era) first_missing = w->era << LEASE_ERA_SHIFT;
    /* The first lease that has open rows and has not arrived. */
    uint64_t next = w->era << LEASE_ERA_SHIFT | w->leases_sent;
    RING_EACH(&w->leases, node) {
        lease_t *lease = RING_OWNER(node, lease_t, node);
        if (lease->number < first_missing) dispatch_lease_arrived(lease);
        if (lease->arrived) continue;
        if (lease->number < next) next = lease->number;
        /* The worker is heard and misses this lease: it is sent again without waiting longer each time. */
        if (lease->number == first_missing && now >= lease->resend_ns - lease->wait_ns + RESEND_NS)
            lease->resend_ns = now;
    }
    ring_add_last(&d->resend, &w->resend);
    if (first_missing >= next) return;
    /* The leases between have arrived, or others have answered their rows meanwhile. */
    w->void_from = first_missing;
    w->void_count = next - first_missing;
}

/* ---- back */

/* A row without an answer comes back from a worker. */
static void row_back(dispatch_t *d, seat_job_t *job, lease_row_t *row, bool crashed) {
    bool stopping = job->state != JOB_RUNNING;
    if (stopping) {
        dispatch_row_release(d, job, row);
        return;
    }
    row->came_back = true;
    dispatch_row_enqueue(d, job, row, !crashed); /* leaves the lease before the death is counted */
    d->stats.rows_requeued++;
    if (!crashed) return;
    row->deaths++;
    if (row->deaths >= LEASE_ATTEMPTS_MAX)
        dispatch_row_fail(d, job, row);
    else
        dispatch_row_enqueue(d, job, row, true);
}

/* From the last lease to the first, so that rows put back in front of their queue keep their order. */
uint64_t dispatch_leases_void(dispatch_t *d, seat_worker_t *worker, const seat_job_t *only, bool crashed) {
    uint64_t rows = 0;
    for (ring_node_t *node = worker->leases.head.prev, *before; node != &worker->leases.head; node = before) {
        lease_t *lease = RING_OWNER(node, lease_t, node);
        seat_job_t *job = lease->job;
        before = node->prev;
        if (only && job != only) continue;
        /* From the last row to the first, so that rows put back in front keep their order. With its last row
         * the lease is freed. */
        for (size_t open = lease->open; open > 0; open--) {
            row_back(d, job, RING_OWNER(ring_last(&lease->rows), lease_row_t, node), crashed);
            rows++;
        }
        dispatch_touch(d, job);
    }
    return rows;
}

/* Rows that are not (or no longer) leased to this worker are passed over, so a repeated return does
 * nothing. */
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
    /* The worker may be draining, and its word of that still be on the way: until that arrives the same rows
     * would go back and forth. */
    if (w->seat[job->slot]) w->seat[job->slot]->rests = true;
    dispatch_worker_wake(d, w);
    dispatch_touch(d, job);
}
