/* dispatch_workers.c - who works: workers that come, go, drain and refuse, and their seats at the jobs. */
#include <stdlib.h>

#include "core/base/grow.h"
#include "core/sched/dispatch_internal.h"
#include "core/sched/limits.h"

seat_worker_t *dispatch_worker_find(const dispatch_t *d, uint64_t id) {
    return idmap_get(&d->worker_by_id, id);
}

/* ---- seats */

/* Why a job with python blocks ends when no worker accepts them. */
static const char NO_PYTHON[] =
    "python blocks are not supported here: no worker was started with --allow-python";

seat_t *dispatch_seat(seat_worker_t *worker, seat_job_t *job) {
    seat_t *seat = worker->seat[job->slot];
    if (seat) return seat;
    seat = worker->seat[job->slot] = xcalloc(1, sizeof *seat);
    seat->worker = worker;
    seat->job = job;
    seat->refused = job->asked.python && !worker->python;
    if (seat->refused && !job->refusal) job->refusal = xstrdup(NO_PYTHON);
    dispatch_seat_pass_turn(seat);
    return seat;
}

void dispatch_seat_destroy(seat_t *seat) {
    seat->worker->seat[seat->job->slot] = NULL;
    ring_remove(&seat->of_worker);
    ring_remove(&seat->hungry);
    ring_remove(&seat->permits);
    free(seat);
}

void dispatch_seat_hungry(seat_t *seat) {
    seat->unserved = false;
    ring_remove(&seat->hungry);
    ring_add_last(&seat->job->hungry, &seat->hungry);
}

void dispatch_seat_pass_turn(seat_t *seat) {
    seat->turn_rows = LEASE_TURN_ROWS * seat->job->asked.priority;
    ring_remove(&seat->of_worker);
    ring_add_last(&seat->worker->seats, &seat->of_worker);
}

void dispatch_seat_wake(dispatch_t *d, seat_t *seat) {
    dispatch_seat_hungry(seat);
    ring_add_last(&d->ready, &seat->job->ready);
}

void dispatch_worker_wake(dispatch_t *d, seat_worker_t *worker) {
    RING_EACH(&worker->seats, node) dispatch_seat_wake(d, RING_OWNER(node, seat_t, of_worker));
}

/* ---- coming and going */

/* A worker that is new, or comes back after it was taken for dead: a new era of its leases begins. */
static void worker_add(dispatch_t *d, uint64_t peer, const dispatch_worker_t *said, uint64_t now) {
    seat_worker_t *worker = xcalloc(1, sizeof *worker);
    worker->id = said->worker;
    worker->peer = peer;
    worker->python = said->python;
    worker->remote = said->remote;
    worker->patience_ns = said->patience_ns;
    worker->era = ++d->eras;
    worker->heard_ns = worker->permits_ns = now;
    ring_init(&worker->seats);
    ring_init(&worker->leases);
    ring_init(&worker->lines);
    GROW(d->workers, d->worker_cap, d->worker_count + 1);
    d->workers[d->worker_count++] = worker;
    idmap_add(&d->worker_by_id, worker->id, worker);
    d->stats.workers++;
    d->shares_stale = true;
}

/* On a new connection nothing is certain to have arrived: permits and leases are sent again. */
static void worker_moved(dispatch_t *d, seat_worker_t *worker, uint64_t peer, uint64_t now) {
    worker->peer = peer;
    dispatch_permits_repeat(d, worker);
    RING_EACH(&worker->leases, node) {
        lease_t *lease = RING_OWNER(node, lease_t, node);
        lease->resend_ns = now;
        lease->wait_ns = RESEND_NS;
    }
    ring_add_last(&d->resend, &worker->resend);
}

int dispatch_worker_hello(dispatch_t *d, uint64_t peer, const dispatch_worker_t *said, uint64_t now,
                          err_t *err) {
    seat_worker_t *worker = dispatch_worker_find(d, said->worker);
    if (!worker && d->worker_count == WORKERS_MAX)
        return err_set(err, SDG_ELIMIT, "%d workers are connected already", WORKERS_MAX);
    if (!worker)
        worker_add(d, peer, said, now);
    else if (worker->peer != peer)
        worker_moved(d, worker, peer, now);
    else
        dispatch_permits_repeat(d, worker);
    dispatch_worker_beat(d, said->worker, now);
    if (worker && worker->cut_ns) { /* it is back in time */
        worker->cut_ns = 0;
        dispatch_worker_wake(d, worker);
    }
    return SDG_OK;
}

void dispatch_worker_cut(dispatch_t *d, uint64_t id, uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, id);
    if (worker && worker->cut_ns == 0) worker->cut_ns = now;
}

/* The worker leaves the list, which keeps its order; its seats and lines go with it. */
void dispatch_worker_destroy(dispatch_t *d, seat_worker_t *worker) {
    size_t at = 0;
    while (d->workers[at] != worker) {
        at++;
    }
    for (d->worker_count--; at < d->worker_count; at++) {
        d->workers[at] = d->workers[at + 1];
    }
    RING_EACH(&worker->seats, node) dispatch_seat_destroy(RING_OWNER(node, seat_t, of_worker));
    dispatch_lines_destroy(worker);
    ring_remove(&worker->resend);
    idmap_remove(&d->worker_by_id, worker->id);
    d->stats.workers--;
    d->shares_stale = true;
    free(worker);
}

/* silent_s: how long it was silent, when that is the reason. */
static void worker_leave(dispatch_t *d, seat_worker_t *worker, bool crashed, const char *reason,
                         uint64_t silent_s) {
    uint64_t rows = dispatch_leases_void(d, worker, NULL, crashed);
    dispatch_notice(d, &(notice_t){.kind = DISPATCH_WORKER_LOST,
                                   .peer = worker->peer,
                                   .worker = worker->id,
                                   .count = rows,
                                   .silent_s = silent_s,
                                   .crashed = crashed,
                                   .reason = reason});
    if (crashed) d->stats.workers_lost++;
    dispatch_worker_destroy(d, worker);
}

void dispatch_worker_gone(dispatch_t *d, uint64_t id, bool crashed, uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, id);
    (void)now;
    if (worker) worker_leave(d, worker, crashed, crashed ? "it died" : "it said goodbye", 0);
}

/* ---- what a worker says */

void dispatch_worker_beat(dispatch_t *d, uint64_t id, uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, id);
    if (worker && now > worker->heard_ns) worker->heard_ns = now;
}

void dispatch_worker_credit(dispatch_t *d, uint64_t id, uint64_t rows, uint64_t bytes, uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, id);
    if (!worker) return;
    dispatch_worker_beat(d, id, now);
    worker->credit_rows = smaller(rows, JOB_NUMBER_MAX);
    worker->credit_bytes = smaller(bytes, JOB_NUMBER_MAX);
    RING_EACH(&worker->seats, node) RING_OWNER(node, seat_t, of_worker)->rests = false;
    dispatch_worker_wake(d, worker);
}

void dispatch_worker_drain(dispatch_t *d, uint64_t id, uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, id);
    if (!worker || worker->draining) return;
    dispatch_worker_beat(d, id, now);
    worker->draining = true;
    RING_EACH(&worker->seats, node) {
        seat_t *seat = RING_OWNER(node, seat_t, of_worker);
        ring_remove(&seat->permits); /* it keeps the units it was told: the rows it runs need them */
        share_withdraw(&seat->share);
    }
    d->shares_stale = true;
}

static bool somebody_can_run(const dispatch_t *d, const seat_job_t *job) {
    for (size_t i = 0; i < d->worker_count; i++) {
        seat_t *seat = d->workers[i]->seat[job->slot];
        if (!seat || !seat->refused) return true;
    }
    return false;
}

/* What the worker holds of the job goes back to the queue. When no other worker is left that can run it,
 * the job ends with the first reason given. */
void dispatch_worker_refuses(dispatch_t *d, uint64_t id, uint64_t job_id, const char *reason, uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, id);
    seat_job_t *job = dispatch_job_find(d, job_id);
    if (worker) dispatch_worker_beat(d, id, now);
    if (!worker || !job || job->state == JOB_OVER) return;
    seat_t *seat = dispatch_seat(worker, job);
    dispatch_leases_void(d, worker, job, false);
    seat->refused = true;
    seat->share = (share_t){0};
    ring_remove(&seat->permits);
    dispatch_worker_wake(d, worker);
    if (!job->refusal) job->refusal = xstrdup(reason);
    d->shares_stale = true;
    if (!somebody_can_run(d, job)) dispatch_job_wind_down(d, job, DISPATCH_ENDED_REFUSED, job->refusal, now);
}

void dispatch_worker_unfit(dispatch_t *d, uint64_t id, uint64_t job_id, const char *reason, uint64_t now) {
    const seat_worker_t *worker = dispatch_worker_find(d, id);
    if (worker) dispatch_job_unknown(d, worker, job_id);
    dispatch_worker_refuses(d, id, job_id, reason, now);
}

void dispatch_worker_tick(dispatch_t *d, seat_worker_t *worker, uint64_t now) {
    if (worker->patience_ns && now > worker->heard_ns + worker->patience_ns) {
        worker_leave(d, worker, true, "it fell silent", (now - worker->heard_ns) / SECOND);
        return;
    }
    if (worker->cut_ns && now - worker->cut_ns > RECONNECT_NS) {
        worker_leave(d, worker, true, "its connection is gone", 0);
        return;
    }
    if (now - worker->permits_ns >= PERMITS_REPEAT_NS) {
        worker->permits_ns = now;
        dispatch_permits_repeat(d, worker);
    }
    if (!ring_empty(&worker->leases)) ring_add_last(&d->resend, &worker->resend);
}
