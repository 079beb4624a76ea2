/* pyfilter.h - the filter of system calls of a Python host (seccomp).
 *
 * It refuses what looks into or takes hold of other processes, makes namespaces, mounts, or reaches parts of
 * the kernel that Python code has no use for; without the network also sockets. Where a host has no namespace
 * of processes, it refuses signals to those that hold it as well. Foreign system call tables (i386 on x86-64,
 * x32) end the process, or have no calls.
 */
#ifndef SDG_PYTHON_PYFILTER_H
#define SDG_PYTHON_PYFILTER_H

#include <stdbool.h>
#include <sys/types.h>

/* PY_FILTER_PROTECTED_MAX: keeper, spawner, worker and its parent. */
enum { PY_FILTER_PROTECTED_MAX = 4 };

typedef struct py_filter {
    bool network;  /* all sockets are allowed */
    bool isolated; /* without `network`: sockets of IP and netlink may be made, because a namespace holds them
                    */
    bool own_signals; /* no namespace of processes: signals to `protected` are refused */
    pid_t protect[PY_FILTER_PROTECTED_MAX]; /* 0: none */
} py_filter_t;

/* Closes this process and its children for good. False: the kernel has no filters, or it is another
 * processor. Wants no_new_privs. */
bool py_filter_close(const py_filter_t *filter);

#endif
