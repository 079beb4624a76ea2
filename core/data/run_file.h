/* run_file.h - the file X.sdg beside an output X: lines of JSON that say which run wrote it, and what.
 *
 *   {"format": 2, "pipeline": "...", "input": "...", "options": "...", "version": "0.1.0", "check":
 * "01234567..."}
 *   {"first": 0, "lines": 256, "rows": 32640, "sum": "0123456789abcdef", "check": "01234567..."}
 *
 * The three texts are compared as they are; the version is for people. An empty file counts as none (a power
 * loss can leave one). The lines behind the first are the checksums of the output (line_sums.h), appended as
 * it grows; {"rewriting": true, "check": "..."} says that they may be of an output that was replaced. Each
 * line has a checksum of its own, so damage is told from difference. Format 1 is the first line alone,
 * without a check.
 */
#ifndef SDG_DATA_RUN_FILE_H
#define SDG_DATA_RUN_FILE_H

#include <stdbool.h>

#include "core/base/error.h"
#include "core/data/line_sums.h"

typedef struct run_identity {
    const char *pipeline, *input, *options; /* NULL is "" */
} run_identity_t;

typedef enum run_match {
    RUN_ABSENT,
    RUN_SAME,
    RUN_DIFFERS,
    RUN_DAMAGED, /* it cannot be told which run wrote the output */
} run_match_t;

/* Compares the file with this run. 0 and *match; RUN_DIFFERS and RUN_DAMAGED: err holds the sentence for a
 * refusal already. Negative: the file cannot be read. */
int run_file_check(const char *output, const run_identity_t *now, run_match_t *match, err_t *err);
/* A file of that name which no run has written must not be replaced: SDG_EINVAL and a sentence. */
int run_file_check_ours(const char *output, err_t *err);

typedef struct run_file_sums {
    line_blocks_t blocks;   /* owned; as they were written */
    uint64_t damaged_lines; /* lines that are none, or not as they were written */
    bool rewriting;         /* the blocks may be of what was there before */
} run_file_sums_t;
/* Reads the checksums; none when there is no file, or one without them. 0, or SDG_EIO. */
int run_file_read_sums(const char *output, run_file_sums_t *sums, err_t *err);

/* ---- writing */

/* The file of a run that writes the output. The path is copied. */
typedef struct run_file run_file_t;
run_file_t *run_file_new(const char *output, const run_identity_t *now);
void run_file_close(run_file_t **file);
/* Makes it hold this run and these blocks alone, by a temporary file and a rename; one that holds just that
 * is left as it is. From then on it can be appended to. */
int run_file_write(run_file_t *file, const line_blocks_t *blocks, err_t *err);
/* Says in the file that is there, if any, that its blocks are not to be trusted, or takes that back. */
int run_file_begin_rewrite(const char *output, err_t *err);
void run_file_cancel_rewrite(const char *output);
/* Appends blocks; the first may be the last one of before, grown. Failures are warned of once and cost only
 * checksums. */
void run_file_append(run_file_t *file, const line_blocks_t *blocks);
/* A file that was taken away or changed meanwhile is made anew, with a warning. A file of somebody else in
 * its place is left alone. */
void run_file_watch(run_file_t *file, const char *output);
/* Makes the file and its name durable. Failures are ignored: the file only guards against mistakes and
 * damage. */
void run_file_sync(run_file_t *file);

#endif
