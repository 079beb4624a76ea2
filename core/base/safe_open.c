/* safe_open.c - see safe_open.h.
 *
 * safe_open_below looks at the file that was opened, not at its name: a name that was good a moment ago may
 * be a link by now.
 */
#include "core/base/safe_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Refuses what is no ordinary file. O_NONBLOCK keeps a pipe from being waited for, and means nothing for an
 * ordinary file. */
static int ordinary(int fd) {
    struct stat st;
    if (fd < 0) return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd;
    close(fd);
    errno = EMEDIUMTYPE;
    return -1;
}

int safe_open_ordinary(const char *path, int flags, mode_t mode) {
    return ordinary(open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode));
}

int safe_open_fresh(const char *path, int flags, mode_t mode) {
    struct stat st;
    bool there = lstat(path, &st) == 0, ours = there && (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode));
    if (ours && unlink(path) != 0) return -1;
    return open(path, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

/* Is `path` (without links) the folder or below it? */
static bool is_below(const char *folder, const char *path) {
    size_t n = strlen(folder);
    if (n == 1) return true; /* the root */
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* The path of an open file as the kernel knows it; false when that cannot be told. */
static bool path_of(int fd, char *path, size_t room) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, room - 1);
    if (n <= 0) return false;
    path[n] = '\0';
    return path[0] == '/';
}

static bool is_below_any(const char *path, const char *const *folders, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (is_below(folders[i], path)) return true;
    return false;
}

/* A first look without opening keeps devices and pipes, whose opening may do something, from being opened.
 * The descriptor of that look names the file for the second opening, so nothing can be put in between. */
int safe_open_below(const char *path, const char *const *folders, size_t count) {
    char found[PATH_MAX], link[40];
    struct stat st;
    int fd = -1, error = 0, look = open(path, O_PATH | O_CLOEXEC);
    if (look < 0 || fstat(look, &st) != 0)
        error = errno;
    else if (!path_of(look, found, sizeof found) || !is_below_any(found, folders, count))
        error = EXDEV;
    else if (!S_ISREG(st.st_mode))
        error = EMEDIUMTYPE;
    if (!error) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", look);
        fd = ordinary(open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        error = errno;
    }
    if (look >= 0) close(look);
    errno = error;
    return fd;
}

const char *safe_open_why(int error) {
    switch (error) {
    case ELOOP: return "it is a symbolic link, and none is followed here: move it away";
    case EMEDIUMTYPE:
    case ENXIO: return "it is no ordinary file";
    case EXDEV: return "it is outside of the folders that may be used";
    default: return strerror(error);
    }
}
