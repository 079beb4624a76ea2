/* engine_endpoints.c - endpoints and their routes: how they open and close, and what an endpoint can take.
 *
 * Routes with the same endpoint share its permits and replicas. The first route brings the endpoint, the last
 * one takes it along.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/grow.h"
#include "core/http/engine_internal.h"
#include "core/llm/endpoint.h"

enum {
    PERMITS_FIRST = 8,            /* of an endpoint, until llm_engine_set_permits */
    TIMEOUT_DEFAULT_MS = 3600000, /* of one request, as documented */
    CLOSED_MS_MIN = 500,          /* an endpoint that opens sooner is not called closed */
};

/* --- the state of an endpoint --- */

void llm_endpoint_watch(llm_engine_t *engine, llm_endpoint_t *endpoint) {
    if (endpoint->turn_count > 0 && permit_free(&endpoint->permit) > 0)
        ring_add_last(&engine->hungry, &endpoint->hungry);
    else
        ring_remove(&endpoint->hungry);
}

endpoint_state_t llm_endpoint_state(const llm_endpoint_t *endpoint, uint64_t now_ns, uint64_t *reopens_ns) {
    bool open = false;
    *reopens_ns = HEALTH_NEVER;
    for (size_t i = 0; i < endpoint->replica_count; i++) {
        const health_t *health = &endpoint->replicas[i].health;
        bool closed = health->state == HEALTH_CLOSED && health->reopens_ns > now_ns;
        open = open || health->state == HEALTH_OPEN || (health->state == HEALTH_CLOSED && !closed);
        if (closed && health->reopens_ns < *reopens_ns) *reopens_ns = health->reopens_ns;
    }
    if (!open) return *reopens_ns == HEALTH_NEVER ? ENDPOINT_FINAL : ENDPOINT_CLOSED;
    bool later =
        endpoint->opens_ns != HEALTH_NEVER && endpoint->opens_ns > now_ns + CLOSED_MS_MIN * MILLISECOND;
    *reopens_ns = endpoint->opens_ns;
    return later && endpoint->load.in_flight == 0 ? ENDPOINT_CLOSED : ENDPOINT_OPEN;
}

void llm_engine_set_permits(llm_engine_t *engine, uint64_t id, uint32_t calls) {
    RING_EACH(&engine->endpoints, node) {
        llm_endpoint_t *endpoint = RING_OWNER(node, llm_endpoint_t, place);
        if (endpoint->id != id) continue;
        endpoint->permit.allowed = calls < LLM_PERMITS_MAX ? calls : LLM_PERMITS_MAX;
        llm_endpoint_watch(engine, endpoint);
    }
}

/* --- endpoints come and go --- */

static void endpoint_free(llm_engine_t *engine, llm_endpoint_t *endpoint) {
    for (size_t i = 0; i < endpoint->replica_count; i++)
        replica_free(&endpoint->replicas[i], engine->http);
    engine->endpoint_count--;
    ring_remove(&endpoint->place);
    ring_remove(&endpoint->hungry);
    free(endpoint->replicas);
    free(endpoint->addresses);
    free(endpoint);
}

/* A new endpoint with the replicas of these options. It takes `addresses`. */
static llm_endpoint_t *endpoint_new(llm_engine_t *engine, const llm_route_options_t *options, uint64_t id,
                                    char *addresses) {
    llm_endpoint_t *endpoint = xcalloc(1, sizeof *endpoint);
    endpoint->id = id;
    endpoint->addresses = addresses;
    endpoint->replica_count = options->url_count > 0 ? options->url_count : 1;
    endpoint->replicas = xcalloc(endpoint->replica_count, sizeof *endpoint->replicas);
    for (size_t i = 0; i < endpoint->replica_count; i++) {
        const char *base = options->url_count > 0 ? options->base_urls[i] : NULL;
        replica_init(&endpoint->replicas[i], endpoint_url(base, ENDPOINT_CHAT));
    }
    endpoint->permit.allowed = PERMITS_FIRST;
    ring_init(&endpoint->turns);
    ring_init(&endpoint->held);
    ring_add_last(&engine->endpoints, &endpoint->place);
    engine->endpoint_count++;
    return endpoint;
}

/* The endpoint of these options; a new one when no route has it yet. NULL when there are too many. */
static llm_endpoint_t *endpoint_obtain(llm_engine_t *engine, const llm_route_options_t *options, err_t *err) {
    uint64_t id = options->endpoint_id;
    if (id == 0)
        id = endpoint_id(options->base_urls, options->url_count, options->api_key, options->model_group);
    char *addresses = endpoint_addresses(options->base_urls, options->url_count);
    RING_EACH(&engine->endpoints, node) {
        llm_endpoint_t *endpoint = RING_OWNER(node, llm_endpoint_t, place);
        if (endpoint->id != id || strcmp(endpoint->addresses, addresses) != 0) continue;
        free(addresses);
        return endpoint;
    }
    if (engine->endpoint_count >= LLM_ENDPOINTS_MAX) {
        free(addresses);
        err_set(err, SDG_ELIMIT, "more than %d endpoints at a time", LLM_ENDPOINTS_MAX);
        return NULL;
    }
    return endpoint_new(engine, options, id, addresses);
}

/* Makes the URLs of the endpoint usable with this version of HTTP. */
static int endpoint_targets_make(llm_engine_t *engine, llm_endpoint_t *endpoint, bool http2, err_t *err) {
    for (size_t i = 0; i < endpoint->replica_count; i++) {
        replica_t *replica = &endpoint->replicas[i];
        if (!replica->targets[http2])
            replica->targets[http2] = http_target_new(engine->http, replica->url, http2, err);
        if (!replica->targets[http2]) return SDG_EINVAL;
    }
    return SDG_OK;
}

/* A route of the endpoint was closed, or could not be opened: the last one takes the endpoint with it. */
static void endpoint_leave(llm_engine_t *engine, llm_endpoint_t *endpoint) {
    if (endpoint->route_count == 0) endpoint_free(engine, endpoint);
}

/* --- routes --- */

llm_route_t *llm_route_find(const llm_engine_t *engine, uint32_t number) {
    return number < engine->route_count ? engine->routes[number] : NULL;
}

static void route_free(llm_route_t *route) {
    http_headers_free(route->headers);
    free(route->key);
    free(route);
}

static llm_route_t *route_new(const llm_route_options_t *options) {
    llm_route_t *route = xcalloc(1, sizeof *route);
    route->key = endpoint_key(options->api_key);
    route->http2 = options->http2;
    route->retry = options->retry;
    route->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    ring_init(&route->retries);
    ring_init(&route->queue);
    ring_init(&route->calls);
    return route;
}

static int route_headers_make(llm_route_t *route, const llm_route_options_t *options, err_t *err) {
    endpoint_headers_t lines;
    int rc =
        endpoint_headers_make(options->api_key, options->headers, options->header_count, true, &lines, err);
    if (rc == SDG_OK)
        rc = http_headers_new(NULL, (const char *const *)lines.lines, lines.count, &route->headers, err);
    endpoint_headers_free(&lines);
    return rc;
}

/* Gives the route the smallest number that is free. */
static uint32_t route_add(llm_engine_t *engine, llm_route_t *route) {
    uint32_t number = 0;
    while (number < engine->route_count && engine->routes[number])
        number++;
    if (number == engine->route_count) {
        GROW(engine->routes, engine->route_cap, engine->route_count + 1);
        engine->route_count++;
    }
    engine->routes[number] = route;
    engine->routes_open++;
    return number;
}

/* A new endpoint whose URLs cannot be used goes again: endpoint_leave frees it. */
int llm_engine_open_route(llm_engine_t *engine, const llm_route_options_t *options, err_t *err) {
    if (options->url_count > LLM_REPLICAS_MAX || engine->routes_open >= LLM_ROUTES_MAX)
        return err_set(err, SDG_ELIMIT, "model %s: more than %d models at a time, or %d URLs of one",
                       options->name ? options->name : "", LLM_ROUTES_MAX, LLM_REPLICAS_MAX);
    err_t reason;
    llm_route_t *route = route_new(options);
    int rc = route_headers_make(route, options, &reason);
    llm_endpoint_t *endpoint = rc == SDG_OK ? endpoint_obtain(engine, options, &reason) : NULL;
    if (!endpoint || endpoint_targets_make(engine, endpoint, options->http2, &reason) != SDG_OK) {
        if (endpoint) endpoint_leave(engine, endpoint);
        route_free(route);
        return err_set(err, reason.code, "model %s: %s", options->name ? options->name : "", reason.text);
    }
    for (size_t i = 0; i < endpoint->replica_count; i++)
        if (endpoint->replicas[i].health.state == HEALTH_FINAL)
            health_forget_refusals(&endpoint->replicas[i].health); /* perhaps it has been mended */
    endpoint->opens_ns = 0;
    endpoint->route_count++;
    route->endpoint = endpoint;
    return (int)route_add(engine, route);
}

/* Calls end without an answer, finished ones that nobody has taken, too. Their tags are free again. */
void llm_engine_close_route(llm_engine_t *engine, uint32_t number) {
    llm_route_t *route = llm_route_find(engine, number);
    assert(route);
    for (ring_node_t *node; (node = ring_first(&route->calls));) {
        llm_call_t *call = RING_OWNER(node, llm_call_t, of_route);
        if (call->state != CALL_FINISHED) idmap_remove(&engine->calls, call->tag);
        llm_call_leave(engine, call);
        llm_call_give_unit(call);
        llm_call_set_state(call, CALL_FINISHED);
        llm_call_free(call);
    }
    engine->routes[number] = NULL;
    engine->routes_open--;
    route->endpoint->route_count--;
    endpoint_leave(engine, route->endpoint);
    route_free(route);
    if (engine->routes_open == 0) http_close_idle(engine->http);
}

uint64_t llm_engine_endpoint_id(const llm_engine_t *engine, uint32_t route) {
    assert(llm_route_find(engine, route));
    return llm_route_find(engine, route)->endpoint->id;
}
