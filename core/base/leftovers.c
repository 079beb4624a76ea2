/* leftovers.c - see leftovers.h.
 *
 * The lock of a folder (flock) ends with the last process that has its descriptor, whatever way that ends: no
 * number of a process has to be believed, which may be another's by now. A folder gets its name when it is
 * locked, so that it never looks left over; before, it has a name that is swept only when it is old. Where a
 * file system has no locks, nothing is swept.
 */
#include "core/base/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/limits.h"

enum { RANDOM = 6 }; /* letters that mkdtemp makes */
#define UNNAMED "sdg-new-"

/* Locks the new folder and gives it the name it is to have, unless somebody has that. */
static int lock_and_name(const char *fresh, const char *path) {
    int fd = open(fresh, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    (void)flock(fd, LOCK_EX | LOCK_NB);
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0) return fd;
    if ((errno == EINVAL || errno == ENOSYS) && access(path, F_OK) != 0 && rename(fresh, path) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int leftovers_make(char *path) {
    char *slash = strrchr(path, '/'), *random = path + strlen(path) - RANDOM;
    char *fresh = xasprintf("%.*s" UNNAMED "XXXXXX", (int)(slash + 1 - path), path);
    int fd = -1, error = 0;
    if (mkdtemp(fresh)) {
        memcpy(random, fresh + strlen(fresh) - RANDOM, RANDOM);
        fd = lock_and_name(fresh, path);
        error = errno;
        if (fd < 0) rmdir(fresh);
    } else {
        error = errno;
    }
    free(fresh);
    errno = error;
    return fd;
}

static bool is_named(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0 && strlen(name) == strlen(prefix) + RANDOM;
}

static bool has_our_name(const char *name) {
    return is_named(name, LEFTOVERS_RUN) || is_named(name, LEFTOVERS_TEST) ||
           is_named(name, LEFTOVERS_PYTHON) || is_named(name, UNNAMED);
}

/* Opens a folder that was left over and takes its lock; -1: it is none, or in use. */
static int take(int base, const char *name, time_t now) {
    struct stat st;
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
        (!is_named(name, UNNAMED) || now - st.st_mtime >= LEFTOVERS_AGE_S) &&
        flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    close(fd);
    return -1;
}

unsigned leftovers_sweep(const char *base, void (*remove)(const char *path)) {
    unsigned met = 0, swept = 0;
    DIR *d = opendir(base);
    time_t now = time(NULL);
    for (const struct dirent *e; d && (e = readdir(d)) && met++ < LEFTOVERS_ENTRIES_MAX;) {
        if (!has_our_name(e->d_name)) continue;
        int fd = take(dirfd(d), e->d_name, now);
        if (fd < 0) continue;
        char *path = xasprintf("%s/%s", base, e->d_name);
        remove(path);
        free(path);
        close(fd);
        swept++;
    }
    if (d) closedir(d);
    return swept;
}
