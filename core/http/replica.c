/* replica.c - see replica.h. */
#include "core/http/replica.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/llm/endpoint.h"

void replica_init(replica_t *replica, char *url) {
    *replica = (replica_t){.url = url};
    ring_init(&replica->flights);
}

void replica_free(replica_t *replica, http_t *http) {
    for (size_t k = 0; k < 2; k++)
        if (replica->targets[k]) http_target_free(http, replica->targets[k]);
    free(replica->url);
}

void replica_address(const replica_t *replica, char *out, size_t size) {
    static const char page[] = "/chat/completions", version[] = "/v1";
    buf_t shown;
    buf_init(&shown, DATA_LINE_BYTES_MAX);
    endpoint_url_shown(replica->url, &shown);
    size_t len = shown.len, page_len = sizeof page - 1, version_len = sizeof version - 1;
    if (len > page_len && memcmp(shown.data + len - page_len, page, page_len) == 0) len -= page_len;
    if (len > version_len && memcmp(shown.data + len - version_len, version, version_len) == 0)
        len -= version_len;
    utf8_copy_line(out, size, shown.data, len);
    buf_free(&shown);
}

void replica_begin(replica_t *replica, flight_t *flight, uint64_t now_ns) {
    flight->ticket = health_sent(&replica->health, now_ns);
    ring_add_last(&replica->flights, &flight->place);
}

void replica_end(replica_t *replica, flight_t *flight) {
    (void)replica;
    ring_remove(&flight->place);
}

/* How many requests in flight may still disprove the refusals. The count ends when it is clear that they are
 * too many for a judgement. */
static uint32_t pending(const replica_t *replica) {
    uint32_t count = 0;
    for (const ring_node_t *node = ring_last(&replica->flights); node && node != &replica->flights.head;
         node = node->prev) {
        const flight_t *flight = RING_OWNER(node, flight_t, place);
        if (flight->ticket.sent_ns < replica->health.refused_sent_ns || count > replica->health.refused)
            break;
        count++;
    }
    return count;
}

bool replica_judge(replica_t *replica) {
    if (health_suspect(&replica->health)) health_judge(&replica->health, pending(replica));
    return replica->health.state == HEALTH_FINAL;
}

/* While all replicas are avoided, the one with the fewest failures in a row is the likeliest to answer; a
 * dead one has the fewest requests in flight because it fails at once. */
static bool is_better(const replica_t *a, const replica_t *b, uint64_t now_ns) {
    bool a_avoided = health_avoided(&a->health, now_ns), b_avoided = health_avoided(&b->health, now_ns);
    if (a_avoided != b_avoided) return b_avoided;
    if (a_avoided && a->health.failures != b->health.failures) return a->health.failures < b->health.failures;
    return a->health.in_flight < b->health.in_flight;
}

replica_t *replicas_choose(replica_t *replicas, size_t count, const replica_set_t *without, size_t *turn,
                           uint64_t now_ns, uint64_t *opens_ns) {
    replica_t *best = NULL;
    *opens_ns = HEALTH_NEVER;
    for (size_t i = 0; i < count; i++) {
        size_t number = (*turn + i) % count;
        replica_t *replica = &replicas[number];
        if (replica_set_has(without, number)) continue;
        uint64_t at_ns = health_opens_ns(&replica->health, now_ns);
        if (at_ns > now_ns)
            *opens_ns = at_ns < *opens_ns ? at_ns : *opens_ns;
        else if (!best || is_better(replica, best, now_ns))
            best = replica;
    }
    if (best) *turn = (size_t)(best - replicas + 1) % count;
    return best;
}
