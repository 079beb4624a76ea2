/* writer.h - the output file: the durable end of a run. JSON Lines, appended, exactly one line per finished
 * row.
 *
 * Opening locks the file (flock: one writer), cuts a torn last line, and reads which rows are finished. A
 * line that is no result of this run (not one JSON object of valid UTF-8 with an integer `_row_index`, or a
 * row that another line has) moves to X.rejected, said in words, and its row is done again: resume.h. A file
 * that is not ours is an error that names the line, and nothing is changed. Rows with `_error` count as
 * finished unless `retry_failed`; then they are removed: the file is rewritten without them into a temporary
 * file beside it, synced and renamed, before the run starts.
 *
 * What is promised: a row handed to writer_add and then flushed (writer_flush returned 0) survives kill -9;
 * after writer_sync it survives power loss. A failed sync or a full disk ends the run: the file is cut back
 * to its last whole line, and a rerun continues ("full" is ENOSPC, EDQUOT and EFBIG; the process must ignore
 * SIGXFSZ and SIGPIPE). An output path that ends in .gz or .zst is written as a sequence of whole
 * members/frames, one per batch: there writer_flush holds back less than 64 KiB, so only rows that a
 * writer_sync or writer_finish followed are safe.
 *
 * A last line that is a whole row but for its newline is kept. Missing folders above the output are made.
 *
 * "-" writes to stdout, other pipes and devices may be named: no lock, no resume, no X.sdg.
 *
 * Beside the output `X` lies `X.sdg` (run_file.h), which says which pipeline, input and options wrote it. If
 * it differs from this run, opening gives SDG_EMISMATCH and a sentence that names what differs and the two
 * ways out, --overwrite and --force-resume. It also has checksums of the lines that were flushed: text that
 * has changed since, and lines that are gone, are said at open, once; the text is kept. An output with rows
 * but without that file is continued (`adopted`). The file stays after the run.
 */
#ifndef SDG_DATA_WRITER_H
#define SDG_DATA_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/rangeset.h"

typedef struct writer writer_t;

typedef struct writer_options {
    /* Short texts, compared as they are. The options are those that change results: mapping, seed,
     * save-intermediate; not max-inputs. */
    const char *pipeline_identity, *input_identity, *options_identity;
    /* Start anew: what is there goes, if it is empty or begins with a result line; else it is refused. */
    bool overwrite;
    bool force_resume; /* continue although the identity differs */
    bool retry_failed; /* rows with _error are done again */
    /* Write in row order: rows that come early wait in memory, bounded by the caller's window. */
    bool ordered;
    uint64_t flush_bytes; /* buffered bytes that are written without being asked; 0: WRITE_FLUSH_BYTES */
} writer_options_t;

typedef struct writer_resumed {    /* what was found at open */
    uint64_t rows_ok, rows_failed; /* finished rows kept (failed: with _error) */
    uint64_t rows_retried;         /* failed rows removed because of retry_failed */
    uint64_t torn_bytes;           /* bytes of a torn last line that were cut */
    uint64_t lines_rejected;       /* lines that were no results of this run, now in X.rejected */
    uint64_t lines_changed;        /* lines among which something has changed since they were written */
    uint64_t lines_missing;        /* lines that were written and are gone */
    bool adopted;                  /* there were rows but no X.sdg: continued on trust */
    bool identity_forced;          /* identity differed, force_resume was given */
} writer_resumed_t;

writer_t *writer_open(const char *path, const writer_options_t *options, writer_resumed_t *resumed,
                      err_t *err);
/* Rows that were finished in the file at open, and those added since. Borrowed. */
const rangeset_t *writer_finished(const writer_t *writer);
/* Rows that stood in the file with _error at open and stay there. Borrowed. */
const rangeset_t *writer_failed(const writer_t *writer);

/* Adds one result line (without newline) of row `index`. A row already finished is dropped (returns 1).
 * Ordered: kept until every row below it is finished. */
int writer_add(writer_t *writer, uint64_t index, const char *json, size_t len, err_t *err);
/* Hands all complete rows to the kernel, then does a writer_check: only rows of an output that is still there
 * are to be acknowledged. */
int writer_flush(writer_t *writer, err_t *err);
/* Is the file still what its name says? Removed, replaced, cut or written to by somebody else is a failure
 * like that of a write: rows would go where nobody finds them. A writer_sync looks, too. */
int writer_check(writer_t *writer, err_t *err);
/* Flush and fdatasync; after a failure only writer_close is allowed. */
int writer_sync(writer_t *writer, err_t *err);
/* Compressed output: writer_flush may keep finished rows in memory, so acknowledge them only after a
 * writer_sync. */
bool writer_holds_back(const writer_t *writer);
/* Ordered mode: no further row will come, so what still waits is written, in order, over the gaps. */
int writer_finish(writer_t *writer, err_t *err);
/* The input was read to its end and has this many rows: lines of others that were in the file at open go to
 * X.rejected. */
int writer_end_input(writer_t *writer, uint64_t rows, err_t *err);
uint64_t writer_waiting_rows(const writer_t *writer);  /* ordered mode: rows held back */
uint64_t writer_waiting_bytes(const writer_t *writer); /* the bytes of their lines */
/* Flushes what it can and unlocks the file. Rows that still wait for their order are not written: a rerun
 * does them again. */
void writer_close(writer_t **writer);

#endif
