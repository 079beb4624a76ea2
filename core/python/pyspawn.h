/* pyspawn.h - starts one sandboxed child with a frame socket on descriptor 3, its stdout and stderr on a
 * pipe.
 *
 * The child has the environment and descriptors listed here and no others. It gets SIGKILL when the thread
 * that started it dies, cannot gain privileges, and dumps no core; without `network` it has no network
 * (py_jail_t). That stops accidents and theft (of the keys in our environment, for one), but not hostile
 * tenants. */
#ifndef SDG_PYTHON_PYSPAWN_H
#define SDG_PYTHON_PYSPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/error.h"

/* How the child is confined, best first. */
typedef enum py_jail {
    /* A user namespace of its own, and an empty network namespace if the network is denied. */
    PY_JAIL_USER_NAMESPACE,
    /* For root: a network namespace of its own, and administrative capabilities are dropped for good. */
    PY_JAIL_ROOT,
    /* Where namespaces are forbidden: a filter refuses every socket that is not AF_UNIX. */
    PY_JAIL_SECCOMP,
    PY_JAIL_NONE, /* nothing worked, or nothing was wanted */
} py_jail_t;

typedef struct py_spawn {
    const char *program; /* path of the file to execute */
    char *const *argv;
    char *const *envp;
    const char *work_dir;      /* NULL: ours */
    bool jail;                 /* false: no confinement at all */
    bool network;              /* may open network sockets */
    uint64_t memory_bytes_max; /* RLIMIT_AS, 0: none */
} py_spawn_t;

typedef struct py_child {
    pid_t pid;    /* also its process group and session */
    int pid_fd;   /* readable when the child has ended; non-blocking like the others */
    int frame_fd; /* our end of the socket */
    int log_fd;   /* our end of the pipe */
    py_jail_t jail;
} py_child_t;

/* 0 or SDG_EIO with a sentence. Returns once the program is executing (or could not be). */
int py_spawn(const py_spawn_t *spawn, py_child_t *child, err_t *err);
const char *py_jail_name(py_jail_t jail);

#endif
