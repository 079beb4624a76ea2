/* run_files.h - the files that a run reads, guarded against what it writes.
 *
 * An output, or a file that is written beside it, that is one of them would destroy it, whatever the flags
 * say. Files are compared as what they are (device and number), so another name, a symbolic link, a hard link
 * and a redirection by the shell are seen through. */
#ifndef SDG_ACTORS_VERBS_RUN_FILES_H
#define SDG_ACTORS_VERBS_RUN_FILES_H

#include <stdbool.h>

#include "actors/verbs/options.h"
#include "core/base/error.h"
#include "core/mabel/pipeline/pipeline.h"

/* A file, or nothing yet: then other files may lie beside the output. Beside a pipe or a device there is
 * nothing to continue. */
bool run_files_is_file(const char *output);

/* SDG_OK, or SDG_EINVAL with the sentence: the output, or a file beside it (X.sdg, X.journal, ...), is the
 * input, the pipeline, a file that the pipeline names, or the service file; or --overwrite would delete a
 * file that no run has written. p NULL: the files it names are not known. Changes nothing. */
int run_files_check(const run_options_t *o, const pipeline_t *p, err_t *err);

#endif
