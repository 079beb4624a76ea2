/* ring.h - lists whose links live inside their members: no allocation, removal without a search.
 *
 * A node is in at most one ring. Adding a node that is in a ring already does nothing; neither does removing
 * a node that is in none. */
#ifndef SDG_BASE_RING_H
#define SDG_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ring_node {
    struct ring_node *prev, *next;
} ring_node_t; /* all zero: in no ring */
typedef struct ring {
    ring_node_t head;
} ring_t; /* ring_init before use; does not move afterwards */

/* The struct that holds this node as `member`. */
#define RING_OWNER(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))
/* Walks all nodes; the current one may be removed on the way. The ring may be const: its members are not. */
#define RING_EACH(ring, node)                                                                     \
    for (ring_node_t *node = (ring)->head.next, *node##_next = node->next; node != &(ring)->head; \
         node = node##_next, node##_next = node->next)

static inline void ring_init(ring_t *ring) { ring->head.prev = ring->head.next = &ring->head; }
static inline bool ring_empty(const ring_t *ring) { return ring->head.next == &ring->head; }
static inline ring_node_t *ring_first(const ring_t *ring) {
    return ring_empty(ring) ? NULL : ring->head.next;
}
static inline ring_node_t *ring_last(const ring_t *ring) { return ring_empty(ring) ? NULL : ring->head.prev; }
/* The node after this one (NULL: the first), NULL at the end. */
static inline ring_node_t *ring_next(const ring_t *ring, const ring_node_t *after) {
    ring_node_t *node = after ? after->next : ring->head.next;
    return node == &ring->head ? NULL : node;
}

static inline void ring_put_before(ring_node_t *place, ring_node_t *node) {
    if (node->next) return;
    node->next = place;
    node->prev = place->prev;
    place->prev->next = node;
    place->prev = node;
}
static inline void ring_add_last(ring_t *ring, ring_node_t *node) { ring_put_before(&ring->head, node); }
static inline void ring_add_first(ring_t *ring, ring_node_t *node) { ring_put_before(ring->head.next, node); }

static inline void ring_remove(ring_node_t *node) {
    if (!node->next) return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

#endif
