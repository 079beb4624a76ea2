/* <sdg/contexts.h> - contexts of rows: bytes that are needed again later, in memory while there is room and
 * on disk otherwise.
 *
 * A row has a shared context, and a private one for each owner. An owner is whoever works on rows (a worker,
 * a thread), by a number that you choose; its private contexts go with it (sdg_contexts_owner_gone). At most
 * max_cached contexts and max_bytes bytes of them are in memory; then the least recently used one is put on
 * disk, or, without a spill path, forgotten. A call that asks for it later reads it from the disk.
 *
 * A pin keeps a row's contexts in memory. It belongs to an owner; pinning a row twice is pinning it once. A
 * row is pinned while any owner pins it. When everything is pinned, the limits are exceeded: no pin is
 * broken.
 *
 * A row that was completed and an owner that is gone are remembered: calls for them are refused with
 * SDG_ECANCELLED, so that a late call does not create their contexts again.
 *
 * Errors of all functions: SDG_ELIMIT, a context over 128 MiB or a row over 2^63 - 1; SDG_ECANCELLED as
 * above; SDG_EIO, the disk cannot be read: nothing was done. SDG_ENOSPACE (or another failure of writing)
 * means: what was asked for is done and nothing is lost, but contexts that should have left are still in
 * memory. */
#ifndef SDG_PUBLIC_CONTEXTS_H
#define SDG_PUBLIC_CONTEXTS_H

#include <sdg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sdg_contexts sdg_contexts_t;

typedef enum sdg_context_part { SDG_CONTEXT_SHARED = 0, SDG_CONTEXT_PRIVATE = 1 } sdg_context_part_t;

typedef struct sdg_contexts_options {
    size_t size;        /* sizeof(sdg_contexts_options_t) */
    size_t max_cached;  /* contexts in memory, pinned ones included; 0: no limit */
    uint64_t max_bytes; /* bytes of them; 0: no limit */
    /* Of a file that must not exist: it loses its name as soon as it is open, so nothing is left behind.
     * NULL: what leaves memory is forgotten. */
    const char *spill_path;
} sdg_contexts_options_t;

typedef struct sdg_contexts_stats {
    size_t size;               /* sizeof(sdg_contexts_stats_t), set by you */
    size_t cached, max_cached; /* contexts in memory now, and at most (0: no limit) */
    uint64_t cached_bytes, max_bytes;
    size_t pinned;                   /* of those in memory: cannot leave now */
    uint64_t spilled, spilled_bytes; /* on disk */
    uint64_t hits, misses;           /* of sdg_contexts_get_or_create: in memory or not */
    double hit_rate;                 /* 0 to 1; 0 before the first */
    uint64_t created, evictions, loads, completed;
    uint64_t late; /* refused with SDG_ECANCELLED */
} sdg_contexts_stats_t;

/* Copies the options and touches no file; NULL options are the defaults. NULL and SDG_EINVAL for options
 * without `size`. Release with sdg_contexts_destroy. */
SDG_API sdg_contexts_t *sdg_contexts_new(const sdg_contexts_options_t *options, sdg_error_t *error);

/* Everything in it goes, on disk too. */
SDG_API void sdg_contexts_destroy(sdg_contexts_t **contexts);

/* The context of a row, loaded or, if there is none, created from `initial_len` bytes at `initial`. With
 * `initial` NULL and initial_len 0 nothing is created: SDG_ENOTFOUND. Pins the row for the owner. *bytes and
 * *len: the context, borrowed until the next call for these contexts; *created (may be NULL): whether it is
 * new. */
SDG_API int sdg_contexts_get_or_create(sdg_contexts_t *contexts, uint64_t row, sdg_context_part_t part,
                                       uint64_t owner, const void *initial, size_t initial_len,
                                       const void **bytes, size_t *len, bool *created, sdg_error_t *error);

/* Replaces or creates a context with a copy of the bytes, makes it the most recent, and takes the owner's pin
 * off the row. */
SDG_API int sdg_contexts_put(sdg_contexts_t *contexts, uint64_t row, sdg_context_part_t part, uint64_t owner,
                             const void *bytes, size_t len, sdg_error_t *error);

/* Loads the shared context and the owner's private one, and pins the row. SDG_ENOTFOUND if there is neither.
 */
SDG_API int sdg_contexts_pin(sdg_contexts_t *contexts, uint64_t row, uint64_t owner, sdg_error_t *error);

/* Takes the owner's pin off the row. SDG_ENOTFOUND: there was none. */
SDG_API int sdg_contexts_unpin(sdg_contexts_t *contexts, uint64_t row, uint64_t owner, sdg_error_t *error);

/* The row is complete: all its contexts go, pinned or not, wherever they are. */
SDG_API int sdg_contexts_complete(sdg_contexts_t *contexts, uint64_t row, sdg_error_t *error);

/* This owner has finished or given up the row: its private context and its pin go; what others have of the
 * row stays. */
SDG_API int sdg_contexts_release(sdg_contexts_t *contexts, uint64_t row, uint64_t owner, sdg_error_t *error);

/* This owner is no more: its pins and its private contexts go. The last 16384 such owners are remembered. */
SDG_API int sdg_contexts_owner_gone(sdg_contexts_t *contexts, uint64_t owner, sdg_error_t *error);

/* An owner that was said to be gone is there again, with nothing. */
SDG_API void sdg_contexts_owner_back(sdg_contexts_t *contexts, uint64_t owner);

/* As new: completed rows and gone owners are forgotten, too; the counters stay. */
SDG_API void sdg_contexts_release_all(sdg_contexts_t *contexts);

/* Writes what waits in memory for the disk (at most 4 MiB), and tries again what failed before. Nothing
 * depends on it but memory: what waits can be read. */
SDG_API int sdg_contexts_flush(sdg_contexts_t *contexts, sdg_error_t *error);

/* Fills *stats; stats->size must be set. */
SDG_API void sdg_contexts_get_stats(const sdg_contexts_t *contexts, sdg_contexts_stats_t *stats);

#ifdef __cplusplus
}
#endif

#endif
