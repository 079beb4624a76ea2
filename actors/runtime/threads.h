/* threads.h - whether the threads, processes and memory that a verb needs can be had.
 *
 * libzmq ends the process when it gets no thread, so as many are started and ended again before it is asked
 * for anything. That counts what `ulimit -u`, the limit of a container and, for their stacks, `ulimit -v`
 * leave; others may take them at the next moment, and then an actor's start or the fault handler
 * (core/base/ending.h) says so. tests/actors/test_shortage.py fails when a part takes more. */
#ifndef SDG_ACTORS_RUNTIME_THREADS_H
#define SDG_ACTORS_RUNTIME_THREADS_H

#include <stdbool.h>

/* What is going to run beside this process's first thread. */
typedef struct threads_use {
    unsigned actors;    /* of this process */
    unsigned processes; /* worker processes */
    unsigned hosts;     /* Python hosts that have to be there, one for each worker */
} threads_use_t;

/* Once per process, before any thread: where `ulimit -v` bounds the memory, stacks are small. */
void threads_init(void);

/* Can they be had at once, with memory to work? If not, a sentence on stderr says what to do. */
bool threads_suffice(const char *who, const threads_use_t *use);

#endif
