/* output.h - whose an output is: whether --overwrite may empty it, and who writes it now. */
#ifndef SDG_DATA_OUTPUT_H
#define SDG_DATA_OUTPUT_H

#include "core/base/error.h"
#include "core/data/stream.h"

/* May --overwrite empty this open file? Ours is one that is empty or begins with a result line, be it torn.
 * 0, or SDG_EINVAL with a sentence. Moves the place of the descriptor. */
int output_check_ours(int fd, const char *path, stream_coding_t coding, err_t *err);

/* Locks an open file for one writer; SDG_EINVAL if another has it. File systems without locks are
 * accepted. */
int output_lock(int fd, const char *path, err_t *err);

#endif
