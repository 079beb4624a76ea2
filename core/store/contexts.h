/* contexts.h - the contexts of rows: bytes that a row needs later on, kept in memory while there is room and
 * on disk otherwise.
 *
 * A row has a shared context, which any worker may continue from and which survives the death of one, and a
 * private one for each owner (a worker's instance), which goes with its owner. At most `max_cached` contexts
 * and `max_bytes` bytes of them are in memory; then the least recently used one is evicted: to disk
 * (core/store/spill.h), or, without a spill path, for good. The next one who asks gets it from there.
 *
 * A pin keeps a row's contexts in memory. It belongs to an owner, who pins a row once however often it says
 * so, because messages may come twice; a row is pinned while any owner pins it. When everything is pinned the
 * limits are passed rather than a pin broken.
 *
 * Late messages do no harm: a row that is complete and an owner that is gone are remembered, and what is
 * asked for them is refused with SDG_ECANCELLED. So nothing comes back to life, and no pin stays behind.
 *
 * Errors: SDG_ELIMIT, a context over CONTEXT_BYTES_MAX or a row over CONTEXTS_ROW_MAX; SDG_ECANCELLED as
 * above; SDG_EIO when the spill cannot be read: then nothing was done. SDG_ENOSPACE (or another failure of
 * writing) from a function below means: what was asked for is done, nothing is lost, but contexts that should
 * have left are still in memory.
 *
 * Memory: what is cached, and about 200 bytes for each; as much for a private context on disk (there are no
 * more than rows in workers); none for a shared one on disk; 16 bytes per gap in the numbers of complete
 * rows. Pure: no clock, no thread, no socket. One thread.
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
    size_t max_cached;      /* contexts in memory, pinned ones included; 0: no limit */
    uint64_t max_bytes;     /* their bytes; 0: no limit */
    const char *spill_path; /* as in spill_options_t; NULL: what is evicted is forgotten */
    /* Told of each eviction; must not call back. May be NULL. */
    void (*evicted)(void *context, uint64_t row, size_t bytes, bool to_disk);
    void *context;
} contexts_options_t;

typedef struct context_view { /* borrowed: valid until the next call */
    const char *bytes;
    size_t len;
} context_view_t;

contexts_t *contexts_new(const contexts_options_t *options); /* copies them; touches no file */
void contexts_destroy(contexts_t **contexts);

/* The context of a row, loaded or, if there is none, created from `initial` (which may be NULL if initial_len
 * is 0; then it is SDG_ENOTFOUND). Pins the row for the owner. *created (may be NULL) says which. */
int contexts_get_or_create(contexts_t *contexts, uint64_t row, context_part_t part, uint64_t owner,
                           const void *initial, size_t initial_len, context_view_t *view, bool *created,
                           err_t *err);
/* Replaces or creates it with a copy of the bytes, makes it the most recent, and releases the owner's pin on
 * the row. */
int contexts_put(contexts_t *contexts, uint64_t row, context_part_t part, uint64_t owner, const void *bytes,
                 size_t len, err_t *err);
/* Loads the shared context and the owner's private one, and pins the row. SDG_ENOTFOUND if there is
 * neither. */
int contexts_pin(contexts_t *contexts, uint64_t row, uint64_t owner, err_t *err);
int contexts_unpin(contexts_t *contexts, uint64_t row, uint64_t owner,
                   err_t *err); /* SDG_ENOTFOUND: this owner did not pin it */
/* The row is complete: all its contexts go, pinned or not, wherever they are. Of a row that is in memory the
 * disk is not asked. */
int contexts_complete(contexts_t *contexts, uint64_t row, err_t *err);
/* This owner has finished or given up the row: its private context and its pin go; what others have of the
 * row stays. */
int contexts_release(contexts_t *contexts, uint64_t row, uint64_t owner, err_t *err);
/* The worker is dead: its pins and its private contexts go. The last CONTEXTS_GONE_MAX such owners are
 * remembered. */
int contexts_owner_gone(contexts_t *contexts, uint64_t owner, err_t *err);
void contexts_owner_back(contexts_t *contexts,
                         uint64_t owner); /* it was only silent and has registered again, with nothing */
void contexts_release_all(
    contexts_t *contexts); /* as new: also complete rows and gone owners are forgotten; the counters stay */
/* Writes what waits to be spilled (at most SPILL_BATCH_BYTES), and tries again what failed before. For the
 * end of each wake-up; what waits can be read, so nothing depends on it but memory. */
int contexts_flush(contexts_t *contexts, err_t *err);

typedef struct contexts_stats {
    size_t cached, max_cached;
    uint64_t cached_bytes, max_bytes;
    size_t pinned; /* of those cached: cannot be evicted now */
    uint64_t spilled, spilled_bytes;
    uint64_t hits, misses; /* of contexts_get_or_create: in memory or not */
    double hit_rate;       /* hits of both; 0 before the first */
    uint64_t created, evictions, loads, completed;
    uint64_t late; /* refused with SDG_ECANCELLED */
} contexts_stats_t;
void contexts_stats(const contexts_t *contexts, contexts_stats_t *stats);

void contexts_check(contexts_t *contexts); /* asserts that counts, bytes and lists agree; slow, for tests */

#endif
