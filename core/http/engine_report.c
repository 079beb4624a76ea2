/* engine_report.c - what the engine tells of its routes, endpoints and waiting calls. Nothing here changes
 * any of them. */
#include <assert.h>
#include <string.h>

#include "core/http/engine_internal.h"

/* --- loads --- */

void llm_engine_route_load(const llm_engine_t *engine, uint32_t number, llm_load_t *load) {
    const llm_route_t *route = llm_route_find(engine, number);
    assert(route);
    *load = route->load;
    load->permits = route->endpoint->permit.allowed;
}

bool llm_engine_endpoint_load(const llm_engine_t *engine, uint64_t id, llm_load_t *load) {
    *load = (llm_load_t){0};
    RING_EACH(&engine->endpoints, node) {
        const llm_endpoint_t *endpoint = RING_OWNER(node, llm_endpoint_t, place);
        if (endpoint->id != id) continue;
        *load = endpoint->load;
        load->permits = endpoint->permit.allowed;
        return true;
    }
    return false;
}

/* --- reports --- */

static uint64_t ms_since(uint64_t at_ns, uint64_t now_ns) {
    return now_ns > at_ns ? (now_ns - at_ns) / MILLISECOND : 0;
}

static void report_load(const llm_load_t *load, endpoint_report_t *report) {
    report->in_flight += load->in_flight;
    report->waiting += load->queued + load->backing_off + load->held;
    report->refused += load->held;
    report->requests += load->requests;
    report->answered += load->succeeded;
    report->faulted += load->faulted;
    for (int i = 0; i < LLM_CAUSES; i++) {
        report->retries[i] += load->retries[i];
    }
}

static void report_replicas(const llm_endpoint_t *endpoint, uint64_t now_ns, endpoint_report_t *report) {
    for (size_t i = 0; i < endpoint->replica_count; i++) {
        const replica_t *replica = &endpoint->replicas[i];
        const ring_node_t *oldest = ring_first(&replica->flights);
        report->refused_in_a_row += replica->health.refused;
        if (!oldest) continue;
        uint64_t ms = ms_since(RING_OWNER(oldest, flight_t, place)->ticket.sent_ns, now_ns);
        if (ms > report->oldest_ms) report->oldest_ms = ms;
    }
    uint64_t reopens_ns;
    report->state = llm_endpoint_state(endpoint, now_ns, &reopens_ns);
    if (report->state == ENDPOINT_CLOSED) report->reopens_ms = ms_since(now_ns, reopens_ns);
}

static void report_endpoint(const llm_endpoint_t *endpoint, uint64_t now_ns, endpoint_report_t *report) {
    replica_address(&endpoint->replicas[endpoint->trouble.replica], report->address, sizeof report->address);
    report_replicas(endpoint, now_ns, report);
    report->endpoint = endpoint->id;
    report->answered_ms = endpoint->answered_ns ? ms_since(endpoint->answered_ns, now_ns) : ENDPOINT_NEVER;
    report->trouble = endpoint->trouble.cause;
    if (report->trouble == LLM_CAUSE_NONE) return;
    report->trouble_ms = ms_since(endpoint->trouble.at_ns, now_ns);
    memcpy(report->trouble_text, endpoint->trouble.text, sizeof report->trouble_text);
}

bool llm_engine_report(const llm_engine_t *engine, const uint32_t *routes, size_t route_count, uint64_t id,
                       uint64_t now_ns, endpoint_report_t *report) {
    const llm_endpoint_t *endpoint = NULL;
    *report = (endpoint_report_t){0};
    for (size_t i = 0; i < route_count; i++) {
        const llm_route_t *route = llm_route_find(engine, routes[i]);
        assert(route);
        if (route->endpoint->id != id) continue;
        endpoint = route->endpoint;
        report_load(&route->load, report);
    }
    if (endpoint) report_endpoint(endpoint, now_ns, report);
    return endpoint;
}

/* --- how a call waits --- */

uint64_t llm_engine_waits_for(const llm_engine_t *engine, uint64_t tag) {
    const llm_call_t *call = idmap_get(&engine->calls, tag);
    bool waits = call && !call->has_unit && llm_call_waits(call);
    return waits ? call->route->endpoint->id : 0;
}

uint64_t llm_engine_waited_ns(const llm_engine_t *engine, uint64_t tag, uint64_t now_ns) {
    const llm_call_t *call = idmap_get(&engine->calls, tag);
    if (!call) return 0;
    bool waits = llm_call_waits(call);
    return call->answer.waited_ns + (waits && now_ns > call->since_ns ? now_ns - call->since_ns : 0);
}

/* Has nobody been answered there for a while? */
static bool is_silent(const llm_endpoint_t *endpoint, uint64_t now_ns) {
    uint64_t since_ns = endpoint->answered_ns ? endpoint->answered_ns : endpoint->asked_ns;
    return since_ns > 0 && now_ns > since_ns + LLM_SILENT_MS * MILLISECOND;
}

bool llm_engine_waits_long(const llm_engine_t *engine, uint64_t tag, uint64_t now_ns) {
    const llm_call_t *call = idmap_get(&engine->calls, tag);
    uint64_t reopens_ns;
    if (!call || call->has_unit || !llm_call_waits(call)) return false;
    const llm_endpoint_t *endpoint = call->route->endpoint;
    if (call->state == CALL_HELD || llm_endpoint_state(endpoint, now_ns, &reopens_ns) != ENDPOINT_OPEN)
        return true;
    return call->state == CALL_BACKING_OFF && is_silent(endpoint, now_ns);
}

bool llm_engine_is_limited(const llm_engine_t *engine, uint64_t tag) {
    const llm_call_t *call = idmap_get(&engine->calls, tag);
    if (!call || call->has_unit || !llm_call_waits(call)) return false;
    const uint32_t *retries = call->answer.retries;
    if (retries[LLM_CAUSE_RATE_LIMIT] + retries[LLM_CAUSE_OVERLOAD] > 0) return true;
    const llm_endpoint_t *endpoint = call->route->endpoint;
    for (size_t i = 0; i < endpoint->replica_count; i++) {
        if (endpoint->replicas[i].health.paced) return true;
    }
    return false;
}
