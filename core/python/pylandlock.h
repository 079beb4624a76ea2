/* pylandlock.h - Landlock: the kernel's rules for files and signals that a process gives itself and its
 * children.
 *
 * The domain alone keeps a host from looking into processes outside it (memory, environment, descriptors),
 * from version 6 on also from signalling them.
 */
#ifndef SDG_PYTHON_PYLANDLOCK_H
#define SDG_PYTHON_PYLANDLOCK_H

#include "core/python/pyjail.h"

/* The version that this kernel has; 0: none. */
int py_landlock_version(void);

/* What a host may use beside what every interpreter needs. */
typedef struct py_landlock {
    py_files_t files;
    const char *const *read; /* folders and files, NULL at the end; those that do not exist are left out */
    const char *scratch;     /* may be written to; NULL: none */
    const char *list;        /* the names in it may be read; NULL: none */
    bool whole_proc;         /* /proc shows nobody else */
    bool shm;                /* /dev/shm is its own */
} py_landlock_t;

/* Closes this process for good. The version that holds, 0: none. Wants no_new_privs. */
int py_landlock_close(const py_landlock_t *want);

#endif
