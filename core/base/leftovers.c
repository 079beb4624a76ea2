/* leftovers.c - see leftovers.h.
 *
 * The lock of a folder (flock) ends with the last process that has its descriptor, whatever way that ends: no
 * number of a process has to be believed, which may be another's by now. Between the making of a folder and
 * its lock it looks left over: that is what the age is for. Where a file system has no locks, nothing is
 * swept.
 */
#include "core/base/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/limits.h"

int leftovers_make(char *path) {
    if (!mkdtemp(path)) return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        rmdir(path);
        errno = error;
        return -1;
    }
    (void)flock(fd, LOCK_EX | LOCK_NB);
    return fd;
}

static bool has_our_name(const char *name) {
    static const char *const names[] = {LEFTOVERS_RUN, LEFTOVERS_TEST, LEFTOVERS_PYTHON};
    enum { RANDOM = 6 };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0 && strlen(name) == strlen(names[i]) + RANDOM)
            return true;
    return false;
}

/* Opens a folder that was left over and takes its lock; -1: it is none, or in use. */
static int take(int base, const char *name, time_t now) {
    struct stat st;
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
        now - st.st_mtime >= LEFTOVERS_AGE_S && flock(fd, LOCK_EX | LOCK_NB) == 0)
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
