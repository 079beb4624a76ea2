/* contexts.c - <sdg/contexts.h> over core/store/contexts.h: an sdg_contexts_t is a contexts_t by another
 * name. */
#include <sdg/contexts.h>

#include <assert.h>

#include "core/store/contexts.h"
#include "proto/sdg/public.h"

static contexts_t *inner(sdg_contexts_t *contexts) { return (contexts_t *)contexts; }

static context_part_t part_of(sdg_context_part_t part) {
    assert(part == SDG_CONTEXT_SHARED || part == SDG_CONTEXT_PRIVATE);
    return part == SDG_CONTEXT_PRIVATE ? CONTEXT_PRIVATE : CONTEXT_SHARED;
}

sdg_contexts_t *sdg_contexts_new(const sdg_contexts_options_t *options, sdg_error_t *error) {
    sdg_contexts_options_t o = {0};
    if (options && public_read(&o, sizeof o, options, "options of contexts", error) != SDG_OK) return NULL;
    return (sdg_contexts_t *)contexts_new(&(contexts_options_t){
        .max_cached = o.max_cached, .max_bytes = o.max_bytes, .spill_path = o.spill_path});
}

void sdg_contexts_destroy(sdg_contexts_t **contexts) {
    contexts_t *c = inner(*contexts);
    contexts_destroy(&c);
    *contexts = NULL;
}

int sdg_contexts_get_or_create(sdg_contexts_t *contexts, uint64_t row, sdg_context_part_t part,
                               uint64_t owner, const void *initial, size_t initial_len, const void **bytes,
                               size_t *len, bool *created, sdg_error_t *error) {
    err_t err = {0};
    context_view_t view = {0};
    int rc = contexts_get_or_create(inner(contexts), row, part_of(part), owner, initial, initial_len, &view,
                                    created, &err);
    *bytes = view.bytes;
    *len = view.len;
    return public_error(error, rc, &err);
}

int sdg_contexts_put(sdg_contexts_t *contexts, uint64_t row, sdg_context_part_t part, uint64_t owner,
                     const void *bytes, size_t len, sdg_error_t *error) {
    err_t err = {0};
    return public_error(error, contexts_put(inner(contexts), row, part_of(part), owner, bytes, len, &err),
                        &err);
}

int sdg_contexts_pin(sdg_contexts_t *contexts, uint64_t row, uint64_t owner, sdg_error_t *error) {
    err_t err = {0};
    return public_error(error, contexts_pin(inner(contexts), row, owner, &err), &err);
}

int sdg_contexts_unpin(sdg_contexts_t *contexts, uint64_t row, uint64_t owner, sdg_error_t *error) {
    err_t err = {0};
    return public_error(error, contexts_unpin(inner(contexts), row, owner, &err), &err);
}

int sdg_contexts_complete(sdg_contexts_t *contexts, uint64_t row, sdg_error_t *error) {
    err_t err = {0};
    return public_error(error, contexts_complete(inner(contexts), row, &err), &err);
}

int sdg_contexts_release(sdg_contexts_t *contexts, uint64_t row, uint64_t owner, sdg_error_t *error) {
    err_t err = {0};
    return public_error(error, contexts_release(inner(contexts), row, owner, &err), &err);
}

int sdg_contexts_owner_gone(sdg_contexts_t *contexts, uint64_t owner, sdg_error_t *error) {
    err_t err = {0};
    return public_error(error, contexts_owner_gone(inner(contexts), owner, &err), &err);
}

void sdg_contexts_owner_back(sdg_contexts_t *contexts, uint64_t owner) {
    contexts_owner_back(inner(contexts), owner);
}

void sdg_contexts_release_all(sdg_contexts_t *contexts) { contexts_release_all(inner(contexts)); }

int sdg_contexts_flush(sdg_contexts_t *contexts, sdg_error_t *error) {
    err_t err = {0};
    return public_error(error, contexts_flush(inner(contexts), &err), &err);
}

void sdg_contexts_get_stats(const sdg_contexts_t *contexts, sdg_contexts_stats_t *stats) {
    contexts_stats_t now;
    contexts_stats((const contexts_t *)contexts, &now);
    sdg_contexts_stats_t told = {
        .cached = now.cached,
        .max_cached = now.max_cached,
        .cached_bytes = now.cached_bytes,
        .max_bytes = now.max_bytes,
        .pinned = now.pinned,
        .spilled = now.spilled,
        .spilled_bytes = now.spilled_bytes,
        .hits = now.hits,
        .misses = now.misses,
        .hit_rate = now.hit_rate,
        .created = now.created,
        .evictions = now.evictions,
        .loads = now.loads,
        .completed = now.completed,
        .late = now.late,
    };
    public_write(stats, &told, sizeof told);
}
