/* contexts.h - the contexts of rows: bytes that a row needs later on, kept in memory while there is room and
 * on disk otherwise.
 *
 * A row has one shared context and a private one for each owner (an instance of a worker). Any worker may
 * continue from the shared context, and it survives the death of a worker; a private one goes with its owner.
 * At most `max_cached` contexts and `max_bytes` bytes of them are in memory. Above that the least recently
 * used one is evicted: to disk (core/store/spill.h), from where it is loaded when somebody asks for it, or,
 * without a spill path, for good.
 *
 * A pin keeps a row's contexts in memory. It belongs to an owner; because messages may come twice, an owner
 * that pins a row again still has one pin on it. A row is pinned while any owner pins it. No pin is ever
 * broken: when everything is pinned, memory goes over the limits.
 *
 * Late messages do no harm: rows that are complete and owners that are gone are remembered, and what is asked
 * for them is refused with SDG_ECANCELLED. So nothing comes back to life, and no pin stays behind.
 *
 * Errors after which nothing was done:
 *   SDG_ELIMIT      a context over CONTEXT_BYTES_MAX, or a row over CONTEXTS_ROW_MAX
 *   SDG_ECANCELLED  the row is complete or the owner is gone
 *   SDG_EIO         the spill cannot be read
 * After SDG_ENOSPACE, or another failure of writing, what was asked for is done and nothing is lost, but
 * contexts that should have been evicted are still in memory.
 *
 * Memory: what is cached, and about 200 bytes for each context; as much for a private context on disk (there
 * are no more of them than rows in workers); nothing for a shared one on disk; 16 bytes per gap in the
 * numbers of complete rows. Pure: no clock, no thread, no socket. One thread.
 */
#ifndef SDG_STORE_CONTEXTS_H
#define SDG_STORE_CONTEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

typedef struct contexts contexts_t;

typedef enum context_part { CONTEXT_SHARED, CONTEXT_PRIVATE } context_part_t;

typedef struct contexts_options {
    size_t max_cached;      /* contexts in memory, with pinned ones; 0: no limit */
    uint64_t max_bytes;     /* their bytes; 0: no limit */
    const char *spill_path; /* as in spill_options_t; NULL: an evicted context is forgotten */
    /* Called at each eviction; may be NULL. It must not call into the contexts. */
    void (*evicted)(void *context, uint64_t row, size_t bytes, bool to_disk);
    void *context;
} contexts_options_t;

typedef struct context_view { /* borrowed: valid until the next call */
    const char *bytes;
    size_t len;
} context_view_t;

contexts_t *contexts_new(const contexts_options_t *options); /* copies them; touches no file */
void contexts_destroy(contexts_t **contexts);

/* The context of a row: loaded, or, if there is none, created from `initial`. Pins the row for the owner.
 * Without `initial` (initial_len 0) a missing context is SDG_ENOTFOUND. *created (may be NULL): it was
 * created. */
int contexts_get_or_create(contexts_t *contexts, uint64_t row, context_part_t part, uint64_t owner,
                           const void *initial, size_t initial_len, context_view_t *view, bool *created,
                           err_t *err);
/* Replaces or creates the context with a copy of the bytes, makes it the most recent, and releases the
 * owner's pin on the row. */
int contexts_put(contexts_t *contexts, uint64_t row, context_part_t part, uint64_t owner, const void *bytes,
                 size_t len, err_t *err);
/* Loads the shared context and the owner's private one, and pins the row. SDG_ENOTFOUND if there is
 * neither. */
int contexts_pin(contexts_t *contexts, uint64_t row, uint64_t owner, err_t *err);
/* SDG_ENOTFOUND: this owner did not pin the row. */
int contexts_unpin(contexts_t *contexts, uint64_t row, uint64_t owner, err_t *err);
/* The row is complete: all its contexts go, pinned or not, in memory and on disk. The disk is not asked when
 * the shared context is in memory. */
int contexts_complete(contexts_t *contexts, uint64_t row, err_t *err);
/* This owner has finished or given up the row: its private context and its pin go. What others have of the
 * row stays. */
int contexts_release(contexts_t *contexts, uint64_t row, uint64_t owner, err_t *err);
/* The worker is dead: its pins and its private contexts go. The last CONTEXTS_GONE_MAX such owners are
 * remembered. */
int contexts_owner_gone(contexts_t *contexts, uint64_t owner, err_t *err);
/* An owner that was held for dead was only silent. It has registered again, and owns nothing. */
void contexts_owner_back(contexts_t *contexts, uint64_t owner);
/* Forgets everything, complete rows and gone owners included; the counters stay. */
void contexts_release_all(contexts_t *contexts);
/* Writes what waits to be spilled (at most SPILL_BATCH_BYTES), and tries again what failed before. To be
 * called at the end of each wake-up. What waits can be read, so only memory depends on this call. */
int contexts_flush(contexts_t *contexts, err_t *err);

typedef struct contexts_stats {
    size_t cached, max_cached;
    uint64_t cached_bytes, max_bytes;
    size_t pinned; /* cached ones that cannot be evicted now */
    uint64_t spilled, spilled_bytes;
    uint64_t hits, misses; /* of contexts_get_or_create: it was in memory, or not */
    double hit_rate;       /* hits / (hits + misses); 0 before the first */
    uint64_t created, evictions, loads, completed;
    uint64_t late; /* refused with SDG_ECANCELLED */
} contexts_stats_t;
void contexts_stats(const contexts_t *contexts, contexts_stats_t *stats);

void contexts_check(contexts_t *contexts); /* asserts that counts, bytes and lists agree; slow, for tests */

#endif
