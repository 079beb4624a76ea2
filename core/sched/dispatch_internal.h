/* dispatch_internal.h - the dispatcher's own state, shared by dispatch.c (what comes next, time),
 * dispatch_jobs.c (clients, chunks, credit), dispatch_workers.c (workers, shares), dispatch_leases.c (who
 * gets which rows) and dispatch_results.c (answers on their way to disk).
 *
 * Read the structs first: a job has rows; a row is in one queue, in one lease, among the answered or in one
 * batch, and its node says where. A seat is what a worker is to a job. Events mark what may have changed (the
 * rings of struct dispatch); dispatch_next looks only at what is marked, so an event costs the same with one
 * worker and with a thousand.
 */
#ifndef SDG_SCHED_DISPATCH_INTERNAL_H
#define SDG_SCHED_DISPATCH_INTERNAL_H

#include "core/base/clock.h"
#include "core/base/idmap.h"
#include "core/base/ring.h"
#include "core/sched/dispatch.h"
#include "core/sched/limits.h"

typedef struct seat_job seat_job_t;
typedef struct seat_worker seat_worker_t;
typedef struct lease lease_t;

typedef enum lease_row_state { ROW_QUEUED, ROW_LEASED, ROW_ANSWERED } lease_row_state_t;
enum {
    CLASS_FRESH,
    CLASS_SUSPECT,
    CLASS_CULPRIT,
    CLASSES
}; /* of rows, by workers that died holding them: none, one, more */

typedef struct lease_row {
    ring_node_t node; /* queue, lease, answered or batch, as `state` says; free rows: the pool's next */
    uint64_t index, line;
    char *data; /* raw JSON until answered, then result line and meta; owned: rows of a chunk share nothing,
                 * or one slow row would keep the bytes of all */
    size_t len; /* of the raw JSON or the result line */
    size_t meta_len; /* of an answer; 0 before */
    lease_t *lease;  /* LEASED only */
    uint32_t status; /* ANSWERED only: as the worker said */
    uint8_t state;   /* lease_row_state_t */
    uint8_t deaths;  /* workers that died holding it */
} lease_row_t;

typedef struct lease_row_block { /* rows are allocated many at a time */
    struct lease_row_block *next;
    lease_row_t rows[];
} lease_row_block_t;

typedef struct result_batch { /* rows sent in one RESULTS, kept until acknowledged */
    ring_node_t node;         /* job->batches */
    uint64_t number;
    ring_t rows;
    uint64_t resend_ns, wait_ns;
} result_batch_t;

struct lease {        /* rows sent in one LEASE; exists while a row of it is open */
    ring_node_t node; /* worker->leases, by number */
    uint64_t number;  /* era and count of this worker */
    seat_job_t *job;
    seat_worker_t *worker;
    ring_t rows;
    size_t open;
    bool arrived; /* the worker has said so, or answered a row of it */
    uint64_t resend_ns, wait_ns;
};

typedef struct seat {      /* what a worker is to a job */
    ring_node_t of_worker; /* worker->seats: the first one's turn it is */
    ring_node_t hungry;    /* job->hungry or job->waiting */
    ring_node_t permits;   /* d->permits: it is to be told its share */
    seat_worker_t *worker;
    seat_job_t *job;
    uint64_t share;  /* rows running at once */
    uint64_t wanted; /* the share it is to have once others have let go of theirs */
    uint64_t
        ceiling;    /* rows it may still be running: the share, or more until it says that it heard of less */
    bool unsettled; /* it has not said yet that it heard of its share: until then it is given no other, or an
                     * old answer (it had 4, 8, 4) could be taken for the new one */
    bool told;      /* it has been sent PERMITS */
    bool refused;   /* it cannot run this job */
    bool rests;     /* it gave rows back: no more until it says its credit again */
    bool parked;    /* in job->waiting: no queued row is for it */
    uint64_t turn_rows;          /* what is left of its turn at this worker */
    uint64_t leased;             /* rows it holds of this job */
    double rate;                 /* rows/s it finishes, smoothed */
    uint64_t rate_ns, rate_rows; /* since when, how many not yet in `rate` */
} seat_t;

struct seat_worker {
    uint64_t id, peer;
    uint64_t era; /* which registration of the dispatcher this is */
    uint64_t leases_sent;
    uint64_t credit_rows, credit_bytes;
    uint64_t held_rows, held_bytes; /* leased to it */
    uint64_t held_class[CLASSES];
    uint64_t heard_ns, permits_ns;
    uint64_t patience_ns; /* of silence; 0: any */
    bool python;          /* it runs python blocks */
    bool draining;
    uint64_t hole, hole_count; /* leases it may miss that have no open rows: it is told, so that its count
                                  goes on; count 0: none */
    ring_t seats, leases;
    ring_node_t resend;     /* d->resend: leases may be due again */
    seat_t *seat[JOBS_MAX]; /* by job slot */
};

typedef enum seat_job_state { JOB_RUNNING, JOB_STOPPING, JOB_OVER } seat_job_state_t;

struct seat_job {
    uint64_t id, peer;
    uint32_t slot; /* in d->jobs */
    seat_job_state_t state;
    dispatch_job_t asked;
    ring_node_t due;   /* d->due: something may have to be said to its client */
    ring_node_t ready; /* d->ready: rows may have to be leased */
    ring_t hungry;     /* seats that may want rows */
    ring_t waiting;    /* parked seats, with room but no row for them: hungry again when rows are queued */
    size_t able;       /* workers that share its concurrency */
    char *refusal;     /* first reason of a worker that cannot run it; owned */
    uint64_t able_ns;  /* when a worker that can run it was last known */

    idmap_t rows;              /* index -> lease_row_t, all pending rows */
    lease_row_block_t *blocks; /* owned */
    lease_row_t *free_rows;    /* linked by node.next */
    ring_t queue[CLASSES];
    ring_t answered; /* not yet in a batch */
    ring_t batches;  /* sent, not acknowledged */
    uint64_t queued, leased, answered_rows;
    uint64_t answered_bytes; /* results held, with their meta */
    uint64_t pending_bytes;  /* raw bytes queued or leased + results held, with their meta */

    uint64_t next_chunk, chunks;
    bool end_known; /* `chunks` is how many there are */
    uint64_t received_rows, received_bytes, released_rows;
    uint64_t told_rows, told_bytes, told_ns; /* the last INGEST_CREDIT */
    bool tell_credit;                        /* say it again in any case */

    uint64_t result_rows_limit, result_bytes_limit;
    uint64_t sent_rows, sent_bytes, batches_sent;
    bool resend; /* batches may be due again */

    uint64_t rows_ok, rows_failed;
    char *reason;                            /* why it stopped; NULL: it did not; owned */
    uint64_t drop_ns;                        /* last time rows were asked back (DISPATCH_STOP_DRAIN) */
    uint64_t over_ns, done_ns, done_wait_ns; /* when it ended; when and how far apart JOB_DONE is repeated */
    bool tell_done;
};

typedef struct notice { /* an action that needs nothing that could go away before it is taken */
    dispatch_kind_t kind;
    uint64_t peer, worker, job, index, count;
    uint32_t mode;
    const char *reason; /* constant text */
} notice_t;

struct dispatch {
    seat_job_t *jobs[JOBS_MAX]; /* by slot */
    idmap_t job_by_id;
    seat_worker_t **workers; /* in order of arrival; owned */
    size_t worker_count, worker_cap;
    idmap_t worker_by_id;
    uint64_t eras;
    bool shares_stale; /* the workers or jobs are not those the shares were made for */
    ring_t due, ready, permits, resend;
    notice_t *notices; /* a queue: taken from notice_at on */
    size_t notice_at, notice_count, notice_cap;
    uint64_t tick_ns;
    dispatch_row_t lease_rows[LEASE_ROWS_MAX]; /* what the last action points to */
    dispatch_done_t batch_rows[RESULT_BATCH_ROWS_MAX];
    dispatch_stats_t stats;
};

/* dispatch.c */
void dispatch_notice(dispatch_t *d, const notice_t *notice);
void dispatch_touch(dispatch_t *d, seat_job_t *job); /* something changed: look at it in dispatch_next */

/* dispatch_rows.c: what happens to one row */
lease_row_t *
dispatch_row_add(seat_job_t *job,
                 uint64_t index); /* QUEUED in no queue yet; NULL if this index is pending already */
void dispatch_row_enqueue(dispatch_t *d, seat_job_t *job, lease_row_t *row, bool first);
void dispatch_row_answer(dispatch_t *d, seat_job_t *job, lease_row_t *row,
                         const dispatch_done_t *done); /* copies the answer */
void dispatch_row_fail(dispatch_t *d, seat_job_t *job, lease_row_t *row);
void dispatch_row_release(dispatch_t *d, seat_job_t *job, lease_row_t *row); /* delivered or dropped */
void dispatch_row_lease(dispatch_t *d, lease_row_t *row, lease_t *lease, seat_t *seat);
void dispatch_job_drop_queued(dispatch_t *d, seat_job_t *job);
void dispatch_job_drop_rows(dispatch_t *d, seat_job_t *job); /* all of them */

/* dispatch_jobs.c */
/* Halves of the window: raw bytes queued or leased, and results above which nothing is leased. */
static inline uint64_t dispatch_job_results_bytes(const seat_job_t *job) {
    return job->asked.window_bytes / 2;
}
static inline uint64_t dispatch_job_rows_bytes(const seat_job_t *job) {
    return job->asked.window_bytes - job->asked.window_bytes / 2;
}
static inline uint64_t dispatch_job_pending(const seat_job_t *job) {
    return job->received_rows - job->released_rows;
}
seat_job_t *dispatch_job_find(const dispatch_t *d, uint64_t id);
void dispatch_job_wind_down(dispatch_t *d, seat_job_t *job, const char *reason,
                            uint64_t now);                            /* what runs may finish */
void dispatch_job_tick(dispatch_t *d, seat_job_t *job, uint64_t now); /* may destroy it */
bool dispatch_job_next(dispatch_t *d, seat_job_t *job, uint64_t now, dispatch_action_t *action);
void dispatch_job_destroy(dispatch_t *d, seat_job_t *job);

/* dispatch_workers.c */
seat_worker_t *dispatch_worker_find(const dispatch_t *d, uint64_t id);
void dispatch_worker_wake(dispatch_t *d, seat_worker_t *worker);               /* it may want rows */
void dispatch_worker_tick(dispatch_t *d, seat_worker_t *worker, uint64_t now); /* may destroy it */
void dispatch_worker_destroy(dispatch_t *d, seat_worker_t *worker);            /* it holds nothing */
void dispatch_seat_destroy(seat_t *seat);
void dispatch_seat_hungry(seat_t *seat);    /* look at it again: it may want rows */
void dispatch_seat_pass_turn(seat_t *seat); /* behind the other jobs of its worker, with a full turn */
bool dispatch_permits_next(dispatch_t *d, dispatch_action_t *action);
void dispatch_shares_refresh(dispatch_t *d);

/* dispatch_leases.c */
bool dispatch_lease_next(dispatch_t *d, uint64_t now, dispatch_action_t *action);
bool dispatch_lease_again(dispatch_t *d, uint64_t now, dispatch_action_t *action);
void dispatch_lease_arrived(lease_t *lease);
void dispatch_lease_close(lease_t *lease); /* its last row is gone */
/* All rows `worker` holds (of `job`, NULL: any) go back, or fail; how many. */
uint64_t dispatch_leases_void(dispatch_t *d, seat_worker_t *worker, const seat_job_t *job, bool crashed);

/* dispatch_results.c */
bool dispatch_results_next(dispatch_t *d, seat_job_t *job, uint64_t now, dispatch_action_t *action);
void dispatch_results_again(seat_job_t *job,
                            uint64_t now); /* the client is new: everything unacknowledged at once */
bool dispatch_results_due(seat_job_t *job, uint64_t now);

#endif
