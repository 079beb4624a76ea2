/* judge.h - the judge of sim_dispatch keeps its own books of what the dispatcher said and never looks inside
 * it.
 *
 * Each judge_* is told of one event, in the order in which the dispatcher gave it, and calls world_fail when
 * a promise of core/sched/dispatch.h is broken. */
#ifndef SDG_TESTS_SIM_DISPATCH_JUDGE_H
#define SDG_TESTS_SIM_DISPATCH_JUDGE_H

#include "tests/sim/dispatch/world.h"

/* What the judge knows of a row of a running job, from the dispatcher's own words. */
typedef struct book {
    uint64_t holder;          /* worker instance, 0 none */
    uint64_t lease;           /* the lease it is in */
    uint64_t lease_ns;        /* when that lease was sent first */
    uint64_t taken_by, taken; /* the worker that took its lease last, and that lease */
    uint8_t received, answered, deaths;
    bool out;     /* it was with a worker at some time */
    size_t bytes; /* of its result as it is kept */
} book_t;

/* What the judge knows of a worker for one job. */
typedef struct chair {
    uint64_t permit;  /* what it was told last */
    uint64_t ceiling; /* so many rows it may be running */
    bool rests;       /* it gave rows back and has not said its credit since */
    uint64_t passed;  /* rows given to others here while this job wanted some */
    /* Times in a row that it had units, room and rows to come, and nothing to start. */
    uint64_t starved;
} chair_t;

/* What the judge knows of an endpoint, as long as open jobs name it. */
struct call_book {
    bool named;
    uint64_t generation; /* how often it was forgotten */
    uint64_t limit;
    uint64_t limit_max; /* a larger limit from before, until the workers have answered */
    /* Since when its workers together may make another number of calls than the limit and their units allow;
     * 0: they do not. */
    uint64_t unshared_ns;
    chair_t chairs[WORKER_SLOTS];
};

struct job_book {
    uint64_t job;
    client_t *client;
    bool over, stopped, refused;
    bool final;                 /* it was told to end at an endpoint that refuses everything */
    endpoint_book_t *endpoints; /* the scheduler's; owned */
    uint64_t rows_total, rows_limit, bytes_limit, raw_open, acked_rows, last_batch, acked_batch;
    /* Bytes of results that are not acknowledged, and what they may be until the next lease. */
    uint64_t results_open, results_max;
    uint64_t concurrency;
    uint64_t running_max; /* a larger concurrency from before, until the workers have answered */
    /* Since when its workers together may run another number of rows than the limit; 0: they do not. */
    uint64_t unshared_ns;
    chair_t chairs[WORKER_SLOTS];
    uint64_t batch_sum[BATCHES_MAX];
    book_t rows[ROWS_MAX];
    uint64_t batch_of[ROWS_MAX];
};

job_book_t *judge_book(sim_t *s, uint64_t job); /* NULL: no such job was opened */
chair_t *judge_chair(job_book_t *book, const sim_t *s, const worker_t *w);

/* ---- how many rows run */

void judge_lower_running_max(job_book_t *book); /* when all workers have answered a lower limit */
void judge_permits(sim_t *s, const dispatch_action_t *a);
void judge_answer_of_permits(sim_t *s, const worker_t *w, const mail_t *m);
void judge_limit(job_book_t *book, uint64_t concurrency);
void judge_shares(sim_t *s, job_book_t *book); /* in a good world, now and then */
void judge_running(sim_t *s, const held_t *started);

void judge_starving(sim_t *s, job_book_t *book); /* in a good world, now and then */

/* ---- how many calls are in flight */

void judge_endpoints(sim_t *s); /* after all actions of an event: those that no job names are forgotten */
void judge_endpoint_limit(sim_t *s, size_t endpoint, uint64_t calls);
void judge_endpoint_permits(sim_t *s, const dispatch_action_t *a);
void judge_answer_of_endpoint(sim_t *s, const worker_t *w, const mail_t *m);
/* The key of permits that are told now: calls are counted under the key of the permit they are made by. */
uint64_t judge_call_key(const sim_t *s, const worker_t *w, size_t endpoint);
void judge_called(sim_t *s, size_t endpoint);       /* a call begins */
void judge_calls_shared(sim_t *s, size_t endpoint); /* in a good world, now and then */

/* ---- what a worker makes of its leases */

void judge_lease_heard(worker_t *w, const mail_t *m);           /* it has arrived */
void judge_lease_taken(sim_t *s, worker_t *w, const mail_t *m); /* its rows will run */
void judge_started(sim_t *s, const worker_t *w, const held_t *h);

/* ---- how long a worker is believed to be alive (patience.c) */

void judge_registered(sim_t *s, worker_t *w, uint64_t patience_ns); /* it has said HELLO */
void judge_heard(sim_t *s, worker_t *w);
void judge_cut(sim_t *s, worker_t *w);                          /* its connection is gone */
void judge_given_up(sim_t *s, worker_t *w, const char *reason); /* the dispatcher has lost it */
void judge_patience(sim_t *s);                                  /* after each tick */

/* ---- rows */

void judge_lease(sim_t *s, const dispatch_action_t *a);
void judge_results(sim_t *s, const dispatch_action_t *a);
void judge_credit(sim_t *s, const dispatch_action_t *a);
void judge_lost(sim_t *s, const dispatch_action_t *a, bool crashed);
void judge_answers(job_book_t *book, const uint64_t *rows, size_t count);
/* rows NULL: all rows of the job. */
void judge_release_holder(sim_t *s, uint64_t job, uint64_t worker, const uint64_t *rows, size_t count);
void judge_close(job_book_t *book); /* the job is over */
void judge_done(sim_t *s, const dispatch_action_t *a);
void judge_step(sim_t *s); /* after all actions of an event: what holds at any time */

#endif
