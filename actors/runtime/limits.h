/* limits.h - the limits of actors/runtime, each with its reason. */
#ifndef SDG_ACTORS_RUNTIME_LIMITS_H
#define SDG_ACTORS_RUNTIME_LIMITS_H

/* worker processes of one run (--processes); a machine has fewer processors, and each process costs memory */
#define CHILDREN_MAX 256

/* restarts of worker processes in one run; more of them mean that something is wrong with the children */
#define CHILD_RESTARTS_MAX 20

/* worker threads of one process (--workers); one drives hundreds of requests, so few are ever of use */
#define WORKER_THREADS_MAX 64

#endif
