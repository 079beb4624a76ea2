/* engine_internal.h - the engine's own state, shared by engine.c (the life of a call, from its queue to its
 * answer), engine_endpoints.c (endpoints and routes) and engine_report.c (what others are told).
 *
 * Read the structs first. The one idea: a call is always in exactly one place, and its state names that
 * place: its route's queue, the HTTP layer, the heap of retry times, its endpoint's held calls, or the list
 * of finished calls. To move on, a call leaves one place and enters the next; llm_call_set_state keeps the
 * gauges. So there is exactly one answer per call, however it ends.
 *
 * Permits and replicas belong to the endpoint, queues to the route, units to the owner of the permit that
 * requests name.
 */
#ifndef SDG_HTTP_ENGINE_INTERNAL_H
#define SDG_HTTP_ENGINE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/endpoint_report.h"
#include "core/base/heap.h"
#include "core/base/idmap.h"
#include "core/base/limits.h"
#include "core/base/ring.h"
#include "core/base/rng.h"
#include "core/http/engine.h"
#include "core/http/http.h"
#include "core/http/replica.h"
#include "core/llm/limits.h"

typedef enum llm_call_state {
    CALL_NEW,
    CALL_QUEUED,
    CALL_IN_FLIGHT,
    CALL_BACKING_OFF,
    CALL_HELD,
    CALL_FINISHED
} llm_call_state_t;

typedef struct llm_endpoint {
    ring_node_t place;  /* in engine->endpoints */
    ring_node_t hungry; /* in engine->hungry while it has room and calls wait */
    uint64_t id;
    char *addresses; /* owned; compared beside the id, which another program may have got wrong */
    replica_t *replicas;
    size_t replica_count;
    size_t replica_turn;  /* where the search for a replica begins */
    uint64_t opens_ns;    /* until then no replica takes a request of the calls that wait; 0: one may */
    ring_t held;          /* calls that all its replicas refuse */
    uint32_t route_count; /* open routes of it */
    bool streams;         /* it has answered with an event stream, although none was asked for */
    permit_t permit;      /* of requests in flight */
    ring_t turns;         /* routes with queued calls, the next one first */
    size_t turn_count;
    llm_load_t load;
    uint64_t asked_ns;    /* when the first request was sent; 0: none was */
    uint64_t answered_ns; /* when the last good answer came; 0: none has */
    struct {              /* what went wrong last */
        llm_cause_t cause;
        uint64_t at_ns;
        size_t replica;
        char text[LLM_TROUBLE_TEXT_MAX];
    } trouble;
} llm_endpoint_t;

typedef struct llm_route {
    llm_endpoint_t *endpoint;
    ring_node_t turn;        /* in endpoint->turns while calls are queued */
    ring_t retries;          /* queued calls that have waited for a retry; they go before the others */
    ring_t queue;            /* the other queued calls */
    ring_t calls;            /* all calls of the route, in whatever state */
    http_headers_t *headers; /* owned, borrowed by requests */
    char *key;               /* owned; "": none. Only needed to hide it in what servers say */
    bool http2;
    uint32_t timeout_ms;
    retry_policy_t retry;
    llm_load_t load;
} llm_route_t;

typedef struct llm_call {
    ring_node_t place;    /* in its route's retries or queue, in endpoint->held, or in engine->finished */
    ring_node_t of_route; /* in route->calls */
    ring_node_t fresh;    /* in engine->fresh: submitted with a unit since the last drive */
    flight_t flight;      /* at its replica while in flight; what it was then */
    uint64_t since_ns;    /* when its request was sent, or when it began to wait */
    uint64_t tag;         /* the caller's */
    llm_call_state_t state;
    bool has_unit; /* of `permit` */
    permit_t *permit;
    llm_route_t *route;
    replica_t *replica;        /* while in flight */
    replica_set_t refused_by;  /* replicas that have refused it */
    uint64_t refused_ns;       /* when the last of them did */
    bool unreached;            /* the last of them could not be reached */
    http_transfer_t *transfer; /* while in flight */
    size_t due_place;          /* in engine->back_offs; 0: in none */
    http_headers_t *headers;   /* owned; NULL: the route's */
    retry_policy_t retry;
    uint32_t timeout_ms;
    bool wants_reasoning;
    llm_answer_t answer; /* what is known so far */
    size_t body_len;
    char body[];
} llm_call_t;

struct llm_engine {
    http_t *http;
    rng_t rng; /* jitter */
    ring_t endpoints, hungry;
    uint32_t endpoint_count;
    llm_route_t **routes; /* by number; NULL: closed */
    uint32_t route_count; /* length of `routes` */
    uint32_t route_cap;
    uint32_t routes_open;
    bool hold;
    uint32_t in_flight;      /* requests, of all endpoints */
    uint32_t in_flight_max;  /* what there are descriptors for, as far as one knows */
    uint32_t in_flight_most; /* what in_flight_max may grow to again */
    uint64_t short_until_ns; /* no request is begun until then: there was no descriptor for the last one */
    bool shortage_said;
    uint64_t short_since_ns;  /* since then no request was answered for want of something; 0: all is well */
    uint32_t answers_to_grow; /* until in_flight_max grows by one; 0: with the next */
    idmap_t calls;            /* unfinished ones, by tag */
    heap_t back_offs;         /* calls, by the time of their retry */
    ring_t fresh;
    ring_t finished; /* until llm_engine_next */
};

/* --- engine.c --- */

/* The only setter of call->state. It moves the call between the gauges of its route and of its endpoint. */
void llm_call_set_state(llm_call_t *call, llm_call_state_t state);
/* Gives the unit of the call back to its permit. Nothing happens when the call holds none. */
void llm_call_give_unit(llm_call_t *call);
/* Is the call queued, backing off or held? */
bool llm_call_waits(const llm_call_t *call);
/* Frees a call and takes it out of route->calls. The call must have left its place; its unit is not given
 * back. */
void llm_call_free(llm_call_t *call);
/* Takes the call out of the place it is in, whatever its state; a request in flight is aborted. The state
 * stays until the caller sets another one, and the unit stays with the call. */
void llm_call_leave(llm_engine_t *engine, llm_call_t *call);

/* --- engine_endpoints.c --- */

/* Puts the endpoint into engine->hungry or takes it out. To be called when its permits or queues have
 * changed. */
void llm_endpoint_watch(llm_engine_t *engine, llm_endpoint_t *endpoint);
/* The best state of the replicas. *reopens_ns says when an ENDPOINT_CLOSED endpoint opens; it means nothing
 * for the other states. An endpoint that is open, but takes the next request only later, is closed, too, as
 * long as it has no request in flight. */
endpoint_state_t llm_endpoint_state(const llm_endpoint_t *endpoint, uint64_t now_ns, uint64_t *reopens_ns);
/* The open route of this number. NULL: there is none. */
llm_route_t *llm_route_find(const llm_engine_t *engine, uint32_t number);

#endif
