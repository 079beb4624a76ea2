/* worker_outbox.c - results on their way to the scheduler.
 *
 * Finished rows are gathered per job and leave as one ROW_RESULTS: at once when the last batch is a while
 * ago, when many are gathered, or when the worker has nothing else to do; otherwise they wait a few
 * milliseconds for company, because each batch makes scheduler and client wake up and answer. ZeroMQ may lose
 * a message on reconnect, so each frame is kept until acknowledged and sent again after RESEND_NS, doubling
 * to 30 s; the scheduler drops rows it already has.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/worker/worker_internal.h"
#include "actors/worker/limits.h"
#include "core/base/limits.h"
#include "core/sched/limits.h"

static char *copy_bytes(const char *data, size_t len) {
    char *copy = xmalloc(len + 1);
    memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

static void keep_and_send(worker_t *w, const message_t *m, uint64_t batch, uint64_t rows, uint64_t now) {
    buf_reset(&w->scratch);
    message_encode(m, &w->scratch);
    parcel_t *p = xcalloc(1, sizeof *p);
    p->batch = batch;
    p->rows = rows;
    p->epoch = w->epoch;
    p->bytes = copy_bytes(w->scratch.data, w->scratch.len);
    p->len = w->scratch.len;
    w->parcel_bytes += p->len;
    p->wait_ns = RESEND_NS;
    p->resend_ns = now + RESEND_NS;
    *w->parcels_tail = p;
    w->parcels_tail = &p->next;
    link_send_bytes(w->scheduler, 0, p->bytes, p->len);
}

/* Points each result at its bytes: done_bytes does not move any more. */
static void point_results(worker_job_t *job) {
    const char *at = job->done_bytes.data;
    for (size_t i = 0; i < job->done_count; i++) {
        row_done_t *row = &job->done[i];
        row->json.data = at;
        row->meta.data = at + row->json.len;
        at += row->json.len + row->meta.len;
    }
}

static void flush_results(worker_t *w, worker_job_t *job, uint64_t now) {
    if (job->done_count == 0) return;
    uint64_t batch = ++w->next_batch;
    point_results(job);
    message_t m = {.type = MESSAGE_ROW_RESULTS,
                   .epoch = w->epoch,
                   .ROW_RESULTS = {.batch = batch, .job = job->id, .rows = {job->done, job->done_count}}};
    keep_and_send(w, &m, batch, job->done_count, now);
    job->done_count = 0;
    buf_reset(&job->done_bytes);
    if (job->done_bytes.cap > RESULT_BYTES_KEPT) buf_free(&job->done_bytes);
}

static void flush_returned(worker_t *w, worker_job_t *job, uint64_t now) {
    if (job->returned.count == 0) return;
    uint64_t batch = ++w->next_batch;
    message_t m = {
        .type = MESSAGE_LEASE_RETURN,
        .epoch = w->epoch,
        .LEASE_RETURN = {.batch = batch, .job = job->id, .rows = {job->returned.items, job->returned.count}}};
    keep_and_send(w, &m, batch, job->returned.count, now);
    job->returned.count = 0;
}

static void add_done(worker_t *w, worker_job_t *job, uint32_t status, const row_result_t *result,
                     uint64_t index, uint64_t now) {
    if (job->done_count == job->done_cap) {
        job->done_cap = job->done_cap ? job->done_cap * 2 : 64;
        job->done = xrealloc(job->done, job->done_cap * sizeof *job->done);
    }
    w->rows_since++;
    buf_add(&job->done_bytes, result->json, result->len);
    size_t before = job->done_bytes.len;
    usage_encode(result, &job->done_bytes);
    assert(!job->done_bytes.full); /* a result is at most a line, and a batch above its limit has left */
    job->done[job->done_count++] = (row_done_t){
        .index = index, .status = status, .json.len = result->len, .meta.len = job->done_bytes.len - before};
    if (job->done_count >= RESULT_BATCH_ROWS_MAX || job->done_bytes.len >= RESULT_BATCH_BYTES_MAX)
        flush_results(w, job, now);
}

void worker_add_result(worker_t *w, worker_job_t *job, const row_result_t *result, uint64_t index,
                       uint64_t now) {
    if (w->args.report_rss) tally_row(&w->tally, result->failed, result->reason, result->usage);
    add_done(w, job, result->failed ? ROW_STATUS_FAILED : ROW_STATUS_OK, result, index, now);
}

void worker_add_parked(worker_t *w, worker_job_t *job, const row_usage_t *usage, uint64_t index,
                       uint64_t now) {
    row_result_t nothing = {.json = "", .usage = usage};
    if (w->args.report_rss) tally_usage(&w->tally, usage);
    add_done(w, job, ROW_STATUS_PARKED, &nothing, index, now);
}

/* When gathered results have to leave: UINT64_MAX when there are none, 0 at once. */
uint64_t worker_flush_due(const worker_t *w) {
    uint64_t gathered = 0, others = 0;
    for (const worker_job_t *job = w->jobs; job; job = job->next) {
        gathered += job->done_count + job->returned.count;
        others += job->running + job->waiting.count;
    }
    if (gathered == 0) return UINT64_MAX;
    return gathered >= RESULT_GATHER_ROWS || others == 0 || w->draining ? 0
                                                                        : w->flushed_ns + RESULT_GATHER_NS;
}

void worker_flush(worker_t *w, uint64_t now) {
    if (now < worker_flush_due(w)) return;
    w->flushed_ns = now;
    for (worker_job_t *job = w->jobs; job; job = job->next) {
        flush_results(w, job, now);
        flush_returned(w, job, now);
    }
}

static void parcel_free(worker_t *w, parcel_t *p) {
    w->parcel_bytes -= p->len;
    free(p->bytes);
    free(p);
}

void worker_acknowledged(worker_t *w, uint64_t batch) {
    for (parcel_t **at = &w->parcels; *at; at = &(*at)->next) {
        if ((*at)->batch != batch) continue;
        parcel_t *p = *at;
        *at = p->next;
        if (!*at) w->parcels_tail = at;
        parcel_free(w, p);
        return;
    }
}

/* A parcel made under an older epoch carries it in its frame: decode, stamp, encode again. Rare: only after a
 * scheduler restart. */
static void restamp(worker_t *w, parcel_t *p) {
    message_t m;
    if (p->epoch == w->epoch || message_decode(p->bytes, p->len, &m, NULL) != SDG_OK) return;
    m.epoch = p->epoch = w->epoch;
    buf_reset(&w->scratch);
    message_encode(&m, &w->scratch);
    message_free(&m);
    free(p->bytes);
    w->parcel_bytes += w->scratch.len - p->len;
    p->bytes = copy_bytes(w->scratch.data, w->scratch.len);
    p->len = w->scratch.len;
}

void worker_resend(worker_t *w, uint64_t now) {
    for (parcel_t *p = w->parcels; p; p = p->next) {
        if (p->resend_ns > now) continue;
        restamp(w, p);
        link_send_bytes(w->scheduler, 0, p->bytes, p->len);
        p->wait_ns = p->wait_ns * 2 < 30 * UINT64_C(1000000000) ? p->wait_ns * 2 : 30 * UINT64_C(1000000000);
        p->resend_ns = now + p->wait_ns;
    }
}

bool worker_outbox_empty(const worker_t *w) { return !w->parcels; }

void worker_outbox_free(worker_t *w) {
    while (w->parcels) {
        parcel_t *p = w->parcels;
        w->parcels = p->next;
        parcel_free(w, p);
    }
    w->parcels_tail = &w->parcels;
}
