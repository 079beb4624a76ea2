/* command_line.h - the command line of this process as a shell takes it. */
#ifndef SDG_ACTORS_VERBS_COMMAND_LINE_H
#define SDG_ACTORS_VERBS_COMMAND_LINE_H

#include <stddef.h>

#include "core/base/buf.h"

/* The command line as it was typed. Owned by the caller; NULL when it cannot be read. */
char *command_line(void);
/* The command line that asks the failed rows of this one again: with --retry-failed, and without --overwrite,
 * which starts anew. Owned by the caller; NULL when it cannot be read. */
char *command_line_again(void);
/* The same of `len` bytes in which each word ends in NUL. Pure. */
void command_line_write_again(const char *words, size_t len, buf_t *out);

#endif
