/* replica.h - one address of an endpoint: how it is reached, how it fares (core/llm/health.h), and which
 * requests it has. Only the engine uses it. */
#ifndef SDG_HTTP_REPLICA_H
#define SDG_HTTP_REPLICA_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/ring.h"
#include "core/http/http.h"
#include "core/llm/health.h"
#include "core/llm/limits.h"

/* A request in flight. */
typedef struct flight {
    ring_node_t place; /* in replica->flights */
    health_ticket_t ticket;
} flight_t;

typedef struct replica {
    char *url;                 /* of its chat page; owned */
    http_target_t *targets[2]; /* without and with HTTP/2; owned. NULL: no route has asked for it */
    health_t health;
    ring_t flights; /* of flight_t, the oldest first */
} replica_t;

/* Some replicas of an endpoint, by number. */
typedef struct replica_set {
    uint64_t bits[LLM_REPLICAS_MAX / 64];
} replica_set_t;

static inline void replica_set_add(replica_set_t *set, size_t i) {
    set->bits[i / 64] |= UINT64_C(1) << (i % 64);
}
static inline bool replica_set_has(const replica_set_t *set, size_t i) {
    return (set->bits[i / 64] >> (i % 64)) & 1;
}

void replica_init(replica_t *replica, char *url); /* takes the URL */
void replica_free(replica_t *replica, http_t *http);

/* The address for people, without the page of chats, which says nothing to them, and without secrets. */
void replica_address(const replica_t *replica, char *out, size_t size);

void replica_begin(replica_t *replica, flight_t *flight, uint64_t now_ns);
/* The flight leaves; its ticket stays, for one of the ends of health.h. */
void replica_end(replica_t *replica, flight_t *flight);

/* Judges refusals, if there are enough of them. Says whether the replica is final. */
bool replica_judge(replica_t *replica);

/* The replica of `count` ones, without those in `without`, that should get the next request, as of now. NULL:
 * none can; *opens_ns is when one will, HEALTH_NEVER: one does not know. *turn is where the search begins, so
 * that equal ones take turns; it moves on. */
replica_t *replicas_choose(replica_t *replicas, size_t count, const replica_set_t *without, size_t *turn,
                           uint64_t now_ns, uint64_t *opens_ns);

#endif
