/* lru.c - see lru.h.
 *
 * Its speed is a matter of cache misses. Nodes lie in one array and point to each other by number. The index
 * is a table of (hash, node) pairs with linear probing: a look-up reads one cache line of it and then the
 * right node, because another key with the same 32 bits of hash is rare. Closing the hole of a removed entry
 * moves pairs by their hash and reads no node. The list is a circle through node 0, which holds no entry. */
#include "core/store/lru.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/store/limits.h"

typedef struct lru_node {
    uint64_t key;
    void *value;
    uint32_t newer, older; /* node numbers; of a free node, `newer` is the next free one */
} lru_node_t;

typedef struct lru_slot {
    uint32_t hash;
    uint32_t node; /* 0: free */
} lru_slot_t;

struct lru {
    lru_node_t *nodes; /* max_size + 1; nodes[0].newer is the oldest entry, nodes[0].older the newest */
    lru_slot_t *slots; /* a power of two, at most half full */
    size_t mask;       /* slots - 1 */
    unsigned shift;    /* hash >> shift is the home slot */
    uint32_t used;     /* nodes [1, used] have been in use: memory is touched only as the cache fills */
    uint32_t free;     /* first free node among them; 0: none */
    size_t size, max_size;
    uint64_t hits, misses;
};

lru_t *lru_new(size_t max_size) {
    assert(max_size >= 1 && max_size <= LRU_SIZE_MAX);
    unsigned bits = 1;
    while ((size_t)1 << bits < 2 * max_size)
        bits++;
    lru_t *l = xcalloc(1, sizeof *l);
    l->nodes = xcalloc(max_size + 1, sizeof *l->nodes);
    l->slots = xcalloc((size_t)1 << bits, sizeof *l->slots);
    l->mask = ((size_t)1 << bits) - 1;
    l->shift = 32 - bits;
    l->max_size = max_size;
    return l;
}

void lru_destroy(lru_t **lru) {
    if (!*lru) return;
    free((*lru)->nodes);
    free((*lru)->slots);
    free(*lru);
    *lru = NULL;
}

/* ---- index */

static uint32_t hash_of(uint64_t key) { return (uint32_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 32); }

/* The slot of the key, or the free one where it would go. */
static lru_slot_t *find(const lru_t *l, uint64_t key) {
    uint32_t hash = hash_of(key);
    size_t at = hash >> l->shift;
    while (l->slots[at].node && (l->slots[at].hash != hash || l->nodes[l->slots[at].node].key != key))
        at = (at + 1) & l->mask;
    return &l->slots[at];
}

/* Frees a slot. A follower moves into the hole unless its home lies behind the hole. */
static void vacate(lru_t *l, lru_slot_t *slot) {
    size_t hole = (size_t)(slot - l->slots);
    for (size_t at = (hole + 1) & l->mask; l->slots[at].node; at = (at + 1) & l->mask) {
        size_t home = l->slots[at].hash >> l->shift;
        if (((at - home) & l->mask) < ((at - hole) & l->mask)) continue;
        l->slots[hole] = l->slots[at];
        hole = at;
    }
    l->slots[hole].node = 0;
}

/* ---- order */

static void unlink_node(lru_t *l, const lru_node_t *node) {
    l->nodes[node->newer].older = node->older;
    l->nodes[node->older].newer = node->newer;
}

static void link_newest(lru_t *l, uint32_t number) {
    lru_node_t *node = &l->nodes[number], *head = &l->nodes[0];
    node->newer = 0;
    node->older = head->older;
    l->nodes[head->older].newer = number;
    head->older = number;
}

static void make_newest(lru_t *l, uint32_t number) {
    if (l->nodes[0].older == number) return;
    unlink_node(l, &l->nodes[number]);
    link_newest(l, number);
}

static uint32_t take_node(lru_t *l) {
    uint32_t number = l->free;
    if (!number) return ++l->used;
    l->free = l->nodes[number].newer;
    return number;
}

/* Takes an entry out of index and order; its node is free afterwards. Returns the value. */
static void *drop(lru_t *l, lru_slot_t *slot) {
    uint32_t number = slot->node;
    lru_node_t *node = &l->nodes[number];
    vacate(l, slot);
    unlink_node(l, node);
    node->newer = l->free;
    l->free = number;
    l->size--;
    return node->value;
}

/* ---- the cache */

static bool replace(lru_t *l, uint32_t number, void *value, lru_entry_t *left) {
    lru_node_t *node = &l->nodes[number];
    *left = (lru_entry_t){node->key, node->value};
    node->value = value;
    make_newest(l, number);
    return left->value != value;
}

static void add(lru_t *l, lru_slot_t *slot, uint64_t key, void *value) {
    uint32_t number = take_node(l);
    l->nodes[number].key = key;
    l->nodes[number].value = value;
    *slot = (lru_slot_t){hash_of(key), number};
    link_newest(l, number);
    l->size++;
}

/* The next put will push out the entry that is the oldest now. Its slot and its follower are fetched while
 * the caller does something else. */
static void prefetch_oldest(const lru_t *l) {
    const lru_node_t *oldest = &l->nodes[l->nodes[0].newer];
    __builtin_prefetch(&l->slots[hash_of(oldest->key) >> l->shift]);
    __builtin_prefetch(&l->nodes[oldest->newer]);
}

bool lru_put(lru_t *l, uint64_t key, void *value, lru_entry_t *left) {
    assert(value);
    lru_slot_t *slot = find(l, key);
    if (slot->node) return replace(l, slot->node, value, left);
    bool full = l->size == l->max_size;
    if (full) {
        lru_oldest(l, left);
        drop(l, find(l, left->key));
        slot = find(l, key); /* again: drop may have closed a hole before it */
    }
    add(l, slot, key, value);
    if (full) prefetch_oldest(l);
    return full;
}

void *lru_get(lru_t *l, uint64_t key) {
    const lru_slot_t *slot = find(l, key);
    if (!slot->node) {
        l->misses++;
        return NULL;
    }
    l->hits++;
    make_newest(l, slot->node);
    return l->nodes[slot->node].value;
}

void *lru_peek(const lru_t *l, uint64_t key) {
    const lru_slot_t *slot = find(l, key);
    return slot->node ? l->nodes[slot->node].value : NULL;
}

void *lru_remove(lru_t *l, uint64_t key) {
    lru_slot_t *slot = find(l, key);
    return slot->node ? drop(l, slot) : NULL;
}

bool lru_oldest(const lru_t *l, lru_entry_t *oldest) {
    const lru_node_t *node = &l->nodes[l->nodes[0].newer];
    if (l->size == 0) return false;
    *oldest = (lru_entry_t){node->key, node->value};
    return true;
}

void lru_clear(lru_t *l) {
    memset(l->slots, 0, (l->mask + 1) * sizeof *l->slots);
    l->nodes[0] = (lru_node_t){0};
    l->used = l->free = 0;
    l->size = 0;
}

void lru_stats(const lru_t *l, lru_stats_t *stats) {
    uint64_t asked = l->hits + l->misses;
    *stats = (lru_stats_t){.size = l->size,
                           .max_size = l->max_size,
                           .hits = l->hits,
                           .misses = l->misses,
                           .hit_rate = asked ? (double)l->hits / (double)asked : 0};
}
