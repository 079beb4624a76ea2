/* spill.h - bytes by 64-bit key that are put on disk to save memory, over LMDB. None of it survives the
 * process: the file has no name, so kill -9 leaves nothing behind, and nothing is ever synced.
 *
 * Puts and removals first wait in memory, at most SPILL_BATCH_BYTES and one value, and then go to disk in one
 * transaction. When a transaction fails nothing is lost: what waits can still be read, and the next
 * spill_flush tries again. Until then a put that finds no room to wait is refused with the same sentence, and
 * the caller keeps its bytes. A value that is removed before its transaction never was on disk.
 *
 * Memory does not grow with the number of keys. LMDB reads through a map of the file, and pages that were
 * read count as resident: they are given back after every SPILL_RESIDENT_BYTES. One owner, one thread. */
#ifndef SDG_STORE_SPILL_H
#define SDG_STORE_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

typedef struct spill spill_t;

typedef struct spill_options {
    /* A file in the folder of this path is made (mode 0600) at the first put. It has no name; where that
     * cannot be, it has this one, which must not exist, and is unlinked at once. */
    const char *path;
    bool named;             /* the file gets its name in any case; for tests */
    uint64_t map_bytes;     /* of the map at first; 0: SPILL_MAP_BYTES. A full map is doubled */
    uint64_t map_bytes_max; /* of the map at most; 0: SPILL_MAP_BYTES_MAX. Then puts are refused */
} spill_options_t;

spill_t *spill_new(const spill_options_t *options); /* copies the options; touches no file */
void spill_destroy(spill_t **spill);                /* everything in it goes */

/* Puts a copy of the bytes under the key, instead of what was there. SDG_ENOSPACE: the disk is full;
 * SDG_ELIMIT: map_bytes_max is reached; SDG_EIO: the system said no. After a failure nothing has changed. */
int spill_put(spill_t *spill, uint64_t key, const void *bytes, size_t len, err_t *err);
/* Appends the bytes to `out`. SDG_ENOTFOUND, which here and below is no failure and comes without a sentence;
 * SDG_ELIMIT: they do not fit out->max; SDG_EIO. */
int spill_get(spill_t *spill, uint64_t key, buf_t *out, err_t *err);
/* SDG_ENOTFOUND; SDG_EIO when the file cannot be read. A full disk does not hinder it: then the removal
 * waits, in 100 bytes. */
int spill_remove(spill_t *spill, uint64_t key, err_t *err);
int spill_has(spill_t *spill, uint64_t key, err_t *err); /* SDG_OK, SDG_ENOTFOUND, SDG_EIO */
/* Writes what waits. It fails as spill_put does; then all of it still waits. */
int spill_flush(spill_t *spill, err_t *err);
/* Removes everything and gives the disk its room back, whatever failed before. */
void spill_clear(spill_t *spill);

typedef struct spill_stats {
    uint64_t count, bytes;  /* values, and their bytes, with those that wait */
    uint64_t waiting;       /* puts and removals that are not on disk yet */
    uint64_t waiting_bytes; /* what these count against SPILL_BATCH_BYTES */
    uint64_t file_bytes, map_bytes;
    uint64_t commits; /* transactions written */
} spill_stats_t;
void spill_stats(const spill_t *spill, spill_stats_t *stats);

#endif
