/* dispatch_endpoints.c - how many calls of an endpoint are in flight from which worker.
 *
 * An endpoint without a limit is not shared out: each worker is told ENDPOINT_CALLS_MAX, and the units of the
 * jobs bound its calls. A limit is split by demand: a worker's demand is the sum of its units of the jobs
 * that name the endpoint. When the limit is smaller than the number of workers that want to call, they take
 * turns of ENDPOINT_TURN_NS, or the rows of those without a call would never end. */
#include <stdlib.h>
#include <string.h>

#include "core/sched/dispatch_internal.h"

/* ---- endpoints */

static call_endpoint_t *endpoint_find(dispatch_t *d, uint64_t id) {
    return idmap_get(&d->endpoint_by_id, id);
}

static call_endpoint_t *endpoint_new(dispatch_t *d, uint64_t id) {
    call_endpoint_t *endpoint = xcalloc(1, sizeof *endpoint);
    endpoint->id = id;
    endpoint->limit = DISPATCH_NO_LIMIT;
    ring_init(&endpoint->lines);
    ring_add_last(&d->endpoints, &endpoint->of_all);
    idmap_add(&d->endpoint_by_id, id, endpoint);
    return endpoint;
}

static void line_destroy(call_line_t *line) {
    idmap_remove(&line->worker->line_by_endpoint, line->endpoint->id);
    ring_remove(&line->of_worker);
    ring_remove(&line->of_endpoint);
    ring_remove(&line->permits);
    free(line);
}

static void endpoint_destroy(dispatch_t *d, call_endpoint_t *endpoint) {
    RING_EACH(&endpoint->lines, node) line_destroy(RING_OWNER(node, call_line_t, of_endpoint));
    ring_remove(&endpoint->of_all);
    idmap_remove(&d->endpoint_by_id, endpoint->id);
    free(endpoint);
}

static bool job_names(const seat_job_t *job, uint64_t id) {
    for (size_t i = 0; i < job->endpoint_count; i++) {
        if (job->endpoints[i]->id == id) return true;
    }
    return false;
}

void dispatch_endpoints_name(dispatch_t *d, seat_job_t *job, const uint64_t *ids, size_t count) {
    job->endpoints = xcalloc(count + 1, sizeof(call_endpoint_t *));
    for (size_t i = 0; i < count; i++) {
        if (job_names(job, ids[i])) continue;
        call_endpoint_t *endpoint = endpoint_find(d, ids[i]);
        if (!endpoint) endpoint = endpoint_new(d, ids[i]);
        endpoint->jobs++;
        job->endpoints[job->endpoint_count++] = endpoint;
    }
}

void dispatch_endpoints_release(dispatch_t *d, seat_job_t *job) {
    for (size_t i = 0; i < job->endpoint_count; i++) {
        if (--job->endpoints[i]->jobs == 0) endpoint_destroy(d, job->endpoints[i]);
    }
    job->endpoint_count = 0;
    free(job->endpoints);
    job->endpoints = NULL;
    d->shares_stale = true;
}

int dispatch_endpoint_limit(dispatch_t *d, uint64_t id, uint64_t calls, uint64_t now) {
    call_endpoint_t *endpoint = endpoint_find(d, id);
    (void)now;
    if (!endpoint) return SDG_ENOTFOUND;
    if (endpoint->limit != calls) d->shares_stale = true;
    endpoint->limit = calls;
    return SDG_OK;
}

/* ---- lines */

static call_line_t *line_of(seat_worker_t *worker, call_endpoint_t *endpoint) {
    call_line_t *line = idmap_get(&worker->line_by_endpoint, endpoint->id);
    if (line) return line;
    line = xcalloc(1, sizeof *line);
    line->worker = worker;
    line->endpoint = endpoint;
    ring_add_last(&worker->lines, &line->of_worker);
    ring_add_last(&endpoint->lines, &line->of_endpoint);
    idmap_add(&worker->line_by_endpoint, endpoint->id, line);
    return line;
}

void dispatch_lines_destroy(seat_worker_t *worker) {
    RING_EACH(&worker->lines, node) line_destroy(RING_OWNER(node, call_line_t, of_worker));
    idmap_free(&worker->line_by_endpoint);
}

void dispatch_lines_repeat(dispatch_t *d, seat_worker_t *worker) {
    RING_EACH(&worker->lines, node) {
        call_line_t *line = RING_OWNER(node, call_line_t, of_worker);
        if (line->told) ring_add_last(&d->line_permits, &line->permits);
    }
}

/* ---- shares */

/* Adds up what this worker could use of each endpoint: its units of the jobs that name it. When one of these
 * jobs is new to the worker, it is told its permits of that job's endpoints again, because it forgets the
 * endpoints that none of its jobs names. */
static void sum_demand(dispatch_t *d, seat_worker_t *worker) {
    RING_EACH(&worker->lines, node) RING_OWNER(node, call_line_t, of_worker)->share.demand = 0;
    RING_EACH(&worker->seats, node) {
        seat_t *seat = RING_OWNER(node, seat_t, of_worker);
        if (seat->share.granted == 0) continue;
        for (size_t i = 0; i < seat->job->endpoint_count; i++) {
            call_line_t *line = line_of(worker, seat->job->endpoints[i]);
            uint64_t units = smaller(seat->share.granted, ENDPOINT_CALLS_MAX);
            line->share.demand = smaller(line->share.demand + units, ENDPOINT_CALLS_MAX);
            if (!seat->lines_told && line->told) ring_add_last(&d->line_permits, &line->permits);
        }
        seat->lines_told = true;
    }
}

/* Splits the calls of one endpoint over the workers that call it. Without a limit each worker may make any
 * number, also one that has no units at the moment: rows of it may still run. A worker that drains keeps what
 * it was told, for the rows it runs. */
static void share_calls(dispatch_t *d, call_endpoint_t *endpoint) {
    size_t count = 0;
    uint64_t others = 0; /* calls that workers that drain may have in flight */
    RING_EACH(&endpoint->lines, node) {
        call_line_t *line = RING_OWNER(node, call_line_t, of_endpoint);
        if (line->worker->draining)
            others += line->share.ceiling;
        else
            d->sharing[count++] = &line->share;
    }
    endpoint->in_turns = false;
    if (endpoint->limit != DISPATCH_NO_LIMIT) {
        endpoint->in_turns = !shares_split_by_demand(d->sharing, count, endpoint->limit, d->endpoint_turn);
    } else {
        for (size_t i = 0; i < count; i++)
            d->sharing[i]->wanted = ENDPOINT_CALLS_MAX;
    }
    shares_grant(d->sharing, count, endpoint->limit, others);
    RING_EACH(&endpoint->lines, node) {
        call_line_t *line = RING_OWNER(node, call_line_t, of_endpoint);
        if (line->share.changed) ring_add_last(&d->line_permits, &line->permits);
        line->share.changed = false;
    }
}

void dispatch_lines_share(dispatch_t *d) {
    for (size_t i = 0; i < d->worker_count && !ring_empty(&d->endpoints); i++) {
        if (!d->workers[i]->draining) sum_demand(d, d->workers[i]);
    }
    RING_EACH(&d->endpoints, node) share_calls(d, RING_OWNER(node, call_endpoint_t, of_all));
}

bool dispatch_line_next(dispatch_t *d, dispatch_action_t *action) {
    ring_node_t *node = ring_first(&d->line_permits);
    if (!node) return false;
    call_line_t *line = RING_OWNER(node, call_line_t, permits);
    ring_remove(node);
    line->told = true;
    *action = (dispatch_action_t){.kind = DISPATCH_ENDPOINT_PERMITS,
                                  .peer = line->worker->peer,
                                  .worker = line->worker->id,
                                  .endpoint = line->endpoint->id,
                                  .permit_calls = line->share.granted};
    return true;
}

void dispatch_worker_calls(dispatch_t *d, uint64_t id, uint64_t endpoint, uint64_t permit, uint64_t in_flight,
                           uint64_t now) {
    seat_worker_t *worker = dispatch_worker_find(d, id);
    call_line_t *line = worker ? idmap_get(&worker->line_by_endpoint, endpoint) : NULL;
    (void)now;
    if (line && share_heard(&line->share, permit, smaller(in_flight, JOB_NUMBER_MAX))) d->shares_stale = true;
}

void dispatch_lines_tick(dispatch_t *d, uint64_t now) {
    uint64_t turn = now / ENDPOINT_TURN_NS;
    if (turn == d->endpoint_turn) return;
    d->endpoint_turn = turn;
    RING_EACH(&d->endpoints, node) {
        if (RING_OWNER(node, call_endpoint_t, of_all)->in_turns) d->shares_stale = true;
    }
}
