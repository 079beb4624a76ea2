/* pyjail.h - what holds a Python host: which parts of the jail exist, and their closing, between fork and
 * exec.
 *
 * The parts are closed in this order, each by one function, in the process that becomes the host's keeper or
 * in the host itself; what the kernel refuses is left out, and py_jail_t says what holds.
 */
#ifndef SDG_PYTHON_PYJAIL_H
#define SDG_PYTHON_PYJAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Which files a host may use. */
typedef enum py_files {
    PY_FILES_ALL,  /* those that its user may use */
    PY_FILES_READ, /* reads those, and writes only below its scratch folder */
    PY_FILES_OWN,  /* the interpreter, the folders of its code, and its scratch folder */
} py_files_t;

/* Bounds of one host with all that it starts; 0: none. */
typedef struct py_limits {
    uint64_t memory_bytes; /* private memory of each process (RLIMIT_DATA) */
    uint64_t processes;    /* processes and threads */
    uint64_t file_bytes;   /* size of a file that it writes */
    uint64_t open_files;   /* descriptors of each process */
} py_limits_t;

/* Bounds as runtime.python.limits gives them; UINT64_MAX: it says nothing, and the default of limits.h holds.
 */
py_limits_t py_limits_of(uint64_t memory_mb, uint64_t processes, uint64_t file_size_mb, uint64_t open_files);

/* What holds a host. */
typedef struct py_jail {
    bool user_ns;  /* a user namespace of its own */
    bool net_ns;   /* an empty network namespace */
    bool pid_ns;   /* a process namespace of its own: it sees, signals and leaves behind nobody */
    bool own_proc; /* /proc shows that namespace alone */
    bool own_shm;  /* /dev/shm is empty and its own */
    bool filter;   /* system calls are filtered */
    bool counted;  /* limits.processes counts this host's processes and no others */
    bool files;    /* py_files_t is enforced */
    bool wanted;   /* false: nothing was to be closed */
    int landlock;  /* version of Landlock that holds; 0: none */
} py_jail_t;

/* Can this host reach no network? */
bool py_jail_closes_network(const py_jail_t *jail);
/* One line for the log: what holds, and what does not. */
void py_jail_words(const py_jail_t *jail, bool network, py_files_t files, const py_limits_t *limits,
                   char *out, size_t size);

/* Flags of clone(2) for the i-th best set of namespaces, 0: none; the sets end with 0. */
int py_jail_namespaces(unsigned i, bool root, bool network);

/* In the first process of a new user namespace, whose user it was before. */
void py_jail_map_user(uid_t uid, gid_t gid);
/* In the first process of new namespaces: makes /proc and the number of processes its own; `own_shm`:
 * /dev/shm, too. */
void py_jail_enter(py_jail_t *jail, int namespaces, uint64_t processes_max, bool own_shm);

/* In the host: its bounds; notes in `jail` whether they count its processes alone. */
void py_jail_limit(const py_limits_t *limits, py_jail_t *jail);
/* In the host: gives up all capabilities for good, also over exec. */
void py_jail_drop_capabilities(void);

#endif
