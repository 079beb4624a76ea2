/* dispatch_jobs.c - what clients say: jobs, chunks of rows, the end of the rows, stop; and what they are
 * told: how much more they may send, and that the job is over.
 *
 * Credit is cumulative: the limit is how many rows and bytes a client may have sent in all, which is what has
 * been let go of plus the window. One half of the window's bytes is for rows, the other for results
 * (dispatch_leases.c stops leasing when results are more than that). The halves are apart because a limit
 * that was told cannot be taken back when results turn out to be larger than their rows.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/sched/dispatch_internal.h"
#include "core/sched/limits.h"

seat_job_t *dispatch_job_find(const dispatch_t *d, uint64_t id) { return idmap_get(&d->job_by_id, id); }

/* ---- life */

static void drop_at_worker(dispatch_t *d, const seat_worker_t *worker, uint64_t job, uint32_t mode) {
    dispatch_notice(
        d,
        &(notice_t){
            .kind = DISPATCH_JOB_DROP, .peer = worker->peer, .worker = worker->id, .job = job, .mode = mode});
}

void dispatch_job_unknown(dispatch_t *d, const seat_worker_t *worker, uint64_t job) {
    drop_at_worker(d, worker, job, DISPATCH_STOP_NOW);
}

/* Workers forget the job; its rows, seats and endpoints are gone. */
static void release_workers(dispatch_t *d, seat_job_t *job) {
    dispatch_job_drop_rows(d, job);
    for (size_t i = 0; i < d->worker_count; i++) {
        seat_t *seat = d->workers[i]->seat[job->slot];
        if (!seat) continue;
        if (seat->told && !seat->refused) drop_at_worker(d, seat->worker, job->id, DISPATCH_STOP_NOW);
        dispatch_worker_wake(d, seat->worker);
        dispatch_seat_destroy(seat);
    }
    dispatch_endpoints_release(d, job);
}

static void job_end(dispatch_t *d, seat_job_t *job, uint64_t now) {
    assert(job->state != JOB_OVER);
    release_workers(d, job);
    job->state = JOB_OVER;
    job->over_ns = job->done_ns = now;
    job->done_wait_ns = RESEND_NS;
    job->tell_done = true;
    dispatch_touch(d, job);
}

/* Frees the job in any state; workers that were told of it are told to forget it. */
void dispatch_job_destroy(dispatch_t *d, seat_job_t *job) {
    release_workers(d, job);
    while (job->blocks) {
        lease_row_block_t *block = job->blocks;
        job->blocks = block->next;
        free(block);
    }
    ring_remove(&job->due);
    ring_remove(&job->ready);
    idmap_remove(&d->job_by_id, job->id);
    idmap_free(&job->rows);
    d->jobs[job->slot] = NULL;
    d->stats.jobs--;
    free(job->refusal);
    free(job->reason);
    free(job);
}

/* Asks workers to give back rows that have not started: all workers, or those whose share is 0. */
static void recall_rows(dispatch_t *d, seat_job_t *job, bool all, uint64_t now) {
    job->drop_ns = now;
    for (size_t i = 0; i < d->worker_count; i++) {
        seat_t *seat = d->workers[i]->seat[job->slot];
        if (seat && seat->leased > 0 && (all || seat->share.granted == 0))
            drop_at_worker(d, seat->worker, job->id, DISPATCH_STOP_DRAIN);
    }
}

void dispatch_job_wind_down(dispatch_t *d, seat_job_t *job, dispatch_end_t end, const char *reason,
                            uint64_t now) {
    if (job->state != JOB_RUNNING) return;
    job->state = JOB_STOPPING;
    job->end = end;
    job->reason = xstrdup(reason);
    dispatch_job_drop_queued(d, job);
    recall_rows(d, job, true, now);
    dispatch_touch(d, job);
}

/* ---- opening */

/* A client that opens a job has heard the end of its earlier ones. */
static void forget_ended(dispatch_t *d, uint64_t peer) {
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        seat_job_t *job = d->jobs[i];
        if (job && job->state == JOB_OVER && job->peer == peer) dispatch_job_destroy(d, job);
    }
}

/* A free slot, or that of the job that has been over the longest. */
static int take_slot(dispatch_t *d, uint32_t *slot) {
    seat_job_t *oldest = NULL;
    for (*slot = 0; *slot < JOBS_MAX; ++*slot) {
        seat_job_t *job = d->jobs[*slot];
        if (!job) return SDG_OK;
        if (job->state == JOB_OVER && (!oldest || job->over_ns < oldest->over_ns)) oldest = job;
    }
    if (!oldest) return SDG_ELIMIT;
    *slot = oldest->slot;
    dispatch_job_destroy(d, oldest);
    return SDG_OK;
}

/* A running job in a free slot. Its endpoints are named and its shares are made anew with the next action. */
static seat_job_t *job_new(dispatch_t *d, uint32_t slot, uint64_t peer, const dispatch_job_t *asked,
                           uint64_t now) {
    seat_job_t *job = xcalloc(1, sizeof *job);
    job->id = asked->job;
    job->peer = peer;
    job->slot = slot;
    job->asked = *asked;
    job->asked.endpoints = NULL; /* borrowed */
    job->asked.window_rows = smaller(asked->window_rows, JOB_NUMBER_MAX);
    job->asked.window_bytes = smaller(asked->window_bytes, JOB_NUMBER_MAX);
    job->asked.concurrency = smaller(asked->concurrency, JOB_NUMBER_MAX);
    dispatch_endpoints_name(d, job, asked->endpoints, asked->endpoint_count);
    job->able_ns = now;
    ring_init(&job->hungry);
    ring_init(&job->unserved);
    ring_init(&job->answered);
    ring_init(&job->batches);
    for (int kind = 0; kind < KINDS; kind++) {
        ring_init(&job->queue[kind]);
    }
    d->jobs[slot] = job;
    idmap_add(&d->job_by_id, job->id, job);
    d->stats.jobs++;
    d->shares_stale = true;
    return job;
}

/* The client is back, perhaps on a new connection: what it may have missed is said again. */
static void client_back(dispatch_t *d, seat_job_t *job, uint64_t peer, uint64_t now) {
    job->peer = peer;
    job->tell_credit = true;
    if (job->state == JOB_OVER) job->tell_done = true;
    dispatch_results_again(job, now);
    dispatch_touch(d, job);
}

static uint64_t priority_of(const dispatch_job_t *asked) {
    return asked->priority ? asked->priority : JOB_PRIORITY_DEFAULT;
}

static int check_asked(const dispatch_job_t *asked, err_t *err) {
    if (asked->window_rows == 0 || asked->concurrency == 0)
        return err_set(err, SDG_EINVAL,
                       "a job needs a window of at least 1 row and a concurrency of at least 1");
    if (asked->priority > JOB_PRIORITY_MAX)
        return err_set(err, SDG_EINVAL, "priority %" PRIu64 ": it may be %d at most", asked->priority,
                       JOB_PRIORITY_MAX);
    if (asked->endpoint_count > JOB_ENDPOINTS_MAX)
        return err_set(err, SDG_EINVAL, "a job may name %d endpoints, not %zu", JOB_ENDPOINTS_MAX,
                       asked->endpoint_count);
    return SDG_OK;
}

/* A job that is known already keeps its rows: the client is back and may have another priority for it. */
int dispatch_job_open(dispatch_t *d, uint64_t peer, const dispatch_job_t *asked, uint64_t now, err_t *err) {
    uint32_t slot;
    seat_job_t *job = dispatch_job_find(d, asked->job);
    if (check_asked(asked, err) != SDG_OK) return SDG_EINVAL;
    if (job) {
        job->asked.priority = priority_of(asked);
        client_back(d, job, peer, now);
        return SDG_OK;
    }
    forget_ended(d, peer);
    if (take_slot(d, &slot) != SDG_OK)
        return err_set(err, SDG_ELIMIT, "%d jobs are open already: wait until one of them is finished",
                       JOBS_MAX);
    job = job_new(d, slot, peer, asked, now);
    job->asked.priority = priority_of(asked);
    dispatch_touch(d, job);
    return SDG_OK;
}

int dispatch_job_limit(dispatch_t *d, uint64_t id, uint64_t concurrency, uint64_t now) {
    seat_job_t *job = dispatch_job_find(d, id);
    (void)now;
    if (!job) return SDG_ENOTFOUND;
    if (concurrency == 0) return SDG_EINVAL;
    concurrency = smaller(concurrency, JOB_NUMBER_MAX);
    if (job->asked.concurrency != concurrency) d->shares_stale = true;
    job->asked.concurrency = concurrency;
    return SDG_OK;
}

/* ---- rows */

/* The client seems to be out of step: it is told its credit again, but not for every message of a burst. */
static void correct_client(dispatch_t *d, seat_job_t *job, uint64_t now) {
    if (now - job->told_ns < CREDIT_CORRECTION_NS) return;
    job->tell_credit = true;
    dispatch_touch(d, job);
}

/* Is a chunk of so many rows within the credit? The last row may pass the limit of bytes, because the client
 * does not know its length before it has read it; so its bytes are not in `bytes_before_last`. */
static bool within_credit(const seat_job_t *job, uint64_t rows, uint64_t bytes_before_last) {
    if (job->received_rows + rows > job->told_rows) return false;
    if (rows == 0 || job->received_bytes + bytes_before_last < job->told_bytes) return true;
    return rows == 1 && dispatch_job_pending(job) == 0;
}

/* Copies the rows into the queue. A row whose index is pending already is dropped and counts as let go of. */
static void take_chunk(dispatch_t *d, seat_job_t *job, const row_in_t *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        lease_row_t *row = dispatch_row_add(job, rows[i].index);
        if (!row) { /* a second row of that index: there can be one result only */
            job->released_rows++;
            d->stats.duplicates_dropped++;
            continue;
        }
        row->line = rows[i].line;
        row->data = xmalloc(rows[i].raw.len);
        row->len = rows[i].raw.len;
        if (row->len) memcpy(row->data, rows[i].raw.data, row->len);
        dispatch_row_enqueue(d, job, row, false);
    }
}

/* Takes a chunk when it is the expected one and within the credit; otherwise the client is told its credit
 * again. */
int dispatch_rows(dispatch_t *d, uint64_t id, uint64_t chunk, const row_in_t *rows, size_t count,
                  uint64_t now) {
    seat_job_t *job = dispatch_job_find(d, id);
    size_t bytes = 0;
    if (!job) return SDG_ENOTFOUND;
    if (job->state != JOB_RUNNING) return SDG_OK;
    for (size_t i = 0; i < count; i++) {
        bytes += rows[i].raw.len;
    }
    bool fits = within_credit(job, count, count ? bytes - rows[count - 1].raw.len : 0);
    if (chunk != job->next_chunk || !fits) {
        correct_client(d, job, now);
        return chunk == job->next_chunk ? SDG_ELIMIT : SDG_OK;
    }
    job->next_chunk++;
    job->received_rows += count;
    job->received_bytes += bytes;
    take_chunk(d, job, rows, count);
    dispatch_touch(d, job);
    return SDG_OK;
}

int dispatch_rows_end(dispatch_t *d, uint64_t id, uint64_t chunks, uint64_t now) {
    seat_job_t *job = dispatch_job_find(d, id);
    (void)now;
    if (!job) return SDG_ENOTFOUND;
    job->end_known = true;
    job->chunks = chunks;
    dispatch_touch(d, job);
    return SDG_OK;
}

int dispatch_job_stop(dispatch_t *d, uint64_t id, uint32_t mode, uint64_t now) {
    seat_job_t *job = dispatch_job_find(d, id);
    if (!job) return SDG_ENOTFOUND;
    if (mode != DISPATCH_STOP_DRAIN && mode != DISPATCH_STOP_NOW) return SDG_EINVAL;
    if (job->state == JOB_OVER) {
        job->tell_done = true;
        dispatch_touch(d, job);
        return SDG_OK;
    }
    dispatch_job_wind_down(d, job, DISPATCH_ENDED_STOPPED, "stopped by its client", now);
    if (mode == DISPATCH_STOP_NOW) job_end(d, job, now);
    return SDG_OK;
}

int dispatch_job_final(dispatch_t *d, uint64_t id, const char *reason, uint64_t now) {
    seat_job_t *job = dispatch_job_find(d, id);
    if (!job) return SDG_ENOTFOUND;
    dispatch_job_wind_down(d, job, DISPATCH_ENDED_FINAL, reason, now);
    return SDG_OK;
}

void dispatch_client_moved(dispatch_t *d, uint64_t from, uint64_t to, uint64_t now) {
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        if (d->jobs[i] && d->jobs[i]->peer == from) client_back(d, d->jobs[i], to, now);
    }
}

void dispatch_client_gone(dispatch_t *d, uint64_t peer, uint64_t now) {
    (void)now;
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        if (d->jobs[i] && d->jobs[i]->peer == peer) dispatch_job_destroy(d, d->jobs[i]);
    }
}

/* ---- what the client is told */

static bool expects_rows(const seat_job_t *job) {
    return job->state == JOB_RUNNING && !(job->end_known && job->next_chunk >= job->chunks);
}

bool dispatch_job_takes_rows(const seat_job_t *job) {
    uint64_t row_bytes = job->pending_bytes - job->answered_bytes;
    return expects_rows(job) && dispatch_job_pending(job) < job->asked.window_rows &&
           row_bytes < dispatch_job_rows_bytes(job);
}

/* Bytes a client may have sent in all: raw bytes answered or dropped, and half of the window. */
static uint64_t bytes_limit(const seat_job_t *job) {
    return job->received_bytes - (job->pending_bytes - job->answered_bytes) + dispatch_job_rows_bytes(job);
}

/* A new limit is worth a message when it has grown by a good part of the window, or by some of it and the
 * client has little left. */
static bool worth_telling(uint64_t limit, uint64_t told, uint64_t used, uint64_t window) {
    uint64_t grown = limit - told, left = told > used ? told - used : 0;
    if (grown == 0) return false;
    return grown >= window / 8 || (left < window / 4 && grown >= window / 32);
}

/* INGEST_CREDIT when the limits have grown enough to be worth a message, or when it is to be said in any
 * case. */
static bool credit_next(seat_job_t *job, uint64_t now, dispatch_action_t *action) {
    if (!expects_rows(job)) return false;
    uint64_t rows = job->released_rows + job->asked.window_rows, bytes = bytes_limit(job);
    if (!job->tell_credit &&
        !worth_telling(rows, job->told_rows, job->received_rows, job->asked.window_rows) &&
        !worth_telling(bytes, job->told_bytes, job->received_bytes, dispatch_job_rows_bytes(job)))
        return false;
    job->tell_credit = false;
    job->told_rows = rows;
    job->told_bytes = bytes;
    job->told_ns = now;
    *action = (dispatch_action_t){.kind = DISPATCH_INGEST_CREDIT,
                                  .peer = job->peer,
                                  .job = job->id,
                                  .next_chunk = job->next_chunk,
                                  .rows_limit = rows,
                                  .bytes_limit = bytes};
    return true;
}

static bool done_next(seat_job_t *job, uint64_t now, dispatch_action_t *action) {
    if (!job->tell_done) return false;
    job->tell_done = false;
    job->done_ns = now;
    *action = (dispatch_action_t){.kind = DISPATCH_JOB_DONE,
                                  .peer = job->peer,
                                  .job = job->id,
                                  .rows_ok = job->rows_ok,
                                  .rows_failed = job->rows_failed,
                                  .end = job->end,
                                  .reason = job->reason ? job->reason : ""};
    return true;
}

bool dispatch_job_next(dispatch_t *d, seat_job_t *job, uint64_t now, dispatch_action_t *action) {
    if (job->state != JOB_OVER && !expects_rows(job) && dispatch_job_pending(job) == 0) job_end(d, job, now);
    return done_next(job, now, action) || credit_next(job, now, action) ||
           dispatch_results_next(d, job, now, action);
}

/* ---- time */

/* Ends the job when no worker can run it and none that could has come for REFUSED_GRACE_NS. */
static void check_refusals(dispatch_t *d, seat_job_t *job, uint64_t now) {
    bool hope = d->worker_count == 0;
    for (size_t i = 0; i < d->worker_count && !hope; i++) {
        seat_t *seat = d->workers[i]->seat[job->slot];
        hope = !seat || !seat->refused;
    }
    if (hope) job->able_ns = now;
    if (now - job->able_ns > REFUSED_GRACE_NS)
        dispatch_job_wind_down(d, job, DISPATCH_ENDED_REFUSED,
                               job->refusal ? job->refusal : "no worker can run it", now);
}

static void tick_over(dispatch_t *d, seat_job_t *job, uint64_t now) {
    if (now - job->over_ns > JOB_DONE_NS_MAX) {
        dispatch_job_destroy(d, job);
        return;
    }
    if (now - job->done_ns < job->done_wait_ns) return;
    job->done_wait_ns *= 2;
    job->tell_done = true;
    dispatch_touch(d, job);
}

void dispatch_job_tick(dispatch_t *d, seat_job_t *job, uint64_t now) {
    if (job->state == JOB_OVER) {
        tick_over(d, job, now);
        return;
    }
    bool idle_shares = job->asked.concurrency < job->able; /* some workers may run none of its rows */
    if ((job->state == JOB_STOPPING || idle_shares) && now - job->drop_ns >= RESEND_NS)
        recall_rows(d, job, job->state == JOB_STOPPING, now);
    if (job->state == JOB_RUNNING) check_refusals(d, job, now);
    if (now - job->told_ns >= SECOND) job->tell_credit = true;
    if (dispatch_results_due(job, now)) job->resend = true;
    dispatch_touch(d, job);
}
