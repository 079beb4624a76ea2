/* leftovers.h - folders in a temporary directory that live as long as the process that made them, and the
 * removal of those whose process was killed. */
#ifndef SDG_BASE_LEFTOVERS_H
#define SDG_BASE_LEFTOVERS_H

/* Makes a folder that only its user may use: `path` ends in a "/", one of the names below and six "X", which
 * are replaced. Returns the descriptor that holds it (a lock of the folder): it is ours until that is closed,
 * and children that were forked hold it as well. -1 with errno: there is no folder. */
int leftovers_make(char *path);
#define LEFTOVERS_RUN "sdg-run-"       /* sockets of --processes */
#define LEFTOVERS_TEST "sdg-test-run-" /* the result of a test run */
#define LEFTOVERS_PYTHON "sdg-python-" /* scratch folders of Python hosts */

/* Removes the folders of this user directly below `base` that nobody holds. `remove` is given the path of
 * each. Returns how many they were. */
unsigned leftovers_sweep(const char *base, void (*remove)(const char *path));

#endif
