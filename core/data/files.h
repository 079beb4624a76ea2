/* files.h - what readers and writers of files ask of the system, with interrupted calls and short writes
 * dealt with in one place. Functions return what the system call returns and leave errno; the caller makes
 * the sentence. */
#ifndef SDG_DATA_FILES_H
#define SDG_DATA_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* read(2) that is not interrupted; on a non-blocking descriptor it waits. */
ssize_t file_read(int fd, void *to, size_t room);
/* Writes all of it. 0, or -1 with errno; *written says how many bytes went out before the error. */
int file_write_all(int fd, const char *bytes, size_t n, size_t *written);
/* Makes the folders above `path` that are missing. 0, or -1 with errno. */
int file_make_parents(const char *path);
/* Syncs the folder that holds `path`, so that a new name survives power loss. A folder that cannot be synced
 * is left as it is. */
void file_sync_parent(const char *path);
/* Is this errno "no room": full disk, quota, file size limit? */
bool file_no_space(int error);

#endif
