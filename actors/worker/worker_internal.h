/* worker_internal.h - what the files of the worker share: the worker, its jobs, the batches on their way out.
 * What only one file knows is opaque here. Read on in worker.c (messages), worker_rows.h (rows; slots.h,
 * agenda.h and waiting.h hold them), worker_journal.h and worker_contexts.h (the context store),
 * worker_memory.h (what is accounted for). */
#ifndef SDG_ACTORS_WORKER_WORKER_INTERNAL_H
#define SDG_ACTORS_WORKER_WORKER_INTERNAL_H

#include "actors/loop/actor.h"
#include "actors/loop/greeting.h"
#include "actors/worker/slots.h"
#include "actors/worker/waiting.h"
#include "actors/worker/worker.h"
#include "core/base/numbers.h"
#include "core/base/ring.h"
#include "core/http/engine.h"
#include "core/mabel/row/row.h"
#include "core/python/pypool.h"
#include "core/sched/agenda.h"
#include "core/sched/lease_book.h"
#include "core/sched/outbox.h"
#include "core/sched/units.h"
#include "proto/parts/job.h"
#include "proto/parts/tally.h"
#include "proto/parts/usage.h"

typedef enum job_state { JOB_ASKED, JOB_READY, JOB_BROKEN } job_state_t;

typedef struct worker_job {
    ring_node_t node; /* in the worker's jobs */
    uint64_t id;
    job_state_t state;
    char *refusal; /* JOB_BROKEN: why; said again when the scheduler has not heard it */
    pipeline_t *pipeline;
    job_options_t options;
    uint32_t *routes;            /* model index -> route of the worker's engine */
    size_t route_count;          /* opened: all models, or fewer while the job is being loaded */
    permit_t units;              /* what may run here of the job: requests in flight and rows that run code */
    ring_t unit_queue;           /* slots whose Python call waits for a unit */
    pypool_t *python;            /* NULL when it has no python blocks */
    zsock_t *store;              /* DEALER to the context store; NULL: it keeps nothing for this job */
    struct journal_out *journal; /* worker_journal.c; NULL: the job has no call journal */
    struct contexts_out *contexts; /* worker_contexts.c; NULL: rows wait here */
    uint32_t *functions;           /* block index -> pool function */
    uint64_t running;              /* rows started and not finished */
    uint64_t stops_ns;             /* when it was first asked for its rows; 0: it was not */
    bool gives_back;               /* it was asked for rows that are stuck, and has been given none since */
    units_held_t told;             /* as the scheduler heard last */
    struct {                       /* what it heard last of the endpoints; worker_reports.c */
        endpoint_report_t *items;  /* owned */
        size_t count;              /* 0: nothing yet */
        uint64_t at_ns;
    } reported;
    uint64_t asked_ns;  /* last JOB_GET */
    waiting_t waiting;  /* leased and not started */
    uint64_t row_bytes; /* what a row of it takes here, by the rows seen so far: worker_memory.c */
} worker_job_t;

typedef struct endpoint_permit { /* calls in flight to an endpoint, of all jobs together */
    uint64_t endpoint, calls;
    uint64_t told; /* in flight, as the scheduler was told last */
} endpoint_permit_t;

typedef struct footprint footprint_t; /* worker_memory.c */

typedef struct worker {
    actor_t actor;
    zsock_t *scheduler; /* DEALER */
    char *name;
    uint64_t instance;
    greeting_t greeting;
    bool draining;
    uint64_t drain_deadline_ns;
    uint64_t beat_ns;    /* last beat */
    uint64_t reports_ns; /* when worker_reports.c looked at the endpoints last */
    worker_args_t args;
    ring_t jobs;                  /* owned, the newest first; worker_jobs.c */
    endpoint_permit_t *endpoints; /* worker_endpoints.c; owned */
    size_t endpoint_count, endpoint_cap;
    llm_engine_t *llm; /* of all jobs; NULL until one has models */
    lease_book_t *leases;
    slots_t *slots;         /* the rows that have begun */
    agenda_t *agenda;       /* which of them run next by themselves */
    footprint_t *footprint; /* what they take */
    outbox_t *outbox;
    uint64_t rows_since, housekept_ns; /* finished since the last housekeeping, and when that was */
    tally_t tally;                     /* of the rows it has finished */
    buf_t scratch;                     /* encoding */
} worker_t;

/* worker_endpoints.c */
/* ENDPOINT_PERMITS has come: takes the permit, and answers ENDPOINT_HELD. */
void worker_endpoint_permit(worker_t *w, uint64_t endpoint, uint64_t calls);
/* The routes of this job have just been opened: the engine learns the permits of their endpoints. */
void worker_endpoints_apply(worker_t *w, const worker_job_t *job);
/* Says ENDPOINT_HELD of endpoints that have more calls in flight than permitted, when some have ended. */
void worker_endpoints_tell(worker_t *w);
void worker_endpoints_forget(worker_t *w);
bool worker_endpoint_closed(const worker_t *w, uint64_t endpoint); /* no call may go there */

/* worker_reports.c */
/* Says ENDPOINT_REPORT of the jobs that have news. Returns how long it need not be asked again, ns;
 * UINT64_MAX: as long as nothing happens. */
uint64_t worker_reports_tell(worker_t *w, uint64_t now);
void worker_reports_repeat(worker_job_t *job); /* what was said may be lost: it is said again */

/* worker_jobs.c */
/* The job after this one (NULL: the newest), NULL at the end. None may be forgotten on the way. */
worker_job_t *worker_next_job(const worker_t *w, const worker_job_t *after);
worker_job_t *worker_find_job(worker_t *w, uint64_t id);
worker_job_t *worker_add_job(worker_t *w, uint64_t id);
void worker_forget_job(worker_t *w, worker_job_t *job);
void worker_forget_all_jobs(worker_t *w);
int worker_load_job(worker_t *w, worker_job_t *job, const MSG_JOB_SPEC *spec, err_t *err);

/* worker_outbox.c */
void worker_encode_batch(void *worker, const outbox_batch_t *batch, buf_t *frame);
void worker_add_parked(worker_t *w, worker_job_t *job, const row_usage_t *usage, uint64_t index);
void worker_add_result(worker_t *w, worker_job_t *job, const row_result_t *result, uint64_t index);
uint64_t
worker_flush_due(const worker_t *w); /* when gathered rows are to leave, ns; UINT64_MAX: there are none */
void worker_flush(worker_t *w, uint64_t now); /* lets them go, and sends what is to be sent now */

#endif
