/* context_store.h - keeps the call journal of a run: answers of finished LLM calls, so that a call that was paid for is not made again.
 *
 * Alone owns: the journal file (core/store/journal.h). (The contexts of the documented store will live here as well; they do not yet.)
 * Sockets: one ROUTER, bound to one or more endpoints (inproc, ipc).
 *
 * Takes   from the client   JOB_OPENED, ROWS_FINISHED, JOB_CLOSED
 *         from workers      CALL_LOOKUP (answers CALL_FOUND and CALL_MISSING), CALL_RECORD (answers CALL_RECORDED)
 *         from all          SYNC (answers SYNCED)
 * Sends   only those answers; REFUSED for calls of a job it does not have
 *
 * On disk: a record is in the kernel before CALL_RECORDED is sent (it survives kill -9). For power loss: `always` syncs before that;
 * `batch` syncs at most every JOURNAL_SYNC_NS or JOURNAL_SYNC_BYTES in a thread of its own, so nobody waits for the disk; `never` leaves it
 * to the kernel.
 * Limits: the index is of unfinished rows only (JOURNAL_CALLS_MAX calls); an answer above JOURNAL_ANSWER_BYTES_MAX is not kept.
 * Dies: by $TERM, or when the journal cannot be written: one sentence, "END 4", and the run is to end; everything on disk stays, a rerun
 * continues. What is lost: nothing that was answered.
 */
#ifndef SDG_ACTORS_CONTEXT_STORE_H
#define SDG_ACTORS_CONTEXT_STORE_H

#include <czmq.h>

#include "core/store/journal.h"

enum { STORE_ENDPOINTS_MAX = 2 };

typedef struct context_store_args {
    const char *endpoints[STORE_ENDPOINTS_MAX]; /* to bind */
    size_t endpoint_count;
    journal_t *journal;       /* taken over */
    journal_fsync_t fsync;
} context_store_args_t;

/* zactor function; args is a context_store_args_t* that lives until the actor is ready (it is bound then). Commands: "$TERM". */
void context_store_actor(zsock_t *pipe, void *args);

#endif
