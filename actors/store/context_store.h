/* context_store.h - keeps what rows must not lose or cannot hold: the call journal (answers of finished LLM
 * calls, so that a call that was paid for is not made again) and contexts (rows that wait, put away so that
 * workers need not hold them).
 *
 * Alone owns: the journal file (core/store/journal.h), the contexts in memory and on disk
 * (core/store/contexts.h). Sockets: one ROUTER, bound to one or more endpoints (inproc, ipc, tcp on
 * loopback); one PUSH to the monitor (optional, lossy).
 *
 * Takes   from the client    JOB_OPENED, ROWS_FINISHED, JOB_CLOSED, CTX_PUT, CTX_COMPLETE
 *         from workers       CALL_LOOKUP (answers CALL_FOUND and CALL_MISSING),
 *                            CALL_RECORD (answers CALL_RECORDED),
 *                            CTX_GET_OR_CREATE (answers CTX and CTX_MISSING),
 *                            CTX_PUT (answers CTX_SAVED where asked), CTX_PIN, CTX_UNPIN, CTX_COMPLETE
 *         from the scheduler OWNER_GONE, OWNER_BACK
 *         from all           SYNC (answers SYNCED)
 * Sends   those answers; REFUSED for a job it does not have; STATS and EVICTED to the monitor
 *
 * Journal on disk: a record is in the kernel before CALL_RECORDED is sent (it survives kill -9). For power
 * loss: `always` syncs before that; `batch` syncs at most every JOURNAL_SYNC_NS or JOURNAL_SYNC_BYTES in a
 * thread of its own, so nobody waits for the disk; `never` leaves it to the kernel. Contexts on disk are for
 * this run only: the file has no name, nothing of it is left after any end.
 *
 * Limits: the journal's index is of
 * unfinished rows only (JOURNAL_CALLS_MAX calls), an answer above JOURNAL_ANSWER_BYTES_MAX is not kept;
 * contexts in memory <= max_cached and max_bytes, the least recently used go to disk, pinned ones never.
 * Dies: by $TERM, or when it cannot write (disk full): one sentence, "END 4", and the run is to end; a rerun
 * continues. What is lost: contexts; their rows start again and find their calls in the journal. */
#ifndef SDG_ACTORS_STORE_CONTEXT_STORE_H
#define SDG_ACTORS_STORE_CONTEXT_STORE_H

#include <czmq.h>

#include "actors/store/limits.h"
#include "core/store/contexts.h"
#include "core/store/journal.h"

typedef struct context_store_args {
    const char *endpoints[STORE_ENDPOINTS_MAX]; /* to bind */
    size_t endpoint_count;
    int port;            /* out: of the last endpoint that has one */
    const char *monitor; /* endpoint of the monitor, or NULL */
    journal_t *journal;  /* taken over; NULL: no calls are kept */
    journal_fsync_t fsync;
    const contexts_options_t *contexts; /* NULL: none are kept */
} context_store_args_t;

/* zactor function; args is a context_store_args_t* that lives until the actor is ready (it is bound then).
 * Commands: "$TERM". */
void context_store_actor(zsock_t *pipe, void *args);

#endif
