/* journal.h - the call journal: an append-only file of finished LLM calls, so that a call that was paid for
 * is not made again.
 *
 * A record is one answer under its key: the row, a hash of what was asked (model and request body), and how
 * many answers to the same question the row had before it. A changed prompt or parameter has another hash and
 * simply misses; nothing has to be declared.
 *
 * File: a head of 48 bytes (two times "SDGJRNL2", a random salt, a checksum), then records: mark (4 bytes),
 * length of the answer (4), row (8), hash (16), occurrence (4), checksum of these (4), checksum of the answer
 * (8), answer. Mark and checksums (XXH3) depend on the salt, so bytes of an older file in reused disk blocks
 * are no records. All numbers are little-endian. A file of sdg 0.1.0 ("SDGJRNL1") is read and rewritten.
 *
 * What is promised: after journal_flush a record survives kill -9; after journal_sync it survives power loss.
 * A damaged record costs its own answer: reading goes on at the next mark. What follows the last whole record
 * is cut off at opening. Only an index is in memory: 32 bytes per call of rows that are not finished, and no
 * answer. When most of the file is dead it is rewritten with the live records (journal_compact);
 * journal_remove deletes it.
 *
 * The file is its user's alone (0600), because it holds what the servers answered.
 *
 * One owner, one thread. After a failed write the file ends with a whole record and every further call
 * returns that failure.
 */
#ifndef SDG_STORE_JOURNAL_H
#define SDG_STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

typedef struct journal journal_t;

/* When the owner of a journal syncs it, which decides what power loss may cost. kill -9 costs nothing that
 * was flushed. */
typedef enum journal_fsync {
    JOURNAL_FSYNC_BATCH,  /* after JOURNAL_SYNC_NS or JOURNAL_SYNC_BYTES, by another thread */
    JOURNAL_FSYNC_NEVER,  /* whenever the kernel does it by itself */
    JOURNAL_FSYNC_ALWAYS, /* before an answer is used */
} journal_fsync_t;

typedef struct journal_key {
    uint64_t row;
    uint64_t hash_high, hash_low; /* of what was asked: journal_hash */
    uint32_t occurrence;          /* answers to the same question this row had before, from 0 */
} journal_key_t;

/* Fills hash_high and hash_low: the endpoint's name in the pipeline, and the request body (API model,
 * messages, parameters). */
void journal_hash(const char *model, const char *body, size_t len, journal_key_t *key);

typedef struct journal_lost { /* what is in the file but cannot be used */
    uint64_t records, bytes;  /* of damaged places; a place of unknown bytes counts as one record */
    uint64_t torn_bytes;      /* at the end: a record that was not written to its end */
} journal_lost_t;

typedef struct journal_found {   /* what was in the file at open */
    uint64_t records;            /* whole ones */
    uint64_t calls, rows;        /* calls of open rows among the records, and the number of those rows */
    uint64_t first_row, end_row; /* those rows are in [first_row, end_row); both 0 when there are none */
    journal_lost_t lost;
    uint64_t lost_finished; /* damaged records that are known to be of finished rows: nobody misses them */
} journal_found_t;

/* What becomes of a row whose calls are in the file. */
typedef enum journal_row {
    JOURNAL_ROW_OPEN,     /* it is done in this run, with these calls */
    JOURNAL_ROW_KEPT,     /* it has failed and is not done again now: its calls stay for a later run */
    JOURNAL_ROW_FINISHED, /* it needs nothing any more */
} journal_row_t;
typedef journal_row_t journal_row_fn(void *context, uint64_t row);

typedef enum journal_mode {
    JOURNAL_MAKE,        /* a file that is not there is made at once */
    JOURNAL_WHEN_NEEDED, /* it is made when the first call is added */
} journal_mode_t;

/* Opens the file. row_of NULL: all rows are open. NULL on failure; a file that is not a journal is left as it
 * is. */
journal_t *journal_open(const char *path, journal_mode_t mode, journal_row_fn *row_of, void *context,
                        journal_found_t *found, err_t *err);
/* May a journal be kept at this path? SDG_OK: nothing is there, or a journal, be it torn. SDG_EINVAL: another
 * file, or a journal whose head is damaged; SDG_EIO: it cannot be opened. Nothing is changed. */
int journal_check(const char *path, err_t *err);
void journal_close(journal_t **journal);  /* keeps the file; flush first */
void journal_remove(journal_t **journal); /* deletes the file: the job is complete */

/* Adds an answer, which is in the kernel after journal_flush. Nothing happens when the key is there already
 * or the row is finished. SDG_ELIMIT: the answer is longer than JOURNAL_ANSWER_BYTES_MAX; the journal is as
 * before. */
int journal_add(journal_t *journal, const journal_key_t *key, const char *answer, size_t len, err_t *err);
int journal_flush(journal_t *journal, err_t *err);
int journal_sync(journal_t *journal, err_t *err); /* flush and fdatasync */
/* Appends the answer of this key to `answer`. SDG_ENOTFOUND, or a failure of reading. */
int journal_find(journal_t *journal, const journal_key_t *key, buf_t *answer, err_t *err);

void journal_row_finished(journal_t *journal, uint64_t row); /* its result is safe: its calls are dead */
/* Rewrites the file if more than half of it is dead and it is larger than `least` bytes. A rewrite that
 * fails, for lack of room, is no error: it is tried again when the file has doubled. */
int journal_compact(journal_t *journal, uint64_t least, err_t *err);

/* Is the file still at its path, and what was written? One that was removed is written again, with a warning.
 * One that was replaced, cut or written to by another program is a failure like that of a write. */
int journal_watch(journal_t *journal, err_t *err);

/* For an owner that syncs by another thread. */
int journal_fd(const journal_t *journal); /* another one after the file was rewritten; -1: no file yet */
uint64_t journal_unsynced(const journal_t *journal); /* bytes in the kernel since the last journal_syncing */
void journal_syncing(journal_t *journal);            /* a sync of journal_fd starts now */

typedef struct journal_stats {
    uint64_t bytes, live_bytes; /* of the file, and of its records that are in the index */
    uint64_t rows, calls;       /* in the index */
    uint64_t added, rewrites;   /* since open */
    uint64_t unindexed;         /* calls written but not indexed, because JOURNAL_CALLS_MAX was reached */
} journal_stats_t;
void journal_stats(const journal_t *journal, journal_stats_t *stats);

/* Called for each whole record; false ends the reading. */
typedef bool journal_visit_fn(void *context, const journal_key_t *key, const char *answer, size_t len);
/* Reads a journal without changing it; it may be one that is being written. */
int journal_read(const char *path, journal_visit_fn *visit, void *context, journal_lost_t *lost, err_t *err);

#endif
