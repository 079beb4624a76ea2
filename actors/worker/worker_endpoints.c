/* worker_endpoints.c - how many calls may be in flight from here to each endpoint.
 *
 * The scheduler says it before it gives permits of a job that names the endpoint, and says it again with each
 * job that is new here: so what no job needs can be forgotten with the last job. */
#include <stdlib.h>

#include "actors/worker/worker_internal.h"
#include "core/sched/limits.h"

static endpoint_permit_t *find(worker_t *w, uint64_t endpoint) {
    for (size_t i = 0; i < w->endpoint_count; i++) {
        if (w->endpoints[i].endpoint == endpoint) return &w->endpoints[i];
    }
    return NULL;
}

static uint64_t in_flight(const worker_t *w, uint64_t endpoint) {
    uint64_t calls = 0;
    for (const worker_job_t *job = w->jobs; job; job = job->next) {
        for (uint32_t i = 0; job->llm && i < job->pipeline->model_count; i++) {
            llm_load_t load;
            if (job->pipeline->models[i].endpoint_id != endpoint) continue;
            llm_engine_load(job->llm, i, &load);
            calls += load.in_flight;
        }
    }
    return calls;
}

void worker_endpoints_apply(worker_t *w, worker_job_t *job) {
    for (uint32_t i = 0; job->llm && i < job->pipeline->model_count; i++) {
        const endpoint_permit_t *permit = find(w, job->pipeline->models[i].endpoint_id);
        uint64_t calls = permit ? permit->calls : ENDPOINT_CALLS_MAX;
        if (job->permit_rows < calls) calls = job->permit_rows;
        llm_engine_set_permits(job->llm, i, (uint32_t)calls);
    }
}

static void say_held(worker_t *w, endpoint_permit_t *permit) {
    permit->told = in_flight(w, permit->endpoint);
    message_t m = {
        .type = MESSAGE_ENDPOINT_HELD,
        .epoch = w->epoch,
        .ENDPOINT_HELD = {.endpoint = permit->endpoint, .permit = permit->calls, .in_flight = permit->told}};
    link_send(w->scheduler, 0, &m, &w->scratch);
}

void worker_endpoint_permit(worker_t *w, uint64_t endpoint, uint64_t calls) {
    endpoint_permit_t *permit = find(w, endpoint);
    if (!permit) {
        if (w->endpoint_count == w->endpoint_cap) {
            w->endpoint_cap = w->endpoint_cap ? w->endpoint_cap * 2 : 4;
            w->endpoints = xrealloc(w->endpoints, w->endpoint_cap * sizeof *w->endpoints);
        }
        permit = &w->endpoints[w->endpoint_count++];
    }
    *permit = (endpoint_permit_t){.endpoint = endpoint, .calls = calls};
    for (worker_job_t *job = w->jobs; job; job = job->next) {
        worker_endpoints_apply(w, job);
    }
    say_held(w, permit);
}

void worker_endpoints_tell(worker_t *w) {
    for (size_t i = 0; i < w->endpoint_count; i++) {
        endpoint_permit_t *permit = &w->endpoints[i];
        if (permit->told > permit->calls && in_flight(w, permit->endpoint) < permit->told)
            say_held(w, permit);
    }
}

void worker_endpoints_forget(worker_t *w) { w->endpoint_count = 0; }
