/* children.h - worker processes on this machine: started with posix_spawn, restarted when they die, ended
 * by the kernel when this process ends. */
#ifndef SDG_ACTORS_RUNTIME_CHILDREN_H
#define SDG_ACTORS_RUNTIME_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "actors/runtime/limits.h"
#include "core/base/row_types.h"

typedef struct children {
    pid_t pid[CHILDREN_MAX];         /* 0: not running */
    uint64_t instance[CHILDREN_MAX]; /* what each calls itself in HELLO */
    unsigned count;                  /* at most CHILDREN_MAX */
    unsigned restarts;
    const char *endpoint;
    unsigned python_workers;
    row_files_t files; /* borrowed */
    bool verbose;
} children_t;

/* 0, or -1 at the first that could not be started: those before it run, until children_stop. */
int children_start(children_t *c);
/* After SIGCHLD: reaps one child that died and starts it again (unless `ending`). Returns 1 and its
 * *instance, 0 when there was none, -1 when there were too many deaths. Call until it does not return 1. */
int children_reap(children_t *c, bool ending, uint64_t *instance);
void children_stop(children_t *c); /* SIGTERM, after a second SIGKILL; waits until all are gone */

#endif
