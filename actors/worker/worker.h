/* worker.h - runs rows: holds thousands of row machines in one thread, with one HTTP engine and one Python
 * pool.
 *
 * Alone owns: its row machines, its copies of the pipelines, the connections to the LLM servers, the Python
 * hosts. Sockets: one DEALER to the scheduler (inproc, ipc or tcp); per job that keeps something one DEALER
 * to its context store.
 *
 * Takes   WELCOME       use this epoch from now on; answers ROW_CREDIT
 *         LEASE         rows to run; answered by ROW_RESULTS or LEASE_RETURN for each of them
 *         LEASES_VOID   leases that it may miss and that have no open rows
 *         JOB_SPEC      the pipeline of a job (asked for with JOB_GET when a lease names an unknown job)
 *         PERMITS       units of a job that may be in use here; answers PERMITS_HELD
 *         ENDPOINT_PERMITS  calls in flight to an endpoint, of all jobs; answers ENDPOINT_HELD
 *         ENDPOINT_LET_FAIL  calls that wait with a refusal of an endpoint fail with it
 *         JOB_DROP      drain: return the rows that have not started and those that would wait
 *                       for ever; now: forget the job
 *         ROW_RESULTS_ACK, BEAT, DRAIN, SYNC, REFUSED
 *         from a store: CALL_FOUND, CALL_MISSING, CALL_RECORDED, CTX, CTX_MISSING, CTX_SAVED
 * Sends   HELLO, ROW_CREDIT, JOB_GET, ROW_RESULTS, LEASE_RETURN, PERMITS_HELD, ENDPOINT_HELD,
 * ENDPOINT_REPORT, JOB_REFUSED, BEAT, STATS, DRAINED, BYE, SYNCED; to a store CALL_LOOKUP, CALL_RECORD,
 * CTX_GET_OR_CREATE, CTX_PUT, CTX_PIN, CTX_UNPIN, CTX_COMPLETE
 *
 * Limits: rows held <= the credit it gave (WORKER_ROWS_MAX, WORKER_BYTES_MAX); unacknowledged results are
 * kept until acknowledged and are part of those rows. Full: the scheduler leases nothing more. Under
 * --memory-limit it begins nothing that has no room (worker_memory.c). Dies: by $TERM (drops everything; the
 * scheduler leases the rows elsewhere), after DRAIN, or when the scheduler stays silent too long (only with
 * give_up_ms). What is lost: nothing that was acknowledged; calls in flight are made again elsewhere. */
#ifndef SDG_ACTORS_WORKER_WORKER_H
#define SDG_ACTORS_WORKER_WORKER_H

#include <czmq.h>
#include <stdint.h>

#include "core/base/row_types.h"

typedef struct worker_args {
    const char *endpoint; /* of the scheduler */
    const char *name;     /* for people */
    uint64_t instance;    /* random; 0: made here */
    bool accept_python;
    row_files_t files;          /* its folders are borrowed until the worker ends */
    uint32_t python_hosts;      /* --python-workers */
    const char *python_spawner; /* as pypool_options_t.program; lives as long as the actor */
    bool confine_python;        /* jobs come from others: their Python reads and writes its own files alone */
    uint32_t in_flight_max;     /* requests at a time: what there are descriptors for; 0: any number */
    uint32_t give_up_ms;        /* silence of the scheduler after which the worker ends; 0: never */
    uint32_t patience_ms; /* silence after which the scheduler takes it for dead; 0: never, it is a thread
                             of the scheduler's process */
    bool report_rss;      /* this worker is a process of its own: tell its memory in BEAT */
    bool may_release; /* a job with a memory limit may make the whole process give memory that was freed back
                         to the system at once; false: whoever started the process has decided it */
} worker_args_t;

/* zactor function; args is a worker_args_t* that lives until the actor is ready (texts are copied). Commands
 * on the pipe: "DRAIN <ms>", "$TERM". */
void worker_actor(zsock_t *pipe, void *args);

#endif
