/* limits.h - what bounds actors/scheduler: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_SCHEDULER_LIMITS_H
#define SDG_ACTORS_SCHEDULER_LIMITS_H

#include <stdint.h>

/* time passes for the dispatcher so often: well below the shortest wait it counts, which is a second */
#define SCHEDULER_TICK_NS (100 * UINT64_C(1000000))

/* the monitor hears so often what the scheduler holds: it draws as often */
#define SCHEDULER_STATS_NS (200 * UINT64_C(1000000))

/* addresses that one scheduler listens on: inproc, ipc, tcp and one to spare */
#define SCHEDULER_ENDPOINTS_MAX 4

/* a client hears of its endpoints at most so often: its monitor draws five times a second */
#define SCHEDULER_REPORT_NS (500 * UINT64_C(1000000))

/* rows pending of a job of another process: as many chunks as keep thousands of workers busy; a larger window
 * is cut to it */
#define REMOTE_WINDOW_ROWS_MAX (UINT64_C(1) << 20)

/* bytes pending of such a job: what a client takes by itself at most (PENDING_BYTES_MAX); a larger window is
 * cut to it */
#define REMOTE_WINDOW_BYTES_MAX (UINT64_C(1) << 30)

/* bytes of a peer's name, with its end; names are for people, and a longer one is cut */
#define PEER_NAME_MAX 96

#endif
