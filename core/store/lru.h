/* lru.h - a cache of the most recently used values: 64-bit keys, pointers that stay the caller's.
 *
 * It holds at most max_size values. One more pushes out the least recently used one, which is handed back so
 * that its owner can free or store it. lru_get makes a value the most recent and counts a hit or a miss;
 * lru_peek only looks. All memory is taken at the start: 24 bytes per value and 16 to 32 for the index. One
 * thread at a time.
 *
 * No actor uses it: it is the cache of the library's documented API (<sdg/cache.h>, docs/library.md). The
 * contexts of rows have an order of their own (contexts.c says why).
 */
#ifndef SDG_STORE_LRU_H
#define SDG_STORE_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lru lru_t;

typedef struct lru_entry {
    uint64_t key;
    void *value;
} lru_entry_t;

typedef struct lru_stats {
    size_t size, max_size;
    uint64_t hits, misses;
    double hit_rate; /* hits / (hits + misses); 0 before the first lru_get */
} lru_stats_t;

lru_t *lru_new(size_t max_size); /* 1 to LRU_SIZE_MAX, asserted */
/* Values that are still in the cache are not freed: lru_oldest and lru_remove take them out. */
void lru_destroy(lru_t **lru);

/* Puts a value (not NULL) in as the most recent. True: *left has left the cache. It is the least recently
 * used entry, or the former value of this same key if that was another pointer. */
bool lru_put(lru_t *lru, uint64_t key, void *value, lru_entry_t *left);
void *lru_get(lru_t *lru, uint64_t key);        /* NULL if absent */
void *lru_peek(const lru_t *lru, uint64_t key); /* NULL if absent; changes neither the order nor the counts */
void *lru_remove(lru_t *lru, uint64_t key);     /* the value, the caller's again; NULL if absent */
/* The entry that is pushed out next; false when the cache is empty. */
bool lru_oldest(const lru_t *lru, lru_entry_t *oldest);
void lru_clear(lru_t *lru); /* forgets all entries; hits and misses stay */
void lru_stats(const lru_t *lru, lru_stats_t *stats);

#endif
