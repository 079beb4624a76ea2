/* spill.h - bytes by 64-bit key that are put on disk to save memory, over LMDB. Nothing of it is to survive:
 * the file is unlinked as soon as it is open, so kill -9 leaves nothing behind, and nothing is ever synced.
 *
 * What is put or removed first waits in memory, at most SPILL_BATCH_BYTES and one value, and then goes to
 * disk in one transaction. A transaction that fails takes nothing with it: what waits stays readable and is
 * tried again by the next spill_flush. Until then a put that finds no room to wait is refused with the same
 * sentence, and its bytes stay the caller's problem. A value that is taken back before its transaction was
 * never on disk.
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
    const char *path;       /* of the file, which must not exist; it is made (mode 0600) at the first put and
                               unlinked at once */
    uint64_t map_bytes;     /* of the file at first, 0: SPILL_MAP_BYTES; it doubles when it is full ... */
    uint64_t map_bytes_max; /* ... up to this, 0: SPILL_MAP_BYTES_MAX; then puts are refused */
} spill_options_t;

spill_t *spill_new(const spill_options_t *options); /* copies the options; touches no file */
void spill_destroy(spill_t **spill);                /* and everything in it */

/* Puts a copy of the bytes under the key, instead of what was there. SDG_ENOSPACE: the disk is full;
 * SDG_ELIMIT: map_bytes_max; SDG_EIO: the system said no. Then nothing has changed. */
int spill_put(spill_t *spill, uint64_t key, const void *bytes, size_t len, err_t *err);
/* Appends the bytes to `out`. SDG_ENOTFOUND (here and below without a sentence: it is no failure);
 * SDG_ELIMIT: more than out->max; SDG_EIO. */
int spill_get(spill_t *spill, uint64_t key, buf_t *out, err_t *err);
/* SDG_ENOTFOUND; SDG_EIO when the file cannot be read. A full disk does not stand in its way: then the
 * removal waits, in 100 bytes. */
int spill_remove(spill_t *spill, uint64_t key, err_t *err);
int spill_has(spill_t *spill, uint64_t key, err_t *err); /* SDG_OK, SDG_ENOTFOUND, SDG_EIO */
/* Writes what waits. A failure is that of spill_put, and all of it still waits. */
int spill_flush(spill_t *spill, err_t *err);
void spill_clear(
    spill_t *spill); /* removes everything and gives the disk its room back, whatever failed before */

typedef struct spill_stats {
    uint64_t count, bytes;  /* values, and their bytes, waiting ones included */
    uint64_t waiting;       /* puts and removals that are not on disk */
    uint64_t waiting_bytes; /* what they count against SPILL_BATCH_BYTES */
    uint64_t file_bytes, map_bytes;
    uint64_t commits; /* transactions written */
} spill_stats_t;
void spill_stats(const spill_t *spill, spill_stats_t *stats);

#endif
