/* pyspawn.h - Python hosts as their pool starts them: through a spawner, a process that holds no keys.
 *
 *     this process -> spawner -> keeper -> host
 *
 * The spawner (pyspawner.h) is this program executed again with an empty environment. The first process of a
 * host's namespaces is its keeper (pykeeper.h): when the host ends, is to be killed, or the pool is gone, it
 * ends everything that the host has started. A host has the environment and descriptors listed here and no
 * others: its frame socket on descriptor 3, stdout and stderr on a pipe. pyjail.h says what holds it; that
 * stops accidents and theft (of the keys in our environment, for one), and programs that want to do harm as
 * far as the kernel can.
 *
 * Nothing here waits: an order is sent, and what becomes of it is read from the host's status socket.
 */
#ifndef SDG_PYTHON_PYSPAWN_H
#define SDG_PYTHON_PYSPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/error.h"
#include "core/python/pyjail.h"

/* What to start. */
typedef struct py_spawn {
    const char *program; /* path of the file to execute */
    char *const *argv;
    char *const *envp;
    const char *work_dir; /* NULL: ours, or its scratch folder */
    bool in_scratch; /* without work_dir: it works in its scratch folder, if it has one. Else it may import
                        modules from our folder, and list what is there */
    const char *const
        *folders; /* with PY_FILES_OWN: what it may read beside the interpreter; NULL: nothing */
    bool sandbox; /* false: no confinement at all */
    bool network; /* may open network sockets */
    py_files_t files;
    py_limits_t limits;
} py_spawn_t;

/* A host that was ordered. */
typedef struct py_child {
    pid_t pid;      /* of the host; 0: not known yet, or gone */
    pid_t keeper;   /* of its keeper; 0: not known yet */
    int frame_fd;   /* our end of its socket; non-blocking like the others */
    int log_fd;     /* our end of the pipe */
    int status_fd;  /* gives py_report_t; its end is the end of the host and all that it started */
    py_jail_t jail; /* what holds it, once it has started */
} py_child_t;

typedef enum py_report_kind {
    PY_REPORT_NONE,    /* nothing new */
    PY_REPORT_KEPT,    /* the keeper is there */
    PY_REPORT_STARTED, /* the host executes its program, in `jail` */
    PY_REPORT_FAILED,  /* it does not: `error` at `where` */
    PY_REPORT_ENDED,   /* it has ended with wait status `status`; so has all that it started */
    PY_REPORT_LOST,    /* its keeper is gone without a word */
} py_report_kind_t;

/* What is said on a status socket; a message each, from one build of this program to itself. */
typedef struct py_report {
    py_report_kind_t kind;
    int status;        /* as waitpid gives it */
    int error;         /* an errno */
    uint64_t peak_kib; /* the greatest memory that the host had */
    py_jail_t jail;
    char where[40];
} py_report_t;

typedef struct py_spawner py_spawner_t;

/* `program`: what to execute as the spawner ("/proc/self/exe" of sdg); NULL: a fork of this process, for
 * tests and libraries, which keeps what is in its memory; that is made by the first py_spawn. */
py_spawner_t *py_spawner_new(const char *program);
void py_spawner_destroy(py_spawner_t **spawner); /* after its hosts */

/* 0 or SDG_EIO with a sentence; *shortage (may be NULL): it failed for want of descriptors, memory or
 * processes. */
int py_spawn(py_spawner_t *spawner, const py_spawn_t *spawn, py_child_t *child, bool *shortage, err_t *err);
/* The next report, also noted in the child. */
py_report_t py_child_report(py_child_t *child);
/* Ends the host and all that it started; PY_REPORT_ENDED says when that is done. */
void py_child_kill(py_child_t *child);
/* For a host that does not end although it was killed: its keeper goes, too. */
void py_child_kill_keeper(py_child_t *child);
bool py_is_shortage(int error); /* an errno */

/* What would hold a host that may not use the network, on this machine, for this user: tried out with one
 * that runs nothing. `program` as for py_spawner_new. Waits for PY_PROBE_MS at most; 0, or SDG_EIO with a
 * sentence. */
int py_probe(const char *program, const py_limits_t *limits, py_jail_t *jail, err_t *err);

#endif
