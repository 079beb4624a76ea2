/* worker_endpoints.c - how many calls may be in flight from here to each endpoint, of all jobs together.
 *
 * The scheduler says it before it gives permits of a job that names the endpoint, and again with each job
 * that is new here: so all can be forgotten with the last job. The engine forgets an endpoint with its last
 * route, therefore a job's routes are given their permits when they are opened. */

#include "actors/worker/worker_internal.h"
#include "core/base/grow.h"
#include "core/llm/limits.h"
#include "core/sched/limits.h"

static endpoint_permit_t *find(const worker_t *w, uint64_t endpoint) {
    for (size_t i = 0; i < w->endpoint_count; i++) {
        if (w->endpoints[i].endpoint == endpoint) return &w->endpoints[i];
    }
    return NULL;
}

static uint64_t in_flight(const worker_t *w, uint64_t endpoint) {
    llm_load_t load = {0};
    if (w->llm) llm_engine_endpoint_load(w->llm, endpoint, &load);
    return load.in_flight;
}

static void apply(worker_t *w, uint64_t endpoint) {
    const endpoint_permit_t *permit = find(w, endpoint);
    uint64_t calls = permit ? permit->calls : ENDPOINT_CALLS_MAX;
    if (w->llm)
        llm_engine_set_permits(w->llm, endpoint, calls < LLM_PERMITS_MAX ? (uint32_t)calls : LLM_PERMITS_MAX);
}

void worker_endpoints_apply(worker_t *w, const worker_job_t *job) {
    for (size_t i = 0; i < job->route_count; i++) {
        apply(w, llm_engine_endpoint_id(w->llm, job->routes[i]));
    }
}

static void say_held(worker_t *w, endpoint_permit_t *permit) {
    permit->told = in_flight(w, permit->endpoint);
    message_t m = {
        .type = MESSAGE_ENDPOINT_HELD,
        .epoch = w->greeting.epoch,
        .ENDPOINT_HELD = {.endpoint = permit->endpoint, .permit = permit->calls, .in_flight = permit->told}};
    link_send(w->scheduler, 0, &m, &w->scratch);
}

void worker_endpoint_permit(worker_t *w, uint64_t endpoint, uint64_t calls) {
    endpoint_permit_t *permit = find(w, endpoint);
    if (!permit) {
        GROW(w->endpoints, w->endpoint_cap, w->endpoint_count + 1);
        permit = &w->endpoints[w->endpoint_count++];
    }
    *permit = (endpoint_permit_t){.endpoint = endpoint, .calls = calls};
    apply(w, endpoint);
    say_held(w, permit);
}

bool worker_endpoint_closed(const worker_t *w, uint64_t endpoint) {
    const endpoint_permit_t *permit = find(w, endpoint);
    return permit && permit->calls == 0;
}

void worker_endpoints_tell(worker_t *w) {
    for (size_t i = 0; i < w->endpoint_count; i++) {
        endpoint_permit_t *permit = &w->endpoints[i];
        if (permit->told > permit->calls && in_flight(w, permit->endpoint) < permit->told)
            say_held(w, permit);
    }
}

void worker_endpoints_forget(worker_t *w) { w->endpoint_count = 0; }
