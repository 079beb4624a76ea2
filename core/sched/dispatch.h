/* dispatch.h - the pure scheduler: events in, actions out. No socket, no clock, no thread; the simulation
 * runs it with virtual time.
 *
 *   dataset -> chunks (as the client sends them) -> leases (rows given to one worker) -> rows
 *
 * Every call below is an event that happened at `now`. After one or more events take actions with
 * dispatch_next until it returns false and send them. A row is in exactly one state:
 *
 *   QUEUED -> LEASED -> ANSWERED (result kept until the client has it on disk) -> gone
 *        \<- worker lost, returned -/
 *
 * Promises, checked by tests/sim: each row is delivered to the client as exactly one result, whatever is
 * lost, repeated or reordered; pending rows (queued + leased + answered) never exceed the job's window;
 * pending bytes are bounded as written below; a worker never holds more than its credit; no more units of a
 * job are in use than its concurrency, and no more calls of an endpoint are in flight than its limit; with a
 * live worker and a live client every job ends.
 *
 * Pending bytes of a job are raw bytes of rows queued or leased, and results (with meta) not yet
 * acknowledged. The first never exceed half of window_bytes by more than the row that passed it. When the
 * second have passed the other half, no row is leased before some are on disk. So
 *
 *   pending bytes <= window_bytes + one row + results of the rows that were with workers
 *                    when results passed their half
 *
 * The job cannot get stuck: results leave whatever is pending, and without results a row is leased whatever
 * its size; a client without pending rows may send one.
 *
 * Who decides how many rows a worker gets: `concurrency` of the job is split evenly over the workers that can
 * run it (its share, in units: a row that runs code or has a call in flight uses one; a row that has begun
 * and waits for a retry, a permit or a closed endpoint uses none). A worker is given its share, plus as many
 * rows as wait there, plus what it finishes in about LEASE_AHEAD_NS: so it never waits for the scheduler,
 * rows that wait do not keep others from starting, and a slow worker does not sit on rows others could run.
 * Short queues are split so that all workers get some.
 *
 * A job names the endpoints (LLM servers) that its models call. An endpoint may have a limit of calls in
 * flight, over all jobs and workers; it is split over the workers by what their shares of those jobs could
 * use.
 *
 * A row that was leased by a worker that died is a suspect: it is queued first, after one death a quarter of
 * a share per worker at a time (a large worker may leave thousands), after two deaths alone, one per worker
 * at a time, so that the row that kills workers is told from its neighbours; after LEASE_ATTEMPTS_MAX deaths
 * it fails with that reason.
 *
 * A lease may be lost on the way. Leases are numbered per worker without gaps (above 2^32: which registration
 * of the worker this is); the worker says in its beats up to which number all have arrived, and the others
 * are sent again, on a new connection at once. A worker drops a lease number it has seen; a number with a
 * larger upper half starts the count again, and voids the rows it holds but has not started.
 *
 * Several jobs share what they all want of a worker (its row credit) by their priorities: they take turns
 * there, a turn is priority * LEASE_TURN_ROWS rows, and a job that is alone takes what it wants. So rows flow
 * as the priorities of those who compete, and whoever comes waits for one turn of each of the others, however
 * long their queues are.
 *
 * Memory: all bytes of rows and results are owned here and bounded by the windows.
 */
#ifndef SDG_SCHED_DISPATCH_H
#define SDG_SCHED_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/row_io.h"
#include "core/sched/units.h"

typedef struct dispatch dispatch_t;

/* Bytes of rows are borrowed for the length of a call (events) or until the next dispatch_* call (actions).
 * Of the status of a finished row only ROW_STATUS_FAILED is looked at. */

/* How a job stops: the mode of dispatch_job_stop (JOB_STOP on the wire) and of DISPATCH_JOB_DROP (JOB_DROP).
 */
typedef enum dispatch_stop {
    /* What runs is finished. Rows that have not started are dropped; workers give theirs back. */
    DISPATCH_STOP_DRAIN = 1,
    /* Everything is dropped; workers forget the job. */
    DISPATCH_STOP_NOW = 2
} dispatch_stop_t;

/* Why a job ended: JOB_DONE.kind on the wire. */
typedef enum dispatch_end {
    DISPATCH_ENDED,         /* all its rows are done */
    DISPATCH_ENDED_REFUSED, /* no worker can run it */
    DISPATCH_ENDED_STOPPED, /* its client has asked for it */
    DISPATCH_ENDED_FINAL /* an endpoint refuses whatever it is asked: what has met only that stays undone */
} dispatch_end_t;

/* What a client asks for. */
typedef struct dispatch_job {
    uint64_t job;          /* its random id */
    uint64_t window_rows;  /* most rows pending; >= 1 */
    uint64_t window_bytes; /* most bytes pending, see above */
    uint64_t concurrency;  /* units in use at once over all workers; >= 1 */
    uint64_t priority;     /* weight among jobs, up to JOB_PRIORITY_MAX; 0: JOB_PRIORITY_DEFAULT */
    bool python;           /* it has python blocks: only workers that accept them can run it */
    /* Ids of the endpoints that its models call; dispatch_job_open reads them when the job is new. */
    const uint64_t *endpoints;
    size_t endpoint_count; /* up to JOB_ENDPOINTS_MAX */
} dispatch_job_t;

/* ---- events: clients ---- */
dispatch_t *dispatch_new(void);
void dispatch_destroy(dispatch_t **d);
/* Idempotent by job id; the client may have a new peer number, and the priority is taken anew. SDG_ELIMIT
 * when there are too many jobs, SDG_EINVAL for a window, concurrency or priority that cannot be. */
int dispatch_job_open(dispatch_t *d, uint64_t peer, const dispatch_job_t *job, uint64_t now, err_t *err);
/* Chunk numbers count from 0 in order; a repeated or early one is ignored (credit says what is expected).
 * SDG_ENOTFOUND: the job is not known. SDG_ELIMIT: the chunk is beyond the credit and was dropped; the client
 * is told its credit again. */
int dispatch_rows(dispatch_t *d, uint64_t job, uint64_t chunk, const row_in_t *rows, size_t count,
                  uint64_t now);
int dispatch_rows_end(dispatch_t *d, uint64_t job, uint64_t chunks, uint64_t now);
int dispatch_result_credit(dispatch_t *d, uint64_t job, uint64_t rows_limit, uint64_t bytes_limit,
                           uint64_t now);
/* From now on so many units of this job may be in use at once (absolute, repeated harmlessly). More is
 * granted at once; less takes effect as workers say that they use less, and until then nobody gets more; a
 * worker left without a share is asked for rows that hold no unit. SDG_ENOTFOUND, or SDG_EINVAL for 0. */
int dispatch_job_limit(dispatch_t *d, uint64_t job, uint64_t concurrency, uint64_t now);
int dispatch_results_ack(dispatch_t *d, uint64_t job, uint64_t batch, uint64_t now); /* cumulative */
/* SDG_ENOTFOUND, or SDG_EINVAL for a mode that is none. */
int dispatch_job_stop(dispatch_t *d, uint64_t job, uint32_t mode, uint64_t now);
/* The job cannot go on, because an endpoint of it refuses everything: it stops like DISPATCH_STOP_DRAIN and
 * ends with DISPATCH_ENDED_FINAL and this reason. SDG_ENOTFOUND. */
int dispatch_job_final(dispatch_t *d, uint64_t job, const char *reason, uint64_t now);
/* The client is known to have a new connection: its jobs follow, and hear again what may have been lost on
 * the way. */
void dispatch_client_moved(dispatch_t *d, uint64_t from, uint64_t to, uint64_t now);
/* The connection is gone for good (BYE, or silent too long): its jobs are dropped. */
void dispatch_client_gone(dispatch_t *d, uint64_t peer, uint64_t now);

/* ---- events: endpoints ---- */
/* From now on so many calls may be in flight to this endpoint, from all workers together (absolute, repeated
 * harmlessly; 0: none). More and less take effect like dispatch_job_limit. Forgotten with the last job that
 * names it. SDG_ENOTFOUND when none does. */
#define DISPATCH_NO_LIMIT UINT64_MAX
int dispatch_endpoint_limit(dispatch_t *d, uint64_t endpoint, uint64_t calls, uint64_t now);

/* ---- events: workers (numbered by their instance id; peer: where to send) ---- */
/* What a worker says of itself. */
typedef struct dispatch_worker {
    uint64_t worker;      /* its random instance id */
    bool python;          /* it runs python blocks */
    bool remote;          /* it is another process: results say which worker they are of */
    uint64_t patience_ns; /* how long it may be silent before it is taken for dead; 0: for ever */
} dispatch_worker_t;
/* A new worker, or a known one on a new connection (its leases stay, what it said of itself first holds).
 * SDG_ELIMIT when there are too many. */
int dispatch_worker_hello(dispatch_t *d, uint64_t peer, const dispatch_worker_t *worker, uint64_t now,
                          err_t *err);
/* Its answer to PERMITS. What it gives up is given to others only then, and it is given no other share before
 * it has answered the last one. Its answers have to come in the order it gave them, as on one connection.
 * A worker that speaks of a job that is over has not heard of the end, and is told to forget the job. */
void dispatch_worker_running(dispatch_t *d, uint64_t worker, uint64_t job, const units_held_t *held,
                             uint64_t now);
/* Its answer to ENDPOINT_PERMITS, in the same way: it knows of `permit`, so many calls are in flight. */
void dispatch_worker_calls(dispatch_t *d, uint64_t worker, uint64_t endpoint, uint64_t permit,
                           uint64_t in_flight, uint64_t now);
void dispatch_worker_credit(dispatch_t *d, uint64_t worker, uint64_t rows, uint64_t bytes, uint64_t now);
void dispatch_worker_beat(dispatch_t *d, uint64_t worker, uint64_t now); /* any sign of life */
/* From the worker's beat: all leases below this number have arrived. */
void dispatch_worker_leases(dispatch_t *d, uint64_t worker, uint64_t first_missing, uint64_t now);
/* Results of a worker (known or not any more): rows still open are taken, others dropped. */
void dispatch_row_results(dispatch_t *d, uint64_t worker, uint64_t job, const row_done_t *rows, size_t count,
                          uint64_t now);
/* The worker gives rows back; it gets no more of this job until its next dispatch_worker_credit. */
void dispatch_lease_return(dispatch_t *d, uint64_t worker, uint64_t job, const uint64_t *indexes,
                           size_t count, uint64_t now);
/* The worker cannot run this job: the rows it holds of it are queued again, without counting an attempt. When
 * no worker can run the job, it ends with the reason. */
void dispatch_worker_refuses(dispatch_t *d, uint64_t worker, uint64_t job, const char *reason, uint64_t now);
/* Likewise, but the worker does not know it: it is told to forget the job. */
void dispatch_worker_unfit(dispatch_t *d, uint64_t worker, uint64_t job, const char *reason, uint64_t now);
void dispatch_worker_drain(dispatch_t *d, uint64_t worker, uint64_t now); /* no new leases */
/* The connection it said HELLO on last is gone. It keeps its leases for RECONNECT_NS, is given no others, and
 * is taken for dead unless it says HELLO again. */
void dispatch_worker_cut(dispatch_t *d, uint64_t worker, uint64_t now);
/* crashed: false after BYE (its rows are requeued without counting an attempt). */
void dispatch_worker_gone(dispatch_t *d, uint64_t worker, bool crashed, uint64_t now);

/* ---- time ---- */
/* Expires silent workers, resends what was not acknowledged, repeats credits of idle jobs. */
void dispatch_tick(dispatch_t *d, uint64_t now);

/* ---- actions ---- */
typedef enum dispatch_kind {
    DISPATCH_LEASE,            /* -> worker: rows, lease, attempt, again */
    DISPATCH_LEASES_VOID,      /* -> worker: `lease_count` leases from `lease` on have no open rows */
    DISPATCH_PERMITS,          /* -> worker: units of the job's permit */
    DISPATCH_ENDPOINT_PERMITS, /* -> worker: calls in flight to the endpoint, over all jobs */
    DISPATCH_JOB_DROP,         /* -> worker: job, mode */
    DISPATCH_INGEST_CREDIT,    /* -> client: next_chunk, rows_limit, bytes_limit */
    DISPATCH_RESULTS,          /* -> client: batch, done rows */
    DISPATCH_JOB_DONE,         /* -> client: rows_ok, rows_failed, end, reason */
    DISPATCH_WORKER_LOST,      /* for the log: worker, crashed, row_count it held, reason */
    DISPATCH_ROW_FAILED,       /* for the log: job, index: its attempts ran out */
} dispatch_kind_t;

typedef struct dispatch_action {
    dispatch_kind_t kind;
    uint64_t peer; /* where to */
    /* RESULTS: which worker they are of; 0: of the scheduler's own process, or of nobody. */
    uint64_t worker, job;
    uint64_t lease, attempt;
    bool again;           /* LEASE: a worker held one of the rows before, so calls of it may have been made */
    uint64_t lease_count; /* LEASES_VOID */
    const row_in_t *rows;
    size_t row_count; /* LEASE */
    const row_done_t *done;
    size_t done_count; /* RESULTS */
    uint64_t batch;
    uint64_t next_chunk, rows_limit, bytes_limit; /* INGEST_CREDIT */
    uint64_t permit_units;                        /* PERMITS */
    uint64_t endpoint, permit_calls;              /* ENDPOINT_PERMITS */
    uint64_t rows_ok, rows_failed;                /* JOB_DONE */
    dispatch_end_t end;                           /* JOB_DONE */
    uint32_t mode;                                /* JOB_DROP */
    uint64_t index;                               /* ROW_FAILED */
    bool crashed;                                 /* WORKER_LOST: it did not say goodbye */
    const char *reason;
} dispatch_action_t;

/* The next action, valid until the next call of any dispatch function. False: nothing to do now. Sending may
 * fail silently: everything that matters is repeated by dispatch_tick until it is acknowledged. */
bool dispatch_next(dispatch_t *d, uint64_t now, dispatch_action_t *action);

/* ---- numbers ---- */
typedef struct dispatch_stats {
    uint64_t jobs, workers;
    uint64_t rows_queued, rows_leased, rows_answered, bytes_pending;
    uint64_t leases_sent, leases_resent, rows_requeued, duplicates_dropped;
    uint64_t workers_lost;
    uint64_t row_credit; /* rows that all workers together can hold */
} dispatch_stats_t;
void dispatch_stats(const dispatch_t *d, dispatch_stats_t *stats);

typedef struct dispatch_job_stats {
    uint64_t client;                                                 /* its peer number */
    uint64_t rows_received, rows_queued, rows_leased, rows_answered; /* answered: not yet acknowledged */
    uint64_t rows_ok, rows_failed;                                   /* acknowledged */
    uint64_t bytes_pending, workers, concurrency;                    /* workers: that share its concurrency */
    uint64_t window_rows, window_bytes;
    /* Credits, counted from the start of the job: rows that may have come, results that may have been sent.
     */
    uint64_t ingest_rows_limit, result_rows_limit;
    bool none_come; /* no row comes before one of these is done: all have come, or the window is full */
    bool stopping, over;
} dispatch_job_stats_t;
/* False: the job is not known, all numbers are 0. */
bool dispatch_job_stats(const dispatch_t *d, uint64_t job, dispatch_job_stats_t *stats);

/* Asserts that counters and lists agree. For tests: it visits every row. */
void dispatch_check(const dispatch_t *d);

#endif
