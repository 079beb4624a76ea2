/* <sdg/cache.h> - a cache of the most recently used values: 64-bit keys, pointers that stay yours.
 *
 * It holds at most max_size values; one more pushes out the least recently used, which is handed back so that
 * you can free or store it. All memory is taken at the start: some 50 bytes for each value it may hold. */
#ifndef SDG_PUBLIC_CACHE_H
#define SDG_PUBLIC_CACHE_H

#include <sdg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sdg_cache sdg_cache_t;

typedef struct sdg_cache_entry {
    uint64_t key;
    void *value; /* yours */
} sdg_cache_entry_t;

typedef struct sdg_cache_stats {
    size_t size;            /* sizeof(sdg_cache_stats_t), set by you */
    size_t count, max_size; /* values now, and at most */
    uint64_t hits, misses;  /* of sdg_cache_get */
    double hit_rate;        /* 0 to 1: hits of all sdg_cache_get; 0 before the first */
} sdg_cache_stats_t;

/* A cache of 1 to 2^30 values; NULL and SDG_EINVAL for any other size. Release it with sdg_cache_destroy. */
SDG_API sdg_cache_t *sdg_cache_new(size_t max_size, sdg_error_t *error);

/* Values that are still in it are not freed: take them out before, with sdg_cache_oldest and
 * sdg_cache_remove. */
SDG_API void sdg_cache_destroy(sdg_cache_t **cache);

/* Puts `value` (not NULL) in as the most recent. True: *left is no longer in the cache. It is the least
 * recently used entry, or the former value of this same key if that was another pointer. */
SDG_API bool sdg_cache_put(sdg_cache_t *cache, uint64_t key, void *value, sdg_cache_entry_t *left);

/* The value, which becomes the most recent, and a hit; or NULL and a miss. */
SDG_API void *sdg_cache_get(sdg_cache_t *cache, uint64_t key);

/* The value or NULL, without a trace: no new order, no count. */
SDG_API void *sdg_cache_peek(const sdg_cache_t *cache, uint64_t key);

/* Takes the value out and returns it; NULL if there is none. */
SDG_API void *sdg_cache_remove(sdg_cache_t *cache, uint64_t key);

/* True and the entry that is pushed out next, which stays in; false when the cache is empty. */
SDG_API bool sdg_cache_oldest(const sdg_cache_t *cache, sdg_cache_entry_t *oldest);

/* Forgets all entries, as sdg_cache_destroy does; hits and misses stay. */
SDG_API void sdg_cache_clear(sdg_cache_t *cache);

/* Fills *stats; stats->size must be set. */
SDG_API void sdg_cache_get_stats(const sdg_cache_t *cache, sdg_cache_stats_t *stats);

#ifdef __cplusplus
}
#endif

#endif
