/* worker_reports.c - what the worker says of the endpoints of its jobs, so that somebody sees trouble before
 * a row ends.
 *
 * Each job says what has changed with a beat. At trouble it does not wait for the beat: when an endpoint
 * closes or opens, when something goes wrong there first, when calls wait with a refusal of it, and when its
 * oldest request has been without an answer for REPORT_HANG_MS. */
#include <stdlib.h>
#include <string.h>

#include "actors/worker/limits.h"
#include "actors/worker/worker_internal.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/sched/limits.h"
#include "proto/parts/endpoint_reports.h"

/* Another route of the job, before this one, leads to the same endpoint. */
static bool is_known(const worker_t *w, const worker_job_t *job, size_t route, uint64_t endpoint) {
    for (size_t i = 0; i < route; i++) {
        if (llm_engine_endpoint_id(w->llm, job->routes[i]) == endpoint) return true;
    }
    return false;
}

/* One report for each endpoint of the job, in the order of its models. */
static size_t make_reports(const worker_t *w, const worker_job_t *job, uint64_t now,
                           endpoint_report_t *reports) {
    size_t count = 0;
    for (size_t i = 0; i < job->route_count && count < ENDPOINT_REPORTS_MAX; i++) {
        uint64_t endpoint = llm_engine_endpoint_id(w->llm, job->routes[i]);
        if (!is_known(w, job, i, endpoint))
            llm_engine_report(w->llm, job->routes, job->route_count, endpoint, now, &reports[count++]);
    }
    return count;
}

static bool hangs(const endpoint_report_t *r) { return r->oldest_ms >= REPORT_HANG_MS; }

/* While calls wait with a refusal the scheduler decides about the job by what it knows of them: it must not
 * be the calls of a moment ago. */
static bool is_urgent(const endpoint_report_t *said, const endpoint_report_t *r) {
    return said->state != r->state || said->trouble != r->trouble || hangs(said) != hangs(r) ||
           ((said->refused > 0 || r->refused > 0) && !endpoint_report_same(said, r));
}

/* Is there something to say now? *changed: there is something for the beat. */
static bool is_news(const worker_job_t *job, const endpoint_report_t *reports, size_t count, bool *changed) {
    bool urgent = count != job->reported.count;
    *changed = urgent;
    for (size_t i = 0; i < count && !urgent; i++) {
        urgent = is_urgent(&job->reported.items[i], &reports[i]);
        if (!endpoint_report_same(&job->reported.items[i], &reports[i])) *changed = true;
    }
    return urgent;
}

static void say_reports(worker_t *w, worker_job_t *job, const endpoint_report_t *reports, size_t count,
                        uint64_t now) {
    buf_t bytes;
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    endpoint_reports_encode(reports, count, &bytes);
    message_t m = {.type = MESSAGE_ENDPOINT_REPORT,
                   .epoch = w->greeting.epoch,
                   .ENDPOINT_REPORT = {.job = job->id, .reports = {bytes.data, bytes.len}}};
    link_send(w->scheduler, 0, &m, &w->scratch);
    buf_free(&bytes);
    job->reported.items = xrealloc(job->reported.items, (count + 1) * sizeof *reports);
    memcpy(job->reported.items, reports, count * sizeof *reports);
    job->reported.count = count;
    job->reported.at_ns = now;
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* How long until a request that hangs is said to do so, ns. */
static uint64_t hang_due(const endpoint_report_t *reports, size_t count) {
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (reports[i].in_flight > 0 && !hangs(&reports[i]))
            due = sooner(due, (REPORT_HANG_MS - reports[i].oldest_ms) * MILLISECOND);
    }
    return due;
}

/* Looks at one job; returns how long it may be left alone, ns. */
static uint64_t tell_job(worker_t *w, worker_job_t *job, endpoint_report_t *reports, uint64_t now) {
    bool changed;
    size_t count = make_reports(w, job, now, reports);
    bool urgent = is_news(job, reports, count, &changed);
    if (urgent || (changed && now - job->reported.at_ns >= BEAT_NS)) say_reports(w, job, reports, count, now);
    return hang_due(reports, count);
}

uint64_t worker_reports_tell(worker_t *w, uint64_t now) {
    uint64_t wait = UINT64_MAX;
    endpoint_report_t *reports = NULL;
    if (!w->greeting.welcome) return UINT64_MAX;
    if (now - w->reports_ns < REPORT_LOOK_NS) return REPORT_LOOK_NS - (now - w->reports_ns);
    w->reports_ns = now;
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        if (job->state != JOB_READY || job->route_count == 0) continue;
        if (!reports) reports = xcalloc(ENDPOINT_REPORTS_MAX, sizeof *reports);
        wait = sooner(wait, tell_job(w, job, reports, now));
    }
    free(reports);
    return wait;
}

void worker_reports_repeat(worker_job_t *job) { job->reported.count = 0; }
