/* files.c - see files.h. */
#include "core/data/files.h"

#include "core/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Is a failed call to be done again? Waits first if the descriptor is a non-blocking terminal or pipe. */
static bool again(int fd, short events) {
    if (errno == EINTR) return true;
    if (errno != EAGAIN) return false;
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

ssize_t file_read(int fd, void *to, size_t room) {
    ssize_t n;
    do {
        n = read(fd, to, room);
    } while (n < 0 && again(fd, POLLIN));
    return n;
}

int file_write_all(int fd, const char *bytes, size_t n, size_t *written) {
    *written = 0;
    while (*written < n) {
        ssize_t some = write(fd, bytes + *written, n - *written);
        if (some > 0) *written += (size_t)some;
        if (some < 0 && !again(fd, POLLOUT)) return -1;
    }
    return 0;
}

int file_make_parents(const char *path) {
    char *copy = xstrdup(path);
    int error = 0;
    for (char *slash = strchr(copy + (*copy == '/'), '/'); slash && !error; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0777) != 0) error = errno;
        if (error && access(copy, F_OK) == 0) error = 0; /* the folder is there */
        *slash = '/';
    }
    free(copy);
    errno = error;
    return error ? -1 : 0;
}

void file_sync_parent(const char *path) {
    char *copy = xstrdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(copy);
}

bool file_no_space(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }
