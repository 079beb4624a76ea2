/* sink.h - the written side of an output: takes batches of whole lines and writes each with one write(2). A
 * gzip or zstd batch is one whole member or frame.
 *
 * If a write fails, the file is cut back to the last whole line (or member) that got in, and the sink is
 * broken: every later call repeats the first failure. Pipes and devices are never cut.
 */
#ifndef SDG_DATA_SINK_H
#define SDG_DATA_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"
#include "core/data/stream.h"

typedef struct sink sink_t;

/* Takes the descriptor, which appends (O_APPEND). `name` is for sentences. */
sink_t *sink_new(int take_fd, const char *name, stream_coding_t coding);
void sink_close(sink_t **sink);
bool sink_regular(const sink_t *sink); /* a file that can be read again, cut and synced */
bool sink_compresses(const sink_t *sink);

/* Another descriptor of the file, with its lock, or a negative code. */
int sink_reopen(const sink_t *sink, err_t *err);

int sink_write(sink_t *sink, const char *lines, size_t n, err_t *err);
int sink_sync(sink_t *sink, err_t *err); /* fdatasync; nothing to do for pipes */
/* Does `path` still name the file, with what was written and nothing else behind it? If not, the sink is
 * broken. For regular files. */
int sink_check_place(sink_t *sink, const char *path, err_t *err);
int sink_broken(const sink_t *sink, err_t *err); /* 0, or the code of the first failure */

#endif
