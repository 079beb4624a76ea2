/* safe_open.h - opening files whose names somebody else may have prepared: beside an output in a folder that
 * others may write to, or named by a dataset.
 *
 * Each answers a descriptor, or -1 with errno; safe_open_why makes words of it. Nothing here waits for the
 * other end of a pipe.
 */
#ifndef SDG_BASE_SAFE_OPEN_H
#define SDG_BASE_SAFE_OPEN_H

#include <stddef.h>
#include <sys/types.h>

/* Opens an ordinary file, or makes it if flags say O_CREAT. A symbolic link at the end of the path is not
 * followed. */
int safe_open_ordinary(const char *path, int flags, mode_t mode);
/* Makes a new file; a file or link of this name, as a run that was killed leaves it, goes first; nothing
 * else does. */
int safe_open_fresh(const char *path, int flags, mode_t mode);
/* Opens an ordinary file for reading that lies below one of the folders (absolute, without links), whatever
 * links lead there. EXDEV: it lies elsewhere. */
int safe_open_below(const char *path, const char *const *folders, size_t count);
const char *safe_open_why(int error);

#endif
