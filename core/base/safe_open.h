/* safe_open.h - opening files whose names somebody else may have prepared: beside an output in a folder that
 * others may write to, or named by a dataset.
 *
 * Each answers a descriptor, or -1 with errno; safe_open_why makes words of it. Nothing here waits for the
 * other end of a pipe.
 */
#ifndef SDG_BASE_SAFE_OPEN_H
#define SDG_BASE_SAFE_OPEN_H

#include <sys/types.h>

/* Opens an ordinary file, or makes it if flags say O_CREAT. A symbolic link at the end of the path is not
 * followed. */
int safe_open_ordinary(const char *path, int flags, mode_t mode);
/* Makes a new file; a file or link of this name, as a run that was killed leaves it, goes first; nothing
 * else does. */
int safe_open_fresh(const char *path, int flags, mode_t mode);
/* Opens an ordinary file for reading that lies below `folder`, whatever links are on the way. `path` is taken
 * from the folder, or is absolute. EXDEV: it leads out of the folder. */
int safe_open_below(const char *folder, const char *path);
const char *safe_open_why(int error);

#endif
