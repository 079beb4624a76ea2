/* limits.h - the limits of actors/runtime, each with its reason. */
#ifndef SDG_ACTORS_RUNTIME_LIMITS_H
#define SDG_ACTORS_RUNTIME_LIMITS_H

#include <stdint.h>

/* worker processes of one run (--processes); a machine has fewer processors, and each process costs memory */
#define CHILDREN_MAX 256

/* restarts of worker processes in one run; more of them mean that something is wrong with the children */
#define CHILD_RESTARTS_MAX 20

/* a worker process that has not said HELLO so long after its start stands still: it takes some 10 ms, and
 * seconds on a machine that is very busy */
#define CHILD_START_NS (30 * UINT64_C(1000000000))

/* worker processes that were asked to end are killed after so long: rows in progress are lost in any case */
#define CHILD_TERM_NS UINT64_C(1000000000)

/* killed worker processes are gone after so long, or they wait in the kernel for a device: the run ends
 * without them */
#define CHILD_KILL_NS (3 * UINT64_C(1000000000))

/* worker threads of one process (--workers); one drives hundreds of requests, so few are ever of use */
#define WORKER_THREADS_MAX 64

/* descriptors that are looked at to count the open ones; a process that may have more has enough */
#define DESCRIPTORS_COUNTED_MAX 4096

/* descriptors of libzmq's context once it has a socket, and of signals (measured: 6), and some to open files
 * with for a moment */
#define DESCRIPTORS_BASE 12

/* those of DESCRIPTORS_BASE that runtime_init takes */
#define DESCRIPTORS_STARTED 1

/* descriptors of client, monitor, store, input, output and what lies beside it (measured: 15) */
#define DESCRIPTORS_RUN 15

/* descriptors of a scheduler (measured: 5) */
#define DESCRIPTORS_SCHEDULER 5

/* descriptors of the monitor's pages: the socket and some connections; a page more takes what a request
 * would have taken */
#define DESCRIPTORS_METRICS 10

/* descriptors of a worker without its requests (measured: 7) */
#define DESCRIPTORS_WORKER 8

/* descriptors of a connection to another process, and of what waits for it */
#define DESCRIPTORS_PEER 2

/* descriptors of a Python host: its socket, its output, and one more while it starts */
#define DESCRIPTORS_PYTHON_HOST 3

#endif
