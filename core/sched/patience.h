/* patience.h - how long a peer of the scheduler may be silent before it is taken for dead. Pure.
 *
 * A peer says in HELLO how long it may be silent, because only it knows what it does (a disk that it waits
 * for, a parent that watches it). The scheduler believes that of its own process alone. A peer elsewhere is
 * believed up to a limit, or one that claims any time and then stands still would keep its rows for ever:
 *
 *            same process     another process (ipc, tcp)
 *   worker   what it says     at most WORKER_PATIENCE_MAX_MS
 *   client   what it says     at most CLIENT_PATIENCE_MS
 *
 * A claim of 0 means "for ever"; of another process that is the limit. */
#ifndef SDG_SCHED_PATIENCE_H
#define SDG_SCHED_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/* In ns; 0: for ever. `remote`: it is in another process. */
uint64_t patience_of_worker(bool remote, uint64_t claimed_ms);
uint64_t patience_of_client(bool remote, uint64_t claimed_ms);

#endif
