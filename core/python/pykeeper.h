/* pykeeper.h - the keeper of one Python host: a process between the spawner and the host.
 *
 * In namespaces it is their first process, so the kernel ends everything in them with it. Elsewhere it is the
 * subreaper of what the host starts. It ends all of it when the host ends, when a byte comes on the status
 * socket, or when that socket closes because the pool is gone.
 */
#ifndef SDG_PYTHON_PYKEEPER_H
#define SDG_PYTHON_PYKEEPER_H

#include <sys/types.h>

#include "core/python/pyspawn.h"

typedef struct py_keeper {
    const py_spawn_t *spawn;
    const char *scratch; /* NULL: none */
    int namespaces;      /* flags of clone that this process was made with */
    uid_t uid;           /* of the spawner */
    gid_t gid;
    pid_t spawner;
    pid_t pool, grandparent;         /* who asked for it, and who started that */
    int frame_fd, log_fd, status_fd; /* all above 9 */
} py_keeper_t;

/* In a process of its own, which holds no other threads. Does not return. */
void py_keeper_main(const py_keeper_t *keeper) __attribute__((noreturn));

#endif
