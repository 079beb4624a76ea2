/* dispatch_internal.h - the dispatcher's own state, shared by dispatch.c (what comes next, time),
 * dispatch_jobs.c (clients, chunks, credit), dispatch_workers.c (who works), dispatch_permits.c (how many
 * rows of a job run where), dispatch_endpoints.c (how many calls of an endpoint are made where),
 * dispatch_leases.c (who gets which rows) and dispatch_results.c (answers on their way to disk).
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
#include "core/sched/shares.h"

typedef struct seat_job seat_job_t;
typedef struct seat_worker seat_worker_t;
typedef struct lease lease_t;
typedef struct call_endpoint call_endpoint_t;

typedef enum lease_row_state { ROW_QUEUED, ROW_LEASED, ROW_ANSWERED } lease_row_state_t;

/* Kinds of rows, by the number of workers that died holding them. */
enum {
    KIND_FRESH,   /* none died */
    KIND_SUSPECT, /* one died */
    KIND_CULPRIT, /* more than one died */
    KINDS
};

typedef struct lease_row {
    ring_node_t node; /* in a queue, lease, answered or batch, as `state` says; free rows: the pool's next */
    uint64_t index, line;
    /* Raw JSON until answered, then the result line and its meta. Owned by the row: if the rows of a chunk
     * shared their bytes, one slow row would keep the bytes of all. */
    char *data;
    size_t len;      /* of the raw JSON or the result line */
    size_t meta_len; /* of an answer; 0 before */
    lease_t *lease;  /* LEASED only */
    uint32_t status; /* ANSWERED only: as the worker said */
    uint64_t author; /* ANSWERED only: the worker, or 0; see dispatch_action_t.worker */
    uint8_t state;   /* lease_row_state_t */
    uint8_t deaths;  /* workers that died holding it */
    bool came_back;  /* a worker held it and did not answer: calls of it may have been made */
} lease_row_t;

/* Rows are allocated many at a time. */
typedef struct lease_row_block {
    struct lease_row_block *next;
    lease_row_t rows[];
} lease_row_block_t;

/* Rows sent in one RESULTS, kept until the client has acknowledged them. */
typedef struct result_batch {
    ring_node_t node; /* job->batches */
    uint64_t number;
    ring_t rows;
    uint64_t resend_ns, wait_ns;
} result_batch_t;

/* Rows sent in one LEASE. It exists while a row of it is open. */
struct lease {
    ring_node_t node; /* worker->leases, by number */
    uint64_t number;  /* era and count of this worker */
    seat_job_t *job;
    seat_worker_t *worker;
    ring_t rows;
    size_t open;
    bool arrived; /* the worker has said so, or answered a row of it */
    uint64_t resend_ns, wait_ns;
};

/* What a worker is to a job. */
typedef struct seat {
    ring_node_t of_worker; /* in worker->seats: it is the turn of the first one */
    ring_node_t hungry;    /* in job->hungry or job->unserved */
    ring_node_t permits;   /* in d->permits: the worker is to be told its share */
    seat_worker_t *worker;
    seat_job_t *job;
    share_t share;               /* of the units of the job's permit */
    uint64_t waiting;            /* rows the worker has begun that hold no unit now, as it said last */
    bool told;                   /* the worker has been sent PERMITS */
    bool lines_told;             /* the worker has been told (again) of the endpoints of the job */
    bool refused;                /* the worker cannot run this job */
    bool rests;                  /* the worker gave rows back: no more until it says its credit again */
    bool unserved;               /* in job->unserved: no queued row is for it */
    uint64_t turn_rows;          /* what is left of the job's turn at this worker */
    uint64_t leased;             /* rows the worker holds of this job */
    double rate;                 /* rows/s the worker finishes, smoothed */
    uint64_t rate_ns, rate_rows; /* since when, and how many rows are not yet in `rate` */
} seat_t;

/* A server that jobs call. It exists as long as a job names it. */
struct call_endpoint {
    ring_node_t of_all; /* in d->endpoints */
    uint64_t id;
    uint64_t limit; /* calls in flight over all workers; DISPATCH_NO_LIMIT: nobody has said one */
    uint64_t jobs;  /* how many jobs name it */
    bool in_turns;  /* its limit is smaller than the number of workers that want calls: they take turns */
    ring_t lines;
};

/* What a worker is to an endpoint. */
typedef struct call_line {
    ring_node_t of_worker, of_endpoint;
    ring_node_t permits; /* in d->line_permits: the worker is to be told its share */
    seat_worker_t *worker;
    call_endpoint_t *endpoint;
    share_t share; /* of the calls in flight */
    bool told;     /* the worker has been sent ENDPOINT_PERMITS */
} call_line_t;

struct seat_worker {
    uint64_t id, peer;
    uint64_t era; /* which registration of the dispatcher this is */
    uint64_t leases_sent;
    uint64_t credit_rows, credit_bytes;
    uint64_t held_rows, held_bytes; /* leased to it */
    uint64_t held_kind[KINDS];
    uint64_t heard_ns, permits_ns;
    uint64_t patience_ns; /* of silence; 0: any */
    uint64_t cut_ns;      /* when its connection was found to be gone; 0: it is there */
    bool python;          /* it runs python blocks */
    bool remote;          /* it is another process */
    bool draining;
    /* Leases the worker may never have got and that have no open rows: it is told (LEASES_VOID), so that it
     * does not wait for them. void_count 0: none. */
    uint64_t void_from, void_count;
    ring_t seats, leases, lines;
    ring_node_t resend;     /* in d->resend: leases may be due again */
    seat_t *seat[JOBS_MAX]; /* by job slot */
    idmap_t line_by_endpoint;
};

typedef enum seat_job_state { JOB_RUNNING, JOB_STOPPING, JOB_OVER } seat_job_state_t;

struct seat_job {
    uint64_t id, peer;
    uint32_t slot; /* in d->jobs */
    seat_job_state_t state;
    dispatch_job_t asked;
    call_endpoint_t **endpoints; /* its pipeline names; owned array */
    size_t endpoint_count;
    ring_node_t due;   /* in d->due: something may have to be said to its client */
    ring_node_t ready; /* in d->ready: rows may have to be leased */
    ring_t hungry;     /* seats that may want rows */
    ring_t unserved;   /* seats with room but no row for them: hungry again when rows are queued */
    size_t able;       /* workers that share its concurrency */
    char *refusal;     /* first reason of a worker that cannot run it; owned */
    uint64_t able_ns;  /* when a worker that can run it was last known */

    idmap_t rows;              /* index -> lease_row_t, all pending rows */
    lease_row_block_t *blocks; /* owned */
    lease_row_t *free_rows;    /* linked by node.next */
    ring_t queue[KINDS];
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
    dispatch_end_t end; /* what JOB_DONE will say */
    char *reason;       /* why it stopped; NULL: it did not; owned */
    uint64_t drop_ns;   /* last time rows were asked back (DISPATCH_STOP_DRAIN) */
    uint64_t over_ns;   /* when it ended */
    /* When JOB_DONE was said last, and how long after that it is said again. */
    uint64_t done_ns, done_wait_ns;
    bool tell_done;
};

/* An action that points to nothing that could be gone before it is taken. */
typedef struct notice {
    dispatch_kind_t kind;
    uint64_t peer, worker, job, index, count;
    uint64_t silent_s; /* WORKER_LOST for its silence: how long that was; 0: `reason` is why */
    uint32_t mode;
    bool crashed;
    const char *reason; /* constant text */
} notice_t;

struct dispatch {
    seat_job_t *jobs[JOBS_MAX]; /* by slot */
    idmap_t job_by_id;
    seat_worker_t **workers; /* in order of arrival; owned */
    size_t worker_count, worker_cap;
    idmap_t worker_by_id;
    idmap_t endpoint_by_id;
    uint64_t eras;
    bool shares_stale; /* the workers, jobs or limits are not those the shares were made for */
    ring_t due, ready, permits, resend;
    ring_t endpoints, line_permits;
    /* Whose turn it is at an endpoint whose limit is smaller than the number of workers that call it; counts
     * up by 1 every ENDPOINT_TURN_NS. */
    uint64_t endpoint_turn;
    share_t *sharing[WORKERS_MAX]; /* scratch: those that share one limit */
    notice_t *notices;             /* a queue, taken from notice_at on */
    size_t notice_at, notice_count, notice_cap;
    uint64_t tick_ns;
    /* What the last action points to. */
    row_in_t lease_rows[LEASE_ROWS_MAX];
    row_done_t batch_rows[RESULT_BATCH_ROWS_MAX];
    char reason[64];
    dispatch_stats_t stats;
};

static inline uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* dispatch.c */
void dispatch_notice(dispatch_t *d, const notice_t *notice);
void dispatch_touch(dispatch_t *d, seat_job_t *job); /* something changed: look at it in dispatch_next */

/* dispatch_rows.c: what happens to one row */
/* A new row, QUEUED but in no queue yet. NULL when a row of this index is pending already. */
lease_row_t *dispatch_row_add(seat_job_t *job, uint64_t index);
void dispatch_row_enqueue(dispatch_t *d, seat_job_t *job, lease_row_t *row, bool first);
/* Copies the answer. */
void dispatch_row_answer(dispatch_t *d, seat_job_t *job, lease_row_t *row, const row_done_t *done,
                         uint64_t author);
void dispatch_row_fail(dispatch_t *d, seat_job_t *job, lease_row_t *row);
void dispatch_row_release(dispatch_t *d, seat_job_t *job, lease_row_t *row); /* delivered or dropped */
void dispatch_row_lease(dispatch_t *d, lease_row_t *row, lease_t *lease, seat_t *seat);
void dispatch_job_drop_queued(dispatch_t *d, seat_job_t *job);
void dispatch_job_drop_rows(dispatch_t *d, seat_job_t *job); /* all of them */

/* dispatch_jobs.c */
/* One half of the window's bytes: results that are held; above it nothing is leased. */
static inline uint64_t dispatch_job_results_bytes(const seat_job_t *job) {
    return job->asked.window_bytes / 2;
}
/* The other half: raw bytes of rows queued or leased. */
static inline uint64_t dispatch_job_rows_bytes(const seat_job_t *job) {
    return job->asked.window_bytes - job->asked.window_bytes / 2;
}
static inline uint64_t dispatch_job_pending(const seat_job_t *job) {
    return job->received_rows - job->released_rows;
}
seat_job_t *dispatch_job_find(const dispatch_t *d, uint64_t id);
/* What runs may finish, nothing else starts. */
/* Is the client expected to send rows, and does the window have room for one? */
bool dispatch_job_takes_rows(const seat_job_t *job);
void dispatch_job_wind_down(dispatch_t *d, seat_job_t *job, dispatch_end_t end, const char *reason,
                            uint64_t now);
/* A worker has spoken of a job that is over or forgotten: it is to forget it, too. */
void dispatch_job_unknown(dispatch_t *d, const seat_worker_t *worker, uint64_t job);
void dispatch_job_tick(dispatch_t *d, seat_job_t *job, uint64_t now); /* may destroy it */
bool dispatch_job_next(dispatch_t *d, seat_job_t *job, uint64_t now, dispatch_action_t *action);
void dispatch_job_destroy(dispatch_t *d, seat_job_t *job);

/* dispatch_workers.c */
seat_worker_t *dispatch_worker_find(const dispatch_t *d, uint64_t id);
void dispatch_worker_wake(dispatch_t *d, seat_worker_t *worker);               /* it may want rows */
void dispatch_worker_tick(dispatch_t *d, seat_worker_t *worker, uint64_t now); /* may destroy it */
void dispatch_worker_destroy(dispatch_t *d, seat_worker_t *worker);            /* it holds no row any more */
void dispatch_seat_destroy(seat_t *seat);
void dispatch_seat_hungry(seat_t *seat);    /* look at it again: it may want rows */
void dispatch_seat_pass_turn(seat_t *seat); /* behind the other jobs of its worker, with a full turn */
seat_t *dispatch_seat(seat_worker_t *worker, seat_job_t *job); /* made when it is not there */
void dispatch_seat_wake(dispatch_t *d, seat_t *seat);

/* dispatch_permits.c */
void dispatch_permits_repeat(dispatch_t *d, seat_worker_t *worker);
bool dispatch_permits_next(dispatch_t *d, dispatch_action_t *action);

/* dispatch_endpoints.c */
/* A new job names these; an id twice counts once. */
void dispatch_endpoints_name(dispatch_t *d, seat_job_t *job, const uint64_t *ids, size_t count);
void dispatch_endpoints_release(dispatch_t *d, seat_job_t *job);
void dispatch_lines_repeat(dispatch_t *d, seat_worker_t *worker);
void dispatch_lines_destroy(seat_worker_t *worker);
void dispatch_lines_share(dispatch_t *d); /* after the units of all jobs */
bool dispatch_line_next(dispatch_t *d, dispatch_action_t *action);
void dispatch_lines_tick(dispatch_t *d, uint64_t now);

/* dispatch_leases.c */
bool dispatch_lease_next(dispatch_t *d, uint64_t now, dispatch_action_t *action);
bool dispatch_lease_again(dispatch_t *d, uint64_t now, dispatch_action_t *action);
void dispatch_lease_arrived(lease_t *lease);
void dispatch_lease_close(lease_t *lease); /* its last row has left it: frees it */
/* All rows that `worker` holds of `job` (NULL: of any job) go back into their queues, or fail when too many
 * workers have died with them. Returns how many rows that were. */
uint64_t dispatch_leases_void(dispatch_t *d, seat_worker_t *worker, const seat_job_t *job, bool crashed);

/* dispatch_results.c */
bool dispatch_results_next(dispatch_t *d, seat_job_t *job, uint64_t now, dispatch_action_t *action);
/* The client has a new connection: everything that is not acknowledged is sent again at once. */
void dispatch_results_again(seat_job_t *job, uint64_t now);
bool dispatch_results_due(seat_job_t *job, uint64_t now); /* is a batch due to be sent again? */

#endif
