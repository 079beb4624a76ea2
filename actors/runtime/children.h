/* children.h - worker processes on this machine: started with posix_spawn, restarted when they die, ended
 * by the kernel when this process ends.
 *
 * A child that stands still (it is stopped, swapped out, or spins) does not die by itself: it is killed,
 * which works on a stopped one too, and replaced like one that died. Who finds that out: the scheduler when
 * the child falls silent (children_lost), children_watch when it never says HELLO. */
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
    uint64_t started_ns[CHILDREN_MAX];
    bool joined[CHILDREN_MAX]; /* it has said HELLO */
    bool killed[CHILDREN_MAX]; /* by this process, which has said why */
    unsigned count;            /* at most CHILDREN_MAX */
    unsigned restarts;
    const char *endpoint;
    unsigned python_workers;
    row_files_t files; /* borrowed */
    bool verbose;
} children_t;

/* 0, or -1 at the first that could not be started: those before it run, until children_stop. */
int children_start(children_t *c);
/* What is told of a child that is gone. */
typedef struct child_death {
    uint64_t instance;
    bool crashed; /* its rows may have to do with it; false: it has said what it lacks, and ended in order */
} child_death_t;
/* After SIGCHLD: reaps one child that died and starts it again (unless `ending`, and unless it has ended
 * because something outside is lacking: the others go on). Returns 1 and its *death, 0 when there was none,
 * -1 when there were too many deaths. Call until it does not return 1. */
int children_reap(children_t *c, bool ending, child_death_t *death);
/* How many run. None may be left, when some have ended for want of something, or could not be started again.
 */
unsigned children_alive(const children_t *c);
/* The scheduler has heard of this worker. One that is no child is passed over, here and below. */
void children_joined(children_t *c, uint64_t instance);
/* The scheduler takes this worker for dead; `why` is for people. It is killed: children_reap replaces it. */
void children_lost(children_t *c, uint64_t instance, const char *why);
/* Kills children that were started CHILD_START_NS ago and have not joined. Returns how long it need not be
 * called again, ns; UINT64_MAX: until another child is started. */
uint64_t children_watch(children_t *c, uint64_t now);
/* SIGTERM, after a second SIGKILL; waits until all are gone, but not for ever: a process that waits for a
 * disk may not even be killed. */
void children_stop(children_t *c);

#endif
