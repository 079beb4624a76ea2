/* cache.c - <sdg/cache.h> over core/store/lru.h: an sdg_cache_t is an lru_t by another name. */
#include <sdg/cache.h>

#include "core/store/limits.h"
#include "core/store/lru.h"
#include "proto/sdg/public.h"

static lru_t *inner(sdg_cache_t *cache) { return (lru_t *)cache; }
static const lru_t *inner_const(const sdg_cache_t *cache) { return (const lru_t *)cache; }

sdg_cache_t *sdg_cache_new(size_t max_size, sdg_error_t *error) {
    if (max_size == 0 || max_size > LRU_SIZE_MAX) {
        err_t err;
        public_error(error, err_set(&err, SDG_EINVAL, "a cache holds 1 to %zu values", LRU_SIZE_MAX), &err);
        return NULL;
    }
    return (sdg_cache_t *)lru_new(max_size);
}

void sdg_cache_destroy(sdg_cache_t **cache) {
    lru_t *lru = inner(*cache);
    lru_destroy(&lru);
    *cache = NULL;
}

bool sdg_cache_put(sdg_cache_t *cache, uint64_t key, void *value, sdg_cache_entry_t *left) {
    lru_entry_t entry = {0};
    bool full = lru_put(inner(cache), key, value, &entry);
    *left = (sdg_cache_entry_t){.key = entry.key, .value = entry.value};
    return full;
}

void *sdg_cache_get(sdg_cache_t *cache, uint64_t key) { return lru_get(inner(cache), key); }

void *sdg_cache_peek(const sdg_cache_t *cache, uint64_t key) { return lru_peek(inner_const(cache), key); }

void *sdg_cache_remove(sdg_cache_t *cache, uint64_t key) { return lru_remove(inner(cache), key); }

bool sdg_cache_oldest(const sdg_cache_t *cache, sdg_cache_entry_t *oldest) {
    lru_entry_t entry = {0};
    bool found = lru_oldest(inner_const(cache), &entry);
    *oldest = (sdg_cache_entry_t){.key = entry.key, .value = entry.value};
    return found;
}

void sdg_cache_clear(sdg_cache_t *cache) { lru_clear(inner(cache)); }

void sdg_cache_get_stats(const sdg_cache_t *cache, sdg_cache_stats_t *stats) {
    lru_stats_t now;
    lru_stats(inner_const(cache), &now);
    sdg_cache_stats_t told = {.count = now.size,
                              .max_size = now.max_size,
                              .hits = now.hits,
                              .misses = now.misses,
                              .hit_rate = now.hit_rate};
    public_write(stats, &told, sizeof told);
}
