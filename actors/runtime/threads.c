/* threads.c - see threads.h. Threads are held by a mutex until the last one is there. */
#include "actors/runtime/threads.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "actors/runtime/limits.h"
#include "core/base/error.h"

/* `ulimit -v`, in bytes; 0: unlimited. */
static uint64_t memory_allowed(void) {
    struct rlimit memory;
    if (getrlimit(RLIMIT_AS, &memory) != 0 || memory.rlim_cur == RLIM_INFINITY) return 0;
    return (uint64_t)memory.rlim_cur;
}

void threads_init(void) {
    pthread_attr_t attr;
    if (memory_allowed() == 0) return;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES_SMALL);
    pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
}

/* Each thread asks for memory once: jemalloc makes an arena for it then, which the threads to come take over.
 * It reads what is not there when it gets no memory for an arena, and libzmq blocks the fault. */
static void *wait_for_mutex(void *mutex) {
    void *volatile once = malloc(1);
    free(once);
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    return NULL;
}

/* Is there memory to work with, beside so many stacks? Asked before a thread is started: jemalloc cannot be
 * trusted in a thread for which it has no memory. */
static bool memory_suffices(unsigned stacks) {
    pthread_attr_t attr;
    size_t stack = 0;
    if (pthread_getattr_default_np(&attr) != 0) return false;
    pthread_attr_getstacksize(&attr, &stack);
    pthread_attr_destroy(&attr);
    size_t bytes = MEMORY_TO_WORK + stacks * stack;
    void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return false;
    munmap(room, bytes);
    return true;
}

/* How many of so many threads there can be at once: the first `own` with stacks as they are, the others as
 * small as can be, because they stand for processes. */
static unsigned count_threads(unsigned own, unsigned others) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t small;
    unsigned count = 0, all = own + others;
    pthread_t *threads = xcalloc(all, sizeof *threads);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES_LEAST);
    pthread_mutex_lock(&gate);
    while (count < all &&
           pthread_create(&threads[count], count < own ? NULL : &small, wait_for_mutex, &gate) == 0) {
        count++;
    }
    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_attr_destroy(&small);
    free(threads);
    return count;
}

/* What a container allows is not asked for; `ulimit -u` is one number that people know. */
static void say_too_few(const char *who, unsigned count, unsigned needed) {
    struct rlimit processes;
    fprintf(stderr, "sdg %s: only %u of %u threads and processes can be started: raise `ulimit -u`", who,
            count, needed);
    if (getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY)
        fprintf(stderr, " (%" PRIu64 ")", (uint64_t)processes.rlim_cur);
    fputs(", or the limit of the container\n", stderr);
}

bool threads_suffice(const char *who, const threads_use_t *use) {
    unsigned own = use->actors + THREADS_LIBRARIES;
    unsigned others = use->processes * THREADS_WORKER_PROCESS + use->hosts * PROCESSES_PYTHON_HOST;
    if (others > THREADS_COUNTED_MAX) others = THREADS_COUNTED_MAX;
    if (memory_allowed() != 0 && !memory_suffices(own)) {
        fprintf(stderr,
                "sdg %s: `ulimit -v %" PRIu64
                "` allows too little memory: %u MiB more than the program and its "
                "%u threads are needed: raise it\n",
                who, memory_allowed() / 1024, (unsigned)(MEMORY_TO_WORK >> 20), own);
        return false;
    }
    unsigned count = count_threads(own, others);
    if (count < own + others) say_too_few(who, count, own + others);
    return count == own + others;
}
