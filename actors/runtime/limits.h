/* limits.h - the limits of actors/runtime, each with its reason. */
#ifndef SDG_ACTORS_RUNTIME_LIMITS_H
#define SDG_ACTORS_RUNTIME_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* ns; whoever drains says after --drain-timeout that it is over, and closes its output within this, or the
 * process ends all the same: a slow disk may take some seconds */
#define STOP_PATIENCE_NS (10 * UINT64_C(1000000000))

/* ns; after the second signal the client closes its output within this, or the process ends all the same */
#define ABORT_PATIENCE_NS (3 * UINT64_C(1000000000))

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

/* actors of one process whose end main looks for: the store, the scheduler, worker threads */
#define NEEDED_ACTORS_MAX (2 + WORKER_THREADS_MAX)

/* threads of a process beside its actors: two of libzmq, and one that looks up a name for curl */
#define THREADS_LIBRARIES 3

/* threads of a worker process: its first, the worker, those of libraries */
#define THREADS_WORKER_PROCESS 5

/* processes that one Python host takes: itself, one that keeps it, one that starts it */
#define PROCESSES_PYTHON_HOST 3

/* threads that are started to count them; a machine on which so many can be started has enough */
#define THREADS_COUNTED_MAX 256

/* bytes of the stack of each thread where `ulimit -v` bounds the memory; glibc's own default where the stack
 * has no limit */
#define STACK_BYTES_SMALL ((size_t)2 << 20)

/* bytes of the stack of a thread that only waits */
#define STACK_BYTES_LEAST ((size_t)64 << 10)

/* bytes beside the stacks that a process works with: jemalloc's arenas, LLM answers, libraries of curl
 * (measured: a run of a few rows works with 30 MiB) */
#define MEMORY_TO_WORK ((size_t)48 << 20)

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
