/* dispatch_permits.c - how many units of a job may be in use at which worker.
 *
 * The units of a job's permit (its concurrency) are split evenly over the workers that can run it, in their
 * order of arrival: with c units and n workers each gets c / n, the first c % n one more. So a newcomer may
 * get nothing when there are more workers than units, but never takes the last unit from one that has some.
 * What one worker gives up, another gets when the first has said so (shares.h). */

#include "core/sched/dispatch_internal.h"
#include "core/sched/limits.h"

static bool can_run(seat_worker_t *worker, seat_job_t *job) {
    return !worker->draining && !dispatch_seat(worker, job)->refused;
}

static void tell_changed(dispatch_t *d, const seat_job_t *job) {
    for (size_t i = 0; i < d->worker_count; i++) {
        seat_t *seat = d->workers[i]->seat[job->slot];
        if (!seat || !seat->share.changed) continue;
        seat->share.changed = false;
        ring_add_last(&d->permits, &seat->permits);
        dispatch_seat_wake(d, seat);
    }
}

static void share_units(dispatch_t *d, seat_job_t *job) {
    uint64_t others = 0; /* units that workers which get none any more may still be using */
    job->able = 0;
    for (size_t i = 0; i < d->worker_count; i++) {
        seat_worker_t *worker = d->workers[i];
        if (can_run(worker, job))
            d->sharing[job->able++] = &worker->seat[job->slot]->share;
        else
            others += worker->seat[job->slot] ? worker->seat[job->slot]->share.ceiling : 0;
    }
    shares_split_evenly(d->sharing, job->able, job->asked.concurrency);
    shares_grant(d->sharing, job->able, job->asked.concurrency, others);
    tell_changed(d, job);
}

static void refresh_shares(dispatch_t *d) {
    if (!d->shares_stale) return;
    d->shares_stale = false;
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        if (d->jobs[i] && d->jobs[i]->state == JOB_RUNNING) share_units(d, d->jobs[i]);
    }
    dispatch_lines_share(d);
}

/* Permits of endpoints come before those of jobs, so that the rows which then start can call. */
bool dispatch_permits_next(dispatch_t *d, dispatch_action_t *action) {
    refresh_shares(d);
    if (dispatch_line_next(d, action)) return true;
    ring_node_t *node = ring_first(&d->permits);
    if (!node) return false;
    seat_t *seat = RING_OWNER(node, seat_t, permits);
    ring_remove(node);
    seat->told = true;
    *action = (dispatch_action_t){.kind = DISPATCH_PERMITS,
                                  .peer = seat->worker->peer,
                                  .worker = seat->worker->id,
                                  .job = seat->job->id,
                                  .permit_units = seat->share.granted};
    return true;
}

void dispatch_permits_repeat(dispatch_t *d, seat_worker_t *worker) {
    dispatch_lines_repeat(d, worker);
    if (worker->draining) return;
    RING_EACH(&worker->seats, node) {
        seat_t *seat = RING_OWNER(node, seat_t, of_worker);
        if (seat->told && !seat->refused) ring_add_last(&d->permits, &seat->permits);
    }
}

void dispatch_worker_running(dispatch_t *d, uint64_t id, uint64_t job_id, const units_held_t *held,
                             uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, id);
    seat_job_t *job = dispatch_job_find(d, job_id);
    (void)now;
    if (!worker) return;
    if (!job || job->state == JOB_OVER) {
        dispatch_job_unknown(d, worker, job_id);
        return;
    }
    seat_t *seat = worker->seat[job->slot];
    if (!seat) return;
    uint64_t waiting = held->waiting < seat->leased ? held->waiting : seat->leased;
    if (seat->waiting != waiting) dispatch_seat_wake(d, seat);
    seat->waiting = waiting;
    if (share_heard(&seat->share, held->permit, smaller(held->used, JOB_NUMBER_MAX))) d->shares_stale = true;
}
