/* pyscratch.c - see pyscratch.h.
 *
 * Folders may be nested deeper than a path can say or a stack can follow. So removal does not descend: what
 * lies in a folder of the scratch folder is removed or, if it is a folder, moved up into the scratch folder
 * itself, until everything is flat. No symbolic link is followed.
 */
#include "core/python/pyscratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/leftovers.h"
#include "core/python/limits.h"

char *py_scratch_make(const char *parent, int *hold) {
    char *path = xasprintf("%s/" LEFTOVERS_PYTHON "XXXXXX", parent);
    *hold = leftovers_make(path);
    if (*hold >= 0) return path;
    free(path);
    return NULL;
}

typedef struct removal {
    int top;           /* the scratch folder */
    unsigned long met; /* entries so far: also the names of moved folders */
} removal_t;

static bool is_dots(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

/* Empties one folder of the top; what is a folder in it is moved up. */
static void flatten(removal_t *r, const char *name) {
    fchmodat(r->top, name, 0700, 0);
    int fd = openat(r->top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        char moved[32];
        if (is_dots(e->d_name) || unlinkat(fd, e->d_name, 0) == 0) continue;
        snprintf(moved, sizeof moved, ".moved-%lu", ++r->met);
        fchmodat(fd, e->d_name, 0700, 0);
        if (renameat(fd, e->d_name, r->top, moved) != 0) unlinkat(fd, e->d_name, AT_REMOVEDIR);
    }
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    unlinkat(r->top, name, AT_REMOVEDIR);
}

/* One pass over the top. True: there were folders, whose folders are now here. */
static bool sweep(removal_t *r) {
    bool again = false;
    int fd = openat(r->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *e; d && (e = readdir(d)) && r->met < PY_SCRATCH_ENTRIES_MAX;) {
        if (is_dots(e->d_name) || unlinkat(r->top, e->d_name, 0) == 0) continue;
        r->met++;
        again = true;
        flatten(r, e->d_name);
    }
    if (d) closedir(d);
    return again;
}

void py_scratch_remove(const char *path) {
    removal_t r = {.top = -1};
    chmod(path, 0700);
    r.top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r.top < 0) return;
    while (sweep(&r) && r.met < PY_SCRATCH_ENTRIES_MAX) {
    }
    close(r.top);
    rmdir(path);
}
