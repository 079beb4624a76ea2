/* run_file.h - the file X.sdg beside an output X: one JSON object that says which run wrote it.
 *
 *   {"format": 1, "pipeline": "...", "input": "...", "options": "...", "version": "0.1.0"}
 *
 * The three texts are compared as they are; the version is for people. An empty file counts as none (a power
 * loss can leave one).
 */
#ifndef SDG_DATA_RUN_FILE_H
#define SDG_DATA_RUN_FILE_H

#include <stdbool.h>

#include "core/base/error.h"

typedef struct run_identity {
    const char *pipeline, *input, *options; /* NULL is "" */
} run_identity_t;

typedef enum run_match { RUN_ABSENT, RUN_SAME, RUN_DIFFERS } run_match_t;

/* Compares the file with this run. 0 and *match; RUN_DIFFERS: err holds the sentence for SDG_EMISMATCH
 * already. Negative: the file cannot be read or understood. */
int run_file_check(const char *output, const run_identity_t *now, run_match_t *match, err_t *err);
/* A file of that name which no run has written must not be replaced: SDG_EINVAL and a sentence. */
int run_file_check_ours(const char *output, err_t *err);
/* Writes the file anew, by a temporary file and a rename. */
int run_file_write(const char *output, const run_identity_t *now, err_t *err);
/* Makes the file and its name durable. Failures are ignored: the file only guards against a mistake. */
void run_file_sync(const char *output);

#endif
