/* files.h - the few things the reader and the writer ask of the file system, with interrupted calls and short
 * writes dealt with once. Functions return what the system call returns and leave errno; the sentence is the
 * caller's. */
#ifndef SDG_DATA_FILES_H
#define SDG_DATA_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* read(2) without EINTR; a non-blocking descriptor is waited for. */
ssize_t file_read(int fd, void *to, size_t room);
/* Writes all of it. 0, or -1 with errno; *written says how many bytes went out before the error. */
int file_write_all(int fd, const char *bytes, size_t n, size_t *written);
/* Makes the folders above `path` that are missing. 0, or -1 with errno. */
int file_make_parents(const char *path);
/* fsync of the folder that holds `path`: a new name survives power loss. Folders that cannot be synced are
 * left. */
void file_sync_parent(const char *path);
/* Is this errno "no room": full disk, quota, file size limit? */
bool file_no_space(int error);

#endif
