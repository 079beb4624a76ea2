/* worker_internal.h - the worker's own state, shared by worker.c (messages), worker_jobs.c, worker_rows.c
 * (rows), worker_outbox.c (results), worker_memory.c (what is accounted for), worker_journal.c and
 * worker_contexts.c (the context store). */
#ifndef SDG_ACTORS_WORKER_WORKER_INTERNAL_H
#define SDG_ACTORS_WORKER_WORKER_INTERNAL_H

#include "actors/loop/actor.h"
#include "actors/loop/greeting.h"
#include "actors/worker/worker.h"
#include "core/base/numbers.h"
#include "core/http/engine.h"
#include "core/mabel/row/row.h"
#include "core/python/pypool.h"
#include "core/sched/lease_book.h"
#include "core/sched/outbox.h"
#include "proto/parts/job.h"
#include "proto/parts/tally.h"
#include "proto/parts/usage.h"

/* The memory of the rows of one lease; freed with the last of them. */
typedef struct waiting_lease {
    size_t rows_left;
} waiting_lease_t;

/* A leased row that has not started. */
typedef struct waiting_row {
    struct waiting_row *next;
    waiting_lease_t *lease;
    uint64_t index, line;
    size_t len;
    bool again; /* leased before, to a worker that was lost */
    char raw[];
} waiting_row_t;

typedef enum job_state { JOB_ASKED, JOB_READY, JOB_BROKEN } job_state_t;

typedef struct worker_job {
    struct worker_job *next;
    uint64_t id;
    job_state_t state;
    char *refusal; /* JOB_BROKEN: why; said again when the scheduler has not heard it */
    pipeline_t *pipeline;
    job_options_t options;
    uint32_t *routes;              /* model index -> route of the worker's engine */
    size_t route_count;            /* opened: all models, or fewer while the job is being loaded */
    permit_t units;                /* of its calls; large: rows are limited by `running` */
    pypool_t *python;              /* NULL when it has no python blocks */
    zsock_t *store;                /* DEALER to the context store; NULL: it keeps nothing for this job */
    struct journal_out *journal;   /* worker_journal.c; NULL: the job has no call journal */
    struct contexts_out *contexts; /* worker_contexts.c; NULL: rows wait here */
    uint32_t *functions;           /* block index -> pool function */
    uint64_t permit_rows;          /* units of the job's permit: rows started and not finished */
    uint64_t running;              /* rows started and not finished */
    uint64_t told_running;         /* what the scheduler was told of it last */
    uint64_t asked_ns;             /* last JOB_GET */
    waiting_row_t *waiting, **waiting_tail;
    uint64_t waiting_count, waiting_bytes;
    uint64_t row_bytes; /* what a row of it takes here, by the rows seen so far: worker_memory.c */
} worker_job_t;

typedef enum calls { CALLS_NOTHING, CALLS_LLM, CALLS_PYTHON } calls_t;

typedef struct slot {            /* a row that has started */
    worker_job_t *job;           /* NULL: free */
    row_t *row;                  /* NULL while its context is in the store */
    uint64_t index;              /* of the row */
    calls_t calls;               /* what is out there in its name */
    struct row_journal *journal; /* worker_journal.c; NULL: the job has no call journal */
    struct row_context *context; /* worker_contexts.c; NULL: the row waits here */
    size_t bytes, body_bytes;    /* it accounts for; of these, the request that is out there */
    size_t bytes_most;           /* so far */
    uint32_t generation;         /* tags of earlier users of this slot do not match */
    uint32_t next_free;
} slot_t;

typedef struct endpoint_permit { /* calls in flight to an endpoint, of all jobs together */
    uint64_t endpoint, calls;
    uint64_t told; /* in flight, as the scheduler was told last */
} endpoint_permit_t;

typedef struct wake {
    uint64_t due;
    uint64_t tag;
} wake_t; /* ROW_WANT_TIME */

typedef struct worker {
    actor_t actor;
    zsock_t *scheduler; /* DEALER */
    char *name;
    uint64_t instance;
    greeting_t greeting;
    bool draining;
    uint64_t drain_deadline_ns;
    uint64_t beat_ns; /* last beat */
    worker_args_t args;
    worker_job_t *jobs;
    endpoint_permit_t *endpoints; /* worker_endpoints.c; owned */
    size_t endpoint_count, endpoint_cap;
    lease_book_t *leases;
    llm_engine_t *llm; /* of all jobs; NULL until one has models */
    slot_t *slots;
    uint32_t slot_count, slot_cap, free_slot;
    uint64_t *ready; /* tags of rows that yielded, a ring */
    uint32_t ready_head, ready_count, ready_cap;
    wake_t *wakes; /* binary heap by due */
    uint32_t wake_count, wake_cap;
    outbox_t *outbox;
    uint64_t rows_since, housekept_ns; /* finished since the last housekeeping, and when that was */
    tally_t tally;                     /* of the rows it has finished */
    uint64_t slot_bytes;               /* accounted for by slots */
    uint32_t rows_here;                /* slots with a row in memory */
    uint32_t turns;                    /* tags given out for questions to the store; wraps around */
    buf_t scratch;                     /* encoding */
} worker_t;

enum { NO_SLOT = UINT32_MAX };

/* worker_endpoints.c */
void worker_endpoint_permit(worker_t *w, uint64_t endpoint, uint64_t calls); /* and answers */
void worker_endpoints_apply(worker_t *w, const worker_job_t *job);           /* its routes are new */
void worker_endpoints_tell(worker_t *w); /* calls that have ended while there were too many */
void worker_endpoints_forget(worker_t *w);

/* worker_jobs.c */
worker_job_t *worker_find_job(worker_t *w, uint64_t id);
worker_job_t *worker_add_job(worker_t *w, uint64_t id);
void worker_forget_job(worker_t *w, worker_job_t *job);
int worker_load_job(worker_t *w, worker_job_t *job, const MSG_JOB_SPEC *spec, err_t *err);

/* worker_rows.c */
void worker_accept_rows(worker_t *w, worker_job_t *job, const row_in_list_t *rows, bool again);
void worker_start_rows(worker_t *w, worker_job_t *job, uint64_t now); /* as many as permits allow */
void worker_return_waiting(worker_t *w, worker_job_t *job);
void worker_drop_waiting(worker_job_t *job);
void worker_drop_rows(worker_t *w, worker_job_t *job);
void worker_drive(worker_t *w, uint64_t now); /* finished calls, python events, timers, yielded rows */
uint64_t worker_next_wake(const worker_t *w, uint64_t now); /* ns until something is due, UINT64_MAX none */
uint64_t worker_rows_open(const worker_t *w);
void worker_call_llm(worker_t *w, slot_t *slot); /* makes the call the row wants */
void worker_feed_llm(worker_t *w, slot_t *slot, llm_answer_t *answer,
                     uint64_t now); /* and gives it the answer; takes its text */
void worker_run_row(worker_t *w, slot_t *slot,
                    uint64_t now);                 /* until it has to wait; the slot may be free afterwards */
void worker_return_row(worker_t *w, slot_t *slot); /* back to the scheduler, to start again somewhere */
void worker_park_row(worker_t *w, slot_t *slot);   /* batch mode: it has stopped and is safe in the store */
/* Questions to the store have tags of their own, one for each time a row asks: what comes late or twice finds
 * another one. */
uint64_t worker_new_turn(worker_t *w, const slot_t *slot);
slot_t *
worker_slot_of_turn(worker_t *w,
                    uint64_t tag); /* NULL: free; whether it is still this turn is for the caller to check */

/* worker_memory.c: what the worker accounts for, and whether there is room for more */
uint64_t worker_bytes_held(const worker_t *w);
void worker_account(worker_t *w, slot_t *slot); /* after the slot has changed */
void worker_account_gone(worker_t *w, slot_t *slot);
/* True also when nothing else is in memory: a row that is too large alone must get its chance to say so. */
bool worker_has_room(const worker_t *w, const worker_job_t *job, uint64_t bytes);
uint64_t worker_room_for_new(const worker_job_t *job,
                             size_t raw_bytes); /* what a row that starts is expected to take */
uint64_t worker_room_to_fetch(const worker_job_t *job,
                              size_t saved_bytes); /* ... one that comes back; 0: its size is not known */
bool worker_is_crowded(
    const worker_t *w,
    const worker_job_t *job); /* more than half of what is allowed: rows that wait do so in the store */

/* worker_outbox.c */
void worker_encode_batch(void *worker, const outbox_batch_t *batch, buf_t *frame);
void worker_add_parked(worker_t *w, worker_job_t *job, const row_usage_t *usage, uint64_t index);
void worker_add_result(worker_t *w, worker_job_t *job, const row_result_t *result, uint64_t index);
uint64_t
worker_flush_due(const worker_t *w); /* when gathered rows are to leave, ns; UINT64_MAX: there are none */
void worker_flush(worker_t *w, uint64_t now); /* lets them go, and sends what is to be sent now */

#endif
