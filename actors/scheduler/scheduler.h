/* scheduler.h - gives rows to workers and results to clients; decides nothing itself: core/sched/dispatch
 * does, this is its shell.
 *
 * Alone owns: jobs (their pipelines as bytes, never parsed here), chunks, leases, the registry of peers.
 * Sockets: one ROUTER, bound to one or more endpoints (inproc, ipc, tcp on loopback); one PUSH to the monitor
 * (optional, lossy); one DEALER to the context store (optional).
 *
 * Takes   from all      HELLO (answers WELCOME), BEAT, BYE, SYNC (answers SYNCED)
 *         from clients  JOB_OPEN (answers JOB_ACCEPTED or REFUSED), ROWS, ROWS_END, RESULT_CREDIT,
 *                       RESULTS_ACK, JOB_LIMIT, JOB_STOP, STATUS_GET (answers STATUS)
 *         from workers  ROW_CREDIT, PERMITS_HELD, ENDPOINT_HELD, ENDPOINT_REPORT, JOB_GET (answers JOB_SPEC
 * or REFUSED), ROW_RESULTS and LEASE_RETURN (answer ROW_RESULTS_ACK), JOB_REFUSED, DRAINED, STATS (added up
 * for the monitor of `sdg serve`) Sends   besides those answers INGEST_CREDIT, RESULTS, JOB_DONE, LEASE,
 * LEASES_VOID, PERMITS, ENDPOINT_PERMITS, ENDPOINT_LET_FAIL, JOB_DROP, BEAT; ENDPOINT_REPORT to clients and
 * the monitor, STATS to the monitor; OWNER_GONE and OWNER_BACK to the store
 *
 * OWNER_GONE of a worker that is lost or left is sent before any lease of the rows that it held: it is on its
 * way to the store before another worker can have them. In which order the store reads it and what that
 * worker asks is not certain, because they come by two connections: over inproc both wait at the store and it
 * takes its peers in turns, over ipc and tcp a connection may be behind or lost. So the store must take a
 * context from a worker it has not yet heard to be gone when another asks for it. A worker that was only
 * taken for dead says HELLO and is given rows anew after its OWNER_GONE was sent.
 *
 * A peer that speaks before HELLO, or with another epoch, is answered with WELCOME(known 0): it says HELLO
 * again. Limits: windows of the jobs bound all rows and results held here; JOBS_MAX, WORKERS_MAX; full:
 * REFUSED with the reason. Dies: with its process; state is soft: clients submit their jobs again (same job
 * id, unfinished rows), workers say HELLO under the new epoch.
 */
#ifndef SDG_ACTORS_SCHEDULER_SCHEDULER_H
#define SDG_ACTORS_SCHEDULER_SCHEDULER_H

#include <czmq.h>

typedef struct scheduler_args {
    const char *const *endpoints; /* to bind */
    size_t endpoint_count;
    const char *monitor;   /* endpoint of the monitor, or NULL */
    int monitor_queue_max; /* messages in the queue to it, above which the next are dropped; 0: SOCKET_HWM */
    const char *store;     /* endpoint of the context store, or NULL; borrowed like all here until BOUND */
    bool log_peers;        /* log who comes and goes (sdg serve) */
    bool tell_totals;      /* tell the monitor what the workers have done: no client of this process does */
    bool tell_parent;      /* the parent watches worker processes: it hears JOINED and LOST */
} scheduler_args_t;

/* zactor function; args is a scheduler_args_t* that lives until the BOUND messages. On the pipe: "BOUND
 * <port>" per endpoint (0 when it has none), then "END <code>" only when it cannot go on; with tell_parent
 * also "JOINED <instance>" when a worker has said HELLO, and "LOST <instance> <why>" when one is taken for
 * dead. Commands: "GONE <instance>" (a worker process has died), "LEFT <instance>" (it has
 * ended in order), "$TERM". */
void scheduler_actor(zsock_t *pipe, void *args);

#endif
